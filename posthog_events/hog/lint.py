"""Warns of filters that PostHog accepts and that do not do what they seem to do (reference 3.2-3.4 and 9).

Most traps of operators are found by trying: the compiled test is asked about a missing property, and about values of
every type.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from posthog_events.errors import HogError
from posthog_events.hog.filters import NEVER, compile_filters
from posthog_events.hog.lint_template import GLOBALS, Trap, lint_template
from posthog_events.hog.operators import RELATIVE, Test, operator_test
from posthog_events.hog.properties import COHORTS, complete

__all__ = ["GLOBALS", "Trap", "lint_filters", "lint_template"]

_NUMERIC = re.compile(r"\s*[+-]?\d+(?:\.\d+)?\s*", re.ASCII)
_PROBES: tuple[Any, ...] = (None, "", "x", "null", "A-probe 1", 0, -1e15, 1e15, True, False, [], ["x"], {}, {"x": 1})
_NEGATIVE = ("is_not", "not_icontains", "not_icontains_multi", "not_regex", "not_in", "not_between")
_ORDERED = ("gt", "gte", "lt", "lte", "min", "max")


def lint_filters(
    filters: Mapping[str, Any], *, actions: Mapping[Any, Any] | None = None, test_account_filters: Sequence[Any] = ()
) -> list[Trap]:
    """Return the traps in a destination's filters, in PostHog's own JSON form.

    Args:
        filters: The object.
        actions: The actions that it names, as for `compile_filters`; None when they are not known.
        test_account_filters: The project's property items.
    """
    known = actions if actions is not None else _NoStepsKnown()
    traps = [*_entry_traps(filters)]
    for name, items in _lists(filters, test_account_filters):
        traps += _list_traps(items, name)
    try:
        compiled = compile_filters(filters, actions=known, test_account_filters=test_account_filters)
    except HogError as error:
        code = "cohort" if "cohort" in error.message else "refused"
        return [*traps, Trap(code, error.where, error.message)]
    # an event that nothing rejects but the number 1
    verdict = compiled.matches({"event": {"event": "", "properties": {}}, "person": None, "groups": {}})
    if verdict.message == NEVER:
        traps = [trap for trap in traps if trap.code != "every-event"]
        traps.append(Trap("never", verdict.clause, verdict.message))
    return traps


class _NoStepsKnown(dict[Any, Any]):
    """Stands for actions that are not known here: each exists, and its steps say nothing."""

    def get(self, key: Any, default: Any = None) -> Any:
        return []


def _lists(filters: Mapping[str, Any], tests: Sequence[Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Yield the lists of property items that are joined by AND."""
    if filters.get("filter_test_accounts"):
        yield "test_accounts", _objects(tests)
    yield "properties", _objects(filters.get("properties"))
    for name in ("events", "actions"):
        for index, entry in enumerate(_objects(filters.get(name))):
            yield f"{name}[{index}].properties", _objects(entry.get("properties"))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item if isinstance(item, Mapping) else {} for item in value] if isinstance(value, list | tuple) else []


def _entry_traps(filters: Mapping[str, Any]) -> Iterator[Trap]:
    events, actions = _objects(filters.get("events")), _objects(filters.get("actions"))
    every_event = "every event of the project triggers this, $pageview and $autocapture included, and each is billed"
    if not events and not actions:
        if not any(complete(item) for item in _objects(filters.get("properties"))):
            yield Trap("every-event", "", f"no events, actions or properties are given: {every_event}")
        else:
            yield Trap("any-name", "", "no events or actions are given: events of every name that fit trigger this")
    for index, entry in enumerate(events):
        where = f"events[{index}]"
        if "id" not in entry:
            effect = "matches every event" if actions else "never matches"
            yield Trap("entry-without-id", where, f"an entry without `id` {effect}; write the name, or null for all")
        elif entry["id"] is None and not any(
            complete(item) for name in (filters, entry) for item in _objects(name.get("properties"))
        ):
            yield Trap("every-event", where, f"`id` null is any event: {every_event}")
        if entry.get("type") != "events":
            yield Trap(
                "entry-without-type",
                where,
                'without "type": "events" the name is forgotten: once there is an action, this matches every event',
            )
    for index, entry in enumerate(actions):
        if entry.get("type") != "actions":
            yield Trap(
                "entry-without-type",
                f"actions[{index}]",
                'without "type": "actions" the action is forgotten: this matches every event',
            )
    if events and not actions and all("id" not in entry for entry in events):
        yield Trap("never", "events", "no entry has an `id`: the filters never match")


def _list_traps(items: Sequence[Mapping[str, Any]], name: str) -> Iterator[Trap]:
    tests: dict[int, Test] = {}
    for index, item in enumerate(items):
        yield from _shape_traps(item, f"{name}[{index}]")
        if complete(item) and (item.get("type") or "event") not in (*COHORTS, "hogql"):
            # what cannot be compiled is reported by compile_filters
            with contextlib.suppress(HogError):
                tests[index] = operator_test(_operator(item), item.get("value"))
    for index, test in tests.items():
        yield from _value_traps(items[index], f"{name}[{index}]")
        others = [other for place, other in tests.items() if place != index and _same(items[place], items[index])]
        yield from _test_traps(items[index], test, others, f"{name}[{index}]")
    yield from _contradictions(items, tests, name)


