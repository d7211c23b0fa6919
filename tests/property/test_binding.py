"""The law of query files: no value of a parameter changes the structure of the query.

For bound values the law is stronger than "the same tree": the rendered *text* is the same, character for character,
whatever the values are; they differ in `Query.values` only. For the few values that are structure by their type
(`property`, names, conditions), the tree differs in one node, which is of the kind that the filter promises.
"""

from datetime import UTC, datetime
from functools import lru_cache

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from posthog_events.errors import PostHogEventsError, QueryFileError
from posthog_events.hogql import ast
from posthog_events.hogql.parser import parse_select
from posthog_events.hogql.tree import walk
from posthog_events.queryfiles import QueryFile, parse_query_file, render
from posthog_events.queryfiles.environment import REFUSED_FILTERS
from posthog_events.result import Query

FEATURES = {
    "plain": "SELECT {{ a }} AS x, {{ b }} AS y FROM events WHERE event IN ({{ c }}) AND timestamp > {{ s }} LIMIT 5",
    "filters": """
        SELECT {{ a | upper }}, {{ a | replace('a', b) }}, {{ a | string }}, {{ c | join(a) }}, {{ a | trim }},
          {{ '%s and %s' | format(a, b) }}, {{ '{} {}'.format(a, b) }}, {{ a | default(b) }}, {{ c | first }},
          {{ a | urlencode }}, {{ a | truncate(5) }}, {{ a | center(80) }}, {{ c | map('upper') | list }},
          {{ a | attr('upper') | string }}
        FROM events WHERE {{ s }} = {{ s.isoformat() }}""",
    "concatenation": """
        SELECT {{ a ~ b }}, {{ a + b }}, {{ 'x' ~ a ~ c }}, {{ a * 2 }}, {{ (a, b) }}, {{ a[:3] }}, {{ s }}""",
    "loop": """
        SELECT {% for x in c %}{{ x }} AS {{ alias('c', loop.index) }}, {{ loop.index }}, {% endfor %}
          {{ a }}, {{ b }}, {{ s }}""",
    "macro": """
        {% macro m(x, y=b) %}concat({{ x }}, {{ y }}, {{ varargs | list }}){% endmacro %}
        SELECT {{ m(a, b, a) }}, {{ m(c | first, b, 1, 2) }}, {{ m(b, *(c + c)) }}, {{ s }}""",
    "call": """
        {% macro m() %}[{{ caller(a) }}, {{ b }}]{% endmacro %}
        SELECT {% call(x) m() %}lower({{ x }}) = {{ c | last }}{% endcall %}, {{ s }}""",
    "set": """
        {% set v %}concat({{ a }}, {{ b }}){% endset %}{% set w = a ~ b %}{% set blocks = [v, v] %}
        SELECT {{ v }}, {{ w }}, {{ blocks }}, {{ s }}, {{ c }}""",
    "with": "{% with x = a, y = [b, c | first] %}SELECT {{ x }}, {{ y }}, {{ s }}{% endwith %}",
    "recursion": """
        SELECT {% for x in [[a], [b]] recursive %}{% if x is string %}{{ x }}, {% else %}{{ loop(x) }}{% endif %}
        {% endfor %}{{ c }}, {{ s }}""",
    "placeholders": "SELECT {a}, {{ a }}, {b}, {{ c }} FROM events WHERE {filters} AND {s} < now() LIMIT 3",
    "strings": """
        SELECT {{ a }}, f'x { {{ b }} }', "q" FROM events WHERE x = '{c}' OR y IN ({{ c }}) AND '\\'' = {{ s }} -- {a}
        LIMIT 1""",
    "namespace": """
        {% set n = namespace(v=a) %}{% for x in c %}{% set n.v = n.v ~ x ~ b %}{% endfor %}
        SELECT {{ n.v }}, {{ s }}""",
    "steps": """
        SELECT {% for step in t %}{{ step | condition }} AS {{ alias('s', loop.index) }}, {{ step.name }},{% endfor %}
          {{ a }}, {{ b }}, {{ c }}, {{ s }} FROM events""",
}
HEADER = "-- title: t\n-- params: {a: text, b: event, c: list[text], s: when, t: {type: steps, default: [x]}}\n"
BENIGN = "benign"
FRAGMENTS = [
    *[
        "'",
        "''",
        "\\'",
        "\\",
        "\\\\",
        '"',
        "`",
        "');",
        "--",
        "/*",
        "*/",
        "//",
        "#",
        "\n",
        "\r",
        "\t",
        "\0",
        ";",
        ")",
        "(",
    ],
    *["{evil}", "{{ evil }}", "{%", "%}", "{#", "#}", "{", "}", "{a}", "{a_2}", "%s", "%(x)s", "{0}", "{0.__class__}"],
    *["DROP TABLE events", " OR 1=1", "UNION ALL SELECT 1", "f'{x}'", "NULL", "1", "&lt;", "</script>"],
    *["\u2028", "\x7f", "\ufeff", "İ", "ß", "😀"],
]
hostile = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=6).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.sampled_from(FRAGMENTS).map(lambda text: text * 500),
    st.sampled_from(FRAGMENTS).map(Markup),
)
names = hostile.filter(lambda text: bool(text.strip()))


