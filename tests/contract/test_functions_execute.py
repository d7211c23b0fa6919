"""Every listed function runs on the engine, gives what was worked out by hand, and has the type the table says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from posthog_events.clickhouse.functions import Role, Special, return_type
from posthog_events.clickhouse.functions.lookup import FUNCTIONS
from posthog_events.clickhouse.sqltype import UNKNOWN, Kind, SqlType, array_of, from_clickhouse
from tests.helpers.function_examples import ROWS, Example, examples

clickhouse_connect = pytest.importorskip("clickhouse_connect")
DatabaseError = pytest.importorskip("clickhouse_connect.driver.exceptions").DatabaseError

EXAMPLES = examples()
BATCH = 40

# A Date or a time, depending on a constant unit; the table calls all of these times.
MOMENTS = {Kind.DATE, Kind.DATETIME, Kind.DATETIME64}
UNIT_DECIDES = {"toStartOfInterval", "date_bin", "dateTrunc", "date_trunc", "dateAdd", "dateSub", "plus", "minus"}

CLOCK_AND_ORDER = {"arrayJoin", "now64", "nowInBlock", "rand", "rowNumberInAllBlocks", "rowNumberInBlock", "today"}
HARMLESS = {
    *("bar", "defaultValueOfTypeName", "formatReadableDecimalSize", "formatReadableQuantity", "formatReadableSize"),
    *("formatReadableTimeDelta", "indexHint", "rowNumberInAllBlocks", "rowNumberInBlock", "toTypeName", "transform"),
    "caseWithExpression",
}


REFUSED = "refused by the engine"

Trial: TypeAlias = tuple[Example, str, int]
"""An example, an expression made of it, and the place of the argument that is tried out."""


@dataclass(frozen=True)
class Engine:
    """Embedded ClickHouse, asked for text."""

    client: object

    def ask(self, sql: str) -> list[list[str]]:
        raw: bytes = self.client.raw_query(sql, fmt="TabSeparated")  # type: ignore[attr-defined]
        return [line.split("\t") for line in raw.decode("utf-8", "replace").split("\n")[:-1]]

    def values(self, trials: Sequence[Trial]) -> list[str]:
        """Return the value of each expression, in the first row where there are several."""
        (row,) = self.ask(f"{_select(trials)} LIMIT 1")
        return row

    def types(self, trials: Sequence[Trial]) -> list[str]:
        """Return the type of each expression, or REFUSED."""
        try:
            rows = self.ask(f"DESCRIBE ({_select(trials)})")
        except DatabaseError:
            # one bad column spoils a batch
            half = len(trials) // 2
            return [*self.types(trials[:half]), *self.types(trials[half:])] if half else [REFUSED]
        return [row[1].replace("\\'", "'") for row in rows]


def _select(trials: Sequence[Trial]) -> str:
    columns = ", ".join(f"({sql}) AS column_{index}" for index, (_, sql, _) in enumerate(trials))
    return f"SELECT {columns}{f' FROM {ROWS}' if trials[0][0].over_rows else ''}"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    client = clickhouse_connect.get_client(dsn="chdb://memory", settings={"session_timezone": "UTC"})
    yield Engine(client)
    client.close()


def batches(trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
    """Yield groups that can stand in one SELECT: with or without rows, aggregates apart from window functions."""
    for role in Role:
        alike = [trial for trial in trials if trial[0].function.role is role]
        for start in range(0, len(alike), BATCH):
            yield alike[start : start + BATCH]


@pytest.fixture(scope="module")
def argument_types(engine: Engine) -> dict[str, list[SqlType]]:
    """The types of the arguments of each example, by its key: the engine's, or a lambda's as the example tells."""
    found = {example.key: [UNKNOWN] * len(example.args) for example in EXAMPLES if example.args}
    trials = [(example, arg, place) for example in EXAMPLES for place, arg in enumerate(example.args)]
    for example, _, place in trials:
        found[example.key][place] = example.lambda_types.get(place, UNKNOWN)
    for batch in batches([trial for trial in trials if trial[2] not in trial[0].lambda_types]):
        for (example, _, place), type_text in zip(batch, engine.types(batch), strict=True):
            found[example.key][place] = from_clickhouse(type_text)
    return found


def fault(name: str, ours: SqlType, engines: SqlType) -> str | None:
    """Return how the table's type contradicts the engine's; nothing is said by an unknown type."""
    if ours.kind is Kind.UNKNOWN:
        return None
    if ours.kind is not engines.kind and not (name in UNIT_DECIDES and {ours.kind, engines.kind} <= MOMENTS):
        return f"{ours.kind} instead of {engines.kind}"
    if engines.nullable and not ours.nullable:
        return "not nullable"
    if ours.item is not None and engines.item is not None and engines.item.kind is not Kind.NULL:
        inner = fault(name, ours.item, engines.item)
        return inner and f"items: {inner}"
    return None


def test_every_function_has_an_example() -> None:
    """No function is listed that was never tried."""
    assert set(FUNCTIONS) == {example.function.name for example in EXAMPLES}


def test_most_functions_are_checked_against_a_value() -> None:
    """Running is not enough: over 500 examples carry the value worked out by hand."""
    assert len({example.function.name for example in EXAMPLES if example.want is not None}) > 500


def test_every_example_runs_and_gives_the_expected_value(engine: Engine) -> None:
    """Each function executes; where the result can be worked out by hand, it is that."""
    wrong = []
    for batch in batches([(example, example.sql, 0) for example in EXAMPLES]):
        for (example, sql, _), got in zip(batch, engine.values(batch), strict=True):
            if example.want is not None and example.want != got:
                wrong.append(f"{sql} = {got}, expected {example.want}")
    assert wrong == []


def test_return_types_agree_with_the_engine(engine: Engine, argument_types: dict[str, list[SqlType]]) -> None:
    """The table's type of a call is the engine's, and is nullable where the engine's is."""
    wrong = []
    for batch in batches([(example, example.sql, 0) for example in EXAMPLES]):
        for (example, sql, _), type_text in zip(batch, engine.types(batch), strict=True):
            function = example.function
            given = argument_types.get(example.key, [UNKNOWN] * function.min_args)
            if found := fault(function.name, return_type(function, given), from_clickhouse(type_text)):
                wrong.append(f"{sql}: {found} ({type_text})")
    assert wrong == []


