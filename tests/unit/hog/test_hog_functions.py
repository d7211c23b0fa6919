"""The functions of Hog, one by one."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from posthog_events.errors import HogError
from posthog_events.hog.dates import date_functions
from posthog_events.hog.evaluate import utc_now
from posthog_events.hog.functions import ELSEWHERE, FAIL_ON_NULL, FUNCTIONS
from posthog_events.hog.template import parse_template

SIGNED = hmac.new(hmac.new(b"k", b"a", "sha256").digest(), b"b", "sha256").hexdigest()
CASES = [
    ("upper('aß')", "ASS"),
    ("lower('AB')", "ab"),
    ("lower(null)", None),
    ("length('abc')", 3),
    ("length('\N{GRINNING FACE}')", 2),
    ("length([1, 2])", 2),
    ("length({'a': 1})", None),
    ("reverse('abc')", "cba"),
    ("trim('  a b ')", "a b"),
    ("trim('--a-', '-')", "a"),
    ("trim('a', 'ab')", ""),
    ("trimLeft('  a ')", "a "),
    ("trimRight('  a ')", "  a"),
    ("replaceAll('a.b.c', '.', '-')", "a-b-c"),
    ("replaceOne('a.b.c', '.', '-')", "a-b.c"),
    ("replaceAll('ab', 'a', '[$&]$$')", "[a]$b"),
    ("substring('hello', 2, 3)", "ell"),
    ("substring('hello', 4)", "lo"),
    ("substring('hello', 9)", ""),
    ("substring('hello', 0, 2)", ""),
    ("substring(5, 1)", ""),
    ("startsWith('abc', 'ab')", True),
    ("startsWith(5, '5')", False),
    ("position('abc', 'c')", 3),
    ("position(null, 'c')", 0),
    ("splitByString(',', 'a,b,c')", ["a", "b", "c"]),
    ("splitByString(',', 'a,b,c', 2)", ["a", "b"]),
    ("splitByString('', 'ab')", ["a", "b"]),
    ("arrayStringConcat(['a', 1, null, true], '-')", "a-1--true"),
    ("arrayStringConcat('a')", ""),
    ("concat('a', 1.0, null, true, [1])", "a1true[1]"),
    ("like('abc', 'a%c')", True),
    ("ilike('ABC', 'b')", True),
    ("notLike('abc', 'x')", True),
    ("notILike('ABC', 'b')", False),
    ("match('abc', '^a')", True),
    ("match('', '.*')", False),
    ("multiSearchAnyCaseInsensitive('ABC', ['x', 'b'])", 1),
    ("multiSearchAnyCaseInsensitive(null, ['x'])", 0),
    ("toString(null)", "null"),
    ("toString(5.0)", "5"),
    ("toString({'a': 'b'})", "{'a': 'b'}"),
    ("toInt('12.7px')", 12),
    ("toInt('0x1f')", 31),
    ("toInt(-3.9)", -3),
    ("toInt('px')", None),
    ("toInt(true)", None),
    ("toInt(null)", None),
    ("toFloat('1.5e3x')", 1500),
    ("toFloat('x')", None),
    ("floor(-1.5)", -2),
    ("floor('2.9')", 2),
    ("round(2.5)", 3),
    ("round(-2.5)", -2),
    ("round(2.567, 2)", 3),
    ("range(3)", [0, 1, 2]),
    ("range(2, 4)", [2, 3]),
    ("ifNull(null, 1)", 1),
    ("coalesce(null, null, 'a')", "a"),
    ("coalesce(null)", None),
    ("isNull(null)", True),
    ("isNotNull('')", True),
    ("empty('')", True),
    ("empty(0)", False),
    ("empty(null)", True),
    ("notEmpty([])", False),
    ("assumeNotNull(1)", 1),
    ("not(0)", True),
    ("and(1, 0)", False),
    ("or(0, 'a')", True),
    ("typeof(1)", "integer"),
    ("typeof(1.5)", "float"),
    ("typeof(null)", "null"),
    ("typeof((1, 2))", "tuple"),
    ("typeof(now())", "datetime"),
    ("typeof(x -> x)", "function"),
    ("keys({'a': 1, 'b': 2})", ["a", "b"]),
    ("values({'a': 1, 'b': 2})", [1, 2]),
    ("keys([5, 6])", [0, 1]),
    ("has([1, 2], 2)", True),
    ("has(['1'], 1)", False),
    ("has(null, 1)", False),
    ("indexOf(['a', 'b'], 'b')", 2),
    ("arrayReverse([1, 2])", [2, 1]),
    ("arraySort([10, 9])", [10, 9]),  # as text
    ("arrayPushBack([1], 2)", [1, 2]),
    ("arrayMap(x -> x + 1, [1, '2'])", [2, 3]),
    ("tuple(1, 'a')", [1, "a"]),
    ("toUUID('0198f2a4')", "0198f2a4"),
    ("arrayFilter(x -> x > 1, [1, 2])", [2]),
    ("arrayExists(x -> x = 2, [1, 2])", True),
    ("arrayCount(x -> x > 0, [1, 2])", 2),
    ("jsonStringify({'a': [1.0, null, 'é'], 'n': 0 / 0})", '{"a":[1,null,"é"],"n":null}'),
    ("jsonStringify([1], 2)", "[\n  1\n]"),
    ("jsonParse('[1, {\"a\": null}]')", [1, {"a": None}]),
    ("JSONExtractString('{\"a\": {\"b\": 5}}', 'a', 'b')", "5"),
    ("JSONExtractInt('{\"a\": \"7x\"}', 'a')", 7),
    ("JSONExtractFloat('{\"a\": [1.5]}', 'a', 1)", 1.5),
    ("JSONExtractBool('{\"a\": true}', 'a')", True),
    ("JSONExtractString('no', 'a')", None),
    ("base64Encode('é')", "w6k="),
    ("base64Decode('w6k=')", "é"),
    ("encodeURLComponent('a b/é?')", "a%20b%2F%C3%A9%3F"),
    ("encodeURLComponent(null)", "null"),
    ("decodeURLComponent('a%20b')", "a b"),
    ("sha256Hex('a')", hashlib.sha256(b"a").hexdigest()),
    ("sha256Hex(null)", None),
    ("md5Hex('a')", "0cc175b9c0f1b6a831c399e269772661"),
    ("sha256HmacChainHex(['k', 'a', 'b'])", SIGNED),
    (
        "formatDateTime(toDateTime('2026-08-20T10:15:30.123Z'), '%Y-%m-%d %H:%i:%S.%f %% %a %b %M %W')",
        "2026-08-20 10:15:30.123 % Thu Aug August Thursday",
    ),
    (
        "formatDateTime(toDateTime('2026-08-20 22:15:30'), '%I:%i %p day %j, week %V, Q%Q, %e.%c.%y', 'Europe/Berlin')",
        "12:15 AM day 233, week 34, Q3, 21.08.26",
    ),
    ("formatDateTime(toDateTime('2026-08-20', 'Asia/Tokyo'), '%F %T %z')", "2026-08-20 00:00:00 +0900"),
    ("toUnixTimestamp('2026-08-20')", 1787184000),
    ("toUnixTimestampMilli(toDateTime('1970-01-01 00:00:01.5'))", 1500),
    ("toString(fromUnixTimestamp(0))", "1970-01-01T00:00:00.000Z"),
    ("toString(fromUnixTimestampMilli(1500))", "1970-01-01T00:00:01.500Z"),
    ("toString(toTimeZone(toDateTime('2026-08-20'), 'Europe/Berlin'))", "2026-08-20T02:00:00.000+02:00"),
    ("toString(toDate('2026-08-20T23:00:00Z'))", "2026-08-20"),
    ("toInt(toDate('1970-01-03'))", 2),
    ("dateDiff('day', toDateTime('2026-01-31'), toDateTime('2026-03-01'))", 29),
    ("dateDiff('month', toDate('2026-01-31'), toDate('2026-03-01'))", 2),
    ("dateDiff('hour', '2026-01-31', '2026-01-31T05:59:00Z')", 5),
    ("dateDiff('year', '2025-12-31', '2026-01-01')", 1),
    ("toDateTime('2026-08-20') > toDateTime('2026-08-19T23:59:59Z')", True),
    ("toDateTime('2026-08-20') = '2026-08-20T00:00:00Z'", True),
    ("toDateTime('soon') > toDateTime('2026-08-19')", False),
]


@pytest.mark.parametrize(("source", "expected"), CASES, ids=[source[:50] for source, _ in CASES])
def test_function_gives_what_posthog_gives(source: str, expected: Any) -> None:
    """Each function, on ordinary arguments and on the odd ones that JavaScript has its own mind about."""
    value = parse_template(f"{{{source}}}").render({})

    assert (json.dumps(expected), type(expected)) == (json.dumps(value), type(value))


@pytest.mark.parametrize("name", sorted(FAIL_ON_NULL))
def test_functions_listed_as_failing_on_null_do(name: str) -> None:
    """Null, from a missing property, makes these fail, and with them the delivery."""
    function = (FUNCTIONS | date_functions(utc_now))[name]
    arguments = ["null", "'a'", "'b'"][: function.least]

    with pytest.raises(HogError):
        parse_template(f"{{{name}({', '.join(arguments)})}}").render({})


@pytest.mark.parametrize(
    "source",
    [
        "upper(5)",
        "range(1000000000)",
        "splitByString(',', null)",
        "sha256Hex(5)",
        "sha256HmacChainHex(['k'])",
        "decodeURLComponent('%zz')",
        "assumeNotNull(null)",
        "arrayMap('x', [1])",
        "jsonParse('NaN')",
        "dateDiff('fortnight', '2026-01-01', '2026-01-02')",
        "toTimeZone('2026-01-01', 'UTC')",
        "formatDateTime(toDateTime('2026-01-01'), '%Y', 'No/Where')",
        "formatDateTime(toDateTime('2026-01-01'), '')",
        "toString(fromUnixTimestamp(1e20))",
        "toDateTime(true)",
    ],
)
def test_arguments_that_make_a_function_fail(source: str) -> None:
    """What throws in PostHog is a HogError here."""
    with pytest.raises(HogError):
        parse_template(f"{{{source}}}").render({})


def test_every_function_is_tried() -> None:
    """No function of the table is without a case."""
    tried = " ".join(source for source, _ in CASES) + " today("

    untried = {name for name in FUNCTIONS | date_functions(utc_now) if f"{name}(" not in tried}

    assert set() == untried


def test_refused_functions_are_not_also_evaluated() -> None:
    """A function is either here or named as missing."""
    assert set() == ELSEWHERE & (FUNCTIONS | date_functions(utc_now)).keys()
