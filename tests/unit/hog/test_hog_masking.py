"""Masking (reference 4): the first event of a key per window, or every n-th."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from posthog_events.errors import HogError
from posthog_events.hog.masking import Masker

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def event(user: Any) -> dict[str, Any]:
    return {"event": {"distinct_id": user}, "person": {"id": user}}


def passed(masking: dict[str, Any], *arrivals: tuple[int, Any]) -> str:
    """Tell for each (second, user) whether the event triggers: `x` for yes, `.` for no."""
    clock = Clock()
    masker = Masker(masking, clock=clock)
    marks = ""
    for second, user in arrivals:
        clock.now = START + timedelta(seconds=second)
        marks += "x" if masker.allows(event(user)) else "."
    return marks


def test_only_the_first_event_of_a_key_passes_within_its_window() -> None:
    """The window begins with the first event and is not extended by later ones."""
    masking = {"hash": "{event.distinct_id}", "ttl": 60, "threshold": None}

    assert "x..x.xx" == passed(masking, (0, "a"), (30, "a"), (59, "a"), (60, "a"), (61, "a"), (61, "b"), (120, "a"))


def test_threshold_lets_every_nth_event_pass() -> None:
    """With threshold 3, the events 1, 4 and 7 of a window pass."""
    masking = {"hash": "all", "ttl": 60, "threshold": 3}

    assert "x..x..x." == passed(masking, *((second, "a") for second in range(8)))


@pytest.mark.parametrize("user", ["", None, 0, False])
def test_empty_key_is_not_masked(user: Any) -> None:
    """A hash that gives nothing masks nothing."""
    masking = {"hash": "{event.distinct_id}", "ttl": 60}

    assert "xxx" == passed(masking, (0, user), (1, user), (2, user))


def test_hash_that_fails_masks_nothing() -> None:
    """An error in the hash lets every event pass."""
    assert "xx" == passed({"hash": "{nowhere}", "ttl": 60}, (0, "a"), (1, "a"))


def test_object_as_hash_is_one_key_for_everybody() -> None:
    """JavaScript gives every object the same text, so `{person}` does not tell persons apart."""
    assert "x." == passed({"hash": "{person}", "ttl": 60}, (0, "a"), (1, "b"))


def test_ttl_has_a_maximum_and_a_default_of_a_day() -> None:
    """Longer than a day is a day, and so is no ttl at all."""
    day = 86_400

    for ttl in (None, 10 * day):
        assert "x.x" == passed({"hash": "all", "ttl": ttl}, (0, "a"), (day - 1, "a"), (day, "a"))


@pytest.mark.parametrize(
    ("masking", "where"),
    [
        ({"ttl": 60}, "masking.hash"),
        ({"hash": "{", "ttl": 60}, "masking.hash"),
        ({"hash": "all", "ttl": "60"}, "masking.ttl"),
        ({"hash": "all", "threshold": True}, "masking.threshold"),
    ],
)
def test_masking_that_cannot_be_used_names_the_field(masking: dict[str, Any], where: str) -> None:
    """A wrong setting is told before any event."""
    with pytest.raises(HogError) as caught:
        Masker(masking)

    assert where == caught.value.where
