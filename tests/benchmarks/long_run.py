"""A long extraction over HTTP, proved: every event of N simulated ones, by count and by a checksum made elsewhere.

    python tests/benchmarks/long_run.py --rows 50_000_000
    python tests/benchmarks/long_run.py --rows 1_000_000 --paced

The emulator serves simulated events (`posthog_events/emulator/simulated.py`: ties and bursts) in a process of its own;
this one extracts them as a user would, three pages at a time, and keeps none. The expected checksum is computed by
ClickHouse from the numbers of the events, without the query API.

Without `--paced` the emulator has no request rates and the client keeps none, so that the figures are of the machine.
With it both have PostHog's: 240 queries a minute and 2,400 an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from posthog_events.limits import MAX_ROWS

if TYPE_CHECKING:
    from posthog_events.emulator.simulated import Checksum
    from posthog_events.posthog.extract import Progress, Proof
    from posthog_events.posthog.project import Project

SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
TELL_EVERY_S = 5.0
STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """The emulator's process: where it is, and what has to come out of it."""

    url: str
    key: str
    expected: Checksum
    setup_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run was.

    Args:
        received: Rows and checksum of what the client was handed.
        requests: Counted by the server; `bytes` likewise, of its answers.
        peak_mb: Of the client's process.
    """

    expected: Checksum
    received: Checksum
    proof: Proof
    requests: int
    bytes: int
    seconds: float
    first_s: float
    peak_mb: float

    @property
    def least(self) -> int:
        """Full pages, and nothing else."""
        return -(-self.expected.rows // MAX_ROWS)

    def __str__(self) -> str:
        rows, same = self.received.rows, "equal" if self.received == self.expected else "DIFFERENT"
        lines = {
            "rows": f"{rows:,} received, {self.expected.rows:,} expected",
            "checksum": f"{self.received.total:016x} received, {self.expected.total:016x} expected: {same}",
            "proof": str(self.proof),
            "speed": f"{rows / self.seconds:,.0f} rows/s: {self.seconds:,.1f} s, the first after {self.first_s:.1f} s",
            "received": f"{self.bytes / 1e6:,.0f} MB of JSON",
            "requests": f"{self.requests:,}; {self.least:,} full pages at the least: {self.requests / self.least:.3f}",
            "memory": f"{self.peak_mb:,.0f} MB at the peak of the client's process",
        }
        return "\n".join(f"{name:<10}{text}" for name, text in lines.items())


def serve(rows: int, *, paced: bool) -> None:
    """Serve simulated events until standard input ends; say on standard output where."""
    from posthog_events.clickhouse.client import Client
    from posthog_events.emulator.faults import Faults
    from posthog_events.emulator.server import DEMO_KEY, Emulator
    from posthog_events.emulator.simulated import expected_checksum, simulated_engine
    from posthog_events.emulator.world import Key, Limits, Project, World

    started = time.perf_counter()
    with Client.open("chdb://memory") as client, tempfile.TemporaryDirectory(prefix="long-run-") as scratch:
        engine = simulated_engine(client, rows, SINCE, UNTIL)
        expected = expected_checksum(client, rows)
        world = World(
            projects={1: Project(1, "Simulated", engine, None, "phc_simulated")},
            keys={DEMO_KEY: Key(DEMO_KEY)},
            scratch=Path(scratch),
            faults=Faults(),
            limits=Limits() if paced else Limits(rates={}),
        )
        with Emulator(world) as server:
            said = {"url": server.url, "key": DEMO_KEY, "rows": expected.rows, "total": expected.total}
            print(json.dumps({**said, "setup_s": time.perf_counter() - started}), flush=True)
            sys.stdin.read()


@contextmanager
def served(rows: int, *, paced: bool = False) -> Iterator[Served]:
    """Lend an emulator in a process of its own."""
    from posthog_events.emulator.simulated import Checksum

    command = [sys.executable, __file__, "--serve", "--rows", str(rows), *(["--paced"] if paced else [])]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = json.loads(process.stdout.readline())
        yield Served(said["url"], said["key"], Checksum(said["rows"], said["total"]), said["setup_s"])
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        finally:
            process.kill()
            process.stdout.close()


@contextmanager
def opened(server: Served, *, paced: bool) -> Iterator[Project]:
    """Lend the project, as `connect` opens it; without `paced`, without the request rates that it would keep."""
    from posthog_events.connection import connect
    from posthog_events.posthog.client import ApiClient
    from posthog_events.posthog.engine import PostHogEngine
    from posthog_events.posthog.host import parse_host
    from posthog_events.posthog.project import Project

    host = parse_host(server.url)
    with ExitStack() as stack:
        if paced:
            os.environ["POSTHOG_EVENTS_STATE_DIR"] = stack.enter_context(tempfile.TemporaryDirectory())
            address = server.url.partition("://")[2]
            yield stack.enter_context(connect(f"posthog://{address}/1", key=server.key)).project
        else:
            api = stack.enter_context(ApiClient(host, 1, server.key))
            yield Project(api, PostHogEngine(api), clock=lambda: datetime.now(UTC), host=host)


def run(rows: int, *, paced: bool = False, tell: bool = False) -> Figures:
    """Extract `rows` simulated events and compare."""
    from posthog_events.emulator.simulated import Checksum

    received, told, first_s = Checksum(0, 0), 0.0, 0.0
    with served(rows, paced=paced) as server, opened(server, paced=paced) as project:
        started = time.perf_counter()

        def show(progress: Progress) -> None:
            nonlocal told
            if tell and (now := time.perf_counter()) - told > TELL_EVERY_S:
                told = now
                rate = progress.rows / (now - started)
                print(f"{progress.rows:,} of {progress.of:,} rows, {rate:,.0f} rows/s", file=sys.stderr)

        extraction = project.events(since=SINCE, until=UNTIL, on_progress=show)
        for chunk in extraction:
            first_s = first_s or time.perf_counter() - started
            received += Checksum.of(chunk.frame["uuid"].to_list())
        seconds = time.perf_counter() - started
        with urlopen(f"{server.url}/_emulator/requests", timeout=60) as answer:
            seen = [one for one in json.load(answer) if one["path"].endswith("/query/")]
    return Figures(
        expected=server.expected,
        received=received,
        proof=extraction.proof,
        requests=len(seen),
        bytes=sum(one["bytes"] for one in seen),
        seconds=seconds,
        first_s=first_s,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--paced", action="store_true", help="with PostHog's request rates, on both sides")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.rows, paced=options.paced)
        return 0
    figures = run(options.rows, paced=options.paced, tell=True)
    print(f"{'with PostHog request rates' if options.paced else 'without request rates'}, {os.cpu_count()} cores")
    print(figures)
    return 0 if figures.received == figures.expected else 1


if __name__ == "__main__":
    sys.exit(main())
