"""The installed command receives: `serve`, `listen`, `trigger` and the inbox, in processes of their own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.helpers.command import environment, run
from tests.helpers.webhook_command import SECRET, serving, wait_for

HANDLERS = """
import os

from posthog_events.receiver.context import GiveUp
from posthog_events.receiver.receiver import Receiver

receiver = Receiver(secrets=os.environ["SIGNING_SECRET"], inbox="inbox.db")


@receiver.on("signup")
def greet(event):
    if event.properties.get("plan") == "none":
        raise GiveUp("there is no such plan")
    with open("greeted.txt", "a") as file:
        file.write(f"{event.distinct_id}\\n")
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a folder with handlers."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    return environment(tmp_path, SIGNING_SECRET=SECRET)


def trigger(cwd: Path, url: str, *arguments: str, signed: bool = True) -> subprocess.CompletedProcess[str]:
    secret = ("--secret-env", "SIGNING_SECRET") if signed else ()
    return run("webhooks", "trigger", url, "--event", "signup", *arguments, *secret, cwd=cwd, SIGNING_SECRET=SECRET)


def test_served_deliveries_are_kept_handled_and_listed(tmp_path: Path, env: dict[str, str]) -> None:
    """A signed delivery runs its handlers, one that is not is refused; what failed can be tried again."""
    with serving("serve", "handlers.py", "--port", "0", "--verbose", cwd=tmp_path, env=env) as served:
        assert 0 == trigger(tmp_path, f"{served.url}/in", "--user", "ann").returncode
        assert 0 == trigger(tmp_path, f"{served.url}/in", "--user", "eve", "-p", "plan=none").returncode
        refused = trigger(tmp_path, f"{served.url}/in", signed=False)
        with urlopen(f"{served.url}/ready", timeout=10) as answer:
            assert {"status": "ready"} == json.load(answer)
        listing = run("webhooks", "inbox", "list", "--state", "dead", cwd=tmp_path)
        retried = run("webhooks", "inbox", "retry", "--dead", cwd=tmp_path)
        wait_for(lambda: (tmp_path / "greeted.txt").exists())
        served.stop(signal.SIGTERM)

    assert (0, "stopped") == (served.code, served.err.splitlines()[-1])
    assert (1, True) == (refused.returncode, "401" in refused.stdout)
    (dead,) = map(json.loads, listing.stdout.splitlines())
    assert ("eve", "greet dead") == (dead["distinct_id"], dead["handlers"])
    assert "GiveUp: there is no such plan (handlers.py, line 13)" == dead["error"]
    assert "1 handler of 1 delivery will run again\n" == retried.stdout
    assert ["ann"] == (tmp_path / "greeted.txt").read_text().split()
    assert "a delivery was refused (401 missing_signature)" in served.err
    assert SECRET not in served.err + served.out + refused.stdout + refused.stderr


def test_workers_share_one_inbox(tmp_path: Path, env: dict[str, str]) -> None:
    """Each delivery is handled by one of them, and they end with the command."""
    with serving("serve", "handlers.py", "--port", "0", "--workers", "2", cwd=tmp_path, env=env) as served:
        assert 0 == trigger(tmp_path, served.url, "--user", "ann", "--times", "10").returncode
        wait_for(lambda: (tmp_path / "greeted.txt").exists())
        wait_for(lambda: len((tmp_path / "greeted.txt").read_text().split()) == 10)
        served.stop(signal.SIGTERM)

    assert 10 == len((tmp_path / "greeted.txt").read_text().split())
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(served.port)), timeout=5).close()


def test_listen_prints_what_comes(tmp_path: Path, env: dict[str, str]) -> None:
    """JSON Lines in a pipe, refused deliveries too; it leaves after the number that was asked for."""
    arguments = ("listen", "--port", "0", "--secret-env", "SIGNING_SECRET", "--count", "3")
    # the first is the question of the helper whether it listens
    with serving(*arguments, cwd=tmp_path, env=env, line_of="err") as served:
        trigger(tmp_path, f"{served.url}/a", "-p", "plan=pro")
        refused = trigger(tmp_path, f"{served.url}/b", signed=False)
        out, _ = served.process.communicate(timeout=30)
        served.code = served.process.returncode

    _, signed, unsigned = map(json.loads, out.splitlines())
    assert ("/a", 200, "signature", "signup") == tuple(signed[key] for key in ("path", "status", "verified", "event"))
    assert "pro" == signed["body"]["event"]["properties"]["plan"]
    assert ("/b", 401, None, "missing_signature") == tuple(
        unsigned[key] for key in ("path", "status", "verified", "code")
    )
    assert (0, 1) == (served.code, refused.returncode)
    assert SECRET not in out


def test_port_that_is_taken_is_said(tmp_path: Path, env: dict[str, str]) -> None:
    """With what to do, and without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command in (("serve", "handlers.py"), ("listen", "--unsigned")):
            done = run("webhooks", *command, "--port", port, cwd=tmp_path, SIGNING_SECRET=SECRET)
            assert (2, True) == (done.returncode, f"cannot listen on 127.0.0.1:{port}" in done.stderr), done.stderr
            assert "Choose another --port" in done.stderr


def test_missing_extra_is_said(tmp_path: Path, env: dict[str, str]) -> None:
    """Without the web server, the command says what to install."""
    code = "import sys; sys.modules['uvicorn'] = None; from posthog_events.cli.main import main; sys.exit(main())"
    for command in (("serve", "handlers.py"), ("listen", "--unsigned")):
        done = subprocess.run(
            [sys.executable, "-c", code, "webhooks", *command], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert (1, True) == (done.returncode, 'pip install "posthog-events[server]"' in done.stderr), done.stderr
        assert "Traceback" not in done.stderr
