"""Pacing against a model of PostHog's throttle, in virtual time: the benchmark's experiment, smaller and exact.

`tests/benchmarks/bench_pace.py` does the same with real processes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from posthog_events.limits import Rate
from posthog_events.posthog.http import Bucket
from posthog_events.posthog.pace import NoPace, Pace, SharedPace
from tests.helpers.drf_throttle import DrfView, most_allowed
from tests.helpers.virtual_time import VirtualTime

ORIGIN = "https://eu.posthog.com"
RATE = Rate(per_minute=24, per_hour=60)


@dataclass
class Model:
    """A server with throttle and slots, and what came to it."""

    time: VirtualTime
    rate: Rate
    slots: int = 3
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    served: list[tuple[float, str]] = field(default_factory=list)
    refused: list[tuple[float, str]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    def __post_init__(self) -> None:
        self.view = DrfView(self.rate)

    def send(self, sender: str) -> int | None:
        """Take a request at a moment between sending and answering; return the Retry-After of a refusal."""
        self.time.sleep(self.chance.uniform(0.005, 0.3))
        wait_s = self.view.arrive(self.time.clock())
        (self.served if wait_s is None else self.refused).append((self.time.elapsed(), sender))
        if wait_s is None:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            self.time.sleep(self.chance.choice((0.05, 0.2, 0.9)))
            self.running -= 1
        self.time.sleep(self.chance.uniform(0.005, 0.3))
        return wait_s


def client(model: Model, pace: Pace, name: str, *, until: float, slot: bool = True) -> Callable[[], None]:
    """Return an actor that sends as much as its pace allows, and waits for as long as it is told to."""

    def act() -> None:
        while model.time.elapsed() < until:
            with pace.admit(Bucket.QUERY, slot=slot):
                wait_s = model.send(name)
                pace.learn(Bucket.QUERY, status=429 if wait_s else 200, headers={}, wait_s=wait_s)
            if wait_s is not None:
                model.time.sleep(wait_s)

    return act


def shared(directory: Path, model: Model, seed: int, rate: Rate = RATE) -> SharedPace:
    """Return the pace of one simulated process."""
    return SharedPace(
        directory,
        origin=ORIGIN,
        project_id=1,
        rates={Bucket.QUERY: rate},
        max_wait_s=10_000,
        clock=model.time.clock,
        sleep=model.time.sleep,
        chance=random.Random(seed),
    )


def test_four_processes_cause_no_refusal_and_use_nine_tenths_of_the_minutes_rate(tmp_path: Path) -> None:
    """Ten minutes of four busy processes: nothing refused, at most three queries at a time, and little left unused."""
    model = Model(VirtualTime(), Rate(per_minute=24, per_hour=10_000))
    for number in range(4):
        pace = shared(tmp_path, model, number, model.rate)
        model.time.spawn(client(model, pace, str(number), until=600.0))

    model.time.run()

    served = [at for at, _ in model.served if at < 600.0]
    assert [] == model.refused
    assert 3 == model.most_running
    assert 240 == most_allowed(model.rate, 600.0)
    assert len(served) >= 0.9 * 240


def test_the_hours_rate_is_kept_to_as_well(tmp_path: Path) -> None:
    """Beyond the first hour, when the hour's window has been full and has moved on, nothing was refused either."""
    model = Model(VirtualTime(), RATE)
    for number in range(2):
        model.time.spawn(client(model, shared(tmp_path, model, number), str(number), until=4_000.0))

    model.time.run()

    served = [at for at, _ in model.served if at < 4_000.0]
    assert [] == model.refused
    assert 120 == most_allowed(RATE, 4_000.0)
    assert len(served) >= 0.9 * 120


def test_processes_share_fairly(tmp_path: Path) -> None:
    """Each of four processes gets between half and twice its share."""
    model = Model(VirtualTime(), Rate(per_minute=60, per_hour=10_000))
    for number in range(4):
        pace = shared(tmp_path, model, number, model.rate)
        model.time.spawn(client(model, pace, str(number), until=300.0))

    model.time.run()

    counts = [sum(sender == str(number) for _, sender in model.served) for number in range(4)]
    share = len(model.served) / 4
    assert share / 2 < min(counts)
    assert max(counts) < 2 * share


def test_without_a_pace_the_model_refuses() -> None:
    """The same processes, each obeying Retry-After on its own, are refused: the model bites."""
    model = Model(VirtualTime(), Rate(per_minute=24, per_hour=10_000))
    for number in range(4):
        model.time.spawn(client(model, NoPace(), str(number), until=600.0))

    model.time.run()

    assert len(model.refused) > 20


def test_a_legacy_project_is_learned(tmp_path: Path) -> None:
    """A limit twenty times lower than published costs a handful of refusals in three hours, and is mostly used."""
    truth = Rate(per_minute=120, per_hour=120)
    model = Model(VirtualTime(), truth)
    for number in range(2):
        pace = shared(tmp_path, model, number, Rate(per_minute=240, per_hour=2_400))
        model.time.spawn(client(model, pace, str(number), until=3 * 3_600.0))

    model.time.run()

    assert 360 == most_allowed(truth, 3 * 3_600.0)
    assert 1 <= len(model.refused) <= 6
    assert len(model.served) >= 0.85 * 360


def test_another_machine_on_the_same_project_costs_few_refusals(tmp_path: Path) -> None:
    """Beside somebody who takes half of the rate, fewer than one request in twenty is refused."""
    model = Model(VirtualTime(), Rate(per_minute=60, per_hour=10_000))
    for number in range(4):
        pace = shared(tmp_path, model, number, model.rate)
        model.time.spawn(client(model, pace, "ours", until=900.0))

    def somebody_else() -> None:
        while model.time.elapsed() < 900.0:
            if model.view.arrive(model.time.clock()) is None:
                model.served.append((model.time.elapsed(), "theirs"))
            model.time.sleep(2.0)

    model.time.spawn(somebody_else)
    model.time.run()

    ours = sum(sender == "ours" for _, sender in model.served)
    assert len(model.served) - ours > 200
    assert ours > 300
    assert len(model.refused) < 0.05 * ours
