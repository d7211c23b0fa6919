"""Names visible inside one SELECT. Source: reference chapter 2.2, from posthog/hogql/resolver.py."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from posthog_events.clickhouse.compiler.context import Context
from posthog_events.clickhouse.compiler.tables import Source, Unreadable
from posthog_events.clickhouse.compiler.value import Sql
from posthog_events.clickhouse.quoting import identifier
from posthog_events.hogql import ast

__all__ = ["Cte", "Resolved", "Scope", "check_identifier"]


@dataclass(frozen=True, slots=True)
class Cte:
    """A common table expression in sight: the columns of a subquery, or the expression of a column CTE."""

    columns: Mapping[str, Sql] | None = None
    expr: ast.Expr | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the first parts of a chain stand for, and the parts that are left."""

    value: Sql | None
    rest: tuple[str | int, ...]
    column_cte: ast.Expr | None = None


@dataclass(slots=True)
class Scope:
    """The innermost SELECT. There are no correlated subqueries: only CTEs are seen from outside."""

    context: Context
    ctes: dict[str, Cte] = field(default_factory=dict)
    tables: dict[str, Source] = field(default_factory=dict)
    aliases: dict[str, Sql] = field(default_factory=dict)
    windows: Mapping[str, ast.WindowExpr] = field(default_factory=dict)
    lambda_args: list[Mapping[str, Sql]] = field(default_factory=list)

    def add_table(self, source: Source, node: ast.Node) -> None:
        if source.alias in self.tables:
            raise self.context.error(
                f"Two tables are both called {source.alias!r}; give one of them another alias", node
            )
        self.tables[source.alias] = source

    def add_alias(self, name: str, value: Sql, node: ast.Node) -> None:
        check_identifier(name, self.context, node)
        if name in self.aliases:
            raise self.context.error(f"Cannot redefine an alias with the name: {name}", node)
        self.aliases[name] = Sql(
            identifier(name), value.type, json=value.json, never_null_wrapped=value.never_null_wrapped
        )

    def resolve(self, field_: ast.Field) -> Resolved:
        """Return what a field stands for.

        Raises:
            UnresolvedName: Nothing in sight has the name.
            UnsupportedHogQL: PostHog has the column, this engine does not.
        """
        chain = field_.chain
        first = str(chain[0])
        for arguments in reversed(self.lambda_args):
            if first in arguments:
                return Resolved(arguments[first], chain[1:])
        if len(chain) > 1 and first in self.tables:
            return self._in_table(self.tables[first], chain[1:], field_)
        if first in self.aliases:
            return Resolved(self.aliases[first], chain[1:])
        owners = [table for table in self.tables.values() if table.has(first)]
        if len(owners) > 1:
            raise self.context.error(f"Ambiguous query. Found multiple sources for field: {first}", field_)
        if owners:
            return self._in_table(owners[0], chain, field_)
        cte = self.ctes.get(first)
        if cte is not None and cte.expr is not None:
            return Resolved(None, chain[1:], column_cte=cte.expr)
        raise self._unresolved(first, field_)

    def _in_table(self, table: Source, chain: tuple[str | int, ...], node: ast.Node) -> Resolved:
        name = str(chain[0])
        try:
            lazy = table.lazy(name)
            if lazy is not None:
                if len(chain) == 1:
                    raise self.context.error(
                        f"{name} is a table here, not a column; choose one of its columns: "
                        f"{', '.join(f'{name}.{column}' for column in lazy.names())}",
                        node,
                    )
                return self._in_table(lazy, chain[1:], node)
            if not table.has(name):
                raise self._unresolved(name, node, table)
            return Resolved(table.column(name), chain[1:])
        except Unreadable as reason:
            raise self.context.unsupported(str(reason), node) from None

    def _unresolved(self, name: str, node: ast.Node, table: Source | None = None) -> Exception:
        candidates = list(table.names()) if table else list(self._visible_names())
        close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
        hint = f". Did you mean: {close[0]}?" if close else ""
        where = f" in table {table.alias}" if table else ""
        return self.context.unresolved(f"Unable to resolve field: {name}{where}{hint}", node)

    def _visible_names(self) -> Iterator[str]:
        yield from self.aliases
        for table in self.tables.values():
            yield from table.names()

    def asterisk(self, node: ast.Field) -> Iterator[tuple[str, Sql]]:
        """Yield the columns of `*` or `table.*`.

        Raises:
            HogQLError: `*` with more than one table, or none.
        """
        if len(node.chain) > 1:
            table = self.tables.get(str(node.chain[0]))
            if table is None or len(node.chain) > 2:
                raise self._unresolved(str(node.chain[0]), node)
            tables = [table]
        else:
            tables = list(self.tables.values())
            if not tables:
                raise self.context.error("Cannot use '*' without a FROM clause", node)
            if len(tables) > 1:
                raise self.context.error(
                    "Cannot use '*' without table name when there are multiple tables in the query", node
                )
        for name in tables[0].names():
            yield name, tables[0].column(name)


def check_identifier(name: str, context: Context, node: ast.Node) -> None:
    """Refuse what PostHog refuses. Source: posthog/hogql/escape_sql.py."""
    if "%" in name:
        raise context.error(f"The HogQL identifier {name!r} is not permitted as it contains the '%' character", node)
