"""What `query lint` looks for in the tree of one rendered query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from posthog_events.hogql import ast
from posthog_events.hogql.tree import walk
from posthog_events.limits import NO_LIMIT_ROWS
from posthog_events.queryfiles.conditions import is_aggregate
from posthog_events.result import Query

__all__ = ["RULES", "Problem", "problems"]

Severity: TypeAlias = Literal["error", "warning"]

RULES: Mapping[str, Severity] = {
    "file": "error",
    "template": "error",
    "syntax": "error",
    "placeholder": "error",
    "unknown-function": "error",
    "unknown-name": "error",
    "unsupported": "warning",
    "offset": "error",
    "returns": "error",
    "time-bound": "warning",
    "limit": "warning",
    "union-limit": "warning",
    "text-number": "warning",
    "dropped": "warning",
}
"""Every rule, and how bad it is to break it."""

_COMPARED_AS_NUMBER = ("==", "!=", "<", "<=", ">", ">=", "in", "not in")
_COMPARING_CALLS = frozenset(
    {"equals", "notEquals", "less", "lessOrEquals", "greater", "greaterOrEquals", "in", "notIn"}
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken rule, and where in the rendered text."""

    rule: str
    message: str
    start: int


def problems(
    tree: ast.SelectQuery | ast.SelectSetQuery,
    query: Query,
    *,
    known_function: Callable[[str], str | None] | None,
    schema: Mapping[str, str] | None,
) -> Iterator[Problem]:
    """Yield every broken rule in the tree of `query`.

    Args:
        known_function: Returns what is wrong with a function's name, or None.
        schema: Property path (`properties.amount`, `person.properties.age`) to the type of its definition.
    """
    yield from _limits(tree)
    yield from _returns(tree, query)
    for node in walk(tree):
        if isinstance(node, (ast.SelectQuery, ast.SelectSetQuery)) and node.offset is not None:
            yield _at(
                node.offset, "offset", "PostHog refuses OFFSET (and LIMIT a, b) for API keys; page by a key instead"
            )
        if isinstance(node, ast.SelectQuery):
            yield from _time_bound(node)
        if isinstance(node, ast.Placeholder):
            yield from _placeholder(node, query)
        if isinstance(node, (ast.Call, ast.WindowFunction)) and known_function:
            message = known_function(node.name)
            if message:
                yield _at(node, "unknown-function", message)
        yield from _text_number(node, query, schema or {})
    yield from _unread_values(tree, query)


def _at(node: ast.Node, rule: str, message: str) -> Problem:
    return Problem(rule, message, node.span[0] if node.span else 0)


def _limits(tree: ast.SelectQuery | ast.SelectSetQuery) -> Iterator[Problem]:
    without = f"PostHog returns {NO_LIMIT_ROWS} rows"
    if isinstance(tree, ast.SelectQuery):
        if tree.limit is None and not _one_row(tree):
            yield _at(tree, "limit", f"there is no LIMIT: {without}")
        return
    branches = (tree.initial_select_query, *(part.select_query for part in tree.subsequent_select_queries))
    for branch in branches:
        # deeper sets are subqueries, which PostHog leaves alone
        if isinstance(branch, ast.SelectQuery) and branch.limit is None and not _one_row(branch):
            yield _at(branch, "union-limit", f"this part of the union has no LIMIT of its own: {without} of it")


def _one_row(select: ast.SelectQuery) -> bool:
    if select.select_from is None and not select.array_join_list:
        return True
    return select.group_by is None and all(
        any(isinstance(node, ast.Call) and is_aggregate(node.name) for node in walk(item)) for item in select.select
    )


def _time_bound(select: ast.SelectQuery) -> Iterator[Problem]:
    join, events, constraints = select.select_from, None, []
    while join is not None:
        if isinstance(join.table, ast.Field) and join.table.chain == ("events",):
            events = events or join
        if join.constraint:
            constraints.append(join.constraint.expr)
        join = join.next_join
    conditions = [part for part in (select.where, select.prewhere, *constraints) if part is not None]
    if events and not any(_bounds_time(node) for condition in conditions for node in walk(condition)):
        yield _at(events.table or events, "time-bound", "`events` is read from its beginning: compare `timestamp`")


