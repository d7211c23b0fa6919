"""What the nothing-lost suites share: events made to be lost, PostHog served over them, a client that never waits.

Nothing here sleeps: client and server share a clock that moves when one of them would wait.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import polars as pl

from posthog_events.connection import connect
from posthog_events.emulator.faults import Fault, Faults
from posthog_events.emulator.world import Key, Limits
from posthog_events.errors import PostHogEventsError
from posthog_events.posthog.client import ApiClient
from posthog_events.posthog.engine import PostHogEngine
from posthog_events.posthog.extract import Extraction, extract_rows
from posthog_events.posthog.host import parse_host
from posthog_events.posthog.http import Reply, Request
from posthog_events.posthog.project import Project
from posthog_events.result import Query
from posthog_events.testing import EmulatedPostHog, emulator

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MAX_POSITIONS = 200
MAX_RESUMES = 5


class Clock:
    """The only clock of a test; moves when somebody would sleep."""

    def __init__(self, at: datetime = NOW) -> None:
        self._at = at
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        return self._at

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._at += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the source.

    Args:
        arrived: When PostHog stored it.
    """

    number: int
    at: datetime
    arrived: datetime
    name: str = "visit"

    @property
    def uuid(self) -> str:
        """Scattered, so that neither Python's nor ClickHouse's order of uuids is that of the numbers."""
        return str(UUID(int=(self.number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % (1 << 128)))

    @property
    def row(self) -> dict[str, Any]:
        return {
            "uuid": self.uuid,
            "event": self.name,
            "distinct_id": f"user-{self.number % 7}",
            "timestamp": self.at.isoformat(),
            "created_at": self.arrived.isoformat(),
            "properties": {"number": self.number},
        }


def events_at(moments: Iterable[datetime], *, first: int = 1, delay: timedelta = timedelta(seconds=2)) -> list[Event]:
    """Return an event at each moment, stored a little later."""
    return [
        Event(number, at.astimezone(UTC), at.astimezone(UTC) + delay) for number, at in enumerate(moments, start=first)
    ]


@dataclass(frozen=True, slots=True)
class History:
    """A project's zone, its events, and the range that is asked for; some events lie just outside of it."""

    zone: str
    since: datetime
    until: datetime
    events: tuple[Event, ...]

    def happened(self, since: datetime | None = None, until: datetime | None = None) -> list[str]:
        """Return the uuids of a range of event time, sorted; of the whole range by default."""
        since, until = since or self.since, until or self.until
        return sorted(event.uuid for event in self.events if since <= event.at < until)

    def arrived(self, since: datetime | None = None, until: datetime | None = None) -> list[str]:
        """Return the uuids that PostHog stored in a range, sorted."""
        since, until = since or self.since, until or self.until
        return sorted(event.uuid for event in self.events if since <= event.arrived < until)


def history(zone: str, since: str, until: str, *, seed: int, scattered: int = 24, burst: int = 20) -> History:
    """Return events around whatever makes a client lose some, between two local midnights.

    Every local midnight and its neighbours, wall clocks that show the same time twice, the first moment after a skipped
    hour, `burst` events in one microsecond and as many in the next, ties of two and three, and the edges of the range.
    """
    tz, chance = ZoneInfo(zone), random.Random(seed)
    first, last = (datetime.fromisoformat(text).replace(tzinfo=tz) for text in (since, until))
    start, end = first.astimezone(UTC), last.astimezone(UTC)
    moments = [start - MICROSECOND, start, start, start + MICROSECOND, end - MICROSECOND, end - MICROSECOND, end]
    for days in range(1, (last.date() - first.date()).days):
        midnight = (first.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=tz).astimezone(UTC)
        moments += [midnight - MICROSECOND, midnight]
    hours = [start + timedelta(hours=number) for number in range(int((end - start) / timedelta(hours=1)))]
    for hour, following in pairwise(hours):
        change = following.astimezone(tz).replace(tzinfo=None) - hour.astimezone(tz).replace(tzinfo=None)
        if change == timedelta(0):
            # the same time on the wall, an hour apart
            moments += [hour + timedelta(minutes=5), following + timedelta(minutes=5)] * 2
        elif change > timedelta(hours=1):
            moments += [following - MICROSECOND, following, following]
    span = int((end - start) / MICROSECOND)
    moments += [start + chance.randrange(span) * MICROSECOND for _ in range(scattered)]
    tied = start + chance.randrange(span) * MICROSECOND
    crowd = hours[len(hours) // 2] + timedelta(seconds=17, microseconds=999_999)
    moments += [tied] * 3 + [crowd] * burst + [crowd + MICROSECOND] * burst
    chance.shuffle(moments)
    return History(zone, start, end, tuple(events_at(moments)))


HISTORIES = {
    "Berlin, autumn": history("Europe/Berlin", "2026-10-24", "2026-11-02", seed=1),
    "Berlin, spring": history("Europe/Berlin", "2026-03-28", "2026-04-02", seed=2),
    "St. John's, autumn": history("America/St_Johns", "2026-10-30", "2026-11-03", seed=3),
    "St. John's, spring": history("America/St_Johns", "2026-03-07", "2026-03-10", seed=4),
}


@dataclass(slots=True)
class WatchedFaults(Faults):
    """Faults that say how often one of them happened, in `fired`."""

    fired: int = 0

    def take(self, method: str, path: str) -> tuple[Fault, ...]:
        taken = Faults.take(self, method, path)
        self.fired += len(taken)
        return taken


class SmallPages(Project):
    """A project whose extractions read pages of a few rows, so that a few events fill many."""

    page_rows, width = 8, 3

    def extract(self, query: str | Query, *, since: datetime, until: datetime, on_progress: Any = None) -> Extraction:
        text = Query(query) if isinstance(query, str) else query
        return extract_rows(
            self.engine,
            text,
            since=since,
            until=until,
            page_rows=self.page_rows,
            width=self.width,
            on_progress=on_progress,
        )


Hook = Callable[[int, Request], None]


class Meddled:
    """An `Api` that calls a hook before each request is sent, and one after it was answered, one at a time.

    Args:
        before: Takes the number of the request, from 1, and the request; what it raises is raised.
    """

    def __init__(self, api: ApiClient, *, before: Hook | None = None, after: Hook | None = None) -> None:
        self._api, self._before, self._after = api, before, after
        self._lock = threading.Lock()
        self.sent = 0

    @property
    def origin(self) -> str:
        return self._api.origin

    @property
    def project_id(self) -> int:
        return self._api.project_id

    def send(self, request: Request) -> Reply:
        with self._lock:
            self.sent += 1
            number = self.sent
            if self._before:
                self._before(number, request)
        reply = self._api.send(request)
        with self._lock:
            if self._after:
                self._after(number, request)
        return reply

    def close(self) -> None:
        self._api.close()


@dataclass(slots=True)
class Scene:
    """PostHog over a history, and the client's side of it."""

    served: EmulatedPostHog
    clock: Clock
    history: History
    faults: WatchedFaults
    key: str = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.served.key

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.history.zone)

    def project(self, *, before: Hook | None = None, after: Hook | None = None, **client: Any) -> SmallPages:
        """Return a project that never waits."""
        host = parse_host(self.served.url)
        options = {"sleep": self.clock.sleep, "rng": random.Random(0), "max_body_bytes": 1 << 24, **client}
        sender = ApiClient(host, self.served.project_id, self.key, **options)
        api = cast(ApiClient, Meddled(sender, before=before, after=after)) if before or after else sender
        return SmallPages(
            api,
            PostHogEngine(api, sleep=self.clock.sleep),
            clock=self.clock,
            host=host,
            token=self.served.token,
        )

    def store(self, event: Event) -> None:
        """Let an event arrive at the server; it can be queried after the ingestion lag."""
        self.served.capture(event.name, f"user-{event.number % 7}", timestamp=event.at, uuid=event.uuid)

    def restore(self) -> None:
        """Take all faults away, and give the key back."""
        self.faults.clear()
        self.served.world.keys[self.key] = Key(self.key)

    def uuids(self) -> list[str]:
        """Return every uuid that the server can be asked for, sorted."""
        return sorted(self.served.events()["uuid"])


@contextmanager
def stage(past: History, *, limits: Limits | None = None, clock: Clock | None = None) -> Iterator[Scene]:
    """Serve a history."""
    clock, faults = clock or Clock(), WatchedFaults()
    with emulator(
        events=[event.row for event in past.events],
        timezone=past.zone,
        clock=clock,
        sleep=clock.sleep,
        faults=faults,
        limits=limits or Limits(rates={}),
    ) as served:
        yield Scene(served, clock, past, faults)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault, and whether a client has to get over it by itself."""

    kind: str
    options: tuple[tuple[str, Any], ...] = ()
    survived: bool = True

    def __str__(self) -> str:
        return "-".join([self.kind, *(str(value) for _, value in self.options)])


def trouble(kind: str, *, survived: bool = True, **options: Any) -> Trouble:
    return Trouble(kind, tuple(options.items()), survived)


DATED = trouble("rate", retry_after="Tue, 01 Dec 2026 12:30:00 GMT")
"""Asks to wait until a date, soon after `NOW`."""

WAITED_OUT = (
    trouble("rate"),
    trouble("rate", retry_after=7),
    trouble("rate", retry_after=3_600),
    DATED,
    trouble("concurrency"),
    trouble("budget", retry_after=60),
    trouble("500"),
    trouble("502"),
    trouble("503"),
    trouble("database"),
    trouble("513-cluster"),
    trouble("reset"),
    trouble("reset-after"),
    trouble("truncated"),
    trouble("truncated", size=0),
    trouble("delay", seconds=20.0),
    trouble("slow", seconds=20.0),
    trouble("clock", seconds=-86_400.0),
)
TOLD = (
    trouble("504", survived=False),
    trouble("512", survived=False),
    trouble("513", survived=False),
    trouble("html", survived=False),
    trouble("cut-json", survived=False),
    trouble("debug-error", survived=False),
    trouble("extra-column", survived=False),
    trouble("unknown-type", survived=False),
    trouble("gzip-bomb", size=1 << 25, survived=False),
    trouble("quota", survived=False),
    trouble("revoke", survived=False),
)
TROUBLES = WAITED_OUT + TOLD


def at_every_request(scene: Scene, it: Trouble, run: Callable[[int], None], *, step: int = 1) -> int:
    """Let `it` happen to the first request of a run, in another run to the second, until a run has none left.

    Args:
        run: Takes the position, and returns when everything was received and compared. It is called again, without
            faults, after an error, and then has to succeed.
        step: Try every `step`-th position only.

    Returns:
        How many runs got over the fault without an error.
    """
    survived = 0
    for nth in count(1, step):
        assert nth < MAX_POSITIONS
        scene.restore()
        scene.faults.fired = 0
        scene.faults.add(it.kind, nth=nth, **dict(it.options))
        try:
            run(nth)
            survived += scene.faults.fired > 0
        except PostHogEventsError:
            assert not it.survived, f"{it} at request {nth} has to be survived"
            scene.restore()
            run(nth)
        if not scene.faults.fired:
            scene.restore()
            return survived
    raise AssertionError("unreachable")


class Killed(BaseException):
    """Stands for the end of the process: nothing may catch it."""


def dies_at(nth: int) -> Callable[..., None]:
    """Return a function that is the end of the process when it is called the `nth` time."""
    calls = count(1)

    def die(*_: object) -> None:
        if next(calls) == nth:
            raise Killed

    return die


def stored_uuids(path: Path) -> list[str]:
    """Return the uuids of a local store, sorted, with all repetitions."""
    with connect(f"chdb://{path}") as local:
        return sorted(local.hogql("SELECT toString(uuid) AS uuid FROM events LIMIT 50000")["uuid"])


def file_uuids(files: Sequence[Path]) -> list[str]:
    """Return the uuids of exported files, sorted, with all repetitions."""
    frames = [pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ndjson(path) for path in files]
    return sorted(uuid for frame in frames for uuid in frame["uuid"])
