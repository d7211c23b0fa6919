"""`{filters}`: dashboard filters that a query leaves a place for. Source: reference 2.10, from posthog/hogql/filters.py
and posthog/hogql/property.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from posthog_events.errors import HogQLError, ParameterError, UnsupportedHogQL
from posthog_events.hogql import ast
from posthog_events.hogql.parser import parse_expr
from posthog_events.hogql.placeholders import chain_of
from posthog_events.hogql.source import Source
from posthog_events.hogql.tree import transform
from posthog_events.hogql.when import resolve_when

__all__ = ["expand_filters"]

N = TypeVar("N", bound=ast.Node)

_TIME_COLUMNS = {"events": "timestamp", "sessions": "$start_timestamp", "groups": "created_at", "logs": "timestamp"}
_KEYS = {"dateRange", "properties", "filterTestAccounts"}
_DATE_RANGE_KEYS = {"date_from", "date_to", "explicitDate"}
_BOUNDS: Mapping[tuple[str | int, ...], str] = {
    ("filters", "dateRange", "from"): "date_from",
    ("filters", "dateRange", "to"): "date_to",
}
_TRUE = ast.Constant(value=True)
_ALWAYS = ast.CompareOperation(op="==", left=_TRUE, right=_TRUE)


def expand_filters(tree: N, filters: Mapping[str, Any] | None, *, now: datetime, timezone: str, source: Source) -> N:
    """Return `tree` with `{filters}`, `{filters.dateRange.from}` and `.to` replaced.

    Args:
        filters: PostHog's form: `{"dateRange": {"date_from": "-7d", "date_to": None}, "properties": [...]}`.
        now: The moment that relative dates count from.

    Raises:
        HogQLError: A filter means nothing, or `{filters}` stands in a SELECT that has no table for it.
        UnsupportedHogQL: A filter needs what only PostHog has.
    """
    expansion = _Expansion(filters or {}, now, ZoneInfo(timezone), source)

    def change(node: ast.Node) -> ast.Node:
        # children come first, so what is left of `{filters}` in a SELECT is its own
        return expansion.in_select(node) if isinstance(node, ast.SelectQuery) else node

    return transform(tree, change)


@dataclass(frozen=True, slots=True)
class _Expansion:
    filters: Mapping[str, Any]
    now: datetime
    zone: ZoneInfo
    source: Source

    def in_select(self, select: ast.SelectQuery) -> ast.SelectQuery:
        tables = _table_names(select.select_from)

        def change(node: ast.Node) -> ast.Node:
            chain = chain_of(node)
            if chain is not None and chain[0] == "filters":
                return self._placeholder(chain, node, tables)
            if isinstance(node, ast.CompareOperation) and (_is_bound(node.left) or _is_bound(node.right)):
                return _ALWAYS
            return node

        return transform(select, change)

    def _placeholder(self, chain: tuple[str | int, ...], node: ast.Node, tables: Sequence[str]) -> ast.Node:
        key = _BOUNDS.get(chain)
        if key is not None:
            moment = self._bound(key)
            # an unset bound stays, and takes the comparison around it with it
            return node if moment is None else ast.Constant(value=moment, span=node.span)
        if chain != ("filters",):
            raise self.source.error(HogQLError, f"There is no {{{'.'.join(map(str, chain))}}}", node)
        table = next((name for name in tables if name in _TIME_COLUMNS), None)
        if table is None:
            raise self.source.error(
                HogQLError,
                "Cannot use {filters} in a SELECT that does not read from events, sessions, groups or logs",
                node,
            )
        conditions = self._conditions(_TIME_COLUMNS[table], node)
        if not conditions:
            return _TRUE
        return conditions[0] if len(conditions) == 1 else ast.And(exprs=tuple(conditions))

    def _bound(self, key: str) -> datetime | None:
        date_range = self.filters.get("dateRange") or {}
        if not isinstance(date_range, Mapping) or date_range.keys() - _DATE_RANGE_KEYS:
            raise HogQLError(f"dateRange of the filters has the keys date_from and date_to, but this is {date_range!r}")
        text = date_range.get(key)
        if not text:
            return None
        try:
            return resolve_when(str(text), now=self.now, tz=self.zone)
        except ParameterError as error:
            raise HogQLError(f"dateRange.{key} of the filters: {error}") from error

    def _conditions(self, time_column: str, node: ast.Node) -> list[ast.Expr]:
        if unknown := sorted(set(self.filters) - _KEYS):
            raise self.source.error(
                HogQLError, f"Unknown filter {unknown[0]!r}; there are {', '.join(sorted(_KEYS))}", node
            )
        if self.filters.get("filterTestAccounts"):
            raise self.source.error(
                UnsupportedHogQL, "The project's test-account filters are known to PostHog only", node
            )
        conditions = [self._property(item, node) for item in _as_list(self.filters.get("properties"))]
        column = ast.Field(chain=(time_column,))
        for op, key in (("<", "date_to"), (">=", "date_from")):
            if (moment := self._bound(key)) is not None:
                conditions.append(ast.CompareOperation(op=op, left=column, right=ast.Constant(value=moment)))
        return conditions

    # -- property filters -------------------------------------------------------------------------------------

    def _property(self, item: Any, node: ast.Node) -> ast.Expr:
        if not isinstance(item, Mapping):
            raise self.source.error(HogQLError, f"A property filter is a mapping, but this is {item!r}", node)
        kind = item.get("type") or "event"
        if kind in ("AND", "OR"):
            parts = tuple(self._property(inner, node) for inner in item.get("values") or ())
            if len(parts) < 2:
                return parts[0] if parts else _TRUE
            return ast.And(exprs=parts) if kind == "AND" else ast.Or(exprs=parts)
        if kind == "hogql":
            expr = parse_expr(str(item.get("key") or ""), name="the HogQL filter")
            # its spans point into its own text, not into the query's
            return transform(expr, lambda part: replace(part, span=None))
        if kind == "cohort":
            op = "not in cohort" if item.get("operator") == "not_in" else "in cohort"
            return ast.CompareOperation(
                op=op, left=ast.Field(chain=("person_id",)), right=ast.Constant(value=item.get("value"))
            )
        chain = self._chain(kind, item, node)
        operator = item.get("operator") or "exact"
        build = _OPERATORS.get(operator)
        if build is None:
            raise self.source.error(
                HogQLError, f"Unknown filter operator {operator!r}; there are {', '.join(_OPERATORS)}", node
            )
        values = _as_list(item.get("value"))
        if not values and operator not in ("is_set", "is_not_set"):
            # PostHog keeps everything when a filter has no value yet
            return _TRUE
        if operator in _DATE_OPERATORS:
            values = [self._moment(value) for value in values]
        return build(ast.Field(chain=chain), values)

    def _chain(self, kind: str, item: Mapping[str, Any], node: ast.Node) -> tuple[str, ...]:
        key = item.get("key")
        if not isinstance(key, str) or not key:
            raise self.source.error(HogQLError, "A property filter needs a key", node)
        if kind in ("event", "feature"):
            return ("properties", key)
        if kind == "person":
            return ("person", "properties", key)
        if kind == "group":
            return (f"group_{item.get('group_type_index') or 0}", "properties", key)
        if kind == "session":
            return ("session", key)
        raise self.source.error(UnsupportedHogQL, f"Property filters of type {kind!r} are not supported here", node)

    def _moment(self, value: Any) -> Any:
        """Resolve a relative date; other texts are compared as they are."""
        try:
            return resolve_when(str(value), now=self.now, tz=self.zone) or value
        except ParameterError:
            return value


def _table_names(join: ast.JoinExpr | None) -> list[str]:
    names = []
    while join is not None:
        if isinstance(join.table, ast.Field):
            names.append(".".join(str(part) for part in join.table.chain))
        join = join.next_join
    return names


def _is_bound(node: ast.Node) -> bool:
    return (chain_of(node) or ()) in _BOUNDS


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


# -- one builder per operator ------------------------------------------------------------------------------------

_Build = Callable[[ast.Field, list[Any]], ast.Expr]


def _membership(one: str, many: str) -> _Build:
    def build(field: ast.Field, values: list[Any]) -> ast.Expr:
        constants = tuple(ast.Constant(value=value) for value in values)
        if len(constants) == 1:
            return ast.CompareOperation(op=one, left=field, right=constants[0])
        return ast.CompareOperation(op=many, left=field, right=ast.Tuple(exprs=constants))

    return build


def _each(make: Callable[[ast.Field, Any], ast.Expr], *, negative: bool) -> _Build:
    """Several values: any of them, or for the negative operators none of them."""

    def build(field: ast.Field, values: list[Any]) -> ast.Expr:
        parts = tuple(make(field, value) for value in values)
        if len(parts) == 1:
            return parts[0]
        return ast.And(exprs=parts) if negative else ast.Or(exprs=parts)

    return build


def _compare(op: str) -> Callable[[ast.Field, Any], ast.Expr]:
    return lambda field, value: ast.CompareOperation(op=op, left=field, right=ast.Constant(value=value))


def _contains(op: str) -> Callable[[ast.Field, Any], ast.Expr]:
    return lambda field, value: ast.CompareOperation(
        op=op, left=ast.Call(name="toString", args=(field,)), right=ast.Constant(value=f"%{value}%")
    )


def _match(*, negative: bool) -> Callable[[ast.Field, Any], ast.Expr]:
    def make(field: ast.Field, value: Any) -> ast.Expr:
        text = ast.Call(name="toString", args=(field,))
        match: ast.Expr = ast.Call(name="match", args=(text, ast.Constant(value=str(value))))
        if negative:
            match = ast.Not(expr=match)
        return ast.Call(name="ifNull", args=(match, ast.Constant(value=int(negative))))

    return make


def _null(op: str) -> _Build:
    return lambda field, values: ast.CompareOperation(op=op, left=field, right=ast.Constant(value=None))


_DATE_OPERATORS = {"is_date_before", "is_date_after"}
_OPERATORS: Mapping[str, _Build] = {
    "exact": _membership("==", "in"),
    "is_not": _membership("!=", "not in"),
    "icontains": _each(_contains("ilike"), negative=False),
    "not_icontains": _each(_contains("not ilike"), negative=True),
    "regex": _each(_match(negative=False), negative=False),
    "not_regex": _each(_match(negative=True), negative=True),
    "gt": _each(_compare(">"), negative=False),
    "gte": _each(_compare(">="), negative=False),
    "lt": _each(_compare("<"), negative=False),
    "lte": _each(_compare("<="), negative=False),
    "is_date_before": _each(_compare("<"), negative=False),
    "is_date_after": _each(_compare(">"), negative=False),
    "is_set": _null("!="),
    "is_not_set": _null("=="),
}
