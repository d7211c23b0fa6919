"""`export_events`: everything that PostHog stored between two instants, in a directory, with proof."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from posthog_events.clock import utc_now
from posthog_events.errors import ConfigError, ExportFailed
from posthog_events.posthog.export.definitions import Definitions, property_types
from posthog_events.posthog.export.download import Fetch, download
from posthog_events.posthog.export.files import intact
from posthog_events.posthog.export.ledger import Axis, Journal, Order, SliceRecord, open_journal
from posthog_events.posthog.export.progress import ExportProgress, ExportReport
from posthog_events.posthog.export.runs import FilesUnavailable, Runs
from posthog_events.posthog.export.slices import DAY, WEEK, Slice, uncovered
from posthog_events.posthog.export.windowed import Rows, fetch_windows
from posthog_events.posthog.http import Api

__all__ = ["Via", "export_events"]

Via = Literal["auto", "files", "query"]

COMPRESSIONS = {"parquet": (None, "zstd", "gzip", "brotli", "lz4", "snappy"), "jsonlines": (None, "gzip")}
"""What can be asked for. PostHog knows brotli for JSONLines too; its rows could not be counted here."""

_LENGTHS: dict[Axis, timedelta] = {"ingestion": WEEK, "event": DAY}


def export_events(
    api: Api,
    out: Path,
    *,
    since: datetime,
    until: datetime,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    format: Literal["parquet", "jsonlines"] = "parquet",  # noqa: A002  # PostHog's word for it
    compression: str | None = "zstd",
    via: Via = "auto",
    rows: Rows | None = None,
    definitions: Definitions | None = None,
    fetch: Fetch = download,
    width: int = 3,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], datetime] = utc_now,
    on_progress: Callable[[ExportProgress], None] = lambda progress: None,
) -> ExportReport:
    """Export events into a directory: files below `out/events`, and the proof in `out/export.json`.

    File downloads cut the range by *ingestion* time: an event that happened before `since` and reached PostHog after
    it is there, one that happened before `until` and reached PostHog later is not. Whoever wants a range of event time
    filters on `timestamp`, and exports a few days more than that. The query route cuts by event time.

    Calling it again resumes, extends the directory to another range, or does nothing: a slice is exported once. PostHog
    may hold an event twice; its uuid is the same then, and imports and `chdb://OUT` read it once.

    Args:
        since: Aware; belongs to the range.
        until: Aware; does not belong to it, and does not lie in the future.
        include: Event names; none means all.
        exclude: Event names left out.
        via: `files`: file download runs; `query`: windowed queries; `auto`: queries where there are no file downloads.
        rows: The query route; without it, and for JSON Lines, only `files` can be done.
        definitions: Fetches property definitions, which are kept with the export for the types.
        fetch: Downloads a presigned address, without our key.
        width: Runs that PostHog works on at a time.
        on_progress: Called whenever something is complete.

    Raises:
        ConfigError: The range, the format or the directory cannot be used.
        ExportFailed: A run ended without its rows, or the rows are not as many as PostHog said.
        QuotaExceeded: PostHog refuses for billing reasons.
        ApiError, ConnectionFailed: As `Api.send`. After any error the next call resumes.
    """
    whole = _checked(since, until, clock())
    if compression not in COMPRESSIONS[format]:
        known = ", ".join(str(name) for name in COMPRESSIONS[format])
        raise ConfigError(f"{format} files cannot be exported with the compression {compression!r}; use one of {known}")
    if via == "query" and (rows is None or format != "parquet"):
        raise ConfigError("the query route needs a way to run queries, and writes Parquet only")
    rows = rows if format == "parquet" else None
    order = Order(
        api.origin, api.project_id, format, compression, tuple(sorted(set(include))), tuple(sorted(set(exclude)))
    )
    started = time.monotonic()
    try:
        with open_journal(out, order) as journal:
            call = _Call(journal, whole, on_progress)
            if via != "auto":
                call.axis("event" if via == "query" else "ingestion")
            if journal.ledger.axis == "ingestion":
                try:
                    runs = Runs(api, journal, fetch=fetch, width=width, sleep=sleep, clock=clock, tell=call.tell)
                    runs.fetch_all(call.plan())
                except FilesUnavailable as exc:
                    if via == "files" or rows is None:
                        raise exc.refusal from None
                    call.axis("event", because=f"file downloads are not available here: {exc.refusal}")
            if journal.ledger.axis == "event":
                if rows is None:
                    raise ConfigError(f"{out} holds an export by queries, and there is no way to run queries")
                fetch_windows(rows, journal, call.plan(), clock=clock, tell=call.tell)
            _keep_types(journal, definitions)
            journal.sweep()
            return call.report(time.monotonic() - started)
    except OSError as exc:
        raise ExportFailed(
            f"{exc.filename or out} cannot be written ({exc.strerror or exc}); what was fetched is kept, and the next "
            "export resumes"
        ) from exc


def _checked(since: datetime, until: datetime, now: datetime) -> Slice:
    for name, at in (("start", since), ("end", until)):
        if at.tzinfo is None:
            raise ConfigError(f"the {name} of an export needs a time zone")
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    if since >= until:
        raise ConfigError(f"an export from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC holds nothing")
    if until > now:
        raise ConfigError(
            f"an export ends at {until:%Y-%m-%d %H:%M} UTC, which lies in the future; end it now or before"
        )
    return Slice(since, until)


def _keep_types(journal: Journal, definitions: Definitions | None) -> None:
    if definitions is not None:
        event, person = (property_types(definitions, of) for of in ("event", "person"))
        journal.save(replace(journal.ledger, event_types=event, person_types=person))


class _Call:
    """One call's view of the journal: what is missing, how far it is, what it did."""

    def __init__(self, journal: Journal, whole: Slice, on_progress: Callable[[ExportProgress], None]) -> None:
        self.journal, self.whole, self.on_progress = journal, whole, on_progress
        self.notes: tuple[str, ...] = ()
        self.before: set[Slice] = set()

    def axis(self, axis: Axis, *, because: str = "") -> None:
        """Turn a directory that holds nothing yet to another time.

        Raises:
            ConfigError: It holds slices of the other time: together they would prove nothing.
        """
        ledger = self.journal.ledger
        if ledger.axis != axis:
            if any(record.done for record in ledger.slices):
                reason = f" ({because})" if because else ""
                raise ConfigError(
                    f"{self.journal.out} holds slices by {ledger.axis} time, and these would be by {axis} time{reason};"
                    " export into another directory"
                )
            self.journal.save(replace(ledger, axis=axis, slices=()))
        if because:
            self.notes = (f"exported by queries, because {because}",)

    def plan(self) -> tuple[SliceRecord, ...]:
        """Write down the slices that are missing, and return them."""
        ledger = self.journal.ledger
        # What was planned and never asked for is planned anew: the range may be another.
        records = [record for record in ledger.slices if record.done or record.asked_at is not None]
        records = [record if intact(self.journal, record) else record.forget_run() for record in records]
        self.before = {record.slice for record in records if record.done}
        missing = uncovered(self.whole, [record.slice for record in records], _LENGTHS[ledger.axis])
        records += [SliceRecord(part.start, part.end) for part in missing]
        self.journal.save(replace(ledger, slices=tuple(sorted(records, key=lambda record: record.start))))
        return tuple(record for record in self._wanted() if not record.done)

    def _wanted(self) -> tuple[SliceRecord, ...]:
        return tuple(record for record in self.journal.ledger.slices if record.slice.overlaps(self.whole))

    def tell(self, waiting: int) -> None:
        """Report progress."""
        wanted = self._wanted()
        total = sum((record.end - record.start for record in wanted), timedelta())
        done = [record for record in wanted if record.done]
        fresh = [record for record in done if record.slice not in self.before]
        self.on_progress(
            ExportProgress(
                share=sum((record.end - record.start for record in done), timedelta()) / total,
                rows=sum(record.rows for record in fresh),
                size_bytes=sum(file.size_bytes for record in fresh for file in record.files),
                waiting=waiting,
            )
        )

    def report(self, elapsed_s: float) -> ExportReport:
        """Return the proof."""
        self.tell(0)
        wanted = self._wanted()
        fetched = sum(record.slice not in self.before for record in wanted)
        ledger = self.journal.ledger
        return ExportReport(self.journal.out, ledger.id, ledger.axis, wanted, fetched, elapsed_s, self.notes)
