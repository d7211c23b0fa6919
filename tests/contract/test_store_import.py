"""What an import makes of each kind of file."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from posthog_events.clickhouse.catalog import PropertyKind
from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.store import ColumnMapping, EventStore
from posthog_events.errors import ImportFailed

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One engine for the module."""
    with Client.open("chdb://memory") as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> EventStore:
    """An empty store whose clock stands still."""
    return EventStore.create(tmp_path / "store", now=lambda: NOW)


@pytest.fixture
def rows(store: EventStore, client: Client) -> Callable[[str], list[tuple[Any, ...]]]:
    """Select columns of the stored events in the order of time and uuid."""

    def select(columns: str) -> list[tuple[Any, ...]]:
        source = store.catalog().tables["events"].source
        return client.query(f"SELECT {columns} FROM {source} ORDER BY timestamp, uuid")[1].rows()

    return select


Rows = Callable[[str], list[tuple[Any, ...]]]


def write(path: Path, *lines: object) -> Path:
    """Write JSON lines; a text is written as it is."""
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def test_csv_columns_become_properties_of_the_right_json_type(store: EventStore, rows: Rows, tmp_path: Path) -> None:
    """Numbers and booleans lose their quotes, ids with leading zeros keep them, empty cells are absent."""
    path = tmp_path / "orders.csv"
    path.write_text(
        "customer_id,date,dollars,zip,version,paid,note\n"
        'c1,2024-01-01,29.33,01234,1.9,True,"two\nlines, ""quoted"""\n'
        "c2,2024-01-02,12.00,99999,1.10,False,\n",
        encoding="utf-8",
    )
    report = store.import_events([path], ColumnMapping(event="purchase"))
    assert (2, 2, 0, 0) == (report.read, report.stored, report.duplicates, report.rejected)
    assert [
        (
            "purchase",
            "c1",
            '{"dollars":29.33,"zip":"01234","version":"1.9","paid":true,"note":"two\\nlines, \\"quoted\\""}',
        ),
        ("purchase", "c2", '{"dollars":12.00,"zip":"99999","version":"1.10","paid":false}'),
    ] == rows("event, distinct_id, properties")
    assert [("29.33", "01234", "true", 'two\\nlines, \\"quoted\\"'), ("12", "99999", "false", None)] == rows(
        "`e:dollars`, `e:zip`, `e:paid`, `e:note`"
    )
    kinds = {key: entry.kind for key, entry in store.manifest().event_types.items()}
    expected = {"dollars": "Numeric", "zip": "String", "version": "String", "paid": "Boolean", "note": "String"}
    assert expected == kinds


def test_guesses_are_reported(store: EventStore, tmp_path: Path) -> None:
    """What the user did not say is said by the report."""
    path = tmp_path / "log.csv"
    path.write_text("Event Name;User ID;ts\nview;u1;1704067200\n", encoding="utf-8-sig", newline="\r\n")
    (file,) = store.import_events([path]).files
    assert "CSV, flat rows" == file.shape
    assert (
        "event name: column 'Event Name'",
        "time: column 'ts'",
        "user: column 'User ID'",
        "identity: from the content of each row, since no column holds a uuid",
        "times without an offset are read in UTC",
    ) == file.assumptions


def test_capture_shape_keeps_properties_and_what_is_set_on_the_person(
    store: EventStore, rows: Rows, tmp_path: Path
) -> None:
    """`$set` beside the properties joins them, and stands for the person's properties."""
    path = write(
        tmp_path / "capture.jsonl",
        {"event": "a", "properties": {"distinct_id": "u1", "x": 1}, "timestamp": "2024-01-01T00:00:00Z"},
        {
            "event": "b",
            "distinct_id": "u2",
            "properties": {"$session_id": "s1", "$groups": {"company": "acme"}},
            "$set": {"plan": "pro"},
            "timestamp": "2024-01-01T00:00:01Z",
        },
        {"event": "c", "distinct_id": "u3", "properties": {"$set": {"plan": "free"}}, "timestamp": 1704067202000},
    )
    assert 3 == store.import_events([path]).stored
    assert [
        ("a", '{"distinct_id":"u1","x":1}', "{}", "", ""),
        (
            "b",
            '{"$session_id":"s1","$groups":{"company":"acme"},"$set":{"plan":"pro"}}',
            '{"plan":"pro"}',
            "s1",
            "acme",
        ),
        ("c", '{"$set":{"plan":"free"}}', '{"plan":"free"}', "", ""),
    ] == rows("event, properties, person_properties, `$session_id`, `$group_0`")
    assert {"company": 0} == store.manifest().group_types


