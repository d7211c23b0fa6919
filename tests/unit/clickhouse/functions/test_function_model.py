"""Rendering, arity and return types of single functions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from posthog_events.clickhouse.functions import Function, check_arity, lookup, render, return_type
from posthog_events.clickhouse.functions.lookup import FUNCTIONS
from posthog_events.clickhouse.sqltype import (
    BOOLEAN,
    DATE,
    DATETIME,
    DATETIME64,
    DECIMAL,
    FLOAT,
    INTEGER,
    INTERVAL,
    STRING,
    TUPLE,
    UNKNOWN,
    Kind,
    SqlType,
    array_of,
)


def function(name: str) -> Function:
    found = lookup(name)
    assert isinstance(found, Function)
    return found


@pytest.mark.parametrize(
    ("name", "args", "params", "sql"),
    [
        ("lower", ["event"], [], "lower(event)"),
        ("quantile", ["x"], ["0.9"], "quantile(0.9)(x)"),
        ("rank", [], [], "rank()"),
        ("toInt", ["x"], [], "accurateCastOrNull(x, 'Int64')"),
        ("toFloatOrDefault", ["x", "1"], [], "toFloat64OrDefault(x, accurateCast(1, 'Float64'))"),
        ("toFloatOrDefault", ["x"], [], "toFloat64OrZero(x)"),
        ("now", [], [], "now64(6, 'Europe/Berlin')"),
        ("now", ["'UTC'"], [], "now64(6, 'UTC')"),
        ("toTimeZone", ["t"], [], "toTimeZone(t, 'Europe/Berlin')"),
        ("toTimeZone", ["t", "'UTC'"], [], "toTimeZone(t, 'UTC')"),
        ("timezone", ["'UTC'", "t"], [], "toTimeZone(t, 'UTC')"),
        ("date_bin", ["i", "t", "o"], [], "toStartOfInterval(t, i, o)"),
        ("make_timestamp", list("abcdef"), [], "makeDateTime(a, b, c, d, e, f, 'Europe/Berlin')"),
        ("parseDateTimeBestEffort", ["x"], [], "parseDateTime64BestEffortOrNull(x, 6, 'Europe/Berlin')"),
        ("toDateTime64", ["x", "3"], [], "toDateTime64(x, 3, 'Europe/Berlin')"),
        ("trim", ["s", "'x'"], [], "trim(BOTH 'x' FROM s)"),
        ("arrayReverseSort", ["xs"], [], "arraySort(xs)"),
        ("string_agg", ["s", "','"], [], "arrayStringConcat(groupArray(s), ',')"),
        ("every", ["x"], [], "toBool(min(x))"),
        ("sparkline", ["xs"], [], "tuple('__hx_tag', 'Sparkline', 'data', xs)"),
        # an argument is not a template
        ("toInt", ["'{1} {tz}'"], [], "accurateCastOrNull('{1} {tz}', 'Int64')"),
    ],
)
def test_a_call_is_rendered_by_name_or_template(name: str, args: list[str], params: list[str], sql: str) -> None:
    """Arguments, parameters and the time zone land where ClickHouse wants them."""
    assert sql == render(function(name), args, params, tz="Europe/Berlin")


def test_the_time_zone_is_quoted() -> None:
    """A hostile zone name stays inside its literal."""
    assert r"now64(6, 'a\'b')" == render(function("now"), [], tz="a'b")


def test_no_slot_of_a_template_stands_inside_a_literal() -> None:
    """An argument's own quotes could close the literal and change the SQL."""
    for listed in FUNCTIONS.values():
        for template in (listed.clickhouse, *listed.by_count.values()):
            outside = "".join(template.replace("\\'", "").split("'")[::2])
            assert template.count("{") == outside.count("{"), listed.name


def test_every_template_has_the_slots_that_its_arity_promises() -> None:
    """Rendering with the fewest, the most, and every number of arguments between uses each of them."""
    for listed in FUNCTIONS.values():
        most = listed.max_args if listed.max_args is not None else listed.min_args + 2
        for count in range(listed.min_args, min(most, listed.min_args + 6) + 1):
            args = [f"argument_{index}_" for index in range(count)]
            sql = render(listed, args, tz="UTC")
            if listed.special is None:
                assert all(arg in sql for arg in args), (listed.name, sql)
            assert "{" not in sql


@pytest.mark.parametrize(
    ("name", "n_args", "n_params", "message"),
    [
        ("lower", 1, 0, None),
        ("lower", 2, 0, "Function 'lower' expects 1 argument, found 2"),
        ("plus", 3, 0, "Function 'plus' expects 2 arguments, found 3"),
        ("coalesce", 0, 0, "Function 'coalesce' expects at least 1 argument, found 0"),
        ("coalesce", 40, 0, None),
        ("round", 3, 0, "Function 'round' expects at most 2 arguments, found 3"),
        ("round", 0, 0, "Function 'round' expects at least 1 argument, found 0"),
        ("count", 0, 0, None),
        ("count", 2, 0, "Aggregation 'count' expects at most 1 argument, found 2"),
        ("avgIf", 1, 0, "Aggregation 'avgIf' expects 2 arguments, found 1"),
        ("now", 2, 0, "Function 'now' expects at most 1 argument, found 2"),
        ("pi", 1, 0, "Function 'pi' expects 0 arguments, found 1"),
        ("quantile", 1, 0, "Aggregation 'quantile' requires parameters in addition to arguments"),
        ("quantile", 1, 2, "Aggregation 'quantile' expects 1 parameter, found 2"),
        ("quantile", 1, 1, None),
        ("groupArraySample", 1, 3, "Aggregation 'groupArraySample' expects at most 2 parameters, found 3"),
        ("quantiles", 1, 5, None),
        ("windowFunnel", 4, 1, None),
        ("lower", 1, 1, "Function 'lower' expects 0 parameters, found 1"),
    ],
)
def test_a_wrong_number_of_arguments_is_told_in_posthogs_words(
    name: str, n_args: int, n_params: int, message: str | None
) -> None:
    """Exactly, at least, at most; one argument is singular."""
    assert message == check_arity(function(name), n_args, n_params)


