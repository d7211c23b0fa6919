"""The engine over PostHog's query API: what it sends, and what it makes of each documented answer."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from posthog_events.errors import (
    ApiError,
    BadAnswer,
    EngineError,
    HogQLSyntaxError,
    MissingScope,
    TruncatedResult,
    UnresolvedName,
)
from posthog_events.posthog.answer import QueryProgress
from posthog_events.posthog.engine import PostHogEngine
from posthog_events.posthog.http import Bucket, Reply, Request
from posthog_events.result import Query


@dataclass
class ScriptedApi:
    """Answers requests in order and keeps them; bodies are evaluated as the client would, once per attempt."""

    answers: list[Any]
    origin: str = "https://eu.posthog.com"
    project_id: int = 7
    requests: list[Request] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)

    def send(self, request: Request) -> Reply:
        self.requests.append(request)
        self.bodies.append(request.json() if callable(request.json) else request.json)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        return Reply(status, {}, json.dumps(body).encode(), f"{request.method} {request.path}")


def rows(*values: Any, type_: str = "UInt64", **more: Any) -> tuple[int, dict[str, Any]]:
    """Return a successful answer of one column `n`."""
    body = {"results": [[value] for value in values], "columns": ["n"], "types": [["n", type_]]}
    return 200, body | {"hasMore": None, "limit": None, "offset": None, "is_cached": False, "error": None} | more


def engine(*answers: Any, **options: Any) -> tuple[PostHogEngine, ScriptedApi]:
    """Return an engine over scripted answers."""
    api = ScriptedApi(list(answers))
    options = {"sleep": lambda seconds: None, "new_id": iter("abcdef").__next__} | options
    return PostHogEngine(api, **options), api


def test_query_goes_out_as_written_with_its_values_and_name() -> None:
    """The text is the author's, values travel beside it, and PostHog's query log learns the file's name."""
    posthog, api = engine(rows(3))

    result = posthog.run(Query("SELECT count() AS n FROM events WHERE event = {e}", {"e": "it's"}, name="signups"))

    assert_frame_equal(pl.DataFrame({"n": [3]}, schema={"n": pl.UInt64}), result.frame)
    assert ("posthog://eu.posthog.com/7", None) == (result.engine, result.cached_at)
    assert {
        "query": {
            "kind": "HogQLQuery",
            "query": "SELECT count() AS n FROM events WHERE event = {e}",
            "values": {"e": "it's"},
        },
        "refresh": "blocking",
        "client_query_id": "a",
        "name": "posthog-events: signups",
    } == api.bodies[0]
    assert ("POST", "query/", Bucket.QUERY, True) == (
        api.requests[0].method,
        api.requests[0].path,
        api.requests[0].bucket,
        api.requests[0].slot,
    )


def test_every_attempt_has_its_own_id() -> None:
    """PostHog returns the old status for a repeated id, so the body is made anew for each attempt."""
    posthog, api = engine(rows(1))
    posthog.run(Query("SELECT 1 AS n"))

    body = api.requests[0].json
    assert callable(body)
    assert ["b", "c"] == [body()["client_query_id"], body()["client_query_id"]]


def test_cached_answer_is_marked_and_fresh_forbids_it() -> None:
    """A cached answer says when it was computed; `fresh` asks for a new one."""
    posthog, api = engine(rows(1, is_cached=True, last_refresh="2026-09-01T01:00:05Z"), rows(1))

    assert datetime(2026, 9, 1, 1, 0, 5, tzinfo=UTC) == posthog.run(Query("SELECT 1 AS n")).cached_at
    posthog.fresh = True
    posthog.run(Query("SELECT 1 AS n"))
    assert "force_blocking" == api.bodies[1]["refresh"]


