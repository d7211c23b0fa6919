"""What is known of a HogQL function: how to call it in ClickHouse, and what it returns.

Almost every function is data. The few whose translation depends on the types of their arguments, on constants or on
project settings carry a `Special`; the compiler translates those itself and uses the rest of the entry (arity, type).
Source: posthog/hogql/functions/core.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from posthog_events.clickhouse.quoting import string
from posthog_events.clickhouse.sqltype import SqlType

__all__ = [
    "Function",
    "Nullability",
    "Refused",
    "ReturnRule",
    "Role",
    "Special",
    "check_arity",
    "render",
    "return_type",
]

ReturnRule: TypeAlias = Callable[[Sequence[SqlType]], SqlType]
"""The type of a call from the types of its arguments, nullability aside. A lambda's type is the type of its body."""


class Role(StrEnum):
    """Where a function may stand."""

    SCALAR = "scalar"
    AGGREGATE = "aggregate"
    WINDOW = "window"


class Nullability(StrEnum):
    """When a call can be NULL. Source: the rules of posthog/hogql/printer for `ifNull` wrapping."""

    ANY = "when any argument can be"
    NEVER = "never"
    ALWAYS = "always"


class Special(StrEnum):
    """A translation that is more than a name or a template."""

    TO_DATE = "toDate, or toDateOrNull unless the argument is a date, a time or a number"
    TO_DATETIME = "toDateTime, toDateTime64 or parseDateTime64BestEffort[OrNull], by type and by the constant's format"
    TO_DECIMAL = "accurateCastOrNull(x, 'Decimal64(scale)'); the scale is a constant"
    TO_START_OF_WEEK = "the project's first day of the week is the default mode"
    CONCAT = "every argument that is not a constant text becomes ifNull(toString(x), '')"
    COMPARE = "the comparison rules for NULL apply, as for the operator"
    IN = "the IN rules apply, as for the operator"
    ARRAY_REDUCE = "the first argument is a constant: the name of a permitted aggregate"
    LAG_LEAD = "lagInFrame or leadInFrame over toNullable(value), with a whole-partition frame"


@dataclass(frozen=True, slots=True)
class Function:
    """A callable HogQL function.

    Args:
        name: HogQL name.
        clickhouse: ClickHouse name; or, when it contains a brace, a template with `{0}`, `{1}`, ... for single
            arguments, `{args}` for all of them and `{tz}` for the project's time zone as a literal.
        by_count: For calls with that number of arguments, used instead of `clickhouse`.
        max_args: None for no limit.
    """

    name: str
    clickhouse: str
    min_args: int
    max_args: int | None
    returns: ReturnRule
    min_params: int = 0
    max_params: int | None = 0
    role: Role = Role.SCALAR
    case_insensitive: bool = False
    nullability: Nullability = Nullability.ANY
    special: Special | None = None
    by_count: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Refused:
    """A known name that cannot be called here; `reason` is a sentence that says why and what to use instead."""

    name: str
    reason: str


_SLOT = re.compile(r"\{(\w+)\}")


def render(function: Function, args: Sequence[str], params: Sequence[str] = (), *, tz: str) -> str:
    """Return the ClickHouse call. `args` and `params` are SQL texts; arity must have been checked."""
    template = function.by_count.get(len(args), function.clickhouse)
    joined = ", ".join(args)
    if "{" not in template:
        return f"{template}({', '.join(params)})({joined})" if params else f"{template}({joined})"
    slots = {"args": joined, "tz": string(tz)} | {str(index): arg for index, arg in enumerate(args)}
    return _SLOT.sub(lambda slot: slots[slot[1]], template)


def return_type(function: Function, arg_types: Sequence[SqlType]) -> SqlType:
    """Return the type of a call."""
    type_ = function.returns(arg_types)
    match function.nullability:
        case Nullability.ANY:
            # an element of an array can be NULL though the array cannot
            return type_.with_nullable(type_.nullable or any(arg.nullable for arg in arg_types))
        case Nullability.NEVER:
            return type_.with_nullable(False)
        case Nullability.ALWAYS:
            return type_.with_nullable(True)


def check_arity(function: Function, n_args: int, n_params: int = 0) -> str | None:
    """Return what is wrong with the number of arguments or parameters, in PostHog's words; None when nothing is."""
    term = "Aggregation" if function.role is Role.AGGREGATE else "Function"
    if function.min_params and not n_params:
        return f"{term} '{function.name}' requires parameters in addition to arguments"
    return _count_fault(
        f"{term} '{function.name}'", "argument", n_args, function.min_args, function.max_args
    ) or _count_fault(f"{term} '{function.name}'", "parameter", n_params, function.min_params, function.max_params)


def _count_fault(subject: str, term: str, found: int, low: int, high: int | None) -> str | None:
    if found >= low and (high is None or found <= high):
        return None
    if low == high:
        bound, limit = "", low
    elif found < low:
        bound, limit = "at least ", low
    else:
        # only a maximum can be exceeded from here on
        bound, limit = "at most ", high or 0
    return f"{subject} expects {bound}{limit} {term}{'' if limit == 1 else 's'}, found {found}"
