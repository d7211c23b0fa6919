"""The names that users may rely on."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import posthog_events
from posthog_events import errors

# Change this list when the public API changes, and say so in the README's Changes.
PUBLIC = {
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
    "POSTHOG_ROWS",
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
    "UNLIMITED_ROWS",
    "UnexpectedColumns",
    "UnknownColumnType",
    "UnresolvedName",
    "UnsupportedHogQL",
    "Webhook",
    "connect",
    "read_declarations",
}
SOURCE = ast.parse(Path(posthog_events.__file__).read_text(encoding="utf-8"))


def test_public_names_are_these() -> None:
    """Nothing joins or leaves the public API by accident."""
    assert set(posthog_events.__all__) == PUBLIC
    assert len(posthog_events.__all__) == len(PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_name_is_found_and_listed(name: str) -> None:
    """A lazy name resolves to the thing of that name, with documentation, and completion offers it."""
    thing = getattr(posthog_events, name)

    assert name in dir(posthog_events)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert (name, True) == (thing.__name__, bool(inspect.getdoc(thing)))


def test_type_checkers_see_the_same_names() -> None:
    """What is imported for type checkers is what is found at run time."""
    (block,) = [node for node in SOURCE.body if isinstance(node, ast.If)]
    names = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}

    assert names == PUBLIC


def test_every_error_is_public() -> None:
    """Whatever the package raises on purpose can be caught by its public name."""
    assert set(errors.__all__) <= PUBLIC


def test_unknown_name_is_an_attribute_error() -> None:
    """A lazy module answers like any other."""
    with pytest.raises(AttributeError, match="has no attribute 'connnect'"):
        posthog_events.connnect  # type: ignore[attr-defined]  # noqa: B018
