"""What filters and templates see of an event. Source: reference 2.4."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from posthog_events.emulator.listing import ask

if TYPE_CHECKING:
    from posthog_events.emulator.world import Project, World

__all__ = ["globals_of", "globals_of_raw", "project_globals"]

DISPLAY_NAMES = ("email", "name", "username")
"""Person properties that a person is called by; the default of the project setting."""


def globals_of(world: World, project: Project, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the globals of a captured event.

    Args:
        row: As capture makes it; without `person_id` there is no person.
    """
    base, at = project_globals(world, project), _instant(row["timestamp"])
    properties: Mapping[str, Any] = row["properties"]
    return {
        "project": base,
        "event": {
            "uuid": row["uuid"],
            "event": row["event"],
            "distinct_id": row["distinct_id"],
            "properties": dict(properties),
            "elements_chain": properties.get("$elements_chain", ""),
            "timestamp": at,
            "captured_at": _instant(row["created_at"]),
            "url": _event_url(base, row["uuid"], at),
        },
        "person": _person(base, row.get("person_id"), row["distinct_id"], row.get("person_properties") or {}),
        "groups": _groups(project, properties.get("$groups"), base["url"]),
    }


def globals_of_raw(world: World, project: Project, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the globals of a row of ClickHouse, whose properties are JSON in a text; nothing when they are not."""
    base, at = project_globals(world, project), str(raw.get("timestamp", ""))
    try:
        properties, known = (json.loads(raw.get(key) or "{}") for key in ("properties", "person_properties"))
    except (TypeError, ValueError):
        return {}
    user = str(raw.get("distinct_id", ""))
    event = {key: raw.get(key) for key in ("uuid", "event")}
    event |= {"distinct_id": user, "properties": properties, "elements_chain": raw.get("elements_chain", "")}
    event |= {"timestamp": at, "url": _event_url(base, raw.get("uuid"), at)}
    return {"event": event, "person": _person(base, raw.get("person_id"), user, known), "groups": {}}


def _event_url(base: Mapping[str, Any], uuid: Any, at: str) -> str:
    return f"{base['url']}/events/{uuid}/{quote(at, safe='')}"


def _person(base: Mapping[str, Any], id_: Any, user: str, known: Mapping[str, Any]) -> dict[str, Any] | None:
    if not id_:
        return None
    names = [known[name] for name in DISPLAY_NAMES if known.get(name)]
    return {
        "id": id_,
        "properties": dict(known),
        "name": str(names[0]) if names else user,
        "url": f"{base['url']}/person/{quote(user, safe='')}",
    }


def project_globals(world: World, project: Project) -> dict[str, Any]:
    """Return the `project` of templates."""
    return {"id": project.id, "name": project.name, "url": f"{world.origin}/project/{project.id}"}


def _instant(text: str) -> str:
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _groups(project: Project, named: Any, url: str) -> dict[str, Any]:
    """Return the groups that an event belongs to, with what is known of them."""
    if not isinstance(named, Mapping) or not named:
        return {}
    catalog = project.engine.catalog()
    found: dict[str, Any] = {}
    for kind, key in named.items():
        index = catalog.group_types.get(kind)
        if index is None:
            continue
        known: list[dict[str, Any]] = []
        if "groups" in catalog.tables:
            text = "SELECT group_properties FROM groups WHERE index = {index} AND key = {key} LIMIT 1"
            known = ask(project, text, {"index": index, "key": str(key)})
        found[kind] = {
            "id": key,
            "type": kind,
            "index": index,
            "url": f"{url}/groups/{index}/{quote(str(key), safe='')}",
            "properties": json.loads(known[0]["group_properties"] or "{}") if known else {},
        }
    return found
