"""The columns of an event file, and the SQL that reads a set of files as one table.

The columns are those of PostHog's `events` table, and one Nullable(String) column per promoted key: `e:<key>` for
`properties`, `p:<key>` for `person_properties`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from posthog_events.clickhouse.quoting import identifier, string
from posthog_events.clickhouse.store.manifest import DataFile
from posthog_events.errors import StoreError

__all__ = [
    "ANY_KEY",
    "DOCUMENTS",
    "EVENT_COLUMNS",
    "IMPORT_COLUMN",
    "MAX_PROMOTED",
    "PARQUET_SETTINGS",
    "PREFIXES",
    "check_path",
    "file_columns",
    "listed_rest",
    "parquet_source",
    "promotable",
    "readable_keys",
    "structure",
    "written_keys",
]

MAX_PROMOTED = 300
"""Keys per document with a column of their own. Source: reference 3.4 (reading a wide schema costs 11 ms at 500)."""

MAX_LISTED = 1_000
"""Keys without a column that the manifest lists for a file; beyond, any key may be in it."""

ANY_KEY = "*"
"""Stands for keys that are not listed; no column is called so."""

_TIME = "DateTime64(6, 'UTC')"

EVENT_COLUMNS: Mapping[str, str] = {
    "uuid": "UUID",
    "event": "String",
    "properties": "String",
    "timestamp": _TIME,
    "distinct_id": "String",
    "elements_chain": "String",
    "created_at": _TIME,
    "$session_id": "String",
    "$window_id": "String",
    "person_id": "UUID",
    "$group_0": "String",
    "$group_1": "String",
    "$group_2": "String",
    "$group_3": "String",
    "$group_4": "String",
    "person_properties": "String",
    "person_created_at": _TIME,
}
"""In the order of `SELECT *`. None is Nullable: a column that a file lacks reads as the type's default."""

IMPORT_COLUMN = "__import"
"""The import that a row came with; no part of the table, needed to take an import back."""

PREFIXES: Mapping[str, str] = {"properties": "e:", "person_properties": "p:"}
"""No dot: ClickHouse would read `p.plan`, the column of a table called `p`, as a column called `p.plan` of another."""

DOCUMENTS = tuple(PREFIXES)

PARQUET_SETTINGS: Mapping[str, str | int] = {
    "output_format_parquet_compression_method": "zstd",
    # Level 1 is as small as 3 on event data (both 49 MB a quarter million events) and takes two thirds of the time.
    "output_format_compression_level": 1,
    "output_format_parquet_row_group_size": 131_072,
    # Bloom filters cost a third of the write and serve lookups of single values, which the time order serves already.
    "output_format_parquet_write_bloom_filter": 0,
}


def promotable(key: str) -> bool:
    """Whether a key may become a column name: printable, short, and safe inside quotes, globs and compound names."""
    return 0 < len(key) <= 200 and key.isprintable() and not set(key) & set('`"\\{}*?.')


def structure(columns: Mapping[str, str]) -> str:
    """Return a structure argument for `file()`.

    >>> structure({"event": "String", "e:plan": "Nullable(String)"})
    'event String, `e:plan` Nullable(String)'
    """
    return ", ".join(f"{identifier(name)} {kind}" for name, kind in columns.items())


def check_path(directory: Path) -> None:
    """Refuse a directory that ClickHouse would take for a pattern.

    Raises:
        StoreError: The path holds one of `* ? { }`.
    """
    if set(str(directory)) & set("*?{}"):
        raise StoreError(f"the store path {directory} may not contain any of * ? {{ }}; choose another directory")


def parquet_source(directory: Path, names: Sequence[str], columns: Mapping[str, str]) -> str:
    """Return a table expression over Parquet files of one directory, empty when there are none.

    The explicit structure makes a column that some file lacks read as NULL or the type's default.
    """
    declared = string(structure(columns))
    if not names:
        return f"null({declared})"
    if len(names) == 1:
        path = f"{directory}/{names[0]}"
    else:
        path = f"{directory}/{{{','.join(name.removesuffix('.parquet') for name in names)}}}.parquet"
    return f"file({string(path)}, Parquet, {declared})"


def written_keys(file: DataFile, document: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the keys of a file's document that have columns, and those that have none."""
    if document == "properties":
        return file.event_keys, file.event_rest
    return file.person_keys, file.person_rest


def listed_rest(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the keys without columns as a manifest lists them."""
    rest = tuple(sorted(set(keys)))
    return rest if len(rest) <= MAX_LISTED and ANY_KEY not in rest else (ANY_KEY,)


def file_columns(event_keys: Iterable[str], person_keys: Iterable[str]) -> dict[str, str]:
    """Return the physical columns of a file with these promoted keys."""
    promoted = [PREFIXES["properties"] + key for key in event_keys]
    promoted += [PREFIXES["person_properties"] + key for key in person_keys]
    return {**EVENT_COLUMNS, IMPORT_COLUMN: "String", **dict.fromkeys(promoted, "Nullable(String)")}


def readable_keys(files: Iterable[DataFile], document: str) -> tuple[str, ...]:
    """Return the keys whose columns can stand for the JSON text in every file.

    A file without the column is fine when the key does not occur in it.
    """
    pairs = [written_keys(file, document) for file in files]
    readable = {key for keys, _ in pairs for key in keys}
    for keys, rest in pairs:
        if ANY_KEY in rest:
            readable &= set(keys)
        else:
            readable -= set(rest)
    return tuple(sorted(readable))
