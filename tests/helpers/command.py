"""The command of this tree, as people and scripts run it: in a process of its own, with a pipe or a terminal."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from fcntl import ioctl
from pathlib import Path

ROOT = Path(__file__).parents[2]
COLUMNS = 100
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9])")


def environment(home: Path, **extra: str) -> dict[str, str]:
    """Return an environment in which `posthog-events` is this tree's, and no setting of the user's is seen."""
    programs = home / ".programs"
    programs.mkdir(parents=True, exist_ok=True)
    shim = programs / "posthog-events"
    if not shim.exists():
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m posthog_events "$@"\n')
        shim.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POSTHOG_", "XDG_"))}
    return kept | {
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        # parsing is the slow part of the command, and what is parsed does not depend on the test
        "POSTHOG_EVENTS_CACHE_DIR": str(ROOT / ".pytest_cache" / "hogql"),
        "COLUMNS": str(COLUMNS),
        "NO_COLOR": "1",
        **extra,
    }


def run(*arguments: str, cwd: Path, stdin: str | None = None, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run the command with pipes, as a script does."""
    return subprocess.run(
        [sys.executable, "-m", "posthog_events", *arguments],
        cwd=cwd,
        env=environment(cwd, **extra),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run_in_terminal(line: str, *, cwd: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Run a line of shell on a terminal; return its exit code, and what a person would read there."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    process = subprocess.Popen(
        ["bash", "-c", line], cwd=cwd, env={**env, "TERM": "dumb"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    output = b""
    try:
        while chunk := os.read(ours, 65536):
            output += chunk
    except OSError:
        pass  # Linux reports the end of a terminal's output as an error
    finally:
        os.close(ours)
    text = _ESCAPES.sub("", output.decode("utf-8", errors="replace").replace("\r\n", "\n"))
    return process.wait(timeout=120), text
