"""A syntax tree back to HogQL text.

Two prints. `print_hogql` gives text that parses to the same tree: it writes operators with parentheses wherever they
could be read otherwise. `print_column_name` gives the name PostHog's results show for a column without an alias: every
operator as a call. Source: posthog/hogql/printer/base.py for the second; the parser itself judges the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from posthog_events.hogql import ast
from posthog_events.hogql.quoting import identifier, string

__all__ = ["print_column_name", "print_hogql"]

_COMPARISONS = {
    "==": "=",
    "!=": "!=",
    "in cohort": "IN COHORT",
    "not in cohort": "NOT IN COHORT",
}
_CALLS = {
    "==": "equals",
    "!=": "notEquals",
    "<": "less",
    "<=": "lessOrEquals",
    ">": "greater",
    ">=": "greaterOrEquals",
    "like": "like",
    "not like": "notLike",
    "ilike": "ilike",
    "not ilike": "notILike",
    "in": "in",
    "not in": "notIn",
    "+": "plus",
    "-": "minus",
    "*": "multiply",
    "/": "divide",
    "%": "modulo",
}


# How tightly each kind of expression binds, by the order of alternatives in PostHog's grammar (HogQLParser.g4).
_ATOM, _ACCESS, _UNARY, _MULTIPLY, _ADD, _COMPARE, _IS_NULL, _NOT, _AND, _OR, _LOOSE = range(20, 9, -1)
_LEVELS: Mapping[type[ast.Node], int] = {
    **dict.fromkeys((ast.Field, ast.Placeholder, ast.Array, ast.Tuple, ast.Call, ast.Dict, ast.ColumnsExpr), _ATOM),
    **dict.fromkeys((ast.TypeCast, ast.TryCast, ast.PositionalRef, ast.SelectQuery, ast.SelectSetQuery), _ATOM),
    **dict.fromkeys((ast.ArrayAccess, ast.ArraySlice, ast.TupleAccess), _ACCESS),
    ast.Not: _NOT,
    ast.And: _AND,
    ast.Or: _OR,
}


def _level(node: ast.Node) -> int:
    if isinstance(node, ast.Constant):
        return _UNARY if _literal(node.value)[:1] == "-" else _ATOM
    if isinstance(node, ast.ArithmeticOperation):
        return _ADD if node.op in "+-" else _MULTIPLY
    if isinstance(node, ast.CompareOperation):
        return _IS_NULL if node.is_null_comparison_style else _COMPARE
    return _LEVELS.get(type(node), _LOOSE)


def print_hogql(node: ast.Node) -> str:
    """Return HogQL text that parses to an equal tree."""
    printer = _Printer(calls=False)
    if isinstance(node, ast.SelectQuery | ast.SelectSetQuery):
        return _Query(printer).query(node)
    return printer.print(node)


def print_column_name(node: ast.Node) -> str:
    """Return the name of a result column: `count()`, `equals(event, 'x')`, `multiply(2, plus(a, 1))`."""
    return _Printer(calls=True).print(node)


class _Printer:
    """Args:
    calls: Write operators as function calls.
    """

    def __init__(self, *, calls: bool) -> None:
        self.calls = calls

    def print(self, node: ast.Node) -> str:
        method: Callable[[Any], str] = getattr(self, f"_{type(node).__name__}")
        return method(node)

    def _all(self, nodes: Iterable[ast.Node] | None) -> str:
        return ", ".join(self.print(node) for node in nodes or ())

    def _operand(self, node: ast.Node, level: int = _ATOM) -> str:
        """Return an operand, in parentheses if it binds less tightly than `level`."""
        text = self.print(node)
        return text if self.calls or _level(node) >= level else f"({text})"

    # -- values -----------------------------------------------------------------------------------------------

    def _Constant(self, node: ast.Constant) -> str:
        return _literal(node.value)

    def _Field(self, node: ast.Field) -> str:
        first, *rest = node.chain
        text = str(first) if first == "*" else identifier(str(first))
        for part in rest:
            text += f".{part}" if part == "*" or isinstance(part, int) else f".{identifier(part)}"
        return text

    def _Placeholder(self, node: ast.Placeholder) -> str:
        return f"{{{self.print(node.expr)}}}"

    def _PositionalRef(self, node: ast.PositionalRef) -> str:
        return f"#{node.index}"

    def _Tuple(self, node: ast.Tuple) -> str:
        return f"tuple({self._all(node.exprs)})" if self.calls or len(node.exprs) < 2 else f"({self._all(node.exprs)})"

    def _Array(self, node: ast.Array) -> str:
        return f"[{self._all(node.exprs)}]"

    def _Dict(self, node: ast.Dict) -> str:
        items = ", ".join(f"{self.print(key)}: {self.print(value)}" for key, value in node.items)
        return f"{{{items}}}"

    def _Lambda(self, node: ast.Lambda) -> str:
        names = ", ".join(identifier(name) for name in node.args)
        return f"({names}) -> {self.print(node.expr)}"

    # -- operators --------------------------------------------------------------------------------------------

    def _Alias(self, node: ast.Alias) -> str:
        if self.calls:
            return self.print(node.expr)
        return f"{self._operand(node.expr)} AS {identifier(node.alias)}"

    def _joined(self, word: str, nodes: Iterable[ast.Expr], level: int) -> str:
        if self.calls:
            return f"{word.lower()}({self._all(nodes)})"
        # the parser flattens a chain of one operator, so an operand of the same level keeps its parentheses
        return f" {word} ".join(self._operand(node, level + 1) for node in nodes)

    def _And(self, node: ast.And) -> str:
        return self._joined("AND", node.exprs, _AND)

    def _Or(self, node: ast.Or) -> str:
        return self._joined("OR", node.exprs, _OR)

    def _Not(self, node: ast.Not) -> str:
        return f"not({self.print(node.expr)})" if self.calls else f"NOT {self._operand(node.expr, _NOT)}"

    def _infix(self, op: str, left: ast.Expr, right: ast.Expr, level: int) -> str:
        """Operators of one level associate to the left."""
        return f"{self._operand(left, level)} {op} {self._operand(right, level + 1)}"

    def _ArithmeticOperation(self, node: ast.ArithmeticOperation) -> str:
        if self.calls:
            return f"{_CALLS[node.op]}({self.print(node.left)}, {self.print(node.right)})"
        return self._infix(node.op, node.left, node.right, _level(node))

    def _CompareOperation(self, node: ast.CompareOperation) -> str:
        null = isinstance(node.right, ast.Constant) and node.right.value is None
        if self.calls:
            return self._comparison_call(node)
        if node.is_null_comparison_style and null:
            return f"{self._operand(node.left, _IS_NULL)} IS {'NOT ' if node.op == '!=' else ''}NULL"
        return self._infix(_COMPARISONS.get(node.op, node.op.upper()), node.left, node.right, _COMPARE)

    def _comparison_call(self, node: ast.CompareOperation) -> str:
        left, right = self.print(node.left), self.print(node.right)
        if node.op in _CALLS:
            return f"{_CALLS[node.op]}({left}, {right})"
        if "cohort" in node.op:
            return f"{'notInCohort' if node.op.startswith('not') else 'inCohort'}({left}, {right})"
        pattern = f"concat('(?i)', {right})" if node.op.endswith("*") else right
        call = f"match({left}, {pattern})"
        return f"not({call})" if node.op.startswith("!") else call

    def _BetweenExpr(self, node: ast.BetweenExpr) -> str:
        word = "NOT BETWEEN" if node.negated else "BETWEEN"
        text = f"{self._operand(node.expr)} {word} {self._operand(node.low)} AND {self._operand(node.high)}"
        return f"({text})" if self.calls else text

    def _IsDistinctFrom(self, node: ast.IsDistinctFrom) -> str:
        words = "IS NOT DISTINCT FROM" if node.negated else "IS DISTINCT FROM"
        return f"{self._operand(node.left)} {words} {self._operand(node.right)}"

    def _TypeCast(self, node: ast.TypeCast) -> str:
        return f"CAST({self.print(node.expr)} AS {node.type_name})"

    def _TryCast(self, node: ast.TryCast) -> str:
        return f"TRY_CAST({self.print(node.expr)} AS {node.type_name})"

    def _ArrayAccess(self, node: ast.ArrayAccess) -> str:
        return f"{self._operand(node.array, _ACCESS)}{'?.' if node.nullish else ''}[{self.print(node.property)}]"

    def _ArraySlice(self, node: ast.ArraySlice) -> str:
        start = self.print(node.start_expr) if node.start_expr else ""
        end = self.print(node.end_expr) if node.end_expr else ""
        return f"{self._operand(node.array, _ACCESS)}[{start}:{end}]"

    def _TupleAccess(self, node: ast.TupleAccess) -> str:
        return f"{self._operand(node.tuple, _ACCESS)}{'?' if node.nullish else ''}.{node.index}"

    # -- calls ------------------------------------------------------------------------------------------------

    def _Call(self, node: ast.Call) -> str:
        params = f"({self._all(node.params)})" if node.params is not None else ""
        distinct = "DISTINCT " if node.distinct else ""
        inner = self._all(node.args)
        if node.order_by:
            inner += f" ORDER BY {self._all(node.order_by)}"
        text = f"{node.name}{params}({distinct}{inner})"
        if node.within_group:
            text += f" WITHIN GROUP (ORDER BY {self._all(node.within_group)})"
        if node.filter_expr is not None:
            text += f" FILTER (WHERE {self.print(node.filter_expr)})"
        return text

    def _ExprCall(self, node: ast.ExprCall) -> str:
        return f"{self._operand(node.expr)}({self._all(node.args)})"

    def _NamedArgument(self, node: ast.NamedArgument) -> str:
        return f"{identifier(node.name)} := {self.print(node.value)}"

    def _SpreadExpr(self, node: ast.SpreadExpr) -> str:
        return f"*{self.print(node.expr)}"

    def _ColumnsExpr(self, node: ast.ColumnsExpr) -> str:
        if node.regex is not None:
            return f"COLUMNS({string(node.regex)})"
        if node.all_columns:
            excluded = ", ".join(identifier(name) for name in node.exclude or ())
            return f"* EXCLUDE ({excluded})" if excluded else "*"
        return f"COLUMNS({self._all(node.columns)})"

    def _WindowFunction(self, node: ast.WindowFunction) -> str:
        arguments = f"({self._all(node.exprs)})" + (f"({self._all(node.args)})" if node.args else "")
        if node.over_identifier is not None:
            return f"{node.name}{arguments} OVER {identifier(node.over_identifier)}"
        window = self._WindowExpr(node.over_expr) if node.over_expr else ""
        return f"{node.name}{arguments} OVER ({window})"

    def _WindowExpr(self, node: ast.WindowExpr) -> str:
        parts = []
        if node.partition_by:
            parts.append(f"PARTITION BY {self._all(node.partition_by)}")
        if node.order_by:
            parts.append(f"ORDER BY {self._all(node.order_by)}")
        if node.frame_method and node.frame_start:
            start = self._WindowFrameExpr(node.frame_start)
            if node.frame_end:
                parts.append(f"{node.frame_method} BETWEEN {start} AND {self._WindowFrameExpr(node.frame_end)}")
            else:
                parts.append(f"{node.frame_method} {start}")
        return " ".join(parts)

    def _WindowFrameExpr(self, node: ast.WindowFrameExpr) -> str:
        if node.frame_type == "CURRENT ROW":
            return "CURRENT ROW"
        return f"{'UNBOUNDED' if node.frame_value is None else node.frame_value} {node.frame_type}"

    def _HogQLXTag(self, node: ast.HogQLXTag) -> str:
        attributes = "".join(
            f" {attribute.name}={{{self._attribute(attribute.value)}}}" for attribute in node.attributes
        )
        return f"<{node.kind}{attributes} />"

    def _attribute(self, value: Any) -> str:
        if isinstance(value, ast.Node):
            return self.print(value)
        if isinstance(value, tuple):
            return f"[{', '.join(self._attribute(item) for item in value)}]"
        return _literal(value)

    # -- queries ----------------------------------------------------------------------------------------------

    def _SelectQuery(self, node: ast.SelectQuery) -> str:
        return f"({_Query(self).select(node)})"

    def _SelectSetQuery(self, node: ast.SelectSetQuery) -> str:
        return f"({_Query(self).select_set(node)})"

    def _OrderExpr(self, node: ast.OrderExpr) -> str:
        text = f"{self._operand(node.expr)} {node.order}"
        fill = node.with_fill
        if fill is None:
            return text
        bounds = (("FROM", fill.from_value), ("TO", fill.to_value), ("STEP", fill.step_value))
        return f"{text} WITH FILL" + "".join(f" {word} {self._operand(bound)}" for word, bound in bounds if bound)

    def _InterpolateExpr(self, node: ast.InterpolateExpr) -> str:
        return self.print(node.expr) + (f" AS {self._operand(node.value)}" if node.value is not None else "")

    def _GroupingSet(self, node: ast.GroupingSet) -> str:
        return f"({self._all(node.exprs)})"


class _Query:
    """Prints SELECTs, whose parentheses are the business of what stands around them."""

    def __init__(self, printer: _Printer) -> None:
        self._printer = printer
        self._print = printer.print
        self._all = printer._all

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
        if node.window_exprs:
            windows = (f"{identifier(n)} AS ({self._print(w)})" for n, w in _items(node.window_exprs))
            parts.append(f"WINDOW {', '.join(windows)}")
        if node.qualify is not None:
            parts.append(f"QUALIFY {self._print(node.qualify)}")
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
            parts.append(f"INTERPOLATE ({self._all(node.interpolate)})")
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

    def _operand(self, node: ast.Node) -> str:
        return self._printer._operand(node)

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

    def _branch(self, node: ast.SelectQuery | ast.SelectSetQuery) -> str:
        """Parentheses keep each branch's tail its own."""
        return f"({self.query(node)})"

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
        return f"{self._print(node.table)} PIVOT ({self._all(node.aggregates)} FOR {columns}{group_by})"

    def _unpivot(self, node: ast.UnpivotExpr) -> str:
        columns = " ".join(
            f"{self._print(column.value_columns)} FOR {self._print(column.name_columns)} "
            f"IN ({self._all(column.unpivot_values)})"
            for column in node.columns
        )
        nulls = " INCLUDE NULLS" if node.include_nulls else ""
        return f"{self._print(node.table)} UNPIVOT{nulls} ({columns})"

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

    def _ratio(self, ratio: ast.RatioExpr) -> str:
        left = self._print(ratio.left)
        return f"{left} / {self._print(ratio.right)}" if ratio.right is not None else left


def _items(windows: Mapping[str, ast.WindowExpr]) -> Iterable[tuple[str, ast.WindowExpr]]:
    return windows.items()


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return string(value)
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return repr(value) if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, datetime):
        return f"toDateTime64('{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"
    if isinstance(value, date):
        return f"toDate('{value.isoformat()}')"
    return str(value)
