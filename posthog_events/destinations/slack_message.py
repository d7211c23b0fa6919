"""What a Slack message says: a plain text becomes a block, blocks get a text for notifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["blocks_of", "fallback_of"]


def blocks_of(message: str) -> list[dict[str, Any]]:
    """Return a plain message (Slack's mrkdwn, with expressions) as blocks."""
    return [{"type": "section", "text": {"type": "mrkdwn", "text": message}}]


def fallback_of(blocks: Sequence[Any], name: str) -> str:
    """Return the text that stands for blocks in notifications and for screen readers.

    It is the text of the first block that has any, else `name`.
    """
    for block in blocks:
        text = block.get("text") if isinstance(block, Mapping) else None
        if isinstance(text, Mapping):
            text = text.get("text")
        if isinstance(text, str) and text.strip():
            return text
    return name
