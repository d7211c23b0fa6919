"""Emulated hog functions: what is stored, what is refused, and what is silently dropped."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from posthog_events.emulator.hog_state import DeliveryRules
from tests.helpers.hog_world import SECRET_SCHEMA, URL, WEBHOOK, HogServer, refused


@pytest.fixture
def server(tmp_path: Path) -> HogServer:
    """A project without functions."""
    return HogServer(tmp_path)


def secret(server: HogServer, **inputs: Any) -> Any:
    """Create a function with a secret input."""
    return server.create(inputs_schema=SECRET_SCHEMA, inputs={"url": {"value": URL}, **inputs})


def test_a_new_function_is_off_and_has_the_code_and_schema_of_its_template(server: HogServer) -> None:
    """The template is a starting point: hog and inputs_schema are copied into the row."""
    made = server.create()

    assert made["enabled"] is False
    assert made["status"] == {"state": 0, "tokens": 0}
    assert made["template"]["id"] == "template-webhook"
    assert "template_id" not in made
    assert made["hog"] == made["template"]["code"]
    keys = [item["key"] for item in made["inputs_schema"]]
    assert keys == ["url", "method", "body", "headers", "debug", "signing_secret"]


def test_defaults_of_optional_inputs_are_not_filled_in(server: HogServer) -> None:
    """Only a required input gets its default; a webhook with nothing but a URL posts no body."""
    assert list(server.create()["inputs"]) == ["url"]

    discord = server.create(template_id="template-discord", inputs={"webhookUrl": {"value": "https://discord.com/x"}})
    assert discord["inputs"]["content"]["value"] == "**{person.name}** triggered event: '{event.event}'"


def test_name_and_description_come_from_the_template(server: HogServer) -> None:
    """As long as the body has none."""
    made = server.create(name=None)

    assert (made["name"], made["description"]) == ("HTTP Webhook", "Sends what happened to HTTP Webhook")


def test_unknown_inputs_are_dropped_without_a_word(server: HogServer) -> None:
    """A key that the schema does not have is not an error."""
    made = server.create(inputs={"url": {"value": URL}, "ulr": {"value": URL}})

    assert list(made["inputs"]) == ["url"]


def test_an_older_server_drops_the_signing_secret(server: HogServer) -> None:
    """Its template has no such input; a newer one keeps it, and reads it back as a mark."""
    inputs = {"url": {"value": URL}, "signing_secret": {"value": "whsec_c2VjcmV0"}}
    assert server.create(inputs=inputs)["inputs"]["signing_secret"] == {"secret": True}

    server.state.rules = DeliveryRules(signing=False)
    assert list(server.create(inputs=inputs)["inputs"]) == ["url"]


def test_server_derived_keys_appear_in_what_is_read(server: HogServer) -> None:
    """Clients have to take them off again before they compare or write back."""
    made = server.create(masking={"hash": "{person.id}", "ttl": 60})

    assert made["inputs"]["url"].keys() == {"value", "bytecode", "order"}
    assert made["filters"].keys() == {"source", "events", "bytecode"}
    assert made["masking"].keys() == {"hash", "ttl", "threshold", "bytecode"}


def test_an_input_comes_after_those_it_refers_to(server: HogServer) -> None:
    """And a circle is refused."""
    schema = [{"key": "a", "type": "string"}, {"key": "b", "type": "string"}]
    made = server.create(inputs_schema=schema, inputs={"a": {"value": "{inputs.b}"}, "b": {"value": "x"}})
    assert {key: item["order"] for key, item in made["inputs"].items()} == {"b": 0, "a": 1}

    body = {**WEBHOOK, "inputs_schema": schema, "inputs": {"a": {"value": "{inputs.b}"}, "b": {"value": "{inputs.a}"}}}
    assert refused(server.post("hog_functions/", body)) == (400, "invalid_input", "inputs")


def test_a_wrong_inputs_schema_item_names_its_place(server: HogServer) -> None:
    """The path is joined with double underscores."""
    body = {**WEBHOOK, "inputs_schema": [{"key": "url", "type": "text"}]}

    assert refused(server.post("hog_functions/", body)) == (400, "invalid_choice", "inputs_schema__0__type")


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"inputs": {}}, "inputs__url", "This field is required."),
    ({"inputs": {"url": {"value": ""}}}, "inputs__url", "This field is required."),
    ({"inputs": {"url": {"value": 7}}}, "inputs__url", "Value must be a string."),
    ({"inputs": {"url": URL}}, "inputs__url", "Invalid data. Expected a dictionary, but got str."),
    (
        {"inputs": {"url": {"value": URL}, "debug": {"value": 1}}},
        "inputs__debug",
        "Value must be a boolean or a template string.",
    ),
    (
        {"inputs": {"url": {"value": URL}, "headers": {"value": "x"}}},
        "inputs__headers",
        "Value must be a dictionary.",
    ),
    (
        {"inputs": {"url": {"value": URL}, "debug": {"value": "{1}", "templating": "liquid"}}},
        "inputs__debug",
        "Liquid templating is not supported for boolean fields. Use Hog templating instead.",
    ),
    ({"template_id": "template-fax"}, "template_id", "No template found for id 'template-fax'"),
    (
        {"template_id": "template-email"},
        "template_id",
        "Template 'template-email' is internal and cannot be used to create a function.",
    ),
    ({"template_id": None}, "hog", "Required."),
    ({"hog": "let a := "}, "hog", "Hog code has errors."),
    (
        {"hog": "// " + "x" * 102_400},
        "hog",
        "HOG code exceeds maximum size of 100KB. Please simplify your code.",
    ),
    ({"masking": {"hash": "x", "ttl": 59}}, "masking__ttl", "Ensure this value is greater than or equal to 60."),
    ({"masking": {"hash": "x", "ttl": 86_401}}, "masking__ttl", "Ensure this value is less than or equal to 86400."),
    ({"masking": {"ttl": 60}}, "masking__hash", "This field is required."),
    ({"name": "x" * 401}, "name", "Ensure this field has no more than 400 characters."),
    ({"filters": {"events": {}}}, "filters__events", 'Expected a list of items but got type "dict".'),
    ({"mappings": [{}], "type": "internal_destination"}, "mappings", "Mappings are only allowed for destinations."),
]


@pytest.mark.parametrize(("changes", "attr", "detail"), WRONG)
def test_what_is_wrong_is_named(server: HogServer, changes: dict[str, Any], attr: str, detail: str) -> None:
    """One error per answer, with the field that it is about."""
    answer = server.post("hog_functions/", {**WEBHOOK, **changes})

    assert (400, attr, detail) == (answer.status, answer.json["attr"], answer.json["detail"])
    assert server.listed() == []


def test_a_bad_type_is_an_invalid_choice(server: HogServer) -> None:
    """And the type of a function that exists cannot change."""
    assert refused(server.post("hog_functions/", {**WEBHOOK, "type": "webhook"})) == (400, "invalid_choice", "type")

    made = server.create()
    assert refused(server.patch(made["id"], type="internal_destination")) == (400, "invalid_input", "type")


@pytest.mark.parametrize("text", ["{event.properties.plan-name", "{{ event.event }}", "{event.}"])
def test_a_template_that_does_not_parse_is_refused(server: HogServer, text: str) -> None:
    """In every depth of an input; liquid is not looked at."""
    inputs: dict[str, Any] = {"url": {"value": URL}, "body": {"value": {"a": [{"b": text}]}}}
    answer = server.post("hog_functions/", {**WEBHOOK, "inputs": inputs})
    assert refused(answer) == (400, "invalid_input", "inputs__body")
    assert answer.json["detail"].startswith("Invalid template:")

    inputs["body"]["templating"] = "liquid"
    assert server.post("hog_functions/", {**WEBHOOK, "inputs": inputs}).status == 201


def test_a_filter_that_does_not_compile_matters_only_to_a_function_that_is_on(server: HogServer) -> None:
    """Cohorts have no realtime form; to switch off or delete stays possible."""
    filters = {"properties": [{"type": "cohort", "key": "id", "value": 1}]}
    answer = server.post("hog_functions/", {**WEBHOOK, "enabled": True, "filters": filters})
    assert refused(answer) == (400, "invalid_input", "filters")
    assert answer.json["detail"].startswith("Invalid filter configuration:")

    made = server.create(filters=filters)
    assert made["filters"]["bytecode"] is None
    assert made["filters"]["bytecode_error"]
    assert server.patch(made["id"], enabled=True).status == 400
    assert server.patch(made["id"], deleted=True, enabled=True).status == 200


def test_every_update_validates_again(server: HogServer) -> None:
    """A rename fails when the project's test account filter has become one that does not compile."""
    made = server.create(enabled=True, filters={"filter_test_accounts": True})
    server.project.state["settings"] = {"test_account_filters": [{"type": "cohort", "key": "id", "value": 1}]}

    assert refused(server.patch(made["id"], name="New")) == (400, "invalid_input", "filters")
    assert server.patch(made["id"], enabled=False).status == 200


