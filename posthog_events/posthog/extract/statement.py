"""The user's SELECT, and the HogQL of every question that extraction asks about it.

All of it is made of syntax trees and bound values. Conditions name the table (`events.timestamp`), because a bare
`timestamp` would mean a column alias of the user's if there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

from posthog_events.clickhouse.functions import Function, Role, lookup
from posthog_events.errors import Fault, ParameterError, UnsupportedHogQL
from posthog_events.hogql import ast
from posthog_events.hogql.parser import parse_select
from posthog_events.hogql.printer import print_hogql
from posthog_events.hogql.source import Source
from posthog_events.hogql.tree import children, walk
from posthog_events.limits import MAX_ROWS
from posthog_events.posthog.extract.windows import Histogram, Page, Window, moment
from posthog_events.result import Query, Value

__all__ = ["RowStatement"]

_CLAUSES = {
    "distinct": "DISTINCT",
    "array_join_list": "ARRAY JOIN",
    "group_by": "GROUP BY",
    "group_by_mode": "GROUP BY",
    "having": "HAVING",
    "qualify": "QUALIFY",
    "window_exprs": "WINDOW",
    "interpolate": "INTERPOLATE",
    "limit_by": "LIMIT BY",
}
"""What makes rows of something else than one event each, by its name in the tree."""

_MOVING = frozenset(
    {"now", "now64", "nowinblock", "current_timestamp", "today", "current_date", "yesterday"}
    | {"rand", "rand32", "rand64", "randcanonical", "generateuuidv4"}
)
"""Functions, in lower case, whose value in a condition would change the set of rows while its pages are fetched."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RowStatement:
    """A query with one row per event, ready to be cut into pages.

    Args:
        query: As the user gave it.
        select: Its tree, the keys of every row appended as two more columns, without ORDER BY.
        table: What the events table is called in it.
        prefix: What the names of our own columns and placeholders begin with; no other name in the query does.
    """

    query: Query
    select: ast.SelectQuery
    table: str
    prefix: str

    @classmethod
    def parse(cls, query: Query) -> RowStatement:
        """Read a query, and refuse what cannot be extracted.

        Raises:
            HogQLSyntaxError: The text does not parse.
            UnsupportedHogQL: The query is more than columns and conditions of the events table.
            ParameterError: Its filters have a date range.
        """
        source = Source(query.hogql, str(query.path or query.name), query.first_line)
        tree = parse_select(query.hogql, name=source.name, first_line=source.first_line)
        if not isinstance(tree, ast.SelectQuery):
            raise _refused(source, "UNION and the like cannot be extracted; extract each SELECT by itself", tree)
        table = _events_table(tree, source)
        _check_clauses(tree, table, source)
        _check_expressions(tree, source)
        if (query.filters or {}).get("dateRange"):
            raise ParameterError([Fault("the range of an extraction is `since` and `until`; give no dateRange filter")])
        prefix = _free_prefix(tree, query.values)
        us = ast.Call(
            name="dateDiff",
            args=(ast.Constant(value="microsecond"), ast.Constant(value=_EPOCH), _column(table, "timestamp")),
        )
        keys = (
            ast.Alias(alias=f"{prefix}us", expr=us),
            ast.Alias(alias=f"{prefix}uuid", expr=_column(table, "uuid")),
        )
        return cls(query, replace(tree, select=(*tree.select, *keys), order_by=None), table, prefix)

    def page(self, page: Page, mark: str) -> Query:
        """Return the query of a page; its last two columns are microseconds since 1970 and uuid."""
        timestamp, uuid = _column(self.table, "timestamp"), _column(self.table, "uuid")
        select, values = self._within(page.window, mark)
        if page.after is not None:
            at, uid = self._placeholder("at"), self._placeholder("after")
            select = _restricted(
                select,
                ast.Or(
                    exprs=(
                        _compare(">", timestamp, at),
                        ast.And(exprs=(_compare("==", timestamp, at), _compare(">", uuid, uid))),
                    )
                ),
            )
            values |= {f"{self.prefix}at": moment(page.after.timestamp), f"{self.prefix}after": page.after.uuid}
        order = (ast.OrderExpr(expr=timestamp), ast.OrderExpr(expr=uuid))
        return self._query(replace(select, order_by=order, limit=ast.Constant(value=page.limit)), values)

    def histogram(self, histogram: Histogram, mark: str) -> Query:
        """Return the query of a count by bucket; its columns are bucket number and rows."""
        select, values = self._within(histogram.window, mark)
        where = None
        if histogram.parents:
            parents = ast.Tuple(exprs=tuple(ast.Constant(value=number) for number in histogram.parents))
            where = _compare("in", self._bucket(histogram.origin, histogram.parent_width), parents)
        rows = (("rows", ast.Call(name="count")),)
        return self._grouped(select, values, self._bucket(histogram.origin, histogram.width), rows, where)

    def tally(self, windows: Sequence[Window], mark: str) -> Query:
        """Return the query of a count by window; its columns are the window's start, rows and different uuids.

        The windows are in order and do not overlap. A gap between two of them is counted as well, by its own start.
        """
        select, values = self._within(Window(windows[0].since, windows[-1].until), mark)
        starts = sorted({edge for window in windows for edge in (window.since, window.until)})
        edges = ast.Array(exprs=tuple(ast.Constant(value=start) for start in starts))
        start = ast.Call(name="roundDown", args=(self._own("us"), edges))
        counts = (
            ("rows", ast.Call(name="count")),
            ("events", ast.Call(name="uniqExact", args=(self._own("uuid"),))),
        )
        return self._grouped(select, values, start, counts)

    def now(self, mark: str) -> Query:
        """Return the query of the server's time."""
        now = ast.Call(name="toTimeZone", args=(ast.Call(name="now"), ast.Constant(value="UTC")))
        marked = _compare("!=", self._placeholder("mark"), ast.Constant(value=""))
        select = ast.SelectQuery(select=(ast.Alias(alias="now", expr=now),), where=marked, limit=ast.Constant(value=1))
        return self._query(select, {f"{self.prefix}mark": mark})

    def _within(self, window: Window, mark: str) -> tuple[ast.SelectQuery, dict[str, Value]]:
        """Return the user's SELECT restricted to a window, and our values for it."""
        timestamp = _column(self.table, "timestamp")
        select = _restricted(
            self.select,
            _compare(">=", timestamp, self._placeholder("since")),
            _compare("<", timestamp, self._placeholder("until")),
            # says nothing of the rows; see EngineSource.run_id
            _compare("!=", self._placeholder("mark"), ast.Constant(value="")),
        )
        own: dict[str, Value] = {"since": moment(window.since), "until": moment(window.until), "mark": mark}
        return select, {f"{self.prefix}{name}": value for name, value in own.items()}

    def _grouped(
        self,
        inner: ast.SelectQuery,
        values: Mapping[str, Value],
        key: ast.Expr,
        counts: Sequence[tuple[str, ast.Expr]],
        where: ast.Expr | None = None,
    ) -> Query:
        """Count the rows of the user's whole SELECT, because its conditions may use its aliases."""
        select = ast.SelectQuery(
            select=tuple(
                ast.Alias(alias=f"{self.prefix}{name}", expr=expr) for name, expr in (("group", key), *counts)
            ),
            select_from=ast.JoinExpr(table=inner),
            where=where,
            group_by=(self._own("group"),),
            limit=ast.Constant(value=MAX_ROWS),
        )
        return self._query(select, values)

    def _bucket(self, origin: int, width: int) -> ast.Expr:
        since_origin = ast.ArithmeticOperation(op="-", left=self._own("us"), right=ast.Constant(value=origin))
        return ast.Call(name="intDiv", args=(since_origin, ast.Constant(value=width)))

    def _own(self, name: str) -> ast.Field:
        return ast.Field(chain=(f"{self.prefix}{name}",))

    def _placeholder(self, name: str) -> ast.Placeholder:
        return ast.Placeholder(expr=self._own(name))

    def _query(self, select: ast.SelectQuery, values: Mapping[str, Value]) -> Query:
        # positions in errors point into this text, so it must not be taken for the user's file
        return Query(
            print_hogql(select),
            values=MappingProxyType({**self.query.values, **values}),
            filters=self.query.filters,
            variables=self.query.variables,
            name=f"{self.query.name} (rewritten to extract rows)",
        )


