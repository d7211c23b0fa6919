"""What is written can be read back equal, where the format has the types."""

from __future__ import annotations

import io
import json
from datetime import UTC

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from posthog_events.frames.output import frame_bytes

SCHEMA = {
    "text": pl.String,
    "n": pl.Int64,
    "x": pl.Float64,
    "flag": pl.Boolean,
    "day": pl.Date,
    "at": pl.Datetime("us", "UTC"),
    "list": pl.List(pl.Int32),
}
# CSV has no carriage return of its own: readers disagree whether a lone one ends a line.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | TEXT,
            "n": st.none() | st.integers(-(2**63), 2**63 - 1),
            "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "flag": st.none() | st.booleans(),
            "day": st.none() | st.dates(),
            "at": st.none() | st.datetimes(timezones=st.just(UTC)),
            "list": st.none() | st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=3),
        }
    ),
    max_size=6,
)


def _frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def _timed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        pl.col("day").str.to_date("%Y-%m-%d"), pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us")
    )


@given(rows=ROWS)
@settings(deadline=None)
def test_csv_reads_back_equal(rows: list[dict[str, object]]) -> None:
    """CSV keeps values, and tells missing from empty; lists come back through JSON."""
    frame = _frame(rows)
    flat = {name: pl.String if name in ("day", "at", "list") else dtype for name, dtype in SCHEMA.items()}

    read = pl.read_csv(io.BytesIO(frame_bytes(frame, "csv")), schema=flat)

    lists = [None if text is None else json.loads(text) for text in read["list"]]
    assert_frame_equal(frame, _timed(read).with_columns(pl.Series("list", lists, dtype=SCHEMA["list"])))


@given(rows=ROWS)
@settings(deadline=None)
def test_json_lines_read_back_equal(rows: list[dict[str, object]]) -> None:
    """JSON Lines keep values, types given."""
    frame = _frame(rows)
    objects = [json.loads(line) for line in frame_bytes(frame, "jsonl").decode().split("\n") if line]

    read = _timed(pl.DataFrame(objects, schema={**SCHEMA, "day": pl.String, "at": pl.String}))

    assert_frame_equal(frame, read)


@given(rows=ROWS)
@settings(deadline=None)
def test_parquet_reads_back_equal(rows: list[dict[str, object]]) -> None:
    """Parquet keeps values and dtypes."""
    frame = _frame(rows)

    assert_frame_equal(frame, pl.read_parquet(io.BytesIO(frame_bytes(frame, "parquet"))))
