"""An export is read in place, and reads like the store it would become."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.compiler import CompileSettings
from posthog_events.clickhouse.engine import ClickHouseEngine
from posthog_events.clickhouse.store import EventStore
from posthog_events.clickhouse.store.attached import attached_catalog, is_export
from posthog_events.errors import StoreError, StoreNotFound
from posthog_events.limits import POSTHOG_ROWS
from posthog_events.posthog.export import export_events
from posthog_events.result import Query
from tests.helpers.fake_exports import START, FakeExports, events

SINCE = datetime(2026, 5, 6, tzinfo=UTC)
STORED = [
    {
        **row,
        "event": "$pageview" if number % 4 == 0 else row["event"],
        "properties": json.dumps(
            {
                "amount": number * 1.5,
                "plan": "pro" if number % 2 else None,
                "text": 'a "quoted" word',
                "$session_id": f"session-{number % 5}",
                "$current_url": f"https://example.com/{number}?q=1",
            }
        ),
        "person_properties": json.dumps({"email": f"{number % 3}@example.com"}),
        "person_id": f"11111111-0000-4000-8000-{number % 3:012d}",
    }
    for number, row in enumerate(events(12, first=SINCE, apart=timedelta(days=1)))
]

QUERIES = [
    "SELECT count(), uniq(person_id), min(timestamp), max(timestamp) FROM events",
    "SELECT event, count(), sum(properties.amount) FROM events GROUP BY event ORDER BY event",
    "SELECT uuid, distinct_id, properties.plan, properties.text, properties.$current_url FROM events ORDER BY uuid",
    "SELECT person.properties.email, count() FROM events GROUP BY 1 ORDER BY 1",
    "SELECT session_id, $start_timestamp, $pageview_count, $entry_pathname FROM sessions ORDER BY session_id",
    "SELECT id, properties.email, created_at FROM persons ORDER BY id",
    "SELECT count() FROM events WHERE timestamp >= '2026-05-10' AND properties.amount > 6",
    "SELECT toDate(timestamp) AS day, count() FROM events WHERE event = '$pageview' GROUP BY day ORDER BY day",
]

Run = Callable[[str], pl.DataFrame]


def engine(catalog: Any) -> Run:
    client = Client.open("chdb://memory")
    made = ClickHouseEngine(
        client=client,
        catalog=lambda: catalog,
        dsn="chdb://export",
        settings=CompileSettings(row_limits=POSTHOG_ROWS),
        clock=lambda: START,
    )
    return lambda text: made.run(Query(text)).frame


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an export in which three events are twice, one of them within a slice."""
    out = tmp_path_factory.mktemp("export") / "out"
    again = [STORED[2], STORED[2], STORED[9]]
    late = [{**row, "_inserted_at": SINCE + timedelta(days=12 + number)} for number, row in enumerate(again)]
    fake = FakeExports([*STORED, *late])
    export_events(
        fake, out, since=SINCE, until=SINCE + timedelta(days=16), fetch=fake.fetch, sleep=fake.sleep, clock=fake.clock
    )
    return out


@pytest.fixture(scope="module")
def attached(exported: Path) -> Run:
    return engine(attached_catalog(exported))


