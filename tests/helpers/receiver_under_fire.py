"""A receiver that is killed again and again while deliveries come: what `tests/e2e/test_receiver_serve.py` runs.

    python -m tests.helpers.receiver_under_fire --directory DIR --kills 200

Three kinds of processes. This one forks the server, kills it after a random time, and forks the next one, which is
quick because everything is imported already. Another one is the sender, which sends each delivery until it is
acknowledged, and some once more after that. The servers share a listening socket, so that the port stays the same.
Handlers append a line to a file. Prints what happened as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from posthog_events.clock import utc_now
from posthog_events.receiver.receiver import Receiver
from posthog_events.receiver.routing import Retries
from tests.helpers.receiving import SECRET, body_of, signed

CONNECTIONS = 12
AGAIN = 0.1
"""The share of deliveries that are sent once more after they were acknowledged."""


def receiver_of(directory: Path, **options: Any) -> Receiver:
    """Return the receiver, whose handlers write down what they get."""
    receiver = Receiver(secrets=SECRET, inbox=directory / "inbox.db", **options)
    log = os.open(directory / "handled", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    @receiver.on("user_signed_up", concurrency=4)
    def sync(event: Any) -> None:
        os.write(log, f"sync {event.properties['number']}\n".encode())

    @receiver.on("*", concurrency=4, retries=Retries(attempts=50, first_s=0.01))
    async def flaky(event: Any) -> None:
        await asyncio.sleep(0)
        if random.random() < 0.1:
            raise ValueError("now and then")
        os.write(log, f"flaky {event.properties['number']}\n".encode())

    return receiver


def serve(listening: socket.socket, directory: Path) -> None:
    """Serve until killed."""
    import uvicorn

    logging.disable()
    server = uvicorn.Server(uvicorn.Config(receiver_of(directory).asgi, log_level="critical", access_log=False))
    asyncio.run(server.serve(sockets=[listening]))


def fire(directory: Path, *, kills: int, longest_s: float, seed: int) -> dict[str, Any]:
    """Serve, kill, and look at what is left."""
    import uvicorn.protocols.http.auto  # noqa: F401  # before the forks

    rng = random.Random(seed)
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    port = listening.getsockname()[1]
    me = [sys.executable, "-m", "tests.helpers.receiver_under_fire", "--directory", str(directory)]
    sender = subprocess.Popen([*me, "--send", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            try:
                serve(listening, directory)
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0.02, longest_s))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "a server ended by itself"
    listening.close()
    output, _ = sender.communicate(input="")
    sent = json.loads(output)
    return {**sent, **left(directory)}


def left(directory: Path) -> dict[str, Any]:
    """Run what waits, an hour later so that every lease and every wait is over, and return what is in the inbox."""
    logging.disable()
    hours = [0]

    def later() -> datetime:
        return utc_now() + timedelta(hours=hours[0])

    receiver = receiver_of(directory, clock=later, keep_for=None)
    waited = dict(receiver.inbox.counts().tasks)
    while True:
        hours[0] += 1
        if not receiver.run_pending():
            break
    records, before = [], None
    while page := receiver.inbox.list(before=before, limit=1_000):
        records += page
        before = page[-1].seq
    receiver.close()
    handled = Counter((directory / "handled").read_text().split("\n"))
    return {
        "stored": [record.entry.delivery_id for record in records],
        "undone": sum(outcome.state != "done" for record in records for outcome in record.outcomes),
        "handled": dict(handled),
        "cut_off": waited["running"],  # type: ignore[index]
    }


# -- the sender --------------------------------------------------------------------------------------------------------


class Sender:
    """Sends deliveries until it is told to stop."""

    def __init__(self, port: int) -> None:
        self._port, self._next, self._stopped = port, 0, False
        self.acknowledged: dict[str, list[str]] = {}
        self.statuses: Counter[str] = Counter()

    async def run(self) -> None:
        """Send on all connections, until the standard input ends."""
        connections = [asyncio.create_task(self._connection()) for _ in range(CONNECTIONS)]
        await asyncio.to_thread(sys.stdin.read)
        self._stopped = True
        await asyncio.gather(*connections)

    async def _connection(self) -> None:
        streams = None
        while not self._stopped:
            self._next += 1
            number, times = self._next, 1 + (random.random() < AGAIN)
            while times and not self._stopped:
                try:
                    streams = streams or await asyncio.open_connection("127.0.0.1", self._port)
                    async with asyncio.timeout(3):
                        status, answer = await self._post(*streams, number)
                except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
                    self.statuses[type(error).__name__] += 1
                    if streams:
                        streams[1].close()
                    streams = None
                    await asyncio.sleep(0.01)
                    continue
                self.statuses[status] += 1
                if status == "200":
                    self.acknowledged.setdefault(f"msg_{number}", []).append(answer["status"])
                    times -= 1
        if streams:
            streams[1].close()

    async def _post(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> tuple[str, dict[str, str]]:
        body = body_of(number, distinct_id=f"user_{number % 50}", properties={"number": number, "pad": "x" * 500})
        headers = {
            "host": "x",
            "content-length": str(len(body)),
            **signed(body, id=f"msg_{number}", at=datetime.now(UTC)),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"POST /hook HTTP/1.1\r\n{head}\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        length = next(int(line.split(":")[1]) for line in answer if line.lower().startswith("content-length:"))
        return answer[0].split(" ")[1], json.loads(await reader.readexactly(length))


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--longest-s", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--send", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.send:
        sender = Sender(given.send)
        asyncio.run(sender.run())
        print(json.dumps({"acknowledged": sender.acknowledged, "statuses": sender.statuses}))
    else:
        print(json.dumps(fire(given.directory, kills=given.kills, longest_s=given.longest_s, seed=given.seed)))


if __name__ == "__main__":
    main()
