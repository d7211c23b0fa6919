"""`SharedPace`: what is let through, what waits, and what is refused. Time is the test's own."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from posthog_events.errors import RateLimited
from posthog_events.limits import Rate
from posthog_events.posthog.http import Bucket
from posthog_events.posthog.pace import RATES, Cause, SharedPace, Wait
from tests.helpers.pace_desk import START, Desk, go


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "pace")


# --- windows


def test_requests_below_the_limit_do_not_wait(desk: Desk) -> None:
    """Two of two a minute pass at once."""
    pace = desk.pace()
    go(pace)
    go(pace)

    assert [] == desk.slept


def test_one_request_too_many_waits_for_the_minute_and_its_margin(desk: Desk) -> None:
    """The third of two a minute goes out 61 s after the first was answered, to within the jitter."""
    pace = desk.pace()
    go(pace)
    desk.now += 10
    go(pace)

    go(pace)

    assert START + 61 <= desk.now <= START + 61.1


def test_the_hours_window_holds_when_the_minutes_is_free(desk: Desk) -> None:
    """The fourth of three an hour waits for the hour."""
    pace = desk.pace()
    for _ in range(3):
        go(pace)
        desk.now += 61

    go(pace)

    assert START + 3_601 <= desk.now <= START + 3_601.1


def test_a_request_counts_until_a_window_after_its_answer(desk: Desk) -> None:
    """PostHog may have counted it just before it answered: a request of 20 s frees its place 81 s after it was sent."""
    pace = desk.pace(rates={Bucket.QUERY: Rate(1, 100)})
    with pace.admit(Bucket.QUERY, slot=False):
        desk.now += 20

    go(pace)

    assert START + 81 <= desk.now <= START + 81.1


def test_a_request_under_way_counts(desk: Desk) -> None:
    """A request that has no answer yet takes up its place, however long it takes."""
    pace = desk.pace(rates={Bucket.QUERY: Rate(1, 100)}, max_wait_s=30)
    with pace.admit(Bucket.QUERY, slot=False):
        desk.now += 100
        with (
            pytest.raises(RateLimited),
            desk.pace(rates={Bucket.QUERY: Rate(1, 100)}, max_wait_s=60).admit(Bucket.QUERY, slot=False),
        ):
            pass


def test_a_failed_request_counts(desk: Desk) -> None:
    """An exception within the context ends the request, and PostHog may have counted it."""
    pace = desk.pace(rates={Bucket.QUERY: Rate(1, 100)})
    with pytest.raises(ConnectionError), pace.admit(Bucket.QUERY, slot=True):
        raise ConnectionError

    go(pace, slot=True)

    assert START + 61 <= desk.now <= START + 61.1


def test_a_request_of_a_killed_process_is_forgotten(desk: Desk) -> None:
    """A request that never ends counts for its window and the longest that an answer can take, 150 s; then no more."""
    lost = desk.pace(rates={Bucket.QUERY: Rate(1, 100)}).admit(Bucket.QUERY, slot=False)
    lost.__enter__()

    go(desk.pace(rates={Bucket.QUERY: Rate(1, 100)}))

    assert START + 211 <= desk.now <= START + 216


def test_buckets_are_counted_apart(desk: Desk) -> None:
    """A full query bucket does not hold back another."""
    pace = desk.pace()
    go(pace)
    go(pace)

    go(pace, Bucket.CRUD)

    assert [] == desk.slept


def test_projects_and_origins_are_counted_apart(desk: Desk) -> None:
    """The same limits of another project, or of the same number in the other region, are its own."""
    for changes in ({}, {"project_id": 2}, {"origin": "https://us.posthog.com"}):
        pace = desk.pace(**changes)
        go(pace)
        go(pace)

    assert [] == desk.slept


def test_objects_on_one_directory_share(desk: Desk) -> None:
    """What one object sent counts for another, as between processes."""
    go(desk.pace())
    go(desk.pace())

    go(desk.pace())

    assert 60 < sum(desk.slept) < 62


def test_a_bucket_without_a_rate_is_neither_limited_nor_recorded(desk: Desk) -> None:
    """Capture has no request limit."""
    pace = desk.pace()
    for _ in range(100):
        go(pace, Bucket.CAPTURE)

    assert [] == desk.slept
    assert [] == desk.files(".json")


def test_the_published_rates_are_the_default() -> None:
    """The numbers of PostHog's rate_limit.py, per minute and per hour."""
    assert {
        "query": (240, 2_400),
        "clickhouse": (240, 1_200),
        "values": (60, 300),
        "crud": (480, 4_800),
    } == {bucket.value: (rate.per_minute, rate.per_hour) for bucket, rate in RATES.items()}


