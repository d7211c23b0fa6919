"""Which literals, placeholders and columns of a HogQL text are about persons; pure.

The text is cut into conditions and select items. One that mentions something personal (`distinct_id`,
`person.properties.plan`, or another item's alias for it) is personal as a whole: better to replace an event's
name too than to let an address through.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from posthog_events.hogql.tokens import Kind, Token, tokenize
from posthog_events.posthog.personal import is_personal, is_personal_name

__all__ = ["QueryParts", "query_parts"]

# fmt: off
_CLAUSES = frozenset(
    {
        "select", "from", "where", "prewhere", "group", "order", "having", "limit", "by", "union", "all", "join",
        "on", "using", "with", "window", "qualify", "settings"
    }
)
# fmt: on
_CONDITIONS = _CLAUSES | {"and", "or"}
_DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


@dataclass(frozen=True, slots=True)
class QueryParts:
    """What is personal in a text.

    Args:
        tokens: All of the text's tokens.
        literals: Where personal string literals start.
        placeholders: Names whose values are personal.
        columns: Aliases of personal expressions, in lower case.
        people: Whether the text reads the table of persons, whose `properties` are all about them.
    """

    tokens: tuple[Token, ...]
    literals: frozenset[int]
    placeholders: frozenset[str]
    columns: frozenset[str]
    people: bool


def query_parts(text: str, aliases: frozenset[str] = frozenset(), *, people: bool = False) -> QueryParts:
    """Find what is personal in a text, or in the name of a column, which is one when it has no alias.

    Args:
        aliases: Names that are known to be personal already, in lower case.
        people: `properties` are those of persons, although the text does not say so.
    """
    tokens = tokenize(text)
    people = people or any(token.word == "persons" for token in tokens)
    names = set(aliases)
    items = list(_segments(tokens, _CLAUSES))
    while True:  # an alias may be used before it is defined
        found = {name for item in items if _mentions(item, names, people) for name in _aliases(item)}
        if found <= names:
            break
        names |= found
    inside = [part for part in _segments(tokens, _CONDITIONS) if _mentions(part, names, people)]
    return QueryParts(
        tuple(tokens),
        frozenset(
            token.start
            for segment in inside
            for token in segment
            if token.kind is Kind.STRING and not is_personal_name(token.text)
        ),
        frozenset(name for segment in inside for name in _placeholders(segment)),
        frozenset(names - aliases),
        people,
    )


def _segments(tokens: list[Token], boundaries: frozenset[str]) -> Iterator[list[Token]]:
    """Cut at keywords, and at commas that do not stand deeper than the segment begins."""
    segment: list[Token] = []
    depth = start = 0
    for token in tokens:
        if token.word in boundaries or (token.text == "," and depth <= start):
            yield segment
            segment, start = [], depth
            continue
        if token.kind is Kind.OPERATOR:
            depth += _DEPTH.get(token.text, 0)
        segment.append(token)
    yield segment


def _mentions(segment: list[Token], names: set[str], people: bool) -> bool:
    for at, token in enumerate(segment):
        if token.kind not in (Kind.WORD, Kind.QUOTED, Kind.STRING):
            continue
        name = token.text.strip("'\"`").lower()
        if is_personal(name) or (token.kind is not Kind.STRING and name in names):
            return True
        if name == "person_properties" or (people and name == "properties"):
            return True
        if [item.text.lower() for item in segment[at : at + 3]] == ["person", ".", "properties"]:
            return True
    return False


def _aliases(item: list[Token]) -> set[str]:
    """Return the names that an item gets: `... AS name`, wherever it stands in it, or a last word without `AS`."""
    named = {at + 1 for at, token in enumerate(item[:-1]) if token.word == "as"}
    if len(item) > 1 and (item[-2].text == ")" or item[-2].kind is not Kind.OPERATOR):
        named.add(len(item) - 1)
    return {item[at].text.strip("'\"`").lower() for at in named if item[at].kind in (Kind.WORD, Kind.QUOTED)}


def _placeholders(segment: list[Token]) -> Iterator[str]:
    for at, token in enumerate(segment[:-2]):
        if token.text == "{" and segment[at + 2].text == "}":
            yield segment[at + 1].text
