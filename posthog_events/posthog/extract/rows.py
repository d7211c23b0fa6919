"""Every row of a query over events, however many: planned, fetched side by side, counted again, proved.

::

    server's time -> count by bucket -> slices of a page -> fetch, `width` at a time -> hand out in order of time
                                                              ^                                 |
                           fetch those that differ again, at most `rounds` times <- count each slice again

Rows are handed out as soon as their slice is complete, so memory holds a few pages (and 16 bytes per row for the uuids
that were handed out). The count at the end finds what arrived since: those rows follow in frames marked as late. What
was handed out and is gone from the server is named in `Extraction.withdrawn`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self
from uuid import UUID

from posthog_events.errors import Fault, ParameterError
from posthog_events.limits import MAX_ROWS
from posthog_events.posthog.extract.fetch import Fetched, count_buckets, count_windows, fetch
from posthog_events.posthog.extract.ordered import in_order
from posthog_events.posthog.extract.proof import Proof, SliceProof, incomplete
from posthog_events.posthog.extract.source import EngineSource, Source
from posthog_events.posthog.extract.windows import Window, microseconds, moment, pack
from posthog_events.result import Engine, Query

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Chunk", "Extraction", "Progress", "extract_from", "extract_rows"]

SMALLEST_SHARE = 16
"""Slices are planned with at least this part of a page's rows, however few the server bore of one slice: few rows over
a long time say little about the next slice, and small slices cost requests."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one slice of time, in order of timestamp and uuid, each uuid once.

    A uuid that PostHog stored at two different times comes twice if they fall into two slices, as it does from the
    server: keep the first where that matters.

    Args:
        since: First moment of the slice, UTC.
        until: First moment after it.
        late: The rest of this slice was handed out before; these rows arrived at the server afterwards. All other
            chunks come in order of time and without gaps.
    """

    frame: pl.DataFrame
    since: datetime
    until: datetime
    late: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an extraction is.

    Args:
        rows: Handed out.
        of: Counted at the start; late rows may exceed it. Zero until they are counted.
        requests: Queries sent.
    """

    rows: int
    of: int
    requests: int


def extract_rows(
    engine: Engine,
    query: Query,
    *,
    since: datetime,
    until: datetime,
    width: int = 3,
    page_rows: int = MAX_ROWS,
    rounds: int = 3,
    on_progress: Callable[[Progress], None] | None = None,
) -> Extraction:
    """Extract all rows that a SELECT over events has between two moments, past every limit of rows.

    Args:
        query: Columns and conditions of the events table, without GROUP BY, LIMIT and the like.
        since: First moment, aware.
        until: First moment after the range, aware; the server's time at the start, if that is earlier.
        width: Pages fetched at a time. PostHog runs three queries of a project at once.
        page_rows: Rows of a page.
        rounds: How often slices are fetched again whose count at the end differs from what was received.

    Raises:
        HogQLError: The query cannot be extracted. Everything else is raised while rows are taken.
        ParameterError: A moment without a time zone, an empty range, or a number out of bounds.
    """
    source = EngineSource(engine, query)
    return extract_from(
        source,
        since=since,
        until=until,
        width=width,
        page_rows=page_rows,
        rounds=rounds,
        on_progress=on_progress,
        name=query.name,
    )


def extract_from(
    source: Source,
    *,
    since: datetime,
    until: datetime,
    width: int,
    page_rows: int,
    rounds: int,
    on_progress: Callable[[Progress], None] | None = None,
    name: str = "<inline>",
) -> Extraction:
    """Extract all rows of a source; see `extract_rows`."""
    faults = [
        Fault(f"{what}={at.isoformat()} has no time zone; give it one")
        for what, at in (("since", since), ("until", until))
        if at.tzinfo is None
    ]
    faults += [
        Fault(f"{what}={value:,} is out of bounds: {low:,}{f' to {high:,}' if high else ' or more'}")
        for what, value, low, high in (
            ("width", width, 1, None),
            ("page_rows", page_rows, 2, MAX_ROWS),
            ("rounds", rounds, 0, None),
        )
        if value < low or (high is not None and value > high)
    ]
    if not faults and since >= until:
        faults = [Fault(f"since={since.isoformat()} is not before until={until.isoformat()}")]
    if faults:
        raise ParameterError(faults)
    window = Window(microseconds(since), microseconds(until))
    return Extraction(source, window, width, page_rows, rounds, on_progress or (lambda _: None), name)