def _operator(item: Mapping[str, Any]) -> str:
    return str(item.get("operator") or "exact")


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(
        (one.get(name) or default) == (other.get(name) or default)
        for name, default in (("type", "event"), ("key", None), ("group_type_index", None))
    )


def _shape_traps(item: Mapping[str, Any], where: str) -> Iterator[Trap]:
    kind, key = item.get("type") or "event", item.get("key")
    if not complete(item):
        yield Trap("ignored", where, "the item lacks its key or value, or its type is unknown: PostHog ignores it")
    elif kind == "event" and isinstance(key, str) and "." in key:
        yield Trap("dotted-key", where, f"{key!r} is one key, dots included; it does not lead into an object")
    elif kind in ("session", "recording", "log_entry", "data_warehouse", "data_warehouse_person_property"):
        yield Trap("not-realtime", where, f"properties of type {kind!r} do not work in destinations")
    elif kind == "person" and key == "distinct_id":
        yield Trap("not-realtime", where, "a person has no property distinct_id here; use type event_metadata")


def _value_traps(item: Mapping[str, Any], where: str) -> Iterator[Trap]:
    operator, value = _operator(item), item.get("value")
    values = value if isinstance(value, list) else [value]
    if operator in ("is_set", "is_not_set"):
        return
    if isinstance(value, list) and not value:
        yield Trap("ignored", where, "the list is empty: PostHog ignores the item")
        return
    if operator in _ORDERED and any(isinstance(one, str) for one in values):
        yield Trap(
            "text-order", where, 'two texts are compared letter by letter ("10" < "9"); write the value as a number'
        )
    if operator in ("exact", "is_not", "in", "not_in") and len(values) > 1:
        kinds = {
            "number" if isinstance(one, int | float) and not isinstance(one, bool) else type(one) for one in values
        }
        loose = [
            one for one in values if isinstance(one, str) and (_NUMERIC.fullmatch(one) or one in ("true", "false"))
        ]
        if loose:
            yield Trap("list-of-text", where, f"a list is compared without conversion: {loose[0]!r} matches only text")
        elif kinds != {str}:
            yield Trap(
                "list-of-one-type", where, "a list is compared without conversion: it must hold the very type sent"
            )
    elif operator in ("exact", "is_not") and isinstance(values[0], str) and not values[0].strip():
        yield Trap("text-is-zero", where, "empty text equals the number 0")
    if operator in ("icontains", "not_icontains") and len(values) == 1 and re.search("[%_]", str(values[0])):
        yield Trap("wildcard", where, "`%` stands for any text and `_` for any character; use regex with them escaped")
    if operator.startswith("is_date_") and any(isinstance(one, str) and RELATIVE.match(one) for one in values):
        yield Trap(
            "frozen-date", where, "a relative date is resolved when the destination is saved, and does not move on"
        )


def _test_traps(item: Mapping[str, Any], test: Test, others: Iterable[Test], where: str) -> Iterator[Trap]:
    if test.one:
        return
    if test.can_fail:
        yield Trap("bad-regex", where, "RE2 does not take this regular expression: it fails for every event")
        return
    results = _results(test, _PROBES)
    negative = _operator(item) in _NEGATIVE
    if all(results) and not negative:
        yield Trap("always", where, "every value fits, a missing one too")
    elif negative and not any(results):
        yield Trap("never", where, "no value fits")
    elif _operator(item) != "is_not_set" and results[0] and all(_results(other, [None]) == [True] for other in others):
        yield Trap(
            "missing-matches",
            where,
            "events without the property fit too; add an item with is_set if they must not",
        )


def _results(test: Test, probes: Iterable[Any]) -> list[bool]:
    try:
        return [test.run(probe) for probe in probes]
    except HogError:
        return []


def _contradictions(items: Sequence[Mapping[str, Any]], tests: Mapping[int, Test], name: str) -> Iterator[Trap]:
    """Yield properties of which no value can pass all tests, as far as trying the values of the filter shows."""
    for index in tests:
        same = [place for place in tests if _same(items[place], items[index])]
        if same[0] != index or len(same) < 2:
            continue
        operators = {_operator(items[place]) for place in same}
        values = [items[place].get("value") for place in same]
        # false equals every text but "true", which nobody means
        booleans = [probe for probe in values if isinstance(probe, bool) or probe in ("true", "false")]
        probes = [probe for probe in _PROBES if booleans or not isinstance(probe, bool)]
        candidates = [*probes, *(one for value in values for one in _around(value))]
        # patterns can hide a value that fits; for the others the values of the filter and their neighbours decide
        if operators & {"regex", "not_regex", "icontains", "icontains_multi"} and "exact" not in operators:
            continue
        if not any(all(_results(tests[place], [value]) == [True] for place in same) for value in candidates):
            places = " and ".join(f"{name}[{place}]" for place in same)
            yield Trap("never", f"{name}[{index}]", f"{places} exclude each other: the filters never match")


def _around(value: Any) -> Iterator[Any]:
    for one in value if isinstance(value, list) else [value]:
        yield one
        if isinstance(one, str) and _NUMERIC.fullmatch(one):
            one = float(one)
        if isinstance(one, int | float) and not isinstance(one, bool):
            yield from (one, one - 1e-9, one + 1e-9, one - 0.5, one + 0.5, one - 1, one + 1)
        elif isinstance(one, str):
            yield from (f"{one}\0", one[:-1])
