"""What an export directory holds: one JSON document, replaced atomically, and one record for each slice.

A record is written before PostHog is asked for its slice, and again at each step, so that an export killed anywhere
goes on where it was: it looks for the run it may have started, continues the file it was downloading, and repeats
nothing that is complete.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from posthog_events.clickhouse.store.manifest import sync_directory
from posthog_events.errors import ConfigError, ExportFailed
from posthog_events.posthog.export.slices import Slice

__all__ = ["FILE_NAME", "Axis", "ExportedFile", "Journal", "Ledger", "Order", "SliceRecord", "open_journal", "read_id"]

FILE_NAME = "export.json"
LOCK_NAME = "export.lock"
VERSION = 1

Axis = Literal["ingestion", "event"]
"""Which time of an event decides its slice: when PostHog stored it, or when it happened."""


@dataclass(frozen=True, slots=True)
class Order:
    """What every slice of a directory has in common.

    Args:
        include: Event names; none means all.
        exclude: Event names left out.
    """

    origin: str
    project_id: int
    format: Literal["parquet", "jsonlines"] = "parquet"
    compression: str | None = "zstd"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """The ending of the files' names."""
        if self.format == "parquet":
            return ".parquet"
        return ".jsonl.gz" if self.compression == "gzip" else ".jsonl"


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A complete file below `events/`; `part` is PostHog's id of it, where it has one."""

    name: str
    rows: int
    size_bytes: int
    sha256: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """One slice.

    Args:
        asked_at: When PostHog was first asked for it, by our clock; written before the request.
        run_id: PostHog's run, once known.
        abandoned: Runs of this slice that failed or are gone, and are not to be found again.
        files: Complete files; all of them when `done`.
        rows: Rows of a slice that is done.
    """

    start: datetime
    end: datetime
    done: bool = False
    asked_at: datetime | None = None
    run_id: str = ""
    abandoned: tuple[str, ...] = ()
    files: tuple[ExportedFile, ...] = ()
    rows: int = 0

    @property
    def slice(self) -> Slice:
        """Its interval."""
        return Slice(self.start, self.end)

    def forget_run(self) -> SliceRecord:
        """Return the record as if PostHog had not been asked yet, but for the runs to leave alone."""
        runs = (*self.abandoned, self.run_id) if self.run_id else self.abandoned
        return replace(self, done=False, asked_at=None, run_id="", abandoned=runs, files=(), rows=0)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The whole directory as of one write.

    Args:
        id: Drawn once for each directory.
        event_types: Property definitions, where they were fetched: name to PostHog's property type.
        person_types: The same for person properties.
    """

    order: Order
    version: int = VERSION
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    axis: Axis = "ingestion"
    slices: tuple[SliceRecord, ...] = ()
    event_types: Mapping[str, str] = field(default_factory=dict)
    person_types: Mapping[str, str] = field(default_factory=dict)


class Journal:
    """The ledger of a directory that this process has locked; every change is on the disk when the call returns."""

    def __init__(self, out: Path, ledger: Ledger) -> None:
        self.out, self.ledger = out, ledger

    @property
    def events(self) -> Path:
        """The folder of complete files."""
        return self.out / "events"

    @property
    def partial(self) -> Path:
        """The folder of files that are being downloaded or written."""
        return self.out / "partial"

    def save(self, ledger: Ledger) -> None:
        """Replace the ledger."""
        write_ledger(self.out, ledger)
        self.ledger = ledger

    def put(self, *records: SliceRecord) -> None:
        """Replace the records that overlap these by these."""
        kept = [old for old in self.ledger.slices if not any(old.slice.overlaps(new.slice) for new in records)]
        slices = tuple(sorted([*kept, *records], key=lambda record: record.start))
        self.save(replace(self.ledger, slices=slices))

    def sweep(self) -> None:
        """Remove files that no record names (complete when an export was killed, but not yet written down), and
        beginnings of files that no slice waits for.
        """
        named = {file.name for record in self.ledger.slices for file in record.files}
        leftovers = [path for path in self.events.iterdir() if path.name not in named]
        if all(record.done for record in self.ledger.slices):
            leftovers += self.partial.iterdir()
        for path in leftovers:
            path.unlink()


@contextmanager
def open_journal(out: Path, order: Order) -> Iterator[Journal]:
    """Lock an export directory, or make it one, and lend its journal.

    Raises:
        ConfigError: The directory holds something else, or an export of something else.
        ExportFailed: Another export works in it, or its ledger cannot be read.
    """
    from filelock import FileLock, Timeout

    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; name a directory to export into")
    out.mkdir(parents=True, exist_ok=True)
    foreign = {path.name for path in out.iterdir()} - {LOCK_NAME, f"{FILE_NAME}.new"}
    if foreign and FILE_NAME not in foreign:
        raise ConfigError(f"{out} holds files that are no export; choose an empty or a new directory")
    lock = FileLock(out / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ExportFailed(f"another export is working in {out}; wait until it has finished, then try again") from None
    try:
        journal = Journal(out, _read(out, order) or Ledger(order))
        journal.save(journal.ledger)
        journal.events.mkdir(exist_ok=True)
        journal.partial.mkdir(exist_ok=True)
        journal.sweep()
        yield journal
    finally:
        lock.release()


def _read(out: Path, order: Order) -> Ledger | None:
    path = out / FILE_NAME
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        version = msgspec.json.decode(raw, type=_Version).version
        if version > VERSION:
            raise ExportFailed(f"{path} was written by a newer version of posthog-events (format {version}); upgrade")
        ledger = msgspec.json.decode(raw, type=Ledger)
    except msgspec.DecodeError as exc:
        raise ExportFailed(f"{path} is damaged ({exc}); restore it from a backup, or export elsewhere") from exc
    for name, before in asdict(ledger.order).items():
        if before != (now := getattr(order, name)):
            raise ConfigError(
                f"{out} holds an export with another {name} ({before!r}, not {now!r}); choose another directory"
            )
    return ledger


def write_ledger(out: Path, ledger: Ledger) -> None:
    """Replace the ledger: after a crash at any point the old or the new one is there, whole."""
    path = out / FILE_NAME
    temporary = path.with_name(f"{FILE_NAME}.new")
    with temporary.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(ledger), indent=1))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(out)


def read_id(out: Path) -> str | None:
    """Return the id of the export in a directory; None when there is none to read."""
    try:
        return msgspec.json.decode((out / FILE_NAME).read_bytes(), type=_Id).id
    except (OSError, msgspec.DecodeError):
        return None


class _Version(msgspec.Struct):
    version: int


class _Id(msgspec.Struct):
    id: str
