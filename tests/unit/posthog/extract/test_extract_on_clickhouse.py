"""The HogQL of extraction, run by a real ClickHouse over a small store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import posthog_events as ph
from posthog_events.errors import UnexpectedColumns
from posthog_events.posthog.extract import extract_rows
from posthog_events.result import Engine, Query, QueryResult
from tests.helpers.event_engine import event
from tests.helpers.library_store import make_store, write_rows

SINCE, UNTIL = datetime(2025, 10, 1, tzinfo=UTC), datetime(2025, 11, 2, tzinfo=UTC)

# Berlin's clocks go back at 01:00 UTC: 02:30 there is two moments, an hour apart.
TIMES = [
    "2025-09-30T23:59:59.999999Z",  # before the range
    "2025-10-01T00:00:00Z",
    *["2025-10-26T00:30:00Z"] * 9,
    *["2025-10-26T01:30:00Z"] * 5,
    "2025-10-31T23:59:59.999999Z",
    "2025-11-01T00:00:00Z",
    "2025-11-01T00:00:00.000001Z",
    "2025-11-02T00:00:00Z",  # after it
]
INSIDE = len(TIMES) - 2


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """ClickHouse over the events above, in a zone with a clock change."""
    directory = tmp_path_factory.mktemp("extract")
    rows = [
        {
            "uuid": event(0, number).uuid,
            "event": "even" if number % 2 == 0 else "odd",
            "timestamp": at,
            "distinct_id": "ada",
            "properties": {"number": number},
        }
        for number, at in enumerate(TIMES)
    ]
    store = make_store(directory / "store", [write_rows(directory / "events.jsonl", rows)])
    with ph.connect(f"chdb://{store}", timezone="Europe/Berlin") as connection:
        yield connection.engine


def extracted(engine: Engine, query: Query) -> pl.DataFrame:
    """Extract a query in pages of four rows."""
    return extract_rows(engine, query, since=SINCE, until=UNTIL, page_rows=4, width=2).frame()


@pytest.mark.parametrize(
    "columns",
    [
        "*",
        "uuid, timestamp, event, properties.number AS number",
        "e.uuid AS uuid, event AS timestamp, properties.number AS number",
        "event AS uuid, toDate(timestamp) AS timestamp",
        "uuid AS extract_uuid, 1 AS extract_us",
    ],
)
def test_every_row_arrives_once_whatever_the_columns_are_called(engine: Engine, columns: str) -> None:
    """The result is that of one unlimited query: names, dtypes, both passes of the doubled hour, and order."""
    text = f"SELECT {columns} FROM events AS e"

    found = extracted(engine, Query(text))

    expected = engine.run(
        Query(
            f"{text} WHERE e.timestamp >= {{since}} AND e.timestamp < {{until}} "
            "ORDER BY e.timestamp, e.uuid LIMIT 50000",
            values={"since": SINCE, "until": UNTIL},
        )
    )
    assert INSIDE == found.height
    assert_frame_equal(expected.frame, found)


def test_rows_come_in_the_order_that_the_fake_assumes(engine: Engine) -> None:
    """ClickHouse orders UUIDs by their second half first, and the fast fake of other tests does as well."""
    found = extracted(engine, Query("SELECT uuid FROM events"))["uuid"].to_list()

    tied = sorted(event(0, number) for number in range(2, 11))
    assert [row.uuid for row in tied] == found[1:10]


def test_conditions_may_use_aliases_values_and_ctes(engine: Engine) -> None:
    """The user's conditions keep their meaning in pages and in counts."""
    query = Query(
        "WITH 'even' AS wanted SELECT properties.number AS number, event AS timestamp FROM events "
        "WHERE timestamp = wanted AND toInt(number) > {least} ORDER BY events.timestamp",
        values={"least": 6},
    )

    found = extract_rows(engine, query, since=SINCE, until=UNTIL, page_rows=4)

    assert [8, 10, 12, 14, 16, 18] == sorted(found.frame()["number"])
    assert (6, 6) == (found.proof.counted, found.proof.received)