def test_an_update_replaces_each_field_as_a_whole(server: HogServer) -> None:
    """What is not in the sent inputs or filters is gone; fields that are not sent stay."""
    made = server.create(inputs={"url": {"value": URL}, "debug": {"value": True}}, description="ours")

    after = server.patch(made["id"], inputs={"url": {"value": URL + "2"}}, filters={"properties": []}).json

    assert list(after["inputs"]) == ["url"]
    assert after["inputs"]["url"]["value"] == URL + "2"
    assert "events" not in after["filters"]
    assert (after["name"], after["description"]) == ("Signups", "ours")


def test_null_filters_become_empty(server: HogServer) -> None:
    """Which means every event."""
    assert server.create(filters=None)["filters"].keys() == {"source", "bytecode"}


def test_a_secret_is_kept_apart_and_read_back_as_a_mark(server: HogServer) -> None:
    """In no answer does it appear."""
    made = secret(server, token={"value": "s3cr3t"})

    assert made["inputs"]["token"] == {"secret": True}
    assert b"s3cr3t" not in server.get("hog_functions/", {"full": "true"}).body
    row = server.state.rows[made["id"]]
    assert (row.secrets["token"]["value"], list(row.inputs)) == ("s3cr3t", ["url"])


@pytest.mark.parametrize("echo", [None, {"secret": True}, {"secret": True, "value": "********"}])
def test_a_secret_stays_when_it_is_left_out_or_echoed(server: HogServer, echo: Any) -> None:
    """Of sent inputs, and of an update without any."""
    made = secret(server, token={"value": "s3cr3t"})
    inputs = {"url": {"value": URL}, **({"token": echo} if echo else {})}

    assert server.patch(made["id"], inputs=inputs).json["inputs"]["token"] == {"secret": True}
    assert server.patch(made["id"], name="Other").status == 200
    assert server.state.rows[made["id"]].secrets["token"]["value"] == "s3cr3t"


