"""Tables for a terminal, Markdown and HTML, and the safe text of a cell."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from rich.cells import cell_len

from posthog_events.frames.cells import cell_text, neutralise
from posthog_events.frames.markup import html_document, html_table, markdown_table
from posthog_events.frames.table import fit_columns, render_table

HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202edetsrever\x9b31m\n\r\t\u2028\x00"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("", '""'),
        ("a\nb\x1b[0m", "a\\nb\\x1b[0m"),
        (True, "true"),
        (12345678, "12345678"),
        (0.1 + 0.2, "0.3"),
        (1234567.891, "1234567.891"),
        (2.0, "2"),
        (1e-9, "1e-09"),
        (float("nan"), "nan"),
        (Decimal("1.50"), "1.50"),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC), "2024-02-29 01:02:03Z"),
        (timedelta(days=1, seconds=2), "1 day, 0:00:02"),
        (b"\xff\x00", "ff00"),
        ([1, None, float("inf")], "[1, null, null]"),
        ({"a": [date(2024, 1, 1)], "é": b"\x01"}, '{"a": ["2024-01-01"], "é": "01"}'),
    ],
    ids=str,
)
def test_value_becomes_one_line(value: object, expected: str) -> None:
    """Each kind of value has one readable form."""
    assert expected == cell_text(value)


def test_nothing_in_an_event_can_steer_the_terminal() -> None:
    """Escape sequences, C1 controls, text direction and line breaks are written out."""
    frame = pl.DataFrame({HOSTILE: [HOSTILE], "nested": [[{"k": HOSTILE}]]})

    for text in (neutralise(HOSTILE), render_table(frame, width=200), markdown_table(frame), html_table(frame)):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]", text)
    assert 5 == len(render_table(frame, width=300).splitlines()) + 1


def test_rich_markup_in_a_value_is_text() -> None:
    """Square brackets are not read as rich's colours."""
    assert "[bold red]x[/]" in render_table(pl.DataFrame({"a": ["[bold red]x[/]"]}))


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_table_fits_the_terminal(width: int) -> None:
    """No line of the table is wider than the terminal, wide characters counted as two."""
    frame = pl.DataFrame({f"column {n}": ["日本語テキスト" * n, "x"] for n in range(1, 9)})

    lines = render_table(frame, width=width).splitlines()
    grid = lines[: next(number for number, line in enumerate(lines) if line == "2 rows")]

    assert 4 == len(grid)
    assert max(map(cell_len, grid)) <= width


def test_what_does_not_fit_is_named() -> None:
    """Dropped columns are counted and listed; shortened cells end in an ellipsis."""
    frame = pl.DataFrame({"first": ["x" * 50], "second": ["y" * 50], "third": ["z" * 50]})

    text = render_table(frame, width=22)

    assert "+1 column not shown: third" in text
    assert "xx…" in text


def test_table_says_how_many_rows_there_are() -> None:
    """The last line tells shown from all, and how to see more."""
    frame = pl.DataFrame({"n": range(345)})

    assert render_table(frame).splitlines()[-1].startswith("20 of 345 rows; see more with --rows N")
    assert "345 rows" == render_table(frame, rows=None).splitlines()[-1]
    assert "0 rows" == render_table(frame.head(0)).splitlines()[-1]
    assert "1 row" == render_table(frame.head(1)).splitlines()[-1]


def test_table_is_laid_out() -> None:
    """Numbers stand right and unchanged, text left; a missing value is not an empty text."""
    frame = pl.DataFrame({"who": ["a", None, ""], "n": [1234567, None, 5]})

    lines = render_table(frame, width=40).splitlines()

    assert ["who        n", "────────────", "a    1234567", "∅          ∅", '""         5', "3 rows"] == lines


@pytest.mark.parametrize(
    ("natural", "available", "expected"),
    [
        ((5, 5), 80, (5, 5)),
        ((40, 5), 30, (21, 5)),
        ((40, 40), 30, (13, 13)),
        ((40, 40, 40), 25, (10, 11)),
        ((40, 40), 12, (10,)),
        ((), 80, ()),
    ],
)
def test_widest_columns_give_way_first(natural: tuple[int, ...], available: int, expected: tuple[int, ...]) -> None:
    """Cells shrink to eight characters before columns are dropped from the right."""
    assert expected == fit_columns(natural, available)


def test_markdown_cells_cannot_break_the_table() -> None:
    """Pipes, markup and HTML are escaped; numbers are aligned right; missing is empty."""
    frame = pl.DataFrame({"a|b": ["x|y", "*<b>*"], "n": [1, None]})

    assert "| a\\|b | n |\n| --- | ---: |\n| x\\|y | 1 |\n| \\*&lt;b&gt;\\* |  |\n" == markdown_table(frame)


def test_html_cells_cannot_break_the_page() -> None:
    """Values, names and the title are escaped, and the caption counts the rows."""
    script = "<script>alert('x')</script>"
    frame = pl.DataFrame({script: [script, "b"]})

    page = html_document(frame, title=script)

    assert "<script" not in page
    assert 3 == page.count("&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;")
    assert "<caption>2 rows</caption>" in page
    assert "<caption>1 of 2 rows</caption>" in html_table(frame, rows=1)
