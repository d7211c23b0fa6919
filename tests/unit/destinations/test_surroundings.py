"""What is around destinations in a project, and what is said when it cannot be known."""

from __future__ import annotations

from typing import Any

from posthog_events.connection import connect
from posthog_events.destinations import Webhook
from posthog_events.destinations.surroundings import read_surroundings
from posthog_events.errors import MissingScope, NotFound
from posthog_events.posthog.http import Request
from posthog_events.testing import emulator
from tests.helpers.fake_api import FakeApi

PROJECT = {
    "id": 7,
    "name": "Shop",
    "test_account_filters": [{"key": "email", "type": "person", "operator": "not_icontains", "value": "@shop.example"}],
    "group_types": [{"group_type": "company", "group_type_index": 0, "name_singular": None}],
    "person_display_name_properties": None,
}
ACTION = {"id": 42, "name": "Upgraded", "steps": [{"event": "upgrade"}]}


def hook(**options: Any) -> Any:
    """Return a webhook."""
    return Webhook("Crm", url="https://a.example.com", body={"a": "{event.event}"}, **options)


def answers(request: Request) -> Any:
    """Answer for the project and action 42; anything else is unexpected."""
    return {"/api/projects/7/": PROJECT, "actions/42/": ACTION}[request.path]


def test_one_request_tells_all_of_the_project() -> None:
    """Names, test accounts and group types, as filters and templates need them."""
    api = FakeApi(answers)
    around = read_surroundings(api, [hook(events=["a"])])

    assert {"id": 7, "name": "Shop", "url": "https://eu.posthog.com/project/7"} == around.project
    assert PROJECT["test_account_filters"] == list(around.test_account_filters)
    assert ({"company": 0}, None, ()) == (around.group_types, around.actions, around.gaps)
    assert ("email", "name", "username") == around.display_names
    assert ["/api/projects/7/"] == [request.path for request in api.sent]


def test_actions_are_asked_for_once_each() -> None:
    """However many destinations name them."""
    api = FakeApi(answers)
    around = read_surroundings(api, [hook(actions=[42]), hook(actions=[42])])

    assert {"42": ACTION} == around.actions
    assert ["/api/projects/7/", "actions/42/"] == [request.path for request in api.sent]


def test_scope_that_is_missing_is_a_gap_and_no_error() -> None:
    """A simulation is still worth something without test accounts, when that is said."""

    def refuse(request: Request) -> Any:
        raise MissingScope("no", status=403, scope="project:read")

    around = read_surroundings(FakeApi(refuse), [hook(events=["a"], exclude_test_accounts=True)])

    (gap,) = around.gaps
    assert "project:read" in gap
    assert "nobody is excluded as a test account" in gap
    assert {"id": 7, "name": "", "url": "https://eu.posthog.com/project/7"} == around.project


def test_unknown_action_is_a_gap() -> None:
    """With its number."""

    def answer(request: Request) -> Any:
        if request.path == "actions/42/":
            raise NotFound("no", status=404)
        return PROJECT

    assert ("there is no action 42 in the project",) == read_surroundings(FakeApi(answer), [hook(actions=[42])]).gaps


def test_without_a_project_only_what_is_needed_is_missed() -> None:
    """A store of events knows neither test accounts nor actions."""
    assert () == read_surroundings(None, [hook(events=["a"])]).gaps
    assert 2 == len(read_surroundings(None, [hook(actions=[42], exclude_test_accounts=True)]).gaps)


def test_emulator_has_the_actions_of_a_project() -> None:
    """What is asked for there is what a destination with an action is judged by."""
    steps = [{"event": "purchase", "properties": [{"key": "amount", "value": 50, "operator": "gte", "type": "event"}]}]
    with emulator() as served:
        served.destinations.actions |= {42: {"name": "Big purchase", "steps": steps}, 43: steps}
        with connect(f"posthog://{served.url.removeprefix('http://')}/1", key=served.key) as project:
            around = read_surroundings(project.project.api, [hook(actions=[42, 43, 44])])

    assert around.actions is not None
    assert {"id": 42, "name": "Big purchase", "steps": steps} == around.actions["42"]
    assert {"id": 43, "name": "Action 43", "steps": steps} == around.actions["43"]
    assert ("there is no action 44 in the project",) == around.gaps
