"""How the parts of filters combine (reference 3.2), and where each type of property looks (3.3)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from posthog_events.errors import HogError
from posthog_events.hog.filters import Verdict, compile_filters

GLOBALS: dict[str, Any] = {
    "event": {
        "uuid": "0198f2a4-0000-7000-8000-000000000001",
        "event": "purchase",
        "distinct_id": "u_1",
        "timestamp": "2026-08-20T10:15:30.123Z",
        "properties": {"amount": 150, "plan": "pro", "a.b": "flat", "detail": {"name": "n"}, "$feature/x": "test"},
    },
    "person": {"id": "p_1", "name": "Ada", "properties": {"email": "ada@example.com", "vip": True}},
    "groups": {
        "company": {"id": "acme", "type": "company", "index": 0, "properties": {"size": 12}},
        "team": {"id": "red", "type": "team", "index": 3, "properties": {}},
    },
}
YES = {"key": "amount", "operator": "gte", "value": 100, "type": "event"}
NO = {"key": "amount", "operator": "gte", "value": 1000, "type": "event"}
GONE = {"key": "amount", "type": "event"}  # no value: PostHog ignores it
FAILS = {"type": "hogql", "key": "nowhere = 1"}


def entry(name: str | None, *properties: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "type": "events", "properties": list(properties)}


def action(number: Any, *properties: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "type": "actions", "properties": list(properties)}


ACTIONS = {1: {"steps": [{"event": "purchase"}]}, "2": [{"event": "signup"}], 3: {"steps": []}}
MATCHED, REJECTED, ERROR = "matched", "rejected", "error"


@pytest.mark.parametrize(
    ("filters", "outcome", "clause"),
    [
        ({}, MATCHED, ""),
        ({"source": "events", "events": [], "properties": []}, MATCHED, ""),
        ({"events": [entry("purchase")]}, MATCHED, "events[0]"),
        ({"events": [entry("signup")]}, REJECTED, "events"),
        ({"events": [entry("signup"), entry("purchase")]}, MATCHED, "events[1]"),
        ({"events": [entry(None)]}, MATCHED, "events[0]"),
        ({"events": [entry(None, NO)]}, REJECTED, "events[0].properties[0]"),
        ({"events": [entry("purchase", YES, NO)]}, REJECTED, "events[0].properties[1]"),
        ({"events": [entry("signup"), entry("purchase", NO)]}, REJECTED, "events[1].properties[0]"),
        ({"events": [entry("purchase", NO), entry("purchase", YES)]}, MATCHED, "events[1]"),
        ({"events": [entry("signup", YES)]}, REJECTED, "events"),
        ({"properties": [YES]}, MATCHED, ""),
        ({"properties": [YES, NO]}, REJECTED, "properties[1]"),
        ({"properties": [NO], "events": [entry("purchase")]}, REJECTED, "properties[0]"),
        # the name is asked before anything else
        ({"properties": [NO], "events": [entry("signup")]}, REJECTED, "events"),
        # test accounts
        ({"filter_test_accounts": True, "properties": [NO]}, REJECTED, "test_accounts[1]"),
        ({"filter_test_accounts": False, "properties": [YES]}, MATCHED, ""),
        # actions
        ({"actions": [action(1)]}, MATCHED, "actions[0]"),
        ({"actions": [action("1")]}, MATCHED, "actions[0]"),
        ({"actions": [action(2)]}, REJECTED, "actions"),
        ({"actions": [action(2)], "events": [entry("signup")]}, REJECTED, "events or actions"),
        ({"actions": [action(1, NO)]}, REJECTED, "actions[0].properties[0]"),
        ({"actions": [action(2)], "events": [entry("purchase")]}, MATCHED, "events[0]"),
        ({"actions": [action(3)]}, MATCHED, "actions[0]"),
        ({"actions": [{"type": "actions"}]}, REJECTED, "actions"),
        # entries without id or type
        ({"events": [{"type": "events"}]}, REJECTED, "events"),
        ({"events": [{"name": "purchase", "type": "events"}, entry("purchase")]}, MATCHED, "events[0]"),
        ({"events": [{"type": "events"}], "actions": [action(2)]}, MATCHED, "events[0]"),
        ({"events": [{"id": "purchase"}]}, MATCHED, "events[0]"),
        ({"events": [{"id": "signup"}]}, REJECTED, "events"),
        ({"events": [{"id": "signup"}], "actions": [action(2)]}, MATCHED, "events[0]"),
        ({"events": [{"id": 42, "type": "events"}]}, REJECTED, "events"),
        # only a real boolean matches
        ({"properties": [GONE]}, REJECTED, "properties[0]"),
        ({"properties": [GONE, GONE]}, MATCHED, ""),
        ({"properties": [GONE], "events": [entry("purchase")]}, MATCHED, "events[0]"),
        ({"events": [entry(None, GONE)]}, REJECTED, "events[0].properties[0]"),
        ({"events": [entry("purchase", GONE)]}, MATCHED, "events[0]"),
        ({"events": [entry(None, GONE), entry("signup")]}, MATCHED, "events[0]"),
        ({"properties": [{"type": "hogql", "key": "properties.amount"}]}, REJECTED, "properties[0]"),
        ({"properties": [{"type": "hogql", "key": "properties.amount"}, YES]}, MATCHED, ""),
        # errors: nothing is skipped, but the name's own test comes before
        ({"properties": [FAILS]}, ERROR, "properties[0]"),
        ({"properties": [NO, FAILS]}, ERROR, "properties[1]"),
        ({"properties": [NO], "events": [entry("purchase"), entry("signup", FAILS)]}, ERROR, "events[1].properties[0]"),
        ({"properties": [FAILS], "events": [entry("signup")]}, REJECTED, "events"),
        # sources without events
        ({"source": "person-updates", "events": [entry("signup")], "properties": [YES]}, MATCHED, ""),
    ],
)
def test_filters_combine_as_posthog_combines_them(filters: dict[str, Any], outcome: str, clause: str) -> None:
    """Test accounts AND properties AND any entry with its own properties, on PostHog's two code paths."""
    tests = [{"type": "person", "key": "email", "operator": "not_icontains", "value": "@posthog"}, NO]
    tests = tests if filters.get("filter_test_accounts") else [NO]

    verdict = compile_filters(filters, actions=ACTIONS, test_account_filters=tests).matches(GLOBALS)

    assert (outcome, clause) == (verdict.outcome, verdict.clause)