def _refused(source: Source, message: str, node: ast.Node) -> UnsupportedHogQL:
    return source.error(UnsupportedHogQL, message, node)


def _column(table: str, name: str) -> ast.Field:
    return ast.Field(chain=(table, name))


def _compare(op: str, left: ast.Expr, right: ast.Expr) -> ast.Expr:
    return ast.CompareOperation(op=op, left=left, right=right)


def _restricted(select: ast.SelectQuery, *conditions: ast.Expr) -> ast.SelectQuery:
    own = () if select.where is None else (select.where,)
    return replace(select, where=ast.And(exprs=(*own, *conditions)))


def _events_table(tree: ast.SelectQuery, source: Source) -> str:
    """Return the name of the events table in the query."""
    join = tree.select_from
    if join is None or not isinstance(join.table, ast.Field) or join.table.chain != ("events",):
        raise _refused(source, "only rows of the events table can be extracted: SELECT ... FROM events", join or tree)
    if join != ast.JoinExpr(table=join.table, alias=join.alias):
        raise _refused(
            source,
            "a JOIN, SAMPLE or FINAL cannot be extracted: FROM events must stand alone, perhaps with an alias. "
            "Properties of persons and groups need no JOIN: person.properties.x, group_0.properties.x",
            join,
        )
    for cte in tree.ctes or ():
        if cte.name == "events":
            raise _refused(source, "a WITH called events hides the events table; give it another name", cte)
    return join.alias or "events"