def test_nullable_arguments_give_nullable_results_where_the_engine_says_so(
    engine: Engine, argument_types: dict[str, list[SqlType]]
) -> None:
    """Whichever argument may be NULL, a result that can then be NULL is typed as nullable."""
    cannot_be_null = {Kind.ARRAY, Kind.MAP, Kind.UNKNOWN}
    trials = [
        (example, example.with_nullable_argument(place), place)
        for example in EXAMPLES
        for place, type_ in enumerate(argument_types.get(example.key, ()))
        if type_.kind not in cannot_be_null and place not in example.lambda_types
        # PostHog types now() as never NULL; its argument is a time zone
        if example.function.name != "now"
    ]
    wrong, tried = [], 0
    for batch in batches(trials):
        for (example, sql, place), type_text in zip(batch, engine.types(batch), strict=True):
            if type_text == REFUSED:
                continue
            tried += 1
            given = list(argument_types[example.key])
            given[place] = given[place].with_nullable(True)
            ours = return_type(example.function, given)
            if found := fault(example.function.name, ours, from_clickhouse(type_text)):
                wrong.append(f"{sql}: {found} ({type_text})")
    assert wrong == []
    assert tried > 1000


def test_arrays_of_nullable_elements_give_nullable_results_where_the_engine_says_so(
    engine: Engine, argument_types: dict[str, list[SqlType]]
) -> None:
    """A function that picks or folds the elements of an array is nullable when an element can be NULL."""
    trials = [
        (example, example.with_nullable_elements(place), place)
        for example in EXAMPLES
        for place, type_ in enumerate(argument_types.get(example.key, ()))
        if type_.kind is Kind.ARRAY and type_.item is not None and not example.lambda_types
    ]
    wrong, tried = [], 0
    for batch in batches(trials):
        for (example, sql, place), type_text in zip(batch, engine.types(batch), strict=True):
            if type_text == REFUSED:
                continue
            tried += 1
            given = list(argument_types[example.key])
            assert given[place].item is not None
            given[place] = array_of(given[place].item.with_nullable(True))
            ours = return_type(example.function, given)
            if found := fault(example.function.name, ours, from_clickhouse(type_text)):
                wrong.append(f"{sql}: {found} ({type_text})")
    assert wrong == []
    assert tried > 40


def test_nothing_listed_reads_the_server_the_network_or_secrets(engine: Engine) -> None:
    """By the engine's own catalogue, no translated name is of a kind that reaches beyond its arguments."""
    catalogue = {
        name: (categories, deterministic, is_aggregate)
        for name, categories, deterministic, is_aggregate in engine.ask(
            "SELECT name, categories, deterministic, is_aggregate FROM system.functions"
        )
    }
    reaching = {
        *("AI", "Dictionary", "Embedded Dictionary", "Encryption", "Internal", "Introspection", "Machine Learning"),
        "Other",
    }
    window_functions = {"rank", "dense_rank", "row_number", "nth_value", "lagInFrame", "leadInFrame"}
    unsafe, unstable = set(), set()
    for name in translated_names():
        categories, deterministic, is_aggregate = catalogue.get(name, ("", "1", "0"))
        if categories in reaching and name not in HARMLESS:
            unsafe.add(name)
        if deterministic != "1" and is_aggregate == "0":
            unstable.add(name)
    assert unsafe == set()
    assert unstable - window_functions == CLOCK_AND_ORDER | {"yesterday"}


def translated_names() -> set[str]:
    """Every ClickHouse function name that a listed function can turn into."""
    templates = {text for function in FUNCTIONS.values() for text in (function.clickhouse, *function.by_count.values())}
    named = {text for text in templates if "{" not in text}
    return named | {name for text in templates - named for name in re.findall(r"([A-Za-z_]\w*)\(", text)}


def test_functions_that_the_compiler_translates_are_few() -> None:
    """Only a type-dependent handful is not plain data."""
    special = {name for name, function in FUNCTIONS.items() if function.special is not None}
    expected = {
        *("toDate", "to_date", "toDateTime", "toDecimal", "toStartOfWeek", "concat", "arrayReduce", "lag", "lead"),
        *("equals", "notEquals", "less", "greater", "lessOrEquals", "greaterOrEquals", "in", "notIn"),
        *("like", "ilike", "notLike", "notILike"),
    }
    assert expected == special
    assert {function.special for function in FUNCTIONS.values()} == {None, *Special}
