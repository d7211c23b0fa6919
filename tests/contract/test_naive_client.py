"""What PostHog does to a client that takes its answers at face value, shown with plain `requests` on the emulator.

These are the losses that the nothing-lost suites would not see if the emulator were too kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.helpers.lost_and_found import MICROSECOND, Clock, History, Scene, events_at, stage

NOW = datetime(2026, 11, 4, 12, tzinfo=UTC)
PAGE = 10
DAYS = [datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=number) for number in range(4)]
MANY = 50_100

# 24 visits in one microsecond of each day, two every hour, and a recent burst that fills half a page of the listing
TIED = [day + timedelta(hours=9, microseconds=7) for day in DAYS[:3] for _ in range(24)]
HOURLY = [DAYS[0] + timedelta(hours=number // 2, seconds=number % 2) for number in range(144)]
RECENT = [NOW - timedelta(seconds=2 * number + 1) for number in range(8)]
VISITS = events_at([*TIED, *HOURLY, *RECENT])
CLICKS = [
    replace(event, name="click") for event in events_at([DAYS[0] + MICROSECOND * n for n in range(MANY)], first=10_001)
]
PAST = History("UTC", DAYS[0], NOW, (*VISITS, *CLICKS))
ALL_VISITS = {event.uuid for event in VISITS}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Serve four days of visits, and many clicks."""
    with stage(PAST, clock=Clock(NOW)) as scene:
        yield scene


def get(scene: Scene, url: str, params: Mapping[str, str] | None = None) -> Any:
    """Send a GET as a script would."""
    answer = requests.get(url, params=params, headers={"Authorization": f"Bearer {scene.key}"}, timeout=30)
    assert 200 == answer.status_code
    return answer.json()


def ask(scene: Scene, hogql: str, *, status: int = 200, **request: Any) -> Any:
    """Post a query as a script would."""
    answer = requests.post(
        f"{scene.served.url}/api/projects/{scene.served.project_id}/query/",
        json={"query": {"kind": "HogQLQuery", "query": hogql}, **request},
        headers={"Authorization": f"Bearer {scene.key}"},
        timeout=30,
    )
    assert status == answer.status_code
    return answer.json()


def events_url(scene: Scene) -> str:
    return f"{scene.served.url}/api/projects/{scene.served.project_id}/events/"


def follow_next(scene: Scene, **params: str) -> list[str]:
    """Return the uuids of a listing of visits and all that its `next` leads to."""
    page = get(scene, events_url(scene), {"event": "visit", "limit": str(PAGE), **params})
    found = [event["id"] for event in page["results"]]
    while page["next"]:
        page = get(scene, page["next"])
        found += [event["id"] for event in page["results"]]
    return found


def test_following_next_from_the_newest_stops_early(scene: Scene) -> None:
    """The newest minute fills half a page, so `next` is null on it, and all older events are missing."""
    found = follow_next(scene)

    assert {event.uuid for event in VISITS if event.at > NOW - timedelta(minutes=1)} == set(found)
    assert len(found) == 8 < len(ALL_VISITS)


def test_following_next_within_bounds_loses_ties(scene: Scene) -> None:
    """With `after` the listing goes on to the end, and loses the rest of a microsecond at the border of a page."""
    scene.served.project.state.pop("events", None)
    until = NOW - timedelta(minutes=5)
    found = follow_next(scene, after=DAYS[0].isoformat(), before=until.isoformat())
    inside = {event.uuid for event in VISITS if DAYS[0] < event.at < until}

    assert len(found) == len(set(found))
    assert set(found) < inside
    assert {event.at for event in VISITS if event.uuid in inside - set(found)} >= {TIED[0]}


def test_following_next_from_the_oldest_loses_ties(scene: Scene) -> None:
    """`next` continues after the last timestamp: of 24 events in a microsecond those of the next page never come."""
    found = follow_next(scene, orderBy='["timestamp"]', after=(DAYS[0] - MICROSECOND).isoformat())
    lost = ALL_VISITS - set(found)

    assert len(found) == len(set(found))
    assert set(TIED) == {event.at for event in VISITS if event.uuid in lost}
    assert len(lost) >= 3 * (24 - PAGE - PAGE)


