"""Rows as PostHog's JSON writes them. Source: reference 2.8, from posthog/renderers.py (orjson, UTC as `Z`).

What is lost on the way is lost here too: NaN and infinities become null, tuples lose their names, and numbers of 128
bits cannot be written at all. Plain columns are converted as columns; only nested ones value by value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import polars as pl

from posthog_events.frames.types import ColumnType, parse_type

__all__ = ["NotSerialisable", "encode_rows"]


class NotSerialisable(Exception):
    """A value that PostHog's renderer fails on; the answer is a plain 500."""


def encode_rows(frame: pl.DataFrame, types: Sequence[tuple[str, str]]) -> msgspec.Raw:
    """Return `results`: a JSON array with an array for every row.

    Args:
        frame: (n, len(types)) with the dtypes of `frames.types`.
        types: (column, ClickHouse type) pairs.

    Raises:
        NotSerialisable: A number has 128 bits, or a map has keys that are not text.
    """
    columns = [_column(frame[name], parse_type(text, column=name)) for name, text in types]
    # msgspec writes NaN and infinities as null, as orjson does
    return msgspec.Raw(msgspec.json.encode(list(zip(*columns, strict=True))))


def _column(values: pl.Series, kind: ColumnType) -> list[Any]:
    match kind.family:
        case "Int128" | "UInt128":
            raise NotSerialisable("Integer exceeds 64-bit range")
        case "DateTime" | "DateTime64":
            return _moments(values, kind)
        case "Date" | "Date32" | "Decimal":
            return values.cast(pl.String).to_list()
        case "FixedString":
            return [None if value is None else _text(value) for value in values.to_list()]
        case family if family in _NESTED or family.startswith("Interval"):
            convert = _converter(kind)
            return [convert(value) for value in values.to_list()]
    return values.to_list()


def _moments(values: pl.Series, kind: ColumnType) -> list[str | None]:
    """Write datetimes in their zone: a fraction when there is one, `Z` at an offset of zero, else `+02:00`."""
    # the driver gives Python's datetimes, so nothing finer than a microsecond arrives
    values = values.dt.cast_time_unit("us")
    # local times without their zone are several times faster to make and to write than aware ones
    texts = [None if value is None else value.isoformat() for value in values.dt.replace_time_zone(None).to_list()]
    if kind.zone is None:
        return texts
    if kind.zone == "UTC":
        return [None if text is None else f"{text}Z" for text in texts]
    offsets = (values.dt.base_utc_offset() + values.dt.dst_offset()).dt.total_minutes().to_list()
    signs = {minutes: _offset(minutes) for minutes in set(offsets) if minutes is not None}
    return [None if text is None else text + signs[at] for text, at in zip(texts, offsets, strict=True)]


def _offset(minutes: int) -> str:
    if minutes == 0:
        return "Z"
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


_NESTED = frozenset({"Array", "Tuple", "Nested", "Map"})

_UNITS_US = {"Minute": 60_000_000, "Hour": 3_600_000_000, "Day": 86_400_000_000, "Week": 604_800_000_000}
_UNITS_US |= {"Microsecond": 1, "Millisecond": 1_000, "Second": 1_000_000}


def _converter(kind: ColumnType) -> Callable[[Any], Any]:
    """Return what turns one Python value of a type into what JSON shows of it."""
    convert = _value_converter(kind)
    return lambda value: None if value is None else convert(value)


def _value_converter(kind: ColumnType) -> Callable[[Any], Any]:
    match kind.family:
        case "Int128" | "UInt128":
            raise NotSerialisable("Integer exceeds 64-bit range")
        case "Array":
            item = _converter(kind.inner[0])
            return lambda values: [item(value) for value in values]
        case "Nested":
            return _value_converter(ColumnType("Array", (ColumnType("Tuple", kind.inner, kind.names),)))
        case "Tuple":
            parts = tuple(zip(kind.names, map(_converter, kind.inner), strict=True))
            return lambda value: [convert(value[name]) for name, convert in parts]
        case "Map":
            return _map(kind)
        case "DateTime" | "DateTime64":
            naive = kind.zone is None
            return lambda value: _moment(value, naive=naive)
        case "Date" | "Date32":
            return date.isoformat
        case "Decimal":
            return str
        case "FixedString":
            return _text
        case "IntervalNanosecond":
            return lambda value: round(value / timedelta(microseconds=1) * 1000)
        case family if family.startswith("Interval"):
            unit = timedelta(microseconds=_UNITS_US[family.removeprefix("Interval")])
            return lambda value: value // unit
    return lambda value: value


def _map(kind: ColumnType) -> Callable[[Any], Any]:
    key, value = kind.inner
    if key.family not in ("String", "UUID", "Enum8", "Enum16"):
        raise NotSerialisable("Dict key must be str")
    convert = _converter(value)
    return lambda pairs: {name: convert(item) for name, item in dict(pairs).items()}


def _moment(value: datetime, *, naive: bool) -> str:
    if naive:
        return value.replace(tzinfo=None).isoformat()
    text = value.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def _text(value: bytes) -> str:
    """Return bytes as PostHog's encoder does: as UTF-8 if they are that, else as hexadecimal digits."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()
