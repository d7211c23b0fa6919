"""Column names: what PostHog calls a column that has no alias."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from posthog_events.hogql import ast
from posthog_events.hogql.parser import parse_expr, parse_select
from posthog_events.hogql.printer import print_column_name, print_hogql


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1"),
        ("-1.5", "-1.5"),
        ("'it''s'", r"'it\'s'"),
        ("null", "NULL"),
        ("TRUE", "true"),
        ("event", "event"),
        ("date", "date"),
        ("max(order)", "max(order)"),
        ("properties.$browser", "properties.$browser"),
        ("properties.`two words`", "properties.`two words`"),
        ("*", "*"),
        ("e.*", "e.*"),
        ("count()", "count()"),
        ("uniq(person_id)", "uniq(person_id)"),
        ("count(DISTINCT event)", "count(DISTINCT event)"),
        ("quantile(0.9)(x)", "quantile(0.9)(x)"),
        ("sum(x) FILTER (WHERE y > 1)", "sum(x) FILTER (WHERE greater(y, 1))"),
        ("2 * (a + 1)", "multiply(2, plus(a, 1))"),
        ("a - b / c % d", "minus(a, modulo(divide(b, c), d))"),
        ("-a", "minus(0, a)"),
        ("event = 'x'", "equals(event, 'x')"),
        ("a != b", "notEquals(a, b)"),
        ("a < 1 AND b <= 2 AND c > 3", "and(less(a, 1), lessOrEquals(b, 2), greater(c, 3))"),
        ("a >= 1 OR b", "or(greaterOrEquals(a, 1), b)"),
        ("NOT a", "not(a)"),
        ("a LIKE 'x'", "like(a, 'x')"),
        ("a NOT ILIKE 'x'", "notILike(a, 'x')"),
        ("a IN (1, 2)", "in(a, tuple(1, 2))"),
        ("a NOT IN [1, 2]", "notIn(a, [1, 2])"),
        ("a IN COHORT 5", "a IN COHORT 5"),
        ("a NOT IN COHORT 'vip'", "a NOT IN COHORT 'vip'"),
        ("a =~ 'x'", "match(a, 'x')"),
        ("a !~* 'x'", "not(match(a, concat('(?i)', 'x')))"),
        ("a IS NULL", "equals(a, NULL)"),
        ("a IS NOT NULL", "notEquals(a, NULL)"),
        ("a + 1 BETWEEN 2 AND 3", "plus(a, 1) BETWEEN 2 AND 3"),
        ("a NOT BETWEEN 2 AND 3", "a NOT BETWEEN 2 AND 3"),
        ("a[1]", "a[1]"),
        ("a?.[1]", "a?.[1]"),
        ("a.1", "a.1"),
        ("(a + b).1", "(plus(a, b)).1"),
        ("(a, b).1", "tuple(a, b).1"),
        ("[1, 2]", "[1, 2]"),
        ("{'a': 1}", "tuple('__hx_tag', '__hx_obj', 'a', 1)"),
        ("arrayMap(x -> x + 1, y)", "arrayMap(x -> plus(x, 1), y)"),
        ("arrayMap((x, y) -> x * y, a, b)", "arrayMap((x, y) -> multiply(x, y), a, b)"),
        ("a ?? 'none'", "ifNull(a, 'none')"),
        ("a ? 1 : 2", "if(a, 1, 2)"),
        ("a || 'b'", "concat(a, 'b')"),
        ("rank() OVER (PARTITION BY a ORDER BY b DESC)", "rank() OVER (PARTITION BY a ORDER BY b DESC)"),
        ("sum(x) OVER w", "sum(x) OVER w"),
        ("INTERVAL 2 week", "toIntervalWeek(2)"),
    ],
)
def test_column_name_is_the_expression_in_call_form(text: str, expected: str) -> None:
    """Every operator is a call; aliases and keywords need no quotes there."""
    assert expected == print_column_name(parse_expr(text))


def test_alias_is_not_part_of_the_name_of_its_expression() -> None:
    """An alias inside an expression leaves the print of what it names."""
    assert "plus(a, 1)" == print_column_name(parse_expr("(a AS b) + 1"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "toDateTime64('2026-01-02 03:04:05.000006', 6, 'UTC')"),
        (date(2026, 1, 2), "toDate('2026-01-02')"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
        (1e22, "1e+22"),
        (UUID("0190a0e0-0000-7000-8000-000000000001"), "toUUID('0190a0e0-0000-7000-8000-000000000001')"),
        (2**70, "1180591620717411303424"),
    ],
)
def test_bound_values_print_as_hogql(value: object, expected: str) -> None:
    """Constants that a placeholder was bound to have a form in HogQL too."""
    assert expected == print_hogql(ast.Constant(value=value))


def test_operators_get_the_parentheses_they_need_and_no_more() -> None:
    """The print reads like HogQL that a person wrote."""
    text = "SELECT a + b * c, (a + b) * c FROM events WHERE (a OR b) AND NOT c = 1 ORDER BY a DESC LIMIT 5"

    assert text == print_hogql(parse_select(text))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a FROM t WHERE NOT a BETWEEN 1 AND 2",
        "SELECT a FROM t WHERE NOT a IS DISTINCT FROM b",
        "SELECT NOT sum(a) OVER () FROM t",
        "SELECT NOT a IS NULL + b",
        "SELECT NOT a IS NULL + b * c = d",
        "SELECT NOT x -> y",
        "SELECT NOT <a />",
        "SELECT (a IS DISTINCT FROM b) IS NULL",
        "SELECT (f)(a), (f(a))(b), f(a)(b)(c), f(SELECT 1)(a)",
        "SELECT sum(a) OVER (ROWS BETWEEN 1.5 PRECEDING AND CURRENT ROW) FROM t",
        "SELECT a FROM t HAVING b QUALIFY c WINDOW w AS (ORDER BY a)",
        "SELECT a FROM t ORDER BY a WITH FILL INTERPOLATE",
        "SELECT 1 FROM t AS x PIVOT (sum(a) FOR b IN (1))",
    ],
)
def test_rare_syntax_survives_printing(text: str) -> None:
    """The parser's order of clauses and its reading of `NOT (` hold for what is hardly ever written, too."""
    tree = parse_select(text)

    assert tree == parse_select(print_hogql(tree))
