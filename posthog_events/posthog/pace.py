"""Keeps the processes of one user on this machine, together, inside PostHog's limits for a project.

What is decided is in `pace_state.py`, and the files that processes share are in `pace_files.py`. Other machines and
other users are not seen; what they use shows in PostHog's refusals, and `learn` takes it into account.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from posthog_events import limits
from posthog_events.errors import BudgetExceeded, ConfigError, RateLimited
from posthog_events.limits import Rate
from posthog_events.posthog.http import Bucket
from posthog_events.posthog.pace_files import PaceFiles, Slot, state_directory
from posthog_events.posthog.pace_state import Cause, PaceState, Wait

__all__ = ["RATES", "Cause", "NoPace", "Pace", "SharedPace", "Wait", "state_directory"]

RATES: Mapping[Bucket, Rate] = MappingProxyType(
    {
        Bucket.QUERY: limits.QUERY_RATE,
        Bucket.CLICKHOUSE: limits.CLICKHOUSE_RATE,
        Bucket.VALUES: limits.VALUES_RATE,
        Bucket.CRUD: limits.CRUD_RATE,
    }
)
"""The published rates; a bucket that is missing is not limited."""

SLICE_S = 5.0
"""The longest sleep at a time, so that what other processes learn meanwhile is noticed, and a clock that was set."""

POLL_S = (0.02, 0.1)
"""How often a free slot is looked for; random, so that no process always comes first."""

REMAINING_HEADER = "x-posthog-query-budget-remaining-bytes"
BUDGET_CODE = "api_queries_budget_exceeded"


class Pace(Protocol):
    """Lets requests through when PostHog will take them."""

    def admit(self, bucket: Bucket, *, slot: bool) -> AbstractContextManager[None]:
        """Wait until a request may be sent, and count it; the request is sent within the context.

        Args:
            slot: It runs a query, and takes one of the project's places for queries while it does.

        Raises:
            RateLimited: It would have to wait longer than allowed; `wait_s` says how long. `BudgetExceeded` when the
                project's byte budget is the reason.
            ConfigError: The shared state cannot be kept.
        """
        ...

    def learn(
        self, bucket: Bucket, *, status: int, headers: Mapping[str, str], wait_s: float | None, code: str = ""
    ) -> None:
        """Take over what an answer says about the limits.

        Args:
            headers: Names in lower case.
            wait_s: Seconds that PostHog asks to wait. A refusal without them is that of a query for which there was no
                slot: it concerns that query, whose sender waits, and says nothing about rates.
            code: The API's own code, which tells a spent budget from too many requests.
        """
        ...


class NoPace:
    """No limits: for servers without them, and for tests."""

    def admit(self, bucket: Bucket, *, slot: bool) -> AbstractContextManager[None]:
        """Let everything through."""
        return nullcontext()

    def learn(
        self, bucket: Bucket, *, status: int, headers: Mapping[str, str], wait_s: float | None, code: str = ""
    ) -> None:
        """Learn nothing."""


class SharedPace:
    """A pace shared by all processes and threads that name the same directory, origin and project.

    Args:
        directory: Where the state is, usually `state_directory()`.
        rates: Requests per window; a bucket that is missing is not limited.
        slots: Queries at a time. All processes should say the same.
        max_wait_s: The longest that one request waits.
        budget_refill: Bytes per hour that the project's budget grows by. It is used only to tell how long a debt lasts.
        clock: Unix seconds, the same for all processes.
        sleep: Takes seconds.
        on_wait: Called before each sleep, of at most five seconds, with what is left to wait; for a slot, only when
            that has taken five seconds already.
    """

    def __init__(
        self,
        directory: Path,
        *,
        origin: str,
        project_id: int,
        max_wait_s: float,
        rates: Mapping[Bucket, Rate] = RATES,
        slots: int = limits.QUERY_SLOTS,
        budget_refill: int = limits.BUDGET_REFILL_BYTES_PER_HOUR,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
        on_wait: Callable[[Wait], None] | None = None,
    ) -> None:
        counts = [slots, budget_refill, *(n for rate in rates.values() for n in (rate.per_minute, rate.per_hour))]
        if min(counts) < 1:
            raise ConfigError("a request limit, the number of slots and the budget's refill must each be at least 1")
        self._files = PaceFiles(directory, origin=origin, project_id=project_id)
        self._project = f"project {project_id} on {origin}"
        self._rates, self._slots, self._budget_refill = rates, slots, budget_refill
        self._max_wait_s, self._clock, self._sleep, self._on_wait = max_wait_s, clock, sleep, on_wait
        self._chance = chance or random.Random()

    @contextmanager
    def admit(self, bucket: Bucket, *, slot: bool) -> Iterator[None]:
        """See `Pace.admit`."""
        waited = 0.0
        while True:
            entered = self._enter(bucket, slot=slot)
            if not isinstance(entered, Wait):
                break
            waited += self._wait(entered, waited)
        sent, held = entered
        try:
            yield
        finally:
            self._leave(bucket, sent, held)

    def learn(
        self, bucket: Bucket, *, status: int, headers: Mapping[str, str], wait_s: float | None, code: str = ""
    ) -> None:
        """See `Pace.learn`."""
        remaining = _whole_number(headers.get(REMAINING_HEADER))
        refused_s = wait_s if status == 429 else None
        if remaining is None and refused_s is None:
            return

        def take_over(state: PaceState, now: float) -> None:
            if remaining is not None:
                state.learn_budget(remaining, refill_per_hour=self._budget_refill, now=now)
            if refused_s is not None and code == BUDGET_CODE:
                state.hold_budget(refused_s, now)
            elif refused_s is not None:
                state.learn_refusal(bucket, self._rates.get(bucket), wait_s=refused_s, now=now)

        self._record(take_over)

    def _enter(self, bucket: Bucket, *, slot: bool) -> Wait | tuple[float, Slot | None]:
        """Count one request and take its slot, or say what it has to wait for. One step for all processes.

        The slot is asked for first, because that is often and cheap, and given back when there is something else to
        wait for.
        """
        with self._files.locked(), ExitStack() as undo:
            held = self._files.take_slot(self._slots) if slot else None
            if held is not None:
                undo.callback(held.free)
            elif slot:
                reason = f"behind {self._slots} other queries, as many as it runs at a time"
                return Wait(bucket, limits.QUERY_EXECUTION_S, Cause.SLOTS, reason)
            state, now = self._files.load(), self._clock()
            if wait := state.wait(bucket, self._rates.get(bucket), query=slot, now=now):
                return wait
            sent = state.begin(bucket, now)
            if bucket in self._rates:
                self._files.save(state)
            undo.pop_all()
            return sent, held

    def _leave(self, bucket: Bucket, sent: float, held: Slot | None) -> None:
        """Count the request as answered before its slot is free for the next."""
        try:
            if bucket in self._rates:
                self._record(lambda state, now: state.finish(bucket, sent, now))
        finally:
            if held is not None:
                held.free()

    def _record(self, change: Callable[[PaceState, float], None]) -> None:
        """Change the state by what an answer taught.

        A failure is left to the next `admit`, which meets it too and says so: raising here would throw away an answer
        that has arrived. What is not recorded is still counted as under way, so nothing is sent too early.
        """
        with suppress(ConfigError), self._files.locked():
            state = self._files.load()
            change(state, self._clock())
            self._files.save(state)

    def _wait(self, wait: Wait, waited: float) -> float:
        """Sleep through a part of `wait` and return its seconds, or raise when all of it would be too long."""
        slots = wait.cause is Cause.SLOTS
        if waited + (0.0 if slots else wait.seconds) > self._max_wait_s:
            raise self._too_long(wait, waited)
        if self._on_wait is not None and (not slots or waited >= SLICE_S):
            self._on_wait(wait)
        seconds = self._chance.uniform(*POLL_S)
        if not slots:
            # the least jitter keeps those who wait for the same moment from coming all at once
            seconds = min(wait.seconds + seconds - POLL_S[0], SLICE_S)
        self._sleep(seconds)
        return seconds

    def _too_long(self, wait: Wait, waited: float) -> RateLimited:
        kind = BudgetExceeded if wait.cause is Cause.BUDGET else RateLimited
        start = f"not sent, to stay inside PostHog's limits: {self._project} is {wait.reason}"
        if wait.cause is Cause.SLOTS:
            message = f"{start}, and none has ended within {waited:.0f} s. Run this again when they have"
            return kind(message, status=429, wait_s=None)
        again = datetime.fromtimestamp(self._clock() + wait.seconds, UTC)
        message = (
            f"{start}. Run this again in {wait.seconds:,.0f} s (at {again:%H:%M:%S} UTC), or allow a longer wait than "
            f"{self._max_wait_s:,.0f} s"
        )
        return kind(message, status=429, wait_s=wait.seconds)


def _whole_number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
