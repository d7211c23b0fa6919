"""Find a function by the name a query uses. Source: posthog/hogql/functions/mapping.py."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from posthog_events.clickhouse.functions.aggregates import AGGREGATES, WINDOW_FUNCTIONS
from posthog_events.clickhouse.functions.model import Function, Refused
from posthog_events.clickhouse.functions.posthog import TAGS
from posthog_events.clickhouse.functions.refused import REFUSED
from posthog_events.clickhouse.functions.scalars_arrays import ARRAYS, MAPS, TUPLES
from posthog_events.clickhouse.functions.scalars_convert import CONVERSIONS, LOGIC
from posthog_events.clickhouse.functions.scalars_datetime import DATES
from posthog_events.clickhouse.functions.scalars_geo import GEO
from posthog_events.clickhouse.functions.scalars_numbers import BITS, DISTANCES, MATHS, READABLE
from posthog_events.clickhouse.functions.scalars_text import IPS, JSON_TEXT, STRINGS, URLS

__all__ = ["FUNCTIONS", "lookup", "suggest"]

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        function.name: function
        for function in (
            *AGGREGATES,
            *WINDOW_FUNCTIONS,
            *CONVERSIONS,
            *LOGIC,
            *DATES,
            *STRINGS,
            *URLS,
            *IPS,
            *JSON_TEXT,
            *ARRAYS,
            *MAPS,
            *TUPLES,
            *MATHS,
            *BITS,
            *DISTANCES,
            *READABLE,
            *GEO,
            *TAGS,
        )
    }
)
"""The allow-list: a call of any other name is an error."""

_LOWER = MappingProxyType({name.lower(): name for name in FUNCTIONS if not name.startswith("_")})


def lookup(name: str) -> Function | Refused | None:
    """Return the function called `name`, why it is refused, or None for an unknown name.

    As in PostHog, the case counts unless the entry says otherwise.
    """
    if found := FUNCTIONS.get(name):
        return found
    folded = FUNCTIONS.get(name.lower())
    if folded is not None and folded.case_insensitive:
        return folded
    return Refused(name, REFUSED[name]) if name in REFUSED else None


def suggest(name: str) -> str | None:
    """Return the callable name closest to `name`, if one is close; a difference in case alone is closest."""
    close = difflib.get_close_matches(name.lower(), _LOWER, n=1, cutoff=0.7)
    return _LOWER[close[0]] if close else None
