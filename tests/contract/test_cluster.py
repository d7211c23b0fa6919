"""Copying a local store to a server: what arrives, who sees it when, and what is left of a push that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from posthog_events.clickhouse import cluster
from posthog_events.clickhouse.catalog import Catalog, Column, PropertyKind, Table
from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.cluster import REGISTRY, ServerTables, push, spans
from posthog_events.clickhouse.store import EventStore
from posthog_events.connection import connect
from posthog_events.errors import ConfigError, EngineError
from tests.helpers.clickhouse_http import ClickHouseFront
from tests.helpers.library_store import NOW, make_store, write_rows

PASSWORD = "s3cret!word"

EVENTS = [
    {
        "uuid": "00000000-0000-4000-8000-000000000001",
        "event": "$pageview",
        "timestamp": "2026-01-31T23:59:59.999999Z",
        "distinct_id": "ann",
        "properties": {"plan": "pro", "$session_id": "s1", "note": 'é😀 "quoted" \\ back'},
    },
    {
        "uuid": "00000000-0000-4000-8000-000000000002",
        "event": "buy",
        "timestamp": "2026-02-01T00:00:00Z",
        "distinct_id": "ann",
        "properties": {"amount": 12.5, "$session_id": "s1"},
    },
    {
        "uuid": "00000000-0000-4000-8000-000000000003",
        "event": "buy",
        "timestamp": "2026-02-01T08:00:00Z",
        "distinct_id": "bob",
        "properties": {},
    },
]


@pytest.fixture(scope="module")
def front() -> Iterator[ClickHouseFront]:
    with ClickHouseFront(password=PASSWORD) as front:
        yield front


@pytest.fixture(scope="module")
def source() -> Iterator[Client]:
    with Client.open("chdb://memory") as client:
        yield client


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The catalog of a store with three events in two months."""
    directory = tmp_path_factory.mktemp("cluster")
    store = make_store(directory / "store", [write_rows(directory / "events.jsonl", EVENTS)], timezone="Europe/Berlin")
    return EventStore.open(store).catalog()


@pytest.fixture
def small(catalog: Catalog) -> Catalog:
    """The catalog with its events alone, for tests that push often."""
    return replace(catalog, tables={"events": catalog.tables["events"]})


databases = count()


@pytest.fixture
def target(front: ClickHouseFront) -> Iterator[Client]:
    """A client of a database of its own."""
    name = f"push_{next(databases)}"
    with Client.open(front.dsn) as admin:
        admin.command(f"CREATE DATABASE {name}")
    with Client.open(front.dsn.removesuffix("default") + name) as client:
        yield client


def tables(client: Client) -> set[str]:
    """Return the names of all tables of the client's database."""
    _, names = client.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    return set(names["name"])


def numbered(*ids: str) -> Callable[[], str]:
    """Return a source of these push ids."""
    return iter(ids).__next__


def of_values(values: Mapping[str, str]) -> Catalog:
    """Return a catalog with one table, `things`: column to the SQL of its value in the one row."""
    select = ", ".join(f"{text} AS {name}" for name, text in values.items())
    table = Table("things", f"(SELECT {select})", {name.strip("`"): Column("String") for name in values})
    return Catalog({"things": table})


def test_every_table_arrives_with_its_rows_and_types(catalog: Catalog, source: Client, target: Client) -> None:
    """Each table of the server holds the local one's rows, and its columns have the local ones' ClickHouse types."""
    report = push(catalog, source=source, target=target, new_id=numbered("1"))

    assert {"events": 3, "persons": 2, "person_distinct_ids": 2, "groups": 0, "sessions": 1} == report.rows
    assert () == report.warnings
    assert {f"{name}__1" for name in report.rows} | {REGISTRY} == tables(target)
    for name, table in catalog.tables.items():
        local_types, local = source.query(f"SELECT * FROM {table.source} ORDER BY ALL")
        types, copied = target.query(f"SELECT * FROM {name}__1 ORDER BY ALL")
        assert local_types == types
        assert_frame_equal(local, copied)


def test_promoted_properties_are_columns_of_the_copy(catalog: Catalog, source: Client, target: Client) -> None:
    """The column of a property, its name with a colon and all, is there and holds PostHog's text."""
    push(catalog, source=source, target=target, new_id=numbered("1"))
    types, frame = target.query("SELECT `e:plan`, `e:amount`, `e:note` FROM events__1 ORDER BY timestamp")

    assert ["Nullable(String)"] * 3 == [kind for _, kind in types]
    assert [
        ("pro", None, r"é😀 \"quoted\" \\ back"),
        (None, "12.5", None),
        (None, None, None),
    ] == frame.rows()


