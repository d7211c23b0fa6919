"""Tables that PostHog keeps and a local store computes from its events: persons, groups and sessions.

They hold what the stored events show, no more: a session's times are those of the events in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from posthog_events.clickhouse.catalog import Column, PropertyKind, Table
from posthog_events.clickhouse.json_text import canonical_text
from posthog_events.clickhouse.quoting import identifier, string

__all__ = ["BOUNCE_S", "groups", "person_distinct_ids", "persons", "property_text", "sessions"]

BOUNCE_S = 10
"""Sessions shorter than this, with one page and no click, bounce. Source: PostHog's default of the bounce rate
duration, posthog/hogql/modifiers.py."""

_TIME = "DateTime64(6, 'UTC')"
# What an event holds when its person's creation time was not exported.
_UNKNOWN = "toDateTime64(0, 6, 'UTC')"

Promoted = Mapping[str, str]
Types = Mapping[str, PropertyKind]
NO_TYPES: Types = MappingProxyType({})


def property_text(key: str, promoted: Promoted, document: str = "properties") -> str:
    """Return the SQL of a property's canonical text, Nullable(String)."""
    if key in promoted:
        return identifier(promoted[key])
    return canonical_text(document, [key])


def persons(events: str, *, types: Types = NO_TYPES) -> Table:
    """Return `persons`: for each person id the properties of its latest event that carries any.

    The creation time is the earliest one on the events, or else the time of the first event.
    """
    source = (
        "(SELECT person_id AS id, "
        "argMaxIf(person_properties, (timestamp, uuid), person_properties NOT IN ('', '{}')) AS properties, "
        f"if(countIf(person_created_at > {_UNKNOWN}) > 0, minIf(person_created_at, person_created_at > {_UNKNOWN}), "
        "min(timestamp)) AS created_at, "
        f"toUInt8(countIf(event = '$identify') > 0) AS is_identified FROM {events} GROUP BY person_id)"
    )
    columns = {
        "id": Column("UUID"),
        "created_at": Column(_TIME),
        "properties": Column("String", is_json=True, property_types=types),
        "is_identified": Column("UInt8"),
    }
    return Table("persons", source, columns)


def person_distinct_ids(events: str) -> Table:
    """Return `person_distinct_ids`: the person of each distinct id's latest event."""
    source = (
        f"(SELECT distinct_id, argMax(person_id, (timestamp, uuid)) AS person_id FROM {events} GROUP BY distinct_id)"
    )
    return Table("person_distinct_ids", source, {"distinct_id": Column("String"), "person_id": Column("UUID")})


def groups(events: str, promoted: Promoted, group_types: Mapping[str, int]) -> Table:
    """Return `groups`: the properties of the latest `$groupidentify` event of each group.

    PostHog merges the properties of all such events; one event that sets everything, as its libraries send, is equal.
    """
    kind, key, content = (property_text(name, promoted) for name in ("$group_type", "$group_key", "$group_set"))
    names = "[" + ", ".join(string(name) for name in group_types) + "]"
    indexes = "[" + ", ".join(str(index) for index in group_types.values()) + "]"
    index = f"transform(ifNull({kind}, ''), {names}, {indexes}, -1)" if group_types else "-1"
    # Named apart from the events' columns inside, because an alias would shadow them.
    inner = (
        f"SELECT toInt64({index}) AS group_index, ifNull({key}, '') AS group_key, "
        f"argMax(ifNull({content}, '{{}}'), (timestamp, uuid)) AS group_set, min(timestamp) AS first_seen, "
        f"max(timestamp) AS last_seen FROM {events} WHERE event = '$groupidentify' "
        "GROUP BY group_index, group_key HAVING group_index >= 0 AND group_key != ''"
    )
    source = (
        "(SELECT group_index AS index, group_key AS key, group_set AS properties, first_seen AS created_at, "
        f"last_seen AS updated_at FROM ({inner}))"
    )
    columns = {
        "index": Column("Int64"),
        "key": Column("String"),
        "created_at": Column(_TIME),
        "updated_at": Column(_TIME),
        "properties": Column("String", is_json=True),
    }
    return Table("groups", source, columns)


