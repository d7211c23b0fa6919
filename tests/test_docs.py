"""The README and the help say what is true: every block runs, and every command is explained."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from posthog_events.cli.main import cli, main
from posthog_events.emulator.hog_state import DeliveryRules
from posthog_events.receiver.inbox import Entry
from posthog_events.receiver.sqlite_inbox import SqliteInbox
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.command import environment, run, run_in_terminal

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

SETUP = ("git clone ", "cd ", "python -m venv ", "source ", "pip install ", "export ")
"""What a block marked `<!-- setup -->` may do: only what comes before the tests, or needs a network."""

EXPORT = re.compile(r"export (?P<name>\w+)=(?P<value>\S+)")
WAIT_S = 30.0

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


def check_transcript(block: Block, where: str, folder: Path, env: dict[str, str]) -> None:
    """Run each command of a console block, and compare what it prints.

    What is exported goes into `env`. A command after `sleep` is tried until it prints what is shown: how long a reader
    should wait is no matter of a test.
    """
    for command, shown in transcript(block.code):
        if found := EXPORT.fullmatch(command):
            env[found["name"]] = found["value"]
            continue
        waits, command = command.startswith("sleep "), re.sub(r"^sleep \d+; ", "", command)
        deadline = time.monotonic() + WAIT_S
        code, output = run_in_terminal(command, cwd=folder, env=env)
        while waits and not same(shown, output) and time.monotonic() < deadline:
            time.sleep(0.05)
            code, output = run_in_terminal(command, cwd=folder, env=env)
        failed = "error:" in shown
        assert failed == (code != 0), f"{where}: {command}: exit code {code}\n{output}"
        assert same(shown, output), f"{where}: {command} printed\n{output}"


@pytest.fixture
def emulators(tmp_path: Path) -> Iterator[contextlib.ExitStack]:
    """Lend what ends the README's emulators, and end the server that it starts, however the test ends."""
    with contextlib.ExitStack() as stack:
        yield stack
    for file in tmp_path.glob("*.pid"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)


def test_readme_blocks_run_and_print_what_they_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emulators: contextlib.ExitStack
) -> None:
    """In order, in one empty folder: files are written, commands and Python run, and outputs are the ones shown.

    A block under `<!-- emulator: DIR -->` runs while an emulator serves the store in that directory, as the text there
    tells readers to have one; one under `<!-- continued -->` goes on with the emulator before it.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTHOG_EVENTS_STATE_DIR", str(tmp_path / ".state"))
    env = environment(tmp_path, POSTHOG_EVENTS_STATE_DIR=str(tmp_path / ".state"))
    namespace: dict[str, object] = {"__name__": "readme"}
    printed: str | None = None
    at_emulator: dict[str, str] = {}

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
            emulators.close()
            store = tmp_path / block.mark.removeprefix("emulator: ")
            served = emulators.enter_context(emulator(store, delivery=DeliveryRules(time_scale=0.01)))
            at_emulator = env | served.environment
            check_transcript(block, where, tmp_path, at_emulator)
        elif block.mark == "continued":
            check_transcript(block, where, tmp_path, at_emulator)
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
    with contextlib.closing(SqliteInbox(folder / "inbox.db")) as inbox:
        inbox.add([Entry("msg_1", None, "signup", "ann", b"{}", datetime.now(UTC), handlers=("greet",))])
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


# run by tests/e2e/test_cli_demo.py; because they need or are a server, by test_push_cli.py, test_emulator_cli.py and
# test_webhooks_cli.py beside it; and, as they follow from each other, by tests/unit/cli/test_destinations_cli.py
SERVERS = {"emulator", "webhooks serve", "webhooks listen", "webhooks trigger", "webhooks forward"}
ELSEWHERE = SERVERS | {"demo", "local push"}
HERE = [
    path
    for path in sorted(COMMANDS)
    if (words := path.removeprefix("posthog-events ")) not in ELSEWHERE and not words.startswith("destinations ")
]

ASKS_POSTHOG = ("events ", "persons", "definitions ", "export", "local pull")


@pytest.mark.parametrize("path", ["posthog-events", *HERE])
def test_example_of_the_help_runs(
    working_folder: Path,
    project: EmulatedPostHog,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the help gives as an example can be typed as it stands."""
    line = shlex.split(example(COMMANDS.get(path, cli)))
    asks = path.removeprefix("posthog-events ").startswith(ASKS_POSTHOG)
    for name in list(os.environ):
        if name.startswith(("POSTHOG_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(working_folder))
    monkeypatch.chdir(working_folder)
    monkeypatch.setenv("POSTHOG_EVENTS_STATE_DIR", str(working_folder / ".state"))
    for name, value in (project.environment if asks else {}).items():
        monkeypatch.setenv(name, value)

    code = main(line[1:])

    assert ("posthog-events", 0) == (line[0], code), capsys.readouterr().err
