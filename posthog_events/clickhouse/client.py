"""One client for embedded and remote ClickHouse, with the engine's known defects kept out.

Both speak through clickhouse-connect. What this adds, each with a test in `tests/contract/test_engine_defects.py`:

- a connection on which anything failed is thrown away, because chdb hands the failed query's leftover bytes to the next
  query on it;
- exact dtypes from the types that ClickHouse itself reports, because Arrow output loses DateTime, UUID and Enum;
- Ctrl-C stops the query at once (the library sees it only when the query has ended);
- use after `fork` is refused, because chdb hangs there;
- one statement per call, because chdb runs every statement of a text.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from posthog_events.clickhouse.client_errors import translate
from posthog_events.clickhouse.dsn import Embedded, Server, parse_dsn
from posthog_events.clickhouse.quoting import identifier, string
from posthog_events.errors import EngineError, MissingExtra, PostHogEventsError
from posthog_events.interrupt import SIGNAL_CHECK_S, interruptible

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Client", "Types"]

Types = tuple[tuple[str, str], ...]
"""(column, ClickHouse type) pairs in column order."""

T = TypeVar("T")

KILL_WAIT_S = 1.5
"""How long an interrupted query may take to die; ours and ClickHouse's share of the 2 s that Ctrl-C may take."""

CONNECT_TIMEOUT_S = 10

# Strings, quoted names and comments, in which a semicolon means nothing; ClickHouse knows typographic quotes too.
# Source: ClickHouse's Lexer.cpp. Outside of these a dollar sign begins a here-document, which we never write.
_OPAQUE = re.compile(
    r"""'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*` | ‘[^’]*’ | “[^”]*”
      | --[^\n]* | /\*.*?\*/""",
    re.DOTALL | re.VERBOSE,
)

_MORE_STATEMENTS = frozenset(";$")

_embedded_pid: int | None = None
"""The process in which chdb was started. A forked child inherits the value, and a chdb that cannot run."""

# Without a handler Python prints the library's warnings, traceback and all, beside our one sentence.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())


