"""An event that was never captured and fires a destination, for trying the destination out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from posthog_events.destinations.conditions import condition_text
from posthog_events.destinations.model import Destination
from posthog_events.errors import HogError

__all__ = ["SAMPLE_PROPERTY", "Sample", "sample_globals"]

SAMPLE_PROPERTY: Final = "posthog_events_sample"
"""A property of every sample event, by which a receiver can tell it from a real one."""

ANY_EVENT = "$pageview"
USER = "sample-user"
PERSON = "00000000-0000-4000-8000-000000000000"

_ABSENT = object()
_TEXTS = ("icontains", "icontains_multi")
_LOOSE = (("\\d", "1"), ("\\w", "a"), ("\\s", " "), (".*", ""), (".+", "a"))
_REGEX_SIGNS = re.compile(r"\(\?[a-z]+\)|[\^$()?+*]|\\")
_TAKEN = frozenset({"event", "uuid", "timestamp"})

Place = tuple[str, str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """A made event.

    Args:
        globals: What filters and templates see of it (reference 2.4).
        misfit: Why it does not fire the destination; empty when it does.
    """

    globals: Mapping[str, Any]
    misfit: str = ""


def sample_globals(
    destination: Destination,
    *,
    now: datetime,
    project_url: str = "",
    uuid: UUID | None = None,
    actions: Mapping[Any, Any] | None = None,
    test_account_filters: Sequence[Mapping[str, Any]] = (),
) -> Sample:
    """Make an event of the first name that the destination listens to, with the properties that it asks for.

    Where conditions on the first cannot be met, the others are tried. Some conditions no value is found for: free
    expressions, selectors, patterns that are more than a text; then `misfit` says so.

    Args:
        now: When the event happened.
        uuid: Its uuid; a new one each time, or a receiver would take the second sample for a duplicate.
        actions: The project's actions, by number; without them an action is not known.
        test_account_filters: Those of the project; used when the destination excludes test accounts.
    """
    from posthog_events.hog.filters import compile_filters

    filters = destination.filters
    if actions is None and filters.get("events"):
        filters = {**filters, "actions": []}  # entries are alternatives, and these will do
    tests = [*test_account_filters] if filters.get("filter_test_accounts") else []
    base = _base(now, project_url, uuid or uuid4())
    try:
        compiled = compile_filters(filters, actions=actions, test_account_filters=tests, saved_at=now)
    except HogError as error:
        return Sample(_fitted(base, *next(_alternatives(filters, {})), now), str(error))
    found = None
    for name, conditions in _alternatives(filters, actions or {}):
        globals_ = _fitted(base, name, [*tests, *conditions], now)
        verdict = compiled.matches(globals_)
        if verdict.matched:
            return Sample(globals_)
        found = found or Sample(globals_, _reason(verdict.clause, verdict.message, filters))
    assert found is not None  # there is always an alternative
    return found


def _alternatives(
    filters: Mapping[str, Any], actions: Mapping[Any, Any]
) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Yield the name and the conditions of each event that would do."""
    common = list(filters.get("properties") or ())
    for entry in filters.get("events") or ():
        yield str(entry.get("id") or ANY_EVENT), [*common, *(entry.get("properties") or ())]
    for entry in filters.get("actions") or ():
        action = actions.get(entry.get("id"), actions.get(str(entry.get("id"))))
        steps: Sequence[Mapping[str, Any]] = (action.get("steps") if isinstance(action, Mapping) else action) or ({},)
        for step in steps:
            own = [*(entry.get("properties") or ()), *(step.get("properties") or ())]
            yield str(step.get("event") or ANY_EVENT), [*common, *own]
    if not (filters.get("events") or filters.get("actions")):
        yield ANY_EVENT, common


def _reason(clause: str, message: str, filters: Mapping[str, Any]) -> str:
    """Say which condition the event does not meet."""
    found: Any = filters
    for name, index in re.findall(r"(\w+)\[(\d+)\]", clause):
        # test-account filters are not of the destination, and are said by their place
        found = found[name][int(index)] if isinstance(found, Mapping) and name in found else None
    said = condition_text(found) if isinstance(found, Mapping) and "key" in found else None
    return f"no event could be made that meets {f'`{said}`' if said else clause}" + (f": {message}" if message else "")


