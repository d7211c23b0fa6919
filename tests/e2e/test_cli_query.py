"""`query run|list|show|lint` and `init` as processes, over a store small enough to count by hand."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.command import environment, run, run_in_terminal

SHOP = """\
time,customer,event,plan,amount
2026-01-05 09:00:00,ann,signed_up,free,
2026-01-05 09:30:00,bob,signed_up,pro,
2026-01-06 10:00:00,ann,purchase,free,20
2026-01-07 11:00:00,bob,purchase,pro,50
2026-01-09 12:00:00,bob,purchase,pro,30
"""
RANGE = ("-p", "since=2026-01-01", "-p", "until=2026-02-01")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the store `events`; tests copy it when they write."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.csv").write_text(SHOP)
    done = run("local", "import", "shop.csv", "--user", "customer", "--time", "time", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_pipe_gets_json_lines(shop: Path) -> None:
    """In a pipe a row is a JSON object on a line, and stderr is empty."""
    done = run("query", "run", "event_counts", *RANGE, cwd=shop)

    assert (0, "") == (done.returncode, done.stderr)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"event": "purchase", "events": 3, "people": 2, "share": 0.6},
        {"event": "signed_up", "events": 2, "people": 2, "share": 0.4},
    ]


def test_terminal_gets_a_table_and_the_number_of_rows(shop: Path, tmp_path: Path) -> None:
    """On a terminal a result is a table, with a line that counts."""
    line = "posthog-events query run event_counts -p since=2026-01-01 -p until=2026-02-01"
    code, text = run_in_terminal(line, cwd=shop, env=environment(tmp_path))

    lines = [part.split() for part in text.splitlines()]
    assert code == 0
    assert ["event", "events", "people", "share"] == lines[0]
    assert [["purchase", "3", "2", "0.6"], ["signed_up", "2", "2", "0.4"], ["2", "rows"]] == lines[2:]


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet", "md", "html"])
def test_file_is_written_in_the_format_of_its_name(shop: Path, tmp_path: Path, ending: str) -> None:
    """--output chooses the format by the ending, says what it wrote on stderr, and leaves stdout empty."""
    target = tmp_path / f"counts.{ending}"

    done = run("query", "run", "event_counts", *RANGE, "--output", str(target), cwd=shop)

    assert (0, "", f"wrote 2 rows to {target}\n") == (done.returncode, done.stdout, done.stderr)
    data = target.read_bytes()
    if ending == "csv":
        rows = list(csv.reader(io.StringIO(data.decode())))
        assert [["event", "events", "people", "share"], ["purchase", "3", "2", "0.6"]] == rows[:2]
    elif ending == "json":
        assert ["purchase", "signed_up"] == [row["event"] for row in json.loads(data)]
    elif ending == "jsonl":
        assert ["purchase", "signed_up"] == [json.loads(line)["event"] for line in data.splitlines()]
    elif ending == "parquet":
        assert (b"PAR1", b"PAR1") == (data[:4], data[-4:])
    else:
        assert b"purchase" in data


def test_inline_hogql_takes_values(shop: Path) -> None:
    """--execute runs HogQL; -p fills its placeholders, and a hostile value stays a value."""
    hogql = "SELECT count() AS n FROM events WHERE distinct_id = {who}"

    found = run("query", "run", "-e", hogql, "-p", "who=bob", "--format", "csv", cwd=shop)
    hostile = run("query", "run", "-e", hogql, "-p", "who=' OR 1=1 --", "--format", "csv", cwd=shop)

    assert (0, "n\n3\n") == (found.returncode, found.stdout)
    assert (0, "n\n0\n") == (hostile.returncode, hostile.stdout)


def test_query_comes_from_stdin_and_from_a_path(shop: Path, tmp_path: Path) -> None:
    """`-` reads HogQL or a whole query file; a path that ends in .sql is read as it is."""
    hogql = "SELECT event, count() AS n FROM events GROUP BY event ORDER BY event LIMIT 10"
    body = hogql.replace("GROUP", "WHERE distinct_id = {{ who }} GROUP")
    text = f"-- title: Counts\n-- params:\n--   who: text\n{body}\n"
    (tmp_path / "counts.sql").write_text(text)

    plain = run("query", "run", "-", "--format", "csv", cwd=shop, stdin=hogql)
    whole = run("query", "run", "-", "--format", "csv", "-p", "who=ann", cwd=shop, stdin=text)
    path = run("query", "run", str(tmp_path / "counts.sql"), "--format", "csv", "-p", "who=ann", cwd=shop)

    assert (0, "event,n\npurchase,3\nsigned_up,2\n") == (plain.returncode, plain.stdout)
    assert (0, "event,n\npurchase,1\nsigned_up,1\n") == (whole.returncode, whole.stdout)
    assert whole.stdout == path.stdout


def test_sql_shows_clickhouse_sql_and_runs_nothing(shop: Path) -> None:
    """--sql prints what would be sent: a SELECT over the store's files."""
    done = run("query", "run", "-e", "SELECT count() AS n FROM events", "--sql", cwd=shop)

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("SELECT ")
    assert "count()" in done.stdout
    assert "SETTINGS" in done.stdout


