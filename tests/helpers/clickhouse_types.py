"""ClickHouse expressions with the type, value and dtype they must arrive with; written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl

__all__ = ["TYPED_VALUES", "UNMAPPED", "TypedValue"]

BERLIN = ZoneInfo("Europe/Berlin")
UUID_TEXT = "01020304-0506-0708-090a-0b0c0d0e0f10"


@dataclass(frozen=True, slots=True)
class TypedValue:
    """`SELECT expression` has the ClickHouse type `kind` and arrives as `value` of `dtype`."""

    expression: str
    kind: str
    value: object
    dtype: pl.DataType | type[pl.DataType]


def _cast(value: str, kind: str, expected: object, dtype: pl.DataType | type[pl.DataType]) -> TypedValue:
    quoted = kind.replace("\\", "\\\\").replace("'", "\\'")
    return TypedValue(f"CAST({value}, '{quoted}')", kind, expected, dtype)


US_UTC = pl.Datetime("us", "UTC")

TYPED_VALUES = (
    _cast("-128", "Int8", -128, pl.Int8),
    _cast("-32768", "Int16", -32768, pl.Int16),
    _cast("-2147483648", "Int32", -2147483648, pl.Int32),
    _cast("-9223372036854775808", "Int64", -9223372036854775808, pl.Int64),
    _cast("'-170141183460469231731687303715884105728'", "Int128", -(2**127), pl.Int128),
    _cast("255", "UInt8", 255, pl.UInt8),
    _cast("65535", "UInt16", 65535, pl.UInt16),
    _cast("4294967295", "UInt32", 4294967295, pl.UInt32),
    _cast("18446744073709551615", "UInt64", 18446744073709551615, pl.UInt64),
    _cast("'340282366920938463463374607431768211455'", "UInt128", 2**128 - 1, pl.UInt128),
    _cast("1.5", "Float32", 1.5, pl.Float32),
    _cast("-1e308", "Float64", -1e308, pl.Float64),
    _cast("1", "Bool", True, pl.Boolean),
    TypedValue("1 = 1", "UInt8", 1, pl.UInt8),
    _cast("'Zoë 😀\\n'", "String", "Zoë 😀\n", pl.String),
    _cast("'ab'", "FixedString(4)", b"ab\0\0", pl.Binary),
    _cast("'ab'", "LowCardinality(String)", "ab", pl.String),
    _cast("NULL", "LowCardinality(Nullable(String))", None, pl.String),
    _cast(f"'{UUID_TEXT}'", "UUID", UUID_TEXT, pl.String),
    _cast("NULL", "Nullable(UUID)", None, pl.String),
    _cast("'203.0.113.7'", "IPv4", "203.0.113.7", pl.String),
    _cast("'2001:db8::1'", "IPv6", "2001:db8::1", pl.String),
    _cast("'::ffff:203.0.113.7'", "IPv6", "::ffff:203.0.113.7", pl.String),
    _cast("'2024-02-29'", "Date", date(2024, 2, 29), pl.Date),
    _cast("'1925-01-01'", "Date32", date(1925, 1, 1), pl.Date),
    _cast("'2024-03-31 01:00:00'", "DateTime", datetime(2024, 3, 31, 1, tzinfo=UTC), US_UTC),
    _cast("'2106-02-07 06:28:15'", "DateTime", datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC), US_UTC),
    _cast(
        "'2024-07-01 12:00:00'",
        "DateTime('Europe/Berlin')",
        datetime(2024, 7, 1, 12, tzinfo=BERLIN),
        pl.Datetime("us", "Europe/Berlin"),
    ),
    _cast("NULL", "Nullable(DateTime)", None, US_UTC),
    _cast("'2024-01-01 00:00:00.5'", "DateTime64(3)", datetime(2024, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC), US_UTC),
    _cast("'2024-01-01 00:00:00'", "DateTime64(0)", datetime(2024, 1, 1, tzinfo=UTC), US_UTC),
    _cast(
        "'1969-12-31 23:59:59.999999'",
        "DateTime64(6, 'UTC')",
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        US_UTC,
    ),
    _cast(
        "'2024-01-01 00:00:00.123456'",
        "DateTime64(6, 'Europe/Berlin')",
        datetime(2024, 1, 1, 0, 0, 0, 123_456, tzinfo=BERLIN),
        pl.Datetime("us", "Europe/Berlin"),
    ),
    _cast(
        "'2024-01-01 00:00:00.000001'",
        "DateTime64(9, 'UTC')",
        datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        pl.Datetime("ns", "UTC"),
    ),
    TypedValue("INTERVAL 3 MICROSECOND", "IntervalMicrosecond", timedelta(microseconds=3), pl.Duration("us")),
    TypedValue("INTERVAL 3 MILLISECOND", "IntervalMillisecond", timedelta(milliseconds=3), pl.Duration("us")),
    TypedValue("INTERVAL 3 SECOND", "IntervalSecond", timedelta(seconds=3), pl.Duration("us")),
    TypedValue("INTERVAL 3 MINUTE", "IntervalMinute", timedelta(minutes=3), pl.Duration("us")),
    TypedValue("INTERVAL 3 HOUR", "IntervalHour", timedelta(hours=3), pl.Duration("us")),
    TypedValue("INTERVAL 3 DAY", "IntervalDay", timedelta(days=3), pl.Duration("us")),
    TypedValue("INTERVAL -3 WEEK", "IntervalWeek", timedelta(weeks=-3), pl.Duration("us")),
    TypedValue("INTERVAL 3000 NANOSECOND", "IntervalNanosecond", timedelta(microseconds=3), pl.Duration("ns")),
    _cast("'-1234567.89'", "Decimal(9, 2)", Decimal("-1234567.89"), pl.Decimal(9, 2)),
    _cast("'1.5'", "Decimal(18, 6)", Decimal("1.500000"), pl.Decimal(18, 6)),
    _cast("'1.5'", "Decimal(38, 10)", Decimal("1.5000000000"), pl.Decimal(38, 10)),
    _cast("'it''s'", r"Enum8('it\'s' = -2, 'b' = 3)", "it's", pl.Enum(["it's", "b"])),
    _cast("'b'", "Enum16('z' = -300, 'b' = 1000)", "b", pl.Enum(["z", "b"])),
    _cast("NULL", "Nullable(Enum8('a' = 1))", None, pl.Enum(["a"])),
    TypedValue("NULL", "Nullable(Nothing)", None, pl.Null),
    TypedValue("[]", "Array(Nothing)", [], pl.List(pl.Null)),
    _cast("[1, NULL]", "Array(Nullable(Int32))", [1, None], pl.List(pl.Int32)),
    _cast(
        "[[], ['b', 'a']]", "Array(Array(Enum8('a' = 1, 'b' = 2)))", [[], ["b", "a"]], pl.List(pl.List(pl.Enum("ab")))
    ),
    _cast(f"['{UUID_TEXT}', NULL]", "Array(Nullable(UUID))", [UUID_TEXT, None], pl.List(pl.String)),
    _cast("['::1']", "Array(IPv6)", ["::1"], pl.List(pl.String)),
    _cast("['7']", "Array(Int128)", [7], pl.List(pl.Int128)),
    TypedValue(
        "tuple(toDateTime(0), 'x')",
        "Tuple(DateTime, String)",
        {"1": datetime(1970, 1, 1, tzinfo=UTC), "2": "x"},
        pl.Struct({"1": US_UTC, "2": pl.String}),
    ),
    _cast(
        "(1, '2024-01-01')",
        "Tuple(x Int8, `y z` Date)",
        {"x": 1, "y z": date(2024, 1, 1)},
        pl.Struct({"x": pl.Int8, "y z": pl.Date}),
    ),
    _cast("(1, 2)", "Tuple(`1` UInt8, `2` UInt8)", {"1": 1, "2": 2}, pl.Struct({"1": pl.UInt8, "2": pl.UInt8})),
    TypedValue(
        "[tuple(1, toDateTime(60))]",
        "Array(Tuple(UInt8, DateTime))",
        [{"1": 1, "2": datetime(1970, 1, 1, 0, 1, tzinfo=UTC)}],
        pl.List(pl.Struct({"1": pl.UInt8, "2": US_UTC})),
    ),
    _cast(
        "[(1, 0)]",
        "Nested(a UInt8, at DateTime)",
        [{"a": 1, "at": datetime(1970, 1, 1, tzinfo=UTC)}],
        pl.List(pl.Struct({"a": pl.UInt8, "at": US_UTC})),
    ),
    TypedValue(
        "map('k', toDateTime(60))",
        "Map(String, DateTime)",
        {"k": datetime(1970, 1, 1, 0, 1, tzinfo=UTC)},
        pl.Map(pl.String, US_UTC),
    ),
    _cast(
        f"map('{UUID_TEXT}', ['a'])",
        "Map(UUID, Array(String))",
        {UUID_TEXT: ["a"]},
        pl.Map(pl.String, pl.List(pl.String)),
    ),
    _cast("map('k', 'a')", "Map(LowCardinality(String), Enum8('a' = 1))", {"k": "a"}, pl.Map(pl.String, pl.Enum("a"))),
    _cast("map()", "Map(String, UInt8)", {}, pl.Map(pl.String, pl.UInt8)),
    _cast("'m'", "SimpleAggregateFunction(max, String)", "m", pl.String),
)

UNMAPPED = (
    ("toInt256(1)", "Int256"),
    ("toUInt256(1)", "UInt256"),
    ("toDecimal256('1', 2)", "Decimal(76, 2)"),
    ("INTERVAL 1 MONTH", "IntervalMonth"),
    ("sumState(1)", "AggregateFunction(sum, UInt8)"),
    ("CAST('{}', 'JSON')", "JSON"),
    ("CAST(1, 'Dynamic')", "Dynamic"),
    ("CAST(1, 'Variant(String, UInt8)')", "Variant(String, UInt8)"),
    ("[CAST(1, 'Dynamic')]", "Dynamic"),
    ("map()", "Map(Nothing, Nothing)"),
    ("toTime('12:00:00')", "Time"),
)
"""Expressions without an exact dtype, and the part of their type that a message must name."""
