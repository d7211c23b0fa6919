"""The inbox in a file, for one machine: SQLite, from the standard library.

One thread of the process writes, and shares its commits among all who wait. Other processes may have the same inbox
open; SQLite lets one write at a time. The file must be on a local disk, because its index is shared memory.

What is acknowledged must be found again. So after each commit the files are looked at: they must still be the ones that
were opened, because SQLite writes on happily when somebody removed them. A damaged database is set aside as soon as
that is seen, and this object then refuses everything, so that nothing is served from it and nothing added to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from posthog_events.errors import InboxCorrupt, InboxError
from posthog_events.receiver.inbox import DEDUP_FOR
from posthog_events.receiver.inbox_rows import Damaged
from posthog_events.receiver.inbox_sql import Cursor
from posthog_events.receiver.sqlite_errors import concerns_all, inbox_error, is_damage
from posthog_events.receiver.sqlite_files import SqliteFile
from posthog_events.receiver.stored_inbox import MAX_WAITING, MAX_WAITING_BYTES, Failure, StoredInbox

__all__ = ["SqliteInbox"]

LOCK_TIMEOUT_S = 2.0
"""PostHog hangs up after three seconds; until then it can be told to come again."""


class SqliteInbox(StoredInbox):
    """An `Inbox` in a file; see there for what its methods do.

    Opening reads the whole database once, to see whether it is sound.

    Args:
        path: Made with its directory when it is not there, for nobody else to read.
        lock_timeout_s: How long to wait while another process writes, before InboxError.

    Raises:
        InboxCorrupt: It is damaged, and was set aside. Opening it again begins a new one.
        InboxError: It cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        dedup_for: timedelta = DEDUP_FOR,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
    ) -> None:
        store = _SqliteStore(SqliteFile(path, lock_timeout_s=lock_timeout_s))
        super().__init__(store, dedup_for=dedup_for, max_waiting=max_waiting, max_waiting_bytes=max_waiting_bytes)


class _SqliteStore:
    for_update = ""

    def __init__(self, file: SqliteFile) -> None:
        self._file, self._open = file, ExitStack()
        self._damage: InboxCorrupt | None = None
        file.prepare()
        try:
            self._writer = self._open.enter_context(file.connection())
            # the log is there from the first reading on
            self._writer.execute("SELECT next_seq FROM inbox_meta").fetchone()
        except sqlite3.Error as error:
            self._open.close()
            raise inbox_error(error, file.path) from error
        self._identity = file.identity()

    @contextmanager
    def writing(self) -> Iterator[Cursor]:
        with self._watched():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer.cursor()
                self._writer.execute("COMMIT")
            except BaseException:
                # a failed COMMIT leaves the transaction open, a full disk may have ended it
                with suppress(sqlite3.Error):
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                raise
            self._check_identity()

    @contextmanager
    def reading(self) -> Iterator[Cursor]:
        # reads are rare: for people, metrics, and reconciling
        with self._watched(), self._file.connection(read_only=True) as connection:
            self._check_identity()
            connection.execute("BEGIN")
            yield connection.cursor()

    def failure(self, error: Exception) -> Failure:
        if self._damage is not None:
            return Failure(InboxCorrupt(*self._damage.args), of_all=True)
        if isinstance(error, InboxError):
            return Failure(InboxError(*error.args), of_all=True)
        if isinstance(error, sqlite3.Error):
            return Failure(inbox_error(error, self._file.path), of_all=concerns_all(error))
        if isinstance(error, OSError):
            return Failure(InboxError(f"the inbox {self._file.path} cannot be opened: {error}"), of_all=True)
        return Failure(error, of_all=False)

    def close(self) -> None:
        self._open.close()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        if self._damage is not None:
            raise self._damage
        try:
            yield
        except Damaged as error:
            self._set_aside(str(error))
            raise
        except sqlite3.Error as error:
            if is_damage(error):
                self._set_aside(str(error))
            raise

    def _set_aside(self, reason: str) -> None:
        if self._damage is None and self._identity is not None:
            self._damage = self._file.set_aside(self._identity[0], reason)

    def _check_identity(self) -> None:
        if self._identity is None or self._file.identity() != self._identity:
            raise InboxError(f"the inbox {self._file.path} was moved or removed while it was open; restart")
