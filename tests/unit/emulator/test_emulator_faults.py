"""Faults: which requests they meet, and what a client then sees on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from posthog_events.emulator.app import create_app
from posthog_events.emulator.faults import Fault, Faults
from tests.helpers.emulated import TOY, Served, serve_toy

ECHO, ROWS = "/api/projects/1/echo/", "/api/projects/1/rows/"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the toy routes once for the module."""
    with serve_toy(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture(autouse=True)
def _renewed(served: Served) -> None:
    served.renew()


def calls(served: Served) -> int:
    """Return how many requests were carried out."""
    return served.world.projects[1].state.get("calls", 0)


def taken(faults: Faults, count: int, method: str = "GET", path: str = "/a/") -> list[tuple[str, ...]]:
    """Return the kinds of fault that equal requests suffer, one after the other."""
    return [tuple(fault.kind for fault in faults.take(method, path)) for _ in range(count)]


def test_nth_and_times_count_the_matching_requests_only() -> None:
    """Requests with another method or path neither suffer nor count."""
    faults = Faults()
    faults.add("503", method="POST", path="*/query/", nth=2)
    faults.add("delay", path="/a/*", times=2)

    assert [(), ()] == taken(faults, 2, "GET", "/x/query/")
    assert [(), ("503",), ()] == taken(faults, 3, "POST", "/x/query/")
    assert [("delay",), ("delay",), ()] == taken(faults, 3)


def test_probability_is_the_share_and_comes_from_the_seed() -> None:
    """Of 1,000 requests a third suffer, the same ones for the same seed."""

    def pattern(seed: int) -> list[tuple[str, ...]]:
        faults = Faults(seed=seed)
        faults.add("500", probability=1 / 3)
        return taken(faults, 1_000)

    assert pattern(1) == pattern(1)
    assert pattern(1) != pattern(2)
    assert 280 <= pattern(1).count(("500",)) <= 387  # four standard deviations


def test_one_answer_at_most_and_any_number_of_changes() -> None:
    """The first rule for an answer wins, and the other one is not used up."""
    faults = Faults()
    faults.add("503", times=1)
    faults.add("500", times=1)
    faults.add("delay")

    assert [("503", "delay"), ("500", "delay"), ("delay",)] == taken(faults, 3)


@pytest.mark.parametrize(
    "document", [{"kind": "nope"}, {"kind": "500", "tims": 1}, {"method": "GET"}, "500", [["500"]]], ids=str
)
def test_rule_that_means_nothing_is_refused(served: Served, document: Any) -> None:
    """The control route says what a fault looks like."""
    answer = served.call("POST", "/_emulator/faults", key=None, json=document)

    assert (400, "validation_error") == (answer.status_code, answer.json()["type"])
    assert () == served.world.faults.rules


def test_control_routes_set_list_and_clear_faults(served: Served) -> None:
    """Another process can set faults and count requests, without a key."""
    rule = {"kind": "rate", "path": "*/echo/", "times": 1, "retry_after": 7}
    listed = served.call("POST", "/_emulator/faults", key=None, json=rule).json()
    hit, missed = served.call("GET", ECHO), served.call("GET", ECHO)
    seen = served.call("GET", "/_emulator/requests", key=None).json()
    cleared = served.call("DELETE", "/_emulator/faults", key=None).json()

    assert [("rate", 7)] == [(one["kind"], one["retry_after"]) for one in listed]
    assert [429, 200] == [hit.status_code, missed.status_code]
    assert [(ECHO, 429), (ECHO, 200)] == [(one["path"], one["status"]) for one in seen]
    assert [] == cleared


def test_control_routes_are_for_this_machine_only(served: Served) -> None:
    """For a client elsewhere they do not exist."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"kind": "500"}', "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/_emulator/faults",
        "query_string": b"",
        "headers": [],
        "client": ("203.0.113.9", 40_000),
    }
    asyncio.run(create_app(served.world, [TOY])(scope, receive, send))

    assert (404, "Endpoint not found.") == (sent[0]["status"], json.loads(sent[1]["body"])["detail"])
    assert () == served.world.faults.rules


@pytest.mark.parametrize(
    ("kind", "status", "type_", "code", "words"),
    [
        ("rate", 429, "throttled_error", "throttled", "Request was throttled."),
        ("concurrency", 429, "throttled_error", "throttled", "key: api:query:per-team:1 and task:"),
        ("budget", 429, "throttled_error", "api_queries_budget_exceeded", "budget"),
        ("quota", 402, "invalid_request", "api_queries_quota_exceeded", "allowance"),
        ("500", 500, "server_error", "error", "server error"),
        ("503", 503, "server_error", "error", "Queries are a little too busy right now."),
        ("database", 503, "server_error", "database_unavailable", "database"),
        ("504", 504, "server_error", "error", "hit the max execution time before completing."),
        ("512", 512, "server_error", "error", "seconds) is too long. Try reducing its scope"),
        ("513", 513, "server_error", "clickhouse_memory_limit_exceeded", "ran out of memory"),
        ("513-cluster", 513, "server_error", "clickhouse_memory_limit_exceeded", "heavy load right now"),
    ],
)
def test_refusals(served: Served, kind: str, status: int, type_: str, code: str, words: str) -> None:
    """Each has the status, type, code and words of reference 2.7, and nothing is carried out."""
    served.world.faults.add(kind)

    answer = served.call("GET", ECHO)

    assert (status, type_, code) == (answer.status_code, answer.json()["type"], answer.json()["code"])
    assert words in answer.json()["detail"]
    assert 0 == calls(served)


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [(None, None), (12, "12"), ("Sat, 06 Jun 2026 10:00:00 GMT", "Sat, 06 Jun 2026 10:00:00 GMT")],
    ids=["none", "seconds", "date"],
)
def test_retry_after_is_what_the_fault_says(served: Served, retry_after: Any, expected: str | None) -> None:
    """Seconds, an HTTP date, or no header at all."""
    served.world.faults.add("rate", retry_after=retry_after)

    assert expected == served.call("GET", ECHO).headers.get("Retry-After")


@pytest.mark.parametrize(("kind", "status"), [("html", 200), ("502", 502)])
def test_pages_instead_of_json(served: Served, kind: str, status: int) -> None:
    """What stands between client and PostHog speaks HTML."""
    served.world.faults.add(kind)

    answer = served.call("GET", ECHO)

    assert (status, "text/html; charset=utf-8") == (answer.status_code, answer.headers["Content-Type"])


def test_error_inside_a_200(served: Served) -> None:
    """As with `modifiers.debug`: no rows, and an error that only the body tells."""
    served.world.faults.add("debug-error")

    answer = served.call("GET", ROWS)

    assert (200, [], "Unknown error") == (answer.status_code, answer.json()["results"], answer.json()["error"])


def test_gzip_bomb_unpacks_to_its_size(served: Served) -> None:
    """A few kilobytes on the wire become the megabytes that were asked for."""
    served.world.faults.add("gzip-bomb", size=3_000_001)

    answer = served.call("GET", ROWS)

    assert 3_000_001 == len(answer.content)
    assert 20_000 > int(answer.headers["Content-Length"])


@pytest.mark.parametrize(("kind", "carried_out"), [("reset", 0), ("reset-after", 1)])
def test_reset_before_and_after_the_work(served: Served, kind: str, carried_out: int) -> None:
    """Either way the client learns nothing; only one of them was carried out."""
    served.world.faults.add(kind, times=1)

    with pytest.raises(requests.ConnectionError):
        served.call("POST", ECHO, json={"n": 1})

    assert carried_out == calls(served)
    assert 200 == served.call("GET", ECHO).status_code
    assert [0, 200] == [seen.status for seen in served.world.faults.seen]


def test_truncated_body_ends_before_its_length(served: Served) -> None:
    """The connection closes early, which a client can see."""
    served.world.faults.add("truncated", size=10, times=1)

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        served.call("GET", ROWS)


def test_cut_json_looks_whole_on_the_wire(served: Served) -> None:
    """Length and bytes agree; only the JSON is broken off."""
    served.world.faults.add("cut-json", size=10, times=1)

    answer = served.call("GET", ROWS)

    assert b'{"results"' == answer.content


def test_slow_body_takes_its_time(served: Served) -> None:
    """The body comes whole, in ten pieces over the seconds."""
    served.world.faults.add("slow", seconds=40.0)

    answer = served.call("GET", ROWS)

    assert [[1], [2]] == answer.json()["results"]
    assert 40.0 == pytest.approx(sum(served.clock.slept))
    assert 8 <= len(served.clock.slept) <= 10


def test_delay_comes_before_the_work(served: Served) -> None:
    """The request is carried out, later."""
    served.world.faults.add("delay", seconds=5.0)

    assert 200 == served.call("GET", ECHO).status_code
    assert [5.0] == served.clock.slept


def test_date_header_is_the_worlds_clock_and_can_be_wrong(served: Served) -> None:
    """Without a fault it is the server's time; with one it is off by the seconds."""
    right = served.call("GET", ECHO).headers["Date"]
    served.world.faults.add("clock", seconds=3600)
    wrong = served.call("GET", ECHO).headers["Date"]

    now = served.clock().replace(microsecond=0)
    assert (now, now + timedelta(hours=1)) == (parsedate_to_datetime(right), parsedate_to_datetime(wrong))


def test_column_that_nobody_asked_for(served: Served) -> None:
    """Names, types and rows all have it."""
    served.world.faults.add("extra-column")

    body = served.call("GET", ROWS).json()

    assert (["n", "surprise"], [["n", "UInt8"], ["surprise", "UInt8"]], [[1, 1], [2, 1]]) == (
        body["columns"],
        body["types"],
        body["results"],
    )


def test_type_that_nobody_knows(served: Served) -> None:
    """The first column's type is one that ClickHouse does not have."""
    served.world.faults.add("unknown-type")

    assert [["n", "Geometry2"]] == served.call("GET", ROWS).json()["types"]


def test_next_link_to_another_host(served: Served) -> None:
    """Path and query stay, so that only the host gives it away."""
    served.world.faults.add("foreign-next", host="http://evil.example")

    assert "http://evil.example/api/projects/1/rows/?after=2" == served.call("GET", ROWS).json()["next"]


def test_key_is_revoked_in_the_middle(served: Served) -> None:
    """The first two requests work, and from the third on the key is unknown."""
    served.world.faults.add("revoke", nth=3)

    assert [200, 200, 401, 401] == [served.call("GET", ECHO).status_code for _ in range(4)]


def test_record_of_requests(served: Served) -> None:
    """Method, path, query string, status, size and the query's name, for tests that count requests."""
    served.call("POST", f"{ECHO}?a=1", json={"query": {"kind": "HogQLQuery", "name": "inner"}})
    answer = served.call("POST", ECHO, json={"query": {"name": "inner"}, "name": "outer"})

    first, second = served.world.faults.seen
    assert ("POST", ECHO, "a=1", 200, "inner") == (first.method, first.path, first.query, first.status, first.name)
    assert (served.clock(), len(answer.content), "outer") == (second.at, second.bytes, second.name)


def test_unknown_kind_names_the_known_ones() -> None:
    """A typing error in a test is told at once."""
    with pytest.raises(ValueError, match=r"there is no fault '429'; there are: rate, concurrency"):
        Fault(kind="429")
