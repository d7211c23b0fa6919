"""The demo as a process: five answers, commands that repeat them, and no store of anybody else's touched."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from posthog_events.cli.demo import STEPS
from tests.helpers.command import run


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demo once; return its folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = run("demo", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_demo_prints_a_command_for_each_question(demo: tuple[Path, str]) -> None:
    """Each question is followed by the command line that answers it."""
    _, text = demo

    commands = re.findall(r"^\$ (posthog-events query run .+)$", text, re.MULTILINE)
    assert len(STEPS) == len(commands) == 5
    assert all(step.question in text for step in STEPS)


def test_each_answer_has_a_chart(demo: tuple[Path, str]) -> None:
    """Below each table stands the chart of its query file: three of bars, a funnel, and a grid in between."""
    _, text = demo

    answers = re.split(r"^\$ posthog-events query run .+$", text, flags=re.MULTILINE)[1:]
    charts = [re.split(r"^\d+ (?:of \d+ )?rows.*\n\n", answer, maxsplit=1, flags=re.MULTILINE)[1] for answer in answers]
    titles = ["Signups by referrer", "Funnel", "Retention", "Feature adoption by plan", "Revenue"]
    assert titles == [chart.splitlines()[0] for chart in charts]
    assert all("█" in chart for chart in charts)
    assert "of the step before" in charts[1]
    assert ["cohort", "0", "1", "2", "3", "4", "5"] == charts[2].splitlines()[1].split()


@pytest.mark.parametrize("number", [0, *(pytest.param(number, marks=pytest.mark.slow) for number in range(1, 5))])
def test_printed_command_gives_the_same_rows_again(demo: tuple[Path, str], number: int) -> None:
    """A command copied from the demo runs as it stands, and answers with what the demo showed."""
    folder, text = demo
    parts = re.split(r"^\$ posthog-events (.+)$", text, flags=re.MULTILINE)
    command, shown = parts[1 + 2 * number], parts[2 + 2 * number]

    done = run(*shlex.split(command), "--format", "table", cwd=folder)

    assert done.returncode == 0, done.stderr
    assert re.search(r"^\d+ (of \d+ )?rows", done.stdout, re.MULTILINE)
    assert done.stdout in shown


def test_second_run_keeps_the_store(demo: tuple[Path, str]) -> None:
    """The store is built once; running the demo again only asks it."""
    folder, text = demo
    before = {path: path.stat().st_mtime_ns for path in (folder / "demo-events").rglob("*") if path.is_file()}

    again = run("demo", cwd=folder)

    assert (0, text) == (again.returncode, again.stdout)
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "demo-events").rglob("*") if path.is_file()}


@pytest.mark.parametrize("flags", [(), ("--fresh",)])
def test_directory_of_somebody_else_is_not_touched(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """A directory that the demo did not make is refused, even with --fresh."""
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "mine").write_text("kept")

    done = run("demo", "--store", "events", *flags, cwd=tmp_path)

    assert done.returncode == 2
    assert "this command did not make it" in done.stderr
    assert (tmp_path / "events" / "mine").read_text() == "kept"
