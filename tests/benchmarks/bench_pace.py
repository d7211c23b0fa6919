"""Four processes on one project: how many refusals they cause, and how much of the allowed rate they use.

    python tests/benchmarks/bench_pace.py --minutes 10 --speed 30
    python tests/benchmarks/bench_pace.py --minutes 10 --speed 30 --without

A loopback HTTP server counts requests as Django REST framework's throttle does, with PostHog's limits for queries (240
per minute, 2,400 per hour) and three queries at a time; one more waits up to 30 s there and is then refused. Each
process sends queries as fast as its pace allows, from two threads; a query takes 0.1 to 0.5 s. All clocks run `--speed`
times faster than the wall's, and seconds are theirs: what this machine needs for a request counts `--speed` times as
much as in truth. `--without` leaves the pace out, and each process obeys only the `Retry-After` that it was sent.

Prints one line of JSON: requests served and refused, queries that found no free slot at the server, the most that could
have been served (by a client that knows the server's history), the share of it, requests per process, and the CPU
milliseconds that the clients used per request, HTTP included.
"""

from __future__ import annotations

import argparse
import http.client
import http.server
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from posthog_events import limits
from posthog_events.errors import RateLimited
from posthog_events.posthog.http import Bucket
from posthog_events.posthog.pace import NoPace, Pace, SharedPace
from tests.helpers.drf_throttle import DrfView, most_allowed

QUERY_S = (0.1, 0.5)
THREADS = 2
START_S = 3.0
"""Wall seconds that the processes have to start in."""


@dataclass(frozen=True, slots=True)
class FastTime:
    """A clock and a sleep that all processes share, `speed` times as fast as the wall's."""

    start: float
    speed: float

    def clock(self) -> float:
        return self.start + (time.time() - self.start) * self.speed

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self.speed)


@dataclass(slots=True)
class Model:
    """What the server knows."""

    time: FastTime
    view: DrfView = field(default_factory=lambda: DrfView(limits.QUERY_RATE))
    lock: threading.Lock = field(default_factory=threading.Lock)
    slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(limits.QUERY_SLOTS))
    served: list[tuple[float, str]] = field(default_factory=list)
    rate_refusals: int = 0
    slot_refusals: int = 0
    queued: int = 0

    def answer(self, sender: str) -> tuple[int, int | None]:
        """Return the status and the Retry-After of one query."""
        with self.lock:
            now = self.time.clock()
            wait_s = self.view.arrive(now)
            if wait_s is not None:
                self.rate_refusals += 1
                return 429, wait_s
            self.served.append((now - self.time.start, sender))
        if not self.slots.acquire(blocking=False):
            with self.lock:
                self.queued += 1
            if not self.slots.acquire(timeout=limits.QUERY_QUEUE_S / self.time.speed):
                with self.lock:
                    self.slot_refusals += 1
                return 429, None
        try:
            self.time.sleep(random.uniform(*QUERY_S))
        finally:
            self.slots.release()
        return 200, None


def handler(model: Model) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, wait_s = model.answer(self.path.strip("/"))
            self.send_response(status)
            if wait_s is not None:
                self.send_header("Retry-After", str(wait_s))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


def client(name: str, pace: Pace, fast: FastTime, port: int, seconds: float) -> None:
    """Send queries until the time is over, or the next could only be sent much later."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    fast.sleep(max(0.0, fast.start - fast.clock()))
    with closing(connection), suppress(RateLimited):
        while fast.clock() - fast.start < seconds:
            with pace.admit(Bucket.QUERY, slot=True):
                connection.request("POST", f"/{name}", headers={"Content-Length": "0"})
                response = connection.getresponse()
                response.read()
                text = response.headers.get("Retry-After")
                wait_s = None if text is None else float(text)
                pace.learn(Bucket.QUERY, status=response.status, headers={}, wait_s=wait_s)
            if wait_s is not None:
                fast.sleep(wait_s)


def process(name: str, directory: str, fast: FastTime, port: int, seconds: float) -> None:
    """Be one of the processes: some threads with one pace. Prints the CPU seconds used."""
    pace: Pace = NoPace()
    if directory:
        pace = SharedPace(
            Path(directory),
            origin="https://eu.posthog.com",
            project_id=1,
            max_wait_s=seconds,
            clock=fast.clock,
            sleep=fast.sleep,
        )
    before = time.process_time()
    run_all([lambda: client(name, pace, fast, port, seconds)] * THREADS)
    print(time.process_time() - before)


def run_all(actions: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=action, daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--speed", type=float, default=30.0)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--without", action="store_true", help="without a pace, to see what it is good for")
    parser.add_argument("--be", nargs=4, metavar=("NAME", "DIRECTORY", "START", "PORT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    seconds = given.minutes * 60
    if given.be:
        name, directory, start, port = given.be
        process(name, directory, FastTime(float(start), given.speed), int(port), seconds)
        return

    model = Model(FastTime(time.time() + START_S, given.speed))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(model))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, __file__, "--minutes", str(given.minutes), "--speed", str(given.speed), "--be"]
        shared = "" if given.without else directory
        children = [
            subprocess.Popen(
                [*command, str(number), shared, str(model.time.start), str(server.server_port)],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
            for number in range(given.processes)
        ]
        cpu_s = sum(float(child.communicate()[0]) for child in children)
    server.shutdown()

    served = [sender for at, sender in model.served if at < seconds]
    allowed = most_allowed(limits.QUERY_RATE, seconds)
    answers = len(model.served) + model.rate_refusals
    print(
        json.dumps(
            {
                "minutes": given.minutes,
                "speed": given.speed,
                "processes": given.processes,
                "pace": not given.without,
                "served": len(served),
                "allowed": allowed,
                "share": round(len(served) / allowed, 4),
                "refused_rate": model.rate_refusals,
                "refused_slots": model.slot_refusals,
                "queued_at_server": model.queued,
                "per_process": [served.count(str(number)) for number in range(given.processes)],
                "client_cpu_ms_per_request": round(cpu_s / answers * 1_000, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
