"""Rows of PostHog's API as other people leave them there: written by hand after reference 1.3, 2 and 3."""

from __future__ import annotations

import copy
from typing import Any

__all__ = ["DISCORD_URL", "SLACK_URL", "row_of", "value"]

SLACK_URL = "https://hooks.slack.com/services/T000/B000/XXXX"
DISCORD_URL = "https://discord.com/api/webhooks/123456/abcdef"
JSON = {"Content-Type": "application/json"}
_CODE = "return fetch(inputs.url)"
_SCHEMAS: dict[str, list[dict[str, Any]]] = {
    "template-webhook": [
        {"key": "url", "type": "string", "label": "Webhook URL", "required": True, "secret": False},
        {"key": "method", "type": "choice", "required": False, "secret": False, "default": "POST"},
        {"key": "body", "type": "json", "required": False, "secret": False},
        {"key": "headers", "type": "dictionary", "required": False, "secret": False},
        {"key": "debug", "type": "boolean", "required": False, "secret": False, "default": False},
    ],
    "template-slack": [
        {"key": "slack_workspace", "type": "integration", "integration": "slack", "required": True, "secret": False},
        {"key": "channel", "type": "integration_field", "required": True, "secret": False},
        {"key": "icon_emoji", "type": "string", "default": ":hedgehog:", "secret": False},
        {"key": "username", "type": "string", "default": "PostHog", "secret": False},
        {"key": "blocks", "type": "json", "secret": False},
        {"key": "text", "type": "string", "secret": False},
    ],
    "template-discord": [
        {"key": "webhookUrl", "type": "string", "required": True, "secret": False},
        {"key": "content", "type": "string", "required": True, "secret": False, "default": "**{person.name}**"},
    ],
    "template-zapier": [{"key": "hook", "type": "string", "required": True, "secret": False}],
}


def value(given: Any, *, order: int = 0) -> dict[str, Any]:
    """Return an input as the server shows it."""
    return {"value": given, "order": order, "bytecode": ["_H", 1, 32, "x"], "bytecode_contract": {"v": 1}}


def row_of(template: str = "template-webhook", **changes: Any) -> dict[str, Any]:
    """Return the row of a webhook made on PostHog's page, with changes; an input that is None is left out."""
    inputs = {
        "url": value("https://crm.example.com/posthog"),
        "method": value("POST", order=1),
        "body": value({"event": "{event}", "person": "{person}"}, order=2),
        "headers": value(JSON, order=3),
        "debug": value(False, order=4),
    }
    inputs = inputs if template == "template-webhook" else {}
    inputs |= changes.pop("inputs", {})
    schema = copy.deepcopy(_SCHEMAS.get(template, []))
    row = {
        "id": "0198f2a4-0000-7000-8000-000000000001",
        "type": "destination",
        "name": "Signups to CRM",
        "description": "Sends an event to a URL",
        "enabled": True,
        "deleted": False,
        "hog": _CODE,
        "inputs_schema": schema,
        "inputs": {name: item for name, item in inputs.items() if item is not None},
        "filters": {
            "source": "events",
            "events": [{"id": "user_signed_up", "name": "user_signed_up", "type": "events", "order": 0}],
            "actions": [],
            "bytecode": ["_H", 1],
            "filter_test_accounts": True,
        },
        "mappings": None,
        "masking": None,
        "icon_url": "/static/posthog-icon.svg",
        "template": {"id": template, "name": "HTTP Webhook", "code": _CODE + "\n", "inputs_schema": schema},
        "status": {"state": 1, "tokens": 10_000},
        "execution_order": None,
        "created_at": "2026-08-20T10:15:30Z",
        "updated_at": "2026-08-20T10:15:30Z",
        "draft": None,
    }
    return {**row, **changes}
