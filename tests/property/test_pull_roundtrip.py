"""Laws of pulling: what is read from a pulled file is what is live, and no secret is ever in it."""

from __future__ import annotations

import random
import re
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_events.destinations import Destination, body_of, declared_body, diff, normalise, parse_declarations
from posthog_events.destinations.marker import split_description
from posthog_events.destinations.pulling import Pulled, pull, write_pulled
from tests.helpers.hog_rows import row_of, value
from tests.property.test_declaration_laws import (
    conditions,
    destinations,
    echo,
    entries,
    json_value,
    message,
    said,
    secrets_of,
)

PLANTED = ("sk_live_PLANTED01", "xoxb-PLANTED02", "https://hooks.slack.com/services/T0/B0/PLANTED03", "PLANTED04")


def pulled_text(rows: list[dict[str, Any]]) -> tuple[list[Pulled], str]:
    """Return what became of rows, and everything that was written."""
    pulled = pull(rows)
    with tempfile.TemporaryDirectory() as folder:
        report = write_pulled(pulled, Path(folder))
        return pulled, "---\n".join(path.read_text(encoding="utf-8") for path in report.written)


def without_mark(normal: dict[str, Any]) -> dict[str, Any]:
    """Return a normal form with a description that is only what people wrote."""
    return {**normal, "description": split_description(normal["description"])[0]}


@settings(max_examples=12, deadline=None)
@given(destination=destinations, rand=st.randoms(use_true_random=False))
def test_own_destination_comes_back(destination: Destination, rand: random.Random) -> None:
    """What we sent and PostHog stored, pulled to a file and read, is the same but for the names of its secrets."""
    secrets = secrets_of(destination)
    row = echo(body_of(destination, secrets, slack_workspace=7), rand)

    (pulled,), text = pulled_text([row])
    (read,) = parse_declarations(text)

    assert ((), ()) == (pulled.reasons, pulled.notes)
    assert (destination.key, pulled.destination) == (read.key, read)
    assert without_mark(normalise(row)) == without_mark(normalise(declared_body(read, "")))
    assert not [secret for secret in secrets.values() if secret in text]
    assert set(read.secrets.values()) == {variable.ref for variable in pulled.variables}


# -- what others made -----------------------------------------------------------------------------------------------


@st.composite
def filters_of(draw: st.DrawFn) -> dict[str, Any]:
    """Return filters as PostHog's page saves them: names, order, labels, single values in lists, a stale bytecode."""
    events = []
    for order, entry in enumerate(draw(entries)):
        named = {"event": entry} if isinstance(entry, str) else entry
        items = [noisy(draw, item) for item in named.get("where", [])]
        events.append(
            {"id": named["event"], "name": named["event"], "type": "events", "order": order, "properties": items}
        )
    return {
        "source": "events",
        "events": events,
        "actions": draw(st.sampled_from([[], [{"id": "7", "name": "Paid", "type": "actions", "order": 9}]])),
        "properties": [noisy(draw, item) for item in draw(conditions)],
        "filter_test_accounts": draw(st.booleans()),
        "bytecode": ["_H", 1],
    }


def noisy(draw: st.DrawFn, item: dict[str, Any]) -> dict[str, Any]:
    """Return a condition with what PostHog's page adds to it."""
    made = {**item, "label": draw(st.sampled_from([None, "shown"]))}
    if item.get("operator") in ("exact", "is_not", "icontains") and not isinstance(item["value"], list):
        made["value"] = draw(st.sampled_from([item["value"], [item["value"]]]))
    return made


header_values = st.one_of(st.just("{event.uuid}"), said)
rows = st.builds(
    lambda filters, inputs, **fields: row_of(filters=filters, inputs=inputs, **fields),
    filters=filters_of(),
    inputs=st.fixed_dictionaries(
        {},
        optional={
            "url": st.sampled_from([value("https://x.io/h"), value("https://x.io/{event.event}"), {"secret": True}]),
            "method": st.sampled_from([None, value("PUT"), value("GET")]),
            "body": st.one_of(st.none(), json_value.map(value)),
            "headers": st.one_of(
                st.none(), st.dictionaries(st.sampled_from(["A", "X-B", "content-type"]), header_values).map(value)
            ),
            "debug": st.sampled_from([None, value(True)]),
        },
    ),
    name=said,
    description=st.one_of(st.just(""), said),
    enabled=st.booleans(),
    masking=st.sampled_from([None, {"hash": "{event.properties.plan}", "ttl": 60, "threshold": 5, "bytecode": ["_H"]}]),
)
slack_rows = st.builds(
    lambda filters, inputs, **fields: row_of("template-slack", filters=filters, inputs=inputs, **fields),
    filters=filters_of(),
    inputs=st.fixed_dictionaries(
        {
            "slack_workspace": st.just({"value": 3}),
            "channel": st.sampled_from([value("C0123ABCDEF"), value("#general")]),
        },
        optional={
            "icon_emoji": st.just(value(":tada:")),
            "username": said.map(value),
            "text": message.map(value),
            "blocks": message.map(lambda text: value([{"type": "section", "text": {"type": "mrkdwn", "text": text}}])),
        },
    ),
    name=said,
)


@settings(max_examples=15, deadline=None)
@given(row=st.one_of(rows, slack_rows))
def test_foreign_destination_is_pulled_without_a_difference(row: dict[str, Any]) -> None:
    """Whatever people left out or PostHog's page added, applying the file changes nothing but the mark.

    Only a stored secret may keep a row out, or add defaults that are then noted: it asks for the kind webhook.
    """
    (pulled,), text = pulled_text([row])

    if pulled.destination is None or pulled.notes:
        assert row["inputs"]["url"] == {"secret": True}
        return
    (read,) = parse_declarations(text)
    found = diff(normalise(declared_body(read, ""), schema=row["inputs_schema"]), normalise(row))
    assert [] == [str(change) for change in found.changes if change.path not in ("mark", "secrets")]


@settings(max_examples=15, deadline=None)
@given(row=rows, planted=st.lists(st.sampled_from(PLANTED), min_size=1, max_size=3), data=st.data())
def test_planted_secret_never_reaches_a_file(row: dict[str, Any], planted: list[str], data: st.DataObject) -> None:
    """Secrets in plain, wherever they are: a reference that the report names stands in the file, or there is none."""
    for secret in planted:
        place = data.draw(st.sampled_from(["url", "header", "body", "deep", "text", "filter", "name", "description"]))
        # without a telling form only its name says that it is a secret
        plain = secret == "PLANTED04"
        match place:
            case "url":
                row["inputs"]["url"] = value(f"https://x.io/h?token={secret}" if plain else secret)
            case "header":
                row["inputs"]["headers"] = value({"Content-Type": "application/json", "X-Api-Key": secret})
            case "body":
                row["inputs"]["body"] = value({"token": secret, "event": "{event}"})
            case "deep":
                row["inputs"]["body"] = value({"a": [{"password": [secret]}], "event": "{event}"})
            case "text" if not plain:
                row["inputs"]["body"] = value({"a": f"{{event.event}} {secret}"})
            case "filter" if not plain:
                row["filters"]["properties"] = [{"key": "k", "value": secret, "type": "event", "operator": "exact"}]
            case "name" | "description" if not plain:
                row[place] = f"{row[place]} {secret}"

    pulled, text = pulled_text([row])

    assert not [secret for secret in PLANTED if secret in text + repr(pulled)]
    assert not re.search(r"PLANTED|planted", text + repr(pulled))
    if pulled[0].destination is not None:
        (read,) = parse_declarations(text)
        assert set(read.secrets.values()) == {variable.ref for variable in pulled[0].variables}
