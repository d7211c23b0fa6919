"""Questions that may be too heavy for one query, asked in pieces: a piece that fails is halved in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from posthog_events.errors import MemoryExceeded, QueryTimeout
from posthog_events.posthog.extract.source import Count, Rows, Source
from posthog_events.posthog.extract.windows import Bucket, Cursor, Histogram, Page, Window, coarse, crowded, finer

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Fetched", "count_buckets", "count_windows", "fetch"]

TALLY_WINDOWS = 200
"""Windows of one count. It holds all their uuids in the server's memory, 16 bytes each: 160 MB for full slices."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The rows of a window, each event once.

    Args:
        keys: The uuids as UInt128, in the order of the rows.
        duplicates: Rows left out, because their uuid had come already.
        largest_page: The rows of the largest answer.
        was_split: The window had to be cut, because a page of it was too heavy.
    """

    frame: pl.DataFrame
    keys: pl.Series
    duplicates: int
    largest_page: int
    was_split: bool


def count_buckets(source: Source, window: Window, room: int) -> list[Bucket]:
    """Return the buckets of `window` that hold rows, in order; each fits a page of `room` rows, or is a microsecond.

    Raises:
        QueryTimeout, MemoryExceeded: A count failed however short its window.
    """
    found = _counted(source, coarse(window))
    while full := crowded(found, window, room):
        taken = set(full)
        parts = [part for question in finer(window, full) for part in _counted(source, question)]
        found = sorted([*(bucket for bucket in found if bucket not in taken), *parts], key=lambda b: b.window.since)
    return found


def _counted(source: Source, histogram: Histogram) -> list[Bucket]:
    counts: Counter[int] = Counter()
    waiting = [histogram.window]
    while waiting:
        window = waiting.pop()
        try:
            counts.update(source.histogram(replace(histogram, window=window)))
        except (QueryTimeout, MemoryExceeded) as error:
            waiting += _halved(window, error)
    return histogram.buckets(counts)


def fetch(source: Source, window: Window, page_rows: int) -> Fetched:
    """Return the rows of `window`, page after page as long as pages are full.

    Raises:
        QueryTimeout, MemoryExceeded: A page failed however short its window.
    """
    import polars as pl

    pages: list[Rows] = []
    was_split = False
    after: Cursor | None = None
    waiting = [window]  # the earliest is the last
    while waiting:
        window = waiting.pop()
        try:
            page = source.page(Page(window, page_rows, after))
        except (QueryTimeout, MemoryExceeded) as error:
            waiting += reversed(_halved(window, error))
            was_split = True
            continue
        pages.append(page)
        if page.frame.height >= page_rows:
            after = Cursor(page.timestamps[-1], page.uuids[-1])
            waiting.append(Window(after.timestamp, window.until))
    frame = pl.concat([page.frame for page in pages])
    keys = pl.concat([page.uuids for page in pages]).str.replace_all("-", "").str.to_integer(base=16, dtype=pl.UInt128)
    first = keys.is_first_distinct()
    return Fetched(
        frame=frame.filter(first),
        keys=keys.filter(first),
        duplicates=frame.height - int(first.sum()),
        largest_page=max(page.frame.height for page in pages),
        was_split=was_split,
    )


def count_windows(source: Source, windows: Sequence[Window]) -> Iterator[Count]:
    """Yield the server's count of each window.

    Raises:
        QueryTimeout, MemoryExceeded: The count of a single window failed.
    """
    for first in range(0, len(windows), TALLY_WINDOWS):
        yield from _tallied(source, windows[first : first + TALLY_WINDOWS])


def _tallied(source: Source, windows: Sequence[Window]) -> Iterator[Count]:
    try:
        counts = source.tally(windows)
    except (QueryTimeout, MemoryExceeded) as error:
        if len(windows) == 1:
            raise _too_heavy(windows[0], error) from error
        yield from _tallied(source, windows[: len(windows) // 2])
        yield from _tallied(source, windows[len(windows) // 2 :])
    else:
        yield from counts


def _halved(window: Window, error: QueryTimeout | MemoryExceeded) -> tuple[Window, Window]:
    halves = window.halves()
    if halves is None:
        raise _too_heavy(window, error) from error
    return halves


def _too_heavy(window: Window, error: QueryTimeout | MemoryExceeded) -> QueryTimeout | MemoryExceeded:
    return type(error)(
        f"{error}. The query is too heavy even for {window} alone: select fewer columns (whole `properties` and "
        "`person.properties` weigh most), add conditions on `event`, or use posthog-events export",
        code=error.code,
        code_name=error.code_name,
    )
