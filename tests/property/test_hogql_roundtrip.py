"""The law of the printer: parsing what it prints gives the tree that was printed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from posthog_events.errors import HogQLSyntaxError, UnsupportedHogQL
from posthog_events.hogql import ast
from posthog_events.hogql.guard import parse_cost_ms
from posthog_events.hogql.parser import Parser
from posthog_events.hogql.printer import print_hogql
from posthog_events.hogql.quoting import identifier, string
from posthog_events.hogql.tokens import tokenize
from posthog_events.queryfiles import library_dir, read_query_file, render
from posthog_events.queryfiles.lint import _variants
from tests.contract.corpus.loader import CASES

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PARSER = Parser()
Rule = Literal["select", "expr"]


def parse(rule: Rule, text: str) -> ast.Node:
    """Parse a query or an expression."""
    return PARSER.parse_select(text) if rule == "select" else PARSER.parse_expr(text)


def check(rule: Rule, text: str) -> None:
    """Parse, print, parse again; the trees must be equal, and the second print must be the first."""
    tree = parse(rule, text)
    printed = print_hogql(tree)
    if rule == "expr" and isinstance(tree, ast.SelectQuery | ast.SelectSetQuery):
        printed = f"({printed})"  # a query is printed as one; inside an expression it stands in parentheses

    again = parse(rule, printed)

    assert tree == again, printed
    assert print_hogql(tree) == print_hogql(again)


def parses(rule: Rule, text: str) -> bool:
    """Return whether PostHog's parser takes the text."""
    try:
        parse(rule, text)
    except (HogQLSyntaxError, UnsupportedHogQL):
        return False
    return True


# -- texts that people wrote -------------------------------------------------------------------------------------


def marked(text: str, name: str | None = None) -> object:
    """Return a test parameter; what takes the parser long belongs to the slow tests."""
    return pytest.param(text, id=name, marks=[pytest.mark.slow] if parse_cost_ms(tokenize(text)) > 100 else [])


def rendered(path: Path) -> str:
    """Return a query file as HogQL, with sample values for its parameters."""
    file = read_query_file(path)
    return render(file, next(_variants(file.params)), clock=lambda: NOW, timezone="UTC").hogql


@pytest.mark.parametrize("text", [marked(text) for text in sorted({case.hogql for case in CASES})])
def test_corpus_queries_survive_printing(text: str) -> None:
    """Every query of the corpus means the same after printing; what is no HogQL has no print."""
    if parses("select", text):
        check("select", text)


@pytest.mark.parametrize(
    "text", [marked(rendered(path), path.stem) for path in sorted(library_dir("queries").glob("*.sql"))]
)
def test_shipped_queries_survive_printing(text: str) -> None:
    """Every query file of the library means the same after printing."""
    check("select", text)


# -- texts from the grammar --------------------------------------------------------------------------------------

# `§` is an expression, `¤` a name, `¶` a SELECT in parentheses, `Ω` a string, `№` a small number
OPERATORS = """
§ + §
§ - §
§ * §
§ / §
§ % §
- §
§ = §
§ == §
§ != §
§ <> §
§ < §
§ <= §
§ > §
§ >= §
§ LIKE §
§ NOT LIKE §
§ ILIKE §
§ NOT ILIKE §
§ =~ §
§ !~ §
§ =~* §
§ !~* §
§ ~ §
§ ~* §
§ IN (§, §)
§ NOT IN (§, §)
§ IN ¶
§ NOT IN ¶
§ IN §
§ IN COHORT №
§ NOT IN COHORT Ω
§ IS NULL
§ IS NOT NULL
§ BETWEEN § AND §
§ NOT BETWEEN § AND §
§ IS DISTINCT FROM §
§ IS NOT DISTINCT FROM §
§ <=> §
NOT §
NOT (§)
not(§)
§ AND §
§ OR §
§ AND § AND §
§ OR § OR §
§ ? § : §
§ ?? §
§ || §
§ AS ¤
¤ -> §
(¤, ¤) -> §
(§)
(§ AS ¤)
§ IS NOT NULL AND §
NOT § IS NULL
- № + §
NOT NOT §
§ - - №
""".strip().split("\n")

