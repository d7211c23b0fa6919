"""`{filters}`: what each filter becomes, which is written here as the HogQL that one would type instead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from posthog_events.errors import HogQLError, HogQLSyntaxError, UnsupportedHogQL
from posthog_events.hogql import ast
from posthog_events.hogql.filters import expand_filters
from posthog_events.hogql.parser import parse_select
from posthog_events.hogql.placeholders import bind
from posthog_events.hogql.source import Source
from posthog_events.hogql.tree import transform, walk

NOW = datetime(2026, 8, 31, 12, tzinfo=UTC)
TEXT = "SELECT count() FROM events WHERE {filters}"


def expand(text: str, filters: Mapping[str, Any] | None, *, timezone: str = "UTC") -> ast.Node:
    """Return the tree of `text` with the filters in place."""
    return expand_filters(parse_select(text), filters, now=NOW, timezone=timezone, source=Source(text))


def expected(text: str, **values: object) -> ast.Node:
    """Return the tree of a query as typed; values stand for constants that have no literal."""
    return bind(parse_select(text), values, source=Source(text))  # type: ignore[arg-type]


def moment(text: str) -> datetime:
    """Return a moment from ISO text with an offset."""
    return datetime.fromisoformat(text)


# -- property filters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "value", "condition"),
    [
        (None, "a", "properties.k = 'a'"),
        ("exact", "a", "properties.k = 'a'"),
        ("exact", ["a"], "properties.k = 'a'"),
        ("exact", ["a", "b"], "properties.k IN ('a', 'b')"),
        ("exact", 5, "properties.k = 5"),
        ("exact", True, "properties.k = true"),
        ("exact", 0, "properties.k = 0"),
        ("exact", "", "properties.k = ''"),
        ("is_not", "a", "properties.k != 'a'"),
        ("is_not", ["a", "b"], "properties.k NOT IN ('a', 'b')"),
        ("icontains", "a", "toString(properties.k) ILIKE '%a%'"),
        ("icontains", ["a", "b"], "toString(properties.k) ILIKE '%a%' OR toString(properties.k) ILIKE '%b%'"),
        ("not_icontains", "a", "toString(properties.k) NOT ILIKE '%a%'"),
        (
            "not_icontains",
            ["a", "b"],
            "toString(properties.k) NOT ILIKE '%a%' AND toString(properties.k) NOT ILIKE '%b%'",
        ),
        ("regex", "^a", "ifNull(match(toString(properties.k), '^a'), 0)"),
        ("not_regex", "^a", "ifNull(NOT match(toString(properties.k), '^a'), 1)"),
        (
            "not_regex",
            ["a", "b"],
            "ifNull(NOT match(toString(properties.k), 'a'), 1) AND ifNull(NOT match(toString(properties.k), 'b'), 1)",
        ),
        ("gt", 5, "properties.k > 5"),
        ("gte", 5, "properties.k >= 5"),
        ("lt", 5, "properties.k < 5"),
        ("lte", "5", "properties.k <= '5'"),
        ("gt", [5, 7], "properties.k > 5 OR properties.k > 7"),
        ("is_date_before", "not a moment", "properties.k < 'not a moment'"),
        ("is_set", None, "properties.k != NULL"),
        ("is_set", "is_set", "properties.k != NULL"),
        ("is_not_set", None, "properties.k = NULL"),
        ("exact", None, "true"),
        ("gt", [], "true"),
    ],
)
def test_operator_becomes_a_condition(operator: str | None, value: object, condition: str) -> None:
    """Several values are any of them, for the negative operators none of them; without a value all rows stay."""
    item = {"type": "event", "key": "k", "value": value, **({"operator": operator} if operator else {})}

    assert expected(TEXT.replace("{filters}", condition)) == expand(TEXT, {"properties": [item]})


@pytest.mark.parametrize(("operator", "sign"), [("is_date_before", "<"), ("is_date_after", ">")])
def test_date_operators_know_relative_dates(operator: str, sign: str) -> None:
    """A relative date counts back from now, an ISO one is read in the project's zone."""
    for value, iso in (("-7d", "2026-08-24T14:00:00+02:00"), ("2026-01-01", "2026-01-01T00:00:00+01:00")):
        item = {"key": "k", "operator": operator, "value": value}

        actual = expand(TEXT, {"properties": [item]}, timezone="Europe/Berlin")

        assert expected(f"SELECT count() FROM events WHERE properties.k {sign} {{x}}", x=moment(iso)) == in_utc(actual)


def in_utc(tree: ast.Node) -> ast.Node:
    """Return the tree with moments whose zone prints like a fixed offset, to compare them by their text."""

    def change(node: ast.Node) -> ast.Node:
        if isinstance(node, ast.Constant) and isinstance(node.value, datetime):
            return ast.Constant(value=datetime.fromisoformat(node.value.isoformat()))
        return node

    return transform(tree, change)


