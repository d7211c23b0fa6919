"""Declarations read from YAML and made in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from posthog_events.destinations import (
    Discord,
    SecretRef,
    Slack,
    Teams,
    Webhook,
    parse_declarations,
    read_declarations,
)
from posthog_events.destinations.model import AUTO
from posthog_events.errors import DeclarationError

SIGNUP = """\
key: signup-slack
kind: slack                      # or webhook, discord, teams
channel: C0123ABCDEF
when:
  events: [user_signed_up, {event: purchase, where: ["amount >= 100", "plan is_set"]}]
  where: ["person.email not_icontains @example.com"]
  exclude_test_accounts: true
message: "{person.properties.email ?? event.distinct_id} signed up from {event.properties.$referrer}"
"""
MESSAGE = "{person.properties.email ?? event.distinct_id} signed up from {event.properties.$referrer}"
HEAD = "key: a\nkind: webhook\nurl: https://x.io/h\n"


def faults(text: str) -> list[tuple[int | None, str]]:
    """Return line and message of everything that is wrong in a file's text."""
    with pytest.raises(DeclarationError) as caught:
        parse_declarations(text)
    return [(fault.line, fault.message) for fault in caught.value.faults]


def test_the_declaration_of_the_design_is_read() -> None:
    """Short form of `when`, plain message, test accounts: all in PostHog's own form."""
    (signup,) = parse_declarations(SIGNUP)

    assert ("signup-slack", "slack", "signup-slack", "template-slack", True) == (
        signup.key,
        signup.kind,
        signup.name,
        signup.template_id,
        signup.enabled,
    )
    assert {
        "slack_workspace": AUTO,
        "channel": "C0123ABCDEF",
        "icon_emoji": ":hedgehog:",
        "username": "PostHog",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": MESSAGE}}],
        "text": MESSAGE,
    } == signup.inputs
    assert {
        "source": "events",
        "events": [
            {"id": "user_signed_up", "name": "user_signed_up", "type": "events", "order": 0, "properties": []},
            {
                "id": "purchase",
                "name": "purchase",
                "type": "events",
                "order": 1,
                "properties": [
                    {"key": "amount", "value": 100, "operator": "gte", "type": "event"},
                    {"key": "plan", "operator": "is_set", "type": "event"},
                ],
            },
        ],
        "actions": [],
        "properties": [{"key": "email", "value": "@example.com", "operator": "not_icontains", "type": "person"}],
        "filter_test_accounts": True,
    } == signup.filters


def test_posthogs_own_filters_give_the_same() -> None:
    """`when` may be the filters that PostHog shows for a destination."""
    own = """\
key: signup-slack
kind: slack
channel: C0123ABCDEF
message: hi
when:
  source: events
  events:
    - {id: purchase, name: purchase, type: events, order: 0, properties: [{key: amount, value: 100, operator: gte}]}
  actions: [{id: "42", type: actions}]
  properties: [{key: email, value: ["@example.com"], operator: not_icontains, type: person}]
  filter_test_accounts: true
"""
    short = """\
key: signup-slack
kind: slack
channel: C0123ABCDEF
message: hi
when:
  events: [{event: purchase, where: amount >= 100}]
  actions: [42]
  where: person.email not_icontains @example.com
  exclude_test_accounts: true
"""

    assert parse_declarations(short) == parse_declarations(own)


def test_webhook_sends_its_defaults_explicitly() -> None:
    """PostHog fills nothing in, so method, body, headers and debug are always there (reference 2.1)."""
    (webhook,) = parse_declarations(HEAD + "when: [e]\n")

    assert {
        "url": "https://x.io/h",
        "method": "POST",
        "body": {"event": "{event}", "person": "{person}"},
        "headers": {"Content-Type": "application/json"},
        "debug": False,
    } == webhook.inputs
    assert webhook.inputs_schema is None


def test_own_headers_keep_the_content_type() -> None:
    """Headers that are given replace PostHog's, so the content type is added unless it is there in any case."""
    (added,) = parse_declarations(HEAD + "when: [e]\nheaders: {X-Id: '{event.uuid}'}\n")
    (own,) = parse_declarations(HEAD + "when: [e]\nheaders: {content-type: text/plain}\n")

    assert {"Content-Type": "application/json", "X-Id": "{event.uuid}"} == added.inputs["headers"]
    assert {"content-type": "text/plain"} == own.inputs["headers"]


