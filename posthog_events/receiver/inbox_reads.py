"""What an inbox reads of its tables, in SQL that SQLite and PostgreSQL both understand.

Every function works in a transaction that its caller began, and that sees one state of the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from posthog_events.receiver.inbox import Counts, Outcome, Record, State
from posthog_events.receiver.inbox_rows import ENTRY_COLUMNS, entry_of, from_us, outcome_of, storable, us
from posthog_events.receiver.inbox_sql import LARGEST, Cursor, chunks, marks, rows_of

__all__ = ["counts", "event_uuids", "get", "records"]


def get(cursor: Cursor, seq: int) -> Record | None:
    """Read one record."""
    return next(iter(_records(cursor, list(rows_of(cursor, {seq})))), None)


def records(
    cursor: Cursor,
    *,
    state: State | None,
    handler: str | None,
    event: str | None,
    distinct_id: str | None,
    destination: str | None,
    before: int | None,
    limit: int,
) -> tuple[Record, ...]:
    """Read the newest records that meet every condition."""
    conditions, values = ["1 = 1"], list[Any]()
    for column, value in (("event", event), ("distinct_id", distinct_id), ("destination", destination)):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(storable(value))
    if before is not None:
        conditions.append("seq < ?")
        values.append(min(before, LARGEST))
    # the state is written out: a value would hide the index of the dead from SQLite
    of_task = [f"state = '{state.value}'"] if state is not None else []
    if handler is not None:
        of_task.append("handler = ?")
        values.append(handler)
    if of_task:
        conditions.append(f"seq IN (SELECT seq FROM inbox_tasks WHERE {' AND '.join(of_task)})")
    cursor.execute(
        f"SELECT {', '.join(ENTRY_COLUMNS)} FROM inbox_entries WHERE {' AND '.join(conditions)} "
        "ORDER BY seq DESC LIMIT ?",
        (*values, min(limit, LARGEST)),
    )
    return _records(cursor, cursor.fetchall())


def counts(cursor: Cursor) -> Counts:
    """Count entries, and tasks by state."""
    cursor.execute("SELECT count(*) FROM inbox_entries")
    (entries,) = cursor.fetchone()
    cursor.execute("SELECT state, count(*) FROM inbox_tasks GROUP BY state")
    found = dict(cursor.fetchall())
    cursor.execute("SELECT min(due_at) FROM inbox_tasks WHERE due_at IS NOT NULL")
    (due_at,) = cursor.fetchone()
    tasks = {state: int(found.get(state.value, 0)) for state in State}
    return Counts(entries=entries, tasks=tasks, due_since=None if due_at is None else from_us(due_at))


def event_uuids(cursor: Cursor, destination: str, *, since: datetime, until: datetime) -> Iterator[str]:
    """Read which events arrived, from the entries and from the memory of those that were pruned."""
    window = (destination, us(since), us(until))
    cursor.execute(
        "SELECT event_uuid FROM inbox_entries "
        "WHERE destination = ? AND received_at >= ? AND received_at < ? AND event_uuid <> '' "
        "UNION SELECT event_uuid FROM inbox_seen WHERE destination = ? AND at >= ? AND at < ? AND event_uuid <> ''",
        (*window, *window),
    )
    while rows := cursor.fetchmany(1_000):
        yield from (uuid for (uuid,) in rows)


def _records(cursor: Cursor, rows: Sequence[Sequence[Any]]) -> tuple[Record, ...]:
    outcomes: dict[int, list[Outcome]] = {row[0]: [] for row in rows}
    for some in chunks(list(outcomes)):
        cursor.execute(
            "SELECT seq, handler, state, attempt, error, due_at, changed_at FROM inbox_tasks "
            f"WHERE seq IN ({marks(some)})",
            some,
        )
        for seq, *values in cursor.fetchall():
            outcomes[seq].append(outcome_of(values))
    return tuple(
        Record(row[0], entry_of(row), tuple(sorted(outcomes[row[0]], key=lambda outcome: outcome.handler)))
        for row in rows
    )
