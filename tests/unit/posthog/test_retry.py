"""Repeating: what, after how long, and until when."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_events.posthog.failures import Failure, Kind
from posthog_events.posthog.http import Bucket, Reply, Request
from posthog_events.posthog.retry import DEFAULT_POLICY, Attempt, Outcome, Retrier, RetryPolicy, backoff_s, may_repeat

OK = Reply(200, {}, b"[]", "GET x/")
QUERY = Request("POST", "query/", bucket=Bucket.QUERY, slot=True)
READ = Request("GET", "event_definitions/")
WRITE = Request("POST", "exports/", repeatable=False)


@dataclass
class Stage:
    """A retrier with a clock that moves only while it sleeps or sends."""

    policy: RetryPolicy = DEFAULT_POLICY
    attempt_s: float = 0.0
    now: float = 1000.0
    slept: list[float] = field(default_factory=list)
    told: list[Attempt] = field(default_factory=list)

    def run(self, *outcomes: Outcome, request: Request = READ) -> tuple[Outcome, int]:
        """Send until settled; the last outcome repeats itself."""
        left = list(outcomes)

        def once() -> Outcome:
            self.now += self.attempt_s
            return left.pop(0) if len(left) > 1 else left[0]

        retrier = Retrier(
            self.policy, sleep=self.sleep, clock=lambda: self.now, rng=random.Random(7), on_attempt=self.told.append
        )
        return retrier.run(request, once, source="GET x/")

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


def refused(kind: Kind, wait_s: float | None = None) -> Failure:
    """Return a failure of which only kind and wait matter."""
    return Failure(kind, wait_s=wait_s)


ALWAYS = {Kind.RATE, Kind.CONCURRENCY, Kind.BUDGET, Kind.BUSY, Kind.NOT_SENT}
READS = {Kind.CLUSTER_BUSY, Kind.SERVER, Kind.GATEWAY, Kind.GATEWAY_TIMEOUT, Kind.CUT_OFF}


@pytest.mark.parametrize("kind", Kind)
def test_what_may_be_repeated_depends_on_kind_and_request(kind: Kind) -> None:
    """Refusals before processing for everyone, broken work for reads only, and 4xx, 504, 512 and 513 for nobody."""
    assert (kind in ALWAYS, kind in ALWAYS | READS) == (
        may_repeat(WRITE, refused(kind)),
        may_repeat(READ, refused(kind)),
    )


def test_a_query_that_a_gateway_gave_up_on_is_not_repeated() -> None:
    """It would take as long again."""
    assert not may_repeat(QUERY, refused(Kind.GATEWAY_TIMEOUT))


def test_a_reply_is_final_at_once() -> None:
    """Nothing is waited for, and nobody is told."""
    stage = Stage()

    assert (OK, 1) == stage.run(OK)
    assert ([], []) == (stage.slept, stage.told)


@pytest.mark.parametrize("kind", [Kind.RATE, Kind.CONCURRENCY, Kind.BUDGET, Kind.BUSY])
@pytest.mark.parametrize("wait_s", [1.0, 7.0, 37.5, 240.0])
def test_the_wait_is_what_posthog_asks_for(kind: Kind, wait_s: float) -> None:
    """Exactly: less would be refused again, more would waste the hour."""
    stage = Stage()

    assert (OK, 2) == stage.run(refused(kind, wait_s), OK)
    assert [wait_s] == stage.slept


def test_an_hour_is_waited_out_by_default() -> None:
    """The read budget's floor is an hour away at most."""
    stage = Stage()

    assert (OK, 2) == stage.run(refused(Kind.BUDGET, 3600.0), OK)
    assert [3600.0] == stage.slept


def test_waits_grow_from_2_to_30_seconds_when_posthog_does_not_say() -> None:
    """The upper end doubles, the lower end stays, and the draw is within."""
    stage = Stage()

    stage.run(*[refused(Kind.CONCURRENCY)] * 8, OK)

    tops = [4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0, 30.0]
    assert len(tops) == len(stage.slept)
    assert all(2.0 <= slept <= top for slept, top in zip(stage.slept, tops, strict=True))
    assert len(set(stage.slept)) == len(tops)


@pytest.mark.parametrize(("draw", "seconds"), [(0.0, [2, 2, 2, 2, 2]), (1.0, [4, 8, 16, 30, 30])])
def test_the_backoff_is_spread_over_its_whole_range(draw: float, seconds: list[float]) -> None:
    """From both ends of the random numbers."""

    class Fixed(random.Random):
        def random(self) -> float:
            return draw

    assert seconds == [backoff_s(number, Fixed()) for number in (1, 2, 3, 4, 5000)]


def test_kinds_grow_on_their_own() -> None:
    """A busy moment after an hour of rate limits begins with a short wait."""
    stage = Stage()

    stage.run(*[refused(Kind.RATE, 60.0)] * 5, refused(Kind.BUSY), OK)

    assert 2.0 <= stage.slept[-1] <= 4.0


def test_a_wait_of_nothing_is_a_second() -> None:
    """A server that says 0 and refuses again is not asked in a circle."""
    stage = Stage(RetryPolicy(max_wait_s=3.0))

    stage.run(refused(Kind.RATE, 0.0))

    assert [1.0, 1.0, 1.0] == stage.slept