def test_the_copy_of_the_catalog_says_what_the_original_says(catalog: Catalog, source: Client, target: Client) -> None:
    """Zone, first day of the week, property types and columns come along; sources are the copies."""
    catalog = replace(catalog, group_types={"company": 0}, cohorts={"fans": 7}, has_overrides=True)
    push(catalog, source=source, target=target, new_id=numbered("1"))
    read = ServerTables(target).catalog()

    def bare(one: Catalog) -> Catalog:
        return replace(one, tables={name: replace(table, source="") for name, table in one.tables.items()})

    assert bare(catalog) == bare(read)
    assert PropertyKind.NUMERIC == read.tables["events"].columns["properties"].property_types["amount"]
    assert {name: f"{name}__1" for name in catalog.tables} == {n: table.source for n, table in read.tables.items()}


TYPED: list[tuple[str, str, Any]] = [
    ("Bool", "true", True),
    ("Int8", "toInt8(-128)", -128),
    ("UInt64", "18446744073709551615", 2**64 - 1),
    ("Float64", "toFloat64(0.1)", 0.1),
    ("Decimal(38, 6)", "toDecimal128('12345678901234567890.123456', 6)", Decimal("12345678901234567890.123456")),
    ("String", r"'it\'s é😀'", "it's é😀"),
    ("UUID", "toUUID('01020304-0506-0708-090a-0b0c0d0e0f10')", "01020304-0506-0708-090a-0b0c0d0e0f10"),
    ("Date", "toDate('2026-03-04')", date(2026, 3, 4)),
    ("Date32", "toDate32('1955-03-04')", date(1955, 3, 4)),
    ("DateTime('UTC')", "toDateTime('2026-03-04 05:06:07', 'UTC')", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)),
    (
        "DateTime64(6, 'UTC')",
        "toDateTime64('2026-03-04 05:06:07.123456', 6, 'UTC')",
        datetime(2026, 3, 4, 5, 6, 7, 123456, tzinfo=UTC),
    ),
    ("Nullable(Float64)", "CAST(NULL, 'Nullable(Float64)')", None),
    ("LowCardinality(String)", "toLowCardinality('a')", "a"),
    ("Enum8('a' = 1, 'b' = 2)", "CAST('b', 'Enum8(\\'a\\' = 1, \\'b\\' = 2)')", "b"),
    ("Array(Nullable(String))", "['x', NULL]", ["x", None]),
    ("Array(Array(UInt8))", "[[1, 2], []]", [[1, 2], []]),
]


def test_columns_of_every_kind_arrive_exactly(source: Client, target: Client) -> None:
    """A user's table may hold any type that a frame can; type and value are the same on the server."""
    values = {f"c{number}": expression for number, (_, expression, _) in enumerate(TYPED)}
    push(of_values(values), source=source, target=target, new_id=numbered("1"))
    types, frame = target.query("SELECT * FROM things__1")

    assert [kind for kind, _, _ in TYPED] == [kind for _, kind in types]
    assert [value for _, _, value in TYPED] == list(frame.row(0))


def test_columns_may_be_called_anything(source: Client, target: Client) -> None:
    """Names that mean something in SQL, or need quotes, stay names."""
    names = ["index", "constraint", "a b", "it's", "semi;colon", "back\\\\slash", "tick\\`", "$x.y"]
    push(of_values({f"`{name}`": "1" for name in names}), source=source, target=target, new_id=numbered("1"))
    types = target.describe("SELECT * FROM things__1")

    expected = ["index", "constraint", "a b", "it's", "semi;colon", "back\\slash", "tick`", "$x.y"]
    assert expected == [name for name, _ in types]