NULLABLE_STRING = STRING.with_nullable(True)


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("count", [], INTEGER),
        ("countIf", [BOOLEAN.with_nullable(True)], INTEGER),
        ("uniq", [NULLABLE_STRING], INTEGER),
        ("sum", [FLOAT], FLOAT),
        ("sum", [BOOLEAN], INTEGER),
        ("sum", [DECIMAL.with_nullable(True)], DECIMAL.with_nullable(True)),
        ("avg", [INTEGER], FLOAT),
        ("avgOrNull", [INTEGER], FLOAT.with_nullable(True)),
        ("countOrNull", [], INTEGER.with_nullable(True)),
        ("min", [DATETIME64], DATETIME64),
        ("sumIf", [INTEGER, BOOLEAN], INTEGER),
        ("maxArray", [array_of(STRING)], STRING),
        ("sumForEach", [array_of(FLOAT)], array_of(FLOAT)),
        ("sumState", [INTEGER], UNKNOWN),
        ("countMerge", [UNKNOWN], INTEGER),
        ("avgArgMax", [INTEGER, DATE], FLOAT),
        ("groupArray", [NULLABLE_STRING], array_of(STRING)),
        ("argMax", [NULLABLE_STRING, DATE], NULLABLE_STRING),
        ("any", [STRING], STRING),
        ("quantile", [INTEGER], FLOAT),
        ("quantileExact", [INTEGER], INTEGER),
        ("median", [DATE], DATE),
        ("quantiles", [INTEGER], array_of(FLOAT)),
        ("lower", [NULLABLE_STRING], NULLABLE_STRING),
        ("concat", [NULLABLE_STRING, STRING], STRING),
        ("now", [], DATETIME64),
        ("assumeNotNull", [NULLABLE_STRING], STRING),
        ("toNullable", [STRING], NULLABLE_STRING),
        ("nullif", [STRING, STRING], NULLABLE_STRING),
        ("toInt", [STRING], INTEGER.with_nullable(True)),
        ("toUUID", [STRING], SqlType(Kind.UUID, nullable=True)),
        ("if", [BOOLEAN, INTEGER, FLOAT], FLOAT),
        ("multiIf", [BOOLEAN, STRING, BOOLEAN, STRING, STRING], STRING),
        ("multiIf", [BOOLEAN, STRING, INTEGER], UNKNOWN),
        ("ifnull", [NULLABLE_STRING, STRING], NULLABLE_STRING),
        ("array", [INTEGER, FLOAT], array_of(FLOAT)),
        ("arrayMap", [STRING, array_of(INTEGER)], array_of(STRING)),
        ("arrayFilter", [INTEGER, array_of(STRING)], array_of(STRING)),
        ("arrayElement", [array_of(STRING), INTEGER], STRING),
        ("arrayElement", [UNKNOWN, INTEGER], UNKNOWN),
        ("arrayJoin", [array_of(NULLABLE_STRING)], NULLABLE_STRING),
        ("arrayFlatten", [array_of(array_of(INTEGER))], array_of(INTEGER)),
        ("arraySum", [array_of(FLOAT)], FLOAT),
        ("arraySum", [FLOAT, array_of(INTEGER)], FLOAT),
        ("plus", [INTEGER, FLOAT], FLOAT),
        ("plus", [DATETIME64, INTERVAL], DATETIME64),
        ("plus", [DATE, INTERVAL], DATETIME),
        ("minus", [DATETIME, DATETIME], INTEGER),
        ("plus", [STRING, INTEGER], UNKNOWN),
        ("divide", [INTEGER, INTEGER], FLOAT),
        ("divide", [TUPLE, INTEGER], TUPLE),
        ("toStartOfMonth", [DATETIME64], DATE),
        ("splitByChar", [STRING, STRING], array_of(STRING)),
        ("lag", [INTEGER], INTEGER.with_nullable(True)),
        ("lagInFrame", [INTEGER], INTEGER),
        ("like", [NULLABLE_STRING, STRING], INTEGER),
    ],
)
def test_the_type_of_a_call_follows_from_its_arguments(name: str, args: Sequence[SqlType], expected: SqlType) -> None:
    """Kind and nullability, as PostHog reckons them and ClickHouse returns them."""
    assert expected == return_type(function(name), args)


def test_a_type_is_found_for_arguments_of_unknown_type() -> None:
    """No rule fails on what the compiler does not know."""
    for listed in FUNCTIONS.values():
        most = listed.max_args if listed.max_args is not None else listed.min_args + 3
        for count in {listed.min_args, most}:
            assert isinstance(return_type(listed, [UNKNOWN] * count), SqlType)
