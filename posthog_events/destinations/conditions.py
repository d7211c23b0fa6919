"""Conditions on properties: the short form people write, and PostHog's own items.

::

    amount >= 100                        a property of the event
    plan is_set
    plan in [pro, "team, yearly"]        one of several
    person.email not_icontains @example.com
    $group_0.industry = finance          a property of the event's group of type 0 (up to 4)
    event.distinct_id != robot           a field of the event: distinct_id, event, uuid, timestamp, $group_0 to 4
    element.text = "Buy now"             selector, tag_name, href or text of what was clicked

A condition is an operand, an operator and a value, with spaces between them. `=` is exact, `!=` is_not, `>` gt, `>=`
gte, `<` lt, `<=` lte; `in` and `not_in` are exact and is_not with a list. The value is the rest of the text. A number
is a number, `true` and `false` are booleans, `[a, b]` is a list, all else is text; with quotes ("" or '') it is text
whatever it looks like, and keeps its spaces. Inside quotes a backslash takes the next character as it is. After regex,
not_regex, icontains and not_icontains everything is text; a pattern keeps its backslashes and is never a list. An
operand in quotes is the name of a property of the event, prefix or not (`"person.email" is_set`); after a prefix they
hold a name with spaces (`person."full name"`).
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from typing import Any, Final

from posthog_events.queryfiles.params import did_you_mean

__all__ = ["OPERATORS", "TYPES", "check_property", "condition_text", "parse_condition"]

SYMBOLS: Final = {"=": "exact", "==": "exact", "!=": "is_not", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_PRINTED = {"exact": "=", "is_not": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_TEXT = ("icontains", "not_icontains", "regex", "not_regex")
_ORDER = ("gt", "gte", "lt", "lte", "min", "max")
_UNARY = ("is_set", "is_not_set")
_SHORT = ("exact", "is_not", *_TEXT, *_ORDER[:4], *_UNARY, "in", "not_in")
_DATES = ("is_date_exact", "is_date_before", "is_date_after")
OPERATORS: Final = (*_SHORT, "icontains_multi", "not_icontains_multi", "min", "max", "between", "not_between", *_DATES)
"""What PostHog evaluates in a destination (reference 3.4); semver, path cleaning, cohorts and flags it does not."""

TYPES: Final = ("event", "person", "group", "event_metadata", "element", "feature", "hogql")
"""Where PostHog can look while an event arrives (reference 3.3)."""

_FIELDS = ("event", "distinct_id", "uuid", "timestamp", *(f"$group_{index}" for index in range(5)))
_ELEMENT_KEYS = ("selector", "tag_name", "href", "text")
_ITEM_KEYS = ("key", "value", "operator", "type", "group_type_index")
_ALWAYS = frozenset({"", ".*", ".*?", "^", "$", "^.*", ".*$", "^.*$"})

_PREFIX = re.compile(
    r"(?P<person>person\.(?:properties\.)?)|\$group_(?P<group>\d+)\.(?:properties\.)?|(?P<own>(?:event\.)?properties\.)"
    r"|(?P<field>event\.|event_metadata\.)|(?P<element>element\.)|(?P<feature>feature\.)"
)
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)
_BARE = re.compile(r"[^\s\"'=<>!\[\]]+")
_OPERATOR = re.compile(r"\s+([=<>!]+|\w+)(?=\s|$)")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_LOOKAROUND = re.compile(r"\(\?(?:[=!]|<[=!])|\\[1-9]")


def parse_condition(text: str) -> dict[str, Any]:
    """Return the short form `text` as PostHog's item.

    >>> parse_condition("person.email not_icontains @example.com")
    {'key': 'email', 'value': '@example.com', 'operator': 'not_icontains', 'type': 'person'}

    Raises:
        ValueError: It is not a condition; the message says why.
    """
    key, kind, rest = _operand(text.strip())
    found = _OPERATOR.match(rest)
    if not found:
        raise ValueError("a condition is `property operator value`, with spaces between them")
    operator = SYMBOLS.get(found[1], found[1])
    if operator not in _SHORT:
        hint = did_you_mean(operator, _SHORT) or f" (there are {', '.join(('=', '!=', '>', '>=', '<', '<=', *_SHORT))})"
        raise ValueError(f"there is no operator `{found[1]}`{hint}")
    written = rest[found.end() :].strip()
    if operator in _UNARY:
        if written:
            raise ValueError(f"{operator} takes no value")
        return check_property({"key": key, "operator": operator, **kind})
    if not written:
        raise ValueError(f"{found[1]} needs a value")
    value = _value(written, operator)
    if operator in ("in", "not_in"):
        operator = "exact" if operator == "in" else "is_not"
        if not isinstance(value, list):
            raise ValueError("`in` and `not_in` take a list: [one, two]")
    return check_property({"key": key, "value": value, "operator": operator, **kind})


def check_property(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return PostHog's item with its defaults written out.

    Raises:
        ValueError: PostHog would refuse it, never match it, or pass over it without a word.
    """
    for name in item:
        if name not in _ITEM_KEYS:
            raise ValueError(f"a property has no key `{name}`{did_you_mean(name, _ITEM_KEYS)}")
    kind, operator, key = item.get("type", "event"), item.get("operator", "exact"), item.get("key")
    if not isinstance(key, str) or not key.strip():
        raise ValueError("a property needs a `key`")
    _check_type(kind, key, operator, item.get("group_type_index"))
    if kind == "hogql":
        return {"key": key, "value": None, "type": "hogql"}
    place = {"type": kind} | ({"group_type_index": item["group_type_index"]} if kind == "group" else {})
    if operator not in OPERATORS:
        known = did_you_mean(str(operator), OPERATORS) or "; PostHog does not evaluate it in destinations"
        raise ValueError(f"the operator `{operator}` cannot be used{known}")
    if operator in _UNARY:
        return {"key": key, "operator": operator, **place}
    if item.get("value") is None:
        raise ValueError(f"`{key}` {operator} needs a value: without one PostHog drops the condition silently")
    value = item["value"]
    if operator in ("in", "not_in"):
        # with one element they do not compile; exact and is_not mean the same and always do
        operator = "exact" if operator == "in" else "is_not"
        value = value if isinstance(value, list) else [value]
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    _check_value(key, operator, value)
    return {"key": key, "value": value, "operator": operator, **place}


