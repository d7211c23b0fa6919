"""Placeholders: every value becomes a constant of the tree, and what has none is named."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from posthog_events.errors import HogQLError, UnresolvedName
from posthog_events.hogql import ast
from posthog_events.hogql.parser import parse_expr, parse_select
from posthog_events.hogql.placeholders import bind, chain_of, expand_variables
from posthog_events.hogql.source import Source


def bound(text: str, **values: object) -> ast.Expr:
    """Return the expression with its placeholders bound."""
    return bind(parse_expr(text), values, source=Source(text))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        "text",
        "'; DROP TABLE events --",
        "{other}",
        "",
        True,
        False,
        0,
        1,
        2**70,
        -1.5,
        None,
        date(2026, 1, 2),
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        UUID("0190a0e0-0000-7000-8000-000000000001"),
    ],
    ids=repr,
)
def test_value_becomes_one_constant(value: object) -> None:
    """Whatever the value is, the tree holds it as it is, in one node."""
    expected = ast.CompareOperation(op="==", left=ast.Field(chain=("a",)), right=ast.Constant(value=value))

    assert expected == bound("a = {x}", x=value)


@pytest.mark.parametrize("value", [["a", "b"], ("a", "b")])
def test_list_becomes_an_array(value: object) -> None:
    """A list of values is an array of constants."""
    assert parse_expr("a IN ['a', 'b']") == bound("a IN {x}", x=value)
    assert parse_expr("a IN []") == bound("a IN {x}", x=[])


def test_every_place_of_a_query_is_bound() -> None:
    """Placeholders in subqueries, CTEs, joins and window frames are replaced too."""
    text = """
        WITH (SELECT {x}) AS c SELECT f({x}) OVER (PARTITION BY {x}) FROM (SELECT {x}) AS a
        JOIN b ON b.x = {x} WHERE x IN (SELECT {x}) ORDER BY {x} LIMIT {x}"""

    actual = bind(parse_select(text), {"x": 5}, source=Source(text))

    assert parse_select(text.replace("{x}", "5")) == actual


def test_missing_value_is_named_with_those_given() -> None:
    """The error shows the placeholder, its place, and the names that have values."""
    with pytest.raises(UnresolvedName) as caught:
        bound("a = {nmae}", name="x", other=1)

    assert "Unresolved placeholder: {nmae}. Values were given for: name, other" == caught.value.message
    assert (4, 10) == (caught.value.start, caught.value.end)


@pytest.mark.parametrize("text", ["{a.b}", "{f(a)}", "{1 + 1}", "{variables.a}", "{filters}"])
def test_other_than_a_name_is_no_placeholder_for_a_value(text: str) -> None:
    """Only `{name}` can be bound; Hog code in braces stays unresolved."""
    with pytest.raises(UnresolvedName, match="Unresolved placeholder"):
        bound(text, a=1)


def test_naive_datetime_is_refused() -> None:
    """A moment needs a time zone."""
    with pytest.raises(HogQLError, match=r"\{x\} is a datetime without a time zone"):
        bound("{x}", x=datetime(2026, 1, 1))


@pytest.mark.parametrize("value", [{"a": 1}, b"bytes", object(), [{"a": 1}]])
def test_value_without_a_form_in_hogql_is_refused(value: object) -> None:
    """Objects and bytes are no constants."""
    with pytest.raises(HogQLError, match="which HogQL cannot express"):
        bound("{x}", x=value)


def test_unused_values_and_the_tree_itself_are_left_alone() -> None:
    """Binding returns a new tree; without placeholders it is the same one."""
    tree = parse_expr("a + 1")

    assert tree is bind(tree, {"x": 1}, source=Source())


# -- variables ---------------------------------------------------------------------------------------------------


def test_variables_are_replaced_and_other_placeholders_stay() -> None:
    """`{variables.name}` is a constant or an array; `{name}` is not its business."""
    text = "f({variables.plan}, {variables.codes}, {variables.none}, {x})"

    actual = expand_variables(parse_expr(text), {"plan": "pro", "codes": [1, 2], "none": None}, source=Source(text))

    assert parse_expr("f('pro', [1, 2], NULL, {x})") == actual


@pytest.mark.parametrize("text", ["{variables.other}", "{variables.plan.more}"])
def test_unknown_variable_is_named(text: str) -> None:
    """The message is PostHog's, with the place."""
    with pytest.raises(UnresolvedName, match=r"Variable (other|plan) is missing from query") as caught:
        expand_variables(parse_expr(text), {"plan": "pro"}, source=Source(text, name="q.sql", first_line=3))
    assert ("q.sql", 3, 1) == (caught.value.name, caught.value.line, caught.value.column)


def test_chain_of_other_nodes_is_none() -> None:
    """Only a placeholder around a field has a chain."""
    assert ("a", "b") == chain_of(parse_expr("{a.b}"))
    assert chain_of(parse_expr("a.b")) is None
    assert chain_of(parse_expr("{f()}")) is None
