"""Function calls: the allow-list is the boundary, and a few translations depend on types or settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from posthog_events.clickhouse.compiler.compare import CALL_OPERATORS
from posthog_events.clickhouse.compiler.value import Sql
from posthog_events.clickhouse.functions.lookup import lookup, suggest
from posthog_events.clickhouse.functions.model import (
    Function,
    Refused,
    Role,
    Special,
    check_arity,
    render,
    return_type,
)
from posthog_events.clickhouse.functions.zones import TYPE_ARGUMENTS, ZONE_ARGUMENTS
from posthog_events.clickhouse.quoting import string
from posthog_events.clickhouse.sqltype import DATE, DATETIME, DATETIME64, DECIMAL, INTEGER, STRING, UNKNOWN, Kind
from posthog_events.errors import UnknownColumnType
from posthog_events.hogql import ast

if TYPE_CHECKING:
    from posthog_events.clickhouse.compiler.expressions import Expressions

__all__ = ["Calls"]

_MOMENTS = {Kind.DATE, Kind.DATETIME, Kind.DATETIME64}
_TEMPORAL_OR_NUMBER = {Kind.DATE, Kind.DATETIME, Kind.DATETIME64, Kind.INTEGER, Kind.FLOAT}
_PLAIN_DATETIME = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?\Z")
_FRACTIONAL_DATETIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,6}\Z")
# Source: posthog/hogql/functions/core.py; one name per combination that PostHog permits, some are missing there
_REDUCERS = {
    *("count", "countMap", "countMapState", "sum", "sumMap", "sumMapState", "min", "minMap", "minMapState"),
    *("max", "maxMap", "maxMapState", "avg", "avgState", "avgMap", "avgMapState", "median"),
    *("uniq", "uniqState", "uniqMap", "uniqMapState"),
}


_QUOTED = re.compile(r"'((?:[^'\\]|\\.|'')*)'")
_EXTRACTABLE = {
    *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)),
    *("Float32", "Float64", "Decimal", "Decimal32", "Decimal64", "Decimal128", "Bool", "String", "FixedString", "UUID"),
    *("Date", "Date32", "DateTime", "DateTime64", "IPv4", "IPv6", "Array", "Tuple", "Map"),
}


class Calls:
    """Compiles calls for one `Expressions`."""

    def __init__(self, expressions: Expressions) -> None:
        self._expressions = expressions
        self._context = expressions.context

    def find(self, name: str, node: ast.Node) -> Function:
        """Return the function called `name`.

        Raises:
            UnresolvedName: It is not in HogQL's allow-list.
            UnsupportedHogQL: It is known, and not available here.
        """
        found = lookup(name)
        if isinstance(found, Refused):
            raise self._context.unsupported(f"{name}(...) is not available: {found.reason}", node)
        if found is None:
            close = suggest(name)
            hint = f" Perhaps you meant '{close}(...)'?" if close else ""
            raise self._context.unresolved(f"Unsupported function call '{name}(...)'.{hint}", node)
        return found

    def compile(self, node: ast.Call) -> Sql:
        if node.name.lower() == "exists" and len(node.args) == 1 and _is_query(node.args[0]):
            return Sql(f"exists{self._expressions.compile(node.args[0]).text}", INTEGER)
        function = self.find(node.name, node)
        if function.role is Role.WINDOW:
            raise self._context.error(f"{node.name}(...) is a window function: add OVER (...)", node)
        if node.within_group:
            raise self._context.unsupported("WITHIN GROUP is not supported; use quantile(level)(x)", node)
        args_nodes = node.args
        if function.name == "count" and len(args_nodes) == 1 and _is_asterisk(args_nodes[0]):
            args_nodes = ()
        if fault := check_arity(function, len(args_nodes), len(node.params or ())):
            raise self._context.error(fault, node)
        args, params = self._arguments(function, node, args_nodes)
        self._check_zones(function.name, args, args_nodes)
        clock = self._fixed_clock(function.name, len(args))
        if clock is not None:
            return clock
        if function.special is not None:
            return self._special(function, function.special, args, node)
        return self._plain(function, args, params, node)

    def _arguments(
        self, function: Function, node: ast.Call, args_nodes: Sequence[ast.Expr]
    ) -> tuple[list[Sql], list[Sql]]:
        expressions = self._expressions
        outer, outer_bare = expressions.inside_aggregate, expressions.bare_comparisons
        if function.role is Role.AGGREGATE:
            if outer is not None:
                raise self._context.error(
                    f"Aggregation '{node.name}' cannot be nested inside another aggregation '{outer}'.", node
                )
            expressions.inside_aggregate = node.name
        if function.name == "indexHint":
            expressions.bare_comparisons = True
        try:
            args = expressions.compile_all(args_nodes)
            params = expressions.compile_all(node.params or ())
        finally:
            expressions.inside_aggregate, expressions.bare_comparisons = outer, outer_bare
        for compiled, param in zip(params, node.params or (), strict=True):
            if not compiled.is_constant:
                raise self._context.error(f"The parameters of {node.name}(...)(...) must be constants", param)
        return args, params

    def _check_zones(self, name: str, args: Sequence[Sql], nodes: Sequence[ast.Expr]) -> None:
        """Refuse a zone or a type that is computed, or that is none: ClickHouse would open a file for `file:PATH`."""
        place = ZONE_ARGUMENTS.get(name)
        if place is not None and place < len(args) and args[place].type.kind not in _MOMENTS:
            zone = args[place].constant
            if not isinstance(zone, str) or not _is_zone(zone):
                raise self._context.error(
                    f"The time zone of {name}(...) must be a constant IANA name such as 'Europe/Berlin'", nodes[place]
                )
        place = TYPE_ARGUMENTS.get(name)
        if place is not None and place < len(args):
            type_name = args[place].constant
            if not isinstance(type_name, str) or not _is_type(type_name):
                raise self._context.error(
                    f"The type of {name}(...) must be a constant type name such as 'Nullable(Float64)'", nodes[place]
                )

    def _plain(self, function: Function, args: Sequence[Sql], params: Sequence[Sql], node: ast.Call) -> Sql:
        texts = [arg.text for arg in args]
        if node.order_by:
            raise self._context.unsupported(
                "ORDER BY inside a call is not supported; sort the array instead, for example arraySort(groupArray(x))",
                node,
            )
        if node.distinct:
            if not texts:
                raise self._context.error(f"{node.name}(DISTINCT ...) needs an argument", node)
            texts[0] = f"DISTINCT {texts[0]}"
        text = render(function, texts, [param.text for param in params], tz=self._expressions.timezone)
        if node.filter_expr is not None:
            if function.role is not Role.AGGREGATE:
                raise self._context.error("FILTER can only follow an aggregate function", node)
            if "{" in function.clickhouse:
                raise self._context.unsupported(
                    f"FILTER cannot follow {node.name}(...); filter inside a subquery", node
                )
            text = f"{text} FILTER (WHERE {self._expressions.compile(node.filter_expr).text})"
        return Sql(text, return_type(function, [arg.type for arg in args]))

    def _fixed_clock(self, name: str, arg_count: int) -> Sql | None:
        """Return a constant for the functions that read the clock, when the clock is fixed."""
        now = self._context.settings.now
        if now is None or arg_count:
            return None
        if name in ("now", "current_timestamp"):
            return self._expressions.constant(now.astimezone(UTC))
        if name in ("today", "current_date"):
            # the engine's zone, not the project's: reference 2.5
            return self._expressions.constant(now.astimezone(UTC).date())
        if name == "yesterday":
            return self._expressions.constant(now.astimezone(UTC).date() - timedelta(days=1))
        return None

    def _special(self, function: Function, special: Special, args: Sequence[Sql], node: ast.Call) -> Sql:
        zone = string(self._expressions.timezone)
        first = args[0]
        match special:
            case Special.COMPARE | Special.IN:
                return self._expressions.compare(CALL_OPERATORS[function.name], args[0], args[1], node)
            case Special.TO_DATE:
                name = "toDate" if first.type.kind in _TEMPORAL_OR_NUMBER or _is_date(first) else "toDateOrNull"
                return Sql(f"{name}({_joined(args)})", DATE.with_nullable(first.type.nullable or name != "toDate"))
            case Special.TO_DATETIME:
                return self._to_datetime(first, args[1].text if len(args) > 1 else zone)
            case Special.TO_DECIMAL:
                scale = args[1].constant
                if not isinstance(scale, int) or isinstance(scale, bool) or not 0 <= scale <= 18:
                    raise self._context.error("The scale of toDecimal(x, scale) must be a constant from 0 to 18", node)
                return Sql(f"accurateCastOrNull({first.text}, 'Decimal64({scale})')", DECIMAL.with_nullable(True))
            case Special.TO_START_OF_WEEK:
                mode = args[1].text if len(args) > 1 else "3" if self._context.catalog.week_starts_monday else "0"
                return Sql(f"toStartOfWeek({', '.join([first.text, mode])})", DATE.with_nullable(first.type.nullable))
            case Special.CONCAT:
                parts = [
                    arg.text if isinstance(arg.constant, str) else f"ifNull(toString({arg.text}), '')" for arg in args
                ]
                return Sql(f"concat({', '.join(parts)})", STRING)
            case Special.ARRAY_REDUCE:
                if first.constant not in _REDUCERS:
                    raise self._context.error(
                        f"The first argument of arrayReduce must be one of {', '.join(sorted(_REDUCERS))}", node
                    )
                return Sql(f"arrayReduce({_joined(args)})", UNKNOWN)
            case Special.LAG_LEAD:
                raise self._context.error(f"{node.name}(...) is a window function: add OVER (...)", node)

    def _to_datetime(self, value: Sql, zone: str) -> Sql:
        """Source: posthog/hogql/functions/clickhouse/conversions.py, reference 2.5."""
        if value.type.kind in _TEMPORAL_OR_NUMBER:
            return Sql(f"toDateTime({value.text}, {zone})", DATETIME.with_nullable(value.type.nullable))
        if isinstance(value.constant, str):
            if _PLAIN_DATETIME.match(value.constant):
                return Sql(f"toDateTime({value.text}, {zone})", DATETIME)
            if _FRACTIONAL_DATETIME.match(value.constant):
                return Sql(f"toDateTime64({value.text}, 6, {zone})", DATETIME64)
            return Sql(f"parseDateTime64BestEffort({value.text}, 6, {zone})", DATETIME64)
        return Sql(f"parseDateTime64BestEffortOrNull({value.text}, 6, {zone})", DATETIME64.with_nullable(True))


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return False
    return True


def _is_type(text: str) -> bool:
    """Whether a text names a type of plain parts, and every text quoted in it is a zone."""
    from posthog_events.frames.types import ColumnType, parse_type

    def families(kind: ColumnType) -> Iterator[str]:
        yield kind.family
        for inner in kind.inner:
            yield from families(inner)

    try:
        plain = set(families(parse_type(text))) <= _EXTRACTABLE
    except UnknownColumnType:
        return False
    return plain and "AggregateFunction" not in text and all(map(_is_zone, _QUOTED.findall(text)))


def _is_asterisk(node: ast.Node) -> bool:
    return isinstance(node, ast.Field) and node.chain == ("*",)


def _is_date(value: Sql) -> bool:
    """Whether a literal is plainly a date: then it cannot be NULL, and may stand where ClickHouse wants a constant."""
    try:
        return isinstance(value.constant, str) and str(date.fromisoformat(value.constant)) == value.constant
    except ValueError:
        return False


def _is_query(node: ast.Node) -> bool:
    return isinstance(node, ast.SelectQuery | ast.SelectSetQuery)


def _never_null_text(value: Sql) -> str:
    return value.text if isinstance(value.constant, str) else f"ifNull(toString({value.text}), '')"


def _joined(args: Sequence[Sql]) -> str:
    return ", ".join(arg.text for arg in args)
