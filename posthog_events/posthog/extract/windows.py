"""Time cut into pieces that fit a page: everything here is decided without asking anybody.

A moment is an integer, microseconds since 1970 UTC: the resolution of PostHog's events, exact, and free of time zones.
A range is counted in buckets first. Buckets too large for a page, or too large to fill pages well, are counted again in
finer ones, down to one microsecond. Neighbouring buckets are then packed into slices, and a slice is what is fetched,
counted and proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = [
    "Bucket",
    "Cursor",
    "Histogram",
    "Page",
    "Slice",
    "Window",
    "coarse",
    "crowded",
    "finer",
    "microseconds",
    "moment",
    "pack",
]

MAX_BUCKETS = 32_768
"""Buckets of one count: the power of two below the 50,000 rows that an answer may have. Widths are powers of two as
well, so that a finer bucket never straddles two coarser ones."""

MAX_REFINED = 1_000
"""Buckets that one request counts again; their numbers stand in its text."""

LARGE_SHARE = 8
"""A bucket with more than this part of a page's rows makes pages hard to fill."""

SHORTEST_SPLIT_US = 1_000_000
"""A window is not halved below this. What takes too long for one second of events does not fail for its length."""

PAGES_IN_A_ROW = 8
"""Pages that a slice may need when joining buckets saves requests: they come one after the other, not side by side."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Return an aware datetime as microseconds since 1970 UTC."""
    return (at - _EPOCH) // _MICROSECOND


def moment(us: int) -> datetime:
    """Return the UTC datetime of `microseconds`."""
    return _EPOCH + us * _MICROSECOND


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open range of time, in microseconds since 1970 UTC."""

    since: int
    until: int

    def halves(self) -> tuple[Window, Window] | None:
        """Return the two halves; None for a window that is too short to gain from it."""
        if self.until - self.since < 2 * SHORTEST_SPLIT_US:
            return None
        middle = (self.since + self.until) // 2
        return Window(self.since, middle), Window(middle, self.until)

    def __str__(self) -> str:
        return f"{moment(self.since).isoformat()} to {moment(self.until).isoformat()}"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The key of the last row received. Which rows come after it is for ClickHouse to say: it orders UUIDs by their
    second half first."""

    timestamp: int
    uuid: str


@dataclass(frozen=True, slots=True)
class Page:
    """A question: the first `limit` rows of a window, by timestamp and uuid, after the cursor."""

    window: Window
    limit: int
    after: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Histogram:
    """A question: how many rows there are in each bucket of a window.

    Args:
        origin: Where bucket 0 begins.
        width: Microseconds.
        parents: Only rows in these buckets of `parent_width`; empty: all of the window.
    """

    window: Window
    origin: int
    width: int
    parents: tuple[int, ...] = ()
    parent_width: int = 0

    def buckets(self, counts: Mapping[int, int]) -> list[Bucket]:
        """Return the buckets that hold rows, in order of time, from the answer: the rows of each bucket's number."""
        return [
            Bucket(Window(start := self.origin + number * self.width, start + self.width), rows)
            for number, rows in sorted(counts.items())
        ]


@dataclass(frozen=True, slots=True)
class Bucket:
    """Rows counted in a window."""

    window: Window
    rows: int


Slice = Bucket
"""One or more neighbouring buckets, with the empty time around them."""


def coarse(window: Window) -> Histogram:
    """Return the first count of a range: the finest buckets that fit one answer."""
    shortest = -(-(window.until - window.since) // MAX_BUCKETS)
    return Histogram(window, window.since, 1 << (shortest - 1).bit_length())


def crowded(buckets: Sequence[Bucket], window: Window, room: int) -> list[Bucket]:
    """Return the buckets to count more finely: none, if neither a page is too small for one nor requests are saved.

    When a bucket must be taken apart, large ones that fit a page are as well; it costs nothing more. So all buckets
    returned have the same width.
    """
    large = [
        bucket
        for bucket in buckets
        if bucket.rows > room // LARGE_SHARE and bucket.window.until - bucket.window.since > 1
    ]
    if any(bucket.rows >= room for bucket in large):
        return large
    needed = sum(bucket.rows for bucket in buckets) // room + 1
    planned = sum(part.rows // room + 1 for part in pack(buckets, window, lambda: room))
    return large if planned - needed > -(-len(large) // MAX_REFINED) else []


def finer(window: Window, buckets: Sequence[Bucket]) -> Iterator[Histogram]:
    """Yield the counts that take some buckets of `window`, all of the same width and in order, apart."""
    width = buckets[0].window.until - buckets[0].window.since
    parts = 1 << ((MAX_BUCKETS // min(len(buckets), MAX_REFINED)).bit_length() - 1)
    for first in range(0, len(buckets), MAX_REFINED):
        group = buckets[first : first + MAX_REFINED]
        yield Histogram(
            # the last bucket may reach beyond the range
            Window(group[0].window.since, min(group[-1].window.until, window.until)),
            window.since,
            max(1, width // parts),
            parents=tuple((bucket.window.since - window.since) // width for bucket in group),
            parent_width=width,
        )


def pack(buckets: Iterable[Bucket], window: Window, room: Callable[[], int]) -> Iterator[Slice]:
    """Yield slices that together cover `window` without a gap, in order.

    Buckets are joined as long as that saves requests. A page that is not full is the end of its slice, so `r` rows
    take `r // room + 1` pages.

    Args:
        buckets: In order of time.
        room: Rows of a page; asked again for every bucket, because it may turn out smaller on the way.
    """
    since, rows = window.since, 0
    for bucket in buckets:
        if rows and not _joins(rows, bucket.rows, room()):
            yield Slice(Window(since, bucket.window.since), rows)
            since, rows = bucket.window.since, 0
        rows += bucket.rows
    yield Slice(Window(since, window.until), rows)


def _joins(rows: int, more: int, room: int) -> bool:
    together = (rows + more) // room + 1
    return together <= PAGES_IN_A_ROW and together < rows // room + 1 + more // room + 1
