"""Trying hog functions out, their logs and counts, and delivering again: against the emulator and against fakes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from posthog_events.emulator.hog_metrics import count, log
from posthog_events.emulator.hog_state import DeliveryRules
from posthog_events.emulator.world import Limits
from posthog_events.errors import ApiError, BadAnswer, IncompleteExtraction, NotFound, ParameterError, ServerFailed
from posthog_events.posthog.client import ApiClient
from posthog_events.posthog.hog_function_runs import Invocation, LogLine, invoke, logs, metrics, rerun, totals
from posthog_events.posthog.hog_functions import create_function, get_template
from posthog_events.posthog.host import parse_host
from posthog_events.posthog.http import Reply, Request
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.emulated_world import NOW, Clock
from tests.helpers.fake_api import FakeApi
from tests.helpers.http_receiver import Receiver, receiver

ID = "0198f2a4-0000-7000-8000-000000000001"
EVENT: Mapping[str, Any] = {
    "event": {"uuid": ID, "event": "signup", "distinct_id": "ann", "timestamp": "2026-06-01T10:00:00Z", "url": "u"}
    | {"properties": {"plan": "pro"}},
    "person": {"id": ID, "name": "Ann", "url": "", "properties": {"email": "ann@example.com"}},
}
SIGNUP = {"events": [{"id": "signup", "type": "events"}]}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[EmulatedPostHog, ApiClient, Clock]]:
    """One server for the module, of a project far west of UTC, and a client that never waits."""
    clock = Clock()
    with emulator(limits=Limits(rates={}), clock=clock, sleep=clock.sleep, timezone="America/Los_Angeles") as served:
        yield served, ApiClient(parse_host(served.url), served.project_id, served.key, sleep=clock.sleep), clock


@pytest.fixture
def served(running: tuple[EmulatedPostHog, ApiClient, Clock]) -> Iterator[EmulatedPostHog]:
    """The server without hog functions."""
    served, _, clock = running
    served.project.state.pop("hog", None)
    served.world.state.clear()
    served.destinations.rules = DeliveryRules(time_scale=0.001)
    clock.at = NOW
    yield served
    served.drain()


@pytest.fixture
def api(running: tuple[EmulatedPostHog, ApiClient, Clock], served: EmulatedPostHog) -> ApiClient:
    """A client of that server."""
    return running[1]


@pytest.fixture
def target() -> Iterator[Receiver]:
    """A receiver that answers 200."""
    with receiver() as kept:
        yield kept


def webhook(url: str, **changes: Any) -> dict[str, Any]:
    """Return a webhook that posts the event's name."""
    body = {"event": "{event.event}", "plan": "{event.properties.plan}"}
    inputs = {"url": {"value": url}, "body": {"value": body}}
    return {"template_id": "template-webhook", "enabled": True, "inputs": inputs, "filters": SIGNUP, **changes}


def new(api: ApiClient, url: str, **changes: Any) -> dict[str, Any]:
    """Return the same for a test without a stored function, which gets nothing from its template."""
    template = get_template(api, "template-webhook")
    return webhook(url, hog=template["code"], inputs_schema=template["inputs_schema"], **changes)


def test_a_mocked_run_sends_nothing_and_tells_the_request(api: ApiClient, target: Receiver) -> None:
    """The log holds the request as it would go out."""
    tried = invoke(api, None, new(api, target.url), globals_=EVENT)

    assert ("success", (), False) == (tried.status, tried.errors, tried.failed)
    assert '"plan": "pro"' in "".join(line.message for line in tried.logs)
    assert [] == target.requests
    assert {NOW} == {line.at for line in tried.logs}


def test_a_real_run_sends_the_request(api: ApiClient, target: Receiver) -> None:
    """The configuration is laid over the stored function, and nothing is stored."""
    made = create_function(api, webhook(target.url))
    body = {"value": {"name": "{person.name}"}}
    tried = invoke(
        api, made["id"], {"inputs": {"url": {"value": target.url}, "body": body}}, globals_=EVENT, mock=False
    )

    assert "success" == tried.status
    assert ['{"name":"Ann"}'] == [request.body for request in target.requests]


def test_a_row_of_clickhouse_will_do(api: ApiClient, target: Receiver) -> None:
    """Its properties are JSON in a text."""
    row = {"uuid": ID, "event": "signup", "distinct_id": "ann", "properties": '{"plan": "free"}', "timestamp": "2026"}
    invoke(api, None, new(api, target.url), clickhouse_event=row, mock=False)

    assert ['{"event":"signup","plan":"free"}'] == [request.body for request in target.requests]


