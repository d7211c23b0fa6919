"""What SQLite's errors mean for an inbox."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from posthog_events.errors import InboxError

__all__ = ["concerns_all", "inbox_error", "is_damage"]

DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
OF_ONE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH}


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is not what SQLite wrote."""
    # Python's own check of texts has no code
    return _code(error) in DAMAGE or str(error).startswith("Could not decode to UTF-8")


def concerns_all(error: sqlite3.Error) -> bool:
    """Whether another transaction with less to write would fail too."""
    return _code(error) is not None and _code(error) not in OF_ONE


def inbox_error(error: sqlite3.Error, path: Path) -> InboxError:
    """Return the error to raise for one that is no damage."""
    if _code(error) in LOCKED:
        return InboxError(f"the inbox {path} is locked: another process has been writing for too long")
    if _code(error) == sqlite3.SQLITE_FULL:
        return InboxError(f"the inbox {path} cannot grow: the disk is full")
    return InboxError(f"the inbox {path} cannot be read or written: {error}")


def _code(error: sqlite3.Error) -> int | None:
    extended = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else extended & 0xFF
