"""Every file in `queries/`, and a sample of the HogQL corpus, on a local store and through PostHog's API over it.

PostHog is the emulator, and the whole way is taken: the client, HTTP, the API's JSON and its decoding by type.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import polars.selectors as cs
import pytest
from polars.testing import assert_frame_equal

from posthog_events.clickhouse.catalog import PersonMode
from posthog_events.clickhouse.store import EventStore
from posthog_events.connection import Connection, connect
from posthog_events.emulator.world import Limits
from posthog_events.limits import POSTHOG_ROWS
from posthog_events.result import Query
from posthog_events.testing import EmulatedPostHog, emulator
from tests.contract.corpus.cases import Case, Rows
from tests.contract.corpus.fixture import EVENT_TYPES, PERSON_TYPES
from tests.contract.corpus.loader import CASES as CORPUS
from tests.contract.test_library import CASES as LIBRARY
from tests.contract.test_library import EVENTS, QUERIES
from tests.contract.test_library_network import FILES
from tests.helpers.corpus_store import build_store, with_types
from tests.helpers.library_store import NOW, make_store

ZONES = ("UTC", "Europe/Berlin")

Pair = tuple[Connection, Connection]


@pytest.fixture(scope="module", params=ZONES)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Lend the store, and PostHog over it, in a zone of the project's."""
    path = make_store(tmp_path_factory.mktemp("library") / "store", [EVENTS])
    EventStore.open(path).configure(timezone=request.param)
    with (
        emulator(path, clock=lambda: NOW) as served,
        connect(f"chdb://{path}", clock=lambda: NOW) as local,
        through(served.url, served.project_id, served.key) as posthog,
    ):
        yield local, posthog


def through(url: str, project_id: int, key: str) -> Connection:
    """Connect to an emulator."""
    return connect(f"posthog://{url.removeprefix('http://')}/{project_id}", key=key, clock=lambda: NOW)


@pytest.fixture(scope="module", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the shared limits of this machine's user out of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSTHOG_EVENTS_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        yield


def test_every_shipped_query_is_compared() -> None:
    """No file of the library is left out of the comparison."""
    assert {path.stem for path in QUERIES.glob("*.sql")} == {case[0] for case in LIBRARY.values()}


@pytest.mark.parametrize("name", LIBRARY)
def test_library_query_gives_equal_frames(library: Pair, name: str) -> None:
    """A query file returns the same types and the same frame, nulls and zones included."""
    file, params, _, _ = LIBRARY[name]
    local, posthog = (connection.run(file, params) for connection in library)

    assert local.types == posthog.types
    assert_frame_equal(local.frame, posthog.frame)
    assert local.truncated == posthog.truncated


# Every tenth query that has a result whose rows the query determines, under PostHog's row limits.
SAMPLE = [
    case
    for case in CORPUS
    if isinstance(case.expect, Rows) and case.expect.rows is not None and case.given.limits == POSTHOG_ROWS
][::10]


def as_json_has_it(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame as it arrives: PostHog sends null for NaN and the infinities."""
    finite = cs.float().is_finite()
    return frame.with_columns(pl.when(finite).then(cs.float()).name.keep())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Connection, EmulatedPostHog, Connection]]:
    """Lend the corpus's store, an emulator over it, and the way through that."""
    store = build_store(tmp_path_factory.mktemp("corpus"))
    with (
        emulator(store.path, clock=lambda: NOW, limits=Limits(allow_offset=True)) as served,
        connect(f"chdb://{store.path}") as local,
        through(served.url, served.project_id, served.key) as posthog,
    ):
        yield local, served, posthog


@pytest.mark.parametrize("case", SAMPLE, ids=[case.id for case in SAMPLE])
def test_corpus_query_gives_equal_frames(corpus: tuple[Connection, EmulatedPostHog, Connection], case: Case) -> None:
    """A query of the corpus returns the same types, the same frame and the same verdict on its length."""
    local, served, posthog = corpus
    given = case.given
    catalog = replace(
        with_types(
            local.engine.catalog(),
            event=EVENT_TYPES if given.typed else {},
            person=PERSON_TYPES if given.typed else {},
        ),
        timezone=given.timezone,
        week_starts_monday=given.week_starts_monday,
        person_mode=PersonMode(given.person_mode),
    )
    clock = datetime.fromisoformat(given.now).astimezone(UTC)
    engine = replace(local.engine, catalog=lambda: catalog, clock=lambda: clock)
    served.project.engine = engine
    query = Query(case.hogql, values=given.values, variables=given.variables, filters=given.filters)

    expected = engine.run(query, allow_truncated=True)
    found = replace(posthog.engine, fixed_timezone=given.timezone, fresh=True).run(query, allow_truncated=True)

    assert expected.types == found.types
    assert_frame_equal(as_json_has_it(expected.frame), found.frame)
    assert expected.truncated == found.truncated


def test_files_and_cases_are_many() -> None:
    """The sample is not empty by accident."""
    assert len(FILES) >= 26
    assert len(SAMPLE) >= 70
