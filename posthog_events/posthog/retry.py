"""When a request is sent again, after how long, and when that ends: tenacity, composed of small named parts.

What may be repeated is said by the kind of failure and by the request; how long to wait by PostHog, or else

    uniform(2 s, min(30 s, 2 s * 2 ** n))    for the n-th failure of a kind

which is the 2 to 30 s of reference 2.7, spread so that several clients do not come back together. Three bounds end it:
waiting that PostHog asks for, waiting for a PostHog that fails, and time in all. A wait that would cross a bound is not
begun.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from posthog_events.posthog.api_errors import RUNS_QUERY
from posthog_events.posthog.failures import ASKED_TO_WAIT, Failure, Kind
from posthog_events.posthog.http import Reply, Request

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = [
    "DEFAULT_POLICY",
    "MAX_OUTAGE_S",
    "MAX_WAIT_S",
    "Attempt",
    "Outcome",
    "Retrier",
    "RetryPolicy",
    "backoff_s",
    "may_repeat",
]

Outcome: TypeAlias = Reply | Failure

MAX_WAIT_S = 3_900.0
"""A little over an hour: the longest that PostHog asks for, by its hourly windows and by the read budget's floor."""

MAX_OUTAGE_S = 300.0
"""A deployment or a short outage of PostHog; a longer one is for the user to know."""

MAX_TOTAL_S = 7_200.0
"""Two hours for one request, whatever happens to it."""

MIN_BACKOFF_S = 2.0
MAX_BACKOFF_S = 30.0

MIN_WAIT_S = 1.0
"""For a server that asks to wait 0 s and refuses again."""

MAX_ATTEMPTS: Mapping[Kind, int] = {
    # PostHog's own 500s mostly come again, and each costs a query (reference 2.7: once)
    Kind.SERVER: 2,
    # a wrong host never answers, and the user waits to read so
    Kind.NOT_SENT: 4,
    # a query that breaks its connection has run each time
    Kind.CUT_OFF: 4,
}
"""Failures of one kind after which to stop; the others are bounded by time alone."""

_NOT_CARRIED_OUT = ASKED_TO_WAIT | {Kind.BUSY, Kind.NOT_SENT}
_PERHAPS_CARRIED_OUT = frozenset({Kind.CLUSTER_BUSY, Kind.SERVER, Kind.GATEWAY, Kind.GATEWAY_TIMEOUT, Kind.CUT_OFF})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be with one request.

    Args:
        max_wait_s: Sum of the waits for rate limits and the read budget; 0 never waits.
        max_outage_s: Sum of the waits for a PostHog that fails or cannot be reached.
        max_total_s: From the first attempt to the end of the last wait, attempts included.
    """

    max_wait_s: float = MAX_WAIT_S
    max_outage_s: float = MAX_OUTAGE_S
    max_total_s: float = MAX_TOTAL_S


DEFAULT_POLICY = RetryPolicy()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A failed attempt that will be followed by another, told before the wait between them.

    Args:
        number: 1 for the first.
        source: Method and path.
        wait_s: Seconds until the next attempt.
        elapsed_s: Seconds since the first attempt began.
    """

    number: int
    source: str
    failure: Failure
    wait_s: float
    elapsed_s: float


def may_repeat(request: Request, outcome: Outcome) -> bool:
    """Return whether the request may be sent again unchanged.

    A request that is not repeatable is sent again only when it certainly was not carried out.
    """
    if isinstance(outcome, Reply):
        return False
    if outcome.kind is Kind.GATEWAY_TIMEOUT and request.bucket in RUNS_QUERY:
        return False
    return outcome.kind in _NOT_CARRIED_OUT or (request.repeatable and outcome.kind in _PERHAPS_CARRIED_OUT)


def backoff_s(number: int, rng: random.Random) -> float:
    """Return seconds to wait after the `number`-th failure of a kind (from 1), when PostHog does not say."""
    # the exponent is bounded because 2.0 ** 2000 is an error
    return rng.uniform(MIN_BACKOFF_S, min(MAX_BACKOFF_S, MIN_BACKOFF_S * 2.0 ** min(number, 10)))


class Retrier:
    """Sends requests until one attempt settles it.

    Args:
        clock: Monotonic seconds.
        on_attempt: Called before each wait.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
        rng: random.Random,
        on_attempt: Callable[[Attempt], None] | None = None,
    ) -> None:
        self._policy, self._sleep, self._clock, self._rng = policy, sleep, clock, rng
        self._on_attempt = on_attempt

    def run(self, request: Request, once: Callable[[], Outcome], *, source: str) -> tuple[Outcome, int]:
        """Call `once` until its outcome is final, and return that and how many attempts it took.

        Args:
            source: Method and path, for the observer.
        """
        from tenacity import Retrying, retry_if_result

        course = _Course(self._policy, source, self._clock, self._rng, self._on_attempt)
        retrying = Retrying(
            retry=retry_if_result(partial(may_repeat, request)),
            wait=course.wait,
            stop=course.stop,
            before_sleep=course.begin_wait,
            sleep=self._sleep,
            retry_error_callback=_last,
        )
        outcome: Outcome = retrying(once)
        return outcome, retrying.statistics["attempt_number"]


class _Course:
    """What one request has been through; its public methods are the parts that tenacity asks, in their order."""

    def __init__(
        self,
        policy: RetryPolicy,
        source: str,
        clock: Callable[[], float],
        rng: random.Random,
        on_attempt: Callable[[Attempt], None] | None,
    ) -> None:
        self._policy, self._source, self._clock, self._rng, self._on_attempt = policy, source, clock, rng, on_attempt
        self._started = clock()
        self._failures: Counter[Kind] = Counter()
        self._asked_s = self._outage_s = 0.0

    def wait(self, state: RetryCallState) -> float:
        """Return what PostHog asks for, never less, or else the backoff."""
        failure = _last(state)
        self._failures[failure.kind] += 1
        if failure.wait_s is not None:
            return max(failure.wait_s, MIN_WAIT_S)
        return backoff_s(self._failures[failure.kind], self._rng)

    def stop(self, state: RetryCallState) -> bool:
        """Return whether to give up instead of beginning the wait."""
        kind, wait_s = _last(state).kind, state.upcoming_sleep
        return (
            self._tried_enough(kind)
            or self._waited_enough(kind, wait_s)
            or self._elapsed_s + wait_s > self._policy.max_total_s
        )

    def _tried_enough(self, kind: Kind) -> bool:
        return kind in MAX_ATTEMPTS and self._failures[kind] >= MAX_ATTEMPTS[kind]

    def _waited_enough(self, kind: Kind, wait_s: float) -> bool:
        if kind in ASKED_TO_WAIT:
            return self._asked_s + wait_s > self._policy.max_wait_s
        return self._outage_s + wait_s > self._policy.max_outage_s

    def begin_wait(self, state: RetryCallState) -> None:
        """Count the wait, and tell the observer."""
        failure, wait_s = _last(state), state.upcoming_sleep
        if failure.kind in ASKED_TO_WAIT:
            self._asked_s += wait_s
        else:
            self._outage_s += wait_s
        if self._on_attempt is not None:
            self._on_attempt(Attempt(state.attempt_number, self._source, failure, wait_s, self._elapsed_s))

    @property
    def _elapsed_s(self) -> float:
        return self._clock() - self._started


def _last(state: RetryCallState) -> Failure:
    """Return the failure that the parts are asked about; they are not asked about anything else."""
    assert state.outcome is not None
    failure: Failure = state.outcome.result()
    return failure
