"""Every query of the HogQL corpus, on the embedded engine, against a result or refusal that was found by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

import posthog_events as ph
from posthog_events.clickhouse.catalog import PersonMode
from posthog_events.errors import HogQLError
from posthog_events.result import Query, QueryResult
from tests.contract.corpus.cases import Case, Given, Refusal, Rows
from tests.contract.corpus.fixture import EVENT_TYPES, PERSON_TYPES
from tests.contract.corpus.loader import CASES
from tests.helpers.corpus_store import build_store, with_types

Run = Callable[[Case], QueryResult]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run a case on the corpus store, under the settings it asks for."""
    store = build_store(tmp_path_factory.mktemp("corpus"))
    base = store.catalog()
    with ph.connect(f"chdb://{store.path}") as connection:

        def run_case(case: Case) -> QueryResult:
            given = case.given
            catalog = replace(
                with_types(base, event=EVENT_TYPES if given.typed else {}, person=PERSON_TYPES if given.typed else {}),
                timezone=given.timezone,
                week_starts_monday=given.week_starts_monday,
                person_mode=PersonMode(given.person_mode),
            )
            engine = replace(
                connection.engine,
                catalog=lambda: catalog,
                clock=lambda: datetime.fromisoformat(given.now),
                settings=replace(connection.engine.settings, row_limits=given.limits),
            )
            return engine.run(_query(case.hogql, given), allow_truncated=True)

        yield run_case


def _query(hogql: str, given: Given) -> Query:
    return Query(hogql, values=given.values, variables=given.variables, filters=given.filters)


def plain(value: Any) -> Any:
    """Return a frame's value as the corpus writes it."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        # a Tuple arrives as a struct whose fields are named 1, 2, ... or by ClickHouse; a Map keeps its keys
        return {key: plain(item) for key, item in value.items()}
    return value


def same(expected: Any, actual: Any) -> bool:
    """Whether two values are equal and of one kind; floats to 12 digits."""
    if isinstance(expected, list) and isinstance(actual, dict):
        actual = list(actual.values())
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(same, expected, actual))
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(same(expected[key], actual[key]) for key in expected)
    if type(expected) is not type(actual):
        return False
    if isinstance(expected, float):
        return expected == actual or math.isclose(expected, actual, rel_tol=1e-12)
    return bool(expected == actual)


def check_rows(expect: Rows, result: QueryResult) -> None:
    """Compare an accepted query's result with what was found by hand."""
    actual = [tuple(plain(value) for value in row) for row in result.frame.rows()]
    if expect.rows is None:
        assert expect.height == len(actual)
    else:
        expected = list(expect.rows)
        if not expect.ordered:
            expected, actual = sorted(expected, key=repr), sorted(actual, key=repr)
        assert len(expected) == len(actual), (expected, actual)
        assert all(same(list(a), list(b)) for a, b in zip(expected, actual, strict=True)), (expected, actual)
    if expect.columns is not None:
        assert list(expect.columns) == result.frame.columns
    if expect.types is not None:
        assert list(expect.types) == [type_ for _, type_ in result.types]
    assert expect.truncated == result.truncated
    if expect.warning is None:
        assert () == result.warnings
    else:
        (warning,) = result.warnings
        assert expect.warning in warning


def check_refusal(case: Case, expect: Refusal, error: BaseException) -> None:
    """Check what a refusal says and where it points."""
    for fragment in expect.fragments:
        assert fragment in str(error)
    if expect.at is not None:
        assert isinstance(error, HogQLError)
        assert error.text == case.hogql
        assert error.start is not None
        assert case.hogql[error.start :].startswith(expect.at), (expect.at, case.hogql[error.start :])


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_hogql_means_what_the_reference_says(run: Run, case: Case) -> None:
    """The query gives the rows, the refusal or the warning that the reference's rules imply."""
    if isinstance(case.expect, Refusal):
        with pytest.raises(case.expect.error) as caught:
            run(case)
        check_refusal(case, case.expect, caught.value)
    else:
        check_rows(case.expect, run(case))


def test_corpus_is_large_and_its_ids_are_distinct() -> None:
    """The corpus holds what was promised: at least 300 cases, each with a name of its own, in every section."""
    ids = [case.id for case in CASES]

    assert len(ids) == len(set(ids))
    assert len(ids) >= 300
    assert {id_.partition("-")[0] for id_ in ids} >= {f"2.{section}" for section in range(2, 12)}
