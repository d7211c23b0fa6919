"""Dispatching: handlers that work, fail, hang, block, exit; and what the inbox says of each."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from posthog_events.errors import InboxError
from posthog_events.receiver.context import Context, GiveUp, TryAgain
from posthog_events.receiver.dispatch import LEASE_MARGIN_S, Dispatcher, Lane, Surroundings, described
from posthog_events.receiver.handler_loop import HandlerLoop
from posthog_events.receiver.inbox import Entry, Outcome, State, Task
from posthog_events.receiver.payload import parse_payload
from posthog_events.receiver.routing import Handler, Retries, Subscription
from posthog_events.receiver.sqlite_inbox import SqliteInbox
from tests.helpers.receiving import AT, ManualClock, body_of

PATIENCE_S = 10.0
"""For what happens at once, on a machine that others use too."""


class Most(random.Random):
    """Draws the largest number each time."""

    def uniform(self, a: float, b: float) -> float:
        return b


class FlakyInbox(SqliteInbox):
    """An inbox that cannot be written when told so."""

    broken: type[Exception] | None = None
    refused = 0

    def _check(self) -> None:
        if self.broken is not None:
            self.refused += 1
            raise self.broken("the disk is full")

    def claim(self, **options: Any) -> tuple[Task, ...]:
        self._check()
        return super().claim(**options)

    def succeed(self, task: Task, *, now: datetime) -> bool:
        self._check()
        return super().succeed(task, now=now)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[FlakyInbox]:
    """Yield an empty inbox."""
    made = FlakyInbox(tmp_path / "inbox.db")
    yield made
    made.close()


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands."""
    return ManualClock()


@pytest.fixture
def around(inbox: FlakyInbox, clock: ManualClock) -> Iterator[Surroundings]:
    """Yield surroundings in which time stands."""
    made = Surroundings(
        inbox=inbox, parse=parse_payload, clock=clock, monotonic=clock.monotonic, rng=Most(), record_again_s=0.001
    )
    yield made
    made.loop.close()


def add(inbox: SqliteInbox, *handlers: str, number: int = 1, distinct_id: str = "user_1", body: bytes = b"") -> int:
    """Add a delivery and return its number in the inbox."""
    entry = Entry(
        delivery_id=f"msg_{number}",
        event_uuid=None,
        event="user_signed_up",
        distinct_id=distinct_id,
        body=body or body_of(number, distinct_id=distinct_id),
        received_at=AT,
        destination="signups",
        headers={"user-agent": "PostHog"},
        handlers=handlers,
    )
    return inbox.add((entry,))[0].seq


def handler_of(handler: Handler, *, name: str = "one", **options: Any) -> Subscription:
    """Return a subscription of every event."""
    return Subscription(name=name, events=("*",), handler=handler, **options)


def outcome(inbox: SqliteInbox, seq: int = 1, handler: str = "one") -> Outcome:
    """Return what became of a delivery at a handler."""
    record = inbox.get(seq)
    assert record is not None
    return next(it for it in record.outcomes if it.handler == handler)


def dispatched(around: Surroundings, *subscriptions: Subscription) -> int:
    """Run what is due."""
    return Dispatcher(subscriptions, around).run_pending()


def wait_until(true: Callable[[], object]) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


# -- handlers that work ------------------------------------------------------------------------------------------------


def test_a_handler_gets_the_event_and_what_is_known_of_the_delivery(around: Surroundings, inbox: FlakyInbox) -> None:
    """The event is parsed, and the context tells attempt, ids, destination and headers."""
    seen: list[tuple[Any, Context]] = []

    def handle(event: Any, context: Context) -> None:
        seen.append((event, context))

    add(inbox, "one", body=body_of(7, properties={"plan": "pro"}))

    assert 1 == dispatched(around, handler_of(handle))
    [(event, context)] = seen
    assert ("user_signed_up", {"plan": "pro"}) == (event.name, event.properties)
    assert (
        Context(
            idempotency_key="msg_1:one",
            delivery_id="msg_1",
            attempt=1,
            destination="signups",
            received_at=AT,
            headers={"user-agent": "PostHog"},
            body=body_of(7, properties={"plan": "pro"}),
        )
        == context
    )
    assert State.DONE == outcome(inbox).state


def test_async_handlers_share_a_loop(around: Surroundings, inbox: FlakyInbox) -> None:
    """Coroutines are awaited, on one loop, so that they can share what belongs to a loop."""
    loops = []

    async def handle(event: object) -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    for number in (1, 2):
        add(inbox, "one", "two", number=number)

    assert 4 == dispatched(around, handler_of(handle), handler_of(handle, name="two"))
    assert 4 == len(loops)
    assert 1 == len(set(loops))


