"""The engine over ClickHouse: HogQL in, typed frame out, nothing cut without a word."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from posthog_events.clickhouse.catalog import Catalog
from posthog_events.clickhouse.compiler import Compiled, CompileSettings, compile_query
from posthog_events.errors import TruncatedResult
from posthog_events.hogql import ast
from posthog_events.hogql.dropped import dropped_syntax
from posthog_events.hogql.filters import expand_filters
from posthog_events.hogql.parser import parse_select
from posthog_events.hogql.placeholders import bind, expand_variables
from posthog_events.hogql.source import Source
from posthog_events.result import Query, QueryResult

if TYPE_CHECKING:
    import polars as pl

    from posthog_events.clickhouse.client import Client

__all__ = ["ClickHouseEngine", "compile_text"]


@dataclass(frozen=True, slots=True)
class ClickHouseEngine:
    """Runs HogQL on embedded ClickHouse or on a server; satisfies `posthog_events.result.Engine`.

    Args:
        catalog: Called for every query, so that a store that grew since is seen.
        dsn: For results and messages; without credentials.
        clock: Fixes `now()` and relative dates; None uses the engine's clock for `now()`.
    """

    client: Client
    catalog: Callable[[], Catalog]
    dsn: str
    settings: CompileSettings
    clock: Callable[[], datetime] | None = None

    @property
    def timezone(self) -> str:
        """The project's IANA zone, as the catalog has it."""
        return self.catalog().timezone

    def run(self, query: Query, *, allow_truncated: bool = False) -> QueryResult:
        """Run `query` and return a typed frame.

        Raises:
            HogQLError: The text does not parse, names something unknown, or cannot run here.
            TruncatedResult: More rows exist than the limits let through, and `allow_truncated` is false.
            QueryError: The engine failed.
        """
        started = time.perf_counter()
        compiled = self.compile(query)
        types, frame = self.client.query(compiled.sql, settings=compiled.settings)
        frame, truncated = self._judge(query, compiled, frame, allow_truncated)
        return QueryResult(
            frame=frame,
            types=types,
            query=query,
            engine=self.dsn,
            clickhouse=printable(compiled.sql, compiled.settings),
            truncated=truncated,
            warnings=compiled.warnings,
            elapsed_s=time.perf_counter() - started,
        )

    def sql(self, query: Query) -> str:
        """Return the ClickHouse SQL of `query`, settings included, without running it."""
        compiled = self.compile(query)
        return printable(compiled.sql, compiled.settings)

    def tables(self) -> Mapping[str, Mapping[str, str]]:
        """Return table to column to ClickHouse type, for everything a query can read."""
        return {
            name: {column: details.type for column, details in table.columns.items() if not details.hidden}
            for name, table in self.catalog().tables.items()
        }

    def close(self) -> None:
        """Close the connections; results stay usable."""
        self.client.close()

    def compile(self, query: Query) -> Compiled:
        """Return the ClickHouse SQL that `run` would send.

        Raises:
            HogQLError: As `run`.
        """
        settings = replace(self.settings, now=self.clock() if self.clock else None)
        return compile_text(query, catalog=self.catalog(), settings=settings)

    def _judge(
        self, query: Query, compiled: Compiled, frame: pl.DataFrame, allow_truncated: bool
    ) -> tuple[pl.DataFrame, bool]:
        """Return the rows that the limits let through, and whether there were more."""
        cap, clamped = compiled.row_cap, compiled.clamped
        cut = cap is not None and frame.height > cap
        if not cut:
            for sql, branch_cap in compiled.branches:
                _, probe = self.client.query(f"SELECT count() AS n FROM ({sql})", settings=compiled.settings)
                if probe.item() > branch_cap:
                    cut, cap = True, branch_cap
                    break
        if cut and not allow_truncated:
            raise TruncatedResult(rows=cap or 0, limit=cap or 0, query=query.name, clamped=clamped)
        return (frame.head(compiled.row_cap) if cut and compiled.row_cap is not None else frame), cut


def compile_text(query: Query, *, catalog: Catalog, settings: CompileSettings) -> Compiled:
    """Parse `query`, bind its values and compile it; asks no engine.

    Raises:
        HogQLError: The text does not parse, names something unknown, or cannot run on ClickHouse.
    """
    source = Source(query.hogql, str(query.path or query.name), query.first_line)
    tree: ast.Node = parse_select(query.hogql, name=source.name, first_line=source.first_line)
    now = settings.now or datetime.now(UTC)
    tree = expand_filters(tree, query.filters, now=now, timezone=catalog.timezone, source=source)
    tree = expand_variables(tree, query.variables, source=source)
    tree = bind(tree, query.values, source=source)
    assert isinstance(tree, ast.SelectQuery | ast.SelectSetQuery)
    compiled = compile_query(tree, catalog=catalog, settings=settings, source=source)
    dropped = tuple(item.message for item in dropped_syntax(query.hogql))
    return replace(compiled, warnings=dropped)


def printable(sql: str, settings: Mapping[str, str | int]) -> str:
    """Return SQL that can be pasted into any ClickHouse client and means the same."""
    clause = ", ".join(f"{name}={value if isinstance(value, int) else repr(value)}" for name, value in settings.items())
    return f"{sql} SETTINGS {clause}"