ACCESSES = """
§[§]
§?.[§]
§[№:№]
§[:№]
§[№:]
§[:]
§[§:§]
(§)[§]
§.№
§?.№
(§).№
§.¤
§?.¤
(§).¤
(§)?.¤
§::Int64
§::varchar(10)
CAST(§ AS Float64)
CAST(§ AS Nullable(String))
TRY_CAST(§ AS Int64)
CAST(§ AS Decimal(10, 2))
(§, §)
tuple()
tuple(§)
(§,)
[§, §]
[]
array(§)
array[§]
{}
{Ω: §}
{Ω: §, §: §}
{¤}
{¤.¤}
{§}
""".strip().split("\n")

CALLS = """
¤(§)
¤(§, §)
¤()
¤(§)(§)
quantile(0.5)(§)
count(*)
count()
count(DISTINCT §)
¤(DISTINCT §, §)
sum(§) FILTER (WHERE §)
count() FILTER (WHERE §)
groupArray(§ ORDER BY §, § DESC)
f(¤ := §)
§(§)
¤.¤(§)
¤(§)(§)(§)
if(§, §, §)
CASE WHEN § THEN § ELSE § END
CASE WHEN § THEN § WHEN § THEN § END
CASE § WHEN § THEN § ELSE § END
INTERVAL № day
INTERVAL '2 weeks'
INTERVAL '3' month
INTERVAL § hour
trim(LEADING 'x' FROM §)
EXISTS (SELECT §)
f'a {§} b'
f'{§}'
rank() OVER (PARTITION BY § ORDER BY § DESC)
sum(§) OVER (ORDER BY § ROWS BETWEEN № PRECEDING AND CURRENT ROW)
¤(§) OVER ¤
¤() OVER ()
quantile(0.5)(§) OVER (PARTITION BY §, §)
¤(§, §) OVER (ROWS UNBOUNDED PRECEDING)
lag(§) OVER (RANGE BETWEEN UNBOUNDED PRECEDING AND № FOLLOWING)
¤(§)() OVER ()
¶
COLUMNS(Ω)
<Tag>text {§}</Tag>
<Tag a />
quantile(0.5) WITHIN GROUP (ORDER BY §)
<Tag a={§} b='c'><Inner /></Tag>
countIf(§)
now()
toDate(§)
""".strip().split("\n")