def test_a_function_that_returns_an_awaitable_is_awaited(around: Surroundings, inbox: FlakyInbox) -> None:
    """It is what comes back that counts, not how the function was defined."""
    seen = []

    async def later() -> None:
        seen.append("awaited")

    add(inbox, "one")
    dispatched(around, handler_of(lambda event: later()))

    assert ["awaited"] == seen


def test_each_handler_has_an_outcome_of_its_own(around: Surroundings, inbox: FlakyInbox) -> None:
    """One that fails does not concern the others."""

    def fail(event: object) -> None:
        raise ValueError("no")

    add(inbox, "one", "two")
    dispatched(around, handler_of(fail), handler_of(lambda event: None, name="two"))

    assert State.WAITING == outcome(inbox).state
    assert State.DONE == outcome(inbox, handler="two").state


def test_pending_tasks_run_once(around: Surroundings, inbox: FlakyInbox, clock: ManualClock) -> None:
    """One that fails is not run again by the same call, also when time goes on meanwhile."""
    runs = []

    def fail(event: object) -> None:
        runs.append(clock())
        clock.advance(3_600)
        raise ValueError("no")

    add(inbox, "one")

    assert 1 == dispatched(around, handler_of(fail, timeout_s="2h"))
    assert 1 == len(runs)


# -- handlers that fail ------------------------------------------------------------------------------------------------


def test_a_failure_is_tried_again_after_a_wait_that_grows_and_ends_as_a_dead_letter(
    around: Surroundings, inbox: FlakyInbox, clock: ManualClock
) -> None:
    """After attempt n the wait is first_s * 2 ** (n - 1), with the largest random part; the last has none."""
    attempts = []

    def fail(event: object, context: Context) -> None:
        attempts.append(context.attempt)
        raise ValueError("the service said no")

    made = handler_of(fail, retries=Retries(attempts=3, first_s=5))
    add(inbox, "one")

    for wait_s in (5, 10):
        dispatched(around, made)
        assert (State.WAITING, clock() + timedelta(seconds=wait_s)) == (outcome(inbox).state, outcome(inbox).due_at)
        clock.advance(wait_s - 0.001)
        assert 0 == dispatched(around, made)
        clock.advance(0.001)
    dispatched(around, made)

    assert [1, 2, 3] == attempts
    assert State.DEAD == outcome(inbox).state
    assert outcome(inbox).error.startswith("ValueError: the service said no (test_dispatch.py, line ")


def test_a_dead_letter_that_is_retried_has_all_its_attempts_again(around: Surroundings, inbox: FlakyInbox) -> None:
    """What `inbox retry` does is seen by the dispatcher as a first attempt."""
    attempts = []

    def fail(event: object, context: Context) -> None:
        attempts.append((context.attempt, context.idempotency_key))
        raise ValueError("no")

    made = handler_of(fail, retries=Retries(attempts=1))
    seq = add(inbox, "one")
    dispatched(around, made)
    inbox.retry([seq], now=AT)
    dispatched(around, made)

    assert [(1, "msg_1:one")] * 2 == attempts


def test_a_handler_can_give_up(around: Surroundings, inbox: FlakyInbox) -> None:
    """GiveUp is a dead letter at the first attempt."""

    def fail(event: object) -> None:
        raise GiveUp("there is no such customer")

    add(inbox, "one")
    dispatched(around, handler_of(fail))

    assert State.DEAD == outcome(inbox).state
    assert "there is no such customer" in outcome(inbox).error


@pytest.mark.parametrize(("asked_s", "expected_s"), [(120.0, 120.0), (0.0, 1.0)])
def test_a_handler_can_say_when_to_come_again(
    asked_s: float, expected_s: float, around: Surroundings, inbox: FlakyInbox
) -> None:
    """TryAgain replaces the wait, and is never in a hurry."""

    def fail(event: object) -> None:
        raise TryAgain("rate limited", after_s=asked_s)

    add(inbox, "one")
    dispatched(around, handler_of(fail))

    assert AT + timedelta(seconds=expected_s) == outcome(inbox).due_at


