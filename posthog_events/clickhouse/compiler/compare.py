"""Two-valued comparisons. Source: reference chapter 2.6, from posthog/hogql/transforms/clickhouse_null_semantics.py."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from posthog_events.clickhouse.compiler.value import FALSE, TRUE, Sql
from posthog_events.clickhouse.quoting import string
from posthog_events.clickhouse.sqltype import INTEGER, Kind

__all__ = ["CALL_OPERATORS", "between", "compare"]

# HogQL operator -> ClickHouse function, and the outcome when exactly one side is NULL, when both are
_EQUAL_FAMILY = {"==": "equals", "like": "like", "ilike": "ilike"}
_UNEQUAL_FAMILY = {"!=": "notEquals", "not like": "notLike", "not ilike": "notILike"}
_ORDER_FAMILY = {"<": "less", "<=": "lessOrEquals", ">": "greater", ">=": "greaterOrEquals"}
_MEMBERSHIP = {"in": "in", "not in": "notIn"}
_FOLDED: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
CALL_OPERATORS = {
    function: op
    for family in (_EQUAL_FAMILY, _UNEQUAL_FAMILY, _ORDER_FAMILY, _MEMBERSHIP)
    for op, function in family.items()
}
"""Comparison names that can be written as calls, to their operators: `equals(a, b)` follows the same rules."""

# what ClickHouse accepts beside a DateTime64, and means the same through toDateTime64
_DATETIME_TEXT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{1,6})?)?\Z")


def compare(op: str, left: Sql, right: Sql, *, timezone: str, bare: bool = False) -> Sql:
    """Return `left op right` as 0 or 1; with `bare` (join constraints, indexHint) NULL is left to ClickHouse."""
    if op in _MEMBERSHIP:
        # Exact under transform_null_in=1, which every query is run with; but a Parquet reader of ClickHouse 26.9 that
        # evaluates IN on a Nullable column by itself misses NULL in the set. It does not look behind identity().
        may_hold_null = right.type.nullable or (right.type.item is not None and right.type.item.nullable)
        member = f"identity({left.text})" if left.type.nullable and may_hold_null else left.text
        return Sql(f"{_MEMBERSHIP[op]}({member}, {right.text})", INTEGER)
    if op in ("==", "!=") and (left.is_null or right.is_null):
        tested = left if right.is_null else right
        return Sql(f"{'isNull' if op == '==' else 'isNotNull'}({tested.text})", INTEGER)
    if op in _FOLDED and left.is_constant and right.is_constant and type(left.constant) is type(right.constant):
        return TRUE if _FOLDED[op](left.constant, right.constant) else FALSE
    nullable = left.type.nullable or right.type.nullable
    wrapped = nullable and not bare and not left.never_null_wrapped and not right.never_null_wrapped
    left_text, right_text = _comparable(left, right, timezone)
    one_constant = left.is_constant or right.is_constant
    both_null = f"isNull({left.text}) and isNull({right.text})"
    one_not_null = f"isNotNull({left.text}) or isNotNull({right.text})"
    if op in _EQUAL_FAMILY:
        call, fallback = f"{_EQUAL_FAMILY[op]}({left_text}, {right_text})", "0" if one_constant else both_null
    elif op in _UNEQUAL_FAMILY:
        call, fallback = f"{_UNEQUAL_FAMILY[op]}({left_text}, {right_text})", "1" if one_constant else one_not_null
    elif op in _ORDER_FAMILY:
        call, fallback = f"{_ORDER_FAMILY[op]}({left_text}, {right_text})", "0"
    else:
        negated, insensitive = op.startswith("!"), op.endswith("*")
        pattern = f"concat('(?i)', {right_text})" if insensitive else right_text
        call = f"match({left_text}, {pattern})"
        call, fallback = (f"not({call})", one_not_null) if negated else (call, both_null)
    return Sql(f"ifNull({call}, {fallback})" if wrapped else call, INTEGER.with_nullable(nullable and not wrapped))


def _comparable(left: Sql, right: Sql, timezone: str) -> tuple[str, str]:
    """Return both texts, with a DateTime column reduced to its instant where the other side is an instant too."""
    for column, other, flip in ((left, right, False), (right, left, True)):
        if column.instant is None:
            continue
        if isinstance(other.constant, str) and _DATETIME_TEXT.match(other.constant):
            value = f"toDateTime64({string(other.constant)}, 6, {string(timezone)})"
        elif other.type.kind in (Kind.DATETIME, Kind.DATETIME64):
            value = other.instant or other.text
        else:
            continue
        return (value, column.instant) if flip else (column.instant, value)
    return left.text, right.text


def between(expr: Sql, low: Sql, high: Sql, *, negated: bool, timezone: str, bare: bool = False) -> Sql:
    """Return `expr BETWEEN low AND high`; NULL anywhere gives 0."""
    parts = [_comparable(expr, bound, timezone) for bound in (low, high)]
    name = "NOT BETWEEN" if negated else "BETWEEN"
    if parts[0][0] == parts[1][0]:
        text = f"({parts[0][0]} {name} {parts[0][1]} AND {parts[1][1]})"
    else:
        text = f"({expr.text} {name} {low.text} AND {high.text})"
    nullable = any(side.type.nullable for side in (expr, low, high))
    wrapped = nullable and not bare and not expr.never_null_wrapped
    return Sql(f"ifNull({text}, 0)" if wrapped else text, INTEGER.with_nullable(nullable and not wrapped))