def _check_clauses(tree: ast.SelectQuery, table: str, source: Source) -> None:
    for name, clause in _CLAUSES.items():
        if getattr(tree, name):
            raise _refused(
                source, f"{clause} cannot be extracted: every row must be one event. Run the query by itself", tree
            )
    if tree.limit is not None or tree.offset is not None:
        raise _refused(
            source,
            "an extraction takes every row between `since` and `until`; remove LIMIT and OFFSET, or run the query "
            "by itself",
            tree.limit or tree.offset or tree,
        )
    aliases = {item.alias: item.expr for item in tree.select if isinstance(item, ast.Alias)}
    if table in aliases:
        raise _refused(source, f"a column cannot be called {table}, as the table is; give it another alias", tree)
    renamed = aliases.get("timestamp", ast.Field(chain=("timestamp",)))
    for term in tree.order_by or ():
        plain = isinstance(term.expr, ast.Field) and (
            term.expr.chain in ((table, "timestamp"), (table, "uuid"), ("uuid",))
            or (term.expr.chain == ("timestamp",) and renamed in (_column(table, "timestamp"), term.expr))
        )
        if not plain or term.order != "ASC" or term.with_fill is not None:
            raise _refused(
                source, "rows are extracted in order of timestamp and uuid, ascending; remove ORDER BY", term
            )


def _check_expressions(tree: ast.SelectQuery, source: Source) -> None:
    columns = [cte.expr for cte in tree.ctes or () if cte.cte_type == "column"]
    conditions = [clause for clause in (tree.where, tree.prewhere) if clause is not None]
    for node in (inner for expr in (*columns, *tree.select, *conditions) for inner in _outside_subqueries(expr)):
        if isinstance(node, ast.WindowFunction):
            raise _refused(source, "window functions cannot be extracted: they would see one page at a time", node)
        if isinstance(node, ast.Call):
            function = lookup(node.name)
            if isinstance(function, Function) and function.role is not Role.SCALAR:
                raise _refused(source, f"{node.name}() combines rows, so there are no rows to extract", node)
            if node.name.lower() == "arrayjoin":
                raise _refused(source, "arrayJoin() cannot be extracted: every row must be one event", node)
    for node in (inner for expr in conditions for inner in walk(expr)):
        if isinstance(node, ast.Call) and node.name.lower() in _MOVING:
            raise _refused(
                source,
                f"{node.name}() in a condition changes which rows there are while they are fetched; bind a value, "
                "or use `since` and `until` for the range of time",
                node,
            )


def _outside_subqueries(node: ast.Node) -> Iterator[ast.Node]:
    if not isinstance(node, ast.SelectQuery | ast.SelectSetQuery):
        yield node
        for child in children(node):
            yield from _outside_subqueries(child)


def _free_prefix(tree: ast.SelectQuery, values: Mapping[str, Value]) -> str:
    """Return a prefix that no name of the query begins with."""
    names = set(values)
    for node in walk(tree):
        names |= {str(part) for part in getattr(node, "chain", ())}
        names |= {name for name in (getattr(node, "alias", None), getattr(node, "name", None)) if name}
    prefix = "extract_"
    while any(name.startswith(prefix) for name in names):
        prefix += "_"
    return prefix
