"""An export directory read in place: its Parquet files as the `events` table, without an import.

Nothing is written. Reading a property parses JSON text, which an import saves, and an event that PostHog exported twice
is told from its copy by each query. Good for a look at an export; import what is queried often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from posthog_events.clickhouse import derived
from posthog_events.clickhouse.catalog import Catalog, Column, PropertyKind, Table
from posthog_events.clickhouse.quoting import identifier
from posthog_events.clickhouse.store.infer import infer_types
from posthog_events.clickhouse.store.layout import (
    ANY_KEY,
    DOCUMENTS,
    EVENT_COLUMNS,
    MAX_PROMOTED,
    check_path,
    parquet_source,
    promotable,
)
from posthog_events.clickhouse.store.promote import Promotion, event_columns
from posthog_events.clickhouse.store.stage import time_sql
from posthog_events.errors import StoreError, StoreNotFound

if TYPE_CHECKING:
    import polars as pl

__all__ = ["attached_catalog", "is_export"]

LEDGER = "export.json"

SAMPLE_ROWS = 20_000
"""Events from which the types of properties are told, where the export brought no definitions."""

_NO_TIME = "toDateTime64(0, 6, 'UTC')"
_TIMES = ("timestamp", "created_at", "person_created_at")

Query = Callable[[str], "pl.DataFrame"]


class _File(msgspec.Struct):
    name: str


class _Slice(msgspec.Struct):
    done: bool
    files: tuple[_File, ...] = ()


class _Order(msgspec.Struct):
    format: str


class _Ledger(msgspec.Struct):
    """What is needed of an export's ledger; `posthog/export/ledger.py` writes it."""

    order: _Order
    slices: tuple[_Slice, ...] = ()
    event_types: Mapping[str, PropertyKind] = msgspec.field(default_factory=dict)
    person_types: Mapping[str, PropertyKind] = msgspec.field(default_factory=dict)


def is_export(directory: Path) -> bool:
    """Whether a directory holds an export."""
    return (directory / LEDGER).is_file()


def attached_catalog(directory: Path, *, timezone: str = "UTC") -> Catalog:
    """Return the tables of an export as it is now: its complete slices.

    Args:
        timezone: The project's IANA zone, which an export does not name.

    Raises:
        StoreNotFound: There is no export.
        StoreError: Its ledger cannot be read, a file is missing, or it is not Parquet.
    """
    from posthog_events.clickhouse.client import Client

    directory = directory.expanduser().resolve()
    check_path(directory)
    ledger = _read(directory)
    folder = directory / "events"
    names = [file.name for part in ledger.slices if part.done for file in part.files]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise StoreError(f"the export {directory} is incomplete: {folder / missing[0]} is missing; export it again")
    types = {"properties": ledger.event_types, "person_properties": ledger.person_types}
    with Client.open("chdb://memory") as client:
        source = _events(folder, names)
        rows, events = client.query(f"SELECT count(), uniqExact(uuid) FROM {source}")[1].row(0)
        if rows != events:
            source = f"(SELECT * FROM {source} LIMIT 1 BY uuid)"
        for document in DOCUMENTS:
            types[document] = types[document] or _inferred(lambda sql: client.query(sql)[1], source, document)
    return _catalog(source, types, timezone)


def _read(directory: Path) -> _Ledger:
    path = directory / LEDGER
    try:
        ledger = msgspec.json.decode(path.read_bytes(), type=_Ledger)
    except (FileNotFoundError, NotADirectoryError):
        raise StoreNotFound(directory) from None
    except msgspec.DecodeError as exc:
        raise StoreError(f"{path} is damaged ({exc}); restore it from a backup, or export elsewhere") from exc
    if ledger.order.format != "parquet":
        raise StoreError(
            f"the export {directory} is JSON Lines, which is not read in place; import it: posthog-events local import "
            f"{directory / 'events'}"
        )
    return ledger


