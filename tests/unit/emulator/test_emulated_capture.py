"""Emulated capture: what is taken, what is silently dropped, and what becomes of persons."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from posthog_events.clickhouse.client import Client
from posthog_events.emulator.capture import ROOT_ROUTES, CaptureState, settle
from posthog_events.emulator.events import ROUTES
from posthog_events.emulator.world import Limits
from posthog_events.result import Query
from tests.helpers.emulated_world import NOW, PROJECT, TOKEN, Clock, Server, event_row, make_world

KNOWN = [event_row(1, NOW - timedelta(days=1), distinct_id="kim", person_properties={"plan": "free", "seats": 2})]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One embedded ClickHouse for the module."""
    with Client.open("chdb://memory") as client:
        yield client


@pytest.fixture
def server(tmp_path: Path, client: Client) -> Server:
    """A server whose store knows one event of kim."""
    return Server(make_world(tmp_path, KNOWN, client=client), ROUTES, ROOT_ROUTES)


def event(name: str = "sent", user: Any = "ann", **fields: Any) -> dict[str, Any]:
    return {"event": name, "distinct_id": user, "properties": {}, **fields}


def send(server: Server, *events: Any, **fields: Any) -> Any:
    """Send a batch that must be accepted."""
    answer = server.post("/batch/", {"api_key": TOKEN, "batch": list(events), **fields})
    assert answer.status == 200, answer.body
    return answer.json


def rows(server: Server, columns: str, where: str = "event != 'visit'") -> list[tuple[Any, ...]]:
    """Read the store as a query would, after what is due has become visible."""
    project = server.world.projects[PROJECT]
    settle(server.world, project)
    query = Query(f"SELECT {columns} FROM events WHERE {where} ORDER BY timestamp, event LIMIT 1000")
    return list(project.engine.run(query).frame.iter_rows())


@pytest.mark.parametrize("path", ["/i/v0/e/", "/capture/", "/e/", "/batch/"])
def test_every_address_takes_one_event(server: Server, path: str) -> None:
    """The token may be called api_key or token, or sit in the properties."""
    uuid = "0190a3a2-0000-7000-8000-000000000001"
    body = event(uuid=uuid, timestamp="2026-05-30T08:00:00.123456+02:00", properties={"n": 1})
    answer = server.post(path, {"api_key": TOKEN, **body})

    assert (answer.status, answer.json) == (200, {"status": "Ok"})
    assert [(text, name) for text, name in rows(server, "toString(uuid), event")] == [(uuid, "sent")]
    item = server.get(f"events/{uuid}/").json
    assert item["timestamp"] == "2026-05-30T06:00:00.123456+00:00"
    assert item["properties"] == {"n": 1}


def test_the_token_may_be_elsewhere(server: Server) -> None:
    """Libraries differ."""
    assert server.post("/e/", {"token": TOKEN, **event()}).status == 200
    assert server.post("/e/", event(properties={"token": TOKEN})).status == 200
    assert server.post("/e/", [event(api_key=TOKEN), event()]).status == 200

    assert len(rows(server, "uuid")) == 4


