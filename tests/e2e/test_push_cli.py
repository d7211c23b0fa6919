"""`posthog-events local push` as people run it: to a server, and queried there with the same command as at home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthog_events.clickhouse.client import Client
from tests.helpers.clickhouse_http import ClickHouseFront
from tests.helpers.command import environment, run, run_in_terminal
from tests.helpers.library_store import store_of

PASSWORD = "s3cret-word"
EVENTS = [
    ("ann", "visit", "2026-01-01T00:00:00Z"),
    ("bob", "visit", "2026-01-02T00:00:00Z"),
    ("ann", "buy", "2026-02-01T00:00:00Z"),
]
QUERY = ("query", "run", "-e", "SELECT event, count() AS n FROM events GROUP BY event ORDER BY n", "--format", "csv")
ANSWER = "event,n\nbuy,1\nvisit,2\n"


@pytest.fixture(scope="module")
def front() -> Iterator[ClickHouseFront]:
    with ClickHouseFront(password=PASSWORD) as front:
        yield front


@pytest.fixture(scope="module")
def dsn(front: ClickHouseFront) -> str:
    """A DSN without the password."""
    return f"clickhouse://default@{front.host}:{front.port}/default"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of three events, called `store`."""
    directory = tmp_path_factory.mktemp("push")
    store_of(directory, EVENTS)
    return directory


def test_a_store_is_pushed_and_queried_on_the_server(folder: Path, dsn: str) -> None:
    """The summary on stdout names tables, rows and the way to query them; the query answers as at home."""
    pushed = run("local", "push", "--store", "store", "--dsn", dsn, cwd=folder, POSTHOG_EVENTS_PASSWORD=PASSWORD)

    assert (0, "") == (pushed.returncode, pushed.stderr)
    lines = pushed.stdout.splitlines()
    assert ["events               3 rows", "persons              2 rows"] == lines[:2]
    assert lines[-1].startswith(f"copied store to {dsn} as push ")
    assert lines[-1].endswith(f"; query it with --dsn '{dsn}'")
    there = run(*QUERY, "--dsn", dsn, cwd=folder, POSTHOG_EVENTS_PASSWORD=PASSWORD)
    assert (ANSWER, ANSWER, "") == (there.stdout, run(*QUERY, "--store", "store", cwd=folder).stdout, there.stderr)


def test_a_terminal_shows_progress(folder: Path, dsn: str) -> None:
    """On a terminal the tables are told as they arrive, and the password is our own setting."""
    env = environment(folder, POSTHOG_EVENTS_PASSWORD=PASSWORD)
    # a dumb terminal cannot redraw a line, so it gets no bar
    line = f"TERM=xterm posthog-events local push --store store --dsn {dsn}"
    code, text = run_in_terminal(line, cwd=folder, env=env)

    assert 0 == code
    assert "sessions: 0 rows" in text.partition("copied store")[0]


def test_help_shows_push_and_an_example(folder: Path) -> None:
    """The group lists the command, and the command explains itself."""
    assert "Copy a store to a ClickHouse server" in run("local", "--help", cwd=folder).stdout
    assert "Example: posthog-events local push --store events --dsn" in run("local", "push", "-h", cwd=folder).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--store", "store"), 2, "Missing option '--dsn'"),
        (("--store", "store", "--dsn", "chdb://memory"), 2, "--dsn must be a server"),
        (("--store", "store", "--dsn", "mysql://u:{password}@host/db"), 2, "not a ClickHouse DSN"),
        (("--store", "none", "--dsn", "{dsn}"), 1, "no event store at"),
        (("--store", "store", "--dsn", "{dsn}"), 1, "refused user 'default': wrong user name or password"),
        (("--store", "store", "--dsn", "clickhouse://me:{password}@127.0.0.1:1/"), 1, "the connection was refused"),
    ],
    ids=["no DSN", "not a server", "other database", "no store", "no password", "nothing listens"],
)
def test_mistakes_are_one_sentence_without_the_password(
    folder: Path, dsn: str, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """No traceback, nothing on stdout, the right exit code."""
    given = [argument.format(dsn=dsn, password=PASSWORD) for argument in arguments]
    done = run("local", "push", *given, cwd=folder)

    assert (code, "") == (done.returncode, done.stdout)
    assert message in done.stderr
    assert PASSWORD not in done.stderr
    assert "Traceback" not in done.stderr


def test_query_before_any_push_says_how_to_push(folder: Path, front: ClickHouseFront, dsn: str) -> None:
    """A server without our tables is explained with the command that puts them there, exit code 2."""
    with Client.open(front.dsn) as client:
        client.command("CREATE DATABASE untouched")
    other = dsn.removesuffix("default") + "untouched"
    done = run(*QUERY, "--dsn", other, cwd=folder, POSTHOG_EVENTS_PASSWORD=PASSWORD)

    assert (2, "") == (done.returncode, done.stdout)
    assert f"posthog-events local push --store ./events --dsn '{other}'" in done.stderr
    assert 1 == done.stderr.count("\n")


def test_ctrl_c_stops_a_push_and_leaves_nothing(folder: Path, front: ClickHouseFront, dsn: str) -> None:
    """SIGINT during a push: exit code 130, no traceback, and no table but the registry remains."""
    with Client.open(front.dsn) as client:
        client.command("CREATE DATABASE stopped")
    there = dsn.removesuffix("default") + "stopped"
    process = subprocess.Popen(
        [sys.executable, "-m", "posthog_events", "local", "push", "--store", "store", "--dsn", there],
        cwd=folder,
        env=environment(folder, POSTHOG_EVENTS_PASSWORD=PASSWORD),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with Client.open(front.dsn.removesuffix("default") + "stopped") as client:

        def written() -> set[str]:
            _, names = client.query("SELECT name FROM system.tables WHERE database = 'stopped'")
            return set(names["name"])

        deadline = time.monotonic() + 60
        while not any(name.startswith("events__") for name in written()):
            assert time.monotonic() < deadline
            assert process.poll() is None
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)

        assert (130, "", "error: stopped\n") == (process.returncode, out, err)
        assert {"posthog_events_catalogs"} == written()
        assert 0 == client.query("SELECT count() AS n FROM posthog_events_catalogs")[1].item()
