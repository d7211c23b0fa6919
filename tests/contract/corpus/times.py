"""Time zones, text literals read locally, date functions, clock changes (reference 2.5).

Europe/Berlin goes from UTC+1 to UTC+2 on 2025-03-30 at 01:00 UTC and back on 2025-10-26 at 01:00 UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from tests.contract.corpus.cases import rows, value

_BERLIN = "Europe/Berlin"
_DAY = "WHERE event = 'purchase' AND timestamp >= '2025-03-30' AND timestamp < '2025-03-31'"
_PER_DAY = (
    "SELECT toDate(timestamp) AS day, count() AS n FROM events WHERE event = 'purchase' GROUP BY day ORDER BY day"
)
_PER_WEEK = (
    "SELECT toStartOfWeek(timestamp) AS week, count() AS n FROM events "
    "WHERE event = 'user_signed_up' GROUP BY week ORDER BY week"
)
_LATE = "2025-05-31T23:30:00+00:00"
"""Already 1 June in Berlin."""


CASES = (
    rows("2.5-text-is-a-utc-day", f"SELECT sum(properties.amount) AS v FROM events {_DAY}", (39.0,)),
    rows(
        "2.5-text-is-a-local-day",
        f"SELECT sum(properties.amount) AS v FROM events {_DAY}",
        (59.5,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-text-with-time-is-local",
        "SELECT properties.amount AS v FROM events WHERE timestamp = '2025-03-30 03:30:00'",
        (9.0,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-between-is-local",
        "SELECT count() FROM events WHERE timestamp BETWEEN '2025-03-30 00:30:00' AND '2025-03-30 03:30:00'",
        (3,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-text-in-a-list-is-local",
        "SELECT properties.amount AS v FROM events WHERE timestamp IN ('2025-03-30 03:30:00', '2025-03-30 01:00:00')",
        (9.0,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-text-on-the-left-is-local",
        "SELECT count() FROM events WHERE '2025-03-30' <= timestamp AND '2025-03-31' > timestamp",
        (3,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-text-compared-with-a-subquery-column-is-local",
        "SELECT sum(a) AS v FROM (SELECT timestamp AS t, properties.amount AS a FROM events WHERE event = 'purchase') "
        "WHERE t >= '2025-03-30' AND t < '2025-03-31'",
        (59.5,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-text-compared-with-a-session-start-is-local",
        "SELECT count() FROM sessions WHERE $start_timestamp = '2025-01-07 10:00:00'",
        (1,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-text-compared-with-persons-is-local",
        "SELECT properties.email AS v FROM persons WHERE created_at = '2025-01-07 00:30:00'",
        ("bob@test.io",),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-local-midnight-of-a-date-constant",
        "SELECT sum(properties.amount) AS v FROM events WHERE event = 'purchase' AND timestamp >= toDate('2025-03-30') "
        "AND timestamp < toDate('2025-03-31')",
        (59.5,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-an-instant-in-another-zone-is-the-same-instant",
        "SELECT count() FROM events WHERE timestamp = toDateTime('2025-03-29 21:30:00', 'America/New_York')",
        (1,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-timestamp-against-its-own-day",
        "SELECT count() FROM events WHERE event = 'purchase' "
        "AND timestamp < toStartOfDay(timestamp) + toIntervalHour(1)",
        (3,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-columns-come-in-the-project-zone",
        "SELECT timestamp FROM events WHERE event = 'purchase' ORDER BY timestamp LIMIT 4",
        ("2025-03-29T23:30:00+01:00",),
        ("2025-03-30T00:30:00+01:00",),
        ("2025-03-30T01:30:00+01:00",),
        ("2025-03-30T03:30:00+02:00",),
        columns=["timestamp"],
        types=["DateTime64(6, 'Europe/Berlin')"],
        timezone=_BERLIN,
    ),
    rows(
        "2.5-columns-in-utc",
        "SELECT timestamp FROM events WHERE distinct_id = 'dee' AND event = 'user_signed_up'",
        ("2025-01-12T23:59:59.999999+00:00",),
        types=["DateTime64(6, 'UTC')"],
    ),
    rows(
        "2.5-toDate-utc",
        _PER_DAY,
        ("2025-03-29", 2),
        ("2025-03-30", 3),
        ("2025-03-31", 1),
        ("2025-10-25", 1),
        ("2025-10-26", 3),
        types=["Date", "UInt64"],
    ),
    rows(
        "2.5-toDate-local",
        _PER_DAY,
        ("2025-03-29", 1),
        ("2025-03-30", 3),
        ("2025-03-31", 2),
        ("2025-10-26", 3),
        ("2025-10-27", 1),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-toHour-over-the-lost-hour",
        "SELECT toHour(timestamp) AS v FROM events WHERE event = 'purchase' AND toDate(timestamp) = '2025-03-30' "
        "ORDER BY timestamp",
        (0,),
        (1,),
        (3,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-toStartOfHour-keeps-the-repeated-hour-apart",
        "SELECT toStartOfHour(timestamp) AS v, count() AS n FROM events WHERE event = 'purchase' "
        "AND timestamp >= '2025-10-26' AND timestamp < '2025-10-27' GROUP BY v ORDER BY v",
        ("2025-10-26T01:00:00+02:00", 1),
        ("2025-10-26T02:00:00+02:00", 1),
        ("2025-10-26T02:00:00+01:00", 1),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-toStartOfDay-local",
        "SELECT toStartOfDay(timestamp) AS v, count() AS n FROM events WHERE event = 'purchase' GROUP BY v "
        "ORDER BY v LIMIT 3",
        ("2025-03-29T00:00:00+01:00", 1),
        ("2025-03-30T00:00:00+01:00", 3),
        ("2025-03-31T00:00:00+02:00", 2),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-toStartOfMonth-is-a-date",
        "SELECT toStartOfMonth(timestamp) AS v, count() AS n FROM events WHERE event = 'purchase' "
        "GROUP BY v ORDER BY v",
        ("2025-03-01", 6),
        ("2025-10-01", 4),
        types=["Date", "UInt64"],
    ),
    rows("2.5-weeks-start-on-sunday", _PER_WEEK, ("2025-01-05", 2), ("2025-01-12", 4), ("2025-02-23", 2)),
    rows(
        "2.5-weeks-start-on-monday",
        _PER_WEEK,
        ("2025-01-06", 4),
        ("2025-01-13", 2),
        ("2025-02-24", 2),
        week_starts_monday=True,
    ),
    rows(
        "2.5-weeks-are-local",
        _PER_WEEK,
        ("2025-01-06", 3),
        ("2025-01-13", 3),
        ("2025-02-24", 2),
        week_starts_monday=True,
        timezone=_BERLIN,
    ),
    value("2.5-toStartOfWeek-explicit-monday", "toStartOfWeek(toDateTime('2025-01-12 12:00:00'), 1)", "2025-01-06"),
    value(
        "2.5-toStartOfWeek-explicit-sunday",
        "toStartOfWeek(toDateTime('2025-01-12 12:00:00'), 0)",
        "2025-01-12",
        week_starts_monday=True,
    ),
    value("2.5-toMonday", "toMonday(toDateTime('2025-01-12 12:00:00'))", "2025-01-06"),
    value(
        "2.5-now",
        "now()",
        "2025-06-01T01:30:00+02:00",
        "DateTime64(6, 'Europe/Berlin')",
        now=_LATE,
        timezone=_BERLIN,
    ),
    value("2.5-now-is-one-instant", "now() = now()", 1),
    value("2.5-current-timestamp", "current_timestamp()", "2025-05-31T23:30:00+00:00", now=_LATE),
    value("2.5-today-is-not-shifted", "today()", "2025-05-31", "Date", now=_LATE, timezone=_BERLIN),
    value("2.5-yesterday-is-not-shifted", "yesterday()", "2025-05-30", now=_LATE, timezone=_BERLIN),
    value("2.5-current-date", "current_date()", "2025-05-31", now=_LATE, timezone=_BERLIN),
    value("2.5-date-of-now-is-local", "toDate(now())", "2025-06-01", now=_LATE, timezone=_BERLIN),
    rows(
        "2.5-now-minus-interval",
        "SELECT count() FROM events WHERE timestamp > now() - INTERVAL 1 day",
        (3,),
        now="2025-10-27T00:00:00+00:00",
    ),
    rows(
        "2.5-datetime-value-is-an-instant",
        "SELECT properties.amount AS v FROM events WHERE timestamp = {moment}",
        (9.0,),
        values={"moment": datetime(2025, 3, 30, 1, 30, tzinfo=UTC)},
        timezone=_BERLIN,
    ),
    rows(
        "2.5-datetime-value-keeps-microseconds",
        "SELECT distinct_id FROM events WHERE timestamp = {moment}",
        ("hal",),
        values={"moment": datetime(2025, 2, 28, 10, 0, 0, 1, tzinfo=UTC)},
    ),
    value(
        "2.5-datetime-value-comes-back-local",
        "{moment}",
        "2025-03-30T03:30:00+02:00",
        "DateTime64(6, 'Europe/Berlin')",
        values={"moment": datetime(2025, 3, 30, 1, 30, tzinfo=UTC)},
        timezone=_BERLIN,
    ),
    rows(
        "2.5-date-value",
        "SELECT count() FROM events WHERE event = 'purchase' AND toDate(timestamp) = {day}",
        (3,),
        values={"day": date(2025, 3, 30)},
        timezone=_BERLIN,
    ),
    rows(
        "2.5-subquery-output-is-local-once",
        "SELECT t FROM (SELECT timestamp AS t FROM events WHERE event = 'checkout')",
        ("2025-02-01T01:02:00+01:00",),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-subquery-output-keeps-its-own-zone",
        "SELECT sum(a) AS v FROM (SELECT toTimeZone(timestamp, 'UTC') AS t, properties.amount AS a FROM events "
        "WHERE event = 'purchase') WHERE t >= '2025-03-30' AND t < '2025-03-31'",
        (39.0,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-toTimeZone",
        "SELECT toTimeZone(timestamp, 'America/New_York') AS v FROM events WHERE event = 'checkout'",
        ("2025-01-31T19:02:00-05:00",),
        types=["DateTime64(6, 'America/New_York')"],
        timezone=_BERLIN,
    ),
    rows(
        "2.5-instants-do-not-depend-on-the-zone",
        "SELECT toUnixTimestamp(timestamp) AS v FROM events WHERE event = 'checkout'",
        (1738368120,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-formatDateTime-is-local",
        "SELECT formatDateTime(timestamp, '%Y-%m-%d %H:%i') AS v FROM events WHERE event = 'checkout'",
        ("2025-02-01 01:02",),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-toDayOfWeek-is-local",
        "SELECT toDayOfWeek(timestamp) AS v FROM events WHERE event = 'user_signed_up' AND distinct_id = 'dee'",
        (1,),
        timezone=_BERLIN,
    ),
)