def test_try_again_ends_some_day(around: Surroundings, inbox: FlakyInbox) -> None:
    """It counts as an attempt."""

    def fail(event: object) -> None:
        raise TryAgain("rate limited", after_s=5)

    add(inbox, "one")
    dispatched(around, handler_of(fail, retries=Retries(attempts=1)))

    assert State.DEAD == outcome(inbox).state


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_nothing_that_a_handler_raises_ends_more_than_its_attempt(
    error: BaseException, is_async: bool, around: Surroundings, inbox: FlakyInbox, caplog: pytest.LogCaptureFixture
) -> None:
    """SystemExit and its like are failures; the next delivery is handled by the same lane."""
    raised = []

    def fail(event: object) -> None:
        if not raised:
            raised.append(error)
            raise error

    async def fail_async(event: object) -> None:
        fail(event)

    made = handler_of(fail_async if is_async else fail)
    add(inbox, "one")
    add(inbox, "one", number=2)

    assert 2 == dispatched(around, made)
    assert (State.WAITING, State.DONE) == (outcome(inbox, 1).state, outcome(inbox, 2).state)
    assert type(error).__name__ in outcome(inbox).error
    assert "the loop goes on" not in caplog.text


def test_an_interrupt_in_a_task_beside_the_handler_does_not_end_the_loop(
    around: Surroundings, inbox: FlakyInbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A task that a handler left running, and that exits, does not take the other handlers with it."""

    async def exit_later() -> None:
        raise SystemExit(3)

    tasks = []

    async def handle(event: object) -> None:
        tasks.append(asyncio.get_running_loop().create_task(exit_later()))

    async def read(event: object) -> None:
        await asyncio.sleep(0.01)

    add(inbox, "one", "two")
    dispatcher = Dispatcher([handler_of(handle), handler_of(read, name="two")], around)
    dispatcher.run_pending()

    assert State.DONE == outcome(inbox, handler="two").state
    assert "the loop goes on" in caplog.text
    assert isinstance(tasks[0].exception(), SystemExit)


def test_secrets_are_not_kept_with_an_error(inbox: FlakyInbox, clock: ManualClock) -> None:
    """What a handler raises is redacted before it is stored or logged."""

    def fail(event: object) -> None:
        raise ValueError("POST https://x.test with hunter2 failed")

    around = Surroundings(
        inbox=inbox, parse=parse_payload, clock=clock, redact=lambda text: text.replace("hunter2", "…")
    )
    add(inbox, "one")
    dispatched(around, handler_of(fail))

    assert "with … failed" in outcome(inbox).error


def test_an_error_that_cannot_be_shown_is_still_one(around: Surroundings, inbox: FlakyInbox) -> None:
    """Its type is kept when its text raises."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def fail(event: object) -> None:
        raise Broken

    add(inbox, "one")
    dispatched(around, handler_of(fail))

    assert outcome(inbox).error.startswith("Broken: its text cannot be shown")


def test_a_description_has_no_empty_text() -> None:
    """An error without a text is its type."""
    assert "KeyError" == described(KeyError())


def test_a_body_that_cannot_be_parsed_any_more_is_a_dead_letter(around: Surroundings, inbox: FlakyInbox) -> None:
    """The shape may have changed since it was stored; trying again would not help, another shape may."""
    add(inbox, "one", body=b'{"text": "for Slack"}')
    dispatched(around, handler_of(lambda event: None))

    assert State.DEAD == outcome(inbox).state
    assert "the body names no event" in outcome(inbox).error


def test_a_condition_that_cannot_be_evaluated_is_a_dead_letter(
    around: Surroundings, inbox: FlakyInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler does not run, and the error says which condition it is."""
    from posthog_events.hog.filters import CompiledFilters, Verdict

    monkeypatch.setattr(CompiledFilters, "matches", lambda self, globals_: Verdict("error", "properties[0]", "why"))
    seen: list[object] = []
    add(inbox, "one")
    dispatched(around, handler_of(seen.append, where=("plan = pro",)))

    assert [] == seen
    assert State.DEAD == outcome(inbox).state
    assert "properties[0]: why" in outcome(inbox).error


def test_a_handler_that_takes_the_process_with_it_becomes_a_dead_letter(
    around: Surroundings, inbox: FlakyInbox, clock: ManualClock
) -> None:
    """A task that was claimed as often as it may be attempted, and never reported, is not run again."""
    seen: list[object] = []
    made = handler_of(seen.append, retries=Retries(attempts=2))
    add(inbox, "one")
    for _ in range(2):  # two processes that died
        assert 1 == len(inbox.claim(now=clock(), lease_s=5, limit=1))
        clock.advance(5)

    assert 1 == dispatched(around, made)
    assert [] == seen
    assert State.DEAD == outcome(inbox).state
    assert "no attempt is left" in outcome(inbox).error


# -- handlers that hang ------------------------------------------------------------------------------------------------


def test_a_function_that_hangs_is_given_up_and_its_worker_replaced(
    around: Surroundings, inbox: FlakyInbox, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """After its timeout the attempt has failed, others run, and its late end changes nothing."""
    release, entered, seen = threading.Event(), threading.Event(), []

    def hang_once(event: Any) -> None:
        if event.distinct_id == "hang":
            entered.set()
            release.wait(PATIENCE_S)
        seen.append(event.distinct_id)

    lane = Lane(handler_of(hang_once, concurrency=1, timeout_s=30), around, threading.Event())
    add(inbox, "one", distinct_id="hang")
    add(inbox, "one", number=2, distinct_id="other")

    assert 1 == lane.turn(now=clock())
    assert entered.wait(PATIENCE_S)
    clock.advance(29.9)
    assert 0 == lane.turn(now=clock())
    clock.advance(0.1)
    assert 1 == lane.turn(now=clock())
    wait_until(lambda: outcome(inbox, 2).state is State.DONE)

    assert (State.WAITING, 1) == (outcome(inbox).state, lane.left)
    assert "TimeoutError: no end after 30 s; its thread was left behind" == outcome(inbox).error
    assert "has not ended after 30 s" in caplog.text
    release.set()
    wait_until(lambda: lane.left == 0)
    assert ["other", "hang"] == seen
    assert State.WAITING == outcome(inbox).state
    lane.give_back()


def test_workers_that_hang_are_replaced_up_to_a_bound(
    around: Surroundings, inbox: FlakyInbox, clock: ManualClock
) -> None:
    """With as many left behind as there may be, the lane stands still, and says so, until one comes back."""
    release = threading.Event()
    made = handler_of(lambda event: release.wait(PATIENCE_S), concurrency=2, timeout_s=30)
    lane = Lane(made, around, threading.Event())
    for number in range(8):
        add(inbox, "one", number=number)

    begun = []
    for _ in range(4):
        begun.append(lane.turn(now=clock()))
        clock.advance(30)
    lane.turn(now=clock())

    assert [2, 2, 0, 0] == begun
    assert (True, 4) == (lane.stuck, lane.left)
    release.set()
    wait_until(lambda: lane.left == 0)
    assert not lane.stuck
    assert 2 == lane.turn(now=clock())
    wait_until(lambda: inbox.counts().tasks[State.DONE] == 2)
    lane.give_back()


def test_one_handler_that_hangs_does_not_hold_up_another(inbox: FlakyInbox) -> None:
    """Each handler has its own workers."""
    release = threading.Event()
    around = Surroundings(inbox=inbox, parse=parse_payload)
    dispatcher = Dispatcher(
        [
            handler_of(lambda event: release.wait(PATIENCE_S), name="hanging", concurrency=1),
            handler_of(lambda event: None, name="good"),
        ],
        around,
    )
    for number in range(20):
        add(inbox, "hanging", "good", number=number)
    dispatcher.start()
    try:
        wait_until(lambda: inbox.counts().tasks[State.DONE] >= 20)
    finally:
        release.set()
        dispatcher.stop(grace_s=PATIENCE_S)


def test_a_coroutine_is_cancelled_after_its_timeout(inbox: FlakyInbox) -> None:
    """It gets a chance to clean up, and its worker is free again."""
    ended = []

    async def hang(event: object) -> None:
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.append("cleaned up")

    around = Surroundings(inbox=inbox, parse=parse_payload, clock=ManualClock())
    add(inbox, "one")
    dispatched(around, handler_of(hang, timeout_s=0.05))
    wait_until(lambda: ended)
    around.loop.close()

    assert State.WAITING == outcome(inbox).state
    assert "TimeoutError: it did not end in time and was cancelled" == outcome(inbox).error


def test_a_coroutine_that_blocks_the_loop_is_left_behind_with_it(
    inbox: FlakyInbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The blocked loop is replaced, so that other async handlers work."""
    release = threading.Event()

    async def block(event: object) -> None:
        release.wait(PATIENCE_S)

    async def good(event: object) -> None:
        await asyncio.sleep(0)

    around = Surroundings(inbox=inbox, parse=parse_payload, clock=ManualClock(), loop=HandlerLoop(answer_s=0.02))
    add(inbox, "one", "two")
    dispatched(around, handler_of(block, timeout_s=0.05), handler_of(good, name="two"))
    release.set()

    assert (State.WAITING, State.DONE) == (outcome(inbox).state, outcome(inbox, handler="two").state)
    assert 1 == around.loop.left
    assert "an async handler blocks the loop" in caplog.text
    around.loop.close()


def test_no_more_than_a_few_loops_are_left_behind(inbox: FlakyInbox) -> None:
    """When each new loop is blocked too, async handlers fail, and nothing else does."""
    release = threading.Event()

    async def block(event: object) -> None:
        release.wait(PATIENCE_S)

    around = Surroundings(inbox=inbox, parse=parse_payload, clock=ManualClock(), loop=HandlerLoop(answer_s=0.01))
    for number in range(5):
        add(inbox, "one", number=number)
    dispatched(around, handler_of(block, timeout_s=0.02))
    release.set()

    assert 4 == around.loop.left
    assert "no loop for async handlers" in outcome(inbox, 5).error


def test_time_spent_before_the_first_await_counts(around: Surroundings, inbox: FlakyInbox, clock: ManualClock) -> None:
    """A function that uses up its time and then returns a coroutine is not awaited."""

    async def never() -> None:
        raise AssertionError

    def slow(event: object) -> Any:
        clock.advance(30)
        return never()

    add(inbox, "one")
    dispatched(around, handler_of(slow, timeout_s=30))

    # by the worker or by the lane, whoever is first
    assert outcome(inbox).error.startswith("TimeoutError: no ")


# -- order, leases, the inbox ------------------------------------------------------------------------------------------


def test_ordered_handlers_get_the_events_of_a_person_one_after_the_other(
    around: Surroundings, inbox: FlakyInbox, clock: ManualClock
) -> None:
    """A failure holds back the later events of its person, and of nobody else."""
    seen = []

    def handle(event: Any, context: Context) -> None:
        seen.append((event.distinct_id, context.delivery_id))
        if len(seen) == 1:
            raise ValueError("no")

    made = handler_of(handle, ordered=True, retries=Retries(first_s=5))
    add(inbox, "one", number=1, distinct_id="ada")
    add(inbox, "one", number=2, distinct_id="ada")
    add(inbox, "one", number=3, distinct_id="bob")

    dispatched(around, made)
    assert [("ada", "msg_1"), ("bob", "msg_3")] == seen
    clock.advance(5)
    dispatched(around, made)
    assert [("ada", "msg_1"), ("ada", "msg_2")] == seen[2:]


def test_ordered_handlers_do_not_overlap_for_one_person(inbox: FlakyInbox) -> None:
    """With many workers, one person's events are still handled one at a time, in order."""
    running, overlaps, order = set(), [], []

    def handle(event: Any, context: Context) -> None:
        if event.distinct_id in running:
            overlaps.append(event.distinct_id)
        running.add(event.distinct_id)
        time.sleep(0.001)
        order.append((event.distinct_id, int((context.delivery_id or "")[4:])))
        running.discard(event.distinct_id)

    for number in range(60):
        add(inbox, "one", number=number, distinct_id=f"user_{number % 3}")
    dispatcher = Dispatcher([handler_of(handle, ordered=True)], Surroundings(inbox=inbox, parse=parse_payload))
    dispatcher.start()
    wait_until(lambda: len(order) == 60)
    dispatcher.stop(grace_s=PATIENCE_S)

    assert [] == overlaps
    for person in range(3):
        numbers = [number for distinct_id, number in order if distinct_id == f"user_{person}"]
        assert sorted(numbers) == numbers


def test_a_lease_is_longer_than_the_timeout(around: Surroundings, inbox: FlakyInbox, clock: ManualClock) -> None:
    """Nobody else gets a task while its handler may still be at work."""
    release = threading.Event()
    lane = Lane(handler_of(lambda event: release.wait(PATIENCE_S), timeout_s=30), around, threading.Event())
    add(inbox, "one")
    lane.turn(now=clock())

    assert clock() + timedelta(seconds=30 + LEASE_MARGIN_S) == outcome(inbox).due_at
    release.set()
    wait_until(lambda: outcome(inbox).state is State.DONE)
    lane.give_back()


def test_an_end_that_cannot_be_written_is_tried_again(around: Surroundings, inbox: FlakyInbox) -> None:
    """A disk that is full for a while costs no second run of the handler."""
    runs = []

    def handle(event: object) -> None:
        runs.append(event)
        inbox.broken = InboxError

    lane = Lane(handler_of(handle), around, threading.Event())
    add(inbox, "one")
    lane.turn(now=AT)
    wait_until(lambda: inbox.refused >= 3)
    inbox.broken = None
    wait_until(lambda: outcome(inbox).state is State.DONE)

    assert 1 == len(runs)
    lane.give_back()


def test_an_end_that_cannot_be_written_before_the_lease_is_over_is_given_up(
    around: Surroundings, inbox: FlakyInbox, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The task comes again: at least once, and reported."""

    runs = []

    def handle(event: object) -> None:
        if not runs:
            inbox.broken = InboxError
        runs.append(event)

    lane = Lane(handler_of(handle, timeout_s=30), around, threading.Event())
    add(inbox, "one")
    lane.turn(now=AT)
    wait_until(lambda: inbox.refused >= 1)
    clock.advance(30 + LEASE_MARGIN_S)
    wait_until(lambda: "is not written: the disk is full" in caplog.text)
    inbox.broken = None

    wait_until(lambda: lane.turn(now=clock()) == 1)
    wait_until(lambda: outcome(inbox).state is State.DONE)
    assert 2 == len(runs)
    lane.give_back()


@pytest.mark.parametrize("broken", [InboxError, RuntimeError])
def test_a_lane_survives_an_inbox_that_cannot_be_read(
    broken: type[Exception], inbox: FlakyInbox, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, asks again, and goes on when the inbox does."""
    dispatcher = Dispatcher([handler_of(lambda event: None)], Surroundings(inbox=inbox, parse=parse_payload))
    add(inbox, "one")
    inbox.broken = broken
    dispatcher.start()
    wait_until(lambda: inbox.refused >= 1)
    inbox.broken = None
    dispatcher.wake(["one"])
    wait_until(lambda: outcome(inbox).state is State.DONE)
    dispatcher.stop(grace_s=PATIENCE_S)

    assert 1 == sum("gets nothing" in record.message for record in caplog.records)


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_stop_waits_for_handlers_that_run(inbox: FlakyInbox) -> None:
    """What ends within the grace is done; nothing new is begun."""
    entered, release = threading.Event(), threading.Event()

    def handle(event: object) -> None:
        entered.set()
        release.wait(PATIENCE_S)

    dispatcher = Dispatcher([handler_of(handle, concurrency=1)], Surroundings(inbox=inbox, parse=parse_payload))
    add(inbox, "one")
    add(inbox, "one", number=2)
    dispatcher.start()
    assert entered.wait(PATIENCE_S)
    stopper = threading.Thread(target=dispatcher.stop, kwargs={"grace_s": PATIENCE_S})
    stopper.start()
    release.set()
    stopper.join()

    assert (State.DONE, State.WAITING) == (outcome(inbox, 1).state, outcome(inbox, 2).state)


def test_a_stop_gives_back_what_does_not_end(inbox: FlakyInbox, caplog: pytest.LogCaptureFixture) -> None:
    """Its task is due again at once, for the next process; its own late end changes nothing."""
    entered, release, ended = threading.Event(), threading.Event(), threading.Event()

    def handle(event: object) -> None:
        entered.set()
        release.wait(PATIENCE_S)
        ended.set()

    clock = ManualClock()
    around = Surroundings(inbox=inbox, parse=parse_payload, clock=clock)
    dispatcher = Dispatcher([handler_of(handle)], around)
    add(inbox, "one")
    dispatcher.start()
    assert entered.wait(PATIENCE_S)
    dispatcher.stop(grace_s=0)

    assert (State.WAITING, clock()) == (outcome(inbox).state, outcome(inbox).due_at)
    assert "the receiver was stopped" in outcome(inbox).error
    release.set()
    assert ended.wait(PATIENCE_S)
    assert State.WAITING == outcome(inbox).state


def test_how_attempts_ended_is_told(inbox: FlakyInbox) -> None:
    """Metrics learn of each end, with its duration."""
    told = []
    clock = ManualClock()

    def fail(event: object) -> None:
        clock.advance(2)
        raise ValueError("no")

    around = Surroundings(
        inbox=inbox,
        parse=parse_payload,
        clock=clock,
        monotonic=clock.monotonic,
        ended=lambda handler, outcome, seconds: told.append((handler, outcome, seconds)),
    )
    add(inbox, "one", "two")
    dispatched(around, handler_of(fail, retries=Retries(attempts=1)), handler_of(lambda event: None, name="two"))

    assert [("one", "dead", 2.0), ("two", "done", 0.0)] == told


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
