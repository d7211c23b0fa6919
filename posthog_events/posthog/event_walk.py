"""In which order pages of `GET /events/` are asked for, so that no event is lost between them; sends nothing.

The listing's bounds are strict and its `next` continues after the last timestamp, so events that share it are lost.
This walk goes its own way, oldest first: each request begins one microsecond before the last timestamp, and what
arrives twice is dropped by id. When all events of a full page have one timestamp, that microsecond is read by offset;
its rows come in no stated order, so it is read again until every one has been seen. The end is an answer with nothing
new.

Source: PostHog/posthog:posthog/api/event.py (reference 5); timestamps have microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from posthog_events.errors import BadAnswer, IncompleteExtraction

__all__ = ["EventWalk", "Window"]

PAGE_ROWS: Final = 1_000
"""The largest page the listing gives. Source: reference 5."""

MAX_OFFSET: Final = 50_000
"""A larger offset is refused. Source: reference 5."""

MAX_RANGE: Final = timedelta(days=360)
"""A request over more than about a year may be refused. Source: reference 5."""

TIE_PASSES: Final = 8
"""How often one microsecond is read before it counts as unsettled."""

TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """One request: events with `after < timestamp < before`, oldest first."""

    after: datetime
    before: datetime
    offset: int = 0
    rows: int = PAGE_ROWS


@dataclass(slots=True)
class _Tie:
    """One microsecond that holds more events than a page."""

    at: datetime
    ids: set[str] = field(default_factory=set)
    offset: int = 0
    rows: int = 0
    passes: int = 1


class EventWalk:
    """Ask `window` for the next request, give its answer to `feed`; done when `window` is None.

    Args:
        start: The first instant that belongs to the listing.
        end: The first instant that no longer does.
        page_rows: Rows per page; at most PostHog's own maximum.
    """

    def __init__(self, start: datetime, end: datetime, *, page_rows: int = PAGE_ROWS) -> None:
        self.duplicates = 0
        self._end, self._page_rows = end, page_rows
        self._after = start - TICK
        self._known: set[str] = set()  # ids at the last timestamp, which the next page repeats
        self._tie: _Tie | None = None

    @property
    def window(self) -> Window | None:
        """The next request."""
        if self._tie is not None:
            at = self._tie.at
            return Window(at - TICK, at + TICK, self._tie.offset, self._page_rows)
        if self._after + TICK >= self._end:
            return None
        return Window(self._after, self._stop, rows=self._page_rows)

    @property
    def _stop(self) -> datetime:
        return min(self._end, self._after + MAX_RANGE)

    def feed(self, page: Sequence[tuple[str, datetime]], *, more: bool) -> list[int]:
        """Take the (id, timestamp) pairs of an answer; return the positions of those not seen before.

        Args:
            more: Whether the answer has a `next`. Its absence proves nothing, but its presence means that the page is
                as full as this server makes them.

        Raises:
            BadAnswer: The answer does not belong to the request.
            IncompleteExtraction: One microsecond holds more events than can be told apart.
        """
        window = self.window
        assert window is not None
        instants = [at for _, at in page]
        if len(page) > self._page_rows or instants != sorted(instants):
            raise BadAnswer("events/: PostHog's answer is longer than asked for, or not in the order of time")
        if instants and not (window.after < instants[0] and instants[-1] < window.before):
            raise BadAnswer("events/: PostHog's answer holds events outside the time that was asked for")
        full = bool(page) and (more or len(page) == self._page_rows)
        return self._feed_page(page, full) if self._tie is None else self._feed_tie(self._tie, page, full)

    def _feed_page(self, page: Sequence[tuple[str, datetime]], full: bool) -> list[int]:
        if full and page[0][1] == page[-1][1]:
            # the whole page is one microsecond: read that from its beginning instead
            self._tie = _Tie(page[0][1])
            return []
        fresh = self._fresh(page, self._known)
        if not fresh and not full:
            self._after, self._known = self._stop - TICK, set()
        else:
            last = page[-1][1]
            self._after, self._known = last - TICK, {id_ for id_, at in page if at == last}
        return fresh

    def _feed_tie(self, tie: _Tie, page: Sequence[tuple[str, datetime]], full: bool) -> list[int]:
        fresh = self._fresh(page, tie.ids | self._known)
        tie.ids.update(id_ for id_, _ in page)
        tie.rows += len(page)
        tie.offset += len(page)
        if full:
            if tie.offset > MAX_OFFSET:
                raise IncompleteExtraction(self._unsettled(tie, f"more than {MAX_OFFSET:,} events"))
        elif len(tie.ids) >= tie.rows:
            # as many different events as rows: none is missing
            self._tie, self._after, self._known = None, tie.at, set()
        elif tie.passes == TIE_PASSES:
            found = f"{tie.rows:,} events, of which {len(tie.ids):,} were found"
            raise IncompleteExtraction(self._unsettled(tie, found))
        else:
            tie.offset, tie.rows, tie.passes = 0, 0, tie.passes + 1
        return fresh

    def _fresh(self, page: Sequence[tuple[str, datetime]], known: set[str]) -> list[int]:
        seen = set(known)
        fresh = []
        for position, (id_, _) in enumerate(page):
            if id_ not in seen:
                seen.add(id_)
                fresh.append(position)
        self.duplicates += len(page) - len(fresh)
        return fresh

    def _unsettled(self, tie: _Tie, found: str) -> str:
        return (
            f"the microsecond {tie.at.isoformat()} holds {found}; the events listing cannot tell them apart. Narrow "
            "the listing with event, distinct_id or properties, or use the HogQL route or an export."
        )
