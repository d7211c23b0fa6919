"""The emulated bulk export: its checks, its states, its files, and the storage behind it."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.store import EventStore
from posthog_events.emulator.exports import ROOT_ROUTES, ROUTES, ExportsState
from tests.helpers.emulated_world import NOW, PROJECT, Clock, Server, event_row, make_world

BASE = "file_download_batch_exports/"
DAY = timedelta(days=1)
ARRIVED = NOW - 2 * DAY

# forty events that happened long ago and arrived two days ago, one an hour; and two that arrived later
ROWS = [
    *(
        event_row(
            number,
            NOW - timedelta(days=300, seconds=number),
            created_at=(ARRIVED + timedelta(minutes=number)).isoformat(),
            event="buy" if number % 4 == 0 else "visit",
            properties={"plan": "pro", "note": "x" * 50},
            person_properties={"email": "a@example.com"},
        )
        for number in range(40)
    ),
    event_row(50, ARRIVED, created_at=(ARRIVED + timedelta(hours=1)).isoformat()),
    event_row(51, ARRIVED, created_at=(NOW - timedelta(hours=1)).isoformat()),
]
INTERVAL = {
    "data_interval_start": ARRIVED.isoformat(),
    "data_interval_end": (ARRIVED + timedelta(hours=1)).isoformat(),
}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One embedded ClickHouse for the module."""
    with Client.open("chdb://memory") as client:
        yield client


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, client: Client) -> Server:
    """A server over ROWS whose state tests replace."""
    return Server(make_world(tmp_path_factory.mktemp("exports"), ROWS, client=client), ROUTES, ROOT_ROUTES)


@pytest.fixture
def server(shared: Server) -> Server:
    """The server without earlier runs, at NOW."""
    shared.world.projects[PROJECT].state.clear()
    clock_of(shared).at = NOW
    return shared


def clock_of(server: Server) -> Clock:
    clock = server.world.now
    assert isinstance(clock, Clock)
    return clock


def configure(server: Server, **knobs: Any) -> None:
    server.world.projects[PROJECT].state["exports"] = ExportsState(**knobs)


def request(**changes: Any) -> dict[str, Any]:
    return {"model": "events", "file": {"format": "Parquet", "compression": "zstd"}, **INTERVAL, **changes}


def start(server: Server, **changes: Any) -> str:
    """Start a run and return its id."""
    answer = server.post(BASE, request(**changes))
    assert answer.status == 202, answer.body
    return str(answer.json["id"])


def fetch(server: Server, run: str, part: str = "") -> bytes:
    """Follow the redirect of a part, without a key."""
    answer = server.get(f"{BASE}{run}/download/{part}")
    assert answer.status == 302, answer.body
    assert answer.headers["cache-control"] == "no-store"
    return server.get(answer.headers["location"]).body


def frames(server: Server, run: str, directory: Path) -> list[pl.DataFrame]:
    """Download every part of a completed run."""
    done = server.get(f"{BASE}{run}/").json
    assert done["status"] == "Completed", done
    found = []
    for number, part in enumerate(done["files"]):
        path = directory / f"{number}.parquet"
        path.write_bytes(fetch(server, run, f"{part}/"))
        found.append(pl.read_parquet(path))
    return found


def numbers(frame: pl.DataFrame) -> list[int]:
    return sorted(int(text[-12:]) for text in frame["uuid"])


def test_a_run_holds_what_arrived_in_its_interval(server: Server, tmp_path: Path) -> None:
    """The time of arrival decides, not that of the event; the end does not belong to it."""
    run = start(server)
    (frame,) = frames(server, run, tmp_path)

    assert numbers(frame) == list(range(40))
    assert server.get(f"{BASE}{run}/").json["records_completed"] == 40


def test_a_file_has_the_columns_of_batch_exports(server: Server, tmp_path: Path) -> None:
    """Documents are text; times are UTC with microseconds; ids are text."""
    (frame,) = frames(server, start(server, include=["buy"]), tmp_path)
    row = frame.filter(pl.col("uuid").str.ends_with("04")).row(0, named=True)

    assert frame.columns == [
        "uuid", "timestamp", "_inserted_at", "created_at", "event", "properties", "distinct_id", "elements_chain",
        "person_properties", "person_id",
    ]  # fmt: skip
    assert row["timestamp"] == NOW - timedelta(days=300, seconds=4)
    assert row["created_at"] == row["_inserted_at"] == ARRIVED + timedelta(minutes=4)
    assert json.loads(row["properties"]) == {"plan": "pro", "note": "x" * 50}
    assert json.loads(row["person_properties"]) == {"email": "a@example.com"}


