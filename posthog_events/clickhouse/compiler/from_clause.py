"""FROM: stored tables, subqueries, WITH queries and numbers(), their joins, and SAMPLE."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from posthog_events.clickhouse.compiler.refused_tables import refused_table
from posthog_events.clickhouse.compiler.scope import check_identifier
from posthog_events.clickhouse.compiler.tables import DerivedTable, Source, StoredTable
from posthog_events.clickhouse.compiler.value import Sql
from posthog_events.clickhouse.quoting import identifier
from posthog_events.clickhouse.sqltype import INTEGER
from posthog_events.hogql import ast

if TYPE_CHECKING:
    from posthog_events.clickhouse.compiler.expressions import Expressions

__all__ = ["FromClause"]

_JOIN_WORDS = {"INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "ANY", "ALL", "SEMI", "ANTI", "ASOF", "JOIN"}


class FromClause:
    """Compiles the tables of one SELECT into its scope."""

    def __init__(self, expressions: Expressions) -> None:
        self.expressions = expressions
        self.scope = expressions.scope
        self.context = expressions.context
        # a table, or the text of a join to it; lazy joins are added behind each table at the end
        self._from: list[tuple[str, Source]] = []

    def compile(self, join: ast.JoinExpr | None) -> None:
        """Add the tables from `join` on to the scope."""
        while join is not None:
            text, source = self._table(join)
            self.scope.add_table(source, join)
            prefix = self._join_words(join) if self._from else ""
            constraint = self._constraint(join, source) if self._from else ""
            self._from.append((f"{prefix}{text} AS {source.sql_alias}{constraint}", source))
            join = join.next_join

    def clauses(self) -> Iterator[str]:
        """Yield FROM and the joins, once every clause has said which lazy joins it needs."""
        for position, (text, source) in enumerate(self._from):
            yield f"FROM {text}" if position == 0 else text
            yield from source.joins()

    def _join_words(self, join: ast.JoinExpr) -> str:
        words = (join.join_type or "JOIN").upper()
        if not set(words.split()) <= _JOIN_WORDS:
            raise self.context.unsupported(f"{words} is not supported", join)
        return f"{words} "

    def _constraint(self, join: ast.JoinExpr, source: Source) -> str:
        constraint = join.constraint
        if constraint is None:
            return ""
        if constraint.constraint_type == "USING":
            fields = constraint.expr.exprs if isinstance(constraint.expr, ast.Tuple) else (constraint.expr,)
            names = []
            for field in fields:
                if not isinstance(field, ast.Field) or not all(
                    table.has(str(field.chain[-1])) for table in (source, *list(self.scope.tables.values())[:1])
                ):
                    raise self.context.unresolved("USING needs columns that both tables have", field)
                names.append(identifier(str(field.chain[-1])))
            return f" USING ({', '.join(names)})"
        # NULL in a join condition is left to ClickHouse: reference 2.6
        self.expressions.bare_comparisons = True
        try:
            condition = self.expressions.compile(constraint.expr)
        finally:
            self.expressions.bare_comparisons = False
        if any(source.joins()):
            raise self.context.unsupported(
                "A join condition cannot use a column that itself needs a join (such as person.* in this person mode); "
                "join the table in a subquery first",
                constraint,
            )
        return f" ON {condition.text}"

    def _table(self, join: ast.JoinExpr) -> tuple[str, Source]:
        """Return the text of a table in FROM, without its alias, and the table."""
        if join.table_final:
            raise self.context.unsupported("FINAL has no meaning here: stored events are already deduplicated", join)
        if join.column_aliases:
            raise self.context.unsupported("A column list behind a table alias is not supported", join)
        if join.alias:
            check_identifier(join.alias, self.context, join)
        table = join.table
        if isinstance(table, ast.SelectQuery | ast.SelectSetQuery):
            compiled = self.expressions.subqueries.query(table, self.scope.ctes)
            self._refuse_sample(join, "a subquery")
            alias = join.alias or self.context.unique_name("subquery")
            return f"({compiled.sql})", self._derived(alias, compiled.columns)
        if not isinstance(table, ast.Field):
            what = {"ValuesQuery": "VALUES", "PivotExpr": "PIVOT", "UnpivotExpr": "UNPIVOT"}
            kind = type(table).__name__
            if isinstance(table, ast.Placeholder):
                raise self.context.unresolved("A placeholder cannot stand for a table", table)
            raise self.context.unsupported(f"{what.get(kind, kind)} is not supported in FROM", table or join)
        name = ".".join(str(part) for part in table.chain)
        cte = self.scope.ctes.get(name)
        if cte is not None and cte.columns is not None:
            self._refuse_sample(join, "a WITH query")
            if join.table_args is not None:
                raise self.context.error(f"{name} is a WITH query, not a table function", join)
            return identifier(name), self._derived(join.alias or name, cte.columns)
        if name == "numbers":
            return self._numbers(join)
        return self._stored(name, join, table if table.span else join)

    def _derived(self, alias: str, columns: Mapping[str, Sql]) -> DerivedTable:
        return DerivedTable(alias, self.context.unique_name(alias), columns)

    def _refuse_sample(self, join: ast.JoinExpr, what: str) -> None:
        if join.sample is not None:
            raise self.context.unsupported(f"SAMPLE cannot be used on {what}; sample the table inside it", join.sample)

    def _numbers(self, join: ast.JoinExpr) -> tuple[str, Source]:
        args = join.table_args or ()
        if not 1 <= len(args) <= 2 or not all(
            isinstance(arg, ast.Constant) and isinstance(arg.value, int) and not isinstance(arg.value, bool)
            for arg in args
        ):
            raise self.context.error("numbers(n) or numbers(offset, n) needs constant integers", join)
        self._refuse_sample(join, "numbers()")
        text = f"numbers({', '.join(str(arg.value) for arg in args if isinstance(arg, ast.Constant))})"
        return text, self._derived(join.alias or "numbers", {"number": Sql("number", INTEGER)})

    def _stored(self, name: str, join: ast.JoinExpr, node: ast.Node) -> tuple[str, Source]:
        table = self.context.catalog.tables.get(name)
        if table is None:
            if reason := refused_table(name):
                raise self.context.unsupported(reason, node)
            close = difflib.get_close_matches(name, self.context.catalog.tables, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            known = ", ".join(sorted(self.context.catalog.tables))
            raise self.context.unresolved(f"Unknown table `{name}`.{hint} Tables here: {known}", node)
        if join.table_args is not None:
            raise self.context.error(f"{name} is a table, not a table function", node)
        alias = join.alias or name.replace(".", "__")
        source = StoredTable(alias, self.context.unique_name(alias), table, self.context.catalog)
        condition = self._sample(join, table.name)
        text = f"(SELECT * FROM {table.source} WHERE {condition})" if condition else table.source
        return text, source

    def _sample(self, join: ast.JoinExpr, table: str) -> str | None:
        """Return SAMPLE as a condition on the hash that PostHog samples by: the same rows, reference 2.9."""
        sample = join.sample
        if sample is None:
            return None
        if table != "events":
            raise self.context.unsupported(f"SAMPLE can only be used on events, not on {table}", sample)
        share = self._ratio(sample.sample_value)
        offset = self._ratio(sample.offset_value) if sample.offset_value else Fraction(0)
        if not 0 < share <= 1:
            raise self.context.error("SAMPLE takes a share above 0 and up to 1, for example SAMPLE 0.1", sample)
        low, high = int(offset * 2**64), int((offset + share) * 2**64)
        conditions = []
        if low > 0:
            conditions.append(f"greaterOrEquals(cityHash64(distinct_id), {low})")
        if high < 2**64:
            conditions.append(f"less(cityHash64(distinct_id), {high})")
        return " AND ".join(conditions) or None

    def _ratio(self, ratio: ast.RatioExpr | ast.Constant) -> Fraction:
        # a bound `{share}` stands in the place of the ratio itself
        constants = (ratio,) if isinstance(ratio, ast.Constant) else (ratio.left, ratio.right)
        values = [part.value for part in constants if isinstance(part, ast.Constant)]
        if not values or any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
            raise self.context.error("SAMPLE takes numbers", ratio)
        # through text, so that 0.1 is a tenth and not the nearest binary fraction
        parts = [Fraction(repr(value)) for value in values]
        return parts[0] / parts[1] if len(parts) == 2 else parts[0]
