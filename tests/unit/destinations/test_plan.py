"""What a plan says: steps, obstacles, notes; and that it is decided from what is live alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from posthog_events.destinations import (
    Destination,
    Discord,
    SecretRef,
    Secrets,
    Slack,
    Teams,
    Webhook,
    body_of,
    parse_declarations,
)
from posthog_events.destinations.live import live_faults
from posthog_events.destinations.plan import Plan, make_plan
from posthog_events.destinations.templates import DISCORD, WEBHOOK
from posthog_events.errors import DeclarationError
from tests.helpers.fake_destinations import CODE, live_of, row_of, stored, template_of

AT = datetime(2026, 9, 1, 12, tzinfo=UTC)
HOOK = Webhook("Crm", key="crm", url="https://crm.example.com/hooks/posthog", events=["e"])
OTHER = Webhook("Other", key="other", url="https://other.example.com/x", events=["e"])
NONE = Secrets({})
SIGNED = Webhook("Signed", key="signed", url="https://a.example.com/x", events=["e"], signing_secret="${env:SIGN}")
SIGNING = Secrets({SecretRef("env", "SIGN"): "whsec_c2VjcmV0"})
SLACK = Slack("Chat", key="chat", channel="C0123ABCDEF", events=["e"])
OLD = {**template_of(WEBHOOK), "code": "fetch(inputs.url)", "inputs_schema": []}


def plan(*declared: Destination, rows: Any = (), secrets: Secrets = NONE, live: Any = None, **options: Any) -> Plan:
    """Make a plan."""
    return make_plan(declared, live_of(*rows, **(live or {})), secrets, made_at=AT, **options)


def faults(*declared: Destination, **options: Any) -> list[str]:
    """Return what is said against a plan."""
    with pytest.raises(DeclarationError) as caught:
        plan(*declared, **options)
    return [str(fault) for fault in caught.value.faults]


def template(inputs: str, id_: str = "template-x") -> Destination:
    """Return a destination over a template that this package does not know."""
    text = f"key: x\nkind: template\ntemplate: {id_}\nwhen: [e]\ninputs: {inputs}\n"
    (made,) = parse_declarations(text)
    return made


def templates(*items: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return what `live_of` takes for a project that has `template-x` with these inputs."""
    return {"templates": {"template-x": template_of("template-x", inputs_schema=list(items), **changes)}}


# -- steps ----------------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_created() -> None:
    """Every field is shown, the mark is not, and nothing has an id yet."""
    (step,) = plan(HOOK).steps

    assert ("create", "crm", None, None) == (step.action, step.key, step.id, step.base)
    assert '+ inputs.url: "https://crm.example.com/hooks/posthog"' not in str(step).splitlines()[0]
    assert all(change.added and change.before is None for change in step.diff.changes)
    assert not [change for change in step.diff.changes if change.path in ("mark", "secrets")]


def test_what_is_as_declared_stays() -> None:
    """And the plan has no change in it."""
    made = plan(HOOK, rows=[row_of(HOOK)])

    assert ("unchanged",) == tuple(step.action for step in made.steps)
    assert () == made.changes
    assert "1 unchanged" == made.summary
    assert "Plan for https://eu.posthog.com, project 7: 1 unchanged." == str(made)


def test_change_carries_the_moment_that_it_is_based_on() -> None:
    """A later write of somebody else shows by it."""
    (step,) = plan(HOOK, rows=[row_of(HOOK, name="Old", updated_at="2026-08-21T00:00:00Z")]).steps

    assert ("update", "row-1", "2026-08-21T00:00:00Z", ("name",)) == (step.action, step.id, step.base, step.diff.fields)
    assert '~ update crm (row-1)\n    ~ name: "Old" -> "Crm"' == str(step)


def test_secret_that_was_rotated_is_an_update() -> None:
    """The fingerprint differs, and is part of the step, so that a saved plan notices another rotation."""
    old = row_of(SIGNED, SIGNING)
    new = Secrets({SecretRef("env", "SIGN"): "whsec_b3RoZXI="})

    (step,) = plan(SIGNED, rows=[old], secrets=new).steps

    assert ("update", ("description", "inputs")) == (step.action, step.diff.fields)
    assert new.fingerprint(SIGNED) == step.fingerprint
    assert ("unchanged",) == tuple(step.action for step in plan(SIGNED, rows=[old], secrets=SIGNING).steps)


