"""The client: a request goes in, a successful reply or one typed error comes out."""

from __future__ import annotations

import gzip
import json
import random
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import pytest
import requests

from posthog_events import errors
from posthog_events.posthog.client import ApiClient
from posthog_events.posthog.host import parse_host
from posthog_events.posthog.http import Api, Bucket, Reply, Request
from posthog_events.posthog.pace import Pace
from posthog_events.posthog.retry import DEFAULT_POLICY, Attempt, RetryPolicy
from tests.helpers.scripted import Scripted

KEY = "phx_hunter2hunter2"
OLD_KEY = "hunter2/old+style=key"
US = "https://us.posthog.com"
QUERY = Request("POST", "query/", json={"query": {}}, bucket=Bucket.QUERY, slot=True)
READ = Request("GET", "event_definitions/")
WRITE = Request("POST", "file_download_batch_exports/", json={"model": "events"}, repeatable=False)

Connect = Callable[..., ApiClient]


@pytest.fixture
def scripted() -> Scripted:
    """A PostHog by script."""
    return Scripted()


@pytest.fixture
def slept() -> list[float]:
    """How long the client would have slept."""
    return []


@pytest.fixture
def connect(scripted: Scripted, slept: list[float]) -> Connect:
    """Make a client of project 12 in the US region, over the script."""

    def make(
        *,
        key: str | None = KEY,
        policy: RetryPolicy = DEFAULT_POLICY,
        pace: Pace | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
        max_body_bytes: int = 2**20,
    ) -> ApiClient:
        return ApiClient(
            parse_host("us"),
            12,
            key,
            policy=policy,
            pace=pace,
            sleep=slept.append,
            clock=lambda: 0.0,
            rng=random.Random(7),
            on_attempt=on_attempt,
            session=scripted.session,
            max_body_bytes=max_body_bytes,
        )

    return make


def test_paths_belong_to_the_project_unless_they_begin_with_a_slash(connect: Connect, scripted: Scripted) -> None:
    """Only `/api/projects/` with the number is spoken to, and what has no project is below the root."""
    scripted.reply(json=[]).reply(json=[])
    client: Api = connect()

    reply = client.send(Request("GET", "events/", params={"event": "a b", "limit": "2"}))
    client.send(Request("GET", "/api/users/@me/"))

    assert [f"GET {US}/api/projects/12/events/?event=a+b&limit=2", f"GET {US}/api/users/@me/"] == scripted.urls
    assert ("GET /api/projects/12/events/", US, 12) == (reply.source, client.origin, client.project_id)


def test_bodies_are_json_in_utf_8(connect: Connect, scripted: Scripted) -> None:
    """Read-only mappings, as values of this package are, need no copying by callers; a request without one has none."""
    scripted.reply(json={}).reply(json={})
    client = connect()

    client.send(Request("POST", "query/", json=MappingProxyType({"a": "ü", "b": (1, None)})))
    client.send(Request("POST", "x/cancel/"))

    assert ['{"a":"ü","b":[1,null]}'.encode(), None] == [request.body for request in scripted.requests]


def test_a_rate_limited_query_waits_as_long_as_posthog_asks(
    connect: Connect, scripted: Scripted, slept: list[float]
) -> None:
    """A 429 is sent again after its Retry-After, and the observer hears of it before."""
    told: list[Attempt] = []
    scripted.reply(429, json={"code": "throttled", "detail": "x"}, headers={"Retry-After": "7"}).reply(json={"n": 1})

    reply = connect(on_attempt=told.append).send(QUERY)

    assert {"n": 1} == reply.decode()
    assert [7.0] == slept
    assert [(1, "POST /api/projects/12/query/", 429, 7.0)] == [
        (each.number, each.source, each.failure.status, each.wait_s) for each in told
    ]


def test_a_date_to_wait_for_does_not_depend_on_our_clock(
    connect: Connect, scripted: Scripted, slept: list[float]
) -> None:
    """The reply's own Date is what Retry-After is counted from; that server lives in the year 2031."""
    dates = {"Date": "Tue, 21 Jan 2031 12:00:00 GMT", "Retry-After": "Tue, 21 Jan 2031 12:01:30 GMT"}
    scripted.reply(503, json={"code": "error"}, headers=dates).reply(json={})

    connect().send(READ)

    assert [90.0] == slept


