"""`--since` and `--until`: dates, times and PostHog's relative forms."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

__all__ = ["moment"]


def moment(text: str, *, timezone: str, now: datetime | None = None) -> datetime:
    """Return the moment that `text` names; `now` is now.

    Args:
        timezone: The zone of texts without an offset, and of days.

    Raises:
        ParameterError: It names none.
    """
    from posthog_events.errors import Fault, ParameterError
    from posthog_events.hogql.when import resolve_when

    at = now or datetime.now(UTC)
    if text.strip().lower() == "now":
        return at
    found = resolve_when(text, now=at, tz=ZoneInfo(timezone))
    if found is None:
        raise ParameterError([Fault("a range of events needs two ends; `all` is none. Give a date")])
    return found
