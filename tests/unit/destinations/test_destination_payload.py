"""Bodies that are sent, and the mark in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from posthog_events.destinations import (
    SecretRef,
    Secrets,
    Slack,
    Webhook,
    body_of,
    declared_body,
    patch_of,
    yaml_of,
)
from posthog_events.destinations.marker import Marker, join_description, split_description
from posthog_events.destinations.payload import schema_to_send
from posthog_events.destinations.templates import SCHEMAS, SLACK, WEBHOOK, honours_signing
from posthog_events.errors import ConfigError

NONE = Secrets({})
HOOK = Webhook("Crm", url="https://x.io/h", events=["e"], description="Feeds the CRM.")
SECRET = Webhook("Crm", url="https://x.io/h", events=["e"], headers={"X-Key": "${env:KEY}"})
KEYS = Secrets({SecretRef("env", "KEY"): "s3cr3t"})


def test_body_is_what_the_reference_shows() -> None:
    """The body of reference 2.5, with explicit types, orders and masking."""
    assert {
        "type": "destination",
        "template_id": "template-webhook",
        "name": "Crm",
        "description": "Feeds the CRM.\n\nmanaged by posthog-events, key=crm",
        "enabled": True,
        "inputs": {
            "url": {"value": "https://x.io/h"},
            "method": {"value": "POST"},
            "body": {"value": {"event": "{event}", "person": "{person}"}},
            "headers": {"value": {"Content-Type": "application/json"}},
            "debug": {"value": False},
        },
        "filters": {
            "source": "events",
            "events": [{"id": "e", "name": "e", "type": "events", "order": 0, "properties": []}],
            "actions": [],
            "properties": [],
            "filter_test_accounts": False,
        },
        "masking": None,
    } == body_of(HOOK, NONE)


def test_secret_header_travels_in_a_secret_input() -> None:
    """The header, which anyone in the project can read, only names the input (reference 2.1)."""
    body = body_of(SECRET, KEYS)

    assert {"Content-Type": "application/json", "X-Key": "{inputs.secret_key}"} == body["inputs"]["headers"]["value"]
    assert {"value": "s3cr3t"} == body["inputs"]["secret_key"]
    assert [True] == [item["secret"] for item in body["inputs_schema"] if item["key"] == "secret_key"]
    assert body["description"].endswith(f"key=crm, secrets={KEYS.fingerprint(SECRET)}")


def test_declared_body_holds_no_secret() -> None:
    """What a plan compares and shows never holds the secret."""
    body = declared_body(SECRET, KEYS.fingerprint(SECRET))

    assert {"secret": True} == body["inputs"]["secret_key"]
    assert "s3cr3t" not in json.dumps(body)


def test_alert_goes_to_an_internal_destination() -> None:
    """Events of PostHog itself reach only functions of that type (reference 8)."""
    alert = Slack("a", channel="C0123ABCDEF", events=["$insight_alert_firing"], where="alert_id = x")

    assert "internal_destination" == body_of(alert, NONE, slack_workspace=1)["type"]


def test_workspace_is_asked_for_only_when_it_is_needed() -> None:
    """`auto` needs the project's workspace; a number does not."""
    assert (
        9
        == body_of(Slack("a", channel="C0123ABCDEF", workspace=9, events=["e"]), NONE)["inputs"]["slack_workspace"][
            "value"
        ]
    )
    assert (
        7
        == body_of(Slack("a", channel="C0123ABCDEF", events=["e"]), NONE, slack_workspace=7)["inputs"][
            "slack_workspace"
        ]["value"]
    )
    with pytest.raises(ConfigError, match="which Slack workspace"):
        body_of(Slack("a", channel="C0123ABCDEF", events=["e"]), NONE)


def test_changing_a_body_changes_no_declaration() -> None:
    """Whoever sends the body may alter it."""
    before = yaml_of([HOOK])
    body = body_of(HOOK, NONE)
    body["filters"]["events"][0]["properties"].append({})
    body["inputs"]["headers"]["value"]["X"] = "y"

    assert before == yaml_of([HOOK])


