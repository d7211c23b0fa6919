"""Workers: tasks are claimed from the inbox, run, and their ends written down.

Each handler has a lane: its own claims and its own workers, so that one that hangs, or has a long queue, does not hold
up the others. A lane is turned by one thread, which never runs a handler itself::

    turn:  claim as many tasks as workers are free -> hand each to a worker (a thread)
           take back every run that is past its timeout: a failed attempt; the worker is left behind
    worker: call the handler (what it returns is awaited on the loop of the handlers) -> succeed or fail

A function cannot be stopped from outside. One that hangs keeps its thread; its lane gets another one, up to a bound,
after which the lane is smaller by one for each that hangs, and stands still at the end: `Dispatcher.stuck` says so.

Whatever a handler raises is a failed attempt and nothing else, SystemExit and KeyboardInterrupt included. A handler
that takes the process with it (`os._exit`, a crash in C) is seen by its claims: one that was claimed more often than it
may be attempted becomes a dead letter instead of taking down the process for ever.
"""

from __future__ import annotations

import inspect
import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from posthog_events.clock import utc_now
from posthog_events.errors import DeliveryRejected, InboxError
from posthog_events.receiver.context import Context, GiveUp, TryAgain
from posthog_events.receiver.handler_loop import HandlerLoop
from posthog_events.receiver.inbox import Inbox, Task
from posthog_events.receiver.payload import ReceivedEvent
from posthog_events.receiver.routing import Subscription

__all__ = ["Dispatcher", "Surroundings"]

LEASE_MARGIN_S: Final = 15.0
"""Beyond the timeout of a handler: to write down how it ended, also when the inbox is locked for a while. After a crash
what ran is begun again when its timeout and this are over."""

POLL_S: Final = 0.5
"""For tasks that become due, and for those that other processes add; deliveries of this one wake the lanes."""

