"""An emulated PostHog behind a real socket, with a clock that a test moves, and without waiting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import requests
from starlette.responses import Response

from posthog_events.clickhouse.engine import ClickHouseEngine
from posthog_events.emulator.endpoint import Call, api_route, reply
from posthog_events.emulator.faults import Faults
from posthog_events.emulator.server import Emulator, build_world, close_world
from posthog_events.emulator.world import Key, Limits, Project, World
from tests.helpers.emulated_world import Clock

ALL = "phx_all"
OAUTH = "pha_app"
KEYS = (
    Key(ALL),
    Key(OAUTH),
    Key("phx_reader", frozenset({"query:read"})),
    Key("phx_writer", frozenset({"query:write"})),
    Key("phx_persons", frozenset({"person:read"})),
    Key("phx_second", projects=frozenset({2})),
)
TIMEOUT_S = 30.0


class Served:
    """A running emulator, and how tests speak to it."""

    def __init__(self, server: Emulator, clock: Clock) -> None:
        self.server, self.clock, self.world = server, clock, server.world
        self._session = requests.Session()
        self._session.trust_env = False

    def call(self, method: str, path: str, *, key: str | None = ALL, **options: Any) -> requests.Response:
        """Send a request, without following redirects."""
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        options = {"allow_redirects": False, "timeout": TIMEOUT_S, **options}
        return self._session.request(method, self.server.url + path, headers=headers, **options)

    def query(
        self, hogql: str, *, key: str | None = ALL, request: Mapping[str, Any] | None = None, **query: Any
    ) -> Any:
        """Post a HogQLQuery; `request` goes beside the query, the rest into it."""
        body = {"query": {"kind": "HogQLQuery", "query": hogql, **query}, **(request or {})}
        return self.call("POST", "/api/projects/1/query/", key=key, json=body)

    def renew(self) -> None:
        """Forget what earlier tests did; hours pass, so that their requests count in no throttle."""
        self.world.keys.clear()
        self.world.keys.update({key.value: key for key in KEYS})
        self.world.limits, self.world.faults = Limits(), Faults()
        self.clock.sleep(86_400.0)
        self.clock.slept.clear()
        for project in self.world.projects.values():
            project.state.clear()


@contextmanager
def serve(
    stores: Mapping[int, Path], scratch: Path, modules: Sequence[ModuleType] | None, *, real_sleep: bool = False
) -> Iterator[Served]:
    """Serve event stores."""
    clock = Clock()
    world = build_world(stores, keys=KEYS, scratch=scratch, now=clock, sleep=None if real_sleep else clock.sleep)
    try:
        with Emulator(world, modules=modules) as server:
            yield Served(server, clock)
    finally:
        close_world(world)


@contextmanager
def serve_toy(scratch: Path) -> Iterator[Served]:
    """Serve two projects without events, and the routes of `TOY`."""
    clock = Clock()
    nothing = cast(ClickHouseEngine, None)
    projects = {number: Project(number, f"Project {number}", nothing, None, f"phc_{number}") for number in (1, 2)}
    keys = {key.value: key for key in KEYS}
    world = World(projects, keys, scratch, Faults(), now=clock, sleep=clock.sleep)
    with Emulator(world, modules=[TOY]) as server:
        yield Served(server, clock)


def _echo(call: Call) -> Response:
    """Say what arrived, and count it."""
    call.project.state["calls"] = call.project.state.get("calls", 0) + 1
    return reply(
        {"project": call.project.id, "params": dict(call.params), "query": dict(call.query), "body": call.body}
    )


def _rows(call: Call) -> Response:
    """Answer as a query and as a list at once."""
    return reply(
        {
            "results": [[1], [2]],
            "columns": ["n"],
            "types": [["n", "UInt8"]],
            "next": f"{call.world.origin}/api/projects/1/rows/?after=2",
        }
    )


def _broken(call: Call) -> Response:
    raise ZeroDivisionError("a bug")


TOY = cast(
    ModuleType,
    SimpleNamespace(
        ROUTES=(
            api_route("echo/", _echo, methods=("GET", "POST"), scope="query:read", throttle="query"),
            api_route("echo/{word}/", _echo, scope="query:read", throttle="query"),
            api_route("echo/fixed/", _rows, scope="query:read", throttle="query"),
            api_route("rows/", _rows, methods=("GET", "POST"), scope="query:read"),
            api_route("broken/", _broken, scope="query:read"),
        )
    ),
)
