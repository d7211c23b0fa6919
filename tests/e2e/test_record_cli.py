"""`--record` and `--replay` around whole commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.command import run


@pytest.fixture(scope="module")
def served() -> Iterator[EmulatedPostHog]:
    with emulator(
        events=[
            {"event": "signup", "distinct_id": "ada@example.com", "timestamp": "2026-01-05T09:00:00Z"},
            {"event": "signup", "distinct_id": "bob@example.com", "timestamp": "2026-01-06T09:00:00Z"},
        ]
    ) as served:
        yield served


def test_replayed_command_prints_what_the_recorded_one_did(served: EmulatedPostHog, tmp_path: Path) -> None:
    """Without a network and a key, also for times that are relative to now."""
    command = (
        "query",
        "run",
        "-e",
        "SELECT count() AS n FROM events WHERE timestamp > now() - toIntervalYear(9) LIMIT 1",
    )

    recorded = run("--record", "tape.yaml", *command, cwd=tmp_path, **served.environment)
    replayed = run("--replay", "tape.yaml", *command, cwd=tmp_path)

    assert (0, '{"n":2}\n') == (recorded.returncode, recorded.stdout), recorded.stderr
    assert (0, recorded.stdout) == (replayed.returncode, replayed.stdout), replayed.stderr


def test_recording_of_events_replays_without_their_people(served: EmulatedPostHog, tmp_path: Path) -> None:
    """The extraction asks the same again; whom it was about is nowhere in the file."""
    command = ("events", "list", "--since", "2026-01-01", "--select", "event", "--select", "distinct_id")

    recorded = run("--record", "tape.yaml", *command, cwd=tmp_path, **served.environment)
    replayed = run("--replay", "tape.yaml", *command, cwd=tmp_path)

    assert "ada@example.com" in recorded.stdout
    assert (0, 2) == (replayed.returncode, replayed.stdout.count('"event":"signup"')), replayed.stderr
    text = (tmp_path / "tape.yaml").read_text()
    assert not any(secret in text + replayed.stdout for secret in ("ada@", "bob@", served.key, served.token))


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--record", "a", "--replay", "b"], 2, "--record and --replay exclude each other."),
        (["--replay", "missing.yaml"], 2, "missing.yaml"),
        (["--record", "no/such/folder/tape.yaml"], 2, "tape.yaml"),
    ],
    ids=["both", "missing", "folder"],
)
def test_wrong_use_is_one_sentence(tmp_path: Path, flags: list[str], code: int, message: str) -> None:
    """Before anything is sent."""
    done = run(*flags, "query", "list", cwd=tmp_path)

    assert code == done.returncode
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_question_that_was_not_recorded_is_named(served: EmulatedPostHog, tmp_path: Path) -> None:
    """A replay answers only what was asked."""
    run("--record", "tape.yaml", "query", "run", "-e", "SELECT 1 AS a LIMIT 1", cwd=tmp_path, **served.environment)

    done = run("--replay", "tape.yaml", "query", "run", "-e", "SELECT 2 AS a LIMIT 1", cwd=tmp_path)

    assert 2 == done.returncode
    assert "is not in the recording tape.yaml" in done.stderr
