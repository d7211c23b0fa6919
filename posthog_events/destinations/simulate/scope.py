"""What filters and templates see of a stored event (reference 2.4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

import msgspec

__all__ = ["DISPLAY_NAMES", "LOCAL_PROJECT", "Groups", "Row", "ScopeBuilder", "parsed"]

DISPLAY_NAMES: Final = ("email", "name", "username")
"""Person properties that a person is called by; the default of the project's setting."""

LOCAL_PROJECT: Final[Mapping[str, Any]] = {"id": 0, "name": "Simulation", "url": "https://us.posthog.com/project/0"}
"""Stands for a project where there is none, as in a store of events."""

Row = tuple[str, str, str, str, str, str | None, str | None, str | None]
"""An event: uuid, event, time (ISO 8601, milliseconds, Z), distinct_id, properties, elements_chain, person_id, person
properties; the documents as JSON text."""

Groups = Callable[[str, str], Mapping[str, Any] | None]
"""Takes a group type and a key; returns `{index, properties}`, None when the project has no such type."""

_decode = msgspec.json.Decoder().decode


def parsed(text: str | None) -> dict[str, Any]:
    """Return a document; empty when it is none."""
    if not text:
        return {}
    try:
        value = _decode(text)
    except msgspec.DecodeError:
        try:  # it takes halves of surrogate pairs, too, as JavaScript does
            value = json.loads(text)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


@lru_cache(4096)
def _person_properties(text: str) -> dict[str, Any]:
    return parsed(text)


@dataclass(frozen=True, slots=True)
class ScopeBuilder:
    """Makes the globals of events.

    Args:
        project: `{id, name, url}`.
        groups: Finds groups; None: there are none.
        display_names: Person properties that a person is called by, the first that is set.
        filters_need: Parts beside the event that filters look at: `person`, `groups`.
    """

    project: Mapping[str, Any] = field(default_factory=lambda: LOCAL_PROJECT)
    groups: Groups | None = None
    display_names: tuple[str, ...] = DISPLAY_NAMES
    filters_need: frozenset[str] = frozenset({"person", "groups"})

    def for_filters(self, row: Row) -> dict[str, Any]:
        """Return what filters look at."""
        uuid, name, time, user, properties, chain, person, known = row
        found = parsed(properties)
        if chain:
            found["$elements_chain"] = chain
        return {
            "event": {
                "uuid": uuid,
                "event": name,
                "distinct_id": user,
                "properties": found,
                "elements_chain": found.get("$elements_chain", ""),
                "timestamp": time,
            },
            "person": (
                {"id": person, "properties": _person_properties(known or "")}
                if person and "person" in self.filters_need
                else None
            ),
            "groups": self._groups(found) if "groups" in self.filters_need else {},
        }

    def for_templates(self, row: Row, seen: Mapping[str, Any]) -> dict[str, Any]:
        """Return what templates see, `source` and `inputs` aside.

        Args:
            seen: What filters saw of the same event.
        """
        uuid, _, time, user, _, _, person, known = row
        url = self.project["url"]
        event = {**seen["event"], "captured_at": None, "url": f"{url}/events/{uuid}/{quote(time, safe='')}"}
        return {
            "project": dict(self.project),
            "event": event,
            "person": self._person(person, user, _person_properties(known or "")) if person else None,
            "groups": seen["groups"] or self._groups(event["properties"]),
        }

    def _person(self, id_: str, user: str, known: Mapping[str, Any]) -> dict[str, Any]:
        names = [known[name] for name in self.display_names if known.get(name)]
        return {
            "id": id_,
            "properties": dict(known),
            "name": str(names[0]) if names else user,
            "url": f"{self.project['url']}/person/{quote(user, safe='')}",
        }

    def _groups(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        named = properties.get("$groups")
        if self.groups is None or not isinstance(named, dict):
            return {}
        found: dict[str, Any] = {}
        for kind, key in named.items():
            group = self.groups(kind, str(key))
            if group is not None:
                index = group["index"]
                url = f"{self.project['url']}/groups/{index}/{quote(str(key), safe='')}"
                found[kind] = {"id": key, "type": kind, "index": index, "url": url, "properties": group["properties"]}
        return found
