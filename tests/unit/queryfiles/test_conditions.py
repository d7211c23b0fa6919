"""Conditions: the one kind of value that is an expression."""

import pytest

from posthog_events.errors import ParameterError
from posthog_events.hogql import ast
from posthog_events.hogql.parser import parse_expr
from posthog_events.queryfiles.conditions import condition_text, is_aggregate, parse_condition


@pytest.mark.parametrize(
    "text",
    [
        "properties.plan = 'pro'",
        "event = 'it\\'s' OR properties.amount > 10 AND NOT person.properties.vip = true",
        "toFloat(properties.amount) BETWEEN 1 AND 2",
        "properties.tags IN ('a', 'b') AND event LIKE 'a%'",
        "arrayExists(x -> x = 1, [1, 2])",
        "properties['weird \\\\ key'] IS NOT NULL -- with a comment",
        "person_id IN COHORT 5",
    ],
)
def test_a_plain_condition_is_kept_exactly(text):
    """What the query gets is in parentheses and reads back as the expression that was written."""
    printed = condition_text(parse_condition(text))

    assert printed.startswith("(")
    assert printed.endswith(")")
    assert "--" not in printed
    assert parse_expr(text) == parse_expr(printed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1) OR (1", "is not a HogQL expression at column 2"),
        ("event = 'a'; DROP TABLE x", "is not a HogQL expression"),
        ("event =", "is not a HogQL expression"),
        ("", "is not a HogQL expression"),
        ("event IN (SELECT event FROM events)", "holds a subquery"),
        ("(SELECT 1 UNION ALL SELECT 2)", "holds a subquery"),
        ("{evil}", "holds a {placeholder}"),
        ("(properties.plan AS event) = 'x'", "holds an alias (AS)"),
        ("count() > 1", "holds the aggregate count()"),
        ("quantile(0.5)(x) > 1", "holds the aggregate quantile()"),
        ("foo(DISTINCT x) = 1", "holds the aggregate foo()"),
        ("row_number() OVER () = 1", "holds a window function"),
        ("arrayJoin([1, 2]) = 1", "holds arrayJoin"),
        ("* = 1", "holds an asterisk"),
        ("COLUMNS('a') = 1", "holds COLUMNS(...)"),
        ("sum(arrayJoin([1])) = {x}", "holds a {placeholder} and arrayJoin and the aggregate sum()"),
    ],
)
def test_what_could_change_more_than_which_rows_match_is_refused(text, message):
    """All reasons are told at once."""
    with pytest.raises(ParameterError) as caught:
        parse_condition(text)

    assert message in str(caught.value)


def test_a_condition_is_one_operand_of_what_surrounds_it():
    """The parentheses keep an OR inside."""
    text = condition_text(parse_condition("a = 1 OR b = 2"))

    tree = parse_expr(f"x = 1 AND {text}")

    assert isinstance(tree, ast.And)
    assert [ast.CompareOperation, ast.Or] == [type(part) for part in tree.exprs]


@pytest.mark.parametrize(
    ("aggregate", "names"),
    [
        (True, "count COUNT countIf uniqExact argMaxIf quantileExactIf groupArray windowFunnel sumArrayIf min"),
        (False, "countSubstrings minus anything lower max2 arraySum toFloat multiIf anyway"),
    ],
)
def test_aggregates_are_told_from_other_functions_by_name(aggregate, names):
    """Combinators count; names that only begin alike do not."""
    assert {aggregate} == {is_aggregate(name) for name in names.split()}
