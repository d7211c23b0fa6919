"""Sending events to a project, with what PostHog drops without a word refused before anything is sent.

Capture answers 200 as soon as a body parses. Events without a name or a distinct id, too large, or over the plan's
quota are gone then, and one from the far future gets another time. So every event is checked, all that would be lost
are named in one error, and each gets a uuid: sending again does no harm, and `find_missing` can read back what arrived.

Source: reference 8; the limits in its [docs] and [field] notes.
"""

from __future__ import annotations

import time
import uuid as uuidlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from posthog_events.clock import utc_now
from posthog_events.errors import ConfigError, Fault, ParameterError, QuotaExceeded
from posthog_events.result import Query

if TYPE_CHECKING:
    from posthog_events.posthog.http import Reply
    from posthog_events.result import QueryResult

__all__ = ["Sent", "capture", "find_missing", "prepare", "send_batch"]

MAX_EVENT_BYTES: Final = 1_000_000
"""A larger event is dropped ("around 1 MB")."""

MAX_BODY_BYTES: Final = 20_000_000
"""A larger body is refused."""

MAX_AHEAD: Final = timedelta(hours=23)
"""An event further in the future gets the time of its arrival. Source: PostHog/posthog:plugin-server, timestamps.ts."""

READ_BACK_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between looks while events are ingested; the last one repeats."""

UUIDS_PER_QUERY: Final = 500

Post = Callable[[str, bytes], "Reply"]
"""Sends a body to a path of the capture origin, without a personal key, and returns a successful reply."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What went out: the events' uuids in order, and in how many bodies."""

    uuids: tuple[str, ...]
    bodies: int
    size_bytes: int


class _Answer(msgspec.Struct):
    quota_limited: list[str] = []


def prepare(
    events: Iterable[Mapping[str, Any]],
    *,
    now: Callable[[], datetime] = utc_now,
    new_uuid: Callable[[], uuidlib.UUID] = uuidlib.uuid4,
) -> tuple[dict[str, Any], ...]:
    """Return the events ready to send, each with a uuid and a timestamp as text; keep them to send them again.

    Args:
        events: `{"event", "distinct_id", "properties"?, "timestamp"?, "uuid"?}`; a timestamp is aware, or ISO 8601 text
            with an offset, and by default now.

    Raises:
        ParameterError: Lists each event that PostHog would drop or change, by its position from 0.
    """
    arrival = now()
    faults: list[Fault] = []
    ready: list[dict[str, Any]] = []
    seen: set[str] = set()
    for index, event in enumerate(events):
        given = {"uuid": str(new_uuid()), "timestamp": arrival, "properties": {}} | dict(event)
        reasons = list(_reasons(given, arrival))
        if str(given["uuid"]).lower() in seen:
            reasons.append("its uuid is that of an earlier event, so that one of them would be dropped")
        seen.add(str(given["uuid"]).lower())
        faults += [Fault(f"event {index}: {reason}") for reason in reasons]
        ready.append(given)
    if faults:
        raise ParameterError(faults)
    return tuple(ready)


def _reasons(event: dict[str, Any], arrival: datetime) -> Iterator[str]:
    """Yield why PostHog would drop or change `event`, and make its uuid and timestamp text."""
    name, properties = event.get("event"), event["properties"]
    if not isinstance(name, str) or not name.strip():
        yield "it has no name ('event')"
    if not isinstance(properties, Mapping):
        yield "its properties are not an object"
        properties = {}
    distinct_id = event.get("distinct_id") or properties.get("distinct_id")
    if not isinstance(distinct_id, str) or not distinct_id.strip():
        yield "it has no distinct_id, or one that is not text"
    try:
        event["uuid"] = str(uuidlib.UUID(str(event["uuid"])))
    except ValueError:
        yield "its uuid is not one"
    at = event["timestamp"]
    try:
        at = datetime.fromisoformat(at) if isinstance(at, str) else at
        if not isinstance(at, datetime) or at.tzinfo is None:
            yield "its timestamp is not a date and time with an offset"
        elif at > arrival + MAX_AHEAD:
            yield f"its timestamp is more than {MAX_AHEAD // timedelta(hours=1)} hours ahead, and would be replaced"
        else:
            event["timestamp"] = at.astimezone(UTC).isoformat(timespec="microseconds")
    except ValueError:
        yield "its timestamp is not a date and time with an offset"
    try:
        size = len(msgspec.json.encode(event))
    except (TypeError, ValueError):
        yield "it holds a value that JSON cannot"
    else:
        if size > MAX_EVENT_BYTES:
            yield f"it has {size:,} bytes; PostHog drops events above about {MAX_EVENT_BYTES:,}"


