"""Asynchronous queries of the emulator: states, expiry, ids and cancelling. Expected answers: reference 2.6."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from posthog_events.emulator import query
from tests.helpers.emulated import Served, serve
from tests.helpers.library_store import store_of

QUERY = "/api/projects/1/query/"
ENDLESS = "SELECT sum(sin(number)) FROM numbers(100000000000)"
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a project with one event once for the module."""
    folder = tmp_path_factory.mktemp("async")
    with serve({1: store_of(folder, [("ann", "visit", "2026-05-01T00:00:00Z")])}, folder, [query]) as running:
        yield running


@pytest.fixture(autouse=True)
def _renewed(served: Served) -> None:
    served.renew()


class Gate:
    """Holds every query that runs until it is opened."""

    def __init__(self) -> None:
        self.opened, self.arrived = threading.Event(), threading.Semaphore(0)

    def __call__(self, hogql: str, rows: int) -> float:
        self.arrived.release()
        self.opened.wait(PATIENCE_S)
        return 0.0

    def wait_for_one(self) -> None:
        """Return when a query has come here."""
        assert self.arrived.acquire(timeout=PATIENCE_S)


@pytest.fixture
def gate(served: Served) -> Iterator[Gate]:
    """Hold the queries of this test."""
    gate = Gate()
    served.world.faults.query_seconds = gate
    yield gate
    gate.opened.set()


def begin(served: Served, query_id: str, hogql: str = "SELECT 1 AS n", refresh: str = "async") -> requests.Response:
    """Post an asynchronous query."""
    answer: requests.Response = served.query(hogql, request={"refresh": refresh, "client_query_id": query_id})
    return answer


def poll(served: Served, query_id: str, **params: str) -> requests.Response:
    """Ask for a status."""
    return served.call("GET", f"{QUERY}{query_id}/", params=params)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what a thread of the server does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def finished(served: Served, query_id: str) -> requests.Response:
    """Return the first status that is not "queued or running"."""
    answers: list[requests.Response] = []

    def done() -> bool:
        answers.append(poll(served, query_id))
        return answers[-1].status_code != 202

    until(done)
    return answers[-1]


def test_query_runs_in_the_background(served: Served, gate: Gate) -> None:
    """202 at once, 202 while it runs, 200 with the whole response nested when it is done."""
    posted = begin(served, "q1")
    gate.wait_for_one()
    running = poll(served, "q1")
    gate.opened.set()
    done = finished(served, "q1")

    assert [202, 202, 200] == [posted.status_code, running.status_code, done.status_code]
    assert ["query_status"] == list(posted.json())
    before, status = running.json()["query_status"], done.json()["query_status"]
    assert (False, None, None) == (before["complete"], before["end_time"], before["results"])
    assert before["pickup_time"] is not None
    expected = {
        "id": "q1",
        "team_id": 1,
        "query_async": True,
        "complete": True,
        "error": False,
        "error_message": None,
        "labels": None,
        "insight_id": None,
        "dashboard_id": None,
        "query_progress": None,
    }
    assert expected == {name: status[name] for name in expected}
    assert ([[1]], ["n"], [["n", "UInt8"]]) == tuple(
        status["results"][name] for name in ("results", "columns", "types")
    )


def test_query_without_a_slot_is_queued(served: Served, gate: Gate) -> None:
    """It has no pickup time, waits longer than a blocking one would, and runs when a slot is free."""
    for number in range(3):
        begin(served, f"busy{number}", f"SELECT {number}")
        gate.wait_for_one()
    begin(served, "later", "SELECT 4")
    queued = poll(served, "later").json()["query_status"]
    gate.opened.set()

    assert (None, False) == (queued["pickup_time"], queued["complete"])
    assert 200 == finished(served, "later").status_code


def test_error_of_the_query_has_a_message(served: Served) -> None:
    """400, complete, and the sentence; not the envelope of other errors."""
    begin(served, "bad", "SELECT nope FROM events")

    answer = finished(served, "bad")

    status = answer.json()["query_status"]
    assert (400, True, True) == (answer.status_code, status["complete"], status["error"])
    assert ("Unable to resolve field: nope", None) == (status["error_message"], status["results"])


def test_other_errors_have_no_message(served: Served) -> None:
    """500 without a word."""
    begin(served, "odd", "SELECT map(1, 'a') AS m")

    answer = finished(served, "odd")

    assert (500, None) == (answer.status_code, answer.json()["query_status"]["error_message"])


def test_offset_is_refused_in_the_background_too(served: Served) -> None:
    """The check comes when the query runs, so the refusal is in the status."""
    begin(served, "offset", "SELECT 1 LIMIT 1 OFFSET 1")

    assert finished(served, "offset").json()["query_status"]["error_message"].startswith("OFFSET is not supported")


def test_background_queries_may_run_longer(served: Served) -> None:
    """The ten seconds of a personal key are not theirs."""
    served.world.faults.query_seconds = lambda hogql, rows: 11.0

    begin(served, "long")

    assert 200 == finished(served, "long").status_code


def test_same_id_returns_the_old_status(served: Served) -> None:
    """The trap: another query under a used id is not run, and the old rows come back, with a 200."""
    begin(served, "reused", "SELECT 1 AS n")
    finished(served, "reused")

    again = begin(served, "reused", "SELECT 2 AS n")

    assert 200 == again.status_code
    assert [[1]] == again.json()["query_status"]["results"]["results"]


