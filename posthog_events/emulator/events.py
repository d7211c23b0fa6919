"""`events/`: the old list of events, one event, and the values of a property.

Source: PostHog/posthog:posthog/api/event.py (2026-09) and reference 5. Equal timestamps come in an order that has
nothing to do with the uuid, since ClickHouse promises none.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from starlette.responses import Response

from posthog_events.emulator.capture import settle
from posthog_events.emulator.endpoint import Call, Refusal, api_route, reply
from posthog_events.emulator.event_json import as_csv, event_json, parse_document, timestamp_text
from posthog_events.emulator.events_paging import GoodWindows, PageRequest, read_page
from posthog_events.emulator.listing import ask, invalid, not_found, page_link, server_error

if TYPE_CHECKING:
    from posthog_events.emulator.world import Project
    from posthog_events.result import Value

__all__ = ["ROUTES", "EventsState", "filters_of"]

DEFAULT_LIMIT, CSV_LIMIT, MAX_LIMIT = 100, 1_000, 1_000
MAX_OFFSET = 50_000
OFFSET_DELAY_S = 1.0
OFFSET_WARNING = "offset is deprecated. Use timestamp-based pagination: https://posthog.com/docs/api/queries"
VALUES_LIMIT = 10
VALUES_RANGE = timedelta(days=7)

_COLUMNS = "uuid, event, properties, timestamp, distinct_id, elements_chain"
_FILTER_KEYS: Mapping[str, frozenset[str]] = {
    "event": frozenset(),
    "person": frozenset(),
    "feature": frozenset(),
    "session": frozenset(),
    "hogql": frozenset(),
    "group": frozenset({"group_type_index", "group_key_names"}),
    "cohort": frozenset({"cohort_name"}),
}
_COMMON_KEYS = frozenset({"key", "value", "operator", "type", "label"})
_RENDER_HINTS = frozenset({"property_type", "property_type_format"})
"""Old keys of the web app that the server drops; any other unknown key is refused."""


@dataclass(slots=True)
class EventsState:
    """What `project.state["events"]` holds; `tightened` as in `PageRequest`."""

    tightened: bool = False
    good: GoodWindows = field(default_factory=GoodWindows)


def list_events(call: Call) -> Response:
    """Answer `GET events/`."""
    settle(call.world, call.project)
    state: EventsState = call.project.state.setdefault("events", EventsState())
    as_table = call.query.get("format") == "csv"
    limit = min(_number(call.query, "limit", CSV_LIMIT if as_table else DEFAULT_LIMIT), MAX_LIMIT)
    offset = _offset(call)
    properties = filters_of(call.query.get("properties"))
    order_by = _order_by(call.query.get("orderBy"))
    page = PageRequest(
        limit=limit,
        descending=order_by == ["-timestamp"],
        before=call.query.get("before"),
        after=call.query.get("after"),
        filtered=(bool(call.query.get("event")), bool(call.query.get("distinct_id"))),
        tightened=state.tightened,
    )
    conditions, values = _conditions(call)

    def fetch(after: datetime | None, before: datetime) -> list[dict[str, Any]]:
        if call.query.get("action_id"):
            return []  # there are no actions here, and an unknown one has no events
        lower = "timestamp > {after} AND " if after else ""
        way = "DESC" if page.descending else "ASC"
        hogql = (
            f"SELECT {_COLUMNS} FROM events WHERE {lower}timestamp < {{before}}{conditions} AND {{filters}} "
            f"ORDER BY timestamp {way}, cityHash64(toString(uuid)) {way} LIMIT {limit + 1} OFFSET {offset}"
        )
        bounds: dict[str, Value] = {"before": before, "after": after}
        return ask(call.project, hogql, values | bounds, properties=properties)

    zone = ZoneInfo(call.project.engine.catalog().timezone)
    try:
        rows, more = read_page(page, fetch, good=state.good, now=call.world.now(), zone=zone)
    except ValueError as exc:
        raise server_error() from exc
    people = _people(call, rows)
    results = [event_json(row, people.get(row["distinct_id"])) for row in rows]
    headers = {"X-PostHog-Warn": OFFSET_WARNING} if offset else {}
    if as_table:
        return Response(as_csv(results), 200, headers, "text/csv")
    following = None
    if more and rows:
        # not the same question as which way the page is sorted, and PostHog answers it differently
        bound = "before" if "-timestamp" in order_by else "after"
        following = page_link(call.world, call.request, {bound: timestamp_text(rows[-1]["timestamp"])})
    return reply({"next": following, "results": results}, headers=headers)


def one_event(call: Call) -> Response:
    """Answer `GET events/{uuid}/`."""
    settle(call.world, call.project)
    text = call.params["uuid"]
    try:
        wanted = str(uuid.UUID(text))
    except ValueError:
        return reply({"detail": "Invalid UUID", "code": "invalid", "type": "validation_error"}, status=400)
    rows = ask(call.project, f"SELECT {_COLUMNS} FROM events WHERE uuid = {{uuid}} LIMIT 1", {"uuid": wanted})
    if not rows:
        raise not_found(f"No events exist for event UUID {text}")
    return reply(event_json(rows[0], _people(call, rows).get(rows[0]["distinct_id"])))


def event_values(call: Call) -> Response:
    """Answer `GET events/values/`: the most frequent values of a property, or the names of custom events."""
    settle(call.world, call.project)
    key = call.query.get("key")
    if not key:
        raise invalid("You must provide a key")
    names = call.request.query_params.getlist("event_name")
    if not names:
        raise invalid(
            "The event_name parameter is required when using a personal API key. For queries without event filters, "
            "please use the Query endpoint instead: https://posthog.com/docs/api/query"
        )
    if key == "custom_event":
        rows = ask(
            call.project, "SELECT DISTINCT event FROM events WHERE NOT startsWith(event, '$') ORDER BY event LIMIT 100"
        )
        return _values([row["event"] for row in rows])
    value = call.query.get("value") or ""
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = ask(
        call.project,
        # read from the document, because the key is the caller's text
        "SELECT JSONExtractRaw(properties, {key}) AS raw FROM events WHERE event IN {names} AND timestamp >= {since} "
        "AND raw NOT IN ('', 'null', '\"\"') AND raw ILIKE {like} GROUP BY raw "
        f"ORDER BY count() DESC, raw LIMIT {VALUES_LIMIT}",
        {
            "key": key,
            "names": list(names),
            "since": call.world.now() - VALUES_RANGE,
            "like": f"%{escaped}%",
        },
    )
    parsed = [json.loads(row["raw"], parse_constant=lambda _: None) for row in rows]
    return _values(inner for outer in parsed for inner in (outer if isinstance(outer, list) else [outer]))


def _values(names: Iterable[Any]) -> Response:
    body = {"results": [{"name": name} for name in names], "refreshing": False}
    return reply(body, headers={"Cache-Control": "max-age=10"})


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    try:
        number = int(text) if text else default
    except ValueError:
        number = -1
    if number < 0:
        raise invalid(f"{name} must be a whole number", attr=name)
    return number


def _offset(call: Call) -> int:
    text = call.query.get("offset", "")
    offset = int(text) if text.isascii() and text.isdigit() else 0
    if offset:
        call.world.sleep(OFFSET_DELAY_S)
    if offset > MAX_OFFSET:
        raise invalid(f"Offset is deprecated. Max supported offset value is {MAX_OFFSET}")
    return offset


def _order_by(text: str | None) -> list[Any]:
    if not text:
        return ["-timestamp"]
    try:
        return list(json.loads(text))
    except (ValueError, TypeError) as exc:
        raise Refusal(400, "validation_error", "invalid_input", f"orderBy is not a JSON array: {exc}") from exc


def filters_of(text: str | None) -> list[Any]:
    """Return the filters in the form of `{filters}`; a key that the schema lacks is refused, wherever it stands."""
    if not text:
        return []
    try:
        parsed = json.loads(text)
    except ValueError as exc:
        raise invalid("Properties are unparsable!") from exc
    if isinstance(parsed, dict) and isinstance(parsed.get("values"), list):
        return [_filter(parsed)]
    return [_filter(item) for item in parsed if isinstance(item, dict)] if isinstance(parsed, list) else []


def _filter(node: Mapping[str, Any]) -> dict[str, Any]:
    values = node.get("values")
    if isinstance(values, list):
        if node.get("type") not in ("AND", "OR"):
            raise invalid(f"Input should be 'AND' or 'OR', not {node.get('type')!r}", attr="properties")
        return {"type": node["type"], "values": [_filter(item) for item in values if isinstance(item, dict)]}
    kept = {key: value for key, value in node.items() if key not in _RENDER_HINTS}
    kind = kept.get("type") or "event"
    if kind not in _FILTER_KEYS:
        raise invalid(f"Property filters of type {kind!r} are not known", attr="properties")
    unknown = sorted(kept.keys() - _COMMON_KEYS - _FILTER_KEYS[kind])
    if unknown:
        raise invalid(f"{unknown[0]}: Extra inputs are not permitted", attr="properties")
    return kept


def _conditions(call: Call) -> tuple[str, dict[str, Value]]:
    """Return the conditions of the plain filters, and their values."""
    columns = [name for name in ("event", "distinct_id", "person_id") if call.query.get(name)]
    text = "".join(f" AND {name} = {{{name}}}" for name in columns)
    return text, {name: call.query[name] for name in columns}


def _people(call: Call, rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return distinct id to person, when persons were asked for."""
    if call.query.get("include_person", "").lower() not in ("true", "1"):
        return {}
    return people_of(call.project, {row["distinct_id"] for row in rows})


