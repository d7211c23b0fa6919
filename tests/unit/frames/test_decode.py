"""Arrow bytes to typed frames, without an engine."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from posthog_events.errors import EngineError, UnknownColumnType
from posthog_events.frames.decode import check_types, frame_from_arrow


def stream(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_ipc_stream(out)
    return out.getvalue()


def test_two_columns_of_one_name_are_refused() -> None:
    """A frame cannot hold both, so neither is dropped silently."""
    with pytest.raises(EngineError, match="more than one column is named 'n'"):
        check_types([("n", "UInt8"), ("m", "UInt8"), ("n", "String")])


def test_no_bytes_are_no_rows_of_the_right_schema() -> None:
    """An engine that writes nothing for an empty result still gives typed columns."""
    frame = frame_from_arrow(b"", [("at", "Array(DateTime)"), ("id", "UUID")])

    assert_frame_equal(pl.DataFrame(schema={"at": pl.List(pl.Datetime("us", "UTC")), "id": pl.String}), frame)


def test_columns_other_than_described_are_refused() -> None:
    """Bytes of some other query are not mistaken for this one's."""
    with pytest.raises(EngineError, match="were described"):
        frame_from_arrow(stream(pl.DataFrame({"a": [1]})), [("b", "Int64")])


def test_unknown_type_is_refused_before_the_bytes_are_read() -> None:
    """Some bytes crash the Arrow reader, so the types are judged first."""
    with pytest.raises(UnknownColumnType, match="Int256"):
        frame_from_arrow(b"not arrow", [("a", "Int256")])


def test_broken_bytes_are_one_sentence() -> None:
    """Truncated Arrow becomes an EngineError."""
    whole = stream(pl.DataFrame({"a": list(range(1000))}))

    with pytest.raises(EngineError):
        frame_from_arrow(whole[: len(whole) // 2], [("a", "Int64")])


def test_a_server_that_sends_timestamps_is_understood() -> None:
    """DateTime that arrives as a timestamp, not as seconds, keeps its value."""
    at = datetime(2024, 1, 1, tzinfo=UTC)
    raw = stream(pl.DataFrame({"at": [at]}, schema={"at": pl.Datetime("ms", "UTC")}))

    frame = frame_from_arrow(raw, [("at", "DateTime")])

    assert_frame_equal(pl.DataFrame({"at": [at]}, schema={"at": pl.Datetime("us", "UTC")}), frame)


def test_a_missing_struct_stays_missing() -> None:
    """Decoding the fields of a Nullable(Tuple) does not turn NULL into a tuple of NULLs."""
    dtype = pl.Struct({"1": pl.UInt32, "2": pl.UInt8})
    raw = stream(pl.DataFrame({"t": [{"1": 0, "2": 1}, None]}, schema={"t": dtype}))

    frame = frame_from_arrow(raw, [("t", "Nullable(Tuple(DateTime, UInt8))")])

    assert [{"1": datetime(1970, 1, 1, tzinfo=UTC), "2": 1}, None] == frame["t"].to_list()
