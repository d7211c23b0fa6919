"""Lint: what it finds in a query file, and where."""

from pathlib import Path

import pytest

from posthog_events.errors import UnresolvedName
from posthog_events.queryfiles import Finding, lint, parse_query_file
from posthog_events.result import Query

BOUND = "timestamp >= now() - toIntervalDay(7)"


def found(body: str, header: str = "", **options: object) -> list[tuple[str, int, int]]:
    file = parse_query_file(f"-- title: t\n{header}{body}", "test")
    return [(finding.rule, finding.line, finding.column) for finding in lint(file, **options)]


@pytest.mark.parametrize(
    ("body", "findings"),
    [
        (f"SELECT event FROM events\nWHERE {BOUND} LIMIT 10", []),
        ("SELECT event\nFORM events", [("syntax", 3, 6)]),
        ("SELECT event\nFROM events\nLIMIT 10", [("time-bound", 3, 6)]),
        ("SELECT event FROM events WHERE {filters} LIMIT 10", []),
        ("SELECT event FROM events WHERE toDate(timestamp) = today() LIMIT 10", []),
        ("SELECT event FROM events WHERE timestamp BETWEEN 1 AND 2 LIMIT 10", []),
        ("SELECT 1 FROM (SELECT event FROM events) LIMIT 1", [("time-bound", 2, 34)]),
        ("SELECT 1 FROM persons p JOIN events e ON e.person_id = p.id LIMIT 1", [("time-bound", 2, 30)]),
        ("SELECT id\nFROM persons", [("limit", 2, 1)]),
        ("SELECT count(), max(id) FROM persons", []),
        ("SELECT count() FROM persons GROUP BY id", [("limit", 2, 1)]),
        ("SELECT 1", []),
        ("SELECT id FROM persons LIMIT 10\nOFFSET 5", [("offset", 3, 8)]),
        ("SELECT id FROM persons LIMIT 5, 10", [("offset", 2, 33)]),
        ("SELECT id FROM persons LIMIT 1\nUNION ALL\nSELECT id FROM persons", [("union-limit", 4, 1)]),
        ("SELECT id FROM (SELECT id FROM persons UNION ALL SELECT id FROM persons) LIMIT 1", []),
        ("SELECT 1 FROM persons WHERE properties.age >= 18 LIMIT 1", [("text-number", 2, 29)]),
        ("SELECT 1 FROM persons WHERE 18 = properties['age'] LIMIT 1", [("text-number", 2, 34)]),
        ("SELECT 1 FROM persons WHERE properties.age IN (1, 2) LIMIT 1", [("text-number", 2, 29)]),
        ("SELECT 1 FROM persons WHERE properties.age BETWEEN 1 AND 2 LIMIT 1", [("text-number", 2, 29)]),
        ("SELECT 1 FROM persons WHERE properties.age = '18' LIMIT 1", []),
        ("SELECT 1 FROM persons WHERE toFloat(properties.age) > 18 LIMIT 1", []),
        ("SELECT 1,\n  {who}", [("placeholder", 3, 3)]),
        ("SELECT id FROM persons ORDER BY id NULLS LAST LIMIT 1", [("dropped", 2, 36)]),
    ],
)
def test_a_doubtful_query_is_found_at_its_place(body, findings):
    """Each rule fires where it should, and only there."""
    assert findings == found(body)


def test_every_fault_of_a_file_that_does_not_load_is_a_finding(tmp_path):
    """Lint reports a broken header like anything else, instead of stopping."""
    path = tmp_path / "broken.sql"
    path.write_text("-- titel: x\nSELECT {{ y }}\n")

    findings = lint(path)

    assert [("file", 1), ("file", 1), ("file", 2)] == [(finding.rule, finding.line) for finding in findings]
    assert f"{path}:2:11: error: `y` is not a parameter; declare it in `params` [file]" == str(findings[2])


def test_every_way_through_a_template_is_checked():
    """A branch that the defaults do not take is parsed too, and reported once at its line."""
    header = "-- params:\n--   unit: {type: choice, choices: [day, week, month], default: day}\n"
    body = "SELECT 1,\n{% if unit == 'month' %}\n  oops here there,\n{% endif %}\n  2"

    assert [("syntax", 6)] == [(rule, line) for rule, line, _ in found(body, header)]


