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
from uuid import UUID

from posthog_events.hogql import ast
from posthog_events.hogql.queryprinter import QueryPrinter
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

_QUERIES = (ast.SelectQuery, ast.SelectSetQuery)
# found by trying every keyword of the grammar before a parenthesis
_NOT_BEFORE_PARENTHESIS = frozenset(
    {"catch", "columns", "except", "finally", "fn", "fun", "inf", "infinity", "intersect", "let", "materialized", "nan"}
    | {"null", "throw", "try", "while", "within"}
)

# How tightly each kind of expression binds, by the order of alternatives in PostHog's grammar (HogQLParser.g4).
_ATOM, _ACCESS, _UNARY, _MULTIPLY, _ADD, _COMPARE, _IS_NULL, _BETWEEN, _NOT, _AND, _OR, _LOOSE = range(20, 8, -1)
_LEVELS: Mapping[type[ast.Node], int] = {
    **dict.fromkeys((ast.Field, ast.Placeholder, ast.Array, ast.Tuple, ast.Call, ast.Dict, ast.ColumnsExpr), _ATOM),
    **dict.fromkeys((ast.TypeCast, ast.TryCast, ast.PositionalRef, ast.SelectQuery, ast.SelectSetQuery), _ATOM),
    **dict.fromkeys((ast.ArrayAccess, ast.ArraySlice, ast.TupleAccess, ast.ExprCall), _ACCESS),
    # these need no parentheses after NOT, and must have none: `NOT (x)` is a call of not()
    **dict.fromkeys((ast.WindowFunction, ast.HogQLXTag), _UNARY),
    ast.IsDistinctFrom: _BETWEEN,
    ast.BetweenExpr: _BETWEEN,
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
    printer = _Printer()
    return QueryPrinter(printer).query(node) if isinstance(node, _QUERIES) else printer.print(node)


def print_column_name(node: ast.Node) -> str:
    """Return the name of a result column: `count()`, `equals(event, 'x')`, `multiply(2, plus(a, 1))`."""
    return _ColumnName().print(node)


class _Printer:
    """Prints expressions; one method per kind of node, named after it."""

    def name(self, name: str) -> str:
        """Return an identifier."""
        return identifier(name)

    def print(self, node: ast.Node) -> str:
        method: Callable[[Any], str] = getattr(self, f"_{type(node).__name__}")
        return method(node)

    def all(self, nodes: Iterable[ast.Node] | None) -> str:
        return ", ".join(self.print(node) for node in nodes or ())

    def operand(self, node: ast.Node, level: int = _ATOM) -> str:
        """Return an operand, in parentheses if it binds less tightly than `level`."""
        text = self.print(node)
        return text if _level(node) >= level else f"({text})"

    # -- values -----------------------------------------------------------------------------------------------

    def _Constant(self, node: ast.Constant) -> str:
        return _literal(node.value)

    def _Field(self, node: ast.Field) -> str:
        *path, last = node.chain
        names = [str(part) if isinstance(part, int) else self.name(part) for part in path]
        return ".".join([*names, str(last) if last == "*" or isinstance(last, int) else self.name(last)])

    def _Placeholder(self, node: ast.Placeholder) -> str:
        return f"{{{self.print(node.expr)}}}"

    def _PositionalRef(self, node: ast.PositionalRef) -> str:
        return f"#{node.index}"

    def _Tuple(self, node: ast.Tuple) -> str:
        return f"({self.all(node.exprs)},)" if len(node.exprs) == 1 else f"({self.all(node.exprs)})"

    def _Array(self, node: ast.Array) -> str:
        return f"[{self.all(node.exprs)}]"

    def _Dict(self, node: ast.Dict) -> str:
        items = ", ".join(f"{self.print(key)}: {self.print(value)}" for key, value in node.items)
        return f"{{{items}}}"

    def _Lambda(self, node: ast.Lambda) -> str:
        names = ", ".join(self.name(name) for name in node.args)
        return f"({names}) -> {self.print(node.expr)}"

    # -- operators --------------------------------------------------------------------------------------------

    def _Alias(self, node: ast.Alias) -> str:
        return f"{self.operand(node.expr)} AS {self.name(node.alias)}"

    def _joined(self, word: str, nodes: Iterable[ast.Expr], level: int) -> str:
        # the parser flattens a chain of one operator, so an operand of the same level keeps its parentheses
        return f" {word} ".join(self.operand(node, level + 1) for node in nodes)

    def _And(self, node: ast.And) -> str:
        return self._joined("AND", node.exprs, _AND)

    def _Or(self, node: ast.Or) -> str:
        return self._joined("OR", node.exprs, _OR)

    def _Not(self, node: ast.Not) -> str:
        if isinstance(node.expr, ast.Lambda) and len(node.expr.args) == 1:
            return f"NOT {self.name(node.expr.args[0])} -> {self.print(node.expr.expr)}"
        text = self.operand(node.expr, _NOT)
        return f"NOT {self._unwrapped(node.expr) if text.startswith('(') else text}"

    def _unwrapped(self, node: ast.Node) -> str:
        """Print without the parentheses at the very start, because `NOT (x)` is a call of not().

        They are not needed there: what the parser reads after NOT begins with them only for `NOT a IS NULL + b` and
        the like, where IS NULL ends by itself.
        """
        text = self.print(node)
        first = next((getattr(node, name) for name in ("left", "expr", "array", "tuple") if hasattr(node, name)), None)
        if first is None or not text.startswith("("):
            return text
        printed = self.print(first)
        return self._unwrapped(first) + text.removeprefix(
            f"({printed})" if text.startswith(f"({printed})") else printed
        )

    def _infix(self, op: str, left: ast.Expr, right: ast.Expr, level: int) -> str:
        """Operators of one level associate to the left."""
        return f"{self.operand(left, level)} {op} {self.operand(right, level + 1)}"

    def _ArithmeticOperation(self, node: ast.ArithmeticOperation) -> str:
        return self._infix(node.op, node.left, node.right, _level(node))

    def _CompareOperation(self, node: ast.CompareOperation) -> str:
        null = isinstance(node.right, ast.Constant) and node.right.value is None
        if node.is_null_comparison_style and null:
            return f"{self.operand(node.left, _IS_NULL)} IS {'NOT ' if node.op == '!=' else ''}NULL"
        return self._infix(_COMPARISONS.get(node.op, node.op.upper()), node.left, node.right, _COMPARE)

    def _BetweenExpr(self, node: ast.BetweenExpr) -> str:
        word = "NOT BETWEEN" if node.negated else "BETWEEN"
        return f"{self.operand(node.expr)} {word} {self.operand(node.low)} AND {self.operand(node.high)}"

    def _IsDistinctFrom(self, node: ast.IsDistinctFrom) -> str:
        words = "IS NOT DISTINCT FROM" if node.negated else "IS DISTINCT FROM"
        return f"{self.operand(node.left)} {words} {self.operand(node.right)}"

    def _TypeCast(self, node: ast.TypeCast) -> str:
        return f"CAST({self.print(node.expr)} AS {node.type_name})"

    def _TryCast(self, node: ast.TryCast) -> str:
        return f"TRY_CAST({self.print(node.expr)} AS {node.type_name})"

    def _ArrayAccess(self, node: ast.ArrayAccess) -> str:
        return f"{self.operand(node.array, _ACCESS)}{'?.' if node.nullish else ''}[{self.print(node.property)}]"

    def _ArraySlice(self, node: ast.ArraySlice) -> str:
        start = self.print(node.start_expr) if node.start_expr else ""
        end = self.print(node.end_expr) if node.end_expr else ""
        return f"{self.operand(node.array, _ACCESS)}[{start}:{end}]"

    def _TupleAccess(self, node: ast.TupleAccess) -> str:
        text = self.operand(node.tuple, _ACCESS)
        if isinstance(node.tuple, ast.Constant):
            text = f"({text})"  # 1.2 is a number
        return f"{text}{'?' if node.nullish else ''}.{node.index}"

    # -- calls ------------------------------------------------------------------------------------------------

    def _Call(self, node: ast.Call) -> str:
        name = self._function(node.name)
        params = f"({self.all(node.params)})" if node.params is not None else ""
        if node.within_group:
            return f"{name}{params} WITHIN GROUP (ORDER BY {self.all(node.within_group)})"
        inner = f"{'DISTINCT ' if node.distinct else ''}{self.all(node.args)}"
        if node.order_by:
            inner += f" ORDER BY {self.all(node.order_by)}"
        text = f"{name}{params}({inner})"
        return f"{text} FILTER (WHERE {self.print(node.filter_expr)})" if node.filter_expr is not None else text

    def _function(self, name: str) -> str:
        """Keywords such as `if` and `NOT` are names of functions too, so they stay as they are before a parenthesis."""
        return identifier(name, keywords=name.lower() in _NOT_BEFORE_PARENTHESIS)

    def _ExprCall(self, node: ast.ExprCall) -> str:
        text = self.operand(node.expr, _ACCESS)
        # name(...) and name(...)(...) are calls, without and with parameters
        plain_call = isinstance(node.expr, ast.Call) and node.expr.params is None
        if plain_call or (isinstance(node.expr, ast.Field) and len(node.expr.chain) == 1):
            text = f"({text})"
        return f"{text}({self.all(node.args)})"

    def _NamedArgument(self, node: ast.NamedArgument) -> str:
        return f"{self.name(node.name)} := {self.print(node.value)}"

    def _SpreadExpr(self, node: ast.SpreadExpr) -> str:
        return f"*{self.print(node.expr)}"

    def _ColumnsExpr(self, node: ast.ColumnsExpr) -> str:
        if node.regex is not None:
            return f"COLUMNS({string(node.regex)})"
        if node.all_columns:
            excluded = ", ".join(self.name(name) for name in node.exclude or ())
            return f"* EXCLUDE ({excluded})" if excluded else "*"
        return f"COLUMNS({self.all(node.columns)})"

    def _WindowFunction(self, node: ast.WindowFunction) -> str:
        arguments = f"({self.all(node.exprs)})" + (f"({self.all(node.args)})" if node.args else "")
        if node.over_identifier is not None:
            return f"{self._function(node.name)}{arguments} OVER {self.name(node.over_identifier)}"
        window = self._WindowExpr(node.over_expr) if node.over_expr else ""
        return f"{self._function(node.name)}{arguments} OVER ({window})"

    def _WindowExpr(self, node: ast.WindowExpr) -> str:
        parts = []
        if node.partition_by:
            parts.append(f"PARTITION BY {self.all(node.partition_by)}")
        if node.order_by:
            parts.append(f"ORDER BY {self.all(node.order_by)}")
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
        value = node.frame_value
        rows = "UNBOUNDED" if value is None else self.print(value) if isinstance(value, ast.Node) else str(value)
        return f"{rows} {node.frame_type}"

    def _HogQLXTag(self, node: ast.HogQLXTag) -> str:
        tag, inside = f"<{node.kind}", ""
        for attribute in node.attributes:
            if attribute.name == "children" and isinstance(attribute.value, tuple):
                for child in attribute.value:
                    text = self.print(child)
                    inside += text if isinstance(child, ast.HogQLXTag) else f"{{{text}}}"
            else:
                tag += f" {attribute.name}={{{self.print(attribute.value)}}}"
        return f"{tag}>{inside}</{node.kind}>" if inside else f"{tag} />"

    # -- queries ----------------------------------------------------------------------------------------------

    def _SelectQuery(self, node: ast.SelectQuery) -> str:
        return f"({QueryPrinter(self).select(node)})"

    def _SelectSetQuery(self, node: ast.SelectSetQuery) -> str:
        return f"({QueryPrinter(self).select_set(node)})"

    def _OrderExpr(self, node: ast.OrderExpr) -> str:
        text = f"{self.operand(node.expr)} {node.order}"
        fill = node.with_fill
        if fill is None:
            return text
        bounds = (("FROM", fill.from_value), ("TO", fill.to_value), ("STEP", fill.step_value))
        return f"{text} WITH FILL" + "".join(f" {word} {self.operand(bound)}" for word, bound in bounds if bound)

    def _InterpolateExpr(self, node: ast.InterpolateExpr) -> str:
        return self.print(node.expr) + (f" AS {self.operand(node.value)}" if node.value is not None else "")

    def _GroupingSet(self, node: ast.GroupingSet) -> str:
        return f"({self.all(node.exprs)})"


class _ColumnName(_Printer):
    """Prints every operator as a call, so hardly anything needs parentheses."""

    def name(self, name: str) -> str:
        return identifier(name, keywords=False)

    def operand(self, node: ast.Node, level: int = _ATOM) -> str:
        return self.print(node)

    def _Tuple(self, node: ast.Tuple) -> str:
        return f"tuple({self.all(node.exprs)})"

    def _Dict(self, node: ast.Dict) -> str:
        items = "".join(f", {self.print(key)}, {self.print(value)}" for key, value in node.items)
        return f"tuple('__hx_tag', '__hx_obj'{items})"

    def _Lambda(self, node: ast.Lambda) -> str:
        names = ", ".join(self.name(name) for name in node.args)
        return f"{names if len(node.args) == 1 else f'({names})'} -> {self.print(node.expr)}"

    def _Alias(self, node: ast.Alias) -> str:
        return self.print(node.expr)

    def _And(self, node: ast.And) -> str:
        return f"and({self.all(node.exprs)})"

    def _Or(self, node: ast.Or) -> str:
        return f"or({self.all(node.exprs)})"

    def _Not(self, node: ast.Not) -> str:
        return f"not({self.print(node.expr)})"

    def _ArithmeticOperation(self, node: ast.ArithmeticOperation) -> str:
        return f"{_CALLS[node.op]}({self.print(node.left)}, {self.print(node.right)})"

    def _CompareOperation(self, node: ast.CompareOperation) -> str:
        left, right = self.print(node.left), self.print(node.right)
        if node.op in _CALLS:
            return f"{_CALLS[node.op]}({left}, {right})"
        if node.op in _COMPARISONS:
            return f"{left} {_COMPARISONS[node.op]} {right}"
        pattern = f"concat('(?i)', {right})" if node.op.endswith("*") else right
        return f"not(match({left}, {pattern}))" if node.op.startswith("!") else f"match({left}, {pattern})"

    def _TupleAccess(self, node: ast.TupleAccess) -> str:
        text = self.print(node.tuple)
        if not isinstance(node.tuple, ast.Field | ast.Tuple | ast.Call):
            text = f"({text})"
        return f"{text}{'?' if node.nullish else ''}.{node.index}"


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
    if isinstance(value, UUID):
        return f"toUUID('{value}')"
    return str(value)
