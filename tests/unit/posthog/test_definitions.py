"""Definitions as frames."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from posthog_events.errors import IncompleteExtraction
from posthog_events.posthog.definitions import event_definitions, property_definitions
from posthog_events.posthog.http import Bucket, Request
from tests.helpers.fake_api import FakeApi


def test_event_definitions_are_typed_and_complete() -> None:
    """All pages come, times in UTC, what PostHog leaves out is null."""

    def answer(request: Request) -> object:
        if "offset" in request.params:
            return {"count": 2, "next": None, "results": [{"id": "2", "name": "b"}]}
        first = {
            "id": "1", "name": "a", "description": "x", "tags": ["t"], "verified": True, "hidden": False,
            "last_seen_at": "2026-09-01T02:00:00+02:00", "created_at": "2026-08-01T00:00:00.5Z", "owner": {"id": 1},
        }  # fmt: skip
        return {
            "count": 2,
            "next": "https://eu.posthog.com/api/projects/7/event_definitions/?offset=1",
            "results": [first],
        }

    api = FakeApi(answer)

    frame = event_definitions(api, search="s")

    first = (
        "1",
        "a",
        "x",
        ["t"],
        True,
        False,
        datetime(2026, 9, 1, tzinfo=UTC),
        datetime(2026, 8, 1, 0, 0, 0, 500_000, UTC),
    )
    assert [first, ("2", "b", *[None] * 6)] == frame.rows()
    assert pl.Datetime("us", "UTC") == frame.schema["last_seen_at"]
    assert {"search": "s"} == dict(api.sent[0].params)
    assert Bucket.CRUD == api.sent[0].bucket


def test_property_definitions_of_some_events() -> None:
    """Event names go as JSON, with the switch that makes them a filter."""
    found = {"id": "1", "name": "plan", "property_type": "String", "is_numerical": False}
    api = FakeApi(lambda _: {"count": 1, "next": None, "results": [found]})

    frame = property_definitions(api, event_names=["a", 'b"'], is_numerical=False)

    assert [("1", "plan", "String", False, None)] == frame.rows()
    expected = {
        "type": "event",
        "event_names": '["a", "b\\""]',
        "filter_by_event_names": "true",
        "is_numerical": "false",
    }
    assert expected == dict(api.sent[0].params)


def test_groups_are_asked_for_by_index() -> None:
    """`type` and `group_type_index` reach the server; an empty answer keeps the schema."""
    api = FakeApi(lambda _: {"count": 0, "next": None, "results": []})

    frame = property_definitions(api, type="group", group_type_index=0)

    assert {"type": "group", "group_type_index": "0"} == dict(api.sent[0].params)
    assert ["id", "name", "property_type", "is_numerical", "is_seen_on_filtered_events"] == frame.columns


def test_fewer_than_counted_is_an_error() -> None:
    """These listings have a count, so a short one is noticed."""
    with pytest.raises(IncompleteExtraction, match="1 definitions arrived where PostHog counts 3"):
        event_definitions(FakeApi(lambda _: {"count": 3, "next": None, "results": [{"id": "1", "name": "a"}]}))
