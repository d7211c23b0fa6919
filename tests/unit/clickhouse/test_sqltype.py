"""The type lattice: reading ClickHouse's names, and finding a common type."""

from __future__ import annotations

import pytest

from posthog_events.clickhouse.sqltype import (
    ARRAY,
    BOOLEAN,
    DATE,
    DATETIME,
    DATETIME64,
    DECIMAL,
    FLOAT,
    INTEGER,
    INTERVAL,
    JSON,
    MAP,
    NULL,
    STRING,
    TUPLE,
    UNKNOWN,
    UUID,
    SqlType,
    array_of,
    common_type,
    from_clickhouse,
)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("String", STRING),
        ("FixedString(16)", STRING),
        ("Nullable(String)", STRING.with_nullable(True)),
        ("LowCardinality(String)", STRING),
        ("LowCardinality(Nullable(String))", STRING.with_nullable(True)),
        ("Enum8('a' = 1, 'b)' = 2)", STRING),
        ("UInt8", INTEGER),
        ("Int256", INTEGER),
        ("Nullable(UInt64)", INTEGER.with_nullable(True)),
        ("Float32", FLOAT),
        ("Decimal(18, 4)", DECIMAL),
        ("Decimal64(4)", DECIMAL),
        ("Bool", BOOLEAN),
        ("Date", DATE),
        ("Date32", DATE),
        ("DateTime", DATETIME),
        ("DateTime('Europe/Berlin')", DATETIME),
        ("DateTime64(6, 'UTC')", DATETIME64),
        ("Nullable(DateTime64(3))", DATETIME64.with_nullable(True)),
        ("UUID", UUID),
        ("IPv4", STRING),
        ("Array(Nullable(String))", array_of(STRING.with_nullable(True))),
        ("Array(Array(Int64))", array_of(array_of(INTEGER))),
        ("Array(Nothing)", array_of(NULL)),
        ("Tuple(UInt8, String)", TUPLE),
        ("Map(String, UInt64)", MAP),
        ("JSON(max_dynamic_paths=8)", JSON),
        ("IntervalDay", INTERVAL),
        ("Nullable(Nothing)", NULL),
        ("SimpleAggregateFunction(max, DateTime64(6, 'UTC'))", DATETIME64),
        ("AggregateFunction(sum, UInt8)", UNKNOWN),
        ("Point", UNKNOWN),
    ],
)
def test_a_clickhouse_type_name_is_read(text: str, type_: SqlType) -> None:
    """Wrappers are looked through, parameters do not matter, other names are unknown."""
    assert type_ == from_clickhouse(text)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ([STRING, STRING], STRING),
        ([INTEGER, FLOAT], FLOAT),
        ([BOOLEAN, INTEGER], INTEGER),
        ([INTEGER, DECIMAL], DECIMAL),
        ([DATE, DATETIME64], DATETIME64),
        ([STRING, NULL], STRING.with_nullable(True)),
        ([NULL, NULL], NULL),
        ([], NULL),
        ([STRING.with_nullable(True), STRING], STRING.with_nullable(True)),
        ([array_of(INTEGER), array_of(FLOAT)], array_of(FLOAT)),
        ([array_of(INTEGER), ARRAY], ARRAY),
        ([STRING, INTEGER], UNKNOWN),
        ([DATE, INTEGER], UNKNOWN),
        ([UNKNOWN, STRING], UNKNOWN),
    ],
)
def test_a_common_type_holds_every_value(types: list[SqlType], expected: SqlType) -> None:
    """Numbers and times widen, NULL makes nullable, strangers have nothing in common."""
    assert expected == common_type(types)


@pytest.mark.parametrize("type_", [NULL, UNKNOWN])
def test_null_and_unknown_stay_nullable(type_: SqlType) -> None:
    """What may be anything may be NULL."""
    assert type_.with_nullable(False).nullable
