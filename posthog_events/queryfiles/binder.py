"""Turns what a template emits into placeholders, and keeps their values."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from posthog_events.errors import Fault, ParameterError
from posthog_events.queryfiles.model import Condition, Step
from posthog_events.queryfiles.sql import Piece, Sql, concat
from posthog_events.result import Value

__all__ = ["UNUSABLE_NAMES", "Binder"]

UNUSABLE_NAMES = frozenset(
    {"filters", "variables", "null", "true", "false", "catch", "except", "finally", "fun", "fn", "inf", "infinity"}
    | {"intersect", "let", "materialized", "nan", "throw", "try", "while", "within"}
)
"""Words that cannot stand in `{...}`: PostHog's two, and what the grammar refuses (tried on hogql-parser 1.3.88)."""


class Binder:
    """The values of one rendering. Placeholders are numbered in the order of emission, whatever the values are."""

    def __init__(self, taken: Collection[str]) -> None:
        """
        Args:
            taken: Placeholder names that the body itself uses.
        """
        self._taken = set(taken)
        self.values: dict[str, Value] = {}

    def emit(self, offset: int, hint: str, value: object) -> Sql:
        """Return what `{{ value }}` at `offset` of the body puts into the query.

        Args:
            hint: The name of the placeholder, when it is free.

        Raises:
            ParameterError: The value has no place in a query.
        """
        if isinstance(value, Sql):
            # parts that a filter made do not know yet where they stand; literal text keeps its own place
            return Sql(tuple(piece if piece.offset >= 0 else piece._replace(offset=offset) for piece in value._pieces))
        if isinstance(value, (list, tuple)):
            return self._list(offset, hint, value)
        name = self._bind(hint, self._constant(hint, value))
        return Sql((Piece(f"{{{name}}}", offset, literal=False),))

    def bound(self, hint: str, value: object) -> str:
        """Bind `value` and return its placeholder as text, for a structural filter to build upon."""
        return f"{{{self._bind(hint, self._constant(hint, value))}}}"

    def _list(self, offset: int, hint: str, values: list[object] | tuple[object, ...]) -> Sql:
        if not values:
            raise _unusable(hint, "is an empty list; put the clause into {% if ... %}")
        comma = Sql((Piece(", ", offset, literal=False),))
        parts: list[Sql] = []
        for value in values:
            if isinstance(value, (list, tuple)):
                raise _unusable(hint, "is a list of lists; emit each with a {% for %}")
            parts += [comma, self.emit(offset, hint, value)]
        return concat(parts[1:])

    def _constant(self, hint: str, value: object) -> Value:
        if value is None:
            raise _unusable(hint, "is not set here; put the clause into {% if ... %}")
        if isinstance(value, str):
            return str.__str__(value)  # not a subclass with ideas of its own, such as markupsafe.Markup
        if isinstance(value, datetime) and value.tzinfo is None:
            raise _unusable(hint, "is a datetime without a zone")
        if isinstance(value, (bool, int, float, date)):
            return value
        if isinstance(value, (Step, Condition)):
            raise _unusable(hint, "is a condition; write {{ ... | condition }}")
        raise _unusable(hint, f"is a {type(value).__name__}, which cannot be a value in a query")

    def _bind(self, hint: str, value: Value) -> str:
        name, number = hint, 1
        while name in self._taken or name in UNUSABLE_NAMES:
            number += 1
            name = f"{hint}_{number}"
        self._taken.add(name)
        self.values[name] = value
        return name


def _unusable(hint: str, problem: str) -> ParameterError:
    return ParameterError([Fault(f"`{hint}` {problem}")])
