"""The request that a template's code makes of resolved inputs, as far as the code is known here.

Source: reference 2.1, 2.2, 6 and 7; PostHog/posthog:nodejs/src/cdp/templates/_destinations (2026-08).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from posthog_events.destinations import templates
from posthog_events.destinations.simulate.model import RenderedRequest
from posthog_events.destinations.simulate.preview import preview
from posthog_events.destinations.slack_limits import MAX_BLOCKS, MAX_SECTION, check_blocks

__all__ = ["rendered"]

SLACK_URL: Final = "https://slack.com/api/chat.postMessage"
MAX_BUTTON: Final = 75
"""Characters of a button to which the newest template cuts; as for blocks and sections."""

_SLACK_WEBHOOK = ("hooks.slack.com", "hooks.slack-gov.com")
_MENTIONS = {"everyone": ["everyone", "roles", "users"], "roles_users": ["roles", "users"]}


def rendered(template_id: str, inputs: Mapping[str, Any], *, is_slack: bool = False) -> RenderedRequest | None:
    """Return the request; None for a template whose code is not known here.

    Args:
        is_slack: The destination was declared as Slack, and a webhook's body is a message.
    """
    if template_id == templates.WEBHOOK:
        return _webhook(inputs, is_slack)
    if template_id == templates.SLACK:
        return _slack(inputs)
    if template_id == templates.DISCORD:
        mentions = _MENTIONS.get(str(inputs.get("allowedMentions")), [])
        body = {"content": inputs.get("content"), "allowed_mentions": {"parse": mentions}}
        return _posted(inputs.get("webhookUrl"), body, str(inputs.get("content")))
    if template_id == templates.TEAMS:
        block = {"type": "TextBlock", "text": inputs.get("text"), "wrap": True}
        card = {"type": "AdaptiveCard", "version": "1.2", "body": [block]}
        attachment = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": card,
        }
        return _posted(inputs.get("webhookUrl"), {"type": "message", "attachments": [attachment]}, str(block["text"]))
    return None


def _posted(url: Any, body: Any, shown: str) -> RenderedRequest:
    return RenderedRequest("POST", str(url), dict(templates.JSON_HEADERS), body, shown)


def _webhook(inputs: Mapping[str, Any], is_slack: bool) -> RenderedRequest:
    method = str(inputs.get("method") or "POST").upper()
    given = inputs.get("headers") or templates.JSON_HEADERS
    # what is no text is not sent
    headers = {str(name): value for name, value in given.items() if isinstance(value, str)}
    if secret := inputs.get("signing_secret"):
        headers |= {
            "webhook-id": "(one for each delivery)",
            "webhook-timestamp": "(seconds since 1970 of each attempt)",
            "webhook-signature": f"v1,(made with {secret})",
        }
    body = None if method in ("GET", "HEAD") else inputs.get("body") or None
    url = str(inputs.get("url"))
    if isinstance(body, Mapping) and (is_slack or any(host in url for host in _SLACK_WEBHOOK)):
        return RenderedRequest(method, url, headers, body, preview(body), _refusals(body.get("blocks")))
    return RenderedRequest(method, url, headers, body)


def _slack(inputs: Mapping[str, Any]) -> RenderedRequest:
    blocks = inputs.get("blocks")
    body = {
        "channel": inputs.get("channel"),
        "icon_emoji": inputs.get("icon_emoji"),
        "username": inputs.get("username"),
        "blocks": [_clipped(block) for block in blocks[:MAX_BLOCKS]] if isinstance(blocks, list) else blocks,
        "text": inputs.get("text"),
    }
    if inputs.get("thread_ts"):
        body["thread_ts"] = inputs["thread_ts"]
    headers = {"Authorization": "Bearer (the token of the Slack workspace)", "Content-Type": "application/json"}
    return RenderedRequest("POST", SLACK_URL, headers, body, preview(body), _refusals(blocks))


def _refusals(blocks: Any) -> tuple[str, ...]:
    """Return what Slack would refuse of the blocks before the template cuts them, as older ones do not."""
    if not isinstance(blocks, list):
        return ()
    return tuple(f"blocks{''.join(f'[{key!r}]' for key in path)}: {message}" for path, message in check_blocks(blocks))


def _clipped(block: Any) -> Any:
    if not isinstance(block, Mapping):
        return block
    block = _clipped_text(block, MAX_SECTION)
    if isinstance(block.get("elements"), list):
        block = {**block, "elements": [_clipped_text(element, MAX_BUTTON) for element in block["elements"]]}
    return block


def _clipped_text(node: Any, most: int) -> Any:
    text = node.get("text") if isinstance(node, Mapping) else None
    inner = text.get("text") if isinstance(text, Mapping) else None
    if text is None or not isinstance(inner, str) or len(inner) <= most:
        return node
    return {**node, "text": {**text, "text": inner[: most - 1] + "…"}}
