"""A simulation and the emulator that really fires agree: the same events, the same deliveries."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

import posthog_events as ph
from posthog_events.clickhouse.catalog import PropertyKind
from posthog_events.destinations import Slack, Webhook, body_of
from posthog_events.destinations.model import Destination
from posthog_events.destinations.secrets import Secrets
from posthog_events.destinations.simulate import EngineEvents, Simulation, simulate, simulate_all
from posthog_events.emulator.hog_metrics import EVENT_TRIGGER
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.http_receiver import Receiver, receiver

START = datetime(2026, 3, 29, tzinfo=UTC)
END = START + timedelta(hours=6)


@dataclass
class Clock:
    """The emulator's clock: the time of the event that is captured."""

    moment: datetime = START

    def __call__(self) -> datetime:
        return self.moment


@dataclass
class Fired:
    """What was captured and delivered, and the destinations that did it."""

    posthog: EmulatedPostHog
    hooks: Receiver
    destinations: list[Destination]
    ids: dict[str, str]

    @property
    def source(self) -> EngineEvents:
        return EngineEvents(self.posthog.project.engine)

    def metric(self, destination: Destination, name: str) -> int:
        """Return how often the emulator counted something for a destination."""
        found = (one for one in self.posthog.destinations.metrics if one.source_id == self.ids[destination.key])
        return Counter(one.name for one in found)[name]


def destinations(url: str) -> list[Destination]:
    """Return destinations with conditions of every kind, masking and inputs that fail."""
    pro = {"event": "purchase", "where": ["amount >= 50", "plan = pro"]}
    message = "{person.name} at {event.timestamp}"
    return [
        Webhook("plain", url=url, events=["purchase"]),
        Webhook(
            "two entries",
            url=url,
            events=[pro, {"event": "login", "where": "vip = true"}],
            where="person.email not_icontains test.com",
        ),
        Webhook("odd", url=url, events=["purchase"], where=["amount < 40", "plan not_icontains e"]),
        Webhook("masked", url=url, events="all", once_per={"key": "person", "interval": "1h"}),
        Webhook("every third", url=url, events=["login"], once_per={"key": "all", "interval": "1d", "every": 3}),
        Webhook("fails", url=url, events=["purchase"], body={"x": "{upper(event.properties.plan)}"}),
        Slack("slack", channel="C0123ABCDEF", workspace=1, events=["login"], message=message),
    ]


@pytest.fixture(scope="module")
def fired() -> Iterator[Fired]:
    """An emulated PostHog whose destinations have delivered what 120 events cause."""
    dice = random.Random(4)
    clock = Clock()
    with receiver() as hooks, emulator(clock=clock, sleep=lambda seconds: None) as posthog:
        # what an import would tell of the values changes with every event
        kinds = {"vip": PropertyKind.BOOLEAN, "amount": PropertyKind.STRING, "plan": PropertyKind.STRING}
        assert posthog.project.store is not None
        posthog.project.store.set_types(kinds)
        found = destinations(hooks.url)
        ids = {one.key: create(posthog, one) for one in found}
        for minute in range(0, 360, 18):
            for second in range(6):
                clock.moment = START + timedelta(minutes=minute, seconds=second)
                posthog.capture(*some_event(dice), timestamp=clock.moment)
            # what comes of an event depends on the server's clock: it must have arrived before the clock moves on
            posthog.events()
        posthog.drain()
        clock.moment = END
        posthog.events()
        yield Fired(posthog, hooks, found, ids)


def some_event(dice: random.Random) -> tuple[str, str, dict[str, Any]]:
    """Return a name, a user and properties of every type."""
    values: dict[str, list[Any]] = {
        "amount": [10, 49.5, 50, "60", "x", "", None, True, [55]],
        "plan": ["pro", "free", "PRO", None, 5],
        "vip": [True, False, "true", 1, None],
    }
    properties = {key: dice.choice(some) for key, some in values.items() if dice.random() < 0.8}
    user = f"user {dice.randrange(5)}"
    domain = "test.com" if user == "user 0" else "example.com"
    properties["$set"] = {"email": f"{user[-1]}@{domain}"}
    return dice.choice(["purchase", "login", "$pageview"]), user, properties


def create(posthog: EmulatedPostHog, destination: Destination) -> str:
    body = body_of(destination, Secrets({}), slack_workspace=1)
    answer = requests.post(
        f"{posthog.url}/api/projects/{posthog.project_id}/hog_functions/",
        json=body,
        headers={"Authorization": f"Bearer {posthog.key}"},
        timeout=10,
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def simulated(fired: Fired, destination: Destination, **more: Any) -> Simulation:
    return simulate(destination, fired.source, since=START, until=END, **more)


@pytest.mark.parametrize("pushdown", [True, False])
@pytest.mark.parametrize("place", range(7))
def test_as_many_deliveries_as_were_made(fired: Fired, place: int, pushdown: bool) -> None:
    """Triggered, masked, filtered and failed: the metrics of the emulator are the numbers of the simulation."""
    destination = fired.destinations[place]

    found = simulated(fired, destination, pushdown=pushdown)

    assert 120 == found.seen
    assert fired.metric(destination, "triggered") == found.delivered
    assert fired.metric(destination, "masked") == found.masked
    assert fired.metric(destination, "filtered") == found.rejected["count"].sum()
    assert fired.metric(destination, "inputs_failed") == sum(failure.count for failure in found.failures)
    assert found.delivered > 0


def test_billing_counts_an_event_once(fired: Fired) -> None:
    """As many events as the emulator billed, though most fired several destinations."""
    found = simulate_all(fired.destinations, fired.source, since=START, until=END)

    billed = [one for one in fired.posthog.destinations.metrics if one.source_id == EVENT_TRIGGER]
    assert len(billed) == found.billed.count
    assert sum(one.delivered for one in found.each) == found.deliveries.count > found.billed.count


def test_requests_are_those_that_were_sent(fired: Fired) -> None:
    """Method, headers and body of every delivery, but for what only a live function knows."""
    project = {"id": fired.posthog.project_id, "name": fired.posthog.project.name}
    project["url"] = f"{fired.posthog.world.origin}/project/{fired.posthog.project_id}"
    plain, slack = fired.destinations[0], fired.destinations[-1]
    for destination in (plain, slack):
        sent = {
            one.event_uuid: one for one in fired.posthog.deliveries if one.function_id == fired.ids[destination.key]
        }
        found = simulated(fired, destination, samples=500, project=project)

        assert set(sent) == {sample.uuid for sample in found.samples}
        for sample in found.samples:
            request, real = sample.request, sent[sample.uuid]
            assert request is not None
            assert (real.method, real.url) == (request.method, request.url)
            body = json.loads(real.body or "")
            if "event" in body:
                body["event"]["captured_at"] = None
            assert body == request.body


def test_pushdown_changes_nothing_but_the_work(fired: Fired) -> None:
    """The same simulation, whether the engine counts or every event is judged; also where rows are limited."""
    limited = EngineEvents(fired.posthog.project.engine)
    with ph.connect(fired.posthog.project.engine.dsn, row_limits=ph.UNLIMITED_ROWS) as local:
        unlimited = EngineEvents(local.engine)
        for destination in fired.destinations:
            found = [
                simulate(destination, source, since=START, until=END, pushdown=pushdown)
                for source in (limited, unlimited)
                for pushdown in (True, False)
            ]
            for one in found[1:]:
                assert found[0] == one
                assert found[0].hours.equals(one.hours)
                assert found[0].rejected.equals(one.rejected)
