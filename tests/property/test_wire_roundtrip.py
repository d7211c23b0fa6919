"""Random values of random ClickHouse types, written as PostHog's renderer would, and read back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from posthog_events.frames.wire import frame_from_json_rows


@dataclass(frozen=True)
class Sample:
    """A ClickHouse type, its dtype, values of it, how PostHog writes one in JSON, and how a frame shows one."""

    kind: str
    dtype: Any
    values: SearchStrategy[Any]
    write: Callable[[Any], Any] = lambda value: value
    shown: Callable[[Any], Any] = lambda value: value


def _number(kind: str, dtype: Any, low: int, high: int) -> Sample:
    return Sample(kind, dtype, st.integers(low, high))


def _iso(at: datetime) -> str:
    """orjson with UTC as Z: no fraction when it is zero."""
    return at.isoformat().replace("+00:00", "Z")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _instants(kind: str, zone: str) -> Sample:
    def written(at: datetime) -> str:
        return _iso(at.astimezone(UTC if zone == "UTC" else ZoneInfo(zone)))

    # from 1980 on, every offset is a whole number of minutes
    moments = st.datetimes(datetime(1980, 1, 1), datetime(2105, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
    return Sample(kind, pl.Datetime("us", zone), moments, written, lambda at: at)


def _decimal(digits: int, scale: int) -> Sample:
    unscaled = st.integers(-(10**digits) + 1, 10**digits - 1)
    values = unscaled.map(lambda number: Decimal(f"{number}e-{scale}"))
    return Sample(f"Decimal({digits}, {scale})", pl.Decimal(digits, scale), values, str)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LEAVES = [
    _number("Int8", pl.Int8, -(2**7), 2**7 - 1),
    _number("Int32", pl.Int32, -(2**31), 2**31 - 1),
    _number("Int64", pl.Int64, -(2**63), 2**63 - 1),
    _number("UInt8", pl.UInt8, 0, 2**8 - 1),
    _number("UInt64", pl.UInt64, 0, 2**64 - 1),
    Sample("UInt128", pl.UInt128, st.integers(0, 2**128 - 1), str),
    Sample("Float64", pl.Float64, st.floats(), _finite, _finite),
    Sample("Bool", pl.Boolean, st.booleans()),
    Sample("String", pl.String, TEXT),
    Sample("UUID", pl.String, st.uuids().map(str)),
    Sample("IPv4", pl.String, st.ip_addresses(v=4).map(str)),
    Sample("Enum8('a' = 1, 'it\\'s' = 2)", pl.Enum(["a", "it's"]), st.sampled_from(["a", "it's"])),
    Sample("Date32", pl.Date, st.dates(date(1900, 1, 1), date(2299, 12, 31)), date.isoformat),
    Sample("IntervalHour", pl.Duration("us"), st.integers(-(10**6), 10**6), shown=lambda hours: timedelta(hours=hours)),
    _instants("DateTime64(6, 'UTC')", "UTC"),
    _instants("DateTime64(6, 'America/New_York')", "America/New_York"),
    _decimal(9, 2),
    _decimal(38, 10),
]


def _nullable(of: Sample) -> Sample:
    def if_present(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda value: None if value is None else change(value)

    return Sample(f"Nullable({of.kind})", of.dtype, st.none() | of.values, if_present(of.write), if_present(of.shown))


def _array(of: Sample) -> Sample:
    return Sample(
        f"Array({of.kind})",
        pl.List(of.dtype),
        st.lists(of.values, max_size=3),
        lambda values: [of.write(value) for value in values],
        lambda values: [of.shown(value) for value in values],
    )


def _tuple(parts: list[Sample]) -> Sample:
    names = [str(number) for number in range(1, len(parts) + 1)]
    return Sample(
        f"Tuple({', '.join(part.kind for part in parts)})",
        pl.Struct(dict(zip(names, [part.dtype for part in parts], strict=True))),
        st.tuples(*(part.values for part in parts)),
        lambda values: [part.write(value) for part, value in zip(parts, values, strict=True)],
        lambda values: {name: part.shown(value) for name, part, value in zip(names, parts, values, strict=True)},
    )


def _map(of: Sample) -> Sample:
    return Sample(
        f"Map(String, {of.kind})",
        pl.Map(pl.String, of.dtype),
        st.dictionaries(TEXT, of.values, max_size=3),
        lambda entries: {key: of.write(value) for key, value in entries.items()},
        lambda entries: {key: of.shown(value) for key, value in entries.items()},
    )


LEAF = st.sampled_from(LEAVES)
SAMPLES = st.recursive(
    LEAF | LEAF.map(_nullable),
    lambda inner: inner.map(_array) | st.lists(inner, min_size=1, max_size=3).map(_tuple) | inner.map(_map),
    max_leaves=4,
)


def _in_utc(value: Any) -> Any:
    """Return a value with its instants in UTC; Python holds an hour that occurs twice unequal to any other zone's."""
    match value:
        case datetime():
            return value.astimezone(UTC)
        case list():
            return [_in_utc(item) for item in value]
        case dict():
            return {key: _in_utc(item) for key, item in value.items()}
    return value


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Sample], list[list[Any]]]:
    """Draw columns and rows of values."""
    columns = draw(st.lists(SAMPLES, min_size=1, max_size=3))
    return columns, draw(st.lists(st.tuples(*(column.values for column in columns)).map(list), max_size=5))


@given(tables(), st.sampled_from([1, 2, 1000]), st.booleans())
def test_values_of_any_type_come_back(
    table: tuple[list[Sample], list[list[Any]]], piece_rows: int, ascii_only: bool
) -> None:
    """Whatever is nested in whatever, a frame shows the values that were written, in the dtypes of their types."""
    columns, rows = table
    body = json.dumps(
        [[column.write(value) for column, value in zip(columns, row, strict=True)] for row in rows],
        ensure_ascii=ascii_only,
        allow_nan=False,
    )

    frame = frame_from_json_rows(
        body.encode(), [(f"c{n}", column.kind) for n, column in enumerate(columns)], piece_rows=piece_rows
    )

    assert {f"c{n}": column.dtype for n, column in enumerate(columns)} == dict(frame.schema)
    for n, column in enumerate(columns):
        assert [column.shown(row[n]) for row in rows] == _in_utc(frame[f"c{n}"].to_list())
