"""Builds the demo store: make up the events, spoil the delivery a little, import the file as any other."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from posthog_events.demo.behaviour import life
from posthog_events.demo.people import old_users, random_uuid, visitors
from posthog_events.demo.rows import Row, server_row

if TYPE_CHECKING:
    from posthog_events.clickhouse.store import ImportReport

__all__ = ["DEMO_END", "DemoReport", "build_demo", "demo_rows"]

DEMO_END: Final = datetime(2026, 6, 1, tzinfo=UTC)
"""Where the demo ends unless told otherwise: fixed, so that everyone sees the same numbers."""

_LATE_SHARE, _REPEATED_SHARE, _SENT_TWICE_SHARE = 0.015, 0.002, 0.006


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What was built.

    Args:
        since: The first moment of the range; queries need it, because the demo does not end now.
        until: Its end, itself excluded.
        events: Events in the store.
        duplicates: Rows of the file that the import left out, because their uuid was there already.
        people: Persons with at least one event.
        signups: `user_signed_up` events.
    """

    store: Path
    since: datetime
    until: datetime
    events: int
    duplicates: int
    people: int
    signups: int
    elapsed_s: float


def build_demo(
    store_path: Path,
    *,
    days: int = 92,
    seed: int = 20260101,
    now: datetime | None = None,
    progress: Callable[[str], None] | None = None,
) -> DemoReport:
    """Create an event store with a made-up product in it.

    Args:
        store_path: A directory that does not exist or is empty.
        days: How many days the events cover.
        seed: The same seed and end give the same events, byte for byte.
        now: Where the events end, aware; None for `DEMO_END`.
        progress: Called with a sentence when a part of the work begins.

    Raises:
        StoreError: There is something at `store_path` already.
        ImportFailed: The disk is full, or the events cannot be stored.
    """
    import msgspec

    from posthog_events.clickhouse.store import EventStore

    started = time.perf_counter()
    say = progress or (lambda sentence: None)
    until = now or DEMO_END
    since = until - timedelta(days=days)
    store = EventStore.create(store_path, timezone="UTC", week_starts_monday=True, group_types={"company": 0})
    say("making up events")
    rows = demo_rows(since, until, seed=seed)
    with tempfile.TemporaryDirectory(prefix="posthog-events-demo-") as folder:
        file = Path(folder) / "demo.jsonl"
        encode = msgspec.json.Encoder().encode
        with file.open("wb") as out:
            out.writelines(encode(row.exported()) + b"\n" for row in _delivered(rows, seed))
        say(f"importing {len(rows):,} events")
        report: ImportReport = store.import_events([file])
    return DemoReport(
        store=store.path,
        since=since,
        until=until,
        events=report.stored,
        duplicates=report.duplicates,
        people=len({row.person.id for row in rows}),
        signups=sum(row.event == "user_signed_up" for row in rows),
        elapsed_s=time.perf_counter() - started,
    )


def demo_rows(since: datetime, until: datetime, *, seed: int) -> list[Row]:
    """Return all events from `since` to before `until`, in the order of their time."""
    chance = Random(seed)
    rows: list[Row] = []
    for person in old_users(chance, since):
        rows += life(chance, person, since, until)
    for person in visitors(chance, since, (until - since).days):
        rows += life(chance, person, since, until)
    rows = [row for row in rows if since <= row.at < until]
    rows += _companies(chance, rows)
    rows += _repeated(chance, rows)
    _delay(chance, rows, until)
    rows.sort(key=lambda row: (row.at, row.uuid))
    return rows


def _companies(chance: Random, rows: Sequence[Row]) -> Iterator[Row]:
    """Yield one `$groupidentify` per company, just before its first event."""
    first: dict[str, Row] = {}
    for row in rows:
        company = row.person.company
        if company and row.identified and (company not in first or row.at < first[company].at):
            first[company] = row
    for company, row in first.items():
        details = {"name": company.replace("-", " ").title(), "seats": chance.choice((5, 10, 25, 50, 200))}
        group = {"$group_type": "company", "$group_key": company, "$group_set": details}
        yield server_row(chance, row.person, row.at, "$groupidentify", group)


def _repeated(chance: Random, rows: Sequence[Row]) -> Iterator[Row]:
    """Yield copies of events that a careless page sent twice, each with a uuid of its own."""
    for row in rows:
        if row.event == "feature_used" and chance.random() < _REPEATED_SHARE:
            yield Row(
                random_uuid(chance),
                row.event,
                row.at,
                row.distinct_id,
                row.person,
                row.properties,
                row.person_properties,
                row.session_id,
            )


def _delay(chance: Random, rows: Sequence[Row], until: datetime) -> None:
    """Give every event the moment it was stored: at once, or hours later for devices that were offline."""
    for row in rows:
        offline = chance.random() < _LATE_SHARE and row.properties["$lib"] == "web"
        delay_s = chance.uniform(7_200, 200_000) if offline else chance.uniform(0.05, 4)
        row.created_at = row.at + timedelta(seconds=delay_s)


def _delivered(rows: Sequence[Row], seed: int) -> Iterator[Row]:
    """Yield the rows as a network delivers them: in the order in which they were stored, a few of them twice."""
    chance = Random(seed + 1)
    for row in sorted(rows, key=lambda row: (row.created_at or row.at, row.uuid)):
        yield row
        if chance.random() < _SENT_TWICE_SHARE:
            yield row
