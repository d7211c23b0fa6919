"""Strings, URLs, IP addresses, JSON text.

Source: posthog/hogql/functions/clickhouse/{strings,json}.py, posthog/hogql/functions/mapping.py and ip.py.
"""

from __future__ import annotations

from posthog_events.clickhouse.functions.languages import LANGUAGES
from posthog_events.clickhouse.functions.model import Function, Special
from posthog_events.clickhouse.functions.rules import always, fixed, named, never, same
from posthog_events.clickhouse.quoting import string
from posthog_events.clickhouse.sqltype import (
    FLOAT,
    INTEGER,
    STRING,
    TUPLE,
    UNKNOWN,
    array_of,
)

__all__ = ["IPS", "JSON_TEXT", "STRINGS", "URLS"]

_STRINGS = array_of(STRING)
_INTEGERS = array_of(INTEGER)

_CODES = ", ".join(string(code) for code in LANGUAGES)
_NAMES = ", ".join(string(name) for name in LANGUAGES.values())

STRINGS: tuple[Function, ...] = (
    *named("length", 1, 1, fixed(INTEGER), case_insensitive=True),
    *named("reverse", 1, 1, same(), case_insensitive=True),
    *named("empty notEmpty", 1, 1, fixed(INTEGER)),
    *named("isEmpty", 1, 1, fixed(INTEGER), clickhouse="empty"),
    *named("isNotEmpty", 1, 1, fixed(INTEGER), clickhouse="notEmpty"),
    *named("lower upper", 1, 1, fixed(STRING), case_insensitive=True),
    *named(
        "lowerUTF8 upperUTF8 toValidUTF8 reverseUTF8 initcap base58Encode base58Decode tryBase58Decode base64Encode "
        "base64Decode tryBase64Decode encodeXMLComponent decodeXMLComponent extractTextFromHTML regexpQuoteMeta",
        1,
        1,
        fixed(STRING),
    ),
    *named("lengthUTF8 isValidUTF8", 1, 1, fixed(INTEGER)),
    *named("ascii", 1, 1, fixed(INTEGER), case_insensitive=True),
    *named("left", 2, 2, fixed(STRING), clickhouse="leftUTF8"),
    *named("right", 2, 2, fixed(STRING), clickhouse="rightUTF8"),
    *named("leftPad rightPad leftPadUTF8 rightPadUTF8", 2, 3, fixed(STRING)),
    *named("lpad rpad", 3, 3, fixed(STRING)),
    *named("repeat appendTrailingCharIfAbsent", 2, 2, fixed(STRING)),
    *named("format concatWithSeparator", 2, None, fixed(STRING)),
    *named("concat", 2, None, fixed(STRING), case_insensitive=True, nullability=never, special=Special.CONCAT),
    *named("substring", 3, 3, fixed(STRING), case_insensitive=True),
    *named("substringUTF8 convertCharset", 3, 3, fixed(STRING)),
    *named("trimLeft", 1, 2, fixed(STRING), by_count={2: "trim(LEADING {1} FROM {0})"}),
    *named("trimRight", 1, 2, fixed(STRING), by_count={2: "trim(TRAILING {1} FROM {0})"}),
    *named("trim", 1, 2, fixed(STRING), by_count={2: "trim(BOTH {1} FROM {0})"}, case_insensitive=True),
    *named("ltrim", 1, 2, fixed(STRING), clickhouse="trimLeft"),
    *named("rtrim", 1, 2, fixed(STRING), clickhouse="trimRight"),
    *named("btrim", 1, 2, fixed(STRING), clickhouse="trim", case_insensitive=True),
    *named("startsWith endsWith", 2, 2, fixed(INTEGER)),
    # searching
    *named("position", 2, 3, fixed(INTEGER), case_insensitive=True),
    *named(
        "positionCaseInsensitive positionUTF8 positionCaseInsensitiveUTF8 locate "
        "countSubstrings countSubstringsCaseInsensitive countSubstringsCaseInsensitiveUTF8",
        2,
        3,
        fixed(INTEGER),
    ),
    *named(
        " ".join(
            f"multiSearch{what}{variant}"
            for what in ("FirstPosition", "FirstIndex", "Any")
            for variant in ("", "CaseInsensitive", "UTF8", "CaseInsensitiveUTF8")
        ),
        2,
        2,
        fixed(INTEGER),
    ),
    *named(
        "multiSearchAllPositions multiSearchAllPositionsUTF8 multiSearchAllPositionsCaseInsensitive "
        "multiSearchAllPositionsCaseInsensitiveUTF8 multiMatchAllIndices",
        2,
        2,
        fixed(_INTEGERS),
    ),
    *named("match multiMatchAny multiMatchAnyIndex", 2, 2, fixed(INTEGER)),
    *named("multiFuzzyMatchAny multiFuzzyMatchAnyIndex", 3, 3, fixed(INTEGER)),
    *named("multiFuzzyMatchAllIndices", 3, 3, fixed(_INTEGERS)),
    *named("extract", 2, 2, fixed(STRING), case_insensitive=True),
    *named("regexpExtract", 2, 3, fixed(STRING)),
    *named("extractAll extractGroups", 2, 2, fixed(_STRINGS)),
    *named("extractAllGroups extractAllGroupsHorizontal extractAllGroupsVertical", 2, 2, fixed(array_of(_STRINGS))),
    *named(
        " ".join(
            f"ngram{what}{variant}"
            for what in ("Distance", "Search")
            for variant in ("", "CaseInsensitive", "UTF8", "CaseInsensitiveUTF8")
        ),
        2,
        2,
        fixed(FLOAT),
    ),
    *named(
        "countMatches countMatchesCaseInsensitive hasSubsequence hasSubsequenceCaseInsensitive hasSubsequenceUTF8 "
        "hasSubsequenceCaseInsensitiveUTF8 hasToken hasTokenCaseInsensitive hasAllTokens hasAnyTokens",
        2,
        2,
        fixed(INTEGER),
    ),
    *named("hasTokenOrNull hasTokenCaseInsensitiveOrNull", 2, 2, fixed(INTEGER), nullability=always),
    # replacing
    *named("replace", 3, 3, fixed(STRING), case_insensitive=True),
    *named("replaceAll replaceOne replaceRegexpAll replaceRegexpOne translate translateUTF8", 3, 3, fixed(STRING)),
    # splitting
    *named("splitByChar splitByString splitByRegexp", 2, 3, fixed(_STRINGS)),
    *named("splitByWhitespace splitByNonAlpha alphaTokens", 1, 2, fixed(_STRINGS)),
    *named("ngrams", 2, 2, fixed(_STRINGS)),
    *named("tokens", 1, 1, fixed(_STRINGS)),
    # an index past the end gives ''
    *named("split_part", 3, 3, fixed(STRING), clickhouse="arrayElement(splitByString({1}, {0}), {2})"),
    *named(
        "languageCodeToName",
        1,
        1,
        fixed(STRING),
        clickhouse=f"transform({{0}}, [{_CODES}], [{_NAMES}], 'Unknown')",
    ),
    # PostHog's own: [major, minor, patch], or [NULL] for what is not a version, which no comparison lets through
    *named(
        "sortablesemver",
        1,
        1,
        fixed(array_of(INTEGER.with_nullable(True))),
        clickhouse=r"arrayMap(x -> toInt64OrNull(x), splitByChar('.', coalesce(nullIf(extract(assumeNotNull({0}), "
        r"'^\\s*v?((0|[1-9]\\d*)\\.(0|[1-9]\\d*)\\.(0|[1-9]\\d*))(?:[-+][^\\s]*)?\\s*$'), ''), '_')))",
        case_insensitive=True,
        nullability=never,
    ),
)

