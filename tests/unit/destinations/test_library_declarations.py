"""The shipped library: every declaration is sound, fires for what it is about, and says what it should.

Its twin `tests/contract/test_library_fires.py` lets each fire on the emulator.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from posthog_events.destinations import Destination, json_schema, parse_declarations, read_declarations, yaml_of
from posthog_events.destinations.library import library_folder, list_library, load_library, search_path
from posthog_events.destinations.linting import lint_destination
from posthog_events.errors import DeclarationError
from posthog_events.hog.filters import compile_filters
from posthog_events.hog.template import render_inputs
from tests.helpers.library_events import EXAMPLES, globals_of

FOLDER = Path(__file__).parents[3] / "destinations"
DECLARED: dict[str, Destination] = {one.key: one for one in read_declarations([FOLDER])}
TEST_ACCOUNTS = [{"key": "is_test", "value": ["yes"], "operator": "is_not", "type": "person"}]

each = pytest.mark.parametrize("key", EXAMPLES)


def matches(key: str, event: str, properties: Any, person: Any = None) -> bool:
    """Return whether an event fires a declaration."""
    compiled = compile_filters(DECLARED[key].filters, test_account_filters=TEST_ACCOUNTS)
    return compiled.matches(globals_of(event, properties, person)).matched


def test_every_declaration_has_an_example() -> None:
    """Reading the whole folder at once proves that each is valid and that no two have one key."""
    assert set(EXAMPLES) == set(DECLARED)


def test_every_file_says_first_what_it_is_and_what_to_change() -> None:
    """A newcomer reads the comment; the README of the folder names every file."""
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")

    for file in list_library():
        assert file.text.startswith("# ")
        assert "To change:" in file.text
        assert f"`{file.path.name}`" in readme


@pytest.mark.parametrize("file", list_library(), ids=lambda file: file.name)
def test_file_fits_the_schema_that_editors_use(file: Any) -> None:
    """Whoever copies it sees no complaint in the editor."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is in the dev extra")
    from ruamel.yaml import YAML

    for document in YAML(typ="safe", pure=True).load_all(file.text):
        jsonschema.Draft7Validator(json_schema()).validate(document)


@each
def test_declaration_survives_being_written(key: str) -> None:
    """Written and read again it is the same."""
    assert (DECLARED[key],) == parse_declarations(yaml_of([DECLARED[key]]))


@each
def test_declaration_has_no_trap(key: str) -> None:
    """Nothing in the library surprises, but for what negated conditions do with missing properties on purpose."""
    warnings = [one for one in lint_destination(DECLARED[key]) if one.level == "warning"]
    negated = [
        item for item in DECLARED[key].filters["properties"] if str(item["operator"]).startswith(("not", "is_not"))
    ]

    assert ["missing-matches"] * len(negated) == [one.code for one in warnings]


@each
def test_event_that_it_is_about_fires_it(key: str) -> None:
    """The example matches."""
    assert matches(key, EXAMPLES[key].event, EXAMPLES[key].properties)


@each
def test_near_misses_do_not_fire_it(key: str) -> None:
    """Other names, missing properties, too small amounts, other spellings, test accounts."""
    fired = [miss for miss in EXAMPLES[key].misses if matches(key, *miss)]

    assert len(EXAMPLES[key].misses) > 1
    assert [] == fired


@each
def test_test_accounts_are_kept_out_where_people_are_meant(key: str) -> None:
    """Declarations about customers leave out colleagues; the copied recipe and PostHog's own events do not ask."""
    assert EXAMPLES[key].test_account == DECLARED[key].filters["filter_test_accounts"]


@each
def test_message_reads_as_it_should(key: str) -> None:
    """The rendered text or body is the expected one, written by hand."""
    example, inputs = EXAMPLES[key], DECLARED[key].inputs
    plain = {name: value for name, value in inputs.items() if name in ("blocks", "text", "body")}
    rendered = render_inputs(plain, globals_of(example.event, example.properties))

    if example.body:
        assert example.body == rendered["body"]
    else:
        message = rendered.get("body", rendered)
        assert example.text == message["blocks"][0]["text"]["text"]
        assert message["text"]


def test_error_spike_keeps_user_text_out_of_the_markup() -> None:
    """What a user typed into an error arrives as plain text, and long texts are cut to what Slack takes."""
    example = EXAMPLES["error-spike"]
    long = {**example.properties, "name": "N" * 500, "description": "D" * 5_000}

    blocks = render_inputs(DECLARED["error-spike"].inputs["blocks"], globals_of(example.event, long))
    short = render_inputs(DECLARED["error-spike"].inputs["blocks"], globals_of(example.event, {}))

    assert ("plain_text", "N" * 120 + " is spiking") == (blocks[0]["text"]["type"], blocks[0]["text"]["text"])
    assert ("plain_text", 1_000) == (blocks[1]["text"]["type"], len(blocks[1]["text"]["text"]))
    assert ("An error is spiking", "no description") == (short[0]["text"]["text"], short[1]["text"]["text"])


def test_recipe_holds_its_secret_in_an_encrypted_input() -> None:
    """The header of the copied recipe refers to a secret input, and the Slack variant's address is one."""
    webhook, slack = DECLARED["events-webhook"], DECLARED["events-slack"]

    assert "{inputs.secret_webhook_secret}" == webhook.inputs["headers"]["X-Webhook-Secret"]
    assert {"secret_webhook_secret"} == set(webhook.secrets)
    assert {"url"} == set(slack.secrets)


def test_digest_fires_once_a_day() -> None:
    """However many events match, one delivery a day for all of them."""
    assert {"hash": "all", "ttl": 86_400, "threshold": None} == DECLARED["filter-digest"].masking


def test_library_is_listed_by_name_with_its_first_sentence() -> None:
    """What `list_library` gives is what there is in the folder."""
    listed = {file.name: file.title for file in list_library()}

    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(listed)
    assert "New signups in Slack." == listed["signup-slack"]
    assert ("events-webhook", "events-slack") == tuple(
        one.key for one in load_library("webhooks-and-events").destinations
    )


def test_unknown_name_is_answered_with_the_nearest() -> None:
    """A misspelt name is no riddle."""
    with pytest.raises(DeclarationError, match="signup-slack"):
        load_library("signup-slak")


def test_shipped_library_is_not_searched_for_what_to_apply(tmp_path: Path) -> None:
    """Own folders count, in order and once; the examples never do, not even in a checkout."""
    (tmp_path / "destinations").mkdir()
    (tmp_path / "more").mkdir()
    configured = (tmp_path / "more", tmp_path / "destinations", tmp_path / "missing", library_folder())

    assert (tmp_path / "destinations", tmp_path / "more") == search_path(configured, cwd=tmp_path)
    assert () == search_path(cwd=FOLDER.parent)
