"""Logs as they grow, failure rates, alarms and what a status means: the emulator and its clock, no waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from posthog_events.destinations.watching import (
    FailureRate,
    alarms,
    failure_rate,
    follow,
    status_text,
)
from posthog_events.emulator.hog_metrics import count, log
from posthog_events.emulator.hog_state import DeliveryRules, Watch
from posthog_events.emulator.hog_watcher import DISABLED
from posthog_events.emulator.world import Limits
from posthog_events.posthog.client import ApiClient
from posthog_events.posthog.hog_function_runs import LogLine
from posthog_events.posthog.hog_functions import create_function, get_function, list_functions, update_function
from posthog_events.posthog.host import parse_host
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.emulated_world import NOW, Clock
from tests.helpers.http_receiver import Receiver, receiver

SINCE, UNTIL = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[EmulatedPostHog, ApiClient, Clock]]:
    """One server for the module, and a client that never waits."""
    clock = Clock()
    with emulator(limits=Limits(rates={}), clock=clock, sleep=clock.sleep) as served:
        yield served, ApiClient(parse_host(served.url), served.project_id, served.key, sleep=clock.sleep), clock


@pytest.fixture
def clock(running: tuple[EmulatedPostHog, ApiClient, Clock]) -> Clock:
    """The server's clock, at its beginning."""
    running[2].at = NOW
    running[2].slept.clear()
    return running[2]


@pytest.fixture
def served(running: tuple[EmulatedPostHog, ApiClient, Clock], clock: Clock) -> Iterator[EmulatedPostHog]:
    """The server without destinations."""
    running[0].project.state.pop("hog", None)
    running[0].world.state.clear()
    running[0].destinations.rules = DeliveryRules(time_scale=0.001)
    yield running[0]
    running[0].drain()


@pytest.fixture
def api(running: tuple[EmulatedPostHog, ApiClient, Clock], served: EmulatedPostHog) -> ApiClient:
    """A client of that server."""
    return running[1]


@pytest.fixture
def target() -> Iterator[Receiver]:
    """A receiver that answers 200."""
    with receiver() as kept:
        yield kept


def create(api: ApiClient, url: str = "https://a.example.com", **changes: Any) -> dict[str, Any]:
    """Create an enabled webhook for signups."""
    inputs = {"url": {"value": url}, "body": {"value": {"event": "{event.event}"}}}
    filters = {"events": [{"id": "signup", "type": "events"}]}
    body = {"template_id": "template-webhook", "name": "Crm", "enabled": True, "inputs": inputs, "filters": filters}
    return create_function(api, {**body, **changes})


class Enough(Exception):
    """The test has seen what it wanted."""


class Watcher:
    """Follows a log; between two looks it does what the test says, and then it stops.

    Args:
        between: What happens after each look.
    """

    def __init__(self, clock: Clock, between: list[Callable[[], object]]) -> None:
        self.clock, self.between, self.slept = clock, between, 0

    def sleep(self, seconds: float) -> None:
        self.clock.at += timedelta(seconds=seconds)
        if self.slept == len(self.between):
            raise Enough
        self.between[self.slept]()
        self.slept += 1

    def lines(self, api: ApiClient, id_: str, **options: Any) -> list[LogLine]:
        """Return all lines until it stops."""
        found: list[LogLine] = []
        options = {"since": SINCE, **options}
        with pytest.raises(Enough):
            found.extend(follow(api, id_, sleep=self.sleep, clock=self.clock, **options))
        return found


def write(
    served: EmulatedPostHog, id_: str, text: str, *, at: datetime = NOW, instance: str = "i", level: str = "info"
) -> None:
    """Add a line to the log."""
    log(served.destinations, id_, instance, at, level, text)


def test_lines_come_once_and_in_order(served: EmulatedPostHog, api: ApiClient, clock: Clock) -> None:
    """What is there, what comes later, and nothing from before."""
    id_ = create(api)["id"]
    for text, second in (("two", 2), ("one", 1), ("before", -3601)):
        write(served, id_, text, at=NOW + timedelta(seconds=second))

    def both(*texts: str) -> None:
        for text in texts:
            write(served, id_, text, at=NOW + timedelta(seconds=4))

    watcher = Watcher(
        clock,
        [
            lambda: write(served, id_, "three", at=NOW + timedelta(seconds=3)),
            lambda: None,
            lambda: both("four", "five"),
        ],
    )

    assert ["one", "two", "three", "four", "five"] == [line.message for line in watcher.lines(api, id_)]


def test_a_late_line_of_a_seen_instant_is_not_lost(served: EmulatedPostHog, api: ApiClient, clock: Clock) -> None:
    """Workers write at the same time, and are heard one after the other."""
    id_ = create(api)["id"]
    write(served, id_, "first", at=NOW)
    watcher = Watcher(
        clock,
        [
            lambda: write(served, id_, "second", at=NOW),
            lambda: write(served, id_, "earlier", at=NOW - timedelta(seconds=14)),
            lambda: None,
        ],
    )

    assert ["first", "second", "earlier"] == [line.message for line in watcher.lines(api, id_)]


