"""SELECT and set queries: clauses in PostHog's order of resolution, printed as ClickHouse SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from posthog_events.clickhouse.compiler.context import Context
from posthog_events.clickhouse.compiler.expressions import Expressions
from posthog_events.clickhouse.compiler.from_clause import FromClause
from posthog_events.clickhouse.compiler.scope import Cte, Scope, check_identifier
from posthog_events.clickhouse.compiler.value import Sql
from posthog_events.clickhouse.compiler.windows import window_text
from posthog_events.clickhouse.quoting import identifier
from posthog_events.clickhouse.sqltype import INTEGER, TUPLE, common_type
from posthog_events.hogql import ast
from posthog_events.hogql.printer import print_column_name

__all__ = ["CompiledSelect", "SubqueryCompiler", "share_ctes"]

_SET_OPERATORS = {
    "UNION ALL",
    "UNION DISTINCT",
    "INTERSECT",
    "INTERSECT DISTINCT",
    "EXCEPT",
    "EXCEPT DISTINCT",
}


@dataclass(frozen=True, slots=True)
class CompiledSelect:
    """SQL of a SELECT or set query, and the columns that it gives."""

    sql: str
    columns: Mapping[str, Sql]


class SubqueryCompiler:
    """Compiles queries at any depth; holds nothing but the context."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def query(self, node: ast.Node, ctes: Mapping[str, Cte]) -> CompiledSelect:
        """Compile a query that sees `ctes`."""
        if isinstance(node, ast.SelectQuery):
            return _Select(self, node, ctes).compile()
        if isinstance(node, ast.SelectSetQuery):
            return self._set_query(node, ctes)
        raise self.context.unsupported("Only a SELECT can stand here", node)

    def scalar(self, node: ast.SelectQuery | ast.SelectSetQuery, scope: Scope) -> Sql:
        """Compile a subquery that stands as a value, or at the right of IN."""
        compiled = self.query(node, scope.ctes)
        types = [column.type for column in compiled.columns.values()]
        # a scalar subquery without rows is NULL
        return Sql(f"({compiled.sql})", types[0].with_nullable(True) if len(types) == 1 else TUPLE)

    def in_cohort(self, expressions: Expressions, node: ast.CompareOperation) -> Sql:
        """Compile `x IN COHORT id-or-name` from the membership tables. Source: posthog/hogql/functions/cohort.py."""
        catalog = self.context.catalog
        value = node.right.value if isinstance(node.right, ast.Constant) else None
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise self.context.error("IN COHORT needs the id or the name of a cohort, as a constant", node.right)
        cohort = catalog.cohorts.get(value) if isinstance(value, str) else value
        tables = [catalog.tables[name] for name in ("cohort_people", "static_cohort_people") if name in catalog.tables]
        if cohort is None or not tables:
            raise self.context.unsupported(
                f"Cohort {value!r} is not in this store; import its members with: posthog-events local import "
                "FILE --table cohort_people (columns cohort_id and person_id)",
                node.right,
            )
        members = " UNION ALL ".join(
            f"SELECT person_id FROM {table.source} WHERE equals(cohort_id, {cohort})" for table in tables
        )
        function = "notIn" if node.op.startswith("not") else "in"
        return Sql(f"{function}({expressions.compile(node.left).text}, ({members}))", INTEGER)

    def _set_query(self, node: ast.SelectSetQuery, ctes: Mapping[str, Cte]) -> CompiledSelect:
        node = share_ctes(node)
        branches = [self.query(node.initial_select_query, ctes)]
        text = f"({branches[0].sql})"
        for branch in node.subsequent_select_queries:
            if branch.set_operator not in _SET_OPERATORS:
                raise self.context.unsupported(f"{branch.set_operator} is not supported", branch)
            compiled = self.query(branch.select_query, ctes)
            if len(compiled.columns) != len(branches[0].columns):
                raise self.context.error(
                    f"The branches of {branch.set_operator} have {len(branches[0].columns)} and "
                    f"{len(compiled.columns)} columns",
                    branch.select_query,
                )
            branches.append(compiled)
            text = f"{text} {branch.set_operator} ({compiled.sql})"
        columns = {
            name: Sql(
                identifier(name),
                common_type([column.type for column in position]),
                json=position[0].json if all(column.json for column in position) else None,
            )
            for name, position in zip(
                branches[0].columns, zip(*(branch.columns.values() for branch in branches), strict=True), strict=True
            )
        }
        if node.limit is not None or node.offset is not None:
            expressions = Expressions(Scope(self.context, dict(ctes)), self)
            text = f"SELECT * FROM ({text})"
            if node.limit is not None:
                text += f" LIMIT {expressions.compile(node.limit).text}"
            if node.offset is not None:
                text += f" OFFSET {expressions.compile(node.offset).text}"
        return CompiledSelect(text, columns)