# --- slots


def test_a_fourth_query_waits_until_one_has_ended(desk: Desk) -> None:
    """Three queries run at a time; the next goes out soon after one of them is done."""
    pace = desk.pace(rates={})
    running = [pace.admit(Bucket.QUERY, slot=True) for _ in range(3)]
    for one in running:
        one.__enter__()

    def end_one() -> None:
        if desk.now >= START + 7 and running:
            running.pop().__exit__(None, None, None)

    desk.while_asleep = end_one
    go(desk.pace(rates={}), slot=True)

    assert START + 7 <= desk.now <= START + 7.2
    for one in running:
        one.__exit__(None, None, None)


def test_a_poll_needs_no_slot(desk: Desk) -> None:
    """While three queries run, a request without a slot passes."""
    pace = desk.pace(rates={})
    with pace.admit(Bucket.QUERY, slot=True), pace.admit(Bucket.QUERY, slot=True), pace.admit(Bucket.QUERY, slot=True):
        go(pace)

    assert [] == desk.slept


def test_a_request_that_waits_for_its_window_holds_no_slot(desk: Desk) -> None:
    """While it waits, three others can run queries of another bucket."""
    pace = desk.pace()
    go(pace)
    go(pace)
    free: list[bool] = []

    def look() -> None:
        desk.while_asleep = lambda: None
        with (
            pace.admit(Bucket.CRUD, slot=True),
            pace.admit(Bucket.CRUD, slot=True),
            pace.admit(Bucket.CRUD, slot=True),
        ):
            free.append(True)

    desk.while_asleep = look
    go(pace, slot=True)

    assert [True] == free


def test_waiting_for_a_slot_ends_with_an_error(desk: Desk) -> None:
    """With no slot for longer than allowed, the error names the reason and no time, because none is known."""
    pace = desk.pace(rates={}, slots=1, max_wait_s=20)
    with pace.admit(Bucket.QUERY, slot=True), pytest.raises(RateLimited, match="behind 1 other quer") as caught:
        go(pace, slot=True)

    assert caught.value.wait_s is None
    assert 20 <= sum(desk.slept) <= 20.2


def test_a_killed_process_frees_its_slot_at_once(tmp_path: Path) -> None:
    """The operating system gives back the slot of a process that was killed while its query ran."""
    code = textwrap.dedent("""
        import sys
        from pathlib import Path
        from posthog_events.posthog.http import Bucket
        from posthog_events.posthog.pace import SharedPace
        pace = SharedPace(Path(sys.argv[1]), origin="o", project_id=1, slots=1, max_wait_s=0)
        with pace.admit(Bucket.QUERY, slot=True):
            print("running", flush=True)
            sys.stdin.read()
    """)
    pace = SharedPace(tmp_path, origin="o", project_id=1, slots=1, max_wait_s=0)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "running\n" == process.stdout.readline()
        with pytest.raises(RateLimited):
            go(pace, slot=True)
        process.send_signal(signal.SIGKILL)
        process.wait()

    go(pace, slot=True)


