"""Function rules: the allow-list, case, arity, nesting, and every rewritten function (reference 2.8)."""

from __future__ import annotations

from posthog_events.errors import EngineError, HogQLError, UnresolvedName, UnsupportedHogQL
from tests.contract.corpus.cases import Case, refused, rows, value

_BERLIN = "Europe/Berlin"

_NOT_CALLABLE = (
    "sequenceMatch('(?1)(?2)')(toDateTime(timestamp), event = 'a', event = 'b')",
    "sequenceCount('(?1)(?2)')(toDateTime(timestamp), event = 'a', event = 'b')",
    "retention(event = 'a', event = 'b')",
    "uniqCombined(event)",
    "quantileTDigest(0.5)(1)",
    "quantileTiming(0.5)(1)",
    "quantileExactIf(0.5)(1, true)",
    "topKIf(3)(event, true)",
    "topKWeighted(3)(event, 1)",
    "toInt32('1')",
    "toUInt8('1')",
    "toUInt64('1')",
    "dictGet('d', 'a', 1)",
    "sleep(1)",
    "throwIf(1)",
    "hostName()",
    "version()",
    "getSetting('max_threads')",
    "runningDifference(1)",
    "neighbor(event, 1)",
    "currentUser()",
    "currentDatabase()",
    "catboostEvaluate('m', 1)",
    "getMacro('a')",
    "getServerPort('tcp_port')",
)
_NOT_LOCAL = (
    "uniqTheta(event)",
    "JSONDropKeys(properties)",
    "lookupDomainType('google.com')",
    "lookupPaidSourceType('google')",
    "convertCurrency('EUR', 'USD', 1)",
    "embedText('a')",
    "getSurveyResponse(0)",
    "matchesAction('signup')",
)


def _refuse(kind: str, call: str, error: type[HogQLError]) -> Case:
    name = call.partition("(")[0]
    return refused(f"2.8-{kind}-{name}", f"SELECT {call} FROM events", error, name, at=f"{name}(")


