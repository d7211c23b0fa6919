"""`posthog-events local` as people call it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers.command import environment, run, run_in_terminal

ORDERS = "customer_id,date,dollars\nc1,2024-01-01,29.33\nc1,2024-01-02,5.00\nc2,2024-02-01,7.25\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a file of orders."""
    (tmp_path / "orders.csv").write_text(ORDERS)
    return tmp_path


IMPORT = ("local", "import", "orders.csv", "--event", "purchase")


def test_import_shows_what_it_guessed_and_did(folder: Path) -> None:
    """The guesses, the counts, the types and the next step, on stdout; nothing on stderr in a pipe."""
    done = run(*IMPORT, cwd=folder)
    assert (0, "") == (done.returncode, done.stderr)
    for part in (
        "orders.csv: CSV, flat rows\n",
        "  every event is named 'purchase', since no column has that name\n",
        "  time: column 'date'\n",
        "  user: column 'customer_id'\n",
        "  times without an offset are read in UTC\n",
        "  3 rows read, 3 stored, 0 duplicates, 0 rejected\n",
        "  properties.dollars  Numeric\n",
        "added 3 events to events in ",
    ):
        assert part in done.stdout
    again = run(*IMPORT, cwd=folder)
    assert "  3 rows read, 0 stored, 3 duplicates, 0 rejected\n" in again.stdout


def test_info_schema_and_remove_work_on_the_store(folder: Path) -> None:
    """Look at a store, set a type, take events out; without --yes in a pipe nothing is removed."""
    found = re.search(r"import (\S+)\n", run(*IMPORT, "--type", "dollars=string", cwd=folder).stdout)
    assert found is not None
    info = run("local", "info", cwd=folder).stdout
    for part in (
        "events      3 in 2 files",
        "people      2\n",
        "event       purchase, 3\n",
        f"import      {found[1]}, 3",
    ):
        assert part in info
    assert "properties.dollars  String  (override)\n" == run("local", "schema", cwd=folder).stdout
    changed = run("local", "schema", "--set", "dollars=Numeric", cwd=folder).stdout
    assert "properties.dollars  Numeric  (override)\n" == changed
    refused = run("local", "remove", "--before", "2024-01-15", cwd=folder)
    assert 1 == refused.returncode
    assert "Remove 2 of 3 events from events?" in refused.stderr
    removed = run("local", "remove", "--before", "2024-01-15", "--yes", cwd=folder)
    assert "removed 2 events from events\n" == removed.stdout
    assert "removed 1 events from events\n" == run("local", "remove", "--import", found[1], "--yes", cwd=folder).stdout


def test_a_table_can_be_imported_and_queried(folder: Path) -> None:
    """A user's table stands beside the events in HogQL."""
    run(*IMPORT, cwd=folder)
    (folder / "names.csv").write_text("customer,name\nc1,Ada\nc2,Bob\n")
    done = run("local", "import", "names.csv", "--table", "names", cwd=folder)
    assert "stored 2 rows as the table names in events\n" == done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("local", "info"), 1, "no event store at"),
        (("local", "import", "none.csv"), 2, "'none.csv' does not exist"),
        (("local", "import", "empty.csv"), 1, "is empty; there is nothing to import"),
        (
            (*IMPORT, "--time", "when"),
            1,
            "there is no column 'when' for --time. Columns: customer_id",
        ),
        (("local", "import", "orders.csv", "--event", "e", "--type", "x=Number"), 2, "'x=Number' is not KEY=TYPE"),
        (("local", "import", "orders.csv", "--table", "events"), 2, "is the name of a PostHog table"),
        (("local", "import", "late.csv", "--event", "e"), 1, "1 of 1 rows are no events"),
    ],
    ids=["no store", "no file", "empty file", "no column", "bad type", "reserved table", "all rejected"],
)
def test_mistakes_are_one_sentence_with_the_right_exit_code(
    folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """No traceback, nothing on stdout."""
    (folder / "empty.csv").touch()
    (folder / "late.csv").write_text("user,time\nu,2999-01-01\n")
    done = run(*arguments, cwd=folder)
    assert (code, "") == (done.returncode, done.stdout)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_shows_progress_and_asks_before_removing(folder: Path) -> None:
    """On a terminal the question is answered by a person."""
    env = environment(folder)
    code, _ = run_in_terminal("posthog-events local import orders.csv --event purchase", cwd=folder, env=env)
    assert 0 == code
    code, text = run_in_terminal("echo y | posthog-events local remove --all", cwd=folder, env=env)
    assert 0 == code
    assert "removed 3 events from events" in text
