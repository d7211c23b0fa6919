"""One progress bar for every command that takes long: on stderr, and only when somebody looks."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

__all__ = ["Meter", "meter", "stderr_console"]


@functools.cache
def stderr_console() -> Console:
    """Return the one console of stderr: a bar and a countdown on two would draw over each other."""
    from rich.console import Console

    return Console(stderr=True)


class Meter:
    """A bar with a text before it, and behind it the share, the time gone and the time left."""

    def __init__(self, bar: Any, task: TaskID) -> None:
        self._bar, self._task = bar, task

    @property
    def elapsed_s(self) -> float:
        """Seconds since the bar was drawn first."""
        return self._bar.tasks[0].elapsed or 0.0

    def show(self, text: str, *, done: float, total: float | None) -> None:
        """Change text and position; without a total the bar only moves."""
        self._bar.update(self._task, description=text, completed=done, total=total)


@contextmanager
def meter(text: str) -> Iterator[Meter]:
    """Lend a bar, which is gone when the block ends."""
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = stderr_console()
    hidden = not console.is_terminal or console.is_dumb_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        yield Meter(bar, bar.add_task(text, total=None))
