"""`/query/` of the emulator, over HTTP and a real engine. Expected answers: reference 2.1 to 2.7, counted by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from posthog_events.emulator import capture, query
from posthog_events.emulator.query import Step, decide
from posthog_events.errors import EngineError, MemoryExceeded
from tests.helpers.emulated import OAUTH, Served, serve
from tests.helpers.library_store import store_of

QUERY = "/api/projects/1/query/"

# 150 events, one a second from midnight UTC on; every third is a sale
EVENTS = [
    (
        f"user{number % 7}",
        "sale" if number % 3 == 0 else "visit",
        f"2026-05-01T00:{number // 60:02d}:{number % 60:02d}Z",
    )
    for number in range(150)
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a project in Berlin's zone once for the module."""
    folder = tmp_path_factory.mktemp("query")
    store = store_of(folder, EVENTS, timezone="Europe/Berlin")
    with serve({1: store}, folder, [query, capture]) as running:
        yield running


@pytest.fixture(autouse=True)
def _renewed(served: Served) -> None:
    served.renew()


def test_answer_has_every_field(served: Served) -> None:
    """The document of reference 2.3: positional rows, pairs of name and type, and what the cache knows."""
    answer = served.query("SELECT uuid, event, timestamp FROM events ORDER BY timestamp LIMIT 1")

    assert 200 == answer.status_code
    body = answer.json()
    assert body.pop("clickhouse").startswith("SELECT ")
    assert ["./clickhouse_execute"] == [timing["k"] for timing in body.pop("timings")]
    assert body.pop("cache_key").startswith("cache_1_")
    now = served.clock()
    assert now.isoformat().replace("+00:00", "Z") == body.pop("last_refresh")
    assert body.pop("cache_target_age") > body.pop("next_allowed_client_refresh") > now.isoformat()
    expected = {
        "results": [["00000000-0000-4000-8000-000000000001", "sale", "2026-05-01T02:00:00+02:00"]],
        "columns": ["uuid", "event", "timestamp"],
        "types": [["uuid", "UUID"], ["event", "String"], ["timestamp", "DateTime64(6, 'Europe/Berlin')"]],
        "hogql": "SELECT uuid, event, timestamp FROM events ORDER BY timestamp ASC LIMIT 1",
        "query": None,
        "hasMore": None,
        "limit": None,
        "offset": None,
        "modifiers": {},
        "error": None,
        "explain": None,
        "metadata": None,
        "query_status": None,
        "is_cached": False,
    }
    assert expected == body


@pytest.mark.parametrize(
    ("hogql", "rows", "has_more", "limit"),
    [
        ("SELECT event FROM events", 100, True, 100),
        ("SELECT number FROM numbers(100)", 100, False, 100),
        ("SELECT count() FROM events", 1, False, 100),
        ("SELECT event FROM events LIMIT 120", 120, None, None),
        ("SELECT event FROM events LIMIT 10", 10, None, None),
        ("SELECT number FROM numbers(60000) LIMIT 60000", 50_000, None, None),
        ("SELECT number FROM numbers(60000) LIMIT 30000 + 30000", 50_000, None, None),
        ("SELECT event FROM events UNION ALL SELECT event FROM events", 200, None, None),
        ("SELECT event FROM events LIMIT 150 UNION ALL SELECT event FROM events", 250, None, None),
        ("SELECT event FROM (SELECT event FROM events) LIMIT 150", 150, None, None),
    ],
)
def test_row_limits(served: Served, hogql: str, rows: int, has_more: bool | None, limit: int | None) -> None:
    """100 without LIMIT, at most 50,000 with one; only the first case is told."""
    body = served.query(hogql).json()

    offset = 0 if limit else None
    assert (rows, has_more, limit, offset) == (len(body["results"]), body["hasMore"], body["limit"], body["offset"])


