"""Laws of declarations: they survive being written, sent, stored by PostHog and read back."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_events.destinations import (
    Destination,
    Discord,
    Secrets,
    Slack,
    Teams,
    Webhook,
    body_of,
    declared_body,
    diff,
    normalise,
    parse_declarations,
    yaml_of,
)
from posthog_events.destinations.conditions import check_property, condition_text, parse_condition
from posthog_events.destinations.marker import split_description
from posthog_events.destinations.templates import SCHEMAS

# a text in a message is Hog, so no braces; what looks like a secret has its own tests
plain = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="{}$\\\u2028\u2029\ufeff\ufffe\uffff"),
    max_size=12,
).filter(lambda text: "://" not in text and "=" not in text)
said = plain.filter(lambda text: text.strip() == text and text != "")
message = st.one_of(said, st.just("{event.event}"), st.tuples(said, said).map(" {person.name ?? 'x'} ".join))
# other characters than those of the secrets below, so that finding one of these anywhere is a leak
word = st.text("abcdefg_-.$ ", min_size=1, max_size=8).map(str.strip).filter(bool)
number = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6, allow_nan=False).filter(lambda x: x != 0))
scalar = st.one_of(st.booleans(), number, said)
# one condition for each property, so that no two exclude each other
place = st.one_of(
    st.just({"type": "event"}),
    st.just({"type": "person"}),
    st.integers(0, 4).map(lambda index: {"type": "group", "group_type_index": index}),
)


def _conditions(key: str) -> st.SearchStrategy[dict[str, Any]]:
    operand = st.one_of(
        st.tuples(st.sampled_from(["exact", "is_not"]), st.one_of(scalar, st.lists(scalar, min_size=2, max_size=3))),
        st.tuples(st.sampled_from(["gt", "gte", "lt", "lte"]), number),
        st.tuples(st.sampled_from(["icontains", "not_icontains"]), said.filter(lambda text: bool(text.strip("%")))),
        st.tuples(
            st.sampled_from(["regex", "not_regex"]),
            st.sampled_from([r"^\d+$", "a|b", "[x, y]", '"q"', "'", " a ", '"a']),
        ),
    )
    valued = st.builds(lambda where, pair: {"key": key, "operator": pair[0], "value": pair[1], **where}, place, operand)
    unary = st.builds(
        lambda where, operator: {"key": key, "operator": operator, **where},
        place,
        st.sampled_from(["is_set", "is_not_set"]),
    )
    return st.one_of(valued, unary)


conditions = st.lists(word, unique=True, max_size=3).flatmap(
    lambda keys: st.tuples(*(_conditions(key) for key in keys)).map(list)
)
entries = st.lists(word, unique=True, min_size=1, max_size=3).flatmap(
    lambda names: st.tuples(
        *(conditions.map(lambda found, name=name: {"event": name, "where": found} if found else name) for name in names)
    ).map(list)
)
json_value = st.recursive(
    st.one_of(st.none(), st.booleans(), number, message),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(word, inner, max_size=3)),
    max_leaves=6,
)
common = {
    "events": entries,
    "exclude_test_accounts": st.booleans(),
    "enabled": st.booleans(),
    "description": st.one_of(st.none(), said),
    "once_per": st.one_of(
        st.none(),
        st.fixed_dictionaries(
            {
                "key": st.sampled_from(["person", "all", "distinct_id", "{event.properties.plan}"]),
                "interval": st.integers(60, 86_400).map("{}s".format),
            },
            optional={"every": st.integers(1, 1000)},
        ),
    ),
}
key = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True)
secret_text = st.sampled_from(["${env:ONE}", "Bearer ${env:TWO}", "${keyring:three}", "${env:ONE}-${env:TWO}"])
webhooks = st.builds(
    Webhook,
    said,
    key=key,
    url=st.sampled_from(["https://x.io/h", "${env:URL}", "https://x.io/{event.event}?k=${env:ONE}"]),
    method=st.sampled_from(["POST", "PUT", "DELETE"]),
    headers=st.dictionaries(
        st.sampled_from(["A", "X-Secret", "Content-Type"]), st.one_of(secret_text, st.just("{event.uuid}")), max_size=3
    ),
    body=json_value,
    signing_secret=st.sampled_from([None, "${env:SIGN}"]),
    debug=st.booleans(),
    **common,
)
slacks = st.builds(
    Slack,
    said,
    key=key,
    channel=st.just("C0123ABCDEF"),
    workspace=st.one_of(st.none(), st.integers(1, 99)),
    message=message,
    username=st.one_of(st.none(), said),
    icon=st.sampled_from([None, ":tada:", "{event.properties.icon}"]),
    text=st.one_of(st.none(), said),
    **common,
)
hooks = st.builds(
    Slack,
    said,
    key=key,
    webhook_url=st.just("${env:URL}"),
    blocks=st.lists(
        st.one_of(
            st.just({"type": "divider"}),
            message.map(lambda text: {"type": "section", "text": {"type": "mrkdwn", "text": text}}),
        ),
        min_size=1,
        max_size=3,
    ),
    text=st.one_of(st.none(), said),
    **common,
)
discords = st.builds(
    Discord,
    said,
    key=key,
    webhook_url=st.just("${env:URL}"),
    message=message,
    allowed_mentions=st.sampled_from(["none", "everyone"]),
    **common,
)
teams = st.builds(Teams, said, key=key, webhook_url=st.just("${keyring:three}"), message=message, **common)
destinations = st.one_of(webhooks, slacks, hooks, discords, teams)

VALUES = {"ONE": "SECRET-1", "TWO": "SECRET-2", "URL": "https://SECRET-3.io/h", "SIGN": "whsec_U0VDUkVU"}


def secrets_of(*made: Destination) -> Secrets:
    """Return secrets that can be told from everything else."""
    return Secrets.find(made, environ=VALUES, keyring={"three": "SECRET-4"}.get)


def echo(body: Mapping[str, Any], rand: random.Random) -> dict[str, Any]:
    """Return the row that PostHog shows after it was sent `body` (reference 1.3, 1.4)."""
    row = copy.deepcopy(dict(body))
    template = row.pop("template_id")
    schema = row.get("inputs_schema") or copy.deepcopy(list(SCHEMAS[template]))
    inputs = {}
    for order, item in enumerate(schema):
        given = row["inputs"].get(item["key"])
        if given is None:
            continue  # and inputs that are not in the schema are dropped
        if item.get("secret"):
            inputs[item["key"]] = {"secret": True}
        else:
            inputs[item["key"]] = {**given, "order": order, "bytecode": ["_H", 1], "bytecode_contract": {}}
    for group in ("events", "actions"):
        rand.shuffle(row["filters"][group])
    rand.shuffle(row["filters"]["properties"])
    row["filters"] |= {"bytecode": ["_H", 1], "bytecode_error": None, "transpiled": None}
    if row["masking"]:
        row["masking"] |= {"bytecode": ["_H", 1]}
    return {
        **row,
        "id": "0198f2a4-0000-7000-8000-000000000001",
        "inputs": inputs,
        "inputs_schema": schema,
        "template": {"id": template, "code": "...", "inputs_schema": list(SCHEMAS[template])},
        "hog": "...",
        "icon_url": "/static/x.png",
        "mappings": None,
        "execution_order": None,
        "status": {"state": 1, "tokens": 10_000},
        "created_at": "2026-08-20T10:15:30Z",
        "updated_at": "2026-08-20T10:15:30Z",
    }


@settings(max_examples=80, deadline=None)
@given(destination=destinations)
def test_declaration_is_read_as_it_was_written(destination: Destination) -> None:
    """What Python made, a file can say: reading its text gives the same destination."""
    (read,) = parse_declarations(yaml_of([destination]))

    assert destination == read


@settings(max_examples=15, deadline=None)
@given(made=st.lists(destinations, min_size=2, max_size=4, unique_by=lambda destination: destination.key))
def test_several_declarations_share_a_file(made: list[Destination]) -> None:
    """Documents do not run into each other, whatever they say."""
    assert tuple(made) == parse_declarations(yaml_of(made))


@settings(max_examples=30, deadline=None)
@given(destination=destinations, rand=st.randoms(use_true_random=False))
def test_what_was_sent_is_no_difference_when_read_back(destination: Destination, rand: random.Random) -> None:
    """After PostHog stored a destination the diff is empty, though it adds, hides and reorders."""
    secrets = secrets_of(destination)
    row = echo(body_of(destination, secrets, slack_workspace=7), rand)
    wanted = declared_body(destination, secrets.fingerprint(destination), slack_workspace=7)

    found = diff(normalise(wanted), normalise(row))

    assert ("", ()) == (str(found), found.fields)


@settings(max_examples=30, deadline=None)
@given(destination=destinations, rand=st.randoms(use_true_random=False))
def test_normal_form_is_normal(destination: Destination, rand: random.Random) -> None:
    """Normalising twice is normalising once, for a body and for a row."""
    body = body_of(destination, secrets_of(destination), slack_workspace=7)

    for once in (normalise(body), normalise(echo(body, rand))):
        assert once == normalise(once)


@settings(max_examples=20, deadline=None)
@given(left=destinations, right=destinations)
def test_no_secret_leaves_the_body(left: Destination, right: Destination) -> None:
    """Normal forms, diffs, declarations and reprs never hold a secret, though the body does."""
    secrets = secrets_of(left, right)
    one, two = (normalise(body_of(made, secrets, slack_workspace=7)) for made in (left, right))

    shown = f"{one} {two} {diff(one, two)} {diff(one, two)!r} {left!r} {secrets!r} {yaml_of([left, right])}"

    assert not any(value in shown for value in secrets.values())


@settings(max_examples=20, deadline=None)
@given(destination=destinations)
def test_mark_tells_whose_it_is(destination: Destination) -> None:
    """Description and key come back from what was sent, whatever people wrote."""
    text, marker = split_description(body_of(destination, secrets_of(destination), slack_workspace=7)["description"])

    assert marker is not None
    assert (destination.description, destination.key) == (text, marker.key)


@settings(deadline=None)
@given(item=word.flatmap(_conditions))
def test_condition_is_read_as_it_was_written(item: dict[str, Any]) -> None:
    """Every condition of these operators has a short form, and it says the same."""
    text = condition_text(item)

    assert text is not None
    assert check_property(item) == parse_condition(text)