def test_a_slot_is_free_although_a_forked_child_has_it_open(tmp_path: Path) -> None:
    """Giving a slot back unlocks it; closing the file would leave the lock with a child made by fork meanwhile."""
    code = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from posthog_events.posthog.http import Bucket
        from posthog_events.posthog.pace import SharedPace
        pace = SharedPace(Path(sys.argv[1]), origin="o", project_id=1, slots=1, max_wait_s=0)
        with pace.admit(Bucket.QUERY, slot=True):
            child = os.fork()
            if child == 0:
                signal.pause()
        try:
            with pace.admit(Bucket.QUERY, slot=True):
                print("free")
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    """)

    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)

    assert ("free\n", "") == (done.stdout, done.stderr)


def test_threads_never_run_more_queries_than_there_are_slots(tmp_path: Path) -> None:
    """Eight threads with one pace, in real time: at most three are within at once, and all get through."""
    pace = SharedPace(tmp_path, origin="o", project_id=1, max_wait_s=60, sleep=lambda s: threading.Event().wait(s / 50))
    lock, running, most, done = threading.Lock(), 0, 0, 0

    def work() -> None:
        nonlocal running, most, done
        for _ in range(5):
            with pace.admit(Bucket.QUERY, slot=True):
                with lock:
                    running += 1
                    most = max(most, running)
                threading.Event().wait(0.001)
                with lock:
                    running -= 1
                    done += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 40 == done
    assert most <= 3


# --- too long a wait


def test_a_wait_longer_than_allowed_is_refused_before_it_begins(desk: Desk) -> None:
    """The error says that it is our own pacing, how long and until when, and nothing was slept."""
    pace = desk.pace(max_wait_s=30)
    go(pace)
    go(pace)

    with pytest.raises(RateLimited) as caught:
        go(pace)

    assert [] == desk.slept
    assert 429 == caught.value.status
    assert 61.0 == caught.value.wait_s
    # 1,790,000,000 s is 2026-09-21 14:13:20 UTC
    assert (
        "not sent, to stay inside PostHog's limits: project 1 on https://eu.posthog.com is at PostHog's limit of "
        "2 requests a minute. Run this again in 61 s (at 14:14:21 UTC), or allow a longer wait than 30 s"
    ) == str(caught.value)
    assert 5 == caught.value.exit_code


def test_waits_add_up(desk: Desk) -> None:
    """Somebody else taking the place that was waited for does not make the wait endless."""
    pace, other = (
        desk.pace(rates={Bucket.QUERY: Rate(1, 100)}, max_wait_s=100),
        desk.pace(rates={Bucket.QUERY: Rate(1_000, 1_000)}),
    )
    go(pace)
    desk.while_asleep = lambda: go(other)

    with pytest.raises(RateLimited):
        go(pace)

    assert sum(desk.slept) <= 100


def test_a_refused_request_is_not_counted(desk: Desk) -> None:
    """What was not sent takes nobody's place."""
    pace = desk.pace(max_wait_s=0)
    go(pace)
    go(pace)
    for _ in range(5):
        with pytest.raises(RateLimited):
            go(pace)

    desk.now += 61
    go(pace)


def test_waits_are_told_in_slices(desk: Desk) -> None:
    """Each sleep of at most five seconds is announced with what is left."""
    pace = desk.pace()
    go(pace)
    go(pace)

    go(pace)

    assert max(desk.slept) <= 5.0
    assert [61, 56, 51, 46] == [round(wait.seconds) for wait in desk.said[:4]]
    assert Wait(Bucket.QUERY, 61.0, Cause.RATE, "at PostHog's limit of 2 requests a minute") == desk.said[0]


def test_short_waits_for_a_slot_are_not_told(desk: Desk) -> None:
    """Only somebody who has waited five seconds for a slot hears of it."""
    pace = desk.pace(rates={}, slots=1, max_wait_s=4)
    with pace.admit(Bucket.QUERY, slot=True):
        with pytest.raises(RateLimited):
            go(pace, slot=True)
        assert [] == desk.said
        with pytest.raises(RateLimited):
            go(desk.pace(rates={}, slots=1, max_wait_s=6), slot=True)
        assert {Cause.SLOTS} == {wait.cause for wait in desk.said}