def test_batches_are_unpacked(store: EventStore, rows: Rows, tmp_path: Path) -> None:
    """A capture batch, a page of /events/ and a JSON array each hold several events."""
    event = {"event": "a", "distinct_id": "u1", "properties": {"n": 1}}
    batch = write(tmp_path / "batch.jsonl", {"batch": [{**event, "timestamp": "2024-01-01T00:00:00Z"}]}, {"batch": []})
    page = tmp_path / "page.json"
    page.write_text(
        json.dumps(
            {
                "next": None,
                "results": [
                    {
                        **event,
                        "id": "0195a000-0000-7000-8000-000000000001",
                        "timestamp": "2024-01-02T00:00:00.100000+00:00",
                        "person": {"is_identified": True, "distinct_ids": ["u1"], "properties": {"email": "a@b.c"}},
                        "elements": [],
                        "elements_chain": "",
                    }
                ],
            },
            indent=2,
        ),
        encoding="utf-8",
    )
    array = tmp_path / "array.json"
    array.write_text(json.dumps([{**event, "timestamp": "2024-01-03"}, {**event, "timestamp": "2024-01-04"}]))
    report = store.import_events([batch, page, array])
    assert [1, 1, 2] == [file.stored for file in report.files]
    assert ["JSON Lines, capture batches", "JSON, PostHog /events/ pages", "JSON, events with properties"] == [
        file.shape for file in report.files
    ]
    assert ("0195a000-0000-7000-8000-000000000001", '{"email":"a@b.c"}', "1") == rows(
        "toString(uuid), person_properties, `e:n`"
    )[1]


def test_batch_export_in_parquet_and_json_lines_are_the_same_events(
    store: EventStore, rows: Rows, tmp_path: Path
) -> None:
    """PostHog's two export formats give equal rows, so the second adds nothing."""
    line = {
        "uuid": "0195a000-0000-7000-8000-000000000001",
        "event": "$pageview",
        "properties": '{"$current_url": "https://a.b/c", "price": 1.50}',
        "distinct_id": "u1",
        "team_id": 7,
        "timestamp": "2024-01-01 10:00:00.123456",
        "created_at": "2024-01-01 10:00:05.000000",
        "elements_chain": "a:b",
        "person_id": "00000000-0000-4000-8000-000000000001",
        "person_properties": '{"plan": "pro"}',
        "_inserted_at": "2024-01-01 10:00:06",
    }
    times = ("timestamp", "created_at")
    instants = {name: datetime.fromisoformat(str(line[name])).replace(tzinfo=UTC) for name in times}
    pl.DataFrame([{**line, **instants}]).write_parquet(tmp_path / "export.parquet")
    first = store.import_events([tmp_path / "export.parquet"])
    assert "Parquet, PostHog batch export" == first.files[0].shape
    packed = tmp_path / "export.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(line).encode()))
    second = store.import_events([packed])
    assert (1, 0, 1) == (first.stored, second.stored, second.duplicates)
    assert [
        (
            "0195a000-0000-7000-8000-000000000001",
            datetime(2024, 1, 1, 10, 0, 0, 123456, tzinfo=UTC),
            datetime(2024, 1, 1, 10, 0, 5, tzinfo=UTC),
            "00000000-0000-4000-8000-000000000001",
            "a:b",
            "1.5",
            "pro",
        )
    ] == rows("toString(uuid), timestamp, created_at, toString(person_id), elements_chain, `e:price`, `p:plan`")


