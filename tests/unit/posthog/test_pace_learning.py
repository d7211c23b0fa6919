"""What answers teach `SharedPace`: pauses, lower limits, the byte budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from posthog_events.errors import BudgetExceeded, RateLimited
from posthog_events.limits import Rate
from posthog_events.posthog.http import Bucket
from posthog_events.posthog.pace import Cause
from tests.helpers.pace_desk import REMAINING, START, Desk, go, learn


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "pace")


# --- what answers teach


def test_a_pause_that_posthog_asks_for_holds_everybody(desk: Desk) -> None:
    """After one process is told to wait 37 s, another waits as well."""
    learn(desk.pace(), wait_s=37.0)

    go(desk.pace())

    assert START + 38 <= desk.now <= START + 38.1
    assert Cause.PAUSE is desk.said[0].cause


def test_a_pause_holds_its_bucket_only(desk: Desk) -> None:
    """A refused query says nothing about other endpoints."""
    learn(desk.pace(), wait_s=37.0)

    go(desk.pace(), Bucket.CRUD)

    assert [] == desk.slept


def test_a_shorter_pause_does_not_end_a_longer_one(desk: Desk) -> None:
    """Two refusals at once: the later end counts."""
    pace = desk.pace()
    learn(pace, wait_s=50.0)
    learn(pace, wait_s=3.0)

    go(pace)

    assert START + 51 <= desk.now <= START + 51.1


@pytest.mark.parametrize(("status", "wait_s"), [(200, None), (503, 30.0), (429, None)])
def test_other_answers_teach_no_pause(desk: Desk, status: int, wait_s: float | None) -> None:
    """Neither success, nor a server that is down for a moment, nor a query without a slot stops everybody."""
    learn(desk.pace(), status=status, wait_s=wait_s)

    go(desk.pace())

    assert [] == desk.slept


def test_a_refusal_below_our_count_lowers_the_minutes_limit_for_two_minutes(desk: Desk) -> None:
    """Refused after 20 of 100: for two minutes 18 are kept to; then the published limit holds again."""
    pace = desk.pace(rates={Bucket.QUERY: Rate(100, 10_000)})
    for _ in range(20):
        go(pace)
    learn(pace, wait_s=5.0)
    desk.now += 62
    for _ in range(18):
        go(pace)
    assert [] == desk.slept

    go(pace)
    assert "at 18 requests a minute, because PostHog refused more a while ago" == desk.said[0].reason
    # the lesson ends 120 s after it was learned, and the 18 leave their window only after 123
    assert START + 120 <= desk.now < START + 123
    slept = len(desk.slept)
    for _ in range(50):
        go(pace)
    assert slept == len(desk.slept)


def test_a_long_pause_lowers_the_hours_limit(desk: Desk) -> None:
    """Refused after 120 with a pause of 58 minutes, as on a legacy project: the hour is then limited to 108."""
    pace = desk.pace(rates={Bucket.QUERY: Rate(240, 2_400)}, max_wait_s=0)
    for _ in range(120):
        go(pace)
    learn(pace, wait_s=3_480.0)
    desk.now += 3_602
    for _ in range(108):
        go(pace)

    with pytest.raises(RateLimited, match="at 108 requests an hour"):
        go(pace)


def test_few_requests_of_ours_teach_no_lower_limit(desk: Desk) -> None:
    """Refused on the third request, there is a pause and nothing else: three say nothing about our share."""
    pace = desk.pace(rates={Bucket.QUERY: Rate(100, 10_000)})
    for _ in range(3):
        go(pace)
    learn(pace, wait_s=5.0)
    desk.now += 7
    for _ in range(90):
        go(pace)

    assert [] == desk.slept


def test_many_refusals_at_once_teach_one_lesson(desk: Desk) -> None:
    """Three processes refused together lower the limit once, not three times."""
    pace = desk.pace(rates={Bucket.QUERY: Rate(100, 10_000)}, max_wait_s=0)
    for _ in range(20):
        go(pace)
    for _ in range(3):
        learn(pace, wait_s=5.0)
    desk.now += 62
    for _ in range(18):
        go(pace)

    with pytest.raises(RateLimited):
        go(pace)


# --- the byte budget


def test_a_spent_budget_holds_queries_until_the_debt_is_refilled(desk: Desk) -> None:
    """5 GB of debt at 20 GB an hour is a quarter of an hour; polls read nothing and pass."""
    pace = desk.pace()
    learn(pace, status=200, headers={REMAINING: "-5000000000"})

    go(pace)
    assert [] == desk.slept
    go(pace, slot=True)

    assert START + 901 <= desk.now <= START + 901.1
    assert Cause.BUDGET is desk.said[0].cause


def test_a_debt_lasts_an_hour_at_most(desk: Desk) -> None:
    """PostHog lets the debt grow to an hour of refill; a larger number is of a plan that refills faster."""
    learn(desk.pace(), status=200, headers={REMAINING: "-90000000000"})

    go(desk.pace(), slot=True)

    assert START + 3_601 <= desk.now <= START + 3_601.1


def test_too_long_a_wait_for_the_budget_is_an_error_of_its_own(desk: Desk) -> None:
    """`BudgetExceeded` with the seconds."""
    pace = desk.pace(max_wait_s=60)
    learn(pace, status=200, headers={REMAINING: "-5000000000"})

    with pytest.raises(BudgetExceeded, match="over its budget of bytes") as caught:
        go(pace, slot=True)

    assert 901.0 == caught.value.wait_s


def test_a_budget_refusal_is_no_lesson_about_rates(desk: Desk) -> None:
    """A 429 with the budget's code holds queries for as long as PostHog says; polls go on, and no limit is lowered."""
    pace = desk.pace(rates={Bucket.QUERY: Rate(100, 1_000)})
    for _ in range(20):
        go(pace)
    learn(pace, wait_s=600.0, code="api_queries_budget_exceeded")
    for _ in range(60):
        go(pace)
    assert [] == desk.slept

    go(pace, slot=True)

    assert START + 601 <= desk.now <= START + 601.1


def test_what_is_left_of_a_budget_is_not_guessed_from(desk: Desk) -> None:
    """A single byte left lets a query through: PostHog answers the one that overdraws."""
    pace = desk.pace()
    learn(pace, status=200, headers={REMAINING: "-5000000000"})
    learn(pace, status=200, headers={REMAINING: "1"})

    go(pace, slot=True)

    assert [] == desk.slept


@pytest.mark.parametrize("text", ["", "many", "1e9", "9" * 5_000])
def test_a_budget_header_that_is_no_number_is_ignored(desk: Desk, text: str) -> None:
    """An answer is never thrown away over a header."""
    learn(desk.pace(), status=200, headers={REMAINING: text})

    go(desk.pace(), slot=True)

    assert [] == desk.slept