def test_events_are_copied_part_by_part(small: Catalog, source: Client, target: Client) -> None:
    """A part ends with its month, or where it would grow too large; progress is told after each."""
    told: list[tuple[str, int]] = []
    push(small, source=source, target=target, progress=lambda *part: told.append(part))

    assert [("events", 1), ("events", 3)] == told


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([], []),
        ([(date(2026, 1, 1), 9)], [(date(2026, 1, 1), date(2026, 1, 1))]),
        (
            [(date(2026, 1, day), 2) for day in (1, 2, 5, 6)],
            [(date(2026, 1, 1), date(2026, 1, 2)), (date(2026, 1, 5), date(2026, 1, 6))],
        ),
        (
            [(date(2025, 1, 31), 1), (date(2026, 1, 1), 1), (date(2026, 2, 1), 1)],
            [(date(2025, 1, 31),) * 2, (date(2026, 1, 1),) * 2, (date(2026, 2, 1),) * 2],
        ),
        (
            [(date(2026, 1, 1), 1), (date(2026, 1, 2), 9), (date(2026, 1, 3), 1)],
            [(date(2026, 1, 1),) * 2, (date(2026, 1, 2),) * 2, (date(2026, 1, 3),) * 2],
        ),
    ],
    ids=["none", "one", "full", "months and years", "a day over the limit"],
)
def test_spans_stay_within_month_and_limit(days: list[tuple[date, int]], expected: list[tuple[date, date]]) -> None:
    """Days are joined up to four rows, never over the end of a month; a day alone may have more."""
    assert expected == list(spans(days, 4))


def test_empty_store_can_be_pushed(tmp_path: Path, source: Client, target: Client) -> None:
    """Tables without rows arrive too, so that queries find nothing rather than fail."""
    empty = EventStore.create(tmp_path / "empty").catalog()
    report = push(empty, source=source, target=target, new_id=numbered("1"))

    assert {"events": 0, "persons": 0, "person_distinct_ids": 0, "groups": 0, "sessions": 0} == report.rows
    with connect(target.dsn, password=PASSWORD) as server:
        assert 0 == server.hogql("SELECT count() AS n FROM events").item()


def test_reader_sees_a_new_push_after_two_seconds(small: Catalog, source: Client, target: Client) -> None:
    """An open reader goes on with the tables it knows, and then takes the newest, never some of each."""
    clock = iter([0.0, 1.9, 2.0]).__next__
    push(small, source=source, target=target, new_id=numbered("1"))
    reader = ServerTables(target, clock=clock)
    seen = [reader.catalog().tables["events"].source]
    push(small, source=source, target=target, new_id=numbered("2"))
    seen += [reader.catalog().tables["events"].source for _ in range(2)]

    assert ["events__1", "events__1", "events__2"] == seen


def test_readers_go_on_with_the_old_push_until_the_new_one_is_complete(
    catalog: Catalog, source: Client, target: Client
) -> None:
    """While tables are being copied, whoever looks sees the push before."""
    push(catalog, source=source, target=target, new_id=numbered("1"))
    seen: set[str] = set()

    def look(table: str, rows: int) -> None:
        seen.update(found.source for found in ServerTables(target).catalog().tables.values())

    push(catalog, source=source, target=target, new_id=numbered("2"), progress=look)

    assert {f"{name}__1" for name in catalog.tables} == seen


def test_two_pushes_are_kept(small: Catalog, source: Client, target: Client) -> None:
    """The third push drops the first, tables and row; the second stays for queries that still run."""
    for number in "1234":
        push(small, source=source, target=target, new_id=numbered(number))

    assert {"events__3", "events__4", REGISTRY} == tables(target)
    assert {"3", "4"} == set(target.query(f"SELECT DISTINCT push_id FROM {REGISTRY}")[1]["push_id"])


def test_tables_of_others_are_never_touched(small: Catalog, source: Client, target: Client) -> None:
    """A table that is called like one of a push makes the push take another id; neighbours stay as they are."""
    for name in ("events", "events__1", "persons__2", "events__3"):
        target.command(f"CREATE TABLE {name} (a UInt8) ENGINE = MergeTree ORDER BY a")
        target.command(f"INSERT INTO {name} VALUES (7)")
    reports = [push(small, source=source, target=target, new_id=numbered("1", "2", "3", x)) for x in "456"]
    with pytest.raises(EngineError):
        push(with_broken_table(small), source=source, target=target, new_id=numbered("1", "7"))

    assert ["4", "5", "6"] == [report.push_id for report in reports]
    assert {"events", "events__1", "persons__2", "events__3", "events__5", "events__6", REGISTRY} == tables(target)
    for name in ("events", "events__1", "persons__2", "events__3"):
        assert [(7,)] == target.query(f"SELECT a FROM {name}")[1].rows()