URLS: tuple[Function, ...] = (
    *named(
        "protocol domain domainWithoutWWW topLevelDomain firstSignificantSubdomain cutToFirstSignificantSubdomain "
        "cutToFirstSignificantSubdomainWithWWW path pathFull queryString fragment queryStringAndFragment netloc "
        "encodeURLComponent decodeURLComponent encodeURLFormComponent decodeURLFormComponent cutWWW cutQueryString "
        "cutFragment cutQueryStringAndFragment",
        1,
        1,
        fixed(STRING),
    ),
    *named("port", 1, 2, fixed(INTEGER)),
    *named("extractURLParameter cutURLParameter", 2, 2, fixed(STRING)),
    *named("extractURLParameters extractURLParameterNames URLHierarchy URLPathHierarchy", 1, 1, fixed(_STRINGS)),
)

_ADDRESS = "ifNull(toString({0}), '')"
_IS_ADDRESS = f"isIPv4String({_ADDRESS}) OR isIPv6String({_ADDRESS})"

IPS: tuple[Function, ...] = (
    *named("IPv4NumToString IPv6NumToString", 1, 1, fixed(STRING)),
    *named("IPv4StringToNum IPv4StringToNumOrDefault", 1, 1, fixed(INTEGER)),
    *named("IPv4StringToNumOrNull", 1, 1, fixed(INTEGER), nullability=always),
    *named("IPv6StringToNum IPv6StringToNumOrDefault IPv4ToIPv6", 1, 1, fixed(STRING)),
    *named("IPv6StringToNumOrNull", 1, 1, fixed(STRING), nullability=always),
    *named("toIPv4 toIPv4OrDefault toIPv4OrZero toIPv6 toIPv6OrDefault toIPv6OrZero", 1, 1, fixed(STRING)),
    *named("toIPv4OrNull toIPv6OrNull", 1, 1, fixed(STRING), nullability=always),
    *named("isIPv4String isIPv6String", 1, 1, fixed(INTEGER)),
    # ClickHouse fails on a text that is no address; PostHog lets it match nothing
    *named(
        "isIPAddressInRange",
        2,
        2,
        fixed(INTEGER),
        clickhouse=f"isIPAddressInRange(if({_IS_ADDRESS}, {_ADDRESS}, '::'), {{1}})",
    ),
    *named("IPv4CIDRToRange IPv6CIDRToRange", 2, 2, fixed(TUPLE)),
    *named("cutIPv6", 3, 3, fixed(STRING)),
)

JSON_TEXT: tuple[Function, ...] = (
    *named("isValidJSON", 1, 1, fixed(INTEGER)),
    *named("JSONHas JSONLength JSONExtractUInt JSONExtractInt JSONExtractBool", 1, 6, fixed(INTEGER)),
    *named("JSONArrayLength", 1, 6, fixed(INTEGER), nullability=always),
    *named("JSONType JSONExtractString JSONExtractRaw", 1, 6, fixed(STRING)),
    *named("JSONExtractFloat", 1, 6, fixed(FLOAT)),
    *named("JSONExtractArrayRaw", 1, 6, fixed(_STRINGS)),
    *named("JSONExtractKeys", 1, 5, fixed(_STRINGS)),
    *named("JSONExtractKeysAndValuesRaw", 1, 6, fixed(array_of(TUPLE))),
    *named("JSONExtractKeysAndValues", 2, 7, fixed(array_of(TUPLE))),
    # the type is a constant argument
    *named("JSONExtract", 2, 7, fixed(UNKNOWN)),
    *named("JSON_VALUE", 2, 2, fixed(STRING)),
)
