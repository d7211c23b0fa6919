"""What Python users hold: an engine, its query files and, for a local store, its events."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from posthog_events.clock import utc_now
from posthog_events.config import Setting, Settings, load_settings, user_file
from posthog_events.errors import ConfigError, HogQLError
from posthog_events.limits import POSTHOG_ROWS, RowLimits
from posthog_events.result import Query, QueryResult, Value

if TYPE_CHECKING:
    import polars as pl

    from posthog_events.clickhouse.catalog import Catalog, PropertyKind
    from posthog_events.clickhouse.engine import ClickHouseEngine
    from posthog_events.clickhouse.store import EventStore, ImportReport
    from posthog_events.destinations.manager import Declared, Destinations
    from posthog_events.destinations.simulate import Simulations
    from posthog_events.posthog.engine import PostHogEngine
    from posthog_events.posthog.observer import Observer
    from posthog_events.posthog.project import Project
    from posthog_events.queryfiles import QueryFile

__all__ = ["Connection", "connect", "open_connection"]


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
    key: str | None = None,
    profile: str | None = None,
    fresh: bool = False,
    asynchronous: bool = False,
    max_wait_s: float | None = None,
    observer: Observer | None = None,
) -> Connection:
    """Open a store, a server, or a PostHog project.

    Args:
        dsn: `chdb://./events` (a local store, or a folder from `export`), `clickhouse://user@host/database`, or
            `posthog://eu/12345`. None: what the environment or `posthog-events.toml` says, else the store at
            `./events`.
        timezone: IANA name of the project's zone; None takes the store's or the project's. Relative dates, `timestamp`
            columns and text literals are read in it; PostHog itself always uses the project's.
        queries: Directories with query files that come before `./queries` and the shipped library.
        row_limits: PostHog's default (100 rows without LIMIT) and maximum (50,000), or `UNLIMITED_ROWS`. PostHog's own
            cannot be lifted; see `Project.rows`.
        clock: Returns an aware datetime; fixes relative dates and, except on PostHog, `now()`.
        max_execution_s: Seconds a query may run; not for PostHog.
        max_memory_bytes: Memory a query may take; not for PostHog.
        password: For `clickhouse://`, when the DSN has none.
        key: For `posthog://`: a personal API key. None: `POSTHOG_PERSONAL_API_KEY`, or what the profile says.
        profile: For `posthog://`: a profile of the settings files.
        fresh: For `posthog://`: never take an answer from PostHog's cache.
        asynchronous: For `posthog://`: queue queries on the server, for those that run longer than a request may.
        max_wait_s: For `posthog://`: seconds to wait for a rate limit at most; None: as long as PostHog asks.
        observer: For `posthog://`: told of waits, repeated attempts and the progress of queued queries.

    Raises:
        ConfigError: The DSN, the time zone or the settings mean nothing, or the engine cannot do what was asked.
        StoreNotFound: There is no store at that path.
        MissingExtra: The `local` extra is not installed.
    """
    if dsn is None or dsn.startswith("posthog://"):
        settings = _settings(dsn, profile)
    else:
        settings = Settings(Setting(dsn, "argument"))
    if password:
        settings = replace(settings, password=Setting(password, "argument"))
    if key:
        settings = replace(settings, key=Setting(key, "argument"))
    return open_connection(
        settings,
        timezone=timezone,
        queries=queries,
        row_limits=row_limits,
        clock=clock,
        max_execution_s=max_execution_s,
        max_memory_bytes=max_memory_bytes,
        fresh=fresh,
        asynchronous=asynchronous,
        max_wait_s=max_wait_s,
        observer=observer,
    )


def open_connection(
    settings: Settings,
    *,
    timezone: str | None = None,
    queries: Sequence[str | Path] = (),
    row_limits: RowLimits = POSTHOG_ROWS,
    clock: Callable[[], datetime] | None = None,
    max_execution_s: float | None = None,
    max_memory_bytes: int | None = None,
    fresh: bool = False,
    asynchronous: bool = False,
    max_wait_s: float | None = None,
    observer: Observer | None = None,
) -> Connection:
    """Open what settings say that were read already; arguments and errors are those of `connect`."""
    if timezone is not None:
        _check_zone(timezone)
    dsn = settings.require_dsn()
    folders = [Path(path) for path in queries]
    scheme, _, rest = dsn.partition("://")
    if scheme == "posthog":
        if row_limits != POSTHOG_ROWS or max_execution_s is not None or max_memory_bytes is not None:
            raise ConfigError(
                "PostHog's row, time and memory limits cannot be lifted from here (--no-limit); query a local copy "
                "(posthog-events local pull), or fetch every row with `events list` or `export`"
            )
        from posthog_events.posthog.project import Project

        project = Project.open(
            settings.posthog(),
            timezone=timezone,
            clock=clock or utc_now,
            fresh=fresh,
            asynchronous=asynchronous,
            max_wait_s=max_wait_s,
            observer=observer,
            token=settings.token.value if settings.token else None,
        )
        return Connection(project.engine, project=project, queries=folders, clock=clock or utc_now)
    if fresh or asynchronous:
        raise ConfigError(
            "only PostHog has a cache and queued queries; leave out fresh (--fresh) and asynchronous (--async)"
        )
    local: EventStore | Path | None = None
    if scheme == "chdb":
        if not rest:
            raise ConfigError("the DSN chdb:// needs the path of an event store, for example chdb://./events")
        local = _local(Path(rest))
    elif scheme != "clickhouse":
        # the text is not repeated: it may be a key, or hold a password
        raise ConfigError(
            "the DSN names no engine; use chdb://PATH for a local store, clickhouse://host/database, or "
            "posthog://eu/PROJECT"
        )
    password = settings.password.value if settings.password else None
    engine = _engine(dsn, local, timezone, row_limits, clock, max_execution_s, max_memory_bytes, password)
    store = None if isinstance(local, Path) else local
    return Connection(engine, store=store, queries=folders, clock=clock or utc_now)


def _local(path: Path) -> EventStore | Path:
    """Return the store at `path`, or the path itself when an export is there."""
    from posthog_events.clickhouse.store import EventStore
    from posthog_events.clickhouse.store.attached import is_export

    return path.expanduser().resolve() if is_export(path.expanduser()) else EventStore.open(path)


def _settings(dsn: str | None, profile: str | None) -> Settings:
    import os

    arguments = {"dsn": dsn, "profile": profile}
    return load_settings(arguments=arguments, environ=os.environ, directory=Path.cwd(), user=user_file())


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(f"unknown time zone {name!r}; use an IANA name such as Europe/Berlin") from error


def _engine(
    dsn: str,
    local: EventStore | Path | None,
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
        "chdb://memory" if local else dsn,
        password=password,
        max_execution_s=max_execution_s,
        max_memory_bytes=max_memory_bytes,
    )
    read: Callable[[], Catalog]
    if isinstance(local, Path):
        from posthog_events.clickhouse.store.attached import attached_catalog

        # read once: telling the types of properties takes a look at the events
        read = functools.cache(functools.partial(attached_catalog, local, timezone=timezone or "UTC"))
    elif local is not None:
        read = local.catalog
    else:
        from posthog_events.clickhouse.cluster import ServerTables

        read = ServerTables(client).catalog

    def catalog() -> Catalog:
        found = read()
        return replace(found, timezone=timezone) if timezone else found

    return ClickHouseEngine(
        client=client,
        catalog=catalog,
        dsn=client.dsn if local is None else f"chdb://{local if isinstance(local, Path) else local.path}",
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
        engine: ClickHouseEngine | PostHogEngine,
        *,
        queries: Sequence[Path],
        clock: Callable[[], datetime],
        store: EventStore | None = None,
        project: Project | None = None,
    ) -> None:
        self.engine = engine
        self.store = store
        self._project = project
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

            file = self.file(query)
            rendered = render_traced(file, params or {}, clock=self._clock, timezone=self.engine.timezone)
            try:
                yield rendered.query
            except HogQLError as error:
                raise rendered.relocate(error) from error

    def tables(self) -> Mapping[str, Mapping[str, str]]:
        """Return table to column to type, for everything a query can read.

        Raises:
            QueryError, ApiError: PostHog could not be asked.
        """
        return self.engine.tables()

    @property
    def project(self) -> Project:
        """The PostHog project: its events, persons, definitions, exports and capture.

        Raises:
            ConfigError: This connection is to a store or a ClickHouse server.
        """
        if self._project is None:
            raise ConfigError(f"{self.engine.dsn} is not PostHog; connect to posthog://HOST/PROJECT")
        return self._project

    @functools.cached_property
    def destinations(self) -> Destinations:
        """The project's webhook and Slack destinations; see `posthog_events.destinations.manager.Destinations`.

        Raises:
            ConfigError: This connection is to a store or a ClickHouse server.
        """
        from posthog_events.destinations.manager import Destinations

        return Destinations(self.project.api, clock=self._clock)

    def simulate(self, *declared: Declared, since: datetime, until: datetime, samples: int = 3) -> Simulations:
        """Return what destinations would have done with the events that are here; nothing is sent.

        Args:
            declared: Destinations, and files or folders of declarations.
            since: First moment, aware.
            until: First moment after the range, aware.
            samples: How many deliveries of each to render.

        Raises:
            DeclarationError: Lists every fault in the declarations.
            HogError: PostHog would not accept one of them, or it cannot be evaluated here.
            QueryError, ApiError, ConnectionFailed: The events could not be read.
        """
        from posthog_events.destinations.manager import destinations_of
        from posthog_events.destinations.simulate import EngineEvents, simulate_all
        from posthog_events.destinations.surroundings import read_surroundings

        destinations = destinations_of(declared)
        around = read_surroundings(self._project.api if self._project else None, destinations)
        return simulate_all(
            destinations,
            EngineEvents(self.engine, group_types=around.group_types),
            since=since,
            until=until,
            samples=samples,
            project=around.project,
            actions=around.actions,
            test_account_filters=around.test_account_filters,
            now=self._clock(),
        )

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
        self.engine.close()
        if self._project is not None:
            self._project.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"connect({self.engine.dsn!r})"