def test_registry_of_somebody_else_is_refused(small: Catalog, source: Client, target: Client) -> None:
    """A table with the registry's name and other columns is left alone, and nothing is written beside it."""
    target.command(f"CREATE TABLE {REGISTRY} (a UInt8) ENGINE = MergeTree ORDER BY a")

    with pytest.raises(ConfigError, match="did not create; nothing was written"):
        push(small, source=source, target=target)
    assert {REGISTRY} == tables(target)


def test_stored_catalog_cannot_name_other_tables(small: Catalog, source: Client, target: Client) -> None:
    """Whoever writes to the registry does not choose what our queries read, or what is dropped."""
    target.command("CREATE TABLE secrets (a UInt8) ENGINE = MergeTree ORDER BY a")
    push(small, source=source, target=target, new_id=numbered("1"))
    for push_id, moved in (("new", "+ INTERVAL 1 HOUR"), ("old", "- INTERVAL 1 HOUR")):
        target.command(
            f"INSERT INTO {REGISTRY} SELECT now64(6) {moved} AS pushed_at, '{push_id}' AS push_id, "
            "['secrets'] AS tables, replaceAll(r.catalog, 'events__1', 'secrets') AS catalog "
            f"FROM {REGISTRY} AS r WHERE r.push_id = '1' AND r.catalog != ''"
        )
    read = ServerTables(target).catalog()
    push(small, source=source, target=target, new_id=numbered("2"))

    assert "events__new" == read.tables["events"].source
    assert {"new", "2"} == set(target.query(f"SELECT push_id FROM {REGISTRY}")[1]["push_id"])
    assert "secrets" in tables(target)


def with_broken_table(catalog: Catalog) -> Catalog:
    return replace(catalog, tables={**catalog.tables, "broken": Table("broken", "(SELECT throwIf(1) AS a)", {})})


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_interrupted_push_leaves_nothing(
    catalog: Catalog, source: Client, target: Client, failure: type[BaseException]
) -> None:
    """Ctrl-C in the middle: the push before is current, and nothing of the new one is left."""
    push(catalog, source=source, target=target, new_id=numbered("1"))
    before = tables(target)

    def stop(table: str, rows: int) -> None:
        assert "events__2" in tables(target)
        if table == "persons":
            raise failure

    with pytest.raises(failure):
        push(catalog, source=source, target=target, new_id=numbered("2"), progress=stop)

    assert before == tables(target)
    assert "events__1" == ServerTables(target).catalog().tables["events"].source
    assert {"1"} == set(target.query(f"SELECT push_id FROM {REGISTRY}")[1]["push_id"])


def test_failed_push_leaves_nothing_and_shows_no_password(small: Catalog, source: Client, target: Client) -> None:
    """A table that cannot be read fails the push with ClickHouse's reason; the push before stays."""
    report = push(small, source=source, target=target, new_id=numbered("1"))
    before = tables(target)

    with pytest.raises(EngineError, match="395") as caught:
        push(with_broken_table(small), source=source, target=target)

    assert before == tables(target)
    assert "events__1" == ServerTables(target).catalog().tables["events"].source
    for text in (str(caught.value), repr(report), repr(target), target.dsn):
        assert PASSWORD not in text


