"""Slices by way of queries, for servers and keys without file downloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from posthog_events.errors import ExportFailed
from posthog_events.posthog.export.files import file_name, keep
from posthog_events.posthog.export.ledger import ExportedFile, Journal, Order, SliceRecord

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Rows", "fetch_windows"]

Rows: TypeAlias = "Callable[[datetime, datetime], Iterator[pl.DataFrame]]"
"""Yields the events of a half-open window of event time, complete, or raises."""

FILE_ROWS = 500_000
"""Rows of one file: about 100 MB of ordinary events in memory."""


def fetch_windows(
    rows: Rows,
    journal: Journal,
    records: Sequence[SliceRecord],
    *,
    clock: Callable[[], datetime],
    tell: Callable[[int], None],
) -> None:
    """Fetch every slice. What a slice holds is known to be complete when `rows` ends without an error.

    Raises:
        IncompleteExtraction: From `rows`; the slices before are kept.
        ExportFailed: The written rows are not the received ones.
    """
    for record in records:
        tell(1)
        record = replace(record.forget_run(), asked_at=clock())
        journal.put(record)
        received, files = _write(rows(record.start, record.end), journal, record)
        written = sum(file.rows for file in files)
        if written != received:
            raise ExportFailed(f"{received:,} rows were received and {written:,} written; check the disk and try again")
        journal.put(replace(record, done=True, rows=written, files=tuple(files)))


def _write(frames: Iterator[pl.DataFrame], journal: Journal, record: SliceRecord) -> tuple[int, list[ExportedFile]]:
    received, files = 0, list[ExportedFile]()
    for number, frame in enumerate(_batches(frames, journal.ledger.order)):
        received += frame.height
        name = file_name(record, number, ".parquet")
        partial = journal.partial / f"{name}.part"
        frame.write_parquet(partial, compression="zstd")
        files.append(keep(journal, partial, name))
    return received, files


def _batches(frames: Iterator[pl.DataFrame], order: Order) -> Iterator[pl.DataFrame]:
    """Yield frames of FILE_ROWS or a little more, with the ordered events only."""
    import polars as pl

    waiting: list[pl.DataFrame] = []
    for frame in frames:
        kept = frame
        if order.include:
            kept = kept.filter(pl.col("event").is_in(order.include))
        if order.exclude:
            kept = kept.filter(~pl.col("event").is_in(order.exclude))
        if kept.height:
            waiting.append(kept)
        if sum(each.height for each in waiting) >= FILE_ROWS:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)
