"""What `queries/funnel.sql` promises: attempts, restarts, ties, and the same people in every funnel query."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import polars as pl
import pytest

from posthog_events.connection import Connection, connect
from tests.helpers.library_store import NOW, make_store, store_of, write_rows

JANUARY = {"since": "2026-01-01", "until": "2026-02-01"}
QUERIES = Path(__file__).parents[2] / "queries"

Event = tuple[str, str, str]


def funnel(directory: Path, events: Sequence[Event], steps: Sequence[Any], window: str = "1d") -> list[tuple[Any, ...]]:
    """Return (people, median seconds) per step."""
    with connect(f"chdb://{store_of(directory, events)}", clock=lambda: NOW) as connection:
        frame = connection.query("funnel", steps=steps, window=window, **JANUARY)
    return frame.select("people", "median_seconds").rows()


def test_steps_count_in_order_only(tmp_path: Path) -> None:
    """A purchase before the signup is no step two; other events in between do not matter."""
    events = [
        ("ann", "signup", "2026-01-01T10:00:00Z"),
        ("ann", "other", "2026-01-01T10:00:05Z"),
        ("ann", "buy", "2026-01-01T10:00:10Z"),
        ("bob", "buy", "2026-01-01T10:00:00Z"),
        ("bob", "signup", "2026-01-01T10:00:01Z"),
    ]
    assert [(2, None), (1, 10.0)] == funnel(tmp_path, events, ["signup", "buy"])


def test_order_is_told_to_the_microsecond(tmp_path: Path) -> None:
    """Events of one second count in their true order."""
    events = [
        ("ann", "signup", "2026-01-01T10:00:00.000001Z"),
        ("ann", "buy", "2026-01-01T10:00:00.000002Z"),
        ("bob", "buy", "2026-01-01T10:00:00.000001Z"),
        ("bob", "signup", "2026-01-01T10:00:00.000002Z"),
    ]
    assert [(2, None), (1, 0.000001)] == funnel(tmp_path, events, ["signup", "buy"])


def test_events_of_one_moment_count_in_step_order(tmp_path: Path) -> None:
    """Of a tie the first step comes first, whatever the uuids say."""
    events = [("ann", "buy", "2026-01-01T10:00:00Z"), ("ann", "signup", "2026-01-01T10:00:00Z")]
    assert [(1, None), (1, 0.0)] == funnel(tmp_path, events, ["signup", "buy"])


def test_one_event_fills_one_step(tmp_path: Path) -> None:
    """Three purchases are the first, the second and the third, also when two of them are at one moment."""
    events = [
        ("ann", "buy", "2026-01-01T00:00:00Z"),
        ("ann", "buy", "2026-01-01T00:00:00Z"),
        ("ann", "buy", "2026-01-01T00:01:00Z"),
        ("bob", "buy", "2026-01-01T00:00:00Z"),
    ]
    assert [(2, None), (1, 0.0), (1, 60.0)] == funnel(tmp_path, events, ["buy", "buy", "buy"])


def test_tie_of_overlapping_steps_favours_the_narrower_event(tmp_path: Path) -> None:
    """A small and a large order at one moment are "any order" and then "a large one"."""
    rows = [
        {"event": "buy", "timestamp": "2026-01-02", "distinct_id": "ann", "properties": {"amount": amount}}
        for amount in (500, 5)
    ]
    store = make_store(tmp_path / "store", [write_rows(tmp_path / "rows.jsonl", rows)])
    steps = ["buy", {"event": "buy", "where": "toFloat(properties.amount) > 100", "name": "large"}]
    with connect(f"chdb://{store}", clock=lambda: NOW) as connection:
        frame = connection.query("funnel", steps=steps, **JANUARY)
    assert [("buy", 1), ("large", 1)] == frame.select("name", "people").rows()


def test_condition_that_is_null_does_not_match(tmp_path: Path) -> None:
    """An event for which a step's `where` has no answer still counts for the other steps."""
    rows: list[dict[str, Any]] = [
        {"event": "visit", "timestamp": "2026-01-02T10:00:00Z", "distinct_id": "ann", "properties": {}},
        {"event": "visit", "timestamp": "2026-01-02T11:00:00Z", "distinct_id": "ann", "properties": {"vip": True}},
    ]
    store = make_store(tmp_path / "store", [write_rows(tmp_path / "rows.jsonl", rows)])
    steps = ["visit", {"event": "visit", "where": "properties.vip"}]
    with connect(f"chdb://{store}", clock=lambda: NOW) as connection:
        frame = connection.query("funnel", steps=steps, **JANUARY)
    assert [1, 1] == frame["people"].to_list()


