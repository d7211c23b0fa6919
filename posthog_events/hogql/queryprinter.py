"""SELECTs, joins and set queries as HogQL text; what stands inside their clauses is printed by `printer`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from posthog_events.hogql import ast
from posthog_events.hogql.quoting import identifier

__all__ = ["Expressions", "QueryPrinter"]


class Expressions(Protocol):
    """What prints the expressions of a query."""

    def print(self, node: ast.Node) -> str: ...

    def all(self, nodes: Iterable[ast.Node] | None) -> str:
        """Return the nodes with commas between them."""

    def operand(self, node: ast.Node) -> str:
        """Return the node, in parentheses unless it needs none anywhere."""


class QueryPrinter:
    """Prints queries without parentheses around them: those are the business of what stands around them."""

    def __init__(self, expressions: Expressions) -> None:
        self._print = expressions.print
        self._all = expressions.all
        self._operand = expressions.operand

    def select(self, node: ast.SelectQuery) -> str:
        parts = []
        if node.ctes:
            recursive = "RECURSIVE " if any(cte.recursive for cte in node.ctes) else ""
            parts.append(f"WITH {recursive}{', '.join(self._cte(cte) for cte in node.ctes)}")
        parts.append(f"SELECT {'DISTINCT ' if node.distinct else ''}{self._all(node.select)}")
        if node.select_from:
            parts.append(f"FROM {self._join(node.select_from)}")
        if node.array_join_list:
            parts.append(f"{node.array_join_op} {self._all(node.array_join_list)}")
        for word, clause in (("PREWHERE", node.prewhere), ("WHERE", node.where)):
            if clause is not None:
                parts.append(f"{word} {self._print(clause)}")
        parts += self._group_by(node)
        if node.having is not None:
            parts.append(f"HAVING {self._print(node.having)}")
        if node.qualify is not None:
            parts.append(f"QUALIFY {self._print(node.qualify)}")
        if node.window_exprs:
            windows = (f"{identifier(n)} AS ({self._print(w)})" for n, w in node.window_exprs.items())
            parts.append(f"WINDOW {', '.join(windows)}")
        parts += self._tail(node)
        return " ".join(parts)

    def _group_by(self, node: ast.SelectQuery) -> list[str]:
        if node.group_by_mode == "all":
            return ["GROUP BY ALL"]
        if not node.group_by:
            return []
        terms = self._all(node.group_by)
        mode = {"grouping_sets": "GROUPING SETS", "rollup": "ROLLUP", "cube": "CUBE"}.get(node.group_by_mode or "")
        return [f"GROUP BY {mode} ({terms})" if mode else f"GROUP BY {terms}"]

    def _tail(self, node: ast.SelectQuery) -> list[str]:
        parts = []
        if node.order_by:
            parts.append(f"ORDER BY {self._all(node.order_by)}")
        if node.interpolate is not None:
            columns = self._all(node.interpolate)
            parts.append(f"INTERPOLATE ({columns})" if columns else "INTERPOLATE")
        if node.limit_by:
            skipped = node.limit_by.offset_value
            offset = f" OFFSET {self._print(skipped)}" if skipped is not None else ""
            parts.append(f"LIMIT {self._print(node.limit_by.n)}{offset} BY {self._all(node.limit_by.exprs)}")
        if node.limit is not None:
            percent, ties = " %" if node.limit_percent else "", " WITH TIES" if node.limit_with_ties else ""
            parts.append(f"LIMIT {self._operand(node.limit)}{percent}{ties}")
        if node.offset is not None:
            parts.append(f"OFFSET {self._operand(node.offset)}")
        return parts

    def _cte(self, cte: ast.CTE) -> str:
        if cte.cte_type == "column":
            return f"{self._operand(cte.expr)} AS {identifier(cte.name)}"
        columns = f" ({', '.join(identifier(name) for name in cte.columns)})" if cte.columns else ""
        key = f" USING KEY ({', '.join(identifier(str(name)) for name in cte.using_key)})" if cte.using_key else ""
        hint = {None: "", True: "MATERIALIZED ", False: "NOT MATERIALIZED "}[cte.materialized]
        return f"{identifier(cte.name)}{columns}{key} AS {hint}({self.query(cte.expr)})"

    def query(self, node: ast.Node) -> str:
        """Return a query without parentheses."""
        if isinstance(node, ast.SelectQuery):
            return self.select(node)
        return self.select_set(node) if isinstance(node, ast.SelectSetQuery) else self._print(node)

    def select_set(self, node: ast.SelectSetQuery) -> str:
        text = self._branch(node.initial_select_query)
        for branch in node.subsequent_select_queries:
            text += f" {branch.set_operator} {self._branch(branch.select_query)}"
        if node.limit is not None:
            text += f" LIMIT {self._operand(node.limit)}"
        if node.offset is not None:
            text += f" OFFSET {self._operand(node.offset)}"
        return text

    def _branch(self, node: ast.SelectQuery | ast.SelectSetQuery | ast.Placeholder) -> str:
        """Parentheses keep each branch's tail its own; a placeholder takes none."""
        return self._print(node) if isinstance(node, ast.Placeholder) else f"({self.query(node)})"

    def _join(self, join: ast.JoinExpr) -> str:
        parts = [self._table(join)]
        following = join.next_join
        while following is not None:
            parts.append(f"{following.join_type or 'JOIN'} {self._table(following)}")
            following = following.next_join
        return " ".join(parts)

    def _pivot(self, node: ast.PivotExpr) -> str:
        columns = " ".join(f"{self._print(column.column)} IN ({self._all(column.values)})" for column in node.columns)
        group_by = f" GROUP BY {self._all(node.group_by)}" if node.group_by else ""
        return f"{self._source(node.table)} PIVOT ({self._all(node.aggregates)} FOR {columns}{group_by})"

    def _source(self, table: ast.Node) -> str:
        return self._join(table) if isinstance(table, ast.JoinExpr) else self._print(table)

    def _unpivot(self, node: ast.UnpivotExpr) -> str:
        columns = " ".join(
            f"{self._print(column.value_columns)} FOR {self._print(column.name_columns)} "
            f"IN ({self._all(column.unpivot_values)})"
            for column in node.columns
        )
        nulls = " INCLUDE NULLS" if node.include_nulls else ""
        return f"{self._source(node.table)} UNPIVOT{nulls} ({columns})"

    def _table(self, join: ast.JoinExpr) -> str:
        table = join.table
        if isinstance(table, ast.SelectQuery | ast.SelectSetQuery):
            text = f"({self.query(table)})"
        elif isinstance(table, ast.ValuesQuery):
            rows = ", ".join(f"({', '.join(self._print(value) for value in row)})" for row in table.rows)
            text = f"(VALUES {rows})"
        elif isinstance(table, ast.PivotExpr):
            text = self._pivot(table)
        elif isinstance(table, ast.UnpivotExpr):
            text = self._unpivot(table)
        elif isinstance(table, ast.Field):
            # a table may be called `*`, which elsewhere means every column
            text = ".".join("`*`" if part == "*" else identifier(str(part)) for part in table.chain)
        else:
            assert table is not None
            text = self._print(table)
        if join.table_args is not None:
            text += f"({self._all(join.table_args)})"
        if join.alias:
            text += f" AS {identifier(join.alias)}"
            if join.column_aliases:
                text += f" ({', '.join(identifier(name) for name in join.column_aliases)})"
        if join.table_final:
            text += " FINAL"
        if join.sample:
            text += f" SAMPLE {self._ratio(join.sample.sample_value)}"
            if join.sample.offset_value:
                text += f" OFFSET {self._ratio(join.sample.offset_value)}"
        if join.constraint:
            expr = join.constraint.expr
            if join.constraint.constraint_type == "USING":
                names = expr.exprs if isinstance(expr, ast.Tuple) else (expr,)
                text += f" USING ({self._all(names)})"
            else:
                text += f" ON {self._print(expr)}"
        return text

    def _ratio(self, ratio: ast.RatioExpr | ast.Placeholder) -> str:
        if isinstance(ratio, ast.Placeholder):
            return self._print(ratio)
        left = self._print(ratio.left)
        return f"{left} / {self._print(ratio.right)}" if ratio.right is not None else left