def _base(now: datetime, project_url: str, uuid: UUID) -> dict[str, Any]:
    at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "event": {
            "uuid": str(uuid),
            "event": ANY_EVENT,
            "distinct_id": USER,
            "properties": {SAMPLE_PROPERTY: True},
            "timestamp": at,
            "captured_at": at,
            "elements_chain": "",
            "url": f"{project_url}/events/{uuid}/{at}",
        },
        "person": {
            "id": PERSON,
            "properties": {"email": "sample@example.com", "name": "Sample Person"},
            "name": "sample@example.com",
            "url": f"{project_url}/person/{USER}",
        },
        "groups": {},
    }


def _fitted(base: Mapping[str, Any], name: str, conditions: Sequence[Any], now: datetime) -> dict[str, Any]:
    """Return the event with values that meet the conditions; where none is found, it has none."""
    from posthog_events.hog.filters import compile_filters

    globals_ = {**base, "event": {**base["event"], "event": name}}
    places: dict[Place, list[Mapping[str, Any]]] = defaultdict(list)
    for item in conditions:
        if isinstance(item, Mapping) and isinstance(item.get("key"), str):
            places[item.get("type") or "event", item["key"], item.get("group_type_index")].append(item)
    for place, items in places.items():
        # all else that filters ask for is left out, so that only this place decides
        wanted = {"events": [{"id": None, "type": "events"}], "properties": items}
        try:
            compiled = compile_filters(wanted, saved_at=now)
        except HogError:
            continue
        known = place[0] == "person" and place[1] in globals_["person"]["properties"]
        candidates = _candidates(items)
        for value in (_ABSENT, *candidates) if known else (*candidates, _ABSENT):
            changed = globals_ if value is _ABSENT else _put(globals_, place, value)
            if changed is not None and compiled.matches(changed).matched:
                globals_ = changed
                break
    return globals_


def _candidates(items: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    """Yield values that may meet all conditions on one property, the most natural ones first."""
    numbers: list[float] = []
    texts: list[str] = []
    for item in items:
        operator, value = item.get("operator") or "exact", item.get("value")
        values = value if isinstance(value, list) else [value]
        if operator in _TEXTS:
            texts += [str(one) for one in (values if operator == "icontains" and len(items) > 1 else values[:1])]
        elif operator == "regex":
            texts.append(_example(str(values[0] if values else "")))
        elif operator in ("is_date_before", "is_date_after"):
            yield "2000-01-01" if operator == "is_date_before" else "2100-01-01"
        elif operator not in ("is_set", "is_not_set"):
            yield from values
        numbers += [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    yield from texts
    if len(texts) > 1:
        yield " ".join(texts)
    yield from (number + step for number in numbers for step in (1, -1))
    yield from ((one + other) / 2 for one in numbers for other in numbers)
    yield from ("sample", 1, True)


def _example(pattern: str) -> str:
    """Return a text that a simple pattern may match."""
    text = pattern.partition("|")[0]
    for sign, plain in _LOOSE:
        text = text.replace(sign, plain)
    return _REGEX_SIGNS.sub("", text)


def _put(globals_: Mapping[str, Any], place: Place, value: Any) -> dict[str, Any] | None:
    """Return the globals with a value in its place; None when nothing can be put there."""
    kind, key, index = place
    event, person, groups = globals_["event"], globals_["person"], globals_["groups"]
    match kind:
        case "event" | "feature":
            return {**globals_, "event": {**event, "properties": {**event["properties"], key: value}}}
        case "person":
            return {**globals_, "person": {**person, "properties": {**person["properties"], key: value}}}
        case "group" if isinstance(index, int):
            name = f"group_{index}"
            group = groups.get(name) or {
                "id": "sample-group",
                "type": name,
                "index": index,
                "url": "",
                "properties": {},
            }
            group = {**group, "properties": {**group["properties"], key: value}}
            return {**globals_, "groups": {**groups, name: group}}
        case "event_metadata" if key in event and key not in _TAKEN:
            return {**globals_, "event": {**event, key: str(value)}}
        case "element" if key in ("text", "href") and '"' not in str(value):
            chain = f'{event["elements_chain"] or "a:"}{key}="{value}"'
            return {**globals_, "event": {**event, "elements_chain": chain}}
        case _:
            return None
