"""The HogQL syntax tree as frozen dataclasses; `tree` decodes and walks it.

Field names are those of hogql-parser 1.3.88's JSON, so decoding is one generic function. `span` takes no part in
equality: two trees are equal when they mean the same, wherever the text stood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

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
    """A literal, as a Python value: integers of any size are exact, and Infinity and NaN are floats."""

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
    """`name AS (SELECT ...)` when `cte_type` is "subquery", `expr AS name` when "column".

    `materialized` is False for NOT MATERIALIZED and None where nothing is said.
    """

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
