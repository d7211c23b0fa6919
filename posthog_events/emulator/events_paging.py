"""Which events a page of the events API holds: the part of that API that loses events, copied step by step.

Newest first, the server does not read the range that was asked for. It reads the last minute before `before`, then five
minutes, up to a day, and answers with the first window that fills half a page; whether there is more is judged inside
that window. So a page can be short and `next` can be null although older events exist. A window that served well is
remembered for a day, for all pages of about that size, and tried first.

Source: PostHog/posthog:posthog/models/event/legacy_events_query.py (2026-09).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeAlias

from posthog_events.errors import ParameterError
from posthog_events.hogql.when import resolve_when

__all__ = ["WINDOWS_S", "GoodWindows", "PageRequest", "read_page"]

WINDOWS_S = (60, 300, 900, 3_600, 21_600, 86_400)
AHEAD = timedelta(seconds=5)
"""`before` defaults to just past now, so that an event of this moment is included."""

REMEMBERED = timedelta(days=1)
TIGHT_DEFAULT = timedelta(days=1)
TIGHT_RANGE = timedelta(days=366)

Row: TypeAlias = dict[str, Any]
Fetch: TypeAlias = Callable[[datetime | None, datetime], Sequence[Row]]
"""(after, before) to the rows strictly between, in order, from the offset on, one more than a page at most."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What decides the page besides the filters.

    Args:
        before: As given; None: five seconds from now.
        after: As given; None: no bound.
        filtered: Whether there is a filter on the event name, and on the distinct id.
        tightened: `after` defaults to a day before `before`, and a long range is refused. PostHog has this behind its
            setting PATCH_EVENT_LIST_MAX_OFFSET.
    """

    limit: int
    descending: bool
    before: str | None
    after: str | None
    filtered: tuple[bool, bool] = (False, False)
    tightened: bool = False


@dataclass(slots=True)
class GoodWindows:
    """The window that last filled half a page, per kind of request: (seconds, rows, until when)."""

    known: dict[tuple[bool, bool, str], tuple[int, int, datetime]] = field(default_factory=dict)

    def first(self, page: PageRequest, windows: Sequence[int], now: datetime) -> list[int]:
        """Return the windows in the order to try them."""
        found = self.known.get(_kind(page))
        if found is None or found[2] <= now or found[1] < _half(page) or found[0] not in windows:
            return list(windows)
        return [found[0], *(window for window in windows if window != found[0])]

    def remember(self, page: PageRequest, window: int, rows: int, now: datetime) -> None:
        """Note a window that filled half a page."""
        self.known[_kind(page)] = (window, rows, now + REMEMBERED)


def read_page(
    page: PageRequest, fetch: Fetch, *, good: GoodWindows, now: datetime, zone: tzinfo
) -> tuple[list[Row], bool]:
    """Return the rows of a page, and whether the server believes that there are more.

    Raises:
        ValueError: The range is too long; PostHog's view does not catch it.
    """
    before = _moment(page.before, now, zone) if page.before else now + AHEAD
    after = _moment(page.after, now, zone) if page.after else None
    if page.tightened:
        after = after or before - TIGHT_DEFAULT
        if before - after > TIGHT_RANGE:
            raise ValueError("Date range cannot exceed 1 year")
    asked_s = int((before - after).total_seconds()) if page.before and page.after and after else None

    def read(since: datetime | None) -> tuple[list[Row], bool]:
        rows = list(fetch(since, before))
        return rows[: page.limit], len(rows) > page.limit

    if page.descending:
        for window in good.first(page, [w for w in WINDOWS_S if asked_s is None or w < asked_s], now):
            if after is not None and (before - after).total_seconds() <= window:
                break  # the range itself is shorter; it is read as it is
            rows, more = read(before - timedelta(seconds=window))
            if len(rows) >= _half(page):
                good.remember(page, window, len(rows), now)
                return rows, more
    return read(after)


def _kind(page: PageRequest) -> tuple[bool, bool, str]:
    return (*page.filtered, "small" if page.limit < 1_000 else "medium")


def _half(page: PageRequest) -> int:
    return max(page.limit // 2, 1)


def _moment(text: str, now: datetime, zone: tzinfo) -> datetime:
    """Return the moment of a bound; what is none means now, without a word. Source: posthog/utils.py."""
    try:
        return (resolve_when(text, now=now, tz=zone) or now).astimezone(UTC)
    except ParameterError:
        return now