def test_forced_query_runs_again_under_its_id(served: Served) -> None:
    """`force_async` is the exception."""
    begin(served, "forced", "SELECT 1 AS n")
    finished(served, "forced")

    assert 202 == begin(served, "forced", "SELECT 2 AS n", "force_async").status_code
    assert [[2]] == finished(served, "forced").json()["query_status"]["results"]["results"]


def test_fresh_cache_answers_at_once(served: Served) -> None:
    """200 with the rows on top, as for a blocking query."""
    served.query("SELECT 7 AS n")

    answer = begin(served, "cached", "SELECT 7 AS n")

    assert (200, [[7]], True) == (answer.status_code, answer.json()["results"], answer.json()["is_cached"])
    assert 404 == poll(served, "cached").status_code


def test_stale_cache_answers_and_is_computed_anew(served: Served) -> None:
    """202 with old rows, and the status of the computation beside them."""
    old = served.query("SELECT now() AS n").json()["results"]
    served.clock.sleep(86_400)

    answer = begin(served, "stale", "SELECT now() AS n", "async_except_on_cache_miss")

    assert (202, old) == (answer.status_code, answer.json()["results"])
    assert not answer.json()["query_status"]["complete"]
    assert old != finished(served, "stale").json()["query_status"]["results"]["results"]


def test_status_expires(served: Served) -> None:
    """It lives 20 minutes from the end of the query."""
    begin(served, "old")
    finished(served, "old")
    served.clock.sleep(1199)
    kept = poll(served, "old")
    served.clock.sleep(1)
    gone = poll(served, "old")

    assert [200, 404] == [kept.status_code, gone.status_code]
    assert ("invalid_request", "not_found") == (gone.json()["type"], gone.json()["code"])


def test_polls_count_as_queries(served: Served) -> None:
    """One post and two polls use up three requests."""
    served.world.limits = replace(served.world.limits, rates={"query": (3, 100)})
    begin(served, "polled")

    assert [False, False, True] == [poll(served, "polled").status_code == 429 for _ in range(3)]


def test_progress_of_a_running_query(served: Served) -> None:
    """Rows and bytes so far, on request and only then."""
    begin(served, "endless", ENDLESS)
    found: dict[str, Any] = {}

    def reading() -> bool:
        progress = poll(served, "endless", show_progress="true").json()["query_status"]["query_progress"]
        found.update(progress or {})
        return bool(found.get("rows_read"))

    until(reading)
    silent = poll(served, "endless").json()["query_status"]["query_progress"]
    served.call("DELETE", f"{QUERY}endless/")

    assert silent is None
    assert 100_000_000_000 == found["estimated_rows_total"]
    assert found["bytes_read"] == 8 * found["rows_read"]
    assert {"bytes_read", "rows_read", "estimated_rows_total", "time_elapsed", "active_cpu_time"} == set(found)


def test_running_query_is_cancelled(served: Served) -> None:
    """200 with a sentence, then 404; its slot is free again."""
    served.world.limits = replace(served.world.limits, slots=1)
    begin(served, "endless", ENDLESS)
    until(lambda: poll(served, "endless").json()["query_status"]["pickup_time"] is not None)

    answer = served.call("DELETE", f"{QUERY}endless/")

    assert (200, {"message": "Cancelled query on clickhouse"}) == (answer.status_code, answer.json())
    assert 404 == poll(served, "endless").status_code
    assert 200 == served.query("SELECT 1").status_code


def test_queued_query_is_cancelled_before_it_runs(served: Served, gate: Gate) -> None:
    """It never runs, whichever way it is cancelled."""
    served.world.limits = replace(served.world.limits, slots=1)
    begin(served, "busy")
    gate.wait_for_one()
    for query_id, params in (("a", {}), ("b", {"dequeue_only": "true"})):
        begin(served, query_id, f"SELECT '{query_id}'")
        assert 200 == served.call("DELETE", f"{QUERY}{query_id}/", params=params).status_code
    gate.opened.set()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("query ")])

    ran = [entry["query_id"] for entry in served.world.projects[1].state["query"].runner.log]
    assert ["busy"] == ran


def test_dequeue_only_lets_a_running_query_run(served: Served, gate: Gate) -> None:
    """Only the status is forgotten."""
    begin(served, "going")
    gate.wait_for_one()

    answer = served.call("DELETE", f"{QUERY}going/", params={"dequeue_only": "true"})
    gate.opened.set()

    assert {"message": "Only tried to dequeue, not cancelling query on clickhouse"} == answer.json()
    until(lambda: bool(served.world.projects[1].state["query"].runner.log))


def test_finished_and_unknown_queries_are_cancelled_with_a_200(served: Served) -> None:
    """DELETE always succeeds; a finished query keeps its status."""
    begin(served, "over")
    finished(served, "over")

    assert {"message": "Query already complete"} == served.call("DELETE", f"{QUERY}over/").json()
    assert 200 == poll(served, "over").status_code
    assert {"message": "Cancelled query on clickhouse"} == served.call("DELETE", f"{QUERY}never/").json()


def test_blocking_query_is_cancelled_by_its_id(served: Served) -> None:
    """The request that waits for it ends with a plain 500."""
    answers: list[requests.Response] = []

    def ask() -> None:
        answers.append(served.query(ENDLESS, request={"client_query_id": "sync"}))

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: served.call("DELETE", f"{QUERY}sync/").ok and not asking.is_alive())
    asking.join()

    assert (500, "ClickHouse error while executing query.") == (answers[0].status_code, answers[0].json()["detail"])
