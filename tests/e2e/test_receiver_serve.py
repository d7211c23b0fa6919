"""The receiver under a real server: deliveries over sockets, senders that misbehave, and SIGKILL under load."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from posthog_events.receiver.asgi import ServingLimits
from posthog_events.receiver.inbox import State
from posthog_events.receiver.receiver import Receiver
from tests.helpers.receiving import SECRET, body_of, signed

ROOT = Path(__file__).parents[2]


@contextmanager
def serving(receiver: Receiver) -> Iterator[str]:
    """Serve on the loopback interface while the block runs, and yield the address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(receiver.asgi, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def post(url: str, number: int) -> requests.Response:
    """Deliver an event."""
    body = body_of(number)
    return requests.post(url, data=body, headers=signed(body, id=f"msg_{number}", at=datetime.now(UTC)), timeout=10)


def test_deliveries_are_stored_and_handled_and_what_is_left_is_handled_by_the_next_server(tmp_path: Path) -> None:
    """Over sockets, with the lifespan of the server; a restart loses nothing and repeats nothing."""
    seen: list[int] = []

    def receiver() -> Receiver:
        made = Receiver(secrets=SECRET, inbox=tmp_path / "inbox.db", grace_s=5)

        @made.on("user_signed_up")
        def handle(event: Any) -> None:
            seen.append(int(event.uuid[-12:], 16))

        return made

    with serving(receiver()) as url:
        assert [200] * 20 == [post(f"{url}/signups", number).status_code for number in range(1, 21)]
        assert 200 == requests.get(f"{url}/ready", timeout=10).status_code
    with serving(second := receiver()) as url:
        assert {"status": "duplicate"} == post(f"{url}/signups", 1).json()
        deadline = time.monotonic() + 10
        while second.inbox.counts().tasks[State.DONE] < 20:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    assert list(range(1, 21)) == sorted(seen)


def test_senders_that_misbehave_do_not_harm_others(tmp_path: Path) -> None:
    """An endless body, a slow one, one that says it is huge, and noise: each has its answer, and others theirs."""
    receiver = Receiver(
        secrets=SECRET,
        inbox=tmp_path / "inbox.db",
        max_body_bytes=10_000,
        limits=ServingLimits(timeout_s=0.5),
    )
    with serving(receiver) as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        endless, slow, huge, noise = (socket.create_connection(address, timeout=10) for _ in range(4))
        endless.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        slow.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx")
        huge.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n")
        noise.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10)

        def flood() -> None:
            try:
                while True:
                    endless.sendall(b"400\r\n" + b"x" * 1_024 + b"\r\n")
            except OSError:
                pass

        flooding = threading.Thread(target=flood)
        flooding.start()
        assert [200] * 10 == [post(url, number).status_code for number in range(10)]
        assert b"413" == slow_read(huge)[9:12]
        assert b"408" == slow_read(slow)[9:12]
        flooding.join(10)
        assert not flooding.is_alive()
        for one in (endless, slow, huge, noise):
            one.close()
        assert 10 == receiver.inbox.counts().entries


def slow_read(connection: socket.socket) -> bytes:
    """Read until the other side hangs up."""
    data = b""
    while chunk := connection.recv(4_096):
        data += chunk
    return data


def under_fire(directory: Path, **options: object) -> dict[str, Any]:
    """Kill servers under load, in processes of their own, and return what is left."""
    arguments = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "tests.helpers.receiver_under_fire", "--directory", str(directory), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=1_200)
    assert 0 == done.returncode, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(
    ("kills", "longest_s"), [(12, 0.8), pytest.param(200, 1.5, marks=pytest.mark.slow)], ids=["short", "200"]
)
def test_what_was_acknowledged_survives_a_kill(kills: int, longest_s: float, tmp_path: Path) -> None:
    """After SIGKILL at random moments under load nothing acknowledged is lost, repeated in the inbox, or unhandled."""
    found = under_fire(tmp_path, kills=kills, longest_s=longest_s, seed=kills)
    acknowledged, stored = set(found["acknowledged"]), found["stored"]

    assert len(acknowledged) > 10 * kills, found["statuses"]
    assert set() == acknowledged - set(stored)
    assert len(stored) == len(set(stored))
    assert 0 == found["undone"]
    for delivery_id in stored:
        number = delivery_id.removeprefix("msg_")
        assert found["handled"].get(f"sync {number}", 0) >= 1
        assert found["handled"].get(f"flaky {number}", 0) >= 1
    # the second acknowledgement of a delivery is that of a duplicate: it was not stored as another one
    assert {"duplicate"} == {answers[1] for answers in found["acknowledged"].values() if len(answers) > 1}
    assert {"200", "503"} >= {status for status in found["statuses"] if status.isdigit()}
