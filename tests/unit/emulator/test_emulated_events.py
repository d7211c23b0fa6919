"""The emulated events list pages, and loses events, as PostHog's does."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from posthog_events.clickhouse.client import Client
from posthog_events.emulator.events import ROUTES, EventsState
from tests.helpers.emulated_world import NOW, ORIGIN, Clock, Server, event_row, make_world

TIE = NOW - timedelta(hours=5)
WEEK_OLD = NOW - timedelta(days=7)

ROWS = [
    # three within the last minute, ten at one instant five hours ago, one a week old
    *(event_row(number, NOW - timedelta(seconds=10 * number), properties={"n": number}) for number in (1, 2, 3)),
    *(event_row(number, TIE, distinct_id="bob", event="burst") for number in range(11, 21)),
    event_row(
        30,
        WEEK_OLD,
        event="buy",
        distinct_id="cyd",
        properties={"plan": '"pro"', "$set": {"email": "c@example.com", "age": 3}, "list": [1, 2]},
        elements_chain='a.btn.small:attr__id="x"href="/buy"nth-child="2"nth-of-type="1"text="Buy; now";'
        'div:nth-child="1"nth-of-type="1"',
    ),
]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One embedded ClickHouse for the module."""
    with Client.open("chdb://memory") as client:
        yield client


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, client: Client) -> Server:
    """A server over ROWS whose state tests reset."""
    return Server(make_world(tmp_path_factory.mktemp("events"), ROWS, client=client), ROUTES)


@pytest.fixture
def server(shared: Server) -> Server:
    """The server with no memory of earlier requests, and the clock at NOW."""
    shared.world.projects[7].state.clear()
    clock = shared.world.now
    assert isinstance(clock, Clock)
    clock.at = NOW
    clock.slept.clear()
    return shared


def numbers(page: Any) -> list[int]:
    """Return the numbers in the uuids of a page."""
    return [int(item["id"][-12:]) for item in page["results"]]


def ascending(**params: Any) -> dict[str, Any]:
    return {"orderBy": '["timestamp"]', **params}


def test_an_event_has_the_fields_and_forms_of_posthog(server: Server) -> None:
    """Timestamps end in +00:00, properties are an object with bare texts, and nobody is told of the person."""
    item = server.get("events/", {"event": "buy"}).json["results"][0]

    assert item["id"] == "00000000-0000-4000-8000-000000000030"
    assert item["timestamp"] == "2026-05-25T12:00:00+00:00"
    assert item["properties"] == {"plan": "pro", "$set": {"email": "c@example.com", "age": 3}, "list": [1, 2]}
    assert item["person"] is None
    assert list(item) == [
        "id", "distinct_id", "properties", "event", "timestamp", "person", "elements", "elements_chain",
    ]  # fmt: skip


def test_elements_are_read_from_the_chain(server: Server) -> None:
    """Quotes protect the separators of the chain."""
    first, second = server.get("events/", {"event": "buy"}).json["results"][0]["elements"]

    assert first == {
        "event": None, "text": "Buy; now", "tag_name": "a", "attr_class": ["btn", "small"], "href": "/buy",
        "attr_id": None, "nth_child": 2, "nth_of_type": 1, "attributes": {"attr__id": "x"}, "order": 0,
    }  # fmt: skip
    assert (second["tag_name"], second["order"]) == ("div", 1)


@pytest.mark.parametrize("text", ["true", "1", "True"])
def test_a_person_is_shown_when_asked_for(server: Server, text: str) -> None:
    """Only email, name and username of the person's properties are told."""
    item = server.get("events/", {"event": "buy", "include_person": text}).json["results"][0]

    assert item["person"] == {
        "is_identified": False,
        "distinct_ids": ["cyd"],
        "properties": {"email": "c@example.com"},
    }


def test_the_first_window_that_fills_half_a_page_answers_and_hides_what_is_older(server: Server) -> None:
    """Three of five wanted rows are half a page, so `next` is null though eleven older events exist."""
    page = server.get("events/", {"limit": 5}).json

    assert numbers(page) == [1, 2, 3]
    assert page["next"] is None