def test_values_fill_placeholders(served: Served) -> None:
    """Text, numbers, booleans, null and lists become constants; the answer shows the text with them."""
    text = "SELECT {t} AS t, {n} AS n, {b} AS b, {z} AS z, {l} AS l"
    body = served.query(text, values={"t": "it's", "n": 2.5, "b": True, "z": None, "l": [1, 2]}).json()

    assert [["it's", 2.5, True, None, [1, 2]]] == body["results"]
    assert "{" not in body["hogql"]


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({}, "Unresolved placeholder: {x}"),
        ({"y": 1, "z": 2}, "Placeholder {x} is not available in this context. You can use the following: y, z"),
    ],
)
def test_placeholder_without_value(served: Served, values: dict[str, Any], detail: str) -> None:
    """Two sentences: one where there are no values at all, one that lists them."""
    answer = served.query("SELECT {x}", values=values)

    assert (400, "hogql_query_error", detail) == (answer.status_code, answer.json()["code"], answer.json()["detail"])
    assert [{"start": 7, "end": 10, "message": detail}] == answer.json()["extra"]["hogql_metadata"]["errors"]


def test_filters_apply_where_the_text_says(served: Served) -> None:
    """`{filters}` takes the query's filters, and a dashboard's on top of them."""
    text = "SELECT count() FROM events WHERE {filters}"
    minute = {"dateRange": {"date_from": "2026-05-01T00:01:00Z", "date_to": "2026-05-01T00:02:00Z"}}

    assert [[60]] == served.query(text, filters=minute).json()["results"]
    assert [[150]] == served.query(text).json()["results"]
    override = {"filters_override": {"date_to": "2026-05-01T00:01:30Z"}}
    assert [[30]] == served.query(text, filters=minute, request=override).json()["results"]


def test_variables_and_their_override(served: Served) -> None:
    """A variable is found by its code name; an override replaces the one with its id."""
    text = "SELECT count() FROM events WHERE event = {variables.which}"
    sale = {"id1": {"variableId": "id1", "code_name": "which", "value": "sale"}}
    visit = {"id1": {"variableId": "id1", "code_name": "which", "value": "visit"}}

    assert [[50]] == served.query(text, variables=sale).json()["results"]
    override = {"variables_override": visit}
    assert [[100]] == served.query(text, variables=sale, request=override).json()["results"]


def test_project_zone_can_be_left_out(served: Served) -> None:
    """With `convertToProjectTimezone: false` times are in UTC, in rows and types."""
    body = served.query(
        "SELECT timestamp FROM events ORDER BY timestamp LIMIT 1", modifiers={"convertToProjectTimezone": False}
    ).json()

    assert ([["2026-05-01T00:00:00Z"]], [["timestamp", "DateTime64(6, 'UTC')"]]) == (body["results"], body["types"])


@pytest.mark.parametrize(
    ("hogql", "error"),
    [
        ("SELECT nope FROM events", "Unable to resolve field: nope"),
        ("SELECT sum(event) FROM events", "Illegal type String of argument for aggregate function sum"),
    ],
)
def test_debug_hides_errors_in_a_200(served: Served, hogql: str, error: str) -> None:
    """The trap of `modifiers.debug`: no rows, and success by status."""
    answer = served.query(hogql, modifiers={"debug": True})

    assert (200, [], error) == (answer.status_code, answer.json()["results"], answer.json()["error"])


def test_debug_does_not_tell_what_is_internal(served: Served) -> None:
    """A time-out is hidden in a 200 as well, and has no sentence."""
    served.world.faults.query_seconds = lambda hogql, rows: 11.0

    answer = served.query("SELECT 1", modifiers={"debug": True})

    assert (200, "Unknown error") == (answer.status_code, answer.json()["error"])


OFFSETS = [
    "SELECT event FROM events LIMIT 10 OFFSET 5",
    "SELECT event FROM events OFFSET 5",
    "SELECT event FROM (SELECT event FROM events LIMIT 5 OFFSET 1) LIMIT 1",
    "SELECT event FROM events LIMIT 5 UNION ALL (SELECT event FROM events LIMIT 5 OFFSET 1)",
    "SELECT event FROM events LIMIT 1 OFFSET 1 BY event LIMIT 2",
    "WITH a AS (SELECT event FROM events LIMIT 1 OFFSET 1) SELECT event FROM a LIMIT 2",
    "SELECT count() FROM events WHERE event IN (SELECT event FROM events LIMIT 1 OFFSET 1)",
]


@pytest.mark.parametrize("hogql", OFFSETS)
def test_offset_is_refused_for_personal_keys(served: Served, hogql: str) -> None:
    """Wherever it stands."""
    answer = served.query(hogql)

    assert (400, "hogql_query_error") == (answer.status_code, answer.json()["code"])
    assert answer.json()["detail"].startswith("OFFSET is not supported on queries made with a personal API key.")