STOPPED: Final = "the receiver was stopped before the handler ended"
NONE_LEFT: Final = "no attempt is left: the last was cut off, by the end of the process, or fewer are allowed than were"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the workers have in common.

    Args:
        parse: Returns the event of a body, or raises DeliveryRejected.
        redact: Makes a text safe to be shown and kept.
        ended: Told the handler, how an attempt ended (`done`, `failed`, `dead` or `stopped`), and its seconds.
        monotonic: Seconds, for timeouts.
        record_again_s: Between two tries to write down an end that the inbox does not take.
    """

    inbox: Inbox
    parse: Callable[[bytes], ReceivedEvent | None]
    redact: Callable[[str], str] = str
    ended: Callable[[str, str, float], None] = lambda handler, outcome, seconds: None
    clock: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    record_again_s: float = 1.0
    rng: random.Random = field(default_factory=random.Random)
    loop: HandlerLoop = field(default_factory=HandlerLoop)


@dataclass(eq=False, slots=True)
class _Run:
    """A task in the hands of a worker. Whoever sets `settled` first writes down how it ended."""

    task: Task
    began: float
    settled: bool = False
    awaited: bool = False


class Lane:
    """The claims and the workers of one handler."""

    def __init__(self, subscription: Subscription, surroundings: Surroundings, stopping: threading.Event) -> None:
        self.subscription, self._around, self._stopping = subscription, surroundings, stopping
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._runs: set[_Run] = set()
        self._left: set[_Run] = set()
        self._waiting: queue.SimpleQueue[_Run | None] = queue.SimpleQueue()
        self._idle = 0
        self._complaint = ""

    @property
    def stuck(self) -> bool:
        """Whether every worker that the lane may have hangs."""
        return self._room() <= 0

    @property
    def left(self) -> int:
        """How many workers hang in a call that was given up."""
        return len(self._left)

    def wake(self) -> None:
        """Say that there may be something to claim."""
        self._changed.set()

    def turn(self, *, now: datetime, limit: int | None = None) -> int:
        """Give up the runs that are past their time, begin with tasks that are due, and return how many began."""
        self._give_up_overdue()
        free = self._room() - len(self._runs)
        tasks = self._claim(now, free if limit is None else min(free, limit)) if free > 0 else ()
        begun = [task for task in tasks if not self._worn_out(task)]
        for task in begun:
            self._begin(_Run(task, self._around.monotonic()))
        return len(tasks)

    def keep_turning(self) -> None:
        """Turn until it is time to stop."""
        while not self._stopping.is_set():
            self._changed.clear()
            if self.turn(now=self._around.clock()) == 0 or len(self._runs) >= self._room():
                self._changed.wait(self._pause_s())

    def drain(self, *, now: datetime) -> int:
        """Run the tasks that are due at a time, one after the other, and return how many."""
        total = 0
        while begun := self.turn(now=now, limit=1):
            total += begun
            while self._runs:
                self._changed.clear()
                if self._runs:
                    self._changed.wait(self._pause_s())
                self._give_up_overdue()
        return total

    def wait(self, until: float) -> None:
        """Wait for the runs to end, up to a monotonic time."""
        while self._runs and (left_s := until - self._around.monotonic()) > 0:
            self._changed.clear()
            if self._runs:
                self._changed.wait(min(left_s, self._pause_s()))
            self._give_up_overdue()

    def give_back(self) -> None:
        """Make the tasks whose runs have not ended due again, and let the workers go."""
        for run in list(self._runs):
            if self._settle(run):
                self._leave(run)
                self._record(run, STOPPED, retry_at=self._around.clock(), outcome="stopped")
        with self._lock:
            idle, self._idle = self._idle, 0
        for _ in range(idle):
            self._waiting.put(None)

    def _room(self) -> int:
        """Return how many runs there may be: all, until more workers hang than may be replaced."""
        limit = self.subscription.concurrency
        return min(limit, 2 * limit - len(self._left))

    def _pause_s(self) -> float:
        left_s = min((self._left_s(run) for run in self._stoppable()), default=POLL_S)
        return min(POLL_S, max(0.001, left_s))

    def _left_s(self, run: _Run) -> float:
        return run.began + self.subscription.timeout_s - self._around.monotonic()

    def _stoppable(self) -> list[_Run]:
        """Return the runs that may be given up; for a coroutine, its worker sees to that."""
        with self._lock:
            return [run for run in self._runs if not (run.settled or run.awaited)]

    # -- claims ----------------------------------------------------------------------------------------------------

    def _claim(self, now: datetime, limit: int) -> tuple[Task, ...]:
        subscription = self.subscription
        try:
            tasks = self._around.inbox.claim(
                now=now,
                lease_s=subscription.timeout_s + LEASE_MARGIN_S,
                limit=limit,
                ordered=subscription.ordered,
                handlers=(subscription.name,),
            )
        except InboxError as error:
            # once, and not twice a second
            if str(error) != self._complaint:
                _log.error("the handler %s gets nothing: %s", subscription.name, error)
            self._complaint = str(error)
            return ()
        except Exception:
            # a lane that ends would do so silently
            _log.exception("the handler %s gets nothing: the inbox failed", subscription.name)
            return ()
        self._complaint = ""
        return tasks

    def _worn_out(self, task: Task) -> bool:
        if task.attempt <= self.subscription.retries.attempts:
            return False
        self._record(_Run(task, self._around.monotonic()), NONE_LEFT, retry_at=None, outcome="dead")
        return True

    # -- runs ------------------------------------------------------------------------------------------------------

    def _begin(self, run: _Run) -> None:
        with self._lock:
            self._runs.add(run)
            new = self._idle == 0
            self._idle -= not new
        if new:
            name = f"posthog-events-{self.subscription.name}"
            # daemons: one that hangs must not keep the process from ending
            threading.Thread(target=self._work, args=(run,), name=name, daemon=True).start()
        else:
            self._waiting.put(run)

    def _work(self, first: _Run) -> None:
        run: _Run | None = first
        while run is not None:
            error = self._perform(run)
            if not self._settle(run):
                # given up long ago, and replaced
                with self._lock:
                    self._left.discard(run)
                self._changed.set()
                return
            self._write_down(run, error)
            with self._lock:
                self._runs.discard(run)
                self._idle += 1
            self._changed.set()
            run = self._waiting.get()

    def _perform(self, run: _Run) -> BaseException | None:
        """Run a handler and return what it raised."""
        task, subscription = run.task, self.subscription
        entry = task.entry
        try:
            event = self._around.parse(entry.body)
            if why := subscription.unevaluable(event):
                raise GiveUp(f"a condition cannot be evaluated for this event: {why}")
            context = Context(
                idempotency_key=task.idempotency_key,
                delivery_id=entry.delivery_id,
                attempt=task.attempt,
                destination=entry.destination,
                received_at=entry.received_at,
                headers=entry.headers,
                body=entry.body,
            )
            result = subscription.call(event, context)
            if inspect.isawaitable(result):
                with self._lock:
                    run.awaited = True
                return self._around.loop.run(result, timeout_s=self._left_s(run))
        except BaseException as error:
            return error
        return None

    def _settle(self, run: _Run) -> bool:
        with self._lock:
            first, run.settled = not run.settled, True
        return first

    def _leave(self, run: _Run) -> None:
        with self._lock:
            self._runs.discard(run)
            self._left.add(run)

    def _give_up_overdue(self) -> None:
        timeout_s = self.subscription.timeout_s
        for run in self._stoppable():
            if self._left_s(run) <= 0 and self._settle(run):
                self._leave(run)
                _log.error(
                    "the handler %s has not ended after %g s; its thread is left behind (%d of them)",
                    self.subscription.name,
                    timeout_s,
                    self.left,
                )
                self._write_down(run, TimeoutError(f"no end after {timeout_s:g} s; its thread was left behind"))

    # -- ends ------------------------------------------------------------------------------------------------------

    def _write_down(self, run: _Run, error: BaseException | None) -> None:
        if error is None:
            self._record(run, "", retry_at=None, outcome="done")
            return
        retries, attempt = self.subscription.retries, run.task.attempt
        final = isinstance(error, GiveUp | DeliveryRejected) or attempt >= retries.attempts
        retry_at = None
        if not final:
            wait_s = error.after_s if isinstance(error, TryAgain) else retries.wait_s(attempt, self._around.rng)
            retry_at = self._around.clock() + timedelta(seconds=wait_s)
        text = self._around.redact(described(error))
        self._record(run, text, retry_at=retry_at, outcome="dead" if final else "failed")

    def _record(self, run: _Run, error: str, *, retry_at: datetime | None, outcome: str) -> None:
        """Tell the inbox, again and again while the lease lasts: what is not told is run again."""
        task, around = run.task, self._around
        elapsed_s = around.monotonic() - run.began
        until = run.began + self.subscription.timeout_s + LEASE_MARGIN_S
        if error:
            level = logging.ERROR if outcome == "dead" else logging.WARNING
            _log.log(level, "delivery %d at %s, attempt %d: %s", task.seq, task.handler, task.attempt, error)
        while True:
            try:
                if outcome == "done":
                    around.inbox.succeed(task, now=around.clock())
                else:
                    around.inbox.fail(task, error, retry_at=retry_at, now=around.clock())
                around.ended(task.handler, outcome, elapsed_s)
                return
            except InboxError as problem:
                if around.monotonic() + around.record_again_s >= until or self._stopping.wait(around.record_again_s):
                    _log.error("the end of delivery %d at %s is not written: %s", task.seq, task.handler, problem)
                    return
            except Exception:
                _log.exception("the end of delivery %d at %s is not written", task.seq, task.handler)
                return


class Dispatcher:
    """The lanes of all handlers."""

    def __init__(self, subscriptions: Iterable[Subscription], surroundings: Surroundings) -> None:
        self._around = surroundings
        self._stopping = threading.Event()
        self._lanes = {it.name: Lane(it, surroundings, self._stopping) for it in subscriptions}
        self._threads: list[threading.Thread] = []

    @property
    def stuck(self) -> tuple[str, ...]:
        """The handlers of which every worker hangs."""
        return tuple(name for name, lane in self._lanes.items() if lane.stuck)

    @property
    def left(self) -> dict[str, int]:
        """How many workers of each handler hang in a call that was given up."""
        return {name: lane.left for name, lane in self._lanes.items()}

    def start(self) -> None:
        """Begin to work, in threads."""
        for name, lane in self._lanes.items():
            thread = threading.Thread(target=lane.keep_turning, name=f"posthog-events-lane-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wake(self, handlers: Iterable[str]) -> None:
        """Say that there are new tasks for some handlers."""
        for name in handlers:
            self._lanes[name].wake()

    def run_pending(self) -> int:
        """Run every task that is due now, once and one after the other, and return how many."""
        now = self._around.clock()
        return sum(lane.drain(now=now) for lane in self._lanes.values())

    def stop(self, *, grace_s: float) -> None:
        """Claim nothing any more, wait for what runs, and give back what has not ended after `grace_s` seconds."""
        self._stopping.set()
        for lane in self._lanes.values():
            lane.wake()
        for thread in self._threads:
            thread.join()
        until = self._around.monotonic() + grace_s
        for lane in self._lanes.values():
            lane.wait(until)
        for lane in self._lanes.values():
            lane.give_back()
        self._around.loop.close()


def described(error: BaseException) -> str:
    """Return the type and the text of an error, and where the handler was."""
    try:
        text = str(error)
    except Exception:
        text = "its text cannot be shown"
    place, trace = "", error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        # the first frame that is not ours is the handler's
        if file.parent != Path(__file__).parent:
            place = f" ({file.name}, line {trace.tb_lineno})"
            break
        trace = trace.tb_next
    name = type(error).__name__
    return f"{name}: {text}{place}" if text else f"{name}{place}"