def test_equal_lines_are_as_many_as_were_written(served: EmulatedPostHog, api: ApiClient, clock: Clock) -> None:
    """A line that comes twice at the same instant is two lines, however often the log is read."""
    id_ = create(api)["id"]
    for _ in range(2):
        write(served, id_, "same")
    watcher = Watcher(clock, [lambda: None, lambda: write(served, id_, "same"), lambda: None, lambda: None])

    assert ["same"] * 3 == [line.message for line in watcher.lines(api, id_)]


def test_a_line_from_the_future_hides_nothing(served: EmulatedPostHog, api: ApiClient, clock: Clock) -> None:
    """One worker's clock is wrong; the others are still heard, and it is not heard again."""
    id_ = create(api)["id"]
    write(served, id_, "future", at=NOW + timedelta(hours=2))
    watcher = Watcher(clock, [lambda: write(served, id_, "now", at=clock.at), lambda: None, lambda: None])

    assert ["future", "now"] == [line.message for line in watcher.lines(api, id_)]


def test_only_the_last_seconds_are_read_again(served: EmulatedPostHog, api: ApiClient, clock: Clock) -> None:
    """A long log is not fetched at every look."""
    id_ = create(api)["id"]
    write(served, id_, "old", at=NOW - timedelta(minutes=30))
    write(served, id_, "new", at=NOW)
    Watcher(clock, [lambda: None, lambda: None]).lines(api, id_, overlap_s=7)

    asked = [parse_qs(seen.query)["after"][0] for seen in served.requests if seen.path.endswith(f"{id_}/logs/")]
    edge = (NOW - timedelta(seconds=7, microseconds=1)).isoformat().replace("+00:00", "Z")
    assert [edge] * 2 == asked[1:]


def test_looks_are_an_interval_apart(served: EmulatedPostHog, api: ApiClient, clock: Clock) -> None:
    """However long each takes."""
    id_ = create(api)["id"]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            raise Enough

    times = iter([NOW, NOW + timedelta(seconds=2), NOW, NOW + timedelta(seconds=9)])
    with pytest.raises(Enough):
        list(follow(api, id_, since=SINCE, sleep=sleep, clock=lambda: next(times), interval_s=5))
    assert [3.0, 0.0] == slept


def test_only_some_levels_can_be_followed(served: EmulatedPostHog, api: ApiClient, clock: Clock) -> None:
    """As with `logs`."""
    id_ = create(api)["id"]
    write(served, id_, "fine")
    write(served, id_, "bad", level="error")

    assert ["bad"] == [line.message for line in Watcher(clock, []).lines(api, id_, levels=["ERROR"])]


def test_the_log_of_real_deliveries_is_followed(
    served: EmulatedPostHog, api: ApiClient, clock: Clock, target: Receiver
) -> None:
    """An event fires, its receiver refuses it, and the log says so."""
    target.statuses = [404]
    id_ = create(api, target.url)["id"]

    def fire() -> None:
        served.capture("signup", "ann")
        served.drain()

    messages = [line.message for line in Watcher(clock, [fire, lambda: None]).lines(api, id_)]
    assert any("404" in message for message in messages)
    assert len(messages) == len(set(messages))


def counted(served: EmulatedPostHog, id_: str, **numbers: int) -> None:
    """Count metrics by name."""
    for name, number in numbers.items():
        for _ in range(number):
            count(served.destinations, id_, NOW, "other", name)


def test_the_failure_rate_is_failed_by_triggered(
    served: EmulatedPostHog, api: ApiClient, clock: Clock, target: Receiver
) -> None:
    """Events that the filters keep out do not make it look better."""
    target.statuses = [400, 200, 404]
    id_ = create(api, target.url)["id"]
    for event in ("signup", "visit", "signup", "visit", "visit", "signup", "signup"):
        served.capture(event, "ann")
    served.drain()
    rate = failure_rate(api, id_, since=SINCE, until=UNTIL)

    assert (4, 2, 0.5, {}) == (rate.triggered, rate.failed, rate.value, rate.lost)


def test_nothing_triggered_is_no_rate(served: EmulatedPostHog, api: ApiClient) -> None:
    """Neither good nor bad."""
    id_ = create(api)["id"]
    counted(served, id_, filtered=1000)
    rate = failure_rate(api, id_, since=SINCE, until=UNTIL)

    assert (0, None, None) == (rate.triggered, rate.value, rate.lost_share)


def test_only_the_time_asked_for_counts(served: EmulatedPostHog, api: ApiClient) -> None:
    """Also when it is longer ago than PostHog looks back by itself."""
    id_ = create(api)["id"]
    for days in (1, 10, 40):
        count(served.destinations, id_, NOW - timedelta(days=days), "other", "triggered")

    assert 1 == failure_rate(api, id_, since=NOW - timedelta(days=30), until=NOW - timedelta(days=5)).triggered


