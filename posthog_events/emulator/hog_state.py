"""What the emulator keeps about the hog functions of a project. Source: reference 1.3, 5.2, 5.3 and 6."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posthog_events.emulator.delivery import Worker
    from posthog_events.emulator.world import Project
    from posthog_events.hog.filters import CompiledFilters
    from posthog_events.hog.masking import Masker

__all__ = [
    "Delivery",
    "DeliveryRules",
    "HogRow",
    "HogState",
    "LogEntry",
    "Metric",
    "Outcome",
    "Watch",
    "new_uuid",
    "state_of",
]

TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """How destinations are carried out; the defaults are PostHog's, but for private addresses.

    Args:
        attempts: Requests per delivery, the first one included.
        backoff_s: The wait before attempt n+1 is n times this, and up to once this at random on top.
        backoff_max_s: No wait is longer.
        time_scale: Every wait is multiplied by it; 0.01 makes tests fast.
        timeout_s: For the connection, and for the whole request.
        refuse_private: Refuse addresses that are not public, as PostHog does. Off, since what an emulator delivers to
            is nearly always on this machine.
        strict_status: Webhooks fail from status 300 on, as the newest template says; else from 400 on.
        signing: The webhook template has `signing_secret`; a server from before August 2026 drops it silently.
        auto_disable: The watcher disables functions that are too slow.
        duplicate: Every request is sent twice, as happens after a timeout.
        stand_ins: Beginning of an address to what is called in its place; for Slack's that is the fake Slack anyway.
    """

    attempts: int = 3
    backoff_s: float = 1.0
    backoff_max_s: float = 30.0
    time_scale: float = 1.0
    timeout_s: float = 3.0
    refuse_private: bool = False
    strict_status: bool = True
    signing: bool = True
    auto_disable: bool = False
    duplicate: bool = False
    stand_ins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class HogRow:
    """One stored hog function.

    Args:
        inputs: What is readable, with the keys that the server derives.
        secrets: The inputs that the schema calls secret; never shown.
    """

    id: str
    type: str
    name: str | None
    description: str
    enabled: bool
    deleted: bool
    hog: str
    inputs_schema: list[dict[str, Any]]
    inputs: dict[str, Any]
    secrets: dict[str, Any] = field(repr=False)
    filters: dict[str, Any]
    mappings: list[dict[str, Any]] | None
    masking: dict[str, Any] | None
    icon_url: str | None
    template_id: str | None
    execution_order: int | None
    created_at: datetime
    updated_at: datetime
    version: int = 1

    def all_inputs(self) -> dict[str, Any]:
        """Return inputs and secrets together, as the executor sees them."""
        return {**self.inputs, **self.secrets}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of a function's log; `level` in upper case."""

    function_id: str
    instance_id: str
    at: datetime
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that was counted, once."""

    source_id: str
    at: datetime
    kind: str
    name: str
    instance_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request that a destination made, whatever became of it.

    Args:
        attempt: From 1.
        status: None when there was no answer; then `error` says why.
    """

    at: datetime
    function_id: str
    invocation_id: str
    event_uuid: str | None
    attempt: int
    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: str | None = field(repr=False)
    status: int | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an invocation ended; what `rerun` finds.

    Args:
        globals: What it was called with, without inputs.
        error_kind: `http_4xx`, `http_5xx`, `network`, `inputs_failed`, `error`; None when it succeeded.
    """

    invocation_id: str
    function_id: str
    at: datetime
    status: str
    globals: Mapping[str, Any] = field(repr=False)
    error_kind: str | None = None
    error: str | None = None
    runs: int = 1


@dataclass(frozen=True, slots=True)
class Watch:
    """The bucket of one function.

    Args:
        tokens: How many there were at `at`.
        since: When it came into its state.
    """

    tokens: float
    state: int
    at: datetime
    since: datetime


@dataclass(slots=True)
class HogState:
    """What `project.state["hog"]` holds.

    Args:
        actions: The project's actions by id, for filters that name them.
        quota_limited: The plan's triggers are spent: nothing is delivered.
        watch: Function id to what the watcher knows of it.
        maskers: Function id to what masking remembers.
        compiled: Place of filters to what they were compiled from, and to what.
        worker: Carries out deliveries; made when there is the first.
    """

    rows: dict[str, HogRow] = field(default_factory=dict)
    actions: dict[str, Any] = field(default_factory=dict)
    integrations: list[dict[str, Any]] | None = None
    rules: DeliveryRules = field(default_factory=DeliveryRules)
    quota_limited: bool = False
    deliveries: list[Delivery] = field(default_factory=list)
    logs: list[LogEntry] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    watch: dict[str, Watch] = field(default_factory=dict)
    maskers: dict[str, Masker] = field(default_factory=dict)
    compiled: dict[str, tuple[Any, CompiledFilters]] = field(default_factory=dict)
    worker: Worker | None = None
    randomness: random.Random = field(default_factory=random.Random)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _last: datetime | None = None

    def tick(self, now: datetime) -> datetime:
        """Return `now`, or just after the last tick: two writes never have one time, so that staleness shows."""
        with self.lock:
            self._last = now if self._last is None else max(now, self._last + TICK)
            return self._last

    def live(self) -> Sequence[HogRow]:
        """Return the functions that are not deleted."""
        with self.lock:
            return [row for row in self.rows.values() if not row.deleted]


_CREATION = threading.Lock()


def state_of(project: Project) -> HogState:
    """Return the state of a project."""
    with _CREATION:
        state: HogState = project.state.setdefault("hog", HogState())
        return state


def new_uuid() -> str:
    """Return an id; PostHog's are random in what a client may rely on."""
    return str(uuid.uuid4())
