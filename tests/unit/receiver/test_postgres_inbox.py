"""The inbox in PostgreSQL: its server's restarts, crashes, locks and settings.

What every inbox does is in tests/contract/test_inbox.py.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from posthog_events.errors import ConfigError, InboxCorrupt, InboxError, MissingExtra
from posthog_events.receiver.postgres_inbox import PostgresInbox
from tests.helpers.inbox_entries import START, entry
from tests.helpers.postgres_server import Server, postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running server."""
    with postgres() as running:
        yield running


@pytest.fixture
def sql(server: Server) -> Iterator[Callable[[str], object]]:
    """Run a statement on a connection of its own; there is no inbox yet."""
    import psycopg

    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS inbox_meta, inbox_entries, inbox_tasks, inbox_seen")
        yield connection.execute


def test_a_server_that_restarts_is_found_again(server: Server, sql: Callable[[str], object]) -> None:
    """Nothing is acknowledged while it is away, and nothing has to be opened again afterwards."""
    with closing(PostgresInbox(server.dsn)) as inbox:
        inbox.add([entry()])
        server.stop()

        with pytest.raises(InboxError, match="in PostgreSQL cannot be read or written"):
            inbox.add([entry()])
        with pytest.raises(InboxError, match="in PostgreSQL cannot be read or written"):
            inbox.counts()

        server.start()
        assert not inbox.add([entry()])[0].duplicate
        assert 2 == inbox.counts().entries


def test_a_crash_of_the_server_loses_nothing_that_was_acknowledged(
    server: Server, sql: Callable[[str], object]
) -> None:
    """It stops without writing anything more, and recovers from its log."""
    acknowledged: list[str] = []
    with closing(PostgresInbox(server.dsn)) as inbox:

        def send(number: int) -> None:
            for count in range(10_000):
                name = f"{number}-{count}"
                try:
                    inbox.add([entry(name, None)])
                except InboxError:
                    return
                acknowledged.append(name)

        with ThreadPoolExecutor(4) as pool:
            for number in range(4):
                pool.submit(send, number)
            while len(acknowledged) < 300:
                threading.Event().wait(0.01)
            server.stop("immediate")
        server.start()

        present = [record.entry.delivery_id for record in inbox.list(limit=100_000)]
    assert set() == set(acknowledged) - set(present)
    assert len(set(present)) == len(present)


def test_commits_wait_for_the_disk_whatever_the_default_is(server: Server, sql: Callable[[str], object]) -> None:
    """A database may be set not to wait, which is right for others."""
    sql("ALTER DATABASE postgres SET synchronous_commit = off")
    try:
        with closing(PostgresInbox(server.dsn)) as inbox:

            def show(cursor: object) -> object:
                cursor.execute("SHOW synchronous_commit")  # type: ignore[attr-defined]
                return cursor.fetchone()  # type: ignore[attr-defined]

            assert ("on",) == inbox._write(show)
    finally:
        sql("ALTER DATABASE postgres RESET synchronous_commit")


def test_a_lock_is_waited_for_and_reported(server: Server, sql: Callable[[str], object]) -> None:
    """Somebody else's open transaction delays, and then refuses; nothing is acknowledged."""
    with closing(PostgresInbox(server.dsn, lock_timeout_s=0.05)) as inbox:
        sql("BEGIN")
        sql("UPDATE inbox_meta SET next_seq = next_seq")

        with pytest.raises(InboxError, match="is locked: somebody writes for too long"):
            inbox.add([entry("d", None)])

        sql("ROLLBACK")
        assert not inbox.add([entry("d", None)])[0].duplicate


def test_an_inbox_of_a_newer_version_is_left_alone(server: Server, sql: Callable[[str], object]) -> None:
    """An older program does not guess at what a newer one wrote."""
    PostgresInbox(server.dsn).close()
    sql("UPDATE inbox_meta SET version = 2")

    with pytest.raises(InboxError, match="has version 2, and this is for version 1"):
        PostgresInbox(server.dsn)


def test_several_who_open_at_once_share_one(server: Server, sql: Callable[[str], object]) -> None:
    """The first makes the tables, and the others find them complete."""
    with ThreadPoolExecutor(6) as pool:
        inboxes = list(pool.map(lambda _: PostgresInbox(server.dsn), range(6)))
    for inbox in inboxes:
        inbox.add([entry()])

    assert [6] * 6 == [inbox.counts().entries for inbox in inboxes]
    for inbox in inboxes:
        inbox.close()


def test_a_changed_body_is_not_served(server: Server, sql: Callable[[str], object]) -> None:
    """The checksum of an entry holds in every database."""
    with closing(PostgresInbox(server.dsn)) as inbox:
        inbox.add([entry()])
        sql("UPDATE inbox_entries SET body = 'x'")

        with pytest.raises(InboxCorrupt, match="entry 1 does not match its checksum"):
            inbox.claim(now=START, lease_s=60, limit=1)


def test_a_server_that_cannot_be_reached_is_one_sentence_without_the_password() -> None:
    """The message may go into a log."""
    with pytest.raises(InboxError) as caught:
        PostgresInbox("postgresql://somebody:hush@127.0.0.1:1/inbox")

    assert "cannot be read or written" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_dsn_that_is_none_is_one_sentence_without_it() -> None:
    """It may hold a password all the same."""
    with pytest.raises(ConfigError, match="DSN of the inbox cannot be read") as caught:
        PostgresInbox("postgresql://somebody:hu=sh@[oops/inbox")

    assert "hu=sh" not in str(caught.value)


def test_without_its_driver_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most people need no PostgreSQL."""
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(MissingExtra, match=r"posthog-events\[postgres\]"):
        PostgresInbox("")