def test_parquet_times_without_zone_are_local_and_types_are_kept(store: EventStore, rows: Rows, tmp_path: Path) -> None:
    """A naive time is read in the zone given, an instant is not moved; numbers and lists stay what they are."""
    frame = pl.DataFrame(
        {
            "event": ["naive"],
            "user_id": [17],
            "time": [datetime(2024, 1, 1, 0, 30)],
            "amount": [1.5],
            "tags": [["x", "y"]],
            "none": pl.Series([None], dtype=pl.Int64),
        }
    )
    frame.write_parquet(tmp_path / "local.parquet")
    frame.with_columns(pl.col("time").dt.replace_time_zone("UTC"), event=pl.lit("instant")).write_parquet(
        tmp_path / "utc.parquet"
    )
    paths = [tmp_path / "local.parquet", tmp_path / "utc.parquet"]
    store.import_events(paths, ColumnMapping(timezone="Europe/Berlin"))
    properties = '{"amount":1.5,"tags":["x","y"]}'
    assert [
        ("naive", "17", datetime(2023, 12, 31, 23, 30, tzinfo=UTC), properties),
        ("instant", "17", datetime(2024, 1, 1, 0, 30, tzinfo=UTC), properties),
    ] == rows("event, distinct_id, timestamp, properties")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-05", "2024-01-04 23:00:00.000000"),
        ("20240105", "2024-01-04 23:00:00.000000"),
        ("2024-01-05 10:00", "2024-01-05 09:00:00.000000"),
        ("2024-01-05T10:00:00.5", "2024-01-05 09:00:00.500000"),
        ("2024-01-05T10:00:00Z", "2024-01-05 10:00:00.000000"),
        ("2024-01-05T10:00:00.123456789+02:00", "2024-01-05 08:00:00.123456"),
        ("2024-01-05 10:00:00 -0530", "2024-01-05 15:30:00.000000"),
        ("1704448800", "2024-01-05 10:00:00.000000"),
        ("1704448800.25", "2024-01-05 10:00:00.250000"),
        ("1704448800123", "2024-01-05 10:00:00.123000"),
        ("1704448800123456", "2024-01-05 10:00:00.123456"),
        ("1704448800123456789", "2024-01-05 10:00:00.123456"),
        ("2024-02-30", None),
        ("2024-01-05T25:00:00Z", None),
        ("01/05/2024", None),
        ("12", None),
        ("yesterday", None),
    ],
)
def test_times(client: Client, text: str, instant: str | None) -> None:
    """ISO 8601 and Unix times are read in the zone given where they name none; anything else is no time."""
    from posthog_events.clickhouse.store.stage import time_sql

    sql = f"SELECT toString({time_sql('t', 'Europe/Berlin')}) FROM (SELECT materialize('{text}') AS t)"
    assert instant == client.query(sql)[1].item()


def test_rejected_rows_are_kept_with_line_and_reason(store: EventStore, tmp_path: Path) -> None:
    """Every row that is no event stands in the reject file; the rest is stored when that was allowed."""
    good = {"event": "a", "distinct_id": "u", "timestamp": "2024-01-01T00:00:00Z", "x": 1}
    path = write(
        tmp_path / "mixed.jsonl",
        good,
        "{broken",
        "",
        "[1, 2]",
        {**good, "timestamp": "soon"},
        {**good, "timestamp": "2024-06-02T12:00:01Z"},
        {**good, "timestamp": "1979-12-31T23:59:59Z"},
        {**good, "distinct_id": ""},
        {**good, "event": None},
        {**good, "timestamp": "2024-06-02T12:00:00Z"},
    )
    report = store.import_events([path], max_rejected=7)
    assert (9, 2, 0, 7) == (report.read, report.stored, report.duplicates, report.rejected)
    assert report.rejects is not None
    rejects = [json.loads(line) for line in report.rejects.read_text().splitlines()]
    assert [
        (2, "not a JSON object"),
        (4, "not a JSON object"),
        (5, "timestamp soon is neither ISO 8601 nor Unix time"),
        (6, "timestamp 2024-06-02T12:00:01Z lies in the future"),
        (7, "timestamp 1979-12-31T23:59:59Z lies before 1980"),
        (8, "no distinct id"),
        (9, "no event name"),
    ] == [(reject["line"], reject["reason"]) for reject in rejects]
    assert "{broken" == rejects[0]["row"]
    assert str(path) == rejects[0]["file"]