def test_order_is_that_of_the_declarations_and_then_what_is_removed() -> None:
    """What may fail comes before what is taken away."""
    made = plan(OTHER, HOOK, rows=[row_of(HOOK), row_of(SIGNED, SIGNING, id_="b")], prune="delete")

    assert [("create", "other"), ("unchanged", "crm"), ("delete", "signed")] == [
        (step.action, step.key) for step in made.steps
    ]
    assert "1 to create, 1 unchanged, 1 to delete" == made.summary


def test_description_that_is_not_declared_is_left_to_people() -> None:
    """Their text is no difference; a declared one is."""
    row = row_of(HOOK, description="Ask Ann before you change this.\n\nmanaged by posthog-events, key=crm")

    assert ("unchanged",) == tuple(step.action for step in plan(HOOK, rows=[row]).steps)
    (step,) = plan(replace(HOOK, description="Feeds the CRM."), rows=[row]).steps
    assert ("description",) == step.diff.fields


@pytest.mark.parametrize(
    "fields",
    [
        {"icon_url": "/static/cat.png"},
        {"mappings": [{"name": "m"}]},
        {"execution_order": 3},
        {"hog": "// a comment\n" + CODE},
        {"status": {"state": 3}},
        {"bytecode": ["_H"]},
        {"anything": {"new": 1}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_unmanaged_fields_are_no_difference(fields: dict[str, Any]) -> None:
    """What declarations say nothing about is people's."""
    assert ("unchanged",) == tuple(step.action for step in plan(HOOK, rows=[row_of(HOOK, **fields)]).steps)


def test_declared_default_of_a_required_input_is_no_difference() -> None:
    """PostHog fills it in by itself (reference 2.1), so nobody can tell whether it was sent: no endless update."""
    text = "**{person.name}** triggered event: '{event.event}'"
    hook = Discord("d", key="d", webhook_url="${env:URL}", message=text, events=["e"])
    secrets = Secrets({SecretRef("env", "URL"): "https://discord.com/api/webhooks/1/abc"})
    row = row_of(hook, secrets)
    for item in row["inputs_schema"]:
        if item["key"] == "content":
            item["default"] = text

    assert ("unchanged",) == tuple(step.action for step in plan(hook, rows=[row], secrets=secrets).steps)
    (step,) = plan(replace(hook, inputs={**hook.inputs, "content": "new"}), rows=[row], secrets=secrets).steps
    assert ("inputs",) == step.diff.fields


def test_declared_default_of_an_unknown_template_is_no_difference() -> None:
    """As above; the template is known from the server alone."""
    item = {"key": "text", "type": "string", "required": True, "default": "hi"}
    made = template("{text: hi}")
    body = {**body_of(made, NONE), "inputs_schema": [item]}

    assert ("unchanged",) == tuple(
        step.action for step in plan(made, rows=[stored(body, id_="a")], live=templates(item)).steps
    )


def test_input_that_is_secret_no_longer_is_a_difference() -> None:
    """Though PostHog shows both as there."""
    plain = Webhook("Crm", key="crm", url="https://a.example.com/x", events=["e"])
    hidden = Webhook("Crm", key="crm", url="${env:URL}", events=["e"])
    row = row_of(hidden, Secrets({SecretRef("env", "URL"): "https://a.example.com/x"}))

    (step,) = plan(plain, rows=[row]).steps

    assert "inputs" in step.diff.fields


# -- pruning --------------------------------------------------------------------------------------------------------


def test_orphans_are_left_alone_and_named() -> None:
    """Nothing is removed unless it is asked for."""
    made = plan(HOOK, rows=[row_of(HOOK), row_of(OTHER, id_="b")])

    assert (("b", "other", "Other"),) == made.orphans
    assert () == made.changes
    assert "other (b) is managed and not declared; it is left alone" in str(made)


@pytest.mark.parametrize(
    ("prune", "enabled", "actions"),
    [
        ("disable", True, ["disable"]),
        ("disable", False, []),
        ("delete", True, ["delete"]),
        ("delete", False, ["delete"]),
    ],
)
def test_prune_takes_ours_only(prune: Any, enabled: bool, actions: list[str]) -> None:
    """What somebody made by hand is not in the plan."""
    rows = [row_of(OTHER, id_="b", enabled=enabled), row_of(HOOK, id_="c", description="by hand")]

    made = plan(rows=rows, prune=prune)

    assert actions == [step.action for step in made.steps]
    assert {"b"} >= {step.id for step in made.steps}
    assert () == made.orphans


@pytest.mark.parametrize("prune", ["disable", "delete"])
def test_prune_refuses_what_may_be_a_copy(prune: Any) -> None:
    """One of two with the same mark was copied by somebody, perhaps to work on it."""
    (said,) = faults(rows=[row_of(OTHER, id_="b"), row_of(OTHER, id_="c", name="Copy")], prune=prune)

    assert "--prune: other: several destinations in PostHog carry its mark: b ('Other'), c ('Copy')" in said
    assert () == plan(rows=[row_of(OTHER, id_="b"), row_of(OTHER, id_="c")]).steps


# -- notes ----------------------------------------------------------------------------------------------------------


def test_twin_is_told_and_not_touched() -> None:
    """Both would deliver; the way to take it over is in the note."""
    (step,) = plan(HOOK, rows=[row_of(HOOK, id_="a", name="By \x1b[2Jhand", description="")]).steps

    assert "create" == step.action
    (note,) = step.notes
    assert note.startswith("a ('By \\x1b[2Jhand') sends to the same URL and is not managed")
    assert note.endswith("--adopt crm=a")


def test_adoption_says_what_it_takes_over() -> None:
    """The mark is among the changes, and the people's description stays."""
    row = row_of(HOOK, id_="a", name="By hand", description="by hand")

    (step,) = plan(HOOK, rows=[row], adopt={"crm": None}).steps

    assert ("update", "a", ("name", "description")) == (step.action, step.id, step.diff.fields)
    assert ("takes over 'By hand', which was not managed",) == step.notes
    assert ["name", "mark"] == [change.path for change in step.diff.changes]


def test_mappings_and_drafts_are_told() -> None:
    """Both deliver, or will, what no declaration says."""
    (step,) = plan(HOOK, rows=[row_of(HOOK, mappings=[{"name": "m"}], draft={"inputs": {}})]).steps

    assert "unchanged" == step.action
    assert ["mappings", "draft"] == [
        next(word for word in ("mappings", "draft") if word in note) for note in step.notes
    ]
    assert "! has a draft" in str(plan(HOOK, rows=[row_of(HOOK, draft={"inputs": {}})]))


# -- what a project cannot take -------------------------------------------------------------------------------------


def test_duplicate_key_is_refused() -> None:
    """Two declarations cannot both be one destination."""
    twice = replace(OTHER, key="crm")

    assert ["the key `crm` is declared 2 times; each destination has its own"] == faults(HOOK, twice)


def test_unknown_template_is_refused() -> None:
    """By its name, before anything is sent."""
    assert ["x: PostHog has no template `template-x`"] == [
        said.rpartition("1: ")[2] for said in faults(template("{}"), live={"templates": {"template-x": None}})
    ]


def test_hidden_template_is_refused() -> None:
    """PostHog answers 400 to it (reference 1.3)."""
    (said,) = faults(template("{}"), live=templates(status="hidden"))

    assert "is for its own use" in said


@pytest.mark.parametrize("kind", ["transformation", "site_destination", "source_webhook"])
def test_template_of_something_else_is_refused(kind: str) -> None:
    """A destination made of it would never deliver."""
    (said,) = faults(template("{}"), live=templates(type=kind))

    assert f"makes a {kind}, which is no destination" in said


def test_unknown_input_of_an_unknown_template_is_refused_with_a_suggestion() -> None:
    """PostHog would drop it without a word."""
    item = {"key": "api_key", "type": "string", "secret": True}
    (said,) = faults(template("{apikey: 1}"), live=templates(item))

    assert "the template has no input `apikey`" in said
    assert "api_key" in said


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("{}", "the template needs the input `text`"),
        ("{text: 1}", "`text` must be a text"),
        ("{text: '${env:T}'}", "`text` is no secret in this template"),
        ("{text: a, mode: c}", "`mode` is one of a, b"),
        ("{text: a, key: plain}", "`key` is a secret; give it by reference"),
    ],
    ids=["missing", "type", "secret", "choice", "plain"],
)
def test_wrong_inputs_of_an_unknown_template_are_refused(inputs: str, said: str) -> None:
    """What the server's own schema says about them."""
    schema = (
        {"key": "text", "type": "string", "required": True},
        {"key": "mode", "type": "choice", "choices": [{"value": "a"}, {"value": "b"}]},
        {"key": "key", "type": "string", "secret": True},
    )
    made = template(inputs)
    secrets = Secrets(dict.fromkeys(made.secrets.values(), "v"))

    assert any(said in fault for fault in faults(made, live=templates(*schema), secrets=secrets))


def test_server_that_would_drop_the_signing_secret_is_named() -> None:
    """Before the first write, with the way out."""
    (said,) = faults(SIGNED, secrets=SIGNING, live={"templates": {WEBHOOK: OLD}})

    assert said.startswith("signed: this PostHog does not sign deliveries")
    assert "headers: {X-Secret: ${env:NAME}}" in said
    assert [] == live_faults([HOOK], live_of(templates={WEBHOOK: OLD}), NONE)


def test_old_code_that_does_not_sign_is_an_obstacle() -> None:
    """The code is a copy of the day it was created (reference 1.3)."""
    row = row_of(SIGNED, SIGNING, hog="fetch(inputs.url)")

    (said,) = faults(SIGNED, rows=[row], secrets=SIGNING)

    assert "signed: the live one keeps the code that it was created with, which does not sign" in said
    assert "destinations destroy signed" in said


def test_old_code_cannot_be_adopted_for_signing() -> None:
    """And is not to be destroyed: it is not ours."""
    row = row_of(SIGNED, SIGNING, id_="a", description="", hog="fetch(inputs.url)")

    (said,) = faults(SIGNED, rows=[row], secrets=SIGNING, adopt={"signed": "a"})

    assert "a keeps the code" in said
    assert "so it cannot be adopted" in said
    assert "destroy" not in said


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"type": "internal_destination"}, "the type internal_destination"),
        ({"template": template_of(DISCORD)}, "the template template-discord"),
        ({"template": None}, "no template"),
    ],
    ids=["type", "template", "own code"],
)
def test_type_and_template_are_fixed(changes: dict[str, Any], what: str) -> None:
    """PostHog changes neither."""
    (said,) = faults(HOOK, rows=[row_of(HOOK, **changes)])
    assert f"crm: the live one has {what}, which PostHog cannot change; destroy it" in said

    (said,) = faults(HOOK, rows=[row_of(HOOK, description="", **changes)], adopt={"crm": "row-1"})
    assert f"crm: row-1 has {what}, which PostHog cannot change; so it cannot be adopted" in said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://localhost/x", "on your machine or network"),
        ("http://127.0.0.1:8000/x", "on your machine or network"),
        ("https://10.0.0.7/x", "on your machine or network"),
        ("https://crm.internal/x", "on your machine or network"),
        ("https://[::1]/x", "on your machine or network"),
    ],
)
def test_address_that_posthog_cannot_reach_is_refused(url: str, said: str) -> None:
    """For a real project; an emulator on this machine reaches it."""
    hook = Webhook("Crm", key="crm", url=url, events=["e"])

    assert any(said in fault for fault in faults(hook))
    assert ("create",) == tuple(step.action for step in plan(hook, live={"origin": "http://127.0.0.1:8000"}).steps)


