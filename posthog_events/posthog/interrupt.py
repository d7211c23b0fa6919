"""Ctrl-C reaches us while a request runs.

polars installs a SIGINT handler with SA_RESTART, which makes a blocking read sleep through Ctrl-C; a wait in
slices does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

__all__ = ["interruptible"]

T = TypeVar("T")

SIGNAL_CHECK_S = 0.1


def interruptible(action: Callable[[], T], *, cancel: Callable[[], object]) -> T:
    """Run `action` in a thread; when this one is interrupted, call `cancel` and pass the interruption on at once."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(action())
        except BaseException as exc:
            future.set_exception(exc)

    try:
        threading.Thread(target=work, name="posthog-events request", daemon=True).start()
        while not future.done():
            wait([future], timeout=SIGNAL_CHECK_S)
    except BaseException:
        cancel()
        raise
    return future.result()