def test_without_half_a_page_in_a_day_the_whole_range_is_read(server: Server) -> None:
    """The windows end at a day; a page they cannot half fill comes from everything."""
    page = server.get("events/", {"limit": 100}).json

    assert len(page["results"]) == 14
    assert page["next"] is None


def test_a_window_that_served_once_is_tried_first_for_a_day(server: Server) -> None:
    """The six-hour window answered limit 20; a later page of limit 5 reads it too, and is complete only for that."""
    server.get("events/", {"limit": 20})  # 13 rows within six hours
    again = server.get("events/", {"limit": 5}).json
    clock = server.world.now
    assert isinstance(clock, Clock)
    clock.at += timedelta(days=1)
    later = server.get("events/", {"limit": 5, "before": NOW.isoformat()}).json

    assert (len(again["results"]), again["next"] is None) == (5, False)
    assert (len(later["results"]), later["next"]) == (3, None)


def test_next_skips_rows_that_share_the_last_timestamp(server: Server) -> None:
    """Following `next` through ten events of one instant, four to a page, finds four of them."""
    page = server.get("events/", ascending(limit=4, event="burst")).json
    following = server.get(page["next"]).json

    assert len(numbers(page)) == 4
    assert following == {"next": None, "results": []}


def test_next_is_an_absolute_address_with_the_same_parameters(server: Server) -> None:
    """Only the bound is set; an offset stays, and skips again."""
    page = server.get("events/", ascending(limit=1, offset=1, event="visit")).json

    assert numbers(page) == [2]
    assert page["next"] == (
        f"{ORIGIN}/api/projects/7/events/?orderBy=%5B%22timestamp%22%5D&limit=1&offset=1&event=visit"
        "&after=2026-06-01T11%3A59%3A40%2B00%3A00"
    )
    assert numbers(server.get(page["next"]).json) == []


def test_equal_timestamps_come_in_a_stable_order_that_is_not_that_of_uuids(server: Server) -> None:
    """ClickHouse promises no order among ties; a client that relies on one is found out."""
    first, second = (numbers(server.get("events/", {"event": "burst"}).json) for _ in range(2))

    assert first == second
    assert sorted(first) == list(range(11, 21))
    assert first not in (sorted(first), sorted(first, reverse=True))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ('["timestamp"]', [3, 2, 1]),
        ('["-timestamp"]', [1, 2, 3]),
        ('["-timestamp","event"]', [3, 2, 1]),
        ("[]", [3, 2, 1]),
    ],
)
def test_only_exactly_minus_timestamp_sorts_descending(server: Server, order: str, expected: list[int]) -> None:
    """Every other list sorts ascending."""
    page = server.get("events/", {"orderBy": order, "event": "visit"}).json

    assert numbers(page) == expected


def test_a_longer_order_sorts_ascending_and_pages_descending(server: Server) -> None:
    """PostHog asks two different questions of orderBy, so such a client walks in circles."""
    page = server.get("events/", {"orderBy": '["-timestamp","event"]', "event": "visit", "limit": 2}).json

    assert numbers(page) == [3, 2]
    assert "before=2026-06-01T11%3A59%3A40" in page["next"]


def test_bounds_are_strict_and_may_be_relative(server: Server) -> None:
    """Neither the event at `after` nor the one at `before` is in the page."""
    moments = [(NOW - timedelta(seconds=seconds)).isoformat() for seconds in (30, 10)]
    between = server.get("events/", ascending(after=moments[0], before=moments[1])).json
    relative = server.get("events/", ascending(after="-1h")).json

    assert numbers(between) == [2]
    assert numbers(relative) == [3, 2, 1]