def test_cut_result_is_exit_6_and_says_the_ways_out(shop: Path) -> None:
    """101 rows without LIMIT would be 100 in PostHog: an error, unless the cut is accepted or the limit is lifted."""
    hogql = "SELECT number FROM numbers(101)"

    refused = run("query", "run", "-e", hogql, cwd=shop)
    accepted = run("query", "run", "-e", hogql, "--allow-truncated", cwd=shop)
    lifted = run("query", "run", "-e", hogql, "--no-limit", cwd=shop)

    assert (6, "") == (refused.returncode, refused.stdout)
    assert "--no-limit" in refused.stderr
    assert "--allow-truncated" in refused.stderr
    assert (0, 100) == (accepted.returncode, len(accepted.stdout.splitlines()))
    assert accepted.stderr == "warning: more rows exist than these 100\n"
    assert (0, 101, "") == (lifted.returncode, len(lifted.stdout.splitlines()), lifted.stderr)


@pytest.mark.parametrize(
    ("hogql", "place", "caret"),
    [
        ("SELECT count( FROM events", "<inline>:1:", "^"),
        ("SELECT nosuch FROM events LIMIT 1", "<inline>:1:8:", "       ^^^^^^"),
        ("SELECT 1 FROM nosuch LIMIT 1", "<inline>:1:15:", "              ^^^^^^"),
        ("SELECT nosuch(1) LIMIT 1", "<inline>:1:8:", "       ^"),
        ("SELECT * FROM file('secret.csv')", "<inline>:1:15:", "^"),
    ],
    ids=["syntax", "column", "table", "function", "file"],
)
def test_wrong_query_shows_where(shop: Path, hogql: str, place: str, caret: str) -> None:
    """A query that cannot run is exit code 1, with line, column and a caret below the offending part."""
    done = run("query", "run", "-e", hogql, cwd=shop)

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"error: {place}")
    assert hogql in done.stderr.splitlines()
    assert done.stderr.splitlines()[-1].startswith(caret) or caret == "^" in done.stderr.splitlines()[-1]


def test_every_wrong_parameter_is_listed(shop: Path) -> None:
    """Missing, unknown and wrong parameters come in one answer, each on a line of its own; exit code 2."""
    done = run("query", "run", "funnel", "-p", "window=soon", "-p", "stepz=a,b", cwd=shop)

    lines = done.stderr.splitlines()
    assert (2, "", 3) == (done.returncode, done.stdout, len(lines))
    assert all(line.startswith("error: ") for line in lines)
    assert all(any(word in line for line in lines) for word in ("`steps` is missing", "`stepz`", "'soon'"))


def test_steps_are_a_list_by_comma_by_repetition_or_as_yaml(shop: Path) -> None:
    """A list can be written in three ways with the same result: ann and bob sign up, both buy."""
    forms = [
        ("-p", "steps=signed_up,purchase"),
        ("-p", "steps=signed_up", "-p", "steps=purchase"),
        ("-p", "steps=[{event: signed_up}, purchase]"),
    ]

    outputs = {run("query", "run", "funnel", *form, *RANGE, "--format", "csv", cwd=shop).stdout for form in forms}

    (output,) = outputs
    rows = list(csv.DictReader(io.StringIO(output)))
    assert [("1", "signed_up", "2"), ("2", "purchase", "2")] == [(r["step"], r["name"], r["people"]) for r in rows]
    # ann after 25 h, bob after 49.5 h: the median is the mean of both
    assert float(rows[1]["median_seconds"]) == (25 + 49.5) / 2 * 3600


def test_timezone_moves_the_days(shop: Path) -> None:
    """The day of bob's purchase at 11:00 UTC is the next one in Auckland (+13 in January)."""
    hogql = "SELECT toDate(timestamp) AS day FROM events WHERE properties.amount = '50' LIMIT 1"

    utc = run("query", "run", "-e", hogql, "--format", "csv", cwd=shop)
    auckland = run("query", "run", "-e", hogql, "--format", "csv", "--timezone", "Pacific/Auckland", cwd=shop)
    nowhere = run("query", "run", "-e", hogql, "--timezone", "Pacific/Nowhere", cwd=shop)

    assert ("day\n2026-01-07\n", "day\n2026-01-08\n") == (utc.stdout, auckland.stdout)
    assert (2, "") == (nowhere.returncode, nowhere.stdout)
    assert "Pacific/Nowhere" in nowhere.stderr