def test_other_events_are_skipped_without_fault(api: ApiClient, target: Receiver) -> None:
    """That filters do not match is no failure."""
    other = {**EVENT, "event": {**EVENT["event"], "event": "visit"}}
    tried = invoke(api, None, new(api, target.url), globals_=other, mock=False)

    assert ("skipped", False, []) == (tried.status, tried.failed, target.requests)


def test_a_refused_request_is_a_failure(api: ApiClient, target: Receiver) -> None:
    """A 404 is final."""
    target.statuses = [404]
    tried = invoke(api, None, new(api, target.url), globals_=EVENT, mock=False)

    assert ("error", True) == (tried.status, tried.failed)
    assert "404" in tried.errors[0]


def test_a_failure_that_would_be_repeated_is_a_failure_too(api: ApiClient, target: Receiver) -> None:
    """A 503 only schedules the next attempt: PostHog says success, and the log says otherwise."""
    target.statuses = [503]
    tried = invoke(api, None, new(api, target.url), globals_=EVENT, mock=False)

    assert ("success", (), True) == (tried.status, tried.errors, tried.failed)


def test_inputs_that_cannot_be_built_are_a_failure(api: ApiClient) -> None:
    """Nothing runs, so PostHog says skipped; the reason is in the log."""
    wrong = new(api, "https://a.example.com/{distinct_id}")
    tried = invoke(api, None, wrong, globals_=EVENT)

    assert ("skipped", True) == (tried.status, tried.failed)
    assert any("Error building inputs" in line.message for line in tried.logs)


@pytest.mark.parametrize(
    ("level", "message", "failed"),
    [
        ("WARN", "HTTP fetch failed on attempt 1 with status code 503. Retrying in 1500ms.", True),
        ("INFO", "HTTP fetch failed on attempt 1 with status code 404.", False),
        ("WARN", "Function exceeded maximum log entries.", False),
        ("ERROR", "anything", True),
    ],
    ids=["older server", "declared as no failure", "another warning", "error"],
)
def test_the_log_decides_whether_it_failed(level: str, message: str, failed: bool) -> None:
    """A request that failed is an error line; older servers warned."""
    assert failed == Invocation("success", logs=(LogLine(NOW, level, message),)).failed


def test_only_mocked_runs_are_repeated() -> None:
    """A request that was sent for real cannot be taken back."""
    fake = FakeApi(lambda _: {"status": "success", "errors": [], "logs": [], "result": None})
    for mock in (True, False):
        invoke(fake, None, {}, globals_=EVENT, mock=mock)

    assert [True, False] == [request.repeatable for request in fake.sent]
    assert [True, False] == [request.json["mock_async_functions"] for request in fake.sent]
    assert "hog_functions/new/invocations/" == fake.sent[0].path


def refusing(kind: type[ApiError], status: int, extra: Mapping[str, Any]) -> FakeApi:
    """Return an API that refuses everything, with a body that is not PostHog's usual one."""

    def answer(_: Request) -> object:
        raise kind("refused and no word why", status=status, extra=extra)

    return FakeApi(answer)


def test_errors_by_field_become_a_sentence() -> None:
    """This endpoint answers with its serializer's errors as they are; the fields are named as everywhere else."""
    extra = {"configuration": {"inputs": {"url": ["This field is required."], "body": ["Invalid template: x"]}}}
    with pytest.raises(ApiError, match=r"inputs__url: This field is required\.; inputs__body: Inv") as caught:
        invoke(refusing(ApiError, 400, extra), None, {}, globals_=EVENT)
    assert (400, "inputs__url", extra) == (caught.value.status, caught.value.attr, caught.value.extra)


@pytest.mark.parametrize(("kind", "status"), [(ApiError, 400), (NotFound, 404), (ServerFailed, 500)])
def test_errors_of_the_worker_become_a_sentence(kind: type[ApiError], status: int) -> None:
    """A failure of what runs the function is a list of sentences."""
    extra = {"status": "error", "errors": ["Missing event"]}
    with pytest.raises(kind, match=r"^Missing event$") as caught:
        invoke(refusing(kind, status, extra), None, {}, globals_=EVENT)
    assert (kind, status, None) == (type(caught.value), caught.value.status, caught.value.attr)


