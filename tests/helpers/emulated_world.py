"""An emulated PostHog without a server: a world with a fixed clock, and requests handed straight to its routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.compiler import CompileSettings
from posthog_events.clickhouse.engine import ClickHouseEngine
from posthog_events.clickhouse.store import EventStore
from posthog_events.emulator.endpoint import Call, Endpoint, Refusal, reply
from posthog_events.emulator.world import Key, Limits, Project, World

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ORIGIN = "http://posthog.test"
PROJECT = 7
TOKEN = "phc_test"
KEY = "phx_test"


@dataclass
class Clock:
    """A clock that moves only when told to, or when someone sleeps."""

    at: datetime = NOW
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)


def event_row(number: int, at: datetime, **columns: Any) -> dict[str, Any]:
    """Return an event whose uuid is the number."""
    return {
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "event": "visit",
        "timestamp": at.isoformat(),
        "distinct_id": "ann",
        "properties": {},
        **columns,
    }


def make_world(
    directory: Path,
    rows: Iterable[Mapping[str, Any]],
    *,
    client: Client,
    clock: Clock | None = None,
    limits: Limits | None = None,
    keys: Sequence[Key] = (Key(KEY),),
    **settings: Any,
) -> World:
    """Build a world of one project over the given events."""
    clock = clock or Clock()
    store = EventStore.create(directory / "store", now=clock, **settings)
    source = directory / "events.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if source.stat().st_size:
        store.import_events([source])
    scratch = directory / "scratch"
    scratch.mkdir()
    engine = ClickHouseEngine(client, store.catalog, "chdb://emulated", CompileSettings(), clock)
    return World(
        projects={PROJECT: Project(PROJECT, "Test", engine, store, TOKEN)},
        keys={key.value: key for key in keys},
        scratch=scratch,
        faults=cast(Any, None),
        limits=limits or Limits(),
        origin=ORIGIN,
        now=clock,
        sleep=clock.sleep,
    )


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """Routes of a world without key checks and throttles below the projects, as `app.py` would call them."""

    def __init__(
        self,
        world: World,
        routes: Iterable[tuple[str, tuple[str, ...], Endpoint]] = (),
        root_routes: Iterable[BaseRoute] = (),
    ) -> None:
        self.world = world
        mounted = [self._mount(*route) for route in routes]
        self.app = Starlette(routes=[*mounted, *root_routes])
        self.app.state.world = world

    def _mount(self, path: str, methods: tuple[str, ...], endpoint: Endpoint) -> Route:
        async def handle(request: Request) -> Response:
            body = await request.body()
            params = dict(request.path_params)
            call = Call(
                world=self.world,
                project=self.world.projects[int(params.pop("project_id"))],
                key=next(iter(self.world.keys.values())),
                request=request,
                params=params,
                query=dict(request.query_params),
                body=json.loads(body) if body else None,
            )
            try:
                return endpoint.handler(call)
            except Refusal as refusal:
                return reply(refusal.body, status=refusal.status, headers=refusal.headers)

        return Route(f"/api/projects/{{project_id}}/{path}", handle, methods=list(methods))

    def get(self, path: str, params: Mapping[str, Any] | None = None, **headers: str) -> Answer:
        """Send a GET below the project, from the root (`/...`), or to an address."""
        return self.send("GET", path, params=params, headers=headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """Send a POST with a JSON body, or with bytes as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, body=raw, headers=headers)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request through the application, without a socket."""
        if not path.startswith(("/", "http")):
            path = f"/api/projects/{PROJECT}/{path}"
        parts = urlsplit(path)
        query = parts.query + ("&" if parts.query and params else "") + urlencode(params or {}, doseq=True)
        named = {name.replace("_", "-").lower(): value for name, value in (headers or {}).items()}
        scope = {
            "type": "http",
            "method": method,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
            "server": ("posthog.test", 80),
            "scheme": "http",
            "http_version": "1.1",
            "client": ("127.0.0.1", 1),
        }
        sent: list[Any] = []

        pending = [body]

        async def receive() -> dict[str, Any]:
            if not pending:
                await asyncio.Event().wait()  # the client stays
            return {"type": "http.request", "body": pending.pop(), "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.app(cast(Any, scope), receive, send))
        start = SimpleNamespace(**sent[0])
        found = {name.decode(): value.decode() for name, value in start.headers}
        return Answer(start.status, found, b"".join(part.get("body", b"") for part in sent[1:]))
