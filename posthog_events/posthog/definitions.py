"""Event and property definitions: what PostHog has seen in the project, as frames."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import msgspec

from posthog_events.errors import IncompleteExtraction
from posthog_events.posthog.http import Request
from posthog_events.posthog.pages import walk_pages

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import PolarsDataType

    from posthog_events.posthog.http import Api

__all__ = ["event_definitions", "property_definitions"]


class _EventDefinition(msgspec.Struct):
    id: str
    name: str
    description: str | None = None
    tags: list[str] | None = None
    verified: bool | None = None
    hidden: bool | None = None
    last_seen_at: datetime | None = None
    created_at: datetime | None = None


class _PropertyDefinition(msgspec.Struct):
    id: str
    name: str
    property_type: str | None = None
    is_numerical: bool | None = None
    is_seen_on_filtered_events: bool | None = None


D = TypeVar("D", _EventDefinition, _PropertyDefinition)


class _Page(msgspec.Struct, Generic[D]):
    results: list[D]
    next: str | None = None
    count: int | None = None


def event_definitions(api: Api, *, search: str | None = None) -> pl.DataFrame:
    """List event names: id, name, description, tags, verified, hidden, last_seen_at, created_at (UTC).

    Raises:
        IncompleteExtraction: Fewer arrived than PostHog counts.
        ApiError, ConnectionFailed, BadAnswer: As `Api.send` and `walk_pages`.
    """
    import polars as pl

    found = _all(api, "event_definitions/", {"search": search}, _Page[_EventDefinition])
    utc = pl.Datetime("us", "UTC")
    schema: dict[str, PolarsDataType] = {
        "id": pl.String,
        "name": pl.String,
        "description": pl.String,
        "tags": pl.List(pl.String),
        "verified": pl.Boolean,
        "hidden": pl.Boolean,
        "last_seen_at": utc,
        "created_at": utc,
    }
    return _frame(found, schema)


def property_definitions(
    api: Api,
    *,
    type: Literal["event", "person", "group", "session"] = "event",  # noqa: A002 - PostHog's word
    event_names: Sequence[str] | None = None,
    search: str | None = None,
    group_type_index: int | None = None,
    is_numerical: bool | None = None,
    exclude_hidden: bool | None = None,
) -> pl.DataFrame:
    """List properties: id, name, property_type, is_numerical, is_seen_on_filtered_events.

    Args:
        event_names: Only properties seen on these events.
        group_type_index: Which group type; needed with `type="group"`.

    Raises:
        IncompleteExtraction: Fewer arrived than PostHog counts.
        ApiError, ConnectionFailed, BadAnswer: As `Api.send` and `walk_pages`.
    """
    import polars as pl

    params = {
        "type": type,
        "event_names": None if event_names is None else json.dumps(list(event_names)),
        # without this, event_names only fills is_seen_on_filtered_events
        "filter_by_event_names": None if event_names is None else "true",
        "search": search,
        "group_type_index": None if group_type_index is None else str(group_type_index),
        "is_numerical": _flag(is_numerical),
        "exclude_hidden": _flag(exclude_hidden),
    }
    found = _all(api, "property_definitions/", params, _Page[_PropertyDefinition])
    schema = {
        "id": pl.String,
        "name": pl.String,
        "property_type": pl.String,
        "is_numerical": pl.Boolean,
        "is_seen_on_filtered_events": pl.Boolean,
    }
    return _frame(found, schema)


def _flag(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def _all(api: Api, path: str, params: Mapping[str, str | None], page_type: type[_Page[D]]) -> list[D]:
    first = Request("GET", path, {name: value for name, value in params.items() if value is not None})
    found: dict[str, D] = {}
    count = None
    for page in walk_pages(api, first, page_type):
        found.update((item.id, item) for item in page.results)
        count = page.count
    if count is not None and len(found) < count:
        raise IncompleteExtraction(
            f"{path}: {len(found):,} definitions arrived where PostHog counts {count:,}; they change while they are "
            "read, so try again"
        )
    return list(found.values())


def _frame(found: Sequence[msgspec.Struct], schema: Mapping[str, PolarsDataType]) -> pl.DataFrame:
    import polars as pl

    rows = [
        [value.astimezone(UTC) if isinstance(value, datetime) else value for value in msgspec.structs.astuple(item)]
        for item in found
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")