def test_rows_that_do_not_arrive_fail_the_push(
    small: Catalog, source: Client, target: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are counted at both ends before the push becomes current."""
    insert = Client.insert_parquet

    def lose(client: Client, table: str, data: Path | bytes) -> None:
        if table == REGISTRY:
            insert(client, table, data)

    monkeypatch.setattr(Client, "insert_parquet", lose)
    with pytest.raises(EngineError, match=r"holds 0 rows of events, but 3 were sent; push again"):
        push(small, source=source, target=target)

    assert {REGISTRY} == tables(target)


def test_days_that_were_left_out_fail_the_push(
    small: Catalog, source: Client, target: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The local rows are counted as a whole too, so that no part can be forgotten."""
    monkeypatch.setattr(cluster, "spans", lambda days, limit: [(date(2026, 1, 31), date(2026, 1, 31))])

    with pytest.raises(EngineError, match=r"chdb://memory holds 3 rows of events, but 1 were sent"):
        push(small, source=source, target=target)


def test_push_that_was_killed_is_cleared_after_a_day(small: Catalog, source: Client, target: Client) -> None:
    """Tables of a push that never ended go with a later push, a day on; those of one that may still run stay."""
    push(small, source=source, target=target, new_id=numbered("1"))
    for push_id, hours in (("dead", 25), ("busy", 23)):
        target.command(f"CREATE TABLE events__{push_id} (a UInt8) ENGINE = MergeTree ORDER BY a")
        target.command(
            f"INSERT INTO {REGISTRY} SELECT now64(6) - INTERVAL {hours} HOUR AS pushed_at, '{push_id}' AS push_id, "
            f"['events__{push_id}', 'persons__{push_id}'] AS tables, '' AS catalog"
        )
    report = push(small, source=source, target=target, new_id=numbered("2"))

    assert () == report.warnings
    assert {"events__1", "events__2", "events__busy", REGISTRY} == tables(target)


def test_old_tables_that_cannot_be_dropped_are_a_warning(
    small: Catalog, source: Client, target: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The push counts although clearing up failed, and says so."""
    for number in "12":
        push(small, source=source, target=target, new_id=numbered(number))
    command = Client.command

    def refuse(client: Client, sql: str, **options: Any) -> None:
        if sql.startswith("DROP"):
            raise EngineError("not allowed to drop")
        command(client, sql, **options)

    monkeypatch.setattr(Client, "command", refuse)
    report = push(small, source=source, target=target, new_id=numbered("3"))

    assert "events__3" == ServerTables(target).catalog().tables["events"].source
    (warning,) = report.warnings
    assert "the push is complete, but" in warning
    assert "not allowed to drop" in warning


def test_database_without_a_push_says_how_to_push(target: Client) -> None:
    """Reading where nothing was pushed is one sentence with the command, and no password."""
    with connect(target.dsn, password=PASSWORD) as server, pytest.raises(ConfigError) as caught:
        server.hogql("SELECT 1 AS a FROM events")

    message = str(caught.value)
    assert f"posthog-events local push --store ./events --dsn '{target.dsn}'" in message
    assert PASSWORD not in message
    assert "\n" not in message


def test_push_of_another_version_is_explained(small: Catalog, source: Client, target: Client) -> None:
    """A catalog that this version cannot read is a sentence that says to push again."""
    push(small, source=source, target=target)
    target.command(
        f"INSERT INTO {REGISTRY} SELECT now64(6) + 1 AS pushed_at, 'x' AS push_id, [] AS tables, "
        "'{\"tables\": 3}' AS catalog"
    )
    with pytest.raises(ConfigError, match="pushed by another version of posthog-events; copy them again"):
        ServerTables(target).catalog()


def test_wrong_password_is_explained(front: ClickHouseFront) -> None:
    """Connecting fails at once, and the message holds neither password."""
    with pytest.raises(EngineError, match="refused user 'default'") as caught:
        connect(f"clickhouse://default:wrong@{front.host}:{front.port}/default")

    assert "wrong@" not in str(caught.value)


def test_server_that_goes_away_is_explained(small: Catalog, source: Client) -> None:
    """A server that dies during a push or between two queries is one sentence, and nothing waits for it."""
    with ClickHouseFront() as doomed, Client.open(doomed.dsn) as target:
        push(small, source=source, target=target)
        with connect(doomed.dsn, clock=lambda: NOW) as server:
            assert 3 == server.hogql("SELECT count() AS n FROM events").item()

            def die(table: str, rows: int) -> None:
                doomed._process.kill()

            with pytest.raises(EngineError, match=r"cannot reach ClickHouse at 127\.0\.0\.1"):
                push(small, source=source, target=target, progress=die)
            with pytest.raises(EngineError, match=r"cannot reach ClickHouse at 127\.0\.0\.1") as caught:
                server.hogql("SELECT count() AS n FROM events")

    assert "\n" not in str(caught.value)


def test_polars_frame_of_a_server_query_is_typed(catalog: Catalog, source: Client, target: Client) -> None:
    """Property types and the project's zone work on the server: a number is a number, a day is Berlin's."""
    push(catalog, source=source, target=target)
    with connect(target.dsn, password=PASSWORD) as server:
        frame = server.hogql(
            "SELECT toDate(timestamp) AS day, properties.amount AS amount FROM events ORDER BY timestamp"
        )

    assert_frame_equal(
        pl.DataFrame({"day": [date(2026, 2, 1)] * 3, "amount": [None, 12.5, None]}, schema_overrides={"day": pl.Date}),
        frame,
    )
