"""What an import is asked to do, how far it is, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from posthog_events.clickhouse.catalog import PropertyKind
from posthog_events.clickhouse.store.manifest import PullState

__all__ = ["ColumnMapping", "FileReport", "ImportReport", "Progress", "Pulled"]


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Which column holds what; None is guessed from common names, and shown.

    Args:
        event: A column, or, where no such column exists, the name of every event.
        time: The column of the event's time.
        user: The column of the person's distinct id.
        uuid: The column that identifies an event; texts that are no UUIDs are hashed into one.
        timezone: IANA zone of times without an offset; None takes the project's.
    """

    event: str | None = None
    time: str | None = None
    user: str | None = None
    uuid: str | None = None
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class Pulled:
    """What is committed together with events that came from a project.

    Args:
        key: The project, as in `Manifest.pulls`.
        state: How far the store is with these events in it.
        label: What the record of the import calls its source.
        event_types: Types of property definitions; they overrule what values suggest, not what the user has set.
        person_types: The same for person properties.
    """

    key: str
    state: PullState
    label: str
    event_types: Mapping[str, PropertyKind] = field(default_factory=dict)
    person_types: Mapping[str, PropertyKind] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: bytes of all files as they lie on disk, and rows read so far."""

    path: Path
    done_bytes: int
    total_bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file: `read` = `stored` + `duplicates` + `rejected`.

    Args:
        shape: What the file was taken for.
        assumptions: Everything that was guessed, as sentences.
    """

    path: Path
    shape: str
    assumptions: tuple[str, ...]
    read: int
    stored: int
    duplicates: int
    rejected: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Args:
        rejects: The file that holds the rejected rows with their line and reason; None when there are none.
        types: Property types inferred or changed by this import, by `properties.<key>` or `person.properties.<key>`.
        warnings: Sentences for the user.
        elapsed_s: Wall-clock seconds.
    """

    id: str
    files: tuple[FileReport, ...]
    rejects: Path | None
    types: dict[str, PropertyKind]
    warnings: tuple[str, ...]
    elapsed_s: float
    dry_run: bool = False

    @property
    def read(self) -> int:
        """Rows read."""
        return sum(file.read for file in self.files)

    @property
    def stored(self) -> int:
        """Events added to the store."""
        return sum(file.stored for file in self.files)

    @property
    def duplicates(self) -> int:
        """Rows whose event the store, or the import, had already."""
        return sum(file.duplicates for file in self.files)

    @property
    def rejected(self) -> int:
        """Rows that are no events; each is in `rejects`."""
        return sum(file.rejected for file in self.files)
