"""Capture: events are taken with a 200, and what PostHog drops is dropped here too, without a word.

What is kept becomes visible when `Limits.ingestion_lag_s` has passed: `settle` moves it into the store. An event whose
uuid the store has already is dropped there, which is how PostHog looks after ClickHouse has merged its duplicates. What
becomes visible fires destinations, duplicates included: PostHog does not look for those.

Source: reference 8; PostHog/posthog:rust/capture for limits and answers.
"""

from __future__ import annotations

import gzip
import itertools
import json
import threading
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from posthog_events.clickhouse.store import EventStore
from posthog_events.emulator.endpoint import Refusal, reply
from posthog_events.emulator.firing import fire, fires, worker_of
from posthog_events.emulator.ingestion import People, load_people
from posthog_events.emulator.listing import is_uuid, rooted

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from posthog_events.emulator.world import Project, World

__all__ = ["ROOT_ROUTES", "CaptureState", "settle"]

BODY_BYTES = 20 * 1024 * 1024
EVENT_BYTES = 1024 * 1024
NAME_CHARS = 200
FUTURE = timedelta(hours=23)
"""An event further ahead gets the time of its arrival."""


@dataclass(slots=True)
class CaptureState:
    """What `project.state["capture"]` holds.

    Args:
        quota_limited: The plan's events are spent: everything is dropped, and the answer says so.
        pending: Of what is not visible yet, in order of arrival: when it came, the row, and whether there were
            destinations then.
        dropped: How many events were dropped; for tests, since no answer tells.
    """

    quota_limited: bool = False
    pending: list[tuple[datetime, dict[str, Any], bool]] = field(default_factory=list)
    people: People = field(default_factory=People)
    dropped: int = 0
    batches: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def capture(request: Request, world: World, body: bytes) -> Response:
    """Take one event, a list of events or a batch."""
    payload = _payload(request, body)
    project = _project(world, payload)
    state = state_of(project)
    events = _events(payload)
    if state.quota_limited:
        return reply({"status": "Ok", "quota_limited": ["events"]})
    if project.store is None:
        raise Refusal(503, "server_error", "error", "The events of this project are simulated; it takes none.")
    arrival = world.now()
    shared = payload if isinstance(payload, dict) else {}
    rows = [row for event in events if (row := _row(event, shared, arrival)) is not None]
    awaited = fires(project)
    with world.lock:
        state.pending += [(arrival, row, awaited) for row in rows]
        state.dropped += len(events) - len(rows)
    if rows and awaited:
        worker_of(world, project).put(lambda: settle(world, project), after_s=world.limits.ingestion_lag_s)
    return reply({"status": "Ok"})


def state_of(project: Project) -> CaptureState:
    """Return the capture state of a project."""
    state: CaptureState = project.state.setdefault("capture", CaptureState())
    return state


def settle(world: World, project: Project) -> None:
    """Make visible what has been captured long enough ago; does nothing, quickly, when there is nothing."""
    state: CaptureState | None = project.state.get("capture")
    if state is None or not state.pending or project.store is None:
        return
    with state.lock:
        deadline = world.now() - timedelta(seconds=world.limits.ingestion_lag_s)
        with world.lock:
            due = list(itertools.takewhile(lambda item: item[0] <= deadline, state.pending))
        if not due:
            return
        load_people(state.people, project, [row for _, row, _ in due])
        rows = [state.people.ingest(row) for _, row, _ in due]
        state.batches += 1
        path = world.scratch / f"captured-{project.id}-{state.batches}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        # the world's clock, so that an event of its present is not one of our future
        EventStore(project.store.path, now=world.now).import_events([path], max_rejected=len(due))
        path.unlink()
        try:
            fire(world, project, [row for row, (_, _, awaited) in zip(rows, due, strict=True) if awaited])
        finally:
            # only now: who waits for deliveries must not find everything settled while some are still to come
            with world.lock:
                del state.pending[: len(due)]


def _payload(request: Request, body: bytes) -> Any:
    try:
        if body[:2] == b"\x1f\x8b":
            body = b"".join(_unzipped(body))
        return json.loads(body)
    except (ValueError, OSError, EOFError, zlib.error) as exc:
        detail = f"Malformed request data: {exc}"
        raise Refusal(400, "validation_error", "invalid_payload", detail) from exc


