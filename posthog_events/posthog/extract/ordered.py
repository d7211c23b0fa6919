"""Work done side by side, handed on in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from posthog_events.interrupt import wait_for

__all__ = ["in_order"]

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], *, ahead: int
) -> Iterator[tuple[T, R]]:
    """Yield each item with its result, in the order of the items; at most `ahead` are begun and not yielded."""
    waiting: deque[tuple[T, Future[R]]] = deque()
    left = iter(items)
    more = True
    while more or waiting:
        while more and len(waiting) < ahead:
            for item in left:
                waiting.append((item, pool.submit(work, item)))
                break
            else:
                more = False
        if waiting:
            item, future = waiting.popleft()
            wait_for(future)
            yield item, future.result()
