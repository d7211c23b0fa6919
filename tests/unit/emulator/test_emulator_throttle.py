"""Request rates of the emulator: the numbers follow from DRF's rule by hand, with a clock that the test moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from posthog_events.emulator.budget import Budget
from posthog_events.emulator.endpoint import Refusal
from posthog_events.emulator.faults import Faults
from posthog_events.emulator.throttle import Throttles
from posthog_events.emulator.world import Key, Limits, World
from tests.helpers.emulated import serve_toy
from tests.helpers.emulated_world import Clock

KEY = Key("phx_one")


class Throttled:
    """A world of one throttle, and its requests."""

    def __init__(self, per_minute: int, per_hour: int) -> None:
        self.clock = Clock()
        limits = Limits(rates={"query": (per_minute, per_hour)})
        self.throttles = Throttles(World({}, {}, Path(), Faults(), limits=limits, now=self.clock))

    def ask(self, key: Key = KEY, throttle: str = "query") -> str | None:
        """Return None for a request that is let through, else its Retry-After."""
        try:
            self.throttles.admit(key, throttle)
        except Refusal as refusal:
            return refusal.headers["Retry-After"]
        return None


def test_wait_is_what_is_left_of_the_minute() -> None:
    """Three a minute, at 0, 10 and 20 s: the fourth, at 30 s, waits for the first to be a minute old."""
    world = Throttled(3, 100)
    for _ in range(3):
        assert world.ask() is None
        world.clock.sleep(10)

    assert "30" == world.ask()

    world.clock.sleep(30)
    assert world.ask() is None
    assert "10" == world.ask()  # the second, of 10 s, leaves at 70 s, and it is 60 s now


def test_refused_requests_are_not_counted_where_they_were_refused() -> None:
    """Hammering on a closed door does not keep it closed for longer."""
    world = Throttled(1, 100)
    assert world.ask() is None
    for _ in range(10):
        world.clock.sleep(5)
        assert world.ask() is not None

    world.clock.sleep(10)
    assert world.ask() is None


def test_refused_requests_count_in_the_other_window() -> None:
    """DRF asks both throttles every time: a request that the minute refuses still fills the hour."""
    world = Throttled(1, 3)
    for _ in range(3):
        world.ask()
    world.clock.sleep(60)

    assert "3540" == world.ask()


def test_hour_fills_though_the_minute_is_free() -> None:
    """Two an hour: the third waits for what is left of the hour."""
    world = Throttled(100, 2)
    world.ask()
    world.clock.sleep(600)
    world.ask()
    world.clock.sleep(600.5)

    assert "2400" == world.ask()  # 2399.5, rounded up


def test_keys_and_classes_have_their_own_history() -> None:
    """The cache key of PostHog's throttles is the hash of the key, and each class has its own."""
    world = Throttled(1, 100)
    assert world.ask() is None

    assert world.ask(Key("phx_two")) is None
    assert world.ask(throttle="unlimited") is None
    assert world.ask() is not None


def test_oauth_tokens_are_not_throttled() -> None:
    """These throttles are for personal keys."""
    world = Throttled(1, 1)

    assert [None, None] == [world.ask(Key("pha_app")), world.ask(Key("pha_app"))]


def test_throttled_answer_and_what_does_not_count(tmp_path: Path) -> None:
    """Over HTTP: 429 with sentence and header, after requests of which the refused ones did not count."""
    with serve_toy(tmp_path) as served:
        served.world.limits = replace(served.world.limits, rates={"query": (2, 100)})
        statuses = [served.call(method, path, key=key).status_code for method, path, key in _ATTEMPTS]
        answer = served.call("GET", "/api/projects/1/echo/")

    assert [401, 403, 404, 405, 200, 200] == statuses
    assert (429, "60") == (answer.status_code, answer.headers["Retry-After"])
    expected = {
        "type": "throttled_error",
        "code": "throttled",
        "detail": "Request was throttled. Expected available in 60 seconds.",
        "attr": None,
    }
    assert expected == answer.json()


_ATTEMPTS = [
    ("GET", "/api/projects/1/echo/", "phx_unknown"),
    ("GET", "/api/projects/1/echo/", "phx_persons"),
    ("GET", "/api/projects/9/echo/", "phx_all"),
    ("DELETE", "/api/projects/1/echo/", "phx_all"),
    ("GET", "/api/projects/1/echo/", "phx_all"),
    ("POST", "/api/projects/1/echo/", "phx_all"),
]


HOUR = Limits(budget_bytes_per_hour=3600, budget_capacity_hours=2)


def test_budget_pays_after_the_query_and_refills_all_the_time() -> None:
    """A bucket of 7,200 bytes that refills one a second; the query that crosses zero still runs."""
    clock, budget = Clock(), Budget()
    budget.admit(HOUR, clock())
    headers = budget.debit(HOUR, 7300, clock())

    expected = {"X-PostHog-Query-Bytes-Read": "7300", "X-PostHog-Query-Budget-Remaining-Bytes": "0"}
    assert expected == headers
    with pytest.raises(Refusal) as caught:
        budget.admit(HOUR, clock())
    assert (429, "api_queries_budget_exceeded", "100") == (
        caught.value.status,
        caught.value.body["code"],
        caught.value.headers["Retry-After"],
    )
    clock.sleep(101)
    budget.admit(HOUR, clock())
    assert "0" == budget.debit(HOUR, 1, clock())["X-PostHog-Query-Budget-Remaining-Bytes"]


def test_budget_never_locks_out_for_longer_than_an_hour() -> None:
    """The floor is minus one hour of refill."""
    clock, budget = Clock(), Budget()
    budget.debit(HOUR, 10**12, clock())

    with pytest.raises(Refusal) as caught:
        budget.admit(HOUR, clock())

    assert "3600" == caught.value.headers["Retry-After"]


def test_budget_holds_no_more_than_its_capacity() -> None:
    """A week without queries fills two hours."""
    clock, budget = Clock(), Budget()
    budget.debit(HOUR, 100, clock())
    clock.sleep(7 * 86_400)

    assert "7190" == budget.debit(HOUR, 10, clock())["X-PostHog-Query-Budget-Remaining-Bytes"]


def test_no_budget_no_headers() -> None:
    """Self-hosted PostHog has none."""
    assert {} == Budget().debit(Limits(), 5, Clock()())
