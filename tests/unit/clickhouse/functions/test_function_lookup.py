"""Which names are callable, in which case, and what is said about the others."""

from __future__ import annotations

import re

import pytest

from posthog_events.clickhouse.functions import Function, Refused, Role, lookup, suggest
from posthog_events.clickhouse.functions.aggregates import AGGREGATES
from posthog_events.clickhouse.functions.lookup import FUNCTIONS
from posthog_events.clickhouse.functions.refused import REFUSED

# read files, network, dictionaries, settings, other tables, the server's state; stall it; or are tables
DENIED_TEXT = """
file fileCluster url urlCluster s3 s3Cluster gcs azureBlobStorage hdfs remote remoteSecure cluster
clusterAllReplicas mysql postgresql jdbc odbc mongodb redis sqlite executable input view viewIfPermitted merge
mergeTreeIndex loop numbers numbers_mt zeros zeros_mt generateRandom generate_series generateSeries values
format_table null dictionary deltaLake hudi iceberg icebergS3 paimon fuzzJSON fuzzQuery timeSeriesData
prometheusQuery python dictGet dictGetOrDefault dictGetOrNull dictGetAll dictHas dictGetHierarchy dictIsIn
dictGetChildren dictGetString dictGetUInt64 regionToName regionToCity joinGet joinGetOrNull hostName hostname
fullHostName FQDN version uptime timezone_of_server serverTimezone serverUUID buildId getOSKernelVersion currentUser
user authenticatedUser currentDatabase database currentRoles enabledRoles currentSchemas currentQueryID queryID
initialQueryID connectionId getSetting getSettingOrDefault getServerSetting getMergeTreeSetting getServerPort
getMacro getClientHTTPHeader tcpPort filesystemAvailable filesystemCapacity filesystemUnreserved displayName
isMergeTreePartCoveredBy hasColumnInTable structureToProtobufSchema structureToCapnProtoSchema sleep sleepEachRow
throwIf aggThrow catboostEvaluate evalMLMethod stochasticLinearRegression addressToLine addressToLineWithInlines
addressToSymbol demangle errorCodeToName logTrace trap flameGraph encrypt decrypt tryDecrypt aes_encrypt_mysql
aes_decrypt_mysql aiGenerate aiClassify aiExtract naiveBayesClassifier executeUDF arrayReduceInRanges
initializeAggregation finalizeAggregation runningAccumulate runningDifference neighbor blockNumber blockSize
materialize ignore identity reinterpret generateUUIDv4 randomString fuzzBits CAST _CAST transactionID formatQuery
readWKT nested
"""
DENIED = DENIED_TEXT.split()


@pytest.mark.parametrize("name", DENIED)
def test_a_function_that_reaches_beyond_its_arguments_is_not_callable(name: str) -> None:
    """Whatever its case, such a name is no function."""
    found = [lookup(spelled) for spelled in (name, name.lower(), name.upper())]
    assert not any(isinstance(function, Function) for function in found)


def test_no_translation_uses_a_denied_function() -> None:
    """Nor does any template of a listed function contain one."""
    templates = [text for function in FUNCTIONS.values() for text in (function.clickhouse, *function.by_count.values())]
    words = {word for text in templates for word in re.findall(r"\w+(?=\()|^\w+$", text)}
    assert set() == words & set(DENIED)


def test_the_table_is_about_as_long_as_posthogs() -> None:
    """Some 800 names written out, and over 300 chains of combinators."""
    assert len(FUNCTIONS) > 1100
    assert len([function for function in FUNCTIONS.values() if function.role is Role.AGGREGATE]) > 400


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("count", "count"),
        ("COUNT", "count"),
        ("Sum", "sum"),
        ("ifNull", "ifnull"),
        ("IFNULL", "ifnull"),
        ("NOW", "now"),
        ("Substring", "substring"),
        ("toDate", "toDate"),
    ],
)
def test_a_name_is_found_in_its_own_case_or_in_any_if_the_entry_allows(name: str, listed: str) -> None:
    """The exact name wins, then the lower-case one."""
    found = lookup(name)
    assert isinstance(found, Function)
    assert listed == found.name


@pytest.mark.parametrize("name", ["COUNTIF", "countif", "todate", "TODATE", "arraymap", "Uniq"])
def test_case_matters_otherwise(name: str) -> None:
    """PostHog refuses these, so we do."""
    assert lookup(name) is None


@pytest.mark.parametrize(
    "name",
    ["uniqTheta", "convertCurrency", "lookupDomainType", "aggregate_funnel_array_trends", "embedText", "matchesAction"],
)
def test_a_function_that_only_posthog_can_run_is_refused_with_a_reason(name: str) -> None:
    """The reason is a sentence that ends in a period."""
    found = lookup(name)
    assert isinstance(found, Refused)
    assert name == found.name
    assert re.fullmatch(r"[A-Z].+\.", found.reason)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("sequenceMatch", "windowFunnel"),
        ("toUInt32", "toInt"),
        ("quantileTDigest", "quantile"),
        ("retention", "countIf"),
    ],
)
def test_a_clickhouse_function_outside_hogql_is_refused_with_advice(name: str, instead: str) -> None:
    """It says what to call."""
    found = lookup(name)
    assert isinstance(found, Refused)
    assert instead in found.reason


def test_advice_names_only_callable_functions() -> None:
    """Following the advice does not lead to the next refusal."""
    advised = [re.search(r"; use '(\w+)'\.$", reason) for reason in REFUSED.values()]
    named = {match[1] for match in advised if match}
    assert len(named) > 20
    assert named <= set(FUNCTIONS)


def test_a_name_is_either_callable_or_refused() -> None:
    """The two tables do not overlap."""
    assert set() == set(FUNCTIONS) & set(REFUSED)


def test_an_unknown_name_is_unknown() -> None:
    """Neither callable nor refused."""
    assert lookup("frobnicate") is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("uniqu", "uniq"),
        ("countif", "countIf"),
        ("TODATE", "toDate"),
        ("toStartOfDays", "toStartOfDay"),
        ("frobnicate", None),
    ],
)
def test_a_mistyped_name_gets_the_closest_callable_one(typed: str, meant: str | None) -> None:
    """Case alone is the smallest difference; nothing close, nothing said."""
    assert meant == suggest(typed)


def test_later_aggregates_replace_generated_ones_of_the_same_name() -> None:
    """PostHog's own arities win over those that a chain of combinators would have."""
    assert [1, 2] == [FUNCTIONS["countIf"].min_args, FUNCTIONS["countIf"].max_args]
    assert [2, 3] == [FUNCTIONS["sumMapIf"].min_args, FUNCTIONS["sumMapIf"].max_args]
    assert len(AGGREGATES) > len({function.name for function in AGGREGATES})


def test_combinators_stack_as_far_as_posthog_stacks_them() -> None:
    """If, OrDefault and OrNull may follow another; nothing follows If."""
    assert isinstance(lookup("sumArrayOrNullIf"), Function)
    assert isinstance(lookup("avgArgMaxIf"), Function)
    assert lookup("sumIfArray") is None
    assert lookup("sumArrayMap") is None
    assert lookup("uniqArrayOrNull") is None
