"""Any number of events without files, for long runs: only their times are stored, the rest follows from a number.

Event `n` belongs to block `n / 1000`. Blocks divide the time evenly; within one, 700 events are spread over the first
half, and 300 follow in a burst of three microseconds, a hundred at each. So there are ties, ties across every page
border sooner or later, and pages that no even window size would fit. One event in 500 arrives three days late.

The times are a table of their own, sorted, because ClickHouse cannot look through the arithmetic: a page of a window
then reads that window alone. Ids and properties are computed for the rows that are left. With 50 million events on two
shared cores (chdb 4.4, 2026-11): 3 to 8 s to create the table of 4 MB, 0.3 s for a page of 50,000 rows with properties.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from posthog_events.clickhouse import derived
from posthog_events.clickhouse.catalog import Catalog, Column, PropertyKind, Table
from posthog_events.clickhouse.compiler import CompileSettings
from posthog_events.clickhouse.engine import ClickHouseEngine

if TYPE_CHECKING:
    from posthog_events.clickhouse.client import Client

__all__ = ["BLOCK", "Checksum", "expected_checksum", "simulated_engine"]

BLOCK = 1_000
BURST = 300
TIED = 100
PEOPLE = 100_000
LATE_EVERY = 500
LATE_DAYS = 3
NAMES = ("$pageview", "$pageview", "$pageview", "$autocapture", "signup", "purchase", "search", "logout")

_TIME = "DateTime64(6, 'UTC')"


@dataclass(frozen=True, slots=True)
class Checksum:
    """What identifies a set of uuids, whatever its order.

    Args:
        total: The sum of the first 64 bits of the MD5 of each uuid's text, modulo 2^64.
    """

    rows: int
    total: int

    @classmethod
    def of(cls, uuids: list[str]) -> Checksum:
        """Return the checksum of uuids that were received; distinct ones, or it cannot be equal."""
        digests = (hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8] for text in uuids)
        return cls(len(uuids), sum(int.from_bytes(digest, "little") for digest in digests) % 2**64)

    def __add__(self, other: Checksum) -> Checksum:
        return Checksum(self.rows + other.rows, (self.total + other.total) % 2**64)


def simulated_engine(
    client: Client,
    rows: int,
    start: datetime,
    end: datetime,
    *,
    seed: int = 0,
    clock: Callable[[], datetime] | None = None,
) -> ClickHouseEngine:
    """Return an engine whose `events` are `rows` simulated ones between `start` and `end`, in UTC.

    Equal arguments give equal events. A table is created in the client's ClickHouse, unless it is there.
    """
    times = _create_times(client, rows, start, end)
    events = _events_table(times, seed)
    catalog = Catalog(
        tables={
            "events": events,
            "persons": derived.persons(events.source),
            "person_distinct_ids": derived.person_distinct_ids(events.source),
        }
    )
    return ClickHouseEngine(client, lambda: catalog, f"simulated://{rows}", CompileSettings(), clock)


def expected_checksum(client: Client, rows: int, *, seed: int = 0, first: int = 0, last: int | None = None) -> Checksum:
    """Return the checksum of the events from `first` until before `last`, computed from the numbers alone."""
    count = (rows if last is None else last) - first
    sql = (
        "SELECT count(), sum(reinterpretAsUInt64(substring(MD5(toString("
        f"{_uuid(seed)})), 1, 8))) FROM (SELECT number AS n FROM numbers({first}, {count}))"
    )
    found, total = client.query(sql)[1].row(0)
    return Checksum(found, total)


def _create_times(client: Client, rows: int, start: datetime, end: datetime) -> str:
    first, last = (int(moment.timestamp()) * 1_000_000 for moment in (start, end))
    blocks = -(-rows // BLOCK)
    length = (last - first) // max(blocks, 1)
    table = f"simulated_times_{rows}_{first}_{last}"
    # 700 events over the first half of a block, then the burst
    place, half, calm = f"(number % {BLOCK})", length // 2, BLOCK - BURST
    offset = f"if({place} < {calm}, intDiv({place} * {half}, {calm}), {half} + intDiv({place} - {calm}, {TIED}))"
    micros = f"{first} + intDiv(number, {BLOCK}) * {length} + {offset}"
    client.command(
        f"CREATE TABLE IF NOT EXISTS {table} (n UInt64 CODEC(Delta, LZ4), timestamp {_TIME} CODEC(Delta, LZ4)) "
        "ENGINE = MergeTree ORDER BY timestamp"
    )
    if client.query(f"SELECT count() FROM {table}")[1].item() != rows:
        client.command(f"TRUNCATE TABLE {table}")
        client.command(
            f"INSERT INTO {table} SELECT number, fromUnixTimestamp64Micro(toInt64({micros}), 'UTC') "
            f"FROM numbers({rows})"
        )
    return table


def _uuid(seed: int) -> str:
    """SQL of an event's uuid: a hash, so that its order has nothing to do with that of time."""
    return f"reinterpretAsUUID(sipHash128(n, {seed}, 'uuid'))"


def _events_table(times: str, seed: int) -> Table:
    user = f"(sipHash64(n, {seed}, 'user') % {PEOPLE})"
    name = (
        f"arrayElement([{', '.join(repr(text) for text in NAMES)}], sipHash64(n, {seed}, 'event') % {len(NAMES)} + 1)"
    )
    late = f"sipHash64(n, {seed}, 'late') % {LATE_EVERY} = 0"
    properties = (
        f"concat('{{\"number\":', toString(n), ',\"plan\":\"', if({user} % 3 = 0, 'pro', 'free'), "
        f"'\",\"amount\":', toString(sipHash64(n, {seed}, 'amount') % 10000 / 100), "
        f"',\"$current_url\":\"https://example.com/', lower(hex(sipHash64(n, {seed}, 'url'))), '\"}}')"
    )
    source = (
        f"(SELECT {_uuid(seed)} AS uuid, {name} AS event, {properties} AS properties, timestamp, "
        f"concat('user-', toString({user})) AS distinct_id, '' AS elements_chain, "
        f"timestamp + if({late}, toIntervalDay({LATE_DAYS}), toIntervalDay(0)) + toIntervalSecond(2) AS created_at, "
        "'' AS `$session_id`, '' AS `$window_id`, "
        f"reinterpretAsUUID(sipHash128({user}, {seed}, 'person')) AS person_id, "
        "'{}' AS person_properties, toDateTime64(0, 6, 'UTC') AS person_created_at "
        f"FROM {times})"
    )
    columns = {
        "uuid": Column("UUID"),
        "event": Column("String"),
        "properties": Column(
            "String",
            is_json=True,
            property_types={
                "number": PropertyKind.NUMERIC,
                "amount": PropertyKind.NUMERIC,
                "plan": PropertyKind.STRING,
                "$current_url": PropertyKind.STRING,
            },
        ),
        "timestamp": Column(_TIME),
        "distinct_id": Column("String"),
        "elements_chain": Column("String"),
        "created_at": Column(_TIME),
        "$session_id": Column("String"),
        "$window_id": Column("String"),
        "person_id": Column("UUID"),
        "person_properties": Column("String", is_json=True, hidden=True),
        "person_created_at": Column(_TIME, hidden=True),
    }
    return Table("events", source, columns)
