"""Every file in `queries/`, and a sample of the HogQL corpus, on a local store and on a server that holds a copy of it.

The server is the HTTP front over chdb (`tests/helpers/clickhouse_http.py`), reached as a user reaches one: the copy is
made by `push`, and `connect("clickhouse://...")` reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from polars.testing import assert_frame_equal

from posthog_events.clickhouse.catalog import PersonMode
from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.cluster import push
from posthog_events.clickhouse.store import EventStore
from posthog_events.connection import Connection, connect
from posthog_events.result import Query, QueryResult
from tests.contract.corpus.cases import Case, Rows
from tests.contract.corpus.fixture import EVENT_TYPES, PERSON_TYPES
from tests.contract.corpus.loader import CASES as CORPUS
from tests.contract.test_library import CASES as LIBRARY
from tests.contract.test_library import EVENTS, QUERIES
from tests.helpers.clickhouse_http import ClickHouseFront
from tests.helpers.corpus_store import build_store, with_types
from tests.helpers.library_store import NOW, make_store

DATABASES = ("library", "corpus")

# Of each file the first case: its most usual parameters.
FILES = {case[0]: case for case in reversed(LIBRARY.values())}

# Every tenth query that has a result whose rows the query determines.
SAMPLE = [case for case in CORPUS if isinstance(case.expect, Rows) and case.expect.rows is not None][::10]

Pair = tuple[Connection, Connection]


@pytest.fixture(scope="module")
def front() -> Iterator[ClickHouseFront]:
    with ClickHouseFront(password="secret") as front:
        with Client.open(front.dsn) as client:
            for name in DATABASES:
                client.command(f"CREATE DATABASE {name}")
        yield front


def both(front: ClickHouseFront, store: EventStore, database: str) -> Pair:
    """Copy the store to the server, and connect to the one and the other."""
    dsn = front.dsn.removesuffix("default") + database
    with Client.open("chdb://memory") as source, Client.open(dsn) as target:
        push(store.catalog(), source=source, target=target)
    return connect(f"chdb://{store.path}", clock=lambda: NOW), connect(dsn, clock=lambda: NOW)


@pytest.fixture(scope="module")
def library(front: ClickHouseFront, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    path = make_store(tmp_path_factory.mktemp("library") / "store", [EVENTS])
    local, server = both(front, EventStore.open(path), "library")
    with local, server:
        yield local, server


@pytest.fixture(scope="module")
def corpus(front: ClickHouseFront, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    local, server = both(front, build_store(tmp_path_factory.mktemp("corpus")), "corpus")
    with local, server:
        yield local, server


def test_every_shipped_query_is_compared() -> None:
    """No file of the library is left out of the comparison."""
    assert {path.stem for path in QUERIES.glob("*.sql")} == FILES.keys()


@pytest.mark.parametrize("name", sorted(FILES))
def test_library_query_gives_equal_frames(library: Pair, name: str) -> None:
    """A query file returns the same ClickHouse types and the same frame, of as many rows as worked out by hand."""
    _, params, _, rows = FILES[name]
    local, server = (connection.run(name, params) for connection in library)

    assert local.types == server.types
    assert_frame_equal(local.frame, server.frame)
    assert len(rows) == server.frame.height


def test_library_follows_the_time_zone_of_the_connection(library: Pair) -> None:
    """East of Greenwich the last moment of the 5th (UTC) is on the 6th, on a server too."""
    with connect(library[1].engine.dsn, timezone="Europe/Berlin", clock=lambda: NOW, password="secret") as berlin:
        trend = berlin.query("event_trend", event="$pageview", since="2026-01-05", until="2026-01-08")

    assert [(date(2026, 1, 5), 2, 1), (date(2026, 1, 6), 3, 2), (date(2026, 1, 7), 1, 1)] == trend.rows()


def test_hogql_binds_values_on_a_server(library: Pair) -> None:
    """A value with quotes, a backslash and a semicolon stays a value on its way over the network."""
    hostile = "it's \\ ; -- é😀"
    frame = library[1].hogql("SELECT {who} AS who, count() AS n FROM events WHERE distinct_id != {who}", who=hostile)

    assert [(hostile, 24)] == frame.rows()


def test_both_engines_show_the_same_tables(library: Pair) -> None:
    """The server offers the names and types that the local store does, the local store's paths not among them."""
    local, server = library

    assert local.tables() == server.tables()
    assert {"events", "persons", "person_distinct_ids", "groups", "sessions"} <= server.tables().keys()
    joined = "SELECT person.properties.plan, session.$session_duration FROM events"
    assert local.engine.dsn.removeprefix("chdb://") in local.sql(joined)
    assert local.engine.dsn.removeprefix("chdb://") not in server.sql(joined)


def on(connection: Connection) -> Callable[[Case], QueryResult]:
    """Return what runs a case of the corpus on a connection, under the settings it asks for."""

    def run(case: Case) -> QueryResult:
        given = case.given
        catalog = replace(
            with_types(
                connection.engine.catalog(),
                event=EVENT_TYPES if given.typed else {},
                person=PERSON_TYPES if given.typed else {},
            ),
            timezone=given.timezone,
            week_starts_monday=given.week_starts_monday,
            person_mode=PersonMode(given.person_mode),
        )
        engine = replace(
            connection.engine,
            catalog=lambda: catalog,
            clock=lambda: datetime.fromisoformat(given.now).astimezone(UTC),
            settings=replace(connection.engine.settings, row_limits=given.limits),
        )
        query = Query(case.hogql, values=given.values, variables=given.variables, filters=given.filters)
        return engine.run(query, allow_truncated=True)

    return run


@pytest.mark.parametrize("case", SAMPLE, ids=[case.id for case in SAMPLE])
def test_corpus_query_gives_equal_frames(corpus: Pair, case: Case) -> None:
    """A query of the corpus returns the same ClickHouse types, the same frame and the same verdict on its length."""
    local, server = (on(connection)(case) for connection in corpus)

    assert isinstance(case.expect, Rows)
    assert local.types == server.types
    assert local.truncated == server.truncated
    assert_frame_equal(local.frame, server.frame, check_row_order=case.expect.ordered)


def test_corpus_sample_is_large() -> None:
    """The sample holds some sixty queries, from most chapters of the corpus."""
    assert len(SAMPLE) >= 55
    assert len({case.id.partition("-")[0] for case in SAMPLE}) >= 8
