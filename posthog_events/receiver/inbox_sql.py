"""What the queries of an inbox have in common: a cursor, lists of values, and the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from posthog_events.receiver.inbox import State
from posthog_events.receiver.inbox_rows import ENTRY_COLUMNS

__all__ = ["LARGEST", "PARAMETERS", "Cursor", "chunks", "marks", "possible", "rows_of", "schema"]

PARAMETERS = 900
"""Values of one IN list, and rows that are deleted at once."""

LARGEST = 2**63 - 1
"""The databases' largest number; people may type larger ones."""


class Cursor(Protocol):
    """What both drivers have. Placeholders are question marks."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Any: ...

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]], /) -> Any: ...

    def fetchone(self) -> Any: ...

    def fetchmany(self, size: int, /) -> Sequence[Any]: ...

    def fetchall(self) -> Sequence[Any]: ...


def schema(*, blob: str, bigint: str, clustered: str = "") -> tuple[str, ...]:
    """Return the statements that make the tables.

    Entries are found by number. Tasks that can still run have a `due_at`, and only they are in the indexes that claims
    read, so that these stay small whatever the inbox keeps.

    Args:
        clustered: What makes SQLite store a table in the order of its primary key.
    """
    states = ", ".join(f"'{state.value}'" for state in State)
    return (
        f"CREATE TABLE inbox_meta (version {bigint} NOT NULL, next_seq {bigint} NOT NULL)",
        "INSERT INTO inbox_meta (version, next_seq) VALUES (1, 1)",
        f"""CREATE TABLE inbox_entries (
            seq {bigint} PRIMARY KEY, delivery_id TEXT, destination TEXT NOT NULL, event_uuid TEXT, event TEXT NOT NULL,
            distinct_id TEXT NOT NULL, body {blob} NOT NULL, headers TEXT NOT NULL, handlers TEXT NOT NULL,
            received_at {bigint} NOT NULL, checksum {bigint} NOT NULL
        )""",
        "CREATE INDEX inbox_entries_received ON inbox_entries (received_at)",
        f"""CREATE TABLE inbox_seen (
            digest {blob} PRIMARY KEY, seq {bigint} NOT NULL, at {bigint} NOT NULL, destination TEXT NOT NULL,
            event_uuid TEXT
        ) {clustered}""",
        "CREATE INDEX inbox_seen_at ON inbox_seen (at)",
        f"""CREATE TABLE inbox_tasks (
            seq {bigint} NOT NULL, handler TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ({states})),
            attempt {bigint} NOT NULL, lease {bigint} NOT NULL, error TEXT NOT NULL, person {bigint}, due_at {bigint},
            changed_at {bigint} NOT NULL, PRIMARY KEY (seq, handler)
        ) {clustered}""",
        "CREATE INDEX inbox_tasks_due ON inbox_tasks (due_at, seq) WHERE due_at IS NOT NULL",
        # each handler claims for itself, and the first of a long queue must be found without sorting all of it
        "CREATE INDEX inbox_tasks_lane ON inbox_tasks (handler, due_at, seq) WHERE due_at IS NOT NULL",
        "CREATE INDEX inbox_tasks_order ON inbox_tasks (handler, person, seq) WHERE due_at IS NOT NULL",
        "CREATE INDEX inbox_tasks_dead ON inbox_tasks (seq) WHERE state = 'dead'",
    )


def rows_of(cursor: Cursor, seqs: set[int]) -> Iterator[Sequence[Any]]:
    for some in chunks(possible(sorted(seqs))):
        cursor.execute(f"SELECT {', '.join(ENTRY_COLUMNS)} FROM inbox_entries WHERE seq IN ({marks(some)})", some)
        yield from cursor.fetchall()


def possible(seqs: Sequence[int]) -> Sequence[int]:
    """Return the numbers that an entry can have."""
    return [seq for seq in seqs if 0 < seq <= LARGEST]


def chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut values into lists that one statement takes."""
    return (values[start : start + PARAMETERS] for start in range(0, len(values), PARAMETERS))


def marks(values: Sequence[Any]) -> str:
    """Return a placeholder for each value."""
    return ", ".join("?" * len(values))
