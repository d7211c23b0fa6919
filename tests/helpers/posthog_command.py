"""The command in a process of its own, against an emulated PostHog; whatever it says, it says no key."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from posthog_events.emulator.world import Key
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.command import environment

KEY = "phx_S3cretOfTheseTests0123456789"
TIMEOUT_S = 60.0
MARCH = ("--since", "2025-03-01", "--until", "2025-04-01")
"""The options of a range with the five events of `SHOP`."""

HURRIED = "import time; time.sleep = lambda seconds: None"
"""For `Desk.run`: no wait takes time."""

UNNAMED = """
import socket
def unknown(host, *rest, **options):
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
socket.getaddrinfo = unknown
"""
"""For `Desk.run`: no host name is known."""

CALL = "import sys; from posthog_events.cli.main import main; sys.exit(main())"


def event(number: int, name: str, who: str, at: str, **properties: object) -> dict[str, object]:
    """Return an event whose uuid is the number."""
    uuid = f"00000000-0000-4000-8000-{number:012d}"
    return {"uuid": uuid, "event": name, "distinct_id": who, "timestamp": at, "properties": properties}


SHOP = (
    event(1, "signup", "ann", "2025-03-01T08:00:00Z", plan="free"),
    event(2, "signup", "bob", "2025-03-01T09:00:00Z", plan="pro"),
    event(3, "purchase", "ann", "2025-03-02T10:00:00Z", plan="free", amount=20),
    event(4, "purchase", "bob", "2025-03-03T11:00:00Z", plan="pro", amount=50),
    event(5, "purchase", "bob", "2025-03-03T12:00:00.123456Z", plan="pro", amount=30),
)


@dataclass
class ShiftedClock:
    """The real time, and more."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Desk:
    """Runs commands in a folder without settings files, with the variables that an emulator prints.

    Args:
        clock: The emulator's.
        folder: Where commands run; new for every test, as is the state that processes share.
    """

    posthog: EmulatedPostHog
    clock: ShiftedClock
    folder: Path = field(default_factory=Path)
    variables: dict[str, str] = field(default_factory=dict)

    def renew(self, folder: Path) -> None:
        """Forget what earlier tests did."""
        self.folder, self.clock.ahead = folder, timedelta()
        world = self.posthog.world
        world.keys.clear()
        world.keys.update({KEY: Key(KEY)})
        self.posthog.project.state.clear()
        self.posthog.faults.clear()
        self.posthog.faults.forget()
        self.variables = {**self.posthog.environment, "POSTHOG_EVENTS_STATE_DIR": str(folder / "state")}

    @property
    def address(self) -> str:
        """Host and port."""
        return self.posthog.url.removeprefix("http://")

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Method and path of each request so far, below the project."""
        return [(seen.method, seen.path.removeprefix("/api/projects/1/")) for seen in self.posthog.requests]

    def environment(self, *, without: Iterable[str] = (), **extra: str) -> dict[str, str]:
        """Return what the command sees; `without` names variables that it does not."""
        kept = {name: value for name, value in self.variables.items() if name not in set(without)}
        return environment(self.folder, **(kept | extra))

    def run(
        self, *arguments: str, first: str = "", without: Iterable[str] = (), **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        Args:
            first: Python that the process runs before anything of ours is imported.
        """
        done = subprocess.run(
            self._line(arguments, first),
            cwd=self.folder,
            env=self.environment(without=without, **extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert KEY not in done.stdout + done.stderr
        return done

    def interrupt(
        self, *arguments: str, when: Callable[[], bool], again_s: float = 0.02
    ) -> tuple[int, str, str, float]:
        """Press Ctrl-C once `when` says so; return exit code, stdout, stderr and how many seconds that took."""
        process = subprocess.Popen(
            self._line(arguments, ""),
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while not when() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(again_s)
            at = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=TIMEOUT_S)
            return process.returncode, out, err, time.monotonic() - at
        finally:
            process.kill()
            process.communicate()

    @staticmethod
    def _line(arguments: Sequence[str], first: str) -> list[str]:
        program = ["-c", f"{first}\n{CALL}"] if first else ["-m", "posthog_events"]
        return [sys.executable, *program, *arguments]


@contextmanager
def desk(scratch: Path) -> Iterator[Desk]:
    """Serve the five events of `SHOP`, 101 names in January 2025, more than a page of a listing holds, and one event
    of an hour ago.
    """
    clock = ShiftedClock()
    numbers = count(100)
    noise = [event(next(numbers), f"noise {n:03}", "cid", "2025-01-05T00:00:00Z") for n in range(101)]
    recent = event(9, "visit", "cid", (clock() - timedelta(hours=1)).isoformat(), page="/start")
    with emulator(events=[*SHOP, *noise, recent], clock=clock) as posthog:
        served = Desk(posthog, clock)
        served.renew(scratch)
        yield served
