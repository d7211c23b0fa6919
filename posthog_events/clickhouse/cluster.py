"""A local store's tables on a ClickHouse server: copied there by `push`, read back as a catalog.

Every push writes tables of its own, named `<table>__<push>`, and last one row of the registry that says it is complete.
So a reader sees one whole push or another, and tables that we did not create are never touched. A first row of the
registry says that a push has begun, so that the tables of one that was killed can be dropped later.
"""

from __future__ import annotations

import io
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import msgspec

from posthog_events.clickhouse.catalog import Catalog, Table
from posthog_events.clickhouse.client import Client
from posthog_events.clickhouse.quoting import identifier, string
from posthog_events.clickhouse.store.layout import PARQUET_SETTINGS
from posthog_events.errors import ConfigError, EngineError

__all__ = ["PushReport", "ServerTables", "push"]

REGISTRY = "posthog_events_catalogs"
_REGISTRY_COLUMNS = {
    "pushed_at": "DateTime64(6, 'UTC')",
    "push_id": "String",
    "tables": "Array(String)",
    # empty in the row that says that a push has begun
    "catalog": "String",
}
_REGISTRY_DEFAULTS = {"pushed_at": " DEFAULT now64(6)"}

KEPT_PUSHES = 2
"""The current push, and the one before it, which a running query may still read."""

FRESH_S = 2.0
"""How long a reader trusts the registry: a new push is seen after this, and the parts of one call see the same."""

BATCH_ROWS = 1_000_000
"""Events that are copied at a time, days permitting: the size of the temporary file, a hundred megabytes or so."""

_UNKNOWN_TABLE = 60


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push wrote.

    Args:
        rows: Table to number of rows.
        warnings: What went wrong after the push had succeeded.
    """

    push_id: str
    rows: Mapping[str, int]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class ServerTables:
    """The tables of the newest push on a server.

    Args:
        clock: Seconds that only grow.
    """

    client: Client
    clock: Callable[[], float] = time.monotonic
    _read: tuple[float, Catalog] | None = field(default=None, init=False)

    def catalog(self) -> Catalog:
        """Return what queries can read now.

        Raises:
            ConfigError: Nothing was pushed to this database, or by another version.
            EngineError: The server cannot be reached.
        """
        now = self.clock()
        if self._read is None or now - self._read[0] >= FRESH_S:
            self._read = now, _newest(self.client)
        return self._read[1]


def _newest(client: Client) -> Catalog:
    command = f"posthog-events local push --store ./events --dsn '{client.dsn}'"
    try:
        _, rows = client.query(
            f"SELECT push_id, catalog FROM {REGISTRY} WHERE catalog != '' ORDER BY pushed_at DESC, push_id LIMIT 1"
        )
    except EngineError as error:
        if error.code != _UNKNOWN_TABLE:
            raise
        rows = None
    if rows is None or rows.is_empty():
        raise ConfigError(f"{client.dsn} holds no events of posthog-events; copy a local store there with: {command}")
    push_id, document = rows.row(0)
    try:
        catalog = msgspec.json.decode(document, type=Catalog)
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"the events at {client.dsn} were pushed by another version of posthog-events; copy them again with: "
            f"{command}"
        ) from error
    return _placed(catalog, push_id)


def _physical(table: str, push_id: str) -> str:
    return f"{table}__{push_id}"


def _placed(catalog: Catalog, push_id: str) -> Catalog:
    """Return the catalog with the sources of a push, which are never taken from what somebody may have stored."""
    tables = {
        name: replace(table, name=name, source=identifier(_physical(name, push_id)))
        for name, table in catalog.tables.items()
    }
    return replace(catalog, tables=tables)


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
        progress: Called with a table and how many of its rows are there, after each part of it.

    Raises:
        ConfigError: The database has a table with the registry's name that is not ours.
        EngineError: The server refused or went away. The push before stays current, and what was written is dropped: at
            once if possible, otherwise by a push more than a day later.
    """
    _ensure_registry(target)
    push_id = _unused_id(target, new_id)
    physical = [_physical(name, push_id) for name in catalog.tables]
    rows: dict[str, int] = {}
    try:
        _register(target, push_id, physical, "")
        for name, table in catalog.tables.items():
            rows[name] = _copy(table, _physical(name, push_id), source, target, progress)
        # dict: msgspec does not know the read-only mappings of a catalog
        document = msgspec.json.encode(_placed(catalog, push_id), enc_hook=dict)
        _register(target, push_id, physical, document.decode())
    except BaseException:
        # A server that is gone cannot drop them now; they are registered, so a later push will.
        with suppress(EngineError):
            _forget(target, push_id, physical)
        raise
    return PushReport(push_id, rows, _drop_old(target))


def _ensure_registry(target: Client) -> None:
    columns = ", ".join(f"{name} {kind}{_REGISTRY_DEFAULTS.get(name, '')}" for name, kind in _REGISTRY_COLUMNS.items())
    target.command(f"CREATE TABLE IF NOT EXISTS {REGISTRY} ({columns}) ENGINE = MergeTree ORDER BY pushed_at")
    if dict(target.describe(f"SELECT * FROM {REGISTRY}")) != _REGISTRY_COLUMNS:
        raise ConfigError(
            f"{target.dsn} has a table {REGISTRY} that this version of posthog-events did not create; nothing was "
            "written. Push to another database, or rename that table"
        )


