"""Simulated events: many, deterministic, with ties and bursts, and a checksum that nobody needs the client for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.engine import ClickHouseEngine
from posthog_events.emulator.simulated import Checksum, expected_checksum, simulated_engine
from posthog_events.result import Query

ROWS = 20_500
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One embedded ClickHouse for the module."""
    with Client.open("chdb://memory") as client:
        yield client


@pytest.fixture(scope="module")
def engine(client: Client) -> ClickHouseEngine:
    """An engine over the simulated events of a week."""
    return simulated_engine(client, ROWS, START, END)


def uuids(engine: ClickHouseEngine, where: str = "1 = 1") -> list[str]:
    return engine.run(Query(f"SELECT uuid FROM events WHERE {where} LIMIT 50000")).frame["uuid"].to_list()


def test_all_events_lie_within_the_range_and_are_distinct(engine: ClickHouseEngine) -> None:
    """No uuid comes twice."""
    frame = engine.run(
        Query("SELECT count() AS n, uniqExact(uuid) AS ids, min(timestamp) AS a, max(timestamp) AS b FROM events")
    ).frame
    rows, ids, first, last = frame.row(0)

    assert (rows, ids) == (ROWS, ROWS)
    assert first == START
    assert END - timedelta(days=1) < last < END


def test_a_hundred_events_share_each_instant_of_a_burst(engine: ClickHouseEngine) -> None:
    """20 whole blocks have three such instants, one microsecond apart; the 500 events of the last have none."""
    times = (
        engine.run(Query("SELECT timestamp FROM events ORDER BY timestamp LIMIT 50000")).frame["timestamp"].to_list()
    )
    counts = Counter(times)
    bursts = sorted(moment for moment, count in counts.items() if count == 100)

    assert Counter(counts.values()) == {1: 20 * 700 + 500, 100: 60}
    assert bursts[1] - bursts[0] == timedelta(microseconds=1)


def test_the_order_of_uuids_is_not_that_of_time(engine: ClickHouseEngine) -> None:
    """A client that pages by either alone is found out."""
    ordered = engine.run(Query("SELECT uuid FROM events ORDER BY timestamp LIMIT 1000")).frame["uuid"].to_list()

    assert ordered != sorted(ordered)


def test_the_checksum_of_what_was_read_is_the_expected_one(client: Client, engine: ClickHouseEngine) -> None:
    """It is computed in Python from the uuids, and in ClickHouse from the numbers; parts add up."""
    read = uuids(engine)

    assert Checksum.of(read) == expected_checksum(client, ROWS)
    assert Checksum.of(read[:7_000]) + Checksum.of(read[7_000:]) == expected_checksum(client, ROWS)


def test_a_lost_or_exchanged_event_changes_the_checksum(client: Client, engine: ClickHouseEngine) -> None:
    """Also one received twice in the place of another."""
    read = uuids(engine)

    assert Checksum.of(read[1:]) != expected_checksum(client, ROWS)
    assert Checksum.of([read[0], *read[:-1]]) != expected_checksum(client, ROWS)


def test_equal_arguments_give_equal_events_and_another_seed_others(client: Client, engine: ClickHouseEngine) -> None:
    """Nothing depends on when or how often it is made."""
    again = simulated_engine(client, ROWS, START, END)
    other = simulated_engine(client, ROWS, START, END, seed=1)

    assert set(uuids(again)) == set(uuids(engine))
    assert not set(uuids(other)) & set(uuids(engine))


def test_some_events_arrive_days_late(engine: ClickHouseEngine) -> None:
    """About one in 500; the others two seconds after they happened."""
    frame = engine.run(
        Query("SELECT dateDiff('second', timestamp, created_at) AS lag, count() AS n FROM events GROUP BY lag")
    ).frame
    lags = dict(frame.iter_rows())

    assert set(lags) == {2, 3 * 86_400 + 2}
    assert 20 < lags[3 * 86_400 + 2] < 70


def test_properties_can_be_read_with_their_types(engine: ClickHouseEngine) -> None:
    """The number of an event is among them, so a test can name the lost ones."""
    row = engine.run(
        Query("SELECT properties.number AS number, properties.plan AS plan FROM events ORDER BY timestamp LIMIT 1")
    ).frame.row(0)

    assert row[0] == 0
    assert row[1] in ("pro", "free")


def test_persons_can_be_asked_for(engine: ClickHouseEngine) -> None:
    """The events list needs them for include_person."""
    frame = engine.run(Query("SELECT uniqExact(person_id) AS a, uniqExact(distinct_id) AS b FROM events")).frame

    assert frame.item(0, "a") == frame.item(0, "b")
    assert engine.run(Query("SELECT count() FROM persons")).frame.item() == frame.item(0, "a")