def people_of(project: Project, distinct_ids: set[str]) -> dict[str, dict[str, Any]]:
    """Return distinct id to the little that the events API tells of its person."""
    if not distinct_ids:
        return {}
    owners = ask(
        project,
        "SELECT distinct_id, person_id FROM person_distinct_ids WHERE distinct_id IN {ids} LIMIT 50000",
        {"ids": sorted(distinct_ids)},
    )
    persons = {
        row["id"]: row
        for row in ask(
            project,
            "SELECT id, properties, is_identified FROM persons WHERE id IN {ids} LIMIT 50000",
            {"ids": sorted({row["person_id"] for row in owners})},
        )
    }
    shown = ("email", "name", "username")
    found = {}
    for row in owners:
        person = persons.get(row["person_id"])
        if person is not None:
            document = parse_document(person["properties"])
            found[row["distinct_id"]] = {
                "is_identified": bool(person["is_identified"]),
                "distinct_ids": [row["distinct_id"]],
                "properties": {key: document[key] for key in shown if key in document},
            }
    return found


ROUTES = (
    api_route("events/", list_events, scope="query:read", throttle="clickhouse"),
    api_route("events/values/", event_values, scope="query:read", throttle="values"),
    api_route("events/{uuid}/", one_event, scope="query:read", throttle="clickhouse"),
)
