"""Reading query files: what is accepted, and that every fault is told at once, at its place."""

import pytest

from posthog_events.errors import QueryFileError
from posthog_events.queryfiles import Chart, Param, parse_query_file, read_query_file

FULL = """\
-- title: Signups by referrer
-- question: "Where do people come from: search, ads?"
-- doc: >
--   A signup is one `user_signed_up`.
--   Ties are broken by referrer.
-- params:
--   event: {type: event, default: user_signed_up, description: What counts as a signup}
--   since: when
--   unit: {type: choice, choices: [day, week], default: day}
--   plans: {type: list[text], default: [], max: 5}
--   window: {type: duration, default: 14d, min: 1h}
--   who: {type: text, required: false}
-- returns:
--   referrer: Nullable(String)
--   day: DateTime
--   pairs: Array(Tuple(String, UInt64))
-- grain: one row per referrer
-- tags: [growth, acquisition]
-- chart: {kind: bar, x: referrer, y: day}
-- allow: [time-bound]
SELECT {{ event }}, {{ since }}, {{ unit }}, {{ plans }}, {{ window }}, {{ who }}
"""


def faults_of(text: str) -> list[tuple[int | None, int | None, str]]:
    with pytest.raises(QueryFileError) as caught:
        parse_query_file(text, "broken")
    return [(fault.line, fault.column, fault.message) for fault in caught.value.faults]


def test_every_part_of_a_header_is_read():
    """Texts, parameters, columns, tags and chart arrive as values; the body begins below the header."""
    file = parse_query_file(FULL, "signups")

    assert "Signups by referrer" == file.title
    assert "Where do people come from: search, ads?" == file.question
    assert "A signup is one `user_signed_up`. Ties are broken by referrer." == file.doc
    assert "one row per referrer" == file.grain
    assert ["event", "since", "unit", "plans", "window", "who"] == list(file.params)
    assert Param("event", "event", "user_signed_up", False, (), "What counts as a signup") == file.params["event"]
    assert Param("since", "when") == file.params["since"]
    assert Param("unit", "choice", "day", False, ("day", "week")) == file.params["unit"]
    assert Param("plans", "list[text]", [], False, max=5) == file.params["plans"]
    assert Param("window", "duration", "14d", False, min=3600) == file.params["window"]
    assert Param("who", "text", required=False) == file.params["who"]
    assert {
        "referrer": "Nullable(String)",
        "day": "DateTime",
        "pairs": "Array(Tuple(String, UInt64))",
    } == dict(file.returns)
    assert ["referrer", "day", "pairs"] == list(file.returns)
    assert ("growth", "acquisition") == file.tags
    assert Chart("bar", "referrer", "day") == file.chart
    assert ("time-bound",) == file.allow
    assert 21 == file.first_line
    assert file.body.startswith("SELECT {{ event }}")