def test_a_missing_or_unknown_token_is_a_401(server: Server) -> None:
    """With codes of their own."""
    missing = server.post("/batch/", {"batch": [event()]})
    unknown = server.post("/batch/", {"api_key": "phc_other", "batch": [event()]})

    assert (missing.status, missing.json["code"]) == (401, "missing_api_key")
    assert (unknown.status, unknown.json["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    "body", [b"nonsense", b"", b"\x1f\x8bbroken", b"[]"], ids=["text", "empty", "not gzip", "no event"]
)
def test_what_cannot_be_parsed_is_refused(server: Server, body: bytes) -> None:
    """An answer of 200 says no more than that the body was parsed."""
    assert server.post("/batch/", body).status in (400, 401)
    assert server.post("/batch/", {"api_key": TOKEN, "batch": []}).status == 400
    assert server.post("/batch/", {"api_key": TOKEN, "batch": [event(uuid="7")]}).status == 400


def test_events_without_name_or_person_are_dropped_silently(server: Server) -> None:
    """As are events of more than a megabyte; the answer is the same as for the others."""
    large = event(properties={"text": "x" * 1_100_000})
    answer = send(server, event(), event(name=""), event(user=""), event(user=None), {"event": "x"}, "text", large)

    assert answer == {"status": "Ok"}
    assert len(rows(server, "uuid")) == 1
    assert server.world.projects[PROJECT].state["capture"].dropped == 6


def test_a_distinct_id_may_be_a_number_or_among_the_properties(server: Server) -> None:
    """Numbers become text."""
    send(server, event(user=7), {"event": "b", "properties": {"distinct_id": "bob"}})

    assert sorted(rows(server, "event, distinct_id")) == [("b", "bob"), ("sent", "7")]


def test_a_body_above_20_mb_is_refused(server: Server) -> None:
    """Also one that is that large only when unpacked."""
    large = json.dumps({"api_key": TOKEN, "batch": [event(properties={"x": "y" * 22_000_000})]}).encode()

    assert server.post("/batch/", large).status == 413
    assert server.post("/batch/", gzip.compress(large, 1), content_encoding="gzip").status == 413


def test_gzip_is_understood(server: Server) -> None:
    """Libraries compress batches."""
    body = gzip.compress(json.dumps({"api_key": TOKEN, "batch": [event()]}).encode())

    assert server.post("/batch/", body, content_encoding="gzip").status == 200
    assert len(rows(server, "uuid")) == 1


def test_events_become_visible_after_the_lag(tmp_path: Path, client: Client) -> None:
    """Until then a query does not see them; their time of arrival is when they were sent."""
    server = Server(make_world(tmp_path, KNOWN, client=client, limits=Limits(ingestion_lag_s=30)), ROUTES, ROOT_ROUTES)
    clock = server.world.now
    assert isinstance(clock, Clock)
    send(server, event())
    clock.at += timedelta(seconds=29)
    before = rows(server, "uuid")
    clock.at += timedelta(seconds=1)
    after = rows(server, "created_at")

    assert before == []
    assert after == [(NOW,)]


def test_a_quota_that_is_spent_drops_everything(server: Server) -> None:
    """The answer says so, with a 200."""
    server.world.projects[PROJECT].state["capture"] = CaptureState(quota_limited=True)

    assert send(server, event()) == {"status": "Ok", "quota_limited": ["events"]}
    assert rows(server, "uuid") == []


def test_the_time_is_corrected_by_the_senders_clock(server: Server) -> None:
    """sent_at against arrival tells how wrong it is; no time means arrival, and so does one far in the future."""
    ahead = NOW + timedelta(hours=2)
    send(
        server,
        event("a", timestamp=(ahead - timedelta(minutes=5)).isoformat()),
        event("b"),
        sent_at=ahead.isoformat(),
    )
    send(server, event("c", timestamp=(NOW + timedelta(days=2)).isoformat()))

    assert rows(server, "event, timestamp") == [("a", NOW - timedelta(minutes=5)), ("b", NOW), ("c", NOW)]


def test_the_same_uuid_twice_is_stored_once(server: Server) -> None:
    """As after ClickHouse has merged; the first one stays."""
    uuid = "0190a3a2-0000-7000-8000-000000000001"
    send(server, event("first", uuid=uuid))
    rows(server, "uuid")
    send(server, event("first", uuid=uuid))

    assert rows(server, "event") == [("first",)]


def test_person_properties_apply_in_order_of_arrival(server: Server) -> None:
    """$set overrides, $set_once does not, $unset removes; what the store knew stays."""
    send(
        server,
        event("a", "kim", properties={"$set": {"plan": "pro"}, "$set_once": {"plan": "x", "first": 1}}),
        event("b", "kim", timestamp="2026-05-01T00:00:00Z", **{"$set": {"plan": "team"}}),
        event("c", "kim", properties={"$unset": ["seats"]}),
    )
    known = {name: json.loads(text) for name, text in rows(server, "event, person.properties")}

    assert known["a"] == {"first": 1, "plan": "pro", "seats": 2}
    assert known["b"] == {"first": 1, "plan": "team", "seats": 2}
    assert known["c"] == {"first": 1, "plan": "team"}


def test_events_of_one_person_have_one_person_id(server: Server) -> None:
    """Captured events of a known person join those of the store."""
    send(server, event("a", "kim"), event("b", "new"), event("c", "new"))
    people = dict(rows(server, "event, toString(person_id)"))
    (known,) = rows(server, "toString(person_id)", "event = 'visit'")

    assert people["a"] == known[0]
    assert people["b"] == people["c"] != people["a"]


@pytest.mark.parametrize(("name", "key"), [("$identify", "$anon_distinct_id"), ("$create_alias", "alias")])
def test_identify_and_alias_make_one_person_of_two_ids(server: Server, name: str, key: str) -> None:
    """An id that is not known joins the person of the one that is, with what is known of it."""
    send(server, event(name, "kim@example.com", properties={key: "kim", "$set": {"email": "kim@example.com"}}))
    send(server, event("later", "kim"), event("later", "kim@example.com"))
    found = rows(server, "toString(person_id), person.properties", "event = 'later'")
    (known,) = rows(server, "toString(person_id)", "event = 'visit'")

    assert {person for person, _ in found} == {known[0]}
    assert json.loads(found[0][1]) == {"plan": "free", "seats": 2, "email": "kim@example.com"}


def test_an_event_without_person_profile_changes_nobody(server: Server) -> None:
    """$process_person_profile false keeps the event anonymous."""
    send(server, event("a", "kim", properties={"$process_person_profile": False, "$set": {"plan": "pro"}}))
    send(server, event("b", "kim"))

    assert [json.loads(text) for (text,) in rows(server, "person.properties")] == [{}, {"plan": "free", "seats": 2}]


def test_settling_without_captured_events_touches_nothing(server: Server) -> None:
    """Every query does it first, so it must cost nothing."""
    project = server.world.projects[PROJECT]
    manifest = project.store.manifest() if project.store else None
    settle(server.world, project)

    assert "capture" not in project.state
    assert project.store is not None
    assert project.store.manifest() == manifest


def test_a_simulated_project_takes_no_events(server: Server) -> None:
    """It has no store."""
    server.world.projects[PROJECT].store = None

    assert server.post("/batch/", {"api_key": TOKEN, "batch": [event()]}).status == 503
