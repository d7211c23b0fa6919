"""What compiling an expression yields: SQL text, its type, and what later steps need to know about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from posthog_events.clickhouse.catalog import PropertyKind
from posthog_events.clickhouse.sqltype import INTEGER, SqlType

__all__ = ["FALSE", "NOT_CONSTANT", "TRUE", "JsonText", "Sql"]

NOT_CONSTANT: Final = object()
"""Distinguishes "no constant" from the constant NULL."""


@dataclass(frozen=True, slots=True)
class JsonText:
    """A JSON text that property chains can continue into.

    Args:
        text: SQL of the whole document.
        path: Keys read so far; empty for the document itself.
        promoted: Key to the SQL of the column that holds its canonical text.
        property_types: Key to its definition's type.
    """

    text: str
    path: tuple[str | int, ...] = ()
    promoted: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    property_types: Mapping[str, PropertyKind] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Sql:
    """A compiled expression.

    Args:
        constant: The Python value of a literal, else `NOT_CONSTANT`.
        json: Set when a chain such as `.key` or `['key']` may continue into this value.
        instant: For a DateTime column of a table: its SQL without the project's time zone, for comparisons that only
            look at the instant. Storage can skip data by it, by the wrapped form it cannot.
        never_null_wrapped: A `timestamp` column of events or sessions, whose comparisons PostHog leaves bare.
    """

    text: str
    type: SqlType
    constant: Any = NOT_CONSTANT
    json: JsonText | None = None
    instant: str | None = None
    never_null_wrapped: bool = False

    @property
    def is_constant(self) -> bool:
        return self.constant is not NOT_CONSTANT

    @property
    def is_null(self) -> bool:
        return self.constant is None


TRUE = Sql("1", INTEGER, 1)
FALSE = Sql("0", INTEGER, 0)
