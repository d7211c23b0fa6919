"""Catalog tables of a store: events, what is derived from them, and what was imported beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from posthog_events.clickhouse import derived
from posthog_events.clickhouse.catalog import Catalog, Column, PropertyKind, Table
from posthog_events.clickhouse.store.layout import (
    DOCUMENTS,
    EVENT_COLUMNS,
    PREFIXES,
    parquet_source,
    readable_keys,
)
from posthog_events.clickhouse.store.manifest import DataFile, Manifest, PropertyType, StoredTable

__all__ = ["KNOWN_TABLES", "build_catalog", "events_table"]

KNOWN_TABLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "persons": (("id", "properties"), ("created_at", "is_identified")),
    "person_distinct_ids": (("distinct_id", "person_id"), ()),
    "groups": (("index", "key", "properties"), ("created_at",)),
    "cohort_people": (("cohort_id", "person_id"), ()),
    "static_cohort_people": (("cohort_id", "person_id"), ()),
}
"""PostHog tables that can be imported: the columns they need, and those they may have."""


def build_catalog(directory: Path, manifest: Manifest) -> Catalog:
    """Return the catalog of one manifest: queries over it see one state of the store, whatever is written meanwhile."""
    events = events_table(directory, manifest.files, manifest)
    promoted = events.columns["properties"].promoted
    person_types = _kinds(manifest.person_types)
    tables = {
        "events": events,
        "persons": derived.persons(events.source, types=person_types),
        "person_distinct_ids": derived.person_distinct_ids(events.source),
        "groups": derived.groups(events.source, promoted, manifest.group_types),
        "sessions": derived.sessions(events.source, promoted),
    }
    for name, table in manifest.tables.items():
        tables[name] = _stored(directory, name, table, person_types if name == "persons" else {})
    return Catalog(
        tables=tables,
        timezone=manifest.timezone,
        week_starts_monday=manifest.week_starts_monday,
        person_mode=manifest.person_mode,
        group_types=manifest.group_types,
        has_overrides="person_distinct_ids" in manifest.tables,
    )


def events_table(directory: Path, files: tuple[DataFile, ...], manifest: Manifest) -> Table:
    """Return the `events` table over some of the store's files."""
    columns = {name: Column(kind) for name, kind in EVENT_COLUMNS.items()}
    physical = dict(EVENT_COLUMNS)
    types = {"properties": manifest.event_types, "person_properties": manifest.person_types}
    for document in DOCUMENTS:
        promoted = {key: PREFIXES[document] + key for key in readable_keys(files, document)}
        physical |= dict.fromkeys(promoted.values(), "Nullable(String)")
        columns[document] = Column(
            "String",
            is_json=True,
            hidden=document == "person_properties",
            promoted=promoted,
            property_types=_kinds(types[document]),
        )
    columns["person_created_at"] = Column(EVENT_COLUMNS["person_created_at"], hidden=True)
    return Table("events", parquet_source(directory, [file.name for file in files], physical), columns)


def _stored(directory: Path, name: str, table: StoredTable, types: Mapping[str, PropertyKind]) -> Table:
    columns = {
        column: Column(kind, is_json=column == "properties" and name in KNOWN_TABLES, property_types=types)
        for column, kind in table.columns.items()
    }
    return Table(name, parquet_source(directory, table.files, table.columns), columns)


def _kinds(types: Mapping[str, PropertyType]) -> dict[str, PropertyKind]:
    return {key: kind.kind for key, kind in types.items()}
