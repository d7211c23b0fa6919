"""The two values that meet at an engine: what to run, and what came back."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from posthog_events.errors import BadAnswer, PostHogEventsError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["Engine", "Query", "QueryResult", "Value"]

Value: TypeAlias = "str | int | float | bool | datetime | date | list[Value] | tuple[Value, ...] | None"
"""What a `{placeholder}` can be bound to. Datetimes are aware. Source: posthog/hogql/escape_sql.py (no objects)."""


@dataclass(frozen=True, slots=True)
class Query:
    """Rendered HogQL and the values its `{placeholders}` are bound to.

    Args:
        hogql: HogQL text; values appear in it only as `{placeholders}`.
        values: Placeholder name to constant.
        filters: What `{filters}` stands for, in PostHog's form (`dateRange`, `properties`, ...).
        variables: `{variables.code_name}` values.
        name: For messages and for PostHog's query log: the query file's name, or `<inline>`.
        path: The query file, when it came from one.
        first_line: The line of `path` on which `hogql` begins.
        returns: Declared column names to dtypes (`queryfiles` names), checked against the frame; empty: not checked.
    """

    hogql: str
    values: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    filters: Mapping[str, Any] | None = None
    variables: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    name: str = "<inline>"
    path: Path | None = None
    first_line: int = 1
    returns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A typed frame and what produced it.

    Args:
        frame: The rows; dtypes follow `types` exactly.
        types: (column, ClickHouse type) pairs in column order.
        query: What was run.
        engine: The engine's DSN, without credentials.
        clickhouse: The ClickHouse SQL, where known.
        truncated: Whether more rows exist than `frame` holds (only when the caller accepted that).
        warnings: Sentences for the user; printed to stderr by the command line.
        elapsed_s: Wall-clock seconds from text to frame.
        cached_at: When PostHog computed the answer, if it came from PostHog's cache; None: it was computed now.
    """

    frame: pl.DataFrame
    types: tuple[tuple[str, str], ...]
    query: Query
    engine: str
    clickhouse: str | None = None
    truncated: bool = False
    warnings: tuple[str, ...] = ()
    elapsed_s: float = 0.0
    cached_at: datetime | None = None

    def scalar(self) -> Any:
        """Return the only cell.

        Raises:
            BadAnswer: There are more, or none.
        """
        if self.frame.shape != (1, 1):
            columns = ", ".join(self.frame.columns)
            raise BadAnswer(
                f"{self.query.name}: one value was asked for, and {self.frame.height:,} rows of {columns} came"
            )
        return self.frame.item()

    def pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas frame.

        Raises:
            PostHogEventsError: pandas or pyarrow is not installed.
        """
        try:
            return self.frame.to_pandas()
        except ImportError as exc:
            raise PostHogEventsError(
                "a pandas frame needs packages that are not installed; install them with: pip install pandas pyarrow"
            ) from exc

    def _repr_html_(self) -> str:
        """Return the rows for a notebook, and below them what a reader of the rows should know."""
        rows = self.frame.height
        notes = [f"{rows:,} row{'' if rows == 1 else 's'} of {self.query.name} in {self.elapsed_s:.2f} s"]
        if self.truncated:
            notes.append("more rows exist than these")
        if self.cached_at is not None:
            notes.append(f"from PostHog's cache, computed {self.cached_at:%Y-%m-%d %H:%M:%S %Z}")
        notes += [f"warning: {warning}" for warning in self.warnings]
        lines = "<br>".join(html.escape(note) for note in notes)
        return f"{self.frame._repr_html_()}<small>{lines}</small>"


class Engine(Protocol):
    """Runs HogQL. Implementations: embedded and clustered ClickHouse, and PostHog itself."""

    def run(self, query: Query, *, allow_truncated: bool = False) -> QueryResult:
        """Run `query` and return a typed frame.

        Raises:
            HogQLError: The text does not parse, names something unknown, or cannot run here.
            TruncatedResult: More rows exist than were returned, and `allow_truncated` is false.
            QueryError: The engine failed.
        """
        ...
