"""The traps that lint names."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_events.hog.lint import GLOBALS, lint_filters, lint_template

NAMED = {"id": "purchase", "type": "events"}


def item(operator: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "event", "key": "x", "operator": operator, "value": value, **more}


def one(*items: dict[str, Any]) -> dict[str, Any]:
    return {"events": [NAMED], "properties": list(items)}


SET = item("is_set")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (one(), []),
        (one(item("exact", "a"), SET), []),
        (one(item("gt", 5), item("lt", 6)), []),
        ({}, [("every-event", "")]),
        ({"events": [{"id": None, "type": "events"}]}, [("every-event", "events[0]")]),
        ({"properties": [SET]}, [("any-name", "")]),
        (one(item("lt", 5)), [("missing-matches", "properties[0]")]),
        (one(item("gte", 0)), [("missing-matches", "properties[0]")]),
        (one(item("between", [0, 5])), [("missing-matches", "properties[0]")]),
        (one(item("is_not", "a")), [("missing-matches", "properties[0]")]),
        (one(item("not_regex", "^a")), [("missing-matches", "properties[0]")]),
        (one(item("icontains", "ul")), [("missing-matches", "properties[0]")]),
        (one(item("lt", 5), SET), []),
        (one(item("lt", 5), {**SET, "key": "y"}), [("missing-matches", "properties[0]")]),
        (one(item("lt", 5), item("gt", 3)), []),
        (one(item("gt", "5")), [("text-order", "properties[0]")]),
        (one(item("exact", ["5", "a"])), [("list-of-text", "properties[0]")]),
        (one(item("exact", ["true", "a"])), [("list-of-text", "properties[0]")]),
        (one(item("exact", [5, 6])), [("list-of-one-type", "properties[0]")]),
        (one(item("exact", ["a", "b"])), []),
        (one(item("exact", "")), [("text-is-zero", "properties[0]")]),
        (one(item("icontains", "50%")), [("wildcard", "properties[0]")]),
        (one(item("icontains", "a_b")), [("wildcard", "properties[0]")]),
        (one(item("is_date_after", "-7d")), [("frozen-date", "properties[0]")]),
        (one(item("is_date_after", "2026-01-31")), []),
        (one(item("in", ["a"])), [("refused", "properties[0]")]),
        (one(item("nosuch", "a")), [("refused", "properties[0]")]),
        (one({"type": "cohort", "key": "id", "value": 3}), [("cohort", "properties[0]")]),
        (one({"type": "session", "key": "$x", "value": 3}), [("not-realtime", "properties[0]")]),
        (one({"type": "person", "key": "distinct_id", "value": "a"}), [("not-realtime", "properties[0]")]),
        (one(item("exact", "a", key="a.b")), [("dotted-key", "properties[0]")]),
        (one(item("exact")), [("ignored", "properties[0]")]),
        (one(item("exact", [])), [("ignored", "properties[0]")]),
        (one(item("exact", 1, type="nosuch")), [("ignored", "properties[0]")]),
        (one(item("regex", "(?=a)")), [("bad-regex", "properties[0]")]),
        (one(item("icontains", "")), [("always", "properties[0]")]),
        (one(item("not_icontains", "")), [("never", "properties[0]")]),
        (one(item("gt", 5), item("lt", 3)), [("never", "properties[0]")]),
        (one(item("exact", "a"), item("exact", "b")), [("never", "properties[0]")]),
        (one(SET, item("is_not_set")), [("never", "properties[0]")]),
        (one(item("exact", "5"), item("gt", 5)), [("never", "properties[0]")]),
        ({"properties": [item("exact")]}, [("ignored", "properties[0]"), ("never", "properties[0]")]),
        (
            {"events": [{"name": "x", "type": "events"}]},
            [("entry-without-id", "events[0]"), ("never", "events")],
        ),
        ({"events": [{"id": "x"}]}, [("entry-without-type", "events[0]")]),
        ({"actions": [{"id": 3}]}, [("entry-without-type", "actions[0]")]),
        ({"actions": [{"id": 3, "type": "actions"}]}, []),
        (
            {"events": [{**NAMED, "properties": [item("lt", 5)]}]},
            [("missing-matches", "events[0].properties[0]")],
        ),
    ],
)
def test_traps_of_filters(filters: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """Each trap of reference 3 and 9 is named at its place, and sound filters give none."""
    assert expected == [(trap.code, trap.where) for trap in lint_filters(filters)]


def test_test_account_filters_are_linted_when_they_are_used() -> None:
    """The project's own items can break a destination too."""
    cohort = [{"type": "cohort", "key": "id", "value": 3}]

    found = [
        [(trap.code, trap.where) for trap in lint_filters({**one(), **extra}, test_account_filters=cohort)]
        for extra in ({}, {"filter_test_accounts": True})
    ]

    assert [[], [("cohort", "test_accounts[0]")]] == found


def test_unknown_action_is_named_when_the_actions_are_known() -> None:
    """With the project's actions at hand, a missing one is found."""
    filters = {"actions": [{"id": 3, "type": "actions"}]}

    assert [("refused", "actions[0]")] == [(trap.code, trap.where) for trap in lint_filters(filters, actions={})]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", []),
        ("{event.event} by {person.properties.email ?? event.distinct_id}", []),
        ("{event}", []),
        ("{arrayMap(x -> x.name, event.properties.items)}", []),
        ("{upper(event.event)}", []),
        ("{upper(event.properties.plan ?? '')}", []),
        ("{distinct_id}", ["unknown-global"]),
        ("{x.y} {x.y}", ["unknown-global"]),
        ("{event.properties.plan-name}", ["hyphenated-key"]),
        ("{event.properties['plan-name']}", []),
        ("{event.properties.total - event.properties.tax}", []),
        ("{{ event.event }}", ["refused"]),
        ("{event.event", ["refused"]),
        ("{nosuch(1)}", ["refused"]),
        ("See {event.properties}", ["object-in-text"]),
        ("See {jsonStringify(event.properties)}", []),
        ("{upper(event.properties.plan)}", ["fails-on-null"]),
        ("{'total ' + event.properties.x}", ["plus-on-text"]),
        ("{round(event.properties.x, 2)}", ["round-places"]),
        ("{empty(event.properties.x) or upper(event.event) = 'A'}", ["no-short-circuit"]),
    ],
)
def test_traps_of_templates(source: str, expected: list[str]) -> None:
    """Each trap of reference 2.3 is named, and sound templates give none."""
    assert expected == [trap.code for trap in lint_template(source)]


def test_hyphenated_key_shows_the_right_way() -> None:
    """The advice is what one would have to write."""
    (trap,) = lint_template("{event.properties.plan-name}", where="inputs.text")

    assert ("inputs.text", True) == (trap.where, "{event.properties['plan-name']}" in trap.message)


def test_more_globals_can_be_known() -> None:
    """Source webhooks have a request."""
    assert [] == lint_template("{request.body}", roots=(*GLOBALS, "request"))