def test_an_empty_range_gives_an_empty_frame_with_its_dtypes(engine: Engine) -> None:
    """Columns are known even where no event is."""
    found = extract_rows(
        engine,
        Query("SELECT timestamp, properties.number AS number FROM events"),
        since=datetime(2020, 1, 1, tzinfo=UTC),
        until=datetime(2020, 1, 2, tzinfo=UTC),
    )

    frame = found.frame()

    assert {"timestamp": pl.Datetime("us", "Europe/Berlin"), "number": pl.Float64} == dict(frame.schema)
    assert 0 == frame.height == found.proof.counted


def test_an_end_in_the_future_is_the_servers_now(engine: Engine) -> None:
    """Nothing is claimed of time that has not come."""
    far = datetime(2300, 1, 1, tzinfo=UTC)

    found = extract_rows(engine, Query("SELECT uuid FROM events"), since=SINCE, until=far)

    assert INSIDE + 1 == found.frame().height
    assert far == found.proof.asked_until
    assert abs((datetime.now(UTC) - found.proof.until).total_seconds()) < 600


def test_declared_columns_are_checked(engine: Engine) -> None:
    """A query file's `returns` holds for extracted rows, our own columns left out."""
    text = "SELECT event FROM events"

    assert INSIDE == extracted(engine, Query(text, returns={"event": "String"})).height
    with pytest.raises(UnexpectedColumns, match="event is String, not UInt64"):
        extracted(engine, Query(text, returns={"event": "UInt64"}))


@dataclass
class RecordingEngine:
    """Passes queries on and keeps them."""

    engine: Engine
    asked: list[tuple[Query, bool]] = field(default_factory=list)

    def run(self, query: Query, *, allow_truncated: bool = False) -> QueryResult:
        self.asked.append((query, allow_truncated))
        return self.engine.run(query, allow_truncated=allow_truncated)


def test_no_two_requests_are_equal_and_none_has_an_offset(engine: Engine) -> None:
    """PostHog answers equal requests from its cache, and refuses OFFSET; neither can happen."""
    recorder = RecordingEngine(engine)

    for _ in range(2):
        extract_rows(recorder, Query("SELECT uuid FROM events"), since=SINCE, until=UNTIL, page_rows=4).frame()

    def body(query: Query) -> Any:
        return json.dumps([query.hogql, dict(query.values)], default=str)

    assert len(recorder.asked) == len({body(query) for query, _ in recorder.asked})
    assert not any("OFFSET" in query.hogql for query, _ in recorder.asked)
    assert {True} == {allowed for _, allowed in recorder.asked}


def test_a_store_that_grows_is_extracted_to_its_end(tmp_path: Path) -> None:
    """Events imported while pages are fetched follow in a chunk marked as late."""

    def rows(numbers: range) -> list[dict[str, Any]]:
        return [
            {"uuid": event(0, n).uuid, "event": "x", "timestamp": "2025-10-05T00:00:00Z", "distinct_id": "a"}
            for n in numbers
        ]

    directory = make_store(tmp_path / "store", [write_rows(tmp_path / "first.jsonl", rows(range(10)))])
    with ph.connect(f"chdb://{directory}") as connection:
        extraction = extract_rows(
            connection.engine, Query("SELECT uuid FROM events"), since=SINCE, until=UNTIL, page_rows=4
        )
        first = next(extraction)
        connection.import_events(write_rows(tmp_path / "second.jsonl", rows(range(10, 15))))
        rest = list(extraction)

    assert (10, False) == (first.frame.height, first.late)
    assert [(5, True)] == [(chunk.frame.height, chunk.late) for chunk in rest]
    assert (15, 15, 5) == (extraction.proof.counted, extraction.proof.received, extraction.proof.late)
