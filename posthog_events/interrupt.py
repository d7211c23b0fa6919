"""Ctrl-C reaches us while something else works.

polars installs a SIGINT handler with SA_RESTART, which makes a blocking wait sleep through Ctrl-C; a wait in slices
does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

__all__ = ["SIGNAL_CHECK_S", "interruptible", "wait_for"]

T = TypeVar("T")

SIGNAL_CHECK_S = 0.1
"""How often a wait looks for Ctrl-C."""


def wait_for(future: Future[Any]) -> None:
    """Wait until a future is done."""
    while not future.done():
        wait([future], timeout=SIGNAL_CHECK_S)


def interruptible(action: Callable[[], T], *, name: str, cancel: Callable[[Future[Any]], object]) -> T:
    """Run `action` in a thread of that name and return its result.

    Args:
        cancel: Called with the running action's future when the wait is interrupted, before the interruption goes on.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(action())
        except BaseException as exc:
            future.set_exception(exc)

    try:
        threading.Thread(target=work, name=name, daemon=True).start()
        wait_for(future)
    except BaseException:
        cancel(future)
        raise
    return future.result()
