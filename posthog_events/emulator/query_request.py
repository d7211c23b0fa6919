"""The body of `POST /query/`, checked as PostHog's schema checks it: an unknown key is refused.

Source: reference 2.1, from posthog/schema.py (`QueryRequest`, `HogQLQuery`, `HogQLQueryModifiers`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from posthog_events.emulator.endpoint import Refusal
from posthog_events.result import Query

__all__ = ["QueryRequest", "parse_request"]

KIND = "HogQLQuery"

_REQUEST_KEYS = frozenset(
    """
    async client_query_id filters_override limit_context name personal_api_key query refresh variables_override
    """.split()  # noqa: SIM905  # reads better than a line for each
)
_QUERY_KEYS = frozenset(
    """
    connectionId explain filters kind modifiers name query response sendRawQuery tags values variables version
    """.split()  # noqa: SIM905  # reads better than a line for each
)
_MODIFIERS = frozenset(
    """
    bounceRateDurationSeconds bounceRatePageViewMode convertToProjectTimezone customChannelTypeRules
    dataWarehouseEventsModifiers debug forceClickhouseDataSkippingIndexes formatCsvAllowDoubleQuotes inCohortVia
    materializationMode optimizeJoinedFilters optimizeProjections personsArgMaxVersion personsJoinMode
    personsOnEventsMode propertyGroupsMode s3TableUseInvalidColumns sessionTableVersion sessionsV2JoinMode timings
    useMaterializedViews usePreaggregatedTableTransforms usePresortedEventsTable useWebAnalyticsPreAggregatedTables
    """.split()  # noqa: SIM905  # reads better than a line for each
)


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """A query and how it is to be answered.

    Args:
        refresh: A mode of reference 2.2; what is not one of them counts as `blocking`.
        client_query_id: None when the server is to choose one.
    """

    query: Query
    modifiers: Mapping[str, Any] = field(default_factory=dict)
    refresh: str = "blocking"
    client_query_id: str | None = None

    @property
    def in_project_zone(self) -> bool:
        """Whether datetimes are shown in the project's zone; UTC otherwise."""
        return self.modifiers.get("convertToProjectTimezone") is not False

    @property
    def debug(self) -> bool:
        """Whether errors hide in a 200."""
        return self.modifiers.get("debug") is True

    @property
    def cache_text(self) -> bytes:
        """What makes two requests the same to the cache: the query and its modifiers, not its name."""
        query = self.query
        parts = [query.hogql, dict(query.values), query.filters, dict(query.variables), dict(self.modifiers)]
        return msgspec.json.encode(parts, order="sorted")


def parse_request(body: Any, *, path_kind: str | None = None) -> QueryRequest:
    """Read the body of a query request.

    Args:
        path_kind: The kind in the path, where it has one.

    Raises:
        Refusal: 400; the body does not fit the schema, or holds a kind that this emulator cannot run.
    """
    request = _object(body, "QueryRequest", _REQUEST_KEYS, required=("query",))
    query = request["query"]
    kind = query.get("kind") if isinstance(query, Mapping) else None
    if path_kind is not None and path_kind != kind:
        detail = f"Query kind mismatch: path has '{path_kind}' but body has '{kind}'"
        raise Refusal(400, "validation_error", "invalid", detail)
    if isinstance(kind, str) and kind != KIND:
        detail = f"The emulator runs {KIND} only, not {kind}."
        raise Refusal(400, "validation_error", "unsupported_by_emulator", detail)
    fields = _object(query, f"query.{KIND}", _QUERY_KEYS, required=("kind", "query"))
    if not isinstance(fields["query"], str):
        raise _schema_error("query.HogQLQuery.query", "Input should be a valid string")
    modifiers = _object(fields.get("modifiers") or {}, "modifiers", _MODIFIERS)
    client_query_id = request.get("client_query_id")
    if client_query_id is not None and not isinstance(client_query_id, str):
        raise _schema_error("client_query_id", "Input should be a valid string")
    return QueryRequest(
        query=Query(
            fields["query"],
            values=_any_object(fields.get("values"), "values"),
            filters=_filters(fields.get("filters"), request.get("filters_override")),
            variables=_variables(fields.get("variables"), request.get("variables_override")),
            name=str(request.get("name") or fields.get("name") or "<inline>"),
        ),
        modifiers=modifiers,
        refresh=_refresh(request),
        client_query_id=client_query_id,
    )


_REFRESH = frozenset({"force_blocking", "async", "force_async", "lazy_async", "async_except_on_cache_miss", "blocking"})


def _refresh(request: Mapping[str, Any]) -> str:
    if request.get("async") is True:
        return "async"
    asked = request.get("refresh")
    # `force_cache` among them: this endpoint computes what the cache has not
    return asked if isinstance(asked, str) and asked in _REFRESH else "blocking"


def _filters(filters: Any, override: Any) -> Mapping[str, Any] | None:
    """Merge a dashboard's filters into the query's; `{filters}` in the text still decides whether they apply."""
    merged = dict(_any_object(filters, "filters"))
    dashboard = _any_object(override, "filters_override")
    if dates := {key: dashboard[key] for key in ("date_from", "date_to", "explicitDate") if dashboard.get(key)}:
        merged["dateRange"] = {**(merged.get("dateRange") or {}), **dates}
    if dashboard.get("properties"):
        merged["properties"] = [*(merged.get("properties") or ()), *dashboard["properties"]]
    return merged or None


def _variables(variables: Any, override: Any) -> dict[str, Any]:
    """Return code name to value; an override replaces a variable of the same id."""
    found = {**_any_object(variables, "variables"), **_any_object(override, "variables_override")}
    values: dict[str, Any] = {}
    for name, variable in found.items():
        if not isinstance(variable, Mapping) or not isinstance(variable.get("code_name"), str):
            raise _schema_error(f"variables.{name}.code_name", "Field required")
        values[variable["code_name"]] = None if variable.get("isNull") else variable.get("value")
    return values


def _any_object(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _schema_error(where, "Input should be a valid dictionary")
    return value


def _object(value: Any, where: str, keys: Collection[str], *, required: Collection[str] = ()) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _schema_error(where, "Input should be a valid dictionary or object to extract fields from")
    for key in required:
        if key not in value:
            raise _schema_error(f"{where}.{key}", "Field required")
    for key in value:
        if key not in keys:
            raise _schema_error(f"{where}.{key}", "Extra inputs are not permitted")
    return value


def _schema_error(where: str, problem: str) -> Refusal:
    detail = f"JSON parse error - 1 validation error for QueryRequest\n{where}\n  {problem}"
    return Refusal(400, "invalid_request", "parse_error", detail)