def test_too_many_rejected_rows_fail_the_import_and_store_nothing(store: EventStore, tmp_path: Path) -> None:
    """One bad row in nine is more than the default allows."""
    good = {"event": "a", "distinct_id": "u", "timestamp": "2024-01-01T00:00:00Z"}
    path = write(tmp_path / "bad.jsonl", *[{**good, "n": n} for n in range(8)], {**good, "timestamp": ""})
    before = store.manifest()
    with pytest.raises(ImportFailed, match=r"1 of 9 rows are no events .*bad\.jsonl:9: no timestamp"):
        store.import_events([path])
    assert before == store.manifest()
    assert [] == list(store.data.iterdir())


def test_malformed_csv_rows_are_rejected_with_their_line(store: EventStore, tmp_path: Path) -> None:
    """A row with a field too many or too few is told by the line it begins on, also after a quoted newline."""
    path = tmp_path / "ragged.csv"
    path.write_bytes(
        b'event,user,time\na,"u\n1",2024-01-01\nb,u2\nc,u3,2024-01-03,x\nd,u4,2024-01-04\ne,\xff,2024-01-05\n'
    )
    report = store.import_events([path], max_rejected=3)
    assert (2, 3) == (report.stored, report.rejected)
    assert report.rejects is not None
    assert [
        (4, "2 fields where the header has 3"),
        (5, "4 fields where the header has 3"),
        (7, "not UTF-8 text"),
    ] == [(row["line"], row["reason"]) for row in map(json.loads, report.rejects.read_text().splitlines())]


def test_importing_twice_adds_nothing_and_keeps_true_repetitions(store: EventStore, rows: Rows, tmp_path: Path) -> None:
    """Equal rows of one file are all kept; the same file again, or a longer one, adds only what is new."""
    row = "buy,u1,2024-01-01,5\n"
    path, longer = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text("event,user,time,amount\n" + row * 3)
    longer.write_text("event,user,time,amount\n" + row * 4 + "buy,u2,2024-01-01,5\n")
    assert 3 == store.import_events([path]).stored
    again = store.import_events([path])
    assert (0, 3) == (again.stored, again.duplicates)
    more = store.import_events([longer])
    assert (2, 3) == (more.stored, more.duplicates)
    assert [("u1", 4), ("u2", 1)] == sorted(
        (user, sum(1 for other in rows("distinct_id") if other == (user,))) for user in ("u1", "u2")
    )


