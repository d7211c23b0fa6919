"""The receiver without a web server: handlers are added, deliveries taken, and what waits is run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from posthog_events.errors import ConfigError, InboxError, InboxFull
from posthog_events.receiver.context import Context
from posthog_events.receiver.inbox import State
from posthog_events.receiver.receiver import Receiver
from posthog_events.receiver.routing import Retries
from posthog_events.receiver.sqlite_inbox import SqliteInbox
from posthog_events.receiver.verify import HeaderSecret
from tests.helpers.receiving import AT, SECRET, ManualClock, body_of, signed


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands."""
    return ManualClock()


@pytest.fixture
def receiver(tmp_path: Path, clock: ManualClock) -> Iterator[Receiver]:
    """Yield a receiver with an inbox of its own."""
    made = Receiver(secrets=SECRET, inbox=tmp_path / "inbox.db", clock=clock, grace_s=5)
    yield made
    made.close()


def deliver(
    receiver: Receiver, number: int = 1, *, path: str = "", body: bytes = b"", **headers: str
) -> tuple[int, str]:
    """Send a signed delivery, and return the answer's status and code."""
    content = body or body_of(number)
    answer = receiver.receive(content, {**signed(content, id=f"msg_{number}"), **headers}, path=path)
    return answer.status, answer.code


# -- handlers ----------------------------------------------------------------------------------------------------------


def test_making_a_receiver_opens_nothing(tmp_path: Path) -> None:
    """A module with handlers can be imported by whoever only looks at them."""
    receiver = Receiver(secrets=SECRET, inbox=tmp_path / "inbox.db")

    @receiver.on("user_signed_up")
    def greet(event: object) -> None: ...

    assert [] == list(tmp_path.iterdir())
    assert ["greet"] == [subscription.name for subscription in receiver.subscriptions]


def test_the_decorator_returns_the_function(receiver: Receiver) -> None:
    """A handler can still be called and tested as it was written."""

    @receiver.on("*")
    def double(event: int) -> int:
        return 2 * event

    assert 4 == double(2)


def test_handlers_are_called_for_what_they_asked_for(receiver: Receiver) -> None:
    """Several handlers of one event, a wildcard, and conditions."""
    seen: list[str] = []

    @receiver.on("user_signed_up")
    def first(event: Any) -> None:
        seen.append(f"first {event.name}")

    @receiver.on("user_*", where="plan = pro")
    async def second(event: Any, context: Context) -> None:
        seen.append(f"second {context.idempotency_key}")

    @receiver.on("purchase", "refund")
    def other(event: Any) -> None:
        seen.append(f"other {event.name}")

    for number, event, plan in ((1, "user_signed_up", "pro"), (2, "user_signed_up", "free"), (3, "refund", "pro")):
        assert (200, "accepted") == deliver(receiver, number, body=body_of(number, event, properties={"plan": plan}))

    assert 4 == receiver.run_pending()
    assert {"first user_signed_up", "second msg_1:second", "other refund"} == set(seen)
    assert 0 == receiver.run_pending()


def test_two_handlers_of_one_name_are_refused(receiver: Receiver) -> None:
    """Their outcomes could not be told apart; one of them takes another name."""

    @receiver.on("a")
    def greet(event: object) -> None: ...

    with pytest.raises(ConfigError, match="two handlers with the name greet"):
        receiver.on("b")(greet)
    receiver.on("b", name="greet_b")(greet)

    assert ["greet", "greet_b"] == [subscription.name for subscription in receiver.subscriptions]


@pytest.mark.parametrize(("retries", "expected"), [(0, 1), (2, 3), (Retries(attempts=7), 7)])
def test_retries_follow_the_first_attempt(retries: Any, expected: int, receiver: Receiver) -> None:
    """A number counts what comes after the first attempt; Retries counts all."""
    receiver.add_handler(lambda event: None, "*", name="one", retries=retries, timeout="2min")

    assert (expected, 120.0) == (receiver.subscriptions[0].retries.attempts, receiver.subscriptions[0].timeout_s)


def test_a_lambda_needs_a_name(receiver: Receiver) -> None:
    """What cannot be named in the inbox is refused with the way out."""
    with pytest.raises(ConfigError, match="give name="):
        receiver.add_handler(lambda event: None, "*")


