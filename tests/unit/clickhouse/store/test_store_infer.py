"""Property types from values, on a real engine and small documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from posthog_events.clickhouse.catalog import PropertyKind
from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.quoting import string
from posthog_events.clickhouse.store import infer
from posthog_events.clickhouse.store.infer import infer_types, merge_kinds
from posthog_events.clickhouse.store.manifest import PropertyType


@pytest.mark.parametrize("sample", [1, 2_000], ids=["one row sampled", "all rows sampled"])
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2.5, -3], "Numeric"),
        ([1, None], "Numeric"),
        ([1, "2"], "String"),
        ([1, True], "String"),
        ([1, [1]], "String"),
        (["1", "2"], "String"),
        ([True, False], "Boolean"),
        ([True, "false"], "String"),
        (["2024-01-01", "2024-01-01T10:00:00Z", "2024-01-01 10:00:00.5+02:00"], "DateTime"),
        (["2024-01-01", "2 apples"], "String"),
        (["2024-01-01", 20240101], "String"),
        ([{"a": 1}], "String"),
        ([None], None),
    ],
    ids=str,
)
def test_kind_of_values(monkeypatch: pytest.MonkeyPatch, values: list[Any], kind: str | None, sample: int) -> None:
    """All values count, also those after the sampled ones, and one of a nested object of the same name does not."""
    monkeypatch.setattr(infer, "SAMPLE_ROWS", sample)
    documents = [json.dumps({"k": value, "other": {"k": "text"}}, separators=(",", ":")) for value in values]
    rows = f"(SELECT arrayJoin([{', '.join(map(string, documents))}]) AS properties)"
    with Client.open("chdb://memory") as client:
        found = infer_types(lambda sql: client.query(sql)[1], rows, "properties", ["k"])
    assert ({} if kind is None else {"k": kind}) == found


def test_kinds_are_merged_and_overrides_stay() -> None:
    """A contradiction becomes String and is told; String stays; what the user said is not touched."""
    old = {
        "same": PropertyType(PropertyKind.NUMERIC),
        "changed": PropertyType(PropertyKind.NUMERIC),
        "text": PropertyType(PropertyKind.STRING),
        "fixed": PropertyType(PropertyKind.NUMERIC, "override"),
    }
    new = dict.fromkeys(old, PropertyKind.BOOLEAN) | {"same": PropertyKind.NUMERIC, "new": PropertyKind.DATETIME}
    assert ({"changed": "String", "new": "DateTime"}, ("changed",)) == merge_kinds(old, new)