def _unzipped(body: bytes) -> Iterator[bytes]:
    import io

    total = 0
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
        while chunk := stream.read(1 << 20):
            total += len(chunk)
            if total > BODY_BYTES:
                raise _too_large()
            yield chunk


def _too_large() -> Refusal:
    return Refusal(413, "validation_error", "request_too_large", f"request body exceeds {BODY_BYTES} bytes")


def _project(world: World, payload: Any) -> Project:
    first = payload[0] if isinstance(payload, list) and payload else payload
    token = None
    if isinstance(first, dict):
        properties = first.get("properties")
        inside = properties.get("token") if isinstance(properties, dict) else None
        token = first.get("api_key") or first.get("token") or inside
    if not token:
        detail = "API key not provided. You can find your project API key in your PostHog project settings."
        raise Refusal(401, "authentication_error", "missing_api_key", detail)
    for project in world.projects.values():
        if project.token == token:
            return project
    detail = "Project API key invalid. You can find your project API key in your PostHog project settings."
    raise Refusal(401, "authentication_error", "invalid_api_key", detail)


def _events(payload: Any) -> list[Any]:
    events = payload.get("batch", [payload]) if isinstance(payload, dict) else payload
    if not isinstance(events, list):
        raise Refusal(400, "validation_error", "invalid_payload", "Malformed request data: batch is not a list")
    if not events:
        raise Refusal(400, "validation_error", "invalid_payload", "request holds no event")
    for event in events:
        given = event.get("uuid") if isinstance(event, dict) else None
        if given and not is_uuid(given):
            detail = "Malformed request data: uuid of an event cannot be parsed"
            raise Refusal(400, "validation_error", "invalid_payload", detail)
    return events


def _row(event: Any, shared: Mapping[str, Any], arrival: datetime) -> dict[str, Any] | None:
    """Return the row to store; None for what is dropped silently."""
    if not isinstance(event, dict) or len(json.dumps(event)) > EVENT_BYTES:
        return None
    given = event.get("properties")
    properties = dict(given) if isinstance(given, dict) else {}
    name = event.get("event")
    user = event.get("distinct_id", properties.get("distinct_id"))
    user = user if isinstance(user, str) else "" if user is None else json.dumps(user)
    if not isinstance(name, str) or not name or not user.strip("\x00 "):
        return None
    for key in ("$set", "$set_once"):
        if isinstance(event.get(key), dict):
            properties.setdefault(key, event[key])
    return {
        "uuid": str(uuid.UUID(event["uuid"])) if event.get("uuid") else str(uuid.uuid4()),
        "event": name[:NAME_CHARS],
        "distinct_id": user[:NAME_CHARS],
        "timestamp": _timestamp(event, shared, arrival).isoformat(),
        "created_at": arrival.astimezone(UTC).isoformat(),
        "properties": {key: value for key, value in properties.items() if key not in ("token", "distinct_id")},
    }


def _timestamp(event: Mapping[str, Any], shared: Mapping[str, Any], arrival: datetime) -> datetime:
    """Return when it happened: as said, corrected by how wrong the sender's clock is, and not far in the future."""
    said = _parsed(event.get("timestamp"))
    if said is None:
        return arrival
    sent = _parsed(event.get("sent_at") or shared.get("sent_at"))
    moment = arrival - (sent - said) if sent is not None else said
    return arrival if moment > arrival + FUTURE else moment.astimezone(UTC)


def _parsed(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _take(request: Request) -> Response:
    """Read the body without ever holding more than its limit, then take it in a worker thread."""
    from starlette.concurrency import run_in_threadpool

    chunks, total = [], 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > BODY_BYTES:
            refusal = _too_large()
            return reply(refusal.body, status=refusal.status)
        chunks.append(chunk)
    handler = rooted(lambda asked, world: capture(asked, world, b"".join(chunks)))
    return await run_in_threadpool(handler, request)


ROOT_ROUTES = tuple(
    Route(path + slash, _take, methods=["POST"])
    for path in ("/i/v0/e", "/capture", "/e", "/batch")
    for slash in ("/", "")
)