def test_patch_holds_whole_fields_and_only_those() -> None:
    """PostHog replaces a field as a whole and leaves others alone (reference 1.4)."""
    live = {"inputs_schema": list(SCHEMAS[WEBHOOK]), "inputs": {}}

    assert {"name": "Crm", "inputs": body_of(HOOK, NONE)["inputs"]} == patch_of(HOOK, NONE, ["name", "inputs"], live)


@pytest.mark.parametrize(
    ("destination", "live", "sent"),
    [
        (HOOK, {"inputs_schema": list(SCHEMAS[WEBHOOK])}, False),
        # an input of a newer template that an older function does not have would be dropped silently
        (HOOK, {"inputs_schema": [item for item in SCHEMAS[WEBHOOK] if item["key"] != "debug"]}, True),
        # what was secret stays secret until the schema says otherwise
        (HOOK, {"inputs_schema": [{**item, "secret": item["key"] == "url"} for item in SCHEMAS[WEBHOOK]]}, True),
        (SECRET, {"inputs_schema": list(SCHEMAS[WEBHOOK])}, True),
        (SECRET, {"inputs_schema": list(SECRET.inputs_schema or ())}, False),
    ],
    ids=["fits", "lacks an input", "was secret", "needs a secret", "has the secret"],
)
def test_schema_is_sent_when_the_live_one_will_not_do(destination: Any, live: Any, sent: bool) -> None:
    """The schema is a copy made at creation (reference 1.3); it is replaced only when it must be."""
    assert sent == (schema_to_send(destination, live) is not None)


def test_secret_that_is_no_longer_declared_loses_its_item() -> None:
    """A secret left out of `inputs` is kept (reference 1.4); it goes when the schema no longer has it."""
    live = {"inputs_schema": list(SCHEMAS[WEBHOOK]), "inputs": {"signing_secret": {"secret": True}}}

    assert ["url", "method", "body", "headers", "debug"] == [item["key"] for item in schema_to_send(HOOK, live) or ()]


def test_old_code_does_not_sign() -> None:
    """A function created before signing existed takes the secret and never uses it."""
    assert not honours_signing({"hog": "fetch(inputs.url)"})
    assert honours_signing({"hog": "if (inputs.signing_secret) { sign() }"})
    assert not honours_signing({})

    template = {"code": "send(inputs)\n", "inputs_schema": [{"key": "signing_secret"}]}
    assert honours_signing({"hog": "send(inputs)", "template": template})
    assert not honours_signing({"hog": "fetch(inputs.url)", "template": template})
    assert not honours_signing({"hog": "send(inputs)", "template": {**template, "inputs_schema": []}})


@pytest.mark.parametrize("text", ["", "Two\n\nparagraphs", "ends with a key=value"])
@pytest.mark.parametrize("marker", [Marker("a-b_1"), Marker("a", "0123456789ab")], ids=["plain", "secrets"])
def test_mark_is_read_back(text: str, marker: Marker) -> None:
    """What people wrote and whose it is come apart again."""
    assert (text, marker) == split_description(join_description(text, marker))


def test_mark_survives_edits_around_it() -> None:
    """People may write below the mark, and PostHog's pages may change line ends."""
    assert ("Ours.\nAsk Ada.", Marker("a")) == split_description(
        "Ours.\r\nmanaged by posthog-events, key=a\r\nAsk Ada.".replace("Ours.\r\n", "Ours.\n")
    )


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "managed by posthog-events",
        "not managed by posthog-events, key=a",
        "managed by posthog-events, key=a b",
        "managed by posthog-events, key=a\nmanaged by posthog-events, key=b",
    ],
)
def test_what_is_not_one_mark_is_none(text: str | None) -> None:
    """A destination is ours only when it says so once and clearly."""
    assert split_description(text)[1] is None


def test_slack_template_accepts_what_is_sent() -> None:
    """Every input of a Slack destination is one that the template has."""
    body = body_of(Slack("a", channel="C0123ABCDEF", events=["e"]), NONE, slack_workspace=1)

    assert set(body["inputs"]) <= {item["key"] for item in SCHEMAS[SLACK]}
