"""The HogQL syntax tree as frozen dataclasses.

Field names are those of hogql-parser 1.3.88's JSON, so decoding is one generic function. `span` takes no part in
equality: two trees are equal when they mean the same, wherever the text stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias, TypeVar

__all__ = [
    "CTE",
    "Alias",
    "And",
    "ArithmeticOperation",
    "Array",
    "ArrayAccess",
    "ArraySlice",
    "BetweenExpr",
    "Call",
    "ColumnsExpr",
    "CompareOperation",
    "Constant",
    "Dict",
    "Expr",
    "ExprCall",
    "Field",
    "GroupingSet",
    "HogQLXAttribute",
    "HogQLXTag",
    "InterpolateExpr",
    "IsDistinctFrom",
    "JoinConstraint",
    "JoinExpr",
    "Lambda",
    "LimitByExpr",
    "NamedArgument",
    "Node",
    "Not",
    "Or",
    "OrderExpr",
    "PivotColumn",
    "PivotExpr",
    "Placeholder",
    "PositionalRef",
    "RatioExpr",
    "SampleExpr",
    "SelectQuery",
    "SelectSetNode",
    "SelectSetQuery",
    "Span",
    "SpreadExpr",
    "TryCast",
    "Tuple",
    "TupleAccess",
    "TypeCast",
    "UnpivotColumn",
    "UnpivotExpr",
    "ValuesQuery",
    "WindowExpr",
    "WindowFrameExpr",
    "WindowFunction",
    "WithFillExpr",
    "children",
    "from_json",
    "transform",
    "walk",
]

Span: TypeAlias = tuple[int, int]
"""Half-open range of code points in the source text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Any part of the tree."""

    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expr(Node):
    """A node that can stand where a value is expected."""


# -- values ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant(Expr):
    """A literal. Integers keep Python's exactness; `value_type` is "number" for Infinity and NaN only."""

    value: Any

    def __eq__(self, other: object) -> bool:
        # 1 == True and 1 == 1.0 in Python, but they are different literals; NaN must equal itself
        return isinstance(other, Constant) and (type(self.value), repr(self.value)) == (
            type(other.value),
            repr(other.value),
        )

    def __hash__(self) -> int:
        return hash((type(self.value), repr(self.value)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Expr):
    """`a.b.c`; an asterisk is a chain ending in "*"."""

    chain: tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder(Expr):
    """`{expr}`."""

    expr: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionalRef(Expr):
    """`#1`."""

    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuple(Expr):
    exprs: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Array(Expr):
    exprs: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dict(Expr):
    items: tuple[tuple[Expr, Expr], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lambda(Expr):
    args: tuple[str, ...]
    expr: Expr


# -- operators ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias(Expr):
    alias: str
    expr: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class And(Expr):
    exprs: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or(Expr):
    exprs: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not(Expr):
    expr: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class ArithmeticOperation(Expr):
    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOperation(Expr):
    op: str
    left: Expr
    right: Expr
    is_null_comparison_style: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BetweenExpr(Expr):
    expr: Expr
    low: Expr
    high: Expr
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IsDistinctFrom(Expr):
    left: Expr
    right: Expr
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeCast(Expr):
    expr: Expr
    type_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TryCast(Expr):
    expr: Expr
    type_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayAccess(Expr):
    array: Expr
    property: Expr
    nullish: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySlice(Expr):
    array: Expr
    start_expr: Expr | None = None
    end_expr: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TupleAccess(Expr):
    tuple: Expr
    index: int
    nullish: bool = False


# -- calls -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Expr):
    """`name(params)(args)`; the case of `name` is as written."""

    name: str
    args: tuple[Expr, ...] = ()
    params: tuple[Expr, ...] | None = None
    distinct: bool = False
    order_by: tuple[OrderExpr, ...] | None = None
    filter_expr: Expr | None = None
    within_group: tuple[OrderExpr, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExprCall(Expr):
    expr: Expr
    args: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedArgument(Expr):
    name: str
    value: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadExpr(Expr):
    expr: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnsExpr(Expr):
    regex: str | None = None
    columns: tuple[Expr, ...] | None = None
    all_columns: bool = False
    exclude: tuple[str, ...] | None = None
    replace: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFrameExpr(Node):
    """`frame_value` None with PRECEDING or FOLLOWING is UNBOUNDED."""

    frame_type: str | None = None
    frame_value: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowExpr(Node):
    partition_by: tuple[Expr, ...] | None = None
    order_by: tuple[OrderExpr, ...] | None = None
    frame_method: str | None = None
    frame_start: WindowFrameExpr | None = None
    frame_end: WindowFrameExpr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFunction(Expr):
    """`f(exprs) OVER ...`, or `f(exprs)(args) OVER ...` where `exprs` are the parameters (the parser's own quirk)."""

    name: str
    exprs: tuple[Expr, ...] | None = None
    args: tuple[Expr, ...] | None = None
    over_expr: WindowExpr | None = None
    over_identifier: str | None = None


# -- HogQLX ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HogQLXAttribute(Node):
    name: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class HogQLXTag(Expr):
    kind: str
    attributes: tuple[HogQLXAttribute, ...] = ()


# -- queries -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class WithFillExpr(Node):
    from_value: Expr | None = None
    to_value: Expr | None = None
    step_value: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderExpr(Node):
    expr: Expr
    order: str = "ASC"
    with_fill: WithFillExpr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpolateExpr(Node):
    expr: Expr
    value: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingSet(Expr):
    exprs: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitByExpr(Node):
    n: Expr
    exprs: tuple[Expr, ...]
    offset_value: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioExpr(Node):
    left: Constant
    right: Constant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleExpr(Node):
    sample_value: RatioExpr
    offset_value: RatioExpr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinConstraint(Node):
    expr: Expr
    constraint_type: str = "ON"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinExpr(Node):
    table: Node | None = None
    table_args: tuple[Expr, ...] | None = None
    alias: str | None = None
    column_aliases: tuple[str, ...] | None = None
    table_final: bool = False
    sample: SampleExpr | None = None
    join_type: str | None = None
    constraint: JoinConstraint | None = None
    next_join: JoinExpr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CTE(Node):
    """`name AS (SELECT ...)` when `cte_type` is "subquery", `expr AS name` when "column"."""

    name: str
    expr: Node
    cte_type: str
    recursive: bool = False
    materialized: bool | None = None
    columns: tuple[str, ...] | None = None
    using_key: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectQuery(Expr):
    ctes: tuple[CTE, ...] | None = None
    select: tuple[Expr, ...] = ()
    distinct: bool = False
    select_from: JoinExpr | None = None
    array_join_op: str | None = None
    array_join_list: tuple[Expr, ...] | None = None
    window_exprs: Mapping[str, WindowExpr] | None = None
    prewhere: Expr | None = None
    where: Expr | None = None
    group_by: tuple[Expr, ...] | None = None
    group_by_mode: str | None = None
    having: Expr | None = None
    qualify: Expr | None = None
    order_by: tuple[OrderExpr, ...] | None = None
    interpolate: tuple[InterpolateExpr, ...] | None = None
    limit: Expr | None = None
    limit_percent: bool = False
    limit_with_ties: bool = False
    limit_by: LimitByExpr | None = None
    offset: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectSetNode(Node):
    select_query: SelectQuery | SelectSetQuery
    set_operator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectSetQuery(Expr):
    initial_select_query: SelectQuery | SelectSetQuery
    subsequent_select_queries: tuple[SelectSetNode, ...] = ()
    limit: Expr | None = None
    offset: Expr | None = None


# -- syntax of other dialects, kept so that it can be refused by name ---------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesQuery(Expr):
    rows: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PivotColumn(Node):
    column: Expr
    values: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PivotExpr(Node):
    table: Node
    aggregates: tuple[Expr, ...] = ()
    columns: tuple[PivotColumn, ...] = ()
    group_by: tuple[Expr, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpivotColumn(Node):
    value_columns: Expr
    name_columns: Expr
    unpivot_values: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpivotExpr(Node):
    table: Node
    columns: tuple[UnpivotColumn, ...] = ()
    include_nulls: bool = False


_CLASSES: dict[str, type[Node]] = {
    name: cls
    for name, cls in list(globals().items())
    if isinstance(cls, type) and issubclass(cls, Node) and cls not in (Node, Expr)
}
_FIELDS: dict[str, tuple[str, ...]] = {
    name: tuple(f.name for f in fields(cls) if f.name != "span") for name, cls in _CLASSES.items()
}


def from_json(data: Mapping[str, Any]) -> Node:
    """Decode one node of the parser's JSON, with everything below it.

    Raises:
        KeyError: A node of a kind that this grammar version does not have; a bug of ours, not of the user.
    """
    kind = data["node"]
    cls = _CLASSES[kind]
    if kind == "Constant":
        values = {"value": _constant(data)}
    else:
        values = {name: _decode(data[name]) for name in _FIELDS[kind] if data.get(name) is not None}
    start, end = data.get("start"), data.get("end")
    span = (start["offset"], end["offset"]) if start and end else None
    return cls(span=span, **values)


def _constant(data: Mapping[str, Any]) -> Any:
    value = data["value"]
    if data.get("value_type") != "number" or not isinstance(value, str):
        return value
    if value.lstrip("-").isdigit():
        return int(value)
    return float(value.replace("Infinity", "inf"))


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if isinstance(value, dict):
        if "node" in value:
            return from_json(value)
        return {key: _decode(item) for key, item in value.items()}
    return value


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes directly below `node`, in the order of its fields."""
    for name in _FIELDS[type(node).__name__]:
        yield from _nodes_in(getattr(node, name))


def _nodes_in(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _nodes_in(item)


def walk(node: Node) -> Iterator[Node]:
    """Yield `node` and every node below it, parents first."""
    yield node
    for child in children(node):
        yield from walk(child)


N = TypeVar("N", bound=Node)


def transform(node: N, change: Callable[[Node], Node]) -> N:
    """Return the tree with `change` applied to every node, children first; untouched parts are shared."""
    changed = {}
    for name in _FIELDS[type(node).__name__]:
        old = getattr(node, name)
        new = _transform_value(old, change)
        if new is not old:
            changed[name] = new
    return change(replace(node, **changed) if changed else node)  # type: ignore[return-value]  # `change` keeps kinds


def _transform_value(value: Any, change: Callable[[Node], Node]) -> Any:
    if isinstance(value, Node):
        return transform(value, change)
    if isinstance(value, tuple):
        new = tuple(_transform_value(item, change) for item in value)
        return new if any(a is not b for a, b in zip(new, value, strict=True)) else value
    if isinstance(value, dict):
        changed = {key: _transform_value(item, change) for key, item in value.items()}
        return changed if any(changed[key] is not value[key] for key in value) else value
    return value