@pytest.mark.parametrize(
    ("second", "people"), [("2026-01-02T10:00:00.000000Z", 1), ("2026-01-02T10:00:00.000001Z", 0)], ids=["at", "after"]
)
def test_window_ends_exactly(tmp_path: Path, second: str, people: int) -> None:
    """An event exactly one window after the first still counts; a microsecond later it does not."""
    events = [("ann", "signup", "2026-01-01T10:00:00Z"), ("ann", "buy", second)]
    assert people == funnel(tmp_path, events, ["signup", "buy"])[1][0]


def test_new_first_step_restarts_the_window(tmp_path: Path) -> None:
    """The window of the first visit is over, that of the second is open; time counts from the second."""
    events = [
        ("ann", "visit", "2026-01-01T00:00:00Z"),
        ("ann", "visit", "2026-01-03T00:00:00Z"),
        ("ann", "buy", "2026-01-03T06:00:00Z"),
    ]
    assert [(1, None), (1, 6 * 3600.0)] == funnel(tmp_path, events, ["visit", "buy"])


def test_restart_does_not_end_the_older_attempt(tmp_path: Path) -> None:
    """visit, cart, visit, buy: the attempt of the first visit goes on after the second one."""
    events = [
        ("ann", "visit", "2026-01-01T00:00:00Z"),
        ("ann", "cart", "2026-01-01T01:00:00Z"),
        ("ann", "visit", "2026-01-01T02:00:00Z"),
        ("ann", "buy", "2026-01-01T03:00:00Z"),
    ]
    assert [(1, None), (1, 3600.0), (1, 7200.0)] == funnel(tmp_path, events, ["visit", "cart", "buy"])


def test_nobody_gives_a_row_per_step(tmp_path: Path) -> None:
    """A funnel that nobody enters has zeros and no rates, not an empty frame."""
    with connect(f"chdb://{store_of(tmp_path, [('ann', 'x', '2026-01-01')])}", clock=lambda: NOW) as connection:
        frame = connection.query("funnel", steps=["signup", "buy"], **JANUARY)
    assert [(1, "signup", 0, None, None, None, None), (2, "buy", 0, None, None, None, None)] == frame.rows()


@pytest.mark.slow
def test_twenty_steps_are_told_apart(tmp_path: Path) -> None:
    """The longest funnel allowed: one person does all of it, another leaves out the tenth step."""
    steps = [f"step {number}" for number in range(20)]
    events = [
        (person, step, f"2026-01-01T10:{minute:02d}:00Z")
        for person in ("ann", "bob")
        for minute, step in enumerate(steps)
        if (person, minute) != ("bob", 9)
    ]
    people = [count for count, _ in funnel(tmp_path, events, steps)]
    assert [2] * 9 + [1] * 11 == people


# -- the definition, once more, the slow way -----------------------------------------------------------------------

STEPS = ["a", "b", "a", {"event": "c", "where": "properties.big = 'yes'"}]
MATCHES = [
    lambda name, big: name == "a",
    lambda name, big: name == "b",
    lambda name, big: name == "a",
    lambda name, big: name == "c" and big,
]
WINDOW = timedelta(minutes=9)


