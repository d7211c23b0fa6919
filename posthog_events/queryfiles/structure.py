"""Names that become structure: properties, columns and calendar units, each checked and quoted.

Nothing here can produce more than one name or one call: a value that is not such a name is refused, never repaired.
"""

from __future__ import annotations

import re

from posthog_events.errors import Fault, ParameterError
from posthog_events.hogql import ast

__all__ = ["column_text", "identifier", "property_chain", "property_text", "unit_name"]

_BARE = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*", re.ASCII)
_BRACKET = re.compile(r"\[\s*(?:'((?:[^'\\]|\\[\\']|'')*)'|(\d{1,9}))\s*\]", re.ASCII)
_PLAIN_KEY = re.compile(r"[^.\[\]'\"`\\\x00-\x1f\x7f]+")
_UNITS = ("Second", "Minute", "Hour", "Day", "Week", "Month", "Quarter", "Year")
_MAX_NAME = 400
"""Characters of a property's name. Source: PostHog/posthog:posthog/models/property_definition.py (max_length)."""
_MAX_DEPTH = 10
"""Keys inside each other; a longer chain is no property, and PostHog's parser is slow on it (250 links take 5 s)."""
_RESERVED = {"team_id", "true", "false", "null"}
"""What the grammar refuses as an alias. Source: posthog/hogql/grammar (hogql-parser 1.3.88)."""


def property_chain(text: str) -> tuple[str | int, ...]:
    """Split a property's name into the chain that HogQL reads.

    >>> property_chain("$browser")
    ('properties', '$browser')
    >>> property_chain("person.plan")
    ('person', 'properties', 'plan')
    >>> property_chain("properties['weird key']")
    ('properties', 'weird key')

    A key alone is an event property, `person.` reads the person, a dot goes into nested JSON, and whatever stands
    before `properties` (`person`, `group_0`, a group type) is kept. A key with other characters than letters, digits,
    `_` and `$` may stand as it is unless it holds a dot, a bracket or a quote; then it goes in `['...']`.

    Raises:
        ParameterError: It is not a property's name.
    """
    parts: list[str | int] = []
    position = 0
    while position < len(text):
        if bracket := _BRACKET.match(text, position) if parts else None:
            key, number = bracket.groups()
            parts.append(int(number) if number else re.sub(r"\\(.)|''", lambda m: m[1] or "'", key))
            position = bracket.end()
            continue
        if parts and text[position] != ".":
            raise _not_a_property(text)
        position += bool(parts)
        key_match = _PLAIN_KEY.match(text, position)
        if not key_match or not key_match[0].strip():
            raise _not_a_property(text)
        parts.append(key_match[0])
        position = key_match.end()
    if not parts or len(parts) > _MAX_DEPTH or any(isinstance(part, str) and _unusable(part) for part in parts):
        raise _not_a_property(text)
    if "properties" in parts[:2]:
        source = parts[: parts.index("properties")]
        if len(parts) == len(source) + 1 or not all(isinstance(part, str) and _BARE.fullmatch(part) for part in source):
            raise _not_a_property(text)
        return tuple(parts)
    if parts[0] == "person" and len(parts) > 1:
        return ("person", "properties", *parts[1:])
    return ("properties", *parts)


def property_text(text: str) -> str:
    """Return HogQL that reads the property.

    >>> property_text("person.plan")
    'person.properties.plan'
    """
    from posthog_events.hogql.printer import print_hogql

    chain = property_chain(text)
    plain = next((at for at, part in enumerate(chain) if isinstance(part, int) or "%" in part), len(chain))
    node: ast.Expr = ast.Field(chain=chain[:plain])
    for part in chain[plain:]:
        # PostHog refuses `%` in an identifier, not in a subscript
        node = ast.ArrayAccess(array=node, property=ast.Constant(value=part))
    return print_hogql(node)


def identifier(text: str) -> str:
    """Return `text` if it is a bare identifier that can name a column.

    Raises:
        ParameterError: It is not.
    """
    if not _BARE.fullmatch(text) or text.lower() in _RESERVED:
        raise ParameterError([Fault(f"{text!r} cannot name a column: use letters, digits and _, not a digit first")])
    return text


def column_text(text: str) -> str:
    """Return one column name, quoted where it must be.

    Raises:
        ParameterError: No column can have this name.
    """
    from posthog_events.hogql.printer import print_hogql

    if not text.strip() or "%" in text or "*" in text or _unusable(text) or text.lower() in _RESERVED:
        raise ParameterError([Fault(f"{text!r} cannot name a column")])
    return print_hogql(ast.Field(chain=(text,)))


def unit_name(text: str) -> str:
    """Return a calendar unit as HogQL's functions spell it: `day` and `days` give `Day`.

    Raises:
        ParameterError: It is not a unit.
    """
    name = text.removesuffix("s").capitalize()
    if name not in _UNITS:
        raise ParameterError([Fault(f"{text!r} is not a unit; use {', '.join(unit.lower() for unit in _UNITS)}")])
    return name


def _unusable(text: str) -> bool:
    """NUL and other control characters, lone surrogates, nothing at all, or far too much."""
    return not 0 < len(text) <= _MAX_NAME or any(
        ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) < 0xE000 for char in text
    )


def _not_a_property(text: str) -> ParameterError:
    shown = repr(text) if len(text) <= 60 else f"{text[:57]!r}..."
    message = (
        f"{shown} is not a property; write plan, $browser, person.plan, group_0.properties.name, "
        "or properties['any key'] for a key with dots, brackets or quotes"
    )
    return ParameterError([Fault(message)])
