"""Normal form and differences."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_events.destinations import SecretRef, Secrets, Webhook, body_of, diff, normalise
from posthog_events.destinations.diff import Change, redacted

HOOK = Webhook("Crm", url="https://x.io/h", events=["e", "f"], where=["a = 1", "plan in [x, y]"])
NONE = Secrets({})
WANTED = normalise(body_of(HOOK, NONE))


def live(**changes: Any) -> dict[str, Any]:
    """Return the normal form of the same destination as PostHog shows it, with changes."""
    row = body_of(HOOK, NONE)
    row["template"] = {"id": row.pop("template_id"), "code": "..."}
    return normalise({**row, **changes})


def test_row_as_posthogs_page_saves_it_is_no_difference() -> None:
    """Server keys, order, names, lists of one and defaults mean nothing (reference 1.4)."""
    filters = {
        "bytecode": ["_H", 1],
        "events": [
            {"id": "f", "name": "F!", "type": "events", "order": 3},
            {"id": "e", "name": "e", "type": "events", "order": 0, "properties": []},
        ],
        "properties": [
            {"key": "plan", "value": ["y", "x"], "operator": "exact", "type": "event"},
            {"key": "a", "value": [1]},
        ],
    }
    inputs = {
        name: {**item, "bytecode": {}, "order": at, "transpiled": None, "templating": "hog"}
        for at, (name, item) in enumerate(body_of(HOOK, NONE)["inputs"].items())
    }

    row = live(filters=filters, inputs=inputs, masking={}, icon_url="/x.png", status={"state": 1}, mappings=None)

    assert not diff(WANTED, row)


@pytest.mark.parametrize(
    ("changes", "lines", "fields"),
    [
        ({"name": "Other"}, ['~ name: "Other" -> "Crm"'], ("name",)),
        ({"enabled": False}, ["~ enabled: false -> true"], ("enabled",)),
        ({"masking": {"hash": "all", "ttl": 60}}, None, ("masking",)),
        ({"description": "managed by posthog-events, key=other"}, ['~ mark: "other" -> "crm"'], ("description",)),
        ({"description": "mine"}, ['~ description: "mine" -> ""', '+ mark: "crm"'], ("description",)),
        (
            {"filters": {**body_of(HOOK, NONE)["filters"], "filter_test_accounts": True}},
            ["~ filters.filter_test_accounts: true -> false"],
            ("filters",),
        ),
        ({"filters": None}, None, ("filters",)),
        (
            {"inputs": {**body_of(HOOK, NONE)["inputs"], "url": {"value": "https://y.io"}}},
            ['~ inputs.url: "https://y.io" -> "https://x.io/h"'],
            ("inputs",),
        ),
        (
            {"inputs": {**body_of(HOOK, NONE)["inputs"], "extra": {"value": 1}}},
            ["- inputs.extra: 1"],
            ("inputs",),
        ),
        (
            {"inputs": {**body_of(HOOK, NONE)["inputs"], "debug": {}}},
            ["+ inputs.debug: false"],
            ("inputs",),
        ),
        (
            {"inputs": {**body_of(HOOK, NONE)["inputs"], "debug": {"value": 0}}},
            ["~ inputs.debug: 0 -> false"],
            ("inputs",),
        ),
    ],
    ids=["name", "enabled", "masking", "foreign", "unmarked", "flag", "none", "url", "extra", "missing", "type"],
)
def test_difference_is_told_by_field(changes: dict[str, Any], lines: list[str] | None, fields: tuple[str, ...]) -> None:
    """Each difference has a line of its own, and names the field that must be sent."""
    found = diff(WANTED, live(**changes))

    assert fields == found.fields
    assert lines is None or lines == str(found).splitlines()


@pytest.mark.parametrize(
    "entry",
    [{"id": "e", "order": 0, "properties": []}, {"type": "events"}],
    ids=["without a type", "without an id"],
)
def test_entry_that_posthog_misreads_is_a_difference(entry: dict[str, Any]) -> None:
    """Entries without type or id look the same on the page and fire otherwise (reference 3.2)."""
    broken = {**body_of(HOOK, NONE)["filters"], "events": [entry, {"id": "f", "type": "events"}]}

    assert ("filters",) == diff(WANTED, live(filters=broken)).fields


def test_changed_secret_is_noticed_without_reading_it() -> None:
    """Another fingerprint means that inputs and mark must be sent, and no secret is shown."""
    hook = Webhook("c", url="https://x.io", events=["e"], headers={"X-Key": "${env:K}"})
    old, new = (Secrets({SecretRef("env", "K"): value}) for value in ("old-value", "new-value"))

    found = diff(normalise(body_of(hook, new)), normalise(body_of(hook, old)))

    assert ("description", "inputs") == found.fields
    assert ['~ secrets: "(as stored)" -> "(changed here)"'] == str(found).splitlines()
    assert not diff(normalise(body_of(hook, new)), normalise(body_of(hook, new)))


def test_secrets_of_an_adopted_destination_are_sent() -> None:
    """Nobody knows which secrets a destination has that was not ours."""
    hook = Webhook("c", url="https://x.io", events=["e"], headers={"X-Key": "${env:K}"})
    body = body_of(hook, Secrets({SecretRef("env", "K"): "v"}))

    assert "inputs" in diff(normalise(body), normalise({**body, "description": ""})).fields


def test_value_that_becomes_secret_is_hidden() -> None:
    """A live URL in plain that will be a secret is not printed on its way there."""
    plain = Webhook("c", url="https://x.io/private", events=["e"])
    hidden = Webhook("c", url="${env:U}", events=["e"])
    secrets = Secrets({SecretRef("env", "U"): "https://x.io/private"})

    found = diff(normalise(body_of(hidden, secrets)), normalise(body_of(plain, secrets)))

    assert Change("inputs.url", "(hidden)", "(secret)") in found.changes
    assert "private" not in str(found)


def test_live_secrets_in_plain_are_redacted() -> None:
    """Whatever a person typed into PostHog, a plan does not repeat it."""
    assert {
        "Authorization": "(secret)",
        "X": "(a Slack token)",
        "Y": "ok",
        "list": ["(a PostHog key)"],
    } == redacted({"Authorization": "abc", "X": "xoxb-1-a", "Y": "ok", "list": ["phx_abcdefghij12"]})


def test_long_values_are_cut() -> None:
    """A line of a plan can be read."""
    assert str(Change("inputs.body", "x" * 500, "y")).startswith('~ inputs.body: "xxx')
    assert len(str(Change("inputs.body", "x" * 500, "y"))) < 250


def test_what_the_server_fills_in_is_no_difference() -> None:
    """A required input with a default is filled in by PostHog (reference 2.1)."""
    schema = [{"key": "text", "type": "string", "required": True, "default": "hi"}]
    base = {"template_id": "template-x", "name": "n", "description": ""}

    assert normalise({**base, "inputs": {}}, schema=schema) == normalise(
        {**base, "inputs": {"text": {"value": "hi"}}, "inputs_schema": schema}
    )


def test_liquid_stays_liquid() -> None:
    """How an input is templated is part of what it says."""
    row = live(inputs={**body_of(HOOK, NONE)["inputs"], "url": {"value": "https://x.io/h", "templating": "liquid"}})

    assert ("inputs",) == diff(WANTED, row).fields


def test_names_of_properties_are_shown() -> None:
    """In a condition, and in the schema of an input, `key` says which one; a secret in it is still none to show."""
    condition = {"key": "plan", "type": "event", "operator": "exact", "value": "xoxb-1-a"}
    schema = {"key": "channel", "type": "integration_field", "integration_key": "slack_workspace", "label": "Channel"}

    assert {**condition, "value": "(a Slack token)"} == redacted(condition)
    assert schema == redacted(schema)
    assert {"key": "(secret)"} == redacted({"key": "abc"})


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"key": "b"}, '~ filters.properties[0].key: "b" -> "a"'),
        ({"operator": "gt"}, '~ filters.properties[0].operator: "gt" -> "exact"'),
        ({"type": "person"}, '~ filters.properties[0].type: "person" -> "event"'),
        ({"value": 2}, "~ filters.properties[0].value: 2 -> 1"),
    ],
    ids=["key", "operator", "type", "value"],
)
def test_condition_differs_in_any_of_its_parts(change: dict[str, Any], line: str) -> None:
    """Also when the value is the same."""
    filters = body_of(HOOK, NONE)["filters"]
    first, second = filters["properties"]

    found = diff(WANTED, live(filters={**filters, "properties": [{**first, **change}, second]}))

    assert ("filters",) == found.fields
    assert line == str(found)


def test_every_part_of_a_body_counts() -> None:
    """Even where its keys are called like those around it."""
    before = body_of(HOOK, NONE)
    wanted = {**before, "inputs": {**before["inputs"], "body": {"value": {"value": 1, "secret": False, "n": 1}}}}
    row = {**before, "inputs": {**before["inputs"], "body": {"value": {"value": 1, "secret": False, "n": True}}}}

    assert ("inputs",) == diff(normalise(wanted), normalise(row)).fields
