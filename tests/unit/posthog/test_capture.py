"""Sending events, and refusing what PostHog would drop."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from posthog_events.errors import ConfigError, ParameterError, QuotaExceeded
from posthog_events.posthog.capture import capture, find_missing, prepare, send_batch
from posthog_events.posthog.http import Reply
from posthog_events.result import Query, QueryResult

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
UUID_TEXT = "018f0000-0000-7000-8000-00000000000a"
TOKEN = "phc_" + "x" * 20


class Post:
    """Takes bodies, as capture does."""

    def __init__(self, answer: bytes = b'{"status":"Ok"}') -> None:
        self.answer, self.sent = answer, list[tuple[str, bytes]]()

    def __call__(self, path: str, body: bytes) -> Reply:
        self.sent.append((path, body))
        return Reply(200, {}, self.answer, f"POST {path}")

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.sent]


def event(**fields: Any) -> dict[str, Any]:
    return {"event": "e", "distinct_id": "d"} | fields


def test_a_batch_is_what_capture_documents() -> None:
    """Token and events are in the body; each event has a uuid and a timestamp with an offset."""
    post = Post()

    sent = send_batch([event(uuid=UUID_TEXT.upper(), properties={"n": 1})], token=TOKEN, post=post, now=lambda: NOW)

    expected = event(uuid=UUID_TEXT, properties={"n": 1}, timestamp="2026-09-01T12:00:00.000000+00:00")
    assert [{"api_key": TOKEN, "historical_migration": False, "batch": [expected]}] == post.bodies
    assert [("/batch/")] == [path for path, _ in post.sent]
    assert (UUID_TEXT,) == sent.uuids


def test_events_given_no_uuid_get_one_that_stays() -> None:
    """Preparing twice changes nothing, so a failed batch can be sent again as it was."""
    ready = prepare([event(), event()], now=lambda: NOW)

    assert ready == prepare(ready, now=lambda: NOW + timedelta(hours=1))
    assert 2 == len({UUID(one["uuid"]) for one in ready})


def test_bodies_stay_below_the_limit_and_lose_nothing() -> None:
    """Events are split in order over as few bodies as fit."""
    post = Post()

    sent = send_batch(
        [event(distinct_id=f"d{n}", properties={"t": "x" * 100}) for n in range(50)],
        token=TOKEN, post=post, max_body_bytes=2_000,
    )  # fmt: skip

    assert max(len(body) for _, body in post.sent) <= 2_000
    assert [f"d{n}" for n in range(50)] == [one["distinct_id"] for body in post.bodies for one in body["batch"]]
    assert len(post.sent) == sent.bodies < 10


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"distinct_id": "d"}, "no name"),
        (event(event=" "), "no name"),
        (event(event=7), "no name"),
        ({"event": "e"}, "no distinct_id"),
        (event(distinct_id=""), "no distinct_id"),
        (event(distinct_id=7), "no distinct_id"),
        (event(properties=[1]), "not an object"),
        (event(properties={"t": "x" * 1_000_001}), "drops events above"),
        (event(properties={"t": object()}), "JSON cannot"),
        (event(uuid="7"), "uuid is not one"),
        (event(timestamp=NOW + timedelta(days=2)), "23 hours ahead"),
        (event(timestamp="2026-09-03T00:00:00+00:00"), "23 hours ahead"),
        (event(timestamp=NOW.replace(tzinfo=None)), "with an offset"),
        (event(timestamp="yesterday"), "with an offset"),
    ],
)
def test_what_posthog_would_drop_is_refused_before_sending(bad: dict[str, Any], reason: str) -> None:
    """A 200 would hide the loss."""
    post = Post()

    with pytest.raises(ParameterError, match=f"event 1: .*{reason}"):
        send_batch([event(), bad], token=TOKEN, post=post, now=lambda: NOW)

    assert [] == post.sent


def test_every_bad_event_is_named_at_once() -> None:
    """One error lists all positions, so that one correction is enough."""
    with pytest.raises(ParameterError) as caught:
        prepare([{}, event(), event(event="")], now=lambda: NOW)

    assert ["event 0", "event 0", "event 2"] == [fault.message.partition(":")[0] for fault in caught.value.faults]


def test_one_uuid_for_two_events_is_refused() -> None:
    """PostHog would keep one of them."""
    with pytest.raises(ParameterError, match="event 1: its uuid is that of an earlier event"):
        prepare([event(uuid=UUID_TEXT), event(uuid=UUID_TEXT.upper())], now=lambda: NOW)


def test_a_distinct_id_may_sit_in_the_properties() -> None:
    """PostHog takes it from there too."""
    assert 1 == len(prepare([{"event": "e", "properties": {"distinct_id": "d"}}], now=lambda: NOW))


def test_a_spent_quota_in_a_200_is_an_error() -> None:
    """PostHog says 200 and drops the events."""
    with pytest.raises(QuotaExceeded, match="events is used up"):
        send_batch([event()], token=TOKEN, post=Post(b'{"status":1,"quota_limited":["events"]}'))


@pytest.mark.parametrize("token", ["phx_secret", "", "secret"])
def test_only_a_project_token_is_sent(token: str) -> None:
    """A personal key in a capture body would leave its origin."""
    post = Post()

    with pytest.raises(ConfigError, match="phc_") as caught:
        capture("e", "d", token=token, post=post)

    assert "secret" not in str(caught.value)
    assert [] == post.sent


def test_a_single_event_goes_to_its_own_path() -> None:
    """The event's fields stand beside the token, and its uuid is returned."""
    post = Post(b"")

    uuid = capture("e", "d", {"n": 1}, token=TOKEN, post=post, timestamp=NOW, now=lambda: NOW)

    stamp = "2026-09-01T12:00:00.000000+00:00"
    assert [event(api_key=TOKEN, uuid=uuid, properties={"n": 1}, timestamp=stamp)] == post.bodies
    assert "/i/v0/e/" == post.sent[0][0]


class Server:
    """Shows one more event at each look."""

    def __init__(self, arriving: list[list[str]]) -> None:
        self.arriving, self.queries = arriving, list[Query]()

    def __call__(self, query: Query) -> QueryResult:
        self.queries.append(query)
        found = self.arriving[min(len(self.queries), len(self.arriving)) - 1]
        wanted = set(query.values.values())  # type: ignore[arg-type]  # all hashable here
        frame = pl.DataFrame({"id": [uuid for uuid in found if uuid in wanted]}, schema={"id": pl.String})
        return QueryResult(frame, (("id", "String"),), query, "fake")


def test_reading_back_waits_until_all_are_there() -> None:
    """Looks are spaced out, ask only for what is missing, and are never the same query, which a cache would answer."""
    server, slept = Server([[], ["a"], ["a", "b"]]), list[float]()

    assert () == find_missing(server, ["a", "b"], since=NOW, sleep=slept.append)
    assert [1.0, 2.0] == slept
    assert ["b"] == [value for name, value in server.queries[2].values.items() if name.startswith("u")]
    assert 3 == len({query.values["look"] for query in server.queries})
    assert all(NOW == query.values["since"] for query in server.queries)


def test_what_never_arrives_is_named() -> None:
    """After the wait is over, the missing ones are returned in order."""
    slept = list[float]()

    assert ("c", "a") == find_missing(Server([["b"]]), ["c", "b", "a"], since=NOW, wait_s=20, sleep=slept.append)
    assert 20.0 == sum(slept)


def test_no_events_need_no_query() -> None:
    """Nothing sent, nothing missing."""
    server = Server([[]])

    assert () == find_missing(server, [], since=NOW, sleep=lambda _: None)
    assert [] == server.queries
