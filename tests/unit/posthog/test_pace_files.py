"""The files behind `SharedPace`: whose they are, and what happens when they, or the clock, cannot be trusted."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from posthog_events.errors import ConfigError
from posthog_events.limits import Rate
from posthog_events.posthog.http import Bucket
from posthog_events.posthog.pace import NoPace, state_directory
from tests.helpers.pace_desk import START, Desk, go, learn


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "pace")


# --- files


def test_files_are_the_users_own_and_name_no_project(desk: Desk) -> None:
    """Directory 0700, files 0600, and neither host nor project in a name or in the content."""
    go(desk.pace(project_id=424_242), slot=True)

    assert 0o700 == stat.S_IMODE(desk.directory.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in desk.directory.iterdir()}
    for path in desk.directory.iterdir():
        assert "posthog.com" not in path.name + path.read_text()
        assert "424242" not in path.name + path.read_text()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"buckets":{"query":{"done":[17',
        b"\xff\xfe\x00",
        b'["something else"]',
        b'{"buckets":{"query":{"done":["x"]}}}',
        b'{"buckets":{"query":{"done":[1e400]}}}',
        b'{"buckets":{"unknown":{}}}',
        b'{"buckets":{"query":{"minute":[0,[1790000000,1790000100]]}}}',
        b'{"x":' + b"[" * 100_000,
        b" " * 2_000_000,
    ],
    ids=["empty", "torn", "binary", "foreign", "wrong type", "too large a number", "newer", "zero", "deep", "huge"],
)
def test_a_damaged_state_is_replaced(desk: Desk, content: bytes) -> None:
    """The state is advisory: whatever is in the file, requests go on, and are counted from then on."""
    go(desk.pace())
    (path,) = desk.files(".json")
    path.write_bytes(content)

    go(desk.pace())
    go(desk.pace())
    assert [] == desk.slept
    go(desk.pace())

    assert 60 < sum(desk.slept) < 62


def test_a_clock_that_was_set_back_does_not_stop_us(desk: Desk) -> None:
    """Times and pauses from the future say nothing: after the clock went back a day, everything passes."""
    pace = desk.pace()
    go(pace)
    go(pace)
    learn(pace, wait_s=50.0)
    desk.now -= 86_400

    go(pace)

    assert [] == desk.slept


def test_a_clock_that_was_set_forward_while_waiting_is_noticed(desk: Desk) -> None:
    """The wait is worked out anew after each slice."""
    pace = desk.pace()
    go(pace)
    go(pace)
    desk.while_asleep = lambda: setattr(desk, "now", START + 4_000)

    go(pace)

    assert 1 == len(desk.slept)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_said_plainly(desk: Desk, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The error names the directory and the variable that moves it."""

    def flock(file: object, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)

    with pytest.raises(ConfigError, match="POSTHOG_EVENTS_STATE_DIR") as caught:
        go(desk.pace())

    assert str(desk.directory) in str(caught.value)


def test_a_directory_that_cannot_be_made_is_said_plainly(tmp_path: Path) -> None:
    """A file where the directory should be."""
    (tmp_path / "taken").write_text("")

    with pytest.raises(ConfigError, match="POSTHOG_EVENTS_STATE_DIR"):
        go(Desk(tmp_path / "taken").pace())


def test_no_symbolic_link_is_followed(desk: Desk) -> None:
    """In a directory that others can write to, a planted link does not make us write elsewhere."""
    go(desk.pace())
    (lock,) = desk.files(".lock")
    lock.unlink()
    lock.symlink_to(desk.directory.parent / "elsewhere")

    with pytest.raises(ConfigError):
        go(desk.pace())

    assert not (desk.directory.parent / "elsewhere").exists()


def test_an_answer_is_not_lost_when_the_state_cannot_be_written(desk: Desk) -> None:
    """A directory that vanishes while a request is under way fails the next request, not the one that was answered."""
    pace = desk.pace()
    with pace.admit(Bucket.QUERY, slot=True):
        desk.directory.rename(desk.directory.with_name("moved"))
        desk.directory.write_text("in the way")
        learn(pace, wait_s=5.0)

    with pytest.raises(ConfigError):
        go(pace)


@pytest.mark.parametrize("changes", [{"slots": 0}, {"rates": {Bucket.QUERY: Rate(0, 1)}}, {"budget_refill": 0}])
def test_limits_that_let_nothing_through_are_refused(desk: Desk, changes: dict[str, Any]) -> None:
    """A limit of zero is a mistake, and would wait for ever."""
    with pytest.raises(ConfigError, match="at least 1"):
        desk.pace(**changes)


def test_the_state_directory_can_be_chosen(tmp_path: Path) -> None:
    """`POSTHOG_EVENTS_STATE_DIR` wins; otherwise it is the user's own directory."""
    assert tmp_path == state_directory({"POSTHOG_EVENTS_STATE_DIR": str(tmp_path)})
    assert "posthog-events" == state_directory({"POSTHOG_EVENTS_STATE_DIR": ""}).name
    assert state_directory({}).is_absolute()


def test_no_pace_lets_everything_through() -> None:
    """For servers without limits."""
    pace = NoPace()
    pace.learn(Bucket.QUERY, status=429, headers={}, wait_s=1_000.0)
    with pace.admit(Bucket.QUERY, slot=True), pace.admit(Bucket.QUERY, slot=True):
        pass
