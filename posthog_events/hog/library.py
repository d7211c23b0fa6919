"""What the functions of Hog do; `functions` names them.

They do what PostHog's do, failures included: a function that calls a method of its argument in JavaScript fails for
null, and with it the delivery.

Source: PostHog/posthog:common/hogvm/typescript/src/stl/stl.ts, crypto.ts (2026).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from posthog_events.errors import HogError
from posthog_events.hog.regex import compile_like, matches
from posthog_events.hog.values import (
    HogDate,
    HogDateTime,
    js_string,
    number,
    same,
    truthy,
    whole,
)

__all__ = [
    "any_of",
    "base64_decode",
    "base64_encode",
    "contains",
    "empty",
    "extract_text",
    "find",
    "hasher",
    "hmac_chain",
    "index_of",
    "inside",
    "items_of",
    "join",
    "length",
    "liker",
    "map_items",
    "match_text",
    "member",
    "not_null",
    "numbers",
    "parse_json",
    "predicate",
    "replacer",
    "rounder",
    "sort_key",
    "split",
    "string",
    "substring",
    "to_float",
    "to_int",
    "trimmer",
    "type_name",
    "url_decode",
    "url_encode",
]

MAX_RANGE = 100_000
"""Elements that range() may make; PostHog ends a run at 64 MB."""


def member(value: Any, key: Any) -> Any:
    """Return what `value.key` or `value[key]` gives: null for whatever is missing; lists count from 1.

    Raises:
        HogError: The key is 0.
    """
    if isinstance(value, dict):
        return value.get(key) if isinstance(key, str) else None
    if not isinstance(value, list | tuple):
        return None
    if isinstance(key, str):
        return len(value) if key == "length" else None
    index = whole(number(key))
    if isinstance(key, bool) or not isinstance(index, int):
        return None
    if index == 0:
        raise HogError("lists start from index 1")
    index = index - 1 if index > 0 else len(value) + index
    return value[index] if 0 <= index < len(value) else None


def contains(items: Any, item: Any) -> bool:
    """Return whether a list holds an item (no coercion), or a text another.

    Raises:
        HogError: Neither list nor text.
    """
    if isinstance(items, str):
        return js_string(item) in items
    if not isinstance(items, list | tuple):
        raise HogError(f"IN needs a list on its right, not {_kind(items)}")
    return any(same(one, item) or (one != one and item != item) for one in items)


def _kind(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", dict: "an object", list: "a list"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def string(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise HogError(f"{name}() needs text and got {_kind(value)}")
    return value


# -- text ----------------------------------------------------------------------------------------------------------


def _units(value: str) -> bytes:
    return value.encode("utf-16-le", "surrogatepass")


def length(value: Any) -> int | None:
    if value is None:
        raise HogError("length() needs text or a list and got null")
    if isinstance(value, str):
        return len(value) if value.isascii() else len(_units(value)) // 2
    return len(value) if isinstance(value, list | tuple) else None


def substring(value: Any, start: Any, length: Any = None) -> str:
    if not isinstance(value, str):
        return ""
    units = _units(value)
    begin = number(start) - 1
    count = length if isinstance(length, int | float) and not isinstance(length, bool) else len(units) // 2 - begin
    if not (begin >= 0 and count >= 0):
        return ""
    end = min(begin + count, len(units) // 2)
    return units[int(begin) * 2 : int(end) * 2].decode("utf-16-le", "replace")


def trimmer(name: str, left: bool, right: bool) -> Callable[..., str]:
    def trim(value: Any, char: Any = None) -> str:
        char = " " if char is None else char
        if not isinstance(char, str) or len(char) != 1:
            return ""
        trimmed = string(name, value)
        trimmed = trimmed.lstrip(char) if left else trimmed
        return trimmed.rstrip(char) if right else trimmed

    return trim


def _replacement(with_text: str) -> Callable[[re.Match[str]], str]:
    # JavaScript reads $$ as $, and $& as the text found
    return lambda found: re.sub(r"\$([$&])", lambda special: "$" if special[1] == "$" else found[0], with_text)


def replacer(name: str, count: int) -> Callable[..., str]:
    def replace(value: Any, old: Any, new: Any) -> str:
        return re.sub(re.escape(js_string(old)), _replacement(js_string(new)), string(name, value), count=count)

    return replace


def split(separator: Any, value: Any, limit: Any = None) -> list[str]:
    value, separator = string("splitByString", value), js_string(separator)
    parts = value.split(separator) if separator else list(value)
    return parts if limit is None else parts[: max(0, int(number(limit)))]


def find(value: Any, part: Any) -> int:
    return value.find(js_string(part)) + 1 if isinstance(value, str) else 0


def join(items: Any, separator: Any = "") -> str:
    if not isinstance(items, list | tuple):
        return ""
    return js_string(separator).join("" if item is None else js_string(item) for item in items)


def liker(ignore_case: bool, wanted: bool) -> Callable[..., bool]:
    def like(value: Any, pattern: Any) -> bool:
        found = compile_like(js_string(pattern), ignore_case=ignore_case).search(js_string(value))
        return (found is not None) is wanted

    return like


def match_text(value: Any, pattern: Any) -> bool:
    return truthy(value) and truthy(pattern) and matches(js_string(pattern))(js_string(value))


def any_of(value: Any, parts: Any) -> int:
    if value is None or not isinstance(parts, list | tuple):
        return 0
    lowered = js_string(value).lower()
    return int(any(js_string(part).lower() in lowered for part in parts))


# -- numbers, encodings --------------------------------------------------------------------------------------------


def to_int(value: Any) -> float | int | None:
    if isinstance(value, HogDateTime):
        return math.floor(value.seconds)
    if isinstance(value, HogDate):
        return int(value.seconds) // 86_400
    found = re.match(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|\d+)", js_string(value), re.ASCII)
    return whole(float(int(found[1] + found[2], 0 if found[2][:2] in ("0x", "0X") else 10))) if found else None


def to_float(value: Any) -> float | int | None:
    if isinstance(value, HogDateTime):
        return value.seconds
    if isinstance(value, HogDate):
        return int(value.seconds) // 86_400
    found = re.match(r"\s*([+-]?(?:Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))", js_string(value), re.ASCII)
    return number(found[1]) if found else None


def rounder(shift: float) -> Callable[..., float | int]:
    # the second argument, decimal places, is taken and ignored
    def rounded(value: Any, places: Any = None) -> float | int:
        exact = number(value)
        return math.floor(exact + shift) if math.isfinite(exact) else exact

    return rounded


def numbers(start: Any, end: Any = None) -> list[float | int]:
    first, count = (0, number(start)) if end is None else (number(start), number(end) - number(start))
    if not (math.isfinite(first) and count <= MAX_RANGE):
        raise HogError(f"range() makes at most {MAX_RANGE:,} numbers here")
    return [first + index for index in range(max(0, int(count) if count == count else 0))]


def base64_encode(value: Any) -> str:
    return base64.b64encode(string("base64Encode", value).encode("utf-8", "replace")).decode()


def base64_decode(value: Any) -> str:
    kept = re.sub(r"[^A-Za-z0-9+/]", "", string("base64Decode", value).translate({45: "+", 95: "/"}).split("=")[0])
    kept = kept[: len(kept) - (len(kept) % 4 == 1)]
    return base64.b64decode(kept + "=" * (-len(kept) % 4)).decode("utf-8", "replace")


def url_encode(value: Any) -> str:
    try:
        return quote(js_string(value), safe="!~*'()-_.")
    except UnicodeEncodeError as error:
        raise HogError("encodeURLComponent() got half of a surrogate pair") from error


def url_decode(value: Any) -> str:
    value = js_string(value)
    try:
        if re.search(r"%(?![0-9a-fA-F]{2})", value):
            raise ValueError("a % is followed by no code")
        return unquote_to_bytes(value).decode()
    except ValueError as error:
        raise HogError(f"decodeURLComponent() cannot read its argument: {error}") from error


def hasher(name: str, algorithm: str) -> Callable[[Any], str | None]:
    def hashed(value: Any) -> str | None:
        if value is None:
            return None
        return hashlib.new(algorithm, string(name, value).encode("utf-8", "replace")).hexdigest()

    return hashed


def hmac_chain(parts: Any) -> str:
    if not isinstance(parts, list | tuple) or len(parts) < 2:
        raise HogError("sha256HmacChainHex() needs a list of a key and at least one text")
    key, *rest = (string("sha256HmacChainHex", part).encode("utf-8", "replace") for part in parts)
    for part in rest:
        key = hmac.new(key, part, hashlib.sha256).digest()
    return key.hex()


# -- lists, objects, JSON ------------------------------------------------------------------------------------------


def empty(value: Any) -> bool:
    if isinstance(value, bool | int | float | HogDate | HogDateTime):
        return False
    return not value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse_json(value: Any) -> Any:
    try:
        return json.loads(string("jsonParse", value), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise HogError(f"jsonParse() got text that is not JSON: {error}") from error


def inside(value: Any, path: Sequence[Any]) -> Any:
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except HogError:
            return None
    for key in path:
        value = member(value, key)
    return value


def extract_text(value: Any, *path: Any) -> str | None:
    found = inside(value, path)
    return None if found is None else js_string(found)


def type_name(value: Any) -> str:
    names: Mapping[type, str] = {
        bool: "boolean",
        str: "string",
        list: "array",
        tuple: "tuple",
        dict: "object",
        HogDateTime: "datetime",
        HogDate: "date",
    }
    if value is None:
        return "null"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "integer" if isinstance(whole(value), int) else "float"
    return names.get(type(value), "function")


def items_of(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def index_of(items: Any, item: Any) -> int:
    return next((place for place, one in enumerate(items_of(items), 1) if same(one, item)), 0)


def sort_key(value: Any) -> bytes:
    # lists are sorted as text, by UTF-16 units, numbers too
    return js_string(value).encode("utf-16-be", "surrogatepass")


def not_null(value: Any) -> Any:
    if value is None:
        raise HogError("assumeNotNull() got null")
    return value


def predicate(function: Any) -> Callable[[Any], bool]:
    if not callable(function):
        raise HogError(f"a function such as `x -> x` is needed, not {_kind(function)}")
    return lambda item: truthy(function(item))


def map_items(function: Any, items: Any) -> list[Any]:
    predicate(function)
    return [function(item) for item in items_of(items)]