@pytest.mark.parametrize(
    ("params", "body"),
    [
        ("{plan: {type: text, required: false}}", "SELECT 1 {% if plan is none %} ) {% else %}, {{ plan }}{% endif %}"),
        ("{flag: {type: bool, default: true}}", "SELECT 1 {% if not flag %} ) {% endif %}"),
        ('{plans: {type: "list[text]", default: [a]}}', "SELECT 1 {% if plans | length == 2 %} ) {% endif %}"),
        ('{plans: {type: "list[text]", default: [a]}}', "SELECT 1 {% if not plans %} ) {% endif %}"),
        ("{steps: {type: steps, min: 2}}", "SELECT 1 {% if steps | length == 2 %} ) {% endif %}"),
    ],
)
def test_the_other_values_of_a_parameter_are_tried(params, body):
    """Left out, false, empty, two elements, the fewest steps."""
    assert [("syntax", 3)] == [(rule, line) for rule, line, _ in found(body, f"-- params: {params}\n")]


def test_a_template_that_fails_for_a_possible_value_is_reported_with_that_value():
    """An optional parameter emitted without `{% if %}` works until somebody leaves it out."""
    file = parse_query_file("-- title: t\n-- params: {plan: {type: text, required: false}}\nSELECT {{ plan }}", "t")

    (finding,) = lint(file)

    assert ("template", 3, 8) == (finding.rule, finding.line, finding.column)
    assert "`plan` is not set here" in finding.message
    assert "plan=None" in finding.message


def test_numbers_bound_to_placeholders_count_as_numbers():
    """A property compared with an `int` parameter is as wrong as one compared with a literal."""
    body = "SELECT 1 FROM persons WHERE properties.age >= {{ age }} LIMIT 1"

    assert [("text-number", 3, 29)] == found(body, "-- params: {age: int}\n")


def test_properties_known_as_numbers_may_meet_numbers():
    """The schema holds the types of property definitions."""
    body = "SELECT 1 FROM persons WHERE properties.age > 18 LIMIT 1"

    assert [] == found(body, schema={"properties.age": "Numeric"})
    assert [("text-number", 2, 29)] == found(body, schema={"properties.age": "String"})


def test_unknown_functions_are_found_with_the_given_table():
    """Lint knows no functions itself; the engine's table is handed in."""
    complain = {"fooo": "there is no function fooo"}.get

    assert [("unknown-function", 3, 3)] == found("SELECT lower('a'),\n  fooo(1)", known_function=complain)


def test_a_given_check_reports_at_the_place_in_the_file():
    """An engine's error in the rendered text is moved to the line of the template."""

    def check(query: Query) -> None:
        start = query.hogql.index("wrong_column")
        raise UnresolvedName("there is no column wrong_column", text=query.hogql, start=start)

    body = "SELECT\n{% for i in range(3) %}\n  {{ i }},\n{% endfor %}\n  wrong_column"

    assert [("unknown-name", 6, 3)] == found(body, check=check)


@pytest.mark.parametrize(
    ("returns", "findings"),
    [
        ("{a: UInt64, b: String}", []),
        ("{a: UInt64}", [("returns", 3, 1)]),
        ("{a: UInt64, c: String}", [("returns", 3, 16)]),
    ],
)
def test_declared_columns_are_compared_with_the_selected_ones(returns, findings):
    """By number and, where the name shows in the text, by name."""
    assert findings == found("SELECT 1 AS a, b FROM persons LIMIT 1", f"-- returns: {returns}\n")


def test_a_value_inside_a_template_string_is_an_error():
    """In f'{x}' the braces read a column; the bound value would be lost without a word."""
    assert [("placeholder", 3, 10)] == found("SELECT f'{{ who }}'", "-- params: {who: text}\n")


def test_a_rule_can_be_broken_on_purpose():
    """`allow` in the header names it; an unknown rule there is itself a finding."""
    body = "SELECT event FROM events"

    assert [("limit", 3, 1)] == found(body, "-- allow: [time-bound]\n")
    assert [] == found(body, "-- allow: [time-bound, limit]\n")
    assert ("file", 1, 1) in found(body, "-- allow: [time-bond]\n")


def test_findings_are_values_in_the_order_of_the_file():
    """They can be compared, sorted and printed."""
    path = Path("q.sql")
    file = parse_query_file("-- title: t\nSELECT id,\n {b}\nFROM events", "t", path)

    assert (
        Finding(path, 2, 1, "limit", "warning", "there is no LIMIT: PostHog returns 100 rows"),
        Finding(path, 3, 2, "placeholder", "error", "nothing is bound to {b}; declare it in `params`"),
        Finding(
            Path("q.sql"), 4, 6, "time-bound", "warning", "`events` is read from its beginning: compare `timestamp`"
        ),
    ) == lint(file)
