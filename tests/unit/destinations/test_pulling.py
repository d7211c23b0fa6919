"""Existing destinations become files, or say why not; no secret reaches a file."""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path
from typing import Any

import pytest

from posthog_events.destinations import declared_body, diff, normalise, read_declarations
from posthog_events.destinations.pulling import Pulled, destination_of, pull, write_pulled
from posthog_events.errors import ConfigError
from tests.helpers.hog_rows import DISCORD_URL, SLACK_URL, row_of, value

MARK = "managed by posthog-events, key=crm, secrets=0a1b2c3d4e5f"


def differences(row: dict[str, Any]) -> list[str]:
    """Return what applying the pulled declaration would change, but for the mark."""
    made = destination_of(row).destination
    assert made is not None
    changes = diff(normalise(declared_body(made, ""), schema=row["inputs_schema"]), normalise(row)).changes
    return [change.path for change in changes if change.path not in ("mark", "secrets")]


def text_of(row: dict[str, Any], folder: Path) -> str:
    """Return the file of a row."""
    [path] = write_pulled(pull([row]), folder).written
    return path.read_text(encoding="utf-8")


def test_plain_webhook_is_the_shortest_declaration(tmp_path: Path) -> None:
    """What PostHog's page fills in need not be said."""
    assert (
        "# Pulled from PostHog: Signups to CRM (0198f2a4-0000-7000-8000-000000000001).\n"
        "key: signups-to-crm\n"
        "kind: webhook\n"
        "name: Signups to CRM\n"
        "description: Sends an event to a URL\n"
        "when:\n"
        "  events:\n"
        "    - user_signed_up\n"
        "  exclude_test_accounts: true\n"
        "url: https://crm.example.com/posthog\n"
    ) == text_of(row_of(), tmp_path)


ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "webhook": (row_of(), "webhook"),
    "switched off": (row_of(enabled=False, name="Off"), "webhook"),
    "masked": (row_of(masking={"hash": "{person.id}", "ttl": 3600, "threshold": None, "bytecode": ["_H"]}), "webhook"),
    "filters of PostHog's page": (
        row_of(
            filters={
                "events": [
                    {
                        "id": "purchase",
                        "name": "purchase",
                        "type": "events",
                        "order": 0,
                        "properties": [
                            {"key": "plan", "value": ["pro"], "operator": "exact", "type": "event", "label": None}
                        ],
                    },
                    {
                        "id": None,
                        "name": "All events",
                        "type": "events",
                        "properties": [{"key": "a", "type": "event", "operator": "is_set", "value": "is_set"}],
                    },
                ],
                "actions": [{"id": "42", "name": "Upgraded", "type": "actions", "order": 2}],
                "properties": [{"key": "email", "value": "@x.io", "operator": "not_icontains", "type": "person"}],
                "bytecode": ["_H", 1],
            }
        ),
        "webhook",
    ),
    "GET": (row_of(inputs={"method": value("GET"), "body": None}), "webhook"),
    "older server's headers": (
        row_of(inputs={"headers": value({"Content-Type": "application/json", "Accept": "application/json"})}),
        "webhook",
    ),
    "created with a URL only": (
        row_of(inputs=dict.fromkeys(("method", "body", "headers", "debug"))),
        "template",
    ),
    "headers without a type": (row_of(inputs={"headers": value({"X-A": "b"})}), "template"),
    "slack": (
        row_of(
            "template-slack",
            inputs={
                "slack_workspace": {"value": 7},
                "channel": {"value": "C0123ABCDEF"},
                "icon_emoji": value(":tada:"),
                "username": value("Ringer"),
                "blocks": value([{"type": "section", "text": {"type": "mrkdwn", "text": "*{person.name}*"}}]),
                "text": value("*{person.name}*"),
            },
        ),
        "slack",
    ),
    "slack by channel name": (
        row_of(
            "template-slack",
            inputs={"slack_workspace": {"value": 7}, "channel": {"value": "#general"}, "text": value("hi")},
        ),
        "template",
    ),
    "unknown template": (
        row_of("template-hubspot", inputs={"properties": value({"a": ["{event.event}", 1, None]})}),
        "template",
    ),
    "internal": (
        row_of(type="internal_destination", filters={"events": [{"id": "$insight_alert_firing", "type": "events"}]}),
        "webhook",
    ),
    "odd texts": (
        row_of(
            name="- 'a': {b} #",
            description="two\nlines\n---\nyes: no",
            inputs={"body": value({"on": "{event.event}\n", "n": [1.5, True, ""]})},
        ),
        "webhook",
    ),
}


