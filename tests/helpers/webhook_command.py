"""`webhooks serve` and `listen` in a process of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

__all__ = ["SECRET", "Serving", "serving", "wait_for"]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TIMEOUT_S = 30.0


@dataclass
class Serving:
    """A command that runs until it is told to stop.

    Args:
        out: What it printed on stdout; complete when it has ended.
    """

    process: subprocess.Popen[str]
    url: str = ""
    out: str = ""
    err: str = ""
    code: int | None = field(default=None)

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> None:
        """End it and keep what it said."""
        if self.code is None:
            self.process.send_signal(with_signal)
            self.out, self.err = self.process.communicate(timeout=TIMEOUT_S)
            self.code = self.process.returncode


@contextmanager
def serving(*arguments: str, cwd: Path, env: Mapping[str, str], line_of: str = "out") -> Iterator[Serving]:
    """Run `posthog-events webhooks ...` until the end of the block.

    Args:
        line_of: `out` or `err`: where its first line has the address.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "posthog_events", "webhooks", *arguments],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    served = Serving(process)
    try:
        stream = process.stdout if line_of == "out" else process.stderr
        assert stream is not None
        words = stream.readline().replace(";", " ").split()
        served.url = next((word for word in words if word.startswith("http://")), "")
        assert served.url, process.communicate()[1]
        wait_for(lambda: _answers(served.url))
        yield served
    finally:
        if served.code is None and process.poll() is None:
            served.stop()
        process.kill()
        process.communicate()


def wait_for(done: Callable[[], bool], *, seconds: float = TIMEOUT_S) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/health", timeout=5):
            return True
    except URLError as error:
        # a listener takes no GET, and yet it answers
        return hasattr(error, "code")
