"""The vocabulary of the function table: return rules, and a shorthand for functions that keep their name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from posthog_events.clickhouse.functions.model import Function, Nullability, ReturnRule, Role, Special
from posthog_events.clickhouse.sqltype import (
    ARRAY,
    DATETIME,
    DECIMAL,
    FLOAT,
    INTEGER,
    UNKNOWN,
    Kind,
    SqlType,
    array_of,
    common_type,
)

__all__ = [
    "always",
    "arithmetic",
    "array_like",
    "arrays_of",
    "common",
    "fixed",
    "item",
    "named",
    "never",
    "quotient",
    "same",
    "total",
]

never = Nullability.NEVER
always = Nullability.ALWAYS

_NUMBERS = frozenset({Kind.INTEGER, Kind.FLOAT, Kind.DECIMAL, Kind.BOOLEAN})
_MOMENTS = frozenset({Kind.DATE, Kind.DATETIME, Kind.DATETIME64})


def named(
    names: str,
    min_args: int,
    max_args: int | None,
    returns: ReturnRule,
    *,
    params: tuple[int, int | None] = (0, 0),
    role: Role = Role.SCALAR,
    case_insensitive: bool = False,
    nullability: Nullability = Nullability.ANY,
    special: Special | None = None,
    by_count: Mapping[int, str] = MappingProxyType({}),
    clickhouse: str | None = None,
) -> Iterator[Function]:
    """Yield one function for each of the space-separated `names`, all alike; `clickhouse` is the name unless given."""
    for name in names.split():
        yield Function(
            name,
            clickhouse or name,
            min_args,
            max_args,
            returns,
            min_params=params[0],
            max_params=params[1],
            role=role,
            case_insensitive=case_insensitive,
            nullability=nullability,
            special=special,
            by_count=by_count,
        )


def fixed(type_: SqlType) -> ReturnRule:
    """Always that type."""
    return lambda args: type_


def same(index: int = 0) -> ReturnRule:
    """The type of an argument; a negative index counts from the last."""
    return lambda args: args[index]


def item(index: int = 0) -> ReturnRule:
    """The type of an element of an array argument."""
    return lambda args: args[index].item or UNKNOWN


def common(start: int = 0, stop: int | None = None, step: int | None = None) -> ReturnRule:
    """The type that holds every one of a slice of the arguments."""
    return lambda args: common_type(args[start:stop:step])


def arrays_of(rule: ReturnRule) -> ReturnRule:
    """An array whose elements have the type of `rule`."""
    return lambda args: array_of(rule(args))


def array_like(index: int = 0) -> ReturnRule:
    """An array with the element type of an array argument; ARRAY when the argument is not known to be one."""
    return lambda args: args[index] if args[index].kind is Kind.ARRAY else ARRAY


def total(args: Sequence[SqlType]) -> SqlType:
    """The type of a sum: numbers keep their kind."""
    kind = args[0].kind
    if kind is Kind.BOOLEAN:
        return INTEGER
    return args[0] if kind in _NUMBERS or kind is Kind.INTERVAL else UNKNOWN


def arithmetic(args: Sequence[SqlType]) -> SqlType:
    """The type of `a + b`, `a - b`, `a * b` and the like: numbers, moments with intervals or numbers, tuples."""
    kinds = {arg.kind for arg in args}
    if kinds <= _NUMBERS:
        return INTEGER if kinds <= {Kind.INTEGER, Kind.BOOLEAN} else common_type(args)
    if kinds <= _MOMENTS:
        # a difference: dates in days, times in seconds
        return UNKNOWN if Kind.DATETIME64 in kinds else INTEGER
    if kinds & _MOMENTS:
        moment = next(arg for arg in args if arg.kind in _MOMENTS)
        # a date plus an interval of hours is a time; which unit it is, the type does not say
        return DATETIME if kinds == {Kind.DATE, Kind.INTERVAL} else moment
    return args[0] if len(kinds) == 1 and kinds <= {Kind.TUPLE, Kind.ARRAY} else UNKNOWN


def quotient(args: Sequence[SqlType]) -> SqlType:
    """The type of `a / b`: a float unless decimals are involved."""
    kinds = {arg.kind for arg in args}
    if not kinds <= _NUMBERS:
        return args[0] if args[0].kind is Kind.TUPLE else UNKNOWN
    return DECIMAL if Kind.DECIMAL in kinds and Kind.FLOAT not in kinds else FLOAT