def test_filter_that_is_the_number_one_says_why_it_never_matches() -> None:
    """The trap of reference 3.2 is told, not only suffered."""
    verdict = compile_filters({"properties": [GONE]}).matches(GLOBALS)

    assert "only a boolean" in verdict.message


def test_error_says_what_failed() -> None:
    """An error names the clause and the reason."""
    verdict = compile_filters({"properties": [YES, FAILS]}).matches(GLOBALS)

    assert ("properties[1]", True) == (verdict.clause, "no global `nowhere`" in verdict.message)
    assert not verdict.matched


@pytest.mark.parametrize(
    "item",
    [
        {"type": "event", "key": "plan", "value": "pro"},
        {"key": "plan", "value": "pro"},
        {"type": "event", "key": "a.b", "value": "flat"},
        {"type": "person", "key": "email", "value": "ada@example.com"},
        {"type": "person", "key": "distinct_id", "operator": "is_not_set"},
        {"type": "group", "group_type_index": 0, "key": "size", "value": 12},
        {"type": "group", "group_type_index": 3, "key": "size", "operator": "is_not_set"},
        {"type": "group", "group_type_index": 1, "key": "size", "operator": "is_not_set"},
        {"type": "event_metadata", "key": "event", "value": "purchase"},
        {"type": "event_metadata", "key": "distinct_id", "value": "u_1"},
        {"type": "event_metadata", "key": "uuid", "operator": "icontains", "value": "0198f2a4"},
        {"type": "event_metadata", "key": "timestamp", "operator": "is_date_after", "value": "2026-08-20"},
        {"type": "event_metadata", "key": "$group_0", "value": "acme"},
        {"type": "event_metadata", "key": "$group_1", "operator": "is_not_set"},
        {"type": "feature", "key": "$feature/x", "value": "test"},
        {"type": "hogql", "key": "properties.amount > 100 and person.properties.email like '%@example.com'"},
        {"type": "hogql", "key": "event = 'purchase' and group_0.properties.size = 12 and distinct_id = 'u_1'"},
        {"type": "hogql", "key": "pdi.person.properties.vip and $group_3 = 'red'"},
    ],
)
def test_property_types_look_where_posthog_looks(item: dict[str, Any]) -> None:
    """Each type reads its own place, and null where there is nothing."""
    assert Verdict("matched", "") == compile_filters({"properties": [item]}).matches(GLOBALS)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "event", "key": "amount"},
        {"type": "event", "key": "amount", "operator": "gt", "value": None},
        {"type": "event", "value": 5},
        {"type": "made_up", "key": "x", "value": 5},
        {"type": "group", "key": "size", "value": 5},
        {},
    ],
)
def test_incomplete_item_vanishes(item: dict[str, Any]) -> None:
    """An item without key or value, or of an unknown type, passes everything."""
    verdict = compile_filters({"properties": [item, YES]}).matches(GLOBALS)

    assert verdict.matched


@pytest.mark.parametrize("kind", ["session", "recording", "log_entry", "data_warehouse", "behavioral"])
def test_types_that_are_not_realtime_fail_for_every_event(kind: str) -> None:
    """What PostHog saves and cannot evaluate is an error at each event."""
    compiled = compile_filters({"properties": [{"type": kind, "key": "x", "value": 1}]})

    assert "error" == compiled.matches(GLOBALS).outcome


