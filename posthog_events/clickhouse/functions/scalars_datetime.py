"""Dates, times, intervals.

A function whose result is a Date or a time, depending on a unit that only a constant tells, is typed as a time: both
convert and compare alike. Source: posthog/hogql/functions/clickhouse/datetime.py.
"""

from __future__ import annotations

from posthog_events.clickhouse.functions.model import Function, Special
from posthog_events.clickhouse.functions.rules import always, fixed, named, never, same
from posthog_events.clickhouse.sqltype import (
    DATE,
    DATETIME,
    DATETIME64,
    INTEGER,
    INTERVAL,
    STRING,
    TUPLE,
    array_of,
)

__all__ = ["DATES"]

_UNITS = ("Year", "Quarter", "Month", "Week", "Day", "Hour", "Minute", "Second")

_DATE_PART = (
    "multiIf({0} = 'year', toYear({1}), {0} = 'quarter', toQuarter({1}), {0} = 'month', toMonth({1}), "
    "{0} = 'day', toDayOfMonth({1}), {0} = 'doy', toDayOfYear({1}), {0} = 'dow', toDayOfWeek({1}), "
    "{0} = 'hour', toHour({1}), {0} = 'minute', toMinute({1}), {0} = 'second', toSecond({1}), NULL)"
)

DATES: tuple[Function, ...] = (
    # now
    *named(
        "now",
        0,
        1,
        fixed(DATETIME64),
        clickhouse="now64(6, {0})",
        by_count={0: "now64(6, {tz})"},
        case_insensitive=True,
        nullability=never,
    ),
    *named("current_timestamp", 0, 0, fixed(DATETIME64), clickhouse="now64(6, {tz})", nullability=never),
    *named("today yesterday", 0, 0, fixed(DATE), nullability=never),
    *named("current_date", 0, 0, fixed(DATE), clickhouse="today", nullability=never),
    *named("nowInBlock", 1, 1, fixed(DATETIME)),
    *named("rowNumberInBlock rowNumberInAllBlocks", 0, 0, fixed(INTEGER)),
    # parts
    *named(
        "toYear toQuarter toMonth toDayOfYear toDayOfMonth toHour toMinute toSecond toISOYear toISOWeek "
        "toYYYYMM toYYYYMMDD toYYYYMMDDhhmmss timeZoneOffset toUnixTimestamp64Milli",
        1,
        1,
        fixed(INTEGER),
    ),
    *named("toDayOfWeek toWeek toYearWeek", 1, 3, fixed(INTEGER)),
    *named("toUnixTimestamp", 1, 2, fixed(INTEGER)),
    *named("date_part", 2, 2, fixed(INTEGER), clickhouse=_DATE_PART, nullability=always),
    *named("timeZoneOf monthName", 1, 1, fixed(STRING)),
    *named("dateName", 2, 2, fixed(STRING)),
    *named("formatDateTime", 2, 3, fixed(STRING)),
    *named("to_char", 2, 3, fixed(STRING), clickhouse="formatDateTime", by_count={2: "formatDateTime({0}, {1}, {tz})"}),
    # rounding
    *named(
        "toStartOfYear toStartOfISOYear toStartOfQuarter toStartOfMonth toLastDayOfMonth toMonday", 1, 1, fixed(DATE)
    ),
    *named("toStartOfWeek", 1, 2, fixed(DATE), special=Special.TO_START_OF_WEEK),
    *named("toLastDayOfWeek", 1, 2, fixed(DATE)),
    *named("toStartOfDay", 1, 2, fixed(DATETIME)),
    *named(
        "toStartOfHour toStartOfMinute toStartOfFiveMinutes toStartOfTenMinutes toStartOfFifteenMinutes timeSlot",
        1,
        1,
        fixed(DATETIME),
    ),
    *named("toStartOfSecond", 1, 1, fixed(DATETIME64)),
    # a time of day as a DateTime of 1970-01-02, which toTime was before ClickHouse had a Time type
    *named("toTime", 1, 1, fixed(DATETIME), clickhouse="toTimeWithFixedDate"),
    *named("toStartOfInterval", 2, 3, fixed(DATETIME)),
    *named("date_bin", 3, 3, fixed(DATETIME), clickhouse="toStartOfInterval({1}, {0}, {2})"),
    *named("dateTrunc date_trunc", 2, 3, fixed(DATETIME), clickhouse="dateTrunc"),
    *named("timeSlots", 2, 3, fixed(array_of(DATETIME))),
    # differences and sums
    *named("dateDiff date_diff", 3, 3, fixed(INTEGER), clickhouse="dateDiff"),
    *named("age", 3, 3, fixed(INTEGER)),
    # PostHog lets a unit in quotes through as a third argument; ClickHouse then refuses it
    *named("dateAdd dateSub", 2, 2, fixed(DATETIME)),
    *named("date_add", 2, 2, fixed(DATETIME)),
    *named("date_subtract", 2, 2, fixed(DATETIME), clickhouse="date_sub"),
    *named("timeStampAdd timeStampSub", 2, 2, fixed(DATETIME)),
    *named("addYears addQuarters addMonths addWeeks addDays", 2, 2, same()),
    *named("subtractYears subtractQuarters subtractMonths subtractWeeks subtractDays", 2, 2, same()),
    # a date becomes a time
    *named("addHours addMinutes addSeconds subtractHours subtractMinutes subtractSeconds", 2, 2, fixed(DATETIME)),
    *named(" ".join(f"toInterval{unit}" for unit in _UNITS), 1, 1, fixed(INTERVAL)),
    *named(
        "make_interval",
        6,
        6,
        fixed(TUPLE),
        clickhouse="toIntervalYear({0}) + toIntervalMonth({1}) + toIntervalDay({2}) "
        "+ toIntervalHour({3}) + toIntervalMinute({4}) + toIntervalSecond({5})",
    ),
    # from numbers
    *named("fromUnixTimestamp", 1, 1, fixed(DATETIME)),
    *named("fromUnixTimestamp64Milli", 1, 1, fixed(DATETIME64)),
    *named("to_timestamp", 1, 1, fixed(DATETIME), clickhouse="toDateTime(fromUnixTimestamp({0}))"),
    *named("make_date", 3, 3, fixed(DATE), clickhouse="makeDate"),
    *named(
        "make_timestamp",
        6,
        7,
        fixed(DATETIME),
        clickhouse="makeDateTime",
        by_count={6: "makeDateTime({args}, {tz})"},
    ),
    *named(
        "make_timestamptz",
        7,
        7,
        fixed(DATETIME),
        clickhouse="toTimeZone(makeDateTime({0}, {1}, {2}, {3}, {4}, {5}), {6})",
    ),
    *named("toModifiedJulianDay", 1, 1, fixed(INTEGER), clickhouse="toModifiedJulianDayOrNull", nullability=always),
    *named("fromModifiedJulianDay", 1, 1, fixed(STRING), clickhouse="fromModifiedJulianDayOrNull", nullability=always),
    # zones
    *named("toTimeZone", 1, 2, same(), by_count={1: "toTimeZone({0}, {tz})"}),
    *named("timezone", 2, 2, same(1), clickhouse="toTimeZone({1}, {0})"),
    # windows of time; ClickHouse wants DateTime, so PostHog converts
    *named("tumble", 2, 2, fixed(TUPLE), clickhouse="tumble(toDateTime({0}, 'UTC'), {1})"),
    *named("hop", 3, 3, fixed(TUPLE), clickhouse="hop(toDateTime({0}, 'UTC'), {1}, {2})"),
    *(
        Function(
            name,
            f"{name}(toDateTime({{0}}, 'UTC'))",
            1,
            3,
            fixed(DATETIME),
            by_count={
                2: f"{name}(toDateTime({{0}}, 'UTC'), {{1}})",
                3: f"{name}(toDateTime({{0}}, 'UTC'), {{1}}, {{2}})",
            },
        )
        for name in ("tumbleStart", "tumbleEnd", "hopStart", "hopEnd")
    ),
)