@pytest.mark.parametrize("value", ["http://crm.example.com/x", "https://10.0.0.7/hidden-path"], ids=["http", "private"])
def test_secret_url_is_checked_and_not_shown(value: str) -> None:
    """A URL behind a reference is checked when it is known."""
    hook = Webhook("Crm", key="crm", url="${env:URL}", events=["e"])

    (said,) = faults(hook, secrets=Secrets({SecretRef("env", "URL"): value}))

    assert "the secret ${env:URL}" in said
    assert value not in said
    assert "hidden-path" not in said


@pytest.mark.parametrize(
    ("workspaces", "said"),
    [
        ({}, "PostHog shows no Slack workspace"),
        ({3: "Main", 4: "Test"}, "several Slack workspaces; give one as `workspace`: 3 ('Main'), 4 ('Test')"),
    ],
    ids=["none", "several"],
)
def test_slack_workspace_must_be_one(workspaces: dict[int, str], said: str) -> None:
    """A choice is not ours to make."""
    assert said in faults(SLACK, live={"workspaces": workspaces})[0]
    assert ("create",) == tuple(step.action for step in plan(SLACK, live={"workspaces": {7: "Main"}}).steps)
    numbered = Slack("Chat", key="chat", channel="C0123ABCDEF", workspace=4, events=["e"])
    assert ("create",) == tuple(step.action for step in plan(numbered, live={"workspaces": workspaces}).steps)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    """Over all declarations and all kinds of faults."""
    local = Webhook("Local", key="local", url="https://localhost/x", events=["e"])
    rows = [row_of(HOOK, id_="a"), row_of(HOOK, id_="b")]

    said = "\n".join(faults(local, SIGNED, HOOK, SLACK, rows=rows, secrets=SIGNING, live={"templates": {WEBHOOK: OLD}}))

    assert [1, 1, 1, 1] == [said.count(part) for part in ("local: ", "signed: ", "crm: ", "chat: ")]