def test_unknown_metadata_fails_for_every_event() -> None:
    """event_metadata reads globals of filters, and there is none of another name."""
    compiled = compile_filters({"properties": [{"type": "event_metadata", "key": "person_id", "value": 1}]})

    assert "error" == compiled.matches(GLOBALS).outcome


@pytest.mark.parametrize(
    ("filters", "where", "says"),
    [
        ({"properties": [{"type": "cohort", "key": "id", "value": 3}]}, "properties[0]", "cohorts do not work"),
        ({"properties": [YES, {"type": "flag", "key": "x", "value": 1}]}, "properties[1]", "do not work"),
        ({"properties": [{"type": "hogql", "key": "1 +"}]}, "properties[0]", "no expression"),
        ({"properties": [{"type": "hogql", "key": "nosuch(1)"}]}, "properties[0]", "unknown Hog function"),
        ({"properties": [{"type": "hogql", "key": "(select 1) = 1"}]}, "properties[0]", "SELECT"),
        ({"properties": [{"type": "hogql", "key": "event in cohort 5"}]}, "properties[0]", "cohorts"),
        ({"properties": ["x"]}, "properties[0]", "an object, not str"),
        ({"properties": {"key": "x"}}, "properties", "list of objects"),
        ({"events": "purchase"}, "events", "list of objects"),
        ({"properties": [{"key": 5, "value": 1}]}, "properties[0]", "key"),
        (
            {"events": [entry("a", {"key": "x", "operator": "in", "value": ["a"]})]},
            "events[0].properties[0]",
            "two or more",
        ),
        ({"actions": [action(9)]}, "actions[0]", "no action 9"),
        ({"actions": [action("nine")]}, "actions[0]", "number"),
        ({"properties": [{"type": "group", "group_type_index": 7, "key": "x", "value": 1}]}, "properties[0]", "0 to 4"),
    ],
)
def test_filters_that_posthog_refuses_name_the_place(filters: dict[str, Any], where: str, says: str) -> None:
    """What makes PostHog answer 400 raises before any event."""
    with pytest.raises(HogError, match=says) as caught:
        compile_filters(filters, actions=ACTIONS)

    assert where == caught.value.where


def test_cohort_among_test_accounts_is_refused_only_when_they_are_used() -> None:
    """A project's cohort filter hurts the destinations that ask for test accounts to be left out."""
    cohort = [{"type": "cohort", "key": "id", "value": 3}]

    compile_filters({}, test_account_filters=cohort)
    with pytest.raises(HogError) as caught:
        compile_filters({"filter_test_accounts": True}, test_account_filters=cohort)

    assert "test_accounts[0]" == caught.value.where


def test_activity_log_keys_lead_into_objects() -> None:
    """Dotted keys are paths for `$activity_log_entry_created`, alone, and flat keys for everything else."""
    item = {"key": "detail.name", "value": "n"}
    event = {**GLOBALS, "event": {**GLOBALS["event"], "event": "$activity_log_entry_created"}}
    activity, other = entry("$activity_log_entry_created"), entry("purchase")

    found = [
        compile_filters(filters).matches(event).matched
        for filters in (
            {"events": [activity], "properties": [item]},
            {"events": [{**activity, "properties": [item]}, other]},
            {"events": [activity, other], "properties": [item]},
        )
    ]

    assert [True, True, False] == found


@pytest.mark.parametrize("person", [None, {"id": "x", "properties": None}, {"id": "x"}])
def test_absent_person_and_groups_give_null(person: Any) -> None:
    """Events without a person, properties or groups are no error."""
    bare = {"event": {"event": "e", "properties": None}, "person": person}
    items = [
        {"type": "person", "key": "email", "operator": "is_not_set"},
        {"type": "event", "key": "x", "operator": "is_not_set"},
        {"type": "group", "group_type_index": 0, "key": "x", "operator": "is_not_set"},
        {"type": "hogql", "key": "person.properties.email is null and group_0.properties.x is null"},
    ]

    assert compile_filters({"properties": items}).matches(bare).matched


def test_now_in_an_expression_is_the_clock_that_was_passed() -> None:
    """Over stored events `now()` is the moment of the event, or a simulation would change from day to day."""
    filters = {"properties": [{"type": "hogql", "key": "toString(toUnixTimestamp(now())) = '1588291200'"}]}
    event = {"event": {"event": "x", "properties": {}}, "person": None, "groups": {}}

    then = compile_filters(filters, clock=lambda: datetime(2020, 5, 1, tzinfo=UTC)).matches(event)
    later = compile_filters(filters, clock=lambda: datetime(2021, 5, 1, tzinfo=UTC)).matches(event)

    assert (True, False) == (then.matched, later.matched)
