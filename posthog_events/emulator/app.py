"""The web application: finds the endpoint of a path, checks key, scope, project and rate, and calls it.

The order of the checks is Django REST framework's: authentication, permission, throttle, body. Source: reference 1, 2.7
and 4; posthog/api/__init__.py for the routes, whose trailing slash is optional.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from posthog_events.emulator.auth import authenticate, check_scope, resolve_project
from posthog_events.emulator.endpoint import Call, Endpoint, Refusal, reply
from posthog_events.emulator.fault_answers import refused
from posthog_events.emulator.faults import Fault
from posthog_events.emulator.query_errors import server_error
from posthog_events.emulator.throttle import Throttles
from posthog_events.emulator.traffic import CONTROL, Traffic

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from posthog_events.emulator.world import World

__all__ = ["MODULES", "create_app"]

MODULES = (
    "query",
    "events",
    "persons",
    "definitions",
    "capture",
    "exports",
    "projects",
    "actions",
    "hog_functions",
    "hog_templates",
    "hog_invocations",
    "hog_metrics",
    "integrations",
    "fake_slack",
)
"""The modules of this package that export `ROUTES` and `ROOT_ROUTES`."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

LOOPBACK = frozenset({"127.0.0.1", "::1", "testclient"})

ONLY_BELOW_PROJECTS = re.compile(r"/api/environments/[^/]+/(file_download_)?batch_exports(/|$)")
"""What came after the environments were rolled back, and was never served below them."""

_PARAMETER = re.compile(r"\{(\w+)(:\w+)?\}")

_log = logging.getLogger(__name__)


def create_app(world: World, modules: Sequence[ModuleType] | None = None) -> ASGIApp:
    """Return the application of a world.

    Args:
        modules: Route modules; None takes all of `MODULES`.
    """
    if modules is None:
        modules = [import_module(f"posthog_events.emulator.{name}") for name in MODULES]
    endpoints: dict[str, _Resource] = {}
    root: list[Route] = []
    throttles = Throttles(world)
    for module in modules:
        for path, methods, endpoint in getattr(module, "ROUTES", ()):
            resource = endpoints.setdefault(_PARAMETER.sub(r"{\2}", path), _Resource(path, throttles))
            resource.add(path, methods, endpoint)
        root.extend(getattr(module, "ROOT_ROUTES", ()))
    routes = [*_control_routes(), *root]
    # a literal segment wins over a parameter: `query/upgrade/` over `query/{id}/`
    for resource in sorted(endpoints.values(), key=lambda one: [part.startswith("{") for part in one.path.split("/")]):
        for path in (resource.path, resource.path.rstrip("/")):
            routes.append(Route(f"/api/projects/{{project_id}}/{path}", resource.serve, methods=list(METHODS)))
    routes += [
        Route("/api/environments/{rest:path}", _moved, methods=list(METHODS)),
        Route("/{rest:path}", _unknown, methods=list(METHODS)),
    ]
    app = Starlette(routes=routes, exception_handlers={Refusal: _refused, Exception: _failed})
    app.router.redirect_slashes = False
    app.state.world = world
    return Traffic(app, world)


