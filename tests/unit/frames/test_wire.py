"""Rows of PostHog's JSON to typed frames; the JSON is written by hand after reference 2.8."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from posthog_events.errors import BadAnswer, EngineError, UnknownColumnType
from posthog_events.frames.wire import frame_from_json_rows

BERLIN = ZoneInfo("Europe/Berlin")
US_UTC = pl.Datetime("us", "UTC")
UUID_TEXT = "01020304-0506-0708-090a-0b0c0d0e0f10"
AT = datetime(2026, 9, 1, 0, 0, 3, 512_000, tzinfo=UTC)

VALUES = [
    ("Int8", "-128", -128, pl.Int8()),
    ("UInt8", "1", 1, pl.UInt8()),
    ("Int64", "-9223372036854775808", -(2**63), pl.Int64()),
    ("UInt64", "18446744073709551615", 2**64 - 1, pl.UInt64()),
    ("Int128", "-170141183460469231731687303715884105728", -(2**127), pl.Int128()),
    ("UInt128", '"340282366920938463463374607431768211455"', 2**128 - 1, pl.UInt128()),
    ("Float64", "1.5", 1.5, pl.Float64()),
    ("Float64", "12", 12.0, pl.Float64()),
    ("Float64", "null", None, pl.Float64()),
    ("Float32", "0.25", 0.25, pl.Float32()),
    ("Bool", "true", True, pl.Boolean()),
    ("Nullable(Bool)", "null", None, pl.Boolean()),
    ("String", '"Zoë 😀\\n\\u00e9"', "Zoë 😀\né", pl.String()),
    ("String", '"{\\"plan\\":\\"pro\\"}"', '{"plan":"pro"}', pl.String()),
    ("LowCardinality(Nullable(String))", "null", None, pl.String()),
    ("UUID", f'"{UUID_TEXT}"', UUID_TEXT, pl.String()),
    ("IPv6", '"2001:db8::1"', "2001:db8::1", pl.String()),
    ("FixedString(4)", '"ab"', b"ab\0\0", pl.Binary()),
    ("FixedString(4)", '"Zoë"', "Zoë".encode(), pl.Binary()),
    ("FixedString(4)", '"ff00ff01"', b"\xff\x00\xff\x01", pl.Binary()),
    ("FixedString(4)", '"ff00fe"', b"\xff\x00\xfe\0", pl.Binary()),
    ("Date", '"2024-02-29"', date(2024, 2, 29), pl.Date()),
    ("Date32", '"1925-01-01"', date(1925, 1, 1), pl.Date()),
    ("DateTime", '"2026-09-01T00:00:03"', datetime(2026, 9, 1, 0, 0, 3, tzinfo=UTC), US_UTC),
    ("DateTime64(6, 'UTC')", '"2026-09-01T00:00:03.512000Z"', AT, US_UTC),
    ("DateTime64(6, 'UTC')", '"2026-09-01T00:00:03Z"', AT.replace(microsecond=0), US_UTC),
    ("DateTime64(6, 'UTC')", '"1969-12-31T23:59:59.999999Z"', datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), US_UTC),
    (
        "DateTime64(6, 'Europe/Berlin')",
        '"2026-09-01T02:00:03.512000+02:00"',
        AT.astimezone(BERLIN),
        pl.Datetime("us", "Europe/Berlin"),
    ),
    (
        "DateTime('Europe/Berlin')",
        '"2026-12-01T12:00:00"',
        datetime(2026, 12, 1, 12, tzinfo=BERLIN),
        pl.Datetime("us", "Europe/Berlin"),
    ),
    ("DateTime64(6, 'UTC')", '"1930-01-01T00:19:32+00:19:32"', datetime(1930, 1, 1, tzinfo=UTC), US_UTC),
    ("IntervalWeek", "-3", timedelta(weeks=-3), pl.Duration("us")),
    ("IntervalMillisecond", "3", timedelta(milliseconds=3), pl.Duration("us")),
    ("IntervalNanosecond", "3000", timedelta(microseconds=3), pl.Duration("ns")),
    ("Decimal(9, 2)", '"-1234567.89"', Decimal("-1234567.89"), pl.Decimal(9, 2)),
    ("Decimal(38, 10)", '"0E-10"', Decimal("0"), pl.Decimal(38, 10)),
    ("Decimal(18, 8)", '"1E-8"', Decimal("0.00000001"), pl.Decimal(18, 8)),
    ("Enum8('a' = 1, 'z' = -1)", '"z"', "z", pl.Enum(["z", "a"])),
    ("Nullable(Nothing)", "null", None, pl.Null()),
    ("Array(Nothing)", "[]", [], pl.List(pl.Null)),
    ("Array(Nullable(Int32))", "[1, null]", [1, None], pl.List(pl.Int32)),
    ("Array(Array(Enum8('a' = 1, 'b' = 2)))", '[[], ["b", "a"]]', [[], ["b", "a"]], pl.List(pl.List(pl.Enum("ab")))),
    ("Array(DateTime64(6, 'UTC'))", '["2026-09-01T00:00:03.512000Z"]', [AT], pl.List(US_UTC)),
    ("Array(Decimal(9, 2))", '["1.50"]', [Decimal("1.50")], pl.List(pl.Decimal(9, 2))),
    ("Array(FixedString(2))", '["a", "ff00"]', [b"a\0", b"\xff\0"], pl.List(pl.Binary)),
    ("Tuple(DateTime, Int8)", '["1970-01-01T00:00:00", 1]', {"1": datetime(1970, 1, 1, tzinfo=UTC), "2": 1}, None),
    ("Tuple(x Int8, `y z` Date)", '[1, "2024-01-01"]', {"x": 1, "y z": date(2024, 1, 1)}, None),
    ("Nested(a UInt8, b Nullable(String))", '[[1, null]]', [{"a": 1, "b": None}], None),
    ("Array(Tuple(UInt8, Tuple(UUID)))", f'[[1, ["{UUID_TEXT}"]]]', [{"1": 1, "2": {"1": UUID_TEXT}}], None),
    ("Map(String, UInt8)", "{}", {}, pl.Map(pl.String, pl.UInt8)),
    ("Map(String, DateTime)", '{"k": "1970-01-01T00:00:00Z"}', {"k": datetime(1970, 1, 1, tzinfo=UTC)}, None),
    ("Map(UInt8, Array(String))", '{"7": ["a"]}', {7: ["a"]}, pl.Map(pl.UInt8, pl.List(pl.String))),
    ("Array(Map(String, Nullable(Float64)))", '[{"k": null}, {}]', [{"k": None}, {}], None),
    ("SimpleAggregateFunction(max, String)", '"m"', "m", pl.String()),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "value", "dtype"), VALUES, ids=[f"{v[0]} {v[1]}" for v in VALUES])
def test_every_type_has_its_value_and_dtype(kind: str, text: str, value: object, dtype: pl.DataType | None) -> None:
    """What PostHog writes for a ClickHouse type becomes that value, in the dtype of frames.types."""
    frame = frame_from_json_rows(f"[[{text}]]".encode(), [("c", kind)])

    assert [value] == frame["c"].to_list()
    if dtype is not None:
        assert dtype == frame.schema["c"]


def test_nanoseconds_survive_in_columns_and_lists() -> None:
    """Digits beyond Python's microseconds are kept where the type has them."""
    rows = b'[["2026-09-01T00:00:00.000000123Z",["2026-09-01T00:00:00.000000123"]]]'

    frame = frame_from_json_rows(rows, [("at", "DateTime64(9, 'UTC')"), ("list", "Array(DateTime64(9))")])

    assert 123 == frame["at"].dt.nanosecond()[0]
    assert 123 == frame["list"].explode(empty_as_null=True, keep_nulls=True).dt.nanosecond()[0]


