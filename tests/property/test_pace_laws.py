"""The laws of pacing, over arbitrary traffic, networks, clocks and files.

1. What the pace lets through, PostHog's throttle never refuses, wherever between sending and answering it counts.
2. A wait is not too long: with nothing under way, a request passes when its wait is over.
3. Nothing that is learned, and nothing in the file, holds requests back for longer than its bound.
4. A state written and read back decides the same.
"""

from __future__ import annotations

import heapq

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_events.limits import Rate
from posthog_events.posthog.http import Bucket
from posthog_events.posthog.pace_state import HOUR_S, MARGIN_S, MINUTE_S, PaceState, read_state
from tests.helpers.drf_throttle import DrfView

START = 1_790_000_000.0
QUERY = Bucket.QUERY

rates = st.builds(Rate, st.integers(1, 6), st.integers(1, 12))
gaps = st.one_of(st.floats(0, 3), st.floats(0, 200), st.just(0.0))
legs = st.one_of(st.floats(0, 0.5), st.floats(0, 40))
traffic = st.lists(st.tuples(gaps, legs, legs), min_size=1, max_size=40)


def refusals(rate: Rate, requests: list[tuple[float, float, float]], *, counted_at_sending: bool = False) -> int:
    """Send each request as soon as the pace allows it, and return how many the throttle refuses.

    A request is a gap since the one before, the time until PostHog counts it, and the time from then to its answer.
    """
    state, view, now, refused = PaceState(), DrfView(rate), START, 0
    # (moment, order, what happens, when it was sent)
    coming: list[tuple[float, int, str, float]] = []

    def happen_until(moment: float) -> int:
        count = 0
        while coming and coming[0][0] <= moment:
            at, _, what, sent = heapq.heappop(coming)
            if what == "counted":
                count += view.arrive(at) is not None
            elif not counted_at_sending:
                state.finish(QUERY, sent, at)
        return count

    for number, (gap, there, back) in enumerate(requests):
        now += gap
        refused += happen_until(now)
        while wait := state.wait(QUERY, rate, query=True, now=now):
            # events on the way can only make the wait longer, so it is asked again
            now += wait.seconds
            refused += happen_until(now)
        sent = state.begin(QUERY, now)
        if counted_at_sending:
            state.finish(QUERY, sent, now)
        heapq.heappush(coming, (now + there, 2 * number, "counted", sent))
        heapq.heappush(coming, (now + there + back, 2 * number + 1, "answered", sent))
    return refused + happen_until(float("inf"))


@given(rates, traffic)
def test_what_is_let_through_is_never_refused(rate: Rate, requests: list[tuple[float, float, float]]) -> None:
    """Law 1: any traffic over any network, any number at a time."""
    assert 0 == refusals(rate, requests)


def test_counting_from_the_sending_would_be_refused() -> None:
    """The law bites: a pace that takes the moment of sending for the moment of counting is refused.

    The first request is 20 s on its way and is counted then; the second, sent after 61 s, arrives 41 s later.
    """
    requests = [(0.0, 20.0, 0.0), (0.0, 0.0, 0.0)]

    assert 0 == refusals(Rate(1, 10), requests)
    assert 1 == refusals(Rate(1, 10), requests, counted_at_sending=True)


@given(rates, st.lists(gaps, max_size=30))
def test_a_request_passes_when_its_wait_is_over(rate: Rate, times: list[float]) -> None:
    """Law 2, and that a wait is longer than nothing and no longer than an hour and the margin."""
    state, now = PaceState(), START
    for gap in times:
        now += gap
        if state.wait(QUERY, rate, query=False, now=now) is None:
            state.finish(QUERY, state.begin(QUERY, now), now)
    wait = state.wait(QUERY, rate, query=False, now=now)
    if wait is None:
        return

    assert 0 < wait.seconds <= HOUR_S + MARGIN_S
    assert state.wait(QUERY, rate, query=False, now=now + wait.seconds / 2) is not None
    # a hundredth of a second for what floating point does to Unix times
    assert state.wait(QUERY, rate, query=False, now=now + wait.seconds + 0.01) is None


