"""The inbox in PostgreSQL, for several machines that receive for one project.

One thread of the process writes, over one connection, and shares its commits among all who wait. What several of them
must not do at the same time, the row of `inbox_meta` keeps apart (see `inbox_writes`); two that claim skip the rows of
each other. A connection that breaks is opened again for the next transaction. When it breaks during a commit, nobody
knows whether that was carried out: nothing is acknowledged, the sender comes again, and is recognised if it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from posthog_events.errors import ConfigError, InboxCorrupt, InboxError, MissingExtra
from posthog_events.receiver.inbox import DEDUP_FOR
from posthog_events.receiver.inbox_rows import Damaged
from posthog_events.receiver.inbox_sql import Cursor, schema
from posthog_events.receiver.stored_inbox import MAX_WAITING, MAX_WAITING_BYTES, Failure, StoredInbox

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresInbox"]

SCHEMA_VERSION = 1

LOCK_TIMEOUT_S = 2.0
"""PostHog hangs up after three seconds; until then it can be told to come again."""

CREATING = 0x50484942
"""The advisory lock of those who make the tables."""


class PostgresInbox(StoredInbox):
    """An `Inbox` in a PostgreSQL database; see there for what its methods do.

    Its four tables are made in the first schema of the search path when they are not there; their names begin with
    `inbox_`. Commits wait for the server's log to be on the disk, whatever the database's default is.

    Args:
        dsn: As libpq takes it: `postgresql://user@host/database`, or `host=... dbname=...`.
        lock_timeout_s: How long to wait for a lock, and for a connection, before InboxError.

    Raises:
        MissingExtra: psycopg is not installed.
        ConfigError: The DSN is none.
        InboxError: The database cannot be reached or used, or a newer version made the tables.
    """

    def __init__(
        self,
        dsn: str,
        *,
        dedup_for: timedelta = DEDUP_FOR,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
    ) -> None:
        store = _PostgresStore(dsn, lock_timeout_s=lock_timeout_s)
        super().__init__(store, dedup_for=dedup_for, max_waiting=max_waiting, max_waiting_bytes=max_waiting_bytes)


class _PostgresStore:
    for_update = "FOR UPDATE OF task SKIP LOCKED"

    def __init__(self, dsn: str, *, lock_timeout_s: float) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise MissingExtra("An inbox in PostgreSQL", "postgres") from error
        try:
            psycopg.conninfo.conninfo_to_dict(dsn)
        except psycopg.ProgrammingError:
            # libpq quotes it, and it may hold a password
            raise ConfigError(
                "the DSN of the inbox cannot be read; write it as postgresql://user@host/database"
            ) from None
        self._psycopg, self._dsn, self._lock_timeout_s = psycopg, dsn, lock_timeout_s
        self._writer: psycopg.Connection[Any] | None = None
        try:
            self._make_tables()
        except psycopg.Error as error:
            raise self.failure(error).error from error

    @contextmanager
    def writing(self) -> Iterator[Cursor]:
        if self._writer is None:
            self._writer = self._connect()
        try:
            with self._writer.cursor() as cursor:
                yield _Cursor(cursor)
            self._writer.commit()
        except BaseException:
            with suppress(self._psycopg.Error):
                self._writer.rollback()
            if self._writer.closed or self._writer.broken:
                self._writer = None
            raise

    @contextmanager
    def reading(self) -> Iterator[Cursor]:
        # reads are rare: for people, metrics, and reconciling
        with self._connect() as connection:
            connection.isolation_level = self._psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            # a cursor of the server's for each query, so that a long answer is not all in memory
            with connection.cursor() as cursor:
                yield _Cursor(cursor)

    def failure(self, error: Exception) -> Failure:
        if isinstance(error, InboxError):
            return Failure(InboxError(*error.args), of_all=True)
        if isinstance(error, Damaged):
            return Failure(InboxCorrupt(f"the inbox in PostgreSQL is damaged: {error}"), of_all=False)
        if not isinstance(error, self._psycopg.Error):
            return Failure(error, of_all=False)
        # libpq's messages name the host and the user, and never the password
        said = str(error.diag.message_primary or error).strip()
        if isinstance(error, self._psycopg.errors.LockNotAvailable):
            return Failure(InboxError("the inbox in PostgreSQL is locked: somebody writes for too long"), of_all=True)
        # a deadlock is over when one of the two has given up
        lone = isinstance(error, self._psycopg.DataError | self._psycopg.errors.DeadlockDetected)
        return Failure(InboxError(f"the inbox in PostgreSQL cannot be read or written: {said}"), of_all=not lone)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _connect(self) -> psycopg.Connection[Any]:
        milliseconds = round(self._lock_timeout_s * 1_000)
        return self._psycopg.connect(
            self._dsn,
            # libpq's least
            connect_timeout=max(2, round(self._lock_timeout_s)),
            options=f"-c synchronous_commit=on -c lock_timeout={milliseconds} -c client_min_messages=warning",
            application_name="posthog-events",
        )

    def _make_tables(self) -> None:
        with self._connect() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (CREATING,))
            (table,) = connection.execute("SELECT to_regclass('inbox_meta')").fetchone() or (None,)
            if table is None:
                for statement in schema(blob="BYTEA", bigint="BIGINT"):
                    connection.execute(statement)
            (version,) = connection.execute("SELECT version FROM inbox_meta").fetchone() or (0,)
            if version != SCHEMA_VERSION:
                raise InboxError(
                    f"the inbox in PostgreSQL has version {version}, and this is for version {SCHEMA_VERSION}; "
                    "use the newer posthog-events that made it"
                )


class _Cursor:
    """psycopg's cursor, for statements with question marks."""

    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor
        self.fetchone, self.fetchmany, self.fetchall = cursor.fetchone, cursor.fetchmany, cursor.fetchall

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Any:
        return self._cursor.execute(sql.replace("?", "%s"), values)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]], /) -> Any:
        # psycopg sends them without waiting for each answer
        return self._cursor.executemany(sql.replace("?", "%s"), rows)