@pytest.mark.parametrize(("row", "kind"), ROWS.values(), ids=ROWS)
def test_foreign_row_is_declared_without_a_difference(row: dict[str, Any], kind: str) -> None:
    """Applying what was pulled changes nothing but the mark."""
    pulled = destination_of(row)

    assert ((), (), kind) == (pulled.reasons, pulled.notes, pulled.destination and pulled.destination.kind)
    assert [] == differences(row)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "transformation": (row_of(type="transformation"), "of the type transformation"),
    "no template": (row_of(template=None), "code of its own"),
    "mappings": (row_of(mappings=[{"name": "m", "inputs": {}, "filters": {}}]), "mappings"),
    "person updates": (row_of(filters={"source": "person-updates"}), "its source is person-updates"),
    "liquid": (row_of(inputs={"body": {"value": {"a": "{{ event.event }}"}, "templating": "liquid"}}), "liquid"),
    "short row": ({name: part for name, part in row_of().items() if name != "inputs"}, "ask PostHog for complete rows"),
    "every event": (row_of(filters={}), "every event of the project"),
    "entry without id": (row_of(filters={"events": [{"type": "events"}]}), r"filters.events\[0\] lacks its id"),
    "entry without type": (row_of(filters={"events": [{"id": "e"}]}), r"filters.events\[0\] lacks its id or type"),
    "condition that PostHog ignores": (
        row_of(filters={"events": [{"id": "e", "type": "events"}], "properties": [{"key": "a", "operator": "exact"}]}),
        "drops the condition silently",
    ),
    "cohort": (
        row_of(
            filters={
                "events": [{"id": "e", "type": "events"}],
                "properties": [{"key": "id", "value": 1, "type": "cohort"}],
            }
        ),
        "cohorts are not known",
    ),
    "input of its own": (row_of(inputs={"retries": value(3)}), "inputs that its template does not have: retries"),
    "secret for its own code": (row_of(inputs={"hmac_key": {"secret": True}}), "only code of its own can use"),
    "secret in an expression": (
        row_of(inputs={"api_key": {"secret": True}, "headers": value({"A": "{concat('Bearer ', inputs.api_key)}"})}),
        "api_key inside an expression",
    ),
    "loses every delivery": (row_of(inputs={"body": value({"a": "{distinct_id}"})}), "no global `distinct_id`"),
    "internal event, ordinary type": (
        row_of(filters={"events": [{"id": "$insight_alert_firing", "type": "events"}]}),
        "not known to be of that kind",
    ),
    "body that would be added": (
        row_of(inputs={"url": {"secret": True}, "body": None}),
        "would change . inputs.body",
    ),
    "count that PostHog ignores": (
        row_of(masking={"hash": "all", "ttl": 60, "threshold": 0}),
        "would change ~ masking.threshold",
    ),
    "masking without ttl": (row_of(masking={"hash": "all"}), "ttl"),
    "action without number": (row_of(filters={"actions": [{"id": "x", "type": "actions"}]}), "no number"),
    "properties of another form": (
        row_of(filters={"events": [{"id": "e", "type": "events", "properties": {"type": "AND"}}]}),
        "not a list",
    ),
}