@lru_cache
def query_file(body: str) -> QueryFile:
    # a file must use all of its parameters
    uses = "".join(f"{{% if {name} %}}{{% endif %}}" for name in "abcst")
    return parse_query_file(f"{HEADER}{uses}{body}", "law")


def rendering(body: str, **values: object) -> Query:
    return render(query_file(body), values, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC), timezone="UTC")


@lru_cache(maxsize=64)
def tree_of(hogql: str) -> ast.SelectQuery | ast.SelectSetQuery:
    return parse_select(hogql)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    body=st.sampled_from(sorted(FEATURES)),
    a=hostile,
    b=names,
    c=st.lists(hostile, min_size=1, max_size=3),
    t=st.lists(names, min_size=1, max_size=2),
)
@example(body="steps", a="'", b="')--", c=["{evil}"], t=["') OR (1=1", "x"])
def test_no_value_changes_the_text_or_the_tree_of_a_query(body, a, b, c, t):
    """The hostile and the benign rendering are one text, which PostHog's grammar accepts; only the values differ."""
    steps = [{"event": name, "where": "properties.n = 1"} for name in t]
    benign_steps = [{"event": BENIGN, "where": "properties.n = 1"} for _ in t]

    query = rendering(FEATURES[body], a=a, b=b, c=c, s="-1d", t=steps)
    benign = rendering(FEATURES[body], a=BENIGN, b=BENIGN, c=[BENIGN] * len(c), s="-1d", t=benign_steps)

    assert benign.hogql == query.hogql
    assert tree_of(benign.hogql) == tree_of(query.hogql)
    assert list(benign.values) == list(query.values)
    assert {str, int, float, datetime, list} >= {type(value) for value in query.values.values()}


@settings(max_examples=300, deadline=None)
@given(text=hostile)
def test_a_bound_text_arrives_unchanged(text):
    """Binding neither escapes, trims nor cuts: what was given is what the engine gets."""
    query = rendering(FEATURES["plain"], a=text, b="e", c=[text, "x"], s="-1d")

    assert (str(text), str(text), "x") == (query.values["a"], query.values["c"], query.values["c_2"])


def with_select(tree: ast.SelectQuery, node: ast.Expr) -> ast.SelectQuery:
    """Return the tree with the first selected expression exchanged."""
    first, *rest = tree.select
    assert isinstance(first, ast.Alias)
    return ast.SelectQuery(
        select=(ast.Alias(alias=first.alias, expr=node), *rest),
        select_from=tree.select_from,
        where=tree.where,
        limit=tree.limit,
    )


