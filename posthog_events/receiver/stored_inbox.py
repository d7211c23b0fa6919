"""An inbox over tables, wherever they are: every write goes through one thread, every read through a transaction."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from posthog_events.receiver import inbox_reads as reads
from posthog_events.receiver import inbox_writes as writes
from posthog_events.receiver.group_commit import Action, Add, GroupCommit, Job
from posthog_events.receiver.inbox import Added, Counts, Entry, Record, State, Task
from posthog_events.receiver.inbox_rows import prepare, us
from posthog_events.receiver.inbox_sql import Cursor

__all__ = ["MAX_WAITING", "MAX_WAITING_BYTES", "Failure", "Store", "StoredInbox"]

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Some seconds of a heavy load, and no more than a small machine can spare."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a transaction failed.

    Args:
        of_all: Every other transaction would fail now, so that it is not worth trying one without the others' jobs.
    """

    error: Exception
    of_all: bool


class Store(Protocol):
    """The database. What its driver raises comes out of the transactions as it is; `failure` says what it means."""

    for_update: str

    def writing(self) -> AbstractContextManager[Cursor]:
        """Begin a transaction, and commit it at the end, durably. Only called by one thread."""

    def reading(self) -> AbstractContextManager[Cursor]:
        """Begin a transaction that sees one state of the database."""

    def failure(self, error: Exception) -> Failure:
        """Return the error to raise, new each time; one that is not the driver's is itself."""

    def close(self) -> None:
        """Close all connections."""


class StoredInbox:
    """An `Inbox`; see there for what its methods do.

    Args:
        dedup_for: How long delivery ids and event uuids are remembered.
    """

    def __init__(self, store: Store, *, dedup_for: timedelta, max_waiting: int, max_waiting_bytes: int) -> None:
        self._store, self._dedup_for_us = store, dedup_for // timedelta(microseconds=1)
        self._writer = GroupCommit(
            self._commit, max_waiting=max_waiting, max_waiting_bytes=max_waiting_bytes, name="posthog-events-inbox"
        )

    def add(self, entries: Sequence[Entry]) -> tuple[Added, ...]:
        return self._wait(Add([prepare(entry) for entry in entries]))

    async def add_async(self, entries: Sequence[Entry]) -> tuple[Added, ...]:
        job = Add([prepare(entry) for entry in entries], asyncio.get_running_loop())
        self._writer.submit(job)
        assert not isinstance(job.future, concurrent.futures.Future)
        return await job.future

    def claim(
        self, *, now: datetime, lease_s: float, limit: int, ordered: bool = False, handlers: Sequence[str] | None = None
    ) -> tuple[Task, ...]:
        return self._write(
            lambda cursor: writes.claim(
                cursor,
                now=now,
                lease_s=lease_s,
                limit=limit,
                ordered=ordered,
                handlers=handlers,
                for_update=self._store.for_update,
            )
        )

    def succeed(self, task: Task, *, now: datetime) -> bool:
        return self._write(lambda cursor: writes.finish(cursor, task, State.DONE, error="", due_at=None, now=now))

    def fail(self, task: Task, error: str, *, retry_at: datetime | None, now: datetime) -> bool:
        state = State.DEAD if retry_at is None else State.WAITING
        return self._write(lambda cursor: writes.finish(cursor, task, state, error=error, due_at=retry_at, now=now))

    def retry(self, seqs: Sequence[int], *, now: datetime, handler: str | None = None, done: bool = False) -> int:
        return self._write(lambda cursor: writes.retry(cursor, seqs, now=now, handler=handler, done=done))

    def drop(self, seqs: Sequence[int], *, now: datetime, handler: str | None = None) -> int:
        return self._write(lambda cursor: writes.drop(cursor, seqs, now=now, handler=handler))

    def prune(self, *, before: datetime, now: datetime) -> int:
        # in pieces, between which others write
        pruned = 0
        while count := self._write(lambda cursor: writes.prune(cursor, before=before)):
            pruned += count
        seen_before_us = us(now) - self._dedup_for_us
        while self._write(lambda cursor: writes.forget(cursor, seen_before_us=seen_before_us)):
            pass
        return pruned

    def get(self, seq: int) -> Record | None:
        return self._read(lambda cursor: reads.get(cursor, seq))

    def counts(self) -> Counts:
        return self._read(reads.counts)

    def event_uuids(self, destination: str, *, since: datetime, until: datetime) -> Iterator[str]:
        try:
            with self._store.reading() as cursor:
                yield from reads.event_uuids(cursor, destination, since=since, until=until)
        except Exception as error:
            raise self._explained(error)  # noqa: B904 - it has its cause

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
        return self._read(
            lambda cursor: reads.records(
                cursor,
                state=state,
                handler=handler,
                event=event,
                distinct_id=distinct_id,
                destination=destination,
                before=before,
                limit=limit,
            )
        )

    def close(self) -> None:
        self._writer.close()
        self._store.close()

    def _write(self, act: Callable[[Cursor], T]) -> T:
        return self._wait(Action(act))

    def _wait(self, job: Job[T]) -> T:
        self._writer.submit(job)
        assert isinstance(job.future, concurrent.futures.Future)
        return job.future.result()

    def _read(self, act: Callable[[Cursor], T]) -> T:
        try:
            with self._store.reading() as cursor:
                return act(cursor)
        except Exception as error:
            raise self._explained(error)  # noqa: B904 - it has its cause

    def _commit(self, jobs: Sequence[Job[Any]]) -> None:
        try:
            with self._store.writing() as cursor:
                results = self._carry_out(cursor, jobs)
        except Exception as error:
            failure = self._store.failure(error)
            if len(jobs) > 1 and not failure.of_all:
                # one of them may be to blame, such as a body too large for what is left of the disk
                for job in jobs:
                    self._commit([job])
                return
            for job in jobs:
                job.error = self._explained(error)
        else:
            for job, result in zip(jobs, results, strict=True):
                job.result = result

    def _explained(self, error: Exception) -> Exception:
        explained = self._store.failure(error).error
        if explained is not error:
            explained.__cause__ = error
        return explained

    def _carry_out(self, cursor: Cursor, jobs: Sequence[Job[Any]]) -> Sequence[Any]:
        batches = [job.entries for job in jobs if isinstance(job, Add)]
        added = iter(writes.add(cursor, batches, dedup_for_us=self._dedup_for_us) if batches else ())
        return [job.act(cursor) if isinstance(job, Action) else next(added) for job in jobs]