# -- secrets --------------------------------------------------------------------------------------------------------


def test_secret_that_is_live_in_plain_is_not_shown() -> None:
    """Somebody typed it into a header; the declaration moves it into a secret input, and the plan does not print it."""
    hook = Webhook("Crm", key="crm", url="https://a.example.com/x", headers={"X-Crm": "${env:KEY}"}, events=["e"])
    secrets = Secrets({SecretRef("env", "KEY"): "correct horse"})
    row = row_of(hook, secrets, description="")
    row["inputs"]["headers"] = {"value": {"X-Crm": "correct horse", "Y": "a correct horse b", "Z": "ok"}}
    row["inputs"]["body"] = {"value": {"list": ["correct horse"]}}

    made = plan(hook, rows=[row], secrets=secrets, adopt={"crm": "row-1"})

    assert "correct horse" not in f"{made} {made!r}"
    assert '~ inputs.headers.X-Crm: (secret) -> "{inputs.secret_key}"' in str(made)
    assert '- inputs.headers.Z: "ok"' in str(made)


def test_short_secret_hides_only_itself() -> None:
    """A secret of a few letters is part of too many words."""
    hook = Webhook("Crm", key="crm", url="https://a.example.com/x", headers={"X-Crm": "${env:KEY}"}, events=["e"])
    secrets = Secrets({SecretRef("env", "KEY"): "e"})
    row = row_of(hook, secrets, name="Telephone")
    row["inputs"]["headers"] = {"value": {"X-Crm": "e"}}

    shown = str(plan(hook, rows=[row], secrets=secrets))

    assert '~ name: "Telephone" -> "Crm"' in shown
    assert "inputs.headers.X-Crm: (secret) ->" in shown


