"""Every implementation of an inbox, for the contract tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from posthog_events.receiver.inbox import Inbox
from posthog_events.receiver.postgres_inbox import PostgresInbox
from posthog_events.receiver.sqlite_inbox import SqliteInbox
from tests.helpers.postgres_server import Server, postgres

__all__ = ["IMPLEMENTATIONS", "Open", "database", "opener"]

IMPLEMENTATIONS = ("sqlite", "postgres")

Open = Callable[..., Inbox]


@contextmanager
def database(kind: str) -> Iterator[Server | None]:
    """Start the server of an implementation that needs one; skips the test where there is none."""
    if kind == "sqlite":
        yield None
    else:
        with postgres() as running:
            yield running


@contextmanager
def opener(server: Server | None, directory: Path) -> Iterator[Open]:
    """Give a function that opens an inbox, at first empty, as often as it is called; all are closed at the end."""
    if server is not None:
        import psycopg

        with psycopg.connect(server.dsn) as connection:
            connection.execute("DROP TABLE IF EXISTS inbox_meta, inbox_entries, inbox_tasks, inbox_seen")

    with ExitStack() as opened:

        def open_inbox(**options: Any) -> Inbox:
            if server is None:
                inbox: Inbox = SqliteInbox(directory / "inbox.db", **options)
            else:
                inbox = PostgresInbox(server.dsn, **options)
            opened.callback(inbox.close)
            return inbox

        yield open_inbox
