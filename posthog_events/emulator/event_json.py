"""Events as the events API shows them. Source: PostHog/posthog:posthog/models/event/util.py (2026-09)."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

__all__ = ["as_csv", "event_json", "parse_document", "timestamp_text"]

_ELEMENT = re.compile(r'(?:[^;"]|"(?:\\.|[^"\\])*")+')
_ATTRIBUTE = re.compile(r'([^="]*)="((?:\\.|[^"\\])*)"')
_ELEMENT_FIELDS = ("text", "href", "attr_id", "nth-child", "nth-of-type")


def event_json(row: Mapping[str, Any], person: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return one event.

    Args:
        row: `uuid`, `event`, `properties` (text), `timestamp`, `distinct_id`, `elements_chain`.
        person: None unless the caller asked for persons.
    """
    return {
        "id": row["uuid"],
        "distinct_id": row["distinct_id"],
        "properties": parse_document(row["properties"]),
        "event": row["event"],
        "timestamp": timestamp_text(row["timestamp"]),
        "person": person,
        "elements": _elements(row["elements_chain"]),
        "elements_chain": row["elements_chain"],
    }


def timestamp_text(moment: datetime) -> str:
    """Return a moment with the offset that the servers' own zone gives it, `+00:00`."""
    return moment.astimezone(UTC).isoformat()


def parse_document(text: str) -> dict[str, Any]:
    """Return properties as PostHog parses them: no NaN, and no double quotes around texts."""
    document: dict[str, Any] = json.loads(text or "{}", parse_constant=lambda _: None)
    return {key: value.strip('"') if isinstance(value, str) else value for key, value in document.items()}


def _elements(chain: str) -> list[dict[str, Any]]:
    return [_element(text, order) for order, text in enumerate(_ELEMENT.findall(chain))]


def _element(text: str, order: int) -> dict[str, Any]:
    name, _, rest = text.partition(":")
    tag, *classes = name.split(".")
    found = {key: value.replace('\\"', '"') for key, value in _ATTRIBUTE.findall(rest)}
    plain = {key.replace("-", "_"): found.get(key) for key in _ELEMENT_FIELDS}
    numbers = {key: int(plain[key] or 0) for key in ("nth_child", "nth_of_type")}
    attributes = {key: value for key, value in found.items() if key not in _ELEMENT_FIELDS}
    own = {"event": None, "tag_name": tag, "attr_class": classes or None, "attributes": attributes, "order": order}
    return own | plain | numbers


def as_csv(items: Iterable[Mapping[str, Any]]) -> str:
    """Return items as the CSV renderer writes them: nested keys joined by dots, the header sorted."""
    rows = [dict(_flat("", item)) for item in items]
    header = sorted({key for row in rows for key in row})
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([row.get(key, "") for key in header] for row in rows)
    return out.getvalue()


def _flat(prefix: str, value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        pairs: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        return [(prefix, "" if value is None else value)]
    return [pair for key, inner in pairs for pair in _flat(f"{prefix}.{key}" if prefix else str(key), inner)]
