"""Expressions: one method per node of the syntax tree, each returning SQL text with its type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from posthog_events.clickhouse.compiler import compare as comparison
from posthog_events.clickhouse.compiler.calls import Calls
from posthog_events.clickhouse.compiler.context import Context
from posthog_events.clickhouse.compiler.literals import arithmetic_type, constant
from posthog_events.clickhouse.compiler.properties import read_property
from posthog_events.clickhouse.compiler.scope import Scope
from posthog_events.clickhouse.compiler.value import FALSE, TRUE, Sql
from posthog_events.clickhouse.compiler.windows import window_call
from posthog_events.clickhouse.quoting import identifier, string
from posthog_events.clickhouse.sqltype import (
    BOOLEAN,
    DATE,
    DATETIME64,
    FLOAT,
    INTEGER,
    STRING,
    TUPLE,
    UNKNOWN,
    Kind,
    array_of,
    common_type,
)
from posthog_events.hogql import ast

if TYPE_CHECKING:
    from posthog_events.clickhouse.compiler.select import SubqueryCompiler

__all__ = ["Expressions"]

_ARITHMETIC = {"+": "plus", "-": "minus", "*": "multiply", "/": "divide", "%": "modulo"}
_VALUE_COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}
_NUMBERS = (Kind.INTEGER, Kind.FLOAT, Kind.DECIMAL, Kind.BOOLEAN)
# reference 2.6; `::bool` is printed as a function that ClickHouse does not have, mended here
_CASTS = {
    "int": "toInt64",
    "integer": "toInt64",
    "float": "toFloat64",
    "double": "toFloat64",
    "double precision": "toFloat64",
    "real": "toFloat64",
    "text": "toString",
    "varchar": "toString",
    "char": "toString",
    "string": "toString",
    "bool": "toBool",
    "boolean": "toBool",
    "date": "toDate",
    "datetime": "toDateTime",
    "timestamp": "toDateTime",
    "timestamptz": "toDateTime",
    "timestamp with time zone": "toDateTime",
}
_CAST_TYPES = {"toInt64": INTEGER, "toFloat64": FLOAT, "toString": STRING, "toBool": BOOLEAN, "toDate": DATE}


class Expressions:
    """Compiles expressions inside one scope."""

    def __init__(self, scope: Scope, subqueries: SubqueryCompiler) -> None:
        self.scope = scope
        self.context: Context = scope.context
        self.subqueries = subqueries
        self.bare_comparisons = False
        self.inside_aggregate: str | None = None
        self.calls = Calls(self)
        self._open_ctes: list[str] = []

    @property
    def timezone(self) -> str:
        return self.context.catalog.timezone

    def compile(self, node: ast.Node) -> Sql:
        """Return the SQL of an expression.

        Raises:
            HogQLError: The expression is not valid here.
        """
        method: Callable[[Any], Sql] | None = getattr(self, f"_{type(node).__name__}", None)
        if method is None:
            raise self.context.unsupported(
                f"{_NAMES.get(type(node).__name__, type(node).__name__)} cannot stand here", node
            )
        return method(node)

    def constant(self, value: Any) -> Sql:
        """Return a Python value as a literal."""
        return constant(value, self.timezone)

    def compile_all(self, nodes: Sequence[ast.Node]) -> list[Sql]:
        return [self.compile(node) for node in nodes]

    # -- values -----------------------------------------------------------------------------------------------

    def _Constant(self, node: ast.Constant) -> Sql:
        return self.constant(node.value)

    def _Tuple(self, node: ast.Tuple) -> Sql:
        items = self.compile_all(node.exprs)
        type_ = TUPLE.with_nullable(any(item.type.nullable for item in items))
        return Sql(f"tuple({', '.join(item.text for item in items)})", type_)

    def _Array(self, node: ast.Array) -> Sql:
        items = self.compile_all(node.exprs)
        type_ = array_of(common_type([item.type for item in items]) if items else UNKNOWN)
        return Sql(f"[{', '.join(item.text for item in items)}]", type_)

    def _Dict(self, node: ast.Dict) -> Sql:
        # an object is a tuple of keys and values behind a marker: posthog/hogql/printer/base.py
        parts = [string("__hx_obj")]
        for key, value in node.items:
            parts += [self.compile(key).text, self.compile(value).text]
        return Sql(f"tuple({', '.join(parts)})", TUPLE)

    def _Lambda(self, node: ast.Lambda) -> Sql:
        arguments = {name: Sql(self.context.unique_name(name), UNKNOWN) for name in node.args}
        self.scope.lambda_args.append(arguments)
        try:
            body = self.compile(node.expr)
        finally:
            self.scope.lambda_args.pop()
        return Sql(f"({', '.join(argument.text for argument in arguments.values())}) -> {body.text}", body.type)

    def _Placeholder(self, node: ast.Placeholder) -> Sql:
        raise self.context.unresolved("Unresolved placeholder: give it a value", node)

    # -- names ------------------------------------------------------------------------------------------------

    def _Alias(self, node: ast.Alias) -> Sql:
        value = self.compile(node.expr)
        self.scope.add_alias(node.alias, value, node)
        return replace(value, text=f"({value.text} AS {identifier(node.alias)})")

    def _Field(self, node: ast.Field) -> Sql:
        if node.chain[-1] == "*":
            raise self.context.error("'*' can only stand in the SELECT list, or write count()", node)
        resolved = self.scope.resolve(node)
        if resolved.column_cte is not None:
            value = self._column_cte(str(node.chain[0]), resolved.column_cte, node)
        else:
            assert resolved.value is not None
            value = resolved.value
        for key in resolved.rest:
            value = self._access(value, key, node)
        return value

    def _column_cte(self, name: str, expr: ast.Expr, node: ast.Node) -> Sql:
        if name in self._open_ctes:
            raise self.context.error(f"The WITH expression {name!r} refers to itself", node)
        self._open_ctes.append(name)
        try:
            value = self.compile(expr)
        finally:
            self._open_ctes.pop()
        return value

    def _access(self, value: Sql, key: str | int, node: ast.Node) -> Sql:
        """Continue a chain by one key: into JSON, or into a named tuple."""
        if value.json is not None:
            if key == 0:
                raise self.context.error("SQL indexes start from one, not from zero. E.g: array[1]", node)
            if isinstance(key, str) and key.startswith("$virt_"):
                raise self.context.unsupported(f"{key} is a virtual property that PostHog computes", node)
            return read_property(value.json, key, timezone=self.timezone)
        if value.type.kind in (Kind.TUPLE, Kind.UNKNOWN):
            element = string(key) if isinstance(key, str) else str(key)
            return Sql(f"tupleElement({value.text}, {element})", UNKNOWN)
        raise self.context.unresolved(f"Can not access {key!r}: the value before it is not an object", node)

    def _ArrayAccess(self, node: ast.ArrayAccess) -> Sql:
        value = self.compile(node.array)
        key = node.property.value if isinstance(node.property, ast.Constant) else None
        if value.json is not None and isinstance(key, str | int) and not isinstance(key, bool):
            return self._access(value, key, node)
        if key == 0 and not isinstance(key, bool):
            raise self.context.error("SQL indexes start from one, not from zero. E.g: array[1]", node)
        index = self.compile(node.property)
        type_ = value.type.item or UNKNOWN
        return Sql(f"{value.text}[{index.text}]", type_.with_nullable(type_.nullable or value.type.nullable))

    def _TupleAccess(self, node: ast.TupleAccess) -> Sql:
        value = self.compile(node.tuple)
        if node.index == 0:
            raise self.context.error("SQL indexes start from one, not from zero. E.g: array[1]", node)
        if value.json is not None:
            return self._access(value, node.index, node)
        return Sql(f"tupleElement({value.text}, {node.index})", UNKNOWN)

    def _ArraySlice(self, node: ast.ArraySlice) -> Sql:
        value = self.compile(node.array)
        start = self.compile(node.start_expr).text if node.start_expr else "1"
        if node.end_expr is None:
            return Sql(f"arraySlice({value.text}, {start})", value.type)
        length = f"plus(minus({self.compile(node.end_expr).text}, {start}), 1)"
        return Sql(f"arraySlice({value.text}, {start}, {length})", value.type)

    # -- operators --------------------------------------------------------------------------------------------

    def _And(self, node: ast.And) -> Sql:
        return self._logical("and", self.compile_all(node.exprs), neutral=1)

    def _Or(self, node: ast.Or) -> Sql:
        return self._logical("or", self.compile_all(node.exprs), neutral=0)

    def _logical(self, name: str, terms: Sequence[Sql], *, neutral: int) -> Sql:
        """Drop constant terms, as PostHog does; a term that decides the outcome alone replaces the whole."""
        kept = []
        for term in terms:
            if term.is_constant and isinstance(term.constant, int) and term.constant in (0, 1):
                if term.constant != neutral:
                    return FALSE if neutral else TRUE
                continue
            kept.append(term)
        if not kept:
            return TRUE if neutral else FALSE
        if len(kept) == 1:
            return kept[0]
        nullable = any(term.type.nullable for term in kept)
        return Sql(f"{name}({', '.join(term.text for term in kept)})", INTEGER.with_nullable(nullable))

    def _Not(self, node: ast.Not) -> Sql:
        value = self.compile(node.expr)
        return Sql(f"not({value.text})", INTEGER.with_nullable(value.type.nullable))

    def _CompareOperation(self, node: ast.CompareOperation) -> Sql:
        if node.op in ("in cohort", "not in cohort"):
            return self.subqueries.in_cohort(self, node)
        left = self.compile(node.left)
        right = self.compile(node.right)
        return self.compare(node.op, left, right, node)

    def compare(self, op: str, left: Sql, right: Sql, node: ast.Node) -> Sql:
        for side, other in ((left, right), (right, left)):
            if op in _VALUE_COMPARISONS and _is_untyped_property(side) and other.type.kind in _NUMBERS:
                key = ".".join(str(part) for part in side.json.path) if side.json else ""
                raise self.context.error(
                    f"The property {key} is text here and is compared with a number or a boolean: wrap it in "
                    f"toFloat(...) or toBool(...), or declare its type "
                    f"(posthog-events local schema --set {key}=Numeric)",
                    node,
                )
        return comparison.compare(op, left, right, timezone=self.timezone, bare=self.bare_comparisons)

    def _BetweenExpr(self, node: ast.BetweenExpr) -> Sql:
        expr, low, high = self.compile(node.expr), self.compile(node.low), self.compile(node.high)
        return comparison.between(
            expr, low, high, negated=node.negated, timezone=self.timezone, bare=self.bare_comparisons
        )

    def _IsDistinctFrom(self, node: ast.IsDistinctFrom) -> Sql:
        left, right = self.compile(node.left), self.compile(node.right)
        return Sql(f"({left.text} IS {'NOT ' if node.negated else ''}DISTINCT FROM {right.text})", INTEGER)

    def _ArithmeticOperation(self, node: ast.ArithmeticOperation) -> Sql:
        left, right = self.compile(node.left), self.compile(node.right)
        name = _ARITHMETIC[node.op]
        if name == "divide" and left.type.kind is Kind.DECIMAL and right.type.kind is Kind.DECIMAL:
            name = "divideDecimal"
        return Sql(f"{name}({left.text}, {right.text})", arithmetic_type(node.op, left, right))

    def _TypeCast(self, node: ast.TypeCast) -> Sql:
        value = self.compile(node.expr)
        function = _CASTS.get(node.type_name.lower())
        if function is None:
            raise self.context.unsupported(
                f"Unsupported type cast to {node.type_name}; HogQL casts to int, float, text, bool, date, datetime",
                node,
            )
        type_ = _CAST_TYPES.get(function, DATETIME64).with_nullable(value.type.nullable)
        zone = f", {string(self.timezone)}" if function == "toDateTime" else ""
        return Sql(f"{function}({value.text}{zone})", type_)

    # -- calls ------------------------------------------------------------------------------------------------

    def _Call(self, node: ast.Call) -> Sql:
        return self.calls.compile(node)

    def _ExprCall(self, node: ast.ExprCall) -> Sql:
        raise self.context.unsupported("Only a name can be called", node)

    def _WindowFunction(self, node: ast.WindowFunction) -> Sql:
        return window_call(self, node)

    def _HogQLXTag(self, node: ast.HogQLXTag) -> Sql:
        parts = [string("__hx_tag"), string(node.kind)]
        for attribute in node.attributes:
            value = attribute.value
            compiled = [
                self.compile(part) if isinstance(part, ast.Node) else self.constant(part)
                for part in (value if isinstance(value, tuple) else (value,))
            ]
            text = ", ".join(part.text for part in compiled)
            parts += [string(attribute.name), f"tuple({text})" if len(compiled) > 1 else text]
        return Sql(f"tuple({', '.join(parts)})", TUPLE)

    # -- subqueries -------------------------------------------------------------------------------------------

    def _SelectQuery(self, node: ast.SelectQuery) -> Sql:
        return self.subqueries.scalar(node, self.scope)

    def _SelectSetQuery(self, node: ast.SelectSetQuery) -> Sql:
        return self.subqueries.scalar(node, self.scope)


_NAMES = {
    "TryCast": "TRY_CAST",
    "PositionalRef": "A positional reference (#1)",
    "SpreadExpr": "A spread (*expr)",
    "NamedArgument": "A named argument (name := value)",
    "ColumnsExpr": "COLUMNS(...)",
    "ValuesQuery": "VALUES",
}


def _is_untyped_property(value: Sql) -> bool:
    return value.json is not None and bool(value.json.path) and value.type.kind is Kind.STRING
