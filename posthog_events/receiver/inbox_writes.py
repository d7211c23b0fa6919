"""What an inbox writes to its tables, in SQL that SQLite and PostgreSQL both understand.

Every function works in a transaction that its caller began and commits. In SQLite a writing transaction has the whole
database for itself. In PostgreSQL, where several have not, the row of `inbox_meta` is the lock of those that must not
meet: whoever updates it has it until the commit, and what the statements after it see includes what the one before
committed. So numbers become visible in their order, and no two transactions look for the same id at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from posthog_events.receiver.inbox import Added, State, Task
from posthog_events.receiver.inbox_rows import ENTRY_COLUMNS, Damaged, Prepared, decide, entry_of, storable, us
from posthog_events.receiver.inbox_sql import PARAMETERS, Cursor, chunks, marks, possible, rows_of

__all__ = ["add", "claim", "drop", "finish", "forget", "prune", "retry"]

ROWS_AT_ONCE = 128
"""How many rows one statement inserts."""

KEYS_AT_ONCE = (2, 16, 64, 128)
"""How many keys one statement looks for: few lengths, so that each is compiled once."""

ERROR_CHARACTERS = 2_000


def add(cursor: Cursor, batches: Sequence[Sequence[Prepared]], *, dedup_for_us: int) -> list[tuple[Added, ...]]:
    """Write the entries that are new, with their tasks, and return the answers, batch by batch."""
    entries = [entry for batch in batches for entry in batch]
    # duplicates leave gaps in the numbers
    cursor.execute("UPDATE inbox_meta SET next_seq = next_seq + ? RETURNING next_seq", (len(entries),))
    first_seq = cursor.fetchone()[0] - len(entries)
    known: dict[bytes, tuple[int, int]] = {}
    digests = list({key.digest for entry in entries for key in entry.keys})
    for some in chunks(digests):
        step = next((keys for keys in KEYS_AT_ONCE if len(some) <= keys), KEYS_AT_ONCE[-1])
        some = [*some, *([some[0]] * (-len(some) % step))]
        cursor.execute(f"SELECT digest, seq, at FROM inbox_seen WHERE digest IN ({marks(some)})", some)
        known |= {bytes(digest): (seq, at) for digest, seq, at in cursor.fetchall()}

    verdict = decide(entries, known, first_seq=first_seq, dedup_for_us=dedup_for_us)
    _insert(cursor, "inbox_entries", ENTRY_COLUMNS, [(seq, *entry.row) for seq, entry in verdict.new])
    _insert(
        cursor,
        "inbox_seen",
        ("digest", "seq", "at", "destination", "event_uuid"),
        [
            (key.digest, seq, entry.received_at, entry.destination, key.event_uuid)
            for seq, entry in verdict.new
            for key in entry.keys
        ],
        # one that was remembered long enough, and not forgotten yet
        "ON CONFLICT (digest) DO UPDATE SET seq = excluded.seq, at = excluded.at",
    )
    _insert(
        cursor,
        "inbox_tasks",
        ("seq", "handler", "state", "attempt", "lease", "error", "person", "due_at", "changed_at"),
        [
            (seq, handler, State.WAITING.value, 0, 0, "", entry.person, entry.received_at, entry.received_at)
            for seq, entry in verdict.new
            for handler in entry.handlers
        ],
    )
    added = iter(verdict.added)
    return [tuple(next(added) for _ in batch) for batch in batches]


def claim(
    cursor: Cursor,
    *,
    now: datetime,
    lease_s: float,
    limit: int,
    ordered: bool,
    handlers: Sequence[str] | None,
    for_update: str,
) -> tuple[Task, ...]:
    """Lease tasks that are due.

    Args:
        for_update: What keeps others from taking the same rows, where a transaction does not.
    """
    conditions, values = ["due_at <= ?"], list[Any]([us(now)])
    if handlers is not None:
        conditions.append(f"handler IN ({marks(handlers)})" if handlers else "1 = 0")
        values += handlers
    if ordered:
        conditions.append(
            "NOT EXISTS (SELECT 1 FROM inbox_tasks AS earlier WHERE earlier.handler = task.handler "
            "AND earlier.person = task.person AND earlier.seq < task.seq AND earlier.due_at IS NOT NULL)"
        )
    cursor.execute(
        f"SELECT seq, handler, attempt + 1, lease + 1 FROM inbox_tasks AS task WHERE {' AND '.join(conditions)} "
        f"ORDER BY due_at, seq, handler LIMIT ? {for_update}",
        (*values, limit),
    )
    leased = cursor.fetchall()
    lease_end = us(now) + round(lease_s * 1e6)
    cursor.executemany(
        "UPDATE inbox_tasks SET state = 'running', attempt = ?, lease = ?, due_at = ?, changed_at = ? "
        "WHERE seq = ? AND handler = ?",
        [(attempt, lease, lease_end, us(now), seq, handler) for seq, handler, attempt, lease in leased],
    )
    entries = {row[0]: entry_of(row) for row in rows_of(cursor, {seq for seq, *_ in leased})}
    if lost := {seq for seq, *_ in leased} - set(entries):
        raise Damaged(f"entry {min(lost)} has tasks but is gone")
    return tuple(Task(seq, handler, attempt, lease, entries[seq]) for seq, handler, attempt, lease in leased)


def finish(cursor: Cursor, task: Task, state: State, *, error: str, due_at: datetime | None, now: datetime) -> bool:
    """Write the outcome of a claim, if it is still the task's last."""
    cursor.execute(
        "UPDATE inbox_tasks SET state = ?, error = ?, due_at = ?, changed_at = ? "
        "WHERE seq = ? AND handler = ? AND lease = ? AND state = 'running'",
        (
            state.value,
            storable(error[:ERROR_CHARACTERS]),
            None if due_at is None else us(due_at),
            us(now),
            task.seq,
            task.handler,
            task.lease,
        ),
    )
    return cursor.rowcount == 1


