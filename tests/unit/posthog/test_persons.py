"""Persons as frames."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from posthog_events.errors import BadAnswer
from posthog_events.posthog.http import Bucket, Request
from posthog_events.posthog.persons import get_person, list_persons
from tests.helpers.fake_api import FakeApi

AT = datetime(2026, 9, 1, tzinfo=UTC)


def person(number: int, **fields: Any) -> dict[str, Any]:
    row = {"id": number, "uuid": f"u{number}", "name": f"n{number}", "distinct_ids": [f"d{number}"], "properties": {}}
    return row | {"created_at": "2026-09-01T02:00:00+02:00"} | fields


def three_pages(request: Request) -> object:
    """Pages of two; a person added meanwhile has pushed u2 onto the second page as well."""
    offset = int(request.params.get("offset", "0"))
    pages = {0: [person(1), person(2)], 2: [person(2), person(3)], 4: [person(4)]}
    link = f"https://eu.posthog.com/api/projects/7/persons/?offset={offset + 2}" if offset < 4 else None
    return {"next": link, "previous": None, "results": pages[offset]}


def test_all_pages_are_one_typed_frame() -> None:
    """Every link is followed, a person seen twice is one row, and properties stay JSON text."""
    api = FakeApi(three_pages)

    frame = list_persons(api, search="a", properties=[{"key": "plan", "value": "pro"}])

    assert ["u1", "u2", "u3", "u4"] == frame["uuid"].to_list()
    assert ("1", "u1", "n1", ["d1"], "{}", AT) == frame.row(0)
    assert pl.List(pl.String) == frame.schema["distinct_ids"]
    assert {"search": "a", "properties": '[{"key": "plan", "value": "pro"}]'} == dict(api.sent[0].params)
    assert [Bucket.CLICKHOUSE] * 3 == [request.bucket for request in api.sent]


def test_a_limit_stops_the_walk() -> None:
    """No page beyond the wanted number is asked for."""
    api = FakeApi(three_pages)

    assert ["u1", "u2", "u3"] == list_persons(api, limit=3)["uuid"].to_list()
    assert 2 == len(api.sent)


def test_nobody_is_a_frame_of_the_same_schema() -> None:
    """An empty listing has the columns of a full one."""
    empty = list_persons(FakeApi(lambda _: {"next": None, "results": []}))

    assert list_persons(FakeApi(three_pages)).schema == empty.schema


def test_one_person_by_any_id() -> None:
    """The id is a path segment and cannot become more than one."""
    api = FakeApi(lambda _: person(1, name=None, created_at=None))

    assert ("1", "u1", None, ["d1"], "{}", None) == get_person(api, "../events").row(0)
    assert "persons/..%2Fevents/" == api.sent[0].path


def test_a_listing_of_something_else_is_refused() -> None:
    """A person without distinct ids is not what the API documents."""
    with pytest.raises(BadAnswer, match="persons/"):
        list_persons(FakeApi(lambda _: {"next": None, "results": [{"id": 1, "uuid": "u"}]}))
