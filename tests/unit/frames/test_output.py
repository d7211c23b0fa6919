"""Formats, streams and files."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from posthog_events.errors import ConfigError
from posthog_events.frames.output import Format, format_of, frame_bytes, write_frame

FRAME = pl.DataFrame(
    {
        "at": [datetime(2024, 7, 1, 12, 0, 0, 500_000, tzinfo=ZoneInfo("Europe/Berlin")), None],
        "text": ['a "quoted", line\n', ""],
        "x": [float("nan"), float("inf")],
        "money": [Decimal("1.50"), None],
        "took": [timedelta(seconds=90), None],
        "raw": [b"\xff", None],
        "list": [[1, None], []],
        "pair": [{"a": b"\x01", "b": "x"}, None],
    },
    schema_overrides={"at": pl.Datetime("us", "Europe/Berlin"), "money": pl.Decimal(9, 2)},
)


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


def test_json_lines_are_exact() -> None:
    """Offsets, decimals, durations and bytes are text; NaN and infinity are null; nesting stays."""
    first, second = map(json.loads, frame_bytes(FRAME, "jsonl").splitlines())

    assert {
        "at": "2024-07-01T12:00:00.500+02:00",
        "text": 'a "quoted", line\n',
        "x": None,
        "money": "1.50",
        "took": "PT1M30S",
        "raw": "ff",
        "list": [1, None],
        "pair": {"a": "01", "b": "x"},
    } == first
    assert dict.fromkeys(FRAME.columns) | {"text": "", "list": []} == second


def test_json_is_one_array_of_the_same_objects() -> None:
    """json and jsonl differ only in the frame around the objects."""
    lines = [json.loads(line) for line in frame_bytes(FRAME, "jsonl").splitlines()]

    assert lines == json.loads(frame_bytes(FRAME, "json"))


def test_csv_tells_missing_from_empty() -> None:
    """NULL is an empty field, empty text is quoted, nesting is JSON, times have their offset."""
    text = frame_bytes(FRAME.drop("x"), "csv").decode()

    assert (
        "at,text,money,took,raw,list,pair\n"
        '2024-07-01T12:00:00.500+02:00,"a ""quoted"", line\n",1.50,PT1M30S,ff,"[1,null]","{""a"":""01"",""b"":""x""}"\n'
        ',"",,,,[],\n'
    ) == text


def test_bytes_inside_maps_are_written(tmp_path: Path) -> None:
    """A map of bytes becomes a JSON object of hexadecimal text."""
    frame = pl.DataFrame({"m": [{"k": b"\xab"}]}, schema={"m": pl.Map(pl.String, pl.Binary)})

    assert b'{"m":{"k":"ab"}}\n' == frame_bytes(frame, "jsonl")
    assert b'm\n"{""k"":""ab""}"\n' == frame_bytes(frame, "csv")


def test_parquet_keeps_every_dtype() -> None:
    """What is read back equals what was written."""
    assert_frame_equal(FRAME, pl.read_parquet(io.BytesIO(frame_bytes(FRAME, "parquet"))))


@pytest.mark.parametrize("fmt", ["csv", "json", "jsonl", "md", "html", "table", "parquet"])
def test_a_result_without_rows_can_be_written(fmt: Format) -> None:
    """No format fails on an empty frame, and all that have names keep them."""
    data = frame_bytes(FRAME.head(0), fmt)

    assert b"money" in data or fmt in ("json", "jsonl")


def test_parquet_is_not_written_to_a_terminal() -> None:
    """The refusal names the way out and nothing is written."""
    terminal = Terminal()
    with pytest.raises(ConfigError, match="--output"):
        write_frame(FRAME, "parquet", terminal)

    assert b"" == terminal.getvalue()


def test_a_terminal_gets_colours_unless_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and pipes get plain text."""
    pipe, colored, plain = io.BytesIO(), Terminal(), Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    write_frame(FRAME, "table", pipe)
    write_frame(FRAME, "table", colored)
    monkeypatch.setenv("NO_COLOR", "1")
    write_frame(FRAME, "table", plain)

    assert [False, True, False] == [b"\x1b[" in stream.getvalue() for stream in (pipe, colored, plain)]


def test_a_table_in_a_file_has_every_row(tmp_path: Path) -> None:
    """The limit of 20 rows is for people at a terminal."""
    write_frame(pl.DataFrame({"n": range(345)}), "table", tmp_path / "rows.txt")

    assert "345 rows" == (tmp_path / "rows.txt").read_text().splitlines()[-1]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash half-way leaves the old content, and no parts."""
    path = tmp_path / "out.csv"
    path.write_text("old")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_frame(FRAME, "csv", path)

    assert "old" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


def test_a_written_file_has_ordinary_permissions(tmp_path: Path) -> None:
    """The file can be read as any other that this user creates."""
    (tmp_path / "other").touch()
    write_frame(FRAME, "csv", tmp_path / "out.csv")

    assert (tmp_path / "other").stat().st_mode == (tmp_path / "out.csv").stat().st_mode


def test_format_follows_the_file_name() -> None:
    """Known endings choose, in any case; unknown ones list the known."""
    assert ["csv", "jsonl", "parquet"] == [format_of(Path(name)) for name in ("a.CSV", "b.ndjson", "c.x.parquet")]
    with pytest.raises(ConfigError, match=r"\.parquet"):
        format_of(Path("a.xlsx"))


def test_utc_is_written_with_its_offset() -> None:
    """A time in UTC is not written without a zone."""
    frame = pl.DataFrame({"at": [datetime(2024, 1, 1, tzinfo=UTC)]})

    assert b"at\n2024-01-01T00:00:00+00:00\n" == frame_bytes(frame, "csv")
