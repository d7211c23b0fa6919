"""`/query/`: HogQL in, JSON out, with PostHog's cache, limits and traps.

Source: reference 2; posthog/api/query.py, posthog/hogql_queries/query_runner.py.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from posthog_events.emulator.auth import is_personal
from posthog_events.emulator.encode import NotSerialisable
from posthog_events.emulator.endpoint import Call, api_route, reply
from posthog_events.emulator.query_async import AsyncQueries
from posthog_events.emulator.query_cache import Answer, QueryCache
from posthog_events.emulator.query_errors import exposed, refusal_of, server_error
from posthog_events.emulator.query_request import QueryRequest, parse_request
from posthog_events.emulator.query_runs import Run, Runner
from posthog_events.errors import PostHogEventsError

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["ROUTES"]

ASYNC_LIMIT_S = 600.0
"""How long an asynchronous query may run. Whether PostHog grants that to personal keys is not established."""


@dataclass(frozen=True, slots=True)
class _Desk:
    """What `project.state["query"]` holds."""

    cache: QueryCache
    runner: Runner
    queries: AsyncQueries


class Step(StrEnum):
    """What is done with a request, given what the cache has."""

    CACHED = "answer from the cache"
    COMPUTE = "compute and answer"
    ENQUEUE = "compute in the background"
    STALE_AND_ENQUEUE = "answer from the cache, and compute in the background"


def decide(refresh: str, *, cached: bool, fresh: bool) -> Step:
    """Return what a refresh mode means. Source: reference 2.2; posthog/hogql_queries/query_runner.py."""
    if refresh == "force_blocking":
        return Step.COMPUTE
    if refresh == "force_async":
        return Step.ENQUEUE
    if cached and (fresh or refresh == "lazy_async"):
        return Step.CACHED
    if cached and refresh in ("async", "async_except_on_cache_miss"):
        return Step.STALE_AND_ENQUEUE
    if refresh in ("async", "lazy_async"):
        return Step.ENQUEUE
    return Step.COMPUTE


def create(call: Call) -> Response:
    """Answer `POST /query/`."""
    request = parse_request(call.body, path_kind=call.params.get("kind"))
    desk = _desk(call)
    query_id = request.client_query_id or uuid.uuid4().hex
    cache_key = desk.cache.key(request.cache_text)
    now = call.world.now()
    answer = desk.cache.get(cache_key, now=now)
    if "information_schema" in request.query.hogql.lower():
        answer = None  # PostHog never answers these from the cache
    step = decide(request.refresh, cached=answer is not None, fresh=answer is not None and answer.fresh(now))
    if step is Step.COMPUTE:
        return _compute(call, desk, request, query_id, cache_key)
    if step is Step.CACHED and answer is not None:
        return reply(answer.document(is_cached=True))
    status = desk.queries.enqueue(
        query_id,
        lambda run: _run(call, desk, request, run, cache_key, background=True)[0].document(is_cached=False),
        force=request.refresh == "force_async",
    )
    document: dict[str, Any] = {"query_status": status.document()}
    if step is Step.STALE_AND_ENQUEUE and answer is not None:
        document = answer.document(is_cached=True, query_status=status.document())
    return reply(document, status=200 if status.complete else 202)


def retrieve(call: Call) -> Response:
    """Answer `GET /query/:id/`."""
    desk = _desk(call)
    status = desk.queries.get(call.params["id"])
    wanted = "true" in (call.query.get("show_progress"), call.query.get("showProgress"))
    progress = desk.runner.progress(status.run) if wanted and not status.complete else None
    return reply({"query_status": status.document(progress=progress)}, status=status.http_status)


def destroy(call: Call) -> Response:
    """Answer `DELETE /query/:id/`: 200 with a sentence, whatever it found."""
    dequeue_only = call.query.get("dequeue_only") == "true"
    return reply({"message": _desk(call).queries.cancel(call.params["id"], dequeue_only=dequeue_only)})


def log(call: Call) -> Response:
    """Answer `GET /query/:id/log/`: the rows of the query log."""
    entries = [entry for entry in _desk(call).runner.log if entry["query_id"] == call.params["id"]]
    columns = list(entries[0]) if entries else []
    return reply({"columns": columns, "results": [list(entry.values()) for entry in entries], "hasMore": False})


def upgrade(call: Call) -> Response:
    """Answer `POST /query/upgrade/`: HogQL has never needed one."""
    return reply({"query": call.body.get("query") if isinstance(call.body, dict) else None})


def _compute(call: Call, desk: _Desk, request: QueryRequest, query_id: str, cache_key: str) -> Response:
    try:
        answer, headers = _run(call, desk, request, Run(query_id), cache_key, background=False)
    except PostHogEventsError as error:
        if request.debug:
            return reply(_debug_document(error))
        raise refusal_of(error, values=request.query.values) from error
    return reply(answer.document(is_cached=False), headers=headers)


def _run(
    call: Call, desk: _Desk, request: QueryRequest, run: Run, cache_key: str, *, background: bool
) -> tuple[Answer, dict[str, str]]:
    limit_s = call.world.limits.max_execution_s
    try:
        outcome = desk.runner.run(
            request,
            run,
            limit_s=max(limit_s, ASYNC_LIMIT_S) if background else limit_s,
            personal=is_personal(call.key),
            wait=background,
        )
    except NotSerialisable as error:
        raise server_error(500, "A server error occurred.") from error
    answer = Answer(outcome.body, cache_key, call.world.now())
    desk.cache.put(answer)
    return answer, outcome.headers


def _debug_document(error: PostHogEventsError) -> dict[str, Any]:
    """Return the 200 in which `modifiers.debug` hides an error."""
    sentence = str(refusal_of(error)) if exposed(error) else "Unknown error"
    return {"results": [], "columns": None, "types": None, "error": sentence, "hasMore": None, "is_cached": False}


def _desk(call: Call) -> _Desk:
    world, project = call.world, call.project
    with world.lock:
        if "query" not in project.state:
            runner = Runner(world, project)
            project.state["query"] = _Desk(QueryCache(project.id), runner, AsyncQueries(world, project.id, runner))
        desk: _Desk = project.state["query"]
    return desk


_route = partial(api_route, scope="query:read", throttle="query")

ROUTES = (
    _route("query/", create, methods=("POST",)),
    _route("query/upgrade/", upgrade, methods=("POST",)),
    # one shape, two meanings: a kind to run, or the id of a query
    _route("query/{kind}/", create, methods=("POST",)),
    _route("query/{id}/", retrieve),
    _route("query/{id}/", destroy, methods=("DELETE",)),
    _route("query/{id}/log/", log),
)