def test_a_handler_cannot_come_after_the_start(receiver: Receiver) -> None:
    """What arrived before would not have been routed to it."""
    receiver.start()

    with pytest.raises(ConfigError, match="comes too late"):
        receiver.add_handler(lambda event: None, "*", name="late")


def test_conditions_need_an_event(tmp_path: Path) -> None:
    """Without a shape nothing is read from the body, so that no condition could hold."""
    receiver = Receiver(secrets=SECRET, inbox=tmp_path / "inbox.db", shape=None)

    with pytest.raises(ConfigError, match="without a shape there is no event"):
        receiver.add_handler(lambda event: None, "*", name="one", where="plan = pro")


def test_bodies_without_an_event_are_handled_as_they_are(tmp_path: Path, clock: ManualClock) -> None:
    """With shape=None a handler of every event gets no event, and the body."""
    receiver = Receiver(secrets=SECRET, inbox=tmp_path / "inbox.db", shape=None, clock=clock)
    seen = []

    @receiver.on("*")
    def forward(event: object, context: Context) -> None:
        seen.append((event, context.body))

    assert (200, "accepted") == deliver(receiver, body=b'{"text": "Ada signed up"}')
    receiver.run_pending()
    receiver.close()

    assert [(None, b'{"text": "Ada signed up"}')] == seen


# -- deliveries --------------------------------------------------------------------------------------------------------


def test_a_delivery_that_comes_again_is_accepted_and_handled_once(receiver: Receiver) -> None:
    """Whatever it is recognised by: its id, or its event under another id."""
    seen: list[object] = []
    receiver.add_handler(seen.append, "*", name="one")
    body = body_of(1)

    answers = [deliver(receiver, 1, body=body), deliver(receiver, 1, body=body), deliver(receiver, 2, body=body)]
    receiver.run_pending()

    assert [(200, "accepted"), (200, "duplicate"), (200, "duplicate")] == answers
    assert 1 == len(seen)


def test_each_path_is_a_destination(receiver: Receiver) -> None:
    """One event that two destinations send is two deliveries."""
    body = body_of(1)

    answers = [deliver(receiver, number, path=path, body=body) for number, path in ((1, "/a"), (2, "/b/"), (3, "b"))]

    assert [(200, "accepted"), (200, "accepted"), (200, "duplicate")] == answers
    assert {"a", "b"} == {record.entry.destination for record in receiver.inbox.list()}


def test_a_destination_can_be_fixed(tmp_path: Path, clock: ManualClock) -> None:
    """Then the path plays no part."""
    receiver = Receiver(secrets=SECRET, inbox=tmp_path / "inbox.db", destination="signups", clock=clock)
    deliver(receiver, path="/anything")

    assert "signups" == receiver.inbox.list()[0].entry.destination
    receiver.close()


@pytest.mark.parametrize("path", ["/a b", "/é", "/\0", "/" + "a" * 201, "/a\ud800"])
def test_a_path_that_is_no_name_is_refused(path: str, receiver: Receiver) -> None:
    """Names end up in databases, logs and terminals."""
    assert (404, "bad_path") == deliver(receiver, path=path)


def test_what_no_handler_wants_is_kept(receiver: Receiver) -> None:
    """It arrived, and a reconciliation must know that."""
    assert (200, "accepted") == deliver(receiver)
    assert [()] == [record.outcomes for record in receiver.inbox.list()]


def test_only_harmless_headers_are_kept(tmp_path: Path, clock: ManualClock) -> None:
    """Those that were asked for, and a few; never a signature or a secret."""
    receiver = Receiver(
        header_secret=HeaderSecret("X-Secret", ("hunter2",)),
        inbox=tmp_path / "inbox.db",
        keep_headers=("X-Region",),
        clock=clock,
    )
    body = body_of(1)
    answer = receiver.receive(
        body,
        [(b"X-Secret", b"hunter2"), (b"User-Agent", b"PostHog"), (b"x-region", b"eu \xe9"), (b"cookie", b"c=1")],
    )
    kept = receiver.inbox.list()[0].entry.headers
    receiver.close()

    assert 200 == answer.status
    assert {"user-agent": "PostHog", "x-region": "eu é"} == kept