def test_each_attempt_has_a_body_of_its_own(connect: Connect, scripted: Scripted) -> None:
    """An id that PostHog has seen returns the old status, so a callable makes the body anew."""
    numbers = iter(range(5))
    scripted.reply(503, json={}).fail(requests.ConnectionError("reset")).reply(json={})

    connect().send(Request("POST", "query/", json=lambda: {"client_query_id": next(numbers)}, bucket=Bucket.QUERY))

    assert [b'{"client_query_id":0}', b'{"client_query_id":1}', b'{"client_query_id":2}'] == [
        request.body for request in scripted.requests
    ]


@pytest.mark.parametrize("failure", [requests.ConnectionError("reset"), requests.ReadTimeout("slow"), 500, 502, 504])
def test_a_write_that_may_have_happened_is_not_repeated(
    connect: Connect, scripted: Scripted, slept: list[float], failure: Exception | int
) -> None:
    """It ends in an error that says so, after one attempt."""
    if isinstance(failure, int):
        scripted.reply(failure)
    else:
        scripted.fail(failure)

    with pytest.raises((errors.ConnectionFailed, errors.ServerFailed)) as caught:
        connect().send(WRITE)

    assert caught.value.ambiguous
    assert [] == slept


@pytest.mark.parametrize("failure", [requests.ConnectTimeout("no connection"), 429, 503])
def test_a_write_that_certainly_did_not_happen_is_repeated(
    connect: Connect, scripted: Scripted, failure: Exception | int
) -> None:
    """What was not connected, or refused before it was looked at, may be sent again."""
    if isinstance(failure, int):
        scripted.reply(failure, json={})
    else:
        scripted.fail(failure)
    scripted.reply(202, json={"id": "1"})

    assert 202 == connect().send(WRITE).status


def test_a_read_survives_all_that_passes(connect: Connect, scripted: Scripted) -> None:
    """A reset, a cut body, a gateway's page, a busy cluster, one 500 and a full queue, one after the other."""
    heavy = {"code": "clickhouse_memory_limit_exceeded", "detail": "We're under heavy load right now."}
    scripted.fail(requests.ConnectionError("reset"))
    scripted.reply(body=b"[1,2", headers={"Content-Length": "99"})
    scripted.reply(502, body=b"<html>Bad Gateway</html>", headers={"Content-Type": "text/html"})
    scripted.reply(513, json=heavy)
    scripted.reply(500, json={"code": "error", "detail": "ClickHouse error while executing query."})
    scripted.reply(429, json={"code": "throttled", "detail": "Exceeded maximum concurrency limit: 3"})
    scripted.reply(json=[3])

    assert [3] == connect().send(QUERY).decode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (504, {"code": "error", "detail": "max execution time"}, errors.QueryTimeout),
        (512, {"code": "error", "detail": "Estimated"}, errors.QueryTimeout),
        (513, {"code": "clickhouse_memory_limit_exceeded", "detail": "ran out of memory"}, errors.MemoryExceeded),
        (400, {"code": "hogql_query_error", "detail": "Unable to resolve field: foo"}, errors.ApiError),
        (402, {"code": "api_queries_quota_exceeded", "detail": "spent"}, errors.QuotaExceeded),
    ],
)
def test_what_fails_again_unchanged_is_sent_once(
    connect: Connect, scripted: Scripted, slept: list[float], status: int, body: dict[str, str], kind: type[Exception]
) -> None:
    """The caller shrinks or mends it; sending it again would only cost."""
    scripted.reply(status, json=body)

    with pytest.raises(kind) as caught:
        connect().send(QUERY)

    assert kind is type(caught.value)
    assert ([], 1) == (slept, len(scripted.requests))


def test_a_wait_that_is_too_long_is_an_error_that_says_when(
    connect: Connect, scripted: Scripted, slept: list[float]
) -> None:
    """Exit code 5, with the seconds, and without having waited."""
    scripted.reply(429, json={"code": "api_queries_budget_exceeded", "detail": "x"}, headers={"Retry-After": "1800"})

    with pytest.raises(errors.BudgetExceeded, match="asks to wait 30 min") as caught:
        connect(policy=RetryPolicy(max_wait_s=60)).send(QUERY)

    assert (5, 1800.0, "api_queries_budget_exceeded") == (
        caught.value.exit_code,
        caught.value.wait_s,
        caught.value.code,
    )
    assert [] == slept