@pytest.fixture(scope="module")
def imported(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    store = EventStore.create(tmp_path_factory.mktemp("store") / "store", now=lambda: START)
    store.import_events([exported / "events"])
    return engine(store.catalog())


@pytest.mark.parametrize("text", QUERIES)
def test_an_export_reads_like_the_store_it_would_become(attached: Run, imported: Run, text: str) -> None:
    """Values, types and nulls are those of an import of the same files; repeated events count once."""
    assert imported(text).schema == attached(text).schema
    assert imported(text).rows() == attached(text).rows()


def test_repeated_events_count_once(attached: Run) -> None:
    """Fifteen exported rows are twelve events."""
    assert [(12, sum(number * 1.5 for number in range(12)))] == attached(
        "SELECT count(), sum(properties.amount) FROM events"
    ).rows()


def hand_made(directory: Path, table: pa.Table, **ledger: Any) -> Path:
    """Write an export with one file by hand."""
    (directory / "events").mkdir(parents=True)
    pq.write_table(table, directory / "events" / "events-a-b-0.parquet")
    record = {"done": True, "files": [{"name": "events-a-b-0.parquet"}]}
    (directory / "export.json").write_text(json.dumps({"order": {"format": "parquet"}, "slices": [record]} | ledger))
    return directory


AT = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ID = uuid.UUID("0198f0aa-1111-7222-8333-123456789abc")


@pytest.mark.parametrize(
    ("ids", "times"),
    [
        pytest.param(pa.array([str(ID)]), pa.array([AT], pa.timestamp("us", "UTC")), id="text, microseconds"),
        pytest.param(pa.array([ID.bytes], pa.binary(16)), pa.array([AT], pa.timestamp("ms", "UTC")), id="bytes, milli"),
        pytest.param(pa.array([ID.bytes], pa.uuid()), pa.array([AT], pa.timestamp("ns", "UTC")), id="uuid, nano"),
        pytest.param(pa.array([str(ID)]), pa.array(["2026-05-01T12:00:00.250000Z"]), id="text, text"),
        pytest.param(pa.array([str(ID)]), pa.array([AT], pa.timestamp("us", "Europe/Berlin")), id="text, another zone"),
    ],
)
def test_however_ids_and_times_are_written(tmp_path: Path, ids: pa.Array, times: pa.Array) -> None:
    """Text or bytes, any unit of time or text: the event has its uuid and its instant."""
    table = pa.table({"uuid": ids, "event": ["e"], "timestamp": times, "distinct_id": ["u"], "properties": ["{}"]})

    frame = engine(attached_catalog(hand_made(tmp_path / "out", table)))(
        "SELECT uuid, timestamp, created_at FROM events"
    )

    assert [(str(ID), AT, AT)] == [(str(row[0]), row[1], row[2]) for row in frame.rows()]


def test_columns_that_an_export_lacks(tmp_path: Path) -> None:
    """Without a person, people are told apart by distinct id and know what their events set; nulls read as empty."""
    table = pa.table(
        {
            "uuid": [str(uuid.UUID(int=number)) for number in (1, 2, 3)],
            "event": ["e"] * 3,
            "timestamp": pa.array([AT] * 3, pa.timestamp("us", "UTC")),
            "distinct_id": ["a", "b", "a"],
            "properties": pa.array(['{"$set": {"plan": "pro"}}', None, None], pa.string()),
        }
    )
    run = engine(attached_catalog(hand_made(tmp_path / "out", table)))

    assert [(2, 1, 3)] == run(
        "SELECT uniq(person_id), countIf(person.properties.plan = 'pro'), count() FROM events"
    ).rows()


def test_definitions_of_the_export_say_the_types(tmp_path: Path) -> None:
    """A property that looks like a number and is defined as text compares as text."""
    row = {"uuid": [str(ID)], "event": ["e"], "distinct_id": ["u"], "properties": ['{"zip": 10115, "amount": 2}']}
    table = pa.table(row | {"timestamp": pa.array([AT], pa.timestamp("us", "UTC"))})
    catalog = attached_catalog(hand_made(tmp_path / "out", table, event_types={"zip": "String", "amount": "Numeric"}))

    assert [("10115", 4.0)] == engine(catalog)("SELECT properties.zip, properties.amount * 2 FROM events").rows()


def test_only_complete_slices_are_read(tmp_path: Path) -> None:
    """An export that has nothing yet is an empty table, not an error."""
    (tmp_path / "events").mkdir()
    record = {"done": False, "files": [{"name": "events-a-b-0.parquet"}]}
    (tmp_path / "export.json").write_text(json.dumps({"order": {"format": "parquet"}, "slices": [record]}))

    assert is_export(tmp_path)
    assert [(0,)] == engine(attached_catalog(tmp_path))("SELECT count() FROM events").rows()


def test_what_cannot_be_read_in_place(tmp_path: Path) -> None:
    """No export, a lost or broken file, JSON Lines and a damaged ledger are errors that say what to do."""
    with pytest.raises(StoreNotFound):
        attached_catalog(tmp_path)
    (tmp_path / "events").mkdir()
    slices = [{"done": True, "files": [{"name": "events-a-b-0.parquet"}]}]
    for order, words in (("jsonlines", "local import"), ("parquet", "export it again")):
        (tmp_path / "export.json").write_text(json.dumps({"order": {"format": order}, "slices": slices}))
        with pytest.raises(StoreError, match=words):
            attached_catalog(tmp_path)
    (tmp_path / "events" / "events-a-b-0.parquet").write_text("PAR1")
    with pytest.raises(StoreError, match="not a readable Parquet file"):
        attached_catalog(tmp_path)
    (tmp_path / "export.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        attached_catalog(tmp_path)
