"""How many deliveries an inbox makes durable in a second, and how long each waits for it.

    python tests/benchmarks/bench_inbox.py
    python tests/benchmarks/bench_inbox.py --seconds 10 --dsn "host=/tmp/pg dbname=postgres"

Tasks of one event loop add entries with 2 KB bodies and one handler, each as soon as its last one was acknowledged.
`group` is the inbox as it is; `single` is the same inbox with one commit per entry, the alternative. Both take turns in
one run, each in a new file, `--rounds` times; the best round is printed, as one line of JSON per case: acknowledged per
second, milliseconds to the acknowledgement (median, 99th percentile), entries per commit. `disk` is what a bare append
of 4 KB with fdatasync takes in the same directory, to compare machines. With `--dsn`, also in PostgreSQL, whose
tables are emptied first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from posthog_events.clock import utc_now
from posthog_events.receiver import group_commit
from posthog_events.receiver.inbox import Entry
from posthog_events.receiver.postgres_inbox import PostgresInbox
from posthog_events.receiver.sqlite_inbox import SqliteInbox
from posthog_events.receiver.stored_inbox import StoredInbox

BODY = os.urandom(2_000)
SUBMITTERS = (1, 32, 256)
GROUPS = {"group": group_commit.GROUP_ENTRIES, "single": 1}


async def load(inbox: StoredInbox, submitters: int, seconds: float) -> list[float]:
    """Add until the time is over, and return how long each acknowledgement took."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def submit() -> None:
        while (start := time.perf_counter()) < end:
            identity = str(uuid.uuid4())
            entry = Entry(identity, identity, "user_signed_up", identity, BODY, utc_now(), handlers=("crm",))
            await inbox.add_async([entry])
            took.append(time.perf_counter() - start)

    await asyncio.gather(*(submit() for _ in range(submitters)))
    return sorted(took)


def measure(inbox: StoredInbox, how: str, submitters: int, seconds: float) -> dict[str, Any]:
    """Run one case."""
    group_commit.GROUP_ENTRIES = GROUPS[how]
    commits, commit = [0], inbox._commit

    def counted(jobs: Sequence[group_commit.Job[Any]]) -> None:
        commits[0] += 1
        commit(jobs)

    inbox._writer._commit = counted
    start = time.perf_counter()
    took = asyncio.run(load(inbox, submitters, seconds))
    elapsed_s = time.perf_counter() - start
    inbox.close()
    return {
        "commits": how,
        "submitters": submitters,
        "per_s": round(len(took) / elapsed_s),
        "p50_ms": round(took[len(took) // 2] * 1e3, 2),
        "p99_ms": round(took[len(took) * 99 // 100] * 1e3, 2),
        "per_commit": round(len(took) / commits[0], 1),
    }


def disk_ms(directory: str) -> float:
    """Return the median time of a small durable append."""
    times = []
    with (Path(directory) / "probe").open("wb", buffering=0) as file:
        for _ in range(200):
            start = time.perf_counter()
            file.write(bytes(4_096))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return round(sorted(times)[100] * 1e3, 3)


def postgres(dsn: str) -> PostgresInbox:
    """Open an empty inbox in a database."""
    import psycopg

    with psycopg.connect(dsn) as connection:
        connection.execute("DROP TABLE IF EXISTS inbox_meta, inbox_entries, inbox_tasks, inbox_seen")
    return PostgresInbox(dsn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each case and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", help="on the disk to measure; by default that of temporary files")
    parser.add_argument("--dsn", help="of a PostgreSQL database whose inbox may be deleted")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        print(json.dumps({"disk_ms": disk_ms(directory), "cpus": os.cpu_count()}))
        for kind in ("sqlite", *(["postgres"] if given.dsn else [])):
            for submitters in SUBMITTERS:
                best: dict[str, dict[str, Any]] = {}
                for number in range(given.rounds):
                    for how in GROUPS:
                        path = Path(directory) / f"{how}-{submitters}-{number}.db"
                        inbox = SqliteInbox(path) if kind == "sqlite" else postgres(given.dsn)
                        case = {"inbox": kind, **measure(inbox, how, submitters, given.seconds)}
                        best[how] = max(case, best.get(how, case), key=lambda one: one["per_s"])
                for case in best.values():
                    print(json.dumps(case), flush=True)


if __name__ == "__main__":
    main()
