"""What every inbox does for many at once: threads, processes, event loops, and one that is being closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from posthog_events.errors import InboxError, InboxFull
from posthog_events.receiver.inbox import Added, Inbox
from tests.helpers.inbox_entries import START, entry
from tests.helpers.inboxes import IMPLEMENTATIONS, Open, database, opener
from tests.helpers.postgres_server import Server


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Server | None]:
    """The database server of an implementation that needs one."""
    with database(request.param) as running:
        yield running


@pytest.fixture
def open_inbox(server: Server | None, tmp_path: Path) -> Iterator[Open]:
    """Open the same inbox, which was empty when the test began, once more."""
    with opener(server, tmp_path) as open_inbox:
        yield open_inbox


@pytest.fixture
def inbox(open_inbox: Open) -> Inbox:
    """An empty inbox."""
    return open_inbox()


def test_many_writers_in_many_threads_and_two_inboxes(open_inbox: Open) -> None:
    """Every entry is there once, numbers grow with arrival, and no task is handed out twice."""
    inboxes = [open_inbox(), open_inbox()]
    shared = [entry(f"shared-{number}", None) for number in range(20)]
    taken: list[Added] = []
    claimed: list[tuple[int, str]] = []

    def work(number: int) -> None:
        inbox = inboxes[number % 2]
        for one in shared:
            mine = inbox.add([entry(), one, entry()])
            taken.extend(added for added in mine if not added.duplicate)
            tasks = inbox.claim(now=START, lease_s=1e6, limit=3)
            claimed.extend((task.seq, task.handler) for task in tasks)
            assert mine[0].seq < mine[2].seq

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claimed += [(task.seq, task.handler) for task in inboxes[0].claim(now=START, lease_s=1e6, limit=10_000)]

    # of each thread 40 of its own, and 20 that they share
    assert 6 * 40 + 20 == len({added.seq for added in taken}) == len(taken)
    assert sorted(added.seq for added in taken) == sorted(seq for seq, _ in claimed)


def test_order_holds_between_claimers(open_inbox: Open) -> None:
    """Workers of two processes that claim at once never hold two entries of a person, and keep their order."""
    inboxes = [open_inbox(), open_inbox()]
    inboxes[0].add([entry(distinct_id=person) for _ in range(12) for person in ("ada", "bo", "cy")])
    lock, holding, ended, faults = threading.Lock(), set[str](), list[tuple[str, int]](), list[str]()

    def work(inbox: Inbox) -> None:
        while len(ended) < 36:
            for task in inbox.claim(now=START, lease_s=1e6, limit=2, ordered=True):
                person = task.entry.distinct_id
                with lock:
                    faults.extend([person] if person in holding else [])
                    holding.add(person)
                with lock:
                    holding.discard(person)
                    ended.append((person, task.seq))
                inbox.succeed(task, now=START)

    threads = [threading.Thread(target=work, args=(inboxes[number % 2],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert [] == faults
    assert 36 == len(ended)
    for person in ("ada", "bo", "cy"):
        its = [seq for name, seq in ended if name == person]
        assert sorted(its) == its


def test_add_async_does_not_block_its_event_loop(inbox: Inbox) -> None:
    """Many tasks of one loop wait at once, and each gets the answer to its own entries."""

    async def main() -> list[tuple[Added, ...]]:
        return await asyncio.gather(*(inbox.add_async([entry("d", None)] * (n % 3)) for n in range(30)))

    answers = asyncio.run(main())

    assert [n % 3 for n in range(30)] == [len(answer) for answer in answers]
    assert [False] == [one.duplicate for answer in answers for one in answer if not one.duplicate]


def test_a_cancelled_caller_does_not_take_its_entry_back(inbox: Inbox) -> None:
    """It was told nothing, so its sender comes again and is recognised; nobody else is disturbed."""

    async def main() -> tuple[Added, ...]:
        lost = asyncio.create_task(inbox.add_async([entry("lost", None)]))
        await asyncio.sleep(0)
        lost.cancel()
        return await inbox.add_async([entry("kept", None)])

    (kept,) = asyncio.run(main())

    assert not kept.duplicate
    assert inbox.add([entry("lost", None)])[0].duplicate


def test_what_is_too_much_is_refused_before_memory_grows(open_inbox: Open) -> None:
    """While the writer is busy, a bounded number waits; the rest is told to come again, and may."""
    inbox = open_inbox(max_waiting=3, max_waiting_bytes=10**9)
    small = open_inbox(max_waiting=10**9, max_waiting_bytes=10_000)

    async def main(inbox: Inbox, body: bytes) -> list[object]:
        with writer_held(inbox):
            waiting = [asyncio.create_task(inbox.add_async([entry(body=body)])) for _ in range(10)]
            await asyncio.sleep(0.05)
        return await asyncio.gather(*waiting, return_exceptions=True)

    for answers in (asyncio.run(main(inbox, b"")), asyncio.run(main(small, b"x" * 2_000))):
        refused = [answer for answer in answers if isinstance(answer, InboxFull)]
        assert 0 < len(refused) < 10
        assert {1} == {error.retry_after_s for error in refused}
        assert 10 - len(refused) == sum(isinstance(answer, tuple) for answer in answers)
    assert 1 == len(inbox.add([entry()]))


@contextmanager
def writer_held(inbox: Inbox) -> Iterator[None]:
    """Keep the writing thread in a transaction of its own."""
    release, held = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        held.set()
        release.wait(10)

    thread = threading.Thread(target=inbox._write, args=(hold,))  # type: ignore[attr-defined]
    thread.start()
    held.wait(10)
    try:
        yield
    finally:
        release.set()
        thread.join()


def test_closing_stores_what_waits(open_inbox: Open) -> None:
    """A graceful end loses nothing, and afterwards every call says that it is closed."""
    inbox = open_inbox()

    async def main() -> tuple[Added, ...]:
        waiting = asyncio.create_task(inbox.add_async([entry("d", None)]))
        await asyncio.sleep(0)
        inbox.close()
        return await waiting

    (added,) = asyncio.run(main())

    assert not added.duplicate
    with pytest.raises(InboxError, match="closed"):
        inbox.add([entry()])
    assert open_inbox().add([entry("d", None)])[0].duplicate
