"""The tables of one SELECT: what their columns are called and how they are read.

A stored table reads its catalog columns; `events.person`, `events.session` and `events.group_N` are joined only when a
query touches them (PostHog's lazy joins, posthog/hogql/database/schema/events.py). A subquery exposes the names of its
SELECT list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from posthog_events.clickhouse.catalog import Catalog, Column, PersonMode, Table
from posthog_events.clickhouse.compiler.value import JsonText, Sql
from posthog_events.clickhouse.quoting import identifier, string
from posthog_events.clickhouse.sqltype import Kind, from_clickhouse

__all__ = ["DerivedTable", "Source", "StoredTable", "Unreadable"]

_EVENTS_INTERNAL = {"person_properties", "person_created_at"}
_NOT_LOCAL = {
    "pdi": "it is internal to PostHog; use person_id or person.*",
    "poe": "it is internal to PostHog; use person.*",
    "team_id": "a local store holds one project",
    "$session_id_uuid": "use $session_id",
    "elements_chain_href": "read elements_chain instead",
    "elements_chain_texts": "read elements_chain instead",
    "elements_chain_ids": "read elements_chain instead",
    "elements_chain_elements": "read elements_chain instead",
    "person_mode": "it is set by PostHog's ingestion",
}
_SESSION_NOT_LOCAL = {"$channel_type": "it needs PostHog's dictionaries of traffic sources"}


class Unreadable(Exception):  # caught where the position is known, and re-raised as UnsupportedHogQL
    """A column that PostHog has and this engine cannot compute; the message is the reason."""


class Source(Protocol):
    """Something that stands in FROM."""

    alias: str
    """The name in HogQL."""
    sql_alias: str
    """The name in ClickHouse SQL, a plain word that nothing else has."""

    def has(self, name: str) -> bool:
        """Whether `name` is a column or a lazy join."""
        ...

    def names(self) -> Iterator[str]:
        """The columns of `*`."""
        ...

    def column(self, name: str) -> Sql:
        """Return a column.

        Raises:
            Unreadable: PostHog has it, this engine does not.
        """
        ...

    def lazy(self, name: str) -> Source | None:
        """Return the table behind a lazy join such as `person`, or None."""
        ...

    def joins(self) -> Iterator[str]:
        """JOIN clauses that the columns read so far need."""
        ...


@dataclass(slots=True)
class DerivedTable:
    """A subquery or CTE in FROM."""

    alias: str
    sql_alias: str
    columns: Mapping[str, Sql]

    def has(self, name: str) -> bool:
        return name in self.columns

    def names(self) -> Iterator[str]:
        return iter(self.columns)

    def column(self, name: str) -> Sql:
        inner = self.columns[name]
        text = f"{self.sql_alias}.{identifier(name)}"
        # the document is passed on, its promoted columns are not
        json = JsonText(text, property_types=inner.json.property_types) if inner.json and not inner.json.path else None
        return Sql(text, inner.type, json=json)

    def lazy(self, name: str) -> Source | None:
        return None

    def joins(self) -> Iterator[str]:
        return iter(())


@dataclass(slots=True)
class StoredTable:
    """A table of the catalog under an alias, with the lazy joins used so far."""

    alias: str
    sql_alias: str
    table: Table
    catalog: Catalog
    _joined: dict[str, tuple[str, StoredTable]] = field(default_factory=dict)

    # -- columns ----------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        if name in self.table.columns:
            return name not in _EVENTS_INTERNAL or self.table.name != "events"
        return self._lazy_target(name) is not None or self._reason(name) is not None

    def names(self) -> Iterator[str]:
        return (name for name, column in self.table.columns.items() if not column.hidden and self.has(name))

    def column(self, name: str) -> Sql:
        if (reason := self._reason(name)) and name not in self.table.columns:
            raise Unreadable(f"{self.table.name}.{name} is not available on this engine: {reason}")
        if self.table.name == "events" and name == "person_id":
            return self._person_id()
        return self._physical(name)

    def _reason(self, name: str) -> str | None:
        if self.table.name == "events":
            if name.startswith("$virt_"):
                return "virtual fields are computed by PostHog"
            if name.startswith("goe_"):
                return "it is internal to PostHog; use group_N.*"
            return _NOT_LOCAL.get(name)
        return _SESSION_NOT_LOCAL.get(name) if self.table.name == "sessions" else None

    def _reference(self, physical: str) -> str:
        return f"{self.sql_alias}.{identifier(physical)}"

    def _physical(self, name: str) -> Sql:
        column = self.table.columns[name]
        text = self._reference(column.physical or name)
        if column.is_json:
            return Sql(text, from_clickhouse(column.type), json=self._json(text, column))
        kind = from_clickhouse(column.type)
        if kind.kind not in (Kind.DATETIME, Kind.DATETIME64):
            return Sql(text, kind)
        zone = self.catalog.timezone
        in_zone = text if f"'{zone}'" in column.type else f"toTimeZone({text}, {string(zone)})"
        bare = self.table.name in ("events", "sessions") and (name == "timestamp" or name.endswith("_timestamp"))
        return Sql(in_zone, kind, instant=text, never_null_wrapped=bare)

    def _json(self, text: str, column: Column) -> JsonText:
        promoted = {key: self._reference(physical) for key, physical in column.promoted.items()}
        return JsonText(text, promoted=promoted, property_types=column.property_types)

    # -- persons ----------------------------------------------------------------------------------------------

    def _person_id(self) -> Sql:
        own = self._physical("person_id")
        mode = self.catalog.person_mode
        if mode is PersonMode.NO_OVERRIDE_ON_EVENTS:
            return own
        if mode is PersonMode.DISABLED:
            return self._join("pdi", "INNER JOIN", "person_distinct_ids").column("person_id")
        if not self.catalog.has_overrides:
            return own
        override = self._join("override", "LEFT JOIN", "person_distinct_ids")
        matched = f"not(empty({override.column('distinct_id').text}))"
        return Sql(f"if({matched}, {override.column('person_id').text}, {own.text})", own.type)

    # -- lazy joins -------------------------------------------------------------------------------------------

    def _lazy_target(self, name: str) -> str | None:
        """Return which table a lazy join reads."""
        if self.table.name == "events":
            if name == "person":
                return "events" if self._person_on_events() else "persons"
            if name == "session":
                return "sessions"
            if self._group_index(name) is not None:
                return "groups"
        elif name == "person" and "person_id" in self.table.columns:
            return "persons"
        return None

    def _person_on_events(self) -> bool:
        return self.catalog.person_mode in (PersonMode.OVERRIDE_ON_EVENTS, PersonMode.NO_OVERRIDE_ON_EVENTS)

    def _group_index(self, name: str) -> int | None:
        if name in self.catalog.group_types:
            return self.catalog.group_types[name]
        prefix, _, index = name.partition("_")
        return int(index) if prefix == "group" and index in ("0", "1", "2", "3", "4") else None

    def lazy(self, name: str) -> Source | None:
        target = self._lazy_target(name)
        if target is None or name in self.table.columns:
            return None
        if target == "events":
            return _EventPerson(self)
        if target not in self.catalog.tables:
            raise Unreadable(f"{self.table.name}.{name} needs the table {target}, which this store does not have")
        if target == "groups":
            return self._join(f"group_{self._group_index(name)}", "LEFT JOIN", "groups")
        return self._join(name, "LEFT JOIN", target)

    def _join(self, name: str, kind: str, target: str) -> StoredTable:
        if name not in self._joined:
            alias = f"{self.sql_alias}__{name}"
            joined = StoredTable(alias, alias, self.catalog.tables[target], self.catalog)
            left, right, only = self._join_keys(name)
            source = joined.table.source
            if only:
                source = f"(SELECT * FROM {source} WHERE {only})"
            on = f"equals({left}, {joined._reference(right)})"
            self._joined[name] = (f"{kind} {source} AS {alias} ON {on}", joined)
        return self._joined[name][1]

    def _join_keys(self, name: str) -> tuple[str, str, str]:
        """Return our side, the column on their side, and a condition on their rows."""
        if name in ("pdi", "override"):
            return self._reference("distinct_id"), "distinct_id", ""
        if name == "session":
            return self._reference("$session_id"), "session_id", ""
        if name == "person":
            own = self._person_id() if self.table.name == "events" else self._physical("person_id")
            return own.text, "id", ""
        index = name.removeprefix("group_")
        return self._reference(f"$group_{index}"), "key", f"equals(index, {index})"

    def joins(self) -> Iterator[str]:
        return (clause for clause, _ in self._joined.values())


@dataclass(slots=True)
class _EventPerson:
    """`events.person` in the modes that read the person from the event itself."""

    events: StoredTable
    alias: str = "person"
    sql_alias: str = ""

    _COLUMNS: ClassVar = {"id": "person_id", "created_at": "person_created_at", "properties": "person_properties"}

    def has(self, name: str) -> bool:
        return name in self._COLUMNS

    def names(self) -> Iterator[str]:
        return iter(self._COLUMNS)

    def column(self, name: str) -> Sql:
        return self.events._person_id() if name == "id" else self.events._physical(self._COLUMNS[name])

    def lazy(self, name: str) -> Source | None:
        return None

    def joins(self) -> Iterator[str]:
        return iter(())