@pytest.mark.parametrize(
    ("item", "condition"),
    [
        ({"type": "person", "key": "plan", "value": "pro"}, "person.properties.plan = 'pro'"),
        ({"type": "event", "key": "$browser", "value": "x"}, "properties.$browser = 'x'"),
        ({"type": "feature", "key": "$feature/a b", "value": "x"}, "properties.`$feature/a b` = 'x'"),
        ({"type": "group", "group_type_index": 2, "key": "k", "value": "x"}, "group_2.properties.k = 'x'"),
        ({"type": "group", "key": "k", "value": "x"}, "group_0.properties.k = 'x'"),
        (
            {"type": "session", "key": "$session_duration", "operator": "gt", "value": 5},
            "session.$session_duration > 5",
        ),
        ({"type": "cohort", "key": "id", "value": 7}, "person_id IN COHORT 7"),
        ({"type": "cohort", "key": "id", "value": 7, "operator": "not_in"}, "person_id NOT IN COHORT 7"),
        ({"type": "hogql", "key": "properties.a > 5 OR event = 'x'"}, "properties.a > 5 OR event = 'x'"),
    ],
)
def test_type_says_where_the_property_is(item: Mapping[str, object], condition: str) -> None:
    """Event, person, group and session properties, cohorts, and HogQL conditions."""
    assert expected(TEXT.replace("{filters}", condition)) == expand(TEXT, {"properties": [item]})


def leaf(key: str) -> dict[str, str]:
    """Return the filter `key = 'x'`."""
    return {"key": key, "value": "x"}


A, B, C = "properties.a = 'x'", "properties.b = 'x'", "properties.c = 'x'"


@pytest.mark.parametrize(
    ("properties", "condition"),
    [
        ([leaf("a"), leaf("b")], f"{A} AND {B}"),
        ({"type": "OR", "values": [leaf("a"), leaf("b")]}, f"{A} OR {B}"),
        ({"type": "AND", "values": [leaf("a"), leaf("b")]}, f"{A} AND {B}"),
        ([{"type": "OR", "values": [leaf("a"), leaf("b")]}, leaf("c")], f"({A} OR {B}) AND {C}"),
        (
            {"type": "OR", "values": [{"type": "AND", "values": [leaf("a"), leaf("b")]}, leaf("c")]},
            f"({A} AND {B}) OR {C}",
        ),
        ({"type": "OR", "values": [leaf("a")]}, A),
        ({"type": "OR", "values": []}, "true"),
        ([], "true"),
        (None, "true"),
    ],
)
def test_groups_nest(properties: object, condition: str) -> None:
    """A list is joined by AND, a group by its own word."""
    assert expected(TEXT.replace("{filters}", condition)) == expand(TEXT, {"properties": properties})


# -- dates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("UTC", "2026-08-24T12:00:00+00:00", "2026-08-30T00:00:00+00:00"),
        ("Europe/Berlin", "2026-08-24T14:00:00+02:00", "2026-08-30T00:00:00+02:00"),
        ("America/Los_Angeles", "2026-08-24T05:00:00-07:00", "2026-08-30T00:00:00-07:00"),
    ],
)
def test_date_range_bounds_the_time_column(zone: str, start: str, end: str) -> None:
    """The end is excluded, the start included; dates without a time are midnight in the project's zone."""
    filters = {"dateRange": {"date_from": "-7d", "date_to": "2026-08-30"}}
    text = "SELECT count() FROM events WHERE timestamp < {end} AND timestamp >= {start}"

    assert expected(text, start=moment(start), end=moment(end)) == in_utc(expand(TEXT, filters, timezone=zone))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("events", "timestamp"),
        ("sessions", "$start_timestamp"),
        ("groups", "created_at"),
        ("logs", "timestamp"),
        ("persons JOIN events AS e ON true", "timestamp"),
    ],
)
def test_each_table_has_its_time_column(table: str, column: str) -> None:
    """The first table of the FROM list that has one decides."""
    actual = expand(f"SELECT 1 FROM {table} WHERE {{filters}}", {"dateRange": {"date_from": "2026-01-01"}})

    text = f"SELECT 1 FROM {table} WHERE {column} >= {{x}}"
    assert expected(text, x=moment("2026-01-01T00:00:00+00:00")) == in_utc(actual)


@pytest.mark.parametrize(
    "filters", [None, {}, {"dateRange": None}, {"dateRange": {"date_from": "all", "date_to": None}}, {"properties": []}]
)
def test_without_filters_all_rows_stay(filters: Mapping[str, Any] | None) -> None:
    """No filter, or one without a bound, is `true`."""
    assert expected(TEXT.replace("{filters}", "true")) == expand(TEXT, filters)


