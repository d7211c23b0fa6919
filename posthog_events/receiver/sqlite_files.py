"""The file of a SQLite inbox: how it is made, opened, recognised, found damaged, and set aside.

Three files belong together: the database, its write-ahead log (`-wal`) and the log's index (`-shm`). SQLite finds the
last two by name, and whoever closes a database last removes them by name. So a damaged inbox that was renamed must not
be followed by a new one of the same name while a process still has the old one open: its closing would remove the new
log, with deliveries in it. Everyone who has the database open therefore holds `<name>.lock` shared, and making a new
database needs it exclusively.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from posthog_events.errors import InboxCorrupt, InboxError
from posthog_events.receiver.inbox_sql import schema
from posthog_events.receiver.sqlite_errors import inbox_error, is_damage

__all__ = ["SqliteFile"]

APPLICATION_ID = 0x50484942
"""Says in the header of the file that it is ours: "PHIB"."""

SCHEMA_VERSION = 1

MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
APPLICATION_ID_AT = slice(68, 72)
"""Source: sqlite.org/fileformat.html, 1.3."""

OPEN_WAIT_S = 5.0
"""For another process to finish making the database, or to close one that was set aside."""

PAGE_BYTES = 8_192
"""Three deliveries of 2 KB; of SQLite's usual 4,096 each would take one, and leave half of it empty."""

WAL_PAGES = 2_000
"""16 MB of log between checkpoints, which one of a few thousand deliveries waits for."""

Identity = tuple[int, int]


class SqliteFile:
    """The place of an inbox on the disk.

    Args:
        lock_timeout_s: How long to wait while another process writes.
    """

    def __init__(self, path: Path, *, lock_timeout_s: float) -> None:
        self.path = path.absolute()
        self._lock_timeout_s = lock_timeout_s

    @property
    def wal(self) -> Path:
        """The write-ahead log."""
        return self._beside("-wal")

    def prepare(self) -> None:
        """Make the database if there is none, and check the one that is there.

        Raises:
            InboxCorrupt: It is damaged, and was set aside. Nothing is at the path now.
            InboxError: It cannot be read or written, or is not an inbox; it was left alone.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._created():
                found = _identity(self.path)
                self._check_header(found)
                try:
                    with self.connection() as connection:
                        self._check(connection, found)
                except sqlite3.Error as error:
                    if is_damage(error):
                        raise self.set_aside(found, str(error)) from error
                    raise
        except OSError as error:
            raise InboxError(f"the inbox {self.path} cannot be opened: {error.strerror or error}") from error
        except sqlite3.Error as error:
            raise inbox_error(error, self.path) from error

    @contextmanager
    def connection(self, *, read_only: bool = False) -> Iterator[sqlite3.Connection]:
        """Open the database, which must be there, and close it at the end."""
        with self._locked() as locked:
            _flock(locked, exclusive=False)
            # mode=rw: the default would make an empty database where ours was removed
            with closing(
                sqlite3.connect(
                    f"{self.path.as_uri()}?mode=rw",
                    uri=True,
                    timeout=self._lock_timeout_s,
                    isolation_level=None,
                    check_same_thread=False,
                )
            ) as connection:
                # FULL: a commit is on the disk when it returns
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(f"PRAGMA wal_autocheckpoint = {0 if read_only else WAL_PAGES}")
                connection.execute(f"PRAGMA query_only = {int(read_only)}")
                yield connection

    def identity(self) -> tuple[Identity, Identity] | None:
        """Return what tells these files from others of the same names; None when one is missing."""
        try:
            return _identity(self.path), _identity(self.wal)
        except OSError:
            return None

    def set_aside(self, found: Identity, reason: str) -> InboxCorrupt:
        """Rename the files, unless they are others by now, and return the error that says so.

        Args:
            found: Of the database that is damaged.
        """
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = self._beside(f".corrupt-{stamp}")
        try:
            if _identity(self.path) == found:
                self.path.rename(aside)
                self._rename_log(aside)
                self._sync_directory()
        except FileNotFoundError:
            # another process was faster
            return InboxCorrupt(f"the inbox {self.path} is damaged ({reason}); another process has set it aside")
        except OSError as error:
            return InboxCorrupt(
                f"the inbox {self.path} is damaged ({reason}) and cannot be set aside ({error.strerror}); "
                "move it away, with its -wal and -shm files"
            )
        return InboxCorrupt(
            f"the inbox {self.path} is damaged ({reason}). It is now {aside}; restart to begin a new one, and see what "
            "sqlite3 can recover from the old one with .recover"
        )

    @contextmanager
    def _created(self) -> Iterator[None]:
        """Make the database if there is none; nobody can make another one until the end."""
        deadline = time.monotonic() + OPEN_WAIT_S
        with self._locked() as locked:
            while True:
                _flock(locked, exclusive=False)
                if self.path.exists():
                    break
                try:
                    _flock(locked, exclusive=True, wait=False)
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise InboxError(
                            f"the inbox {self.path} is gone, and another process still has it open; stop that first"
                        ) from None
                    time.sleep(0.02)
                    continue
                if not self.path.exists():
                    self._create()
            yield

    def _create(self) -> None:
        if self.wal.exists() and self.wal.stat().st_size:
            # SQLite would apply it to the new database
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            aside = self._beside(f".corrupt-{stamp}")
            self._rename_log(aside)
            raise InboxCorrupt(f"the inbox {self.path} is gone but its log was there. That is now {aside}-wal")
        new = self._beside(".new")
        new.unlink(missing_ok=True)
        # before SQLite makes it with the usual permissions, which its other files take over
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN")
            for statement in schema(blob="BLOB", bigint="INTEGER", clustered="WITHOUT ROWID"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        # an inbox is there entirely or not at all, so that an empty file is always one that lost its content
        new.rename(self.path)
        self._sync_directory()

    def _check_header(self, found: Identity) -> None:
        with self.path.open("rb") as file:
            header = file.read(HEADER_BYTES)
        ours = header[APPLICATION_ID_AT] == APPLICATION_ID.to_bytes(4)
        if header.startswith(MAGIC) and ours:
            return
        if header and not ours and (header.startswith(MAGIC) or not self.wal.exists()):
            raise InboxError(f"{self.path} is not an inbox; choose another path")
        raise self.set_aside(found, "its header is not one of SQLite" if header else "it is empty")

    def _check(self, connection: sqlite3.Connection, found: Identity) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            raise InboxError(
                f"the inbox {self.path} has version {version}, and this is for version {SCHEMA_VERSION}; "
                "use the newer posthog-events that made it"
            )
        faults = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
        if faults != ["ok"]:
            raise self.set_aside(found, faults[0].splitlines()[-1])

    @contextmanager
    def _locked(self) -> Iterator[int]:
        file = os.open(self._beside(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            yield file
        finally:
            os.close(file)

    def _rename_log(self, aside: Path) -> None:
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                self._beside(suffix).rename(aside.with_name(aside.name + suffix))

    def _sync_directory(self) -> None:
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)


def _identity(path: Path) -> Identity:
    status = path.stat()
    return status.st_dev, status.st_ino


def _flock(file: int, *, exclusive: bool, wait: bool = True) -> None:
    # there is none on Windows, where this module must still be importable
    import fcntl

    fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
