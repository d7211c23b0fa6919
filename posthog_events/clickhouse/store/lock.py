"""One writer at a time. Readers take no lock.

The operating system drops the lock with the process that holds it, however it dies, so there are no stale locks.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from posthog_events.errors import StoreLocked

__all__ = ["write_lock"]


@contextmanager
def write_lock(directory: Path, *, now: datetime) -> Iterator[None]:
    """Hold the store's write lock.

    Raises:
        StoreLocked: Another process or thread writes; the message names it.
    """
    with (directory / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise StoreLocked(
                f"the store {directory} is being written by {holder}; wait until it has finished, then try again"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} since {now:%Y-%m-%d %H:%M:%S %Z}")
        file.flush()
        yield