def _unused_id(target: Client, new_id: Callable[[], str]) -> str:
    """Return an id that no table's name ends with: whatever is called so from here on is ours."""
    while True:
        push_id = new_id()
        _, taken = target.query(
            "SELECT count() AS n FROM system.tables "
            f"WHERE database = currentDatabase() AND endsWith(name, {string(_physical('', push_id))})"
        )
        if not taken.item():
            return push_id


def _register(target: Client, push_id: str, tables: Iterable[str], document: str) -> None:
    """Add a row to the registry; as Parquet, because the text of a statement may not be as long as a catalog."""
    import polars as pl

    row = {"push_id": [push_id], "tables": [list(tables)], "catalog": [document]}
    out = io.BytesIO()
    pl.DataFrame(row).write_parquet(out)
    target.insert_parquet(REGISTRY, out.getvalue())


def _copy(table: Table, physical: str, source: Client, target: Client, progress: Callable[[str, int], None]) -> int:
    """Write one table through Parquet files, one at a time, and return its number of rows."""
    types = source.describe(f"SELECT * FROM {table.source}")
    columns = ", ".join(f"{_quoted(name)} {kind}" for name, kind in types)
    order = (
        "PARTITION BY toYYYYMM(timestamp) ORDER BY (toDate(timestamp), event, cityHash64(distinct_id), uuid)"
        if table.name == "events"
        else "ORDER BY tuple()"
    )
    target.command(f"CREATE TABLE {identifier(physical)} ({columns}) ENGINE = MergeTree {order}")
    sent = 0
    with tempfile.TemporaryDirectory(prefix="posthog-events-") as directory:
        path = Path(directory) / "rows.parquet"
        file = f"file({string(str(path))}, Parquet)"
        for condition in _parts(table, source):
            source.command(
                f"INSERT INTO FUNCTION {file} SELECT * FROM {table.source} WHERE {condition}", settings=PARQUET_SETTINGS
            )
            _, counted = source.query(f"SELECT count() AS n FROM {file}")
            if counted.item():
                target.insert_parquet(physical, path)
                sent += counted.item()
            progress(table.name, sent)
            path.unlink()
    for client, place in ((source, table.source), (target, identifier(physical))):
        _, counted = client.query(f"SELECT count() AS n FROM {place}")
        if counted.item() != sent:
            raise EngineError(
                f"{client.dsn} holds {counted.item():,} rows of {table.name}, but {sent:,} were sent; push again"
            )
    return sent


def _quoted(name: str) -> str:
    """Quote plain words too: a column definition that begins with INDEX, as that of `groups` does, means an index."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _parts(table: Table, source: Client) -> Iterator[str]:
    """Yield conditions that split a table's rows into parts of one month at most."""
    if table.name != "events":
        yield "1"
        return
    _, days = source.query(
        f"SELECT toDate32(timestamp) AS day, count() AS n FROM {table.source} GROUP BY day ORDER BY day"
    )
    for first, last in spans(days.iter_rows(), BATCH_ROWS):
        # Times rather than days, so that the files' statistics say what need not be read.
        yield (
            f"timestamp >= toDateTime64('{first} 00:00:00', 6, 'UTC') "
            f"AND timestamp < toDateTime64('{last + timedelta(days=1)} 00:00:00', 6, 'UTC')"
        )


def spans(days: Iterable[tuple[date, int]], limit: int) -> Iterator[tuple[date, date]]:
    """Join ascending days to spans within a month whose rows stay under a limit, if that of a day does.

    >>> list(spans([(date(2026, 1, 30), 1), (date(2026, 1, 31), 1), (date(2026, 2, 1), 1)], 2))
    [(datetime.date(2026, 1, 30), datetime.date(2026, 1, 31)), (datetime.date(2026, 2, 1), datetime.date(2026, 2, 1))]
    """
    first = last = None
    size = 0
    for day, rows in days:
        if first is None or last is None:
            first = day
        elif (day.year, day.month) != (first.year, first.month) or size + rows > limit:
            yield first, last
            first, size = day, 0
        last, size = day, size + rows
    if first is not None and last is not None:
        yield first, last


def _forget(target: Client, push_id: str, tables: Iterable[str]) -> None:
    """Drop a push: first no reader finds it, then its tables go, then the row that remembers them."""
    delete = f"ALTER TABLE {REGISTRY} DELETE WHERE push_id = {string(push_id)}"
    target.command(f"{delete} AND catalog != ''", settings={"mutations_sync": 1})
    for name in tables:
        if name.endswith(_physical("", push_id)):
            target.command(f"DROP TABLE IF EXISTS {identifier(name)}")
    target.command(delete, settings={"mutations_sync": 1})


def _drop_old(target: Client) -> tuple[str, ...]:
    """Drop the pushes that no reader needs and those that were never completed; return what went wrong."""
    try:
        _, pushes = target.query(
            "SELECT push_id, any(tables) AS tables, max(catalog) != '' AS complete, "
            "max(pushed_at) < now64(6) - INTERVAL 1 DAY AS abandoned "
            f"FROM {REGISTRY} GROUP BY push_id ORDER BY max(pushed_at) DESC, push_id"
        )
        rows = pushes.rows()
        complete = [row for row in rows if row[2]]
        for push_id, tables, *_ in complete[KEPT_PUSHES:] + [row for row in rows if row[3] and not row[2]]:
            _forget(target, push_id, tables)
    except EngineError as error:
        return (f"the push is complete, but tables of older pushes could not be dropped: {error}",)
    return ()