def send_batch(
    events: Iterable[Mapping[str, Any]],
    *,
    token: str,
    post: Post,
    historical: bool = False,
    max_body_bytes: int = MAX_BODY_BYTES,
    now: Callable[[], datetime] = utc_now,
) -> Sent:
    """Send events in as few bodies as the size limit allows.

    Args:
        events: As `prepare` takes or returns them. Those that `prepare` returned can be sent again after a failure:
            PostHog keeps one event per uuid, timestamp, name and distinct id.
        token: The project's `phc_` token; it travels in the body, as PostHog wants it.
        historical: Marks a backfill, which must not hold up live events.

    Raises:
        ParameterError: PostHog would drop some of the events; nothing was sent.
        ConfigError: `token` is a personal or secret key, which must not be sent here.
        QuotaExceeded: PostHog took the body and drops the events.
        ConnectionFailed, ApiError: From `post`.
    """
    _check_token(token)
    ready = prepare(events, now=now)
    head = msgspec.json.encode({"api_key": token, "historical_migration": historical})[:-1] + b',"batch":['
    bodies = list(_bodies([msgspec.json.encode(event) for event in ready], max_body_bytes - len(head) - 2))
    for body in bodies:
        _check_quota(post("/batch/", head + body + b"]}"))
    return Sent(tuple(event["uuid"] for event in ready), len(bodies), sum(map(len, bodies)))


def capture(
    event: str,
    distinct_id: str,
    properties: Mapping[str, Any] | None = None,
    *,
    token: str,
    post: Post,
    timestamp: datetime | None = None,
    now: Callable[[], datetime] = utc_now,
) -> str:
    """Send one event and return its uuid.

    Raises:
        ParameterError: PostHog would drop the event.
        ConfigError, QuotaExceeded, ConnectionFailed, ApiError: As `send_batch`.
    """
    _check_token(token)
    given = {"event": event, "distinct_id": distinct_id, "properties": dict(properties or {})}
    (ready,) = prepare([given if timestamp is None else given | {"timestamp": timestamp}], now=now)
    _check_quota(post("/i/v0/e/", msgspec.json.encode({"api_key": token} | ready)))
    return str(ready["uuid"])


def _check_token(token: str) -> None:
    if not token.startswith("phc_"):
        raise ConfigError("capture takes the project token, which begins with phc_; a personal key is never sent there")


def _check_quota(reply: Reply) -> None:
    if reply.body and (limited := reply.decode(_Answer).quota_limited):
        raise QuotaExceeded(
            f"PostHog took the events and drops them: the plan's quota for {', '.join(limited)} is used up",
            status=reply.status,
            code="quota_limited",
        )


def _bodies(encoded: Sequence[bytes], room: int) -> Iterator[bytes]:
    """Yield the events joined by commas, each time as many as fit in `room` bytes."""
    batch: list[bytes] = []
    size = 0
    for event in encoded:
        if batch and size + len(event) + 1 > room:
            yield b",".join(batch)
            batch, size = [], 0
        batch.append(event)
        size += len(event) + 1
    if batch:
        yield b",".join(batch)


def find_missing(
    run: Callable[[Query], QueryResult],
    uuids: Sequence[str],
    *,
    since: datetime,
    wait_s: float = 300.0,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[str, ...]:
    """Read sent events back until all are there or `wait_s` seconds are over; return the uuids still missing, in order.

    Args:
        since: No event sent is older; keeps PostHog from reading all of its history.
        wait_s: Ingestion takes seconds to minutes.
    """
    missing = list(uuids)
    waited, look = 0.0, 0
    while True:
        found = set[str]()
        for at in range(0, len(missing), UUIDS_PER_QUERY):
            found |= set(run(_lookup(missing[at : at + UUIDS_PER_QUERY], since, look)).frame["id"].to_list())
        missing = [uuid for uuid in missing if uuid not in found]
        pause = min(READ_BACK_S[min(look, len(READ_BACK_S) - 1)], wait_s - waited)
        if not missing or pause <= 0:
            return tuple(missing)
        sleep(pause)
        waited += pause
        look += 1


def _lookup(uuids: Sequence[str], since: datetime, look: int) -> Query:
    """Return the query for some uuids; `look` differs each time, so that no cached answer serves."""
    names = [f"u{number}" for number in range(len(uuids))]
    hogql = (
        "SELECT DISTINCT toString(uuid) AS id FROM events WHERE timestamp >= {since} AND {look} >= 0 "
        f"AND toString(uuid) IN ({', '.join(f'{{{name}}}' for name in names)}) LIMIT {len(uuids)}"
    )
    values = dict(zip(names, uuids, strict=True))
    return Query(hogql, values={**values, "since": since, "look": look}, name="read back captured events")
