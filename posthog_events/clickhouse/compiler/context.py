"""Settings of a compilation, its result, and the state that all its parts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from posthog_events.clickhouse.catalog import Catalog
from posthog_events.errors import HogQLError, UnresolvedName, UnsupportedHogQL
from posthog_events.hogql import ast
from posthog_events.hogql.source import Source
from posthog_events.limits import POSTHOG_ROWS, RowLimits

__all__ = ["CompileSettings", "Compiled", "Context"]


@dataclass(frozen=True, slots=True)
class CompileSettings:
    """What may change the SQL besides the query and the catalog.

    Args:
        row_limits: Default and maximum LIMIT of the top-level SELECT.
        now: A fixed clock (aware) for `now()`, `today()` and `yesterday()`; None uses the engine's own.
    """

    row_limits: RowLimits = POSTHOG_ROWS
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """ClickHouse SQL and what is needed to judge its result.

    Args:
        sql: One SELECT, without SETTINGS and FORMAT.
        settings: ClickHouse settings that change the result; they belong to the SQL.
        row_cap: More rows than this mean that the result was cut; None when nothing was capped. The SQL asks for one
            row more, so that a cut shows.
        clamped: The cap is the maximum LIMIT, not the default one.
        branches: (SQL, cap) of every capped branch of a set query, the SQL asking for one row more: a cut inside a
            branch does not show in the number of rows.
        warnings: Sentences for the user.
    """

    sql: str
    settings: Mapping[str, str | int] = field(default_factory=lambda: MappingProxyType({}))
    row_cap: int | None = None
    clamped: bool = False
    branches: tuple[tuple[str, int], ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Context:
    """Shared by everything that takes part in compiling one query."""

    catalog: Catalog
    settings: CompileSettings
    source: Source = field(default_factory=Source)
    _names: int = 0

    def unique_name(self, hint: str) -> str:
        """Return a name for a table or a lambda's argument that nothing else in the SQL has.

        ClickHouse looks up `a.b` among columns called `a.b`, aliases `a` with a part `b` and tables `a`. HogQL's own
        names, as the query wrote them, could meet there.
        """
        self._names += 1
        return f"{hint if hint.isidentifier() and hint.isascii() else 'x'}__{self._names}"

    def error(self, message: str, node: ast.Node) -> HogQLError:
        """Return an error that points at `node`."""
        return self.source.error(HogQLError, message, node)

    def unresolved(self, message: str, node: ast.Node) -> UnresolvedName:
        """Return an error about a name that nothing has."""
        return self.source.error(UnresolvedName, message, node)

    def unsupported(self, message: str, node: ast.Node) -> UnsupportedHogQL:
        """Return an error about something that only PostHog has."""
        return self.source.error(UnsupportedHogQL, message, node)