CASES = (
    # the allow-list
    *(_refuse("not-callable", call, HogQLError) for call in _NOT_CALLABLE),
    *(_refuse("not-local", call, UnsupportedHogQL) for call in _NOT_LOCAL),
    refused(
        "2.8-unknown-function-has-a-suggestion",
        "SELECT cuont() FROM events",
        UnresolvedName,
        "Unsupported function call 'cuont(...)'",
        "Perhaps you meant 'count(...)'?",
        at="cuont",
    ),
    refused("2.8-unknown-function-toFlaot", "SELECT toFlaot('1')", UnresolvedName, "toFloat", at="toFlaot"),
    refused(
        "2.8-unknown-function-deep-inside",
        "SELECT count() FROM events WHERE length(concat('a', lowr(event))) > 1",
        UnresolvedName,
        "lowr",
        "lower",
        at="lowr",
    ),
    # case
    rows("2.8-case-COUNT", "SELECT COUNT() AS n, Count() AS m FROM events", (50, 50)),
    rows(
        "2.8-case-aggregates", "SELECT SUM(number) AS s, Min(number) AS l, MAX(number) AS h FROM numbers(4)", (6, 0, 3)
    ),
    value("2.8-case-lower", "UPPER(Lower('Ab'))", "AB"),
    value("2.8-case-coalesce", "COALESCE(NULL, 'a')", "a"),
    value("2.8-case-if", "IF(1 = 1, 'a', 'b')", "a"),
    value("2.8-case-ifnull", "IFNULL(NULL, 'a')", "a"),
    value("2.8-case-nullif", "NULLIF('a', 'a')", None),
    value("2.8-case-greatest", "GREATEST(1, 3) + LEAST(5, 4)", 7),
    value("2.8-case-round", "ROUND(1.26, 1)", 1.3),
    value("2.8-case-power", "POW(2, 3) + Sqrt(4)", 10.0),
    value("2.8-case-concat", "CONCAT('a', 'b')", "ab"),
    refused("2.8-case-countif", "SELECT COUNTIF(event = 'a') FROM events", UnresolvedName, "countIf", at="COUNTIF"),
    refused("2.8-case-toint", "SELECT toint('1')", UnresolvedName, "toInt", at="toint"),
    refused("2.8-case-uniq", "SELECT UNIQ(event) FROM events", UnresolvedName, "uniq", at="UNIQ"),
    # arity
    refused("2.8-arity-too-many", "SELECT toFloat('1', 2, 3)", HogQLError, "toFloat", "found 3", at="toFloat"),
    refused("2.8-arity-too-few", "SELECT lower()", HogQLError, "Function 'lower' expects 1 argument", "found 0"),
    refused("2.8-arity-at-least", "SELECT multiIf(1, 2)", HogQLError, "multiIf", "at least 3", "found 2"),
    refused("2.8-arity-at-most", "SELECT round(1, 2, 3)", HogQLError, "round", "at most 2", "found 3"),
    refused("2.8-arity-aggregation", "SELECT sum() FROM events", HogQLError, "Aggregation 'sum'", "found 0", at="sum"),
    refused(
        "2.8-arity-count-distinct-of-two",
        "SELECT count(DISTINCT event, distinct_id) FROM events",
        HogQLError,
        "count",
        "found 2",
        at="count(",
    ),
    rows("2.8-uniqExact-of-two", "SELECT uniqExact(event, distinct_id) AS n FROM events WHERE event = 'view'", (2,)),
    refused("2.8-quantile-needs-a-parameter", "SELECT quantile(1) FROM events", HogQLError, "quantile", at="quantile"),
    refused("2.8-topK-needs-a-parameter", "SELECT topK(event) FROM events", HogQLError, "topK", at="topK"),
    refused(
        "2.8-groupArraySample-needs-a-parameter",
        "SELECT groupArraySample(event) FROM events",
        HogQLError,
        "groupArraySample",
    ),
    # nesting, modifiers
    refused("2.8-aggregate-in-aggregate", "SELECT sum(count()) FROM events", HogQLError, "count", "sum"),
    refused(
        "2.8-aggregate-in-aggregate-deeper",
        "SELECT max(toFloat(avg(properties.ms)) + 1) FROM events",
        HogQLError,
        "avg",
        "max",
    ),
    rows(
        "2.8-aggregate-of-a-subquery-aggregate",
        "SELECT max(n) AS v FROM (SELECT count() AS n FROM events GROUP BY event)",
        (18,),
    ),
    rows("2.8-count-distinct", "SELECT count(DISTINCT event) AS n FROM events", (9,)),
    rows(
        "2.8-filter",
        "SELECT count() FILTER (WHERE event = 'purchase') AS p, sum(properties.amount) FILTER (WHERE properties.paid) "
        "AS s FROM events",
        (10, 159.0),
    ),
    rows("2.8-count-of-a-column-skips-null", "SELECT count(properties.amount) AS n FROM events", (8,)),
    # concat
    value("2.8-concat-null-is-empty", "concat('a', NULL, 'b')", "ab", "String"),
    value("2.8-concat-of-numbers", "concat(1, '-', 2.5)", "1-2.5"),
    value("2.8-concat-operator", "'a' || NULL || 'b'", "ab"),
    rows(
        "2.8-concat-of-a-missing-property",
        "SELECT concat('[', properties.w, ']') AS v FROM events WHERE event = 'checkout'",
        ("[]",),
        types=["String"],
    ),
    # arrayReduce
    value("2.8-arrayReduce", "arrayReduce('sum', [1, 2, 3])", 6),
    value("2.8-arrayReduce-uniq", "arrayReduce('uniq', [1, 1, 2])", 2),
    refused("2.8-arrayReduce-other-function", "SELECT arrayReduce('anyHeavy', [1])", HogQLError, "anyHeavy"),
    refused(
        "2.8-arrayReduce-not-constant",
        "SELECT arrayReduce(event, [1]) FROM events",
        HogQLError,
        "arrayReduce",
    ),
    # combinators
    rows(
        "2.8-combinators",
        "SELECT sumIf(number, number > 1) AS a, avgIf(number, number < 2) AS b, "
        "countDistinctIf(number % 2, number > 0) "
        "AS c, medianIf(number, number < 3) AS d, argMaxIf(number, number, number < 3) AS e FROM numbers(4)",
        (5, 0.5, 2, 1.0, 2),
    ),
    rows("2.8-uniq-state-and-merge", "SELECT uniqMerge(s) AS n FROM (SELECT uniqState(event) AS s FROM events)", (9,)),
    # names with an underscore
    value("2.8-underscore-toInt8", "_toInt8('5')", 5, "Int8"),
    value("2.8-underscore-toUInt64", "_toUInt64('5')", 5, "UInt64"),
    value("2.8-underscore-toDate", "_toDate('2025-01-06')", "2025-01-06"),
    # rewritten: numbers
    value("2.8-toInt", "toInt('12')", 12, "Nullable(Int64)"),
    value("2.8-toInt-of-a-fraction-is-null", "toInt('12.5')", None),
    value("2.8-toInt-of-a-whole-float", "toInt(12.0)", 12),
    value("2.8-toIntOrNull", "toIntOrNull('x')", None),
    value("2.8-toInt64", "toInt64('7')", 7, "Nullable(Int64)"),
    value("2.8-toInt64OrNull", "toInt64OrNull('x')", None),
    value("2.8-toFloat", "toFloat('1.5')", 1.5, "Nullable(Float64)"),
    value("2.8-toFloat-of-rubbish", "toFloat('1,5')", None),
    value("2.8-toFloatOrNull", "toFloatOrNull('2')", 2.0),
    value("2.8-toFloat64", "toFloat64('2')", 2.0, "Nullable(Float64)"),
    value("2.8-toIntOrZero", "toIntOrZero('x')", 0, "Int64"),
    value("2.8-toFloatOrZero", "toFloatOrZero('x')", 0.0, "Float64"),
    value("2.8-toFloatOrDefault", "toFloatOrDefault('x', 7)", 7.0, "Float64"),
    value("2.8-toIntOrDefault", "toIntOrDefault('x', 7)", 7, "Int64"),
    value("2.8-toDecimal", "toDecimal('1.239', 2)", "1.23", "Nullable(Decimal(18, 2))"),
    value("2.8-toUUID", "toUUID('00000000-0000-4000-8000-000000000001')", "00000000-0000-4000-8000-000000000001"),
    value("2.8-toUUID-of-rubbish", "toUUID('x')", None, "Nullable(UUID)"),
    value("2.8-toBool", "toBool('true')", True, "Nullable(Bool)"),
    value("2.8-toNullableString", "toNullableString(5)", "5", "Nullable(String)"),
    # rewritten: dates
    value("2.8-toDateTimeUS", "toDateTimeUS('01/02/2025')", "2025-01-02T00:00:00+01:00", timezone=_BERLIN),
    value(
        "2.8-parseDateTime",
        "parseDateTime('06/01/2025', '%d/%m/%Y')",
        "2025-01-06T00:00:00+01:00",
        "Nullable(DateTime('Europe/Berlin'))",
        timezone=_BERLIN,
    ),
    value(
        "2.8-parseDateTimeBestEffort",
        "parseDateTimeBestEffort('6 Jan 2025 10:00')",
        "2025-01-06T10:00:00+01:00",
        timezone=_BERLIN,
    ),
    value("2.8-parseDateTimeBestEffort-of-rubbish", "parseDateTimeBestEffort('rubbish')", None),
    value(
        "2.8-toTimeZone-of-one-argument",
        "toTimeZone(toDateTime('2025-01-06 10:00:00', 'UTC'))",
        "2025-01-06T11:00:00+01:00",
        timezone=_BERLIN,
    ),
    value(
        "2.8-timezone",
        "timezone('UTC', toDateTime('2025-01-06 10:00:00'))",
        "2025-01-06T09:00:00+00:00",
        timezone=_BERLIN,
    ),
    value("2.8-date_trunc", "toDate(date_trunc('month', toDateTime('2025-01-12 12:00:00')))", "2025-01-01"),
    value("2.8-date_diff", "date_diff('hour', toDateTime('2025-01-06'), toDateTime('2025-01-07'))", 24),
    value("2.8-date_subtract", "date_subtract(toDate('2025-01-06'), toIntervalDay(1))", "2025-01-05"),
    value(
        "2.8-date_bin",
        "date_bin(toIntervalMinute(30), toDateTime('2025-01-06 10:47:00'), toDateTime('2025-01-06 10:05:00'))",
        "2025-01-06T10:35:00+00:00",
    ),
    value("2.8-to_timestamp", "toUnixTimestamp(to_timestamp(86400))", 86400),
    value("2.8-to_char", "to_char(toDateTime('2025-01-06 23:30:00', 'UTC'), '%d/%m')", "07/01", timezone=_BERLIN),
    value("2.8-make_date", "make_date(2025, 1, 6)", "2025-01-06", "Date"),
    value(
        "2.8-make_timestamp",
        "make_timestamp(2025, 1, 6, 10, 0, 0)",
        "2025-01-06T10:00:00+01:00",
        "DateTime('Europe/Berlin')",
        timezone=_BERLIN,
    ),
    value(
        "2.8-make_interval", "toDateTime('2025-01-06') + make_interval(0, 1, 2, 3, 4, 5)", "2025-02-08T03:04:05+00:00"
    ),
    rows(
        "2.8-date_part",
        "SELECT date_part('year', t) AS a, date_part('quarter', t) AS b, date_part('month', t) AS c, "
        "date_part('day', t) AS d, date_part('hour', t) AS e, date_part('minute', t) AS f, "
        "date_part('second', t) AS g, "
        "date_part('doy', t) AS h FROM (SELECT toDateTime('2025-05-06 07:08:09') AS t)",
        (2025, 2, 5, 6, 7, 8, 9, 126),
    ),
    value(
        "2.8-tumbleStart",
        "tumbleStart(toDateTime('2025-01-06 10:30:00'), toIntervalHour(1))",
        "2025-01-06T10:00:00+00:00",
    ),
    value(
        "2.8-hopStart",
        "hopStart(toDateTime('2025-01-06 10:30:00'), toIntervalHour(1), toIntervalHour(2))",
        "2025-01-06T09:00:00+00:00",
    ),
    value("2.8-toModifiedJulianDay", "toModifiedJulianDay('2020-11-01')", 59154, "Nullable(Int32)"),
    value("2.8-toModifiedJulianDay-of-rubbish", "toModifiedJulianDay('bad')", None),
    value("2.8-fromModifiedJulianDay", "fromModifiedJulianDay(59154)", "2020-11-01"),
    # rewritten: text, arrays, aggregates
    value("2.8-lower-case-null-functions", "isnull(nullif(1, 1)) + ifnull(NULL, 5)", 6),
    rows(
        "2.8-trim-of-characters",
        "SELECT trim('xxaxx', 'x') AS a, trimLeft('xxaxx', 'x') AS b, trimRight('xxaxx', 'x') AS c",
        ("a", "axx", "xxa"),
    ),
    rows("2.8-postgres-trims", "SELECT ltrim(' a ') AS a, rtrim(' a ') AS b, btrim(' a ') AS c", ("a ", " a", "a")),
    value("2.8-split_part", "split_part('a-b-c', '-', 2)", "b"),
    value("2.8-split_part-absent", "split_part('a-b-c', '-', 9)", ""),
    value("2.8-md5-is-upper-case-hex", "md5('a')", "0CC175B9C0F1B6A831C399E269772661"),
    value("2.8-arrayReverseSort-is-ascending", "arrayReverseSort([3, 1, 2])", [1, 2, 3]),
    value("2.8-avgArray", "avgArray([1, 2, 6])", 3.0, "Nullable(Float64)"),
    value("2.8-medianArray", "medianArray([1, 2, 9])", 2.0, "Nullable(Float64)"),
    value("2.8-languageCodeToName", "languageCodeToName('de')", "German"),
    value("2.8-languageCodeToName-unknown", "languageCodeToName('zz')", "Unknown"),
    rows(
        "2.8-postgres-aggregates",
        "SELECT string_agg(toString(number), '+') AS a, array_agg(number) AS b, json_agg(number) AS c, "
        "every(number < 2) AS d FROM (SELECT number FROM numbers(3) ORDER BY number)",
        ("0+1+2", [0, 1, 2], "[0,1,2]", False),
    ),
    # PostHog functions that need no server
    rows(
        "2.8-windowFunnel",
        "SELECT distinct_id, windowFunnel(60)(toDateTime(timestamp), properties.page = 'home', "
        "properties.page = 'list', properties.page = 'item') AS steps FROM events WHERE event = 'view' "
        "GROUP BY distinct_id ORDER BY distinct_id",
        ("gus", 3),
        ("hal", 2),
    ),
    rows(
        "2.8-windowFunnel-window",
        "SELECT distinct_id, windowFunnel(20)(toDateTime(timestamp), properties.page = 'home', "
        "properties.page = 'list', properties.page = 'item') AS steps FROM events WHERE event = 'view' "
        "GROUP BY distinct_id ORDER BY distinct_id",
        ("gus", 2),
        ("hal", 1),
    ),
    refused(
        "2.8-windowFunnel-of-DateTime64",
        "SELECT windowFunnel(60)(timestamp, event = 'a', event = 'b') FROM events",
        EngineError,
    ),
)
