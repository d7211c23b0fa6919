"""Which jobs share a transaction."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from posthog_events.errors import InboxError
from posthog_events.receiver.group_commit import TURN_JOBS, Action, Add, GroupCommit, Job
from posthog_events.receiver.inbox_rows import prepare
from tests.helpers.inbox_entries import entry


class Recorded:
    """A writer that notes the sizes of its groups and waits to be let through."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.writer = GroupCommit(self._commit, max_waiting=1_000, max_waiting_bytes=1 << 30, name="recorded")

    def _commit(self, jobs: Sequence[Job[Any]]) -> None:
        self.open.wait()
        self.groups.append(len(jobs))
        for job in jobs:
            job.result = ()

    async def add(self, count: int) -> None:
        """Add some entries in one turn of the loop, with time for the writer to begin too early."""
        jobs = [Add([prepare(entry())], asyncio.get_running_loop()) for _ in range(count)]
        for job in jobs:
            self.writer.submit(job)
            threading.Event().wait(0.0005)
        await asyncio.gather(*(job.future for job in jobs))  # type: ignore[arg-type]


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """Return one, closed at the end."""
    made = Recorded()
    yield made
    made.open.set()
    made.writer.close()


def test_what_a_loop_adds_in_one_turn_is_one_group(recorded: Recorded) -> None:
    """Though the writer has nothing else to do when the first comes."""
    asyncio.run(recorded.add(20))
    asyncio.run(recorded.add(3))

    assert [20, 3] == recorded.groups


def test_a_long_turn_is_not_waited_for(recorded: Recorded) -> None:
    """The loop then reads requests while others are written."""
    asyncio.run(recorded.add(TURN_JOBS + 5))

    assert TURN_JOBS + 5 == sum(recorded.groups)
    assert TURN_JOBS == recorded.groups[0]


def test_a_thread_does_not_wait_for_the_turn_of_a_loop(recorded: Recorded) -> None:
    """The one that waits may be the loop's own, and its turn would never end."""

    async def add_and_block() -> None:
        recorded.writer.submit(Add([prepare(entry())], asyncio.get_running_loop()))
        action = Action(lambda cursor: None)
        recorded.writer.submit(action)
        action.future.result(timeout=5)  # type: ignore[call-arg]

    asyncio.run(add_and_block())

    assert 2 == sum(recorded.groups)


def test_closing_writes_what_a_turn_has_not_ended_for(recorded: Recorded) -> None:
    """Nothing that was taken is dropped."""

    async def add_and_close() -> None:
        recorded.writer.submit(Add([prepare(entry())], asyncio.get_running_loop()))
        recorded.writer.close()

    asyncio.run(add_and_close())

    assert [1] == recorded.groups
    with pytest.raises(InboxError, match="closed"):
        recorded.writer.submit(Action(lambda cursor: None))
