"""The emulator as a server: uvicorn in a thread, on the loopback interface."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Self

import uvicorn

from posthog_events.clickhouse.engine import ClickHouseEngine
from posthog_events.clock import utc_now
from posthog_events.connection import connect
from posthog_events.emulator.app import create_app
from posthog_events.emulator.faults import Faults
from posthog_events.emulator.world import Key, Limits, Project, World
from posthog_events.errors import ConfigError
from posthog_events.listening import listening_socket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthog_events.clickhouse.store import EventStore

__all__ = ["DEMO_KEY", "Emulator", "build_world", "close_world"]

DEMO_KEY = "phx_emulator"
"""The personal key of a world that names none. It opens nothing but an emulator, so it is no secret."""

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 2


def build_world(
    stores: Mapping[int, Path | str | EventStore],
    *,
    keys: Iterable[Key] | None = None,
    limits: Limits | None = None,
    faults: Faults | None = None,
    scratch: Path,
    now: Callable[[], datetime] | None = None,
    sleep: Callable[[float], None] | None = None,
) -> World:
    """Return a world with a project over each store.

    Args:
        stores: Project id to event store.
        keys: Personal keys; None makes one that may do everything, `DEMO_KEY`.
        scratch: A directory for what the emulator writes.
        now: The server's clock, also of `now()` in queries; None for real.
        sleep: How the server waits; None for real.

    Raises:
        StoreNotFound: There is no store at a path.
    """
    now = now or utc_now
    projects: dict[int, Project] = {}
    for project_id, store in stores.items():
        path = store if isinstance(store, Path | str) else store.path
        connection = connect(f"chdb://{path}", clock=now)
        assert isinstance(connection.engine, ClickHouseEngine)  # of a chdb:// address
        projects[project_id] = Project(
            id=project_id,
            name=f"Project {project_id}",
            engine=connection.engine,
            store=connection.store,
            token=f"phc_emulator_{project_id}",
        )
    given = tuple(keys) if keys is not None else (Key(DEMO_KEY),)
    world = World(
        projects=projects,
        keys={key.value: key for key in given},
        scratch=scratch,
        faults=faults or Faults(),
        limits=limits or Limits(),
        now=now,
    )
    if sleep is not None:
        world.sleep = sleep
    return world


def close_world(world: World) -> None:
    """Close the engines of the projects."""
    for project in world.projects.values():
        project.engine.client.close()


class Emulator:
    """Serves a world on the loopback interface while its `with` block runs.

    Args:
        port: 0 takes one that is free.
        modules: Route modules; None for all of them.
    """

    def __init__(
        self, world: World, *, host: str = "127.0.0.1", port: int = 0, modules: Sequence[ModuleType] | None = None
    ) -> None:
        self.world = world
        self._host, self._port, self._modules = host, port, modules
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """Scheme, host and port; what POSTHOG_HOST has to say."""
        return self.world.origin

    def __enter__(self) -> Self:
        """Begin to listen.

        Raises:
            ConfigError: The port is taken.
        """
        listener = self._stack.enter_context(listening_socket(self._host, self._port))
        self.world.origin = f"http://{self._host}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(self.world, self._modules),
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            # the application writes the Date header: by the world's clock
            date_header=False,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
        )
        server = _QuietServer(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="emulator", daemon=True)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(setattr, server, "should_exit", True)
        if not server.listening.wait(START_TIMEOUT_S):
            self._stack.close()
            raise ConfigError(f"the emulator did not start within {START_TIMEOUT_S:.0f} s")
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


class _QuietServer(uvicorn.Server):
    """Says when it listens, and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self.listening.set()