def _events(folder: Path, names: list[str]) -> str:
    """Return SQL for the files with the columns of `events`.

    A query reads the columns that it names, and a condition on `timestamp` skips row groups.
    """
    present, texts = _columns(folder, names)
    # The reader turns text or 16 bytes into a UUID, and any unit of time into microseconds.
    declared = {name: "String" if name in texts else kind for name, kind in EVENT_COLUMNS.items()} | {"set": "String"}

    def read(name: str, *, otherwise: str) -> str:
        if name not in present:
            return otherwise
        # Qualified, since ClickHouse would take a bare name for the alias that is being defined.
        column = f"file.{identifier(name)}"
        return f"ifNull({time_sql(column, 'UTC')}, {_NO_TIME})" if name in texts else column

    time = read("timestamp", otherwise=_NO_TIME)
    properties = _document(read("properties", otherwise="''"))
    person = read("set", otherwise=f"JSONExtractRaw({properties}, '$set')")
    rows = {
        "uuid": "file.uuid",
        **{name: read(name, otherwise="''") for name in ("event", "distinct_id", "elements_chain")},
        "properties": properties,
        "timestamp": time,
        "created_at": read("created_at", otherwise=time),
        "session": read("$session_id", otherwise="''"),
        "window_id": read("$window_id", otherwise="''"),
        "person_id": read("person_id", otherwise="reinterpretAsUUID(sipHash128('person', file.distinct_id))"),
        **{f"group_{index}": read(f"$group_{index}", otherwise="''") for index in range(5)},
        "person_properties": _document(read("person_properties", otherwise=person)),
        "person_created_at": read("person_created_at", otherwise=_NO_TIME),
    }
    # No key has a column of its own, and any may occur.
    unknown = dict.fromkeys(DOCUMENTS, Promotion((), (ANY_KEY,)))
    columns = event_columns(unknown, {})
    return (
        f"(SELECT {_select({name: columns[name] for name in EVENT_COLUMNS})} "
        f"FROM (SELECT {_select(rows)} FROM {parquet_source(folder, names, declared)} AS file))"
    )


def _columns(folder: Path, names: list[str]) -> tuple[set[str], set[str]]:
    """Return the columns that some file has, and those of time that hold text."""
    import polars as pl

    present: set[str] = set()
    texts: set[str] = set()
    for name in names:
        try:
            schema = pl.read_parquet_schema(folder / name)
        except (pl.exceptions.PolarsError, OSError) as exc:
            raise StoreError(f"{folder / name} is not a readable Parquet file: {str(exc).splitlines()[0]}") from exc
        present |= set(schema) & {*EVENT_COLUMNS, "set"}
        texts |= {name for name in _TIMES if schema.get(name) == pl.String}
    return present, texts


def _document(text: str) -> str:
    return f"if({text} IN ('', 'null'), '{{}}', {text})"


def _select(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{text} AS {identifier(name)}" for name, text in columns.items())


def _inferred(query: Query, source: str, document: str) -> dict[str, PropertyKind]:
    sample = f"(SELECT {document} FROM {source} LIMIT {SAMPLE_ROWS})"
    counted = f"SELECT arrayJoin(JSONExtractKeys({document})) AS key, count() AS n FROM {sample} GROUP BY key"
    keys = query(f"SELECT key FROM ({counted}) ORDER BY n DESC, key LIMIT {MAX_PROMOTED}").to_series().to_list()
    return infer_types(query, sample, document, [key for key in keys if promotable(key)])


def _catalog(source: str, types: Mapping[str, Mapping[str, PropertyKind]], timezone: str) -> Catalog:
    columns = {name: Column(kind) for name, kind in EVENT_COLUMNS.items()}
    for document in DOCUMENTS:
        hidden = document == "person_properties"
        columns[document] = Column("String", is_json=True, hidden=hidden, property_types=types[document])
    columns["person_created_at"] = Column(EVENT_COLUMNS["person_created_at"], hidden=True)
    tables = (
        Table("events", source, columns),
        derived.persons(source, types=types["person_properties"]),
        derived.person_distinct_ids(source),
        derived.groups(source, {}, {}),
        derived.sessions(source, {}),
    )
    return Catalog(tables={table.name: table for table in tables}, timezone=timezone)
