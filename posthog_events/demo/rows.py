"""Events as PostHog's batch export writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from posthog_events.demo.people import Person, random_uuid
from posthog_events.demo.product import HOST

__all__ = ["Row", "Session", "new_session", "server_row"]


@dataclass(slots=True)
class Row:
    """One event."""

    uuid: UUID
    event: str
    at: datetime
    distinct_id: str
    person: Person
    properties: dict[str, Any]
    person_properties: dict[str, Any]
    session_id: str = ""
    created_at: datetime | None = None

    def exported(self) -> dict[str, Any]:
        """Return the row of a batch export, for an encoder that knows moments and UUIDs."""
        return {
            "uuid": self.uuid,
            "event": self.event,
            "timestamp": self.at,
            "created_at": self.created_at or self.at,
            "distinct_id": self.distinct_id,
            "person_id": self.person.id,
            "person_created_at": self.person.first_seen,
            "$session_id": self.session_id,
            "$group_0": self.person.company if self.identified else "",
            "properties": self.properties,
            "person_properties": self.person_properties,
        }

    @property
    def identified(self) -> bool:
        return self.distinct_id != self.person.anonymous_id


@dataclass(slots=True)
class Session:
    """A visit that is going on: a person, a moment that moves, the page they are on."""

    chance: Random
    person: Person
    at: datetime
    id: str
    page: str = "/"
    identified: bool = False

    def wait(self, least_s: float, most_s: float) -> None:
        """Let time pass; short pauses are more common than long ones."""
        self.at += timedelta(seconds=self.chance.triangular(least_s, most_s, least_s))

    def identify(self) -> None:
        """Events after this carry the user's id and the person's properties."""
        self.identified = True

    def person_now(self) -> dict[str, Any]:
        """The person's properties at this moment."""
        return _person_properties(self.person, identified=self.identified)

    def row(self, event: str, page: str, more: dict[str, Any] | None = None) -> Row:
        """Return an event of the browser, at the session's moment."""
        self.page = page
        self.at += timedelta(microseconds=self.chance.randint(1_000, 900_000))
        properties: dict[str, Any] = {
            "$lib": "web",
            "$browser": self.person.browser,
            "$current_url": f"{HOST}{page}",
            "$pathname": page,
            "$session_id": self.id,
            "$geoip_country_code": self.person.country,
        }
        if self.identified and self.person.company:
            properties["$groups"] = {"company": self.person.company}
        return Row(
            uuid=random_uuid(self.chance),
            event=event,
            at=self.at,
            distinct_id=self.person.user_id if self.identified else self.person.anonymous_id,
            person=self.person,
            properties=properties | (more or {}),
            person_properties=self.person_now(),
            session_id=self.id,
        )


def new_session(chance: Random, person: Person, at: datetime) -> Session:
    """Begin a visit; its id is a UUIDv7, which holds the moment it began."""
    milliseconds = int(at.timestamp() * 1000)
    bits = (milliseconds << 80) | (7 << 76) | (chance.getrandbits(12) << 64) | (2 << 62) | chance.getrandbits(62)
    return Session(chance, person, at, str(UUID(int=bits)))


def server_row(chance: Random, person: Person, at: datetime, event: str, properties: dict[str, Any]) -> Row:
    """Return an event that the product's server sends: no page, no session."""
    groups = {"$groups": {"company": person.company}} if person.company else {}
    return Row(
        uuid=random_uuid(chance),
        event=event,
        at=at,
        distinct_id=person.user_id,
        person=person,
        properties={"$lib": "posthog-python"} | properties | groups,
        person_properties=_person_properties(person, identified=True),
    )


def _person_properties(person: Person, *, identified: bool) -> dict[str, Any]:
    first = {"$initial_referrer": person.source.referrer, "country": person.country}
    if not identified:
        return first
    known = {"email": person.email, "role": person.role, "plan": person.current_plan}
    if person.company:
        known["company"] = person.company
    return first | known