@pytest.mark.parametrize(("row", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_declared_says_why(row: dict[str, Any], reason: str, tmp_path: Path) -> None:
    """There is no destination and no file, but a reason."""
    pulled = pull([row])
    report = write_pulled(pulled, tmp_path)

    assert (None, [], (), pulled[0]) == (
        pulled[0].destination,
        list(tmp_path.iterdir()),
        report.written,
        report.left[0],
    )
    assert re.search(reason, " ".join(pulled[0].reasons))


SECRETS: dict[str, tuple[dict[str, Any], tuple[str, ...], dict[str, str]]] = {
    "stored": (
        row_of(inputs={"url": {"secret": True}, "signing_secret": {"secret": True}}),
        (),
        {"CRM_URL": "stored", "CRM_SIGNING_SECRET": "stored"},
    ),
    "input of its own in a header": (
        row_of(
            inputs={
                "api_key": {"secret": True},
                "headers": value({"Content-Type": "application/json", "A": "Bearer {inputs.api_key}"}),
            }
        ),
        (),
        {"CRM_API_KEY": "stored"},
    ),
    "Slack's address in plain": (row_of(inputs={"url": value(SLACK_URL)}), (SLACK_URL,), {"CRM_URL": "plain"}),
    "authorization in plain": (
        row_of(inputs={"headers": value({"Content-Type": "application/json", "Authorization": "Bearer abc-def"})}),
        ("abc-def",),
        {"CRM_AUTHORIZATION": "plain"},
    ),
    "two headers with one secret": (
        row_of(inputs={"headers": value({"Content-Type": "application/json", "X-Key": "k0k0k0", "X-Token": "k0k0k0"})}),
        ("k0k0k0",),
        {"CRM_X_KEY": "plain"},
    ),
    "two headers of one name": (
        row_of(inputs={"headers": value({"Content-Type": "application/json", "X-Key": "k1k1k1", "X_Key": "k2k2k2"})}),
        ("k1k1k1", "k2k2k2"),
        {"CRM_X_KEY": "plain", "CRM_X_KEY_2": "plain"},
    ),
    "deep in the body": (
        row_of(inputs={"body": value({"auth": {"password": "hunter22"}, "keys": ["sk_live_0123456789"]})}),
        ("hunter22", "sk_live_0123456789"),
        {"CRM_PASSWORD": "plain", "CRM_KEYS": "plain"},
    ),
    "Discord": (
        row_of("template-discord", inputs={"webhookUrl": value(DISCORD_URL), "content": value("hi {event.event}")}),
        (DISCORD_URL, "abcdef"),
        {"CRM_WEBHOOKURL": "plain"},
    ),
    "unknown template": (
        row_of("template-zapier", inputs={"hook": value("https://hooks.zapier.com/hooks/catch/1/abcdef")}),
        ("hooks/catch",),
        {"CRM_HOOK": "plain"},
    ),
}


@pytest.mark.parametrize(("row", "hidden", "variables"), SECRETS.values(), ids=SECRETS)
def test_secret_becomes_a_variable_and_never_reaches_a_file(
    row: dict[str, Any], hidden: tuple[str, ...], variables: dict[str, str], tmp_path: Path
) -> None:
    """The report lists what to set, the file refers to it, and neither holds the secret."""
    pulled = pull([{**row, "description": MARK}])
    report = write_pulled(pulled, tmp_path)
    text = (tmp_path / "crm.yaml").read_text(encoding="utf-8")

    assert variables == {one.ref.name: one.kept for one in report.variables}
    assert all(f"${{env:{name}}}" in text and f"#   {name} (env) is inputs." in text for name in variables)
    assert not [secret for secret in hidden if secret in text + repr(pulled) + repr(report)]
    (read,) = read_declarations([tmp_path])
    assert read == pulled[0].destination
    assert set(variables) == {ref.name for ref in read.secrets.values()}


UNTANGLED = {
    "between expressions": (row_of(inputs={"url": value(SLACK_URL + "?a={event.event}")}), "between expressions"),
    "in a message": (
        row_of("template-discord", inputs={"webhookUrl": {"secret": True}, "content": value("key sk_live_0123456789")}),
        "a secret cannot be used in a message",
    ),
    "in the name": (row_of(name="crm phx_0123456789abcdef"), "PostHog key"),
    "in the description": (row_of(description=f"posts to {SLACK_URL}"), "Slack webhook URL"),
    "in a filter": (
        row_of(
            filters={
                "events": [{"id": "e", "type": "events"}],
                "properties": [{"key": "k", "value": "sk_live_0123456789", "type": "event"}],
            }
        ),
        "API key",
    ),
    "twice, once where nothing shows it": (
        row_of(description="its key is abc-def", inputs={"headers": value({"X-Key": "abc-def"})}),
        "stands in another place as well",
    ),
    "what would be a reference": (row_of(inputs={"headers": value({"X": "${env:HOME}"})}), "would be a reference"),
}


@pytest.mark.parametrize(("row", "reason"), UNTANGLED.values(), ids=UNTANGLED)
def test_secret_that_cannot_be_taken_out_keeps_the_row_out(row: dict[str, Any], reason: str) -> None:
    """Better no file than one with a secret; the reason does not repeat it."""
    pulled = destination_of(row)

    assert pulled.destination is None
    assert reason in " ".join(pulled.reasons)
    assert not [secret for secret in (SLACK_URL, "0123456789", "abc-def") if secret in repr(pulled)]


def test_own_secrets_keep_their_names() -> None:
    """The label of an input that we made says which variable it was; without it the input's name does."""
    schema = [
        *row_of()["inputs_schema"],
        {"key": "secret_crm_key", "type": "string", "label": "Crm.Key", "secret": True},
        {"key": "secret_keyring_crm", "type": "string", "label": "crm", "secret": True},
        {"key": "secret_plain", "type": "string", "label": "What it is for", "secret": True},
    ]
    headers = {"A": "{inputs.secret_crm_key}", "B": "x {inputs.secret_keyring_crm}", "C": "{inputs.secret_plain}"}
    secret = {
        "secret_crm_key": {"secret": True},
        "secret_keyring_crm": {"secret": True},
        "secret_plain": {"secret": True},
    }
    row = row_of(
        inputs_schema=schema, inputs={"headers": value({"Content-Type": "application/json", **headers}), **secret}
    )

    assert ["${env:Crm.Key}", "${keyring:crm}", "${env:PLAIN}"] == [
        str(one.ref) for one in destination_of(row).variables
    ]
    assert [] == differences(row)


def test_variable_of_a_key_that_begins_with_a_digit_can_be_set() -> None:
    """A shell takes no such name."""
    [variable] = destination_of(row_of(name="3 wishes", inputs={"url": value(SLACK_URL)})).variables

    assert "SECRET_3_WISHES_URL" == variable.ref.name


def test_message_to_slacks_address_is_a_slack_message() -> None:
    """Text and blocks to a secret address: what `webhook_url` declares."""
    body = {"text": "hi", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "hi"}}]}
    made = destination_of(row_of(inputs={"url": {"secret": True}, "body": value(body)})).destination

    assert made is not None
    assert "slack" == made.kind