def test_before_defaults_to_five_seconds_from_now(tmp_path: Path, client: Client) -> None:
    """An event of this moment is included, one of the near future is not."""
    rows = [event_row(1, NOW), event_row(2, NOW + timedelta(seconds=4)), event_row(3, NOW + timedelta(seconds=6))]
    server = Server(make_world(tmp_path, rows, client=client), ROUTES)

    assert numbers(server.get("events/", ascending()).json) == [1, 2]


def test_a_bound_that_is_no_moment_means_now(server: Server) -> None:
    """A plus sign that was not encoded arrives as a space, and the bound is silently now."""
    text = (NOW - timedelta(seconds=15)).isoformat().replace("+", " ")

    assert numbers(server.get("events/", ascending(event="visit", before=text)).json) == [3, 2, 1]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"event": "buy"}, [30]),
        ({"distinct_id": "cyd"}, [30]),
        ({"action_id": "3"}, []),
        ({"properties": [{"key": "n", "value": ["2", "3"], "operator": "exact", "type": "event"}]}, [3, 2]),
        ({"properties": [{"key": "n", "value": 2, "operator": "gte", "property_type": "Numeric"}]}, [3, 2]),
        (
            {"properties": {"type": "OR", "values": [{"key": "n", "value": 1}, {"key": "plan", "operator": "is_set"}]}},
            [30, 1],
        ),
    ],
)
def test_filters_choose_events(server: Server, params: dict[str, Any], expected: list[int]) -> None:
    """Each filter keeps what it says; groups of filters are combined."""
    params = {key: value if isinstance(value, str) else json.dumps(value) for key, value in params.items()}

    assert numbers(server.get("events/", ascending(**params)).json) == expected


def test_a_person_id_chooses_the_events_of_a_person(server: Server) -> None:
    """The id is a uuid, whatever the OpenAPI document says."""
    project = server.world.projects[7]
    from posthog_events.result import Query

    person = project.engine.run(Query("SELECT any(person_id) FROM events WHERE distinct_id = 'cyd'")).frame.item()

    assert numbers(server.get("events/", {"person_id": person}).json) == [30]


@pytest.mark.parametrize(
    "params",
    [
        {"orderBy": "-timestamp"},
        {"limit": "many"},
        {"properties": "nonsense"},
        {"properties": '[{"key": "n", "value": "1", "colour": "red"}]'},
        {"properties": '{"type": "AND", "values": [{"key": "n", "value": "1", "extra": 1}]}'},
        {"properties": '[{"key": "n", "value": "1", "operator": "resembles"}]'},
        {"offset": "50001"},
    ],
)
def test_what_posthog_cannot_read_is_refused(server: Server, params: dict[str, str]) -> None:
    """The refusal has PostHog's envelope."""
    answer = server.get("events/", params)

    assert (answer.status, answer.json["type"]) == (400, "validation_error")


def test_an_offset_costs_a_second_and_a_warning(server: Server) -> None:
    """The deprecated parameter still works."""
    clock = server.world.now
    assert isinstance(clock, Clock)

    answer = server.get("events/", ascending(offset=2, limit=1, event="visit"))

    assert numbers(answer.json) == [1]
    assert clock.slept == [1.0]
    assert "x-posthog-warn" in answer.headers
    assert "x-posthog-warn" not in server.get("events/").headers


def test_limit_is_clamped_to_a_thousand(tmp_path: Path, client: Client) -> None:
    """A larger limit is not refused, and not obeyed."""
    rows = [event_row(number, NOW - timedelta(seconds=number)) for number in range(1, 1_003)]
    server = Server(make_world(tmp_path, rows, client=client), ROUTES)

    page = server.get("events/", ascending(limit=5_000)).json

    assert len(page["results"]) == 1_000
    assert page["next"] is not None
    assert len(server.get("events/", ascending()).json["results"]) == 100


def test_csv_has_a_column_for_each_nested_key_and_no_next(server: Server) -> None:
    """Keys are joined by dots and the header is sorted."""
    answer = server.get("events/", {"format": "csv", "event": "buy"})
    header, row = csv.reader(io.StringIO(answer.body.decode()))
    cells = dict(zip(header, row, strict=True))

    assert answer.headers["content-type"].startswith("text/csv")
    assert header == sorted(header)
    assert (cells["properties.$set.email"], cells["properties.list.1"], cells["person"]) == ("c@example.com", "2", "")