def test_offset_of_a_sample_is_no_paging(served: Served) -> None:
    """`SAMPLE n OFFSET m` is allowed."""
    assert 200 == served.query("SELECT count() FROM events SAMPLE 0.5 OFFSET 0.5").status_code


def test_offset_of_others_works(served: Served) -> None:
    """OAuth tokens may use it, and so may organisations that are exempt."""
    text = "SELECT uuid FROM events ORDER BY timestamp LIMIT 1 OFFSET 4"
    expected = [["00000000-0000-4000-8000-000000000005"]]

    assert expected == served.query(text, key=OAUTH).json()["results"]
    served.world.limits = replace(served.world.limits, allow_offset=True)
    assert expected == served.query(text).json()["results"]


@pytest.mark.parametrize(
    ("hogql", "code"),
    [
        ("SELECT FROM events", "hogql_syntax_error"),
        ("SELECT nope FROM events", "hogql_query_error"),
        ("SELECT 1 FROM nowhere", "hogql_query_error"),
        ("SELECT nofunction(1)", "hogql_query_error"),
        ("SELECT sum(event) FROM events", "illegal_type_of_argument"),
        ("SELECT arrayElement([1], 'x')", "illegal_type_of_argument"),
        ("SELECT [1, 'a']", "no_common_type"),
        ("SELECT event, count() FROM events", "not_an_aggregate"),
    ],
)
def test_faults_of_the_query_have_codes(served: Served, hogql: str, code: str) -> None:
    """400, with HogQL's code or ClickHouse's name in lower case."""
    answer = served.query(hogql)

    assert (400, "validation_error", code) == (answer.status_code, answer.json()["type"], answer.json()["code"])


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (
            MemoryExceeded("too much", code=241, code_name="MEMORY_LIMIT_EXCEEDED"),
            513,
            "clickhouse_memory_limit_exceeded",
        ),
        (EngineError("odd", code=49, code_name="LOGICAL_ERROR"), 500, "error"),
    ],
)
def test_failures_of_the_engine(
    served: Served, monkeypatch: pytest.MonkeyPatch, error: EngineError, status: int, code: str
) -> None:
    """What ClickHouse ran into is not shown, but for running out of memory."""

    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(served.world.projects[1].engine.client, "query", fail)
    answer = served.query("SELECT 1")

    assert (status, "server_error", code) == (answer.status_code, answer.json()["type"], answer.json()["code"])


def test_answer_that_has_no_json(served: Served) -> None:
    """A map with numbers for keys cannot be rendered: a plain 500."""
    answer = served.query("SELECT map(1, 'a') AS m")

    assert (500, "A server error occurred.") == (answer.status_code, answer.json()["detail"])


def test_text_that_is_too_long(served: Served) -> None:
    """A statement of more than a mebibyte is refused by its size."""
    answer = served.query("SELECT {a} AS a", values={"a": "x" * (1 << 20)})

    assert (500, "Query size exceeded.") == (answer.status_code, answer.json()["detail"])


HOGQL = {"kind": "HogQLQuery", "query": "SELECT 1"}


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"query": HOGQL, "surprise": 1}, "parse_error", "Extra inputs are not permitted"),
        ({"query": {**HOGQL, "surprise": 1}}, "parse_error", "Extra inputs are not permitted"),
        ({"query": {**HOGQL, "modifiers": {"surprise": 1}}}, "parse_error", "Extra inputs are not permitted"),
        ({"query": {"kind": "HogQLQuery"}}, "parse_error", "Field required"),
        ({"query": {"query": "SELECT 1"}}, "parse_error", "Field required"),
        ({"query": {**HOGQL, "query": 1}}, "parse_error", "valid string"),
        ({"query": {**HOGQL, "values": [1]}}, "parse_error", "valid dictionary"),
        ({}, "parse_error", "Field required"),
        ([], "parse_error", "valid dictionary"),
        ({"query": {"kind": "TrendsQuery", "series": []}}, "unsupported_by_emulator", "HogQLQuery only"),
    ],
)
def test_body_that_does_not_fit(served: Served, body: Any, code: str, words: str) -> None:
    """400; a misspelt field is never ignored."""
    answer = served.call("POST", QUERY, json=body)

    assert (400, code) == (answer.status_code, answer.json()["code"])
    assert words in answer.json()["detail"]


