"""What each kind of destination declares beside the keys that all have, and the inputs it becomes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from posthog_events.destinations import templates
from posthog_events.destinations.addresses import url_fault
from posthog_events.destinations.lifting import lift_secrets
from posthog_events.destinations.model import AUTO, SecretRef, find_references
from posthog_events.destinations.secrets import secret_header
from posthog_events.destinations.slack_limits import MAX_TEXT, check_blocks, check_text
from posthog_events.destinations.slack_message import blocks_of, fallback_of
from posthog_events.destinations.tree import TreeReader, part_at, parts_of, shown
from posthog_events.queryfiles.yamltree import Item

__all__ = ["KIND_KEYS", "Built", "build"]

KIND_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "webhook": ("url", "method", "headers", "body", "signing_secret", "debug"),
    "slack": ("channel", "workspace", "webhook_url", "message", "blocks", "text", "username", "icon"),
    "discord": ("webhook_url", "message", "allowed_mentions"),
    "teams": ("webhook_url", "message"),
    "template": ("template", "inputs"),
}
"""The keys of each kind."""

MAX_DISCORD: Final = 2_000
"""Characters of a Discord message. Source: Discord's documentation of webhooks, `content`."""

MAX_TEAMS: Final = 28_000
"""Bytes of a Teams message, about. Source: Microsoft's documentation of incoming webhooks (28 KB)."""