@pytest.mark.parametrize(("kind", "attempts"), [(Kind.SERVER, 2), (Kind.NOT_SENT, 4), (Kind.CUT_OFF, 4)])
def test_some_failures_end_after_a_number_of_attempts(kind: Kind, attempts: int) -> None:
    """A 500 is sent once more; what never connects is not tried for minutes."""
    stage = Stage()

    assert (refused(kind), attempts) == stage.run(refused(kind))
    assert attempts - 1 == len(stage.slept)


@pytest.mark.parametrize("kind", sorted(set(Kind) - ALWAYS - READS))
def test_useless_repetitions_are_not_begun(kind: Kind) -> None:
    """The failure is returned after one attempt."""
    stage = Stage()

    assert (refused(kind), 1) == stage.run(refused(kind))
    assert [] == stage.slept


@pytest.mark.parametrize(
    ("waits", "slept"),
    [([61.0], []), ([60.0], [60.0]), ([20.0, 20.0, 20.0, 1.0], [20.0, 20.0, 20.0]), ([50.0, 11.0], [50.0])],
)
def test_a_wait_beyond_the_allowed_is_not_begun(waits: list[float], slept: list[float]) -> None:
    """One wait or their sum: with 60 s allowed, the client gives up at once instead of after the wait."""
    stage = Stage(RetryPolicy(max_wait_s=60.0))

    outcome, attempts = stage.run(*[refused(Kind.RATE, wait) for wait in waits], refused(Kind.RATE, 1000.0))

    assert slept == stage.slept
    assert isinstance(outcome, Failure)
    assert len(slept) + 1 == attempts


def test_waiting_for_nothing_is_allowed() -> None:
    """`--max-wait 0` returns with the first refusal, and still sits out no more than a connection that failed."""
    stage = Stage(RetryPolicy(max_wait_s=0.0))

    assert 1 == stage.run(refused(Kind.CONCURRENCY))[1]
    assert (OK, 2) == stage.run(refused(Kind.NOT_SENT), OK)


def test_an_outage_is_waited_for_only_so_long() -> None:
    """Five minutes of waits, apart from those for rate limits."""
    stage = Stage()

    stage.run(refused(Kind.RATE, 600.0), refused(Kind.BUSY))

    assert 270.0 < sum(stage.slept[1:]) <= 300.0


def test_the_attempts_count_towards_the_time_in_all() -> None:
    """With 100 s in all and 45 s for each attempt, 5 s after the first attempt and 6 s after the second do not fit."""
    stage = Stage(RetryPolicy(max_total_s=100.0), attempt_s=45.0)

    _, attempts = stage.run(refused(Kind.RATE, 5.0), refused(Kind.RATE, 6.0))

    assert ([5.0], 2) == (stage.slept, attempts)


def test_observers_hear_of_each_wait_before_it() -> None:
    """Number, source, failure, seconds to come and seconds passed; nothing about the attempt that settles it."""
    stage = Stage(attempt_s=3.0)
    first, second = refused(Kind.RATE, 7.0), refused(Kind.BUSY, 1.0)

    stage.run(first, second, OK)

    assert [Attempt(1, "GET x/", first, 7.0, 3.0), Attempt(2, "GET x/", second, 1.0, 13.0)] == stage.told


def test_ctrl_c_ends_it() -> None:
    """An exception is never repeated."""
    stage = Stage()

    def once() -> Outcome:
        raise KeyboardInterrupt

    retrier = Retrier(RetryPolicy(), sleep=stage.sleep, clock=lambda: 0.0, rng=random.Random(7))
    with pytest.raises(KeyboardInterrupt):
        retrier.run(READ, once, source="GET x/")

    assert [] == stage.slept


FAILURES = st.builds(Failure, kind=st.sampled_from(Kind), wait_s=st.none() | st.floats(0, 5000))


@settings(max_examples=300)
@given(
    failures=st.lists(FAILURES, min_size=1, max_size=30),
    max_wait_s=st.floats(0, 5000),
    max_outage_s=st.floats(0, 500),
    max_total_s=st.floats(0, 8000),
    attempt_s=st.floats(0, 200),
    request_=st.sampled_from([QUERY, READ, WRITE]),
)
def test_no_bound_is_ever_crossed(
    failures: list[Failure],
    max_wait_s: float,
    max_outage_s: float,
    max_total_s: float,
    attempt_s: float,
    request_: Request,
) -> None:
    """Whatever comes, it ends; each sum of waits and the time in all stay within the policy; no wait is too short."""
    stage = Stage(RetryPolicy(max_wait_s, max_outage_s, max_total_s), attempt_s=attempt_s)

    outcome, attempts = stage.run(*failures, request=request_)

    asked = [told.wait_s for told in stage.told if told.failure.kind in {Kind.RATE, Kind.CONCURRENCY, Kind.BUDGET}]
    assert attempts == len(stage.slept) + 1
    assert sum(asked) <= max_wait_s
    assert sum(stage.slept) - sum(asked) <= max_outage_s + 1e-6
    assert sum(stage.slept) <= max_total_s + 1e-6
    assert stage.now - 1000.0 - attempt_s <= max_total_s + 1e-6 or not stage.slept
    assert all(told.wait_s >= (told.failure.wait_s or 0.0) for told in stage.told)
    assert isinstance(outcome, Failure)
    assert all(may_repeat(request_, told.failure) for told in stage.told)