def attempt_that_counts(events: list[tuple[datetime, str, bool]]) -> list[datetime]:
    """Return the times of the attempt that counts, straight from the words in `funnel.sql`."""

    def rank(event: tuple[datetime, str, bool]) -> tuple[Any, ...]:
        at, name, big = event
        steps = [number for number, matches in enumerate(MATCHES) if matches(name, big)]
        return at, steps[0], sum(2**number for number in steps)

    ordered = sorted((event for event in events if any(m(event[1], event[2]) for m in MATCHES)), key=rank)
    attempts = []
    for start, (opened, name, big) in enumerate(ordered):
        if not MATCHES[0](name, big):
            continue
        taken = [start]
        for matches in MATCHES[1:]:
            later = (i for i in range(taken[-1] + 1, len(ordered)) if matches(*ordered[i][1:]))
            found = next(later, None)
            if found is None or ordered[found][0] > opened + WINDOW:
                break
            taken.append(found)
        attempts.append(taken)
    if not attempts:
        return []
    best = min(attempts, key=lambda taken: (-len(taken), taken[-1], -taken[0]))
    return [ordered[index][0] for index in best]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[tuple[datetime, str, bool]]]]:
    """900 people with up to 14 events each, at few different moments, so that ties and restarts are common."""
    chance = Random(7)
    people: dict[str, list[tuple[datetime, str, bool]]] = {}
    for number in range(900):
        people[f"p{number}"] = [
            (
                datetime(2026, 1, 10, tzinfo=UTC)
                + timedelta(minutes=chance.randrange(30), microseconds=chance.choice((0, 0, 1))),
                chance.choice("aabbcccx"),
                chance.random() < 0.7,
            )
            for _ in range(chance.randrange(1, 15))
        ]
    rows = [
        {
            "uuid": f"00000000-0000-4000-8000-{chance.getrandbits(48):012x}",
            "event": name,
            "timestamp": at.isoformat(),
            "distinct_id": person,
            "properties": {"big": "yes" if big else "no", "team": f"t{len(events) % 3}"},
        }
        for person, events in people.items()
        for at, name, big in events
    ]
    folder = tmp_path_factory.mktemp("crowd")
    return make_store(folder / "store", [write_rows(folder / "crowd.jsonl", rows)]), people


@pytest.fixture(scope="module")
def crowd_connection(crowd: tuple[Path, Any]) -> Any:
    with connect(f"chdb://{crowd[0]}", clock=lambda: NOW) as connection:
        yield connection


PARAMS: dict[str, Any] = {"steps": STEPS, "window": "9min", **JANUARY}


def test_funnel_follows_its_definition(crowd: tuple[Path, Any], crowd_connection: Connection) -> None:
    """Counts and medians agree with a walk over every attempt in Python."""
    paths = [attempt_that_counts(events) for events in crowd[1].values()]
    expected = []
    for step in range(4):
        waits = [(path[step] - path[step - 1]).total_seconds() for path in paths if len(path) > step]
        expected.append((len(waits), median(waits) if step else None))
    assert expected == crowd_connection.query("funnel", **PARAMS).select("people", "median_seconds").rows()
    # otherwise this would show little
    assert min(count for count, _ in expected) > 20


def test_breakdown_adds_up_to_the_funnel(crowd: tuple[Path, Any], crowd_connection: Connection) -> None:
    """Every person is in exactly one value."""
    whole = crowd_connection.query("funnel", **PARAMS)
    parts = crowd_connection.query("funnel_breakdown", by="team", **PARAMS)
    assert 3 == parts["value"].n_unique()
    assert (
        whole["people"].to_list() == parts.group_by("step").agg(pl.col("people").sum()).sort("step")["people"].to_list()
    )


def test_dropoff_lists_the_people_between_two_steps(crowd: tuple[Path, Any], crowd_connection: Connection) -> None:
    """Whoever reached a step and not the next one is listed, with the times of their attempt."""
    paths = [attempt_that_counts(events) for events in crowd[1].values()]
    for step in (1, 2, 3, 4):
        expected = sorted((path[0], path[-1]) for path in paths if len(path) == step)
        frame = crowd_connection.query("funnel_dropoff_people", step=step, **PARAMS)
        assert expected == sorted(frame.select("entered_at", "reached_at").rows())


def test_time_to_convert_counts_the_people_of_the_last_step(
    crowd: tuple[Path, Any], crowd_connection: Connection
) -> None:
    """The bins hold everyone who completed the funnel, by the time that their attempt took."""
    paths = [attempt_that_counts(events) for events in crowd[1].values()]
    bins = [int((path[-1] - path[0]).total_seconds() // 120) for path in paths if len(path) == 4]
    expected = [bins.count(number) for number in range(max(bins) + 1)]
    frame = crowd_connection.query("time_to_convert", bin="2min", **PARAMS)
    assert expected == frame["people"].to_list()


def test_all_funnel_queries_share_one_text() -> None:
    """The part that finds the attempts is the same, letter for letter, in every funnel query."""
    parts = set()
    for name in ("funnel", "funnel_breakdown", "funnel_dropoff_people", "time_to_convert"):
        text = (QUERIES / f"{name}.sql").read_text()
        parts.add(text[text.index("{% set n = steps | length %}") : text.index("        FROM furthest\n    )")])
    assert 1 == len(parts)
