"""An event loop of the handlers' own, in a thread.

Handlers do not run on the loop of the server: a coroutine that blocks (a `time.sleep` where an `asyncio.sleep` was
meant) would stop deliveries from being acknowledged. Here it stops the other coroutines only until that is noticed;
then the blocked loop is left behind and a new one takes over.

All async handlers share one loop, so that they can share what belongs to a loop, such as an HTTP client; it must be
made inside a handler, not while the module is imported.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable
from typing import Any, Final

__all__ = ["HandlerLoop"]

MAX_LEFT: Final = 4
"""Blocked loops that are left behind before no new one is made: each is a thread that will never end."""

ANSWER_S: Final = 1.0
"""Within which a loop that is not blocked answers, also on a busy machine."""

WIND_UP_S: Final = 1.0
"""For cancelled handlers to clean up."""

_log = logging.getLogger(__name__)


class HandlerLoop:
    """Runs awaitables for threads that wait for them; the loop begins with the first."""

    def __init__(self, *, answer_s: float = ANSWER_S) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answer_s, self._closed = answer_s, False
        self.left = 0
        """How many loops were left behind because a handler blocks them."""

    def run(self, awaitable: Awaitable[Any], *, timeout_s: float) -> BaseException | None:
        """Wait until an awaitable ends and return what it raised.

        After the timeout it is cancelled and a TimeoutError is returned, whether it obeys or not.
        """
        loop = self._running() if timeout_s > 0 else None
        if loop is None:
            if asyncio.iscoroutine(awaitable):
                awaitable.close()  # it will never run; Python would warn that nobody awaited it
            if timeout_s <= 0:
                return TimeoutError("no time was left to await what the handler returned")
            return RuntimeError("no loop for async handlers: each one was blocked by a handler, or they are stopped")
        future = asyncio.run_coroutine_threadsafe(_caught(awaitable), loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            self._check(loop)
            return TimeoutError("it did not end in time and was cancelled")

    def close(self) -> None:
        """Cancel what still runs, and end the loop; a blocked one is left as it is."""
        with self._lock:
            loop, self._loop, self._closed = self._loop, None, True
        if loop is not None:
            loop.call_soon_threadsafe(lambda: loop.create_task(_wind_up(loop)))

    def _running(self) -> asyncio.AbstractEventLoop | None:
        with self._lock:
            if self._loop is None and not self._closed and self.left < MAX_LEFT:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=_run, args=(self._loop,), name="posthog-events-handler-loop", daemon=True
                ).start()
            return self._loop

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        answered = threading.Event()
        loop.call_soon_threadsafe(answered.set)
        if answered.wait(self._answer_s):
            return
        with self._lock:
            if self._loop is not loop:
                return
            self._loop, self.left = None, self.left + 1
        _log.error(
            "an async handler blocks the loop of the handlers; it is left behind (%d of %d), and a new one takes over",
            self.left,
            MAX_LEFT,
        )


async def _caught(awaitable: Awaitable[Any]) -> BaseException | None:
    """Return what an awaitable raises: SystemExit and KeyboardInterrupt would otherwise end the loop."""
    try:
        await awaitable
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        return error
    return None


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    while True:
        try:
            loop.run_forever()
        except BaseException:
            # from a task that a handler began beside itself
            _log.exception("a task on the loop of the handlers ended with more than an error; the loop goes on")
        else:
            break
    loop.close()


async def _wind_up(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=WIND_UP_S)
    loop.stop()
