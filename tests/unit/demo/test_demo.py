"""The demo product: the same for everyone, believable, and with the faults that real deliveries have."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from posthog_events.clickhouse.store import EventStore
from posthog_events.demo import build_demo
from posthog_events.demo.build import DEMO_END, demo_rows
from posthog_events.demo.rows import Row

DAYS = 92
SINCE = DEMO_END - timedelta(days=DAYS)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return demo_rows(SINCE, DEMO_END, seed=20260101)


def people(rows: list[Row], event: str) -> set[int]:
    return {row.person.number for row in rows if row.event == event}


def test_same_seed_gives_the_same_events() -> None:
    """Two runs agree in every event, uuid and property; another seed gives others."""
    since = DEMO_END - timedelta(days=5)
    first, again, other = ([row.exported() for row in demo_rows(since, DEMO_END, seed=seed)] for seed in (1, 1, 2))
    assert first == again
    assert first[0]["uuid"] != other[0]["uuid"]


def test_demo_has_the_size_it_should(rows: list[Row]) -> None:
    """Large enough to look real, small enough to build in seconds, and all inside the range."""
    assert 60_000 <= len(rows) <= 120_000
    assert SINCE <= rows[0].at
    assert rows[-1].at < DEMO_END
    assert len(rows) == len({row.uuid for row in rows})


def test_each_step_of_the_funnel_loses_people(rows: list[Row]) -> None:
    """Visitors, signups, projects and subscriptions become fewer, and none of them vanish."""
    newcomers = {row.person.number for row in rows if row.person.first_seen >= SINCE}
    steps = ("$pageview", "user_signed_up", "project_created", "subscription_started")
    sizes = [len(people(rows, step) & newcomers) for step in steps]
    assert sizes == sorted(sizes, reverse=True)
    assert 0.1 < sizes[1] / sizes[0] < 0.3
    assert 0.4 < sizes[2] / sizes[1] < 0.8
    assert sizes[3] > 30


def test_people_come_back_less_and_less(rows: list[Row]) -> None:
    """Of those who sign up in the first month, fewer are there in each later month, and some in the last."""
    signed_up = {row.person.number: row.at for row in rows if row.event == "user_signed_up"}
    cohort = {number for number, at in signed_up.items() if at < SINCE + timedelta(days=30)}
    months: list[set[int]] = [set(), set(), set()]
    for row in rows:
        if row.event == "feature_used" and row.person.number in cohort:
            months[min(2, (row.at - signed_up[row.person.number]).days // 30)].add(row.person.number)
    shares = [len(month) / len(cohort) for month in months]
    assert shares[0] > shares[1] > shares[2] > 0.05


def test_weekends_are_quiet_and_the_product_grows(rows: list[Row]) -> None:
    """A Saturday has fewer events than a Tuesday, and the last month more than the first."""
    weekdays = Counter(row.at.weekday() for row in rows)
    assert weekdays[5] < 0.7 * weekdays[1]
    first = sum(row.at < SINCE + timedelta(days=30) for row in rows)
    last = sum(row.at >= DEMO_END - timedelta(days=30) for row in rows)
    assert last > 1.2 * first


def test_nobody_acts_before_they_are_known(rows: list[Row]) -> None:
    """Identified events of a newcomer never precede their signup, and carry a plan."""
    identified_at = {row.person.number: row.at for row in rows if row.event == "$identify"}
    for row in rows:
        if row.identified:
            assert row.at >= identified_at.get(row.person.number, SINCE)
            assert "plan" in row.person_properties


def test_some_events_come_late_and_none_before_they_happen(rows: list[Row]) -> None:
    """About one in a hundred is stored more than an hour after it happened."""
    delays = [(row.created_at - row.at) / timedelta(hours=1) for row in rows if row.created_at]
    assert min(delays) > 0
    assert 0.005 < sum(delay > 1 for delay in delays) / len(rows) < 0.03


def test_store_holds_each_event_once(tmp_path: Path) -> None:
    """Deliveries that came twice are left out by the import, and the report says how many there were."""
    now = datetime(2026, 3, 8, tzinfo=UTC)
    said: list[str] = []
    report = build_demo(tmp_path / "store", days=7, now=now, progress=said.append)
    assert len(demo_rows(now - timedelta(days=7), now, seed=20260101)) == report.events
    assert report.duplicates > 0
    assert EventStore.open(tmp_path / "store").manifest().rows == report.events
    assert (now - timedelta(days=7), now) == (report.since, report.until)
    assert 2 == len(said)
