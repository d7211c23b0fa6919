"""The durable inbox between a delivery and its handlers: its values, and the interface of every implementation.

An entry is one delivery that was believed. When `Inbox.add` returns, the entry is on disk, together with one task for
each handler that shall get it: only then may the sender be told that it arrived. Workers claim tasks for a while (a
lease) and report how they ended. A task whose worker died comes again when its lease is over, so that every handler
gets every entry at least once.

::

    add -> waiting -> (claim) running -> (succeed) done
              ^                 |-> (fail, retry_at) waiting
              |                 |-> (fail, no retry_at) dead
              |                 `-> lease over: can be claimed again
              |-- (retry) dead, dropped, waiting, and done when asked for
    (drop) waiting, running, dead -> dropped

A delivery that comes twice is one entry. It is known by its delivery id, and by its event's uuid together with the
destination; either is enough, because a re-run in PostHog has a new delivery id. Ids are remembered for `DEDUP_FOR`
from the arrival of the entry, unless the inbox was opened with another duration, even when the entry was pruned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

__all__ = ["DEDUP_FOR", "Added", "Counts", "Entry", "Inbox", "Outcome", "Record", "State", "Task"]

DEDUP_FOR = timedelta(days=7)
"""PostHog repeats a delivery within seconds, but somebody may re-run a failed one days later, or reconcile a week."""


class State(StrEnum):
    """Where a task is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Entry:
    """One delivery.

    What comes back from an inbox equals what was added, but for NUL and lone surrogates in texts, which return as
    U+FFFD: databases cannot hold them. The body is kept byte by byte.

    Args:
        delivery_id: The sender's id of the delivery, the same on every attempt; None or empty when it sends none.
        destination: The name of the route that took it.
        event_uuid: None or empty when the body has none.
        distinct_id: Whose event it is; entries with an empty one are in no order.
        headers: The few that are worth keeping; never one that holds a secret.
        handlers: The names of those that shall get it, each once.
    """

    delivery_id: str | None
    event_uuid: str | None
    event: str
    distinct_id: str
    body: bytes
    received_at: datetime
    destination: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    handlers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.received_at.tzinfo is None:
            raise ValueError(f"received_at has no time zone: {self.received_at}")
        if len(set(self.handlers)) < len(self.handlers):
            raise ValueError(f"a handler is named twice: {', '.join(self.handlers)}")


@dataclass(frozen=True, slots=True)
class Added:
    """Where an entry is; for a duplicate, where the first of it is, or was until it was pruned."""

    seq: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Task:
    """An entry for one handler, claimed.

    Args:
        attempt: 1 for the first; a claim whose worker died counts too. Starts again at 1 after `Inbox.retry`.
        lease: Which claim of the task this is. Never starts again: it tells the outcomes of two claims apart.
    """

    seq: int
    handler: str
    attempt: int
    lease: int
    entry: Entry

    @property
    def idempotency_key(self) -> str:
        """The same on every attempt, and different for every other task."""
        entry = self.entry
        if entry.delivery_id:
            return f"{entry.delivery_id}:{self.handler}"
        if entry.event_uuid:
            return f"{entry.event_uuid}:{entry.destination}:{self.handler}"
        return f"inbox-{self.seq}:{self.handler}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an entry at one handler.

    Args:
        attempt: How often it was claimed, since the last `Inbox.retry`.
        error: Of the last attempt that failed; empty when none did, or when it is done.
        due_at: When it can be claimed: for a running task, the end of its lease. None when nothing more will happen.
        changed_at: When it was added, claimed, done, and so on.
    """

    handler: str
    state: State
    attempt: int
    error: str
    due_at: datetime | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """An entry and what became of it; `outcomes` are sorted by handler."""

    seq: int
    entry: Entry
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """How full an inbox is: entries, tasks by state, and since when the one that is due longest could be claimed."""

    entries: int
    tasks: Mapping[State, int]
    due_since: datetime | None


class Inbox(Protocol):
    """A durable queue of deliveries. Every method may be called from any thread, and by several processes at once.

    Every method raises InboxError when the inbox cannot be read or written, and then nothing was changed. Times are
    aware; `now` is the caller's, so that all who share an inbox must have about the same time.
    """

    def add(self, entries: Sequence[Entry]) -> tuple[Added, ...]:
        """Store entries and their tasks, all or none, and return once they will survive a crash of the machine.

        Raises:
            InboxFull: Too much waits to be stored; say so to the sender, who shall come again.
        """

    async def add_async(self, entries: Sequence[Entry]) -> tuple[Added, ...]:
        """Do the same without blocking the event loop. A caller that is cancelled does not take its entries back."""

    def claim(
        self, *, now: datetime, lease_s: float, limit: int, ordered: bool = False, handlers: Sequence[str] | None = None
    ) -> tuple[Task, ...]:
        """Take up to `limit` tasks that are due, longest due first; nobody else gets them for `lease_s` seconds.

        Args:
            ordered: A task is left out while an earlier entry with the same distinct_id waits or runs for its handler.
            handlers: Only for these; None for all.
        """

    def succeed(self, task: Task, *, now: datetime) -> bool:
        """Mark a task done. False when it is no longer this claim's: claimed again, dropped, or ended before."""

    def fail(self, task: Task, error: str, *, retry_at: datetime | None, now: datetime) -> bool:
        """Put a task back until `retry_at`, or with None among the dead letters. False as for `succeed`.

        Args:
            error: For people; kept up to its first 2,000 characters. Must hold no secret.
        """

    def list(
        self,
        *,
        state: State | None = None,
        handler: str | None = None,
        event: str | None = None,
        distinct_id: str | None = None,
        destination: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[Record, ...]:
        """Return records, newest first.

        Args:
            state: Only those with a task in this state, for `handler` when that is given too.
            before: Only those with a smaller seq: the last one of the page before.
        """

    def get(self, seq: int) -> Record | None:
        """Return one record; None when there is none, or no longer."""

    def retry(self, seqs: Sequence[int], *, now: datetime, handler: str | None = None, done: bool = False) -> int:
        """Make tasks due now, with their attempts counted from the beginning, and return how many.

        Concerns dead, dropped and waiting tasks, and those that are done when `done` is set; running ones are left.
        """

    def drop(self, seqs: Sequence[int], *, now: datetime, handler: str | None = None) -> int:
        """Give up tasks that are not done, and return how many. One that runs is not stopped; its end is ignored."""

    def counts(self) -> Counts:
        """Count everything; reads every task, so ask every few seconds at most."""

    def prune(self, *, before: datetime, now: datetime) -> int:
        """Delete the entries received before a time whose tasks are all done or dropped, and return how many.

        Also forgets the ids that were remembered long enough.
        """

    def event_uuids(self, destination: str, *, since: datetime, until: datetime) -> Iterator[str]:
        """Yield the events that a destination delivered from `since` to before `until`, each once, in no order.

        The times are those of arrival. Events of pruned entries are among them as long as their ids are remembered.
        """

    def close(self) -> None:
        """Store what waits, and close; to be called once all workers have ended. Every later call raises InboxError."""
