"""What a fault puts in the place of an answer, or changes in one. Source of the refusals: reference 2.7."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from starlette.responses import HTMLResponse, Response

from posthog_events.emulator.endpoint import Refusal, reply
from posthog_events.emulator.query_errors import AT_CAPACITY, CLUSTER_MEMORY, MEMORY, TIMEOUT, TOO_SLOW, server_error

if TYPE_CHECKING:
    from starlette.types import Scope

    from posthog_events.emulator.faults import Fault

__all__ = ["answer_of", "edited", "refused"]

BOMB_BYTES = 1 << 30
_PAGE = "<!doctype html><html><head><title>PostHog</title></head><body><div id=root></div></body></html>"
_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


def refused(refusal: Refusal) -> Response:
    """Return a refusal as PostHog's envelope."""
    return reply(refusal.body, status=refusal.status, headers=refusal.headers)


def answer_of(fault: Fault, scope: Scope) -> Response:
    """Return the answer that takes the place of the real one."""
    match fault.kind:
        case "html":
            return HTMLResponse(_PAGE)
        case "502":
            return HTMLResponse(_GATEWAY, 502, _retry_after(fault))
        case "debug-error":
            return reply({"results": [], "columns": None, "types": None, "error": "Unknown error"})
        case "gzip-bomb":
            headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
            return Response(_bomb(BOMB_BYTES if fault.size is None else fault.size), headers=headers)
    refusal = _REFUSALS[fault.kind](scope)
    refusal.headers |= _retry_after(fault)
    return refused(refusal)


def _retry_after(fault: Fault) -> dict[str, str]:
    return {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}


def _too_many(code: str, detail: str) -> Callable[[Any], Refusal]:
    return lambda scope: Refusal(429, "throttled_error", code, detail)


_REFUSALS: Mapping[str, Callable[[Any], Refusal]] = {
    "rate": _too_many("throttled", "Request was throttled."),
    "concurrency": lambda scope: Refusal(
        429,
        "throttled_error",
        "throttled",
        f"Exceeded maximum concurrency limit: 3 for key: api:query:per-team:{_project(scope)} and task: 1a2b3c4d",
    ),
    "budget": _too_many("api_queries_budget_exceeded", "The hourly read budget for API queries is used up."),
    "quota": lambda scope: Refusal(
        402, "invalid_request", "api_queries_quota_exceeded", "The monthly allowance for API queries is used up."
    ),
    "500": lambda scope: server_error(500, "A server error occurred."),
    "503": lambda scope: server_error(503, AT_CAPACITY),
    "database": lambda scope: Refusal(
        503,
        "server_error",
        "database_unavailable",
        "The database is not available right now.",
        headers={"Retry-After": "1"},
    ),
    "504": lambda scope: server_error(504, TIMEOUT),
    "512": lambda scope: server_error(512, TOO_SLOW),
    "513": lambda scope: server_error(513, MEMORY, code="clickhouse_memory_limit_exceeded"),
    "513-cluster": lambda scope: server_error(513, CLUSTER_MEMORY, code="clickhouse_memory_limit_exceeded"),
}


def _project(scope: Scope) -> str:
    parts = scope["path"].split("/")
    return parts[3] if len(parts) > 3 else ""


@lru_cache(maxsize=2)
def _bomb(size: int) -> bytes:
    """Return gzip that unpacks to `size` spaces: JSON white space, so that a streaming reader goes on and on."""
    block = 1 << 20
    return gzip.compress(b" " * block, mtime=0) * (size // block) + gzip.compress(b" " * (size % block), mtime=0)


def edited(body: bytes, faults: Mapping[str, Fault]) -> bytes:
    """Return a JSON body with the faults that are about its content."""
    if faults.keys().isdisjoint({"extra-column", "unknown-type", "foreign-next"}):
        return body
    document = msgspec.json.decode(body)
    if "extra-column" in faults and document.get("types"):
        document["columns"].append("surprise")
        document["types"].append(["surprise", "UInt8"])
        for row in document["results"]:
            row.append(1)
    if "unknown-type" in faults and document.get("types"):
        document["types"][0][1] = "Geometry2"
    if "foreign-next" in faults and document.get("next"):
        parts = urlsplit(document["next"])
        document["next"] = f"{faults['foreign-next'].host}{parts.path}?{parts.query}"
    return msgspec.json.encode(document)
