"""Where a setting comes from, and what a wrong settings file says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from posthog_events.config import PostHogTarget, Setting, Settings, load_settings, store_dsn
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
        ('dns = "chdb://./events"', "unknown key 'dns'. The keys are: dsn, timezone, queries, profile, host"),
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


KEY = "phx_made_up"


def settings(
    tmp_path: Path, environ: dict[str, str], *, project: str = "", user: str = "", **arguments: str
) -> Settings:
    """Load settings from texts of the two files."""
    (tmp_path / "posthog-events.toml").write_text(project)
    (tmp_path / "user.toml").write_text(user)
    return load_settings(arguments=arguments, environ=environ, directory=tmp_path, user=tmp_path / "user.toml")


def test_environment_names_a_project(tmp_path: Path) -> None:
    """PostHog's own three variables are enough, and win over a store in the working directory."""
    (tmp_path / "events").mkdir()
    environ = {"POSTHOG_HOST": "eu", "POSTHOG_PROJECT_ID": "12", "POSTHOG_PERSONAL_API_KEY": KEY}

    found = settings(tmp_path, environ)

    assert "posthog://" == found.require_dsn()
    assert PostHogTarget("eu", 12, KEY) == found.posthog()


def test_dsn_wins_over_host_and_project_of_the_environment(tmp_path: Path) -> None:
    """What the DSN names counts; what it leaves out comes from the settings."""
    environ = {"POSTHOG_HOST": "eu", "POSTHOG_PROJECT_ID": "12", "POSTHOG_PERSONAL_API_KEY": KEY}

    assert PostHogTarget("us", 3, KEY) == settings(tmp_path, environ, dsn="posthog://us/3").posthog()
    assert PostHogTarget("us", 12, KEY) == settings(tmp_path, environ, dsn="posthog://us").posthog()
    plain = settings(tmp_path, environ, dsn="posthog://10.0.0.5:8000/3?insecure=1").posthog()
    assert PostHogTarget("http://10.0.0.5:8000", 3, KEY) == plain


def test_everything_missing_is_named_at_once(tmp_path: Path) -> None:
    """Host, project and key are three things to set, said in one sentence."""
    with pytest.raises(ConfigError, match=r"POSTHOG_HOST.*POSTHOG_PROJECT_ID.*POSTHOG_PERSONAL_API_KEY"):
        settings(tmp_path, {}, dsn="posthog://").posthog()


def test_profile_counts_where_it_was_chosen(tmp_path: Path) -> None:
    """An argument's profile wins over the environment; the environment wins over a file's own choice."""
    user = """
profile = "work"
[profiles.work]
host = "eu"
project = 1
key_env = "WORK_KEY"
[profiles.home]
host = "us"
project = 2
key_env = "HOME_KEY"
"""
    environ = {"WORK_KEY": "phx_work", "HOME_KEY": "phx_home"}

    assert PostHogTarget("eu", 1, "phx_work") == settings(tmp_path, environ, user=user).posthog()
    assert PostHogTarget("us", 2, "phx_home") == settings(tmp_path, environ, user=user, profile="home").posthog()
    both = environ | {"POSTHOG_HOST": "eu", "POSTHOG_PROJECT_ID": "9"}
    assert PostHogTarget("us", 2, "phx_home") == settings(tmp_path, both, user=user, profile="home").posthog()
    assert PostHogTarget("eu", 9, "phx_work") == settings(tmp_path, both, user=user).posthog()


def test_unknown_profile_lists_the_known_ones(tmp_path: Path) -> None:
    """A misspelt profile is not passed over."""
    with pytest.raises(ConfigError, match=r"no profile 'hom' .*There are: home"):
        settings(tmp_path, {}, user="[profiles.home]\nhost = 'us'", profile="hom")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('key = "phx_x"', "secrets do not belong in a file"),
        ("project = 'abc'", "project must be the project's number"),
        ("[profiles]\nwork = 3", r"\[profiles.work\]: must be a table"),
        ("[profiles.a.profiles.b]\nhost = 'us'", "profiles do not nest"),
        ("[limits]\nqueries_per_day = 3", "unknown limit 'queries_per_day'"),
        ("[profiles.a.limits]\nqueries_at_a_time = 0", "queries_at_a_time must be a number of at least 1, but is 0"),
        ("[profiles.a]\nhots = 'us'", r"\[profiles.a\]: unknown key 'hots'"),
    ],
    ids=["secret", "project", "no table", "nested", "limit", "limit number", "unknown"],
)
def test_faults_of_a_profile_are_named(tmp_path: Path, text: str, message: str) -> None:
    """A profile is checked as the file is; no message repeats a secret."""
    with pytest.raises(ConfigError, match=message) as caught:
        settings(tmp_path, {}, project=text)
    assert "phx_x" not in str(caught.value)


def test_key_of_the_environment_is_not_sent_to_a_host_that_a_folder_names(tmp_path: Path) -> None:
    """A `posthog-events.toml` that came with a folder cannot lead the key to its author's server."""
    project = 'host = "evil.example"\nproject = 1'
    environ = {"POSTHOG_PERSONAL_API_KEY": KEY}

    with pytest.raises(
        ConfigError, match=r"'evil\.example' comes from .*posthog-events\.toml, but the key from"
    ) as caught:
        settings(tmp_path, environ, project=project).posthog()
    assert KEY not in str(caught.value)
    with pytest.raises(ConfigError, match=r"evil\.example"):
        settings(tmp_path, environ, project='dsn = "posthog://evil.example/1"').posthog()

    assert "eu" == settings(tmp_path, environ, project='host = "eu"\nproject = 1').posthog().host
    said = environ | {"POSTHOG_HOST": "evil.example"}
    assert "evil.example" == settings(tmp_path, said, project=project).posthog().host


def test_secrets_do_not_show(tmp_path: Path) -> None:
    """No representation of settings holds the key."""
    found = settings(tmp_path, {"POSTHOG_HOST": "eu", "POSTHOG_PROJECT_ID": "1", "POSTHOG_PERSONAL_API_KEY": KEY})

    assert KEY not in repr(found)
    assert KEY not in repr(found.posthog())


def test_limits_of_a_profile_reach_the_project(tmp_path: Path) -> None:
    """An organisation that bought more than PostHog's usual limits can say so."""
    user = "[profiles.big]\nhost = 'eu'\nproject = 1\nkey_env = 'K'\n[profiles.big.limits]\nqueries_at_a_time = 10"

    found = settings(tmp_path, {"K": KEY}, user=user, profile="big").posthog()

    assert {"queries_at_a_time": 10} == dict(found.limits)
