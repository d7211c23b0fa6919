"""One step ahead: the next item is prepared in a thread while the current one is used."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")
U = TypeVar("U")

JOIN_S = 1.5
"""How long the thread may take to end after an interrupt; Ctrl-C has to return within 2 s."""


@contextmanager
def prefetch(prepare: Callable[[T], U], items: Iterator[T], *, stop: Callable[[], None]) -> Iterator[Iterator[U]]:
    """Yield an iterator of `prepare(item)`, in order, at most one ahead.

    Args:
        stop: Ends a `prepare` that is running; called when the block is left early.
    """
    ready: queue.Queue[tuple[U | None, BaseException | None]] = queue.Queue(maxsize=1)
    turn = threading.Semaphore(1)
    leaving = threading.Event()

    def work() -> None:
        try:
            while turn.acquire() and not leaving.is_set():
                item = next(items, None)
                if item is None:
                    break
                ready.put((prepare(item), None))
            ready.put((None, None))
        except BaseException as exc:
            ready.put((None, exc))

    def results() -> Iterator[U]:
        while True:
            value, error = ready.get()
            if error is not None:
                raise error
            if value is None:
                return
            turn.release()
            yield value

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        yield results()
    except BaseException:
        leaving.set()
        turn.release()
        stop()
        deadline = time.monotonic() + JOIN_S
        while thread.is_alive() and time.monotonic() < deadline:
            with suppress(queue.Empty):
                ready.get(timeout=0.05)
        raise
    thread.join()