def test_defaults_that_must_be_added_are_noted() -> None:
    """A header that becomes a secret takes the kind webhook, which always says its content type."""
    pulled = destination_of(row_of(inputs={"headers": value({"Authorization": "Bearer abc-def"})}))

    assert ('applying it changes + inputs.headers.Content-Type: "application/json"',) == pulled.notes


def test_text_that_a_file_does_not_keep_is_noted() -> None:
    """Blanks around a name, and a line that only looks like a mark."""
    blanks = destination_of(row_of(name=" CRM "))
    nameless = destination_of(row_of(name=None))
    mark = destination_of(row_of(description=f"{MARK}\n{MARK}"))

    assert ('applying it changes ~ name: " CRM " -> "CRM"',) == blanks.notes
    assert ('applying it changes ~ name: "" -> "destination"',) == nameless.notes
    assert ["description" in note for note in mark.notes] == [True]


def test_other_code_and_drafts_are_noted() -> None:
    """Files say nothing about code; blanks at its end are no difference."""
    assert "its code is not that of the template" in destination_of(row_of(hog="return 1")).notes[0]
    assert "a draft that is not published" in destination_of(row_of(draft={"name": "x"})).notes[0]


def test_keys_are_unique_and_those_of_marks_stay() -> None:
    """Names give keys; a copied mark is one destination's only; taken keys are taken."""
    rows = [
        row_of(name="Größe & Co."),
        row_of(name="Grosse, Co"),
        row_of(name="crm"),
        row_of(name="Any", description=MARK),
        row_of(name="Copy", description=MARK),
        row_of(name="???"),
        row_of(name="x" * 150),
        row_of(name="x" * 150),
        row_of(name="Taken"),
    ]

    pulled = pull(rows, taken_keys={"taken"})

    assert [
        "grosse-co",
        "grosse-co-2",
        "crm-2",
        "crm",
        "copy",
        "destination",
        "x" * 100,
        "x" * 98 + "-2",
        "taken-2",
    ] == [one.key for one in pulled]
    assert all(one.destination is not None and one.destination.key == one.key for one in pulled)
    assert ["copy"] == [one.key for one in pulled if any("is a copy" in note for note in one.notes)]


