"""Events in memory that answer what extraction asks, quickly and truthfully, and misbehave on request."""

from __future__ import annotations

import bisect
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import polars as pl

from posthog_events.posthog.extract.source import Count, Rows
from posthog_events.posthog.extract.windows import Histogram, Page, Window

__all__ = ["Event", "ModelSource", "event"]


class Event(NamedTuple):
    """A row, ordered as ClickHouse orders it: UUIDs by their second half first.

    Source: a UUID of ClickHouse is a UInt128 whose halves are swapped.
    """

    timestamp: int
    order: tuple[int, int]
    uuid: str


def event(timestamp: int, number: int) -> Event:
    """Return an event whose uuid is `number`, scattered so that no two orders of uuids agree."""
    value = (number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % (1 << 128)
    return Event(timestamp, (value & ((1 << 64) - 1), value >> 64), str(UUID(int=value)))


@dataclass
class ModelSource:
    """A `Source` over a list of events.

    Args:
        before: Called with the source, the number of the request (from 1) and its kind before it is answered; may
            change the events, or raise.
        pages: The pages that were asked for.
    """

    events: list[Event]
    server_now: int = 1 << 62
    before: Callable[[ModelSource, int, str], None] = lambda source, number, kind: None
    pages: list[Page] = field(default_factory=list)
    requests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.events.sort()

    def add(self, events: Iterable[Event]) -> None:
        self.events = sorted([*self.events, *events])

    def remove(self, uuids: Iterable[str]) -> None:
        gone = set(uuids)
        self.events = [row for row in self.events if row.uuid not in gone]

    def now(self) -> int:
        with self._lock:
            self._asked("now")
            return self.server_now

    def histogram(self, histogram: Histogram) -> Mapping[int, int]:
        with self._lock:
            self._asked("histogram")
            counts: Counter[int] = Counter()
            parents = set(histogram.parents)
            for row in self._inside(histogram.window):
                offset = row.timestamp - histogram.origin
                if not parents or offset // histogram.parent_width in parents:
                    counts[offset // histogram.width] += 1
            assert len(counts) <= 50_000, "the answer would be cut"
            return counts

    def page(self, page: Page) -> Rows:
        with self._lock:
            self.pages.append(page)
            self._asked("page")
            rows = self._inside(page.window)
            if page.after is not None:
                value = UUID(page.after.uuid).int
                key = (page.after.timestamp, (value & ((1 << 64) - 1), value >> 64))
                rows = rows[bisect.bisect_right(rows, key, key=lambda row: (row.timestamp, row.order)) :]
            return rows_of(rows[: page.limit])

    def tally(self, windows: Sequence[Window]) -> Sequence[Count]:
        with self._lock:
            self._asked("tally")
            inside = [self._inside(window) for window in windows]
            return [Count(len(rows), len({row.uuid for row in rows})) for rows in inside]

    def _asked(self, kind: str) -> None:
        self.requests += 1
        self.before(self, self.requests, kind)

    def _inside(self, window: Window) -> list[Event]:
        first = bisect.bisect_left(self.events, window.since, key=lambda row: row.timestamp)
        last = bisect.bisect_left(self.events, window.until, key=lambda row: row.timestamp)
        return self.events[first:last]


def rows_of(events: Sequence[Event]) -> Rows:
    """Return events as the rows of an answer; the selected column is `id`."""
    uuids = pl.Series("id", [row.uuid for row in events], dtype=pl.String)
    return Rows(uuids.to_frame(), pl.Series([row.timestamp for row in events], dtype=pl.Int64), uuids)
