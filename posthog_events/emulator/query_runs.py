"""Running queries of one project: slots, time limits, cancelling, and what a query cost.

Source: reference 2.4 and 2.5; posthog/clickhouse/client/limit.py, posthog/hogql/user_query_validator.py,
posthog/hogql_queries/hogql_query_runner.py.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from posthog_events.clickhouse.quoting import string
from posthog_events.emulator.budget import Budget
from posthog_events.emulator.capture import settle
from posthog_events.emulator.encode import encode_rows
from posthog_events.emulator.endpoint import Refusal
from posthog_events.emulator.query_errors import server_error
from posthog_events.errors import HogQLError, QueryCancelled, QueryTimeout
from posthog_events.hogql import ast
from posthog_events.hogql.parser import parse_select
from posthog_events.hogql.placeholders import bind
from posthog_events.hogql.printer import print_hogql
from posthog_events.hogql.source import Source
from posthog_events.hogql.tree import walk

if TYPE_CHECKING:
    from posthog_events.clickhouse.catalog import Catalog
    from posthog_events.clickhouse.engine import ClickHouseEngine
    from posthog_events.emulator.query_request import QueryRequest
    from posthog_events.emulator.world import Project, World
    from posthog_events.result import Query

__all__ = ["Outcome", "Run", "Runner", "check_no_offset"]

MAX_SQL_BYTES = 1 << 20
"""ClickHouse's `max_query_size` as PostHog sets it."""

FIRST_PAUSE_S, PAUSE_GROWTH, LONGEST_PAUSE_S = 0.134, 1.5, 1.714
"""How PostHog looks for a free slot again."""

KILL_EVERY_S, KILL_FOR_S = 0.05, 2.0