def test_slack_webhook_keeps_its_url_secret() -> None:
    """Slack by an incoming webhook is a webhook whose URL is a secret input (reference 7.3)."""
    (hook,) = parse_declarations("key: a\nkind: slack\nwebhook_url: ${env:SLACK}\nmessage: hi\nwhen: [e]\n")

    assert "template-webhook" == hook.template_id
    assert SecretRef("env", "SLACK") == hook.inputs["url"]
    assert {
        "text": "hi",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "hi"}}],
    } == hook.inputs["body"]
    assert {"url": True} == {item["key"]: item["secret"] for item in hook.inputs_schema or () if item["key"] == "url"}


def test_blocks_get_a_text_for_notifications() -> None:
    """Without `text`, that of the first block with any stands for the blocks."""
    (blocks,) = parse_declarations(
        "key: a\nkind: slack\nchannel: C0123ABCDEF\nwhen: [e]\nblocks:\n"
        "  - {type: divider}\n  - {type: header, text: {type: plain_text, text: Sold}}\n"
    )

    assert "Sold" == blocks.inputs["text"]


def test_discord_and_teams_keep_their_urls_secret() -> None:
    """Whoever has the URL of a Discord or Teams webhook may post there."""
    discord = Discord("d", webhook_url="${env:D}", message="hi", events=["e"])
    teams = Teams("t", webhook_url="${env:T}", message="hi", events=["e"])

    assert {"webhookUrl": SecretRef("env", "D"), "content": "hi", "allowedMentions": "none"} == discord.inputs
    assert {"webhookUrl": SecretRef("env", "T"), "text": "hi"} == teams.inputs
    for made in (discord, teams):
        assert ["webhookUrl"] == [item["key"] for item in made.inputs_schema or () if item["secret"]]


@pytest.mark.parametrize(
    ("word", "hashed"),
    [
        ("person", "{person.id}"),
        ("distinct_id", "{event.distinct_id}"),
        ("all", "all"),
        ("'{event.properties.plan}'", "{event.properties.plan}"),
    ],
)
def test_once_per_is_masking(word: str, hashed: str) -> None:
    """Words and expressions become PostHog's hash, the interval seconds."""
    (webhook,) = parse_declarations(HEAD + f"when: [e]\nonce_per: {{key: {word}, interval: 1h, every: 100}}\n")

    assert {"hash": hashed, "ttl": 3600, "threshold": 100} == webhook.masking


def test_every_event_must_be_asked_for_in_words() -> None:
    """An empty filter fires on everything and is billed; it is refused unless it is meant."""
    (everything,) = parse_declarations(HEAD + "when: {events: all}\n")

    assert [{"id": None, "name": "All events", "type": "events", "properties": [], "order": 0}] == everything.filters[
        "events"
    ]
    assert "every event of the project" in faults(HEAD + "when: {exclude_test_accounts: true}\n")[0][1]


def test_any_event_with_a_condition_has_a_null_name() -> None:
    """PostHog never matches an entry without an id; one with null matches any event (reference 3.2)."""
    (entry,) = parse_declarations(HEAD + "when: [{event: null, where: plan = a}]\n")[0].filters["events"]

    assert entry["id"] is None
    assert "events" == entry["type"]


def test_several_documents_keep_their_lines() -> None:
    """Documents are divided by `---`, and each destination knows the line it begins on."""
    text = (
        "# ours\n---\n" + HEAD + "when: [e]\n...\n--- # second\n\nkey: b\nkind: webhook\nurl: https://x.io\nwhen: [e]\n"
    )

    assert [("a", 3), ("b", 10)] == [(made.key, made.line) for made in parse_declarations(text)]