def test_file_that_exists_is_kept_unless_told(tmp_path: Path) -> None:
    """Somebody's comments are in it; with either ending it is that declaration's file."""
    (tmp_path / "crm.yaml").write_text("# mine\n")
    (tmp_path / "other.yml").write_text("# mine too\n")
    pulled = pull([row_of(name="crm"), row_of(name="other"), row_of(name="new")])

    first = write_pulled(pulled, tmp_path)

    assert ([tmp_path / "crm.yaml", tmp_path / "other.yml"], [tmp_path / "new.yaml"]) == (
        list(first.kept),
        list(first.written),
    )
    assert "# mine\n" == (tmp_path / "crm.yaml").read_text()
    assert 3 == len(write_pulled(pulled, tmp_path, overwrite=True).written)
    assert {"crm.yaml", "other.yml", "new.yaml"} == {path.name for path in tmp_path.iterdir()}
    assert "key: other\n" in (tmp_path / "other.yml").read_text()
    assert tuple(one.destination for one in pulled) == tuple(
        read_declarations([tmp_path / name])[0] for name in ("crm.yaml", "other.yml", "new.yaml")
    )


def test_declaration_in_another_file_gets_no_second_one(tmp_path: Path) -> None:
    """A marked row whose key is declared elsewhere is left, and said so."""
    pulled = pull([row_of(description=MARK)], taken_keys=["crm"])

    report = write_pulled(pulled, tmp_path, overwrite=True)

    assert ((), tuple(pulled)) == (report.written, report.left)
    assert pulled[0].declared


def test_cut_while_writing_leaves_nothing_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file is never there: neither under its name nor under another."""
    pulled = pull([row_of()])

    def cut(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", cut)
        with pytest.raises(KeyboardInterrupt):
            write_pulled(pulled, tmp_path)

    assert [] == list(tmp_path.iterdir())


def test_file_system_without_links_is_written_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename takes the place of the link."""

    def unsupported(*args: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", unsupported)

    assert 1 == len(write_pulled(pull([row_of()]), tmp_path).written)
    assert ["signups-to-crm.yaml"] == [path.name for path in tmp_path.iterdir()]


def test_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """A file in the way of the folder is no traceback."""
    (tmp_path / "taken").write_text("")

    with pytest.raises(ConfigError, match="could not be written to"):
        write_pulled(pull([row_of()]), tmp_path / "taken")


def test_nothing_in_a_name_breaks_out_of_the_comment(tmp_path: Path) -> None:
    """Line breaks in a name would end the comment and begin a declaration."""
    row = row_of(name="a\nkey: b\u2028enabled: false\x07\ud83d", hog="return 1")

    text = text_of(row, tmp_path)

    assert text.startswith("# Pulled from PostHog: a key: b enabled: false (0198")
    (read,) = read_declarations([tmp_path])
    assert row["name"] == read.name


def test_row_is_left_as_it_was() -> None:
    """Pulling reads."""
    row = row_of(inputs={"url": value(SLACK_URL)})
    before = copy.deepcopy(row)

    assert isinstance(destination_of(row), Pulled)
    assert before == row