@pytest.mark.parametrize("name", ["X-Secret", "authorization", "Cookie", "webhook-signature"])
def test_a_secret_header_cannot_be_kept(name: str, tmp_path: Path) -> None:
    """Asking for it is a mistake that is found at once."""
    with pytest.raises(ConfigError, match="holds a secret"):
        Receiver(
            header_secret=HeaderSecret("x-secret", ("hunter2",)), inbox=tmp_path / "inbox.db", keep_headers=(name,)
        )


def test_a_receiver_without_a_secret_is_refused(tmp_path: Path) -> None:
    """It fails closed, unless it is told otherwise in words."""
    with pytest.raises(ConfigError, match="needs a secret"):
        Receiver(inbox=tmp_path / "inbox.db")
    assert Receiver(inbox=tmp_path / "inbox.db", allow_unsigned=True)


def test_a_stranger_is_not_told_why(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """The answer to a wrong signature is one line; the reason is in the log and the code in the metrics."""
    caplog.set_level(logging.INFO)
    answer = receiver.receive(body_of(1), signed(body_of(2)))

    assert (401, b'{"error": "unauthorised"}\n') == (answer.status, answer.body)
    assert "no signature of the delivery" in caplog.text
    assert [] == list(receiver.inbox.list())


def test_a_body_that_is_no_event_is_refused_with_a_code(receiver: Receiver) -> None:
    """Its sender is known by then, and reads the code in PostHog's log."""
    content = b'{"event": 5}'
    answer = receiver.receive(content, signed(content))

    assert (400, b'{"error": "no_event_name"}\n') == (answer.status, answer.body)


class BrokenInbox(SqliteInbox):
    """An inbox that takes nothing."""

    error: InboxError = InboxError("the disk of /srv/inbox.db is full")

    def add(self, entries: object) -> Any:
        raise self.error

    async def add_async(self, entries: object) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "after"),
    [
        (InboxError("the disk of /srv/inbox.db is full"), "inbox_error", "2"),
        (InboxFull("10,000 wait", retry_after_s=7), "inbox_full", "7"),
    ],
)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_what_cannot_be_stored_shall_come_again(
    is_async: bool, error: InboxError, code: str, after: str, tmp_path: Path, clock: ManualClock
) -> None:
    """503 with Retry-After, and nothing about where the inbox is."""
    inbox = BrokenInbox(tmp_path / "inbox.db")
    inbox.error = error
    receiver = Receiver(secrets=SECRET, inbox=inbox, clock=clock)
    body = body_of(1)
    if is_async:
        answer = asyncio.run(receiver.receive_async(body, signed(body)))
    else:
        answer = receiver.receive(body, signed(body))
    inbox.close()

    assert (503, code, after) == (answer.status, answer.code, answer.headers["retry-after"])
    assert b'{"error": "try again later"}\n' == answer.body


def test_the_async_way_is_the_same(receiver: Receiver) -> None:
    """Deliveries that come together share the inbox's commits."""

    async def send() -> list[str]:
        bodies = [body_of(number) for number in range(20)]
        answers = await asyncio.gather(
            *(receiver.receive_async(body, signed(body, id=f"msg_{at}")) for at, body in enumerate(bodies))
        )
        return [answer.code for answer in answers]

    assert ["accepted"] * 20 == asyncio.run(send())
    assert 20 == receiver.inbox.counts().entries


# -- background --------------------------------------------------------------------------------------------------------


