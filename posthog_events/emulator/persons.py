"""`persons/`: who the events are of. Source: reference 6; PostHog/posthog:posthog/api/person.py."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from posthog_events.emulator.capture import settle
from posthog_events.emulator.endpoint import Call, api_route, reply
from posthog_events.emulator.event_json import as_csv, parse_document
from posthog_events.emulator.events import filters_of
from posthog_events.emulator.listing import ask, invalid, not_found, numbered_page, utc_text

__all__ = ["ROUTES"]

CSV_ROWS = 1_000

_PERSONS = "SELECT id, properties, created_at, is_identified FROM persons"
_ORDER = "ORDER BY created_at DESC, id DESC LIMIT 50000"
_OF_DISTINCT_ID = "id IN (SELECT person_id FROM person_distinct_ids WHERE distinct_id {})"


def list_persons(call: Call) -> Response:
    """Answer `GET persons/`, newest first."""
    settle(call.world, call.project)
    conditions, values = ["1 = 1"], {}
    if email := call.query.get("email"):
        conditions.append("properties.email = {email}")
        values["email"] = email
    if distinct_id := call.query.get("distinct_id"):
        conditions.append(_OF_DISTINCT_ID.format("= {distinct_id}"))
        values["distinct_id"] = distinct_id
    if search := call.query.get("search"):
        like = _OF_DISTINCT_ID.format("ILIKE {search}")
        conditions.append(f"(properties.email ILIKE {{search}} OR properties.name ILIKE {{search}} OR {like})")
        values["search"] = f"%{search}%"
    for number, item in enumerate(filters_of(call.query.get("properties"))):
        conditions.append(_condition(item, f"value_{number}", values))
    rows = ask(call.project, f"{_PERSONS} WHERE {' AND '.join(conditions)} {_ORDER}", values)
    if call.query.get("format") == "csv":
        return Response(as_csv(_shown(call, rows[:CSV_ROWS])), media_type="text/csv")
    return numbered_page(call.world, call.request, rows, total=False, show=lambda page: _shown(call, page))


def one_person(call: Call) -> Response:
    """Answer `GET persons/{id}/`."""
    settle(call.world, call.project)
    try:
        wanted = str(uuid.UUID(call.params["id"]))
    except ValueError as exc:
        raise invalid(f"The ID provided does not look like a personID: {call.params['id']}") from exc
    people = _shown(call, ask(call.project, f"{_PERSONS} WHERE id = {{id}} LIMIT 1", {"id": wanted}))
    if not people:
        raise not_found()
    return reply(people[0])


def _condition(item: Mapping[str, Any], name: str, values: dict[str, Any]) -> str:
    """Return the HogQL of one property filter of persons; those of events have `{filters}`."""
    operator = item.get("operator") or "exact"
    field = "JSONExtractString(properties, {" + name + "_key})"
    values[name + "_key"] = str(item.get("key"))
    given = item.get("value")
    if operator in ("is_set", "is_not_set"):
        return f"{'NOT ' if operator == 'is_not_set' else ''}JSONHas(properties, {{{name}_key}})"
    values[name] = [str(one) for one in given] if isinstance(given, list) else [str(given)]
    if operator in ("exact", "is_not"):
        return f"{field} {'NOT IN' if operator == 'is_not' else 'IN'} {{{name}}}"
    if operator in ("icontains", "not_icontains"):
        values[name] = f"%{values[name][0]}%"
        return f"{field} {'NOT ILIKE' if operator == 'not_icontains' else 'ILIKE'} {{{name}}}"
    raise invalid(f"The operator {operator!r} is not known for persons here", attr="properties")


def _shown(call: Call, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ids: dict[str, list[str]] = {}
    if rows:
        owned = ask(
            call.project,
            "SELECT person_id, groupArray(distinct_id) AS distinct_ids FROM person_distinct_ids "
            "WHERE person_id IN {ids} GROUP BY person_id LIMIT 50000",
            {"ids": [row["id"] for row in rows]},
        )
        ids = {row["person_id"]: sorted(row["distinct_ids"]) for row in owned}
    return [_person(row, ids.get(row["id"], [])) for row in rows]


def _person(row: Mapping[str, Any], distinct_ids: list[str]) -> dict[str, Any]:
    document = parse_document(row["properties"])
    names = (str(document[key]) for key in ("email", "name", "username") if document.get(key))
    return {
        "id": row["id"],
        "uuid": row["id"],
        "name": next(names, distinct_ids[0] if distinct_ids else row["id"]),
        "distinct_ids": distinct_ids,
        "properties": document,
        "created_at": utc_text(row["created_at"]),
        "is_identified": bool(row["is_identified"]),
        "type": "person",
    }


ROUTES = (
    api_route("persons/", list_persons, scope="person:read", throttle="clickhouse"),
    api_route("persons/{id}/", one_person, scope="person:read", throttle="clickhouse"),
)
