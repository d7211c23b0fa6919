"""Emulated templates, integrations and channels."""

from __future__ import annotations

from pathlib import Path

import pytest

from posthog_events.emulator.fake_slack import Channel, slack_of
from posthog_events.emulator.hog_state import DeliveryRules
from tests.helpers.hog_world import HogServer


@pytest.fixture
def server(tmp_path: Path) -> HogServer:
    """A project with the Slack workspace that every emulated project has."""
    return HogServer(tmp_path)


def test_hidden_templates_are_not_listed_but_can_be_read(server: HogServer) -> None:
    """The list is for choosing, the single template for everything that exists."""
    listed = server.get("hog_function_templates/").json

    names = ["template-webhook", "template-slack", "template-discord", "template-microsoft-teams"]
    assert [one["id"] for one in listed["results"]] == names
    assert server.get("hog_function_templates/template-email/").json["status"] == "hidden"
    assert server.get("hog_function_templates/template-fax/").status == 404


def test_templates_are_selected_by_type_and_id(server: HogServer) -> None:
    """Types are separated by commas."""
    assert server.get("hog_function_templates/", {"type": "transformation"}).json["results"] == []
    found = server.get("hog_function_templates/", {"types": "site_app,destination", "template_id": "template-slack"})
    assert [one["id"] for one in found.json["results"]] == ["template-slack"]


@pytest.mark.parametrize(
    ("template", "required", "free"),
    [
        ("template-webhook", ["url"], False),
        ("template-slack", ["slack_workspace", "channel"], True),
        ("template-discord", ["webhookUrl", "content"], True),
        ("template-microsoft-teams", ["webhookUrl", "text"], True),
    ],
)
def test_required_inputs_are_those_of_posthog(
    server: HogServer, template: str, required: list[str], free: bool
) -> None:
    """As the reference lists them."""
    found = server.get(f"hog_function_templates/{template}/").json

    assert ([item["key"] for item in found["inputs_schema"] if item["required"]], found["free"]) == (required, free)


def test_the_signing_secret_is_a_matter_of_the_servers_age(server: HogServer) -> None:
    """It came in August 2026, as a secret input."""

    def keys() -> dict[str, bool]:
        schema = server.get("hog_function_templates/template-webhook/").json["inputs_schema"]
        return {item["key"]: item["secret"] for item in schema}

    assert keys()["signing_secret"] is True
    server.state.rules = DeliveryRules(signing=False)
    assert "signing_secret" not in keys()


def test_integrations_are_listed_by_kind_without_their_token(server: HogServer) -> None:
    """A project may have none."""
    found = server.get("integrations/", {"kind": "slack"})
    assert [(one["id"], one["kind"], one["errors"]) for one in found.json["results"]] == [(1, "slack", "")]
    assert b"xoxb" not in found.body
    assert server.get("integrations/", {"kind": "github"}).json["results"] == []

    server.state.integrations = []
    assert server.get("integrations/").json["results"] == []


def test_channels_are_those_of_the_workspace(server: HogServer) -> None:
    """By page, by name, or a single one by id."""
    slack_of(server.world).channels[:] = [Channel(f"C{number}", f"team-{number}") for number in range(3)]

    page = server.get("integrations/1/channels/", {"limit": 2}).json
    assert ([one["id"] for one in page["channels"]], page["has_more"]) == (["C0", "C1"], True)
    found = server.get("integrations/1/channels/", {"search": "m-2"}).json
    assert [(one["id"], one["is_member"]) for one in found["channels"]] == [("C2", True)]
    one = server.get("integrations/1/channels/", {"channel_id": "C1"}).json
    assert [channel["name"] for channel in one["channels"]] == ["team-1"]


def test_a_dead_or_foreign_integration_has_no_channels(server: HogServer) -> None:
    """With a code of its own when Slack's token is no longer good."""
    slack_of(server.world).tokens.clear()
    assert server.get("integrations/1/channels/").json["code"] == "slack_integration_inactive"
    server.state.integrations = [
        {"id": 5, "kind": "github", "config": {}, "display_name": "x", "errors": "", "token": ""}
    ]

    assert server.get("integrations/5/channels/").status == 400
    assert server.get("integrations/6/channels/").status == 404