def wait_for(receiver: Receiver, state: State, count: int) -> None:
    """Wait until so many tasks are in a state."""
    deadline = time.monotonic() + 10
    while receiver.inbox.counts().tasks[state] < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_handlers_run_in_the_background_once_started(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries are handled as they come, without waiting for the next poll, and those that waited before as well."""
    monkeypatch.setattr("posthog_events.receiver.dispatch.POLL_S", 60.0)
    seen: list[object] = []
    receiver.add_handler(seen.append, "*", name="one")
    deliver(receiver, 1)
    receiver.start()
    receiver.start()
    wait_for(receiver, State.DONE, 1)
    deliver(receiver, 2)
    wait_for(receiver, State.DONE, 2)

    assert 2 == len(seen)


def test_pending_tasks_are_not_run_twice_at_a_time(receiver: Receiver) -> None:
    """run_pending() and the background would meet."""
    receiver.start()

    with pytest.raises(ConfigError, match="the handlers run already"):
        receiver.run_pending()


def test_a_receiver_can_leave_the_handlers_to_others(tmp_path: Path, clock: ManualClock) -> None:
    """With run_handlers=False a start only opens the inbox."""
    receiver = Receiver(secrets=SECRET, inbox=tmp_path / "inbox.db", clock=clock, run_handlers=False)
    seen: list[object] = []
    receiver.add_handler(seen.append, "*", name="one")
    receiver.start()
    deliver(receiver)

    assert [] == seen
    assert 1 == receiver.run_pending()
    receiver.close()


def test_a_closed_receiver_takes_nothing_until_it_is_started_again(receiver: Receiver) -> None:
    """What was taken before is there afterwards."""
    receiver.start()
    deliver(receiver, 1)
    receiver.close()

    assert (503, "inbox_error") == deliver(receiver, 2)
    receiver.start()
    assert (200, "duplicate") == deliver(receiver, 1)


def test_an_inbox_that_was_given_stays_open(tmp_path: Path, clock: ManualClock) -> None:
    """Its owner closes it."""
    inbox = SqliteInbox(tmp_path / "inbox.db")
    receiver = Receiver(secrets=SECRET, inbox=inbox, clock=clock)
    receiver.start()
    deliver(receiver)
    receiver.close()

    assert 1 == inbox.counts().entries
    inbox.close()


def test_deliveries_are_forgotten_when_they_are_old_and_done(tmp_path: Path, clock: ManualClock) -> None:
    """What was kept longer than keep_for, and handled, is pruned when the receiver starts."""
    receiver = Receiver(secrets=SECRET, inbox=tmp_path / "inbox.db", clock=clock, keep_for=timedelta(days=2))
    receiver.add_handler(lambda event: None, "user_*", name="one")
    deliver(receiver, 1)
    receiver.run_pending()
    receiver.close()
    clock.advance(2 * 86_400 + 1)
    receiver.start()
    deadline = time.monotonic() + 10
    while receiver.inbox.counts().entries:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    receiver.close()


def test_an_unusable_inbox_is_reported_at_the_start(tmp_path: Path) -> None:
    """The path is a directory: no delivery could ever be stored."""
    receiver = Receiver(secrets=SECRET, inbox=tmp_path)

    with pytest.raises(InboxError):
        receiver.start()


def test_metrics_count_what_happened(receiver: Receiver) -> None:
    """Deliveries by answer, attempts by outcome, and how full the inbox is."""

    def fail(event: object) -> None:
        raise ValueError

    receiver.add_handler(fail, "*", name="bad", retries=0)
    receiver.add_handler(lambda event: None, "*", name="good")
    for number in (1, 1, 2):
        deliver(receiver, number)
    receiver.receive(b"{}", {})
    receiver.run_pending()
    text = receiver.metrics_text(receiver.counts(), in_flight=3).decode()

    for line in (
        'posthog_events_receiver_deliveries_total{code="accepted",status="200"} 2.0',
        'posthog_events_receiver_deliveries_total{code="duplicate",status="200"} 1.0',
        'posthog_events_receiver_deliveries_total{code="missing_signature",status="401"} 1.0',
        'posthog_events_receiver_attempts_total{handler="bad",outcome="dead"} 2.0',
        'posthog_events_receiver_attempts_total{handler="good",outcome="done"} 2.0',
        'posthog_events_receiver_attempt_seconds_count{handler="good"} 2.0',
        'posthog_events_receiver_inbox_tasks{state="dead"} 2.0',
        "posthog_events_receiver_inbox_entries 2.0",
        "posthog_events_receiver_inbox_up 1.0",
        "posthog_events_receiver_requests_in_flight 3.0",
        'posthog_events_receiver_workers_hanging{handler="bad"} 0.0',
    ):
        assert line in text.splitlines()


def test_metrics_are_there_without_an_inbox(receiver: Receiver) -> None:
    """An inbox that cannot be read is a metric too."""
    assert "posthog_events_receiver_inbox_up 0.0" in receiver.metrics_text(None).decode().splitlines()


def test_received_at_is_the_receivers_time(receiver: Receiver) -> None:
    """It is not what the event or the sender says."""
    deliver(receiver)

    assert AT == receiver.inbox.list()[0].entry.received_at