def test_usual_errors_stay_as_they_are() -> None:
    """What already has a sentence keeps it."""
    error = ApiError("Required.", status=400, detail="Required.", attr="configuration", extra={"a": ["b"]})

    def answer(_: Request) -> object:
        raise error

    with pytest.raises(ApiError) as caught:
        invoke(FakeApi(answer), None, {}, globals_=EVENT)
    assert error is caught.value


@pytest.mark.parametrize("answer", [{}, {"status": "done"}, {"status": "error", "errors": 1}, []], ids=str)
def test_another_answer_is_refused(answer: object) -> None:
    """Nothing is concluded from an answer that is not understood."""
    with pytest.raises(BadAnswer):
        invoke(FakeApi(lambda _: answer), None, {}, globals_=EVENT)


def test_exactly_one_event_is_needed() -> None:
    """None and both are mistakes of the caller."""
    with pytest.raises(ValueError, match="either"):
        invoke(FakeApi(lambda _: {}), None, {})
    with pytest.raises(ValueError, match="either"):
        invoke(FakeApi(lambda _: {}), None, {}, globals_=EVENT, clickhouse_event={})


class LogServer:
    """The log endpoint: newest first, equal times in random order, bounds exclusive, `limit` lines at most."""

    def __init__(self, lines: list[tuple[datetime, str]], *, cap: int = 500) -> None:
        self.lines, self.cap, self.draw = lines, cap, random.Random(1)

    def __call__(self, request: Request) -> object:
        after, before = (request.params.get(name) for name in ("after", "before"))
        found = [
            line
            for line in self.lines
            if (after is None or line[0] > datetime.fromisoformat(after))
            and (before is None or line[0] < datetime.fromisoformat(before))
        ]
        self.draw.shuffle(found)
        found.sort(key=lambda line: line[0], reverse=True)
        found = found[: int(request.params["limit"])]
        items = [
            {"log_source_id": ID, "instance_id": "i", "timestamp": at.isoformat(), "level": "INFO", "message": text}
            for at, text in found[: self.cap]
        ]
        return {"count": len(found), "next": "more" if len(found) > self.cap else None, "results": items}


