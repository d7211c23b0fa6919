"""A result shows itself in a notebook, and hands its rows to pandas."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from posthog_events.result import Query, QueryResult

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>alert('x')</script>"


def result(
    frame: pl.DataFrame, *, name: str = "counts", truncated: bool = False, warnings: tuple[str, ...] = ()
) -> QueryResult:
    """Return a result of `frame` that took a quarter of a second."""
    query = Query("SELECT 1", name=name)
    return QueryResult(frame, (), query, "chdb://x", truncated=truncated, warnings=warnings, elapsed_s=0.25)


@pytest.mark.parametrize(
    ("rows", "truncated", "warnings", "expected"),
    [
        (1, False, (), "<small>1 row of counts in 0.25 s</small>"),
        (0, False, (), "<small>0 rows of counts in 0.25 s</small>"),
        (1234, True, (), "<small>1,234 rows of counts in 0.25 s<br>more rows exist than these</small>"),
        (2, False, ("a", "b"), "<small>2 rows of counts in 0.25 s<br>warning: a<br>warning: b</small>"),
    ],
    ids=["one", "none", "cut", "warned"],
)
def test_notebook_says_what_a_reader_should_know(
    rows: int, truncated: bool, warnings: tuple[str, ...], expected: str
) -> None:
    """Below the rows stand their number, whether more exist, and every warning."""
    shown = result(pl.DataFrame({"n": range(rows)}), truncated=truncated, warnings=warnings)._repr_html_()

    assert shown.endswith(expected)


def test_notebook_shows_the_rows() -> None:
    """The frame itself is there, with its dtypes."""
    shown = result(pl.DataFrame({"event": ["purchase"], "n": [3]}))._repr_html_()

    assert "<th>event</th><th>n</th>" in shown
    assert "purchase" in shown


def test_nothing_in_an_event_becomes_markup_in_a_notebook() -> None:
    """Column names, values, the query's name and warnings are escaped."""
    shown = result(pl.DataFrame({HOSTILE: [HOSTILE]}), name=HOSTILE, warnings=(HOSTILE,))._repr_html_()

    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 4


def test_pandas_frame_has_the_same_rows() -> None:
    """Values arrive, times with their zone, NULL as missing."""
    at = datetime(2026, 1, 5, 9, tzinfo=UTC)
    frame = result(pl.DataFrame({"who": ["ann", None], "at": [at, at]})).pandas()

    assert ["who", "at"] == list(frame.columns)
    assert [False, True] == list(frame["who"].isna())
    assert ["ann", at] == [frame["who"][0], frame["at"][0].to_pydatetime()]


@pytest.mark.parametrize("missing", ["pandas", "pyarrow"])
def test_missing_pandas_is_one_sentence(missing: str) -> None:
    """Without one of its packages the call fails with the command that installs them."""
    script = (
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        f"PathFinder.find_spec = lambda name, *rest: None if name == {missing!r} else find(name, *rest)\n"
        "import polars as pl\n"
        "from posthog_events.errors import PostHogEventsError\n"
        "from posthog_events.result import Query, QueryResult\n"
        "try:\n"
        "    QueryResult(pl.DataFrame({'who': ['ann']}), (), Query('SELECT 1'), 'chdb://x').pandas()\n"
        "except PostHogEventsError as error:\n"
        "    print(error)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout.strip().endswith("install them with: pip install pandas pyarrow")