def retry(cursor: Cursor, seqs: Sequence[int], *, now: datetime, handler: str | None, done: bool) -> int:
    """Put tasks back to the beginning."""
    states = [State.WAITING, State.DEAD, State.DROPPED, *([State.DONE] if done else [])]
    return _set(cursor, seqs, "state = 'waiting', attempt = 0, due_at = ?", us(now), states, now=now, handler=handler)


def drop(cursor: Cursor, seqs: Sequence[int], *, now: datetime, handler: str | None) -> int:
    """Give tasks up."""
    states = [State.WAITING, State.RUNNING, State.DEAD]
    return _set(cursor, seqs, "state = 'dropped', due_at = ?", None, states, now=now, handler=handler)


def _set(
    cursor: Cursor,
    seqs: Sequence[int],
    assignments: str,
    due_at: int | None,
    states: Sequence[State],
    *,
    now: datetime,
    handler: str | None,
) -> int:
    _lock(cursor)
    condition, values = ("", ()) if handler is None else ("AND handler = ?", (handler,))
    changed = 0
    for some in chunks(possible(seqs)):
        cursor.execute(
            f"UPDATE inbox_tasks SET {assignments}, changed_at = ? "
            f"WHERE seq IN ({marks(some)}) AND state IN ({marks(states)}) {condition}",
            (due_at, us(now), *some, *(state.value for state in states), *values),
        )
        changed += cursor.rowcount
    return changed


def prune(cursor: Cursor, *, before: datetime) -> int:
    """Delete some of the entries that nothing will happen to any more; nothing is left to delete when it returns 0."""
    _lock(cursor)
    cursor.execute(
        "SELECT seq FROM inbox_entries AS entry WHERE received_at < ? AND NOT EXISTS ("
        "SELECT 1 FROM inbox_tasks AS task WHERE task.seq = entry.seq AND task.state NOT IN ('done', 'dropped')"
        ") ORDER BY received_at LIMIT ?",
        (us(before), PARAMETERS),
    )
    seqs = [seq for (seq,) in cursor.fetchall()]
    if seqs:
        cursor.execute(f"DELETE FROM inbox_tasks WHERE seq IN ({marks(seqs)})", seqs)
        cursor.execute(f"DELETE FROM inbox_entries WHERE seq IN ({marks(seqs)})", seqs)
    return len(seqs)


def forget(cursor: Cursor, *, seen_before_us: int) -> int:
    """Delete some of the ids that were remembered long enough; nothing is left to delete when it returns 0."""
    _lock(cursor)
    cursor.execute(
        "DELETE FROM inbox_seen WHERE digest IN (SELECT digest FROM inbox_seen WHERE at <= ? LIMIT ?)",
        (seen_before_us, PARAMETERS),
    )
    return cursor.rowcount


def _insert(
    cursor: Cursor, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], conflict: str = ""
) -> None:
    """Insert rows, many with one statement.

    Python's driver gives up the interpreter for each step of SQLite and has to get it back from a busy event loop,
    which takes a millisecond or two: with `executemany` that is each row. To compile a statement for one more number of
    rows costs less than to insert them with two.
    """
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        cursor.execute(_insertion(table, columns, conflict, len(some)), [value for row in some for value in row])


@cache
def _insertion(table: str, columns: Sequence[str], conflict: str, count: int) -> str:
    rows = ", ".join([f"({marks(columns)})"] * count)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {rows} {conflict}"


def _lock(cursor: Cursor) -> None:
    cursor.execute("UPDATE inbox_meta SET next_seq = next_seq")