def crowded(number: int, *, per_instant: int) -> list[tuple[datetime, str]]:
    """Return log lines, so many of each instant."""
    return [(NOW + timedelta(milliseconds=index // per_instant), f"line {index}") for index in range(number)]


@pytest.mark.parametrize("per_instant", [1, 7, 499])
@pytest.mark.parametrize("cap", [500, 497], ids=["full pages", "shorter pages than asked for"])
@pytest.mark.parametrize("number", [0, 1, 496, 499, 500, 501, 1700])
def test_a_log_is_read_completely(number: int, cap: int, per_instant: int) -> None:
    """Lines of the instant at which a page ends are neither lost nor doubled, and the newest come first."""
    lines = crowded(number, per_instant=min(per_instant, cap - 1))
    found = list(logs(FakeApi(LogServer(lines, cap=cap)), ID))

    assert sorted(text for _, text in lines) == sorted(line.message for line in found)
    assert [line.at for line in found] == sorted((line.at for line in found), reverse=True)


def test_equal_lines_are_not_taken_for_one() -> None:
    """Two runs may say the same at the same time."""
    lines = [(NOW, "same")] * 3 + crowded(498, per_instant=2)

    assert 3 == sum(line.message == "same" for line in logs(FakeApi(LogServer(lines)), ID))


def test_an_instant_with_more_lines_than_a_page_is_an_error() -> None:
    """They cannot be read, and that is said instead of going round in circles."""
    with pytest.raises(IncompleteExtraction, match="more than 500 lines"):
        list(logs(FakeApi(LogServer(crowded(600, per_instant=600))), ID))


def test_the_window_of_a_log_is_half_open() -> None:
    """The line at `since` is in, the one at `until` is not."""
    lines = crowded(5, per_instant=1)
    found = logs(FakeApi(LogServer(lines)), ID, since=lines[1][0], until=lines[4][0])

    assert ["line 3", "line 2", "line 1"] == [line.message for line in found]


def test_times_without_a_zone_are_refused() -> None:
    """They would be read in the zone of this machine."""
    with pytest.raises(ValueError, match="time zone"):
        list(logs(FakeApi(LogServer([])), ID, since=datetime(2026, 6, 1)))


def test_times_that_the_server_gives_without_a_zone_are_utc() -> None:
    """That is how ClickHouse keeps them."""
    item = {"instance_id": "i", "timestamp": "2026-06-01T10:00:00.000001", "level": "error", "message": "m"}
    [line] = logs(FakeApi(lambda _: {"results": [item], "next": None}), ID)

    assert LogLine(datetime(2026, 6, 1, 10, 0, 0, 1, UTC), "ERROR", "m", "i") == line


def test_a_log_can_be_narrowed_down(served: EmulatedPostHog, api: ApiClient) -> None:
    """By level, text and invocation, on the server."""
    made = create_function(api, webhook("https://a.example.com"))
    for second, (instance, level, text) in enumerate(
        [("a", "info", "one"), ("a", "error", "two"), ("b", "warn", "three"), ("b", "error", "four")]
    ):
        log(served.destinations, made["id"], instance, NOW + timedelta(seconds=second), level, text)

    def found(**chosen: Any) -> list[str]:
        return [line.message for line in logs(api, made["id"], **chosen)]

    assert ["four", "three", "two", "one"] == found()
    assert ["four", "three", "two"] == found(levels=["error", "WARN"])
    assert ["two", "one"] == found(instance_id="a")
    assert ["three"] == found(search="hre")


def counted(served: EmulatedPostHog, api: ApiClient, times: list[tuple[datetime, str]]) -> str:
    """Create a function for which something was counted."""
    id_: str = create_function(api, webhook("https://a.example.com"))["id"]
    for at, name in times:
        count(served.destinations, id_, at, "failure" if name == "failed" else "other", name)
    return id_


def test_counts_are_a_tidy_frame(served: EmulatedPostHog, api: ApiClient) -> None:
    """One row for each interval and name, zeros included, up to the hour that has not ended."""
    id_ = counted(served, api, [(NOW - timedelta(hours=1), "triggered"), (NOW, "triggered"), (NOW, "failed")])
    frame = metrics(api, id_, since=NOW - timedelta(minutes=90), until=NOW + timedelta(minutes=1), interval="hour")

    hours = [NOW - timedelta(hours=number) for number in (2, 1, 0)]
    expected = [(at, name) for at in hours for name in ("failed", "triggered")]
    assert expected == list(zip(frame["time"], frame["name"], strict=True))
    assert [0, 0, 0, 1, 1, 1] == frame["value"].to_list()
    assert {"time": pl.Datetime("us", "UTC"), "name": pl.String, "value": pl.Int64} == dict(frame.schema)


@pytest.mark.parametrize(
    ("interval", "begins"),
    [
        (
            "day",
            [datetime(2026, 5, 30, tzinfo=UTC), datetime(2026, 5, 31, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)],
        ),
        ("week", [datetime(2026, 5, 25, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)]),
    ],
)
def test_intervals_are_those_of_utc(
    served: EmulatedPostHog, api: ApiClient, interval: Any, begins: list[datetime]
) -> None:
    """Whatever the project's zone is; the first and the last interval are whole."""
    inside = [(begin, "triggered") for begin in begins]
    outside = [(begins[0] - timedelta(seconds=1), "triggered"), (begins[-1] + timedelta(days=8), "failed")]
    id_ = counted(served, api, inside + outside)
    frame = metrics(api, id_, since=datetime(2026, 5, 30, 23, tzinfo=UTC), until=NOW, interval=interval)

    assert begins == frame["time"].to_list()
    assert [1] * len(begins) == frame["value"].to_list()


def test_nothing_counted_is_a_frame_of_the_same_schema(served: EmulatedPostHog, api: ApiClient) -> None:
    """A function that never ran has no rows."""
    empty = metrics(api, counted(served, api, []), since=NOW - timedelta(days=1), until=NOW)
    full = metrics(api, counted(served, api, [(NOW, "failed")]), since=NOW - timedelta(days=1), until=NOW)

    assert (0, full.schema) == (empty.height, empty.schema)


def test_counts_can_be_told_by_kind_and_chosen_by_name(served: EmulatedPostHog, api: ApiClient) -> None:
    """Both in the frame and in the totals."""
    id_ = counted(served, api, [(NOW, "failed"), (NOW, "failed"), (NOW, "triggered"), (NOW, "filtered")])
    window: dict[str, Any] = {"since": NOW - timedelta(days=30), "until": NOW + timedelta(seconds=1)}

    assert {"failed": 2, "filtered": 1, "triggered": 1} == totals(api, id_, **window)
    assert {"failure": 2, "other": 2} == totals(api, id_, **window, breakdown="kind")
    assert {"failed": 2} == totals(api, id_, **window, names=["failed"])
    frame = metrics(api, id_, **window, breakdown="kind", names=["filtered", "failed"]).filter(pl.col("value") > 0)
    assert [("failure", 2), ("other", 1)] == list(zip(frame["name"], frame["value"], strict=True))


def test_values_without_their_label_are_refused() -> None:
    """A series of another length would be counted for the wrong day."""
    answer = {"labels": ["2026-06-01"], "series": [{"name": "failed", "values": [1, 2]}]}
    with pytest.raises(BadAnswer, match="not what its API documents"):
        metrics(FakeApi(lambda _: answer), ID, since=NOW, until=NOW)


def test_what_failed_is_delivered_again(served: EmulatedPostHog, api: ApiClient, target: Receiver) -> None:
    """PostHog queues it; the receiver gets it once more."""
    target.statuses = [400]
    made = create_function(api, webhook(target.url))
    served.capture("signup", "ann", {"plan": "pro"})
    served.drain()
    job = rerun(api, made["id"], since=NOW - timedelta(hours=1), until=NOW + timedelta(hours=1))
    served.drain()

    assert job
    assert 2 == len(target.requests)
    assert {"failed": 1, "succeeded": 1}.items() <= totals(
        api, made["id"], since=NOW - timedelta(hours=1), until=NOW + timedelta(hours=1)
    ).items()


def test_only_what_is_chosen_is_sent() -> None:
    """Filters that are not given are left out, and a rerun is never sent twice."""
    fake = FakeApi(lambda _: {"rerun_job_id": "j", "queued_count": 0, "skipped_count": 0})
    until = NOW + timedelta(days=30)
    assert "j" == rerun(fake, ID, since=NOW, until=until)
    rerun(fake, ID, since=NOW, until=until, error_kinds=["http_5xx"], max_count=10_000, invocation_ids=["a"])

    window = {"window_start": "2026-06-01T12:00:00Z", "window_end": "2026-07-01T12:00:00Z", "status": ["failed"]}
    chosen = {"error_kind": ["http_5xx"], "max_count": 10_000, "invocation_ids": ["a"]}
    assert [{"filter": window}, {"filter": window | chosen}] == [request.json for request in fake.sent]
    assert [False, False] == [request.repeatable for request in fake.sent]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"until": NOW + timedelta(days=30, seconds=1)}, "longer than 30 days"),
        ({"until": NOW}, "ends before it begins"),
        ({"since": datetime(2026, 6, 1)}, "time zone"),
        ({"status": ["lost"]}, "no status 'lost'"),
        ({"max_count": 10_001}, "from 1 to 10,000"),
        ({"max_count": 0}, "from 1 to 10,000"),
        ({"max_attempts": 256}, "from 1 to 255"),
        ({"invocation_ids": ["a"] * 10_001}, "at most 10,000"),
        ({"error_contains": "x" * 201}, "at most 200 characters"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_rerun_that_would_be_refused_is_not_sent(wrong: dict[str, Any], sentence: str) -> None:
    """The limits are PostHog's, and are checked before."""
    fake = FakeApi(lambda _: {"rerun_job_id": "j"})
    with pytest.raises(ParameterError, match=sentence):
        rerun(fake, ID, **{"since": NOW, "until": NOW + timedelta(days=1), **wrong})
    assert [] == fake.sent


def test_replies_are_typed() -> None:
    """An answer of another shape is refused everywhere."""

    class Wrong:
        origin, project_id = "https://eu.posthog.com", 1

        def send(self, request: Request) -> Reply:
            return Reply(200, {}, b'{"nothing": 1}', request.path)

    for ask in (
        lambda: list(logs(Wrong(), ID)),
        lambda: metrics(Wrong(), ID, since=NOW, until=NOW),
        lambda: totals(Wrong(), ID, since=NOW, until=NOW),
        lambda: rerun(Wrong(), ID, since=NOW, until=NOW + timedelta(days=1)),
    ):
        with pytest.raises(BadAnswer):
            ask()


def test_what_is_wrong_with_a_configuration_is_named(api: ApiClient) -> None:
    """The answer of this endpoint is not in PostHog's envelope; its field and sentence arrive all the same."""
    with pytest.raises(ApiError, match=r"^inputs__url: This field is required\.$") as caught:
        invoke(api, None, new(api, ""), globals_=EVENT)
    assert (400, "inputs__url") == (caught.value.status, caught.value.attr)


def test_what_is_wrong_with_an_event_is_named(api: ApiClient, target: Receiver) -> None:
    """What runs functions answers in a shape of its own."""
    with pytest.raises(ApiError, match=r"^Missing event$"):
        invoke(api, None, new(api, target.url), globals_={"person": None})
