"""Query PostHog events with HogQL, here or on a server, into typed polars frames.

Importing this package reads no environment, opens no file and loads no heavy library: names are found when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posthog_events.clickhouse.catalog import PersonMode, PropertyKind
    from posthog_events.clickhouse.store import ColumnMapping, EventStore, ImportReport
    from posthog_events.connection import Connection, connect
    from posthog_events.errors import (
        ConfigError,
        EngineError,
        Fault,
        HogQLError,
        HogQLSyntaxError,
        ImportFailed,
        MemoryExceeded,
        MissingExtra,
        ParameterError,
        PostHogEventsError,
        QueryCancelled,
        QueryError,
        QueryFileError,
        QueryTimeout,
        StoreError,
        StoreLocked,
        StoreNotFound,
        TruncatedResult,
        UnexpectedColumns,
        UnknownColumnType,
        UnresolvedName,
        UnsupportedHogQL,
    )
    from posthog_events.limits import POSTHOG_ROWS, UNLIMITED_ROWS, RowLimits
    from posthog_events.queryfiles import QueryFile, Step
    from posthog_events.result import Engine, Query, QueryResult

__version__ = "0.1.0"

__all__ = [
    "POSTHOG_ROWS",
    "UNLIMITED_ROWS",
    "ColumnMapping",
    "ConfigError",
    "Connection",
    "Engine",
    "EngineError",
    "EventStore",
    "Fault",
    "HogQLError",
    "HogQLSyntaxError",
    "ImportFailed",
    "ImportReport",
    "MemoryExceeded",
    "MissingExtra",
    "ParameterError",
    "PersonMode",
    "PostHogEventsError",
    "PropertyKind",
    "Query",
    "QueryCancelled",
    "QueryError",
    "QueryFile",
    "QueryFileError",
    "QueryResult",
    "QueryTimeout",
    "RowLimits",
    "Step",
    "StoreError",
    "StoreLocked",
    "StoreNotFound",
    "TruncatedResult",
    "UnexpectedColumns",
    "UnknownColumnType",
    "UnresolvedName",
    "UnsupportedHogQL",
    "connect",
]

_HOMES = {
    "clickhouse.catalog": ("PersonMode", "PropertyKind"),
    "clickhouse.store": ("ColumnMapping", "EventStore", "ImportReport"),
    "connection": ("Connection", "connect"),
    "limits": ("POSTHOG_ROWS", "UNLIMITED_ROWS", "RowLimits"),
    "queryfiles": ("QueryFile", "Step"),
    "result": ("Engine", "Query", "QueryResult"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # everything else that is public is an error
    value = getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
