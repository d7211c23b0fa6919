"""Taking events out of a store."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from posthog_events.clickhouse.quoting import string
from posthog_events.clickhouse.store.layout import file_columns, parquet_source
from posthog_events.clickhouse.store.manifest import DataFile, Manifest, sync_file, write_manifest
from posthog_events.clickhouse.store.rewrite import rewrite
from posthog_events.clickhouse.store.session import write_session
from posthog_events.errors import ConfigError

if TYPE_CHECKING:
    from posthog_events.clickhouse.store.store import EventStore

__all__ = ["remove"]


def remove(
    store: EventStore,
    *,
    before: datetime | None,
    event: str | None,
    import_id: str | None,
    everything: bool,
    dry_run: bool,
) -> int:
    """Remove the events that meet every condition; see `EventStore.remove`."""
    condition = _condition(before, event, import_id, everything)
    with store.writing() as manifest:
        if import_id is not None and import_id not in {record.id for record in manifest.imports}:
            raise ConfigError(f"there was no import {import_id!r}; posthog-events local info lists the imports")
        write_id = f"{store.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        with write_session(store, write_id) as session:
            numbers = itertools.count()
            removed, gone, new = 0, set(), []
            for file in manifest.files:
                if not _concerned(file, before, import_id):
                    continue
                columns = file_columns(file.event_keys, file.person_keys)
                source = parquet_source(store.data, [file.name], columns)
                hits = file.rows
                if not everything:
                    hits = session.query(f"SELECT count() FROM {source} WHERE {condition}").item()
                if not hits:
                    continue
                removed += hits
                gone.add(file.name)
                if dry_run or hits == file.rows:
                    continue
                month = file.name.split("-")[1]
                name = f"events-{month}-{write_id}-{next(numbers)}.parquet"
                left = rewrite(session, store.data, [file], name, keep=f"NOT ({condition})")
                new += [left] if left else []
            if removed and not dry_run:
                _commit(store, manifest, gone, new)
    return removed


def _commit(store: EventStore, manifest: Manifest, gone: set[str], new: list[DataFile]) -> None:
    for file in new:
        sync_file(store.data / file.name)
    kept = manifest.retire(gone, at=store.now().timestamp())
    files = (*kept.files, *new)
    present = {name for file in files for name in file.imports}
    imports = tuple(record for record in manifest.imports if record.id in present)
    write_manifest(store.path, replace(kept, files=files, imports=imports))


def _condition(before: datetime | None, event: str | None, import_id: str | None, everything: bool) -> str:
    parts = []
    if before is not None:
        parts.append(f"timestamp < fromUnixTimestamp64Micro({round(before.timestamp() * 1_000_000)}, 'UTC')")
    if event is not None:
        parts.append(f"event = {string(event)}")
    if import_id is not None:
        parts.append(f"__import = {string(import_id)}")
    if everything == bool(parts):
        raise ConfigError("say which events to remove: before a date, by name, by import, or all of them")
    return " AND ".join(parts) or "1"


def _concerned(file: DataFile, before: datetime | None, import_id: str | None) -> bool:
    """Whether a file can hold such events, by what the manifest knows."""
    if before is not None and file.min_time >= before.timestamp() * 1_000_000:
        return False
    return import_id is None or import_id in file.imports
