"""The root group: names without imports, suggestions, and flags that may stand anywhere."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest

import posthog_events
from posthog_events.cli.main import COMMANDS, cli, main


def test_version_is_the_one_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    """The constant, which spares a look through installed metadata at start-up, equals the installed version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"posthog-events {posthog_events.__version__}\n"
    assert version("posthog-events") == posthog_events.__version__


@pytest.mark.parametrize("name", COMMANDS)
def test_help_line_is_the_first_line_of_the_command(name: str) -> None:
    """The group's help, written down so that no command is imported for it, says what each command says itself."""
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert COMMANDS[name].help == command.get_short_help_str(limit=200)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("qurey", "no command 'qurey'. Did you mean query?"), ("zzz", f"There are: {', '.join(sorted(COMMANDS))}.")],
)
def test_unknown_command_is_answered_with_a_suggestion(
    capsys: pytest.CaptureFixture[str], typed: str, hint: str
) -> None:
    """A mistyped command gets the name that looks like it, or the list; exit code 2."""
    code = main([typed])
    out, err = capsys.readouterr()

    assert code == 2
    assert out == ""
    assert hint in err


@pytest.mark.parametrize("argv", [["--json", "qurey"], ["qurey", "--json"]])
def test_json_may_stand_before_or_after_the_command(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    """The flag works in both places, for errors of usage as well."""
    code = main(argv)
    out, err = capsys.readouterr()

    assert (2, "") == (code, err)
    assert out.startswith('{"ok": false, "error": {"type": "UsageError"')


def test_flag_after_a_double_dash_is_an_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows -- belongs to the command: here it is the name of the folder to create."""
    monkeypatch.chdir(tmp_path)

    assert main(["init", "--", "--json"]) == 0
    assert (tmp_path / "--json" / "posthog-events.toml").is_file()


def test_ctrl_c_leaves_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt in a command reaches the boundary as it is."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["posthog_events.cli.main"].cli, "invoke", lambda context: interrupt())

    assert main(["query", "list"]) == 130
    assert capsys.readouterr().err == "error: stopped\n"
