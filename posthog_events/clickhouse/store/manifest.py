"""What a store holds: one JSON document, replaced atomically.

Data files never change once the manifest names them, so a reader that holds an old manifest reads a whole, old store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec

from posthog_events.clickhouse.catalog import PersonMode, PropertyKind
from posthog_events.errors import StoreError, StoreNotFound

__all__ = [
    "FORMAT_VERSION",
    "DataFile",
    "ImportRecord",
    "Manifest",
    "PropertyType",
    "PullState",
    "Retired",
    "StoredTable",
    "read_manifest",
    "write_manifest",
]

FORMAT_VERSION = 1
FILE_NAME = "store.json"

TypeSource = Literal["inferred", "override", "definition"]


@dataclass(frozen=True, slots=True)
class DataFile:
    """One immutable Parquet file of events.

    Args:
        name: File name inside the store's `data` folder.
        min_time: Earliest timestamp, microseconds since 1970 UTC.
        max_time: Latest timestamp.
        event_keys: Keys of `properties` that have a column of their own here.
        person_keys: The same for `person_properties`.
        event_rest: Keys of `properties` that occur here without a column, or `*` alone for too many to list. Any other
            key without a column does not occur, and then the missing column reads as NULL, which is right.
        person_rest: The same for `person_properties`.
        imports: The imports whose events it holds; each row names its own in the column `__import`.
    """

    name: str
    rows: int
    size_bytes: int
    min_time: int
    max_time: int
    event_keys: tuple[str, ...] = ()
    person_keys: tuple[str, ...] = ()
    event_rest: tuple[str, ...] = ()
    person_rest: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table beside the events: persons, groups, cohort membership, or the user's own."""

    files: tuple[str, ...]
    columns: Mapping[str, str]
    rows: int


@dataclass(frozen=True, slots=True)
class PropertyType:
    """The type of a property, and who said so."""

    kind: PropertyKind
    source: TypeSource = "inferred"


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """One import that stored something."""

    id: str
    at: str
    files: tuple[str, ...]
    stored: int
    duplicates: int
    rejected: int


@dataclass(frozen=True, slots=True)
class PullState:
    """How far a store has been brought up to date from one project.

    Args:
        position: ISO 8601. Whatever PostHog stored before was asked for when it could be there, or later.
        export_id: The export whose files were imported last.
    """

    position: str
    export_id: str = ""


@dataclass(frozen=True, slots=True)
class Retired:
    """A file that no longer belongs to the store but that a running reader may still open; `at` is Unix seconds."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole store as of one write; `pulls` is by origin and project, such as `https://eu.posthog.com#7`."""

    version: int = FORMAT_VERSION
    files: tuple[DataFile, ...] = ()
    tables: Mapping[str, StoredTable] = field(default_factory=dict)
    event_types: Mapping[str, PropertyType] = field(default_factory=dict)
    person_types: Mapping[str, PropertyType] = field(default_factory=dict)
    timezone: str = "UTC"
    week_starts_monday: bool = False
    person_mode: PersonMode = PersonMode.OVERRIDE_ON_EVENTS
    group_types: Mapping[str, int] = field(default_factory=dict)
    imports: tuple[ImportRecord, ...] = ()
    retired: tuple[Retired, ...] = ()
    pulls: Mapping[str, PullState] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of events."""
        return sum(file.rows for file in self.files)

    def retire(self, names: set[str], *, at: float) -> Manifest:
        """Return this manifest without the event files `names`, which stay on disk for running readers."""
        kept = tuple(file for file in self.files if file.name not in names)
        return replace(self, files=kept, retired=self.retired + tuple(Retired(name, at) for name in sorted(names)))


def read_manifest(directory: Path) -> Manifest:
    """Read a store's manifest.

    Raises:
        StoreNotFound: There is none.
        StoreError: It is damaged, or written by a newer version.
    """
    path = directory / FILE_NAME
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise StoreNotFound(directory) from None
    try:
        version = msgspec.json.decode(raw, type=_Version).version
        if version <= FORMAT_VERSION:
            return msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as exc:
        raise StoreError(f"{path} is damaged ({exc}); restore it from a backup, or import again elsewhere") from exc
    raise StoreError(f"{path} was written by a newer version of posthog-events (store format {version}); upgrade")


class _Version(msgspec.Struct):
    version: int


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Replace the manifest: after a crash at any point the old or the new one is there, whole."""
    path = directory / FILE_NAME
    temporary = path.with_suffix(".json.new")
    try:
        with temporary.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105  # named in every account of the atomic-replace recipe
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(directory)


def sync_file(path: Path) -> None:
    """Force a finished file to the disk before a manifest names it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


sync_directory = sync_file
"""A directory is forced to the disk by the same call, so that a rename in it survives a power cut."""