lessons = st.lists(
    st.one_of(
        st.tuples(st.just("refusal"), st.floats(0, 1e6)),
        st.tuples(st.just("budget"), st.integers(-(10**15), 10)),
        st.tuples(st.just("hold"), st.floats(0, 1e6)),
        st.tuples(st.just("send"), st.integers(1, 40)),
        st.tuples(st.just("time"), st.floats(-1e6, 1e6)),
    ),
    max_size=20,
)


@given(lessons)
def test_lessons_hold_nobody_back_for_more_than_a_day(steps: list[tuple[str, float]]) -> None:
    """Law 3: after any refusals, budgets and changes of the clock, everything passes a day later."""
    rate, state, now = Rate(100, 1_000), PaceState(), START
    for what, size in steps:
        if what == "refusal":
            state.learn_refusal(QUERY, rate, wait_s=size, now=now)
        elif what == "budget":
            state.learn_budget(int(size), refill_per_hour=10**9, now=now)
        elif what == "hold":
            state.hold_budget(size, now)
        elif what == "send":
            for _ in range(int(size)):
                state.finish(QUERY, state.begin(QUERY, now), now)
        else:
            now += size
    # at least one request an hour stays possible, whatever was learned
    wait = state.wait(QUERY, rate, query=True, now=now)

    assert wait is None or wait.seconds <= 86_400 + 5
    assert state.wait(QUERY, rate, query=True, now=now + 86_406) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
bucket_states = st.fixed_dictionaries(
    {},
    optional={
        "done": st.lists(st.floats(allow_nan=False), max_size=5),
        "flying": st.lists(st.floats(START - 1e4, START + 1e4), max_size=5),
        "pause": st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)),
        "minute": st.tuples(st.integers(-9, 9), st.tuples(st.floats(START - 99, START), st.floats(START, START + 999))),
    },
)
files = st.one_of(
    st.binary(max_size=60),
    st.builds(msgspec.json.encode, json_values),
    st.builds(
        lambda query, budget: msgspec.json.encode({"buckets": {"query": query}, "budget": budget}),
        bucket_states,
        st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)) | st.none(),
    ),
)


@given(files)
def test_no_file_stops_requests(raw: bytes) -> None:
    """Law 3: whatever is in the file, it is read, and requests pass within a day."""
    rate, state = Rate(1_000, 1_000), read_state(raw)

    wait = state.wait(QUERY, rate, query=True, now=START)

    assert wait is None or 0 < wait.seconds <= 86_400 + 5
    assert state.wait(QUERY, rate, query=True, now=START + 86_406) is None


@given(rates, st.lists(gaps, max_size=20), st.floats(0, 4_000), st.integers(-(10**10), 10))
def test_a_state_read_back_decides_the_same(rate: Rate, times: list[float], wait_s: float, remaining: int) -> None:
    """Law 4, to the last bit of a time."""
    state, now = PaceState(), START
    for gap in times:
        now += gap
        sent = state.begin(QUERY, now)
        if gap != 0.0:
            state.finish(QUERY, sent, now)
    state.learn_refusal(QUERY, rate, wait_s=wait_s, now=now)
    state.learn_budget(remaining, refill_per_hour=10**9, now=now)

    again = read_state(msgspec.json.encode(state))

    assert state == again
    for later in (0.0, MINUTE_S, HOUR_S):
        assert state.wait(QUERY, rate, query=True, now=now + later) == again.wait(
            QUERY, rate, query=True, now=now + later
        )


@pytest.mark.parametrize("window", ["minute", "hour"])
def test_the_margin_is_part_of_every_window(window: str) -> None:
    """A place is free a second after PostHog frees it, for clocks that differ."""
    rate = Rate(1, 9) if window == "minute" else Rate(9, 1)
    state = PaceState()
    state.finish(QUERY, state.begin(QUERY, START), START)

    wait = state.wait(QUERY, rate, query=False, now=START)

    assert wait is not None
    assert {"minute": 61.0, "hour": 3_601.0}[window] == wait.seconds
