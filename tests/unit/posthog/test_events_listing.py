"""The walk over `GET /events/`, against a server with PostHog's paging rules."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_events.errors import BadAnswer, IncompleteExtraction, ParameterError
from posthog_events.posthog import events as module
from posthog_events.posthog.event_walk import EventWalk
from posthog_events.posthog.events import event_values, get_event, list_events
from posthog_events.posthog.http import Bucket, Request
from tests.helpers.fake_api import FakeApi, ListingServer, event_row

START = datetime(2026, 9, 1, tzinfo=UTC)
END = START + timedelta(days=1)
TICK = timedelta(microseconds=1)


def walked(server: ListingServer, start: datetime, end: datetime, page_rows: int) -> tuple[list[str], int]:
    """Return the ids in the order of arrival, and the number of requests."""
    api = FakeApi(server)
    walk = EventWalk(start, end, page_rows=page_rows)
    ids: list[str] = []
    while (window := walk.window) is not None:
        page = module._page(api, window, {}, walk)
        ids += [row[0] for row in page]
        assert len(api.sent) < 2_000, "the walk does not end"
    return ids, len(api.sent)


@given(
    st.lists(st.integers(-2, 12), max_size=60),
    st.integers(2, 7),
    st.integers(1, 10),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_every_event_arrives_once_whatever_ties_there_are(
    ticks: list[int], page_rows: int, width: int, seed: int, small_server: bool
) -> None:
    """Ties inside a page, across pages, and filling pages are kept; the window is half-open; pages may be smaller."""
    placed = [(f"id{number}", START + tick * TICK) for number, tick in enumerate(ticks)]
    server = ListingServer(placed, max_rows=page_rows - 1 if small_server else 1_000, draw=random.Random(seed))
    end = START + width * TICK

    try:
        ids, _ = walked(server, START, end, page_rows)
    except IncompleteExtraction:
        # allowed only for a tie of several pages, which this server shuffles anew each time
        assert (
            max(ticks.count(tick) for tick in ticks) > server.max_rows or max(ticks.count(t) for t in ticks) > page_rows
        )
        return

    assert sorted(id_ for id_, at in placed if START <= at < end) == sorted(ids)


def test_following_next_loses_what_this_walk_keeps() -> None:
    """The server is one on which the documented way, `after` = last timestamp, drops events."""
    server = ListingServer([(f"id{number}", START + timedelta(seconds=number // 2)) for number in range(9)])
    naive: set[str] = set()
    after = START - TICK
    while True:
        params = {"after": after.isoformat(), "before": END.isoformat(), "orderBy": '["timestamp"]', "limit": "3"}
        page = server(Request("GET", "events/", params))["results"]
        if not page:
            break
        naive |= {row["id"] for row in page}
        after = datetime.fromisoformat(page[-1]["timestamp"])

    ids, _ = walked(server, START, END, 3)

    assert len(naive) < 9
    assert {f"id{number}" for number in range(9)} == set(ids)


def test_a_burst_of_several_pages_is_read_by_offset_in_its_microsecond() -> None:
    """A tie larger than a page is settled when as many different events as rows were seen."""
    burst = [(f"b{number}", START + timedelta(hours=1)) for number in range(25)]
    around = [("first", START), ("last", START + timedelta(hours=1) + TICK)]

    ids, _ = walked(ListingServer(burst + around), START, END, 10)

    assert {"first", "last"} | {f"b{number}" for number in range(25)} == set(ids)
    assert 27 == len(ids)


def test_a_burst_past_the_largest_offset_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A microsecond that the listing cannot be asked for in full fails with the way out."""
    monkeypatch.setattr("posthog_events.posthog.event_walk.MAX_OFFSET", 20)
    burst = [(f"b{number}", START) for number in range(40)]

    with pytest.raises(IncompleteExtraction, match=r"2026-09-01T00:00:00.*HogQL route"):
        walked(ListingServer(burst), START, END, 10)


def test_a_burst_that_does_not_settle_is_an_error() -> None:
    """When one of the ties never shows, the listing does not pretend to be complete."""
    pages = {0: ["a", "b"], 2: ["a"]}

    def answer(request: Request) -> object:
        offset = int(request.params.get("offset", "0"))
        rows = [event_row(id_, START) for id_ in pages[offset]]
        return {"next": "there is more" if offset == 0 else None, "results": rows}

    with pytest.raises(IncompleteExtraction, match="holds 3 events, of which 2 were found"):
        list_events(FakeApi(answer), after=START, before=END)


def test_ranges_above_a_year_are_asked_for_in_parts() -> None:
    """PostHog may refuse a longer range, so none is sent; an event on the border is kept."""
    start = datetime(2023, 1, 1, tzinfo=UTC)
    border = start - TICK + timedelta(days=360)
    server = ListingServer([("a", start), ("b", border), ("c", datetime(2025, 12, 31, tzinfo=UTC))])
    api = FakeApi(server)

    listing = list_events(api, after=start, before=datetime(2026, 1, 1, tzinfo=UTC))

    assert ["a", "b", "c"] == listing.frame["uuid"].to_list()
    for request in api.sent:
        after, before = (datetime.fromisoformat(request.params[name]) for name in ("after", "before"))
        assert before - after <= timedelta(days=360)


def test_the_frame_is_typed_and_keeps_json_as_sent() -> None:
    """Timestamps are UTC microseconds; properties and person are the server's own JSON text."""
    row = event_row("u1", START, properties={"plan": "pro", "n": [1, None]}, person={"is_identified": True})
    api = FakeApi(lambda r: {"next": None, "results": [row] if r.params["after"] < START.isoformat() else []})

    frame = list_events(api, after=START, before=END, include_person=True).frame

    assert pl.Datetime("us", "UTC") == frame.schema["timestamp"]
    assert [("u1", "e", START, "d", '{"plan": "pro", "n": [1, null]}', '{"is_identified": true}', "")] == frame.rows()