def test_every_fault_of_a_file_is_told_with_its_line() -> None:
    """One wrong part does not hide the others, in any document."""
    told = faults(
        """\
key: Signup slack
kind: slak
when: {events: []}
---
key: a
kind: slack
channel: "#general"
mesage: x
when: [e]
blocks:
  - {type: section, text: {type: mrkdwn, text: "{event.properties.}"}}
  - {type: sektion}
---
key: a
kind: webhook
url: http://example.com/x
headers: {Authorization: abc, X: 3}
body: {a: "{{ event }}", b: "${CRM_KEY}", c: .nan}
method: FETCH
once_per: {key: persom, interval: 2d}
when:
  events:
    - x
    - {event: x, where: [a = 1]}
    - {event: y, where: ["a > 5", "a < 4", "plan iss_set"]}
---
key: e
key: f
kind: webhook
url: https://hooks.slack.com/services/T000/B000/XXXX
when: [e]
"""
    )

    expected = [
        (1, "small letters"),
        (2, "did you mean `slack`"),
        (3, "every event of the project"),
        (7, "given by its id"),
        (8, "did you mean `message`"),
        (11, "no Hog expression"),
        (12, "did you mean `section`"),
        (14, "is taken by 5"),
        (16, "use https://"),
        (17, "looks like a secret"),
        (17, "must be a text, not the number 3"),
        (18, "${env:NAME} or ${keyring:NAME}"),
        (18, "JSON has no such number"),
        (19, "method is one of"),
        (20, "did you mean `person`"),
        (20, "between 60s and 1d"),
        (24, "every x fires already"),
        (25, "cannot be true together"),
        (25, "did you mean `is_set`"),
        (28, "here twice"),
        (30, "a Slack webhook URL"),
    ]
    missing = [part for part in expected if not any(part[0] == line and part[1] in message for line, message in told)]
    assert [] == missing
    assert "XXXX" not in str(told)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no declaration"),
        ("- a\n", "must hold `key: value` pairs"),
        (HEAD, "there is no `when`"),
        ("kind: webhook\nurl: https://x.io\nwhen: [e]\n", "there is no `key`"),
        ("key: a\nkind: webhook\nwhen: [e]\n", "needs a `url`"),
        (HEAD + "when: [e]\nenabled: yes\n", "true or false"),
        (HEAD + "when: [e]\nname: 5\n", "must be a text"),
        (HEAD + f"when: [e]\nname: {'x' * 401}\n", "PostHog takes 400"),
        (HEAD + "when: [e]\nchannel: C0123ABCDEF\n", "has no key `channel`"),
        (HEAD + "when: [e]\nsigning_secret: abc\n", "give it by reference"),
        (HEAD + "when: [e]\nmethod: GET\nbody: {}\n", "carries no body"),
        (HEAD + "when: [e]\nheaders: {A: x, a: y}\n", "here twice"),
        (HEAD + "when: [e]\ndescription: managed by posthog-events, key=b\n", "leave the line"),
        (HEAD + "when: [e]\nonce_per: {key: person}\n", "needs `interval`"),
        (HEAD + "when: [e]\nbody: {a: '{unclosed'}\n", "never closed"),
        (HEAD + "when: [e, e]\n", "here twice"),
        (HEAD + "when: [e, {event: null}]\n", "any event fires already"),
        (HEAD + "when: {events: [e], where: [a is_set], properties: []}\n", "say the same"),
        (HEAD + "when: {events: [$insight_alert_firing, e]}\n", "cannot share"),
        (HEAD + "when: {events: [$logs_alert_firing]}\n", "own settings"),
        (HEAD + "when: {actions: [Upgraded]}\n", "by its number"),
        (HEAD + "when: {source: person-updates, events: [e]}\n", "only the source"),
        (HEAD + "when: [{id: e, type: actions}]\n", "is `events`"),
        ("key: a\nkind: webhook\nurl: https://{event.host}/x\nwhen: [e]\n", "written out"),
        ("key: a\nkind: webhook\nurl: example.com\nwhen: [e]\n", "begins with https://"),
        ("key: a\nkind: slack\nchannel: C0123ABCDEF|general\nmessage: x\nwhen: [e]\n", "subscriptions"),
        ("key: a\nkind: slack\nchannel: U0123ABCDEF\nmessage: x\nwhen: [e]\n", "a person"),
        ("key: a\nkind: slack\nchannel: C0123ABCDEF\nwhen: [e]\n", "one of them"),
        ("key: a\nkind: slack\nmessage: x\nwhen: [e]\n", "`webhook_url`"),
        ("key: a\nkind: slack\nchannel: C0123ABCDEF\nmessage: x\nicon: tada\nwhen: [e]\n", "between colons"),
        ("key: a\nkind: slack\nchannel: C0123ABCDEF\nmessage: x\nworkspace: acme\nwhen: [e]\n", "or `auto`"),
        ("key: a\nkind: slack\nwebhook_url: ${env:U}\nmessage: x\nicon: ':a:'\nwhen: [e]\n", "fixed by the Slack app"),
        ("key: a\nkind: slack\nchannel: C0123ABCDEF\nmessage: x ${env:U}\nwhen: [e]\n", "cannot be used in a message"),
        ("key: a\nkind: discord\nwebhook_url: https://x.io\nmessage: x\nwhen: [e]\n", "give it by reference"),
        (f"key: a\nkind: discord\nwebhook_url: ${{env:U}}\nmessage: {'x' * 2001}\nwhen: [e]\n", "the most is 2,000"),
        ("key: a\nkind: template\nwhen: [e]\n", "needs a `template`"),
        ("key: a\nkind: template\ntemplate: template-webhook\ninputs: {ulr: x}\nwhen: [e]\n", "did you mean `url`"),
        ("key: a\nkind: template\ntemplate: template-webhook\ninputs: {url: 5}\nwhen: [e]\n", "must be a text"),
        ("key: a\nkind: template\ntemplate: template-webhook\ninputs: {}\nwhen: [e]\n", "needs the input `url`"),
        (
            "key: a\nkind: template\ntemplate: template-webhook\ninputs: {url: '${env:U}'}\nwhen: [e]\n",
            "no secret in this template",
        ),
    ],
)
def test_bad_declaration_is_explained(text: str, why: str) -> None:
    """Each mistake has a sentence of its own."""
    assert any(why in message for _, message in faults(text))