def _bounds_time(node: ast.Node) -> bool:
    if isinstance(node, ast.Placeholder):
        return isinstance(node.expr, ast.Field) and node.expr.chain[0] == "filters"
    if isinstance(node, (ast.CompareOperation, ast.BetweenExpr)) or (
        isinstance(node, ast.Call) and node.name in _COMPARING_CALLS
    ):
        return any(isinstance(part, ast.Field) and part.chain[-1] == "timestamp" for part in walk(node))
    return False


def _placeholder(node: ast.Placeholder, query: Query) -> Iterator[Problem]:
    name = node.expr.chain[0] if isinstance(node.expr, ast.Field) else None
    if name not in query.values and name not in ("filters", "variables"):
        yield _at(node, "placeholder", f"nothing is bound to {{{name or '...'}}}; declare it in `params`")


def _unread_values(tree: ast.Node, query: Query) -> Iterator[Problem]:
    """In `f'{name}'` braces read a column, and a value of that name is lost."""
    read = {
        str(node.expr.chain[0])
        for node in walk(tree)
        if isinstance(node, ast.Placeholder) and isinstance(node.expr, ast.Field)
    }
    for name in query.values.keys() - read:
        start = query.hogql.find(f"{{{name}}}")
        yield Problem("placeholder", "a value is not read here: f'...' takes columns; write concat(...)", max(0, start))


def _text_number(node: ast.Node, query: Query, schema: Mapping[str, str]) -> Iterator[Problem]:
    if isinstance(node, ast.CompareOperation) and node.op in _COMPARED_AS_NUMBER:
        sides: tuple[ast.Expr, ...] = (node.left, node.right)
    elif isinstance(node, ast.BetweenExpr):
        sides = (node.expr, node.low, node.high)
    else:
        return
    for side in sides:
        path = _property_path(side)
        if path and schema.get(path) != "Numeric" and any(_is_number(other, query) for other in sides):
            message = f"{path} is text and is compared with a number; write toFloat({path})"
            yield _at(side, "text-number", message)


def _property_path(node: ast.Expr) -> str | None:
    if isinstance(node, ast.Field) and "properties" in node.chain[:-1]:
        return ".".join(map(str, node.chain))
    if isinstance(node, ast.ArrayAccess) and isinstance(node.property, ast.Constant):
        inner = node.array
        if isinstance(inner, ast.Field) and inner.chain[-1] == "properties":
            return ".".join(map(str, (*inner.chain, node.property.value)))
        above = _property_path(inner)
        return f"{above}.{node.property.value}" if above else None
    return None


def _is_number(node: ast.Expr, query: Query) -> bool:
    if isinstance(node, (ast.Tuple, ast.Array)):
        return any(_is_number(part, query) for part in node.exprs)
    value: object = None
    if isinstance(node, ast.Constant):
        value = node.value
    elif isinstance(node, ast.Placeholder) and isinstance(node.expr, ast.Field):
        value = query.values.get(str(node.expr.chain[0]))
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _returns(tree: ast.SelectQuery | ast.SelectSetQuery, query: Query) -> Iterator[Problem]:
    if not query.returns:
        return
    first: ast.Node = tree
    while isinstance(first, ast.SelectSetQuery):
        first = first.initial_select_query
    assert isinstance(first, ast.SelectQuery)
    names = [_output_name(item) for item in first.select]
    if "*" in names:
        return
    declared = list(query.returns)
    if len(names) != len(declared):
        yield _at(tree, "returns", f"the query has {len(names)} columns, `returns` has {len(declared)}")
        return
    for item, name, wanted in zip(first.select, names, declared, strict=True):
        if name is not None and name != wanted:
            yield _at(item, "returns", f"this column is called `{name}`, in `returns` it is `{wanted}`")


def _output_name(item: ast.Expr) -> str | None:
    """The name of an output column; None where it is the print of an expression.

    Source: posthog/hogql/resolver.py (hidden aliases).
    """
    if isinstance(item, ast.Alias):
        return item.alias
    if isinstance(item, ast.Field):
        return str(item.chain[-1])
    return "*" if isinstance(item, (ast.ColumnsExpr, ast.SpreadExpr)) else None
