"""The corpus fixture as an event store, through the same import that a user's files take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contract.corpus.fixture import (
    COHORT_PEOPLE,
    COHORTS,
    GROUP_TYPES,
    GROUPS,
    PERSON_DISTINCT_IDS,
    PERSONS,
    PLANS,
    STATIC_COHORT_PEOPLE,
    event_lines,
)

if TYPE_CHECKING:
    from posthog_events.clickhouse.catalog import Catalog
    from posthog_events.clickhouse.store import EventStore

__all__ = ["build_store", "with_types"]


def build_store(directory: Path) -> EventStore:
    """Create the event store of the corpus in `directory`, with every table beside the events.

    The store and the files it is imported from lie beside each other, so `directory` may be empty or new.
    """
    import polars as pl

    from posthog_events.clickhouse.store import EventStore

    sources = directory / "sources"
    sources.mkdir(parents=True)
    events = sources / "events.jsonl"
    events.write_text("\n".join(event_lines()) + "\n", encoding="utf-8")
    store = EventStore.create(directory / "store", group_types=GROUP_TYPES)
    report = store.import_events([events])
    assert report.stored == len(event_lines()), report

    tables: dict[str, list[dict[str, object]]] = {
        "persons": [{"id": i, "created_at": at, "properties": text} for i, at, text in PERSONS],
        "person_distinct_ids": [{"distinct_id": d, "person_id": p} for d, p in PERSON_DISTINCT_IDS],
        "groups": [{"index": i, "key": k, "created_at": at, "properties": text} for i, k, at, text in GROUPS],
        "cohort_people": [{"cohort_id": c, "person_id": p} for c, p in COHORT_PEOPLE],
        "static_cohort_people": [{"cohort_id": c, "person_id": p} for c, p in STATIC_COHORT_PEOPLE],
        "plans": [{"plan": plan, "price": price, "seats": seats} for plan, price, seats in PLANS],
    }
    for name, rows in tables.items():
        frame = pl.DataFrame(rows)
        if "created_at" in frame.columns:
            frame = frame.with_columns(pl.col("created_at").str.to_datetime(time_unit="us", time_zone="UTC"))
        path = sources / f"{name}.parquet"
        frame.write_parquet(path)
        store.import_table(name, path)
    return store


def with_types(catalog: Catalog, *, event: Mapping[str, str], person: Mapping[str, str]) -> Catalog:
    """Return the catalog with exactly these property definitions, whatever was inferred, and with named cohorts."""
    from posthog_events.clickhouse.catalog import PropertyKind

    def declare(table: str, column: str, types: Mapping[str, str]) -> None:
        kinds = {key: PropertyKind(kind) for key, kind in types.items()}
        old = tables[table]
        columns = {**old.columns, column: replace(old.columns[column], property_types=kinds)}
        tables[table] = replace(old, columns=columns)

    tables = dict(catalog.tables)
    declare("events", "properties", event)
    declare("events", "person_properties", person)
    declare("persons", "properties", person)
    return replace(catalog, tables=tables, cohorts=COHORTS)
