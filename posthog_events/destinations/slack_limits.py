"""Slack's limits on a message, checked before anything is sent.

An expression counts for nothing, for its length is known only when an event comes: what is refused here is too long
whatever it renders to. Source: docs.slack.dev/reference/block-kit (blocks, block elements, composition objects) and
chat.postMessage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from posthog_events.queryfiles.params import did_you_mean

__all__ = ["MAX_BLOCKS", "MAX_SECTION", "MAX_TEXT", "check_blocks", "check_text", "fixed_length"]

MAX_BLOCKS: Final = 50
MAX_TEXT: Final = 40_000
"""Characters of the `text` of a message; Slack cuts what is longer."""

MAX_SECTION: Final = 3_000
_TEXT_OBJECT = 3_000

Wrong: TypeAlias = "tuple[tuple[str | int, ...], str]"

# block type to what it must have, and the most characters or elements of its parts
_BLOCKS: Mapping[str, tuple[tuple[str, ...], Mapping[str, int]]] = {
    "actions": (("elements",), {"elements": 25}),
    "alert": (("text",), {}),
    "card": ((), {}),
    "carousel": (("elements",), {}),
    "context": (("elements",), {"elements": 10}),
    "context_actions": (("elements",), {"elements": 5}),
    "divider": ((), {}),
    "file": (("external_id", "source"), {}),
    "header": (("text",), {"text": 150}),
    "image": (("alt_text",), {"alt_text": 2_000, "image_url": 3_000, "title": 2_000}),
    "input": (("label", "element"), {"label": 2_000, "hint": 2_000}),
    "markdown": (("text",), {"text": 12_000}),
    "plan": (("title",), {}),
    "rich_text": (("elements",), {}),
    "section": ((), {"text": MAX_SECTION, "fields": 10}),
    "table": (("rows",), {"rows": 100}),
    "task_card": (("task_id", "title"), {}),
    "video": (("alt_text", "title", "thumbnail_url", "video_url"), {"title": 200, "author_name": 50}),
}
_BUTTON = {"text": 75, "url": 3_000, "value": 2_000, "action_id": 255, "accessibility_label": 75}
_FIELD = 2_000
_BLOCK_ID = 255


def check_blocks(blocks: Sequence[Any]) -> Iterator[Wrong]:
    """Yield what Slack would refuse in the blocks of a message, and where."""
    if len(blocks) > MAX_BLOCKS:
        yield (MAX_BLOCKS,), f"Slack takes {MAX_BLOCKS} blocks in a message; these are {len(blocks)}"
    for at, block in enumerate(blocks):
        if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
            yield (at,), "a block is a mapping with a `type`"
        elif block["type"] not in _BLOCKS:
            hint = did_you_mean(block["type"], _BLOCKS) or f" (there are {', '.join(_BLOCKS)})"
            yield (at, "type"), f"Slack has no block `{block['type']}`{hint}"
        else:
            yield from (((at, *path), message) for path, message in _check_block(block))


def check_text(text: str, *, most: int = MAX_TEXT, what: str = "the text") -> str | None:
    """Return why a text is too long, expressions left out; None when it may fit."""
    length = fixed_length(text)
    return f"{what} has {length:,} characters; the most is {most:,}" if length > most else None


def fixed_length(text: str) -> int:
    """Return the characters of `text` outside its expressions.

    >>> fixed_length("Hello {person.name}!")
    7
    """
    length = depth = at = 0
    quote = ""
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            # an escape is one character; inside an expression it is part of a string
            at += 1
            length += not depth
        elif quote:
            quote = "" if char == quote else quote
        elif depth:
            quote = char if char in "'\"`" else ""
            depth += (char == "{") - (char == "}")
        elif char == "{":
            depth = 1
        else:
            length += 1
        at += 1
    return length


def _check_block(block: Mapping[str, Any]) -> Iterator[Wrong]:
    kind = block["type"]
    required, most = _BLOCKS[kind]
    for name in required:
        if block.get(name) is None:
            yield (), f"a {kind} block needs `{name}`"
    for name, limit in most.items():
        yield from _check_part((name,), f"{name} of a {kind} block", block.get(name), limit)
    yield from _check_part(("block_id",), "a block_id", block.get("block_id"), _BLOCK_ID)
    if kind == "section":
        yield from _check_section(block)
    elif kind == "header":
        if isinstance(block.get("text"), Mapping) and block["text"].get("type") != "plain_text":
            yield ("text", "type"), "the text of a header is plain_text"
    elif kind == "image" and not (block.get("image_url") or block.get("slack_file")):
        yield (), "an image block needs `image_url` or `slack_file`"
    if kind in ("section", "header"):
        yield from _check_text_object(("text",), block.get("text"))
    if kind in ("actions", "context", "context_actions"):
        for at, element in enumerate(_list(block.get("elements"))):
            yield from _check_element(("elements", at), element)
            if kind == "context":
                yield from _check_text_object(("elements", at), element)
    elif kind == "section":
        yield from _check_element(("accessory",), block.get("accessory"))


def _check_section(block: Mapping[str, Any]) -> Iterator[Wrong]:
    if block.get("text") is None and not block.get("fields"):
        yield (), "a section needs `text` or `fields`"
    for at, field in enumerate(_list(block.get("fields"))):
        yield from _check_part(("fields", at), "a field of a section", field, _FIELD)
        yield from _check_text_object(("fields", at), field)


def _check_element(path: tuple[str | int, ...], element: Any) -> Iterator[Wrong]:
    if not isinstance(element, Mapping):
        if element is not None:
            yield path, "an element is a mapping with a `type`"
        return
    if not isinstance(element.get("type"), str):
        yield path, "an element needs a `type`"
    elif element["type"] == "button":
        if element.get("text") is None:
            yield path, "a button needs `text`"
        for name, limit in _BUTTON.items():
            yield from _check_part((*path, name), f"{name} of a button", element.get(name), limit)
        if isinstance(element.get("text"), Mapping) and element["text"].get("type") != "plain_text":
            yield (*path, "text", "type"), "the text of a button is plain_text"
        yield from _check_text_object((*path, "text"), element.get("text"))
    elif element["type"] in ("mrkdwn", "plain_text"):
        yield from _check_part(path, "a text", element, _TEXT_OBJECT)


def _check_text_object(path: tuple[str | int, ...], value: Any) -> Iterator[Wrong]:
    """Check the form of a text object; other elements are passed over."""
    if value is None or (isinstance(value, Mapping) and value.get("type") not in (None, "mrkdwn", "plain_text")):
        return
    if not isinstance(value, Mapping) or value.get("type") is None or not isinstance(value.get("text"), str):
        yield path, "a text is {type: mrkdwn or plain_text, text: ...}"
    elif not value["text"]:
        yield (*path, "text"), "Slack refuses an empty text"


def _check_part(path: tuple[str | int, ...], what: str, value: Any, most: int) -> Iterator[Wrong]:
    """Check a text, a text object or a list against the most it may have."""
    if isinstance(value, Mapping):
        path, value = (*path, "text"), value.get("text")
    if isinstance(value, str):
        if message := check_text(value, most=most, what=what):
            yield path, message
    elif isinstance(value, (list, tuple)) and len(value) > most:
        yield path, f"{what} has {len(value)} entries; the most is {most}"


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()
