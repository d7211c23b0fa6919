"""JSON from strangers: decoded within bounds, or refused with a status and a code.

Refused is whatever two decoders could read differently (duplicate keys, a byte order mark, numbers that no 64-bit
float holds) and whatever costs more than its bytes should (depth, number of values). Half of a surrogate pair, which
JavaScript writes for an emoji that was cut, is no reason to lose an event: it is read as U+FFFD.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from posthog_events.errors import DeliveryRejected

__all__ = ["MAX_DEPTH", "MAX_VALUES", "decode_body"]

MAX_DEPTH: Final = 64
"""Objects and lists within each other."""

MAX_VALUES: Final = 100_000
"""Values in a body, so that a few megabytes of `[],[],` do not become a hundred."""

MAX_INTEGER: Final = 10**21
"""PostHog's numbers are JavaScript's, which writes integers below this one with all their digits."""

_MARK = b"\xef\xbb\xbf"
_DECODER = msgspec.json.Decoder()
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def decode_body(body: bytes) -> Any:
    """Return the value.

    Raises:
        DeliveryRejected: It is none, or beyond the bounds: `empty_body`, `byte_order_mark`, `not_utf8`, `not_json`,
            `too_deep`, `duplicate_key`, `number_out_of_range` (400) or `too_many_values` (413).
    """
    if not body or body.isspace():
        raise _rejected("empty_body", "the body is empty: the destination declares none")
    if body.startswith(_MARK):
        raise _rejected("byte_order_mark", "the body begins with a byte order mark, which JSON must not")
    structure = _structure(body)
    if structure.count(b",") >= MAX_VALUES:
        raise _rejected("too_many_values", f"the body has more than {MAX_VALUES:,} values", status=413)
    _check_depth(structure)
    try:
        value = _decode(body)
    except UnicodeDecodeError:
        raise _rejected("not_utf8", "the body is not UTF-8") from None
    except msgspec.ValidationError:
        # nothing was said about types, so it can only be about a number
        raise _number() from None
    except msgspec.DecodeError as exc:
        reason = str(exc).removeprefix("JSON is malformed: ")
        raise _rejected("not_json", f"the body is not JSON: {reason}") from None
    # a key that came twice is in the text, and not in the value
    if _keys(value) != structure.count(b":"):
        raise _rejected("duplicate_key", "an object in the body has the same key twice")
    return value


def _decode(body: bytes) -> Any:
    try:
        return _DECODER.decode(body)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], body)
        if mended == body:
            raise
        return _DECODER.decode(mended)


def _structure(body: bytes) -> bytes:
    """Return punctuation, numbers and literals, without the strings, as far as the body is JSON.

    Backslashes stand in strings only, so without the escaped ones and the escaped quotes, every other quote ends one.
    """
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in body else body
    return b"".join(plain.split(b'"')[::2])


def _check_depth(structure: bytes) -> None:
    """Refuse depth before it is decoded: the decoder recurses, and its own guard is the interpreter's."""
    if structure.count(b"[") + structure.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for byte in structure:
        if byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise _rejected("too_deep", f"the body is nested more than {MAX_DEPTH} levels deep")
        elif byte in b"]}":
            depth -= 1


def _keys(value: Any) -> int:
    """Return how many keys the objects of a value have, together; its integers are checked by the way."""
    keys, containers = 0, list[Any]([[value]])
    # grows while it is walked
    for container in containers:
        items: Any = container
        if type(container) is dict:
            keys += len(container)
            items = container.values()
        for item in items:
            kind = type(item)
            if kind is dict or kind is list:
                containers.append(item)
            elif kind is int and not -MAX_INTEGER < item < MAX_INTEGER:
                raise _number()
    return keys


def _number() -> DeliveryRejected:
    return _rejected("number_out_of_range", "the body has a number that is too large")


def _rejected(code: str, reason: str, *, status: int = 400) -> DeliveryRejected:
    return DeliveryRejected(reason, status=status, code=code)
