"""Query PostHog events with HogQL, on PostHog, here or on a server, into typed polars frames.

Importing this package reads no environment, opens no file and loads no heavy library: names are found when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from posthog_events.version import __version__ as __version__

if TYPE_CHECKING:
    from posthog_events.clickhouse.catalog import PersonMode, PropertyKind
    from posthog_events.clickhouse.store import ColumnMapping, EventStore, ImportReport
    from posthog_events.connection import Connection, connect
    from posthog_events.destinations import Destination, Discord, SecretRef, Slack, Teams, Webhook, read_declarations
    from posthog_events.destinations.apply import ApplyReport
    from posthog_events.destinations.manager import Destinations, Ensured
    from posthog_events.destinations.plan import Plan
    from posthog_events.destinations.simulate import Simulation, Simulations
    from posthog_events.errors import (
        ApiError,
        AuthenticationFailed,
        BadAnswer,
        BudgetExceeded,
        ConfigError,
        ConnectionFailed,
        DeclarationError,
        DeliveryRejected,
        EngineError,
        ExportFailed,
        Fault,
        HogError,
        HogQLError,
        HogQLSyntaxError,
        ImportFailed,
        InboxCorrupt,
        InboxError,
        InboxFull,
        IncompleteExtraction,
        MemoryExceeded,
        MissingExtra,
        MissingScope,
        NoProjectAccess,
        NotAuthorised,
        NotFound,
        ParameterError,
        PostHogEventsError,
        QueryCancelled,
        QueryError,
        QueryFileError,
        QueryTimeout,
        QuotaExceeded,
        RateLimited,
        ServerFailed,
        StalePlan,
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
    from posthog_events.posthog.observer import Observer
    from posthog_events.posthog.project import Project
    from posthog_events.queryfiles import QueryFile, Step
    from posthog_events.result import Engine, Query, QueryResult

__all__ = [
    "POSTHOG_ROWS",
    "UNLIMITED_ROWS",
    "ApiError",
    "ApplyReport",
    "AuthenticationFailed",
    "BadAnswer",
    "BudgetExceeded",
    "ColumnMapping",
    "ConfigError",
    "Connection",
    "ConnectionFailed",
    "DeclarationError",
    "DeliveryRejected",
    "Destination",
    "Destinations",
    "Discord",
    "Engine",
    "EngineError",
    "Ensured",
    "EventStore",
    "ExportFailed",
    "Fault",
    "HogError",
    "HogQLError",
    "HogQLSyntaxError",
    "ImportFailed",
    "ImportReport",
    "InboxCorrupt",
    "InboxError",
    "InboxFull",
    "IncompleteExtraction",
    "MemoryExceeded",
    "MissingExtra",
    "MissingScope",
    "NoProjectAccess",
    "NotAuthorised",
    "NotFound",
    "Observer",
    "ParameterError",
    "PersonMode",
    "Plan",
    "PostHogEventsError",
    "Project",
    "PropertyKind",
    "Query",
    "QueryCancelled",
    "QueryError",
    "QueryFile",
    "QueryFileError",
    "QueryResult",
    "QueryTimeout",
    "QuotaExceeded",
    "RateLimited",
    "RowLimits",
    "SecretRef",
    "ServerFailed",
    "Simulation",
    "Simulations",
    "Slack",
    "StalePlan",
    "Step",
    "StoreError",
    "StoreLocked",
    "StoreNotFound",
    "Teams",
    "TruncatedResult",
    "UnexpectedColumns",
    "UnknownColumnType",
    "UnresolvedName",
    "UnsupportedHogQL",
    "Webhook",
    "connect",
    "read_declarations",
]

_HOMES = {
    "clickhouse.catalog": ("PersonMode", "PropertyKind"),
    "clickhouse.store": ("ColumnMapping", "EventStore", "ImportReport"),
    "connection": ("Connection", "connect"),
    "destinations": (
        "Destination",
        "Discord",
        "SecretRef",
        "Slack",
        "Teams",
        "Webhook",
        "read_declarations",
    ),
    "destinations.manager": (
        "Destinations",
        "Ensured",
    ),
    "destinations.plan": ("Plan",),
    "destinations.apply": ("ApplyReport",),
    "destinations.simulate": (
        "Simulation",
        "Simulations",
    ),
    "limits": ("POSTHOG_ROWS", "UNLIMITED_ROWS", "RowLimits"),
    "posthog.observer": ("Observer",),
    "posthog.project": ("Project",),
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
