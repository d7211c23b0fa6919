"""One thread that writes for all: what waits while a transaction is committed shares the next one.

A commit that survives a power cut costs a wait for the disk, however little it holds. So the first job is committed
alone, those that arrive meanwhile together, and so on: under load the wait is divided among all who wait, without a
timer and without a delay when there is no load.

What the tasks of an event loop add in one turn of it is taken at the turn's end, all of it together. The writing thread
would otherwise begin with the first and compete with the loop for the interpreter while the loop goes on adding, and
each time that it changes hands costs more than adding an entry does.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from posthog_events.errors import InboxError, InboxFull
from posthog_events.receiver.inbox import Added
from posthog_events.receiver.inbox_rows import Prepared
from posthog_events.receiver.inbox_sql import Cursor

__all__ = ["Action", "Add", "GroupCommit", "Job"]

GROUP_ENTRIES = 1_000
"""Beyond some hundreds a larger group is hardly cheaper per entry, and the first of it waits longer."""

TURN_JOBS = 64
"""A turn that adds more is not waited for: the loop then has time to read requests while others are written."""

RETRY_AFTER_S = 1
"""PostHog comes again after one to two seconds whatever it is told; a full queue is written in less."""

T = TypeVar("T")


class Job(Generic[T]):
    """Something to write, and whoever waits for it: a thread, or a task of an event loop."""

    __slots__ = ("entries", "error", "future", "loop", "result", "size")

    def __init__(self, entries: Sequence[Prepared] = (), loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.entries, self.size = entries, sum([entry.size for entry in entries])
        self.loop = loop
        self.future: Future[T] | asyncio.Future[T] = Future() if loop is None else loop.create_future()
        self.result: T | None = None
        self.error: Exception | None = None

    def settle(self) -> None:
        """Tell whoever waits; to be called in its event loop, if it has one."""
        # one that was cancelled is done already
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


class Add(Job[tuple[Added, ...]]):
    """Entries to add, all or none."""

    __slots__ = ()


class Action(Job[T]):
    """Anything else to do in a transaction. May be carried out again in another one when this one fails."""

    __slots__ = ("act",)

    def __init__(self, act: Callable[[Cursor], T]) -> None:
        super().__init__()
        self.act = act


@dataclass(slots=True)
class _Queue:
    """What waits; the jobs behind the first `complete` ones belong to a turn that has not ended."""

    jobs: list[Job[Any]]
    complete: int = 0
    entries: int = 0
    bytes: int = 0


@dataclass(slots=True)
class _Process:
    forks: int = 0

    def forked(self) -> None:
        self.forks += 1


_process = _Process()
# asking the system for the id of the process at each job would cost as much as the rest of it
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.forked)


class GroupCommit:
    """The queue and the thread.

    Args:
        commit: Carries out jobs in one transaction and gives each its `result` or its `error`. Must not raise.
        max_waiting: Entries that may wait; one more is refused.
        max_waiting_bytes: What they may hold in memory.
    """

    def __init__(
        self, commit: Callable[[Sequence[Job[Any]]], None], *, max_waiting: int, max_waiting_bytes: int, name: str
    ) -> None:
        self._commit, self._max_waiting, self._max_waiting_bytes = commit, max_waiting, max_waiting_bytes
        self._queue = _Queue([])
        self._changed = threading.Condition()
        self._turns: set[asyncio.AbstractEventLoop] = set()
        self._closed = False
        # threads do not survive a fork: a job given to a copy of this would wait for ever
        self._forks = _process.forks
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job[T]) -> None:
        """Put a job into the queue.

        Raises:
            InboxFull: Too much waits already. Only entries are refused, never the outcome of a task.
            InboxError: It is closed, or belongs to another process.
        """
        if self._forks != _process.forks:
            raise InboxError("this inbox was opened before the process forked; open it in each process")
        with self._changed:
            if self._closed:
                raise InboxError("the inbox is closed")
            queue = self._queue
            # what is larger than the queue itself may wait alone
            if job.entries and queue.entries:
                too_many = queue.entries + len(job.entries) > self._max_waiting
                if too_many or queue.bytes + job.size > self._max_waiting_bytes:
                    raise InboxFull(
                        f"{queue.entries:,} deliveries ({queue.bytes:,} bytes) wait to be stored; come again later",
                        retry_after_s=RETRY_AFTER_S,
                    )
            queue.jobs.append(job)
            queue.entries += len(job.entries)
            queue.bytes += job.size
            if job.loop is None or len(queue.jobs) - queue.complete >= TURN_JOBS:
                queue.complete = len(queue.jobs)
                self._changed.notify()
            elif job.loop not in self._turns:
                self._turns.add(job.loop)
                job.loop.call_soon(self._end_turn, job.loop)

    def close(self) -> None:
        """Write what waits, and end the thread. Nothing is taken any more."""
        with self._changed:
            self._closed = True
            self._queue.complete = len(self._queue.jobs)
            self._changed.notify()
        if self._forks == _process.forks:
            self._thread.join()

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._changed:
            self._turns.discard(loop)
            self._queue.complete = len(self._queue.jobs)
            self._changed.notify()

    def _run(self) -> None:
        while jobs := self._take():
            self._commit(jobs)
            self._settle(jobs)

    def _take(self) -> list[Job[Any]]:
        with self._changed:
            while not self._queue.complete and not self._closed:
                self._changed.wait()
            queue, end, entries = self._queue, 0, 0
            while end < queue.complete and entries < GROUP_ENTRIES:
                entries += len(queue.jobs[end].entries)
                end += 1
            jobs = queue.jobs[:end]
            del queue.jobs[:end]
            queue.complete -= end
            queue.entries -= entries
            queue.bytes -= sum(job.size for job in jobs)
            return jobs

    @staticmethod
    def _settle(jobs: Sequence[Job[Any]]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[Job[Any]]] = {}
        for job in jobs:
            if job.loop is None:
                job.settle()
            else:
                loops.setdefault(job.loop, []).append(job)
        for loop, its_jobs in loops.items():
            try:
                # one call for all of them: each call wakes the loop
                loop.call_soon_threadsafe(_settle_all, its_jobs)
            except RuntimeError:
                # the loop was closed; its senders were not answered, so they come again and are recognised
                continue


def _settle_all(jobs: Sequence[Job[Any]]) -> None:
    for job in jobs:
        job.settle()
