"""Reference 3.4 in full: every operator against a missing property, null, text, numbers, booleans, lists and objects.

Each row names the values that fit, worked out by hand from the reference's coercions: number against text compares
numbers, boolean against text asks whether the text is `true`, boolean against number is 0 or 1, null counts as 0 in an
order and is the text `null` in patterns, lists are compared by their text.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from posthog_events.errors import HogError
from posthog_events.hog.filters import compile_filters
from posthog_events.hog.operators import OPERATORS, operator_test

MISSING = object()
FOUND: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "''": "",
    "'5'": "5",
    "'10'": "10",
    "'abc'": "abc",
    "'xABCx'": "xABCx",
    "'true'": "true",
    "0": 0,
    "5": 5,
    "10": 10,
    "true": True,
    "false": False,
    "['5']": ["5"],
    "[]": [],
    "{'a': 1}": {"a": 1},
}
EVERY = " | ".join(FOUND)


def fits(names: str) -> set[str]:
    return {name.strip() for name in names.split("|") if name.strip()}


def but(names: str) -> str:
    assert fits(names) <= set(FOUND)
    return " | ".join(name for name in FOUND if name not in fits(names))


TABLE: list[tuple[str, Any, str]] = [
    ("exact", "abc", "'abc' | false"),
    ("exact", "5", "'5' | 5 | false"),
    ("exact", 5, "'5' | 5"),
    ("exact", 5.0, "'5' | 5"),
    ("exact", 0, "'' | 0 | false"),
    ("exact", "", "'' | 0 | false"),
    ("exact", 1, "true"),
    ("exact", "true", "'true' | true"),
    ("exact", True, "'true' | true"),
    ("exact", "false", "false"),
    ("exact", ["5"], "'5' | 5 | false"),
    ("exact", ["5", "abc"], "'5' | 'abc'"),
    ("exact", [5, 10], "5 | 10"),
    ("exact", ["true", "false"], "'true'"),
    ("exact", [True, "x"], "true"),
    ("exact", [None, "x"], "missing | null"),
    ("exact", [0, "x"], "0"),
    ("is_not", "abc", but("'abc' | false")),
    ("is_not", 5, but("'5' | 5")),
    ("is_not", "true", but("'true' | true")),
    ("is_not", ["5"], but("'5' | 5 | false")),
    ("is_not", ["5", "abc"], but("'5' | 'abc'")),
    ("in", ["5", "abc"], "'5' | 'abc'"),
    ("not_in", ["5", "abc"], but("'5' | 'abc'")),
    ("icontains", "b", "'abc' | 'xABCx'"),
    ("icontains", "A", "'abc' | 'xABCx' | false | {'a': 1}"),
    ("icontains", "5", "'5' | 5 | ['5']"),
    ("icontains", 5, "'5' | 5 | ['5']"),
    ("icontains", ["5"], "'5' | 5 | ['5']"),
    ("icontains", "u", "missing | null | 'true' | true"),
    ("icontains", "_", but("''")),
    ("icontains", "%", EVERY),
    ("icontains", "x%x", "'xABCx'"),
    ("icontains", "a_c", "'abc' | 'xABCx'"),
    ("icontains", ["b", "5"], "'abc' | 'xABCx' | '5' | 5 | ['5']"),
    ("icontains", ["%", "_"], ""),
    ("icontains_multi", ["b", "5"], "'abc' | 'xABCx' | '5' | 5 | ['5']"),
    ("icontains_multi", "ul", "missing | null"),
    ("not_icontains", "b", but("'abc' | 'xABCx'")),
    ("not_icontains", "ul", but("missing | null")),
    ("not_icontains", ["b", "5"], but("'abc' | 'xABCx' | '5' | 5 | ['5']")),
    ("not_icontains_multi", "b", but("'abc' | 'xABCx'")),
    ("regex", "^a", "'abc'"),
    ("regex", "(?i)^XA", "'xABCx'"),
    ("regex", ".*", but("''")),
    ("regex", "u", "missing | null | 'true' | true"),
    ("regex", "^5$", "'5' | 5"),
    ("regex", ["^a", "^5$"], "'abc' | '5' | 5"),
    ("not_regex", "^a", but("'abc'")),
    ("not_regex", ".*", "''"),
    ("not_regex", "^null$", but("missing | null")),
    ("not_regex", ["^a", "^5$"], but("'abc' | '5' | 5")),
    ("gt", 5, "'10' | 10"),
    ("gt", "5", "'abc' | 'xABCx' | 'true' | 10 | true | {'a': 1}"),
    ("gt", [5], "'10' | 10"),
    ("gte", 5, "'5' | '10' | 5 | 10 | ['5']"),
    ("gte", 0, but("'abc' | 'xABCx' | 'true' | {'a': 1}")),
    ("min", 5, "'5' | '10' | 5 | 10 | ['5']"),
    ("lt", 5, "missing | null | '' | 0 | true | false | []"),
    ("lte", 0, "missing | null | '' | 0 | false | []"),
    ("max", 0, "missing | null | '' | 0 | false | []"),
    ("lt", "9", "missing | null | '' | '5' | '10' | 0 | 5 | ['5'] | []"),
    ("between", [0, 5], "missing | null | '' | '5' | 0 | 5 | true | false | ['5'] | []"),
    ("not_between", [1, 5], "missing | null | '' | '10' | 0 | 10 | false | []"),
    ("is_set", None, but("missing | null")),
    ("is_set", "is_set", but("missing | null")),
    ("is_not_set", None, "missing | null"),
    ("is_date_exact", "2026-01-31", ""),
    ("is_date_before", "2026-01-31", ""),
    ("is_date_after", "1970-01-01", ""),
]


def event(found: Any) -> dict[str, Any]:
    properties = {} if found is MISSING else {"x": found}
    return {"event": {"event": "e", "distinct_id": "d", "properties": properties}, "person": None}


@pytest.mark.parametrize(("operator", "value", "expected"), TABLE, ids=lambda part: str(part)[:40])
def test_operator_fits_exactly_these_values(operator: str, value: Any, expected: str) -> None:
    """A property item matches the values of its row and no others."""
    item = {"type": "event", "key": "x", "operator": operator} | ({} if value is None else {"value": value})
    compiled = compile_filters({"properties": [item]})

    found = {name for name, one in FOUND.items() if compiled.matches(event(one)).matched}

    assert fits(expected) == found


def test_table_covers_every_operator() -> None:
    """No operator is without a row."""
    assert set(OPERATORS) == {operator for operator, _, _ in TABLE}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("true", "'true' | true"),
        (True, "'true' | true"),
        ("false", "'' | '5' | '10' | 'abc' | 'xABCx' | 0 | false"),
        (False, "'' | '5' | '10' | 'abc' | 'xABCx' | 0 | false"),
    ],
)
def test_boolean_property_turns_the_word_into_a_boolean(value: Any, expected: str) -> None:
    """Where PostHog knows the property as Boolean, `"false"` is false, and any text but `true` equals it."""
    item = {"type": "event", "key": "x", "value": value}
    compiled = compile_filters({"properties": [item]}, boolean_properties={("event", "x")})

    found = {name for name, one in FOUND.items() if compiled.matches(event(one)).matched}

    assert fits(expected) == found


@pytest.mark.parametrize("operator", ["exact", "is_not", "regex", "not_regex", "gt", "in", "is_date_after", "is_set"])
def test_empty_list_is_no_condition(operator: str) -> None:
    """An empty list compiles to the number 1: true beside other conditions, and alone never a match."""
    item = {"type": "event", "key": "x", "operator": operator, "value": []}
    beside = {"type": "event", "key": "y", "operator": "is_not_set"}

    alone, joined = compile_filters({"properties": [item]}), compile_filters({"properties": [item, beside]})

    assert [False, True] == [alone.matches(event(5)).matched, joined.matches(event(5)).matched]


@pytest.mark.parametrize(
    ("operator", "value", "says"),
    [
        ("in", "a", "two or more"),
        ("in", ["a"], "two or more"),
        ("not_in", ["a"], "two or more"),
        ("between", [1], "two numbers"),
        ("between", [5, 1], "smaller first"),
        ("not_between", ["a", "b"], "two numbers"),
        ("between", 5, "two numbers"),
        ("semver_gt", "1.0", "does not work"),
        ("is_cleaned_path_exact", "/", "does not work"),
        ("contains", "a", "no such operator"),
        ("exact", {"a": 1}, "not dict"),
        ("exact", ["a", {"a": 1}], "not dict"),
        ("is_date_before", 5, "date as text"),
        ("is_date_before", "-99999999y", "years 1 to 9999"),
    ],
)
def test_operator_that_posthog_cannot_compile_is_refused(operator: str, value: Any, says: str) -> None:
    """What fails to compile at PostHog names the reason here."""
    with pytest.raises(HogError, match=says):
        operator_test(operator, value)


@pytest.mark.parametrize(
    ("operator", "value", "found", "expected"),
    [
        ("is_date_after", "2026-01-31", "2026-02-01", True),
        ("is_date_after", "2026-01-31", "2026-01-31T00:00:00Z", False),
        ("is_date_after", "2026-01-31", "2026-01-31 00:00:01", True),
        ("is_date_exact", "2026-01-31", "2026-01-31T01:00:00+01:00", True),
        ("is_date_before", "2026-01-31T12:00:00Z", "2026-01-31", True),
        ("is_date_before", "2026-01-31", "20260101", False),
        ("is_date_before", "2026-01-31", 1_700_000_000, False),
        ("is_date_before", "soon", "2026-01-31", False),
    ],
)
def test_dates_are_compared_as_moments(operator: str, value: str, found: Any, expected: bool) -> None:
    """Both sides are read as dates in UTC; what is no date is neither before nor after."""
    assert expected is operator_test(operator, value).run(found)


@pytest.mark.parametrize(
    ("zone", "boundary"), [("UTC", "2026-01-01T12:00:00Z"), ("Asia/Tokyo", "2026-01-01T21:00:00Z")]
)
def test_relative_date_is_frozen_when_saved(zone: str, boundary: str) -> None:
    """`-7d` is counted back from the save, on the wall clock of the project's zone, which is then read as UTC."""
    test = operator_test("is_date_exact", "-7d", saved_at=datetime(2026, 1, 8, 12, tzinfo=UTC), timezone=ZoneInfo(zone))

    assert test.run(boundary)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"\d+$", "a12", True),
        (r"\d", "\u0663", False),  # RE2 knows only ASCII digits
        (r"[\d]", "\u0663", False),
        (r"a$", "a\n", False),  # and no line break before the end
        (r"(?m)a$", "a\nb", True),
        (r"(?<y>\d{4})", "2026", True),
        (r"\Qa.b\E", "a.b", True),
        (r"\Qa.b\E", "axb", False),
        (r"[[:alpha:]]+", "12x", True),
        (r"[]a]", "]", True),
        (r"[^]a]", "]a", False),
        (r"\$5", "$5", True),
        (r"a\z", "ba", True),
        ("(?i)STRASSE", "strasse", True),
    ],
)
def test_regular_expressions_are_those_of_re2(pattern: str, text: str, expected: bool) -> None:
    """Where RE2 and Python differ, RE2 counts."""
    assert expected is operator_test("regex", pattern).run(text)


@pytest.mark.parametrize("pattern", ["(?=a)", "(?!a)", "(?<=a)b", r"(a)\1", "a*+", "(?>a)", "(", "[a"])
def test_pattern_that_re2_refuses_fails_for_every_text(pattern: str) -> None:
    """PostHog saves a pattern that RE2 refuses; each event is then an error, unless the value is empty text."""
    compiled = compile_filters({"properties": [{"key": "x", "operator": "regex", "value": pattern}]})

    verdicts = [compiled.matches(event(found)).outcome for found in ("abc", MISSING, "")]

    assert ["error", "error", "rejected"] == verdicts


@pytest.mark.parametrize("pattern", [r"\p{L}", "a(?i)b", "(?U)a", r"[\D]"])
def test_pattern_that_only_re2_can_run_says_so(pattern: str) -> None:
    """A pattern that Python cannot express is no silent mismatch."""
    with pytest.raises(HogError, match="cannot be evaluated here"):
        operator_test("regex", pattern).run("abc")
