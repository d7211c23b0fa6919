"""Making and subtracting dates and times: toDateTime, toDate, dateDiff (reference 2.5)."""

from __future__ import annotations

from posthog_events.errors import EngineError
from tests.contract.corpus.cases import refused, rows, value

_BERLIN = "Europe/Berlin"

CASES = (
    value(
        "2.5-toDateTime-of-a-day",
        "toDateTime('2025-03-30')",
        "2025-03-30T00:00:00+01:00",
        "DateTime('Europe/Berlin')",
        timezone=_BERLIN,
    ),
    value(
        "2.5-toDateTime-of-a-time",
        "toDateTime('2025-03-30 12:00:00')",
        "2025-03-30T12:00:00+02:00",
        "DateTime('Europe/Berlin')",
        timezone=_BERLIN,
    ),
    value(
        "2.5-toDateTime-with-a-fraction",
        "toDateTime('2025-03-30 12:00:00.5')",
        "2025-03-30T12:00:00.500000+02:00",
        "DateTime64(6, 'Europe/Berlin')",
        timezone=_BERLIN,
    ),
    value(
        "2.5-toDateTime-best-effort",
        "toDateTime('2025-03-30T12:00:00Z')",
        "2025-03-30T14:00:00+02:00",
        "DateTime64(6, 'Europe/Berlin')",
        timezone=_BERLIN,
    ),
    refused("2.5-toDateTime-of-rubbish-throws", "SELECT toDateTime('rubbish')", EngineError),
    rows(
        "2.5-toDateTime-of-rubbish-column-is-null",
        "SELECT toDateTime(properties.due) AS v FROM events WHERE event = 'purchase' ORDER BY timestamp LIMIT 3",
        ("2025-04-01T02:00:00+02:00",),
        ("2025-04-01T00:00:00+02:00",),
        (None,),
        typed=False,
        timezone=_BERLIN,
    ),
    value(
        "2.5-toDateTime-second-argument",
        "toDateTime('2025-03-30 12:00:00', 'America/New_York')",
        "2025-03-30T12:00:00-04:00",
        "DateTime('America/New_York')",
        timezone=_BERLIN,
    ),
    value(
        "2.5-toDateTime-of-an-integer",
        "toDateTime(0)",
        "1970-01-01T01:00:00+01:00",
        "DateTime('Europe/Berlin')",
        timezone=_BERLIN,
    ),
    value(
        "2.5-toDateTime-of-a-date",
        "toDateTime(toDate('2025-07-01'))",
        "2025-07-01T00:00:00+02:00",
        timezone=_BERLIN,
    ),
    rows(
        "2.5-toDateTime-of-a-timestamp",
        "SELECT toDateTime(timestamp) AS v FROM events WHERE distinct_id = 'dee' AND event = 'user_signed_up'",
        ("2025-01-13T00:59:59+01:00",),
        types=["DateTime('Europe/Berlin')"],
        timezone=_BERLIN,
    ),
    value("2.5-toDate-of-text", "toDate('2025-01-06')", "2025-01-06"),
    value("2.5-toDate-of-other-text-is-null", "toDate('nope')", None),
    value("2.5-toDate-of-a-zoned-text-is-null", "toDate('2024-01-02T03:04:05Z')", None),
    value("2.5-toDate-of-an-integer", "toDate(20000)", "2024-10-04", "Date"),
    value("2.5-to_date", "to_date('2025-01-06')", "2025-01-06"),
    rows(
        "2.5-toDate-of-a-text-column",
        "SELECT toDate(properties.due) AS v FROM events WHERE event = 'purchase' ORDER BY timestamp LIMIT 3",
        (None,),
        ("2025-04-01",),
        (None,),
        types=["Nullable(Date)"],
        typed=False,
    ),
    rows(
        "2.5-toDate-of-a-typed-column",
        "SELECT toDate(properties.due) AS v FROM events WHERE event = 'purchase' ORDER BY timestamp LIMIT 3",
        ("2025-04-01",),
        ("2025-04-01",),
        (None,),
        types=["Nullable(Date)"],
    ),
    value(
        "2.5-toDateTime64",
        "toDateTime64('2025-01-01 00:00:00.123456')",
        "2025-01-01T00:00:00.123456+01:00",
        "DateTime64(6, 'Europe/Berlin')",
        timezone=_BERLIN,
    ),
    value(
        "2.5-toDateTime64-with-zone",
        "toDateTime64('2025-01-01 00:00:00.5', 3, 'UTC')",
        "2025-01-01T00:00:00.500000+00:00",
        "DateTime64(3, 'UTC')",
        timezone=_BERLIN,
    ),
    value(
        "2.5-dateDiff-counts-boundaries",
        "dateDiff('day', toDateTime('2025-01-01 23:00:00'), toDateTime('2025-01-02 01:00:00'))",
        1,
    ),
    value(
        "2.5-age-counts-whole-units",
        "age('day', toDateTime('2025-01-01 23:00:00'), toDateTime('2025-01-02 01:00:00'))",
        0,
    ),
    value("2.5-dateDiff-month", "dateDiff('month', toDate('2025-01-31'), toDate('2025-02-01'))", 1),
    value(
        "2.5-short-day-has-23-hours",
        "dateDiff('hour', toDateTime('2025-03-30 00:00:00'), toDateTime('2025-03-31 00:00:00'))",
        23,
        timezone=_BERLIN,
    ),
    value(
        "2.5-long-day-has-25-hours",
        "dateDiff('hour', toDateTime('2025-10-26 00:00:00'), toDateTime('2025-10-27 00:00:00'))",
        25,
        timezone=_BERLIN,
    ),
    value(
        "2.5-a-day-later-is-the-same-local-time",
        "toDateTime('2025-03-29 12:00:00') + toIntervalDay(1)",
        "2025-03-30T12:00:00+02:00",
        timezone=_BERLIN,
    ),
    value(
        "2.5-24-hours-later-is-not",
        "toDateTime('2025-03-29 12:00:00') + toIntervalHour(24)",
        "2025-03-30T13:00:00+02:00",
        timezone=_BERLIN,
    ),
)
