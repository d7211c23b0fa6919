"""ClickHouse type names to polars dtypes."""

from __future__ import annotations

import polars as pl
import pytest

from posthog_events.errors import UnknownColumnType
from posthog_events.frames.types import ColumnType, parse_type, polars_dtype
from tests.helpers.clickhouse_types import TYPED_VALUES, UNMAPPED, TypedValue


@pytest.mark.parametrize(
    "typed", TYPED_VALUES, ids=[f"{number}-{typed.kind}" for number, typed in enumerate(TYPED_VALUES)]
)
def test_type_name_gives_its_dtype(typed: TypedValue) -> None:
    """Each ClickHouse type has the dtype that the module's table promises."""
    assert typed.dtype == polars_dtype(parse_type(typed.kind))


@pytest.mark.parametrize(("expression", "named"), UNMAPPED)
def test_unmapped_type_is_an_error(expression: str, named: str) -> None:
    """A type without an exact dtype raises, naming the column and the part that is the trouble."""
    with pytest.raises(UnknownColumnType) as caught:
        polars_dtype(parse_type(named, column="total"), column="total")

    assert ("total", named) == (caught.value.column, caught.value.clickhouse_type)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Tuple(\n    x Int32,\n    `a b` Array(Nullable(String)))",
            ColumnType(
                "Tuple",
                (ColumnType("Int32"), ColumnType("Array", (ColumnType("String", nullable=True),))),
                names=("x", "a b"),
            ),
        ),
        ("Tuple(UInt8, String)", ColumnType("Tuple", (ColumnType("UInt8"), ColumnType("String")), names=("1", "2"))),
        ("DateTime64(6, 'Europe/Berlin')", ColumnType("DateTime64", numbers=(6,), zone="Europe/Berlin")),
        ("DateTime", ColumnType("DateTime")),
        ("Nullable(Decimal(18, 6))", ColumnType("Decimal", numbers=(18, 6), nullable=True)),
        (
            r"Enum8('it\'s' = -2, 'a, \n)' = 1, '' = 5)",
            ColumnType("Enum8", names=("it's", "a, \n)", ""), numbers=(-2, 1, 5)),
        ),
        ("LowCardinality(Nullable(String))", ColumnType("String", nullable=True)),
        ("SimpleAggregateFunction(sum, UInt64)", ColumnType("UInt64")),
        (
            "Array(AggregateFunction(quantiles(0.5, 0.9), UInt64))",
            ColumnType("Array", (ColumnType("AggregateFunction"),)),
        ),
        ("JSON(max_dynamic_paths=8, a.b UInt32, SKIP REGEXP 'x)')", ColumnType("JSON")),
        ("Tuple()", ColumnType("Tuple")),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_type_text_becomes_a_tree(text: str, expected: ColumnType) -> None:
    """Nesting, names, escapes, zones and transparent wrappers are read as ClickHouse means them."""
    assert expected == parse_type(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Array(",
        "Array()",
        "Map(String)",
        "Array(Int8))",
        "Int8 Int8",
        "Decimal(3)",
        "Enum8('a')",
        "Enum8()",
        "(Int8)",
        "Nullable",
        "Enum8('a' = x)",
        "Array(Int8, Int8)",
        "JSON(",
        "String(Int8)",
        "'text'",
    ],
)
def test_text_that_is_no_type_is_an_error(text: str) -> None:
    """Malformed text raises instead of becoming some other type."""
    with pytest.raises(UnknownColumnType):
        parse_type(text)


@pytest.mark.parametrize(("precision", "unit"), [(0, "us"), (6, "us"), (7, "ns"), (9, "ns")])
def test_datetime64_keeps_its_resolution(precision: int, unit: str) -> None:
    """Microseconds hold up to six digits; more take nanoseconds."""
    dtype = polars_dtype(parse_type(f"DateTime64({precision}, 'UTC')"))

    assert isinstance(dtype, pl.Datetime)
    assert (unit, "UTC") == (dtype.time_unit, dtype.time_zone)
