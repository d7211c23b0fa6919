"""The events listing, single events and the values of a property, from PostHog's REST endpoints.

For keys and servers where HogQL is not available. PostHog has all but deprecated the listing (1,000 events a request,
1,200 requests an hour): many events come faster over HogQL or an export. How the walk keeps every event is in
`event_walk.py`; the parameters' traps are in reference 5.
"""

from __future__ import annotations

import json
import uuid as uuidlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from posthog_events.errors import BadAnswer, Fault, IncompleteExtraction, ParameterError
from posthog_events.posthog.event_walk import EventWalk, Window
from posthog_events.posthog.http import Bucket, Request

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import PolarsDataType

    from posthog_events.posthog.http import Api, Reply

__all__ = ["EventListing", "event_values", "get_event", "list_events"]

MAX_WALKS: Final = 3
"""How often the listing is walked in all, when the count says that events were added behind the walk."""


@dataclass(frozen=True, slots=True)
class EventListing:
    """Events, and what speaks for their being all of them.

    Args:
        frame: uuid, event, timestamp (UTC), distinct_id, properties (JSON text), person (JSON text, null unless asked
            for), elements_chain; oldest first, each uuid once.
        duplicates: Rows that arrived more than once and were dropped; some always do, where pages overlap.
        requests: Pages read.
        counted: What `count` said after the last page; None without it.
        verified: Whether the count and the frame agree.
        note: Why it is not verified; empty when it is.
    """

    frame: pl.DataFrame
    duplicates: int
    requests: int
    counted: int | None
    verified: bool
    note: str


class _Event(msgspec.Struct):
    id: str
    event: str
    timestamp: str
    distinct_id: str
    properties: msgspec.Raw = msgspec.Raw(b"{}")
    person: msgspec.Raw = msgspec.Raw(b"null")
    elements_chain: str | None = None


class _Page(msgspec.Struct):
    results: list[_Event]
    next: str | None = None


_Row = tuple[str, str, datetime, str, str, str | None, str]