def test_include_and_exclude_choose_events(server: Server, tmp_path: Path) -> None:
    """Ten of the forty are purchases."""
    (kept,) = frames(server, start(server, include=["buy"]), tmp_path)
    (rest,) = frames(server, start(server, exclude=["buy"]), tmp_path)

    assert numbers(kept) == list(range(0, 40, 4))
    assert len(numbers(rest)) == 30


def test_rows_come_in_no_useful_order(server: Server, tmp_path: Path) -> None:
    """A client may rely on neither the order of uuids nor that of times."""
    (frame,) = frames(server, start(server), tmp_path)

    assert not frame["uuid"].is_sorted()
    assert not frame["timestamp"].is_sorted()
    assert not frame["created_at"].is_sorted()


def test_a_large_run_has_many_parts_and_every_row_once(server: Server, tmp_path: Path) -> None:
    """`max_size_mb` cuts; the first part is what a download without a part gives."""
    configure(server, bytes_per_mb=1_000)
    run = start(server, file={"format": "Parquet", "compression": "zstd", "max_size_mb": 2})
    parts = frames(server, run, tmp_path)

    assert len(parts) > 3
    assert numbers(pl.concat(parts)) == list(range(40))
    first = server.get(f"{BASE}{run}/").json["files"][0]
    assert fetch(server, run) == fetch(server, run, "0/") == fetch(server, run, f"{first}/")


def test_rows_may_come_twice(server: Server, tmp_path: Path) -> None:
    """An export runs before ClickHouse has merged duplicates, and counts them."""
    configure(server, duplicate_share=0.25)
    run = start(server)
    (frame,) = frames(server, run, tmp_path)
    counts = Counter(numbers(frame))

    assert sorted(counts) == list(range(40))
    assert (frame.height, sum(count == 2 for count in counts.values())) == (50, 10)
    assert server.get(f"{BASE}{run}/").json["records_completed"] == 50


def test_an_empty_interval_completes_without_files(server: Server) -> None:
    """There is nothing to download then."""
    run = start(server, include=["nothing"])

    assert server.get(f"{BASE}{run}/").json == {"status": "Completed", "files": [], "records_completed": 0}
    assert server.get(f"{BASE}{run}/download/").json["detail"] == "No files with index 0"


@pytest.mark.parametrize("compression", [None, "gzip", "brotli"])
def test_json_lines_hold_documents_as_objects(server: Server, compression: str | None) -> None:
    """Unlike in Parquet, where they are text."""
    run = start(server, file={"format": "JSONLines", "compression": compression})
    assert server.get(f"{BASE}{run}/").json["status"] == "Completed"
    raw = fetch(server, run)
    if compression == "gzip":
        raw = gzip.decompress(raw)
    elif compression == "brotli":
        pa = pytest.importorskip("pyarrow")
        raw = pa.input_stream(pa.py_buffer(raw), compression="brotli").read()
    rows = [json.loads(line) for line in raw.splitlines()]

    assert sorted(int(row["uuid"][-12:]) for row in rows) == list(range(40))
    assert rows[0]["properties"] == {"plan": "pro", "note": "x" * 50}
    assert datetime.fromisoformat(rows[0]["timestamp"]).tzinfo is not None


@pytest.mark.parametrize("compression", ["zstd", "gzip", "brotli", "lz4", "snappy", None])
def test_parquet_is_compressed_as_asked(server: Server, tmp_path: Path, compression: str | None) -> None:
    """Every documented compression can be read."""
    (frame,) = frames(server, start(server, file={"format": "Parquet", "compression": compression}), tmp_path)

    assert len(frame) == 40


def test_an_exported_file_can_be_imported_into_a_store(server: Server, tmp_path: Path) -> None:
    """Times, ids and documents survive, and duplicates are dropped."""
    configure(server, duplicate_share=0.5)
    frames(server, start(server), tmp_path)
    store = EventStore.create(tmp_path / "copy", now=lambda: NOW)
    report = store.import_events([tmp_path / "0.parquet"])

    assert (report.stored, report.duplicates, report.rejected) == (40, 20, 0)
    assert "PostHog batch export" in report.files[0].shape
    assert set(store.manifest().event_types) == {"plan", "note"}


def test_states_follow_the_clock(server: Server) -> None:
    """Files can be listed later than the run ends, and until then it shows as Running."""
    configure(server, starting_s=5, running_s=20, listing_s=3)
    run = start(server)
    seen = []
    for at in (0, 4, 5, 24, 25, 27, 28):
        clock_of(server).at = NOW + timedelta(seconds=at)
        seen.append(server.get(f"{BASE}{run}/").json["status"])

    assert seen == ["Starting", "Starting", "Running", "Running", "Running", "Running", "Completed"]


