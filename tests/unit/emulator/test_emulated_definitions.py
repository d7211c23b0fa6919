"""Emulated definitions of events and properties."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from posthog_events.clickhouse.client import Client
from posthog_events.emulator.definitions import ROUTES
from tests.helpers.emulated_world import NOW, Server, event_row, make_world

ROWS = [
    event_row(1, NOW - timedelta(days=2), event="buy", properties={"amount": 3.5, "plan": "pro", "$lib": "web"}),
    event_row(2, NOW - timedelta(days=1), event="buy", properties={"amount": 4, "gift": True}),
    event_row(3, NOW, event="sign up", properties={"plan": "free"}, person_properties={"age": 30}),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over three events."""
    with Client.open("chdb://memory") as client:
        yield Server(make_world(tmp_path_factory.mktemp("definitions"), ROWS, client=client), ROUTES)


def types(server: Server, **params: str) -> dict[str, Any]:
    page = server.get("property_definitions/", params).json
    return {item["name"]: item["property_type"] for item in page["results"]}


def test_events_are_listed_by_name_with_when_they_were_seen(server: Server) -> None:
    """The envelope has a count."""
    page = server.get("event_definitions/").json

    assert (page["count"], page["next"]) == (2, None)
    assert [(item["name"], item["last_seen_at"]) for item in page["results"]] == [
        ("buy", "2026-05-31T12:00:00Z"),
        ("sign up", "2026-06-01T12:00:00Z"),
    ]


def test_definitions_are_paged_by_number(server: Server) -> None:
    """`next` keeps the other parameters."""
    page = server.get("event_definitions/", {"limit": 1, "search": "u"}).json
    following = server.get(page["next"]).json

    assert [item["name"] for item in page["results"] + following["results"]] == ["buy", "sign up"]
    assert "search=u" in page["next"]
    assert following["next"] is None


def test_properties_have_the_types_of_the_store(server: Server) -> None:
    """Those of events unless those of persons are asked for."""
    assert types(server) == {"$lib": "String", "amount": "Numeric", "gift": "Boolean", "plan": "String"}
    assert types(server, type="person") == {"age": "Numeric"}
    assert types(server, type="group") == {}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"is_numerical": "true"}, ["amount"]),
        ({"exclude_core_properties": "true"}, ["amount", "gift", "plan"]),
        ({"search": "PL"}, ["plan"]),
        ({"event_names": '["sign up"]', "filter_by_event_names": "true"}, ["plan"]),
        ({"event_names": '["sign up"]'}, ["$lib", "amount", "gift", "plan"]),
    ],
)
def test_parameters_choose_properties(server: Server, params: dict[str, str], expected: list[str]) -> None:
    """Naming events without filtering by them only marks what occurs on them."""
    assert list(types(server, **params)) == expected


def test_properties_that_occur_on_the_named_events_are_marked(server: Server) -> None:
    """Without names nothing can be said."""
    page = server.get("property_definitions/", {"event_names": '["sign up"]'}).json
    plain = server.get("property_definitions/").json

    assert {item["name"]: item["is_seen_on_filtered_events"] for item in page["results"]} == {
        "$lib": False, "amount": False, "gift": False, "plan": True,
    }  # fmt: skip
    assert {item["is_seen_on_filtered_events"] for item in plain["results"]} == {None}


def test_what_is_no_type_and_no_list_is_refused(server: Server) -> None:
    """With the field that is at fault."""
    wrong = server.get("property_definitions/", {"type": "cat"})

    assert (wrong.status, wrong.json["attr"]) == (400, "type")
    assert server.get("property_definitions/", {"event_names": "buy"}).status == 400


def test_an_id_is_the_same_every_time(server: Server) -> None:
    """And differs between definitions."""
    first, second = ([item["id"] for item in server.get("property_definitions/").json["results"]] for _ in range(2))

    assert first == second
    assert len(set(first)) == 4
