"""What a store holds, for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from posthog_events.clickhouse.store.manifest import ImportRecord
from posthog_events.clickhouse.store.tables import build_catalog

if TYPE_CHECKING:
    from posthog_events.clickhouse.store.store import EventStore

__all__ = ["StoreInfo", "describe"]

TOP_EVENTS = 20


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """Counts of a store; `first` and `last` are None when it is empty. `top_events` is ordered by count."""

    events: int
    files: int
    size_bytes: int
    first: datetime | None
    last: datetime | None
    people: int
    timezone: str
    tables: dict[str, int]
    top_events: tuple[tuple[str, int], ...]
    imports: tuple[ImportRecord, ...]


def describe(store: EventStore) -> StoreInfo:
    """Count what a store holds; see `EventStore.info`."""
    manifest = store.manifest()
    people = 0
    top: tuple[tuple[str, int], ...] = ()
    if manifest.files:
        from posthog_events.clickhouse.client import Client

        source = build_catalog(store.data, manifest).tables["events"].source
        counted = f"SELECT event, count() AS n FROM {source} GROUP BY event ORDER BY n DESC, event LIMIT {TOP_EVENTS}"
        with Client.open("chdb://memory") as client:
            people = client.query(f"SELECT uniqExact(person_id) FROM {source}")[1].item()
            top = tuple((name, count) for name, count in client.query(counted)[1].iter_rows())
    return StoreInfo(
        events=manifest.rows,
        files=len(manifest.files),
        size_bytes=sum(file.size_bytes for file in manifest.files),
        first=_instant(min((file.min_time for file in manifest.files), default=None)),
        last=_instant(max((file.max_time for file in manifest.files), default=None)),
        people=people,
        timezone=manifest.timezone,
        tables={name: table.rows for name, table in sorted(manifest.tables.items())},
        top_events=top,
        imports=manifest.imports,
    )


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