def condition_text(item: Mapping[str, Any]) -> str | None:
    """Return the short form of PostHog's item; None when it has none."""
    kind, operator = item.get("type", "event"), item.get("operator", "exact")
    prefixes = {"event": "", "person": "person.", "event_metadata": "event.", "element": "element."}
    prefixes |= {"feature": "feature.", "group": f"$group_{item.get('group_type_index')}."}
    key = str(item.get("key"))
    plain = _BARE.fullmatch(key) and not (kind == "event" and (_PREFIX.match(key) or key in _FIELDS))
    text = f"{prefixes.get(kind, '')}{key if plain else _quoted(key)} {_PRINTED.get(operator, operator)}"
    if operator not in _UNARY:
        text += f" {_written(item.get('value'), operator)}"
    try:
        # reading it back is the proof that nothing was lost
        return text if parse_condition(text) == check_property(item) else None
    except ValueError:
        return None


def _operand(text: str) -> tuple[str, dict[str, Any], str]:
    """Return the key, the place it is looked up in, and the rest of the text."""
    prefix = _PREFIX.match(text)
    start = prefix.end() if prefix else 0
    if quoted := _QUOTED.match(text, start):
        key, rest = _unquote(quoted), text[quoted.end() :]
    elif bare := _BARE.match(text, start):
        key, rest = bare[0], text[bare.end() :]
    else:
        raise ValueError("a condition begins with a property: amount, person.email, $group_0.name; quote odd names")
    if prefix is None:
        if key in _FIELDS[4:] and not quoted:
            raise ValueError(f"`{key}` alone is no property: write {key}.name, or event.{key} for the group's own key")
        return key, {"type": "event"}, rest
    if prefix["group"] is not None:
        return key, {"type": "group", "group_type_index": int(prefix["group"])}, rest
    if prefix["field"] and key not in _FIELDS:
        raise ValueError(
            f"an event has no field `{key}`{did_you_mean(key, _FIELDS)}; "
            f"a property of the event is written alone: {key}"
        )
    names = {"person": "person", "own": "event", "field": "event_metadata", "element": "element", "feature": "feature"}
    return key, {"type": next(kind for name, kind in names.items() if prefix[name])}, rest


def _value(text: str, operator: str) -> Any:
    if operator in ("regex", "not_regex"):
        quoted = _QUOTED.fullmatch(text)
        # a pattern keeps its backslashes, quoted or not
        return text[1:-1] if quoted else text
    if text.startswith("["):
        return _list(text, operator)
    if text[0] in "\"'":
        quoted = _QUOTED.match(text)
        if not quoted or quoted.end() != len(text):
            raise ValueError("a value in quotes ends with the closing quote")
        return _unquote(quoted)
    return _plain(text, operator)


def _plain(text: str, operator: str) -> Any:
    if operator in _TEXT:
        return text
    if text in ("true", "false"):
        return text == "true"
    if text == "null":
        raise ValueError("null is no value; use is_set or is_not_set")
    if _NUMBER.fullmatch(text):
        return json.loads(text)
    if operator in _ORDER:
        raise ValueError(
            f"{_PRINTED[operator]} compares numbers; texts are compared letter by letter if you quote them"
        )
    return text


