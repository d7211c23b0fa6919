"""Entries as rows of an inbox's tables, and which of them are duplicates. No IO.

Both implementations have the same tables, so all of this is common to them. Times are whole microseconds since 1970.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from posthog_events.receiver.inbox import Added, Entry, Outcome, State

__all__ = [
    "ENTRY_COLUMNS",
    "Damaged",
    "Key",
    "Prepared",
    "Verdict",
    "decide",
    "entry_of",
    "from_us",
    "outcome_of",
    "prepare",
    "storable",
    "us",
]

ENTRY_COLUMNS = (
    "seq",
    "delivery_id",
    "destination",
    "event_uuid",
    "event",
    "distinct_id",
    "body",
    "headers",
    "handlers",
    "received_at",
    "checksum",
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Damaged(Exception):
    """A row is not what was written: the file was changed by something else than the database."""


def us(time: datetime) -> int:
    """Return a time as the tables hold it; exact, as floating-point seconds are not."""
    return (time - _EPOCH) // _MICROSECOND


def from_us(number: int) -> datetime:
    """Return a time of the tables."""
    return _EPOCH + number * _MICROSECOND


class Key(NamedTuple):
    """What an entry is recognised by.

    Args:
        digest: Of fixed size, whatever senders put into their ids: an index entry has a largest size in PostgreSQL.
        event_uuid: Kept beside it to answer which events arrived; None for a delivery id.
    """

    digest: bytes
    event_uuid: str | None


class Prepared(NamedTuple):
    """An entry, ready to be written once it has a number.

    Args:
        row: The values of ENTRY_COLUMNS without the first.
        person: Stands for the distinct_id where order is kept; None keeps no order.
        received_at: In microseconds.
        size: About how many bytes it holds in memory.
    """

    row: tuple[Any, ...]
    destination: str
    handlers: tuple[str, ...]
    keys: tuple[Key, ...]
    person: int | None
    received_at: int
    size: int


def prepare(entry: Entry) -> Prepared:
    """Do all that can be done, and can go wrong, before an entry meets those of others."""
    received_at = us(entry.received_at)
    keys = []
    if entry.delivery_id:
        keys.append(Key(_digest("delivery", entry.delivery_id), None))
    if entry.event_uuid:
        keys.append(Key(_digest("event", entry.destination, entry.event_uuid), storable(entry.event_uuid)))
    row = (
        entry.delivery_id and storable(entry.delivery_id),
        entry.destination,
        entry.event_uuid and storable(entry.event_uuid),
        storable(entry.event),
        storable(entry.distinct_id),
        entry.body,
        _text({storable(name): storable(value) for name, value in entry.headers.items()}),
        _text(entry.handlers),
        received_at,
    )
    return Prepared(
        row=(*row, _checksum(row)),
        destination=entry.destination,
        handlers=entry.handlers,
        keys=tuple(keys),
        person=_person(entry.distinct_id),
        received_at=received_at,
        # 2,000 for the objects around the body: measured
        size=len(entry.body) + 2_000,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which entries are new, with their numbers, and the answer for each."""

    new: tuple[tuple[int, Prepared], ...]
    added: tuple[Added, ...]


def decide(
    entries: Iterable[Prepared], known: Mapping[bytes, tuple[int, int]], *, first_seq: int, dedup_for_us: int
) -> Verdict:
    """Tell new entries from those that came before, in this batch or earlier.

    Args:
        known: For every key of the entries that is remembered, the number and the time of the entry it came with.
    """
    seen, new, added, seq = dict(known), [], [], first_seq
    for entry in entries:
        since = entry.received_at - dedup_for_us
        earlier = [seen[key.digest] for key in entry.keys if key.digest in seen]
        first = next((number for number, at in earlier if at > since), None) if earlier else None
        if first is not None:
            added.append(Added(first, duplicate=True))
            continue
        new.append((seq, entry))
        added.append(Added(seq, duplicate=False))
        for key in entry.keys:
            seen[key.digest] = seq, entry.received_at
        seq += 1
    return Verdict(tuple(new), tuple(added))


def entry_of(row: Sequence[Any]) -> Entry:
    """Return the entry of a row with ENTRY_COLUMNS.

    Raises:
        Damaged: It is not the row that was written. SQLite does not notice a change inside a value.
    """
    _, *values, checksum = row
    try:
        values[5] = bytes(values[5])
        if _checksum(tuple(values)) != checksum:
            raise Damaged(f"entry {row[0]} does not match its checksum")
    except TypeError:
        raise Damaged(f"entry {row[0]} has values of other types") from None
    delivery_id, destination, event_uuid, event, distinct_id, body, headers, handlers, received_at = values
    return Entry(
        delivery_id=delivery_id,
        destination=destination,
        event_uuid=event_uuid,
        event=event,
        distinct_id=distinct_id,
        body=body,
        headers=msgspec.json.decode(headers),
        handlers=tuple(msgspec.json.decode(handlers)),
        received_at=from_us(received_at),
    )


def outcome_of(row: Sequence[Any]) -> Outcome:
    """Return the outcome of a row of handler, state, attempt, error, due_at, changed_at.

    Raises:
        Damaged: It has no such state, or no such time.
    """
    handler, state, attempt, error, due_at, changed_at = row
    try:
        due = None if due_at is None else from_us(due_at)
        return Outcome(handler, State(state), attempt, error, due, from_us(changed_at))
    except (ValueError, TypeError, OverflowError):
        raise Damaged(f"a task has the state {state!r} since {changed_at!r}, due {due_at!r}") from None


def _checksum(values: Sequence[Any]) -> int:
    *texts, body, headers, handlers, received_at = values
    return crc32(body, crc32(repr((texts, headers, handlers, received_at)).encode()))


def storable(text: str) -> str:
    """Return what both databases can hold as text: PostgreSQL has no NUL, and neither has lone surrogates."""
    # neither of the two can be printed, and to ask for that is the fastest way to find nothing
    if str.isprintable(text):
        return text
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _digest(*parts: str) -> bytes:
    raw = [part.encode("utf-8", "surrogatepass") for part in parts]
    # twenty bytes: no two of 10^15 ids share them by chance
    return blake2b(b"".join([len(part).to_bytes(8) + part for part in raw]), digest_size=20).digest()


def _person(distinct_id: str) -> int | None:
    """Return a number for a distinct_id. Two that share one wait for each other, which harms nothing."""
    if not distinct_id:
        return None
    raw = blake2b(distinct_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(raw, signed=True)
