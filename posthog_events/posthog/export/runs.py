"""Slices by way of PostHog's file download runs: start, poll, download, count.

One thread does it all. PostHog works on a few runs at a time, and the parts of one come down while it works on the
next; so every step is written down before the next one, and Ctrl-C is met between any two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from posthog_events.errors import (
    ApiError,
    AuthenticationFailed,
    ConnectionFailed,
    ExportFailed,
    NoProjectAccess,
    NotAuthorised,
    NotFound,
    QuotaExceeded,
    RateLimited,
    ServerFailed,
)
from posthog_events.posthog.export.api import FAILED, Run, create_run, download_url, find_run, read_run
from posthog_events.posthog.export.download import Fetch, version_path
from posthog_events.posthog.export.files import file_name, keep
from posthog_events.posthog.export.ledger import ExportedFile, Journal, SliceRecord
from posthog_events.posthog.export.slices import Slice, halves
from posthog_events.posthog.http import Api

__all__ = ["FilesUnavailable", "Runs"]

PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Between two polls; the last one again and again. Source: PostHog's skill for file downloads polls in this range."""

MAX_WAIT_S = 6 * 3600.0
"""How long a run may take before we stop watching it; the next export looks at it again."""

LOOK_AGAIN_S = (2.0, 10.0)
"""After a request whose answer was lost: pauses before looking whether it was carried out."""

MAX_STARTS = 3
"""Runs started for one slice in one export, and requests to start one whose answers may be lost."""

MAX_BROKEN = 5
"""Downloads of one part in a row that may break off without a byte."""

SHORTEST = timedelta(hours=1)
"""Slices up to this length are not halved when PostHog takes too long."""


class FilesUnavailable(Exception):
    """PostHog starts no file downloads for this project and key; `refusal` is its answer."""

    def __init__(self, refusal: ApiError | ConnectionFailed) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


@dataclass(slots=True)
class _Active:
    """A run that PostHog works on, and the seconds we have waited for it."""

    record: SliceRecord
    waited_s: float = 0.0
    recounted: bool = False


