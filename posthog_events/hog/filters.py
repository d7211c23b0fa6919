"""Filters of a destination, compiled once and evaluated for many events.

    match = every(test-account filters) AND every(properties) AND any(events[i] AND its properties, actions[j] AND ...)

PostHog evaluates every condition even when one has already failed, so an error anywhere is an error of the whole. And
it accepts only a real boolean: a filter that is compiled to the number 1 never matches.

Source: PostHog/posthog:posthog/cdp/filters.py, nodejs/src/cdp/utils/hog-function-filtering.ts; reference 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

from posthog_events.clock import utc_now
from posthog_events.errors import HogError
from posthog_events.hog.actions import action_check
from posthog_events.hog.evaluate import Scope
from posthog_events.hog.properties import Check, Context, property_check
from posthog_events.hog.values import equal

__all__ = ["CompiledFilters", "Verdict", "compile_filters"]

NEVER = "the filters come down to the number 1, and PostHog accepts only a boolean: they never match"
_NESTED_EVENT = "$activity_log_entry_created"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one event.

    Attributes:
        outcome: `matched`, `rejected`, or `error`: then PostHog delivers nothing and counts `filtering_failed`.
        clause: The clause that decided: the entry that matched (`events[0]`), or the first condition that did not
            hold (`properties[1]`, `events[0].properties[0]`, `test_accounts[2]`); `events` when no name fits, empty
            when there is nothing to fulfil.
        message: Why, for an error, and where a clause can never match.
    """

    outcome: Literal["matched", "rejected", "error"]
    clause: str
    message: str = ""

    @property
    def matched(self) -> bool:
        """Whether the destination is triggered."""
        return self.outcome == "matched"


@dataclass(frozen=True, slots=True)
class _Entry:
    """An item of `events` or `actions`: what it asks, and the verdicts it leads to."""

    matched: Verdict
    conditions: tuple[tuple[Callable[[Scope], bool], Verdict], ...]


class CompiledFilters:
    """Filters ready for events; made by `compile_filters`, immutable, safe to share between threads."""

    __slots__ = ("_any_name", "_conditions", "_entries", "_fallible", "_matched", "_names", "_no_entry", "_prefilter")

    def __init__(
        self,
        *,
        names: Collection[Any] | None,
        conditions: Sequence[tuple[Callable[[Scope], bool], Verdict]],
        entries: Sequence[_Entry],
        fallible: Sequence[Check],
        no_entry: Verdict,
    ) -> None:
        self._prefilter = names is not None
        self._any_name = names is not None and None in names
        self._names = frozenset(name for name in names or () if isinstance(name, str))
        self._conditions, self._entries, self._fallible = tuple(conditions), tuple(entries), tuple(fallible)
        self._matched, self._no_entry = Verdict("matched", ""), no_entry

    def matches(self, globals_: Scope) -> Verdict:
        """Return what becomes of an event.

        Args:
            globals_: What templates see (reference 2.4): `event` with its fields, `person` (or None), `groups`.
        """
        if self._prefilter and not self._any_name and globals_["event"]["event"] not in self._names:
            return self._no_entry
        for check in self._fallible:
            try:
                check.run(globals_)
            except HogError as error:
                return Verdict("error", check.path, error.message)
            except RecursionError:
                return Verdict("error", check.path, "the value is nested too deeply")
        for holds, rejected in self._conditions:
            if not holds(globals_):
                return rejected
        if not self._entries:
            return self._matched
        nearest = self._no_entry
        for entry in self._entries:
            for holds, rejected in entry.conditions:
                if not holds(globals_):
                    # an entry that failed only at its properties says more than one of another name
                    if nearest is self._no_entry:
                        nearest = rejected
                    break
            else:
                return entry.matched
        return nearest


