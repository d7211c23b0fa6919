"""The JSON Schema of a declaration, for editors: completion, documentation, and the plainest mistakes while typing."""

from __future__ import annotations

from typing import Any

from posthog_events.destinations.conditions import OPERATORS, TYPES
from posthog_events.destinations.declaration import COMMON_KEYS, KEY_PATTERN, MASKING_KEYS, MAX_NAME
from posthog_events.destinations.kinds import KIND_KEYS
from posthog_events.destinations.model import KINDS
from posthog_events.destinations.templates import METHODS

__all__ = ["json_schema"]

_NEEDED = {
    "webhook": ["url"],
    "slack": [],
    "discord": ["webhook_url", "message"],
    "teams": ["webhook_url", "message"],
    "template": ["template"],
}


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 7, which editors know) of one document of a declarations file."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A PostHog destination of posthog-events",
        "type": "object",
        "required": ["key", "kind", "when"],
        "properties": {**_common(), **_own()},
        "additionalProperties": False,
        "allOf": [_of_kind(kind) for kind in KINDS],
        "definitions": {"condition": _condition(), "conditions": _one_or_more({"$ref": "#/definitions/condition"})},
    }


def _of_kind(kind: str) -> dict[str, Any]:
    then: dict[str, Any] = {"required": _NEEDED[kind], "propertyNames": {"enum": [*COMMON_KEYS, *KIND_KEYS[kind]]}}
    if kind == "slack":
        then["allOf"] = [
            {"oneOf": [{"required": ["channel"]}, {"required": ["webhook_url"]}]},
            {"oneOf": [{"required": ["message"]}, {"required": ["blocks"]}]},
        ]
    return {"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": then}


def _common() -> dict[str, Any]:
    return {
        "key": _text("Its identity; never changes.", pattern=f"^{KEY_PATTERN}$"),
        "kind": {"enum": list(KINDS), "description": "How it delivers."},
        "name": _text("What PostHog shows; the key when absent.", maxLength=MAX_NAME),
        "description": _text("What PostHog shows below the name."),
        "enabled": {"type": "boolean", "default": True, "description": "Whether it fires once applied."},
        "when": {
            "description": "Which events fire it.",
            "anyOf": [_events(), _when()],
        },
        "once_per": {
            "type": "object",
            "description": "At most one delivery per key and interval.",
            "required": ["key", "interval"],
            "additionalProperties": False,
            "properties": {
                "key": {
                    "description": "What counts as the same; a word, or a Hog expression in braces.",
                    "anyOf": [{"enum": list(MASKING_KEYS)}, {"type": "string", "pattern": r"\{"}],
                },
                "interval": _text("From 60s to 1d.", examples=["15min", "1h", "1d"]),
                "every": {"type": "integer", "minimum": 1, "description": "Also fire for every n-th event."},
            },
        },
    }


def _own() -> dict[str, Any]:
    reference = r"^\s*\$\{(env|keyring):[A-Za-z0-9_.-]+\}\s*$"
    return {
        "url": _text("https://...; ${env:NAME} when the URL is a secret."),
        "method": {"enum": list(METHODS), "default": "POST", "description": "The method of the request."},
        "headers": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Headers; secrets in them as ${env:NAME}.",
        },
        "body": {"description": "JSON with Hog expressions in braces; the event and its person when absent."},
        "signing_secret": _text("Signs deliveries (Standard Webhooks): ${env:NAME}.", pattern=reference),
        "debug": {"type": "boolean", "default": False, "description": "Log the answers."},
        "channel": _text("The channel's id (C...).", pattern="^[CGD][A-Z0-9]{7,}$"),
        "workspace": {
            "description": "The number of the Slack integration in PostHog.",
            "anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}],
        },
        "webhook_url": _text("The webhook's URL, by reference: ${env:NAME}.", pattern=reference),
        "message": _text("The text, with Hog expressions in braces."),
        "blocks": {
            "type": "array",
            "minItems": 1,
            "maxItems": 50,
            "description": "Slack's Block Kit.",
            "items": {"type": "object", "required": ["type"]},
        },
        "text": _text("What stands for the blocks in notifications."),
        "username": _text("The name the message comes from.", maxLength=80),
        "icon": _text("An emoji's name.", examples=[":tada:"]),
        "allowed_mentions": {"enum": ["none", "roles_users", "everyone"], "description": "Who may be mentioned."},
        "template": _text("The id of a template of PostHog.", examples=["template-zapier"]),
        "inputs": {"type": "object", "description": "The inputs of the template."},
    }


def _when() -> dict[str, Any]:
    conditions = {"$ref": "#/definitions/conditions"}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "events": {"anyOf": [_events(), {"const": "all"}]},
            "actions": {
                "type": "array",
                "items": {"anyOf": [{"type": ["integer", "string"]}, _entry("action", ["integer", "string"])]},
            },
            "where": {**conditions},
            "properties": {**conditions},
            "exclude_test_accounts": {"type": "boolean"},
            "filter_test_accounts": {"type": "boolean"},
            "source": {"const": "events"},
        },
    }


def _events() -> dict[str, Any]:
    return {"type": "array", "items": {"anyOf": [{"type": "string"}, _entry("event", ["string", "null"])]}}


def _entry(word: str, types: list[str]) -> dict[str, Any]:
    conditions = {"$ref": "#/definitions/conditions"}
    return {
        "type": "object",
        "additionalProperties": False,
        "oneOf": [{"required": [word]}, {"required": ["id"]}],
        "properties": {
            word: {"type": types},
            "id": {"type": types},
            "name": {"type": "string"},
            "type": {"const": f"{word}s"},
            "order": {"type": "integer"},
            "where": conditions,
            "properties": conditions,
        },
    }


def _condition() -> dict[str, Any]:
    return {
        "anyOf": [
            _text(
                "property operator value", examples=["amount >= 100", "plan is_set", "person.email icontains @x.com"]
            ),
            {
                "type": "object",
                "required": ["key"],
                "additionalProperties": False,
                "properties": {
                    "key": {"type": "string"},
                    "value": {},
                    "operator": {"enum": list(OPERATORS), "default": "exact"},
                    "type": {"enum": list(TYPES), "default": "event"},
                    "group_type_index": {"type": "integer", "minimum": 0, "maximum": 4},
                },
            },
        ]
    }


def _one_or_more(item: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"type": "string"}, {"type": "array", "items": item}]}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}