def test_kind_in_the_path_has_to_be_the_bodys(served: Served) -> None:
    """The same kind runs; another one is a mismatch."""
    same = served.call("POST", f"{QUERY}HogQLQuery/", json={"query": HOGQL})
    other = served.call("POST", f"{QUERY}TrendsQuery/", json={"query": HOGQL})

    assert [[1]] == same.json()["results"]
    assert (400, "validation_error", "invalid") == (other.status_code, other.json()["type"], other.json()["code"])
    assert other.json()["detail"].startswith("Query kind mismatch: ")


def test_list_of_queries_does_not_exist(served: Served) -> None:
    """GET without an id is not allowed."""
    assert 405 == served.call("GET", QUERY).status_code


@pytest.mark.parametrize("refresh", ["blocking", "force_cache", None, "nonsense"])
def test_same_query_is_answered_from_the_cache(served: Served, refresh: str | None) -> None:
    """`force_cache` and what is no mode at all mean `blocking`: they compute, and then they remember."""
    first = served.query("SELECT now() AS n", request={"refresh": refresh}).json()
    served.clock.sleep(3600)
    second = served.query("SELECT now() AS n", request={"refresh": refresh, "name": "another"}).json()

    assert [False, True] == [first["is_cached"], second["is_cached"]]
    assert (first["results"], first["last_refresh"]) == (second["results"], second["last_refresh"])


def test_cached_answer_hides_new_events(served: Served) -> None:
    """The trap: an event arrives, the count stays, until it is forced or a day old."""
    text = "SELECT count() FROM events WHERE event = 'arrival'"
    assert [[0]] == served.query(text).json()["results"]
    event = {"api_key": "phc_emulator_1", "event": "arrival", "distinct_id": "ann", "properties": {}}
    assert 200 == served.call("POST", "/i/v0/e/", key=None, json=event).status_code

    assert [[0]] == served.query(text).json()["results"]
    assert [[1]] == served.query(f"{text} AND 1 = 1").json()["results"]
    assert [[1]] == served.query(text, request={"refresh": "force_blocking"}).json()["results"]
    assert [[1]] == served.query(text).json()["results"]


def test_cache_tells_modifiers_and_values_apart(served: Served) -> None:
    """Only the same query with the same modifiers is the same."""
    answers = [
        served.query("SELECT {x}", values={"x": 1}),
        served.query("SELECT {x}", values={"x": 2}),
        served.query("SELECT {x}", values={"x": 1}, modifiers={"convertToProjectTimezone": False}),
        served.query("SELECT {x}", values={"x": 1}),
    ]

    assert [False, False, False, True] == [answer.json()["is_cached"] for answer in answers]


def test_cached_answer_ages(served: Served) -> None:
    """After a day `blocking` computes again."""
    first = served.query("SELECT now() AS n").json()
    served.clock.sleep(86_400)
    second = served.query("SELECT now() AS n").json()

    assert not second["is_cached"]
    assert first["results"] != second["results"]


@pytest.mark.parametrize(
    ("refresh", "miss", "fresh", "stale"),
    [
        ("blocking", Step.COMPUTE, Step.CACHED, Step.COMPUTE),
        ("force_blocking", Step.COMPUTE, Step.COMPUTE, Step.COMPUTE),
        ("async", Step.ENQUEUE, Step.CACHED, Step.STALE_AND_ENQUEUE),
        ("force_async", Step.ENQUEUE, Step.ENQUEUE, Step.ENQUEUE),
        ("lazy_async", Step.ENQUEUE, Step.CACHED, Step.CACHED),
        ("async_except_on_cache_miss", Step.COMPUTE, Step.CACHED, Step.STALE_AND_ENQUEUE),
    ],
)
def test_refresh_modes(refresh: str, miss: Step, fresh: Step, stale: Step) -> None:
    """The table of reference 2.2, for no answer, a fresh one and an old one in the cache."""
    assert miss is decide(refresh, cached=False, fresh=False)
    assert fresh is decide(refresh, cached=True, fresh=True)
    assert stale is decide(refresh, cached=True, fresh=False)