def _list(text: str, operator: str) -> list[Any]:
    values, at = [], 1
    while True:
        rest = text[at:].lstrip()
        at = len(text) - len(rest)
        if quoted := _QUOTED.match(text, at):
            values.append(_unquote(quoted))
            at = quoted.end()
        elif bare := re.compile(r"[^,\]]+").match(text, at):
            values.append(_plain(bare[0].strip(), operator))
            at = bare.end()
        elif rest[:1] == "]" and not values:
            raise ValueError("an empty list matches nothing and is passed over by PostHog")
        else:
            raise ValueError("a list is [one, two], and ends with ]")
        rest = text[at:].lstrip()
        if rest == "]":
            return values
        if not rest.startswith(","):
            raise ValueError("a list is [one, two], and ends with ]; quote a value that holds , or ]")
        at = len(text) - len(rest) + 1


def _check_type(kind: Any, key: str, operator: Any, index: Any) -> None:
    if isinstance(kind, str) and "cohort" in kind:
        raise ValueError("cohorts are not known while an event arrives; use properties of the person")
    if kind not in TYPES:
        raise ValueError(
            f"the type `{kind}` cannot be used in destinations{did_you_mean(str(kind), TYPES)} ({', '.join(TYPES)})"
        )
    if kind == "group" and (isinstance(index, bool) or not isinstance(index, int) or not 0 <= index <= 4):
        raise ValueError("a group's property needs its `group_type_index`, 0 to 4")
    if kind != "group" and index is not None:
        raise ValueError("`group_type_index` belongs to the type group")
    if kind == "event_metadata" and key not in _FIELDS:
        raise ValueError(f"an event has no field `{key}`{did_you_mean(key, _FIELDS)}")
    if kind == "element" and key not in _ELEMENT_KEYS:
        raise ValueError(f"an element has no `{key}`{did_you_mean(key, _ELEMENT_KEYS)} ({', '.join(_ELEMENT_KEYS)})")
    if kind == "element" and key == "tag_name" and operator not in ("exact", "is_not"):
        raise ValueError("tag_name is compared with exact or is_not only")


def _check_value(key: str, operator: str, value: Any) -> None:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError(f"`{key}` {operator} []: PostHog passes over an empty list")
    if any(part is None or isinstance(part, (list, Mapping)) for part in values):
        raise ValueError(f"`{key}` {operator} takes texts, numbers and booleans")
    if operator in ("between", "not_between"):
        if len(values) != 2 or not all(_is_number(part) for part in values) or values[0] > values[1]:
            raise ValueError(f"`{key}` {operator} takes [least, most], two numbers")
    elif operator in _ORDER:
        if isinstance(value, (list, bool)):
            raise ValueError(f"`{key}` {operator} takes one number")
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            raise ValueError(
                f"`{key}` {operator} would compare letter by letter ('10' is less than '9'); "
                "write the number without quotes"
            )
    elif operator in _DATES and not isinstance(value, str):
        raise ValueError(f"`{key}` {operator} takes a date as text")
    elif operator in ("regex", "not_regex"):
        for pattern in values:
            _check_pattern(key, operator, pattern)
    elif operator in _TEXT and any(not str(part).strip("%") for part in values):
        raise ValueError(f"`{key}` {operator}: the text is empty, which every value contains")


def _check_pattern(key: str, operator: str, pattern: Any) -> None:
    if not isinstance(pattern, str):
        raise ValueError(f"`{key}` {operator} takes a pattern as text")
    if pattern in _ALWAYS:
        raise ValueError(f"`{key}` {operator}: the pattern matches everything")
    if _LOOKAROUND.search(pattern):
        raise ValueError(f"`{key}` {operator}: PostHog's patterns (RE2) have no lookaround and no back references")
    # what RE2 has and Python's patterns have not: classes of Unicode, \\z, flags in the middle
    alike = re.sub(r"\\[pP](?:\{\^?\w+\}|\w)", r"\\w", pattern).replace(r"\z", r"\Z")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sets that future Python may read differently; RE2 will not
            re.compile(re.sub(r"\(\?[imsU-]+\)", "", alike))
    except re.error as error:
        raise ValueError(f"`{key}` {operator}: not a pattern: {error.msg}") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _unquote(found: re.Match[str]) -> str:
    return re.sub(r"\\(.)", r"\1", found[1] if found[1] is not None else found[2], flags=re.DOTALL)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _written(value: Any, operator: str) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_written(part, "in") for part in value) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if operator in ("regex", "not_regex"):
        bare = value == value.strip() and not _QUOTED.fullmatch(value)
        quoted = (f"{quote}{value}{quote}" for quote in "\"'")
        return value if bare else next((text for text in quoted if _QUOTED.fullmatch(text)), value)
    plain = re.fullmatch(r"[\w@$./:+-](?:[\w@$./:+ -]*[\w@$./:+-])?", value)
    clear = operator in _TEXT or not (value in ("true", "false", "null") or _NUMBER.fullmatch(value))
    return value if plain and clear else _quoted(value)
