"""The functions of Hog that a message needs, in one table; any other is refused by name.

Source: PostHog/posthog:common/hogvm/typescript/src/stl/stl.ts (2026).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from posthog_events.hog.library import (
    any_of,
    base64_decode,
    base64_encode,
    contains,
    empty,
    extract_text,
    find,
    hasher,
    hmac_chain,
    index_of,
    inside,
    items_of,
    join,
    length,
    liker,
    map_items,
    match_text,
    not_null,
    numbers,
    parse_json,
    predicate,
    replacer,
    rounder,
    sort_key,
    split,
    string,
    substring,
    to_float,
    to_int,
    trimmer,
    type_name,
    url_decode,
    url_encode,
)
from posthog_events.hog.values import json_text, text, truthy

__all__ = ["ELSEWHERE", "FAIL_ON_NULL", "FUNCTIONS", "Function"]


@dataclass(frozen=True, slots=True)
class Function:
    """A function and how many arguments it takes; `most` None is any number."""

    least: int
    most: int | None
    call: Callable[..., Any]


FUNCTIONS: dict[str, Function] = {
    "JSONExtractBool": Function(1, None, lambda value, *path: inside(value, path) is True),
    "JSONExtractFloat": Function(1, None, lambda value, *path: to_float(inside(value, path))),
    "JSONExtractInt": Function(1, None, lambda value, *path: to_int(inside(value, path))),
    "JSONExtractString": Function(1, None, extract_text),
    "and": Function(1, None, lambda *values: all(truthy(value) for value in values)),
    "arrayCount": Function(2, 2, lambda function, items: sum(map(predicate(function), items_of(items)))),
    "arrayExists": Function(2, 2, lambda function, items: any(map(predicate(function), items_of(items)))),
    "arrayFilter": Function(2, 2, lambda function, items: list(filter(predicate(function), items_of(items)))),
    "arrayMap": Function(2, 2, map_items),
    "arrayPushBack": Function(2, 2, lambda items, item: [*items_of(items), item]),
    "arrayReverse": Function(1, 1, lambda items: items_of(items)[::-1]),
    "arraySort": Function(1, 1, lambda items: sorted(items_of(items), key=sort_key)),
    "arrayStringConcat": Function(1, 2, join),
    "assumeNotNull": Function(1, 1, not_null),
    "base64Decode": Function(1, 1, base64_decode),
    "base64Encode": Function(1, 1, base64_encode),
    "coalesce": Function(1, None, lambda *values: next((value for value in values if value is not None), None)),
    "concat": Function(1, None, lambda *values: "".join(["" if value is None else text(value) for value in values])),
    "decodeURLComponent": Function(1, 1, url_decode),
    "empty": Function(1, 1, empty),
    "encodeURLComponent": Function(1, 1, url_encode),
    "floor": Function(1, 2, rounder(0)),
    "has": Function(2, 2, lambda items, item: contains(items_of(items), item)),
    "ilike": Function(2, 2, liker(True, True)),
    "indexOf": Function(2, 2, index_of),
    "isNotNull": Function(1, 1, lambda value: value is not None),
    "isNull": Function(1, 1, lambda value: value is None),
    "jsonParse": Function(1, 1, parse_json),
    "jsonStringify": Function(
        1, 2, lambda value, indent=0: json_text(value, int(indent) if type_name(indent) == "integer" else None)
    ),
    "keys": Function(1, 1, lambda value: list(value) if isinstance(value, dict) else list(range(len(items_of(value))))),
    "length": Function(1, 1, length),
    "like": Function(2, 2, liker(False, True)),
    "lower": Function(1, 1, lambda value: None if value is None else string("lower", value).lower()),
    "match": Function(2, 2, match_text),
    "md5Hex": Function(1, 1, hasher("md5Hex", "md5")),
    "multiSearchAnyCaseInsensitive": Function(2, 2, any_of),
    "not": Function(1, 1, lambda value: not truthy(value)),
    "notEmpty": Function(1, 1, lambda value: not empty(value)),
    "notILike": Function(2, 2, liker(True, False)),
    "notLike": Function(2, 2, liker(False, False)),
    "or": Function(1, None, lambda *values: any(truthy(value) for value in values)),
    "position": Function(2, 3, lambda value, part, start=None: find(value, part)),
    "range": Function(1, 2, numbers),
    "replaceAll": Function(3, 3, replacer("replaceAll", 0)),
    "replaceOne": Function(3, 3, replacer("replaceOne", 1)),
    "reverse": Function(1, 1, lambda value: string("reverse", value)[::-1]),
    "round": Function(1, 2, rounder(0.5)),
    "sha256Hex": Function(1, 1, hasher("sha256Hex", "sha256")),
    "sha256HmacChainHex": Function(1, 1, hmac_chain),
    "splitByString": Function(2, 3, split),
    "startsWith": Function(
        2, 2, lambda value, start: isinstance(value, str) and isinstance(start, str) and value.startswith(start)
    ),
    "substring": Function(2, 3, substring),
    "toFloat": Function(1, 1, to_float),
    "toInt": Function(1, 1, to_int),
    "toString": Function(1, 2, lambda value, zone=None: text(value)),
    "toUUID": Function(1, 1, text),
    "trim": Function(1, 2, trimmer("trim", True, True)),
    "trimLeft": Function(1, 2, trimmer("trimLeft", True, False)),
    "trimRight": Function(1, 2, trimmer("trimRight", False, True)),
    "tuple": Function(0, None, lambda *values: values),
    "typeof": Function(1, 1, type_name),
    "upper": Function(1, 1, lambda value: string("upper", value).upper()),
    "values": Function(1, 1, lambda value: list(value.values()) if isinstance(value, dict) else items_of(value)),
}
"""What can be called, but for if, ifNull and multiIf, which evaluate only what they need, and dates (see `dates`)."""

FAIL_ON_NULL = frozenset(
    {
        "base64Decode",
        "base64Encode",
        "jsonParse",
        "length",
        "replaceAll",
        "replaceOne",
        "reverse",
        "toDate",
        "toDateTime",
        "trim",
        "trimLeft",
        "trimRight",
        "upper",
    }
)
"""Functions that fail when their first argument is null."""

_ELSEWHERE = """
Error HogError JSONExtract JSONExtractArrayRaw JSONHas JSONLength NotImplementedError RetryError
addDays arrayPopBack arrayPopFront arrayPushFront arrayReverseSort dateAdd dateTrunc equals extract
extractRegex fetch generateUUIDv4 greater greaterOrEquals in isIPAddressInRange isValidJSON less
lessOrEquals md5 min2 minus notEquals plus positionCaseInsensitive postHogCapture print randomFloat
run sha1 sha1Hex sha1HmacChain sha1HmacChainHex sha256 sha256HmacChain sleep sql toIntervalDay
toIntervalHour toIntervalMinute toIntervalMonth toMonth toStartOfDay toStartOfHour toStartOfMonth
toStartOfWeek toYYYYMM toYear tryBase64Decode tryDecodeURLComponent
"""
ELSEWHERE = frozenset(_ELSEWHERE.split())
"""Functions that PostHog has and that cannot be evaluated here."""
