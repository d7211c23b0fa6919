"""The messages that PostHog's templates make of their inputs, as they are posted.

Source: reference 2.2 and 7.2 (PostHog/posthog: nodejs/src/cdp/templates/_destinations, read August 2026). The newest
Slack template cuts what Slack would refuse; older ones do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["SLACK_URL", "discord_body", "slack_body", "teams_body"]

SLACK_URL: Final = "https://slack.com/api/chat.postMessage"
MAX_BLOCKS: Final = 50
MAX_SECTION_CHARS: Final = 3_000
MAX_BUTTON_CHARS: Final = 75

_MENTIONS: Final = {"everyone": ["everyone", "roles", "users"], "roles_users": ["roles", "users"]}


def slack_body(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `template-slack` posts."""
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
    return body


def discord_body(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `template-discord` posts."""
    mentions = _MENTIONS.get(str(inputs.get("allowedMentions")), [])
    return {"content": inputs.get("content"), "allowed_mentions": {"parse": mentions}}


def teams_body(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `template-microsoft-teams` posts."""
    text = {"type": "TextBlock", "text": inputs.get("text"), "wrap": True}
    card = {"type": "AdaptiveCard", "version": "1.2", "body": [text]}
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _clipped(block: Any) -> Any:
    if not isinstance(block, Mapping):
        return block
    block = _clipped_text(block, MAX_SECTION_CHARS)
    if isinstance(block.get("elements"), list):
        block = {**block, "elements": [_clipped_text(element, MAX_BUTTON_CHARS) for element in block["elements"]]}
    return block


def _clipped_text(node: Any, most: int) -> Any:
    text = node.get("text") if isinstance(node, Mapping) else None
    inner = text.get("text") if isinstance(text, Mapping) else None
    if text is None or not isinstance(inner, str) or len(inner) <= most:
        return node
    return {**node, "text": {**text, "text": inner[: most - 1] + "…"}}
