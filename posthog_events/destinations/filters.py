"""The `when` of a declaration: which events fire the destination.

The short form has `events` (names, or `{event, where}`; `all` for every event), `actions` (numbers, or `{action,
where}`), `where` and `exclude_test_accounts`. PostHog's own form has `events` and `actions` with `id` and `properties`,
`properties` and `filter_test_accounts`. Both may stand side by side; the result is PostHog's form, complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from posthog_events.destinations.conditions import check_property, parse_condition
from posthog_events.destinations.possible import contradiction
from posthog_events.destinations.tree import TreeReader, shown
from posthog_events.errors import HogError
from posthog_events.queryfiles.yamltree import Item

__all__ = ["ALL_EVENTS", "INTERNAL_EVENTS", "is_internal", "read_when"]

ALL_EVENTS: Final = "All events"
"""The name of the entry that stands for any event."""

INTERNAL_EVENTS: Final = frozenset(
    {"$insight_alert_firing", "$activity_log_entry_created", "$discussion_mention_created"}
    | {f"$error_tracking_issue_{what}" for what in ("created", "reopened", "spiking")}
    | {"$experiment_metric_significant", "$health_check_issue_firing", "$health_check_issue_resolved"}
)
"""Events of PostHog itself; only a function of the type internal_destination sees them (reference 8)."""

_MANAGED = "$logs_alert_"
_KEYS = ("events", "actions", "where", "exclude_test_accounts", "properties", "filter_test_accounts", "source")
_ENTRY_KEYS = ("event", "where", "id", "name", "type", "order", "properties")
_ACTION_KEYS = ("action", "where", "id", "name", "type", "order", "properties")


def is_internal(filters: Any) -> bool:
    """Return whether the filters ask for an event of PostHog itself."""
    return any(entry.get("id") in INTERNAL_EVENTS for entry in filters.get("events") or ())


def read_when(reader: TreeReader, item: Item) -> dict[str, Any]:
    """Return the filters that `item` says; what is wrong in it goes to `reader`."""
    faults_before = len(reader.faults)
    if not item.is_mapping and isinstance(item.content, tuple):
        parts = {"events": item}  # a bare list is a list of events
    else:
        parts = reader.keys(item, _KEYS, "when")
    for short, long in (("where", "properties"), ("exclude_test_accounts", "filter_test_accounts")):
        if short in parts and long in parts:
            reader.fault(parts[long], f"`{short}` and `{long}` say the same; keep one of them")
    if "source" in parts and reader.text(parts["source"], "source") not in ("events", ""):
        reader.fault(parts["source"], "only the source `events` can be declared here")
    common = _conditions(reader, parts)
    whole = parts.get("events")
    everything = whole is not None and whole.content == "all"
    entries = () if whole is None or everything else reader.items(whole, "events (or `all`)")
    events = [_entry(reader, part, common) for part in entries]
    if everything:
        events = [{"id": None, "name": ALL_EVENTS, "type": "events", "properties": []}]
    actions = [
        _action(reader, part, common)
        for part in (reader.items(parts["actions"], "actions") if "actions" in parts else ())
    ]
    flag = parts.get("exclude_test_accounts", parts.get("filter_test_accounts"))
    excluded = flag is not None and reader.flag(flag, "exclude_test_accounts")
    _check_whole(reader, item, events, actions, common)
    _check_entries(reader, entries, events)
    for order, entry in enumerate((*events, *actions)):
        entry["order"] = order
    filters = {
        "source": "events",
        "events": events,
        "actions": actions,
        "properties": common,
        "filter_test_accounts": excluded,
    }
    if len(reader.faults) == faults_before:
        _compile(reader, item, filters)
    return filters


def _entry(reader: TreeReader, item: Item, common: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if not item.is_mapping:
        name = reader.text(item, "an event")
        return {"id": name, "name": name, "type": "events", "properties": []}
    parts = reader.keys(item, _ENTRY_KEYS, "an event")
    given = {key.name: part for key, part in item.pairs if key.name in ("event", "id")}
    if len(given) != 1:
        reader.fault(item, "an event is a name, or has `event` (null for any event)")
    (named,) = list(given.values())[:1] or (item,)
    if "type" in parts and parts["type"].content != "events":
        reader.fault(parts["type"], "the type of an event is `events`")
    event = None if named.content is None or named is item else reader.text(named, "event")
    return {
        "id": event,
        "name": reader.text(parts["name"], "name") if "name" in parts else event or ALL_EVENTS,
        "type": "events",
        "properties": _conditions(reader, parts, common),
    }


def _action(reader: TreeReader, item: Item, common: Sequence[dict[str, Any]]) -> dict[str, Any]:
    parts = reader.keys(item, _ACTION_KEYS, "an action") if item.is_mapping else {"action": item}
    number = parts.get("action", parts.get("id"))
    if number is None or ("action" in parts and "id" in parts):
        reader.fault(item, "an action is a number, or has `action`: its number in PostHog")
        return {"id": 0, "name": "", "type": "actions", "properties": []}
    value = number.content
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        reader.fault(number, f"an action is given by its number in PostHog, not {shown(number)}")
        value = 0
    if "type" in parts and parts["type"].content != "actions":
        reader.fault(parts["type"], "the type of an action is `actions`")
    name = reader.text(parts["name"], "name") if "name" in parts else f"Action {value}"
    return {"id": value, "name": name, "type": "actions", "properties": _conditions(reader, parts, common)}


def _conditions(
    reader: TreeReader, parts: dict[str, Item], common: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Return the properties under `where` or `properties`; `common` are those that must hold as well."""
    whole = parts.get("where", parts.get("properties"))
    if whole is None:
        return []
    found: list[dict[str, Any]] = []
    # one condition needs no list
    items = (whole,) if isinstance(whole.content, str) else reader.items(whole, "where")
    for item in items:
        try:
            if item.is_mapping:
                found.append(check_property(item.plain()))
            else:
                found.append(parse_condition(reader.text(item, "a condition") or "x is_set"))
        except ValueError as error:
            reader.fault(item, str(error))
    if why := contradiction([*common, *found]):
        reader.fault(whole, why)
    return found