def list_events(
    api: Api,
    *,
    after: datetime,
    before: datetime,
    event: str | None = None,
    distinct_id: str | None = None,
    person_id: str | None = None,
    action_id: int | None = None,
    properties: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
    include_person: bool = False,
    limit: int | None = None,
    count: Callable[[], int] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> EventListing:
    """List events of the half-open window from `after` to `before`.

    Args:
        after: The first instant that belongs to it, aware; `before`: the first that no longer does.
        properties: PostHog's property filters: a list of `{"key", "value", "operator", "type"}`, or a group.
        limit: Stop after this many events, the oldest ones; the listing is then not verified.
        count: Counts the different uuids that the same window and filters select; asked after the last page, so that
            events added meanwhile show.
        on_progress: Called after each page with the number of events so far.

    Raises:
        ParameterError: The window is empty or without a time zone, or `limit` is not positive.
        IncompleteExtraction: The count and the events differ, or many events share one microsecond.
        ApiError, ConnectionFailed, BadAnswer: As `Api.send`.
    """
    _check(after, before, limit)
    filters = {
        "event": event,
        "distinct_id": distinct_id,
        "person_id": person_id,
        "action_id": None if action_id is None else str(action_id),
        "properties": None if properties is None else json.dumps(properties),
        "include_person": "true" if include_person else None,
    }
    params = {name: value for name, value in filters.items() if value is not None}
    rows: dict[str, _Row] = {}
    requests = duplicates = 0
    for _ in range(MAX_WALKS):
        walk = EventWalk(after.astimezone(UTC), before.astimezone(UTC))
        while (window := walk.window) is not None and (limit is None or len(rows) < limit):
            requests += 1
            for row in _page(api, window, params, walk):
                rows.setdefault(row[0], row)
            if on_progress is not None:
                on_progress(len(rows))
        duplicates += walk.duplicates
        stopped = limit is not None and len(rows) >= limit
        counted = None if count is None or stopped else count()
        if counted is None or counted == len(rows):
            break
    else:
        raise IncompleteExtraction(
            f"events/: {len(rows):,} events arrived where {counted:,} were counted, after {MAX_WALKS} walks. Events "
            "may still be arriving: end the window a few minutes earlier, or run it again."
        )
    ordered = sorted(rows.values(), key=lambda row: row[2])[:limit]
    note = ""
    if stopped:
        note = f"stopped at the limit of {limit:,} events; there may be more"
    elif counted is None:
        note = "PostHog's listing has no count, and none was taken elsewhere"
    return EventListing(_frame(ordered), duplicates, requests, counted, not note, note)


def get_event(api: Api, uuid: str, *, include_person: bool = True) -> pl.DataFrame:
    """Return one event as a frame of one row, with the columns of `EventListing.frame`.

    Raises:
        ParameterError: `uuid` is not one.
        NotFound: There is no such event.
    """
    try:
        name = str(uuidlib.UUID(uuid))
    except ValueError as exc:
        raise ParameterError([Fault(f"{uuid!r} is not a UUID")]) from exc
    params = {"include_person": "true"} if include_person else {}
    reply = api.send(Request("GET", f"events/{name}/", params, bucket=Bucket.CLICKHOUSE))
    return _frame([_row(reply.decode(_Event), reply)])


def event_values(api: Api, key: str, event_name: str, *, value: str | None = None) -> pl.DataFrame:
    """Return values that a property of an event had lately, in a frame with the column `name`.

    Args:
        event_name: Required by PostHog from personal keys.
        value: Only values that contain this.
    """
    import polars as pl

    params = {"key": key, "event_name": event_name} | ({} if value is None else {"value": value})
    reply = api.send(Request("GET", "events/values/", params, bucket=Bucket.VALUES))
    found = reply.decode(_Values)
    names = [entry.name for entry in (found.results if isinstance(found, _WrappedValues) else found)]
    return pl.DataFrame(
        {"name": [n if isinstance(n, str) else json.dumps(n) for n in names]}, schema={"name": pl.String}
    )


class _Value(msgspec.Struct):
    name: str | int | float | bool | None


class _WrappedValues(msgspec.Struct):
    results: list[_Value]


_Values: TypeAlias = list[_Value] | _WrappedValues
"""A bare list in older servers; newer ones wrap it, to tell whether it is being refreshed."""


def _check(after: datetime, before: datetime, limit: int | None) -> None:
    faults = []
    if after.tzinfo is None or before.tzinfo is None:
        faults.append(Fault("after and before need a time zone, for example UTC"))
    elif after >= before:
        faults.append(Fault(f"the window is empty: {after.isoformat()} is not before {before.isoformat()}"))
    if limit is not None and limit < 1:
        faults.append(Fault(f"limit is {limit}; it must be at least 1"))
    if faults:
        raise ParameterError(faults)


def _page(api: Api, window: Window, filters: Mapping[str, str], walk: EventWalk) -> list[_Row]:
    """Send one request of the walk and return the rows not seen before."""
    params = dict(filters) | {
        "after": window.after.isoformat(timespec="microseconds"),
        "before": window.before.isoformat(timespec="microseconds"),
        # a JSON array; anything but exactly ["-timestamp"] sorts ascending
        "orderBy": '["timestamp"]',
        "limit": str(window.rows),
    }
    if window.offset:
        params["offset"] = str(window.offset)
    reply = api.send(Request("GET", "events/", params, bucket=Bucket.CLICKHOUSE))
    page = reply.decode(_Page)
    rows = [_row(event, reply) for event in page.results]
    fresh = walk.feed([(row[0], row[2]) for row in rows], more=page.next is not None)
    return [rows[position] for position in fresh]


def _row(event: _Event, reply: Reply) -> _Row:
    try:
        at = datetime.fromisoformat(event.timestamp).astimezone(UTC)
        properties, person = bytes(event.properties).decode(), bytes(event.person).decode()
    except ValueError as exc:
        raise BadAnswer(f"{reply.source}: event {event.id} has a timestamp or text that cannot be read") from exc
    person_text = None if person == "null" else person
    return event.id, event.event, at, event.distinct_id, properties, person_text, event.elements_chain or ""


def _frame(rows: Sequence[_Row]) -> pl.DataFrame:
    import polars as pl

    schema: dict[str, PolarsDataType] = {
        "uuid": pl.String,
        "event": pl.String,
        "timestamp": pl.Datetime("us", "UTC"),
        "distinct_id": pl.String,
        "properties": pl.String,
        "person": pl.String,
        "elements_chain": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
