"""The working folder: complete, usable, and never written over."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from posthog_events.cli.init import FILES, create_folder
from posthog_events.cli.main import main


def test_folder_gets_every_file(tmp_path: Path) -> None:
    """A new folder holds an example query, settings, a README and a .gitignore."""
    written, kept = create_folder(tmp_path / "new")

    expected = {"queries/example.sql", "posthog-events.toml", "README.md", ".gitignore"}
    assert expected == {path.relative_to(tmp_path / "new").as_posix() for path in written}
    assert kept == []
    assert expected == set(FILES)


def test_file_that_is_there_is_left_alone_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run changes nothing and says so."""
    (tmp_path / "README.md").write_text("mine")

    assert main(["init", str(tmp_path)]) == 0
    first = capsys.readouterr().out.splitlines()
    assert main(["init", str(tmp_path)]) == 0
    second = capsys.readouterr().out.splitlines()

    assert (tmp_path / "README.md").read_text() == "mine"
    assert f"left {tmp_path / 'README.md'} as it was" in first
    assert [f"left {tmp_path / name} as it was" for name in FILES] == second


def test_settings_file_is_valid_with_and_without_its_comments(tmp_path: Path) -> None:
    """The example is TOML as it stands, and each commented setting is TOML once its # is taken away."""
    create_folder(tmp_path)
    text = (tmp_path / "posthog-events.toml").read_text()
    settings = [line[2:] for line in text.splitlines() if line.startswith("# ") and " = " in line]

    assert {} == tomllib.loads(text)
    assert {"dsn", "timezone", "queries"} == {key for line in settings for key in tomllib.loads(line)}


def test_folder_that_is_a_file_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is taken by a file is refused by name."""
    (tmp_path / "taken").write_text("")

    assert main(["init", str(tmp_path / "taken")]) == 2
    assert "is a file" in capsys.readouterr().err
