"""Names that people try and that are not callable here, each with the reason and what to use instead.

This is advice, not protection: what is not in the allow-list is not callable, listed here or not.
Source: the commented-out entries of posthog/hogql/functions/aggregations.py, posthog/hogql/functions/{posthog,udfs}.py,
and trials against the embedded ClickHouse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

__all__ = ["REFUSED"]


def _all(names: str, reason: str) -> Iterator[tuple[str, str]]:
    return ((name, reason) for name in names.split())


def _instead(pairs: str) -> Iterator[tuple[str, str]]:
    """Yield a reason for each `name=replacement` pair."""
    for name, _, use in (pair.partition("=") for pair in pairs.split()):
        yield name, f"HogQL has no '{name}'; use '{use}'."


_POSTHOG_ONLY = (
    *_all(
        "lookupDomainType lookupPaidSourceType lookupPaidMediumType lookupOrganicSourceType lookupOrganicMediumType "
        "_defaultChannelType _initialDomainType _domainType",
        "It reads PostHog's dictionary of traffic sources, which is not available outside PostHog; classify "
        "properties.$referring_domain and properties.utm_medium with multiIf instead.",
    ),
    *_all(
        "_lookupGeoipCityName _lookupGeoipPostalCode",
        "It reads PostHog's GeoIP dictionary, which is not available outside PostHog; use the $geoip_ properties.",
    ),
    *_all(
        "convertCurrency",
        "It reads PostHog's exchange rates, which are not available outside PostHog; multiply by a rate of your own.",
    ),
    *_all(
        "getSurveyResponse uniqueSurveySubmissionsFilter",
        "It needs the project's surveys, which are not available outside PostHog; read the $survey_response "
        "properties of 'survey sent' events.",
    ),
    *_all("embedText", "It calls PostHog's embedding service, which is not available outside PostHog."),
    *_all(
        "getTrafficType getTrafficCategory isLikelyBot getBotType getBotName getBotOperator __preview_getTrafficType "
        "__preview_getTrafficCategory __preview_isBot __preview_getBotType __preview_getBotName "
        "__preview_getBotOperator",
        "It needs PostHog's list of bots, which is not available outside PostHog; match properties.$raw_user_agent.",
    ),
    *_all(
        "matchesAction",
        "It needs the project's action definitions, which are not stored here; write the action's conditions out.",
    ),
    *_all(
        " ".join(
            f"aggregate_funnel{kind}{trends}{variant}"
            for kind in ("", "_array", "_cohort")
            for trends in ("", "_trends")
            for variant in ("", "_json", "_test")
        ),
        "It is a program that PostHog installs on its own servers; use windowFunnel.",
    ),
    *_all("JSONDropKeys", "It is a program that PostHog installs on its own servers; pick keys with JSONExtract."),
    *_all(
        "JSONAllPaths",
        "It needs a column of type JSON, and JSON is stored as text here; use JSONExtractKeys.",
    ),
    *_all(
        "extractIPv4Substrings",
        "The embedded ClickHouse does not have it; use extractAll with a pattern for addresses.",
    ),
    *_all("uniqTheta uniqThetaIf", "The embedded ClickHouse is built without it; use uniq, or uniqExact."),
)

_NOT_RUNNABLE = (
    *_all(
        "percentile_cont percentile_disc",
        "PostHog does not run WITHIN GROUP on ClickHouse; use quantile(0.5)(x), or quantileExact(0.5)(x).",
    ),
    *_all(
        "medianExactWeighted medianExactWeightedIf medianTimingWeighted medianTimingWeightedIf medianDeterministic "
        "medianDeterministicIf medianTDigestWeighted medianTDigestWeightedIf",
        "PostHog accepts it without the second argument that ClickHouse needs, so that it cannot run; "
        "use median, or medianExact.",
    ),
    *_all(
        "ifNotFinite",
        "PostHog accepts it without the second argument that ClickHouse needs, so that it cannot run; "
        "use if(isFinite(x), x, y).",
    ),
    *_all("generateSeries generate_series", "It is a table, not a value; use range(start, end), or FROM numbers(n)."),
)

_NOT_IN_HOGQL = (
    *_instead(
        "sequenceMatch=windowFunnel sequenceCount=windowFunnel sequenceNextNode=lead "
        "uniqCombined=uniq uniqCombinedIf=uniqIf uniqCombined64=uniq uniqCombined64If=uniqIf "
        "quantileTDigest=quantile quantileTDigestIf=quantileIf quantileTiming=quantile quantileTimingIf=quantileIf "
        "quantileDeterministic=quantile quantileBFloat16=quantile quantileExactLow=quantileExact "
        "quantileExactHigh=quantileExact quantilesExact=quantiles topKWeighted=topK groupArrayLast=groupArray "
        "groupArraySorted=groupArray groupConcat=string_agg approx_count_distinct=uniq "
        "toInt8=toInt toInt16=toInt toInt32=toInt toUInt8=toInt toUInt16=toInt toUInt32=toInt toUInt64=toInt "
        "toInt8OrZero=toIntOrZero toInt32OrZero=toIntOrZero toUInt32OrZero=toIntOrZero toUInt64OrZero=toIntOrZero "
        "toInt32OrNull=toInt toUInt32OrNull=toInt toUInt64OrNull=toInt toFloat32=toFloat toFloat32OrNull=toFloat "
        "toFloat32OrZero=toFloatOrZero toDateOrNull=toDate toDate32=toDate toDateTimeOrNull=toDateTime "
        "parseDateTimeOrNull=parseDateTime parseDateTimeBestEffortOrNull=parseDateTimeBestEffort "
        "parseDateTime64BestEffort=parseDateTimeBestEffort parseDateTime64BestEffortOrNull=parseDateTimeBestEffort "
        "toUUIDOrNull=toUUID toBoolean=toBool now64=now neighbor=lagInFrame JSONExtractArray=JSONExtractArrayRaw "
        "anyOrNull=any concat_ws=concatWithSeparator substr=substring char_length=lengthUTF8 strpos=position "
        "mapContainsKey=mapContains arrayReduceInRanges=arrayReduce dateAddInterval=date_add"
    ),
    *_all("retention", "HogQL has no 'retention'; compute it with countIf or uniqIf over the periods."),
    *_all("runningDifference", "HogQL has no 'runningDifference'; subtract lagInFrame(x) OVER (ORDER BY ...)."),
    *_all("runningAccumulate", "HogQL has no 'runningAccumulate'; use sum(x) OVER (ORDER BY ...)."),
    *_all("quantileExactIf", "HogQL has no 'quantileExactIf'; use quantileExact(level)(if(condition, x, NULL))."),
    *_all("topKIf", "HogQL has no 'topKIf'; use topK(n)(if(condition, x, NULL))."),
    *_all("throwIf", "HogQL has no 'throwIf'; filter the rows out with WHERE."),
    *_all("sleep sleepEachRow", "HogQL has no functions that wait."),
    *_all(
        "file url s3 remote remoteSecure cluster mysql postgresql jdbc odbc hdfs mongodb redis sqlite input executable "
        "view merge",
        "A query reads the tables it names and nothing else: no files, no network. Import the data first.",
    ),
    *_all(
        "dictGet dictGetOrDefault dictGetOrNull dictHas joinGet joinGetOrNull",
        "HogQL reads no dictionaries; JOIN a table.",
    ),
    *_all(
        "hostName version uptime currentUser currentDatabase getSetting getServerPort getMacro",
        "HogQL does not tell about the server.",
    ),
)

REFUSED: Mapping[str, str] = MappingProxyType(dict((*_POSTHOG_ONLY, *_NOT_RUNNABLE, *_NOT_IN_HOGQL)))
"""Name to reason."""
