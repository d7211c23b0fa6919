"""One write: its ClickHouse client, its temporary tables and files, and what becomes of them when it fails."""

from __future__ import annotations

import errno
import itertools
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from posthog_events.clickhouse.quoting import string
from posthog_events.errors import EngineError, ImportFailed, PostHogEventsError, QueryCancelled, StoreError

if TYPE_CHECKING:
    import polars as pl

    from posthog_events.clickhouse.client import Client
    from posthog_events.clickhouse.store.store import EventStore

__all__ = ["Session", "write_session"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_WORDS = ("No space left", "File too large", "Disk quota exceeded")


@dataclass(slots=True)
class Session:
    """The client, the tables and the temporary folder of one write; they all go with it."""

    client: Client
    prefix: str
    directory: Path
    _tables: set[str] = field(default_factory=set)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def query(self, sql: str) -> pl.DataFrame:
        """Run a SELECT."""
        self._check()
        return self.client.query(f"{sql} /* {self.prefix} */")[1]

    def command(self, sql: str, settings: Mapping[str, str | int] | None = None) -> None:
        """Run a statement."""
        self._check()
        # The prefix marks every statement of this write, so that `stop` finds it.
        self.client.command(f"{sql} /* {self.prefix} */", settings=settings)

    def table(
        self,
        select: str,
        *,
        name: str,
        engine: str = "Memory",
        settings: Mapping[str, str | int] | None = None,
    ) -> str:
        """Store a SELECT in a table of its own and return the table's name."""
        table = f"{self.prefix}_{name}_{next(self._numbers)}"
        self._tables.add(table)
        self.command(f"CREATE TABLE {table} ENGINE = {engine} AS {select}", settings)
        return table

    def drop(self, *tables: str) -> None:
        """Drop tables; one may be named twice, or be gone already."""
        for table in {*tables} & self._tables:
            self._tables.discard(table)
            self.client.command(f"DROP TABLE IF EXISTS {table} SYNC")

    def stop(self) -> None:
        """Refuse further statements and end the running ones, of all threads."""
        self._stopped.set()
        with suppress(EngineError):
            self.client.command(f"KILL QUERY WHERE position(query, {string(self.prefix)}) > 0 ASYNC")

    def _check(self) -> None:
        if self._stopped.is_set():
            raise QueryCancelled("the write was stopped")


@contextmanager
def write_session(store: EventStore, write_id: str) -> Iterator[Session]:
    """Open a session; when the block fails, remove the files it wrote and say in our words why.

    Raises:
        StoreError: The disk is full or cannot be written.
        ImportFailed: ClickHouse could not carry it out.
    """
    from posthog_events.clickhouse.client import Client

    temporary = store.path / "tmp"
    with Client.open("chdb://memory") as client:
        session = Session(client, f"write_{write_id.replace('-', '_')}", temporary)
        try:
            yield session
        except BaseException as exc:
            session.stop()
            _forget(store, write_id)
            if isinstance(exc, OSError | EngineError) and not isinstance(exc, StoreError):
                raise _explained(store.path, exc) from exc
            raise
        finally:
            with suppress(EngineError):
                session.drop(*session._tables)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(exist_ok=True)


def _forget(store: EventStore, write_id: str) -> None:
    named = {file.name for file in store.manifest().files}
    for path in store.data.glob(f"*{write_id}*"):
        # The error may have come after the commit.
        if path.name not in named:
            path.unlink(missing_ok=True)


def _explained(path: Path, exc: Exception) -> PostHogEventsError:
    if getattr(exc, "errno", None) in _FULL or any(words in str(exc) for words in _FULL_WORDS):
        return StoreError(f"no space is left to write to {path}; nothing was changed. Free some space and try again")
    if isinstance(exc, OSError):
        return StoreError(f"{exc.filename or path} cannot be used ({exc.strerror or exc}); nothing was changed")
    return ImportFailed(f"ClickHouse could not carry this out, and nothing was changed: {exc}")