def test_instants_of_one_column_may_differ_in_form() -> None:
    """Offsets, Z and neither can stand in one column, as across a clock change, and name the instants they are."""
    rows = b'[["2026-03-29T01:30:00+01:00"],["2026-03-29T03:30:00+02:00"],["2026-03-29T01:45:00Z"],["2026-01-01T00:00:00"],[null]]'  # noqa: E501

    frame = frame_from_json_rows(rows, [("at", "Nullable(DateTime('Europe/Berlin'))")])

    expected = [
        datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 45, tzinfo=UTC),
        datetime(2025, 12, 31, 23, 0, tzinfo=UTC),
        None,
    ]
    assert expected == frame["at"].dt.convert_time_zone("UTC").to_list()


def test_no_rows_keep_the_schema() -> None:
    """An empty result has typed columns."""
    frame = frame_from_json_rows(b"[]", [("at", "Array(DateTime)"), ("id", "UUID")])

    assert_frame_equal(pl.DataFrame(schema={"at": pl.List(US_UTC), "id": pl.String}), frame)


@pytest.mark.parametrize("piece_rows", [1, 30, 100_000])
def test_the_size_of_the_pieces_does_not_show(piece_rows: int) -> None:
    """Rows decoded one by one or all at once give one frame."""
    rows = json.dumps([[number, f"n{number}"] for number in range(100)]).encode()

    frame = frame_from_json_rows(rows, [("n", "UInt8"), ("s", "String")], piece_rows=piece_rows)

    expected = pl.DataFrame({"n": range(100), "s": [f"n{n}" for n in range(100)]}, schema_overrides={"n": pl.UInt8})
    assert_frame_equal(expected, frame)


def test_a_part_of_a_larger_answer_is_read_in_place() -> None:
    """The envelope's `results` can be handed on as msgspec.Raw, row by row or as a memoryview, without a copy."""
    raw = msgspec.json.decode(b'{"results":[[1]]}', type=dict[str, msgspec.Raw])["results"]

    for rows in (raw, memoryview(b"[[1]]"), [msgspec.Raw(b"[1]")]):
        assert [1] == frame_from_json_rows(rows, [("n", "Int64")])["n"].to_list()