def test_the_exception_of_the_library_is_kept_as_the_cause(connect: Connect, scripted: Scripted) -> None:
    """For those who debug a network."""
    cause = requests.exceptions.InvalidURL("x")
    scripted.fail(cause)

    with pytest.raises(errors.ConnectionFailed) as caught:
        connect().send(READ)

    assert cause is caught.value.__cause__


class Turnstile:
    """A pace that writes down what it is asked and told."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @contextmanager
    def admit(self, bucket: Bucket, *, slot: bool) -> Iterator[None]:
        """See `Pace.admit`."""
        self.seen.append(("in", bucket, slot))
        try:
            yield
        finally:
            self.seen.append("out")

    def learn(
        self, bucket: Bucket, *, status: int, headers: Mapping[str, str], wait_s: float | None, code: str = ""
    ) -> None:
        """See `Pace.learn`."""
        self.seen.append((bucket, status, headers.get("x-left"), wait_s, code))


def test_each_attempt_passes_the_pace_and_teaches_it(connect: Connect, scripted: Scripted) -> None:
    """What a reply says is learned before the place is free for the next; what never arrived teaches nothing."""
    pace = Turnstile()
    scripted.reply(429, json={"code": "throttled", "detail": "Expected available in 9 seconds."})
    scripted.fail(requests.ConnectionError("reset")).reply(json={}, headers={"X-Left": "5"})

    connect(pace=pace).send(QUERY)

    way_in = ("in", Bucket.QUERY, True)
    assert [
        way_in,
        (Bucket.QUERY, 429, None, 9.0, "throttled"),
        "out",
        way_in,
        "out",
        way_in,
        (Bucket.QUERY, 200, "5", None, ""),
        "out",
    ] == pace.seen


def test_a_pace_that_does_not_admit_ends_the_request(connect: Connect, scripted: Scripted) -> None:
    """Nothing is sent, and its error is the caller's."""

    class Closed(Turnstile):
        @contextmanager
        def admit(self, bucket: Bucket, *, slot: bool) -> Iterator[None]:
            raise errors.RateLimited("closed", status=429, wait_s=99.0)
            yield

    with pytest.raises(errors.RateLimited, match="closed"):
        connect(pace=Closed()).send(QUERY)

    assert [] == scripted.requests


@pytest.mark.parametrize("key", ["phc_hunter2hunter2", "", "phx_hunter2 hunter2"])
def test_a_key_that_cannot_read_makes_no_client(connect: Connect, key: str) -> None:
    """Before anything is sent."""
    with pytest.raises(errors.ConfigError) as caught:
        connect(key=key)

    assert "hunter2" not in str(caught.value)


def test_without_a_key_none_is_sent(connect: Connect, scripted: Scripted) -> None:
    """Capture takes the project token in the body and no key in the header."""
    scripted.reply(json={"status": 1})

    connect(key=None).send(Request("POST", "/batch/", json={"api_key": "phc_x"}, bucket=Bucket.CAPTURE))

    assert "Authorization" not in scripted.requests[0].headers


