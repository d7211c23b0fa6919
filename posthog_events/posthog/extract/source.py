"""What extraction asks of an engine: the time, counts, and pages of rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from posthog_events.errors import BadAnswer
from posthog_events.posthog.extract.statement import RowStatement
from posthog_events.posthog.extract.windows import Histogram, Page, Window, microseconds
from posthog_events.queryfiles.returns import check_returns
from posthog_events.result import Engine, Query, QueryResult

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Count", "EngineSource", "Rows", "Source"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in order of timestamp and uuid, with the keys of each beside them.

    Args:
        frame: The columns that the user selected.
        timestamps: Int64, microseconds since 1970 UTC.
        uuids: String.
    """

    frame: pl.DataFrame
    timestamps: pl.Series
    uuids: pl.Series


@dataclass(frozen=True, slots=True)
class Count:
    """What the server counts in a slice: rows, and the different uuids among them."""

    rows: int = 0
    events: int = 0


class Source(Protocol):
    """Answers questions about one query; each answer is one request. Safe to share between threads."""

    @property
    def requests(self) -> int:
        """How many questions were asked so far, those that failed included."""
        ...

    def now(self) -> int:
        """Return the server's time, in microseconds since 1970 UTC."""
        ...

    def histogram(self, histogram: Histogram) -> Mapping[int, int]:
        """Return the rows of each bucket that has any."""
        ...

    def page(self, page: Page) -> Rows:
        """Return the rows of a page."""
        ...

    def tally(self, windows: Sequence[Window]) -> Sequence[Count]:
        """Return the count of each window; they are in order and do not overlap."""
        ...


class EngineSource:
    """Asks an engine, in HogQL.

    Args:
        run_id: Makes this extraction's requests different from those of every other, so that PostHog's cache of query
            results, which answers equal requests with what was true earlier, does not answer any of them.

    Raises:
        HogQLError: The query cannot be extracted; see `RowStatement`.
    """

    def __init__(self, engine: Engine, query: Query, *, run_id: str | None = None) -> None:
        self._engine = engine
        self._query = query
        self._statement = RowStatement.parse(query)
        self._run_id = run_id or uuid4().hex
        self._lock = threading.Lock()
        self.requests = 0

    def now(self) -> int:
        asked = self._ask(self._statement.now(self._mark()))
        at: datetime = asked.scalar()
        return microseconds(at.astimezone(UTC))

    def histogram(self, histogram: Histogram) -> Mapping[int, int]:
        return dict(self._count(self._statement.histogram(histogram, self._mark()), "group", "rows"))

    def page(self, page: Page) -> Rows:
        result = self._ask(self._statement.page(page, self._mark()), "us", "uuid")
        *columns, timestamp, uuid = result.frame.columns
        check_returns(self._query, result.types[:-2])
        return Rows(result.frame.select(columns), result.frame[timestamp], result.frame[uuid])

    def tally(self, windows: Sequence[Window]) -> Sequence[Count]:
        found = self._count(self._statement.tally(windows, self._mark()), "group", "rows", "events")
        counts = {start: Count(rows, events) for start, rows, events in found}
        return [counts.get(window.since, Count()) for window in windows]

    def _mark(self) -> str:
        with self._lock:
            self.requests += 1
            return f"{self._run_id}-{self.requests}"

    def _count(self, query: Query, *columns: str) -> Iterator[tuple[Any, ...]]:
        return self._ask(query, *columns).frame.select(self._statement.prefix + name for name in columns).iter_rows()

    def _ask(self, query: Query, *last: str) -> QueryResult:
        """Return the answer, whose last columns are those of ours that are named."""
        # a full page is no accident here: it says that there is another
        result = self._engine.run(query, allow_truncated=True)
        columns = result.frame.columns
        if columns[len(columns) - len(last) :] != [self._statement.prefix + name for name in last]:
            raise BadAnswer(f"{query.name}: the answer's columns are not those that were asked for: {columns}")
        return result