@pytest.mark.parametrize("status", ["Failed", "FailedRetryable", "FailedBilling", "Terminated", "TimedOut"])
def test_a_run_can_fail(server: Server, status: str) -> None:
    """The scripted outcome comes with an error, and only for one run."""
    configure(server, outcomes=[status])
    run = start(server)
    answer = server.get(f"{BASE}{run}/").json

    assert answer["status"] == status
    assert answer["error"]
    assert server.get(f"{BASE}{run}/download/").json["detail"] == "Batch export run has failed"
    assert server.get(f"{BASE}{start(server)}/").json["status"] == "Completed"


def test_only_a_run_under_way_can_be_cancelled(server: Server) -> None:
    """A cancelled run stays cancelled, and gives nothing."""
    configure(server, running_s=10)
    run, other = start(server), start(server)
    cancelled = server.post(f"{BASE}{run}/cancel/", {})
    clock_of(server).at += timedelta(seconds=11)
    late = server.post(f"{BASE}{other}/cancel/", {})

    assert (cancelled.status, cancelled.json) == (200, {"status": "Cancelled"})
    assert server.get(f"{BASE}{run}/").json == {"status": "Cancelled"}
    assert server.get(f"{BASE}{run}/download/").json["detail"] == "Batch export run was cancelled"
    assert (late.status, late.json["detail"]) == (400, "Cannot cancel a run that is in 'Completed' status")
    assert server.post(f"{BASE}{run}/cancel/", {}).status == 400


def test_too_many_runs_at_a_time_are_refused(server: Server) -> None:
    """The answer has a code of its own and no Retry-After."""
    configure(server, running_s=10, max_active=2)
    start(server)
    start(server)
    answer = server.post(BASE, request())
    clock_of(server).at += timedelta(seconds=10)

    assert (answer.status, answer.json["code"]) == (429, "too_many_concurrent_file_downloads")
    assert "retry-after" not in answer.headers
    assert server.post(BASE, request()).status == 202


def test_runs_are_listed_newest_first(server: Server) -> None:
    """The list is paged with a count."""
    runs = [start(server) for _ in range(3)]
    page = server.get(BASE, {"limit": 2}).json

    assert page["count"] == 3
    assert [item["id"] for item in page["results"]] == [runs[2], runs[1]]
    assert page["results"][0]["status"] == "Completed"
    assert [item["id"] for item in server.get(page["next"]).json["results"]] == [runs[0]]


