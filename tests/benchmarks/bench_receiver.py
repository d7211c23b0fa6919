"""How fast deliveries are acknowledged: a plain Starlette echo, ours without durability, ours durable, ours with work.

    python tests/benchmarks/bench_receiver.py
    python tests/benchmarks/bench_receiver.py --requests 100_000 --connections 128 --pin

Signed bodies of 2 KB, each with an id of its own, over kept-alive connections on the loopback interface. Server
(uvicorn, with its faster parts, `uvloop` and `httptools`, when they are installed) and load generator are two
processes; with --pin each has one processor for itself. The generator sends the next request of a connection when the
last is answered, so that the latency is that of a server that is never idle. Before each case the disk is asked how
long a sync takes. `processor` is what one delivery costs the server, whatever else the machine does.

Cases: `echo` reads the body and answers; `memory` verifies, parses and routes, and keeps the entry in a list; `durable`
has the SQLite inbox; `worked` runs an async handler for each delivery at the same time. Prints one line per case.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from posthog_events.receiver.inbox import Added, Entry, Inbox
from posthog_events.receiver.receiver import Receiver
from posthog_events.receiver.signatures import sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CASES = ("echo", "memory", "durable", "worked")
BODY_BYTES = 2_048

T = TypeVar("T")


class MemoryInbox:
    """As much of an inbox as taking a delivery needs: nothing is kept for long, nothing survives."""

    def __init__(self) -> None:
        self.seen: set[str | None] = set()

    async def add_async(self, entries: Sequence[Entry]) -> tuple[Added, ...]:
        """Remember the ids."""
        known = [entry.delivery_id in self.seen for entry in entries]
        self.seen.update(entry.delivery_id for entry in entries)
        return tuple(Added(len(self.seen), duplicate=duplicate) for duplicate in known)


def application(case: str, directory: Path) -> Any:
    """Return the ASGI app of a case."""
    if case == "echo":
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import Response
        from starlette.routing import Route

        async def echo(request: Request) -> Response:
            return Response(await request.body(), media_type="application/json")

        return Starlette(routes=[Route("/hook", echo, methods=["POST"])])
    if case == "memory":
        return Receiver(
            secrets=SECRET, inbox=cast(Inbox, MemoryInbox()), run_handlers=False, keep_for=None, tolerance_s=3_600
        ).asgi
    receiver = Receiver(secrets=SECRET, inbox=directory / "inbox.db", tolerance_s=3_600)
    if case == "worked":

        @receiver.on("user_signed_up", where=["plan = pro"])
        async def handle(event: object) -> None:
            await asyncio.sleep(0)

    return receiver.asgi


def serve(case: str, port: int, directory: Path) -> None:
    """Serve until killed."""
    import uvicorn

    uvicorn.run(application(case, directory), port=port, log_level="warning", access_log=False)


# -- load --------------------------------------------------------------------------------------------------------------


def request_of(number: int) -> bytes:
    """Return the bytes of a signed request."""
    rng = random.Random(number)
    event = {
        "uuid": f"{rng.getrandbits(128):032x}",
        "event": "user_signed_up",
        "distinct_id": f"user_{number % 5_000}",
        "properties": {"plan": "pro", "$lib": "web", "amount": number, "$current_url": "https://app.example.com/"},
        "timestamp": "2026-08-20T10:15:30.123Z",
        "url": "https://us.posthog.com/project/1/events/x",
    }
    person = {"id": f"{rng.getrandbits(128):032x}", "properties": {"email": "ada@example.com"}, "name": "Ada"}
    document: dict[str, Any] = {"event": event, "person": person}
    document["event"]["properties"]["padding"] = "x" * (BODY_BYTES - len(json.dumps(document)) - 16)
    body = json.dumps(document).encode()
    headers = sign(body, id=f"msg_{number}", timestamp=datetime.now(UTC), secret=SECRET)
    lines = [
        "POST /hook HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Sender(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, requests: list[bytes], latencies: list[float], failures: list[bytes]) -> None:
        self._requests, self._latencies, self._failures = requests, latencies, failures
        self._buffer, self._sent_at = b"", 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Read an answer, which may come in pieces."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        if len(rest) < length:
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        if not head.startswith(b"HTTP/1.1 200"):
            self._failures.append(head[:40])
        self._buffer = rest[length:]
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if not self.done.done():
            self._failures.append(b"connection lost")
            self.done.set_result(None)

    def _next(self) -> None:
        if not self._requests:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(self._requests.pop())


async def load(port: int, requests: list[bytes], connections: int) -> tuple[float, list[float], list[bytes]]:
    """Send all requests; return seconds, latencies, and what was not answered with 200."""
    latencies: list[float] = []
    failures: list[bytes] = []
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    senders = [
        (await loop.create_connection(lambda: Sender(requests, latencies, failures), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(sender.done for sender in senders))
    return time.perf_counter() - began, latencies, failures


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run on the fastest loop there is: what the generator takes is missing to the server on a machine of two cores."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def generate(port: int, count: int, connections: int) -> None:
    """Warm the server up, send `count` requests, and print the figures as JSON."""
    warm = [request_of(1_000_000_000 + number) for number in range(500)]
    requests = [request_of(number) for number in range(count)]
    run_loop(load(port, warm, connections))
    seconds, latencies, failures = run_loop(load(port, requests, connections))
    latencies.sort()
    at = [latencies[int(len(latencies) * share)] * 1_000 for share in (0.5, 0.99, 0.999)]
    figures = {"rate": len(latencies) / seconds, "p50": at[0], "p99": at[1], "p999": at[2], "failures": len(failures)}
    print(json.dumps(figures))


# -- cases -------------------------------------------------------------------------------------------------------------


def sync_ms(directory: Path) -> float:
    """Return how long the disk takes to take 16 KB, the median of 50."""
    durations = []
    with (directory / "sync").open("wb") as file:
        for _ in range(50):
            file.write(b"x" * 16_384)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            durations.append((time.perf_counter() - began) * 1_000)
    return sorted(durations)[25]


def processor_s(pid: int) -> float:
    """Return the processor time of a process: what it needs, also on a machine that others use as well."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(case: str, *, count: int, connections: int, pin: bool) -> None:
    """Measure one case and print it."""
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        directory = Path(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        disk_ms = sync_ms(directory)
        me = [sys.executable, __file__]
        server = subprocess.Popen([*me, "--serve", case, "--port", str(port), "--directory", name])
        try:
            if pin:
                os.sched_setaffinity(server.pid, {0})
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            shares = [*me, "--generate", "--port", str(port), "--requests", str(count)]
            generator = subprocess.Popen(
                [*shares, "--connections", str(connections)], stdout=subprocess.PIPE, text=True
            )
            if pin:
                os.sched_setaffinity(generator.pid, {1})
            before_s = processor_s(server.pid)
            output, _ = generator.communicate()
            used_us = (processor_s(server.pid) - before_s) / (count + 500) * 1e6
        finally:
            server.kill()
            server.wait()
        figures = json.loads(output)
        line = f"{case:8} {figures['rate']:8,.0f}/s   p50 {figures['p50']:6.1f} ms   p99 {figures['p99']:6.1f} ms"
        line += f"   p99.9 {figures['p999']:6.1f} ms   failures {figures['failures']}   processor {used_us:.0f} us"
        line += f"   disk sync {disk_ms:.2f} ms"
        if case in ("durable", "worked"):
            from posthog_events.receiver.sqlite_inbox import SqliteInbox

            inbox = SqliteInbox(directory / "inbox.db")
            counts = inbox.counts()
            inbox.close()
            assert counts.entries == count + 500, counts
            line += f"   stored {counts.entries:,}, handled {counts.tasks['done']:,}"  # type: ignore[index]
        print(line, flush=True)


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--requests", type=int, default=30_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--serve", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--generate", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.port, given.directory)
    elif given.generate:
        generate(given.port, given.requests, given.connections)
    else:
        for case in given.cases:
            run(case, count=given.requests, connections=given.connections, pin=given.pin)


if __name__ == "__main__":
    main()