def test_closing_closes_the_session(connect: Connect, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the block ends with an error."""
    closed: list[bool] = []
    monkeypatch.setattr(requests.Session, "close", lambda _: closed.append(True))

    with pytest.raises(ZeroDivisionError), connect():
        raise ZeroDivisionError

    assert [True] == closed


def test_threads_share_a_client(connect: Connect, scripted: Scripted) -> None:
    """Eight at once: all are sent, no reply is given twice, and each refusal is followed by an attempt."""
    client = connect()
    together = threading.Barrier(8)
    for number in range(8):
        scripted.reply(429, json={"detail": "Expected available in 1 seconds."}).reply(json=number)

    def send(number: int) -> int:
        together.wait(timeout=5)
        return int(client.send(Request("GET", f"x{number}/")).decode())

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))

    assert list(range(8)) == sorted(answers)
    assert {f"GET {US}/api/projects/12/x{number}/" for number in range(8)} == set(scripted.urls)
    assert 16 == len(scripted.requests)


def leaking(key: str) -> list[tuple[int, bytes, dict[str, str]]]:
    """Return refusals of every status that repeat the key wherever a reply can hold it."""
    sentence = f"Key {key} (Authorization: Bearer {key}) at https://b.s3.example/k?X-Amz-Signature=hunter2hunter2"
    body = {"code": key, "detail": sentence, "attr": key, "extra": {"a": [key, {key: key}]}, "type": key}
    plain = json.dumps(body).encode()
    json_type = {"Content-Type": "application/json"}
    statuses = (400, 401, 402, 403, 404, 405, 407, 409, 413, 429, 500, 502, 503, 504, 512, 513)
    return [
        *((status, plain, json_type) for status in statuses),
        *((status, f"<html>{key}".encode(), {"Content-Type": "text/html"}) for status in (200, 401, 403, 502)),
        (200, gzip.compress(key.encode() * 10**6), {"Content-Encoding": "gzip"}),
        (301, b"", {"Location": f"https://new.example/{key}?key={key}"}),
        (302, b"", {"Location": f"/login?key={key}"}),
    ]


NETWORK = [
    requests.exceptions.InvalidHeader(f"Invalid header value: 'Bearer {KEY}'"),
    requests.ConnectionError(f"https://proxy.example/?personal_api_key={OLD_KEY}"),
    requests.ReadTimeout(f"{KEY} {OLD_KEY}"),
    OSError(f"{KEY} {OLD_KEY}"),
]


def everything(error: BaseException) -> str:
    """Return all that a person or a log could see of an error: text, data, causes and traceback."""
    seen = [str(error), repr(error), repr(error.args), repr(vars(error))]
    return "\n".join([*seen, *traceback.format_exception(error)])


@pytest.mark.parametrize("request_", [QUERY, READ, WRITE], ids=["query", "read", "write"])
@pytest.mark.parametrize("key", [KEY, OLD_KEY], ids=["phx", "old"])
def test_no_error_and_no_observer_sees_the_key(
    connect: Connect, scripted: Scripted, request_: Request, key: str
) -> None:
    """Whatever PostHog, a proxy or the library says back: not in text, attributes, repr, causes or traceback."""
    told: list[Attempt] = []
    client = connect(key=key, policy=RetryPolicy(max_outage_s=40, max_wait_s=40), on_attempt=told.append)
    shown = [repr(client)]
    for status, body, headers in leaking(key):
        for _ in range(50):
            scripted.reply(status, body=body, headers=headers)
        with pytest.raises(errors.PostHogEventsError) as caught:
            client.send(request_)
        shown.append(everything(caught.value))
        scripted.script.clear()
    for exc in NETWORK:
        for _ in range(50):
            scripted.fail(exc)
        with pytest.raises(errors.ConnectionFailed) as failed:
            client.send(request_)
        shown.append(everything(failed.value))
        scripted.script.clear()
    shown.append(repr(told))

    assert 1 + 23 + 4 + 1 == len(shown)
    assert told
    assert [] == [text for text in shown if "hunter2" in text]


def test_a_reply_is_whole_or_an_error(connect: Connect, scripted: Scripted) -> None:
    """A body that is cut off each time is a failed connection in the end, never a shorter body."""
    for _ in range(4):
        scripted.reply(body=b'{"results": [1, 2', headers={"Content-Length": "99"})

    with pytest.raises(errors.ConnectionFailed, match=r"broke off before the answer was complete \(tried 4 times\)"):
        connect().send(QUERY)


def test_a_successful_reply_is_returned_as_it_is(connect: Connect, scripted: Scripted) -> None:
    """Status, headers in lower case, body: redirects to a download too, which are for the caller."""
    scripted.reply(302, headers={"Location": "https://b.s3.example/k?sig=1", "X-A": "b"})

    reply = connect().send(Request("GET", "file_download_batch_exports/1/download/"))

    assert (
        Reply(
            302,
            {"location": "https://b.s3.example/k?sig=1", "x-a": "b", "content-length": "0"},
            b"",
            "GET /api/projects/12/file_download_batch_exports/1/download/",
        )
        == reply
    )