def test_bounds_can_stand_alone() -> None:
    """`{filters.dateRange.from}` and `.to` are constants."""
    text = "SELECT 1 FROM events WHERE timestamp >= {filters.dateRange.from} AND {filters.dateRange.to} > timestamp"
    filters = {"dateRange": {"date_from": "2026-01-01", "date_to": "2026-02-01"}}

    actual = expand(text, filters)

    typed = "SELECT 1 FROM events WHERE timestamp >= {a} AND {b} > timestamp"
    a, b = moment("2026-01-01T00:00:00+00:00"), moment("2026-02-01T00:00:00+00:00")
    assert expected(typed, a=a, b=b) == in_utc(actual)


def test_unset_bound_takes_its_comparison_with_it() -> None:
    """The whole comparison becomes `true = true`, and nothing else does."""
    text = "SELECT 1 FROM events WHERE timestamp >= {filters.dateRange.from} AND event = 'x'"

    assert expected("SELECT 1 FROM events WHERE true = true AND event = 'x'") == expand(text, None)


def test_bounds_need_no_table() -> None:
    """A constant can stand in any SELECT, also in one without a FROM."""
    assert expected("SELECT true = true") == expand("SELECT now() > {filters.dateRange.to}", None)


def test_each_select_uses_its_own_tables() -> None:
    """A subquery's `{filters}` is about the subquery's table."""
    text = "SELECT 1 FROM (SELECT * FROM sessions WHERE {filters}) AS s JOIN events ON true WHERE {filters}"

    actual = expand(text, {"dateRange": {"date_from": "2026-01-01"}})

    typed = (
        "SELECT 1 FROM (SELECT * FROM sessions WHERE $start_timestamp >= {x}) AS s "
        "JOIN events ON true WHERE timestamp >= {x}"
    )
    assert expected(typed, x=moment("2026-01-01T00:00:00+00:00")) == in_utc(actual)


# -- refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "error", "fragment"),
    [
        (
            {"proprties": []},
            HogQLError,
            "Unknown filter 'proprties'; there are dateRange, filterTestAccounts, properties",
        ),
        ({"filterTestAccounts": True}, UnsupportedHogQL, "test-account filters"),
        (
            {"properties": [{"key": "k", "operator": "like", "value": "x"}]},
            HogQLError,
            "Unknown filter operator 'like'",
        ),
        ({"properties": [{"value": "x"}]}, HogQLError, "needs a key"),
        ({"properties": [{"type": "element", "key": "text", "value": "x"}]}, UnsupportedHogQL, "'element'"),
        ({"properties": ["k"]}, HogQLError, "A property filter is a mapping"),
        ({"properties": "k"}, HogQLError, "A property filter is a mapping"),
        ({"properties": [{"type": "hogql", "key": "a ="}]}, HogQLSyntaxError, "the HogQL filter:1:4"),
        ({"dateRange": {"date_from": "yesterday"}}, HogQLError, "dateRange.date_from of the filters: 'yesterday'"),
        ({"dateRange": {"from": "-7d"}}, HogQLError, "keys date_from and date_to"),
        ({"dateRange": "-7d"}, HogQLError, "keys date_from and date_to"),
    ],
)
def test_wrong_filter_is_refused(filters: Mapping[str, Any], error: type[HogQLError], fragment: str) -> None:
    """A filter that means nothing is an error with the reason, never a condition that is always true."""
    with pytest.raises(error) as caught:
        expand(TEXT, filters)
    assert fragment in str(caught.value)


def test_filters_need_a_table_that_has_time() -> None:
    """As on PostHog, `{filters}` cannot stand in a SELECT from other tables; the error points at it."""
    text = "SELECT 1 FROM persons WHERE {filters}"

    with pytest.raises(HogQLError, match="does not read from events") as caught:
        expand(text, None)
    assert text.index("{filters}") == caught.value.start


def test_unknown_part_of_filters_is_refused() -> None:
    """`{filters.x}` is not a thing."""
    with pytest.raises(HogQLError, match=r"There is no \{filters\.dateRange\}"):
        expand("SELECT 1 FROM events WHERE {filters.dateRange}", None)


def test_hogql_filter_has_no_place_in_the_query() -> None:
    """Nodes of a filter's own text carry no span of the query, so no error points at a wrong place."""
    tree = expand(TEXT, {"properties": [{"type": "hogql", "key": "nothing > 5"}]})

    assert isinstance(tree, ast.SelectQuery)
    assert tree.where is not None
    assert [None, None, None] == [node.span for node in walk(tree.where)]