_SESSION_COLUMNS: Mapping[str, str] = {
    "session_id": "String",
    "id": "String",
    "distinct_id": "String",
    "person_id": "UUID",
    "$start_timestamp": _TIME,
    "$end_timestamp": _TIME,
    "$session_duration": "Int64",
    "$pageview_count": "UInt64",
    "$screen_count": "UInt64",
    "$autocapture_count": "UInt64",
    "$urls": "Array(String)",
    "$num_uniq_urls": "UInt64",
    "$entry_current_url": "Nullable(String)",
    "$end_current_url": "Nullable(String)",
    "$entry_pathname": "Nullable(String)",
    "$end_pathname": "Nullable(String)",
    "$entry_hostname": "Nullable(String)",
    "$end_hostname": "Nullable(String)",
    "$entry_utm_source": "Nullable(String)",
    "$entry_utm_medium": "Nullable(String)",
    "$entry_utm_campaign": "Nullable(String)",
    "$entry_utm_term": "Nullable(String)",
    "$entry_utm_content": "Nullable(String)",
    "$entry_referring_domain": "Nullable(String)",
    "$entry_gclid": "Nullable(String)",
    "$is_bounce": "Nullable(UInt8)",
}


def sessions(events: str, promoted: Promoted) -> Table:
    """Return `sessions`: one row per `$session_id`.

    Entry values are those of the session's first event that has one; ties in time are settled by uuid. Source:
    posthog/hogql/database/schema/sessions_v3.py.
    """

    def first(text: str) -> str:
        return f"argMin({text}, (timestamp, uuid))"  # argMin skips rows whose value is NULL

    def last(text: str) -> str:
        return f"argMax({text}, (timestamp, uuid))"

    url = property_text("$current_url", promoted)
    entry = {
        f"$entry_{name}": first(property_text(key, promoted))
        for name, key in {
            "current_url": "$current_url",
            "utm_source": "utm_source",
            "utm_medium": "utm_medium",
            "utm_campaign": "utm_campaign",
            "utm_term": "utm_term",
            "utm_content": "utm_content",
            "referring_domain": "$referring_domain",
            "gclid": "gclid",
        }.items()
    }
    inner = {
        "session_id": identifier("$session_id"),
        "distinct_id": last("distinct_id"),
        "person_id": last("person_id"),
        "$start_timestamp": "min(timestamp)",
        "$end_timestamp": "max(timestamp)",
        "$pageview_count": "uniqExactIf(uuid, event = '$pageview')",
        "$screen_count": "uniqExactIf(uuid, event = '$screen')",
        "$autocapture_count": "uniqExactIf(uuid, event = '$autocapture')",
        "$urls": f"arraySort(groupUniqArrayIf(assumeNotNull({url}), isNotNull({url})))",
        "$end_current_url": last(url),
        **entry,
    }
    duration = "dateDiff('second', `$start_timestamp`, `$end_timestamp`)"
    outer = {name: identifier(name) for name in _SESSION_COLUMNS} | {
        "id": "session_id",
        "$session_duration": duration,
        "$num_uniq_urls": "length(`$urls`)",
        "$entry_pathname": "path(`$entry_current_url`)",
        "$end_pathname": "path(`$end_current_url`)",
        "$entry_hostname": "domain(`$entry_current_url`)",
        "$end_hostname": "domain(`$end_current_url`)",
        "$is_bounce": (
            "if(`$pageview_count` + `$screen_count` = 0, NULL, toUInt8(NOT (`$pageview_count` + `$screen_count` > 1 "
            f"OR `$autocapture_count` > 0 OR {duration} >= {BOUNCE_S})))"
        ),
    }
    grouped = f"SELECT {_select(inner)} FROM {events} WHERE `$session_id` != '' GROUP BY `$session_id`"
    source = f"(SELECT {_select(outer)} FROM ({grouped}))"
    return Table("sessions", source, {name: Column(kind) for name, kind in _SESSION_COLUMNS.items()})


def _select(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{text} AS {identifier(name)}" for name, text in columns.items())
