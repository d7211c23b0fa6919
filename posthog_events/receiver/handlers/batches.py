"""Writing in batches for handlers that are called one event at a time.

A handler must not return before its event is written, and a store wants many events at once. So the first who comes
writes for all who come while it waits a moment, and while the write before that one lasts; each returns when its own
event is on the disk. When a batch cannot be written, its items are tried one by one: only one of them may be to blame.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

__all__ = ["LINGER_S", "Batches"]

LINGER_S: Final = 0.2
"""How long the first waits for others; a write to a store takes about as long."""

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Item(Generic[T]):
    value: T
    written: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


class Batches(Generic[T]):
    """Joins the calls of several threads.

    Args:
        write: Writes some values, all or none; only called by one thread at a time.
        linger_s: Seconds.
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], None],
        *,
        linger_s: float = LINGER_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._write, self._linger_s, self._sleep = write, linger_s, sleep
        self._waiting: list[_Item[T]] = []
        self._lock, self._writing = threading.Lock(), threading.Lock()

    def add(self, value: T) -> None:
        """Write a value, with others, and return when that is done.

        Raises:
            Exception: What `write` raised when the value was alone.
        """
        item = _Item(value)
        with self._lock:
            self._waiting.append(item)
            leads = len(self._waiting) == 1
        if leads:
            self._sleep(self._linger_s)
            with self._writing:
                with self._lock:
                    batch, self._waiting = self._waiting, []
                self._write_all(batch)
        item.written.wait()
        if item.error is not None:
            raise item.error

    def _write_all(self, batch: Sequence[_Item[T]]) -> None:
        try:
            self._write([item.value for item in batch])
        except BaseException as error:
            if len(batch) == 1:
                batch[0].error = error
            else:
                for item in batch:
                    self._write_all([item])
        for item in batch:
            item.written.set()
