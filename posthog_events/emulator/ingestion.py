"""What ingestion does to a captured event: whose it is, and what is known of that person at that moment.

Person properties apply in the order of arrival. A person merged into another keeps the events it had: PostHog rewrites
their person id afterwards, a local store does not.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from posthog_events.emulator.listing import ask

if TYPE_CHECKING:
    from posthog_events.emulator.world import Project

__all__ = ["People", "load_people"]


@dataclass(slots=True)
class People:
    """Who is who, as far as captured events needed to know.

    Args:
        owners: Distinct id to person id.
        properties: Person id to what is known of the person.
    """

    owners: dict[str, str] = field(default_factory=dict)
    properties: dict[str, dict[str, Any]] = field(default_factory=dict)

    def ingest(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a captured row with its person, and note what it says about persons."""
        user, document = row["distinct_id"], row["properties"]
        other = document.get({"$identify": "$anon_distinct_id", "$create_alias": "alias"}.get(row["event"], ""))
        if isinstance(other, str) and other and other != user:
            self._merge(user, other)
        person = self.owners.setdefault(user, _new_person(user))
        known = self.properties.get(person, {})
        full = document.get("$process_person_profile") is not False
        if full:
            known = {**_object(document.get("$set_once")), **known, **_object(document.get("$set"))}
            for name in document.get("$unset") or ():
                known.pop(name, None)
            self.properties[person] = known
        # given even when empty, or the import would take `$set` for all that is known
        return {**row, "person_id": person, "person_properties": known if full else {}}

    def _merge(self, user: str, other: str) -> None:
        """Make both distinct ids those of one person: the one that there is, or else that of `user`."""
        former = self.owners.get(other)
        person = self.owners.setdefault(user, former or _new_person(user))
        self.owners[other] = person
        if former is None or former == person:
            return
        for distinct_id, owner in self.owners.items():
            if owner == former:
                self.owners[distinct_id] = person
        self.properties[person] = {**self.properties.pop(former, {}), **self.properties.get(person, {})}


def load_people(people: People, project: Project, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add what the store knows of the persons of some rows."""
    named = {row["distinct_id"] for row in rows}
    named |= {
        other
        for row in rows
        for key in ("$anon_distinct_id", "alias")
        if isinstance(other := row["properties"].get(key), str)
    }
    new = sorted(named - people.owners.keys())
    if not new:
        return
    owners = ask(
        project,
        "SELECT distinct_id, person_id FROM person_distinct_ids WHERE distinct_id IN {ids} LIMIT 50000",
        {"ids": new},
    )
    if not owners:
        return
    persons = ask(
        project,
        "SELECT id, properties FROM persons WHERE id IN {ids} LIMIT 50000",
        {"ids": sorted({row["person_id"] for row in owners})},
    )
    for row in owners:
        people.owners[row["distinct_id"]] = row["person_id"]
    for row in persons:
        people.properties.setdefault(row["id"], json.loads(row["properties"] or "{}"))


def _new_person(distinct_id: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, distinct_id))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
