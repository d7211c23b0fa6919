"""Rendering: every value is bound, and every place leads back to the file."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup

from posthog_events.errors import ConfigError, HogQLSyntaxError, ParameterError, QueryFileError
from posthog_events.queryfiles import parse_query_file, render, render_traced
from posthog_events.queryfiles.binder import Binder
from posthog_events.queryfiles.render import Rendered
from posthog_events.queryfiles.sql import Sql, concat
from posthog_events.result import Query


def traced(params: str, body: str, /, **values: object) -> Rendered:
    file = parse_query_file(f"-- title: test\n-- params: {{{params}}}\n{body}", "test")
    return render_traced(file, values, clock=lambda: datetime(2026, 3, 10, 12, tzinfo=UTC), timezone="Europe/Berlin")


def rendered(params: str, body: str, /, **values: object) -> tuple[str, dict[str, object]]:
    query = traced(params, body, **values).query
    return query.hogql, dict(query.values)


def test_a_query_carries_its_file_its_columns_and_its_values():
    """What an engine needs to run it and to report on it."""
    file = parse_query_file(
        "-- title: t\n-- params: {since: {type: when, default: -1d}}\n-- returns: {n: UInt64}\n"
        "SELECT count() AS n FROM events WHERE timestamp >= {{ since }}",
        "counts",
    )

    query = render(file, {}, clock=lambda: datetime(2026, 3, 10, 12, tzinfo=UTC), timezone="Asia/Tokyo")

    assert (
        Query(
            hogql="SELECT count() AS n FROM events WHERE timestamp >= {since}",
            values={"since": datetime(2026, 3, 9, 21, tzinfo=ZoneInfo("Asia/Tokyo"))},
            name="counts",
            first_line=4,
            returns={"n": "UInt64"},
        )
        == query
    )


@pytest.mark.parametrize(
    ("params", "body", "values", "hogql", "bound"),
    [
        ("a: text", "x = {{ a }} OR y = {{ a }}", {"a": "v"}, "x = {a} OR y = {a_2}", {"a": "v", "a_2": "v"}),
        ("a: int", "{{ a + 1 }}", {"a": 1}, "{value}", {"value": 2}),
        ("a: bool", "{{ a }}", {"a": "no"}, "{a}", {"a": False}),
        ("a: duration", "f({{ a }})(x)", {"a": "1h"}, "f({a})(x)", {"a": 3600}),
        ('a: "list[text]"', "IN ({{ a }})", {"a": "x,y"}, "IN ({a}, {a_2})", {"a": "x", "a_2": "y"}),
        (
            "a: steps",
            "{% for s in a %}{{ s.event }} {% endfor %}",
            {"a": "x,y"},
            "{event} {event_2} ",
            {"event": "x", "event_2": "y"},
        ),
        ("a: text", "{{ a | upper }}{{ a ~ '!' }}", {"a": "v"}, "{a}{value}", {"a": "V", "value": "v!"}),
        ("a: text", "{{ '%s;%s' | format(a, a) }}", {"a": "v"}, "{value}", {"value": "v;v"}),
        ("a: text", "{% macro m(x) %}f({{ x }}){% endmacro %}{{ m(a) }}", {"a": "v"}, "f({x})", {"x": "v"}),
        ("a: text", "{% set b %}f({{ a }}){% endset %}{{ b }}+{{ b }}", {"a": "v"}, "f({a})+f({a})", {"a": "v"}),
        (
            "a: text",
            "{% macro m() %}[{{ caller(1) }}]{% endmacro %}{% call(n) m() %}{{ a }}={{ n }}{% endcall %}",
            {"a": "v"},
            "[{a}={n}]",
            {"a": "v", "n": 1},
        ),
        ("a: text", "{% if a == 'v' %}one{% else %}two{% endif %}", {"a": "v"}, "one", {}),
        ("a: int", "{% for i in range(a) %}{{ alias('s', i) }} {% endfor %}", {"a": 2}, "s0 s1 ", {}),
        ("a: duration", "{{ a | interval }}", {"a": "1min"}, "toIntervalSecond({interval})", {"interval": 60}),
        ("a: text", "{{ a | interval(2) }}", {"a": "week"}, "toIntervalWeek({interval})", {"interval": 2}),
        ("a: text", "{{ a | start_of }}(x)", {"a": "month"}, "toStartOfMonth(x)", {}),
        ("a: text", "{{ a | interval_of }}(n)", {"a": "days"}, "toIntervalDay(n)", {}),
        ("a: text", "{a} {filters} {{ a }}", {"a": "v"}, "{a} {filters} {a_2}", {"a": "v", "a_2": "v"}),
        ("a: text", "{% raw %}{{ x }}{% endraw %}{# {{ y }} #}{{ a }}", {"a": "v"}, "{{ x }}{a}", {"a": "v"}),
        ("a: {type: text, required: false}", "1{% if a %} AND {{ a }}{% endif %}", {}, "1", {}),
        ("a: {type: when, default: all}", "1{% if a %} AND {{ a }}{% endif %}", {}, "1", {}),
    ],
)  # fmt: skip
def test_what_a_template_emits_becomes_placeholders(params, body, values, hogql, bound):
    """Text of the file stays, values go beside it; placeholders are called after what the author wrote."""
    assert (hogql, bound) == rendered(params, body, **values)


def test_a_line_that_holds_only_a_statement_leaves_nothing_behind():
    """The rendered query reads like one written by hand."""
    text, _ = rendered("a: steps", "SELECT\n  {% for s in a %}\n  {{ s.event }},\n  {% endfor %}\n  1", a="x,y")

    assert "SELECT\n  {event},\n  {event_2},\n  1" == text


@pytest.mark.parametrize(
    ("params", "body", "values", "place", "message"),
    [
        ('a: "list[int]"', "\n  IN ({{ a }})", {"a": []}, "4:7", "`a` is an empty list; put the clause into {% if"),
        ("a: {type: text, required: false}", "1\n= {{ a }}", {}, "4:3", "`a` is not set here"),
        ("a: steps", "{{ a }}", {"a": "x"}, "3:1", "write {{ ... | condition }}"),
        ("a: text", "\n{{ a.b.c }}", {"a": "x"}, "4:1", "has no attribute 'b'"),
        ("a: text", "{{ a.__class__ }}", {"a": "x"}, "3:1", "unsafe"),
        ("a: text", "{{ a.upper.__self__ }}", {"a": "x"}, "3:1", "unsafe"),
        ("a: text", "{% set b %}{{ a }}{% endset %}\n{{ b ~ a }}", {"a": "x"}, "4:1", "cannot be used as text"),
        ("a: text", "{% set b %}{{ a }}{% endset %}\n{{ b | upper }}", {"a": "x"}, "4:1", "cannot be used as text"),
        ("a: text", "{% set b %}{{ a }}{% endset %}\n{{ '%s' | format(b) }}", {"a": "x"}, "4:1", "used as text"),
        ("a: text", "{% set b %}{{ a }}{% endset %}\n{{ '{}'.format(b) }}", {"a": "x"}, "4:1", "used as text"),
        ("a: text", "{% set b | upper %}{{ a }}{% endset %}\n{{ b }}", {"a": "x"}, "3:1", "cannot be used as text"),
        ("a: text", "{% call a.upper() %}{% endcall %}", {"a": "x"}, "3:1", "upper() takes no"),
        ("a: text", "{% call a.format() %}{% endcall %}", {"a": "x"}, "3:1", "may not put text into the query"),
        ("a: int", "{{ 1 // a }}", {"a": 0}, "3:1", "by zero"),
        ("a: int", "{{ {'k': a} }}", {"a": 0}, "3:1", "is a dict, which cannot be a value"),
        ("a: int", "{{ range(1000000) }}{{ a }}", {"a": 0}, "3:1", "Range too big"),
        ("a: int", "{% macro m(x) %}{{ m(x) }}{% endmacro %}\n{{ m(a) }}", {"a": 0}, "3:1", "recursion"),
        ("a: text", "{{ alias(a) }}", {"a": "x y"}, "3:1", "cannot name a column"),
        ("a: text", "{{ a | start_of }}", {"a": "fortnight"}, "3:1", "is not a unit; use second, minute"),
        ("a: text", "{{ a | interval }}", {"a": "1); DROP"}, "3:1", "is not a unit"),
        ("a: text", "x = '{{ a }}'", {"a": "x"}, "3:6", "take the quotes away"),
        ("a: text", "x = `{{ a }}`", {"a": "x"}, "3:6", "take the quotes away"),
        ("a: text", "x -- {{ a }}", {"a": "x"}, "3:6", "take the quotes away"),
        ("a: text", "/* {{ a | property }} */ 1", {"a": "*/ 2, /*"}, "3:4", "take the quotes away"),
        ("a: text", "f'{ x } {{ a | property }}'", {"a": "plan"}, "3:9", "take the quotes away"),
        ("a: text", "x_{{ alias(a) }}", {"a": "y"}, "3:3", "take the quotes away"),
        ("a: text", "{{ a | condition }}", {"a": "1 = 1"}, "3:1", "needs a step or a where, not str"),
    ],
)  # fmt: skip
def test_a_value_that_has_no_place_is_refused_at_its_place(params, body, values, place, message):
    """Line and column of the `{{`, or the line of the statement; nothing is rendered."""
    with pytest.raises(QueryFileError) as caught:
        rendered(params, body, **values)

    assert str(caught.value).startswith(f"{place}: ")
    assert message in str(caught.value)


def test_text_is_not_accepted_as_part_of_a_query():
    """The one gate that all output goes through fails closed."""
    with pytest.raises(TypeError, match="may not put text into the query"):
        concat([Sql(()), "SELECT 1"])


def test_text_subclasses_are_bound_as_plain_text():
    """Whatever a filter returns, an engine gets a `str`."""
    binder = Binder(taken=())

    binder.emit(0, "a", Markup("<b>"))

    assert {"a": "<b>"} == binder.values
    assert type(binder.values["a"]) is str


def test_parameters_are_checked_before_anything_is_rendered():
    """A wrong parameter is the caller's fault, not the file's."""
    with pytest.raises(ParameterError, match="`a` is missing"):
        rendered("a: int", "{{ a }}")


def test_an_unknown_time_zone_is_a_setting_at_fault():
    """The message shows what a zone looks like."""
    file = parse_query_file("-- title: t\nSELECT 1", "t")

    with pytest.raises(ConfigError, match="no time zone 'Berlin'; use an IANA name"):
        render(file, {}, clock=lambda: datetime.now(UTC), timezone="Berlin")


def test_places_in_the_rendered_text_lead_back_to_the_file():
    """Exact in literal text, also below loops and behind trimmed blanks; an expression gives its `{{`."""
    result = traced(
        "steps: steps",
        "SELECT\n  {% for step in steps %}\n  f({{ step.event }}) AS é,\n  {% endfor %}\n"
        "   {%- if steps %} here{% endif %}\nLAST",
        steps="a,b",
    )
    text = result.query.hogql

    assert "SELECT\n  f({event}) AS é,\n  f({event_2}) AS é,\n hereLAST" == text
    expected = {"SELECT": (3, 1), "{event}": (5, 5), "{event_2}": (5, 5), "here": (7, 20), "LAST": (8, 1)}
    assert expected == {word: result.place(text.index(word)) for word in expected}
    assert (5, 26) == result.place(text.rindex("é"))


def test_an_engines_error_is_moved_to_the_file():
    """The message points at the line an analyst can edit, with an excerpt of it."""
    result = traced("steps: steps", "{% for step in steps %}\n{{ step.event }},\n{% endfor %}\noops here", steps="a,b")
    text = result.query.hogql
    error = HogQLSyntaxError("no such column", text=text, start=text.index("oops"), end=text.index("oops") + 4)

    moved = result.relocate(error)

    assert "test:6:1: no such column\noops here\n^^^^" == str(moved)
    assert isinstance(moved, HogQLSyntaxError)