def check_one_node(body: str, given_value: object, benign_value: object, kinds: tuple[type[ast.Node], ...]) -> None:
    """Check that the value either is refused or changes nothing but one expression, made of `kinds` only."""
    header = f"-- title: t\n-- params: {{p: {'where' if 'condition' in body else 'text'}}}\n"
    file = parse_query_file(f"{header}SELECT {{{{ p | {body} }}}} AS x, 1 FROM events WHERE a = 'b' LIMIT 1", "law")
    clock = lambda: datetime(2026, 1, 1, tzinfo=UTC)  # noqa: E731
    try:
        query = render(file, {"p": given_value}, clock=clock, timezone="UTC")
    except PostHogEventsError:
        return
    tree = tree_of(query.hogql)
    benign = tree_of(render(file, {"p": benign_value}, clock=clock, timezone="UTC").hogql)
    assert isinstance(tree, ast.SelectQuery)
    assert isinstance(benign, ast.SelectQuery)
    alias = tree.select[0]
    assert isinstance(alias, ast.Alias)

    assert with_select(benign, alias.expr) == tree
    assert all(isinstance(node, kinds) for node in walk(alias.expr))


@settings(max_examples=300, deadline=None)
@given(text=hostile)
@example(text="properties['a\\'] FROM persons --']")
@example(text="person.properties.`x` AS y")
@example(text="feature/flag-name")
def test_a_property_is_one_read_or_refused(text):
    """Whatever the name, the filter gives one column chain, perhaps with subscripts, and nothing beside it."""
    check_one_node("property", text, "plan", (ast.Field, ast.ArrayAccess, ast.Constant))


@settings(max_examples=200, deadline=None)
@given(text=hostile)
def test_a_column_is_one_name_or_refused(text):
    """Whatever the name, the filter gives one column."""
    check_one_node("column", text, "plan", (ast.Field,))


CONDITION_PARTS = [
    *["event = 'a'", "properties.plan", "1", "(", ")", "AND", "OR", "NOT", "'x'", "=", ">", "<", "+", ",", "*", "[1]"],
    *["AS", "event", "--", "/*", "*/", "{a}", ";", "(SELECT 1)", "SELECT 1", "FROM events", "UNION ALL", "LIMIT 1"],
    *["count()", "sum(x)", "arrayJoin([1, 2])", "OVER ()", "COLUMNS('a')", "lower(event)", "toDate(timestamp)"],
    *["x -> x", "arrayExists", "IN", "BETWEEN", "LIKE", "'%'"],
]
CONDITION_KINDS = (
    *(ast.And, ast.Or, ast.Not, ast.CompareOperation, ast.BetweenExpr, ast.IsDistinctFrom, ast.ArithmeticOperation),
    *(
        ast.Call,
        ast.Lambda,
        ast.TypeCast,
        ast.Constant,
        ast.Field,
        ast.Tuple,
        ast.Array,
        ast.ArrayAccess,
        ast.TupleAccess,
    ),
)


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(st.sampled_from(CONDITION_PARTS), min_size=1, max_size=7))
@example(parts=["1) AS x, (SELECT 1"])
@example(parts=["event = 'a') OR (1 = 1"])
@example(parts=["event = 'a' -- comment"])
@example(parts=["event AS event = 'a'"])
def test_a_condition_is_one_plain_expression_or_refused(parts):
    """Whatever is written, the query gets one expression without subquery, alias, aggregate, window or asterisk."""
    check_one_node("condition", " ".join(parts), "event = 'a'", CONDITION_KINDS)


@pytest.mark.parametrize("name", [*REFUSED_FILTERS, "raw"])
def test_filters_that_promise_trusted_text_do_not_exist(name):
    """A file that uses one is refused when it is read, not when it runs."""
    with pytest.raises(QueryFileError, match=f"there is no filter `{name}`"):
        parse_query_file(f"-- title: t\n-- params: {{p: text}}\nSELECT {{{{ p | {name} }}}}", "t")
