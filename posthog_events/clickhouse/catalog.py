"""What tables exist and where they are: the only names a query can reach.

The catalog is the security boundary. A table's `source` is written by us (a list of Parquet files, a server table, or a
SELECT over those); nothing from a query's text ever ends up in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

__all__ = ["Catalog", "Column", "PersonMode", "PropertyKind", "Table"]


class PropertyKind(StrEnum):
    """The type of a property definition. Source: posthog/hogql/transforms/property_types.py."""

    STRING = "String"
    NUMERIC = "Numeric"
    BOOLEAN = "Boolean"
    DATETIME = "DateTime"
    DURATION = "Duration"


class PersonMode(StrEnum):
    """Which person an event belongs to, and whose properties it shows.

    Source: posthog/models/team/team.py and posthog/hogql/database/database.py.
    """

    OVERRIDE_ON_EVENTS = "person_id_override_properties_on_events"
    NO_OVERRIDE_ON_EVENTS = "person_id_no_override_properties_on_events"
    OVERRIDE_JOINED = "person_id_override_properties_joined"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table as HogQL sees it.

    Args:
        type: ClickHouse type, for example `DateTime64(6, 'UTC')`.
        physical: The name in the source; empty when it is the HogQL name.
        hidden: Left out of `*`.
        promoted: For a JSON text column: key to the physical Nullable(String) column that holds PostHog's canonical
            text of that key.
        property_types: For a JSON text column: key to the type of its property definition.
    """

    type: str
    physical: str = ""
    hidden: bool = False
    is_json: bool = False
    promoted: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    property_types: Mapping[str, PropertyKind] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Table:
    """A table that a query may name.

    Args:
        source: ClickHouse SQL that can stand after FROM.
        columns: HogQL column name to column, in the order of `*`.
    """

    name: str
    source: str
    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything a query can read, and the project settings that change what it means.

    Args:
        tables: By HogQL name. `events` is always there; `persons`, `person_distinct_ids`, `groups`, `sessions` are
            there when stored or derivable; `cohort_people`, `static_cohort_people` and user tables when supplied.
        timezone: The project's IANA zone; DateTime columns and text literals are read in it.
        week_starts_monday: PostHog's project setting; weeks start on Sunday otherwise.
        group_types: Group type name to index, so that `events.company` means `events.group_0`.
        has_overrides: Whether `person_distinct_ids` was supplied (not derived), so that it can override person ids.
        cohorts: Cohort name to id, for `IN COHORT 'name'`.
    """

    tables: Mapping[str, Table]
    timezone: str = "UTC"
    week_starts_monday: bool = False
    person_mode: PersonMode = PersonMode.OVERRIDE_ON_EVENTS
    group_types: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    has_overrides: bool = False
    cohorts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