OFFSET_REFUSED = (
    "OFFSET is not supported on queries made with a personal API key. Page by a key instead: filter on the last "
    "timestamp seen and ORDER BY timestamp; for bulk extraction use batch exports."
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What running a query gave.

    Args:
        body: The response, without what the cache adds.
        headers: What the query cost; empty without a budget.
    """

    body: dict[str, Any]
    headers: dict[str, str]


@dataclass(slots=True)
class Run:
    """One query on its way, and the handle to stop it.

    Args:
        marker: Stands in a comment of its ClickHouse SQL, so that it can be found there.
        picked_up: Called when it has a slot.
    """

    client_query_id: str
    picked_up: Callable[[], None] = lambda: None
    marker: str = field(default_factory=lambda: f"emulator {uuid.uuid4().hex}")
    cancelled: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


class Runner:
    """Runs the queries of one project; thread-safe."""

    def __init__(self, world: World, project: Project) -> None:
        self._world, self._project = world, project
        self._budget = Budget()
        self._slots = threading.Condition()
        self._taken = 0
        self._running: list[Run] = []
        self.log: list[dict[str, Any]] = []

    def run(self, request: QueryRequest, run: Run, *, limit_s: float, personal: bool, wait: bool) -> Outcome:
        """Run a query when a slot is free.

        Args:
            limit_s: Seconds it may take.
            personal: The rules for personal keys apply: no OFFSET, and the budget pays.
            wait: Wait for a slot as long as it takes, as asynchronous queries do; else as long as the limits say.

        Raises:
            Refusal: 429 without a free slot or budget.
            HogQLError, QueryError: The query cannot run, or failed.
            NotSerialisable: Its answer has no JSON.
        """
        limits = self._world.limits
        if personal and not limits.allow_offset:
            check_no_offset(request.query)
        if personal:
            self._budget.admit(limits, self._world.now())
        with self._slot(run, wait=wait):
            run.picked_up()
            started, clock = self._world.now(), time.perf_counter()
            body, rows, bytes_read = self._execute(request, run, limit_s)
            elapsed_s = time.perf_counter() - clock
        self._note(request, run, started, elapsed_s, rows, bytes_read)
        body["timings"] = [{"k": "./clickhouse_execute", "t": round(elapsed_s, 4)}]
        return Outcome(body, self._budget.debit(limits, bytes_read, self._world.now()) if personal else {})

    def cancel(self, client_query_id: str, *, kill: bool) -> None:
        """Stop the queries with an id: those that wait at once, and with `kill` those that run."""
        with self._slots:
            runs = [run for run in self._running if run.client_query_id == client_query_id]
            for run in runs:
                if kill:
                    run.cancelled.set()
            self._slots.notify_all()
        deadline = time.monotonic() + KILL_FOR_S
        for run in runs if kill else ():
            # again and again: the statement may not have reached ClickHouse yet
            while not run.done.wait(KILL_EVERY_S) and time.monotonic() < deadline:
                self._project.engine.client.command(f"KILL QUERY WHERE {_marked(run)} ASYNC")

    def progress(self, run: Run) -> dict[str, int]:
        """Return how far a query is, from ClickHouse's list of processes."""
        _, found = self._project.engine.client.query(
            "SELECT sum(read_bytes) AS bytes_read, sum(read_rows) AS rows_read, "
            "sum(total_rows_approx) AS estimated_rows_total, toUInt64(max(elapsed)) AS time_elapsed, "
            "sum(ProfileEvents['OSCPUVirtualTimeMicroseconds']) AS active_cpu_time "
            f"FROM system.processes WHERE {_marked(run)}"
        )
        return {name: int(value or 0) for name, value in found.row(0, named=True).items()}

    @contextmanager
    def _slot(self, run: Run, *, wait: bool) -> Iterator[None]:
        with self._slots:
            self._running.append(run)
        try:
            self._take_slot(run, wait=wait)
            try:
                yield
            finally:
                with self._slots:
                    self._taken -= 1
                    self._slots.notify_all()
        finally:
            with self._slots:
                self._running.remove(run)
            run.done.set()

    def _take_slot(self, run: Run, *, wait: bool) -> None:
        limits, waited_s, pause_s = self._world.limits, 0.0, FIRST_PAUSE_S
        while True:
            with self._slots:
                if wait:
                    self._slots.wait_for(lambda: self._taken < limits.slots or run.cancelled.is_set())
                if run.cancelled.is_set():
                    raise QueryCancelled("the query was stopped before it began")
                if self._taken < limits.slots:
                    self._taken += 1
                    return
            if waited_s >= limits.queue_s:
                raise Refusal(
                    429,
                    "throttled_error",
                    "throttled",
                    f"Exceeded maximum concurrency limit: {limits.slots} for key: "
                    f"api:query:per-team:{self._project.id} and task: {run.marker[-8:]}",
                )
            self._world.sleep(pause_s)
            waited_s, pause_s = waited_s + pause_s, min(pause_s * PAUSE_GROWTH, LONGEST_PAUSE_S)

    def _execute(self, request: QueryRequest, run: Run, limit_s: float) -> tuple[dict[str, Any], int, int]:
        """Return the response's body, its rows, and the bytes read."""
        settle(self._world, self._project)
        query, engine = request.query, self._project.engine
        if not request.in_project_zone:
            engine = _in_utc(engine)
        compiled = engine.compile(query)
        if len(compiled.sql.encode()) > MAX_SQL_BYTES:
            raise server_error(500, "Query size exceeded.")
        settings = {
            **compiled.settings,
            "max_execution_time": str(max(limit_s, 0.001)),
            "timeout_overflow_mode": "throw",
        }
        types, frame = engine.client.query(f"/* {run.marker} */ {compiled.sql}", settings=settings)
        self._take_time(query, frame.height, limit_s)
        # the statement asks for one row more than the limit, as PostHog's does where there is no LIMIT
        more = compiled.row_cap is not None and frame.height > compiled.row_cap
        frame = frame if compiled.row_cap is None else frame.head(compiled.row_cap)
        without_limit = compiled.row_cap is not None and not compiled.clamped
        body = {
            "results": encode_rows(frame, types),
            "columns": [name for name, _ in types],
            "types": types,
            "hogql": _printed(query),
            "clickhouse": compiled.sql,
            "query": None,
            "hasMore": more if without_limit else None,
            "limit": compiled.row_cap if without_limit else None,
            "offset": 0 if without_limit else None,
            "modifiers": dict(request.modifiers),
            "error": None,
            "explain": None,
            "metadata": None,
        }
        # embedded ClickHouse does not tell what one query read; the size of its answer stands in for that
        return body, frame.height, max(1, int(frame.estimated_size()))

    def _take_time(self, query: Query, rows: int, limit_s: float) -> None:
        """Make a query as slow as a test wants it."""
        if self._world.faults.query_seconds is None:
            return
        seconds = self._world.faults.query_seconds(query.hogql, rows)
        if seconds > 0:
            self._world.sleep(min(seconds, limit_s))
        if seconds > limit_s:
            raise QueryTimeout("the query took longer than its limit", code=159, code_name="TIMEOUT_EXCEEDED")

    def _note(
        self, request: QueryRequest, run: Run, started: datetime, elapsed_s: float, rows: int, bytes_read: int
    ) -> None:
        entry = {
            "event_date": started.date().isoformat(),
            "event_time": started.isoformat().replace("+00:00", "Z"),
            "query_id": run.client_query_id,
            "endpoint": f"/api/projects/{self._project.id}/query/",
            "query": request.query.hogql,
            "name": request.query.name,
            "query_duration_ms": round(elapsed_s * 1000),
            "read_bytes": bytes_read,
            "result_rows": rows,
            "status": "QueryFinish",
            "is_personal_api_key_request": True,
        }
        with self._slots:
            self.log.append(entry)


def check_no_offset(query: Query) -> None:
    """Refuse OFFSET wherever it stands, but for the one of SAMPLE, which is no paging.

    Raises:
        HogQLError: The text has one, or does not parse.
    """
    for node in walk(parse_select(query.hogql)):
        offset: ast.Node | None = None
        if isinstance(node, ast.SelectQuery | ast.SelectSetQuery):
            offset = node.offset
        if isinstance(node, ast.LimitByExpr):
            offset = node.offset_value
        if offset is not None:
            raise Source(query.hogql).error(HogQLError, OFFSET_REFUSED, offset)


def _in_utc(engine: ClickHouseEngine) -> ClickHouseEngine:
    """Return the engine for `convertToProjectTimezone: false`."""

    def catalog() -> Catalog:
        return replace(engine.catalog(), timezone="UTC")

    return replace(engine, catalog=catalog)


def _printed(query: Query) -> str:
    """Return HogQL with its values in place; the text as it came where filters or variables stand in it."""
    try:
        return print_hogql(bind(parse_select(query.hogql), query.values, source=Source(query.hogql)))
    except HogQLError:
        return query.hogql


def _marked(run: Run) -> str:
    return f"startsWith(query, {string(f'/* {run.marker} */')})"
