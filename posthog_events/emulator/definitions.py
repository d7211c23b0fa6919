"""`event_definitions/` and `property_definitions/`: what the events and their properties are called, and their types.

Source: reference 6.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from posthog_events.clickhouse.catalog import PropertyKind
from posthog_events.emulator.capture import settle
from posthog_events.emulator.endpoint import Call, api_route
from posthog_events.emulator.listing import ask, invalid, numbered_page, utc_text

if TYPE_CHECKING:
    from posthog_events.emulator.world import Project

__all__ = ["ROUTES"]

_DOCUMENTS = {"event": ("events", "properties"), "person": ("events", "person_properties")}
_EMPTY_TYPES = ("group", "session")
"""Types that PostHog knows and a local store has no definitions of."""


def event_definitions(call: Call) -> Response:
    """Answer `GET event_definitions/`, by name."""
    settle(call.world, call.project)
    rows = ask(
        call.project,
        "SELECT event, min(created_at) AS first, max(timestamp) AS last FROM events GROUP BY event ORDER BY event "
        "LIMIT 50000",
    )
    items = [
        {
            "id": _id(call.project, "event", row["event"]),
            "name": row["event"],
            "description": "",
            "tags": [],
            "verified": False,
            "hidden": False,
            "created_at": utc_text(row["first"]),
            "last_seen_at": utc_text(row["last"]),
        }
        for row in rows
    ]
    return numbered_page(call.world, call.request, list(_searched(items, call.query)), total=True)


def property_definitions(call: Call) -> Response:
    """Answer `GET property_definitions/`, by name."""
    settle(call.world, call.project)
    kind = call.query.get("type") or "event"
    if kind not in (*_DOCUMENTS, *_EMPTY_TYPES):
        raise invalid(f'"{kind}" is not a valid choice.', attr="type", code="invalid_choice")
    types = _types(call.project, kind)
    seen = _seen(call)
    if _flag(call.query, "filter_by_event_names") and seen is not None:
        types = {name: found for name, found in types.items() if name in seen}
    numerical = call.query.get("is_numerical")
    items: list[dict[str, Any]] = [
        {
            "id": _id(call.project, kind, name),
            "name": name,
            "description": "",
            "tags": [],
            "is_numerical": found is PropertyKind.NUMERIC,
            "property_type": found.value if found else None,
            "is_seen_on_filtered_events": None if seen is None else name in seen,
            "hidden": False,
            "verified": False,
        }
        for name, found in sorted(types.items())
        if numerical is None or _flag(call.query, "is_numerical") == (found is PropertyKind.NUMERIC)
        if not (_flag(call.query, "exclude_core_properties") and name.startswith("$"))
    ]
    return numbered_page(call.world, call.request, list(_searched(items, call.query)), total=True)


def _types(project: Project, kind: str) -> dict[str, PropertyKind | None]:
    """Return every key that is known, and its type where it has one."""
    if kind not in _DOCUMENTS:
        return {}
    table, document = _DOCUMENTS[kind]
    column = project.engine.catalog().tables[table].columns[document]
    return {**dict.fromkeys(column.promoted), **column.property_types}


def _seen(call: Call) -> set[str] | None:
    """Return the properties that occur on the events named by `event_names`; None when none are named."""
    text = call.query.get("event_names")
    if not text:
        return None
    try:
        names = json.loads(text)
    except ValueError as exc:
        raise invalid("event_names is not a JSON array", attr="event_names") from exc
    if not isinstance(names, list) or not names:
        return None
    rows = ask(
        call.project,
        "SELECT DISTINCT arrayJoin(JSONExtractKeys(properties)) AS name FROM events WHERE event IN {names} LIMIT 50000",
        {"names": [str(name) for name in names]},
    )
    return {row["name"] for row in rows}


def _searched(items: Iterable[Mapping[str, Any]], query: Mapping[str, str]) -> Iterable[Mapping[str, Any]]:
    """Keep the items that hold every word of `search`."""
    words = (query.get("search") or "").casefold().split()
    return (item for item in items if all(word in item["name"].casefold() for word in words))


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in ("true", "1")


def _id(project: Project, kind: str, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{project.id}/{kind}/{name}"))


ROUTES = (
    api_route("event_definitions/", event_definitions, scope="event_definition:read"),
    api_route("property_definitions/", property_definitions, scope="property_definition:read"),
)
