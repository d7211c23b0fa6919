"""Aggregate and window functions.

Source: posthog/hogql/functions/aggregations.py and, for window functions, posthog/hogql/functions/mapping.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from posthog_events.clickhouse.functions.model import Function, Nullability, ReturnRule, Role, Special
from posthog_events.clickhouse.functions.rules import (
    always,
    array_like,
    arrays_of,
    fixed,
    item,
    named,
    never,
    same,
    total,
)
from posthog_events.clickhouse.sqltype import (
    BOOLEAN,
    FLOAT,
    INTEGER,
    MAP,
    STRING,
    TUPLE,
    UNKNOWN,
    Kind,
    SqlType,
    array_of,
)

__all__ = ["AGGREGATES", "WINDOW_FUNCTIONS"]

_aggregate = partial(named, role=Role.AGGREGATE)
_any_params = (0, None)


def _interpolated(args: Sequence[SqlType]) -> SqlType:
    """The type of an average or quantile: moments and decimals stay what they are, numbers become floats."""
    kind = args[0].kind
    if kind in (Kind.INTEGER, Kind.FLOAT, Kind.BOOLEAN):
        return FLOAT
    return args[0] if kind in (Kind.DATE, Kind.DATETIME, Kind.DATETIME64, Kind.DECIMAL) else UNKNOWN


# groupArray and its kin leave NULL out
_group: ReturnRule = lambda args: array_of(args[0].with_nullable(False))  # noqa: E731
_moving: ReturnRule = lambda args: array_of(total(args))  # noqa: E731


def _with_if(
    names: str,
    args: int,
    returns: ReturnRule,
    *,
    params: tuple[int, int | None] = (0, 0),
    nullability: Nullability = Nullability.ANY,
) -> Iterator[Function]:
    """Yield aggregates of `args` arguments, each also with `If`, which takes a condition more."""
    for name in names.split():
        yield from _aggregate(name, args, args, returns, params=params, nullability=nullability)
        yield from _aggregate(f"{name}If", args + 1, args + 1, returns, params=params, nullability=nullability)


# -- combinators: generated, as in PostHog ------------------------------------------------------------------------

_AFTER = ("If", "OrDefault", "OrNull")
_FOLLOWERS: dict[str, tuple[str, ...]] = {
    "If": (),
    "OrDefault": ("If",),
    "OrNull": ("If",),
    "Array": _AFTER,
    "Map": _AFTER,
    "State": _AFTER,
    "Merge": _AFTER,
    "ForEach": _AFTER,
    "ArgMin": _AFTER,
    "ArgMax": _AFTER,
}
_TAKES_ONE_MORE = ("If", "ArgMin", "ArgMax")
_PLAIN_BASES: tuple[Function, ...] = (
    *_aggregate("avg", 1, 1, _interpolated, case_insensitive=True),
    *_aggregate("sum", 1, 1, total, case_insensitive=True),
    *_aggregate("min max", 1, 1, same(), case_insensitive=True),
    *_aggregate("count", 0, 1, fixed(INTEGER), case_insensitive=True, nullability=never),
    *_aggregate("countDistinct", 1, 1, fixed(INTEGER), nullability=never),
    *_aggregate("median", 1, 1, _interpolated),
)


def _of_items(base: ReturnRule, args: Sequence[SqlType]) -> SqlType:
    """The type of an aggregate over the elements of an array, which may be NULL where the array cannot."""
    element = item()(args)
    return base([element]).with_nullable(element.nullable)


def _returns(base: ReturnRule, suffix: str) -> ReturnRule:
    match suffix:
        case "Array":
            return partial(_of_items, base)
        case "ForEach":
            return lambda args: array_of(_of_items(base, args))
        case "Map":
            return fixed(MAP)
        case "State":
            return fixed(UNKNOWN)
        case "Merge":
            # the argument is a state, so only a type that does not depend on it is known
            return lambda args: base([UNKNOWN])
        case _:
            return base


def _combined(base: Function, suffixes: tuple[str, ...] = ()) -> Iterator[Function]:
    """Yield `base` with every permitted chain of combinators after `suffixes`."""
    for suffix in _FOLLOWERS[suffixes[-1]] if suffixes else _FOLLOWERS:
        more = int(suffix in _TAKES_ONE_MORE)
        # count takes no argument, but not of nothing's elements or state
        least = 1 if suffix in ("Array", "Map", "Merge", "ForEach") else 0
        function = Function(
            base.name + suffix,
            base.clickhouse + suffix,
            max(base.min_args, least) + more,
            None if base.max_args is None else base.max_args + more,
            _returns(base.returns, suffix),
            role=Role.AGGREGATE,
            nullability=always if suffix == "OrNull" else base.nullability,
        )
        yield function
        yield from _combined(function, (*suffixes, suffix))


_GENERATED = tuple(function for base in _PLAIN_BASES for function in (base, *_combined(base)))

# -- the rest -----------------------------------------------------------------------------------------------------

_LISTED: tuple[Function, ...] = (
    *_aggregate("countIf", 1, 2, fixed(INTEGER), nullability=never),
    *_aggregate("countStateIf", 1, 2, fixed(UNKNOWN)),
    *_aggregate("countMapIf avgMapIf", 2, 3, fixed(MAP)),
    *_aggregate("avgMapState", 1, 2, fixed(UNKNOWN)),
    *_aggregate("sumMap minMap maxMap", 1, 2, fixed(UNKNOWN)),
    *_aggregate("sumMapIf minMapIf maxMapIf", 2, 3, fixed(UNKNOWN)),
    *_aggregate("sumForEachState", 1, 1, fixed(UNKNOWN)),
    *_aggregate("sumForEachMerge", 1, 1, fixed(UNKNOWN)),
    *_aggregate("avgArray", 1, 1, fixed(FLOAT), clickhouse="avgArrayOrNull", nullability=always),
    *_aggregate("medianArray", 1, 1, fixed(FLOAT), clickhouse="medianArrayOrNull", nullability=always),
    # one value of the group
    *_with_if("any anyLast anyHeavy", 1, same()),
    *_with_if("argMin argMax", 2, same()),
    *_aggregate("argMinMerge argMaxMerge", 1, 1, fixed(UNKNOWN)),
    *_aggregate("argMinState argMaxState", 2, 2, fixed(UNKNOWN)),
    # statistics
    *_with_if("stddevPop stddevSamp varPop varSamp skewPop skewSamp kurtPop kurtSamp", 1, fixed(FLOAT)),
    *_with_if("covarPop covarSamp avgWeighted", 2, fixed(FLOAT)),
    *_with_if("cramersV cramersVBiasCorrected theilsU contingency", 2, fixed(FLOAT)),
    *_aggregate("corr", 2, 2, fixed(FLOAT)),
    *_with_if("simpleLinearRegression", 2, fixed(TUPLE)),
    *_with_if("sumWithOverflow deltaSum", 1, total),
    *_with_if("deltaSumTimestamp", 2, total),
    *_with_if("maxIntersections maxIntersectionsPosition", 2, fixed(UNKNOWN)),
    # quantiles
    *_with_if("medianExact medianExactLow medianExactHigh", 1, same()),
    *_with_if("medianTiming medianTDigest medianBFloat16", 1, _interpolated),
    *_aggregate("quantile", 1, 1, _interpolated, params=(1, 1)),
    *_aggregate("quantileIf", 2, 2, _interpolated, params=(1, 1)),
    *_aggregate("quantileExact", 1, 1, same(), params=(1, 1)),
    *_aggregate("quantiles", 1, None, arrays_of(_interpolated), params=_any_params),
    *_aggregate("quantilesIf", 2, 2, arrays_of(_interpolated), params=(1, 1)),
    *_aggregate("quantilesState", 1, 1, fixed(UNKNOWN), params=(1, None)),
    *_aggregate("quantilesStateIf", 2, 2, fixed(UNKNOWN), params=(1, None)),
    *_aggregate("quantilesMerge", 1, 1, fixed(array_of(UNKNOWN)), params=(1, None)),
    *_aggregate("quantilesMergeIf", 2, 2, fixed(array_of(UNKNOWN)), params=(1, None)),
    # distinct values
    *_aggregate("uniq uniqExact uniqHLL12", 1, None, fixed(INTEGER), nullability=never),
    *_aggregate("uniqIf uniqExactIf uniqHLL12If", 2, None, fixed(INTEGER), nullability=never),
    *_aggregate("uniqState", 1, 1, fixed(UNKNOWN)),
    *_aggregate("uniqStateIf", 2, 2, fixed(UNKNOWN)),
    *_aggregate("uniqExactState", 1, None, fixed(UNKNOWN)),
    *_aggregate("uniqMerge", 1, 1, fixed(INTEGER), nullability=never),
    *_aggregate("uniqMergeIf", 2, 2, fixed(INTEGER), nullability=never),
    *_aggregate("uniqExactMerge", 1, 1, fixed(INTEGER), nullability=never),
    *_aggregate("uniqMap", 1, 1, fixed(MAP)),
    *_aggregate("uniqMapMerge", 1, 1, fixed(MAP)),
    *_aggregate("uniqMapMergeIf", 2, 2, fixed(MAP)),
    *_aggregate("uniqUpToMerge", 1, 1, fixed(INTEGER), params=(1, 1), nullability=never),
    # arrays
    *_aggregate("groupArray groupUniqArray", 1, 1, _group, params=_any_params, nullability=never),
    *_aggregate("groupArrayIf groupUniqArrayIf", 2, 2, _group, params=_any_params, nullability=never),
    *_aggregate("array_agg", 1, 1, _group, clickhouse="groupArray", nullability=never),
    *_aggregate("groupUniqArrayArray", 1, 1, array_like(), params=(0, 1), nullability=never),
    *_aggregate("groupUniqArrayArrayIf", 2, 2, array_like(), params=(0, 1), nullability=never),
    *_with_if("groupArraySample", 1, _group, params=(1, 2), nullability=never),
    *_with_if("groupArrayInsertAt", 2, _group, params=_any_params, nullability=never),
    *_with_if("groupArrayMovingSum", 1, _moving, params=_any_params, nullability=never),
    *_with_if("groupArrayMovingAvg", 1, fixed(array_of(UNKNOWN)), params=_any_params, nullability=never),
    *_aggregate("topK", 1, 1, _group, params=(1, 1), nullability=never),
    *_aggregate("json_agg", 1, 1, fixed(STRING), clickhouse="toJSONString(groupArray({0}))", nullability=never),
    *_aggregate("string_agg", 2, 2, fixed(STRING), clickhouse="arrayStringConcat(groupArray({0}), {1})"),
    # bits
    *_with_if("groupBitAnd groupBitOr groupBitXor", 1, fixed(INTEGER)),
    *_with_if("groupBitmap groupBitmapAnd groupBitmapOr groupBitmapXor", 1, fixed(INTEGER)),
    *_aggregate("groupBitmapState groupBitmapAndState groupBitmapOrState", 1, 1, fixed(UNKNOWN)),
    *_aggregate("every", 1, 1, fixed(BOOLEAN), clickhouse="toBool(min({0}))"),
    *_aggregate("windowFunnel", 1, 99, fixed(INTEGER), params=_any_params),
)

AGGREGATES: tuple[Function, ...] = (*_GENERATED, *_LISTED)
"""In order of precedence: a later entry of the same name wins."""

_window = partial(named, role=Role.WINDOW)

WINDOW_FUNCTIONS: tuple[Function, ...] = (
    *_window("rank dense_rank row_number", 0, 0, fixed(INTEGER), nullability=never),
    *_window("first_value last_value", 1, 1, same()),
    *_window("nth_value", 2, 2, same()),
    *_window("lagInFrame leadInFrame", 1, 3, same()),
    *_window("lag", 1, 3, same(), clickhouse="lagInFrame", nullability=always, special=Special.LAG_LEAD),
    *_window("lead", 1, 3, same(), clickhouse="leadInFrame", nullability=always, special=Special.LAG_LEAD),
)