def test_the_tightened_version_looks_back_one_day(server: Server) -> None:
    """PostHog's stricter setting hides older events unless `after` is given, and refuses a long range."""
    server.world.projects[7].state["events"] = EventsState(tightened=True)
    year = {"after": "2025-01-01", "before": "2026-06-01"}

    assert numbers(server.get("events/", ascending(event="buy")).json) == []
    assert numbers(server.get("events/", ascending(event="buy", after="-8d")).json) == [30]
    assert server.get("events/", year).status == 500


def test_one_event_is_found_by_its_uuid(server: Server) -> None:
    """What is no uuid is a 400 without `attr`, and an unknown one a 404."""
    found = server.get("events/00000000-0000-4000-8000-000000000030/", {"include_person": "true"})
    unknown = server.get("events/00000000-0000-4000-8000-000000000099/")
    bad = server.get("events/thirty/")

    assert (found.json["event"], found.json["person"]["distinct_ids"]) == ("buy", ["cyd"])
    assert (unknown.status, unknown.json["code"]) == (404, "not_found")
    assert (bad.status, bad.json) == (400, {"detail": "Invalid UUID", "code": "invalid", "type": "validation_error"})


def test_values_are_those_of_the_last_week(tmp_path: Path, client: Client) -> None:
    """The most frequent comes first; lists are spread; the search is without case."""
    plans: list[tuple[int, Any]] = [(1, "Pro"), (1, "Pro"), (1, "free"), (1, ["a", "b"]), (8, "old"), (1, 3)]
    rows = [
        event_row(number, NOW - timedelta(days=days), properties={"plan": plan})
        for number, (days, plan) in enumerate(plans)
    ]
    server = Server(make_world(tmp_path, rows, client=client), ROUTES)

    def names(**params: str) -> list[Any]:
        answer = server.get("events/values/", {"key": "plan", "event_name": "visit", **params}).json
        return [item["name"] for item in answer["results"]]

    assert names()[0] == "Pro"
    assert sorted(map(str, names())) == ["3", "Pro", "a", "b", "free"]
    assert names(value="PR") == ["Pro"]
    assert names(event_name="other") == []


def test_values_need_an_event_name(server: Server) -> None:
    """A personal key may not read the values of all events."""
    answer = server.get("events/values/", {"key": "plan"})

    assert (answer.status, answer.json["code"]) == (400, "invalid_input")
    assert server.get("events/values/", {"event_name": "visit"}).status == 400


def test_custom_event_lists_names(server: Server) -> None:
    """The key `custom_event` is no property."""
    answer = server.get("events/values/", {"key": "custom_event", "event_name": "visit"}).json

    assert [item["name"] for item in answer["results"]] == ["burst", "buy", "visit"]


def test_a_naive_reader_of_next_loses_events(server: Server) -> None:
    """Following `next` newest first ends early; the emulator bites."""
    url: str | None = "events/?limit=5"
    seen: set[int] = set()
    while url:
        page = server.get(url).json
        seen |= set(numbers(page))
        url = page["next"]

    assert seen == {1, 2, 3}


def test_paging_ascending_by_after_reads_everything_without_ties(tmp_path: Path, client: Client) -> None:
    """Where no two events share a timestamp, following `next` upwards is complete."""
    rows = [event_row(number, NOW - timedelta(hours=number)) for number in range(1, 12)]
    server = Server(make_world(tmp_path, rows, client=client), ROUTES)
    url: str | None = 'events/?limit=3&orderBy=["timestamp"]'
    seen: list[int] = []
    while url:
        page = server.get(url).json
        seen += numbers(page)
        url = page["next"]

    assert seen == list(range(11, 0, -1))
    assert datetime.fromisoformat(page["results"][-1]["timestamp"]) == NOW - timedelta(hours=1)
