"""Where a setting comes from, and what a wrong settings file says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from posthog_events.config import Setting, load_settings, store_dsn
from posthog_events.errors import ConfigError


def test_each_place_wins_over_the_ones_after_it(tmp_path: Path) -> None:
    """Argument, environment, project file and user file are asked in this order."""
    project = tmp_path / "posthog-events.toml"
    project.write_text('dsn = "chdb://./project"\ntimezone = "Europe/Paris"\n')
    user = tmp_path / "user.toml"
    user.write_text('dsn = "chdb://./user"\ntimezone = "Asia/Tokyo"\n')
    environ = {"POSTHOG_EVENTS_DSN": "chdb://./environment"}

    def dsn(**kwargs: object) -> Setting[str] | None:
        given = {"arguments": {}, "environ": {}, "directory": tmp_path, "user": user} | kwargs
        return load_settings(**given).dsn  # type: ignore[arg-type]

    argument = {"dsn": "chdb://./argument"}
    assert dsn(arguments=argument, environ=environ) == Setting("chdb://./argument", "argument")
    assert dsn(arguments={"dsn": None}, environ=environ) == Setting("chdb://./environment", "POSTHOG_EVENTS_DSN")
    assert dsn() == Setting("chdb://./project", str(project))
    project.unlink()
    assert dsn() == Setting("chdb://./user", str(user))


def test_settings_are_found_one_by_one(tmp_path: Path) -> None:
    """A file that sets the zone does not hide a DSN that a later place sets."""
    (tmp_path / "posthog-events.toml").write_text('timezone = "Europe/Paris"\n')
    user = tmp_path / "user.toml"
    user.write_text('dsn = "chdb://./user"\ntimezone = "Asia/Tokyo"\n')

    settings = load_settings(arguments={}, environ={}, directory=tmp_path, user=user)

    assert settings.timezone is not None
    assert (settings.require_dsn(), settings.timezone.value) == ("chdb://./user", "Europe/Paris")


def test_store_in_the_working_directory_is_the_default(tmp_path: Path) -> None:
    """With nothing said, ./events is used when it exists."""
    (tmp_path / "events").mkdir()

    settings = load_settings(arguments={}, environ={}, directory=tmp_path)

    assert settings.dsn == Setting("chdb://./events", "default")


def test_without_any_events_the_error_says_how_to_get_some(tmp_path: Path) -> None:
    """No DSN and no ./events is an error that names import and demo, and exit code 2."""
    settings = load_settings(arguments={}, environ={}, directory=tmp_path)

    with pytest.raises(ConfigError, match=r"local import FILE --store events .*posthog-events demo") as caught:
        settings.require_dsn()
    assert caught.value.exit_code == 2


def test_queries_of_a_file_are_relative_to_the_file(tmp_path: Path) -> None:
    """A user's file may name query folders beside itself; the environment separates folders as PATH does."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text('queries = ["mine", "/shared/queries"]\n')

    in_file = load_settings(arguments={}, environ={}, directory=tmp_path, user=home / "config.toml")
    in_environment = load_settings(
        arguments={}, environ={"POSTHOG_EVENTS_QUERIES": os.pathsep.join(["a", "b"])}, directory=tmp_path
    )

    assert in_file.queries.value == (home / "mine", Path("/shared/queries"))
    assert in_environment.queries == Setting((Path("a"), Path("b")), "POSTHOG_EVENTS_QUERIES")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dsn = ", "is not valid TOML"),
        ("dsn = 3", "dsn must be text, but is 3"),
        ('queries = "queries"', "queries must be a list of directories, but is 'queries'"),
        ("queries = [1]", r"queries must be a list of directories, but is \[1\]"),
        ('dns = "chdb://./events"', "unknown key 'dns'. The keys are: dsn, timezone, queries"),
        ("[dsn]\na = 1", "dsn must be text"),
    ],
    ids=["syntax", "number", "text for a list", "list of numbers", "unknown key", "table"],
)
def test_wrong_settings_file_is_named_with_its_fault(tmp_path: Path, text: str, message: str) -> None:
    """A settings file with a fault is refused, not passed over."""
    (tmp_path / "posthog-events.toml").write_text(text)

    with pytest.raises(ConfigError, match=message) as caught:
        load_settings(arguments={}, environ={}, directory=tmp_path)
    assert str(tmp_path / "posthog-events.toml") in str(caught.value)


@pytest.mark.parametrize(
    ("path", "dsn"),
    [
        ("events", "chdb://./events"),
        ("./events", "chdb://./events"),
        ("../events", "chdb://../events"),
        ("/data/events", "chdb:///data/events"),
        ("a/b", "chdb://./a/b"),
        ("..hidden", "chdb://./..hidden"),
    ],
)
def test_store_directory_becomes_a_dsn(path: str, dsn: str) -> None:
    """A relative path keeps its ./ so that it cannot be read as a host."""
    assert store_dsn(path) == dsn
    assert store_dsn(Path(path)) == dsn