CLAUSES = """
SELECT §
SELECT DISTINCT §, §
SELECT § FROM ¤
SELECT * FROM ¤ WHERE §
SELECT ¤.* FROM ¤
SELECT * EXCLUDE (¤, ¤) FROM ¤
SELECT § FROM ¤ PREWHERE § WHERE § GROUP BY §, § HAVING § ORDER BY § DESC, § LIMIT № OFFSET №
SELECT § FROM ¤ GROUP BY ALL
SELECT § ORDER BY § ASC
SELECT § FROM ¤ GROUP BY ROLLUP(§, §)
SELECT § FROM ¤ GROUP BY CUBE(§)
SELECT § FROM ¶
SELECT § FROM ¤ AS ¤
SELECT § FROM ¤ ¤ FINAL
SELECT § FROM ¤ SAMPLE 1/10 OFFSET 1/2
SELECT § FROM ¤ SAMPLE 0.1
SELECT § FROM ¤ SAMPLE {¤} OFFSET {¤}
{¤} UNION ALL ¶
SELECT § UNION ALL {¤} EXCEPT {¤}
SELECT § FROM ¶ AS ¤
SELECT § FROM ¤.¤
SELECT § FROM ¤ JOIN ¤ ON §
SELECT § FROM ¤ AS a LEFT JOIN ¶ AS b ON §
SELECT § FROM ¤ INNER JOIN ¤ USING ¤, ¤
SELECT § FROM ¤ JOIN ¤ USING (¤, ¤)
SELECT § FROM ¤ JOIN ¤ USING (¤)
SELECT § FROM ¤, ¤
SELECT § FROM ¤ CROSS JOIN ¤
SELECT § FROM ¤ ANY LEFT JOIN ¤ ON §
SELECT § FROM ¤ ASOF JOIN ¤ ON § AND §
SELECT § FROM ¤ FULL OUTER JOIN ¤ ON § SEMI LEFT JOIN ¤ ON §
SELECT § FROM numbers(№, §)
SELECT § FROM numbers(№) AS ¤
SELECT § FROM ¤()
SELECT § FROM {¤}
SELECT § FROM ¤ ARRAY JOIN § AS ¤
WITH ¶ AS ¤ SELECT §
WITH ¤ AS ¶ SELECT § FROM ¤
WITH § AS ¤, ¤ AS ¶ SELECT §
WITH RECURSIVE ¤ AS ¶ SELECT §
WITH ¤ AS MATERIALIZED ¶ SELECT §
WITH ¤ (¤, ¤) AS ¶ SELECT §
SELECT § FROM ¤ WINDOW ¤ AS (PARTITION BY § ORDER BY §), ¤ AS ()
SELECT § FROM ¤ QUALIFY §
SELECT § LIMIT № WITH TIES
SELECT § LIMIT № BY §, §
SELECT § LIMIT №, № BY §
SELECT § LIMIT № OFFSET № BY § LIMIT №
SELECT § LIMIT №, №
SELECT § OFFSET №
SELECT § ORDER BY § WITH FILL FROM № TO § STEP №
SELECT § ORDER BY § WITH FILL INTERPOLATE (¤, ¤ AS §)
SELECT § LIMIT §
¶ UNION ALL ¶
¶ UNION ¶
SELECT § UNION DISTINCT SELECT §
¶ INTERSECT ¶ EXCEPT ¶
SELECT § UNION ALL ¶
SELECT § EXCEPT SELECT §
¶ UNION ALL ¶ LIMIT №
¶ UNION ALL ¶ ORDER BY § LIMIT № OFFSET №
¶ INTERSECT DISTINCT ¶
(¶ UNION ALL ¶) EXCEPT ¶
¶ UNION ALL (¶ INTERSECT ¶)
¶
SELECT § FROM (¶ UNION ALL ¶) AS ¤
SELECT #№, §
SELECT § FROM ¤ ORDER BY #№
SELECT § FROM ¤ AS ¤ (¤, ¤)
SELECT § FROM (VALUES (1, 'a'), (2, 'b')) AS ¤ (¤, ¤)
SELECT COLUMNS(¤, ¤) FROM ¤
SELECT ¤.COLUMNS(Ω) FROM ¤
SELECT *COLUMNS(Ω) FROM ¤
SELECT f(*COLUMNS(Ω)) FROM ¤
SELECT § FROM ¤ GROUP BY GROUPING SETS ((§, §), (§), ())
SELECT § FROM ¤ LEFT ARRAY JOIN § AS ¤, § AS ¤
SELECT § LIMIT № %
SELECT §, §, § FROM ¤ WHERE § AND § OR NOT §
""".strip().split("\n")


WORDS = """
a b event timestamp properties $geo_city select from date interval team_id true null inf nan not and or is in between
case end cast array tuple order by first last all distinct using left any sample final limit offset settings window over
row rows range filter exists exclude columns day with union values lambda fn let return if like id key current
""".split()  # noqa: SIM905  # words read better as text
NUMBERS = """
0 1 -1 42 007 0x1F 1. 1.5 .5 -2.25 1e5 1e22 -1e-7 1.7976931348623157e308 5e-324 9007199254740993 9223372036854775807
9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551616
340282366920938463463374607431768211456 inf -inf nan Infinity -Infinity 1e400 -0 -0.0 0.1
""".split()  # noqa: SIM905  # words read better as text
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
ODD_TEXT = st.text(st.sampled_from("'\"`\\\n\t\r\b\f\a\v {}<>%$#/*-é✓😀x"), max_size=6)


