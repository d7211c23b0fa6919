"""A local store's tables on a ClickHouse server: copied there by `push`, read back as a catalog.

Every push writes tables of its own, named `<table>__<push>`, and then one row that says which push counts. So a reader
sees one whole push or another, and tables that we did not create are never touched.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from posthog_events.clickhouse.catalog import Catalog, Table
from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.quoting import identifier, string
from posthog_events.errors import ConfigError, EngineError

__all__ = ["PushReport", "ServerTables", "push"]

_REGISTRY = "posthog_events_catalogs"
_KEPT_PUSHES = 2
"""The current push, and the one before it, which a running query may still read."""


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push wrote: table to number of rows."""

    push_id: str
    rows: Mapping[str, int]


@dataclass(slots=True)
class ServerTables:
    """The tables of the newest push on a server."""

    client: Client
    _catalog: Catalog | None = None

    def catalog(self) -> Catalog:
        """Return what queries can read; looked up once.

        Raises:
            ConfigError: Nothing was pushed to this database.
        """
        if self._catalog is None:
            self._catalog = _newest(self.client)
        return self._catalog


def _newest(client: Client) -> Catalog:
    pushes = _pushes(client)
    if not pushes:
        raise ConfigError(
            f"{client.dsn} holds no tables of posthog-events; copy a local store there with: "
            f"posthog-events local push --store ./events --dsn {client.dsn}"
        )
    return msgspec.json.decode(pushes[0][1], type=Catalog)


def _pushes(client: Client) -> list[tuple[str, str]]:
    """Return (push id, catalog) pairs, newest first."""
    _, found = client.query(
        f"SELECT name FROM system.tables WHERE database = currentDatabase() AND name = {string(_REGISTRY)}"
    )
    if found.is_empty():
        return []
    _, rows = client.query(f"SELECT push_id, catalog FROM {_REGISTRY} ORDER BY pushed_at DESC, push_id")
    return [(push_id, catalog) for push_id, catalog in rows.iter_rows()]


def push(
    catalog: Catalog,
    *,
    source: Client,
    target: Client,
    progress: Callable[[str, int], None] = lambda table, rows: None,
    new_id: Callable[[], str] = lambda: secrets.token_hex(4),
) -> PushReport:
    """Copy every table of a local catalog to a server and make the copy the one that queries read.

    Derived tables (persons, sessions, groups) are copied as they are now.

    Args:
        source: An embedded client that can read the catalog's sources.
        progress: Called with each table and its number of rows once it is there.

    Raises:
        EngineError: The server refused; what was written so far is dropped, and the old push stays.
    """
    push_id = new_id()
    target.command(
        f"CREATE TABLE IF NOT EXISTS {_REGISTRY} (pushed_at DateTime64(6, 'UTC'), push_id String, catalog String) "
        "ENGINE = MergeTree ORDER BY pushed_at"
    )
    rows: dict[str, int] = {}
    tables: dict[str, Table] = {}
    try:
        for name, table in catalog.tables.items():
            physical = identifier(f"{name}__{push_id}")
            rows[name] = _copy(table, f"{name}__{push_id}", source, target)
            tables[name] = replace(table, source=physical)
            progress(name, rows[name])
        document = msgspec.json.encode(replace(catalog, tables=tables)).decode()
        target.command(f"INSERT INTO {_REGISTRY} VALUES (now64(6), {string(push_id)}, {string(document)})")
    except BaseException:
        for name in catalog.tables:
            target.command(f"DROP TABLE IF EXISTS {identifier(f'{name}__{push_id}')}")
        raise
    _drop_old(target)
    return PushReport(push_id, rows)


def _copy(table: Table, physical: str, source: Client, target: Client) -> int:
    """Write one table through a Parquet file, and return its rows."""
    types = source.describe(f"SELECT * FROM {table.source}")
    columns = ", ".join(f"{identifier(name)} {kind}" for name, kind in types)
    order = (
        "PARTITION BY toYYYYMM(timestamp) ORDER BY (toDate(timestamp), event, cityHash64(distinct_id), uuid)"
        if table.name == "events"
        else "ORDER BY tuple()"
    )
    target.command(f"CREATE TABLE {identifier(physical)} ({columns}) ENGINE = MergeTree {order}")
    with tempfile.TemporaryDirectory(prefix="posthog-events-") as directory:
        path = Path(directory) / "rows.parquet"
        source.command(f"INSERT INTO FUNCTION file({string(str(path))}, Parquet) SELECT * FROM {table.source}")
        _, counted = source.query(f"SELECT count() AS n FROM file({string(str(path))}, Parquet)")
        expected = int(counted.item())
        if expected:
            target.insert_parquet(physical, path)
    _, counted = target.query(f"SELECT count() AS n FROM {identifier(physical)}")
    if counted.item() != expected:
        raise EngineError(f"the server holds {counted.item()} of the {expected} rows of {table.name} that were sent")
    return expected


def _drop_old(target: Client) -> None:
    for push_id, document in _pushes(target)[_KEPT_PUSHES:]:
        for name in msgspec.json.decode(document, type=Catalog).tables:
            target.command(f"DROP TABLE IF EXISTS {identifier(f'{name}__{push_id}')}")
        target.command(f"ALTER TABLE {_REGISTRY} DELETE WHERE push_id = {string(push_id)}")
