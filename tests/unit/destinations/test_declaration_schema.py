"""The JSON Schema for editors."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft7Validator

from posthog_events.destinations import json_schema, parse_declarations
from posthog_events.destinations.declaration import COMMON_KEYS
from posthog_events.destinations.kinds import KIND_KEYS
from posthog_events.queryfiles.yamltree import parse_yaml

SOUND = [
    "key: a\nkind: webhook\nurl: https://x.io\nwhen: [e]\n",
    (
        "key: a\nkind: webhook\nurl: ${env:U}\nmethod: PUT\nheaders: {A: b}\nbody: {a: 1}\nsigning_secret: ${env:S}\n"
        "debug: true\nname: N\nenabled: false\nonce_per: {key: '{event.uuid}', interval: 1h, every: 3}\n"
        "when: {events: all, where: a is_set, exclude_test_accounts: true}\n"
    ),
    "key: a\nkind: slack\nchannel: C0123ABCDEF\nmessage: hi\nwhen: {events: [e, {event: f, where: [a = 1]}]}\n",
    "key: a\nkind: slack\nwebhook_url: ${env:U}\nblocks: [{type: divider}]\ntext: x\nwhen: {actions: [42]}\n",
    "key: a\nkind: slack\nchannel: C0123ABCDEF\nworkspace: auto\nmessage: hi\nwhen: [{event: null, where: a is_set}]\n",
    "key: a\nkind: discord\nwebhook_url: ${env:U}\nmessage: hi\nallowed_mentions: everyone\nwhen: [e]\n",
    "key: a\nkind: teams\nwebhook_url: ${keyring:u}\nmessage: hi\nwhen: [e]\n",
    (
        "key: a\nkind: template\ntemplate: template-x\ninputs: {a: 1}\n"
        "when: {events: [{id: e, type: events, order: 0, properties: [{key: a, value: 1, operator: gte}]}]}\n"
    ),
]
WRONG = [
    "kind: webhook\nurl: https://x.io\nwhen: [e]\n",
    "key: A b\nkind: webhook\nurl: https://x.io\nwhen: [e]\n",
    "key: a\nkind: webhok\nurl: https://x.io\nwhen: [e]\n",
    "key: a\nkind: webhook\nwhen: [e]\n",
    "key: a\nkind: webhook\nurl: https://x.io\nchannel: C0123ABCDEF\nwhen: [e]\n",
    "key: a\nkind: webhook\nurl: https://x.io\nheaders: {A: 1}\nwhen: [e]\n",
    "key: a\nkind: webhook\nurl: https://x.io\nsigning_secret: plain\nwhen: [e]\n",
    "key: a\nkind: slack\nchannel: '#general'\nmessage: hi\nwhen: [e]\n",
    "key: a\nkind: slack\nchannel: C0123ABCDEF\nwhen: [e]\n",
    "key: a\nkind: slack\nmessage: hi\nwhen: [e]\n",
    "key: a\nkind: webhook\nurl: https://x.io\nwhen: {evnets: [e]}\n",
    "key: a\nkind: webhook\nurl: https://x.io\nwhen: {events: [{where: [a = 1]}]}\n",
]


def plain(text: str) -> Any:
    """Return the data of a YAML text."""
    tree, faults = parse_yaml(text)
    assert tree is not None
    assert [] == faults
    return tree.plain()


def test_schema_is_a_schema() -> None:
    """Editors refuse a broken schema in silence."""
    Draft7Validator.check_schema(json_schema())


@pytest.mark.parametrize("text", SOUND, ids=range(len(SOUND)))
def test_sound_declaration_is_accepted_by_both(text: str) -> None:
    """What the reader takes, the editor does not mark."""
    parse_declarations(text)

    assert [] == [error.message for error in Draft7Validator(json_schema()).iter_errors(plain(text))]


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_wrong_declaration_is_marked(text: str) -> None:
    """The plainest mistakes are seen while typing."""
    assert list(Draft7Validator(json_schema()).iter_errors(plain(text)))


def test_schema_knows_the_keys_of_the_reader() -> None:
    """A key that is added to the reader must be added to the schema."""
    assert {*COMMON_KEYS, *(key for keys in KIND_KEYS.values() for key in keys)} == set(json_schema()["properties"])


def test_every_property_is_documented() -> None:
    """Editors show the description on hover."""
    assert all(value.get("description") for value in json_schema()["properties"].values())
