"""`--since` and `--until`: dates, times and PostHog's relative forms."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click

__all__ = ["PINNED", "between", "clock", "moment"]

PINNED = "posthog_events.pinned_time"
"""Where the command line's context keeps the time; --replay sets that of the recording."""


def clock() -> datetime:
    """Return the time at which the command began; it stands still, so that all of a command means the same by it."""
    now: datetime = click.get_current_context().find_root().meta.setdefault(PINNED, datetime.now(UTC))
    return now


def between(since: str, until: str, *, timezone: str, options: tuple[str, str]) -> tuple[datetime, datetime]:
    """Return the two ends of a range, told by one clock.

    Args:
        options: What the ends are called on the command line.

    Raises:
        UsageError: A text names no moment, or the range is empty.
    """
    start, end = (
        moment(since, timezone=timezone, option=options[0]),
        moment(until, timezone=timezone, option=options[1]),
    )
    if start >= end:
        raise click.UsageError(
            f"the range is empty: {options[0]} is {start:%Y-%m-%d %H:%M:%S} and {options[1]} {end:%Y-%m-%d %H:%M:%S}. "
            "A relative form such as 1d is that long ago."
        )
    return start, end


def moment(text: str, *, timezone: str, option: str) -> datetime:
    """Return the moment that `text` names; `now` is now.

    Args:
        timezone: The zone of texts without an offset, and of days.

    Raises:
        UsageError: It names none.
    """
    from posthog_events.errors import ParameterError
    from posthog_events.hogql.when import resolve_when

    at = clock()
    if text.strip().lower() == "now":
        return at
    try:
        found = resolve_when(text, now=at, tz=ZoneInfo(timezone))
    except ParameterError:
        found = None
    if found is None:
        raise click.UsageError(
            f"{option}: {text!r} is not a moment. Use a date (2026-01-31), a time (2026-01-31T08:00:00Z), how long ago "
            "(-7d, -24h, -3m), or now."
        )
    return found
