"""A small catalog to compile against; nothing is stored behind it."""

from __future__ import annotations

from dataclasses import replace

from posthog_events.clickhouse.catalog import Catalog, Column, PersonMode, PropertyKind, Table

TIME = "DateTime64(6, 'UTC')"

EVENTS = Table(
    "events",
    "store.events",
    {
        "uuid": Column("UUID"),
        "event": Column("String"),
        "properties": Column(
            "String",
            is_json=True,
            promoted={"plan": "e:plan", "amount": "e:amount"},
            property_types={
                "amount": PropertyKind.NUMERIC,
                "active": PropertyKind.BOOLEAN,
                "born": PropertyKind.DATETIME,
            },
        ),
        "timestamp": Column(TIME),
        "distinct_id": Column("String"),
        "created_at": Column(TIME),
        "$session_id": Column("String"),
        "person_id": Column("UUID"),
        "$group_0": Column("String"),
        "person_properties": Column("String", is_json=True, hidden=True),
        "person_created_at": Column(TIME, hidden=True),
    },
)
PERSONS = Table(
    "persons",
    "store.persons",
    {"id": Column("UUID"), "properties": Column("String", is_json=True), "created_at": Column(TIME)},
)
DISTINCT_IDS = Table(
    "person_distinct_ids",
    "store.distinct_ids",
    {"distinct_id": Column("String"), "person_id": Column("UUID")},
)
SESSIONS = Table("sessions", "store.sessions", {"session_id": Column("String"), "$start_timestamp": Column(TIME)})
GROUPS = Table(
    "groups",
    "store.groups",
    {"index": Column("UInt8"), "key": Column("String"), "properties": Column("String", is_json=True)},
)


def catalog(
    *, timezone: str = "UTC", mode: PersonMode = PersonMode.OVERRIDE_ON_EVENTS, overrides: bool = False
) -> Catalog:
    """Return a catalog of events, persons, distinct ids, sessions and groups."""
    tables = {table.name: table for table in (EVENTS, PERSONS, DISTINCT_IDS, SESSIONS, GROUPS)}
    base = Catalog(tables, timezone=timezone, person_mode=mode, group_types={"company": 0})
    return replace(base, has_overrides=overrides)
