"""The emulated list of persons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from posthog_events.clickhouse.client import Client
from posthog_events.emulator.persons import ROUTES
from tests.helpers.emulated_world import NOW, Server, event_row, make_world

ADA, BOB = "00000000-0000-4000-9000-000000000001", "00000000-0000-4000-9000-000000000002"
ROWS = [
    event_row(
        1, NOW - timedelta(days=3), distinct_id="ada", person_id=ADA, event="$identify",
        person_properties={"email": "ada@example.com", "name": "Ada", "plan": "pro"},
    ),
    event_row(2, NOW - timedelta(days=2), distinct_id="ada-phone", person_id=ADA),
    event_row(
        3, NOW - timedelta(days=1, microseconds=-5), distinct_id="bob", person_id=BOB,
        person_properties={"plan": "free"},
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over two persons."""
    with Client.open("chdb://memory") as client:
        yield Server(make_world(tmp_path_factory.mktemp("persons"), ROWS, client=client), ROUTES)


def names(server: Server, **params: Any) -> list[str]:
    return [item["name"] for item in server.get("persons/", params).json["results"]]


def test_a_person_has_all_its_distinct_ids(server: Server) -> None:
    """The id is the uuid; the name is the first thing that can be said."""
    ada = server.get(f"persons/{ADA}/").json

    assert ada == {
        "id": ADA,
        "uuid": ADA,
        "name": "ada@example.com",
        "distinct_ids": ["ada", "ada-phone"],
        "properties": {"email": "ada@example.com", "name": "Ada", "plan": "pro"},
        "created_at": "2026-05-29T12:00:00Z",
        "is_identified": True,
        "type": "person",
    }
    assert server.get(f"persons/{BOB}/").json["created_at"] == "2026-05-31T12:00:00.000005Z"


def test_persons_are_listed_newest_first_without_count(server: Server) -> None:
    """The envelope has `previous`, unlike that of events, and no `count`, unlike that of definitions."""
    page = server.get("persons/", {"limit": 1}).json
    following = server.get(page["next"]).json

    assert list(page) == ["next", "previous", "results"]
    assert [item["name"] for item in page["results"] + following["results"]] == ["bob", "ada@example.com"]
    assert (page["previous"], following["next"]) == (None, None)
    assert server.get(following["previous"]).json["results"] == page["results"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"email": "ada@example.com"}, ["ada@example.com"]),
        ({"distinct_id": "ada-phone"}, ["ada@example.com"]),
        ({"search": "ADA"}, ["ada@example.com"]),
        ({"search": "bo"}, ["bob"]),
        ({"properties": [{"key": "plan", "value": ["free"], "type": "person"}]}, ["bob"]),
        (
            {"properties": [{"key": "plan", "value": "free", "operator": "is_not", "type": "person"}]},
            ["ada@example.com"],
        ),
        ({"properties": [{"key": "name", "operator": "is_set", "type": "person"}]}, ["ada@example.com"]),
        ({"properties": [{"key": "plan", "operator": "icontains", "value": "PR"}]}, ["ada@example.com"]),
        ({"email": "nobody@example.com"}, []),
    ],
)
def test_filters_choose_persons(server: Server, params: dict[str, Any], expected: list[str]) -> None:
    """By email, distinct id, search and properties."""
    encoded = {key: value if isinstance(value, str) else json.dumps(value) for key, value in params.items()}

    assert names(server, **encoded) == expected


def test_an_unknown_person_is_a_404_and_no_id_a_400(server: Server) -> None:
    """The envelope is PostHog's."""
    assert server.get("persons/00000000-0000-4000-9000-000000000009/").json["code"] == "not_found"
    assert server.get("persons/ada/").status == 400


def test_persons_can_be_read_as_csv(server: Server) -> None:
    """One row per person."""
    answer = server.get("persons/", {"format": "csv"})

    assert answer.headers["content-type"].startswith("text/csv")
    assert len(answer.body.decode().splitlines()) == 3
