"""Comparison and NULL: every row of the table, then casts and operators (reference 2.6).

`properties.v` is 'x' on the probe `text` and absent on the probe `missing`; `properties.w` is absent everywhere. So
each matrix case gives two values, for a side that is there and a side that is NULL.
"""

from __future__ import annotations

from typing import Any

from posthog_events.errors import EngineError, UnsupportedHogQL
from tests.contract.corpus.cases import Case, refused, rows, value

_BERLIN = "Europe/Berlin"


def _matrix(name: str, expression: str, present: Any, absent: Any, **given: Any) -> Case:
    return rows(
        f"2.6-{name}",
        f"SELECT {expression} AS r FROM events WHERE properties.name = 'text' OR properties.name = 'missing' "
        "ORDER BY timestamp",
        (present,),
        (absent,),
        **given,
    )


CASES = (
    # a constant on one side
    _matrix("null-equals-constant", "properties.v = 'x'", 1, 0, types=["UInt8"]),
    _matrix("constant-equals-null", "'x' = properties.v", 1, 0),
    _matrix("null-not-equals-constant", "properties.v != 'x'", 0, 1, types=["UInt8"]),
    _matrix("constant-not-equals-null", "'x' <> properties.v", 0, 1),
    _matrix("null-like-constant", "properties.v LIKE 'x%'", 1, 0),
    _matrix("null-not-like-constant", "properties.v NOT LIKE 'x%'", 0, 1),
    _matrix("null-ilike-constant", "properties.v ILIKE 'X%'", 1, 0),
    _matrix("null-not-ilike-constant", "properties.v NOT ILIKE 'X%'", 0, 1),
    _matrix("null-matches-constant", "properties.v =~ '^x$'", 1, 0),
    _matrix("null-not-matches-constant", "properties.v !~ '^x$'", 0, 1),
    _matrix("null-imatches-constant", "properties.v =~* '^X$'", 1, 0),
    _matrix("null-not-imatches-constant", "properties.v !~* '^X$'", 0, 1),
    _matrix("null-less-than-constant", "properties.v < 'y'", 1, 0),
    _matrix("null-less-or-equal-constant", "properties.v <= 'x'", 1, 0),
    _matrix("null-greater-than-constant", "properties.v > 'a'", 1, 0),
    _matrix("null-greater-or-equal-constant", "properties.v >= 'x'", 1, 0),
    _matrix("null-between-constants", "properties.v BETWEEN 'a' AND 'z'", 1, 0, types=["UInt8"]),
    # no constant; `w` is NULL in both rows
    _matrix("null-equals-column", "properties.v = properties.w", 0, 1),
    _matrix("null-not-equals-column", "properties.v != properties.w", 1, 0),
    _matrix("null-like-column", "properties.v LIKE properties.w", 0, 1),
    _matrix("null-not-like-column", "properties.v NOT LIKE properties.w", 1, 0),
    _matrix("null-ilike-column", "properties.v ILIKE properties.w", 0, 1),
    _matrix("null-not-ilike-column", "properties.v NOT ILIKE properties.w", 1, 0),
    _matrix("null-matches-column", "properties.v =~ properties.w", 0, 1),
    _matrix("null-not-matches-column", "properties.v !~ properties.w", 1, 0),
    _matrix("null-imatches-column", "properties.v =~* properties.w", 0, 1),
    _matrix("null-not-imatches-column", "properties.v !~* properties.w", 1, 0),
    _matrix("null-less-than-column", "properties.v < properties.w", 0, 0),
    _matrix("null-greater-or-equal-column", "properties.v >= properties.w", 0, 0),
    _matrix("nullable-equals-not-nullable", "properties.v = event", 0, 0),
    _matrix("nullable-not-equals-not-nullable", "properties.v != event", 1, 1),
    # NULL itself
    _matrix("equals-null", "properties.v = NULL", 0, 1),
    _matrix("null-on-the-left", "NULL = properties.v", 0, 1),
    _matrix("is-null", "properties.v IS NULL", 0, 1),
    _matrix("not-equals-null", "properties.v != NULL", 1, 0),
    _matrix("is-not-null", "properties.v IS NOT NULL", 1, 0),
    # IN, by transform_null_in
    _matrix("in", "properties.v IN ('x', 'y')", 1, 0),
    _matrix("in-one", "properties.v IN ('x')", 1, 0),
    _matrix("not-in", "properties.v NOT IN ('x', 'y')", 0, 1),
    _matrix("in-with-null", "properties.v IN ('a', NULL)", 0, 1),
    _matrix("not-in-with-null", "properties.v NOT IN ('a', NULL)", 1, 0),
    _matrix("in-subquery", "properties.v IN (SELECT plan FROM plans)", 0, 0),
    _matrix("not-in-subquery", "properties.v NOT IN (SELECT plan FROM plans)", 1, 1),
    # the comparison functions
    _matrix("function-equals", "equals(properties.v, 'x')", 1, 0),
    _matrix("function-notEquals", "notEquals(properties.v, 'x')", 0, 1),
    _matrix("function-less", "less(properties.v, 'y')", 1, 0),
    _matrix("function-lessOrEquals", "lessOrEquals(properties.v, 'x')", 1, 0),
    _matrix("function-greater", "greater(properties.v, 'a')", 1, 0),
    _matrix("function-greaterOrEquals", "greaterOrEquals(properties.v, 'x')", 1, 0),
    _matrix("function-like", "like(properties.v, 'x')", 1, 0),
    _matrix("function-ilike", "ilike(properties.v, 'X')", 1, 0),
    _matrix("function-notLike", "notLike(properties.v, 'x')", 0, 1),
    _matrix("function-notILike", "notILike(properties.v, 'X')", 0, 1),
    _matrix("function-in", "in(properties.v, ('x', 'y'))", 1, 0),
    _matrix("function-notIn", "notIn(properties.v, ('x', 'y'))", 0, 1),
    # constants fold
    rows("2.6-constants-fold", "SELECT 1 = 1 AS a, 1 = 2 AS b, 'a' != 'a' AS c, 'a' != 'b' AS d", (1, 0, 0, 1)),
    # what counts as nullable
    _matrix("nullable-through-a-function", "lower(properties.v) = 'x'", 1, 0),
    _matrix("concat-is-not-nullable", "concat(properties.v, '') = ''", 0, 1),
    _matrix("ifNull-removes-null", "ifNull(properties.v, 'z') = 'z'", 0, 1),
    _matrix("nullIf-is-nullable", "nullIf(event, 'probe') != 'x'", 1, 1),
    _matrix("toNullable-is-nullable", "toNullable(event) != 'probe'", 0, 0),
    _matrix("failed-cast-equals", "toFloat(properties.v) = 1", 0, 0),
    _matrix("failed-cast-not-equals", "toFloat(properties.v) != 1", 1, 1),
    _matrix("failed-cast-less", "toFloat(properties.v) < 1", 0, 0),
    _matrix("not-of-a-comparison-is-two-valued", "NOT (properties.v = 'x')", 0, 1),
    rows(
        "2.6-not-of-a-nullable-value-is-three-valued",
        "SELECT NOT properties.paid AS v FROM events WHERE event = 'purchase' ORDER BY timestamp LIMIT 3 OFFSET 2",
        (False,),
        (False,),
        (None,),
        types=["Nullable(Bool)"],
    ),
    rows("2.6-where-not-nullable-drops-null", "SELECT count() FROM events WHERE NOT properties.paid", (2,)),
    rows(
        "2.6-where-not-equals-keeps-null",
        "SELECT count() FROM events WHERE event = 'probe' AND properties.v != 'x'",
        (17,),
    ),
    rows(
        "2.6-timestamp-comparison-is-never-wrapped",
        "SELECT timestamp > toDateTime(properties.due) AS r FROM events WHERE event = 'purchase' "
        "ORDER BY events.timestamp LIMIT 3",
        (0,),
        (0,),
        (None,),
        typed=False,
    ),
    rows(
        "2.6-join-condition-is-never-wrapped",
        "SELECT count() FROM (SELECT properties.w AS k FROM events WHERE event = 'view') a "
        "JOIN (SELECT properties.w AS k FROM events WHERE event = 'checkout') b ON a.k = b.k",
        (0,),
    ),
    rows(
        "2.6-where-condition-joins-null-to-null",
        "SELECT count() FROM (SELECT properties.w AS k FROM events WHERE event = 'view') a "
        "CROSS JOIN (SELECT properties.w AS k FROM events WHERE event = 'checkout') b WHERE a.k = b.k",
        (5,),
    ),
    rows("2.6-having-is-wrapped-too", "SELECT any(properties.w) AS w FROM events HAVING w != 'x'", (None,)),
    _matrix("and-or-with-null", "properties.v = 'x' OR properties.v = 'y' AND event = 'probe'", 1, 0),
    # nullability that travels
    _matrix("nullable-coalesce", "coalesce(properties.w, properties.v) = 'x'", 1, 0),
    _matrix("nullable-ifNull", "ifNull(properties.w, properties.v) != 'x'", 0, 1),
    _matrix("nullable-nullIf-of-a-property", "nullIf(properties.v, 'x') IS NULL", 1, 1),
    _matrix("nullable-if", "if(event = 'probe', properties.v, 'y') != 'x'", 0, 1),
    _matrix("nullable-case-without-else", "CASE WHEN event = 'other' THEN 'a' END != 'a'", 1, 1),
    _matrix("nullable-case-with-else", "CASE WHEN properties.v = 'x' THEN 'a' ELSE 'b' END = 'b'", 0, 1),
    _matrix("nullable-array-element", "[properties.v][1] = 'x'", 1, 0),
    _matrix("nullable-tuple-element", "tuple(properties.v, 1).1 != 'x'", 0, 1),
    _matrix("nullable-json-extract", "JSONExtract(properties, 'v', 'Nullable(String)') != 'x'", 0, 1),
    _matrix("not-nullable-json-extract", "JSONExtractString(properties, 'v') != 'x'", 0, 1),
    _matrix("nullable-in-a-lambda", "length(arrayFilter(x -> x != properties.v, ['x', 'y']))", 1, 2),
    _matrix("nullable-in-a-lambda-equal", "length(arrayFilter(x -> x = properties.v, ['x', 'y']))", 1, 0),
    _matrix("nullable-between-after-a-cast", "toFloat(properties.v) BETWEEN 1 AND 2", 0, 0),
    _matrix("nullable-toDate", "toDate(properties.v) != '2025-01-01'", 1, 1, typed=False),
    _matrix("null-not-in-a-comparison-of-comparisons", "(properties.v = 'x') = (event = 'probe')", 1, 0),
    _matrix("null-with-a-scalar-subquery", "properties.v != (SELECT max(plan) FROM plans)", 1, 1),
    rows(
        "2.6-nullable-through-a-subquery",
        "SELECT x != 'a' AS r FROM (SELECT properties.w AS x FROM events WHERE event = 'checkout')",
        (1,),
    ),
    rows(
        "2.6-nullable-through-a-cte",
        "WITH c AS (SELECT properties.w AS x FROM events WHERE event = 'checkout') SELECT x != 'a' AS r FROM c",
        (1,),
    ),
    rows(
        "2.6-nullable-through-a-union",
        "SELECT x != 'a' AS r FROM (SELECT 'b' AS x UNION ALL SELECT NULL)",
        (1,),
        (1,),
    ),
    rows(
        "2.6-nullable-through-aggregates",
        "SELECT max(properties.w) != 'a' AS a, any(properties.w) = 'a' AS b, argMax(properties.w, "
        "timestamp) != 'a' AS c, "
        "anyIf(event, event = 'nothing') = '' AS d FROM events",
        (1, 0, 1, 1),
    ),
    rows(
        "2.6-nullable-through-a-window",
        "SELECT lag(event) OVER (ORDER BY timestamp) != 'x' AS r FROM events WHERE event = 'view' "
        "ORDER BY events.timestamp LIMIT 1",
        (1,),
    ),
    rows(
        "2.6-nullable-of-a-joined-property",
        "SELECT p.properties.plan != 'pro' AS r FROM events e LEFT JOIN persons p ON e.person_id = p.id "
        "WHERE e.event = 'probe' LIMIT 1",
        (1,),
    ),
    rows(
        "2.6-sum-of-comparisons-counts",
        "SELECT sum(properties.$referrer != 'google') AS a, sum(properties.$referrer = 'google') AS b FROM events "
        "WHERE event = 'user_signed_up'",
        (6, 2),
    ),
    # casts
    value("2.6-cast-int", "'5'::int", 5, "Int64"),
    value("2.6-cast-integer", "CAST('5' AS integer)", 5, "Int64"),
    value("2.6-cast-float", "'5.5'::float", 5.5, "Float64"),
    value("2.6-cast-double", "CAST(5 AS double)", 5.0, "Float64"),
    value("2.6-cast-real", "CAST('1.25' AS real)", 1.25, "Float64"),
    value("2.6-cast-text", "5::text", "5", "String"),
    value("2.6-cast-varchar", "CAST(1.5 AS varchar)", "1.5", "String"),
    value("2.6-cast-string", "5::string", "5", "String"),
    value("2.6-cast-char", "CAST(5 AS char)", "5", "String"),
    value("2.6-cast-bool", "'true'::bool", True),
    value("2.6-cast-boolean", "CAST(0 AS boolean)", False),
    value("2.6-cast-date", "'2025-01-06'::date", "2025-01-06"),
    value("2.6-cast-datetime", "'2025-07-06 10:00:00'::datetime", "2025-07-06T10:00:00+02:00", timezone=_BERLIN),
    value("2.6-cast-timestamp", "'2025-07-06 10:00:00'::timestamp", "2025-07-06T10:00:00+02:00", timezone=_BERLIN),
    value("2.6-cast-timestamptz", "'2025-07-06 10:00:00'::timestamptz", "2025-07-06T10:00:00+02:00", timezone=_BERLIN),
    refused("2.6-cast-throws-where-toInt-gives-null", "SELECT 'abc'::int", EngineError),
    value("2.6-toInt-gives-null-where-a-cast-throws", "toInt('abc')", None, "Nullable(Int64)"),
    refused("2.6-cast-to-another-type", "SELECT '1'::uuid", UnsupportedHogQL, "uuid", at="'1'::uuid"),
    refused("2.6-cast-to-decimal", "SELECT CAST('1' AS decimal)", UnsupportedHogQL, "decimal"),
    refused("2.6-try-cast", "SELECT TRY_CAST('1' AS int)", UnsupportedHogQL, "TRY_CAST", at="TRY_CAST"),
    refused("2.6-positional-reference", "SELECT event FROM events ORDER BY #1", UnsupportedHogQL, "#1", at="#1"),
    # operators
    value("2.6-divide-is-exact", "7 / 2", 3.5, "Float64"),
    value("2.6-modulo", "7 % 3", 1),
    value("2.6-precedence", "2 + 3 * 4 - 1", 13),
    value("2.6-minus-of-unsigned-is-signed", "1 - 2", -1),
    value("2.6-divide-by-zero-is-infinite", "1 / 0", float("inf")),
    value("2.6-unary-minus", "-(2 + 3)", -5),
    value("2.6-decimal-divide", "toString(toDecimal('1', 2) / toDecimal('3', 2))", "0.33"),
    value("2.6-match", "'abc' =~ 'b.'", 1),
    value("2.6-match-tilde", "'abc' ~ '^b'", 0),
    value("2.6-imatch", "'ABC' =~* 'b'", 1),
    value("2.6-imatch-tilde", "'ABC' ~* '^a'", 1),
    value("2.6-not-match", "'abc' !~ 'z'", 1),
    value("2.6-not-imatch", "'ABC' !~* 'b'", 0),
    value("2.6-between", "5 BETWEEN 1 AND 5", 1),
    value("2.6-not-between", "5 NOT BETWEEN 1 AND 4", 1),
    value("2.6-is-distinct-from", "NULL IS DISTINCT FROM 1", 1),
    value("2.6-is-not-distinct-from", "1 IS NOT DISTINCT FROM 1", 1),
    _matrix("distinct-from-a-nullable", "properties.v IS DISTINCT FROM 'x'", 0, 1),
    _matrix("null-safe-equals", "properties.v <=> NULL", 0, 1),
    value("2.6-array-slice", "[1, 2, 3, 4][2:3]", [2, 3]),
    value("2.6-array-slice-open", "[1, 2, 3][2:]", [2, 3]),
    value("2.6-array-access", "['a', 'b'][2]", "b"),
    value("2.6-tuple-access", "(1, 'b').2", "b"),
)
