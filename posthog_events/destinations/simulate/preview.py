"""A Slack message as plain text, for people at a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["preview"]

_LINK = re.compile(r"<((?:https?|mailto|tel):[^|>\s]+)(?:\|([^>]*))?>")
_SPECIAL = re.compile(r"<([@#!])([^|>]+)(?:\|([^>]*))?>")


def preview(message: Mapping[str, Any]) -> str:
    """Return what a reader of the message sees: its blocks, or its text where there are none."""
    blocks = message.get("blocks")
    lines = [line for block in blocks for line in _lines(block)] if isinstance(blocks, list) else []
    return "\n".join(lines) or _plain(message.get("text") or "")


def _lines(block: Any) -> Iterator[str]:
    if not isinstance(block, Mapping):
        return
    kind = block.get("type")
    if kind == "divider":
        yield "-" * 20
    elif kind == "image":
        yield f"[image: {block.get('alt_text') or block.get('image_url')}]"
    elif kind in ("actions", "context", "context_actions"):
        yield "  ".join(filter(None, (_element(element) for element in _list(block.get("elements")))))
    elif kind == "rich_text":
        yield "".join(_rich(element) for element in _list(block.get("elements")))
    else:
        if text := _text(block.get("text")):
            yield text.upper() if kind == "header" else text
        yield from filter(None, (_text(field) for field in _list(block.get("fields"))))
        if shown := _element(block.get("accessory")):
            yield shown


def _element(element: Any) -> str:
    if not isinstance(element, Mapping):
        return ""
    kind = element.get("type")
    if kind == "image":
        return f"[image: {element.get('alt_text') or element.get('image_url')}]"
    if kind in ("mrkdwn", "plain_text"):
        return _text(element)
    label = _text(element.get("text") or element.get("placeholder")) or str(kind)
    return f"[{label}]" + (f" {element['url']}" if element.get("url") else "")


def _rich(element: Any) -> str:
    if not isinstance(element, Mapping):
        return ""
    inner = "".join(_rich(one) for one in _list(element.get("elements")))
    return str(element.get("text") or element.get("url") or element.get("name") or inner)


def _text(value: Any) -> str:
    return _plain(value.get("text") if isinstance(value, Mapping) else value or "")


def _plain(text: Any) -> str:
    if not isinstance(text, str):
        return "" if text is None else str(text)
    text = _LINK.sub(lambda found: f"{found[2]} ({found[1]})" if found[2] else found[1], text)
    text = _SPECIAL.sub(lambda found: found[3] or f"{'@' if found[1] == '!' else found[1]}{found[2]}", text)
    for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, char)
    return str(text)


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
