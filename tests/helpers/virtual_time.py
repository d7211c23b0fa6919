"""A clock that only moves when everybody sleeps: real threads take turns, in the same order every time.

Exactly one actor runs at a time, until it sleeps or ends; then the one that wakes first runs. So code that blocks can
be simulated for hours of its own time in a second of ours.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable

__all__ = ["VirtualTime"]


class VirtualTime:
    """The clock, and the order of turns.

    Args:
        start: What the clock shows first, in Unix seconds.
    """

    def __init__(self, start: float = 1_790_000_000.0) -> None:
        self.start = self._now = start
        self._turns: list[tuple[float, int, threading.Event]] = []
        self._number = 0
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        self._over = threading.Event()

    def clock(self) -> float:
        """Return the virtual Unix time."""
        return self._now

    def elapsed(self) -> float:
        """Return the virtual seconds since the start."""
        return self._now - self.start

    def sleep(self, seconds: float) -> None:
        """Let the others run until this much virtual time has passed."""
        turn = self._queue(seconds)
        self._next()
        turn.wait()

    def spawn(self, actor: Callable[[], None], *, after: float = 0.0) -> None:
        """Add an actor before `run`."""
        turn = self._queue(after)

        def body() -> None:
            turn.wait()
            try:
                actor()
            except BaseException as exc:
                self._failures.append(exc)
            self._next()

        self._threads.append(threading.Thread(target=body, daemon=True))

    def run(self) -> None:
        """Run all actors to their end, and raise what the first of them raised."""
        for thread in self._threads:
            thread.start()
        self._next()
        self._over.wait()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _queue(self, seconds: float) -> threading.Event:
        turn = threading.Event()
        self._number += 1
        heapq.heappush(self._turns, (self._now + max(0.0, seconds), self._number, turn))
        return turn

    def _next(self) -> None:
        if not self._turns:
            self._over.set()
            return
        at, _, turn = heapq.heappop(self._turns)
        self._now = max(self._now, at)
        turn.set()
