"""Replacing event files by new ones: merging small files, leaving rows out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from posthog_events.clickhouse.store.layout import (
    PARQUET_SETTINGS,
    file_columns,
    listed_rest,
    parquet_source,
    readable_keys,
    written_keys,
)
from posthog_events.clickhouse.store.manifest import DataFile, Manifest
from posthog_events.clickhouse.store.session import Session

__all__ = ["compact", "rewrite"]

SMALL_ROWS = 65_536
MERGED_ROWS = 262_144
MANY = 8
"""Small files of one month before they are merged: each costs a query a file to open, each merge a rewrite."""


def rewrite(session: Session, data: Path, files: Sequence[DataFile], name: str, *, keep: str = "1") -> DataFile | None:
    """Write the rows of `files` that meet the SQL condition `keep` to the new file `name`; None when there are none."""
    event, person = (readable_keys(files, document) for document in ("properties", "person_properties"))
    columns = file_columns(event, person)
    source = f"(SELECT * FROM {parquet_source(data, [file.name for file in files], columns)} WHERE {keep})"
    rows, low, high, imports = session.query(
        f"SELECT count(), toUnixTimestamp64Micro(min(timestamp)), toUnixTimestamp64Micro(max(timestamp)), "
        f"arraySort(groupUniqArray(__import)) FROM {source}"
    ).row(0)
    if not rows:
        return None
    session.command(
        f"INSERT INTO FUNCTION {parquet_source(data, [name], columns)} SELECT * FROM {source} ORDER BY timestamp, uuid",
        PARQUET_SETTINGS,
    )
    return DataFile(
        name=name,
        rows=rows,
        size_bytes=(data / name).stat().st_size,
        min_time=low,
        max_time=high,
        event_keys=event,
        person_keys=person,
        event_rest=_rest(files, "properties", event),
        person_rest=_rest(files, "person_properties", person),
        imports=tuple(imports),
    )


def _rest(files: Sequence[DataFile], document: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the keys of merged files that have no column in the new one."""
    occurring = {key for file in files for keys in written_keys(file, document) for key in keys}
    return listed_rest(occurring.difference(columns))


def compact(session: Session, data: Path, manifest: Manifest, *, write_id: str, at: float) -> Manifest:
    """Merge the small files of months that have many."""
    numbers = itertools.count()
    for month, files in _by_month(manifest.files).items():
        small = [file for file in files if file.rows < SMALL_ROWS]
        if len(small) < MANY:
            continue
        for group in _groups(sorted(small, key=lambda file: file.min_time)):
            merged = rewrite(session, data, group, f"events-{month}-{write_id}-merged-{next(numbers)}.parquet")
            manifest = manifest.retire({file.name for file in group}, at=at)
            if merged is not None:
                manifest = replace(manifest, files=(*manifest.files, merged))
    return manifest


def _by_month(files: Sequence[DataFile]) -> dict[str, list[DataFile]]:
    months: dict[str, list[DataFile]] = {}
    for file in files:
        months.setdefault(file.name.split("-")[1], []).append(file)
    return months


def _groups(files: Sequence[DataFile]) -> list[list[DataFile]]:
    groups: list[list[DataFile]] = [[]]
    for file in files:
        if sum(member.rows for member in groups[-1]) + file.rows > MERGED_ROWS:
            groups.append([])
        groups[-1].append(file)
    return [group for group in groups if len(group) > 1]
