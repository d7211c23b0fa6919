"""The command as a process: exit codes, streams, interrupts and closed pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.command import environment, run

LONG_QUERY = "SELECT count() AS n FROM numbers(1000000000000) WHERE cityHash64(number) % 7 = 3"


def test_closed_pipe_is_quiet(tmp_path: Path) -> None:
    """When the reader has gone (`| head`), nothing is said, and the exit code is that of SIGPIPE."""
    read_end, write_end = os.pipe()
    os.close(read_end)

    done = subprocess.run(
        [sys.executable, "-m", "posthog_events", "query", "list", "--format", "csv"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write_end)

    assert (141, "") == (done.returncode, done.stderr)


def test_unknown_query_is_a_sentence_with_a_suggestion(tmp_path: Path) -> None:
    """A mistyped query name: exit code 2, the name that is close, nothing on stdout, no traceback."""
    (tmp_path / "events").mkdir()
    done = run("query", "run", "funel", cwd=tmp_path)

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("error: ")
    assert "did you mean `funnel`?" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_store_says_how_to_make_one(tmp_path: Path) -> None:
    """Without events the message names import and demo; as JSON it is on stdout, alone."""
    plain = run("query", "run", "-e", "SELECT 1", cwd=tmp_path)
    document = run("--json", "query", "run", "-e", "SELECT 1", cwd=tmp_path)

    assert (2, "") == (plain.returncode, plain.stdout)
    assert "posthog-events local import FILE --store events" in plain.stderr
    assert (2, "") == (document.returncode, document.stderr)
    error = json.loads(document.stdout)
    assert (False, "ConfigError", 2) == (error["ok"], error["error"]["type"], error["error"]["exit_code"])


@pytest.mark.parametrize(
    ("path", "message"),
    [("missing/out.csv", "missing"), ("taken", "is a directory"), ("out.xyz", "no format is known for this ending")],
)
def test_output_that_cannot_be_written_is_one_sentence(tmp_path: Path, path: str, message: str) -> None:
    """A wrong --output names the path and leaves nothing behind."""
    (tmp_path / "taken").mkdir()
    before = set(tmp_path.iterdir())

    done = run("query", "list", "--output", path, cwd=tmp_path)

    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert {*before, tmp_path / ".programs"} >= set(tmp_path.iterdir())


def test_ctrl_c_stops_a_long_query_at_once(tmp_path: Path) -> None:
    """An interrupt during a query that would take hours ends the command within two seconds, with exit code 130."""
    (tmp_path / "a.csv").write_text("time,user,event\n2026-01-05 09:00:00,ann,visit\n")
    imported = run("local", "import", "a.csv", cwd=tmp_path)
    assert imported.returncode == 0, imported.stderr
    with subprocess.Popen(
        [sys.executable, "-m", "posthog_events", "query", "run", "-e", LONG_QUERY],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _wait_until_busy(process)
            process.send_signal(signal.SIGINT)
            sent = time.monotonic()
            out, err = process.communicate(timeout=20)
            taken = time.monotonic() - sent
        finally:
            process.kill()

    assert (130, "", "error: stopped\n") == (process.returncode, out, err)
    assert taken < 2


def _wait_until_busy(process: subprocess.Popen[str]) -> None:
    """Wait until the process has used more processor time than its start takes, so that its query is running."""
    deadline = time.monotonic() + 60
    ticks = os.sysconf("SC_CLK_TCK")
    while time.monotonic() < deadline and process.poll() is None:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        if (int(fields[11]) + int(fields[12])) / ticks > 4:
            return
        time.sleep(0.1)
    pytest.fail(f"the query did not start: {process.communicate() if process.poll() is not None else 'too slow'}")