class _Resource:
    """One path below a project, and what its methods do."""

    def __init__(self, path: str, throttles: Throttles) -> None:
        self.path = path
        self._throttles = throttles
        self._methods: dict[str, tuple[tuple[str, ...], Endpoint]] = {}

    def add(self, path: str, methods: Sequence[str], endpoint: Endpoint) -> None:
        """Serve `methods`; `path` may name its parameters as it likes."""
        names = tuple(found[1] for found in _PARAMETER.finditer(path))
        self._methods.update(dict.fromkeys(methods, (names, endpoint)))
        if "GET" in methods:
            self._methods.setdefault("HEAD", (names, endpoint))

    async def serve(self, request: Request) -> Response:
        """Answer a request; the handler may block, so all of it happens in a thread."""
        raw = await request.body()
        try:
            return await run_in_threadpool(self._answer, request, raw)
        except Refusal as refusal:
            return refused(refusal)
        except Exception:
            _log.exception("%s %s failed inside the emulator", request.method, request.url.path)
            return refused(server_error(500, "A server error occurred."))

    def _answer(self, request: Request, raw: bytes) -> Response:
        world: World = request.app.state.world
        key = authenticate(world, request.headers, lambda: _parsed(request, raw))
        found = self._methods.get(request.method)
        if found is None:
            raise Refusal(
                405,
                "invalid_request",
                "method_not_allowed",
                f'Method "{request.method}" not allowed.',
                headers={"Allow": ", ".join(sorted({*self._methods, "OPTIONS"}))},
            )
        names, endpoint = found
        check_scope(key, endpoint.scope)
        project_id, *values = map(str, request.path_params.values())
        project = resolve_project(world, key, project_id)
        self._throttles.admit(key, endpoint.throttle)
        return endpoint.handler(
            Call(
                world=world,
                project=project,
                key=key,
                request=request,
                params=dict(zip(names, values, strict=True)),
                query=dict(request.query_params),
                body=_parsed(request, raw),
            )
        )


def _parsed(request: Request, raw: bytes) -> Any:
    """Return the JSON body, None when there is none.

    Raises:
        Refusal: 400, it is not JSON; 415, it does not say that it is.
    """
    if not raw.strip():
        return None
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        detail = f'Unsupported media type "{kind}" in request.'
        raise Refusal(415, "invalid_request", "unsupported_media_type", detail)
    try:
        return json.loads(raw)
    except ValueError as error:
        raise Refusal(400, "invalid_request", "parse_error", f"JSON parse error - {error}") from error


async def _moved(request: Request) -> Response:
    """Send requests for the old path to the new one; 307 keeps method and body."""
    if ONLY_BELOW_PROJECTS.match(request.url.path):
        return await _unknown(request)
    target = request.url.path.replace("/api/environments/", "/api/projects/", 1)
    return RedirectResponse(f"{target}?{request.url.query}" if request.url.query else target, 307)


async def _unknown(request: Request) -> Response:
    """Answer for a path that nothing serves: JSON below /api/, elsewhere the web application's log-in page."""
    if request.url.path.startswith("/api/"):
        return refused(Refusal(404, "invalid_request", "not_found", "Endpoint not found."))
    if request.url.path == "/login":
        return HTMLResponse("<!doctype html><html><head><title>PostHog</title></head><body>Log in</body></html>")
    return RedirectResponse(f"/login?next={request.url.path}", 302)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refused(error)


async def _failed(request: Request, error: Exception) -> Response:
    return refused(server_error(500, "A server error occurred."))


def _control_routes() -> list[Route]:
    return [
        Route(f"{CONTROL}faults", _faults, methods=["GET", "POST", "DELETE"]),
        Route(f"{CONTROL}requests", _requests, methods=["GET", "DELETE"]),
    ]


async def _faults(request: Request) -> Response:
    """List, add or clear faults."""
    faults = _local_world(request).faults
    if request.method == "DELETE":
        faults.clear()
    elif request.method == "POST":
        try:
            document = json.loads(await request.body())
            for fault in [Fault.from_json(one) for one in (document if isinstance(document, list) else [document])]:
                faults.put(fault)
        except (TypeError, ValueError) as error:
            raise Refusal(400, "validation_error", "invalid", str(error)) from error
    return reply([_plain(fault) for fault in faults.rules])


async def _requests(request: Request) -> Response:
    """List the requests that were answered, or forget them."""
    faults = _local_world(request).faults
    if request.method == "DELETE":
        faults.forget()
    return reply([_plain(seen) for seen in faults.seen])


def _plain(value: Any) -> Mapping[str, Any]:
    built: Mapping[str, Any] = msgspec.to_builtins(value)
    return built


def _local_world(request: Request) -> World:
    """Return the world to somebody on this machine; faults are no service for the network."""
    if request.client is None or request.client.host not in LOOPBACK:
        raise Refusal(404, "invalid_request", "not_found", "Endpoint not found.")
    world: World = request.app.state.world
    return world
