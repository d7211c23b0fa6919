"""Conversions, NULL handling, logic and comparison.

Source: posthog/hogql/functions/clickhouse/conversions.py and posthog/hogql/functions/mapping.py.
"""

from __future__ import annotations

from posthog_events.clickhouse.functions.model import Function, ReturnRule, Special
from posthog_events.clickhouse.functions.rules import always, common, fixed, named, never, same
from posthog_events.clickhouse.sqltype import (
    BOOLEAN,
    DATE,
    DATETIME,
    DATETIME64,
    DECIMAL,
    FLOAT,
    INTEGER,
    STRING,
    UNKNOWN,
    UUID,
    common_type,
)

__all__ = ["CONVERSIONS", "LOGIC"]

_INTEGER_WIDTHS = (8, 16, 32, 64, 128, 256)

CONVERSIONS: tuple[Function, ...] = (
    # PostHog's casts give NULL for what does not convert exactly: toInt('12.5') is NULL
    *named(
        "toInt toIntOrNull toInt64 toInt64OrNull",
        1,
        1,
        fixed(INTEGER),
        clickhouse="accurateCastOrNull({0}, 'Int64')",
        nullability=always,
    ),
    *named("toIntOrZero toInt64OrZero", 1, 1, fixed(INTEGER), clickhouse="toInt64OrZero"),
    *named(
        "toIntOrDefault toInt64OrDefault",
        1,
        2,
        fixed(INTEGER),
        clickhouse="toInt64OrDefault({0}, accurateCast({1}, 'Int64'))",
        by_count={1: "toInt64OrZero({0})"},
    ),
    *named(
        "toFloat toFloatOrNull toFloat64 toFloat64OrNull",
        1,
        1,
        fixed(FLOAT),
        clickhouse="accurateCastOrNull({0}, 'Float64')",
        nullability=always,
    ),
    *named("toFloatOrZero toFloat64OrZero", 1, 1, fixed(FLOAT), clickhouse="toFloat64OrZero"),
    *named(
        "toFloatOrDefault toFloat64OrDefault",
        1,
        2,
        fixed(FLOAT),
        clickhouse="toFloat64OrDefault({0}, accurateCast({1}, 'Float64'))",
        by_count={1: "toFloat64OrZero({0})"},
    ),
    *named(
        "toDecimal",
        2,
        2,
        fixed(DECIMAL),
        clickhouse="accurateCastOrNull",
        nullability=always,
        special=Special.TO_DECIMAL,
    ),
    *named("toUUID", 1, 1, fixed(UUID), clickhouse="accurateCastOrNull({0}, 'UUID')", nullability=always),
    *named("toUUIDOrDefault", 2, 2, fixed(UUID)),
    *named(
        "toBool _toNullableBool", 1, 1, fixed(BOOLEAN), clickhouse="accurateCastOrNull({0}, 'Bool')", nullability=always
    ),
    *named("toString", 1, 2, fixed(STRING)),
    *named(
        "toNullableString",
        1,
        1,
        fixed(STRING),
        clickhouse="accurateCastOrNull({0}, 'Nullable(String)')",
        nullability=always,
    ),
    *named("toJSONString toTypeName", 1, 1, fixed(STRING)),
    *named("dynamicType", 1, 1, fixed(STRING)),
    *named("accurateCast", 2, 2, fixed(UNKNOWN)),
    *named("accurateCastOrNull", 2, 2, fixed(UNKNOWN), nullability=always),
    *named("defaultValueOfTypeName", 1, 1, fixed(UNKNOWN)),
    *named("hex unhex", 1, 1, fixed(STRING)),
    *named("MD5", 1, 1, fixed(STRING)),
    # PostHog lists md5 among the aggregates; it is none
    *named("md5", 1, 1, fixed(STRING), clickhouse="hex(MD5({0}))"),
    *named("cityHash64", 1, 1, fixed(INTEGER)),
    *named(
        " ".join(f"reinterpretAs{sign}Int{width}" for sign in ("", "U") for width in _INTEGER_WIDTHS),
        1,
        1,
        fixed(INTEGER),
    ),
    *named("reinterpretAsFloat32 reinterpretAsFloat64", 1, 1, fixed(FLOAT)),
    *named("reinterpretAsUUID", 1, 1, fixed(UUID)),
    # dates: more in scalars_datetime
    *named("toDate to_date", 1, 1, fixed(DATE), clickhouse="toDateOrNull", special=Special.TO_DATE),
    *named(
        "toDateTime",
        1,
        2,
        fixed(DATETIME64),
        clickhouse="parseDateTime64BestEffortOrNull",
        special=Special.TO_DATETIME,
    ),
    *named(
        "toDateTime64",
        1,
        3,
        fixed(DATETIME64),
        by_count={1: "toDateTime64({0}, 6, {tz})", 2: "toDateTime64({0}, {1}, {tz})"},
    ),
    *named(
        "toDateTimeUS",
        1,
        2,
        fixed(DATETIME64),
        clickhouse="parseDateTime64BestEffortUSOrNull({0}, 6, {1})",
        by_count={1: "parseDateTime64BestEffortUSOrNull({0}, 6, {tz})"},
        nullability=always,
    ),
    *named(
        "parseDateTimeBestEffort",
        1,
        2,
        fixed(DATETIME64),
        clickhouse="parseDateTime64BestEffortOrNull({0}, 6, {1})",
        by_count={1: "parseDateTime64BestEffortOrNull({0}, 6, {tz})"},
        nullability=always,
    ),
    *named(
        "parseDateTime",
        2,
        3,
        fixed(DATETIME),
        clickhouse="parseDateTimeOrNull",
        by_count={2: "parseDateTimeOrNull({0}, {1}, {tz})"},
        nullability=always,
    ),
    *named("UUIDv7ToDateTime", 1, 1, fixed(DATETIME64)),
    # callable but not advertised by PostHog
    *named("_toDate", 1, 1, fixed(DATE), clickhouse="toDate"),
    *(
        Function(f"_to{type_}", f"to{type_}", 1, 1, fixed(INTEGER))
        for type_ in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt64", "UInt128")
    ),
)