def test_filters_reach_the_server_as_it_wants_them() -> None:
    """Ids are text, property filters JSON, `person` is asked for by name, and no offset is ever passed on."""
    api = FakeApi(ListingServer([]))

    list_events(
        api, after=START, before=END, event="purchase", person_id="p", action_id=3, include_person=True,
        properties=[{"key": "plan", "value": ["pro"], "operator": "exact", "type": "event"}],
    )  # fmt: skip

    params = dict(api.sent[0].params)
    assert "2026-08-31T23:59:59.999999+00:00" == params.pop("after")
    assert {
        "event": "purchase", "person_id": "p", "action_id": "3", "include_person": "true",
        "properties": '[{"key": "plan", "value": ["pro"], "operator": "exact", "type": "event"}]',
        "before": "2026-09-02T00:00:00.000000+00:00", "orderBy": '["timestamp"]', "limit": "1000",
    } == params  # fmt: skip
    assert Bucket.CLICKHOUSE == api.sent[0].bucket


def test_a_count_that_agrees_verifies_the_listing() -> None:
    """The proof is the server's count of the same window; without one the result says so."""
    server = ListingServer([("a", START), ("b", START)])

    verified = list_events(FakeApi(server), after=START, before=END, count=lambda: 2)
    unverified = list_events(FakeApi(server), after=START, before=END)

    assert (True, 2, "") == (verified.verified, verified.counted, verified.note)
    assert (False, None) == (unverified.verified, unverified.counted)
    assert "no count" in unverified.note


def test_an_event_that_arrives_behind_the_walk_is_fetched() -> None:
    """The count is asked after the last page, and a difference sends the walk out again."""
    late = iter([("late", START)])

    def add(server: ListingServer) -> None:
        if len(api.sent) == 2:
            server.events += late

    server = ListingServer([("a", START + timedelta(hours=2))], before_page=add)
    api = FakeApi(server)

    listing = list_events(api, after=START, before=END, count=lambda: len(server.events))

    assert ["late", "a"] == listing.frame["uuid"].to_list()
    assert listing.verified


def test_a_count_that_never_agrees_is_an_error() -> None:
    """A listing that cannot be proved complete is not returned."""
    with pytest.raises(IncompleteExtraction, match="1 events arrived where 2 were counted"):
        list_events(FakeApi(ListingServer([("a", START)])), after=START, before=END, count=lambda: 2)


def test_a_limit_stops_early_and_says_so() -> None:
    """The oldest events come, and the count is not asked."""
    server = ListingServer([(f"id{number}", START + number * TICK) for number in range(1_500)])
    seen: list[int] = []
    api = FakeApi(server)

    listing = list_events(api, after=START, before=END, limit=5, count=lambda: 1 // 0, on_progress=seen.append)

    assert [f"id{number}" for number in range(5)] == listing.frame["uuid"].to_list()
    assert (False, 1, [1_000]) == (listing.verified, listing.requests, seen)
    assert "limit of 5" in listing.note


@pytest.mark.parametrize(
    "results",
    [
        [event_row("a", START - TICK)],
        [event_row("a", END)],
        [event_row("a", START + TICK), event_row("b", START)],
        [event_row("a", START) | {"timestamp": "yesterday"}],
        [{"id": "a"}],
    ],
)
def test_an_answer_to_another_question_is_refused(results: list[object]) -> None:
    """Events outside the window, or out of order, would break the walk, so they end it."""
    with pytest.raises(BadAnswer):
        list_events(FakeApi(lambda _: {"next": None, "results": results}), after=START, before=END)


def test_windows_that_mean_nothing_are_refused_before_sending() -> None:
    """Naive and empty windows are the caller's mistake, and all faults are told at once."""
    api = FakeApi(lambda _: None)

    with pytest.raises(ParameterError, match=r"(?s)time zone.*limit is 0"):
        list_events(api, after=START.replace(tzinfo=None), before=END, limit=0)
    with pytest.raises(ParameterError, match="empty"):
        list_events(api, after=END, before=START)
    assert [] == api.sent


def test_any_zone_is_sent_as_utc() -> None:
    """A window in local time names the same instants."""
    api = FakeApi(ListingServer([]))
    two_hours = timezone(timedelta(hours=2))

    list_events(api, after=START.astimezone(two_hours), before=END.astimezone(two_hours))

    assert "2026-09-02T00:00:00.000000+00:00" == api.sent[0].params["before"]


def test_one_event_is_a_frame_of_one_row() -> None:
    """A uuid in any spelling is asked for in the canonical one; anything else is not sent."""
    api = FakeApi(lambda _: event_row("0199", START))

    frame = get_event(api, "018F0000-0000-7000-8000-00000000000A")

    assert [("0199", START)] == frame.select("uuid", "timestamp").rows()
    assert "events/018f0000-0000-7000-8000-00000000000a/" == api.sent[0].path
    with pytest.raises(ParameterError, match="not a UUID"):
        get_event(api, "../persons")


def test_values_are_text() -> None:
    """Values that are not text are shown as JSON; the request counts against its own throttle."""
    api = FakeApi(lambda _: [{"name": "pro"}, {"name": True}, {"name": 1.5}])

    frame = event_values(api, "plan", "purchase", value="p")

    assert ["pro", "true", "1.5"] == frame["name"].to_list()
    assert {"key": "plan", "event_name": "purchase", "value": "p"} == dict(api.sent[0].params)
    assert Bucket.VALUES == api.sent[0].bucket
