"""Destinations as the text of a file: reading it gives the same destinations again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any

from posthog_events.destinations import templates
from posthog_events.destinations.conditions import condition_text
from posthog_events.destinations.declaration import MASKING_KEYS
from posthog_events.destinations.filters import ALL_EVENTS
from posthog_events.destinations.lifting import lower_secrets
from posthog_events.destinations.model import AUTO, Destination, SecretRef
from posthog_events.destinations.slack_message import blocks_of, fallback_of

__all__ = ["declaration_of", "yaml_of"]


def yaml_of(destinations: Iterable[Destination]) -> str:
    """Return the text of a file with one document for each destination."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 4_096  # a line is a value: diffs of the file stay readable
    yaml.indent(mapping=2, sequence=4, offset=2)
    texts = []
    for destination in destinations:
        out = StringIO()
        yaml.dump(declaration_of(destination), out)
        texts.append(out.getvalue())
    return "---\n".join(texts)


def declaration_of(destination: Destination) -> dict[str, Any]:
    """Return the shortest declaration that says the same."""
    said: dict[str, Any] = {"key": destination.key, "kind": destination.kind}
    if destination.name != destination.key:
        said["name"] = destination.name
    if destination.description:
        said["description"] = destination.description
    if not destination.enabled:
        said["enabled"] = False
    said["when"] = _when(destination.filters)
    if destination.masking:
        words = {template: word for word, template in MASKING_KEYS.items()}
        masking = destination.masking
        said["once_per"] = {"key": words.get(masking["hash"], masking["hash"]), "interval": _interval(masking["ttl"])}
        said["once_per"] |= {"every": masking["threshold"]} if masking.get("threshold") else {}
    return said | _kind(destination)


def _kind(destination: Destination) -> dict[str, Any]:
    inputs = destination.inputs
    if destination.kind == "template":
        given = {name: str(value) if isinstance(value, SecretRef) else value for name, value in inputs.items()}
        return {"template": destination.template_id, "inputs": given}
    plain = lower_secrets(inputs)
    match destination.kind, destination.template_id:
        case "webhook", _:
            return _webhook(plain)
        case "slack", templates.WEBHOOK:
            body = plain["body"]
            return {"webhook_url": plain["url"], **_slack_message(body["blocks"], body["text"], destination.name)}
        case "slack", _:
            own = {"channel": plain["channel"]}
            own |= {} if plain["slack_workspace"] is AUTO else {"workspace": plain["slack_workspace"]}
            own |= {} if plain["username"] == "PostHog" else {"username": plain["username"]}
            own |= {} if plain["icon_emoji"] == ":hedgehog:" else {"icon": plain["icon_emoji"]}
            return own | _slack_message(plain["blocks"], plain["text"], destination.name)
        case "discord", _:
            own = {"webhook_url": plain["webhookUrl"], "message": plain["content"]}
            mentions = plain["allowedMentions"]
            return own | ({} if mentions == "none" else {"allowed_mentions": mentions})
        case _:
            return {"webhook_url": plain["webhookUrl"], "message": plain["text"]}


def _webhook(inputs: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"url": inputs["url"]}
    if inputs["method"] != "POST":
        said["method"] = inputs["method"]
    defaults = dict(templates.JSON_HEADERS).items()
    headers = {name: value for name, value in inputs["headers"].items() if (name, value) not in defaults}
    said |= {"headers": headers} if headers else {}
    if "body" in inputs and inputs["body"] != templates.WEBHOOK_BODY:
        said["body"] = inputs["body"]
    if "signing_secret" in inputs:
        said["signing_secret"] = inputs["signing_secret"]
    return said | ({"debug": True} if inputs["debug"] else {})


def _slack_message(blocks: list[Any], text: str, name: str) -> dict[str, Any]:
    if blocks == blocks_of(text):
        return {"message": text}
    return {"blocks": blocks} | ({} if text == fallback_of(blocks, name) else {"text": text})


def _when(filters: Mapping[str, Any]) -> dict[str, Any]:
    events = [_entry(entry, "event", entry["id"] or ALL_EVENTS) for entry in filters["events"]]
    actions = [_entry(entry, "action", f"Action {entry['id']}") for entry in filters["actions"]]
    said: dict[str, Any] = {}
    if events:
        said["events"] = "all" if events == [{"event": None}] else events
    if actions:
        said["actions"] = actions
    if filters["properties"]:
        said["where"] = _where(filters["properties"])
    return said | ({"exclude_test_accounts": True} if filters["filter_test_accounts"] else {})


def _entry(entry: Mapping[str, Any], word: str, name: str) -> Any:
    said = {word: entry["id"]}
    said |= {} if entry["name"] == name else {"name": entry["name"]}
    said |= {"where": _where(entry["properties"])} if entry["properties"] else {}
    return entry["id"] if len(said) == 1 and entry["id"] is not None else said


def _where(properties: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [condition_text(item) or dict(item) for item in properties]


def _interval(seconds: int) -> str:
    size, unit = next(
        ((size, unit) for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")) if not seconds % size), (1, "s")
    )
    return f"{seconds // size}{unit}"
