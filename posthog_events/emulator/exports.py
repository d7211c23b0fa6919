"""`file_download_batch_exports/`: runs that export a week at most, and their files behind presigned addresses.

A run's state follows from the clock; its files are written when it is first seen completed. Source: reference 7.1;
PostHog/posthog:products/batch_exports/backend/api/file_download.py (2026).
"""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response

from posthog_events.emulator.capture import settle
from posthog_events.emulator.endpoint import Call, Refusal, api_route, reply
from posthog_events.emulator.export_files import count_rows, export_frame, hogql_frame, write_parts
from posthog_events.emulator.export_requests import ExportRequest, check_hogql, read_request
from posthog_events.emulator.listing import invalid, not_found, numbered_page
from posthog_events.emulator.storage import ROOT_ROUTES, presign
from posthog_events.errors import PostHogEventsError

if TYPE_CHECKING:
    from posthog_events.emulator.world import Project, World

__all__ = ["ROOT_ROUTES", "ROUTES", "ExportRun", "ExportsState"]

ACTIVE = ("Starting", "Running")
ERRORS = {
    "Failed": "The export failed.",
    "FailedRetryable": "The export failed, and may work when it is tried again.",
    "FailedBilling": "The organisation is over its billing limit.",
    "Terminated": "The export was terminated.",
    "TimedOut": "The export took too long.",
}


@dataclass(slots=True)
class ExportRun:
    """One run.

    Args:
        outcome: The status it ends with, unless it is cancelled.
        files: File id to path, in order; None until they are written.
    """

    id: str
    request: ExportRequest
    created: datetime
    outcome: str = "Completed"
    error: str | None = None
    records: int = 0
    files: dict[str, Path] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class ExportsState:
    """What `project.state["exports"]` holds; the knobs come first.

    Args:
        starting_s: How long a run is Starting.
        running_s: How long it is Running after that.
        listing_s: How long its files need to appear after it has completed; it shows as Running until then.
        outcomes: How the next runs end, the first one first; `Completed` when there are none left.
        duplicate_share: Share of the rows that come twice.
        bytes_per_mb: What `max_size_mb` counts in; small in tests, so that few rows make many parts.
        max_active: Runs at a time; PostHog has this as a setting whose value is not known.
        hogql: Whether the hogql model is enabled.
    """

    starting_s: float = 0.0
    running_s: float = 0.0
    listing_s: float = 0.0
    outcomes: list[str] = field(default_factory=list)
    duplicate_share: float = 0.0
    bytes_per_mb: int = 1024 * 1024
    max_active: int = 10
    hogql: bool = False
    runs: dict[str, ExportRun] = field(default_factory=dict)


def state_of(project: Project) -> ExportsState:
    """Return the exports of a project."""
    state: ExportsState = project.state.setdefault("exports", ExportsState())
    return state


def create(call: Call) -> Response:
    """Answer `POST file_download_batch_exports/`."""
    state = state_of(call.project)
    request = read_request(call.body, now=call.world.now(), hogql=state.hogql)
    with call.world.lock:
        if sum(_status(call.world, state, run) in ACTIVE for run in state.runs.values()) >= state.max_active:
            detail = "Too many concurrent file download batch exports for this team."
            raise Refusal(429, "throttled_error", "too_many_concurrent_file_downloads", detail)
        outcome = state.outcomes.pop(0) if state.outcomes else "Completed"
        run = ExportRun(str(uuid.uuid4()), request, call.world.now(), outcome, ERRORS.get(outcome))
        state.runs[run.id] = run
    return reply({"id": run.id}, status=202)


def list_runs(call: Call) -> Response:
    """Answer `GET file_download_batch_exports/`, newest first."""
    state = state_of(call.project)
    runs = [{"id": run.id, "status": _status(call.world, state, run)} for run in reversed(state.runs.values())]
    return numbered_page(call.world, call.request, runs, total=True)


def retrieve(call: Call) -> Response:
    """Answer `GET file_download_batch_exports/{id}/`."""
    state, run = state_of(call.project), _run(call)
    status = _status(call.world, state, run)
    if status != "Completed":
        return reply({"status": status} | ({"error": run.error} if run.error and status not in ACTIVE else {}))
    files = _files(call, state, run)
    if run.outcome != "Completed":  # writing the files is where an export fails
        return reply({"status": run.outcome, "error": run.error})
    listed = _ended(state, run) + timedelta(seconds=state.listing_s)
    if run.records and call.world.now() < listed:
        return reply({"status": "Running"})
    return reply({"status": "Completed", "files": list(files), "records_completed": run.records})


