"""A PostHog for tests of your own scripts: on this machine, with PostHog's limits and traps, and with faults on demand.

In `conftest.py`::

    pytest_plugins = ["posthog_events.testing"]

and in a test::

    def test_report_survives_a_busy_server(posthog_emulator, monkeypatch):
        for name, value in posthog_emulator.environment.items():
            monkeypatch.setenv(name, value)
        posthog_emulator.capture("signup", "ann", {"plan": "pro"})
        posthog_emulator.faults.add("503", path="*/query/", nth=1)
        assert my_report() == {"pro": 1}

Destinations that are enabled fire: `drain()` waits for their deliveries, `deliveries` lists the requests, and what goes
to Slack is in `slack.messages`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posthog_events.errors import MissingExtra, PostHogEventsError

if TYPE_CHECKING:
    import polars as pl

    from posthog_events.emulator.fake_slack import FakeSlack
    from posthog_events.emulator.faults import Faults, Seen
    from posthog_events.emulator.hog_state import Delivery, DeliveryRules, HogState
    from posthog_events.emulator.server import Emulator
    from posthog_events.emulator.world import Limits, Project, World

__all__ = ["EmulatedPostHog", "emulator"]

CAPTURE_TIMEOUT_S = 10.0
DRAIN_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class EmulatedPostHog:
    """A running emulator with one project.

    Args:
        world: Everything behind it, to change limits, keys and clock while it runs.
    """

    world: World
    _server: Emulator

    @property
    def url(self) -> str:
        """What POSTHOG_HOST has to say; also where events are captured."""
        return self._server.url

    @property
    def project(self) -> Project:
        """The project."""
        return next(iter(self.world.projects.values()))

    @property
    def project_id(self) -> int:
        """What POSTHOG_PROJECT_ID has to say."""
        return self.project.id

    @property
    def key(self) -> str:
        """A personal API key that may do everything."""
        return next(iter(self.world.keys))

    @property
    def token(self) -> str:
        """The project token, for capture."""
        return self.project.token

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point scripts here."""
        return {
            "POSTHOG_HOST": self.url,
            "POSTHOG_PROJECT_ID": str(self.project_id),
            "POSTHOG_PERSONAL_API_KEY": self.key,
            "POSTHOG_PROJECT_TOKEN": self.token,
        }

    @property
    def faults(self) -> Faults:
        """What is to go wrong: `faults.add("503", path="*/query/", nth=1)`; the kinds are in `Fault`."""
        return self.world.faults

    @property
    def requests(self) -> Sequence[Seen]:
        """Every request that was answered so far."""
        return self.world.faults.seen

    @property
    def destinations(self) -> HogState:
        """What the server keeps of hog functions: `rules` of delivery, `logs`, `metrics`, `actions`, ..."""
        from posthog_events.emulator.hog_state import state_of

        return state_of(self.project)

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """Every request that a destination made, in order, retries included; see `drain`."""
        with self.destinations.lock:
            return tuple(self.destinations.deliveries)

    @property
    def slack(self) -> FakeSlack:
        """The Slack workspace that stands in for slack.com."""
        from posthog_events.emulator.fake_slack import slack_of

        return slack_of(self.world)

    def drain(self, *, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        """Wait until captured events have fired and every delivery is through, retries included.

        Raises:
            TimeoutError: Some are not.
        """
        from posthog_events.emulator.firing import drain

        drain(self.world, self.project, timeout_s=timeout_s)

    def internal_event(self, event: str, properties: Mapping[str, Any]) -> None:
        """Let an event of PostHog's own happen, such as `$insight_alert_firing`."""
        from posthog_events.emulator.firing import fire_internal

        fire_internal(self.world, self.project, event, properties)

    def capture(
        self,
        event: str,
        distinct_id: str,
        properties: Mapping[str, Any] | None = None,
        *,
        timestamp: datetime | None = None,
        uuid: str | None = None,
    ) -> None:
        """Send one event; it can be queried when `world.limits.ingestion_lag_s` has passed, at once by default.

        As with PostHog, an event that is dropped is dropped without an error.
        """
        from urllib.request import Request, urlopen

        body: dict[str, Any] = {
            "api_key": self.token,
            "event": event,
            "distinct_id": distinct_id,
            "properties": dict(properties or {}),
        }
        if timestamp is not None:
            body["timestamp"] = timestamp.isoformat()
        if uuid is not None:
            body["uuid"] = uuid
        request = Request(
            f"{self.url}/i/v0/e/",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        with urlopen(request, timeout=CAPTURE_TIMEOUT_S):
            pass

    def events(self) -> pl.DataFrame:
        """Return the events that can be queried, the oldest first, the first 50,000 of them at most."""
        from posthog_events.emulator.capture import settle
        from posthog_events.result import Query

        settle(self.world, self.project)
        text = "SELECT uuid, event, timestamp, distinct_id, properties FROM events ORDER BY timestamp, uuid LIMIT 50000"
        return self.project.engine.run(Query(text)).frame


@contextmanager
def emulator(
    store: Path | str | None = None,
    *,
    events: Iterable[Mapping[str, Any]] = (),
    timezone: str = "UTC",
    project_id: int = 1,
    port: int = 0,
    limits: Limits | None = None,
    faults: Faults | None = None,
    delivery: DeliveryRules | None = None,
    clock: Callable[[], datetime] | None = None,
    sleep: Callable[[float], None] | None = None,
) -> Iterator[EmulatedPostHog]:
    """Serve a project of PostHog on the loopback interface while the `with` block runs.

    Args:
        store: An event store to serve; captured events are added to it. None: a store that lasts as long as the block.
        events: What that store begins with: objects with `event`, `distinct_id`, `timestamp`, `properties`, `uuid`.
        timezone: The project's IANA zone; a given store keeps its own.
        port: 0 takes one that is free.
        limits: PostHog's documented ones by default.
        faults: Rules that are in force from the beginning.
        delivery: How destinations deliver; as PostHog does by default, but also to this machine.
        clock: The server's clock, an aware datetime; None for real.
        sleep: How the server waits; None for real.

    Raises:
        MissingExtra: The `server` extra is not installed.
        StoreNotFound: There is no store at the path.
        ConfigError: The port is taken.
    """
    try:
        from posthog_events.emulator.firing import worker_of
        from posthog_events.emulator.server import Emulator, build_world, close_world
    except ImportError as exc:
        if isinstance(exc, PostHogEventsError) or (exc.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise MissingExtra("The emulator", "server") from exc

    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="posthog-emulator-")))
        path = Path(store) if store is not None else _new_store(scratch, events, timezone)
        world = build_world(
            {project_id: path},
            scratch=scratch,
            limits=limits,
            faults=faults,
            now=clock,
            sleep=sleep,
        )
        stack.callback(close_world, world)
        served = EmulatedPostHog(world, stack.enter_context(Emulator(world, port=port)))
        if delivery is not None:
            served.destinations.rules = delivery
        # before the server goes, which is Slack too
        stack.callback(worker_of(world, served.project).close)
        yield served


def _new_store(folder: Path, events: Iterable[Mapping[str, Any]], timezone: str) -> Path:
    from posthog_events.clickhouse.store import EventStore

    store = EventStore.create(folder / "store", timezone=timezone)
    rows = list(events)
    if rows:
        source = folder / "events.jsonl"
        source.write_text("".join(json.dumps(dict(row), default=str) + "\n" for row in rows), encoding="utf-8")
        store.import_events([source], max_rejected=0)
    return store.path


try:
    import pytest
except ImportError:
    pass  # without pytest there is no fixture; the context manager does not need it
else:

    @pytest.fixture
    def posthog_emulator() -> Iterator[EmulatedPostHog]:
        """Lend an emulated PostHog with an empty project; between the attempts of a delivery it waits only briefly."""
        from posthog_events.emulator.hog_state import DeliveryRules

        with emulator(delivery=DeliveryRules(time_scale=0.01)) as served:
            yield served
