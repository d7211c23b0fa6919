"""A process that adds and claims until it is killed, and writes down what it was told.

    python -m tests.helpers.inbox_load INBOX LOG NAME [ID...]

Lines of the log: `sent ID` before a delivery is added, `stored ID` or `known ID` when it was acknowledged as new or as
a duplicate, `handled ID` before a task is reported done. The ids given are those of an earlier process that were sent
and not acknowledged: they are sent again first, as PostHog would.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

from posthog_events.clock import utc_now
from posthog_events.receiver.inbox import Entry
from posthog_events.receiver.sqlite_inbox import SqliteInbox

SENDERS, WORKERS = 24, 2
LEASE_S = 0.5


def main() -> None:
    path, log_path, name, *again = sys.argv[1:]
    log = os.open(log_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def note(*words: str) -> None:
        # what the kernel has, a kill does not take back
        os.write(log, f"{' '.join(words)}\n".encode())

    inbox = SqliteInbox(Path(path), lock_timeout_s=20.0)
    note("opened", name)

    async def send(number: int) -> None:
        mine, count = again[number::SENDERS], 0
        while True:
            count += 1
            one = mine.pop() if mine else f"{name}-{number}-{count}"
            note("sent", one)
            person = f"person-{number % 5}"
            entry = Entry(one, f"event-{one}", "e", person, b"x" * 2_000, utc_now(), handlers=("crm",))
            # every third is sent twice at once, as after a timeout
            answers = await asyncio.gather(*(inbox.add_async([entry]) for _ in range(2 if count % 3 == 0 else 1)))
            for (added,) in answers:
                note("known" if added.duplicate else "stored", one)

    def handle(number: int) -> None:
        while True:
            for task in inbox.claim(now=utc_now(), lease_s=LEASE_S, limit=20, ordered=number == 0):
                note("handled", str(task.entry.delivery_id))
                inbox.succeed(task, now=utc_now())

    async def work() -> None:
        await asyncio.gather(*(send(number) for number in range(SENDERS)))

    for number in range(WORKERS):
        threading.Thread(target=handle, args=(number,), daemon=True).start()
    asyncio.run(work())


if __name__ == "__main__":
    main()
