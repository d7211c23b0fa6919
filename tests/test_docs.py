"""The README and the help say what is true: every block runs, and every command is explained."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from posthog_events.cli.main import cli
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.command import environment, run, run_in_terminal

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

SETUP = ("git clone ", "cd ", "python -m venv ", "source ", "pip install ", "export ")
"""What a block marked `<!-- setup -->` may do: only what comes before the tests, or needs a network."""

BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of the README, with the comment on the line above it."""

    line: int
    mark: str
    language: str
    code: str


def readme_blocks() -> list[Block]:
    """Return the fenced blocks of the README in order."""
    return [
        Block(README.count("\n", 0, found.start()) + 1, found["mark"] or "", found["language"], found["code"])
        for found in BLOCK.finditer(README)
    ]


def transcript(code: str) -> Iterator[tuple[str, str]]:
    """Split a console block into command lines and the output shown below each."""
    for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
        lines = part.split("\n")
        count = next(number for number, line in enumerate(lines, 1) if not line.endswith("\\"))
        yield "\n".join(lines[:count]), "\n".join(lines[count:])


def same(shown: str, printed: str) -> bool:
    """Compare as doctest does: `...` stands for anything; spaces at line ends do not count."""
    shown, printed = (
        "\n".join(line.rstrip() for line in text.strip("\n").split("\n")) + "\n" for text in (shown, printed)
    )
    return doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS)


def check_transcript(block: Block, where: str, folder: Path, env: Mapping[str, str]) -> None:
    """Run each command of a console block, and compare what it prints."""
    for command, shown in transcript(block.code):
        code, output = run_in_terminal(command, cwd=folder, env=env)
        failed = "error:" in shown
        assert failed == (code != 0), f"{where}: {command}: exit code {code}\n{output}"
        assert same(shown, output), f"{where}: {command} printed\n{output}"


def test_readme_blocks_run_and_print_what_they_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one empty folder: files are written, commands and Python run, and outputs are the ones shown.

    A block under `<!-- emulator: DIR -->` runs while an emulator serves the store in that directory, as the text there
    tells readers to have one.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTHOG_EVENTS_STATE_DIR", str(tmp_path / ".state"))
    env = environment(tmp_path, POSTHOG_EVENTS_STATE_DIR=str(tmp_path / ".state"))
    namespace: dict[str, object] = {"__name__": "readme"}
    printed: str | None = None

    for block in readme_blocks():
        where = f"README.md:{block.line}"
        if block.mark == "setup":
            continue
        if block.mark.startswith("file: "):
            target = tmp_path / block.mark.removeprefix("file: ")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.code, encoding="utf-8")
        elif block.mark == "output":
            assert printed is not None, f"{where}: no Python block before this output"
            assert same(block.code, printed), f"{where}: Python printed\n{printed}"
        elif block.language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(block.code, where, "exec"), namespace)
            printed = out.getvalue()
        elif block.mark.startswith("emulator: "):
            with emulator(tmp_path / block.mark.removeprefix("emulator: ")) as served:
                check_transcript(block, where, tmp_path, env | served.environment)
        elif block.language == "console":
            check_transcript(block, where, tmp_path, env)
        elif block.language == "bash":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.code], cwd=tmp_path, env=env, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{where}: {done.stdout}{done.stderr}"
        else:
            pytest.fail(f"{where}: a {block.language} block needs a mark: `file: NAME`, `output` or `setup`")


def test_only_setup_is_left_out() -> None:
    """A block that is not run does nothing but install; the two commands of the top are among them."""
    for block in readme_blocks():
        if block.mark == "setup":
            for line in block.code.splitlines():
                assert line.startswith(SETUP), f"README.md:{block.line}: {line}"


def test_ci_runs_the_readmes_test_command() -> None:
    """The command under "run the tests" in the README is the one that .ci/run runs, letter by letter."""
    commands = [line for block in readme_blocks() if block.mark == "setup" for line in block.code.splitlines()]
    (test_command,) = [line for line in commands if line.endswith("&& pytest")]

    assert f"bash -c '{test_command}'\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that is not a group, with the words that call it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from leaves(child, f"{path} {name}")


COMMANDS = dict(leaves(cli, "posthog-events"))


def example(command: click.Command) -> str:
    """Return the command line after `Example:` in a command's help."""
    found = re.search(r"Example: (.+)", command.help or "")
    assert found is not None, "no example"
    return found[1].strip()


@pytest.mark.parametrize("path", COMMANDS)
def test_command_is_explained(path: str) -> None:
    """A command opens its help with a sentence, gives an example of itself, and is shown in the README."""
    text = COMMANDS[path].help or ""

    assert text.split("\n")[0].endswith(".")
    assert shlex.split(example(COMMANDS[path]))[: len(path.split())] == path.split()
    assert path in README


@pytest.mark.parametrize("path", COMMANDS)
def test_option_is_explained_in_a_sentence(path: str) -> None:
    """Every option says what it does."""
    for option in COMMANDS[path].params:
        if isinstance(option, click.Option):
            assert (option.help or "").endswith("."), option.name


@pytest.fixture(scope="module")
def working_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what the examples of the help take for granted: a folder from `init`, a store, and a file to import."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "purchases.csv").write_text("date,customer_id,amount\n2026-01-05,c1,20\n2026-01-06,c2,30\n")
    for line in ("init .", "local import purchases.csv --event purchase --time date --user customer_id"):
        done = run(*line.split(), cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def project() -> Iterator[EmulatedPostHog]:
    """Lend the PostHog project that the examples of the help take for granted."""
    now = datetime.now(UTC)
    event = {"event": "signup", "distinct_id": "ann@example.com", "properties": {"plan": "pro"}}
    with emulator(
        events=[
            {
                **event,
                "uuid": "018f3c2e-7a51-7b0c-8f3e-2d1c0b9a8f7e",
                "timestamp": (now - timedelta(days=1)).isoformat(),
            },
            {**event, "event": "purchase", "timestamp": (now - timedelta(days=2)).isoformat()},
        ]
    ) as served:
        yield served


# run by tests/e2e/test_cli_demo.py and, because they need or are a server, tests/e2e/test_push_cli.py and
# tests/e2e/test_emulator_cli.py
ELSEWHERE = {"posthog-events demo", "posthog-events local push", "posthog-events emulator"}

ASKS_POSTHOG = ("events ", "persons", "definitions ", "export", "local pull")


@pytest.mark.parametrize("path", ["posthog-events", *sorted(COMMANDS.keys() - ELSEWHERE)])
def test_example_of_the_help_runs(working_folder: Path, project: EmulatedPostHog, path: str) -> None:
    """What the help gives as an example can be typed as it stands."""
    line = shlex.split(example(COMMANDS.get(path, cli)))
    asks = path.removeprefix("posthog-events ").startswith(ASKS_POSTHOG)
    state = {"POSTHOG_EVENTS_STATE_DIR": str(working_folder / ".state")}

    done = run(*line[1:], cwd=working_folder, **state, **(project.environment if asks else {}))

    assert (line[0], 0) == ("posthog-events", done.returncode), done.stderr
