"""JSON of results. Expected texts: reference 2.8."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from posthog_events.emulator.encode import NotSerialisable, encode_rows
from posthog_events.frames.types import parse_type, polars_dtype


def encoded(type_text: str, *values: Any) -> str:
    """Return the JSON text of a column's values."""
    dtype = polars_dtype(parse_type(type_text))
    raw = bytes(encode_rows(pl.DataFrame({"x": pl.Series("x", values, dtype=dtype)}), [("x", type_text)]))
    rows = [json.dumps(row[0], separators=(",", ":")) for row in json.loads(raw)]
    return " ".join(rows)


AT = datetime(2026, 7, 1, 10, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("type_text", "values", "expected"),
    [
        ("DateTime64(6, 'UTC')", [AT], '"2026-07-01T10:00:05Z"'),
        ("DateTime64(6, 'UTC')", [AT + timedelta(microseconds=1)], '"2026-07-01T10:00:05.000001Z"'),
        ("DateTime64(3, 'UTC')", [AT + timedelta(milliseconds=500)], '"2026-07-01T10:00:05.500000Z"'),
        ("DateTime64(6, 'Europe/Berlin')", [AT], '"2026-07-01T12:00:05+02:00"'),
        ("DateTime('America/St_Johns')", [AT.replace(month=1)], '"2026-01-01T06:30:05-03:30"'),
        ("DateTime('Europe/London')", [AT, AT.replace(month=1)], '"2026-07-01T11:00:05+01:00" "2026-01-01T10:00:05Z"'),
        ("DateTime", [AT], '"2026-07-01T10:00:05"'),
        ("Nullable(DateTime64(6, 'UTC'))", [None, AT], 'null "2026-07-01T10:00:05Z"'),
        ("Date", [date(2026, 9, 1)], '"2026-09-01"'),
        ("UInt64", [2**64 - 1, 0], "18446744073709551615 0"),
        ("UInt8", [1], "1"),
        ("Bool", [True, False], "true false"),
        ("Float64", [1.5, float("nan"), float("inf"), None], "1.5 null null null"),
        ("Decimal(10, 2)", [Decimal("1.50")], '"1.50"'),
        ("UUID", ["01890000-0000-7000-8000-000000000000"], '"01890000-0000-7000-8000-000000000000"'),
        ("Array(Nullable(Float64))", [[1.0, None, float("nan")]], "[1.0,null,null]"),
        ("Array(DateTime64(6, 'Europe/Berlin'))", [[AT]], '["2026-07-01T12:00:05+02:00"]'),
        ("Tuple(name String, at DateTime)", [{"name": "a", "at": AT}], '["a","2026-07-01T10:00:05"]'),
        ("Map(String, Array(Date))", [{"k": [date(2026, 9, 1)]}], '{"k":["2026-09-01"]}'),
        ("FixedString(3)", [b"abc", b"\xff\x00\x01"], '"abc" "ff0001"'),
        ("Enum8('a' = 1, 'b' = 2)", ["b"], '"b"'),
        ("IntervalDay", [timedelta(days=3)], "3"),
        ("String", ['{"a":"ü"}'], r'"{\"a\":\"\u00fc\"}"'),
        ("Nullable(Nothing)", [None], "null"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_value_in_json(type_text: str, values: list[Any], expected: str) -> None:
    """Each type is written as PostHog's renderer writes it."""
    assert expected == encoded(type_text, *values)


@pytest.mark.parametrize(
    ("type_text", "value"),
    [("UInt128", 1), ("Int128", 1), ("Array(UInt128)", [1]), ("Map(UInt8, String)", {1: "a"})],
)
def test_value_without_json(type_text: str, value: Any) -> None:
    """128-bit numbers and maps with other keys than text cannot be written."""
    with pytest.raises(NotSerialisable):
        encoded(type_text, value)


def test_rows_are_arrays_in_column_order() -> None:
    """A row is positional; a frame without rows is an empty array."""
    frame = pl.DataFrame({"b": ["x", "y"], "a": [1, 2]})
    types = [("b", "String"), ("a", "Int64")]

    assert b'[["x",1],["y",2]]' == bytes(encode_rows(frame, types))
    assert b"[]" == bytes(encode_rows(frame.clear(), types))