def compile_filters(
    filters: Mapping[str, Any],
    *,
    actions: Mapping[Any, Any] | None = None,
    test_account_filters: Sequence[Any] = (),
    boolean_properties: Collection[tuple[str, str]] = (),
    saved_at: datetime | None = None,
    timezone: tzinfo = UTC,
    clock: Callable[[], datetime] = utc_now,
) -> CompiledFilters:
    """Compile the `filters` of a destination, in PostHog's own JSON form.

    Args:
        filters: The object; empty matches every event.
        actions: The actions that it names, by id: PostHog's object of an action, or its list of steps.
        test_account_filters: The project's property items; used when `filter_test_accounts` is set.
        boolean_properties: (type, key) of properties that PostHog knows as Boolean: for them `"true"` means true.
        saved_at: When the filters were or will be saved: relative dates are resolved at that moment. None is now.
        timezone: The project's zone, for relative dates.
        clock: What now() in an expression says; for stored events, the moment of the event at hand.

    Raises:
        HogError: PostHog could not compile them, and refuses to enable the function.
    """
    context = Context(boolean_properties, saved_at, timezone, clock)
    by_name = filters.get("source", "events") in ("events", "internal-events")
    events = _items(filters, "events") if by_name else []
    action_items = _items(filters, "actions") if by_name else []
    nested = bool(events or action_items) and all(item.get("id") == _NESTED_EVENT for item in [*events, *action_items])

    tests = test_account_filters if filters.get("filter_test_accounts") else ()
    checks = [property_check(item, f"test_accounts[{index}]", context) for index, item in enumerate(tests)]
    checks += [
        property_check(item, f"properties[{index}]", context, nested=nested)
        for index, item in enumerate(_items(filters, "properties", of=object))
    ]
    entries = [
        (f"{name}[{index}]", _entry_checks(item, f"{name}[{index}]", {} if actions is None else actions, context))
        for name, items in (("events", events), ("actions", action_items))
        for index, item in enumerate(items)
    ]
    no_entry = Verdict(
        "rejected", " or ".join(name for name, items in (("events", events), ("actions", action_items)) if items)
    )
    # a condition that stands alone is not turned into a boolean by an AND or OR around it
    alone = len(checks) == 1 and not entries
    entry_alone = not checks and len(entries) == 1 and len(entries[0][1]) == 1
    return CompiledFilters(
        names=[item.get("id", _Absent) for item in events] if events and not action_items else None,
        conditions=[_condition(check, Verdict("rejected", check.path), alone) for check in checks],
        entries=[
            _Entry(
                Verdict("matched", path),
                tuple(
                    _condition(check, no_entry if check.path == path else Verdict("rejected", check.path), entry_alone)
                    for check in found
                ),
            )
            for path, found in entries
        ],
        fallible=[check for check in (*checks, *(one for _, found in entries for one in found)) if check.can_fail],
        no_entry=no_entry,
    )


class _Absent:
    """Stands for a key that an entry lacks: JavaScript's undefined is not null."""


def _items(filters: Mapping[str, Any], name: str, of: type = Mapping) -> list[Any]:
    items = filters.get(name) or []
    if not isinstance(items, list | tuple) or not all(isinstance(item, of) for item in items):
        raise HogError("a list of objects is needed", where=name)
    return list(items)


def _condition(check: Check, rejected: Verdict, alone: bool) -> tuple[Callable[[Scope], bool], Verdict]:
    if not alone or check.boolean:
        return check.truth, rejected
    run = check.run
    return (lambda scope: run(scope) is True), Verdict("rejected", check.path, NEVER if check.vanishes else "")


def _entry_checks(item: Mapping[str, Any], path: str, actions: Mapping[Any, Any], context: Context) -> list[Check]:
    """Return what an entry asks; the check of its name or action has the path of the entry itself."""
    checks = []
    if item.get("type") == "events":
        if (name := item.get("id")) is not None:
            checks.append(Check(path, _named(name)))
    elif item.get("type") == "actions":
        checks.append(action_check(item, path, actions, context))
    properties = _items(item, "properties", of=object)
    nested = item.get("id") == _NESTED_EVENT
    checks += [
        property_check(one, f"{path}.properties[{index}]", context, nested=nested)
        for index, one in enumerate(properties)
    ]
    return checks


def _named(name: Any) -> Callable[[Scope], bool]:
    if isinstance(name, str):
        return lambda scope: bool(scope["event"]["event"] == name)
    return lambda scope: equal(scope["event"]["event"], name)
