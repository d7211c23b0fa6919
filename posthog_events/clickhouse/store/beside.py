"""Tables beside the events: what PostHog keeps of persons, groups and cohorts, and the user's own."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from posthog_events.clickhouse.quoting import identifier, string
from posthog_events.clickhouse.store.detect import Format, Sample, read_sample
from posthog_events.clickhouse.store.files import open_binary
from posthog_events.clickhouse.store.layout import PARQUET_SETTINGS, parquet_source
from posthog_events.clickhouse.store.manifest import Retired, StoredTable, sync_file, write_manifest
from posthog_events.clickhouse.store.readers import read_parts
from posthog_events.clickhouse.store.session import write_session
from posthog_events.clickhouse.store.tables import KNOWN_TABLES
from posthog_events.errors import ConfigError, ImportFailed

if TYPE_CHECKING:
    from posthog_events.clickhouse.store.store import EventStore

__all__ = ["RESERVED", "import_table"]

RESERVED = frozenset(
    {
        "events", "sessions", "raw_sessions", "raw_persons", "raw_groups", "numbers",
        "person_distinct_id_overrides", "session_replay_events", "raw_session_replay_events", "heatmaps",
        "logs", "log_entries", "app_metrics", "query_log", "system", "cohorts", "static_cohorts", "actions",
    }
)  # fmt: skip
"""Names that mean something else in PostHog. Source: posthog/hogql/database/database.py."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")

_TYPES: Mapping[str, str] = {
    "id": "UUID",
    "person_id": "UUID",
    "distinct_id": "String",
    "key": "String",
    "properties": "String",
    "index": "Int64",
    "cohort_id": "Int64",
    "is_identified": "UInt8",
    "created_at": "DateTime64(6, 'UTC')",
}
"""Column types of the tables that replace derived ones, so that joins to events compare like with like."""

_ALIASES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "persons": {"id": ("uuid", "person_id", "id"), "properties": ("properties", "person_properties")},
    "groups": {
        "index": ("index", "group_type_index"),
        "key": ("key", "group_key"),
        "properties": ("properties", "group_properties"),
    },
}
"""What PostHog's API and exports call the same columns; `uuid` before the number that older APIs call `id`."""

_UNIQUE = {"persons": "id", "person_distinct_ids": "distinct_id", "groups": "index, key"}


def import_table(store: EventStore, name: str, path: Path) -> int:
    """Store a file as a table; see `EventStore.import_table`."""
    _check_name(name)
    if not path.is_file():
        raise ImportFailed(f"{path} does not exist, or is no file; check the name")
    sample = read_sample(path)
    write_id = f"{store.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    with store.writing() as manifest, write_session(store, write_id) as session:
        source, settings = _source(sample, session.directory)
        columns = dict(session.client.describe(f"SELECT * FROM {source}", settings=settings))
        select = f"SELECT * FROM {source}"
        if name in KNOWN_TABLES:
            select, columns = _known(name, source, columns, path)
        elif dotted := [column for column in columns if "." in column]:
            # `a.b` of one table and column `b` of a table called `a` would be one name to ClickHouse
            raise ImportFailed(f"{path}: the column {dotted[0]!r} has a dot in its name; rename it")
        target = f"table-{name}-{write_id}.parquet"
        stored = parquet_source(store.data, [target], columns)
        session.command(f"INSERT INTO FUNCTION {stored} {select}", {**settings, **PARQUET_SETTINGS})
        rows: int = session.query(f"SELECT count() FROM {stored}").item()
        if not rows:
            raise ImportFailed(f"{path} holds no rows; the table {name} was not changed")
        sync_file(store.data / target)
        old = manifest.tables[name].files if name in manifest.tables else ()
        at = store.now().timestamp()
        new = replace(
            manifest,
            tables={**manifest.tables, name: StoredTable((target,), columns, rows)},
            retired=(*manifest.retired, *(Retired(file, at) for file in old)),
        )
        write_manifest(store.path, new)
    return rows


def _check_name(name: str) -> None:
    if name in RESERVED:
        raise ConfigError(f"{name!r} is the name of a PostHog table; choose another for yours")
    if not _NAME.match(name):
        raise ConfigError(f"{name!r} is no table name; use letters, digits and underscores, not beginning with a digit")


def _source(sample: Sample, directory: Path) -> tuple[str, dict[str, str | int]]:
    """Return a table expression that reads the file, and the settings it needs."""
    path, kind = sample.path.resolve(), {Format.PARQUET: "Parquet", Format.CSV: "CSVWithNames"}.get(sample.format)
    settings: dict[str, str | int] = {
        # A column of objects is JSON text, as `properties` is.
        "input_format_json_read_objects_as_strings": 1,
        "input_format_json_try_infer_named_tuples_from_objects": 0,
        "schema_inference_make_columns_nullable": 1,
        # The whole file decides, as for events, and not its beginning.
        "input_format_max_rows_to_read_for_schema_inference": 10_000_000,
        "input_format_max_bytes_to_read_for_schema_inference": 1 << 30,
    }
    if sample.format is Format.CSV and sample.delimiter != ",":
        kind = "CustomSeparatedWithNames"
        settings |= {"format_custom_field_delimiter": sample.delimiter, "format_custom_escaping_rule": "CSV"}
    if kind is None:
        path, kind = directory / "rows.jsonl", "JSONEachRow"
        with path.open("wb") as file:
            for part in read_parts(sample, directory):
                file.write(part.path.read_bytes())
    elif sample.format is Format.CSV:
        # Unpacked by us, and without the byte order mark, whatever the file is called.
        plain = directory / "rows.csv"
        with open_binary(path) as (stream, _), plain.open("wb") as file:
            shutil.copyfileobj(stream, file)
        path = plain
    return f"file({string(str(path))}, {kind})", settings


def _known(name: str, source: str, columns: Mapping[str, str], path: Path) -> tuple[str, dict[str, str]]:
    """Return the SELECT and the columns of a table that PostHog knows."""
    needed, optional = KNOWN_TABLES[name]
    chosen: dict[str, str] = {}
    for column in (*needed, *optional):
        found = next((alias for alias in _ALIASES.get(name, {}).get(column, (column,)) if alias in columns), None)
        if found is not None:
            chosen[column] = found
        elif column in needed:
            raise ImportFailed(f"{path}: the table {name} needs a column {column!r}. Columns: {', '.join(columns)}.")
    texts = {column: f"ifNull(toString({identifier(file)}), '')" for column, file in chosen.items()}
    values = {column: _convert(_TYPES[column], text) for column, text in texts.items()}
    selected = ", ".join(f"{value} AS {identifier(column)}" for column, value in values.items())
    # A person export has a row for each distinct id, an incremental one a row for each change: the last one counts.
    unique = "" if name.endswith("cohort_people") else f" LIMIT 1 BY {_UNIQUE[name]}"
    rows = f"SELECT * FROM {source} ORDER BY rowNumberInAllBlocks() DESC"
    return f"SELECT {selected} FROM ({rows}){unique}", {column: _TYPES[column] for column in chosen}


def _convert(kind: str, text: str) -> str:
    if kind == "String":
        return text
    if kind.startswith("DateTime64"):
        return f"ifNull(parseDateTime64BestEffortOrNull({text}, 6, 'UTC'), toDateTime64(0, 6, 'UTC'))"
    if kind == "UInt8":
        return f"toUInt8(lower({text}) IN ('1', 'true'))"
    return f"to{kind}({text})"