def test_a_larger_limit_of_the_listing_is_cut(scene: Scene) -> None:
    """`limit=5000` gives 1,000 events, without a word but for `next`."""
    page = get(scene, events_url(scene), {"event": "click", "limit": "5000", "orderBy": '["timestamp"]'})

    assert 1_000 == len(page["results"])


def test_a_query_by_day_with_a_cursor_of_time_loses_ties(scene: Scene) -> None:
    """Day by day, each page after the last timestamp: what PostHog's documentation suggests loses whole crowds."""
    found: list[str] = []
    for day in DAYS:
        last, until = day - MICROSECOND, day + timedelta(days=1)
        while True:
            rows = ask(
                scene,
                f"SELECT uuid, timestamp FROM events WHERE event = 'visit' AND timestamp > {text(last)} "
                f"AND timestamp < {text(until)} ORDER BY timestamp LIMIT {PAGE}",
            )["results"]
            found += [uuid for uuid, _ in rows]
            if len(rows) < PAGE:
                break
            last = datetime.fromisoformat(rows[-1][1])

    lost = ALL_VISITS - set(found)
    assert set(TIED) == {event.at for event in VISITS if event.uuid in lost}


def text(at: datetime) -> str:
    """Return a time as HogQL text."""
    return f"toDateTime64('{at:%Y-%m-%d %H:%M:%S.%f}', 6)"


def test_a_large_limit_is_clamped_without_a_word(scene: Scene) -> None:
    """`LIMIT 1000000` gives 50,000 of 50,100 rows, and the answer does not say that there are more."""
    answer = ask(scene, "SELECT uuid FROM events WHERE event = 'click' LIMIT 1000000")

    assert 50_000 == len(answer["results"]) < MANY
    assert not answer["hasMore"]
    assert MANY == ask(scene, "SELECT count() FROM events WHERE event = 'click'")["results"][0][0]


def test_no_limit_gives_a_hundred_rows(scene: Scene) -> None:
    """A query without LIMIT gives 100 rows; only `hasMore` tells."""
    answer = ask(scene, "SELECT uuid FROM events WHERE event = 'click'")

    assert (100, True) == (len(answer["results"]), answer["hasMore"])


def test_offset_is_refused(scene: Scene) -> None:
    """A client that pages by OFFSET gets 400."""
    answer = ask(scene, "SELECT uuid FROM events ORDER BY timestamp LIMIT 100 OFFSET 100", status=400)

    assert "OFFSET" in answer["detail"]


def test_a_repeated_query_id_gives_the_answer_of_another_query(scene: Scene) -> None:
    """Two different asynchronous queries with one `client_query_id`: the second is never run."""
    first, second = "SELECT 'first'", "SELECT 'second'"
    ask(scene, first, refresh="async", client_query_id="report", status=202)
    while True:
        url = f"{scene.served.url}/api/projects/{scene.served.project_id}/query/report/"
        answer = requests.get(url, headers={"Authorization": f"Bearer {scene.key}"}, timeout=30)
        if answer.status_code == 200:
            break

    again = ask(scene, second, refresh="async", client_query_id="report")

    assert [["first"]] == again["query_status"]["results"]["results"]
    assert [["second"]] == ask(scene, second)["results"]


def test_a_repeated_query_gives_an_old_answer(scene: Scene) -> None:
    """The same count after more events have come is the count of before; only `is_cached` tells."""
    count = "SELECT count() FROM events WHERE event = 'signup'"
    before = ask(scene, count)
    scene.store(replace(events_at([NOW - timedelta(hours=1)], first=90_001)[0], name="signup"))

    after = ask(scene, count)
    forced = ask(scene, count, refresh="force_blocking")

    assert ([[0]], [[0]], True) == (before["results"], after["results"], after["is_cached"])
    assert [[1]] == forced["results"]
