"""Tells people why nothing happens: a countdown on a terminal, one line elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from posthog_events.cli.progress import stderr_console
from posthog_events.posthog.observer import Observer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from posthog_events.posthog.answer import QueryProgress
    from posthog_events.posthog.pace import Wait
    from posthog_events.posthog.retry import Attempt

__all__ = ["watching"]

SHOWN_FROM_S = 2.0
"""Shorter waits are not worth a word."""


@contextmanager
def watching() -> Iterator[Observer]:
    """Lend an observer that writes to stderr."""
    shown = _Waits()
    try:
        yield Observer(attempt=shown.attempt, wait=shown.wait, progress=shown.progress)
    finally:
        shown.close()


class _Waits:
    """The latest reason to wait and when it ends; any thread may report one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._reason, self._until = "", 0.0

    def attempt(self, attempt: Attempt) -> None:
        self._show(f"{attempt.failure.kind}; trying {attempt.source} again", attempt.wait_s)

    def wait(self, wait: Wait) -> None:
        self._show(f"the project is {wait.reason}; going on", wait.seconds)

    def progress(self, progress: QueryProgress) -> None:
        read = f"{progress.rows_read:,} rows"
        if progress.estimated_rows_total:
            read += f" of about {progress.estimated_rows_total:,}"
        self._show(f"PostHog has read {read} in {progress.time_elapsed:.0f} s", 10.0, countdown=False)

    def close(self) -> None:
        with self._lock:
            live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _show(self, reason: str, seconds: float, *, countdown: bool = True) -> None:
        if seconds < SHOWN_FROM_S:
            return
        console = stderr_console()
        live = console.is_terminal and not console.is_dumb_terminal
        with self._lock:
            news = reason != self._reason
            self._reason, self._until = reason, time.monotonic() + seconds if countdown else 0.0
            if live and self._live is None:
                self._live = _start(console, self)
        if not live and news and countdown:
            click.echo(f"{reason} (in {_duration(seconds)})", err=True)

    def __rich__(self) -> Text:
        from rich.text import Text

        left = self._until - time.monotonic()
        if self._until and left <= 0:
            return Text("")
        return Text(f"{self._reason} (in {_duration(left)})" if self._until else self._reason)


def _start(console: Console, waits: _Waits) -> Live:
    from rich.live import Live

    live = Live(waits, console=console, transient=True, refresh_per_second=2)
    live.start(refresh=True)
    return live


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.999), 60)
    return f"{minutes}:{rest:02} minutes" if minutes else f"{rest} s"