def test_all_faults_of_a_file_are_reported_in_order_with_their_places():
    """Header and body are both searched to the end."""
    text = """\
-- titel: a
-- params:
--   a: {type: evnt}
--   b: {type: int, default: many, colour: red}
--   c: {type: choice, default: x}
--   let: int
--   d: {type: event, min: 3}
-- returns: {x: Strin}
-- chart: {kind: pie, x: y}
SELECT {{ e }}, {{ b | uper }},
       {{ a | raw }}, {{ d }} {% include "x" %}
"""

    expected = [
        (1, 4, "the header has no key `titel`; did you mean `title`?"),
        (1, 4, "there is no `title`"),
        (3, 16, "there is no type `evnt`; did you mean `event`?"),
        (4, 30, "the default of `b`: 'many' is not a whole number"),
        (4, 36, "`b` has no key `colour`"),
        (5, 9, "`c`: `choices` and the type choice belong together"),
        (5, 33, "the default of `c`: 'x' is not one of"),
        (6, 6, "`let` has a meaning in HogQL"),
        (7, 28, "the type event has no bounds"),
        (8, 17, "'Strin' is not a column type"),
        (9, 11, "chart needs `y`"),
        (9, 18, "a chart is one of"),
        (9, 26, "`y` is not among the columns"),
        (10, 11, "`e` is not a parameter"),
        (10, 24, "there is no filter `uper`; did you mean `upper`?"),
        (11, 1, "{% include %} is not used"),
        (11, 15, "there is no filter `raw`"),
    ]
    found = faults_of(text)
    assert [place[:2] for place in expected] == [place[:2] for place in found]
    for (_, _, fragment), (_, _, message) in zip(expected, found, strict=True):
        assert fragment in message


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("-- title: a: b\nSELECT 1", 1, 12, "needs quotes"),
        ("-- title: a\n-- params:\n--\tx: int\nSELECT 1", 3, 3, "a tab; use spaces"),
        ("-- title: [a\nSELECT 1", 1, 13, "not YAML"),
        ("-- title: a\n-- title: b\nSELECT 1", 2, 4, "twice; the first is in line 1"),
        ("-- title: a\n-- params: {p: int, p: int}\nSELECT {{ p }}", 2, 21, "twice"),
        ("-- params: {p: int}\nSELECT {{ p }}", 1, 4, "there is no `title`"),
        ("-- just words\nSELECT 1", 1, 1, "`-- key: value` lines"),
        ("SELECT 1", 1, 1, "no header"),
        ("", 1, 1, "no header"),
        ("-- title: a\n\n  -- only a comment\n", 2, 1, "no query below the header"),
        ("-- title: &a [*a]\nSELECT 1", 1, 11, "anchors"),
        ("-- title: !!python/name:os.system x\nSELECT 1", 1, 11, "the YAML tag"),
        ("-- title: a\n-- params: {p: int}\nSELECT 1", 2, 13, "`p` is not used"),
        ("-- title: a\nSELECT\n  {{ p }}", 3, 6, "`p` is not a parameter; declare it"),
        ("-- title: a\n-- params: {plan: text}\nSELECT {{ plam }}, {{ plan }}", 3, 11, "did you mean `plan`?"),
        ("-- title: a\n-- params: {p: property}\nSELECT {p}", 3, 8, "with a filter"),
        ("-- title: a\nSELECT 1\n{% if %}", 3, 1, "template:"),
        ("-- title: a\nSELECT {% print 1 %}", 2, 1, "instead of {% print %}"),
        ("-- title: a\nSELECT {{ ', ' if true }}", 2, 1, "is a bound value"),
        ("-- title: a\n{% extends 'x' %}SELECT 1", 2, 1, "{% extends %} is not used"),
        ("-- title: a\n{% filter upper %}SELECT 1{% endfilter %}", 2, 1, "{% filter %} is not used"),
        ("-- title: a\nSELECT {{ 'x' | safe }}", 2, 17, "no filter `safe`; every value is bound"),
        ("-- title: a\nSELECT {{ 'x' is evenn }}", 2, 18, "no test `evenn`; did you mean `even`?"),
        ("-- title: a\n-- params: {n: {type: int, default: 9, max: 5}}\nSELECT {{ n }}", 2, 37, "the most is 5"),
        (
            "-- title: a\n-- params: {w: {type: steps, default: [{evnt: a}]}}\nSELECT {{ w }}",
            2,
            39,
            "did you mean `event`",
        ),
        ("-- title: a\nSELECT 'a\0b'", 2, 10, "NUL"),
        ("-- title: a\n" + "{% if 1 %}" * 120 + "SELECT 1" + "{% endif %}" * 120, 2, 1, "too deeply nested"),
    ],
)
def test_a_fault_is_told_with_its_place(text, line, column, message):
    """Line and column are those of the file, 1-based."""
    faults = faults_of(text)

    assert (line, column) == faults[0][:2]
    assert message in faults[0][2]


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path):
    """The message names the file and the line of the first bad byte."""
    path = tmp_path / "latin.sql"
    path.write_bytes("-- title: a\n-- grain: Größe\nSELECT 1".encode("latin-1"))

    with pytest.raises(QueryFileError, match=r"latin\.sql:2: is not UTF-8"):
        read_query_file(path)


def test_a_missing_file_and_a_huge_file_are_refused_by_name(tmp_path):
    """Neither gives a traceback of the operating system's making."""
    huge = tmp_path / "huge.sql"
    huge.write_bytes(b"-" * 1_000_001)

    with pytest.raises(QueryFileError, match=r"none\.sql: cannot be read: No such file"):
        read_query_file(tmp_path / "none.sql")
    with pytest.raises(QueryFileError, match="larger than 1,000,000 bytes"):
        read_query_file(huge)


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_do_not_matter(tmp_path):
    """An editor's habits change neither the values nor the line numbers."""
    path = tmp_path / "windows.sql"
    path.write_bytes("\ufeff\r\n-- title: a\r\n-- params: {n: int}\r\nSELECT\r\n  {{ n }}\r\n".encode())

    file = read_query_file(path)

    assert ("windows", "a", 4, "SELECT\n  {{ n }}\n") == (file.name, file.title, file.first_line, file.body)


@pytest.mark.parametrize(
    "written",
    [
        "n: list[int]",
        "n: {type: list[int]}",
        'n: {type: "list[int]"}',
        "n: {max: 3, type: list[int]}",
        "{n: list[int]}",
    ],
)
def test_a_list_type_may_be_written_with_or_without_quotes(written):
    """YAML by itself would want quotes inside braces."""
    file = parse_query_file(f"-- title: a\n-- params:\n--   {written}\nSELECT {{{{ n }}}}", "a")

    assert "list[int]" == file.params["n"].type


def test_a_default_of_null_makes_a_parameter_optional():
    """`default: null` and `required: false` say the same."""
    file = parse_query_file("-- title: a\n-- params: {n: {type: int, default: null}}\nSELECT {{ n }}", "a")

    assert (None, False) == (file.params["n"].default, file.params["n"].required)
