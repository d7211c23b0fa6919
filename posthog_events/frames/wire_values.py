"""What one value of each ClickHouse type is in PostHog's JSON, and how it becomes a value that polars takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from posthog_events.errors import UnknownColumnType
from posthog_events.frames.types import ColumnType, instance

__all__ = ["built_dtype", "reader", "wire_type"]

_TEXT = frozenset(
    {"String", "UUID", "IPv4", "IPv6", "FixedString", "Enum8", "Enum16", "Date", "Date32", "DateTime", "DateTime64"}
)
_WIRE: dict[str, Any] = {
    "Bool": bool,
    "Float32": float | None,
    "Float64": float | None,
    "Decimal": str,
    "Nothing": type(None),
    "Int8": Annotated[int, msgspec.Meta(ge=-(2**7), lt=2**7)],
    "Int16": Annotated[int, msgspec.Meta(ge=-(2**15), lt=2**15)],
    "Int32": Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)],
    "Int64": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    "Int128": int | str,
    "UInt8": Annotated[int, msgspec.Meta(ge=0, lt=2**8)],
    "UInt16": Annotated[int, msgspec.Meta(ge=0, lt=2**16)],
    "UInt32": Annotated[int, msgspec.Meta(ge=0, lt=2**32)],
    "UInt64": Annotated[int, msgspec.Meta(ge=0)],
    "UInt128": int | str,
    **dict.fromkeys(_TEXT, str),
}
"""What each family is in JSON, bounds included: inside structs, polars makes null of a number that is out of range."""


def wire_type(kind: ColumnType, *, column: str) -> Any:
    """Return the type that msgspec checks the JSON against.

    Raises:
        UnknownColumnType: JSON cannot hold the type.
    """
    wire = _present(kind, column)
    return wire | None if kind.nullable else wire


def _present(kind: ColumnType, column: str) -> Any:
    match kind.family:
        case "Array":
            return list[wire_type(kind.inner[0], column=column)]  # type: ignore[misc]  # types made at run time
        case "Tuple":
            return tuple[tuple(wire_type(part, column=column) for part in kind.inner)]  # type: ignore[misc]
        case "Nested":
            return list[tuple[tuple(wire_type(part, column=column) for part in kind.inner)]]  # type: ignore[misc]
        case "Map":
            key = kind.inner[0]
            if key.family not in _TEXT and "Int" not in key.family:
                raise UnknownColumnType(column, kind.text)  # the keys of a JSON object are text
            return dict[_present(key, column), wire_type(kind.inner[1], column=column)]  # type: ignore[misc]
        case family if family.startswith("Interval"):
            return int
    return _WIRE[kind.family]


def built_dtype(dtype: pl.DataType) -> pl.DataType:
    """Return the dtype that values are collected in before they are cast to `dtype`.

    Instants and durations are counts, because no Python type has their resolution; 128-bit numbers are text, because
    polars refuses a list of large and small ones inside a struct.
    """
    match dtype:
        case pl.Datetime() | pl.Duration():
            return pl.Int64()
        case pl.Int128() | pl.UInt128():
            return pl.String()
        case pl.List():
            return pl.List(built_dtype(instance(dtype.inner)))
        case pl.Struct():
            return pl.Struct([pl.Field(field.name, built_dtype(instance(field.dtype))) for field in dtype.fields])
        case pl.Map():
            return pl.Map(built_dtype(instance(dtype.key)), built_dtype(instance(dtype.value)))
    return dtype


def reader(kind: ColumnType) -> Callable[[Any], Any] | None:
    """Return what turns a value as JSON has it into one that polars takes; None when it is one already."""
    match kind.family:
        case "DateTime" | "DateTime64":
            nanoseconds = 1 if kind.numbers and kind.numbers[0] > 6 else 1_000
            zone = ZoneInfo(kind.zone or "UTC")
            return lambda text: _nanoseconds(text, zone) // nanoseconds
        case "Date" | "Date32":
            return date.fromisoformat
        case "Decimal":
            return partial(_decimal, scale=kind.numbers[1])
        case "FixedString":
            return partial(_fixed, length=kind.numbers[0])
        case "UInt64":
            return _uint64
        case "Int128" | "UInt128":
            return str
        case "Array":
            return _list_reader(reader(kind.inner[0]))
        case "Nested":
            return _list_reader(_tuple_reader(kind))
        case "Tuple":
            return _tuple_reader(kind)
        case "Map":
            return _map_reader(*map(reader, kind.inner))
        case family if family.startswith("Interval"):
            return _INTERVALS[family.removeprefix("Interval")].__mul__
    return None


def _list_reader(read: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    return read and (lambda values: [None if value is None else read(value) for value in values])


def _tuple_reader(kind: ColumnType) -> Callable[[Any], Any]:
    readers = [reader(part) for part in kind.inner]
    return lambda values: {
        name: value if value is None or read is None else read(value)
        for name, value, read in zip(kind.names, values, readers, strict=True)
    }


def _map_reader(
    read_key: Callable[[Any], Any] | None, read: Callable[[Any], Any] | None
) -> Callable[[Any], Any] | None:
    if read_key is None and read is None:
        return None
    return lambda entries: {
        read_key(key) if read_key else key: value if value is None or read is None else read(value)
        for key, value in entries.items()
    }


_INTERVALS = {
    "Nanosecond": 1,
    "Microsecond": 1,
    "Millisecond": 1_000,
    "Second": 1_000_000,
    "Minute": 60_000_000,
    "Hour": 3_600_000_000,
    "Day": 86_400_000_000,
    "Week": 7 * 86_400_000_000,
}
"""One of each in the unit of its dtype; PostHog's client hands intervals on as counts."""

_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d(?::\d\d)?)?", re.ASCII)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


def _nanoseconds(text: str, zone: ZoneInfo) -> int:
    """Return an instant in nanoseconds since 1970; a time without an offset is one of `zone`."""
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError("not a date and time")
    at = datetime.fromisoformat(found[1] + (found[3] or ""))
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
        if at.utcoffset() != at.replace(fold=1).utcoffset():
            raise ValueError("a local time that occurs twice, or never")
    seconds = (at - _EPOCH) // timedelta(seconds=1)
    return seconds * 1_000_000_000 + int((found[2] or "").ljust(9, "0"))


def _decimal(text: str, *, scale: int) -> Decimal:
    """Return the number; polars would round one with more decimals than `scale`."""
    value = Decimal(text)
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > scale:
        raise ValueError("not a number, or more decimals than the type has")
    return value


def _uint64(value: int) -> int:
    """Return `value`; msgspec cannot check this bound."""
    if value >= 2**64:
        raise ValueError("larger than the type")
    return value


def _fixed(text: str, *, length: int) -> bytes:
    """Return exactly `length` bytes from text or, when it is longer than the type allows, from hexadecimal digits.

    PostHog does not say which of the two it sent. Both may lack the NUL bytes at the end, which its client strips.
    Bytes that are not UTF-8 and end in NULs by half or more are therefore taken for text.
    """
    raw = text.encode()
    if len(raw) > length:
        raw = bytes.fromhex(text)
    if len(raw) > length:
        raise ValueError("longer than the type")
    return raw.ljust(length, b"\0")
