"""PostHog's query API as an engine: HogQL goes out as it was written, a typed frame comes back, nothing is cut."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from posthog_events.errors import (
    ApiError,
    ConfigError,
    MissingScope,
    PostHogEventsError,
    TruncatedResult,
    UnsupportedHogQL,
)
from posthog_events.interrupt import interruptible
from posthog_events.limits import MAX_ROWS, NO_LIMIT_ROWS
from posthog_events.posthog.answer import Answer, QueryProgress, StatusBody, read_answer
from posthog_events.posthog.http import Api, Bucket, Reply, Request
from posthog_events.posthog.query_errors import query_error
from posthog_events.posthog.row_limits import row_limit
from posthog_events.posthog.statement import Statement, prepare
from posthog_events.result import Query, QueryResult

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PostHogEngine"]

POLL_S = (1.0, 2.0, 4.0, 5.0)
"""Seconds between looks at an asynchronous query; each look counts as a query (reference 2.6)."""

CANCEL_WAIT_S = 3.0
"""How long Ctrl-C waits at most for the cancellation to go out; it mostly takes a fraction of a second."""

ZONE_QUERY = "SELECT timestamp FROM events LIMIT 1"


def _random_id() -> str:
    return f"posthog-events-{uuid.uuid4()}"


@dataclass(slots=True)
class PostHogEngine:
    """Runs HogQL on PostHog; satisfies `posthog_events.result.Engine`.

    Args:
        fixed_timezone: The project's zone, when the caller knows it; otherwise PostHog is asked once.
        fresh: Never take an answer from PostHog's cache.
        asynchronous: Queue queries and poll for their results; for queries that run longer than a request may.
        on_progress: Called after each poll of an asynchronous query.
    """

    api: Api
    fixed_timezone: str | None = None
    fresh: bool = False
    asynchronous: bool = False
    on_progress: Callable[[QueryProgress], None] | None = None
    sleep: Callable[[float], None] = time.sleep
    new_id: Callable[[], str] = _random_id
    _zone: str | None = field(default=None, init=False)

    @property
    def dsn(self) -> str:
        """The engine's DSN; holds no key."""
        return f"posthog://{self.api.origin.partition('://')[2]}/{self.api.project_id}"

    @property
    def timezone(self) -> str:
        """The project's IANA zone.

        Raises:
            ApiError, ConnectionFailed, BadAnswer: PostHog could not be asked.
        """
        if self.fixed_timezone is not None:
            return self.fixed_timezone
        if self._zone is None:
            self._zone = self._ask_zone()
        return self._zone

    def run(self, query: Query, *, allow_truncated: bool = False) -> QueryResult:
        """Run `query` and return a typed frame.

        Raises:
            HogQLError: PostHog does not accept the text; the position, where PostHog gives one, is in the query's text.
            TruncatedResult: More rows exist than were returned, and `allow_truncated` is false.
            QueryTimeout, MemoryExceeded, EngineError: PostHog could not run it.
            ApiError, ConnectionFailed, BadAnswer: PostHog refused or did not answer.
        """
        started = time.perf_counter()
        answer = self._ask(query)
        frame = _frame(answer)
        cut = self._judge(query, answer, frame.height)
        if cut is not None and not allow_truncated:
            raise cut
        return QueryResult(
            frame=frame,
            types=answer.types or (),
            query=query,
            engine=self.dsn,
            clickhouse=answer.clickhouse,
            truncated=cut is not None,
            elapsed_s=time.perf_counter() - started,
            cached_at=answer.last_refresh if answer.is_cached else None,
        )

    def sql(self, query: Query) -> str:
        """Refuse: PostHog shows the ClickHouse SQL only of a query that ran.

        Raises:
            UnsupportedHogQL: Always.
        """
        raise UnsupportedHogQL(
            "PostHog shows its ClickHouse SQL only after a query ran (`result.clickhouse`). "
            "For the SQL of the local translation, use a chdb:// or clickhouse:// DSN",
            name=query.name,
        )

    def tables(self) -> Mapping[str, Mapping[str, str]]:
        """Refuse: PostHog documents no stable list of a project's tables.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError("the tables of a PostHog project are listed in its SQL editor, not here")

    def close(self) -> None:
        """Leave the session to its owner, the project."""

    def _ask(self, query: Query) -> Answer:
        needs_zone = any(isinstance(value, datetime | list | tuple) for value in query.values.values())
        statement = prepare(query, timezone=self.timezone if needs_zone else "UTC")
        running: list[str] = []

        def body() -> dict[str, Any]:
            # A repeated id would return the status of the attempt before (reference 2.6), so each attempt has its own.
            running[:] = [self.new_id()]
            return self._body(query, statement, running[0])

        request = Request("POST", "query/", json=body, bucket=Bucket.QUERY, slot=not self.asynchronous)
        try:
            reply = interruptible(
                lambda: self._complete(request), name="posthog-events request", cancel=lambda _: self._cancel(running)
            )
        except ApiError as error:
            raise query_error(error, query, statement) from error
        return read_answer(reply)

    def _body(self, query: Query, statement: Statement, client_query_id: str) -> dict[str, Any]:
        hogql: dict[str, Any] = {"kind": "HogQLQuery", "query": statement.hogql}
        if statement.values:
            hogql["values"] = dict(statement.values)
        if query.filters is not None:
            hogql["filters"] = dict(query.filters)
        refresh = "async" if self.asynchronous else "blocking"
        return {
            "query": hogql,
            "refresh": f"force_{refresh}" if self.fresh else refresh,
            "client_query_id": client_query_id,
            "name": f"posthog-events: {query.name}",
        }

    def _complete(self, request: Request) -> Reply:
        """Send a query and, when it was queued, wait for its result."""
        reply = self.api.send(request)
        for pause in chain(POLL_S, repeat(POLL_S[-1])):
            if reply.status != 202:
                break
            status = reply.decode(StatusBody).query_status
            if self.on_progress is not None and status.query_progress is not None:
                self.on_progress(status.query_progress)
            self.sleep(pause)
            # the id of the status ends with its query: an expired one is a 404, which `send` raises
            reply = self._status(status.id)
        return reply

    def _status(self, query_id: str) -> Reply:
        return self.api.send(
            Request("GET", f"query/{query_id}/", params={"show_progress": "true"}, bucket=Bucket.QUERY)
        )

    def _cancel(self, running: list[str]) -> None:
        """Stop the query on the server too; in a thread, because Ctrl-C should not wait for it."""

        def stop() -> None:
            with suppress(PostHogEventsError):
                self.api.send(
                    Request("DELETE", f"query/{running[0]}/", bucket=Bucket.QUERY, repeatable=False, read_timeout_s=5)
                )

        if running:
            thread = threading.Thread(target=stop, name="posthog-events cancel", daemon=True)
            thread.start()
            thread.join(timeout=CANCEL_WAIT_S)

    def _judge(self, query: Query, answer: Answer, rows: int) -> TruncatedResult | None:
        """Return the error of a cut result; what PostHog does not say is read from the text or asked."""
        if answer.has_more:
            return TruncatedResult(rows, answer.limit or rows, query.name)
        if rows < NO_LIMIT_ROWS:
            return None
        # the query's own text: its branches are asked about with its own values
        limit = row_limit(query.hogql)
        if rows >= MAX_ROWS and limit.stated and not limit.unlimited_branches and (limit.rows or rows + 1) > rows:
            return TruncatedResult(rows, MAX_ROWS, query.name, clamped=True)
        for branch in limit.unlimited_branches:
            probe = Query(f"SELECT count() AS n FROM ({branch})", query.values, query.filters, query.variables)
            if self.run(probe, allow_truncated=True).scalar() > NO_LIMIT_ROWS:
                return TruncatedResult(rows, NO_LIMIT_ROWS, query.name)
        return None

    def _ask_zone(self) -> str:
        """Read the zone from the project, or, when the key may not, from the type of a timestamp."""
        from posthog_events.frames.types import parse_type

        try:
            project = self.api.send(Request("GET", f"/api/projects/{self.api.project_id}/")).decode()
            if isinstance(project, dict) and isinstance(project.get("timezone"), str):
                return str(project["timezone"])
        except MissingScope:
            pass
        answer = self._ask(Query(ZONE_QUERY, name="time zone"))
        return parse_type((answer.types or ())[0][1]).zone or "UTC"


def _frame(answer: Answer) -> pl.DataFrame:
    from posthog_events.frames.wire import frame_from_json_rows

    return frame_from_json_rows(answer.results or [], answer.types or ())