# -- staleness ------------------------------------------------------------------------------------------------------


def test_same_plan_differs_in_nothing() -> None:
    """The moment at which it was made does not matter."""
    first = plan(HOOK, OTHER, rows=[row_of(HOOK)])

    assert () == first.differs(replace(first, made_at=datetime(2027, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    "later",
    [
        {"rows": [row_of(HOOK, name="Old", updated_at="2026-09-09T00:00:00Z")]},
        {"rows": [row_of(HOOK, name="Older")]},
        {"rows": [row_of(HOOK)]},
        {"rows": []},
        {"rows": [row_of(HOOK, name="Old", id_="another")]},
        {"rows": [row_of(HOOK, name="Old", draft={"name": "x"})]},
    ],
    ids=["touched", "edited", "done", "deleted", "made anew", "draft"],
)
def test_other_state_is_another_plan(later: dict[str, Any]) -> None:
    """Whatever happened to the destination, the key is named."""
    assert ("crm",) == plan(HOOK, rows=[row_of(HOOK, name="Old")]).differs(plan(HOOK, **later))


def test_new_orphan_is_another_plan_when_it_would_be_removed() -> None:
    """A plan removes what people saw in it, and nothing else."""
    rows = [row_of(HOOK)]

    assert ("other",) == plan(HOOK, rows=rows, prune="delete").differs(
        plan(HOOK, rows=[*rows, row_of(OTHER, id_="b")], prune="delete")
    )
    assert () == plan(HOOK, rows=rows).differs(plan(HOOK, rows=[*rows, row_of(OTHER, id_="b")]))


def test_another_project_is_another_plan() -> None:
    """Of the same PostHog, or of another."""
    made = plan(HOOK)

    assert ("(another project)",) == made.differs(plan(HOOK, live={"project_id": 8}))
    assert ("(another project)",) == made.differs(plan(HOOK, live={"origin": "https://us.posthog.com"}))


def test_teams_url_of_another_service_is_refused() -> None:
    """PostHog accepts it and fails at every delivery (reference 2.2)."""
    chat = Teams("T", key="t", webhook_url="${env:URL}", message="x", events=["e"])

    (said,) = faults(chat, secrets=Secrets({SecretRef("env", "URL"): "https://example.com/x"}))

    assert "this is not a teams webhook" in said
