"""How a route says what it needs, and how PostHog says no.

Source: PostHog/drf-exceptions-hog for the envelope; reference 2.7 for codes and sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

    from posthog_events.emulator.world import Key, Project, World

__all__ = ["Call", "Endpoint", "Refusal", "api_route", "reply"]


class Refusal(Exception):
    """An error answer in PostHog's envelope; raised by handlers, rendered by the app."""

    def __init__(
        self,
        status: int,
        type_: str,
        code: str,
        detail: str,
        *,
        attr: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.headers = status, dict(headers or {})
        self.body: dict[str, Any] = {"type": type_, "code": code, "detail": detail, "attr": attr}
        if extra is not None:
            self.body["extra"] = extra


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated, admitted request to one project.

    Args:
        params: Path parameters besides the project.
        query: The query string; a repeated name keeps its last value.
        body: The parsed JSON body; None when there is none.
    """

    world: World
    project: Project
    key: Key
    request: Request
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the app must know before it calls a handler.

    Args:
        handler: Runs in a worker thread, so it may block.
        scope: What a personal key needs, such as `query:read`.
        throttle: The class of rate limit in `Limits.rates`.
    """

    handler: Callable[[Call], Response]
    scope: str
    throttle: str


def api_route(
    path: str,
    handler: Callable[[Call], Response],
    *,
    methods: tuple[str, ...] = ("GET",),
    scope: str,
    throttle: str = "crud",
) -> tuple[str, tuple[str, ...], Endpoint]:
    """Declare an endpoint below `/api/projects/{project_id}/`; `app.py` wraps it in key, scope, project and throttle.

    Args:
        path: For example `events/{uuid}/`, always with the trailing slash.
    """
    return path, methods, Endpoint(handler, scope, throttle)


def reply(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON as PostHog's renderer writes it: compact, UTF-8, NaN and infinities as null."""
    return Response(msgspec.json.encode(body), status, dict(headers or {}), "application/json")
