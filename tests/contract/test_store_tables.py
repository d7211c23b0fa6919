"""Tables that a store derives from its events, and tables imported beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.quoting import identifier
from posthog_events.clickhouse.store import EventStore
from posthog_events.errors import ConfigError, ImportFailed, StoreError

START = datetime(2024, 1, 1, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One engine for the module."""
    with Client.open("chdb://memory") as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> EventStore:
    """A store with two people, three sessions and a group."""
    url = "https://www.a.com/pricing?utm_source=ads"
    lines = [
        _event("u1", 0, "$pageview", "s1", {"$current_url": url, "utm_source": "ads"}, {"plan": "free"}),
        _event("u1", 60, "$autocapture", "s1", {"$current_url": url}, {}),
        _event("u1", 90, "$pageview", "s1", {"$current_url": "https://www.a.com/docs"}, {"plan": "pro"}),
        _event("u2", 0, "$pageview", "s2", {"$current_url": "https://b.com/"}, {}),
        _event("u2", 9, "seen", "s2", {}, {}),
        _event("u2", 500, "ping", "s3", {}, {}),
        _event("u2", 600, "$groupidentify", "", _group("acme", "small"), {}),
        _event("u2", 700, "$groupidentify", "", _group("acme", "large"), {}),
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    created = EventStore.create(tmp_path / "store")
    created.import_events([path])
    return created


def _group(key: str, size: str) -> dict[str, Any]:
    return {"$group_type": "company", "$group_key": key, "$group_set": {"size": size}}


def _event(
    user: str, second: int, event: str, session: str, properties: dict[str, Any], person: dict[str, Any]
) -> dict[str, Any]:
    return {
        "event": event,
        "distinct_id": user,
        "timestamp": (START + timedelta(seconds=second)).isoformat(),
        "properties": {**properties, **({"$session_id": session} if session else {})},
        "person_properties": person,
    }


def select(client: Client, store: EventStore, table: str, *columns: str, order: str) -> list[tuple[Any, ...]]:
    """Read columns of a catalog table."""
    source = store.catalog().tables[table].source
    names = ", ".join(map(identifier, columns))
    return client.query(f"SELECT {names} FROM {source} ORDER BY {identifier(order)}")[1].rows()


def test_every_catalog_column_is_what_it_says(client: Client, store: EventStore) -> None:
    """The declared type of each column of each table is the type that ClickHouse gives it, in full and empty stores."""
    for tables in (store.catalog().tables, EventStore.create(store.path.parent / "empty").catalog().tables):
        for table in tables.values():
            columns = ", ".join(identifier(column.physical or name) for name, column in table.columns.items())
            described = client.describe(f"SELECT {columns} FROM {table.source}")
            assert [column.type for column in table.columns.values()] == [kind for _, kind in described], table.name
            client.query(f"SELECT {columns} FROM {table.source}")


def test_sessions_follow_the_definition(client: Client, store: EventStore) -> None:
    """Counts, first and last values, and the three outcomes of a bounce."""
    assert [
        ("s1", 90, 2, 0, 1, "https://www.a.com/pricing?utm_source=ads", "/pricing", "www.a.com", "/docs", "ads", 2, 0),
        ("s2", 9, 1, 0, 0, "https://b.com/", "/", "b.com", "/", None, 1, 1),
        ("s3", 0, 0, 0, 0, None, None, None, None, None, 0, None),
    ] == select(
        client,
        store,
        "sessions",
        "session_id",
        "$session_duration",
        "$pageview_count",
        "$screen_count",
        "$autocapture_count",
        "$entry_current_url",
        "$entry_pathname",
        "$entry_hostname",
        "$end_pathname",
        "$entry_utm_source",
        "$num_uniq_urls",
        "$is_bounce",
        order="session_id",
    )


def test_persons_have_their_latest_properties_and_first_time(client: Client, store: EventStore) -> None:
    """Events without person properties do not erase what is known."""
    assert [('{"plan":"pro"}', START), ("", START)] == select(
        client, store, "persons", "properties", "created_at", order="properties"
    )[::-1]
    ids = select(client, store, "person_distinct_ids", "distinct_id", "person_id", order="distinct_id")
    assert ["u1", "u2"] == [row[0] for row in ids]
    assert {row[1] for row in ids} == {row[0] for row in select(client, store, "persons", "id", order="id")}


def test_groups_are_what_was_last_set(client: Client, store: EventStore) -> None:
    """A group type gets the first free index, and the latest event counts."""
    assert {"company": 0} == store.catalog().group_types
    assert [(0, "acme", '{"size":"large"}')] == select(
        client, store, "groups", "index", "key", "properties", order="key"
    )


def test_imported_persons_and_ids_replace_the_derived_ones(client: Client, store: EventStore, tmp_path: Path) -> None:
    """PostHog's own column names are known; the last row of a person counts; ids then override the events'."""
    person = "00000000-0000-4000-8000-000000000001"
    (tmp_path / "persons.jsonl").write_text(
        f'{{"id": 7, "uuid": "{person}", "properties": {{"plan": "old"}}, "created_at": "2023-01-01T00:00:00Z"}}\n'
        f'{{"id": 7, "uuid": "{person}", "properties": {{"plan": "new"}}, "created_at": "2023-01-01T00:00:00Z"}}\n'
    )
    (tmp_path / "ids.csv").write_text(f"distinct_id,person_id\nu1,{person}\nu2,{person}\n")
    assert 1 == store.import_table("persons", tmp_path / "persons.jsonl")
    assert 2 == store.import_table("person_distinct_ids", tmp_path / "ids.csv")
    assert [(person, '{"plan": "new"}', datetime(2023, 1, 1, tzinfo=UTC))] == select(
        client, store, "persons", "id", "properties", "created_at", order="id"
    )
    assert store.catalog().has_overrides


def test_user_tables_have_typed_columns_and_can_be_replaced(client: Client, store: EventStore, tmp_path: Path) -> None:
    """CSV with any delimiter, JSON Lines and Parquet become tables; a second import replaces the first."""
    (tmp_path / "plans.csv").write_text("plan;price;since\nfree;0;2024-01-01\npro;9.5;2024-02-01\n")
    assert 2 == store.import_table("plans", tmp_path / "plans.csv")
    table = store.catalog().tables["plans"]
    assert ["Nullable(String)", "Nullable(Float64)", "Nullable(Date)"] == [c.type for c in table.columns.values()]
    pl.DataFrame({"plan": ["team"], "seats": [5]}).write_parquet(tmp_path / "plans.parquet")
    assert 1 == store.import_table("plans", tmp_path / "plans.parquet")
    assert [("team", 5)] == select(client, store, "plans", "plan", "seats", order="plan")


def test_names_of_posthog_tables_and_bad_names_are_refused(store: EventStore, tmp_path: Path) -> None:
    """A user's table never hides one of PostHog's, and is always a plain word."""
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    for name in ("events", "sessions", "numbers", "a b", "1x", "x;y"):
        with pytest.raises(ConfigError, match=r"choose another|is no table name"):
            store.import_table(name, path)
    with pytest.raises(ImportFailed, match="needs a column 'person_id'"):
        store.import_table("cohort_people", _csv(tmp_path, "cohort_id\n1\n"))


def _csv(folder: Path, text: str) -> Path:
    (folder / "x.csv").write_text(text)
    return folder / "x.csv"


def test_removal_takes_exactly_the_events_that_meet_all_conditions(client: Client, store: EventStore) -> None:
    """By name and time together; an unknown import and no condition are refused."""
    limit = START + timedelta(seconds=60)
    assert 2 == store.remove(event="$pageview", before=limit, dry_run=True)
    assert 2 == store.remove(event="$pageview", before=limit)
    left = select(client, store, "events", "event", order="event")
    assert 6 == len(left) == store.manifest().rows
    assert [("$pageview",)] == [row for row in left if row[0] == "$pageview"]
    with pytest.raises(ConfigError, match="there was no import 'x'"):
        store.remove(import_id="x")
    with pytest.raises(ConfigError, match="say which events to remove"):
        store.remove()
    assert 6 == store.remove(everything=True)
    assert [] == select(client, store, "events", "event", order="event")


def test_an_import_can_be_taken_back_even_after_its_files_were_merged(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small files of a month are merged once there are many; each row still knows its import."""
    from posthog_events.clickhouse.store import rewrite

    monkeypatch.setattr(rewrite, "MANY", 3)
    store = EventStore.create(tmp_path / "many")
    ids = []
    for number in range(3):
        path = tmp_path / f"{number}.csv"
        path.write_text(f"event,user,time,k{number}\ne{number},u,2024-01-01,{number}\n")
        ids.append(store.import_events([path]).id)
    (merged,) = store.manifest().files
    assert (3, {"k0", "k1", "k2"}) == (merged.rows, set(merged.event_keys))
    assert 3 == len(store.manifest().retired)
    assert 1 == store.remove(import_id=ids[1])
    source = store.catalog().tables["events"].source
    assert [("e0", "0", None), ("e2", None, "2")] == client.query(
        f"SELECT event, `e:k0`, `e:k2` FROM {source} ORDER BY event"
    )[1].rows()


def test_a_missing_file_is_told_instead_of_seeing_less(store: EventStore) -> None:
    """Wildcards skip what is not there, so the catalog looks first."""
    next(store.data.iterdir()).unlink()
    with pytest.raises(StoreError, match=r"is incomplete: .*\.parquet is missing"):
        store.catalog()
