"""Moments: what each form means, on which clock, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from posthog_events.errors import ParameterError
from posthog_events.hogql.when import resolve_when

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 8, 31, 12, 34, 56, 789, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-7d", "2026-08-24T12:34:56.000789"),
        ("7d", "2026-08-24T12:34:56.000789"),
        ("-0d", "2026-08-31T12:34:56.000789"),
        ("-30s", "2026-08-31T12:34:26.000789"),
        ("-90M", "2026-08-31T11:04:56.000789"),
        ("-24h", "2026-08-30T12:34:56.000789"),
        ("-2w", "2026-08-17T12:34:56.000789"),
        ("-1q", "2026-06-01T12:34:56.000789"),
        ("-2m", "2026-06-30T12:34:56.000789"),
        ("-6m", "2026-02-28T12:34:56.000789"),
        ("-8m", "2025-12-31T12:34:56.000789"),
        ("-12m", "2025-08-31T12:34:56.000789"),
        ("-1y", "2025-08-31T12:34:56.000789"),
        ("dStart", "2026-08-31T00:00:00"),
        ("-1dStart", "2026-08-30T00:00:00"),
        ("-1dEnd", "2026-08-30T23:59:59.999999"),
        ("hStart", "2026-08-31T12:00:00"),
        ("-1hEnd", "2026-08-31T11:59:59.999999"),
        ("mStart", "2026-08-01T12:34:56.000789"),
        ("-1mStart", "2026-07-01T12:34:56.000789"),
        ("-2mEnd", "2026-06-30T12:34:56.000789"),
        ("yStart", "2026-01-01T12:34:56.000789"),
        ("-1yStart", "2025-01-01T12:34:56.000789"),
        ("-1yEnd", "2025-08-31T12:34:56.000789"),
        ("-1wStart", "2026-08-24T12:34:56.000789"),
        ("-1qEnd", "2026-06-01T12:34:56.000789"),
        ("-5MStart", "2026-08-31T12:29:56.000789"),
        (" -7d ", "2026-08-24T12:34:56.000789"),
        ("2026-01-02", "2026-01-02T00:00:00"),
        ("2026-1-2", "2026-01-02T00:00:00"),
        ("2026-01-02T03:04", "2026-01-02T03:04:00"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05.6", "2026-01-02T03:04:05.600000"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05"),
        ("2026-01-02T03:04:05-0530", "2026-01-02T08:34:05"),
    ],
)
def test_each_form_in_utc(text: str, expected: str) -> None:
    """Every form resolves as PostHog resolves it when the project's zone is UTC."""
    assert datetime.fromisoformat(expected).replace(tzinfo=UTC) == resolve_when(text, now=NOW, tz=UTC)


def test_leap_day_a_year_back_is_the_28th() -> None:
    """A day that the target month lacks becomes its last day."""
    leap = datetime(2028, 2, 29, tzinfo=UTC)

    assert datetime(2027, 2, 28, tzinfo=UTC) == resolve_when("-1y", now=leap, tz=UTC)


def test_all_is_no_bound() -> None:
    """`all` has no moment."""
    assert resolve_when("all", now=NOW, tz=UTC) is None


def test_result_is_in_the_project_zone() -> None:
    """Whatever offset the text has, the answer carries the project's zone."""
    moment = resolve_when("2026-01-02T03:04:05Z", now=NOW, tz=BERLIN)

    assert moment is not None
    assert (BERLIN, 4) == (moment.tzinfo, moment.hour)


def test_day_starts_at_local_midnight() -> None:
    """22:30 UTC is already tomorrow in Berlin, so `dStart` is that midnight."""
    late = datetime(2026, 6, 30, 22, 30, tzinfo=UTC)

    assert datetime(2026, 6, 30, 22, 0, tzinfo=UTC) == resolve_when("dStart", now=late, tz=BERLIN)


def test_date_without_offset_is_local_midnight_in_winter_and_summer() -> None:
    """The zone's offset of that very day applies."""
    assert datetime(2026, 1, 1, 23, tzinfo=UTC) == resolve_when("2026-01-02", now=NOW, tz=BERLIN)
    assert datetime(2026, 7, 1, 22, tzinfo=UTC) == resolve_when("2026-07-02", now=NOW, tz=BERLIN)


@pytest.mark.parametrize(
    ("text", "elapsed_h"),
    [("-1d", 23), ("-24h", 23), ("-7d", 167), ("-1w", 167)],
)
def test_steps_over_the_spring_change_keep_the_wall_clock(text: str, elapsed_h: int) -> None:
    """Clocks went forward at 01:00 UTC that day: yesterday at noon is 23 hours away, as in PostHog."""
    noon = datetime(2026, 3, 29, 12, tzinfo=BERLIN)

    moment = resolve_when(text, now=noon, tz=BERLIN)

    assert moment is not None
    assert 12 == moment.hour
    assert timedelta(hours=elapsed_h) == noon.astimezone(UTC) - moment.astimezone(UTC)


def test_step_over_the_autumn_change_is_25_hours() -> None:
    """Clocks went back that day, so the same wall-clock time yesterday is 25 hours away."""
    noon = datetime(2026, 10, 25, 12, tzinfo=BERLIN)

    moment = resolve_when("-1d", now=noon, tz=BERLIN)

    assert moment is not None
    assert timedelta(hours=25) == noon.astimezone(UTC) - moment.astimezone(UTC)


def test_skipped_local_time_moves_forward() -> None:
    """02:30 did not exist in Berlin on 29 March 2026; it is read with the winter offset and so becomes 03:30."""
    moment = resolve_when("2026-03-29T02:30", now=NOW, tz=BERLIN)

    assert moment is not None
    assert "2026-03-29T03:30:00+02:00" == moment.isoformat()


def test_repeated_local_time_is_the_first() -> None:
    """02:30 occurred twice in Berlin on 25 October 2026; the first is still summer time."""
    moment = resolve_when("2026-10-25T02:30", now=NOW, tz=BERLIN)

    assert moment is not None
    assert "2026-10-25T02:30:00+02:00" == moment.isoformat()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "d",
        "-d",
        "+7d",
        "-7D",
        "-7 d",
        "-7dstart",
        "-7days",
        "-1.5d",
        "yesterday",
        "ALL",
        "last week",
        "2026",
        "2026-01",
        "2026/01/02",
        "2026-01-02T03",
        "2026-01-02T03:04:05 Z",
        "20260102",
        "--7d",
        "-٧d",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    """What has no known form is an error; PostHog would take some of these as now."""
    with pytest.raises(ParameterError, match="is not a moment"):
        resolve_when(text, now=NOW, tz=UTC)


@pytest.mark.parametrize("text", ["2026-02-29", "2026-13-01", "2026-01-02T25:00", "0000-01-01"])
def test_impossible_date_is_refused(text: str) -> None:
    """A date that no calendar has is an error, not a neighbouring day."""
    with pytest.raises(ParameterError, match="does not exist"):
        resolve_when(text, now=NOW, tz=UTC)


@pytest.mark.parametrize("text", ["-9999y", "-999999999d", "-99999m", "-999999999y", "9999-12-31T23:59:59-12:00"])
def test_far_past_and_future_are_refused(text: str) -> None:
    """A moment outside the calendar is one clear sentence, not an OverflowError."""
    with pytest.raises(ParameterError, match="outside the years 1 to 9999"):
        resolve_when(text, now=NOW, tz=UTC)