@pytest.mark.parametrize(
    ("text", "answers", "limit"),
    [
        ("SELECT n FROM t", [rows(*range(100), hasMore=True, limit=100, offset=0)], 100),
        ("SELECT n FROM t LIMIT 60000", [rows(*range(50_000))], 50_000),
        ("SELECT n FROM t LIMIT 25000 + 30000", [rows(*range(50_000))], 50_000),
        ("SELECT n FROM t UNION ALL SELECT n FROM u LIMIT 9", [rows(*range(109)), rows(101)], 100),
    ],
    ids=["no LIMIT", "clamped", "clamped expression", "branch"],
)
def test_cut_result_is_an_error_unless_accepted(text: str, answers: list[Any], limit: int) -> None:
    """Each of PostHog's silent cuts is found."""
    with pytest.raises(TruncatedResult) as caught:
        engine(*answers)[0].run(Query(text))
    assert limit == caught.value.limit

    assert engine(*answers)[0].run(Query(text), allow_truncated=True).truncated


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("SELECT n FROM t", [rows(*range(100), hasMore=False, limit=100, offset=0)]),
        ("SELECT n FROM t LIMIT 50000", [rows(*range(50_000))]),
        ("SELECT n FROM t LIMIT 100", [rows(*range(100))]),
        ("SELECT n FROM t UNION ALL SELECT n FROM u LIMIT 99", [rows(*range(199)), rows(100)]),
        ("SELECT n FROM t UNION ALL SELECT n FROM u", [rows(*range(99))]),
    ],
    ids=["whole", "own limit", "own small limit", "whole branch", "small union"],
)
def test_whole_result_is_not_called_cut(text: str, answers: list[Any]) -> None:
    """A LIMIT that the author wrote is no cut, nor is a branch that has exactly as many rows as PostHog returns."""
    posthog, api = engine(*answers)

    assert not posthog.run(Query(text)).truncated
    assert [] == api.answers


def test_branch_of_a_union_is_counted_with_the_values_it_was_written_with() -> None:
    """Lists and times have other names in the sent text; the question about a branch finds its values all the same."""
    text = "SELECT n FROM t WHERE e IN {names} AND at > {since} UNION ALL SELECT n FROM u LIMIT 9"
    values = {"names": ["a", "b"], "since": datetime(2026, 1, 1, tzinfo=UTC)}
    posthog, api = engine(rows(*range(109)), rows(100), fixed_timezone="UTC")

    assert not posthog.run(Query(text, values)).truncated
    assert {
        "kind": "HogQLQuery",
        "query": "SELECT count() AS n FROM (SELECT n FROM t WHERE e IN [{names__0}, {names__1}] AND "
        "at > toDateTime64({since}, 6, 'UTC'))",
        "values": {"names__0": "a", "names__1": "b", "since": "2026-01-01 00:00:00.000000"},
    } == api.bodies[1]["query"]


def test_queued_query_is_polled_and_its_nested_result_read() -> None:
    """202 is asked about after 1, 2, 4, 5, 5 seconds; the result is the whole answer inside the status."""
    slept: list[float] = []
    seen: list[QueryProgress] = []
    queued = (202, {"query_status": {"id": "a", "complete": False}})
    progress = {"rows_read": 5, "bytes_read": 1, "estimated_rows_total": 9, "time_elapsed": 2, "active_cpu_time": 0}
    running = (202, {"query_status": {"id": "a", "complete": False, "query_progress": progress}})
    done = (200, {"query_status": {"id": "a", "complete": True, "error": False, "results": rows(4)[1]}})
    posthog, api = engine(
        queued, queued, queued, running, queued, done, asynchronous=True, sleep=slept.append, on_progress=seen.append
    )

    result = posthog.run(Query("SELECT 1 AS n"))

    assert [4] == result.frame["n"].to_list()
    assert [1.0, 2.0, 4.0, 5.0, 5.0] == slept
    assert [5] == [value.rows_read for value in seen]
    assert ["query/"] + ["query/a/"] * 5 == [request.path for request in api.requests]
    assert ("async", False) == (api.bodies[0]["refresh"], api.requests[0].slot)


def test_failed_queued_query_says_why() -> None:
    """The status of a failed query is a 400 with a sentence and no code."""
    queued = (202, {"query_status": {"id": "a", "complete": False}})
    posthog, _ = engine(queued, ApiError("x", status=400, detail="Cannot divide"), asynchronous=True)

    with pytest.raises(EngineError, match="halves: Cannot divide"):
        posthog.run(Query("SELECT 1/0", name="halves"))