def test_folder_is_read_in_order_and_other_files_are_left_alone(tmp_path: Path) -> None:
    """A folder means its `.yaml` and `.yml` files, by name; a file named twice is read once."""
    (tmp_path / "b.yml").write_text(HEAD.replace("key: a", "key: second") + "when: [e]\n")
    (tmp_path / "a.yaml").write_text(HEAD + "when: [e]\n", encoding="utf-8-sig")
    (tmp_path / "README.md").write_text("# not one")

    read = read_declarations([tmp_path, tmp_path / "a.yaml"])

    assert [("a", "a.yaml"), ("second", "b.yml")] == [(made.key, made.path.name) for made in read if made.path]


def test_two_files_for_one_destination_are_refused(tmp_path: Path) -> None:
    """A key belongs to one declaration; the message names both places."""
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(HEAD + "when: [e]\n")

    with pytest.raises(DeclarationError) as caught:
        read_declarations([tmp_path])

    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    assert f"{two}:1:6: the key `a` is taken by {one}:1; each destination has its own" == str(caught.value)


def test_unreadable_files_are_faults_beside_the_others(tmp_path: Path) -> None:
    """A missing file, one that is not UTF-8 and one that is not YAML are told together."""
    (tmp_path / "a.yaml").write_bytes(b"key: \xff\n")
    (tmp_path / "b.yaml").write_text("key: a: b\n")

    with pytest.raises(DeclarationError) as caught:
        read_declarations([tmp_path / "none.yaml", tmp_path])

    assert ["no such file", "not UTF-8", "not YAML"] == [
        next(part for part in ("no such file", "not UTF-8", "not YAML") if part in fault.message)
        for fault in caught.value.faults
    ]


def test_python_and_yaml_say_the_same() -> None:
    """A constructor gives the destination of the file that says the same."""
    (declared,) = parse_declarations(SIGNUP)
    made = Slack(
        "signup-slack",
        channel="C0123ABCDEF",
        events=["user_signed_up", {"event": "purchase", "where": ["amount >= 100", "plan is_set"]}],
        where="person.email not_icontains @example.com",
        exclude_test_accounts=True,
        message=MESSAGE,
    )

    assert declared == made
    assert (None, None) == (made.path, made.line)


def test_key_comes_from_the_name_when_none_is_given() -> None:
    """A name in words gives a key that can be typed."""
    assert "big-purchases-eu" == Webhook("Big purchases (EU)", url="https://x.io", events=["e"]).key


def test_constructor_tells_every_fault_without_a_place() -> None:
    """There is no file, so the message begins with the destination."""
    with pytest.raises(DeclarationError) as caught:
        Webhook("Crm", url="http://x.io", events=["e"], method="FETCH")

    told = [fault.message for fault in caught.value.faults]
    assert 2 == len(told)
    assert all(message.startswith("webhook crm: ") for message in told)
    assert "http://" in str(caught.value)
    assert "method is one of" in str(caught.value)


def test_what_json_does_not_have_is_refused() -> None:
    """A Python value that cannot be sent is the caller's mistake."""
    unsendable: Any = {"at": object()}

    with pytest.raises(TypeError, match="object cannot be part of a destination"):
        Webhook("crm", url="https://x.io", events=["e"], body=unsendable)