def download(call: Call) -> Response:
    """Answer `GET file_download_batch_exports/{id}/download/[{part}/]` with a redirect to the storage."""
    state, run = state_of(call.project), _run(call)
    status = _status(call.world, state, run)
    files = _files(call, state, run) if status == "Completed" else {}
    status = run.outcome if status == "Completed" else status
    if status in ACTIVE:
        raise invalid("Batch export run is still in progress")
    if status == "Cancelled":
        raise invalid("Batch export run was cancelled")
    if status != "Completed":
        raise invalid("Batch export run has failed")
    path = _part(files, call.params.get("part"))
    return Response(status_code=302, headers={"Location": presign(call.world, path), "Cache-Control": "no-store"})


def cancel(call: Call) -> Response:
    """Answer `POST file_download_batch_exports/{id}/cancel/`."""
    state, run = state_of(call.project), _run(call)
    with call.world.lock:
        status = _status(call.world, state, run)
        if status not in ACTIVE:
            raise invalid(f"Cannot cancel a run that is in '{status}' status")
        run.outcome = "Cancelled"
    return reply({"status": "Cancelled"})


def count(call: Call) -> Response:
    """Answer `POST file_download_batch_exports/count_rows/`, for the hogql model only."""
    body = call.body if isinstance(call.body, dict) else {}
    if body.get("model") != "hogql":
        raise invalid(f'"{body.get("model")}" is not a valid choice.', attr="model", code="invalid_choice")
    hogql = check_hogql(body, enabled=state_of(call.project).hogql)
    settle(call.world, call.project)
    try:
        return reply({"count": count_rows(call.project, hogql)})
    except PostHogEventsError as exc:
        raise invalid(str(exc)) from exc


def _run(call: Call) -> ExportRun:
    run = state_of(call.project).runs.get(call.params["id"])
    if run is None:
        raise not_found()
    return run


def _status(world: World, state: ExportsState, run: ExportRun) -> str:
    now = world.now()
    if run.outcome != "Cancelled":
        if now < run.created + timedelta(seconds=state.starting_s):
            return "Starting"
        if now < _ended(state, run):
            return "Running"
    return run.outcome


def _ended(state: ExportsState, run: ExportRun) -> datetime:
    return run.created + timedelta(seconds=state.starting_s + state.running_s)


def _files(call: Call, state: ExportsState, run: ExportRun) -> dict[str, Path]:
    """Return the files of a completed run, writing them when nobody did; on an error the run has failed."""
    with run.lock:
        if run.files is None:
            settle(call.world, call.project)
            try:
                _write(call, state, run)
            except (PostHogEventsError, ImportError) as exc:
                run.files, run.outcome, run.error = {}, "Failed", str(exc)
        return run.files or {}


def _write(call: Call, state: ExportsState, run: ExportRun) -> None:
    request = run.request
    if request.hogql is not None:
        frame = hogql_frame(call.project, request.hogql)
    else:
        frame = export_frame(
            call.project,
            request.model,
            start=request.start,
            end=request.end,
            include=request.include,
            exclude=request.exclude,
            duplicate_share=state.duplicate_share,
        )
    directory = call.world.scratch / "storage" / f"{call.project.id}" / run.id
    stem = f"{request.start:%Y%m%dT%H%M%S}-{request.end:%Y%m%dT%H%M%S}"
    paths = write_parts(frame, directory, stem, request.form(state.bytes_per_mb))
    run.files, run.records = {str(uuid.uuid4()): path for path in paths}, frame.height


def _part(files: dict[str, Path], part: str | None) -> Path:
    try:
        known = files.get(str(uuid.UUID(part or "")))
    except ValueError:
        try:
            index = int(part or "0")
        except ValueError:
            raise invalid(f"Invalid file id or index: '{part}'") from None
        if not 0 <= index < len(files):
            raise not_found(f"No files with index {index}") from None
        return list(files.values())[index]
    if known is None:
        raise not_found()
    return known


_BASE = "file_download_batch_exports/"
ROUTES = (
    api_route(_BASE, create, methods=("POST",), scope="batch_export:write"),
    api_route(_BASE, list_runs, scope="batch_export:read"),
    api_route(f"{_BASE}count_rows/", count, methods=("POST",), scope="batch_export:write"),
    api_route(f"{_BASE}{{id}}/", retrieve, scope="batch_export:read"),
    api_route(f"{_BASE}{{id}}/download/", download, scope="batch_export:read"),
    api_route(f"{_BASE}{{id}}/download/{{part}}/", download, scope="batch_export:read"),
    api_route(f"{_BASE}{{id}}/cancel/", cancel, methods=("POST",), scope="batch_export:write"),
)
