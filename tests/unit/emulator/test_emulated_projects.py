"""Emulated routes outside of projects: projects, the key's owner, and the key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from posthog_events.clickhouse.client import Client
from posthog_events.emulator.projects import ROOT_ROUTES
from posthog_events.emulator.world import Key
from tests.helpers.emulated_world import ORIGIN, PROJECT, TOKEN, Server, make_world

KEYS = (
    Key("phx_all"),
    Key("phx_query", frozenset({"query:read"}), label="only queries"),
    Key("phx_writer", frozenset({"project:write"})),
    Key("phx_narrow", projects=frozenset({8})),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of two projects."""
    with Client.open("chdb://memory") as client:
        directory = tmp_path_factory.mktemp("projects")
        world = make_world(
            directory, [], client=client, keys=KEYS, timezone="Europe/Berlin", week_starts_monday=True,
            group_types={"company": 0},
        )  # fmt: skip
        world.projects[8] = replace(world.projects[PROJECT], id=8, name="Other", token="phc_other", state={})
        yield Server(world, (), ROOT_ROUTES)


def get(server: Server, path: str, key: str = "phx_all") -> Any:
    return server.get(path, authorization=f"Bearer {key}")


def test_a_project_tells_what_a_client_must_know(server: Server) -> None:
    """Zone and start of the week change what queries mean."""
    body = get(server, f"/api/projects/{PROJECT}/").json
    known = {key: body[key] for key in ("id", "name", "timezone", "api_token", "week_start_day", "group_types")}

    assert known == {
        "id": PROJECT,
        "name": "Test",
        "timezone": "Europe/Berlin",
        "api_token": TOKEN,
        "week_start_day": 1,
        "group_types": [{"group_type": "company", "group_type_index": 0}],
    }
    assert body["event_retention_months"] is None


def test_settings_of_a_project_can_be_overridden(server: Server) -> None:
    """Such as its retention."""
    state = server.world.projects[8].state
    state["settings"] = {"event_retention_months": 12, "events_retention_enforced": True}
    body = get(server, "/api/projects/8/").json
    state.clear()

    assert (body["event_retention_months"], body["events_retention_enforced"]) == (12, True)


def test_a_key_sees_its_own_projects(server: Server) -> None:
    """One limited to a project is refused at the others, which it is not shown."""
    everything = get(server, "/api/projects/").json
    narrow = get(server, "/api/projects/", "phx_narrow").json
    other = get(server, f"/api/projects/{PROJECT}/", "phx_narrow")

    assert (everything["count"], [item["id"] for item in everything["results"]]) == (2, [PROJECT, 8])
    assert [item["id"] for item in narrow["results"]] == [8]
    assert (other.status, other.json["code"]) == (403, "permission_denied")
    assert get(server, "/api/projects/8/", "phx_narrow").json["name"] == "Other"
    assert get(server, "/api/projects/@current/").json["id"] == PROJECT


def test_a_project_that_does_not_exist_is_a_404(server: Server) -> None:
    """Also a name in the place of the number."""
    assert get(server, "/api/projects/99/").json["code"] == "not_found"
    assert get(server, "/api/projects/test/").status == 404


def test_the_owner_of_a_key_has_the_projects_the_key_sees(server: Server) -> None:
    """`team` is the current one, `organization.teams` all of them."""
    body = get(server, "/api/users/@me/").json

    assert body["team"]["id"] == PROJECT
    assert [team["id"] for team in body["organization"]["teams"]] == [PROJECT, 8]
    assert [team["id"] for team in get(server, "/api/organizations/@current/").json["teams"]] == [PROJECT, 8]


def test_a_key_can_be_asked_for_itself_without_any_scope(server: Server) -> None:
    """Its value is not told."""
    answer = get(server, "/api/personal_api_keys/@current/", "phx_query")
    narrow = get(server, "/api/personal_api_keys/@current/", "phx_narrow").json

    assert answer.json["scopes"] == ["query:read"]
    assert (answer.json["label"], answer.json["scoped_teams"]) == ("only queries", [])
    assert b"phx_query" not in answer.body
    assert narrow["scoped_teams"] == [8]


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/api/projects/", "project:read"),
        (f"/api/projects/{PROJECT}/", "project:read"),
        ("/api/users/@me/", "user:read"),
        ("/api/organizations/@current/", "organization:read"),
    ],
)
def test_a_scope_that_is_missing_is_named(server: Server, path: str, scope: str) -> None:
    """A scope to write includes the one to read."""
    answer = get(server, path, "phx_query")

    assert (answer.status, answer.json["type"]) == (403, "authentication_error")
    assert answer.json["detail"] == f"API key missing required scope '{scope}'"
    assert (get(server, path, "phx_writer").status == 200) == (scope == "project:read")


@pytest.mark.parametrize("path", ["/api/projects/", "/api/users/@me/", "/api/personal_api_keys/@current/"])
def test_without_a_known_key_there_is_a_401(server: Server, path: str) -> None:
    """No key, and one that PostHog does not know, have different codes."""
    missing = server.get(path)
    unknown = get(server, path, "phx_revoked")
    capture_only = get(server, path, TOKEN)

    assert (missing.status, missing.json["code"]) == (401, "not_authenticated")
    assert (unknown.status, unknown.json["code"]) == (401, "authentication_failed")
    assert unknown.headers["www-authenticate"].startswith(f'Bearer resource_metadata="{ORIGIN}/')
    assert capture_only.status == 401
