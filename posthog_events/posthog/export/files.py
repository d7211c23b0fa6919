"""Complete files: their rows are counted and their bytes hashed before the ledger names them."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from datetime import UTC, datetime
from pathlib import Path

from posthog_events.clickhouse.store.manifest import sync_directory, sync_file
from posthog_events.errors import ExportFailed
from posthog_events.posthog.export.ledger import ExportedFile, Journal, SliceRecord

__all__ = ["count_rows", "file_name", "intact", "keep"]

CHUNK = 1 << 20


def file_name(record: SliceRecord, number: int, suffix: str) -> str:
    """Return the name of a slice's file.

    It begins with `events-`, the bounds follow in UTC: `events-20260105T000000-20260112T000000-0.parquet`.
    """
    return f"events-{_text(record.start)}-{_text(record.end)}-{number}{suffix}"


def _text(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at:%Y%m%dT%H%M%S}{f'_{at.microsecond:06d}' if at.microsecond else ''}"


def keep(journal: Journal, partial: Path, name: str, *, part: str = "") -> ExportedFile:
    """Move a complete partial file to its place and return what the ledger says of it.

    Raises:
        ExportFailed: It cannot be read as what it should be; it is removed.
    """
    try:
        rows = count_rows(partial, name)
    except ExportFailed:
        partial.unlink()
        raise
    with partial.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = partial.stat().st_size
    sync_file(partial)
    partial.replace(journal.events / name)
    sync_directory(journal.events)
    return ExportedFile(name, rows, size, digest, part)


def intact(journal: Journal, record: SliceRecord) -> bool:
    """Whether the files of a record are there, in full length."""

    def size(file: ExportedFile) -> int | None:
        path = journal.events / file.name
        return path.stat().st_size if path.is_file() else None

    return all(size(file) == file.size_bytes for file in record.files)


def count_rows(path: Path, name: str) -> int:
    """Return the number of rows of a file that is, or will be, called `name`.

    Raises:
        ExportFailed: It is damaged.
    """
    try:
        return _parquet_rows(path) if name.endswith(".parquet") else _lines(path, packed=name.endswith(".gz"))
    except (OSError, EOFError, zlib.error) as exc:
        raise ExportFailed(f"{name} is damaged or cut off ({str(exc).splitlines()[0]})") from exc


def _parquet_rows(path: Path) -> int:
    import polars as pl

    try:
        # The number that the footer states; no data is read.
        rows: int = pl.scan_parquet(path).select(pl.len()).collect().item()
    except pl.exceptions.PolarsError as exc:
        raise ExportFailed(f"{path.name} is no readable Parquet file ({str(exc).splitlines()[0]})") from exc
    return rows


def _lines(path: Path, *, packed: bool) -> int:
    rows, last = 0, b"\n"
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        while chunk := file.read(CHUNK):
            rows += chunk.count(b"\n")
            last = chunk[-1:]
    return rows + (last != b"\n")