@pytest.mark.parametrize(
    ("changes", "attr", "detail"),
    [
        ({"model": "groups"}, "model", '"groups" is not a valid choice.'),
        ({"model": None}, "model", "This field is required."),
        ({"file": None}, "file", "This field is required."),
        ({"file": {"format": "CSV"}}, "file__format", '"CSV" is not a valid choice.'),
        (
            {"file": {"format": "JSONLines", "compression": "zstd"}},
            "file__compression",
            '"zstd" is not a valid choice.',
        ),
        ({"file": {"format": "Parquet", "max_size_mb": -1}}, "file__max_size_mb", "A valid integer is required."),
        ({"data_interval_start": None}, None, "are required for 'events'"),
        ({"data_interval_start": NOW.isoformat()}, None, "'data_interval_end' must occur after"),
        ({"data_interval_start": (ARRIVED - 7 * DAY).isoformat()}, None, "data interval range too big"),
        ({"data_interval_end": (NOW + DAY).isoformat()}, None, "is in the future"),
        ({"data_interval_end": "tomorrow"}, "data_interval_end", "Datetime has wrong format."),
        ({"include": "buy"}, "include", "Expected a list of items."),
        ({"hogql_query": "SELECT 1 AS one"}, None, "is only supported when 'model' is 'hogql'"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    server: Server, changes: dict[str, Any], attr: str | None, detail: str
) -> None:
    """Each refusal is a 400 that names the field where one is at fault."""
    answer = server.post(BASE, request(**changes))

    assert answer.status == 400
    assert (answer.json["type"], answer.json["attr"]) == ("validation_error", attr)
    assert detail in answer.json["detail"]


def test_a_whole_week_is_allowed(server: Server) -> None:
    """A longer interval by a microsecond is not."""
    end = ARRIVED
    start(server, data_interval_start=(end - 7 * DAY).isoformat(), data_interval_end=end.isoformat())
    answer = server.post(
        BASE,
        request(
            data_interval_start=(end - 7 * DAY - timedelta(microseconds=1)).isoformat(),
            data_interval_end=end.isoformat(),
        ),
    )

    assert answer.status == 400


def test_parts_that_do_not_exist_are_refused(server: Server) -> None:
    """By index, by id, and by what is neither."""
    run = start(server)

    assert server.get(f"{BASE}{run}/download/7/").json["detail"] == "No files with index 7"
    assert server.get(f"{BASE}{run}/download/{run}/").status == 404
    assert server.get(f"{BASE}{run}/download/first/").json["detail"] == "Invalid file id or index: 'first'"
    assert server.get(f"{BASE}00000000-0000-4000-8000-000000000000/").status == 404


def test_a_download_needs_the_end_of_the_run(server: Server) -> None:
    """Before that it is refused."""
    configure(server, running_s=10)

    assert server.get(f"{BASE}{start(server)}/download/").json["detail"] == "Batch export run is still in progress"


def test_the_hogql_model_is_off_unless_enabled(server: Server, tmp_path: Path) -> None:
    """Enabled, it takes any query with named columns, and no interval."""
    query = {
        "model": "hogql",
        "file": {"format": "Parquet"},
        "hogql_query": "SELECT event, count() AS n FROM events GROUP BY event",
    }
    counted = {"model": "hogql", "hogql_query": "SELECT uuid FROM events"}
    refused = server.post(BASE, query), server.post(f"{BASE}count_rows/", counted)
    configure(server, hogql=True)
    run = server.post(BASE, query).json["id"]
    (frame,) = frames(server, run, tmp_path)

    assert [(answer.status, answer.json["code"]) for answer in refused] == [(403, "permission_denied")] * 2
    assert refused[0].json["detail"] == "HogQL batch exports are not enabled for this team."
    assert dict(frame.iter_rows()) == {"buy": 10, "visit": 32}
    assert server.post(f"{BASE}count_rows/", counted).json == {"count": 42}


@pytest.mark.parametrize(
    "changes",
    [
        {"hogql_query": "SELECT count() FROM events"},
        {"hogql_query": "SELECT uuid FROM events WHERE event = {name}"},
        {"hogql_query": "SELEC"},
        {"hogql_query": None},
        {"hogql_query": "SELECT uuid FROM events", "include": ["buy"]},
        {"hogql_query": "SELECT uuid FROM events", **INTERVAL},
    ],
)
def test_the_hogql_model_refuses_what_it_cannot_export(server: Server, changes: dict[str, Any]) -> None:
    """A column without a name, a placeholder, a syntax error, or what belongs to other models."""
    configure(server, hogql=True)

    assert server.post(BASE, {"model": "hogql", "file": {"format": "Parquet"}, **changes}).status == 400


def test_persons_and_sessions_can_be_exported(server: Server, tmp_path: Path) -> None:
    """A person belongs to the interval of its creation; nobody has a session here."""
    week = {
        "data_interval_start": (NOW - timedelta(days=303)).isoformat(),
        "data_interval_end": (NOW - timedelta(days=299)).isoformat(),
    }
    (frame,) = frames(server, start(server, model="persons", **week), tmp_path)
    sessions = server.get(f"{BASE}{start(server, model='sessions')}/").json

    assert frame["distinct_id"].to_list() == ["ann"]
    assert json.loads(frame["properties"][0]) == {"email": "a@example.com"}
    assert (sessions["status"], sessions["files"]) == ("Completed", [])


# -- the storage -------------------------------------------------------------------------------------------------


def presigned(server: Server) -> str:
    run = start(server)
    server.get(f"{BASE}{run}/")
    return server.get(f"{BASE}{run}/download/").headers["location"]


def test_the_storage_refuses_a_key(server: Server) -> None:
    """A client that takes its key along to the redirect's target gets S3's answer."""
    answer = server.get(presigned(server), authorization="Bearer phx_test")

    assert answer.status == 400
    assert b"<Code>InvalidArgument</Code>" in answer.body


def test_a_presigned_address_expires(server: Server) -> None:
    """After an hour the answer is S3's 403, and a new download gives a new address."""
    url = presigned(server)
    clock_of(server).at += timedelta(seconds=3_599)
    assert server.get(url).status == 200
    clock_of(server).at += timedelta(seconds=1)
    answer = server.get(url)

    assert (answer.status, answer.headers["content-type"]) == (403, "application/xml")
    assert b"Request has expired" in answer.body
    assert server.get(presigned(server)).status == 200


def test_a_changed_signature_or_file_is_refused(server: Server) -> None:
    """The signature covers the file and the time."""
    url = presigned(server)

    assert server.get(url[:-1] + ("0" if url[-1] != "0" else "1")).status == 403
    assert server.get(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200")).status == 403
    assert server.get(url.replace("-0000.parquet", "-0001.parquet")).status == 403
    assert server.get(url.partition("?")[0]).status == 403


def test_a_part_of_a_file_can_be_asked_for(server: Server) -> None:
    """So that a broken download can be continued."""
    url = presigned(server)
    whole = server.get(url).body
    rest = server.get(url, range=f"bytes={len(whole) - 10}-")

    assert (rest.status, rest.body) == (206, whole[-10:])
    assert rest.headers["content-range"] == f"bytes {len(whole) - 10}-{len(whole) - 1}/{len(whole)}"