def test_own_query_stands_before_the_shipped_one(shop: Path, tmp_path: Path) -> None:
    """A file of the same name in ./queries replaces the library's; --all lists both."""
    shutil.copytree(shop, tmp_path / "work")
    (tmp_path / "work" / "queries").mkdir()
    (tmp_path / "work" / "queries" / "funnel.sql").write_text("-- title: Mine\nSELECT 1 AS one LIMIT 1\n")

    ran = run("query", "run", "funnel", "--format", "csv", cwd=tmp_path / "work")
    listed = run("query", "list", cwd=tmp_path / "work")
    everything = run("query", "list", "--all", cwd=tmp_path / "work")

    titles = [
        [row["title"] for row in map(json.loads, done.stdout.splitlines()) if row["name"] == "funnel"]
        for done in (listed, everything)
    ]
    assert (0, "one\n1\n") == (ran.returncode, ran.stdout)
    assert titles == [["Mine"], ["Mine", "Funnel"]]


def test_lint_finds_every_fault_and_exits_1(tmp_path: Path) -> None:
    """Faults have file, line and column in text, as JSON Lines and as annotations; a clean folder is exit 0."""
    (tmp_path / "bad.sql").write_text(
        "-- title: Bad\nSELECT nosuch(1) AS a\nFROM evnts\nWHERE timestamp > now()\nLIMIT 1\n"
    )
    (tmp_path / "broken.sql").write_text("-- title: Broken\nSELECT FROM\n")

    text = run("query", "lint", "bad.sql", "broken.sql", cwd=tmp_path)
    lines = run("query", "lint", "--format", "json", "bad.sql", cwd=tmp_path)
    github = run("query", "lint", "--format", "github", "bad.sql", cwd=tmp_path)

    assert (1, 1, 1) == (text.returncode, lines.returncode, github.returncode)
    assert "bad.sql:2:8: error: " in text.stdout
    assert "bad.sql:3:6: error: " in text.stdout
    assert "broken.sql:2:" in text.stdout
    assert ["bad.sql", 2, 8, "error"] == [
        json.loads(lines.stdout.splitlines()[0])[key] for key in ("path", "line", "column", "severity")
    ]
    assert github.stdout.startswith("::error file=bad.sql,line=2,col=8::")
    assert "files: 2, errors: " in text.stderr


def test_shipped_library_is_clean(tmp_path: Path) -> None:
    """Lint finds nothing in the queries that we ship, not even a warning."""
    library = Path(__file__).parents[2] / "queries"

    done = run("query", "lint", str(library), cwd=tmp_path)

    assert (0, "") == (done.returncode, done.stdout)
    assert "errors: 0, warnings: 0" in done.stderr


def test_lint_without_files_is_wrong_usage(tmp_path: Path) -> None:
    """An empty folder is not a success."""
    (tmp_path / "queries").mkdir()

    done = run("query", "lint", cwd=tmp_path)

    assert done.returncode == 2
    assert "there are no .sql files in queries" in done.stderr


def test_show_prints_parameters_and_text(tmp_path: Path) -> None:
    """`query show` of a shipped query names its parameters, its columns and its file."""
    done = run("query", "show", "funnel", cwd=tmp_path)

    assert (0, "") == (done.returncode, done.stderr)
    assert "\nParameters\n  steps " in done.stdout
    assert "from_previous   Nullable(Float64)" in done.stdout
    assert "funnel.sql, line " in done.stdout


def test_init_folder_is_clean_and_its_example_runs(shop: Path, tmp_path: Path) -> None:
    """What `init` writes passes lint and answers: one row per day and event."""
    made = run("init", "work", cwd=tmp_path)
    shutil.copytree(shop / "events", tmp_path / "work" / "events")

    linted = run("query", "lint", cwd=tmp_path / "work")
    ran = run("query", "run", "example", "-p", "since=2026-01-01", "--format", "csv", cwd=tmp_path / "work")

    assert (0, 0, "") == (made.returncode, linted.returncode, linted.stdout)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "day,event,events,people",
        "2026-01-05,signed_up,2,2",
        "2026-01-06,purchase,1,1",
        "2026-01-07,purchase,1,1",
        "2026-01-09,purchase,1,1",
    ]
