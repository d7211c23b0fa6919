"""Writing staged rows: identity, deduplication, promoted columns, one file for each month."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from posthog_events.clickhouse.quoting import identifier, string
from posthog_events.clickhouse.store.layout import (
    DOCUMENTS,
    EVENT_COLUMNS,
    IMPORT_COLUMN,
    MAX_PROMOTED,
    PARQUET_SETTINGS,
    file_columns,
    parquet_source,
    written_keys,
)
from posthog_events.clickhouse.store.manifest import DataFile, Manifest
from posthog_events.clickhouse.store.promote import (
    Promotion,
    escaped_columns,
    event_columns,
    plain_columns,
    promote,
)
from posthog_events.clickhouse.store.session import Session

__all__ = ["PartWriter", "Written"]

MAX_GROUP_TYPES = 5
"""Source: posthog/models/group_type_mapping.py."""

_UUID = {"uuid": "UUID"}
_NO_UUID = "toUUID('00000000-0000-0000-0000-000000000000')"

ColumnsOf = Callable[[str, Sequence[str]], tuple[str, dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one part. `rows` is the table whose rows were written, for further questions."""

    rows: str
    stored: int
    promotions: Mapping[str, Promotion]


class PartWriter:
    """Writes the parts of an import; holds what one part has to know of those before it."""

    def __init__(self, session: Session, data: Path, manifest: Manifest, import_id: str) -> None:
        self.session, self.data, self.import_id = session, data, import_id
        self.files: list[DataFile] = []
        self.group_types = dict(manifest.group_types)
        self.warnings: list[str] = []
        self._existing = manifest.files
        self._promoted: dict[str, tuple[str, ...]] = {
            document: tuple(sorted({key for file in manifest.files for key in written_keys(file, document)[0]}))
            for document in DOCUMENTS
        }
        self._hashes: list[str] = []
        self._numbers = itertools.count()

    def begin_file(self) -> None:
        """Start counting repeated rows anew: the n-th copy of a row is told from the first within one file only."""
        self._hashes = []

    def write(self, stage: str, *, rejected: bool) -> Written:
        """Write the events among staged rows that the store does not have yet.

        Args:
            stage: The table of staged rows.
            rejected: Whether some of them are no events.
        """
        repeated = self._number_copies(stage)
        rows = self._distinct(stage, repeated, rejected)
        known = self._known(rows)
        fresh = f"(SELECT * FROM {rows} WHERE uuid NOT IN {known})" if known else rows
        months = self.session.query(
            f"SELECT toYYYYMM(timestamp) AS month, count(), toUnixTimestamp64Micro(min(timestamp)), "
            f"toUnixTimestamp64Micro(max(timestamp)), countIf(NOT plain) FROM {fresh} "
            "GROUP BY month ORDER BY month"
        ).rows()
        promotions = self._promote(fresh) if months else {}
        for month, count, low, high, escaped in months:
            name = f"events-{month}-{self.import_id}-{next(self._numbers)}.parquet"
            condition = f"toYYYYMM(timestamp) = {month}"
            self._write_file(name, f"(SELECT * FROM {fresh} WHERE {condition})", promotions, escaped, count)
            event, person = promotions["properties"], promotions["person_properties"]
            self.files.append(
                DataFile(
                    name=name,
                    rows=count,
                    size_bytes=(self.data / name).stat().st_size,
                    min_time=low,
                    max_time=high,
                    event_keys=event.keys,
                    person_keys=person.keys,
                    event_rest=event.rest,
                    person_rest=person.rest,
                    imports=(self.import_id,),
                )
            )
        if known:
            self.session.drop(known)
        return Written(rows, sum(row[1] for row in months), promotions)

    # -- identity ---------------------------------------------------------------------------------------------

    def _number_copies(self, stage: str) -> str | None:
        """Give the second and later copies of a row ids of their own; return a table of row to uuid, or None."""
        content = f"SELECT uuid, row FROM {stage} WHERE derived AND reason = ''"
        total, distinct = self.session.query(f"SELECT count(), uniqExact(uuid) FROM ({content})").row(0)
        if not total:
            return None
        before = f"SELECT {_NO_UUID} AS uuid, toUInt64(0) AS copies WHERE 0"
        if self._hashes:
            earlier = parquet_source(self.session.directory, self._hashes, _UUID)
            condition = f"uuid IN (SELECT uuid FROM ({content}))"
            before = f"SELECT uuid, count() AS copies FROM {earlier} WHERE {condition} GROUP BY uuid"
        seen = self.session.table(before, name="seen")
        found = self.session.query(f"SELECT count() FROM {seen}").item()
        name = f"hashes-{next(self._numbers)}.parquet"
        self.session.command(
            f"INSERT INTO FUNCTION {parquet_source(self.session.directory, [name], _UUID)} SELECT uuid FROM ({content})"
        )
        self._hashes.append(name)
        if total == distinct and not found:
            self.session.drop(seen)
            return None
        numbered = (
            "SELECT row, uuid, row_number() OVER (PARTITION BY uuid ORDER BY row) + copies AS n "
            f"FROM ({content}) AS rows LEFT ANY JOIN {seen} AS seen USING (uuid)"
        )
        copies = self.session.table(
            f"SELECT row, reinterpretAsUUID(sipHash128(uuid, n)) AS own FROM ({numbered}) WHERE n > 1",
            name="copies",
            engine="Join(ANY, LEFT, row)",
        )
        self.session.drop(seen)
        return copies

    def _distinct(self, stage: str, copies: str | None, rejected: bool) -> str:
        """Return a table of the events of a part, each uuid once."""
        source = stage
        if copies is not None:
            # A lookup, since a join would carry every column of the rows through its hash table.
            own = f"joinGet({string(copies)}, 'own', row)"
            source = f"(SELECT * REPLACE (if({own} = {_NO_UUID}, uuid, {own}) AS uuid) FROM {stage})"
        good = f"(SELECT * FROM {source} WHERE reason = '')" if rejected else source
        total, distinct = self.session.query(f"SELECT count(), uniqExact(uuid) FROM {good}").row(0)
        if total == distinct and copies is None and not rejected:
            return stage
        rows = self.session.table(f"SELECT * FROM {good} ORDER BY row LIMIT 1 BY uuid", name="rows")
        if copies is not None:
            self.session.drop(copies)
        self.session.drop(stage)
        return rows

    def _known(self, rows: str) -> str | None:
        """Return a table of the uuids that the store has already, or None.

        The store's uuids are streamed past the part's, so memory depends on the part alone.
        """
        names = [file.name for file in (*self._existing, *self.files)]
        if not names:
            return None
        table = self.session.table(
            f"SELECT uuid FROM {parquet_source(self.data, names, _UUID)} WHERE uuid IN (SELECT uuid FROM {rows})",
            name="known",
        )
        if self.session.query(f"SELECT count() FROM {table}").item():
            return table
        self.session.drop(table)
        return None

    # -- columns ----------------------------------------------------------------------------------------------

    def _promote(self, rows: str) -> dict[str, Promotion]:
        promotions = {}
        for document in DOCUMENTS:
            keys: Sequence[str] = self.session.query(
                f"SELECT arraySort(groupUniqArrayArray(JSONExtractKeys({document}))) FROM {rows}"
            ).item()
            known = self._promoted[document]
            if len({*known, *keys}) > MAX_PROMOTED:
                counted = f"SELECT arrayJoin(JSONExtractKeys({document})) AS key, count() AS n FROM {rows} GROUP BY key"
                keys = self.session.query(f"SELECT key FROM ({counted}) ORDER BY n DESC, key").to_series().to_list()
            self._promoted[document], promotions[document] = promote(known, list(keys))
        occurring = {*promotions["properties"].keys}
        if promotions["properties"].rest or occurring & {"$groups", "$group_type"}:
            self._learn_group_types(rows)
        return promotions

    def _learn_group_types(self, rows: str) -> None:
        named = "arrayConcat(JSONExtractKeys(properties, '$groups'), [JSONExtractString(properties, '$group_type')])"
        found: Sequence[str] = self.session.query(
            f"SELECT arraySort(groupUniqArrayArray({named})) FROM {rows} WHERE position(properties, '\"$group') > 0"
        ).item()
        for name in found:
            if not name or name in self.group_types:
                continue
            free = sorted(set(range(MAX_GROUP_TYPES)) - set(self.group_types.values()))
            if not free:
                self.warnings.append(f"the group type {name!r} has no column: a project has {MAX_GROUP_TYPES} at most")
                return
            self.group_types[name] = free[0]

    def _write_file(self, name: str, rows: str, promotions: Mapping[str, Promotion], escaped: int, count: int) -> None:
        branches = []
        if escaped < count:
            branches.append(self._select(rows, promotions, plain_columns, "plain" if escaped else "1"))
        if escaped:
            branches.append(self._select(rows, promotions, escaped_columns, "NOT plain"))
        columns = file_columns(promotions["properties"].keys, promotions["person_properties"].keys)
        self.session.command(
            f"INSERT INTO FUNCTION {parquet_source(self.data, [name], columns)} "
            f"SELECT * FROM ({' UNION ALL '.join(branches)}) ORDER BY timestamp, uuid",
            PARQUET_SETTINGS,
        )

    def _select(self, rows: str, promotions: Mapping[str, Promotion], columns_of: ColumnsOf, condition: str) -> str:
        """Return a SELECT of a file's columns in their order."""
        prepared: list[str] = []
        promoted: dict[str, str] = {}
        for document, promotion in promotions.items():
            expression, columns = columns_of(document, promotion.keys)
            promoted |= columns
            prepared += [expression] if expression else []
        own = event_columns(promotions, self.group_types) | {IMPORT_COLUMN: string(self.import_id)}
        inner = ", ".join(["*", *(f"{text} AS {identifier(name)}" for name, text in promoted.items())])
        outer = [f"{own[name]} AS {identifier(name)}" for name in (*EVENT_COLUMNS, IMPORT_COLUMN)]
        outer += map(identifier, promoted)
        prefix = f"WITH {', '.join(prepared)} " if prepared else ""
        return f"SELECT {', '.join(outer)} FROM ({prefix}SELECT {inner} FROM {rows} WHERE {condition})"
