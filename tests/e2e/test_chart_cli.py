"""`query run --chart` as a process: below the table, beside data, and into files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.command import environment, run, run_in_terminal

SHOP = """\
time,customer,event
2026-01-05 09:00:00,ann,signed_up
2026-01-05 09:30:00,bob,signed_up
2026-01-06 10:00:00,ann,purchase
2026-01-07 11:00:00,bob,purchase
2026-01-09 12:00:00,bob,purchase
2026-01-10 12:00:00,bob,purchase
"""
COUNTS = ("query", "run", "event_counts", "-p", "since=2026-01-01", "-p", "until=2026-02-01")
# four purchases, two signups, by hand
BARS = ["Event counts", "purchase", "signed_up"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the store `events`."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.csv").write_text(SHOP)
    done = run("local", "import", "shop.csv", "--user", "customer", "--time", "time", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def lengths(lines: list[str]) -> list[int]:
    """Return how many whole blocks each line has."""
    return [line.count("█") for line in lines]


def test_terminal_shows_the_chart_below_the_table(shop: Path, tmp_path: Path) -> None:
    """The file's own chart, half as long for half as many, within the width of the terminal."""
    code, text = run_in_terminal(f"posthog-events {' '.join(COUNTS)} --chart", cwd=shop, env=environment(tmp_path))

    table, _, chart = text.partition("2 rows\n\n")
    lines = chart.splitlines()
    assert code == 0
    assert table.split()[:4] == ["event", "events", "people", "share"]
    assert [line.split("  ")[0] for line in lines] == BARS
    longest, half = lengths(lines)[1:]
    assert abs(longest - 2 * half) <= 1
    assert 80 < max(map(len, lines)) <= 100


def test_pipe_carries_rows_only(shop: Path) -> None:
    """Beside data the chart goes to stderr, without colours, so that a program reads rows and a person sees bars."""
    done = run(*COUNTS, "--chart", cwd=shop)

    assert done.returncode == 0
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["purchase", "signed_up"]
    assert [line.split("  ")[0] for line in done.stderr.strip().splitlines()] == BARS
    assert "\x1b" not in done.stderr


def test_table_in_a_pipe_keeps_its_chart(shop: Path) -> None:
    """Whoever asks for a table in a file gets the chart below it."""
    done = run(*COUNTS, "--format", "table", "--chart", cwd=shop)

    assert (0, "") == (done.returncode, done.stderr)
    assert [line.split("  ")[0] for line in done.stdout.partition("2 rows\n\n")[2].splitlines()] == BARS


@pytest.mark.parametrize(
    ("ending", "begins"),
    [("png", b"\x89PNG\r\n\x1a\n"), ("svg", b"<svg "), ("html", b"<!doctype html>")],
)
def test_chart_file_is_written_beside_the_rows(shop: Path, tmp_path: Path, ending: str, begins: bytes) -> None:
    """--chart FILE draws, --output FILE writes, and each says so on stderr."""
    chart, rows = tmp_path / f"chart.{ending}", tmp_path / "rows.csv"

    done = run(*COUNTS, "--chart", str(chart), "--output", str(rows), cwd=shop)

    assert (0, "") == (done.returncode, done.stdout)
    assert done.stderr == f"wrote 2 rows to {rows}\ndrew a chart to {chart}\n"
    assert chart.read_bytes().startswith(begins)
    assert rows.read_text().startswith("event,events,people,share\npurchase,4,2,")
    assert ending == "png" or b"Event counts" in chart.read_bytes()


def test_columns_suggest_a_chart_for_inline_hogql(shop: Path) -> None:
    """A time beside a number makes a line, from the first to the last day."""
    hogql = "SELECT toDate(timestamp) AS day, count() AS n FROM events GROUP BY day ORDER BY day LIMIT 10"

    done = run("query", "run", "-e", hogql, "--format", "table", "--chart", cwd=shop)

    lines = done.stdout.partition("5 rows\n\n")[2].splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[0] == "n by day"
    assert lines[-1].split() == ["2026-01-05", "2026-01-10"]


def test_result_that_makes_no_chart_is_one_sentence(shop: Path, tmp_path: Path) -> None:
    """The rows are shown all the same; the chart is exit code 2, and no file is left."""
    hogql = "SELECT 'a' AS x, 'b' AS y LIMIT 1"

    shown = run("query", "run", "-e", hogql, "--chart", cwd=shop)
    drawn = run("query", "run", "-e", hogql, "--chart", str(tmp_path / "chart.svg"), cwd=shop)

    assert [(2, '{"x":"a","y":"b"}\n')] * 2 == [(done.returncode, done.stdout) for done in (shown, drawn)]
    assert shown.stderr == drawn.stderr
    assert shown.stderr.startswith("error: the columns x, y make no chart; ")
    assert list(tmp_path.iterdir()) == []


def test_no_rows_are_no_chart(shop: Path, tmp_path: Path) -> None:
    """An empty answer is an answer in a terminal; a file that was asked for and is not there is an error."""
    empty = ("query", "run", "event_counts", "-p", "since=2027-01-01", "-p", "until=2027-02-01")

    shown = run(*empty, "--chart", cwd=shop)
    drawn = run(*empty, "--chart", str(tmp_path / "chart.svg"), cwd=shop)

    assert (0, "", "there are no rows to draw\n") == (shown.returncode, shown.stdout, shown.stderr)
    assert (2, "", "error: there are no rows to draw\n") == (drawn.returncode, drawn.stdout, drawn.stderr)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_not_there_is_one_sentence(shop: Path, tmp_path: Path) -> None:
    """A chart that cannot be written is an error with its path, and no traceback."""
    done = run(*COUNTS, "--chart", str(tmp_path / "missing" / "chart.svg"), cwd=shop)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "missing") in done.stderr
