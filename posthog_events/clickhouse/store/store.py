"""The event store: a directory of immutable Parquet files and one manifest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from posthog_events.clickhouse.catalog import Catalog, PersonMode, PropertyKind
from posthog_events.clickhouse.store.layout import check_path
from posthog_events.clickhouse.store.lock import write_lock
from posthog_events.clickhouse.store.manifest import Manifest, PropertyType, read_manifest, write_manifest
from posthog_events.clickhouse.store.report import ColumnMapping, ImportReport, Progress, Pulled
from posthog_events.clickhouse.store.tables import build_catalog
from posthog_events.clock import utc_now
from posthog_events.errors import ConfigError, StoreError, StoreNotFound

if TYPE_CHECKING:
    from posthog_events.clickhouse.store.info import StoreInfo

__all__ = ["GRACE_S", "EventStore"]

GRACE_S = 3600.0
"""Seconds that a file stays on disk after it left the store, so that no running query misses it."""

DATA, TEMPORARY, REJECTED = "data", "tmp", "rejected"


class EventStore:
    """A local event store. Any number of processes may read while one writes.

    Args:
        path: The store's directory.
        now: The clock; injected by tests.
    """

    def __init__(self, path: Path, *, now: Callable[[], datetime] = utc_now) -> None:
        self.path = path
        self.now = now

    @classmethod
    def open(cls, path: Path | str, *, now: Callable[[], datetime] = utc_now) -> EventStore:
        """Open the store at `path`.

        Raises:
            StoreNotFound: There is none.
            StoreError: It cannot be read.
        """
        store = cls(_absolute(path), now=now)
        store.manifest()
        return store

    @classmethod
    def create(
        cls,
        path: Path | str,
        *,
        timezone: str = "UTC",
        week_starts_monday: bool = False,
        person_mode: PersonMode = PersonMode.OVERRIDE_ON_EVENTS,
        group_types: Mapping[str, int] | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> EventStore:
        """Create an empty store at `path`, a directory that does not exist or is empty.

        Args:
            timezone: The project's IANA zone: days begin in it, and times without an offset are read in it.
            week_starts_monday: PostHog's project setting; weeks start on Sunday otherwise.
            person_mode: Which person an event belongs to.
            group_types: Group type name to its index, 0 to 4.

        Raises:
            ConfigError: The zone is not known.
            StoreError: The directory holds something already.
        """
        directory = _absolute(path)
        check_path(directory)
        check_timezone(timezone)
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise StoreError(f"{directory} exists and is not an event store; choose an empty or a new directory")
        for name in (DATA, REJECTED, TEMPORARY):
            (directory / name).mkdir(parents=True, exist_ok=True)
        manifest = Manifest(
            timezone=timezone,
            week_starts_monday=week_starts_monday,
            person_mode=person_mode,
            group_types=dict(group_types or {}),
        )
        write_manifest(directory, manifest)
        return cls(directory, now=now)

    @classmethod
    def open_or_create(cls, path: Path | str, *, now: Callable[[], datetime] = utc_now) -> EventStore:
        """Open the store at `path`, or create it with the defaults."""
        try:
            return cls.open(path, now=now)
        except StoreNotFound:
            return cls.create(path, now=now)

    @property
    def data(self) -> Path:
        """The folder of the Parquet files."""
        return self.path / DATA

    def manifest(self) -> Manifest:
        """Return what the store holds now."""
        return read_manifest(self.path)

    def catalog(self) -> Catalog:
        """Return the tables of the store as it is now.

        Raises:
            StoreError: A file of the store is missing; a query would silently see less without it.
        """
        check_path(self.path)
        manifest = self.manifest()
        present = {path.name for path in self.data.iterdir()} if self.data.is_dir() else set()
        missing = sorted(_referenced(manifest) - present)
        if missing:
            raise StoreError(f"the store {self.path} is incomplete: {self.data / missing[0]} is missing; restore it")
        return build_catalog(self.data, manifest)

    def set_types(
        self, types: Mapping[str, PropertyKind], *, person_types: Mapping[str, PropertyKind] | None = None
    ) -> None:
        """Set the types of event and person properties; imports do not change them any more."""
        with self.writing() as manifest:
            write_manifest(
                self.path,
                replace(
                    manifest,
                    event_types={**manifest.event_types, **_overrides(types)},
                    person_types={**manifest.person_types, **_overrides(person_types or {})},
                ),
            )

    def configure(
        self,
        *,
        timezone: str | None = None,
        week_starts_monday: bool | None = None,
        person_mode: PersonMode | None = None,
        group_types: Mapping[str, int] | None = None,
    ) -> None:
        """Change project settings; None leaves one as it is."""
        if timezone is not None:
            check_timezone(timezone)
        with self.writing() as old:
            new = replace(
                old,
                timezone=old.timezone if timezone is None else timezone,
                week_starts_monday=old.week_starts_monday if week_starts_monday is None else week_starts_monday,
                person_mode=old.person_mode if person_mode is None else person_mode,
                group_types=old.group_types if group_types is None else dict(group_types),
            )
            write_manifest(self.path, new)

    def import_events(
        self,
        paths: Sequence[Path | str],
        mapping: ColumnMapping | None = None,
        *,
        types: Mapping[str, PropertyKind] | None = None,
        max_rejected: int | None = None,
        progress: Callable[[Progress], None] | None = None,
        dry_run: bool = False,
        pulled: Pulled | None = None,
    ) -> ImportReport:
        """Add the events of files to the store, all of them or, on any error, none.

        Args:
            paths: CSV, JSON Lines, JSON or Parquet files, plain or compressed by gzip or zstandard.
            mapping: Which column holds what; what it leaves open is guessed and reported.
            types: Property types that overrule what the values suggest.
            max_rejected: Rows that may be no events before the import fails; None allows one row in ten.
            progress: Called after each part of a file.
            dry_run: Read and check everything, store nothing.
            pulled: What else is true once these events are in the store, also when there are no files at all.

        Raises:
            ImportFailed: A file cannot be read, its columns cannot be told, or too many rows are rejected.
            StoreLocked: Another process writes to the store.
        """
        from posthog_events.clickhouse.store.importer import import_events

        return import_events(
            self,
            [Path(path) for path in paths],
            mapping or ColumnMapping(),
            types=types or {},
            max_rejected=max_rejected,
            progress=progress,
            dry_run=dry_run,
            pulled=pulled,
        )

    def import_table(self, name: str, path: Path | str) -> int:
        """Store a file as the table `name`, replacing an earlier one; return its number of rows.

        `persons`, `person_distinct_ids`, `groups`, `cohort_people` and `static_cohort_people` replace what would
        otherwise be derived from events; other names of PostHog tables are refused.
        """
        from posthog_events.clickhouse.store.beside import import_table

        return import_table(self, name, Path(path))

    def remove(
        self,
        *,
        before: datetime | None = None,
        event: str | None = None,
        import_id: str | None = None,
        everything: bool = False,
        dry_run: bool = False,
    ) -> int:
        """Remove the events that meet every condition given; return how many, also for a `dry_run`."""
        from posthog_events.clickhouse.store.removal import remove

        return remove(self, before=before, event=event, import_id=import_id, everything=everything, dry_run=dry_run)

    def info(self) -> StoreInfo:
        """Count events, people, files and imports."""
        from posthog_events.clickhouse.store.info import describe

        return describe(self)

    @contextmanager
    def writing(self) -> Iterator[Manifest]:
        """Hold the write lock; clear away what earlier writers left; yield the manifest as it is now."""
        if not self.path.is_dir():
            raise StoreNotFound(self.path)
        with write_lock(self.path, now=self.now()):
            manifest = self._clean(read_manifest(self.path))
            yield manifest

    def _clean(self, manifest: Manifest) -> Manifest:
        """Remove leftovers of writers that died, and retired files whose grace period is over."""
        shutil.rmtree(self.path / TEMPORARY, ignore_errors=True)
        (self.path / TEMPORARY).mkdir(exist_ok=True)
        deadline = self.now().timestamp() - GRACE_S
        waiting = tuple(old for old in manifest.retired if old.at > deadline)
        keep = _referenced(manifest) | {old.name for old in waiting}
        for path in self.data.iterdir():
            if path.name not in keep:
                path.unlink(missing_ok=True)
        return replace(manifest, retired=waiting)


def _absolute(path: Path | str) -> Path:
    return Path(path).expanduser().resolve()


def _referenced(manifest: Manifest) -> set[str]:
    names = {file.name for file in manifest.files}
    return names.union(*(table.files for table in manifest.tables.values()))


def _overrides(types: Mapping[str, PropertyKind]) -> dict[str, PropertyType]:
    return {key: PropertyType(kind, "override") for key, kind in types.items()}


def check_timezone(name: str) -> None:
    """Refuse a zone that is not in the IANA database."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ConfigError(f"{name!r} is not a time zone; use an IANA name such as Europe/Berlin") from None
