"""Laws of filters and templates, over values, filters and texts that nobody chose."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from posthog_events.errors import HogError
from posthog_events.hog.filters import compile_filters
from posthog_events.hog.lint import lint_filters, lint_template
from posthog_events.hog.template import parse_template, template_parts
from posthog_events.hogql import ast
from posthog_events.hogql.loader import load_grammar
from posthog_events.hogql.tree import from_json

ABSENT = object()
WORDS = st.one_of(
    st.sampled_from(["", "a", "A", "b", "ab", "5", "10", "9", " 5 ", "true", "false", "null", "%", "_", "a_b", "1e1"]),
    st.text(max_size=4),
)
NUMBERS = st.one_of(st.integers(-20, 20), st.sampled_from([0.5, -0.0, 5.0, 10.0, 1e21]))
SCALARS = st.one_of(WORDS, NUMBERS, st.booleans())
FOUND = st.one_of(st.just(ABSENT), st.none(), SCALARS)
ANY_FOUND = st.one_of(FOUND, st.lists(SCALARS, max_size=2), st.dictionaries(WORDS, SCALARS, max_size=2))
NEGATIONS = [("exact", "is_not"), ("icontains", "not_icontains"), ("in", "not_in"), ("regex", "not_regex")]


def event(found: Any, name: str = "e") -> dict[str, Any]:
    return {"event": {"event": name, "properties": {} if found is ABSENT else {"x": found}}, "person": None}


def outcome(operator: str, value: Any, found: Any) -> bool:
    item = {"type": "event", "key": "x", "operator": operator, "value": value}
    verdict = compile_filters({"properties": [item]}).matches(event(found))
    assert verdict.outcome != "error"
    return verdict.matched


@pytest.mark.parametrize(("operator", "negation"), NEGATIONS)
@given(data=st.data(), found=ANY_FOUND)
def test_negated_operator_is_the_negation(operator: str, negation: str, data: st.DataObject, found: Any) -> None:
    """Whatever the value, one of an operator and its negation matches, missing properties included."""
    many = st.lists(st.from_regex(r"[a-z0-9]{1,3}", fullmatch=True), min_size=2, max_size=3)
    value = data.draw(many if operator in ("in", "regex") else st.one_of(SCALARS, many))

    assert outcome(operator, value, found) is not outcome(negation, value, found)


@given(value=NUMBERS, found=ANY_FOUND)
def test_order_has_at_most_one_answer(value: float, found: Any) -> None:
    """A value is below, at or above a number, or it compares with none of these."""
    below, above = outcome("lt", value, found), outcome("gt", value, found)
    at_most, at_least = outcome("lte", value, found), outcome("gte", value, found)

    assert not (below and above)
    assert (below, above) == (at_most and not at_least, at_least and not at_most)


@given(low=st.integers(-9, 9), span=st.integers(0, 9), found=ANY_FOUND)
def test_between_is_two_comparisons(low: int, span: int, found: Any) -> None:
    """`between` is `gte` and `lte`; `not_between` is `lt` or `gt`."""
    high = low + span

    assert outcome("between", [low, high], found) == (outcome("gte", low, found) and outcome("lte", high, found))
    assert outcome("not_between", [low, high], found) == (outcome("lt", low, found) or outcome("gt", high, found))


@given(found=ANY_FOUND)
def test_a_property_is_set_or_not(found: Any) -> None:
    """is_set is true for everything but null."""
    assert (found is not ABSENT and found is not None) is outcome("is_set", "is_set", found)


# -- a second reading of the reference, slow and plain ----------------------------------------------------------------


def js_number(value: Any) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool | int | float):
        return float(value)
    digits = value.strip()
    if not digits:
        return 0.0
    try:
        return math.nan if "_" in digits or digits.lower().lstrip("+-") in ("nan", "inf", "infinity") else float(digits)
    except ValueError:
        return math.nan


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def naive_equal(found: Any, value: Any) -> bool:
    """Reference 3.4, first line: number vs string, boolean vs string, boolean vs number, otherwise strict."""
    for one, other in ((found, value), (value, found)):
        if is_number(one) and isinstance(other, str):
            return one == js_number(other)
        if isinstance(one, bool) and isinstance(other, str):
            return one is (other == "true")
        if isinstance(one, bool) and is_number(other):
            return int(one) == other
    return (type(found) is type(value) and found == value) or (is_number(found) and is_number(value) and found == value)


def naive(operator: str, value: Any, found: Any) -> bool:
    """Reference 3.4, the rows of one value, for scalars."""
    match operator:
        case "exact":
            return naive_equal(found, str(value).lower() if isinstance(value, bool) else value)
        case "is_not":
            return not naive("exact", value, found)
        case "gt":
            return js_number(found) > value
        case "gte":
            return js_number(found) >= value
        case "lt":
            return js_number(found) < value
        case "lte":
            return js_number(found) <= value
        case "icontains":
            # only text here: how numbers become text is tried in the table
            text = "null" if found is None else str(found).lower() if isinstance(found, bool) else found
            return naive_like(text.lower(), f"%{value.lower()}%")
    raise AssertionError(operator)


def naive_like(text: str, pattern: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(naive_like(text[start:], pattern[1:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("_", text[0]) and naive_like(text[1:], pattern[1:])


@settings(max_examples=400)
@given(operator=st.sampled_from(["exact", "is_not"]), value=SCALARS, found=FOUND)
def test_equality_agrees_with_a_plain_reading_of_the_reference(operator: str, value: Any, found: Any) -> None:
    """The compiled closure and the naive interpreter give the same for any two scalars."""
    assume(not (isinstance(value, str) or isinstance(found, str)) or (str(value).isascii() and str(found).isascii()))
    plain = None if found is ABSENT else found

    assert naive(operator, value, plain) is outcome(operator, value, found)


@settings(max_examples=400)
@given(operator=st.sampled_from(["gt", "gte", "lt", "lte"]), value=NUMBERS, found=FOUND)
def test_order_agrees_with_a_plain_reading_of_the_reference(operator: str, value: float, found: Any) -> None:
    """Null counts as 0, text as its number, what is no number compares with nothing."""
    assume(not isinstance(found, str) or found.isascii())
    assume(not isinstance(found, str) or found.strip() == found.strip(" \t\n\v\f\r"))  # Python strips more

    assert naive(operator, value, None if found is ABSENT else found) is outcome(operator, value, found)


LETTERS = st.text("aAb%_n u", max_size=5)


@settings(max_examples=400)
@given(value=LETTERS, found=st.one_of(st.just(ABSENT), st.none(), st.booleans(), LETTERS))
def test_icontains_agrees_with_a_plain_reading_of_the_reference(value: str, found: Any) -> None:
    """`%` and `_` are wildcards, case does not count, null is the text `null`."""
    assert naive("icontains", value, None if found is ABSENT else found) is outcome("icontains", value, found)


ITEMS = st.builds(
    lambda operator, value: {"type": "event", "key": "x", "operator": operator, "value": value},
    st.sampled_from(["exact", "is_not", "gt", "lt", "icontains", "is_set", "is_not_set"]),
    SCALARS,
)
ENTRIES = st.builds(
    lambda name, items: {"id": name, "type": "events", "properties": items},
    st.sampled_from(["a", "b", None]),
    st.lists(ITEMS, max_size=2),
)


@settings(max_examples=300)
@given(
    entries=st.lists(ENTRIES, max_size=3), items=st.lists(ITEMS, max_size=2), found=FOUND, name=st.sampled_from("abc")
)
def test_whole_filters_are_and_of_or_of_and(
    entries: list[dict[str, Any]], items: list[dict[str, Any]], found: Any, name: str
) -> None:
    """match = every(properties) AND any(entry AND every of its properties), and the clause names what decided."""

    def holds(item: dict[str, Any]) -> bool:
        return outcome(item["operator"], item["value"], found)

    fitting = [entry for entry in entries if entry["id"] in (name, None) and all(map(holds, entry["properties"]))]
    expected = all(map(holds, items)) and (not entries or bool(fitting))

    verdict = compile_filters({"events": entries, "properties": items}).matches(event(found, name))

    assert expected is verdict.matched
    if verdict.matched and entries:
        assert f"events[{next(i for i, entry in enumerate(entries) if entry in fitting)}]" == verdict.clause


JSON = st.recursive(
    st.one_of(st.none(), SCALARS), lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner))
)


@given(filters=st.dictionaries(st.sampled_from(["events", "actions", "properties", "source"]), JSON))
def test_filters_of_any_shape_compile_or_are_refused(filters: dict[str, Any]) -> None:
    """Nothing but HogError comes out of filters that nobody would write, from compiling, matching or linting."""
    lint_filters(filters)
    try:
        compiled = compile_filters(filters)
    except HogError:
        return
    assert compiled.matches(event("a")).outcome in ("matched", "rejected", "error")


PIECES = st.sampled_from(
    [
        *("{", "}", "\\{", "\\", "'", '"', "`", "{event.event}", "{event.properties.x ?? 'd'}", "{upper(", "event"),
        *("(", ")", "/*", "*/", "--", "\n", " + ", "{{", "{}", "{1}", "f'", "[", "]", "?", ":", "->", "\ud800"),
        "\N{GRINNING FACE}",
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=8).map("".join), st.text(max_size=20))


@settings(max_examples=300, deadline=None)
@given(source=TEXTS)
def test_any_text_renders_or_is_refused(source: str) -> None:
    """Whatever stands in an input, rendering gives JSON or a HogError."""
    lint_template(source)
    try:
        value = parse_template(source).render(event("v"))
    except HogError:
        return

    json.dumps(value)


@settings(max_examples=200, deadline=None)
@given(source=st.lists(PIECES.filter(lambda piece: piece != "\ud800"), max_size=8).map("".join))
def test_templates_are_cut_where_posthog_cuts_them(source: str) -> None:
    """PostHog's own parser of templates finds the same texts and the same expressions, or refuses the same."""
    load_grammar()  # it stands in for modules that the parser wants to import
    import hogql_parser

    try:
        theirs = json.loads(hogql_parser.parse_full_template_string_json("F'" + source))
    except Exception:
        theirs = {"error": True}
    try:
        ours = [ast.Constant(value=part) if isinstance(part, str) else part for part in template_parts(source)]
    except HogError:
        assert theirs.get("error")
        return

    assert not theirs.get("error")
    node = from_json(theirs)
    expected = list(node.args) if isinstance(node, ast.Call) and len(ours) > 1 else [node]
    assert expected == (ours or [ast.Constant(value="")])