def test_what_was_never_sent_is_told_apart(served: EmulatedPostHog, api: ApiClient) -> None:
    """PostHog counts it neither as triggered nor as failed."""
    id_ = create(api)["id"]
    counted(served, id_, triggered=3, inputs_failed=1)
    rate = failure_rate(api, id_, since=SINCE, until=UNTIL)

    assert (0.0, {"inputs_failed": 1}, 0.25) == (rate.value, rate.lost, rate.lost_share)


def alarmed(api: ApiClient, **options: Any) -> dict[str, tuple[str, ...]]:
    """Return the reasons by the name of the destination."""
    found = alarms(api, list_functions(api), since=SINCE, until=UNTIL, **options)
    return {alarm.name: alarm.reasons for alarm in found}


def test_too_many_failures_are_an_alarm(served: EmulatedPostHog, api: ApiClient) -> None:
    """Above the threshold, and out of enough events."""
    for name, failed, triggered in (("bad", 3, 20), ("fine", 2, 20), ("few", 9, 9)):
        counted(served, create(api, name=name)["id"], failed=failed, triggered=triggered)

    assert {"bad": ("3 of 20 deliveries failed (15.0%)",)} == alarmed(api)
    assert {"bad", "few"} == set(alarmed(api, min_triggered=9))
    assert {"bad", "fine"} == set(alarmed(api, threshold=0.05))


def test_events_that_are_never_sent_are_an_alarm(served: EmulatedPostHog, api: ApiClient) -> None:
    """A wrong expression loses every event, and nothing is triggered."""
    counted(served, create(api, name="lost")["id"], inputs_failed=12, filtered=1000)

    assert {"lost": ("12 events were never sent (inputs_failed 12)",)} == alarmed(api)


def test_a_stopped_destination_is_an_alarm(served: EmulatedPostHog, api: ApiClient) -> None:
    """Until it is saved again."""
    id_ = create(api)["id"]
    served.destinations.watch[id_] = Watch(0, DISABLED, NOW, NOW)

    [reason] = alarmed(api)["Crm"]
    assert "save it again" in reason
    update_function(api, id_, {"name": "Crm"})
    assert {} == alarmed(api)
    assert "degraded" == status_text(get_function(api, id_)).word


def test_a_destination_that_is_off_is_no_alarm(served: EmulatedPostHog, api: ApiClient) -> None:
    """Somebody wanted it so, whatever happened before."""
    counted(served, create(api, enabled=False)["id"], failed=50, triggered=50)

    assert {} == alarmed(api)


def test_the_status_of_a_new_destination_is_that_of_posthog(api: ApiClient) -> None:
    """On and off."""
    assert ("healthy", True) == ((on := status_text(create(api))).word, on.runs)
    assert ("off", False) == ((off := status_text(create(api, enabled=False))).word, off.runs)


@pytest.mark.parametrize(
    ("row", "word", "runs", "hint"),
    [
        ({"enabled": False, "status": {"state": 0, "tokens": 0}}, "off", False, "enable"),
        ({"enabled": False, "status": {"state": 3, "tokens": 0}}, "off", False, "enable"),
        ({"enabled": True, "status": {"state": 0, "tokens": 0}}, "unknown", True, ""),
        ({"enabled": True, "status": None}, "unknown", True, ""),
        ({"enabled": True, "status": {"state": 1, "tokens": 10_000}}, "healthy", True, "speed only"),
        ({"enabled": True, "status": {"state": 2, "tokens": 10}}, "degraded", True, "faster"),
        ({"enabled": True, "status": {"state": 3, "tokens": 0}}, "disabled", False, "save it again"),
        ({"enabled": True, "status": {"state": 11, "tokens": 0}}, "degraded", True, "support"),
        ({"enabled": True, "status": {"state": 12, "tokens": 0}}, "disabled", False, "support"),
        ({"enabled": True, "status": {"state": 3, "rating": 0.1}}, "paused", False, "save it again"),
        ({"enabled": True, "status": {"state": 4, "rating": 0}}, "disabled", False, "save it again"),
        ({"enabled": True, "status": {"state": 4, "tokens": 0}}, "disabled", False, "save it again"),
        ({"enabled": True, "status": {"state": 99, "tokens": 0}}, "unknown", True, ""),
        (
            {"enabled": True, "status": {"state": 1}, "filters": {"bytecode_error": "no cohorts"}},
            "broken",
            False,
            "no cohorts",
        ),
    ],
    ids=lambda value: repr(value.get("status")) if isinstance(value, dict) else "",
)
def test_a_status_is_what_it_means(row: dict[str, Any], word: str, runs: bool, hint: str) -> None:
    """The numbers changed their meaning between servers; a rating is a sign of an older one."""
    status = status_text(row)

    assert (word, runs) == (status.word, status.runs)
    assert hint in status.hint
    assert bool(hint) == bool(status.hint)


def test_a_rate_has_no_hidden_ceiling() -> None:
    """What failed now may have been triggered before."""
    assert 2.0 == FailureRate(SINCE, UNTIL, triggered=1, failed=2).value