class Client:
    """Run ClickHouse SQL and get typed frames. Safe to share between threads, not between processes.

    All embedded clients of a process share one in-memory ClickHouse, tables included.
    """

    def __init__(self, target: Embedded | Server, settings: Mapping[str, str | int]) -> None:
        self._target = target
        self._settings = dict(settings)
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._closed = False
        # Holds the in-memory engine open while failed connections come and go; cancels queries.
        self._anchor = _start_embedded() if isinstance(target, Embedded) else None

    @classmethod
    def open(
        cls,
        dsn: str,
        *,
        password: str | None = None,
        max_memory_bytes: int | None = None,
        max_execution_s: float | None = None,
    ) -> Client:
        """Connect to `chdb://memory` or `clickhouse://[user@]host[:port][/database][?secure=1]`.

        Args:
            dsn: See `parse_dsn`.
            password: Used when the DSN holds none; the caller reads POSTHOG_EVENTS_PASSWORD.
            max_memory_bytes: Limit of each query; MemoryExceeded beyond.
            max_execution_s: Limit of each query; QueryTimeout beyond.

        Raises:
            ConfigError: The DSN cannot be used.
            MissingExtra: The `local` extra is not installed.
            EngineError: The server cannot be reached or refuses the user.
        """
        target = parse_dsn(dsn, password=password)
        settings: dict[str, str | int] = {"session_timezone": "UTC"}
        if isinstance(target, Embedded):
            # The bytes never leave the process; compressing them costs more than it saves.
            settings["output_format_arrow_compression_method"] = "none"
        if max_memory_bytes is not None:
            settings["max_memory_usage"] = max_memory_bytes
        if max_execution_s is not None:
            settings |= {"max_execution_time": str(max_execution_s), "timeout_overflow_mode": "throw"}
        client = cls(target, settings)
        with client._connection():
            pass
        return client

    @property
    def dsn(self) -> str:
        """The DSN without the password."""
        return str(self._target)

    def __repr__(self) -> str:
        return f"Client({self.dsn!r})"

    def query(self, sql: str, *, settings: Mapping[str, str | int] | None = None) -> tuple[Types, pl.DataFrame]:
        """Run one SELECT and return its ClickHouse types and its frame.

        Args:
            sql: One statement without FORMAT.
            settings: ClickHouse settings of this query.

        Raises:
            UnknownColumnType: A column has no exact dtype; raised before the query runs.
            QueryTimeout, MemoryExceeded, QueryCancelled, EngineError: ClickHouse's answer.
        """
        from posthog_events.frames.decode import check_types, frame_from_arrow

        types = self.describe(sql, settings=settings)
        check_types(types)
        raw: bytes = self._run(
            sql,
            lambda conn, marker: conn.raw_query(
                f"{sql}\nFORMAT ArrowStream\n{_settings_clause({**(settings or {}), 'log_comment': marker})}"
            ),
        )
        return types, frame_from_arrow(raw, types)

    def describe(self, sql: str, *, settings: Mapping[str, str | int] | None = None) -> Types:
        """Return the columns of a SELECT without running it.

        Scalar subqueries in it do run: ClickHouse needs their values to analyse the rest.
        """
        raw: bytes = self._run(
            sql,
            lambda conn, marker: conn.raw_query(
                f"DESCRIBE (\n{sql}\n)\nFORMAT JSONCompactEachRow\n"
                + _settings_clause({"print_pretty_type_names": 0, **(settings or {}), "log_comment": marker})
            ),
        )
        return tuple((name, kind) for name, kind, *_ in map(json.loads, raw.splitlines()))

    def command(self, sql: str, *, settings: Mapping[str, str | int] | None = None) -> None:
        """Run one statement that returns nothing, such as CREATE TABLE."""
        self._run(sql, lambda conn, marker: conn.command(sql, settings={**(settings or {}), "log_comment": marker}))

    def insert_parquet(self, table: str, source: Path | bytes) -> None:
        """Append Parquet data to `table`, matching columns by name. A file is streamed, not loaded."""

        def insert(conn: Any, marker: str) -> None:
            # A stream, never bytes: the library sends bytes again when the connection breaks, which could insert twice.
            with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as block:
                conn.raw_insert(identifier(table), insert_block=block, fmt="Parquet", settings={"log_comment": marker})

        self._run("", insert)

    def close(self) -> None:
        """Close the connections. The in-memory tables go with the last embedded client of the process."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        if os.getpid() != self._pid:
            return
        for conn in idle:
            conn.close()
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, sql: str, action: Callable[[Any, str], T]) -> T:
        """Carry out `action(connection, marker)` in a thread, so that Ctrl-C reaches us while it runs."""
        if not _MORE_STATEMENTS.isdisjoint(_OPAQUE.sub(" ", sql)):
            raise EngineError("only one statement can be run at a time; found a semicolon or a here-document")
        self._check_usable()
        marker = f"posthog-events {uuid.uuid4()}"

        def work() -> T:
            with self._connection() as conn:
                return action(conn, marker)

        def kill(running: Future[Any]) -> None:
            threading.Thread(target=self._kill, args=(marker, running), daemon=True).start()
            wait([running], timeout=KILL_WAIT_S)

        return interruptible(work, name=marker, cancel=kill)

    def _kill(self, marker: str, running: Future[Any]) -> None:
        """Stop the marked query; again and again, because it may not have reached the server yet."""
        sql = f"KILL QUERY WHERE Settings['log_comment'] = {string(marker)} ASYNC"
        while not running.done():
            with suppress(Exception):
                if self._anchor is not None:
                    self._anchor.query(sql)
                else:
                    with closing(self._connect()) as conn:
                        conn.command(sql)
            wait([running], timeout=SIGNAL_CHECK_S)

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """Lend a connection; it comes back only if nothing failed."""
        with self._lock:
            conn = self._idle.pop() if self._idle else None
        try:
            if conn is None:
                conn = self._connect()
            yield conn
        except BaseException as exc:
            if conn is not None:
                conn.close()
            if isinstance(exc, Exception) and not isinstance(exc, PostHogEventsError):
                raise translate(exc, self._target) from exc
            raise
        with self._lock:
            if not self._closed:
                self._idle.append(conn)
                return
        conn.close()

    def _connect(self) -> Any:
        library = _library(self._target)
        if isinstance(self._target, Embedded):
            return library.get_client(interface="chdb", settings=self._settings)
        return library.get_client(
            interface="https" if self._target.secure else "http",
            host=self._target.host,
            port=self._target.port,
            username=self._target.user,
            password=self._target.password or "",
            database=self._target.database,
            settings=self._settings,
            connect_timeout=CONNECT_TIMEOUT_S,
            show_clickhouse_errors="scrub",
            # Sessions would forbid two queries at once; our settings travel with each query.
            autogenerate_session_id=False,
            query_retries=0,
            dedicated_pool=True,
        )

    def _check_usable(self) -> None:
        if self._closed:
            raise EngineError("this connection is closed; open a new one")
        if os.getpid() != self._pid:
            raise EngineError(_FORKED)


_FORKED = (
    "this process was forked from one that uses ClickHouse, which does not work: "
    "start it with multiprocessing's 'spawn' method and connect inside it"
)


def _settings_clause(settings: Mapping[str, str | int]) -> str:
    return "SETTINGS " + ", ".join(f"{identifier(name)} = {string(str(value))}" for name, value in settings.items())


def _library(target: Embedded | Server) -> Any:
    try:
        import clickhouse_connect
    except ImportError as exc:
        feature = "The local engine" if isinstance(target, Embedded) else "A ClickHouse connection"
        raise MissingExtra(feature, "local") from exc
    return clickhouse_connect


def _start_embedded() -> Any:
    """Return a handle of the process's in-memory chdb, starting it if need be."""
    global _embedded_pid
    try:
        import chdb
    except ImportError as exc:
        raise MissingExtra("The local engine", "local") from exc
    if _embedded_pid not in (None, os.getpid()):
        raise EngineError(_FORKED)
    try:
        handle = chdb.connect(":memory:")
    except RuntimeError as exc:
        raise translate(exc, Embedded()) from exc
    _embedded_pid = os.getpid()
    return handle