# conditions at even places, values at odd ones, and the last is the ELSE value
_branches: ReturnRule = lambda args: common_type([*args[1:-1:2], args[-1]])  # noqa: E731
# the same after the value that is compared
_case_branches: ReturnRule = lambda args: common_type([*args[2:-1:2], args[-1]])  # noqa: E731

LOGIC: tuple[Function, ...] = (
    *named("isnull", 1, 1, fixed(INTEGER), clickhouse="isNull", case_insensitive=True, nullability=never),
    *named("isNotNull", 1, 1, fixed(INTEGER), nullability=never),
    *named("coalesce", 1, None, common(), case_insensitive=True),
    *named("ifnull", 2, 2, common(), clickhouse="ifNull", case_insensitive=True),
    *named("nullif", 2, 2, same(), clickhouse="nullIf", case_insensitive=True, nullability=always),
    *named("assumeNotNull", 1, 1, same(), nullability=never),
    *named("toNullable", 1, 1, same(), nullability=always),
    *named("if", 3, 3, common(1), case_insensitive=True),
    *named("multiIf", 3, None, _branches),
    # what the parser makes of CASE x WHEN ...
    *named("_caseWithExpression", 4, None, _case_branches, clickhouse="caseWithExpression"),
    *named("transform", 3, 4, fixed(UNKNOWN)),
    *named("and or xor", 2, None, fixed(INTEGER)),
    *named("not", 1, 1, fixed(INTEGER), case_insensitive=True),
    *named("least greatest", 2, 2, common(), case_insensitive=True),
    *named(
        "equals notEquals less greater lessOrEquals greaterOrEquals like ilike notLike notILike",
        2,
        2,
        fixed(INTEGER),
        nullability=never,
        special=Special.COMPARE,
    ),
    *named("in notIn", 2, 2, fixed(INTEGER), nullability=never, special=Special.IN),
)
