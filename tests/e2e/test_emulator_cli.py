"""`posthog-events emulator` as a process, and the emulator as users' tests have it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from posthog_events.cli.emulator import emulator as command
from posthog_events.emulator.world import Limits
from posthog_events.errors import ConfigError, MissingExtra, StoreNotFound
from posthog_events.testing import emulator
from tests.helpers.command import environment
from tests.helpers.library_store import store_of

RUN = "from posthog_events.cli.emulator import emulator; emulator()"


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own; it is gone at the end, whatever happened."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", RUN, *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def exports(process: subprocess.Popen[str]) -> dict[str, str]:
    """Read the four lines that a shell would take."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]
    return dict(found.groups() for line in lines if (found := re.fullmatch(r"export (\w+)=(\S+)\n", line)))


def count(variables: dict[str, str]) -> list[list[int]]:
    """Ask the server that the variables point to for its number of events."""
    answer = requests.post(
        f"{variables['POSTHOG_HOST']}/api/projects/{variables['POSTHOG_PROJECT_ID']}/query/",
        headers={"Authorization": f"Bearer {variables['POSTHOG_PERSONAL_API_KEY']}"},
        json={"query": {"kind": "HogQLQuery", "query": "SELECT count() FROM events"}},
        timeout=30,
    )
    rows: list[list[int]] = answer.json()["results"]
    return rows


def test_command_serves_a_store_until_ctrl_c(tmp_path: Path) -> None:
    """Its output is shell code; what that points to answers; Ctrl-C ends it in peace and without a leftover."""
    store = store_of(tmp_path, [("ann", "visit", "2026-05-01T00:00:00Z")] * 3)
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    os.environ["TMPDIR"], before = str(scratch), os.environ.get("TMPDIR")
    try:
        with serving(tmp_path, "--store", str(store), "--port", "0") as process:
            variables = exports(process)
            rows = count(variables)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    finally:
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before

    names = ["POSTHOG_HOST", "POSTHOG_PROJECT_ID", "POSTHOG_PERSONAL_API_KEY", "POSTHOG_PROJECT_TOKEN"]
    assert names == list(variables)
    assert [[3]] == rows
    assert (0, "") == (process.returncode, out)
    assert re.fullmatch(rf"serving the events of .+ at {variables['POSTHOG_HOST']}; stop with Ctrl-C\nstopped\n", err)
    assert [] == list(scratch.iterdir())


def test_store_that_is_not_there(tmp_path: Path) -> None:
    """The error says how to get one."""
    done = CliRunner().invoke(command, ["--store", str(tmp_path / "none"), "--port", "0"])

    assert isinstance(done.exception, StoreNotFound)


def test_help_has_an_example() -> None:
    """One sentence, then a command line that runs."""
    text = CliRunner().invoke(command, ["--help"]).output

    assert "Serve a PostHog on this machine, for trying out scripts." in text
    assert "Example: posthog-events emulator --store demo-events --seed demo" in text


def test_emulator_begins_with_the_events_given_and_takes_more() -> None:
    """Given and captured events are seen together, by the handle and over HTTP."""
    at = datetime(2026, 5, 1, tzinfo=UTC)
    with emulator(events=[{"event": "old", "distinct_id": "ann", "timestamp": at.isoformat()}]) as served:
        served.capture("new", "bob", {"plan": "pro"}, timestamp=at.replace(day=2))
        names = served.events()["event"].to_list()
        rows = count(served.environment)
        paths = [seen.path for seen in served.requests]

    assert ["old", "new"] == names
    assert [[2]] == rows
    assert ["/i/v0/e/", "/api/projects/1/query/"] == paths


def test_emulator_has_faults_limits_and_a_clock_on_demand() -> None:
    """Faults, limits and time are the test's."""
    now = datetime(2030, 1, 1, tzinfo=UTC)
    with emulator(limits=Limits(rates={"query": (1, 9)}), clock=lambda: now, sleep=lambda seconds: None) as served:
        first, second = (_year(served.environment) for _ in range(2))
        served.faults.add("html")
        third = _year(served.environment)

    assert (200, [[2030]]) == (first.status_code, first.json()["results"])
    assert (429, "60") == (second.status_code, second.headers["Retry-After"])
    assert third.headers["Content-Type"].startswith("text/html")


def _year(variables: dict[str, str]) -> requests.Response:
    return requests.post(
        f"{variables['POSTHOG_HOST']}/api/projects/1/query/",
        headers={"Authorization": f"Bearer {variables['POSTHOG_PERSONAL_API_KEY']}"},
        json={"query": {"kind": "HogQLQuery", "query": "SELECT toYear(now())"}},
        timeout=30,
    )


def test_store_of_the_emulator_is_gone_afterwards(tmp_path: Path) -> None:
    """Only a store that was given stays, with what was captured into it."""
    kept = store_of(tmp_path, [("ann", "visit", "2026-05-01T00:00:00Z")])
    with emulator(kept) as served:
        served.capture("more", "ann")
        assert 2 == served.events().height
    with emulator(kept) as served:
        assert 2 == served.events().height
    with emulator() as served:
        scratch = served.world.scratch
        assert scratch.is_dir()
    assert not scratch.exists()


def test_port_that_is_taken() -> None:
    """One sentence that names the port."""
    with emulator() as served:
        port = int(served.url.rpartition(":")[2])
        with (
            pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .+ Choose another port"),
            emulator(port=port),
        ):
            pass


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without uvicorn the error says what to install."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "posthog_events.emulator.server", raising=False)

    with pytest.raises(MissingExtra, match=r"posthog-events\[server\]"), emulator():
        pass


def test_fixture_is_public(tmp_path: Path) -> None:
    """A user's conftest names the module, and a user's test has its PostHog; no warning comes up."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["posthog_events.testing"]\n')
    (tmp_path / "test_mine.py").write_text(
        "def test_mine(posthog_emulator):\n"
        "    posthog_emulator.capture('signup', 'ann', {'plan': 'pro'})\n"
        "    assert posthog_emulator.events()['distinct_id'].to_list() == ['ann']\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "1 passed" in done.stdout, done.stdout + done.stderr
