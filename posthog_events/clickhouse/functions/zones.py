"""Arguments that ClickHouse takes for a time zone or for a type.

ClickHouse opens the file that a zone named `file:PATH` names, and a type such as `DateTime('zone')` holds a zone too.
So these arguments must be constants that we have looked at; everything else about them is ordinary.

Found by calling every function with such a text in every place; `tests/contract/test_zone_arguments.py` does it again.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["TYPE_ARGUMENTS", "ZONE_ARGUMENTS"]

ZONE_ARGUMENTS: Mapping[str, int] = {
    "dateDiff": 3,
    "dateTrunc": 2,
    "date_bin": 2,
    "date_diff": 3,
    "date_trunc": 2,
    "formatDateTime": 2,
    "hopEnd": 3,
    "hopStart": 3,
    "make_timestamp": 6,
    "make_timestamptz": 6,
    "now": 0,
    "nowInBlock": 0,
    "parseDateTime": 2,
    "parseDateTimeBestEffort": 1,
    "timezone": 0,
    "toDateTime": 1,
    "toDateTime64": 2,
    "toDateTimeUS": 1,
    "toDayOfWeek": 2,
    "toStartOfDay": 1,
    "toStartOfInterval": 2,
    "toStartOfWeek": 2,
    "toString": 1,
    "toTimeZone": 1,
    "toUnixTimestamp": 1,
    "toWeek": 2,
    "toYearWeek": 2,
    "to_char": 2,
    "tumbleEnd": 2,
    "tumbleStart": 2,
}
"""HogQL name to the place of the zone, counted from 0. A date may stand there too (the origin of toStartOfInterval)."""

TYPE_ARGUMENTS: Mapping[str, int] = {
    "JSONExtract": -1,
    "JSONExtractKeysAndValues": -1,
    "accurateCast": 1,
    "accurateCastOrNull": 1,
    "defaultValueOfTypeName": 0,
}
"""HogQL name to the place of the type's name; -1 is the last argument."""
