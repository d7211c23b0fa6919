"""HogQL text and bound values as PostHog's query API takes them.

The API's `values` are JSON: they hold no datetimes, dates, uuids or non-finite numbers, and lists are less certain than
single values (reference 3). So a placeholder of such a value is written out around plain ones; the text of the query is
otherwise sent as it is, and positions in PostHog's errors are led back to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from posthog_events.errors import HogQLError, UnresolvedName
from posthog_events.hogql.quoting import string
from posthog_events.hogql.source import Source
from posthog_events.hogql.tokens import Kind, Token, tokenize
from posthog_events.result import Query, Value

__all__ = ["Statement", "prepare"]

RESERVED = frozenset({"filters", "variables"})
"""Placeholder names that mean something else to PostHog."""


@dataclass(frozen=True, slots=True)
class _Edit:
    """`text[start:end]` of the query became `width` characters."""

    start: int
    end: int
    width: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What is sent.

    Args:
        hogql: The query's text with its placeholders.
        values: Plain JSON values of the placeholders.
        edits: Where the text differs from the query's own, in order.
    """

    hogql: str
    values: Mapping[str, Any]
    edits: tuple[_Edit, ...] = ()

    def original(self, at: int) -> int:
        """Return the position in the query's own text of a position in the text that was sent."""
        shift = 0
        for edit in self.edits:
            begin = edit.start + shift
            if at < begin:
                break
            if at < begin + edit.width:
                return edit.start
            shift += edit.width - (edit.end - edit.start)
        return at - shift


def prepare(query: Query, *, timezone: str) -> Statement:
    """Return `query` as the API takes it.

    Args:
        timezone: The project's zone: a datetime is the same moment in it, so that `toStartOfDay({since})` means the
            same as on the local engine.

    Raises:
        UnresolvedName: A placeholder has no value.
        HogQLError: A value has no form in HogQL, or a placeholder's name is reserved.
    """
    source = Source(query.hogql, str(query.path or query.name), query.first_line)
    pieces: list[str] = []
    values: dict[str, Any] = {}
    edits: list[_Edit] = []
    end = 0
    for chain, start, stop in _placeholders(tokenize(query.hogql)):
        if chain[0] == "filters":
            continue
        value = _value(query, chain, source, start, stop)
        written = _Writer("__".join(chain), timezone, values, source, start, stop).write(value)
        pieces += [query.hogql[end:start], written]
        end = stop
        if written != query.hogql[start:stop]:
            edits.append(_Edit(start, stop, len(written)))
    return Statement("".join([*pieces, query.hogql[end:]]), values, tuple(edits))


def _placeholders(tokens: list[Token]) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """Yield the names in every `{a.b}` and the place of its braces; other things in braces are left to the server."""
    at = 0
    while at < len(tokens):
        if tokens[at].kind is Kind.OPERATOR and tokens[at].text == "{":
            chain: list[str] = []
            ahead = at + 1
            while ahead < len(tokens) and tokens[ahead].kind is Kind.WORD:
                chain.append(tokens[ahead].text)
                if ahead + 1 < len(tokens) and tokens[ahead + 1].text == ".":
                    ahead += 2
                    continue
                ahead += 1
                break
            if chain and ahead < len(tokens) and tokens[ahead].text == "}":
                yield tuple(chain), tokens[at].start, tokens[ahead].end
                at = ahead
        at += 1


def _value(query: Query, chain: tuple[str, ...], source: Source, start: int, stop: int) -> Value:
    if chain[0] == "variables" and len(chain) == 2:
        # The API looks variables up by the id they have in the project; as values they need none.
        if chain[1] not in query.variables:
            raise source.error_at(UnresolvedName, f"Variable {chain[1]} is missing from query", start, stop)
        return query.variables[chain[1]]
    name = ".".join(chain)
    if len(chain) > 1 or name not in query.values:
        given = (
            f" Values were given for: {', '.join(sorted(query.values))}" if query.values else " No values were given"
        )
        raise source.error_at(UnresolvedName, f"Unresolved placeholder: {{{name}}}.{given}", start, stop)
    return query.values[name]


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes one placeholder's value as HogQL over plain JSON values."""

    name: str
    timezone: str
    values: dict[str, Any]
    source: Source
    start: int
    stop: int

    def write(self, value: Value, suffix: str = "") -> str:
        name = f"{self.name}{suffix}"
        match value:
            case list() | tuple():
                return f"[{', '.join(self.write(item, f'{suffix}__{n}') for n, item in enumerate(value))}]"
            case float() if not math.isfinite(value):
                return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
            case None | bool() | int() | float() | str():
                return self._plain(name, value)
            case datetime() if value.tzinfo is not None:
                utc = self._plain(name, value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"))
                moment = f"toDateTime64({utc}, 6, 'UTC')"
                return moment if self.timezone == "UTC" else f"toTimeZone({moment}, {string(self.timezone)})"
            case datetime():
                problem = "is a datetime without a time zone; give it one"
            case date():
                return f"toDate({self._plain(name, value.isoformat())})"
            case UUID():
                return f"toUUID({self._plain(name, str(value))})"
            case _:
                problem = f"is of type {type(value).__name__}, which HogQL cannot express"
        raise self.source.error_at(HogQLError, f"The value of {{{self.name}}} {problem}", self.start, self.stop)

    def _plain(self, name: str, value: Any) -> str:
        """Register a JSON value and return its placeholder."""
        if name in RESERVED:
            raise self.source.error_at(
                HogQLError, f"PostHog keeps the name {{{name}}} for itself; rename it", self.start, self.stop
            )
        while name in self.values and self.values[name] is not value:
            name += "_"
        self.values[name] = value
        return f"{{{name}}}"
