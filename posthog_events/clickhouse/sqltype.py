"""The types a compiled expression can have: just enough to choose overloads and to know where NULL can appear.

PostHog decides on the same grain: `toDate` of a date differs from `toDate` of a text, and a comparison is wrapped in
`ifNull` when a side may be NULL. Width, precision and time zone of a type do not matter here.
Source: posthog/hogql/ast.py and posthog/hogql/base.py (constant types).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

__all__ = [
    "ARRAY",
    "BOOLEAN",
    "DATE",
    "DATETIME",
    "DATETIME64",
    "DECIMAL",
    "FLOAT",
    "INTEGER",
    "INTERVAL",
    "JSON",
    "MAP",
    "NULL",
    "STRING",
    "TUPLE",
    "UNKNOWN",
    "UUID",
    "Kind",
    "SqlType",
    "array_of",
    "common_type",
    "from_clickhouse",
]


class Kind(StrEnum):
    """What family of ClickHouse types a value belongs to. BOOLEAN is `Bool`; comparisons yield UInt8, an INTEGER."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    DATETIME64 = "datetime64"
    UUID = "uuid"
    ARRAY = "array"
    TUPLE = "tuple"
    MAP = "map"
    JSON = "json"
    INTERVAL = "interval"
    NULL = "null"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SqlType:
    """The type of an expression.

    Args:
        nullable: Whether the value can be NULL. An unknown type counts as nullable, as in PostHog.
        item: For an array, the type of its elements, where known.
    """

    kind: Kind
    nullable: bool = False
    item: SqlType | None = None

    def with_nullable(self, nullable: bool) -> SqlType:
        """Return the same type with NULL allowed or not; NULL itself and unknown types stay nullable."""
        return replace(self, nullable=nullable or self.kind in (Kind.NULL, Kind.UNKNOWN))


STRING = SqlType(Kind.STRING)
INTEGER = SqlType(Kind.INTEGER)
FLOAT = SqlType(Kind.FLOAT)
DECIMAL = SqlType(Kind.DECIMAL)
BOOLEAN = SqlType(Kind.BOOLEAN)
DATE = SqlType(Kind.DATE)
DATETIME = SqlType(Kind.DATETIME)
DATETIME64 = SqlType(Kind.DATETIME64)
UUID = SqlType(Kind.UUID)
ARRAY = SqlType(Kind.ARRAY)
TUPLE = SqlType(Kind.TUPLE)
MAP = SqlType(Kind.MAP)
JSON = SqlType(Kind.JSON)
INTERVAL = SqlType(Kind.INTERVAL)
NULL = SqlType(Kind.NULL, nullable=True)
UNKNOWN = SqlType(Kind.UNKNOWN, nullable=True)


def array_of(item: SqlType) -> SqlType:
    """Return the type of an array of `item`; the array itself is never NULL."""
    return SqlType(Kind.ARRAY, item=item)


# by the name before the parenthesis; integers and intervals are recognised by prefix
_BY_NAME = {
    "String": STRING,
    "FixedString": STRING,
    "Enum8": STRING,
    "Enum16": STRING,
    "IPv4": STRING,
    "IPv6": STRING,
    "Float32": FLOAT,
    "Float64": FLOAT,
    "BFloat16": FLOAT,
    "Bool": BOOLEAN,
    "Date": DATE,
    "Date32": DATE,
    "DateTime": DATETIME,
    "DateTime64": DATETIME64,
    "UUID": UUID,
    "Tuple": TUPLE,
    "Map": MAP,
    "JSON": JSON,
    "Object": JSON,
    "Nothing": NULL,
}
_INTEGERS = tuple(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256))


def from_clickhouse(type_text: str) -> SqlType:
    """Return the type that a ClickHouse type name stands for; a name outside the lattice is UNKNOWN.

    >>> from_clickhouse("LowCardinality(Nullable(String))")
    SqlType(kind=<Kind.STRING: 'string'>, nullable=True, item=None)
    """
    name, _, rest = type_text.strip().partition("(")
    inner = rest.removesuffix(")")
    if name == "LowCardinality":
        return from_clickhouse(inner)
    if name == "Nullable":
        return from_clickhouse(inner).with_nullable(True)
    if name == "Array":
        return array_of(from_clickhouse(inner))
    if name == "SimpleAggregateFunction":
        # its value is stored as the plain type after the function's name
        return from_clickhouse(inner.partition(",")[2])
    if name in _INTEGERS:
        return INTEGER
    if name.startswith("Decimal"):
        return DECIMAL
    if name.startswith("Interval"):
        return INTERVAL
    return _BY_NAME.get(name, UNKNOWN)


# a value of a later kind holds every value of an earlier one, as in ClickHouse's least supertype
_NUMBERS = (Kind.BOOLEAN, Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT)
_DATES = (Kind.DATE, Kind.DATETIME, Kind.DATETIME64)


def common_type(types: Sequence[SqlType]) -> SqlType:
    """Return the type that holds values of all of `types`; UNKNOWN when there is none. Nullable when one of them is.

    >>> common_type([INTEGER, FLOAT]).kind
    <Kind.FLOAT: 'float'>
    """
    nullable = any(type_.nullable for type_ in types)
    valued = [type_ for type_ in types if type_.kind is not Kind.NULL]
    if not valued:
        return NULL
    kinds = {type_.kind for type_ in valued}
    if kinds == {Kind.ARRAY}:
        items = [type_.item for type_ in valued if type_.item is not None]
        item = common_type(items) if len(items) == len(valued) else None
        return SqlType(Kind.ARRAY, nullable, item)
    if len(kinds) == 1:
        return valued[0].with_nullable(nullable)
    for family in (_NUMBERS, _DATES):
        if kinds <= set(family):
            return SqlType(max(kinds, key=family.index), nullable)
    return UNKNOWN
