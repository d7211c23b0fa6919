"""What Python users hold: an engine, its query files and, for a local store, its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from posthog_events.errors import ConfigError, HogQLError
from posthog_events.limits import POSTHOG_ROWS, RowLimits
from posthog_events.result import Query, QueryResult, Value

if TYPE_CHECKING:
    import polars as pl

    from posthog_events.clickhouse.catalog import Catalog, PropertyKind
    from posthog_events.clickhouse.engine import ClickHouseEngine
    from posthog_events.clickhouse.store import EventStore, ImportReport
    from posthog_events.queryfiles import QueryFile

__all__ = ["Connection", "connect"]


def connect(
    dsn: str | None = None,
    *,
    timezone: str | None = None,
    queries: Sequence[str | Path] = (),
    row_limits: RowLimits = POSTHOG_ROWS,
    clock: Callable[[], datetime] | None = None,
    max_execution_s: float | None = None,
    max_memory_bytes: int | None = None,
    password: str | None = None,
) -> Connection:
    """Open a store or a server.

    Args:
        dsn: `chdb://./events` (a local store) or `clickhouse://user@host/database`. None: what the environment or
            `posthog-events.toml` says, else the store at `./events`.
        timezone: IANA name of the project's zone; None takes the store's. Relative dates, `timestamp` columns and text
            literals are read in it.
        queries: Directories with query files that come before `./queries` and the shipped library.
        row_limits: PostHog's default (100 rows without LIMIT) and maximum (50,000), or `UNLIMITED_ROWS`.
        clock: Returns an aware datetime; fixes `now()` and relative dates.
        max_execution_s: Seconds a query may run.
        max_memory_bytes: Memory a query may take.
        password: For `clickhouse://`, when the DSN has none.

    Raises:
        ConfigError: The DSN or the time zone means nothing.
        StoreNotFound: There is no store at that path.
        MissingExtra: The `local` extra is not installed.
    """
    if dsn is None:
        dsn = _configured_dsn()
    if timezone is not None:
        _check_zone(timezone)
    scheme, _, rest = dsn.partition("://")
    store: EventStore | None = None
    if scheme == "chdb":
        from posthog_events.clickhouse.store import EventStore

        if not rest:
            raise ConfigError("the DSN chdb:// needs the path of an event store, for example chdb://./events")
        store = EventStore.open(Path(rest))
    elif scheme != "clickhouse":
        raise ConfigError(
            f"no engine for the DSN scheme {scheme!r}; use chdb://PATH for a local store or clickhouse://host/database"
        )
    return Connection(
        _engine(dsn, store, timezone, row_limits, clock, max_execution_s, max_memory_bytes, password),
        store=store,
        queries=[Path(path) for path in queries],
        clock=clock or _utc_now,
    )


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _configured_dsn() -> str:
    import os

    from posthog_events.config import load_settings, user_file

    found = load_settings(arguments={}, environ=os.environ, directory=Path.cwd(), user=user_file())
    return found.require_dsn()


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(f"unknown time zone {name!r}; use an IANA name such as Europe/Berlin") from error


def _engine(
    dsn: str,
    store: EventStore | None,
    timezone: str | None,
    row_limits: RowLimits,
    clock: Callable[[], datetime] | None,
    max_execution_s: float | None,
    max_memory_bytes: int | None,
    password: str | None,
) -> ClickHouseEngine:
    from posthog_events.clickhouse.client import Client
    from posthog_events.clickhouse.compiler import CompileSettings
    from posthog_events.clickhouse.engine import ClickHouseEngine

    client = Client.open(
        "chdb://memory" if store else dsn,
        password=password,
        max_execution_s=max_execution_s,
        max_memory_bytes=max_memory_bytes,
    )
    read: Callable[[], Catalog]
    if store is not None:
        read = store.catalog
    else:
        from posthog_events.clickhouse.cluster import ServerTables

        read = ServerTables(client).catalog

    def catalog() -> Catalog:
        found = read()
        return replace(found, timezone=timezone) if timezone else found

    return ClickHouseEngine(
        client=client,
        catalog=catalog,
        dsn=f"chdb://{store.path}" if store else client.dsn,
        settings=CompileSettings(row_limits=row_limits),
        clock=clock,
    )


class Connection:
    """Query files and HogQL over one engine. Use it as a context manager, or call `close`.

    Example:
        >>> import posthog_events as ph
        >>> with ph.connect("chdb://./events") as local:          # doctest: +SKIP
        ...     local.query("funnel", steps=["signup", "purchase"], window="14d")
    """

    def __init__(
        self,
        engine: ClickHouseEngine,
        *,
        store: EventStore | None,
        queries: Sequence[Path],
        clock: Callable[[], datetime],
    ) -> None:
        self.engine = engine
        self.store = store
        self.queries = tuple(queries)
        self._clock = clock

    def query(self, name: str | Path | QueryFile, **params: Any) -> pl.DataFrame:
        """Run a query file with parameters and return its frame; dtypes are those of its `returns`.

        Raises:
            QueryFileError: There is no such file, or it has faults.
            ParameterError: Parameters are missing, unknown or wrong; all are listed.
            HogQLError, QueryError: As `run`.
        """
        return self.run(self.file(name), params).frame

    def hogql(self, text: str, **values: Value) -> pl.DataFrame:
        """Run HogQL text; `{name}` in it is bound to the value of that name, never pasted into the text.

        Raises:
            HogQLError, QueryError: As `run`.
        """
        return self.run(Query(text, values=values)).frame

    def run(
        self,
        query: str | Path | QueryFile | Query,
        params: Mapping[str, Any] | None = None,
        *,
        allow_truncated: bool = False,
    ) -> QueryResult:
        """Run a query file (by name or path), HogQL text or a `Query`, and return everything about the result.

        A text with white space in it is HogQL, and `params` are then its values.

        Raises:
            HogQLError: The query does not parse, names something unknown, or cannot run on this engine.
            TruncatedResult: More rows exist than were returned, and `allow_truncated` is false.
            UnexpectedColumns: The frame is not what the query file's `returns` says.
            QueryError: The engine failed.
        """
        with self._located(query, params) as rendered:
            result = self.engine.run(rendered, allow_truncated=allow_truncated)
        if rendered.returns:
            from posthog_events.queryfiles.returns import check_returns

            check_returns(rendered, result.types)
        return result

    def sql(self, query: str | Path | QueryFile | Query, params: Mapping[str, Any] | None = None) -> str:
        """Return the ClickHouse SQL that `run` would send.

        Raises:
            HogQLError, QueryFileError, ParameterError: As `run`.
        """
        with self._located(query, params) as rendered:
            return self.engine.sql(rendered)

    def file(self, name: str | Path | QueryFile) -> QueryFile:
        """Return a query file: a path, or a name looked up in `queries`, `./queries` and the shipped library."""
        from posthog_events.queryfiles import QueryFile, load, search_path

        return name if isinstance(name, QueryFile) else load(str(name), search_path(self.queries))

    @contextmanager
    def _located(self, query: str | Path | QueryFile | Query, params: Mapping[str, Any] | None) -> Iterator[Query]:
        """Lend the HogQL to run; errors in a query file point into the file, not into what it was rendered to."""
        if isinstance(query, Query):
            yield query
        elif isinstance(query, str) and len(query.split()) > 1:
            yield Query(query, values=dict(params or {}))
        else:
            from posthog_events.queryfiles import render_traced

            zone = self.engine.catalog().timezone
            rendered = render_traced(self.file(query), params or {}, clock=self._clock, timezone=zone)
            try:
                yield rendered.query
            except HogQLError as error:
                raise rendered.relocate(error) from error

    def tables(self) -> Mapping[str, Mapping[str, str]]:
        """Return table to column to ClickHouse type, for everything a query can read."""
        return {
            name: {column: details.type for column, details in table.columns.items() if not details.hidden}
            for name, table in self.engine.catalog().tables.items()
        }

    def import_events(
        self,
        *paths: str | Path,
        event: str | None = None,
        time: str | None = None,
        user: str | None = None,
        uuid: str | None = None,
        timezone: str | None = None,
        types: Mapping[str, PropertyKind] | None = None,
        max_rejected: int | None = None,
    ) -> ImportReport:
        """Add the events of files to the local store, all of them or, on any error, none.

        Args:
            paths: CSV, JSON Lines, JSON or Parquet files, or directories of them.
            event: The column of the event's name, or the one name that all rows have.
            time: The column of the timestamp, and so on; what is not given is guessed, and said in the report.
            timezone: IANA zone of times without an offset; the store's own by default.
            types: Property types that overrule what the values suggest.
            max_rejected: Rows that may be no events before the import fails; None allows one row in ten.

        Raises:
            ConfigError: This connection is to a server, not to a local store.
            ImportFailed: A file cannot be read, or too many rows are no events; nothing was stored.
            StoreLocked: Another process writes to the store.
        """
        from posthog_events.clickhouse.store import ColumnMapping

        if self.store is None:
            raise ConfigError("events are imported into a local store; connect to chdb://PATH")
        mapping = ColumnMapping(event=event, time=time, user=user, uuid=uuid, timezone=timezone)
        return self.store.import_events(paths, mapping, types=types, max_rejected=max_rejected)

    def close(self) -> None:
        """Close the engine; results stay usable."""
        self.engine.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"connect({self.engine.dsn!r})"
