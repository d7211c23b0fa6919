"""What PostHog accepts in destinations: traps are warnings, and what loses every delivery is a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from posthog_events.destinations import Destination, Discord, Slack, Webhook, parse_declarations
from posthog_events.destinations.linting import lint_destination
from posthog_events.errors import DeclarationError

HEAD = "key: a\nkind: webhook\nurl: https://x.io/h\nsigning_secret: ${env:S}\n"
SLACK = "key: a\nkind: slack\nchannel: C0123ABCDEF\nwhen: [e]\n"
RAW = "key: a\nkind: template\ntemplate: template-webhook\nwhen: [e]\n"


def read(text: str) -> Destination:
    """Return the only declaration of a text."""
    (only,) = parse_declarations(text, Path("d.yaml"))
    return only


def found(destination: Destination, **given: Any) -> list[tuple[str, str, str]]:
    """Return level, code and place of every warning."""
    return [(one.level, one.code, one.where) for one in lint_destination(destination, **given)]


FAULTS = {
    "webhook body": (
        HEAD + "when: [e]\nbody:\n  id: '{event.uuid}'\n  who: '{distinct_id}'\n",
        8,
        "{event.distinct_id}",
    ),
    "inside text": (HEAD + "when: [e]\nbody:\n  - a\n  - 'at {timestamp}!'\n", 8, "{event.timestamp}"),
    "header": (HEAD + "headers:\n  X: '{properties}'\nwhen: [e]\n", 6, "{event.properties}"),
    "url": ("key: a\nkind: webhook\nurl: https://x.io/{uuid}\nwhen: [e]\n", 3, "{event.uuid}"),
    "hyphen": (HEAD + "when: [e]\nbody: {a: '{event.properties.plan-name}'}\n", 6, "event.properties['plan-name']"),
    "in a call": (HEAD + "when: [e]\nbody: {a: \"{upper(emial ?? 'x')}\"}\n", 6, "`emial`"),
    "slack": (SLACK + "message: '{distinct_id}'\n", 5, "distinct_id"),
    "blocks": (
        SLACK + "blocks:\n  - type: divider\n  - type: section\n    text: {type: mrkdwn, text: '{properties.plan}'}\n",
        8,
        "{event.properties}",
    ),
    "discord": ("key: a\nkind: discord\nwebhook_url: ${env:U}\nwhen: [e]\nmessage: '{user.name}'\n", 5, "`user`"),
    "template": (
        "key: a\nkind: template\ntemplate: template-zapier\ninputs:\n  hook: h\n  b: '{record.x}'\nwhen: [e]\n",
        6,
        "",
    ),
    "masking": (HEAD + "when: [e]\nonce_per:\n  interval: 1h\n  key: '{distinct_id}'\n", 8, "{event.distinct_id}"),
}


@pytest.mark.parametrize(("text", "line", "hint"), FAULTS.values(), ids=FAULTS)
def test_expression_that_loses_every_delivery_is_a_fault_at_its_line(text: str, line: int, hint: str) -> None:
    """PostHog would save it and fail for each event; reading refuses it where it stands, and says what to write."""
    with pytest.raises(DeclarationError) as caught:
        read(text)

    [fault] = caught.value.faults
    assert (Path("d.yaml"), line) == (fault.path, fault.line)
    assert hint in fault.message


def test_every_wrong_expression_of_a_text_is_told() -> None:
    """Two unknown globals are two faults."""
    with pytest.raises(DeclarationError) as caught:
        read(HEAD + "when: [e]\nbody: {a: '{distinct_id} {timestamp}'}\n")

    assert 2 == len(caught.value.faults)


def test_python_is_told_the_same() -> None:
    """What makes destinations in Python refuses it as well."""
    with pytest.raises(DeclarationError, match=r"event\.distinct_id"):
        Slack("S", channel="C0123ABCDEF", events=["e"], message="{distinct_id}")


@pytest.mark.parametrize(
    "expression", ["{event.properties.$x}", "{project.url}", "{source.url}", "{groups.company.id}", "{person}"]
)
def test_known_globals_are_no_fault(expression: str) -> None:
    """Everything that templates see can be used."""
    assert {"a": expression} == read(HEAD + f"when: [e]\nbody: {{a: '{expression}'}}\n").inputs["body"]


def test_names_of_a_lambda_are_no_globals() -> None:
    """An argument is known inside its function."""
    made = Webhook("W", url="https://x.io/h", events=["e"], body={"a": "{arrayMap(x -> x, event.properties.tags)}"})

    assert [] == [one for one in lint_destination(made) if one.level == "warning"]


def test_sound_webhook_has_no_warnings() -> None:
    """Signed, named events, plain expressions."""
    assert [] == found(read(HEAD + "when: [e]\n"))


WARNINGS = {
    "missing property": (
        HEAD + "when: [{event: e, where: [amount < 5]}]\n",
        "missing-matches",
        "filters.events[0].properties[0]",
    ),
    "every event": (HEAD + "when: {events: all}\n", "every-event", "filters.events[0]"),
    "any name": (HEAD + "when: {where: [plan = pro]}\n", "any-name", "filters"),
    "frozen date": (
        HEAD + "when: [{event: e, where: [{key: at, operator: is_date_after, value: -7d}]}]\n",
        "frozen-date",
        "filters.events[0].properties[0]",
    ),
    "object in text": (HEAD + "when: [e]\nbody: {a: 'x {event.properties}'}\n", "object-in-text", "inputs.body.a"),
    "null fails": (HEAD + "when: [e]\nbody: ['{upper(event.properties.a)}']\n", "fails-on-null", "inputs.body.0"),
    "no such input": (HEAD + "when: [e]\nbody: {a: '{inputs.other}'}\n", "unknown-input", "inputs.body.a"),
    "masking by object": (
        HEAD + "when: [e]\nonce_per: {key: '{person}', interval: 1h}\n",
        "masking-object",
        "masking.hash",
    ),
    "masking by uuid": (
        HEAD + "when: [e]\nonce_per: {key: '{event.uuid}', interval: 1h}\n",
        "masking-unique",
        "masking.hash",
    ),
    "no content type": (
        RAW + "inputs: {url: 'https://x.io/h', method: POST, body: a, headers: {X-A: b}, signing_secret: '${env:S}'}\n",
        "no-content-type",
        "inputs.headers",
    ),
    "no body": (
        RAW + "inputs: {url: 'https://x.io/h', signing_secret: '${env:S}'}\n",
        "no-body",
        "inputs.body",
    ),
}


@pytest.mark.parametrize(("text", "code", "where"), WARNINGS.values(), ids=WARNINGS)
def test_trap_is_a_warning(text: str, code: str, where: str) -> None:
    """It can be applied, and the warning says where to look."""
    assert [("warning", code, where)] == found(read(text))


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        (
            "{url: 'https://x.io/h', method: POST, body: a, signing_secret: '${env:S}'}",
            "headers that are left out are JSON's",
        ),
        ("{url: 'https://x.io/h', method: GET, headers: {X: a}, signing_secret: '${env:S}'}", "a GET has no body"),
        (
            "{url: 'https://x.io/h', body: a, headers: {content-TYPE: text/plain}, signing_secret: '${env:S}'}",
            "upper and lower case are alike",
        ),
    ],
)
def test_body_that_says_what_it_is_raises_no_warning(inputs: str, why: str) -> None:
    """A content type is missed only where a body is sent without one."""
    assert [] == found(read(f"{RAW}inputs: {inputs}\n")), why


def test_switched_off_catch_all_is_only_worth_knowing() -> None:
    """What does not fire costs nothing yet."""
    assert [("info", "every-event", "filters.events[0]")] == found(read(HEAD + "enabled: false\nwhen: {events: all}\n"))


def test_secret_header_without_signature_is_an_info() -> None:
    """It proves less than a signature; without either there is nothing to prove with; a secret URL is enough."""
    header = Webhook("W", url="https://x.io/h", events=["e"], headers={"X-Key": "${env:K}"})
    nothing = Webhook("W", url="https://x.io/h", events=["e"])
    secret = Webhook("W", url="${env:U}", events=["e"])

    (one,), (other,) = lint_destination(header), lint_destination(nothing)
    assert [("info", "unsigned", "inputs")] * 2 == [(made.level, made.code, made.where) for made in (one, other)]
    assert "a secret header is the same" in one.message
    assert "nothing tells the receiver" in other.message
    assert () == lint_destination(secret)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("{event.properties.name}", "event.properties.name"),
        ("by {person.name ?? 'x'}", "person.name"),
        ("{upper(event.distinct_id ?? '')}", "event.distinct_id"),
        ("{groups.company.properties.name}", "groups.company.properties.name"),
        ("{event.event} {event.timestamp} <{event.url}|x> {project.name}", None),
        ("{replaceAll(toString(event.properties.name ?? ''), '<', '&lt;')}", None),
        ("{round(event.properties.amount)}", None),
    ],
)
def test_user_text_in_slack_markup_is_an_info(message: str, field: str | None) -> None:
    """What users wrote can notify a channel; numbers, times and escaped texts cannot."""
    warnings = [
        one
        for made in (
            Slack("S", channel="C0123ABCDEF", events=["e"], message=message),
            Slack("S", webhook_url="${env:U}", events=["e"], message=message),
        )
        for one in lint_destination(made)
    ]

    assert ["raw-user-data"] * 2 * bool(field) == [one.code for one in warnings]
    assert all(one.level == "info" and f"{{{field}}}" in one.message for one in warnings)


def test_plain_text_and_other_services_take_user_text() -> None:
    """Slack reads no markup in plain_text, and Discord mentions nobody by default."""
    header = [{"type": "header", "text": {"type": "plain_text", "text": "{person.name}"}}]
    slack = Slack("S", channel="C0123ABCDEF", events=["e"], blocks=header, text="New")

    assert [] == found(slack)
    assert [] == found(Discord("D", webhook_url="${env:U}", events=["e"], message="{person.name}"))


def test_advice_keeps_a_channel_quiet() -> None:
    """The expression that is recommended renders the markup harmless."""
    from posthog_events.hog.template import render_inputs

    (one,) = lint_destination(Slack("S", channel="C0123ABCDEF", events=["e"], message="{event.properties.name}"))
    advice = one.message[one.message.index("{replaceAll") :]

    said = [render_inputs(advice, {"event": {"properties": {"name": name}}}) for name in ("<!channel> hi", None, 5)]
    assert ["&lt;!channel> hi", "", "5"] == said


def test_filters_of_test_accounts_and_actions_are_looked_at() -> None:
    """What the project says counts as well, when it is handed in."""
    made = read(HEAD + "when: {actions: [42], exclude_test_accounts: true}\n")
    cohort = [{"key": "id", "value": 7, "type": "cohort"}]

    assert [] == found(made)
    assert ["cohort"] == [code for _, code, _ in found(made, test_account_filters=cohort)]
    assert ["refused"] == [code for _, code, _ in found(made, actions={})]


def test_warning_says_file_line_and_code() -> None:
    """One line for people; the place of the declaration, since its parts have none by now."""
    made = read("# first\n" + HEAD + "when: {events: all}\n")

    (one,) = lint_destination(made)
    assert str(one).startswith("d.yaml:2: warning: filters.events[0]: `id` null is any event")
    assert str(one).endswith("[every-event]")
    assert ("a", Path("d.yaml"), 2) == (one.key, one.path, one.line)
    (unplaced,) = lint_destination(Webhook("W", url="https://x.io/h", events=["e"]))
    assert str(unplaced).startswith("w: info: inputs: ")