def test_a_secret_is_rotated_by_a_new_value(server: HogServer) -> None:
    """The old one is gone."""
    made = secret(server, token={"value": "old!"})
    server.patch(made["id"], inputs={"url": {"value": URL}, "token": {"value": "new!"}})

    assert server.state.rows[made["id"]].secrets["token"]["value"] == "new!"


@pytest.mark.parametrize("echo", [{"secret": True}, {"value": "********"}])
def test_a_mark_for_a_secret_that_is_not_there_is_refused(server: HogServer, echo: Any) -> None:
    """And so is the mask itself."""
    body = {**WEBHOOK, "inputs_schema": SECRET_SCHEMA, "inputs": {"url": {"value": URL}, "token": echo}}

    assert refused(server.post("hog_functions/", body)) == (400, "invalid_input", "inputs__token")


def test_an_older_version_of_a_function_is_stale(server: HogServer) -> None:
    """`base_updated_at` is what was read; two writes in one moment still differ."""
    made = server.create()
    after = server.patch(made["id"], name="Second").json

    answer = server.patch(made["id"], name="Third", base_updated_at=made["updated_at"])
    assert (409, "stale_update") == (answer.status, answer.json["code"])
    assert server.read(made["id"])["name"] == "Second"
    assert server.patch(made["id"], name="Third", base_updated_at=after["updated_at"]).json["name"] == "Third"


def test_delete_is_soft_and_can_be_taken_back(server: HogServer) -> None:
    """A deleted function is a 404 to everything but the update that brings it back."""
    made = server.create()
    assert server.patch(made["id"], deleted=True).status == 200
    assert server.get(f"hog_functions/{made['id']}/").status == 404
    assert server.patch(made["id"], name="x").status == 404
    assert server.listed() == []

    assert server.patch(made["id"], deleted=False).status == 200
    assert server.read(made["id"])["name"] == "Signups"


def test_a_list_row_is_short_unless_full_is_asked_for(server: HogServer) -> None:
    """Without `full=true` there are no inputs to match by."""
    server.create()

    assert "inputs" not in server.listed()[0]
    assert server.listed(full="true")[0]["inputs"]["url"]["value"] == URL


def test_types_are_separated_by_commas(server: HogServer) -> None:
    """A JSON array finds nothing, and `template_id` is no parameter, so it is ignored."""
    server.create(name="one")
    server.create(name="two", type="internal_destination")

    assert {row["name"] for row in server.listed(type="destination,internal_destination")} == {"one", "two"}
    assert [row["name"] for row in server.listed(type="destination")] == ["one"]
    assert server.listed(type='["destination"]') == []
    assert len(server.listed(template_id="template-slack", types="site_app")) == 2