def _compile(reader: TreeReader, item: Item, filters: Mapping[str, Any]) -> None:
    """Compile the filters, as PostHog does when it saves them."""
    from posthog_events.hog.filters import compile_filters

    # the steps of an action are not known here; its conditions are
    conditions = [{**entry, "id": None, "type": "events"} for entry in filters["actions"]]
    try:
        compile_filters({**filters, "events": [*filters["events"], *conditions], "actions": []})
    except HogError as error:
        reader.fault(item, error.message)


def _check_whole(
    reader: TreeReader, item: Item, events: Sequence[Any], actions: Sequence[Any], common: Sequence[Any]
) -> None:
    if not (events or actions or common):
        reader.fault(
            item, "this would fire on every event of the project; name the events, or say `events: all` if you mean it"
        )
    names = {entry["id"] for entry in events}
    if any(isinstance(name, str) and name.startswith(_MANAGED) for name in names):
        reader.fault(item, "PostHog refuses destinations for alerts on logs here; they have their own settings")
    if names & INTERNAL_EVENTS and (actions or names - INTERNAL_EVENTS):
        internal = ", ".join(sorted(str(name) for name in names & INTERNAL_EVENTS))
        reader.fault(item, f"{internal} comes from PostHog itself and cannot share a destination with other events")


def _check_entries(reader: TreeReader, items: Sequence[Item], events: Sequence[dict[str, Any]]) -> None:
    """Find entries that another one makes pointless: entries are alternatives."""
    bare = {entry["id"]: at for at, entry in reversed(list(enumerate(events))) if not entry["properties"]}
    for at, (item, entry) in enumerate(zip(items, events, strict=False)):
        wider = next((bare[name] for name in (None, entry["id"]) if name in bare and bare[name] != at), None)
        if wider is None:
            continue
        if wider < at and entry == events[wider]:
            reader.fault(item, "this event is here twice")
        else:
            name = "any event" if events[wider]["id"] is None else f"every {events[wider]['id']}"
            reader.fault(item, f"this never decides anything: {name} fires already")
