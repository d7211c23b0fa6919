"""Arrays, maps, tuples.

A lambda's type is the type of its body, so `arrayMap(x -> f(x), xs)` is an array of its first argument's type.
Source: posthog/hogql/functions/clickhouse/arrays.py and posthog/hogql/functions/mapping.py.
"""

from __future__ import annotations

from posthog_events.clickhouse.functions.model import Function, ReturnRule, Special
from posthog_events.clickhouse.functions.rules import (
    array_like,
    arrays_of,
    common,
    fixed,
    item,
    named,
    never,
    same,
    total,
)
from posthog_events.clickhouse.sqltype import (
    FLOAT,
    INTEGER,
    MAP,
    STRING,
    TUPLE,
    UNKNOWN,
    Kind,
    array_of,
    common_type,
)

__all__ = ["ARRAYS", "MAPS", "TUPLES"]

_INTEGERS = array_of(INTEGER)

# f(array) and f(lambda, array): the value is the lambda's or the element's
_value: ReturnRule = lambda args: args[0] if len(args) > 1 else item()(args)  # noqa: E731
_sum: ReturnRule = lambda args: total([_value(args)])  # noqa: E731
_sums: ReturnRule = lambda args: array_of(_sum(args))  # noqa: E731
# f(array) and f(lambda, array): an array of the same elements
_same_elements: ReturnRule = lambda args: array_like(min(1, len(args) - 1))(args)  # noqa: E731
_extended: ReturnRule = lambda args: array_of(common_type([args[0].item or UNKNOWN, args[1]]))  # noqa: E731
_flat_item: ReturnRule = lambda args: (  # noqa: E731
    _flat_item([args[0].item]) if args[0].item is not None and args[0].kind is Kind.ARRAY else args[0]
)

ARRAYS: tuple[Function, ...] = (
    *named("array", 0, None, arrays_of(common()), nullability=never),
    *named("range", 1, 3, fixed(_INTEGERS)),
    *named("arrayWithConstant", 2, 2, arrays_of(same(1)), nullability=never),
    *named("arrayElement", 2, 2, item()),
    *named("has hasAll hasAny hasSubstr indexOf countEqual", 2, 2, fixed(INTEGER)),
    *named("arrayCount arrayUniq arrayExists arrayAll", 1, None, fixed(INTEGER)),
    *named("arrayFirstIndex arrayLastIndex", 2, None, fixed(INTEGER)),
    *named("arrayEnumerate arrayEnumerateDense", 1, 1, fixed(_INTEGERS)),
    *named("arrayEnumerateUniq", 2, None, fixed(_INTEGERS)),
    *named("arrayConcat", 2, None, common()),
    *named("arrayIntersect", 1, None, array_like()),
    *named("arrayPopBack arrayPopFront arrayDistinct arrayReverse arrayCompact", 1, 1, array_like()),
    *named("arrayPushBack arrayPushFront", 2, 2, _extended, nullability=never),
    *named("arrayResize arraySlice", 2, 3, array_like()),
    *named("arrayRotateLeft arrayRotateRight", 2, 2, array_like()),
    *named("arraySort", 1, None, _same_elements),
    # sorts ascending, as in PostHog: an upstream slip that people's results depend on
    *named("arrayReverseSort", 1, None, _same_elements, clickhouse="arraySort"),
    *named("arrayDifference", 1, 1, array_like()),
    *named("arrayFlatten", 1, 1, arrays_of(_flat_item)),
    *named("arrayZip", 2, None, fixed(array_of(TUPLE))),
    *named("arrayJoin", 1, 1, item()),
    *named("arrayStringConcat", 1, 2, fixed(STRING)),
    *named("arrayAUC", 2, 2, fixed(FLOAT)),
    *named("arrayProduct", 1, 1, fixed(FLOAT)),
    *named("arrayMap", 2, None, arrays_of(same()), nullability=never),
    *named("arrayFilter arrayFill arrayReverseFill", 2, None, array_like(1), nullability=never),
    *named("arraySplit arrayReverseSplit", 2, None, arrays_of(array_like(1)), nullability=never),
    *named("arrayFirst arrayLast", 2, None, item(1)),
    *named("arrayMin arrayMax", 1, 2, _value),
    *named("arraySum", 1, 2, _sum),
    *named("arrayAvg", 1, 2, fixed(FLOAT)),
    *named("arrayCumSum arrayCumSumNonNegative", 1, None, _sums, nullability=never),
    *named("arrayFold", 3, None, same(-1)),
    *named("arrayReduce", 2, None, fixed(UNKNOWN), special=Special.ARRAY_REDUCE),
)

MAPS: tuple[Function, ...] = (
    *named("map", 0, None, fixed(MAP), nullability=never),
    *named("mapFromArrays mapApply mapFilter mapUpdate mapExtractKeyLike", 2, 2, fixed(MAP)),
    # these also work on tuples of arrays, and return what they are given
    *named("mapAdd mapSubtract", 2, None, same()),
    *named("mapPopulateSeries", 1, 3, same()),
    *named("mapContains mapContainsKeyLike", 2, 2, fixed(INTEGER)),
    *named("mapKeys mapValues", 1, 1, fixed(array_of(UNKNOWN))),
)

TUPLES: tuple[Function, ...] = (
    *named("tuple", 0, None, fixed(TUPLE), nullability=never),
    *named("tupleElement", 2, 3, fixed(UNKNOWN)),
    *named("untuple", 1, 1, fixed(UNKNOWN)),
    *named("tupleHammingDistance", 2, 2, fixed(INTEGER)),
    *named("tupleToNameValuePairs", 1, 1, fixed(array_of(TUPLE))),
    *named(
        "tuplePlus tupleMinus tupleMultiply tupleDivide tupleMultiplyByNumber tupleDivideByNumber", 2, 2, fixed(TUPLE)
    ),
    *named("tupleNegate", 1, 1, fixed(TUPLE)),
    *named("dotProduct", 2, 2, fixed(UNKNOWN)),
)
