"""Law: a promoted column holds exactly the text of PostHog's property read, whatever the document is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.quoting import identifier, string
from posthog_events.clickhouse.store import EventStore

KEYS = ("a", "b", "$c d", "it's", "n.dot", "größe")


def _writable(number: float) -> float:
    """Leave out the floats that an import normalises, as JSON.stringify does in PostHog's ingestion.

    Minus zero becomes 0; from 2^64 to 1e21 a float is written as digits only, which is an integer when read again.
    """
    return 0.5 if number == 0 or 2**63 <= abs(number) < 1e22 else number


_texts = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.text('\\"/{}[]:,\n\t\x00\x7f\u2028é', max_size=8),
    st.sampled_from(["", "null", "true", "1", '{"a":1}', "2024-01-01", '"', '""', "\\", "x\\"]),
)
_numbers = st.one_of(
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False).map(_writable),
    st.sampled_from([0.1, 1e15, 1e22, 1e-7, 2**53 + 1, 2**63, 2**64, -(2**63) - 1]),
)
_values = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """JSON text of an object: keys may repeat, spaces may stand anywhere, characters may be escaped or not."""
    pairs = draw(st.lists(st.tuples(st.sampled_from(KEYS), _values), max_size=8))
    ascii_only, gap = draw(st.booleans()), draw(st.sampled_from(["", " "]))

    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, separators=("," + gap, ":" + gap))

    return "{" + gap + ("," + gap).join(f"{text(key)}{gap}:{gap}{text(value)}" for key, value in pairs) + gap + "}"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One engine for all examples."""
    with Client.open("chdb://memory") as opened:
        yield opened


# An example is one import, so it holds many documents; each is small enough to read without shrinking.
@settings(max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(lines=st.lists(documents(), min_size=60, max_size=120))
def test_promoted_columns_equal_the_canonical_read(
    lines: list[str], client: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """For every document and key, the stored column equals the canonical expression over the original text."""
    folder = tmp_path_factory.mktemp("law")
    rows = [
        f'{{"event":"e","distinct_id":"u","timestamp":"2024-01-01T00:00:00Z","uuid":"{number:032x}","properties":{line}}}'
        for number, line in enumerate(lines)
    ]
    (folder / "events.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    store = EventStore.create(folder / "store")
    store.import_events([folder / "events.jsonl"])
    events = store.catalog().tables["events"]
    promoted = events.columns["properties"].promoted
    # A key with a dot gets no column.
    assert set(promoted) == {key for line in lines for key in json.loads(line)} - {"n.dot"}

    expected = _canonical(client, lines, folder, sorted(promoted))
    reads = ", ".join(_read("properties", key) for key in sorted(promoted))
    stored = client.query(f"SELECT {reads or 1} FROM {events.source} ORDER BY toString(uuid)")[1].rows()
    assert expected == stored
    columns = ", ".join(identifier(promoted[key]) for key in sorted(promoted))
    selected = f"SELECT {columns or 1} FROM {events.source} ORDER BY toString(uuid)"
    assert expected == client.query(selected)[1].rows()


def _read(document: str, key: str) -> str:
    return f"replaceRegexpAll(nullIf(nullIf(JSONExtractRaw({document}, {string(key)}), ''), 'null'), '^\"|\"$', '')"


def _canonical(client: Client, lines: list[str], folder: Path, keys: list[str]) -> list[tuple[Any, ...]]:
    """What PostHog's expression reads from the texts as they were written."""
    (folder / "documents.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    reads = ", ".join(_read("line", key) for key in keys)
    source = f"file({string(str(folder / 'documents.txt'))}, LineAsString, 'line String')"
    return client.query(f"SELECT {reads or 1} FROM {source} ORDER BY _row_number")[1].rows()