def test_enabled_and_id_select(server: HogServer) -> None:
    """Exactly."""
    one = server.create(name="one", enabled=True)
    two = server.create(name="two")

    assert [row["name"] for row in server.listed(enabled="true")] == ["one"]
    assert [row["name"] for row in server.listed(enabled="false")] == ["two"]
    assert [row["name"] for row in server.listed(id=two["id"])] == ["two"]
    assert [row["name"] for row in server.listed(updated_at=one["updated_at"])] == ["one"]


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ({"events": [{"id": "a"}]}, {"one", "both"}),
        ({"events": [{"id": "a"}, {"id": "b"}]}, {"both"}),
        ({"events": [{"id": "a", "type": "actions"}]}, set()),
        ({"filter_test_accounts": True}, {"both"}),
        ({"filter_test_accounts": 1}, set()),
    ],
)
def test_filters_select_by_containment(server: HogServer, part: Any, names: set[str]) -> None:
    """As PostgreSQL's `@>`: a list contains another when each element is in one of its own."""
    a, b = {"id": "a", "type": "events"}, {"id": "b", "type": "events"}
    server.create(name="one", filters={"events": [a]})
    server.create(name="both", filters={"events": [a, b], "filter_test_accounts": True})

    assert {row["name"] for row in server.listed(filters=json.dumps(part))} == names


def test_filter_groups_are_alternatives(server: HogServer) -> None:
    """And broken JSON is refused."""
    for name in ("a", "b", "c"):
        server.create(name=name, filters={"events": [{"id": name, "type": "events"}]})
    groups = json.dumps([{"events": [{"id": "a"}]}, {"events": [{"id": "c"}]}])

    assert {row["name"] for row in server.listed(filter_groups=groups)} == {"a", "c"}
    answer = server.get("hog_functions/", {"filters": "{"})
    assert (400, "filters") == (answer.status, answer.json["attr"])


def test_search_prefers_what_is_exact(server: HogServer) -> None:
    """Similar names are found only when no name contains the text."""
    server.create(name="Signups to CRM")
    server.create(name="Signup to Slack")
    server.create(name="Refunds", description="")

    assert [row["name"] for row in server.listed(search="signups to")] == ["Signups to CRM"]
    assert server.listed(search="crm")[0]["search_match_type"] == "exact"
    assert {row["search_match_type"] for row in server.listed(search="signps")} == {"similar"}
    answer = server.get("hog_functions/", {"search": "x" * 201})
    assert (400, "search") == (answer.status, answer.json["attr"])


def test_the_list_is_in_execution_order_then_the_latest_first(server: HogServer) -> None:
    """Functions without an order come last."""
    for name, order in (("old", None), ("second", 2), ("first", 1), ("new", None)):
        server.create(name=name, execution_order=order)
        server.clock.at += timedelta(minutes=1)

    assert [row["name"] for row in server.listed()] == ["first", "second", "new", "old"]


def test_the_list_is_paged(server: HogServer) -> None:
    """By limit and offset, a thousand at most."""
    for number in range(3):
        server.create(name=str(number))
    first = server.get("hog_functions/", {"limit": 2}).json
    second = server.get(first["next"]).json

    assert (first["count"], len(first["results"]), first["previous"]) == (3, 2, None)
    assert ([row["name"] for row in second["results"]], second["next"]) == (["0"], None)


def test_at_most_twenty_transformations_are_on(server: HogServer) -> None:
    """Those that are off do not count."""
    for number in range(20):
        server.create(type="transformation", template_id=None, hog="return event", enabled=True, name=str(number))
    body = {"type": "transformation", "hog": "return event", "enabled": True}

    assert refused(server.post("hog_functions/", body)) == (400, "invalid_input", "type")
    off = server.create(type="transformation", template_id=None, hog="return event")
    assert refused(server.patch(off["id"], enabled=True)) == (400, "invalid_input", "type")


def test_mappings_take_events_out_of_the_filters(server: HogServer) -> None:
    """They have filters of their own; an empty list is none at all."""
    mapping = {"name": "m", "filters": {"events": [{"id": "x", "type": "events"}]}}
    made = server.create(mappings=[mapping])

    assert "events" not in made["filters"]
    assert made["mappings"][0]["filters"]["events"] == [{"id": "x", "type": "events"}]
    assert server.create(mappings=[])["mappings"] is None


def test_integration_keys_of_a_schema_are_restored_from_the_template(server: HogServer) -> None:
    """A client that sends the schema without them does not unbind the integration."""
    schema = [
        {"key": "slack_workspace", "type": "integration", "required": True},
        {"key": "channel", "type": "integration_field", "required": True},
    ]
    inputs = {"slack_workspace": {"value": 1}, "channel": {"value": "C1"}}
    made = server.create(template_id="template-slack", inputs_schema=schema, inputs=inputs)

    assert made["inputs_schema"][0]["integration"] == "slack"
    assert made["inputs_schema"][1]["integration_key"] == "slack_workspace"
