"""Arithmetic, mathematics, bits, bitmaps, distances, and numbers for people.

Source: posthog/hogql/functions/clickhouse/{arithmetic,mathematical}.py and posthog/hogql/functions/mapping.py.
"""

from __future__ import annotations

from posthog_events.clickhouse.functions.model import Function
from posthog_events.clickhouse.functions.rules import arithmetic, fixed, named, quotient, same, total
from posthog_events.clickhouse.sqltype import DECIMAL, FLOAT, INTEGER, STRING, TUPLE, UNKNOWN, array_of

__all__ = ["BITS", "DISTANCES", "MATHS", "READABLE"]

MATHS: tuple[Function, ...] = (
    *named("plus minus multiply", 2, 2, arithmetic),
    *named("divide", 2, 2, quotient),
    *named("modulo moduloOrZero positiveModulo", 2, 2, arithmetic),
    *named("intDiv intDivOrZero gcd lcm", 2, 2, fixed(INTEGER)),
    *named("negate", 1, 1, total),
    *named("abs", 1, 1, total, case_insensitive=True),
    *named("max2 min2", 2, 2, fixed(FLOAT), case_insensitive=True),
    *named("multiplyDecimal divideDecimal", 2, 3, fixed(DECIMAL)),
    *named("e pi", 0, 0, fixed(FLOAT)),
    *named(
        "exp log ln log2 log10 sqrt sin cos tan asin acos atan degrees radians",
        1,
        1,
        fixed(FLOAT),
        case_insensitive=True,
    ),
    *named("exp2 exp10 cbrt erf erfc lgamma tgamma cosh acosh sinh asinh atanh log1p", 1, 1, fixed(FLOAT)),
    *named("pow power", 2, 2, fixed(FLOAT), case_insensitive=True),
    *named("atan2 hypot", 2, 2, fixed(FLOAT)),
    *named("intExp2 intExp10", 1, 1, fixed(INTEGER)),
    *named("sign factorial", 1, 1, fixed(INTEGER), case_insensitive=True),
    *named("width_bucket", 4, 4, fixed(INTEGER)),
    *named("floor ceil trunc round", 1, 2, total, case_insensitive=True),
    *named("roundBankers", 1, 2, total),
    *named("roundToExp2", 1, 1, total),
    *named("roundDuration roundAge", 1, 1, fixed(INTEGER)),
    *named("roundDown", 2, 2, same()),
    *named("rand", 0, 0, fixed(INTEGER)),
    *named("isFinite isInfinite isNaN", 1, 1, fixed(INTEGER)),
)

BITS: tuple[Function, ...] = (
    *named(
        "bitAnd bitOr bitXor bitShiftLeft bitShiftRight bitRotateLeft bitRotateRight bitTest bitHammingDistance",
        2,
        2,
        fixed(INTEGER),
    ),
    *named("bitNot bitCount", 1, 1, fixed(INTEGER)),
    *named("bitSlice", 3, 3, fixed(STRING)),
    *named("bitTestAll bitTestAny", 3, None, fixed(INTEGER)),
    # a bitmap is an aggregate's state: outside the lattice
    *named("bitmapBuild", 1, 1, fixed(UNKNOWN)),
    *named("bitmapToArray", 1, 1, fixed(array_of(INTEGER))),
    *named("bitmapSubsetInRange bitmapSubsetLimit subBitmap bitmapTransform", 3, 3, fixed(UNKNOWN)),
    *named("bitmapAnd bitmapOr bitmapXor bitmapAndnot", 2, 2, fixed(UNKNOWN)),
    *named("bitmapCardinality bitmapMin bitmapMax", 1, 1, fixed(INTEGER)),
    *named(
        "bitmapContains bitmapHasAny bitmapHasAll bitmapAndCardinality bitmapOrCardinality bitmapXorCardinality "
        "bitmapAndnotCardinality",
        2,
        2,
        fixed(INTEGER),
    ),
)

DISTANCES: tuple[Function, ...] = (
    *named("L2Norm LinfNorm", 1, 1, fixed(FLOAT)),
    # sums of absolute values: integers stay integers
    *named("L1Norm", 1, 1, fixed(UNKNOWN)),
    *named("L1Distance", 2, 2, fixed(UNKNOWN)),
    *named("LpNorm L2Distance LinfDistance cosineDistance", 2, 2, fixed(FLOAT)),
    *named("LpDistance", 3, 3, fixed(FLOAT)),
    *named("L1Normalize L2Normalize LinfNormalize", 1, 1, fixed(TUPLE)),
    *named("LpNormalize", 2, 2, fixed(TUPLE)),
)

READABLE: tuple[Function, ...] = (
    *named("bar", 4, 4, fixed(STRING)),
    *named("formatReadableSize formatReadableDecimalSize formatReadableQuantity", 1, 1, fixed(STRING)),
    *named("formatReadableTimeDelta", 1, 2, fixed(STRING)),
    # reads nothing; the argument only lets ClickHouse skip data
    *named("indexHint", 1, 1, fixed(INTEGER)),
)
