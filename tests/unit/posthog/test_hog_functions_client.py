"""Hog functions, templates and integrations, as the emulator answers and as a server should not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from posthog_events.emulator.world import Limits
from posthog_events.errors import ApiError, BadAnswer, ConfigError, IncompleteExtraction, NotFound
from posthog_events.posthog.client import ApiClient
from posthog_events.posthog.hog_functions import (
    create_function,
    get_function,
    get_template,
    list_channels,
    list_functions,
    list_integrations,
    list_templates,
    update_function,
)
from posthog_events.posthog.host import parse_host
from posthog_events.posthog.http import Request
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.emulated_world import Clock
from tests.helpers.fake_api import FakeApi

WEBHOOK = {"template_id": "template-webhook", "name": "a", "inputs": {"url": {"value": "https://a.example.com/h"}}}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[EmulatedPostHog, ApiClient]]:
    """One server for the module, and a client that never waits."""
    clock = Clock()
    with emulator(limits=Limits(rates={}), clock=clock, sleep=clock.sleep) as served:
        yield served, ApiClient(parse_host(served.url), served.project_id, served.key, sleep=clock.sleep)


@pytest.fixture
def served(running: tuple[EmulatedPostHog, ApiClient]) -> EmulatedPostHog:
    """The server without hog functions."""
    running[0].project.state.pop("hog", None)
    running[0].world.state.clear()
    return running[0]


@pytest.fixture
def api(running: tuple[EmulatedPostHog, ApiClient], served: EmulatedPostHog) -> ApiClient:
    """A client of that server."""
    return running[1]


def test_what_is_created_can_be_read_listed_and_changed(api: ApiClient) -> None:
    """A row comes back complete, with the keys that the server adds."""
    made = create_function(api, WEBHOOK)
    changed = update_function(api, made["id"], {"name": "b", "base_updated_at": made["updated_at"]})

    assert ("a", "b", False) == (made["name"], changed["name"], changed["enabled"])
    assert changed == get_function(api, made["id"])
    [listed] = list_functions(api)
    assert {"value": "https://a.example.com/h"}.items() <= listed["inputs"]["url"].items()
    assert "inputs" not in list_functions(api, full=False)[0]


def test_only_the_types_asked_for_are_listed(api: ApiClient) -> None:
    """The types go as one text with commas, so that both kinds of destination are found."""
    create_function(api, WEBHOOK)
    create_function(api, {**WEBHOOK, "type": "internal_destination"})
    create_function(api, {"type": "transformation", "name": "t", "hog": "return event"})

    assert ["destination", "internal_destination"] == sorted(row["type"] for row in list_functions(api))
    assert ["transformation"] == [row["type"] for row in list_functions(api, types=["transformation"])]


def test_a_stale_update_is_refused(api: ApiClient) -> None:
    """What changed since it was read is not overwritten."""
    made = create_function(api, WEBHOOK)
    update_function(api, made["id"], {"name": "b"})

    with pytest.raises(ApiError) as caught:
        update_function(api, made["id"], {"name": "c", "base_updated_at": made["updated_at"]})
    assert (409, "stale_update") == (caught.value.status, caught.value.code)


def test_a_deleted_function_is_not_found(api: ApiClient) -> None:
    """Deleting is an update, and then the function is gone."""
    made = create_function(api, WEBHOOK)
    update_function(api, made["id"], {"deleted": True})

    with pytest.raises(NotFound):
        get_function(api, made["id"])
    assert [] == list_functions(api)


@pytest.mark.parametrize(
    "write",
    [lambda api: create_function(api, WEBHOOK), lambda api: update_function(api, "f", {"name": "b"})],
    ids=["create", "update"],
)
def test_writes_are_not_repeated(write: Callable[[Any], Any]) -> None:
    """Whether a failed write was carried out cannot be known, so it is not sent again."""
    fake = FakeApi(lambda _: {"id": "f"})
    write(fake)

    assert [False] == [request.repeatable for request in fake.sent]


def test_templates_are_listed_and_read(api: ApiClient) -> None:
    """Hidden ones are not offered, but can be read by id."""
    assert {"template-webhook", "template-slack"} < {row["id"] for row in list_templates(api)}
    assert "template-email" not in {row["id"] for row in list_templates(api)}
    assert "hidden" == get_template(api, "template-email")["status"]


def test_only_integrations_of_exactly_the_kind_are_listed(served: EmulatedPostHog, api: ApiClient) -> None:
    """A sibling kind is none, also when a server ignores the parameter and answers with everything."""
    named = {"config": {}, "display_name": "x", "errors": ""}
    served.destinations.integrations = [
        {"id": 3, "kind": "slack-posthog-code", "token": "t", **named},
        {"id": 5, "kind": "slack", "token": "t", **named},
    ]
    everything = FakeApi(lambda _: {"next": None, "results": served.destinations.integrations})

    assert [5] == [row["id"] for row in list_integrations(api)]
    assert [5] == [row["id"] for row in list_integrations(everything)]


def test_channels_are_found_by_name_and_by_id(api: ApiClient) -> None:
    """They are those of the Slack workspace, without what was archived."""
    [workspace] = list_integrations(api)
    channels = list_channels(api, workspace["id"])
    first = channels[0]

    assert first in list_channels(api, workspace["id"], search=first["name"])
    assert [first] == list_channels(api, workspace["id"], channel_id=first["id"])


def test_channels_are_read_to_the_last_page() -> None:
    """Each page begins where the last one ended, and none is larger than PostHog takes."""

    def answer(request: Request) -> object:
        offset = int(request.params.get("offset", "0"))
        page = [{"id": f"C{number}"} for number in range(offset, min(offset + 2, 5))]
        return {"channels": page, "has_more": offset + 2 < 5}

    fake = FakeApi(answer)

    assert ["C0", "C1", "C2", "C3", "C4"] == [row["id"] for row in list_channels(fake, 1)]
    assert [None, "2", "4"] == [request.params.get("offset") for request in fake.sent]
    assert {"200"} == {request.params["limit"] for request in fake.sent}


def test_more_channels_that_never_come_are_an_error() -> None:
    """A server that promises more and sends nothing does not keep the client busy for ever."""
    with pytest.raises(BadAnswer, match="more channels"):
        list_channels(FakeApi(lambda _: {"channels": [], "has_more": True}), 1)


def test_a_listing_is_whole_or_an_error() -> None:
    """Rows that moved between pages are noticed: a short list would look like deleted destinations."""

    def answer(request: Request) -> object:
        link = "https://eu.posthog.com/api/projects/7/hog_functions/?offset=2"
        if "offset" in request.params:
            return {"count": 3, "next": None, "results": [{"id": "b"}]}
        return {"count": 3, "next": link, "results": [{"id": "a"}, {"id": "b"}]}

    with pytest.raises(IncompleteExtraction, match="2 arrived where PostHog counts 3"):
        list_functions(FakeApi(answer))


@pytest.mark.parametrize("row", [{}, {"id": None}, {"id": 7}, {"id": ""}, ["a"], None, "a"], ids=str)
def test_a_row_without_a_text_as_id_is_refused(row: object) -> None:
    """It is not what the API documents, so nothing is built on it."""
    with pytest.raises(BadAnswer):
        get_function(FakeApi(lambda _: row), "f")
    with pytest.raises(BadAnswer):
        list_functions(FakeApi(lambda _: {"next": None, "results": [row]}))


@pytest.mark.parametrize("row", [{"id": "5"}, {"id": True}, {}], ids=str)
def test_an_integration_without_a_number_as_id_is_refused(row: dict[str, Any]) -> None:
    """The number goes into a declaration, as a number."""
    with pytest.raises(BadAnswer):
        list_integrations(FakeApi(lambda _: {"next": None, "results": [{"kind": "slack", **row}]}))


def test_an_id_cannot_lead_elsewhere() -> None:
    """A slash is quoted; dots would survive that and name the project itself, so they are refused."""
    fake = FakeApi(lambda _: {"id": "f"})
    get_function(fake, "../../events?x=1")

    assert "hog_functions/..%2F..%2Fevents%3Fx%3D1/" == fake.sent[0].path
    for id_ in ("", ".", "..", " "):
        with pytest.raises(ConfigError, match="not an id"):
            update_function(fake, id_, {"name": "b"})
    assert 1 == len(fake.sent)