def refusal(code: str, detail: str, start: int | None = None, end: int | None = None) -> ApiError:
    """Return PostHog's 400 for a query."""
    extra = {} if start is None else {"hogql_metadata": {"errors": [{"message": detail, "start": start, "end": end}]}}
    return ApiError(detail, status=400, code=code, detail=detail, extra=extra)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refusal("hogql_syntax_error", "no viable alternative at input"), HogQLSyntaxError),
        (refusal("hogql_query_error", "Unable to resolve field: foo"), UnresolvedName),
        (refusal("hogql_query_error", "Unresolved placeholder: {x}"), UnresolvedName),
        (refusal("table_access_denied", "You don't have access to table `x`."), UnresolvedName),
        (refusal("illegal_type_of_argument", "Illegal type"), EngineError),
        (refusal("invalid", "Query kind mismatch"), ApiError),
        (MissingScope("no", status=403), MissingScope),
    ],
    ids=["syntax", "field", "placeholder", "table", "clickhouse", "request", "scope"],
)
def test_refusal_is_the_exception_that_the_local_engine_raises(error: ApiError, kind: type[Exception]) -> None:
    """One query file gives one kind of error, wherever it runs."""
    with pytest.raises(kind):
        engine(error)[0].run(Query("SELECT foo"))


def test_position_of_an_error_points_into_the_authors_text() -> None:
    """PostHog counts in the text that was sent, in which a bound time is longer than its placeholder."""
    text = "SELECT foo\nFROM events\nWHERE timestamp > {since} AND bar"
    sent = text.replace("{since}", "toDateTime64({since}, 6, 'UTC')")
    start = sent.index("bar")
    error = refusal("hogql_query_error", "Unable to resolve field: bar", start, start + 3)
    since = {"since": datetime(2026, 1, 1, tzinfo=UTC)}

    with pytest.raises(UnresolvedName) as caught:
        engine(error, fixed_timezone="UTC")[0].run(Query(text, since, name="q.sql", first_line=10))

    assert (12, 31) == (caught.value.line, caught.value.column)
    assert caught.value.excerpt.endswith(" " * 30 + "^^^")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, {"results": [], "columns": ["a"], "types": [["b", "String"]]}), "the columns .* with types of"),
        (rows(error="boom"), "an error inside a successful answer: boom"),
        ((200, {"detail": "?"}), "holds no rows"),
        ((200, {"results": [[1]], "columns": 3}), "not what its API documents"),
        (rows("x"), "n"),
    ],
    ids=["columns", "error", "no rows", "shape", "value"],
)
def test_answer_that_is_not_documented_is_refused(answer: Any, message: str) -> None:
    """Nothing is guessed from an answer of another shape."""
    with pytest.raises(BadAnswer, match=message):
        engine(answer)[0].run(Query("SELECT 1 AS n LIMIT 1"))


@pytest.mark.parametrize(
    "answers",
    [
        [(200, {"id": 7, "timezone": "Asia/Tokyo"})],
        [MissingScope("no", status=403), rows(type_="DateTime64(6, 'Asia/Tokyo')")],
    ],
    ids=["project", "type of a timestamp"],
)
def test_zone_is_asked_once(answers: list[Any]) -> None:
    """The project says it; a key that may not read the project learns it from a column's type."""
    posthog, api = engine(*answers)

    assert ("Asia/Tokyo", "Asia/Tokyo") == (posthog.timezone, posthog.timezone)
    assert [] == api.answers


def test_interrupted_query_is_cancelled_on_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C stops the query there too, by the id of the attempt that runs."""
    sent, stopped = threading.Event(), threading.Event()

    @dataclass
    class Interrupted(ScriptedApi):
        def send(self, request: Request) -> Reply:
            reply = super().send(request)
            if request.method == "DELETE":
                stopped.set()
                return reply
            sent.set()
            assert stopped.wait(10), "the query went on"
            return reply

    def wait(*_: Any, **__: Any) -> None:
        assert sent.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr("posthog_events.interrupt.wait", wait)
    api = Interrupted([rows(1), (200, {"message": "Cancelled query on clickhouse"})])
    posthog = PostHogEngine(api, new_id=iter("ab").__next__, sleep=_never)

    with pytest.raises(KeyboardInterrupt):
        posthog.run(Query("SELECT 1 AS n"))

    assert ["POST query/", "DELETE query/a/"] == [f"{r.method} {r.path}" for r in api.requests]


def _never(seconds: float) -> None:
    raise AssertionError("no sleep was expected")