class Extraction:
    """An extraction under way: iterate over its chunks once, then read its `proof`.

    Raises (while iterating):
        IncompleteExtraction: The server's count and the rows received still differ after all rounds.
        QueryTimeout, MemoryExceeded: The query is too heavy even for one second of events.
        PostHogEventsError: Whatever else the engine raises.
    """

    def __init__(
        self,
        source: Source,
        window: Window,
        width: int,
        page_rows: int,
        rounds: int,
        on_progress: Callable[[Progress], None],
        name: str,
    ) -> None:
        self._source, self._window = source, window
        self._width, self._page_rows, self._rounds = width, page_rows, rounds
        self._on_progress, self._name = on_progress, name
        self._room = page_rows
        self._rows = self._planned = 0
        self._proof: Proof | None = None
        self._withdrawn: tuple[str, ...] = ()
        self._chunks = self._run()

    @property
    def proof(self) -> Proof:
        """What was received and counted.

        Raises:
            RuntimeError: The last chunk has not been taken yet.
        """
        if self._proof is None:
            raise RuntimeError("an extraction is proved when its last chunk has been taken; iterate over it first")
        return self._proof

    @property
    def withdrawn(self) -> tuple[str, ...]:
        """The uuids of events that were handed out and have been deleted from the server since; known at the end."""
        return self._withdrawn

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def close(self) -> None:
        """Stop; what is running at the server ends by itself."""
        self._chunks.close()

    def frame(self) -> pl.DataFrame:
        """Return all rows that are left to take, late ones at the end.

        Events that are deleted in the meantime stay in it; `withdrawn` names them.
        """
        import polars as pl

        return pl.concat([chunk.frame for chunk in self])

    def _run(self) -> Generator[Chunk, None, None]:
        asked = self._window
        now = self._source.now()
        if now <= asked.since:
            raise ParameterError(
                [Fault(f"since={moment(asked.since).isoformat()} lies in the future of the server ({moment(now)})")]
            )
        whole = Window(asked.since, min(asked.until, now))
        self._report()
        buckets = count_buckets(self._source, whole, self._page_rows)
        self._planned = sum(bucket.rows for bucket in buckets)
        self._report()
        parts: list[_Part] = []
        pool = ThreadPoolExecutor(self._width, thread_name_prefix="extract")
        try:
            slices = (part.window for part in pack(buckets, whole, lambda: self._room))
            for window, fetched in self._fetched(pool, slices):
                parts.append(_Part(window, fetched.keys, fetched.keys, fetched.duplicates))
                yield self._chunk(window, fetched.frame)
            yield from self._settled(pool, parts)
        finally:
            pool.shutdown(cancel_futures=True)
        self._withdrawn = tuple(uuid for part in parts for uuid in part.withdrawn)
        self._proof = Proof(
            since=moment(whole.since),
            until=moment(whole.until),
            asked_until=moment(asked.until),
            slices=tuple(part.proof for part in parts),
            requests=self._source.requests,
        )

    def _settled(self, pool: ThreadPoolExecutor, parts: list[_Part]) -> Iterator[Chunk]:
        """Count all slices, fetch those again that differ, and yield what is new in them, until none differs."""
        doubtful = parts
        for again in range(self._rounds + 1):
            counts = count_windows(self._source, [part.window for part in doubtful])
            for part, count in zip(doubtful, counts, strict=True):
                part.counted = count.events
            self._report()
            doubtful = [part for part in doubtful if part.counted != part.present.len()]
            if not doubtful or again == self._rounds:
                break
            fetched = self._fetched(pool, (part.window for part in doubtful))
            for part, (window, news) in zip(doubtful, fetched, strict=True):
                new = part.update(news)
                if new.height:
                    yield self._chunk(window, new, late=True)
        if doubtful:
            raise incomplete(self._name, self._rounds, [part.proof for part in doubtful])

    def _fetched(self, pool: ThreadPoolExecutor, windows: Iterable[Window]) -> Iterator[tuple[Window, Fetched]]:
        for window, fetched in in_order(
            pool, lambda window: fetch(self._source, window, self._page_rows), windows, ahead=self._width + 1
        ):
            if fetched.was_split:
                # the server would find the next ones as heavy: do not let each of them fail first
                self._room = max(2, self._page_rows // SMALLEST_SHARE, min(self._room, fetched.largest_page + 1))
            yield window, fetched

    def _chunk(self, window: Window, frame: pl.DataFrame, *, late: bool = False) -> Chunk:
        self._rows += frame.height
        self._report()
        return Chunk(frame, moment(window.since), moment(window.until), late)

    def _report(self) -> None:
        self._on_progress(Progress(self._rows, self._planned, self._source.requests))


@dataclass(slots=True)
class _Part:
    """A slice that was handed out.

    Args:
        handed: The uuids that were handed out.
        present: Those that were on the server when the slice was last fetched.
    """

    window: Window
    handed: pl.Series
    present: pl.Series
    duplicates: int
    counted: int = 0
    late: int = 0

    def update(self, fetched: Fetched) -> pl.DataFrame:
        """Take in the slice as it is now; return the rows that were not handed out before."""
        import polars as pl

        is_new = ~fetched.keys.is_in(self.handed.implode())
        new = fetched.frame.filter(is_new)
        self.handed = pl.concat([self.handed, fetched.keys.filter(is_new)])
        self.present, self.duplicates = fetched.keys, fetched.duplicates
        self.late += new.height
        return new

    @property
    def withdrawn(self) -> list[str]:
        """The uuids that were handed out and are on the server no more."""
        if self.handed is self.present:
            return []
        return [str(UUID(int=key)) for key in self.handed.filter(~self.handed.is_in(self.present.implode()))]

    @property
    def proof(self) -> SliceProof:
        return SliceProof(
            since=moment(self.window.since),
            until=moment(self.window.until),
            counted=self.counted,
            received=self.present.len(),
            duplicates=self.duplicates,
            late=self.late,
            withdrawn=len(self.withdrawn),
        )