def test_repetitions_are_counted_across_the_parts_of_a_file(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How a file is cut into parts changes no event's identity."""
    from posthog_events.clickhouse.store import readers

    path = write(
        tmp_path / "a.jsonl", *[{"event": "a", "user": "u", "time": 1704067200, "n": n % 2} for n in range(40)]
    )
    assert 40 == store.import_events([path]).stored
    monkeypatch.setattr(readers.read_parts, "__kwdefaults__", {"chunk_bytes": 300})
    assert 40 == store.import_events([path]).duplicates


def test_duplicate_uuids_within_a_file_are_stored_once(store: EventStore, rows: Rows, tmp_path: Path) -> None:
    """The first row of a uuid counts; a text that is no uuid identifies its event as well."""
    event = {"event": "a", "distinct_id": "u", "timestamp": "2024-01-01T00:00:00Z"}
    path = write(
        tmp_path / "d.jsonl", *[{**event, "order": name, "n": n} for n, name in enumerate(["o-1", "o-2", "o-1"])]
    )
    report = store.import_events([path], ColumnMapping(uuid="order"))
    assert (2, 1) == (report.stored, report.duplicates)
    assert {("0",), ("1",)} == set(rows("`e:n`"))


def test_a_key_that_comes_later_reads_as_null_in_older_files(store: EventStore, rows: Rows, tmp_path: Path) -> None:
    """A promoted column that an older file lacks is NULL there, and base columns are never NULL."""
    event = {"event": "a", "distinct_id": "u", "timestamp": "2024-01-01T00:00:00Z"}
    store.import_events([write(tmp_path / "1.jsonl", {**event, "old": 1})])
    store.import_events([write(tmp_path / "2.jsonl", {**event, "new": 2})])
    assert {("1", None, "a", ""), (None, "2", "a", "")} == set(rows("`e:old`, `e:new`, event, elements_chain"))


def test_keys_beyond_the_cap_stay_in_the_json_and_are_never_read_from_a_column(
    store: EventStore, tmp_path: Path
) -> None:
    """Only the most frequent keys get columns; a key that some file holds in its JSON only is not promoted at all."""
    event = {"event": "a", "distinct_id": "u", "timestamp": "2024-01-01T00:00:00Z"}
    many = {f"k{n}": n for n in range(400)}
    store.import_events([write(tmp_path / "1.jsonl", {**event, "often": 1, **many}, {**event, "often": 2})])
    promoted = store.catalog().tables["events"].columns["properties"].promoted
    assert 300 == len(promoted)
    assert "often" in promoted
    left_out = next(key for key in many if key not in promoted)
    store.import_events([write(tmp_path / "2.jsonl", {**event, left_out: 1, "a.b": 2})])
    columns = store.catalog().tables["events"].columns["properties"].promoted
    assert (300, False, False) == (len(columns), left_out in columns, "a.b" in columns)


def test_conflicting_types_become_string_with_a_warning_and_overrides_stay(store: EventStore, tmp_path: Path) -> None:
    """A number first and a text later is a text; what the user said is not changed by values."""
    event = {"event": "a", "distinct_id": "u", "timestamp": "2024-01-01T00:00:00Z"}
    first = {**event, "x": 1, "y": 1, "t": "2024-01-01T00:00:00Z", "b": True, "o": {"x": "text"}, "m": 1}
    store.import_events([write(tmp_path / "1.jsonl", first, {**event, "m": "1"})], types={"y": PropertyKind.NUMERIC})
    kinds = {key: entry.kind for key, entry in store.manifest().event_types.items()}
    assert {"x": "Numeric", "y": "Numeric", "t": "DateTime", "b": "Boolean", "o": "String", "m": "String"} == kinds
    report = store.import_events([write(tmp_path / "2.jsonl", {**event, "x": "1", "y": "1"})])
    assert ["properties.x holds values of another type than before; it is now read as String."] == [
        warning.split(" Set it")[0] for warning in report.warnings
    ]
    types = store.manifest().event_types
    assert ("String", "Numeric") == (types["x"].kind, types["y"].kind)


def test_a_dry_run_leaves_no_trace(store: EventStore, tmp_path: Path) -> None:
    """Everything is checked and counted, nothing is stored."""
    path = write(tmp_path / "a.jsonl", {"event": "a", "distinct_id": "u", "timestamp": "2024-01-01"})
    before = sorted(store.path.rglob("*"))
    report = store.import_events([path], dry_run=True)
    assert (1, True) == (report.stored, report.dry_run)
    assert {*before, store.path / "lock"} == {*store.path.rglob("*")}
    assert 0 == store.manifest().rows


def _wide(path: Path) -> None:
    path.write_text(",".join(f"c{n}" for n in range(100_000)) + "\n" + ",".join("1" * 100_000) + "\n")


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("empty.csv", lambda path: path.write_text(""), r"is empty; there is nothing to import"),
        ("bom.csv", lambda path: path.write_bytes(b"\xef\xbb\xbf\r\n"), r"is empty"),
        ("wide.csv", _wide, r"has 100,000 columns, and at most 2,000 can be imported"),
        ("utf16.csv", lambda path: path.write_text("event,user,time\n", "utf-16"), r"is UTF-16; save it as UTF-8"),
        ("twice.csv", lambda path: path.write_text("event,x,x\na,1,2\n"), r"twice.csv:1: the column 'x' appears twice"),
        (
            "nouser.csv",
            lambda path: path.write_text("event,time\na,1\n"),
            r"name it with --user. Columns: event, time.",
        ),
        ("noevent.csv", lambda path: path.write_text("user,time\na,1\n"), r"with --event. Columns: user, time."),
        ("bad.json", lambda path: path.write_text('[{"event": "a"},\n{oops}]'), r"is not valid JSON: .*line 2"),
        ("none.json", lambda path: path.write_text("[]"), r"holds no events"),
        ("bad.parquet", lambda path: path.write_bytes(b"PAR1 oops"), r"is not a readable Parquet file"),
        (
            "cut.csv.gz",
            lambda path: path.write_bytes(gzip.compress(b"event,user,time\n" * 999)[:40]),
            r"damaged or cut off",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and " " not in value else "",
)
def test_unusable_files_are_one_sentence(
    store: EventStore, tmp_path: Path, name: str, make: Callable[[Path], object], message: str
) -> None:
    """A file that cannot be imported is told by name and reason, and nothing is stored."""
    path = tmp_path / name
    make(path)
    with pytest.raises(ImportFailed, match=message) as raised:
        store.import_events([path])
    assert "\n" not in str(raised.value)
    assert 0 == store.manifest().rows


@pytest.mark.slow
def test_a_row_with_100_000_keys_is_stored_and_read_from_its_json(
    store: EventStore, rows: Rows, tmp_path: Path
) -> None:
    """JSON has no column limit: the keys that get no column stay in the document."""
    event = {"event": "a", "distinct_id": "u", "timestamp": "2024-01-01T00:00:00Z"}
    path = write(tmp_path / "wide.jsonl", {**event, "properties": {f"k{n}": n for n in range(100_000)}})
    store.import_events([path])
    assert [("99999", 100_000)] == rows("JSONExtractRaw(properties, 'k99999'), JSONLength(properties)")


REAL = Path(__file__).parents[3] / "shared" / "data" / "cdnow_purchases.csv.gz"


@pytest.mark.skipif(not REAL.exists(), reason="the CDNOW data set is not beside the repository")
def test_cdnow_imports_whole(store: EventStore, rows: Rows) -> None:
    """All 69,659 purchases of 23,570 people are kept, although 255 rows equal an earlier one, and none twice."""
    report = store.import_events([REAL], ColumnMapping(event="purchase", time="date", user="customer_id"))
    assert (69_659, 69_659, 0, 0) == (report.read, report.stored, report.duplicates, report.rejected)
    frame = pl.read_csv(REAL, infer_schema_length=None, schema_overrides={"customer_id": pl.String})
    dollars, people = frame["dollars"].sum(), frame["customer_id"].n_unique()
    source = store.catalog().tables["events"].source
    with Client.open("chdb://memory") as client:
        stored = client.query(
            f"SELECT round(sum(toFloat64(`e:dollars`)), 2), uniqExact(distinct_id), uniqExact(person_id) FROM {source}"
        )[1].row(0)
    assert (round(dollars, 2), people, people) == stored
    assert 23_570 == people
    assert "Numeric" == store.manifest().event_types["dollars"].kind
    assert 69_659 == store.import_events([REAL], ColumnMapping(event="purchase")).duplicates
