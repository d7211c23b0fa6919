"""The everyday functions, which keep their ClickHouse meaning (reference 2.8)."""

from __future__ import annotations

from tests.contract.corpus.cases import rows, value

_URL = "'https://www.a.b.co.uk/x/y?q=1&r=2#f'"

CASES = (
    # logic
    rows(
        "2.8-logic",
        "SELECT multiIf(1 = 2, 'a', 2 = 2, 'b', 'c') AS a, and(1, 0) AS b, or(1, 0) AS c, not(1) AS d, xor(1, 1) AS e, "
        "assumeNotNull(toNullable(5)) AS f, transform(2, [1, 2], ['one', 'two'], 'many') AS g",
        ("b", 0, 1, 0, 0, 5, "two"),
    ),
    # aggregates over 0, 1, 2, 3, 4
    rows(
        "2.8-aggregates-exact",
        "SELECT quantileExact(0.5)(number) AS a, medianExact(number) AS b, argMax(number, 0 - toInt(number)) AS c, "
        "uniqExact(number % 2) AS d, countIf(number > 2) AS e, anyLast(1) AS f, deltaSum(number) AS g FROM numbers(5)",
        (2, 2, 0, 2, 2, 1, 4),
    ),
    rows(
        "2.8-aggregates-statistics",
        "SELECT varPop(number) AS a, varSamp(number) AS b, covarPop(number, number) AS c, "
        "corr(number, number * 2) AS d, "
        "avg(number) AS e, quantile(0.5)(number) AS f FROM numbers(5)",
        (2.0, 2.5, 2.0, 1.0, 2.0, 2.0),
    ),
    rows(
        "2.8-aggregates-arrays",
        "SELECT arraySort(groupArray(number)) AS a, arraySort(groupUniqArray(number % 2)) AS b, "
        "arraySort(groupArrayIf(number, number > 2)) AS c, quantiles(0.25, 0.75)(number) AS d FROM numbers(5)",
        ([0, 1, 2, 3, 4], [0, 1], [3, 4], [1.0, 3.0]),
    ),
    rows("2.8-topK", "SELECT topK(1)(event) AS v FROM events", (["probe"],)),
    rows("2.8-sumMap", "SELECT sumMap(map('a', number)) AS v FROM numbers(4)", ({"a": 6},)),
    rows(
        "2.8-simpleLinearRegression",
        "SELECT simpleLinearRegression(number, number * 2 + 1) AS v FROM numbers(5)",
        ([2.0, 1.0],),
    ),
    rows("2.8-sum-types", "SELECT sum(number) AS a, count() AS b FROM numbers(4)", (6, 4), types=["UInt64", "UInt64"]),
    # dates
    rows(
        "2.8-date-parts",
        "SELECT toYear(t) AS a, toQuarter(t) AS b, toMonth(t) AS c, toDayOfMonth(t) AS d, toDayOfWeek(t) AS e, "
        "toDayOfYear(t) AS f, toHour(t) AS g, toMinute(t) AS h, toSecond(t) AS i, toISOWeek(t) AS j, toISOYear(t) AS k "
        "FROM (SELECT toDateTime('2024-12-31 23:59:58') AS t)",
        (2024, 4, 12, 31, 2, 366, 23, 59, 58, 1, 2025),
    ),
    rows(
        "2.8-date-starts",
        "SELECT toStartOfYear(t) AS a, toStartOfQuarter(t) AS b, toStartOfISOYear(t) AS c, toLastDayOfMonth(t) AS d, "
        "toYYYYMM(t) AS e, toYYYYMMDD(t) AS f FROM (SELECT toDateTime('2024-02-10 10:47:31') AS t)",
        ("2024-01-01", "2024-01-01", "2024-01-01", "2024-02-29", 202402, 20240210),
    ),
    rows(
        "2.8-time-starts",
        "SELECT toStartOfMinute(t) AS a, toStartOfFiveMinutes(t) AS b, toStartOfTenMinutes(t) AS c, "
        "toStartOfFifteenMinutes(t) AS d, toStartOfInterval(t, toIntervalHour(6)) AS e "
        "FROM (SELECT toDateTime('2024-02-10 10:47:31') AS t)",
        (
            "2024-02-10T10:47:00+00:00",
            "2024-02-10T10:45:00+00:00",
            "2024-02-10T10:40:00+00:00",
            "2024-02-10T10:45:00+00:00",
            "2024-02-10T06:00:00+00:00",
        ),
    ),
    rows(
        "2.8-date-arithmetic",
        "SELECT addDays(d, 1) AS a, subtractMonths(d, 1) AS b, dateAdd(d, toIntervalYear(1)) AS c, "
        "monthName(d) AS e, dateName('weekday', d) AS f FROM (SELECT make_date(2024, 3, 31) AS d)",
        ("2024-04-01", "2024-02-29", "2025-03-31", "March", "Sunday"),
    ),
    value("2.8-timeZoneOf", "timeZoneOf(now())", "Europe/Berlin", timezone="Europe/Berlin"),
    # text
    rows(
        "2.8-text",
        "SELECT length('äb') AS a, lengthUTF8('äb') AS b, upperUTF8('äb') AS c, substring('hello', 2, 3) AS d, "
        "left('hello', 2) AS e, right('hello', 2) AS f, position('hello', 'l') AS g, reverse('abc') AS h",
        (3, 2, "ÄB", "ell", "he", "lo", 3, "cba"),
    ),
    rows(
        "2.8-text-replace",
        "SELECT replaceAll('aab', 'a', 'x') AS a, replaceOne('aab', 'a', 'x') AS b, replace('aab', 'a', 'x') AS c, "
        r"replaceRegexpAll('a1b2', '\\d', '') AS d, replaceRegexpOne('a1b2', '\\d', '') AS e",
        ("xxb", "xab", "xxb", "ab", "ab2"),
    ),
    rows(
        "2.8-text-match",
        "SELECT match('abc', 'b') AS a, multiMatchAny('abc', ['x', 'b']) AS b, startsWith('abc', 'a') AS c, "
        r"endsWith('abc', 'a') AS d, extract('a12', '\\d+') AS e, extractAll('a1b2', '\\d') AS f, "
        "positionCaseInsensitive('ABC', 'b') AS g",
        (1, 1, 1, 0, "12", ["1", "2"], 2),
    ),
    rows(
        "2.8-text-split",
        "SELECT splitByChar(',', 'a,b') AS a, splitByString('--', 'a--b') AS b, "
        r"splitByRegexp('\\d', 'a1b') AS c, leftPad('7', 3, '0') AS d, repeat('ab', 2) AS e, "
        r"format('{}-{}', 'a', 'b') AS f, "
        "base64Encode('hi') AS g, base64Decode('aGk=') AS h",
        (["a", "b"], ["a", "b"], ["a", "b"], "007", "abab", "a-b", "aGk=", "hi"),
    ),
    # URLs
    rows(
        "2.8-urls",
        f"SELECT protocol({_URL}) AS a, domain({_URL}) AS b, domainWithoutWWW({_URL}) AS c, "
        f"topLevelDomain({_URL}) AS d, "
        f"path({_URL}) AS e, queryString({_URL}) AS f, fragment({_URL}) AS g, extractURLParameter({_URL}, 'r') AS h",
        ("https", "www.a.b.co.uk", "a.b.co.uk", "uk", "/x/y", "q=1&r=2", "f", "2"),
    ),
    rows(
        "2.8-urls-cut",
        f"SELECT cutToFirstSignificantSubdomain({_URL}) AS a, cutQueryString({_URL}) AS b, "
        f"cutQueryStringAndFragment({_URL}) AS c, cutWWW('https://www.b.com/') AS d, decodeURLComponent('a%20b') AS e",
        ("b.co.uk", "https://www.a.b.co.uk/x/y#f", "https://www.a.b.co.uk/x/y", "https://b.com/", "a b"),
    ),
    # JSON
    rows(
        "2.8-json",
        "SELECT JSONExtractInt(j, 'a') AS a, JSONExtractFloat(j, 'b') AS b, JSONExtractBool(j, 'c') AS c, "
        "JSONExtractString(j, 'd', 'e') AS d, JSONExtractRaw(j, 'd') AS e, JSONHas(j, 'zz') AS f, JSONLength(j) AS g, "
        "JSONExtractKeys(j, 'd') AS h, isValidJSON(j) AS i, JSON_VALUE(j, '$.d.e') AS k "
        """FROM (SELECT '{"a": 1, "b": 1.5, "c": true, "d": {"e": "x"}}' AS j)""",
        (1, 1.5, 1, "x", '{"e":"x"}', 0, 4, ["e"], 1, "x"),
    ),
    rows(
        "2.8-json-arrays",
        "SELECT JSONExtractArrayRaw('[1,\"a\"]') AS a, JSONExtract('[1,2]', 'Array(Int64)') AS b, "
        "JSONExtractKeysAndValues('{\"a\":1}', 'Int64') AS c, toJSONString([1, 2]) AS d, JSONType('[1]') AS e",
        (["1", '"a"'], [1, 2], [["a", 1]], "[1,2]", "Array"),
    ),
    rows(
        "2.8-json-array-of-a-property",
        "SELECT arrayJoin(JSONExtract(ifNull(properties.items, '[]'), 'Array(String)')) AS item, "
        "count() AS n FROM events "
        "WHERE event = 'purchase' AND properties.items IS NOT NULL GROUP BY item ORDER BY n DESC, item",
        ("a", 3),
        ("c", 2),
        ("b", 1),
    ),
    # arrays, maps, tuples
    rows(
        "2.8-arrays",
        "SELECT arrayMap(x -> x * 2, [1, 2]) AS a, arrayFilter(x -> x > 1, [1, 2, 3]) AS b, "
        "arrayExists(x -> x = 2, [1, 2]) "
        "AS c, arrayAll(x -> x > 0, [1, 2]) AS d, arrayCount(x -> x > 1, [1, 2, 3]) AS e, "
        "arrayFirst(x -> x > 1, [1, 2, 3]) "
        "AS f, arrayFirstIndex(x -> x > 1, [1, 2, 3]) AS g",
        ([2, 4], [2, 3], 1, 1, 2, 2, 2),
    ),
    rows(
        "2.8-arrays-sums",
        "SELECT arraySum([1, 2, 3]) AS a, arrayAvg([1, 2]) AS b, arrayMin([3, 1]) AS c, arrayMax([3, 1]) AS d, "
        "arrayCumSum([1, 2, 3]) AS e, arrayDifference([1, 3, 6]) AS f, arrayFold((acc, x) -> acc + "
        "x, [1, 2], toInt(0)) AS g",
        (6, 1.5, 1, 3, [1, 3, 6], [0, 2, 3], 3),
    ),
    rows(
        "2.8-arrays-order",
        "SELECT arraySort(x -> 0 - x, [1, 3, 2]) AS a, arrayReverse([1, 2]) AS b, arrayDistinct([1, 1, 2]) AS c, "
        "arrayConcat([1], [2]) AS d, arraySlice([1, 2, 3], 2, 1) AS e, arrayZip([1, 2], ['a', 'b']) "
        "AS f, range(3) AS g",
        ([3, 2, 1], [2, 1], [1, 2], [1, 2], [2], [[1, "a"], [2, "b"]], [0, 1, 2]),
    ),
    rows(
        "2.8-arrays-tests",
        "SELECT has([1, 2], 2) AS a, hasAny([1], [1, 2]) AS b, hasAll([1], [1, 2]) AS c, "
        "indexOf(['a', 'b'], 'b') AS d, "
        "empty([]) AS e, notEmpty('x') AS f, arrayStringConcat(['a', 'b'], '/') AS g, arrayElement([5, 6], -1) AS h",
        (1, 1, 0, 2, 1, 1, "a/b", 6),
    ),
    rows(
        "2.8-maps-and-tuples",
        "SELECT map('a', 1, 'b', 2) AS m, mapKeys(m) AS k, mapValues(m) AS v, m['b'] AS e, tuple(1, "
        "'x') AS t, t.2 AS f",
        ({"a": 1, "b": 2}, ["a", "b"], [1, 2], 2, [1, "x"], "x"),
    ),
    # numbers
    rows(
        "2.8-numbers",
        "SELECT floor(1.7) AS a, ceil(1.2) AS b, abs(-5) AS c, sign(-2) AS d, intDiv(7, 2) AS e, round(-2.5) AS f, "
        "trunc(-1.7) AS g, isNaN(0 / 0) AS h, isFinite(1 / 0) AS i, bitAnd(6, 3) AS j",
        (1.0, 2.0, 5, -1, 3, -2.0, -1.0, 1, 0, 2),
    ),
    rows(
        "2.8-readable",
        "SELECT formatReadableSize(1024) AS a, formatReadableQuantity(1234567) AS b, "
        "formatReadableTimeDelta(3661) AS c, "
        "hex('ab') AS d",
        ("1.00 KiB", "1.23 million", "1 hour, 1 minute and 1 second", "6162"),
    ),
)
