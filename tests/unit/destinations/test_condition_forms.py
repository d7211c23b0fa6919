"""Conditions in the short form and in PostHog's own."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_events.destinations.conditions import check_property, condition_text, parse_condition
from posthog_events.destinations.possible import contradiction

EVENT = {"type": "event"}
SHORT: list[tuple[str, dict[str, Any]]] = [
    ("amount >= 100", {"key": "amount", "value": 100, "operator": "gte", **EVENT}),
    ("amount < -1.5", {"key": "amount", "value": -1.5, "operator": "lt", **EVENT}),
    ("plan is_set", {"key": "plan", "operator": "is_set", **EVENT}),
    ("$referrer = google", {"key": "$referrer", "value": "google", "operator": "exact", **EVENT}),
    ("plan == pro", {"key": "plan", "value": "pro", "operator": "exact", **EVENT}),
    ('plan = "5"', {"key": "plan", "value": "5", "operator": "exact", **EVENT}),
    ("plan = 5", {"key": "plan", "value": 5, "operator": "exact", **EVENT}),
    ("plan = 007", {"key": "plan", "value": "007", "operator": "exact", **EVENT}),
    ("paid = true", {"key": "paid", "value": True, "operator": "exact", **EVENT}),
    ("paid = 'true'", {"key": "paid", "value": "true", "operator": "exact", **EVENT}),
    ('a = "x\\"y\\\\z "', {"key": "a", "value": 'x"y\\z ', "operator": "exact", **EVENT}),
    ("title = two words", {"key": "title", "value": "two words", "operator": "exact", **EVENT}),
    ("plan in [pro]", {"key": "plan", "value": "pro", "operator": "exact", **EVENT}),
    ('plan not_in [a, "b, c", 3]', {"key": "plan", "value": ["a", "b, c", 3], "operator": "is_not", **EVENT}),
    ("code icontains 100", {"key": "code", "value": "100", "operator": "icontains", **EVENT}),
    (r"path regex ^/[a-z]+\d$", {"key": "path", "value": r"^/[a-z]+\d$", "operator": "regex", **EVENT}),
    (r"path regex [\p{L}]\z", {"key": "path", "value": r"[\p{L}]\z", "operator": "regex", **EVENT}),
    ("properties.plan = a", {"key": "plan", "value": "a", "operator": "exact", **EVENT}),
    ('"person.email" = a', {"key": "person.email", "value": "a", "operator": "exact", **EVENT}),
    (
        "person.email not_icontains @example.com",
        {"key": "email", "value": "@example.com", "operator": "not_icontains", "type": "person"},
    ),
    ("person.properties.email is_not_set", {"key": "email", "operator": "is_not_set", "type": "person"}),
    ('person."full name" is_set', {"key": "full name", "operator": "is_set", "type": "person"}),
    ("$group_0.x = 1", {"key": "x", "value": 1, "operator": "exact", "type": "group", "group_type_index": 0}),
    ("event.distinct_id != a", {"key": "distinct_id", "value": "a", "operator": "is_not", "type": "event_metadata"}),
    ("event.$group_1 is_set", {"key": "$group_1", "operator": "is_set", "type": "event_metadata"}),
    ("element.text = Buy", {"key": "text", "value": "Buy", "operator": "exact", "type": "element"}),
]


@pytest.mark.parametrize(("text", "item"), SHORT, ids=[text for text, _ in SHORT])
def test_short_form_is_posthogs_item(text: str, item: dict[str, Any]) -> None:
    """A condition as people write it becomes the item that PostHog stores."""
    assert item == parse_condition(text)


@pytest.mark.parametrize("item", [item for _, item in SHORT], ids=[text for text, _ in SHORT])
def test_item_is_written_in_the_short_form_and_read_back(item: dict[str, Any]) -> None:
    """What is pulled from PostHog is written so that reading it gives the same item."""
    text = condition_text(item)

    assert text is not None
    assert item == parse_condition(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("amount>=100", "with spaces between"),
        ("plan", "with spaces between"),
        ("plan =", "needs a value"),
        ("plan iss_set", "did you mean `is_set`"),
        ("plan is_set 3", "takes no value"),
        ("amount > big", "compares numbers"),
        ('amount > "10"', "letter by letter"),
        ("plan = null", "use is_set"),
        ("plan in pro", "take a list"),
        ("plan in []", "empty list"),
        ("plan in [a", "ends with ]"),
        ("plan in [a] b]", "ends with ]"),
        ('plan = "a" b', "closing quote"),
        ("$group_7.x = 1", "0 to 4"),
        ("$group_0 is_set", "write $group_0.name"),
        ("event.plan = a", "written alone: plan"),
        ("element.colour = a", "an element has no `colour`"),
        ("element.tag_name icontains a", "exact or is_not only"),
        ("path regex .*", "matches everything"),
        ("path regex a(?=b)", "no lookaround"),
        ("path regex (a", "not a pattern"),
        ("title icontains %", "every value contains"),
        ("= 3", "begins with a property"),
    ],
)
def test_wrong_short_form_is_explained(text: str, why: str) -> None:
    """What PostHog would misread is refused with a reason."""
    with pytest.raises(ValueError) as caught:
        parse_condition(text)

    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({"key": "a"}, "drops the condition silently"),
        ({"key": "a", "value": None, "operator": "gte"}, "drops the condition silently"),
        ({"key": "a", "value": []}, "passes over an empty list"),
        ({"key": "a", "value": [{}]}, "texts, numbers and booleans"),
        ({"value": 1}, "needs a `key`"),
        ({"key": "a", "valeu": 1}, "did you mean `value`"),
        ({"key": "id", "value": 3, "type": "cohort"}, "cohorts are not known"),
        ({"key": "a", "value": 3, "type": "session"}, "cannot be used"),
        ({"key": "a", "value": "1.2", "operator": "semver_gt"}, "does not evaluate it"),
        ({"key": "a", "value": 1, "type": "group"}, "group_type_index"),
        ({"key": "a", "value": 1, "group_type_index": 1}, "belongs to the type group"),
        ({"key": "a", "value": [5, 1], "operator": "between"}, "[least, most]"),
        ({"key": "a", "value": "9", "operator": "gte"}, "letter by letter"),
        ({"key": "a", "value": True, "operator": "lt"}, "one number"),
    ],
)
def test_wrong_item_is_explained(item: dict[str, Any], why: str) -> None:
    """PostHog accepts these items and passes over them or never matches; here they are refused."""
    with pytest.raises(ValueError) as caught:
        check_property(item)

    assert why in str(caught.value)


def test_membership_of_one_is_written_as_equality() -> None:
    """`in` with one element does not compile in PostHog."""
    assert {"key": "a", "value": 1, "operator": "is_not", **EVENT} == check_property(
        {"key": "a", "value": [1], "operator": "not_in"}
    )


IMPOSSIBLE = [
    ["a > 5", "a < 3"],
    ["a > 5", "a <= 5"],
    ["a = x", "a = y"],
    ["a = x", "a in [y, z]"],
    ["a is_set", "a is_not_set"],
    ["a = x", "a is_not_set"],
    ["a is_not_set", "a > 5"],
    ["a = x", "a != x"],
    ["a in [x, y]", "a not_in [x, y, z]"],
    ["a = 5", "a > 5"],
]
POSSIBLE = [
    ["a > 5", "a < 6"],
    ["a >= 5", "a <= 5"],
    ["a = 5", 'a = "5"'],
    ["a = 1", "a = true"],
    # a missing property counts as 0
    ["a is_not_set", "a < 5"],
    # a text "5" is equal to 5 and is not in the list
    ["a = 5", "a != [5, 6]"],
    ["a = x", "b = y"],
    ["a = x", "person.a = y"],
    ["$group_0.a = x", "$group_1.a = y"],
]


@pytest.mark.parametrize("texts", IMPOSSIBLE, ids=" and ".join)
def test_conditions_that_exclude_each_other_are_found(texts: list[str]) -> None:
    """A filter that can never match is named before anyone waits for it."""
    assert "nothing would ever match" in (contradiction([parse_condition(text) for text in texts]) or "")


@pytest.mark.parametrize("texts", POSSIBLE, ids=" and ".join)
def test_conditions_that_one_event_may_pass_are_left_alone(texts: list[str]) -> None:
    """PostHog's coercion makes more possible than meets the eye, and that is not refused."""
    assert contradiction([parse_condition(text) for text in texts]) is None
