"""Destinations written as files."""

from __future__ import annotations

import pytest

from posthog_events.destinations import Webhook, parse_declarations, yaml_of
from posthog_events.destinations.writing import declaration_of

TEXTS = {
    "names": "when: {events: [{event: e, name: Sold}, {event: null, where: [a is_set], name: Any}]}\n",
    "actions": "when: {actions: [42, {action: 7, name: Upgraded, where: [plan = pro]}]}\n",
    "no short form": "when: [{event: e, where: [{key: a, operator: between, value: [1, 2]}]}]\n",
    "hogql": "when: [{event: e, where: [{key: properties.a > 1, type: hogql}]}]\n",
    "get": "method: GET\nwhen: {events: all}\n",
    "masking": "once_per: {key: '{event.properties.plan}', interval: 90s, every: 3}\nwhen: [e]\n",
    "signed": "signing_secret: ${env:S}\nheaders: {X: 'a ${env:T}'}\nwhen: [e]\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_files_can_say_is_written(text: str) -> None:
    """Reading what was written gives the same destination."""
    made = parse_declarations("key: a\nkind: webhook\nurl: https://x.io/h\n" + text)

    assert made == parse_declarations(yaml_of(made))


def test_other_templates_are_written_with_their_inputs() -> None:
    """The kind template keeps inputs as they are, secrets by reference."""
    made = parse_declarations(
        "key: a\nkind: template\ntemplate: template-zapier\ninputs: {hook: '${env:H}', secret_x: 1}\nwhen: [e]\n"
    )

    assert made == parse_declarations(yaml_of(made))
    assert {"hook": "${env:H}", "secret_x": 1} == declaration_of(made[0])["inputs"]


def test_defaults_are_left_out() -> None:
    """A declaration says what matters; reading adds the rest."""
    made = Webhook("crm", url="https://x.io/h", events=["e"], once_per={"key": "person", "interval": "60min"})

    assert {
        "key": "crm",
        "kind": "webhook",
        "when": {"events": ["e"]},
        "once_per": {"key": "person", "interval": "1h"},
        "url": "https://x.io/h",
    } == declaration_of(made)