_CHANNEL = re.compile(r"[CGD][A-Z0-9]{7,}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_MENTIONS = ("none", "roles_users", "everyone")


@dataclass(frozen=True, slots=True)
class Built:
    """The part of a destination that its kind decides."""

    template_id: str
    inputs: Mapping[str, Any]
    inputs_schema: tuple[Mapping[str, Any], ...] | None = None


def build(reader: TreeReader, kind: str, item: Item, parts: dict[str, Item], name: str) -> Built:
    """Return the inputs of a destination of `kind`; what is wrong goes to `reader`."""
    return _BUILDERS[kind](reader, item, parts, name)


def _webhook(reader: TreeReader, item: Item, parts: dict[str, Item], _name: str) -> Built:
    method = reader.text(parts["method"], "method").upper() if "method" in parts else "POST"
    if method not in templates.METHODS:
        reader.fault(parts["method"], f"method is one of {', '.join(templates.METHODS)}")
    inputs: dict[str, Any] = {"url": "", "method": method}
    if "url" not in parts:
        reader.fault(item, "a webhook needs a `url`")
    else:
        inputs["url"] = _url(reader, parts["url"])
    if method == "GET" and "body" in parts:
        reader.fault(parts["body"], "a GET request carries no body; use POST, or leave `body` out")
    elif method != "GET":
        inputs["body"] = parts["body"].plain() if "body" in parts else dict(templates.WEBHOOK_BODY)
    inputs["headers"] = _headers(reader, parts.get("headers"))
    inputs["debug"] = reader.flag(parts["debug"], "debug") if "debug" in parts else False
    if "signing_secret" in parts:
        inputs["signing_secret"] = _reference(reader, parts["signing_secret"], "signing_secret")
    lifted, schema = lift_secrets(inputs, templates.SCHEMAS[templates.WEBHOOK])
    return Built(templates.WEBHOOK, lifted, schema)


def _slack(reader: TreeReader, item: Item, parts: dict[str, Item], name: str) -> Built:
    blocks, text = _slack_message(reader, item, parts, name)
    if "webhook_url" in parts:
        for other in ("channel", "workspace", "username", "icon"):
            if other in parts:
                reader.fault(parts[other], f"`{other}` is fixed by the Slack app of the webhook; leave it out")
        inputs = {
            "url": _reference(reader, parts["webhook_url"], "webhook_url"),
            "method": "POST",
            "body": {"text": text, "blocks": blocks},
            "headers": dict(templates.JSON_HEADERS),
            "debug": False,
        }
        lifted, schema = lift_secrets(inputs, templates.SCHEMAS[templates.WEBHOOK])
        return Built(templates.WEBHOOK, lifted, schema)
    if "channel" not in parts:
        reader.fault(item, "slack needs a `channel` (its id, C...), or a `webhook_url`")
    return Built(
        templates.SLACK,
        {
            "slack_workspace": _workspace(reader, parts.get("workspace")),
            "channel": _channel(reader, parts["channel"]) if "channel" in parts else "",
            "icon_emoji": _icon(reader, parts["icon"]) if "icon" in parts else ":hedgehog:",
            "username": reader.text(parts["username"], "username", max_chars=80) if "username" in parts else "PostHog",
            "blocks": blocks,
            "text": text,
        },
    )


def _discord(reader: TreeReader, item: Item, parts: dict[str, Item], _name: str) -> Built:
    mentions = reader.text(parts["allowed_mentions"], "allowed_mentions") if "allowed_mentions" in parts else "none"
    if mentions not in _MENTIONS:
        reader.fault(parts["allowed_mentions"], f"allowed_mentions is one of {', '.join(_MENTIONS)}")
    inputs = {
        "webhookUrl": _webhook_url(reader, item, parts),
        "content": _message(reader, item, parts, most=MAX_DISCORD),
        "allowedMentions": mentions,
    }
    return Built(templates.DISCORD, *lift_secrets(inputs, templates.SCHEMAS[templates.DISCORD]))


def _teams(reader: TreeReader, item: Item, parts: dict[str, Item], _name: str) -> Built:
    inputs = {
        "webhookUrl": _webhook_url(reader, item, parts),
        "text": _message(reader, item, parts, most=MAX_TEAMS),
    }
    return Built(templates.TEAMS, *lift_secrets(inputs, templates.SCHEMAS[templates.TEAMS]))


def _template(reader: TreeReader, item: Item, parts: dict[str, Item], _name: str) -> Built:
    template = reader.text(parts["template"], "template") if "template" in parts else ""
    if not template:
        reader.fault(item, "the kind template needs a `template`: its id in PostHog, such as template-zapier")
    given = reader.mapping(parts["inputs"], "inputs") if "inputs" in parts else ()
    inputs: dict[str, Any] = {}
    for key, part in given:
        value = part.plain()
        inputs[key.name] = (isinstance(value, str) and SecretRef.parse(value)) or value
        if not isinstance(inputs[key.name], SecretRef):
            _no_references(reader, part, f"the input `{key.name}`, unless it is all of it")
    schema = templates.SCHEMAS.get(template)
    for path, message in templates.check_inputs(inputs, schema) if schema else ():
        reader.fault(part_at(parts["inputs"], path) if "inputs" in parts else item, message)
    return Built(template, inputs)


_BUILDERS: Mapping[str, Callable[[TreeReader, Item, dict[str, Item], str], Built]] = {
    "webhook": _webhook,
    "slack": _slack,
    "discord": _discord,
    "teams": _teams,
    "template": _template,
}


# -- parts ----------------------------------------------------------------------------------------------------------


def _url(reader: TreeReader, item: Item) -> str:
    text = reader.text(item, "url")
    if text and SecretRef.parse(text) is None and (message := url_fault(text)):
        reader.fault(item, message)
    return text


def _headers(reader: TreeReader, item: Item | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    for key, part in reader.mapping(item, "headers") if item is not None else ():
        if key.name.lower() in {name.lower() for name in headers}:
            reader.fault(key, f"the header `{key.name}` is here twice; upper and lower case mean the same")
        elif not _HEADER.fullmatch(key.name):
            reader.fault(key, f"`{key.name}` cannot name a header")
        if not isinstance(part.content, str):
            reader.fault(part, f"the header `{key.name}` must be a text, not {shown(part)}: PostHog drops all else")
            continue
        if "\n" in part.content or "\r" in part.content:
            reader.fault(part, f"the header `{key.name}` has a line break in it")
        if secret_header(key.name, part.content):
            reader.fault(part, f"the header `{key.name}` looks like a secret; give it by reference: ${{env:NAME}}")
        headers[key.name] = part.content
    if "content-type" not in {name.lower() for name in headers}:
        # headers that are given replace the template's, content type included
        headers = {**templates.JSON_HEADERS, **headers}
    return headers


def _reference(reader: TreeReader, item: Item, what: str) -> str:
    text = reader.text(item, what)
    if text and SecretRef.parse(text) is None:
        reader.fault(item, f"{what} is a secret; give it by reference: {what}: ${{env:NAME}}")
    return text


def _webhook_url(reader: TreeReader, item: Item, parts: dict[str, Item]) -> str:
    if "webhook_url" not in parts:
        reader.fault(item, "there is no `webhook_url`; give it by reference: webhook_url: ${env:NAME}")
        return ""
    return _reference(reader, parts["webhook_url"], "webhook_url")


def _message(reader: TreeReader, item: Item, parts: dict[str, Item], *, most: int) -> str:
    if "message" not in parts:
        reader.fault(item, "there is no `message`")
        return ""
    text = reader.text(parts["message"], "message")
    _no_references(reader, parts["message"], "a message")
    if wrong := check_text(text, most=most, what="message"):
        reader.fault(parts["message"], wrong)
    return text


def _slack_message(
    reader: TreeReader, item: Item, parts: dict[str, Item], name: str
) -> tuple[list[dict[str, Any]], str]:
    """Return the blocks of a Slack message and the text that stands for them."""
    for part in ("message", "blocks", "text"):
        if part in parts:
            _no_references(reader, parts[part], "a message")
    if ("message" in parts) == ("blocks" in parts):
        reader.fault(item, "slack needs a `message`, or `blocks`; one of them")
    text = reader.text(parts["text"], "text") if "text" in parts else ""
    if "blocks" in parts:
        whole = parts["blocks"]
        blocks = [part.plain() for part in reader.items(whole, "blocks")]
        if isinstance(whole.content, tuple) and not blocks:
            reader.fault(whole, "blocks must hold a block")
        where = whole
    else:
        where = parts.get("message", item)
        message = reader.text(where, "message") if "message" in parts else ""
        blocks = blocks_of(message) if message else []
        text = text or message
    for path, wrong in check_blocks(blocks):
        reader.fault(part_at(where, path), wrong)
    if wrong_text := check_text(text, most=MAX_TEXT, what="text"):
        reader.fault(parts.get("text", where), wrong_text)
    return blocks, text or fallback_of(blocks, name)


def _channel(reader: TreeReader, item: Item) -> str:
    text = reader.text(item, "channel")
    if not text or _CHANNEL.fullmatch(text):
        return text
    if "|" in text:
        reader.fault(item, "a channel is its id alone (C...); `id|name` is for PostHog's subscriptions")
    elif re.fullmatch(r"[UW][A-Z0-9]{7,}", text):
        reader.fault(item, "this is the id of a person; a channel's begins with C")
    else:
        reader.fault(
            item,
            "a channel is given by its id (C...), which survives renaming; in Slack: channel details, at the bottom",
        )
    return text


def _workspace(reader: TreeReader, item: Item | None) -> Any:
    if item is None or item.content == AUTO.value:
        return AUTO
    if isinstance(item.content, bool) or not isinstance(item.content, int) or item.content < 1:
        reader.fault(item, f"workspace is the number of the Slack integration in PostHog, or `auto`, not {shown(item)}")
        return AUTO
    return item.content


def _icon(reader: TreeReader, item: Item) -> str:
    text = reader.text(item, "icon")
    if text and "{" not in text and not re.fullmatch(r":[^\s:]+(?:::skin-tone-[2-6])?:", text):
        reader.fault(item, "icon is an emoji's name between colons, such as :tada:")
    return text


def _no_references(reader: TreeReader, item: Item, what: str) -> None:
    """Refuse references to secrets in the texts of an item."""
    for part in parts_of(item):
        _no_references(reader, part, what)
    if isinstance(item.content, str) and find_references(item.content):
        reader.fault(item, f"a secret cannot be used in {what}")
