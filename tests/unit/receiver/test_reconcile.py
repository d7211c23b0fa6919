"""Reconciling: which deliveries are missing, and that each is made up for once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from posthog_events.clickhouse.store import EventStore
from posthog_events.connection import Connection, connect
from posthog_events.destinations import Slack, Webhook
from posthog_events.destinations.model import Destination
from posthog_events.destinations.surroundings import Surroundings
from posthog_events.errors import ConfigError
from posthog_events.limits import POSTHOG_ROWS, UNLIMITED_ROWS
from posthog_events.receiver.context import Context
from posthog_events.receiver.inbox import Entry, Inbox
from posthog_events.receiver.payload import ReceivedEvent
from posthog_events.receiver.receiver import Receiver
from posthog_events.receiver.reconcile import REPLAYED, Gap, Missing, received_name, reconcile, replay
from posthog_events.receiver.shape import Shape
from posthog_events.receiver.sqlite_inbox import SqliteInbox

START = datetime(2026, 11, 16, 8, tzinfo=UTC)
NOW = START + timedelta(days=1)
URL = "https://example.com/hooks/signups"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


EVENTS: tuple[tuple[int, float, str, str, dict[str, Any]], ...] = (
    (1, 0, "signup", "ann", {"plan": "pro"}),
    (2, 1, "signup", "bob", {"plan": "free"}),
    (3, 2, "purchase", "ann", {"amount": 20}),
    (4, 30, "signup", "cid", {"plan": "pro", "$set": {"email": "cid@example.com"}}),
    (5, 61, "signup", "ann", {"plan": "pro"}),
    (6, 62, "signup", "ann", {"plan": "pro", "note": "ünï", "$groups": {"company": "acme"}}),
    (7, 24 * 60 - 1, "signup", "dan", {"plan": "pro"}),
)


@pytest.fixture(scope="module", params=["without limits", "as PostHog"])
def events(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A store with `EVENTS`, over an engine without limits of rows and one that has to page."""
    folder = tmp_path_factory.mktemp("events")
    rows = [
        {"uuid": uuid(number), "event": name, "timestamp": at(minute).isoformat(), "distinct_id": user, "properties": p}
        for number, minute, name, user, p in EVENTS
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    EventStore.create(folder / "store").import_events([folder / "events.jsonl"])
    limits = UNLIMITED_ROWS if request.param == "without limits" else POSTHOG_ROWS
    with connect(f"chdb://{folder / 'store'}", row_limits=limits) as connection:
        yield connection


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[SqliteInbox]:
    with closing(SqliteInbox(tmp_path / "inbox.db")) as opened:
        yield opened


def webhook(**more: Any) -> Destination:
    return Webhook("Signups", url=more.pop("url", URL), **{"events": ["signup"], **more})


def deliver(inbox: Inbox, numbers: Iterable[int], *, name: str = "hooks/signups") -> None:
    """Let events arrive, a second after they happened."""
    times = {number: at(minute) for number, minute, *_ in EVENTS}
    inbox.add(
        [
            Entry(
                delivery_id=f"msg_{number}",
                event_uuid=uuid(number),
                event="signup",
                distinct_id="",
                body=b"{}",
                received_at=times.get(number, START) + timedelta(seconds=1),
                destination=name,
            )
            for number in numbers
        ]
    )


def gap_of(events: Connection, inbox: Inbox, destination: Destination | None = None, **more: Any) -> Gap:
    given: dict[str, Any] = {"since": START, "clock": lambda: NOW, **more}
    return reconcile(destination or webhook(), events.engine, inbox, **given)


def numbers(missing: Iterable[Missing]) -> list[int]:
    return [int(one.uuid[-12:]) for one in missing]


def make_receiver(inbox: Inbox, seen: list[tuple[str, Context]], **more: Any) -> Receiver:
    """Return a receiver whose handler of signups notes what it gets."""
    receiver = Receiver(secrets=SECRET, inbox=inbox, clock=lambda: NOW, **more)

    @receiver.on("signup")
    def note(event: ReceivedEvent, context: Context) -> None:
        seen.append((str(event.uuid), context))

    return receiver


def test_what_matched_and_did_not_arrive_is_missing(events: Connection, inbox: SqliteInbox) -> None:
    """Other events are not expected, and the last minutes are left out."""
    deliver(inbox, [1, 4])

    found = gap_of(events, inbox)

    assert [
        Missing(uuid(2), "signup", "bob", at(1)),
        Missing(uuid(5), "signup", "ann", at(61)),
        Missing(uuid(6), "signup", "ann", at(62)),
    ] == list(found.missing)
    assert (5, 2, (), START, NOW - timedelta(minutes=5)) == (
        found.expected,
        found.arrived,
        found.unexpected,
        found.since,
        found.until,
    )


def test_range_and_grace_bound_what_is_expected(events: Connection, inbox: SqliteInbox) -> None:
    """An event at the begin of the range counts, one at its end does not; without grace the last one counts."""
    assert [2, 4] == numbers(gap_of(events, inbox, since=at(1), until=at(61)).missing)
    assert [7] == numbers(gap_of(events, inbox, since=at(100), grace_s=0).missing)


def test_conditions_decide_what_is_expected(events: Connection, inbox: SqliteInbox) -> None:
    """The filters of the declaration are those of PostHog."""
    found = gap_of(events, inbox, webhook(where="plan = pro"))

    assert [1, 4, 5, 6] == numbers(found.missing)


def test_test_accounts_are_not_expected(events: Connection, inbox: SqliteInbox) -> None:
    """The project's own filters count, when the declaration excludes test accounts."""
    tests = [{"key": "email", "type": "person", "operator": "not_icontains", "value": "cid@"}]

    found = gap_of(events, inbox, webhook(exclude_test_accounts=True), around=Surroundings(test_account_filters=tests))

    assert [1, 2, 5, 6] == numbers(found.missing)


def test_event_whose_inputs_fail_is_lost_and_not_missing(events: Connection, inbox: SqliteInbox) -> None:
    """PostHog would not have delivered it: that is said, with the reason."""
    body = {"event": "{event}", "note": "{upper(event.properties.note)}"}

    found = gap_of(events, inbox, webhook(body=body))

    assert [6] == numbers(found.missing)
    assert 4 == found.lost_count
    assert uuid(1) in found.lost[0]


def test_masked_event_is_not_expected(events: Connection, inbox: SqliteInbox) -> None:
    """Of a person's two events within the hour, the second one was held back."""
    found = gap_of(events, inbox, webhook(once_per={"key": "person", "interval": "1h"}))

    assert [1, 2, 4, 5] == numbers(found.missing)


def test_masking_goes_by_what_arrived(events: Connection, inbox: SqliteInbox) -> None:
    """The inbox tells which event of a window PostHog chose, so that the one before it is no loss."""
    deliver(inbox, [1, 2, 4])
    once = webhook(once_per={"key": "{event.distinct_id}", "interval": "61min"})
    # ann's first window is over when her fifth event comes, and she is due again
    assert [5] == numbers(gap_of(events, inbox, once).missing)

    # an event before the range opened a window of an hour; the range alone does not tell
    later = webhook(once_per={"key": "{event.distinct_id}", "interval": "62min"})
    assert [6] == numbers(gap_of(events, inbox, later, since=at(60)).missing)


def test_arrived_event_was_not_masked(events: Connection, inbox: SqliteInbox) -> None:
    """What arrived is not unexpected, though it would be worked out otherwise."""
    deliver(inbox, [1, 2, 4, 6])

    found = gap_of(events, inbox, webhook(once_per={"key": "{event.distinct_id}", "interval": "2h"}))

    assert ([], ()) == (numbers(found.missing), found.unexpected)


def test_window_begins_with_what_arrived(events: Connection, inbox: SqliteInbox) -> None:
    """By the events alone ann's second one was held back and her third one was due: the inbox knows better."""
    once = webhook(once_per={"key": "{event.distinct_id}", "interval": "3690s"})
    assert [6] == numbers(gap_of(events, inbox, once, since=at(60)).missing)

    deliver(inbox, [5])

    assert gap_of(events, inbox, once, since=at(60)).closed


def test_arrival_without_reason_is_unexpected(events: Connection, inbox: SqliteInbox) -> None:
    """An event that does not match, or that the engine does not have, is told; a late one is not."""
    deliver(inbox, [1, 2, 3, 4, 5, 6, 99])

    assert (uuid(3), uuid(99)) == gap_of(events, inbox).unexpected
    # 1 and 2 arrived in the range by a second, but happened before it
    assert (uuid(3), uuid(99)) == gap_of(events, inbox, since=at(0) + timedelta(milliseconds=500)).unexpected


def test_other_name_in_the_inbox_is_another_destination(events: Connection, inbox: SqliteInbox) -> None:
    """By default it is the path of the URL; a receiver may keep it under another."""
    deliver(inbox, [1, 2, 4, 5, 6], name="other")

    assert 5 == len(gap_of(events, inbox).missing)
    assert gap_of(events, inbox, received_as="/other").closed


def test_replay_adds_each_missing_delivery_once(events: Connection, inbox: SqliteInbox) -> None:
    """The handlers get what PostHog would have sent; a second run finds nothing, and a second replay adds nothing."""
    deliver(inbox, [1, 2, 4])
    seen: list[tuple[str, Context]] = []
    receiver = make_receiver(inbox, seen)
    gap = gap_of(events, inbox)

    first = replay(gap, events.engine, receiver, clock=lambda: NOW)
    again = replay(gap, events.engine, receiver, clock=lambda: NOW)
    receiver.run_pending()

    assert [[5, 6], [], []] == [numbers(some) for some in (first.added, first.known, first.gone)]
    assert [[], [5, 6], []] == [numbers(some) for some in (again.added, again.known, again.gone)]
    assert [uuid(5), uuid(6)] == sorted(number for number, _ in seen)
    assert {("hooks/signups", REPLAYED, NOW)} == {
        (context.destination, context.headers["user-agent"], context.received_at) for _, context in seen
    }
    assert gap_of(events, inbox, grace_s=600).closed


def test_replayed_body_is_what_posthog_sends(events: Connection, inbox: SqliteInbox) -> None:
    """Values keep their types, text its letters, and nothing is added."""
    seen: list[tuple[str, Context]] = []
    body = {"uuid": "{event.uuid}", "event": "{event.event}", "n": 5, "said": "it is {event.properties.note}"}
    destination = webhook(body={**body, "company": "{groups.company.id}", "at": "{event.timestamp}"})
    receiver, around = make_receiver(inbox, seen), Surroundings(group_types={"company": 0})

    gap = gap_of(events, inbox, destination, since=at(62), around=around)
    replay(gap, events.engine, receiver, around=around, clock=lambda: NOW)
    receiver.run_pending()

    expected = (
        f'{{"uuid":"{uuid(6)}","event":"signup","n":5,"said":"it is ünï","company":"acme",'
        '"at":"2026-11-16T09:02:00.000Z"}'
    )
    assert expected == seen[0][1].body.decode()


def test_delivery_that_comes_after_the_replay_is_a_duplicate(events: Connection, inbox: SqliteInbox) -> None:
    """PostHog may deliver an event late, with an id of its own: the handlers have had it."""
    receiver = make_receiver(inbox, [])
    gap = gap_of(events, inbox, since=at(62))
    replay(gap, events.engine, receiver, clock=lambda: NOW)
    late = Entry("msg_late", uuid(6), "signup", "ann", b"{}", NOW, "hooks/signups", handlers=("note",))

    (added,) = inbox.add([late])

    assert added.duplicate


def test_event_that_is_gone_is_said(events: Connection, inbox: SqliteInbox) -> None:
    """Between finding the gap and closing it an event can be deleted."""
    gap = gap_of(events, inbox, since=at(62))
    ghost = Missing(uuid(77), "signup", "eve", at(63))
    with_ghost = Gap(gap.destination, gap.received_as, gap.since, gap.until, 2, (*gap.missing, ghost), ())

    found = replay(with_ghost, events.engine, make_receiver(inbox, []), clock=lambda: NOW)

    assert ([6], [77]) == (numbers(found.added), numbers(found.gone))


def test_what_the_inbox_may_have_forgotten_is_not_replayed(events: Connection, inbox: SqliteInbox) -> None:
    """A handler could get it a second time."""
    gap = gap_of(events, inbox)

    with pytest.raises(ConfigError, match="surely knows what arrived in the last 7 days"):
        replay(gap, events.engine, make_receiver(inbox, []), clock=lambda: NOW + timedelta(days=7))
    assert () == inbox.list()


def test_body_without_the_uuid_is_refused(events: Connection, inbox: SqliteInbox) -> None:
    """What arrived could not be told, and everything would seem to be missing."""
    with pytest.raises(ConfigError, match=r'does not carry the uuid .* put `uuid: "\{event.uuid\}"`'):
        gap_of(events, inbox, webhook(body={"event": "{event.event}"}))
    with pytest.raises(ConfigError, match="would refuse what signups sends: the body names no event"):
        gap_of(events, inbox, webhook(body={"text": "{event.event}"}))


def test_shape_of_the_receiver_counts(events: Connection, inbox: SqliteInbox) -> None:
    """A body of one's own carries the uuid where the shape says."""
    destination = webhook(body={"what": "{event.event}", "id": "{event.uuid}"})

    assert 5 == gap_of(events, inbox, destination, shape=Shape(name="what", uuid="id")).expected


def test_only_webhooks_come_to_a_receiver() -> None:
    """Slack's deliveries go elsewhere, and a secret URL does not tell the path."""
    with pytest.raises(ConfigError, match="of the kind slack: only webhooks"):
        received_name(Slack("News", channel="C0123ABCDEF", events=["signup"], message="x"))
    with pytest.raises(ConfigError, match="URL of signups is not known here"):
        received_name(webhook(url="${env:HOOK_URL}"))
    assert "hooks/signups" == received_name(webhook())


def test_empty_range_is_refused(events: Connection, inbox: SqliteInbox) -> None:
    """Within the grace period there is nothing to compare."""
    with pytest.raises(ConfigError, match="the last 300 s are left out"):
        gap_of(events, inbox, since=NOW - timedelta(minutes=2))
