"""What a destination should have delivered, compared with what arrived; and the difference made up for.

PostHog tries a delivery three times within about five seconds, and then it is gone (reference 6). The events are still
there: those that the filters let through, whose inputs can be made, and that masking did not hold back, should be in
the inbox. What is missing is rendered as PostHog would have sent it, and goes through the same handlers. The inbox
knows an event of a destination again, so that nothing is handled twice, however often this is done, and also when
PostHog delivers it after all.

An event counts by its own time. One that was captured late, with an older time, is found by a later run over that time.
Where `once_per` holds events back, what arrived tells which of them PostHog chose; only where nothing arrived is it
worked out from the events.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from posthog_events.clock import utc_now
from posthog_events.destinations.model import Destination
from posthog_events.destinations.simulate import EngineEvents
from posthog_events.destinations.surroundings import Surroundings
from posthog_events.errors import ConfigError, DeliveryRejected, HogError
from posthog_events.receiver.course import Course
from posthog_events.receiver.inbox import DEDUP_FOR, Entry, Inbox
from posthog_events.receiver.payload import ReceivedEvent, parse_payload
from posthog_events.receiver.routing import Subscription, route
from posthog_events.receiver.shape import DEFAULT, Shape
from posthog_events.result import Engine

if TYPE_CHECKING:
    from posthog_events.posthog.http import Api

__all__ = ["GRACE_S", "REPLAYED", "Gap", "Missing", "Replay", "Replayer", "reconcile", "replay", "rerun"]

GRACE_S: Final = 300.0
"""Seconds in which a delivery may still be under way: from capture to the events table, and three attempts."""

REPLAYED: Final = "posthog-events reconcile"
"""The `user-agent` under which a replayed delivery is kept, by which a handler can tell it."""

CLOCK_SKEW: Final = timedelta(days=2)
"""How far the time of an event may be ahead of its arrival; PostHog moves times further in the future."""

EXPLAINED_FOR: Final = timedelta(days=30)
"""How long before its arrival an event may have happened, to be no surprise."""

AT_ONCE: Final = 500
"""Events that are fetched, and added to the inbox, together."""

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Missing:
    """An event that should have been delivered, and is not in the inbox.

    Args:
        at: When it happened.
    """

    uuid: str
    event: str
    distinct_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """What was expected, and what arrived.

    Args:
        destination: The declaration.
        received_as: The name under which the receiver keeps its deliveries.
        since: First moment of the range.
        until: First moment after it, with the grace period taken off.
        expected: Events of the range that should have been delivered.
        missing: Those that are not in the inbox, in order of time.
        unexpected: Events that arrived in the range though nothing of the range should have brought them: of a filter
            that has changed, of another destination that is kept under the same name, or not in this engine.
        lost: Events that matched and of which PostHog made no delivery, as their inputs fail; the first few, as
            sentences.
        lost_count: How many.
    """

    destination: Destination
    received_as: str
    since: datetime
    until: datetime
    expected: int
    missing: tuple[Missing, ...]
    unexpected: tuple[str, ...]
    lost: tuple[str, ...] = ()
    lost_count: int = 0

    @property
    def arrived(self) -> int:
        """How many of the expected ones are in the inbox."""
        return self.expected - len(self.missing)

    @property
    def closed(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


class Replayer(Protocol):
    """What `replay` needs of a `Receiver`."""

    @property
    def inbox(self) -> Inbox: ...

    @property
    def subscriptions(self) -> tuple[Subscription, ...]: ...


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of missing events.

    Args:
        added: They are in the inbox now, and their handlers get them.
        known: They were in the inbox already when they were to be added.
        gone: They are no longer in the engine, or no longer match.
        refused: The receiver would have refused the delivery: the event's uuid and why.
    """

    added: tuple[Missing, ...] = ()
    known: tuple[Missing, ...] = ()
    gone: tuple[Missing, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()


def reconcile(
    destination: Destination,
    source: Engine | EngineEvents,
    inbox: Inbox,
    *,
    since: datetime,
    until: datetime | None = None,
    received_as: str | None = None,
    grace_s: float = GRACE_S,
    around: Surroundings | None = None,
    shape: Shape | None = DEFAULT,
    clock: Callable[[], datetime] = utc_now,
) -> Gap:
    """Return which events of a range should have been delivered, and were not. Nothing is changed.

    Args:
        destination: The declaration, of a webhook.
        source: PostHog, the emulator, or a local copy of the events that is up to date for the range.
        inbox: The receiver's. It must remember the range, see `DEDUP_FOR`.
        since: First moment, aware; not before the destination was enabled, or all that came before it is missing.
        until: First moment after the range; now, if it is None.
        received_as: The name of its deliveries in the inbox; by default the path of its URL, as with `webhooks serve`.
        grace_s: Events of the last so many seconds are left out, as they may be under way.
        around: Of the project: test accounts, actions, groups. None for none.
        shape: Of the receiver.
        clock: Returns an aware datetime.

    Raises:
        ConfigError: It is no webhook, its body does not carry the event's uuid, or the range is empty.
        HogError: PostHog would not accept the destination, or it cannot be evaluated here.
        QueryError, ApiError, ConnectionFailed: The events could not be read.
        InboxError: The inbox could not be read.
    """
    name = received_name(destination) if received_as is None else received_as.strip("/")
    now = clock()
    end = min(until or now, now - timedelta(seconds=grace_s))
    if since >= end:
        raise ConfigError(
            f"there is nothing to compare from {since:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC: the last "
            f"{grace_s:,.0f} s are left out, as deliveries may be under way; begin earlier"
        )
    arrived = set(inbox.event_uuids(name, since=datetime(1970, 1, 1, tzinfo=UTC), until=now + CLOCK_SKEW))
    course = Course.of(destination, source, around or Surroundings(), now=now, arrived=arrived)
    expected = 0
    missing: list[Missing] = []
    due: set[str] = set()
    for row, at in course.delivered(since, end):
        if not expected:
            _check_body(course.body(row, at), row[0], destination, shape)
        expected += 1
        due.add(row[0])
        if row[0] not in arrived:
            missing.append(Missing(row[0], row[1], row[3], at))
    lost = [one for one in course.tally.failures() if one.kind == "inputs_failed"]
    return Gap(
        destination=destination,
        received_as=name,
        since=since,
        until=end,
        expected=expected,
        missing=tuple(missing),
        unexpected=_unexpected(inbox, name, since, end, due, course),
        lost=tuple(message for one in lost for message in one.messages),
        lost_count=sum(one.count for one in lost),
    )


def replay(
    gap: Gap,
    source: Engine | EngineEvents,
    receiver: Replayer,
    *,
    around: Surroundings | None = None,
    shape: Shape | None = DEFAULT,
    remembers: timedelta = DEDUP_FOR,
    clock: Callable[[], datetime] = utc_now,
) -> Replay:
    """Render the missing deliveries as PostHog would send them, and add them to the receiver's inbox.

    Whoever runs the receiver's handlers runs them for these, too. References stand in the place of secrets.

    Args:
        source: As for `reconcile`; the events are read again, as they are now.
        receiver: Gives the handlers and the inbox.
        around: As for `reconcile`.
        shape: Of the receiver.
        remembers: How long the inbox knows a delivery again, see `DEDUP_FOR`.

    Raises:
        ConfigError: The range begins before what the inbox surely remembers; something could be handled twice.
        InboxError: The inbox could not be written; what was added before is in it, and is recognised by a second run.
        QueryError, ApiError, ConnectionFailed, HogError: As for `reconcile`.
    """
    now = clock()
    if gap.missing and gap.missing[0].at < now - remembers:
        raise ConfigError(
            f"the inbox surely knows what arrived in the last {remembers / timedelta(days=1):g} days, and the first "
            f"missing event is of {gap.missing[0].at:%Y-%m-%d %H:%M} UTC: it may have been handled; begin later"
        )
    course = Course.of(gap.destination, source, around or Surroundings(), now=now, arrived=frozenset())
    done: dict[str, list[Missing]] = {"added": [], "known": [], "gone": []}
    refused: list[tuple[str, str]] = []
    for some in _batches(gap.missing):
        entries: list[tuple[Missing, Entry]] = []
        found = {
            row[0]: (row, at)
            for row, at in course.matching([one.uuid for one in some], some[0].at, some[-1].at + _TICK)
        }
        for one in some:
            if one.uuid not in found:
                done["gone"].append(one)
                continue
            try:
                body = course.body(*found[one.uuid])
                event = parse_payload(body, shape=shape)
            except (DeliveryRejected, HogError) as error:
                refused.append((one.uuid, str(error)))
                continue
            entries.append((one, _entry(body, event, gap.received_as, receiver.subscriptions, now)))
        for (one, _), added in zip(entries, receiver.inbox.add([entry for _, entry in entries]), strict=True):
            done["known" if added.duplicate else "added"].append(one)
    return Replay(tuple(done["added"]), tuple(done["known"]), tuple(done["gone"]), tuple(refused))


def rerun(gap: Gap, api: Api, id_: str, *, now: datetime) -> str:
    """Let PostHog deliver again what failed since the first missing event, and return the id of its job.

    PostHog chooses by time and failure, not by event: what arrived after all is recognised by the inbox. Deliveries
    that succeeded, and were lost behind the receiver, are not repeated by it.

    Raises:
        ConfigError: Nothing is missing.
        ParameterError, ApiError, ConnectionFailed: As `hog_function_runs.rerun`.
    """
    from posthog_events.posthog.hog_function_runs import rerun as start

    if gap.closed:
        raise ConfigError(f"nothing of {gap.destination.key} is missing, so there is nothing to deliver again")
    return start(api, id_, since=gap.missing[0].at, until=now)


def received_name(destination: Destination) -> str:
    """Return the name under which a receiver keeps the deliveries of a destination: the path of its URL.

    Raises:
        ConfigError: It is no webhook, or its URL is not known here.
    """
    url = destination.inputs.get("url")
    if destination.kind != "webhook" or url is None:
        raise ConfigError(
            f"{destination.key} is of the kind {destination.kind}: only webhooks come to a receiver, and can be "
            "compared with its inbox"
        )
    if not isinstance(url, str) or "{" in url:
        raise ConfigError(
            f"the URL of {destination.key} is not known here, and so is the name of its deliveries in the inbox; say "
            "received_as (--as), which is the URL's path or the receiver's own `destination`"
        )
    return urlsplit(url).path.strip("/")


# -- the inbox -------------------------------------------------------------------------------------------------------


def _check_body(body: bytes, uuid: str, destination: Destination, shape: Shape | None) -> None:
    """Make sure that what arrives can be told apart."""
    try:
        event = parse_payload(body, shape=shape)
    except DeliveryRejected as error:
        raise ConfigError(
            f"a receiver would refuse what {destination.key} sends: {error.reason}. Change the `body` of the "
            "declaration, or the shape of the receiver"
        ) from error
    if event is None or event.uuid != uuid:
        raise ConfigError(
            f"the body of {destination.key} does not carry the uuid of the event, so that what arrived cannot be told; "
            'put `uuid: "{event.uuid}"` into the `body` of the declaration'
        )


def _unexpected(
    inbox: Inbox, name: str, since: datetime, until: datetime, due: Collection[str], course: Course
) -> tuple[str, ...]:
    """Return events that arrived in a range, and that no event of about that time explains."""
    strange = sorted({uuid for uuid in inbox.event_uuids(name, since=since, until=until) if uuid not in due})
    explained: set[str] = set()
    for start in range(0, len(strange), AT_ONCE):
        # of another time, for example replayed or late; what does not match now is not explained by that
        some = strange[start : start + AT_ONCE]
        explained |= {row[0] for row, _ in course.matching(some, since - EXPLAINED_FOR, until + CLOCK_SKEW)}
    return tuple(uuid for uuid in strange if uuid not in explained)


def _entry(
    body: bytes, event: ReceivedEvent | None, name: str, subscriptions: Iterable[Subscription], now: datetime
) -> Entry:
    return Entry(
        delivery_id=None,
        event_uuid=None if event is None else event.uuid,
        event="" if event is None else event.name,
        distinct_id="" if event is None else event.distinct_id or "",
        body=body,
        received_at=now,
        destination=name,
        headers={"content-type": "application/json", "user-agent": REPLAYED},
        handlers=route(subscriptions, event),
    )


def _batches(missing: Sequence[Missing]) -> Iterator[Sequence[Missing]]:
    return (missing[start : start + AT_ONCE] for start in range(0, len(missing), AT_ONCE))
