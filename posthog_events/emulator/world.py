"""What the emulator is: projects over event stores, keys, a clock, and the limits of one PostHog region."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from posthog_events.clock import utc_now

if TYPE_CHECKING:
    from posthog_events.clickhouse.engine import ClickHouseEngine
    from posthog_events.clickhouse.store import EventStore
    from posthog_events.emulator.faults import Faults

__all__ = ["ALL_SCOPES", "Key", "Limits", "Project", "World"]

ALL_SCOPES = frozenset({"*"})


@dataclass(frozen=True, slots=True)
class Key:
    """A personal API key.

    Args:
        scopes: `query:read`, ...; `*` stands for all, and `x:write` includes `x:read`.
        projects: The projects it is limited to; None: all of the owner's.
    """

    value: str = field(repr=False)
    scopes: frozenset[str] = ALL_SCOPES
    projects: frozenset[int] | None = None
    label: str = "emulator"

    def may(self, scope: str) -> bool:
        """Whether the key has `scope`."""
        return bool(self.scopes & {"*", scope, scope.replace(":read", ":write")})


@dataclass(frozen=True, slots=True)
class Limits:
    """PostHog's limits, each one settable so that a test meets it in milliseconds; defaults are reference 2.5 and 4.

    Args:
        rates: Throttle class to (requests per minute, requests per hour); a class that is missing is not limited.
        slots: Queries at a time per project.
        queue_s: How long one more query waits for a slot before it is refused.
        max_execution_s: A query that would run longer ends with 504.
        budget_bytes_per_hour: Refill of the bytes-read budget; None: no budget, and no budget headers.
        budget_capacity_hours: The bucket holds this many hours of refill.
        allow_offset: The organisation is one of those that may still use OFFSET.
        status_lifetime_s: How long the status of an asynchronous query is kept.
        ingestion_lag_s: Seconds from capture until an event can be queried.
        url_lifetime_s: How long a presigned download address works.
    """

    rates: Mapping[str, tuple[int, int]] = field(
        default_factory=lambda: MappingProxyType(
            {"query": (240, 2_400), "clickhouse": (240, 1_200), "values": (60, 300), "crud": (480, 4_800)}
        )
    )
    slots: int = 3
    queue_s: float = 30.0
    max_execution_s: float = 10.0
    budget_bytes_per_hour: int | None = None
    budget_capacity_hours: float = 24.0
    allow_offset: bool = False
    status_lifetime_s: float = 1_200.0
    ingestion_lag_s: float = 0.0
    url_lifetime_s: float = 3_600.0


@dataclass(slots=True)
class Project:
    """One project: its events and what PostHog knows about them.

    Args:
        engine: Runs HogQL over the store with PostHog's row limits.
        store: None when the events are simulated, and then nothing can be captured.
        token: The `phc_` token that capture takes.
        state: What the modules keep per project (asynchronous queries, exports, ...), by module name.
    """

    id: int
    name: str
    engine: ClickHouseEngine
    store: EventStore | None
    token: str
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class World:
    """Everything the routes share; `request.app.state.world`.

    Args:
        origin: Where the server is reached, for absolute addresses in answers; set when it starts.
        now: The server's clock.
        sleep: Waits; a test passes one that moves its clock.
        scratch: A directory for what the emulator writes (exports, captured events).
        lock: Held while shared state changes; never while a query runs.
        state: What the modules keep for the whole server, by module name.
    """

    projects: dict[int, Project]
    keys: dict[str, Key]
    scratch: Path
    faults: Faults
    limits: Limits = field(default_factory=Limits)
    origin: str = ""
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    lock: threading.RLock = field(default_factory=threading.RLock)
    state: dict[str, Any] = field(default_factory=dict)