def quoted_name(name: str) -> str:
    """Return a name in double quotes, the other way to quote one."""
    return '"' + identifier(f"`{name}")[3:-1].replace('"', '""') + '"' if "`" not in name else identifier(name)


NAMES = st.one_of(
    st.sampled_from(["a", "b", "e", "x1", "properties", "$session_id", "person"]),
    st.sampled_from(WORDS).map(lambda word: f"`{word}`"),
    st.sampled_from(WORDS),
    (TEXT | ODD_TEXT).filter(bool).map(identifier),
    (TEXT | ODD_TEXT).filter(bool).map(quoted_name),
)
STRINGS = (TEXT | ODD_TEXT).map(string) | ODD_TEXT.map(
    lambda text: "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
)
CHAINS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
ATOMS = st.one_of(
    CHAINS,
    STRINGS,
    st.sampled_from(NUMBERS),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers().map(str),
    st.sampled_from(["NULL", "null", "true", "FALSE", "{x}", "{filters}", "{variables.v}", "e.*", "#1", "now()"]),
)


@st.composite
def filled(draw: st.DrawFn, templates: list[str], depth: int) -> str:
    """Draw a template and fill it, with smaller templates while `depth` lasts."""
    parts = []
    for mark in draw(st.sampled_from(templates)):
        if mark == "§":
            parts.append(draw(expressions(depth - 1)))
        elif mark == "¶":
            parts.append(f"({draw(filled(CLAUSES, depth - 1) if depth > 1 else st.just('SELECT 1'))})")
        else:
            parts.append(draw({"¤": NAMES, "Ω": STRINGS, "№": st.integers(1, 3).map(str)}.get(mark, st.just(mark))))
    return "".join(parts)


def expressions(depth: int) -> st.SearchStrategy[str]:
    """Return texts of expressions with at most `depth` templates inside each other."""
    if depth <= 0:
        return ATOMS
    return filled(OPERATORS, depth) | filled(OPERATORS + ACCESSES + CALLS, depth) | ATOMS


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions(3))
def test_expressions_survive_printing(text: str) -> None:
    """Operators in any mix, accesses, casts, calls, lambdas, strings, numbers and names: the print means the same."""
    if not parses("expr", text):
        reject()
    check("expr", text)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(filled(CLAUSES, 2))
def test_queries_survive_printing(text: str) -> None:
    """Every clause, join, set operation and CTE, with expressions inside: the print means the same."""
    if not parses("select", text):
        reject()
    check("select", text)


@pytest.mark.parametrize(
    "text",
    [
        "NOT (a)",
        "NOT (a, b)",
        "NOT ((a) AND b)",
        "NOT a = b",
        "(NOT a) = b",
        "a - (b - c)",
        "a / b * c / (d * e)",
        "-a * b",
        "-(1)",
        "2 - -1",
        "(a AND b) AND c",
        "a AND (b OR c) OR d",
        "(a = b) = c",
        "a = (b IS NULL)",
        "(a = b) IS NULL",
        "(a BETWEEN b AND c) AND d",
        "a BETWEEN (b AND c) AND d",
        "x -> y -> z",
        "f(x -> x + 1, y)",
        "(x -> y)(1)",
        "(a, b).1",
        "1.a",
        "(1).1",
        "a.b.c(1).d",
        "(a,)",
        "`*`.a",
        "a ? b : c ? d : e",
        "`case`(a) + `columns`(b) + `let`(c)",
        "<T a='x'>one {'two'} <U />{3}</T>",
        "'\\\\' || '\\'' || 'a''b' || '\\n'",
    ],
)
def test_known_traps_survive_printing(text: str) -> None:
    """Texts that printers get wrong: grouping, names of functions that are keywords, asterisks as names."""
    check("expr", text)


def test_a_table_called_asterisk_is_no_asterisk() -> None:
    """The tree does not tell `*` from an asterisk; in FROM only the name can be meant."""
    check("select", "SELECT * FROM `*` JOIN `*`.a ON 1 = 1")
