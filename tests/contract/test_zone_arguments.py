"""No function takes a time zone or a type in a place that the compiler does not look at."""

from __future__ import annotations

from collections.abc import Iterator

import chdb
import pytest

from posthog_events.clickhouse.functions import Role, render
from posthog_events.clickhouse.functions.lookup import FUNCTIONS
from posthog_events.clickhouse.functions.zones import TYPE_ARGUMENTS, ZONE_ARGUMENTS
from tests.helpers.function_examples import examples

ZONE = "'file:posthog-events-probe'"
TYPE = "'DateTime(\\'file:posthog-events-probe\\')'"
OPENED = "Cannot load time zone file:posthog-events-probe"
MOMENT, TEXT = "toDateTime('2024-01-02 03:04:05', 'UTC')", "'2024-01-02 03:04:05'"


class Engine:
    """The bare engine: thousands of calls, each of which may fail."""

    def __init__(self) -> None:
        self._connection = chdb.connect(":memory:")

    def opens_the_zone(self, sql: str) -> bool:
        """Whether ClickHouse tries to open the file of the zone."""
        try:
            self._connection.query(f"DESCRIBE ({sql})")
        except RuntimeError as error:
            return OPENED in str(error)
        return False

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Embedded ClickHouse, without our client around it."""
    engine = Engine()
    yield engine
    engine.close()


def attempts(*, thorough: bool) -> Iterator[tuple[str, int, int, str]]:
    """Yield function, place, number of arguments and SQL: every example, or every plain call, probed in every place."""
    calls = [(example.function, example.args, example.params) for example in examples() if example.args]
    for function in FUNCTIONS.values() if thorough else ():
        most = function.max_args if function.max_args is not None else function.min_args + 3
        for first in (MOMENT, TEXT):
            calls += [(function, (first, *["3"] * (size - 1)), ()) for size in range(function.min_args, most + 1)]
    for function, args, params in calls:
        if function.role is not Role.SCALAR or function.special is not None:
            continue
        most = function.max_args if function.max_args is not None else len(args) + 1
        for place in range(min(len(args) + 1, most)):
            for probe in (ZONE, TYPE):
                probed = [*args[:place], probe, *args[place + 1 :]]
                yield function.name, place, len(probed), f"SELECT {render(function, probed, params, tz='UTC')} AS x"


@pytest.mark.parametrize("thorough", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_place_that_opens_a_zone_is_checked(engine: Engine, thorough: bool) -> None:
    """Where ClickHouse tries to open the file of a zone, the compiler demands a constant IANA zone or a known type."""
    unchecked = set()
    for name, place, size, sql in attempts(thorough=thorough):
        checked = {ZONE_ARGUMENTS.get(name), TYPE_ARGUMENTS.get(name)}
        if place in checked or (-1 in checked and place == size - 1):
            continue
        if engine.opens_the_zone(sql):
            unchecked.add((name, place))

    assert set() == unchecked


def test_the_probe_is_noticed(engine: Engine) -> None:
    """A place that is known to take a zone does try to open the file, so that the test above can fail."""
    assert engine.opens_the_zone(f"SELECT toTimeZone({MOMENT}, {ZONE}) AS x")