class Runs:
    """Fetches slices; what it holds beside the journal lasts for one call of `export_events`."""

    def __init__(
        self,
        api: Api,
        journal: Journal,
        *,
        fetch: Fetch,
        width: int,
        sleep: Callable[[float], None],
        clock: Callable[[], datetime],
        tell: Callable[[int], None],
    ) -> None:
        self.api, self.journal, self.fetch, self.width = api, journal, fetch, width
        self.sleep, self.clock, self.tell = sleep, clock, tell
        self._starts: dict[Slice, int] = {}

    def fetch_all(self, records: Sequence[SliceRecord]) -> None:
        """Fetch every slice.

        Raises:
            ExportFailed, QuotaExceeded: A run ended without its rows.
            ApiError, ConnectionFailed: As `Api.send`.
        """
        # Runs of an earlier export are ready first.
        waiting = sorted(records, key=lambda record: (not record.run_id, record.start))
        active: list[_Active] = []
        pauses = _pauses()
        while waiting or active:
            while waiting and len(active) < self.width:
                active.append(_Active(self._begin(waiting.pop(0))))
                pauses = _pauses()
            self.tell(len(active))
            ended = [run for run in active if self._step(run, waiting)]
            active = [run for run in active if run not in ended]
            if ended:
                pauses = _pauses()
            elif active:
                self._wait(next(pauses), active)

    # -- starting ---------------------------------------------------------------------------------------------

    def _begin(self, record: SliceRecord) -> SliceRecord:
        """Return the record with its run, found or started.

        A run may be there without our knowing: an answer was lost, or we were killed before we wrote it down. So once a
        slice has been asked for, PostHog's list is read before it is asked again. Where the list does not tell, a
        second run is started, and the first is never read.
        """
        if record.run_id:
            return record
        attempt = 0
        while True:
            attempt += 1
            if record.asked_at is None:
                record = self._put(replace(record, asked_at=self.clock()))
            elif found := self._look(record, again=attempt > 1):
                return self._put(replace(record, run_id=found))
            try:
                return self._put(replace(record, run_id=create_run(self.api, record, self.journal.ledger.order)))
            except (ApiError, ConnectionFailed) as exc:
                if _unavailable(exc):
                    raise FilesUnavailable(exc) from exc
                if not exc.ambiguous or attempt == MAX_STARTS:
                    raise

    def _look(self, record: SliceRecord, *, again: bool) -> str | None:
        for pause in LOOK_AGAIN_S if again else (0.0,):
            self.sleep(pause)
            try:
                found = find_run(self.api, record, self.journal.ledger.order)
            except ApiError as exc:
                # Older servers have no such list.
                if exc.status not in (404, 405):
                    raise
                return None
            if found:
                return found
        return None

    # -- one look at a run ------------------------------------------------------------------------------------

    def _step(self, active: _Active, waiting: list[SliceRecord]) -> bool:
        """Poll a run and act on its state; return whether it needs no more polls."""
        record = active.record
        try:
            run = read_run(self.api, record.run_id)
            if run.status == "Completed" and (run.files or not run.records_completed):
                return self._collect(active, run)
        except ApiError as exc:
            if not _gone(exc):
                raise
            if "progress" in exc.detail:
                return False  # complete, but its files are not listed everywhere yet
            # The run, or its files, are no longer kept.
            self._restart(record, f"PostHog no longer has the run ({exc.detail or exc})", waiting)
            return True
        if run.status not in FAILED:
            return False
        self._failed(record, run, waiting)
        return True

    def _failed(self, record: SliceRecord, run: Run, waiting: list[SliceRecord]) -> None:
        reason = f"{run.status}: {run.error}" if run.error else run.status
        what = f"PostHog's export of {_span(record)}"
        if run.status == "TimedOut" and record.end - record.start > SHORTEST:
            first, second = halves(record.slice)
            forgotten = record.forget_run()
            parts = [replace(forgotten, start=half.start, end=half.end) for half in (first, second)]
            self.journal.put(*parts)
            waiting[:0] = parts
        elif run.status in ("FailedRetryable", "Terminated", "TimedOut"):
            self._restart(record, reason, waiting)
        else:
            self._put(record.forget_run())
            if run.status == "FailedBilling":
                raise QuotaExceeded(
                    f"{what} was refused for billing reasons ({reason}). Check the organization's billing limit for "
                    "batch exports, then run the export again; what was fetched is kept",
                    status=200,
                    code=run.status,
                    detail=run.error or "",
                )
            if run.status == "Cancelled":
                raise ExportFailed(f"{what} was cancelled in PostHog; run the export again to start a new one")
            raise ExportFailed(f"{what} failed ({reason}); what was fetched is kept, and the next export resumes")

    def _restart(self, record: SliceRecord, reason: str, waiting: list[SliceRecord]) -> None:
        record = self._put(record.forget_run())
        starts = self._starts[record.slice] = self._starts.get(record.slice, 1) + 1
        if starts > MAX_STARTS:
            raise ExportFailed(
                f"PostHog's export of {_span(record)} ended {MAX_STARTS} times without its rows (the last time: "
                f"{reason}); what was fetched is kept, and the next export resumes"
            )
        waiting.insert(0, record)

    def _wait(self, pause: float, active: Sequence[_Active]) -> None:
        self.sleep(pause)
        for run in active:
            run.waited_s += pause
            if run.waited_s > MAX_WAIT_S:
                raise ExportFailed(
                    f"PostHog has been working on {_span(run.record)} for {MAX_WAIT_S / 3600:.0f} h; run the export "
                    "again later, it looks at the same run again"
                )

    # -- downloading ------------------------------------------------------------------------------------------

    def _collect(self, active: _Active, run: Run) -> bool:
        """Download the parts that are not there yet; return whether the slice is complete."""
        record, parts = active.record, run.files or ()
        expected = run.records_completed
        if expected is None:
            raise ExportFailed(
                f"PostHog does not say how many rows its export of {_span(record)} has, so that nothing proves it is "
                "complete; export it with --via query"
            )
        record = replace(record, files=tuple(file for file in record.files if file.part in parts))
        had = {file.part for file in record.files}
        for number, part in enumerate(parts):
            if part not in had:
                file = self._download(record, part, file_name(record, number, self.journal.ledger.order.suffix))
                record = self._put(replace(record, files=(*record.files, file)))
        rows = sum(file.rows for file in record.files)
        if rows == expected:
            self._put(replace(record, done=True, rows=rows))
            return True
        active.record = self._put(replace(record, files=()))
        if active.recounted:
            raise ExportFailed(
                f"PostHog exported {expected:,} rows of {_span(record)}, and its files hold {rows:,}, also when "
                "downloaded again. Run the export again, or use --via query"
            )
        active.recounted = True
        return False

    def _download(self, record: SliceRecord, part: str, name: str) -> ExportedFile:
        # Named after the part, so that a later run never goes on with the file of an earlier one.
        partial = self.journal.partial / f"{record.run_id}-{part}.part"
        broken = 0
        while True:
            before = _size(partial)
            try:
                self.fetch(download_url(self.api, record.run_id, part), partial)
                file = keep(self.journal, partial, name, part=part)
            except (ConnectionFailed, ExportFailed) as exc:
                # The address may have expired: a new one is asked for each time.
                broken = 0 if _size(partial) > before else broken + 1
                if broken == MAX_BROKEN:
                    raise ExportFailed(
                        f"a file of {_span(record)} could not be downloaded: {exc}. What was fetched is kept, and the "
                        "next export resumes"
                    ) from exc
                self.sleep(PAUSES_S[min(broken, len(PAUSES_S) - 1)])
            else:
                version_path(partial).unlink(missing_ok=True)
                return file

    def _put(self, record: SliceRecord) -> SliceRecord:
        self.journal.put(record)
        return record


def _unavailable(exc: ApiError | ConnectionFailed) -> bool:
    """Whether a refusal to start a run means that there are no file downloads here, for this key at least."""
    if isinstance(exc, AuthenticationFailed | NoProjectAccess | ConnectionFailed):
        return False
    return exc.status in (403, 404, 405, 501)


def _pauses() -> Iterator[float]:
    yield from PAUSES_S
    while True:
        yield PAUSES_S[-1]


def _gone(exc: ApiError) -> bool:
    """Whether the answer is about this run alone, and a new run can help."""
    if isinstance(exc, NotAuthorised | RateLimited | QuotaExceeded | ServerFailed):
        return False
    return isinstance(exc, NotFound) or exc.status in (400, 410)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _span(record: SliceRecord) -> str:
    return f"{record.start:%Y-%m-%d %H:%M} to {record.end:%Y-%m-%d %H:%M} UTC"
