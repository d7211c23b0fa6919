"""`--since` and `--until`: dates, times and PostHog's relative forms."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click

__all__ = ["PINNED", "clock", "moment"]

PINNED = "posthog_events.pinned_time"
"""Where the command line's context keeps the time of a recording."""


def clock() -> datetime:
    """Return the time; with --record and --replay it stands still, so that both ask the same."""
    pinned: datetime | None = click.get_current_context().find_root().meta.get(PINNED)
    return pinned or datetime.now(UTC)


def moment(text: str, *, timezone: str) -> datetime:
    """Return the moment that `text` names; `now` is now.

    Args:
        timezone: The zone of texts without an offset, and of days.

    Raises:
        ParameterError: It names none.
    """
    from posthog_events.errors import Fault, ParameterError
    from posthog_events.hogql.when import resolve_when

    at = clock()
    if text.strip().lower() == "now":
        return at
    found = resolve_when(text, now=at, tz=ZoneInfo(timezone))
    if found is None:
        raise ParameterError([Fault("a range of events needs two ends; `all` is none. Give a date")])
    return found