def share_ctes(node: ast.SelectSetQuery) -> ast.SelectSetQuery:
    """Return `node` with the WITH of its first branch in every branch: all of them may use it."""
    first = node.initial_select_query
    if not isinstance(first, ast.SelectQuery) or not first.ctes:
        return node
    branches = tuple(
        replace(branch, select_query=_with_ctes(first.ctes, branch.select_query))
        for branch in node.subsequent_select_queries
    )
    return replace(node, subsequent_select_queries=branches)


def _with_ctes(
    ctes: tuple[ast.CTE, ...], node: ast.SelectQuery | ast.SelectSetQuery
) -> ast.SelectQuery | ast.SelectSetQuery:
    if isinstance(node, ast.SelectSetQuery):
        return replace(node, initial_select_query=_with_ctes(ctes, node.initial_select_query))
    if not isinstance(node, ast.SelectQuery):
        return node  # a value bound where a query should stand; refused when it is compiled
    own = {cte.name for cte in node.ctes or ()}
    return replace(node, ctes=(*(cte for cte in ctes if cte.name not in own), *(node.ctes or ())))


class _Select:
    """One SELECT."""

    def __init__(self, subqueries: SubqueryCompiler, node: ast.SelectQuery, ctes: Mapping[str, Cte]) -> None:
        self.subqueries = subqueries
        self.context = subqueries.context
        self.node = node
        self.scope = Scope(self.context, dict(ctes), windows=node.window_exprs or {})
        self.expressions = Expressions(self.scope, subqueries)
        self._with: list[str] = []
        self.tables = FromClause(self.expressions)

    def compile(self) -> CompiledSelect:
        node, expressions = self.node, self.expressions
        self._check_supported()
        self._compile_ctes()
        self.tables.compile(node.select_from)
        array_join = self._compile_array_join()
        columns = self._compile_columns()
        where = [expressions.compile(clause) for clause in (node.where, node.prewhere) if clause is not None]
        # PREWHERE is an instruction to a MergeTree table: as a condition it means WHERE
        conditions = [clause.text for clause in where if clause.constant != 1]
        parts = []
        if self._with:
            parts.append(f"WITH {', '.join(self._with)}")
        select_list = ", ".join(f"{value.text} AS {identifier(name)}" for name, value in columns)
        having = expressions.compile(node.having) if node.having else None
        group_by = self._group_by()
        qualify = expressions.compile(node.qualify) if node.qualify else None
        windows = self._windows()
        tail = list(self._tail(columns))
        parts.append(f"SELECT {'DISTINCT ' if node.distinct else ''}{select_list}")
        parts += self.tables.clauses()
        parts += array_join
        if conditions:
            joined = ", ".join(conditions)
            parts.append(f"WHERE {joined}" if len(conditions) == 1 else f"WHERE and({joined})")
        parts += group_by
        if having:
            parts.append(f"HAVING {having.text}")
        parts += windows
        if qualify:
            parts.append(f"QUALIFY {qualify.text}")
        parts += tail
        return CompiledSelect(" ".join(parts), dict(columns))

    def _check_supported(self) -> None:
        node = self.node
        if node.limit_percent:
            raise self.context.unsupported("LIMIT in percent is not supported", node.limit or node)

    # -- WITH -------------------------------------------------------------------------------------------------

    def _compile_ctes(self) -> None:
        for cte in self.node.ctes or ():
            check_identifier(cte.name, self.context, cte)
            if cte.cte_type == "column":
                assert isinstance(cte.expr, ast.Expr)
                self.scope.ctes[cte.name] = Cte(expr=cte.expr)
                continue
            for refused, what in (
                (cte.recursive, "WITH RECURSIVE"),
                (cte.columns, "A column list behind a WITH name"),
                (cte.using_key, "USING KEY"),
                (cte.materialized is False, "NOT MATERIALIZED"),
            ):
                if refused:
                    raise self.context.unsupported(f"{what} is not supported", cte)
            compiled = self.subqueries.query(cte.expr, self.scope.ctes)
            materialized = "MATERIALIZED " if cte.materialized else ""
            self._with.append(f"{identifier(cte.name)} AS {materialized}({compiled.sql})")
            self.scope.ctes[cte.name] = Cte(columns=compiled.columns)

    def _compile_array_join(self) -> list[str]:
        items = []
        for item in self.node.array_join_list or ():
            if not isinstance(item, ast.Alias):
                raise self.context.error("ARRAY JOIN arrays must have an alias", item)
            value = self.expressions.compile(item.expr)
            element = value.type.item or common_type([])
            self.scope.add_alias(item.alias, Sql("", element), item)
            items.append(f"{value.text} AS {identifier(item.alias)}")
        return [f"{self.node.array_join_op or 'ARRAY JOIN'} {', '.join(items)}"] if items else []

    # -- SELECT list ------------------------------------------------------------------------------------------

    def _compile_columns(self) -> list[tuple[str, Sql]]:
        columns: list[tuple[str, Sql]] = []
        seen: set[str] = set()
        for item in self.node.select:
            for name, value in self._column(item):
                if name in seen:
                    raise self.context.error(
                        f"Two columns are both called {name!r}; give one of them an alias with AS", item
                    )
                seen.add(name)
                columns.append((name, value))
        return columns

    def _column(self, item: ast.Expr) -> Iterator[tuple[str, Sql]]:
        if isinstance(item, ast.Field) and item.chain[-1] == "*":
            yield from self.scope.asterisk(item)
        elif isinstance(item, ast.ColumnsExpr):
            yield from self._columns_expr(item)
        elif isinstance(item, ast.Alias):
            value = self.expressions.compile(item.expr)
            self.scope.add_alias(item.alias, value, item)
            yield item.alias, value
        else:
            value = self.expressions.compile(item)
            yield _output_name(item, value), value

    def _columns_expr(self, item: ast.ColumnsExpr) -> Iterator[tuple[str, Sql]]:
        if item.columns is not None:
            for column in item.columns:
                yield from self._column(column)
            return
        every = self.scope.asterisk(ast.Field(chain=("*",), span=item.span))
        excluded = set(item.exclude or ())
        try:
            pattern = re.compile(item.regex) if item.regex is not None else None
        except re.error as error:
            raise self.context.error(f"COLUMNS('...') needs a regular expression: {error}", item) from None
        for name, value in every:
            if name not in excluded and (pattern is None or pattern.search(name)):
                yield name, value

    # -- the rest ---------------------------------------------------------------------------------------------

    def _texts(self, nodes: Sequence[ast.Node]) -> str:
        return ", ".join(value.text for value in self.expressions.compile_all(nodes))

    def _group_by(self) -> list[str]:
        node = self.node
        mode = node.group_by_mode
        if mode == "all":
            return ["GROUP BY ALL"]
        if not node.group_by:
            return []
        if mode == "grouping_sets":
            sets = [f"({self._texts(part.exprs)})" for part in node.group_by if isinstance(part, ast.GroupingSet)]
            return [f"GROUP BY GROUPING SETS ({', '.join(sets)})"]
        terms = self._texts(node.group_by)
        return [f"GROUP BY {mode.upper()}({terms})" if mode else f"GROUP BY {terms}"]

    def _windows(self) -> list[str]:
        windows = [
            f"{identifier(name)} AS ({window_text(self.expressions, window)})"
            for name, window in (self.node.window_exprs or {}).items()
        ]
        return [f"WINDOW {', '.join(windows)}"] if windows else []

    def _tail(self, columns: Sequence[tuple[str, Sql]]) -> Iterator[str]:
        node = self.node
        if node.order_by:
            yield f"ORDER BY {', '.join(self._order(term) for term in node.order_by)}"
        if node.interpolate:
            # its expressions read the columns of the result, not those of the tables
            self.scope.aliases |= {name: Sql(identifier(name), value.type) for name, value in columns}
            items = [
                f"{self._interpolated(item)}{f' AS {self.expressions.compile(item.value).text}' if item.value else ''}"
                for item in node.interpolate
            ]
            yield f"INTERPOLATE ({', '.join(items)})"
        if node.limit_by:
            kept, skipped = node.limit_by.n, node.limit_by.offset_value
            offset = f" OFFSET {self.expressions.compile(skipped).text}" if skipped else ""
            yield f"LIMIT {self.expressions.compile(kept).text}{offset} BY {self._texts(node.limit_by.exprs)}"
        if node.limit is not None:
            yield f"LIMIT {self.expressions.compile(node.limit).text}{' WITH TIES' if node.limit_with_ties else ''}"
        if node.offset is not None:
            yield f"OFFSET {self.expressions.compile(node.offset).text}"

    def _order(self, term: ast.OrderExpr) -> str:
        text = f"{self.expressions.compile(term.expr).text} {term.order}"
        fill = term.with_fill
        if fill is None:
            return text
        bounds = (("FROM", fill.from_value), ("TO", fill.to_value), ("STEP", fill.step_value))
        return f"{text} WITH FILL" + "".join(
            f" {word} {self.expressions.compile(value).text}" for word, value in bounds if value is not None
        )

    def _interpolated(self, item: ast.InterpolateExpr) -> str:
        if isinstance(item.expr, ast.Field) and len(item.expr.chain) == 1:
            return identifier(str(item.expr.chain[0]))
        raise self.context.error("INTERPOLATE takes column names", item)


def _output_name(item: ast.Expr, value: Sql) -> str:
    """Return the name of a column without an alias. Source: reference 2.2."""
    if value.json is not None and value.json.path and isinstance(item, ast.Field | ast.ArrayAccess | ast.TupleAccess):
        return "__".join(str(key) for key in value.json.path)
    if isinstance(item, ast.Field):
        return str(item.chain[-1])
    return print_column_name(item)