MISFITS = [
    ("UInt64", '"7"', "Expected `int`, got `str`"),
    ("UInt64", "-1", ">= 0"),
    ("UInt64", "18446744073709551616", "out of range"),
    ("UInt8", "256", "<= 255"),
    ("UInt8", "true", "Expected `int`, got `bool`"),
    ("Int32", "1.5", "Expected `int`, got `float`"),
    ("Int32", "null", "got `null`"),
    ("Int128", '"x"', "malformed"),
    ("Bool", "1", "Expected `bool`, got `int`"),
    ("String", "1", "Expected `str`, got `int`"),
    ("String", "null", "got `null`"),
    ("Float64", '"1.5"', "got `str`"),
    ("Decimal(9, 2)", '"x"', "malformed"),
    ("Decimal(9, 2)", '"NaN"', "malformed"),
    ("Decimal(9, 2)", '"1.555"', "malformed"),
    ("Decimal(4, 1)", '"12345.0"', "out of range"),
    ("Decimal(9, 2)", "1.5", "got `float`"),
    ("Date", '"2024-02-30"', "malformed"),
    ("DateTime", '"2024-02-30T00:00:00Z"', "malformed"),
    ("DateTime", '"2024-02-29"', "malformed"),
    ("DateTime('Europe/Berlin')", '"2026-10-25T02:30:00"', "malformed"),
    ("Array(DateTime)", '["yesterday"]', "malformed"),
    ("Enum8('a' = 1)", '"b"', "malformed"),
    ("FixedString(2)", '"abc"', "malformed"),
    ("FixedString(1)", '"ff00"', "malformed"),
    ("Nothing", "1", "Expected `null`"),
    ("Array(UInt8)", "[1, 300]", "<= 255"),
    ("Array(UInt64)", "[18446744073709551616]", "out of range"),
    ("Tuple(Array(UInt64))", "[[0, 18446744073709551616]]", "out of range"),
    ("Tuple(Array(Int64))", "[[0, 9223372036854775808]]", "<= 9223372036854775807"),
    ("Tuple(Array(UInt128))", '[[0, "-1"]]', "malformed"),
    ("Array(UInt8)", "7", "Expected `array`"),
    ("Array(String)", "[null]", "got `null`"),
    ("Tuple(UInt8, String)", "[1]", "length 2"),
    ("Map(String, UInt8)", "[]", "Expected `object`"),
]


@pytest.mark.parametrize(("kind", "text", "reason"), MISFITS, ids=[f"{m[0]} {m[1]}" for m in MISFITS])
def test_a_value_that_does_not_fit_names_row_column_and_type(kind: str, text: str, reason: str) -> None:
    """The message leads to the value in an answer of many pieces, and does not quote it."""
    good = {"DateTime": '"2024-01-01T00:00:00Z"'}.get(kind)
    rows = [f"[{number},{text if number == 3 else good}]" for number in ([1, 2, 3] if good else [3])]
    row = 3 if good else 1

    with pytest.raises(BadAnswer) as caught:
        frame_from_json_rows(f"[{','.join(rows)}]".encode(), [("n", "UInt8"), ("c d", kind)], piece_rows=1)

    assert f"column 'c d', row {row}:" in str(caught.value)
    assert kind in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("second", ["[1]", "[1,2,3]", "7", '{"a":1}'])
def test_a_row_of_another_width_is_refused(second: str) -> None:
    """A row is matched to the columns by position, so all of it must be there."""
    with pytest.raises(BadAnswer, match="row 2 of PostHog's answer does not have 2 columns"):
        frame_from_json_rows(f"[[1,2],{second}]".encode(), [("a", "UInt8"), ("b", "UInt8")])


@pytest.mark.parametrize("rows", [b"", b"[[1],[2", b"<html>", b'{"a":1}', b"null", b'[["\xff"]]', b'[["\\ud800"]]'])
def test_what_is_no_array_of_rows_is_one_sentence(rows: bytes) -> None:
    """Bodies that were cut off, or are something else, become a BadAnswer."""
    with pytest.raises(BadAnswer):
        frame_from_json_rows(rows, [("a", "String")])


@pytest.mark.parametrize("kind", ["Int256", "JSON", "Map(Float64, String)", "Array(Map(Tuple(UInt8), String))"])
def test_types_without_a_reading_are_refused_before_the_rows(kind: str) -> None:
    """A type that has no dtype, or that JSON cannot hold, is the answer's fault whatever the rows are."""
    with pytest.raises(UnknownColumnType, match="'a'"):
        frame_from_json_rows(b"not json", [("a", kind)])


def test_two_columns_of_one_name_are_refused() -> None:
    """PostHog allows it; a frame cannot hold both."""
    with pytest.raises(EngineError, match="more than one column"):
        frame_from_json_rows(b"[[1,2]]", [("a", "UInt8"), ("a", "UInt8")])
