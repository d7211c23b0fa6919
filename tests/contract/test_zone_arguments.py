"""No function takes a time zone or a type in a place that the compiler does not look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.functions import Role, render
from posthog_events.clickhouse.functions.lookup import FUNCTIONS
from posthog_events.clickhouse.functions.zones import TYPE_ARGUMENTS, ZONE_ARGUMENTS
from posthog_events.errors import EngineError
from tests.helpers.function_examples import examples

ZONE = "'file:posthog-events-probe'"
TYPE = "'DateTime(\\'file:posthog-events-probe\\')'"
OPENED = "Cannot load time zone file:posthog-events-probe"
MOMENT, TEXT = "toDateTime('2024-01-02 03:04:05', 'UTC')", "'2024-01-02 03:04:05'"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """An embedded engine."""
    with Client.open("chdb://memory") as client:
        yield client


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
def test_every_place_that_opens_a_zone_is_checked(client: Client, thorough: bool) -> None:
    """Where ClickHouse tries to open the file of a zone, the compiler demands a constant IANA zone or a known type."""
    unchecked = set()
    for name, place, size, sql in attempts(thorough=thorough):
        checked = {ZONE_ARGUMENTS.get(name), TYPE_ARGUMENTS.get(name)}
        if place in checked or (-1 in checked and place == size - 1):
            continue
        try:
            client.describe(sql)
        except EngineError as error:
            if OPENED in str(error):
                unchecked.add((name, place))

    assert set() == unchecked


def test_the_probe_is_noticed(client: Client) -> None:
    """A place that is known to take a zone does try to open the file, so that the test above can fail."""
    with pytest.raises(EngineError, match=OPENED):
        client.describe(f"SELECT toTimeZone({MOMENT}, {ZONE}) AS x")
