"""`config show` as a process: every setting, where it comes from, and no secret."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.helpers.command import run

KEY = "phx_S3cretOfTheseTests0123456789"
PASSWORD = "s3cret/of@these"
FILE = """\
timezone = "Europe/Paris"
profile = "shop"

[profiles.shop]
host = "eu"
project = 12
key_env = "SHOP_KEY"

[profiles.lab]
dsn = "chdb://./lab"
"""


def settings(done: CompletedProcess[str]) -> dict[str, tuple[str | None, str]]:
    """Return value and source of each setting."""
    assert (0, "") == (done.returncode, done.stderr)
    rows = map(json.loads, done.stdout.splitlines())
    return {row["setting"]: (row["value"], row["source"]) for row in rows}


def test_each_setting_names_its_source(tmp_path: Path) -> None:
    """Environment, settings file and profile are told apart; what is not set says how to set it."""
    (tmp_path / "posthog-events.toml").write_text(FILE)

    found = settings(run("config", "show", cwd=tmp_path, SHOP_KEY=KEY, POSTHOG_HOST="us"))

    assert ("us", "POSTHOG_HOST") == found["host"]
    assert ("12", "posthog-events.toml [profiles.shop]") == found["project"]
    assert ("Europe/Paris", "posthog-events.toml") == found["timezone"]
    assert ("shop", "posthog-events.toml") == found["profile"]
    assert (None, "not set (POSTHOG_PROJECT_TOKEN)") == found["token"]
    assert ("phx_... (32 characters)", "SHOP_KEY (named in posthog-events.toml [profiles.shop])") == found["key"]


def test_profile_of_the_call_wins(tmp_path: Path) -> None:
    """--profile shows what a command with the same option would use."""
    (tmp_path / "posthog-events.toml").write_text(FILE)

    found = settings(run("config", "show", "--profile", "lab", cwd=tmp_path))

    assert ("chdb://./lab", "posthog-events.toml [profiles.lab]") == found["dsn"]
    assert ("lab", "argument") == found["profile"]
    assert (None, "not set (POSTHOG_HOST)") == found["host"]


def test_no_secret_is_shown_wherever_it_stands(tmp_path: Path) -> None:
    """Not in its own variable, not in a wrong one, and not inside a DSN."""
    done = run(
        "config",
        "show",
        cwd=tmp_path,
        POSTHOG_PERSONAL_API_KEY=KEY,
        POSTHOG_PROJECT_ID=KEY,
        POSTHOG_HOST=KEY,
        POSTHOG_EVENTS_PASSWORD=PASSWORD,
        POSTHOG_EVENTS_DSN=f"clickhouse://ann:{PASSWORD}@db.example.com/shop",
    )

    found = settings(done)
    assert not any(secret in done.stdout for secret in (KEY, PASSWORD, "these@", "s3cret"))
    assert "clickhouse://ann:...@db.example.com/shop" == found["dsn"][0]
    assert ["phx_... (32 characters)"] * 3 == [found[name][0] for name in ("key", "project", "host")]
    assert "(set)" == found["password"][0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f'personal_api_key = "{KEY}"', "secrets do not belong in a file"),
        ('hots = "eu"', "unknown key 'hots'. The keys are: "),
        ('host = "eu', "is not valid TOML"),
        ('project = "twelve"', "project must be the project's number, but is 'twelve'"),
        ('profile = "shop"', "there is no profile 'shop'"),
    ],
    ids=["key", "misspelt", "no toml", "project", "profile"],
)
def test_wrong_settings_file_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    """Exit code 2; the sentence says what is wrong, and never repeats a key."""
    (tmp_path / "posthog-events.toml").write_text(f"{text}\n")

    done = run("config", "show", cwd=tmp_path)

    assert (2, "", 1) == (done.returncode, done.stdout, len(done.stderr.splitlines()))
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert KEY not in done.stderr


def test_output_is_a_table_of_rows_like_any_other(tmp_path: Path) -> None:
    """Formats are those of every command."""
    done = run("config", "show", "--format", "csv", cwd=tmp_path)

    lines = done.stdout.splitlines()
    assert (0, "setting,value,source") == (done.returncode, lines[0])
    assert "dsn,,not set (POSTHOG_EVENTS_DSN)" in lines