def test_query_that_runs_too_long(served: Served) -> None:
    """ClickHouse itself stops it: 504, with the advice that PostHog gives."""
    served.world.limits = replace(served.world.limits, max_execution_s=0.05)

    answer = served.query("SELECT sum(sin(number)) FROM numbers(3000000000)")

    assert (504, "server_error", "error") == (answer.status_code, answer.json()["type"], answer.json()["code"])
    assert answer.json()["detail"].startswith("Query has hit the max execution time before completing.")


def test_slowness_on_demand(served: Served) -> None:
    """A test decides how long a query takes by its text and its rows; beyond the limit it is refused after it."""
    served.world.faults.query_seconds = lambda hogql, rows: rows / 10

    quick = served.query("SELECT event FROM events LIMIT 90")
    slow = served.query("SELECT event FROM events LIMIT 120")

    assert [(200, 9.0), (504, 10.0)] == list(
        zip([quick.status_code, slow.status_code], served.clock.slept, strict=True)
    )


def test_fourth_query_waits_and_is_refused_without_retry_after(served: Served) -> None:
    """Three run, one more waits half a minute, then 429 with another sentence than the throttle's."""
    release, running = threading.Event(), threading.Semaphore(0)

    def hold(hogql: str, rows: int) -> float:
        running.release()
        release.wait(20)
        return 0.0

    served.world.faults.query_seconds = hold
    holders = [threading.Thread(target=served.query, args=(f"SELECT {number}",)) for number in range(3)]
    for holder in holders:
        holder.start()
    for _ in holders:
        assert running.acquire(timeout=20)
    try:
        answer = served.query("SELECT 4")
    finally:
        release.set()
        for holder in holders:
            holder.join()

    assert (429, "throttled_error", "throttled") == (
        answer.status_code,
        answer.json()["type"],
        answer.json()["code"],
    )
    assert answer.json()["detail"].startswith(
        "Exceeded maximum concurrency limit: 3 for key: api:query:per-team:1 and task: "
    )
    assert "Retry-After" not in answer.headers
    assert 30 <= sum(served.clock.slept) < 32
    assert 200 == served.query("SELECT 5").status_code


def test_budget_headers_and_refusal(served: Served) -> None:
    """Computed answers report what they cost; when nothing is left, only the cache answers."""
    served.world.limits = replace(served.world.limits, budget_bytes_per_hour=1000, budget_capacity_hours=1)
    first = served.query("SELECT uuid FROM events LIMIT 150")
    refused = served.query("SELECT 1")
    cached = served.query("SELECT uuid FROM events LIMIT 150")
    exempt = served.query("SELECT 1", key=OAUTH)

    assert int(first.headers["X-PostHog-Query-Bytes-Read"]) > 1000
    assert "0" == first.headers["X-PostHog-Query-Budget-Remaining-Bytes"]
    assert (429, "api_queries_budget_exceeded") == (refused.status_code, refused.json()["code"])
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert (200, True) == (cached.status_code, cached.json()["is_cached"])
    assert "X-PostHog-Query-Bytes-Read" not in cached.headers
    assert 200 == exempt.status_code


def test_query_log_of_an_id(served: Served) -> None:
    """Name, text and rows of what ran under an id."""
    served.query("SELECT event FROM events LIMIT 5", name="inner", request={"client_query_id": "q1", "name": "outer"})

    body = served.call("GET", f"{QUERY}q1/log/").json()

    row = dict(zip(body["columns"], body["results"][0], strict=True))
    assert ("q1", "outer", "SELECT event FROM events LIMIT 5", 5) == (
        row["query_id"],
        row["name"],
        row["query"],
        row["result_rows"],
    )
    assert [] == served.call("GET", f"{QUERY}other/log/").json()["results"]


def test_upgrade_returns_the_query(served: Served) -> None:
    """Nothing runs."""
    assert {"query": HOGQL} == served.call("POST", f"{QUERY}upgrade/", json={"query": HOGQL}).json()


def test_large_answers_are_quick(served: Served) -> None:
    """50,000 rows with times and text arrive in seconds even on a busy machine."""
    started = time.perf_counter()
    body = served.query(
        "SELECT toDateTime(number) AS at, toString(number) AS t, number AS a, number AS b, number AS c, "
        "number / 3 AS d, concat('{', t, '}') AS e FROM numbers(50000) LIMIT 50000"
    ).json()

    assert 50_000 == len(body["results"])
    assert 10 > time.perf_counter() - started
