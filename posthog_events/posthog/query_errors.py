"""PostHog's refusals of a query, as the same exceptions that the local engine raises.

Source: reference 2.7, from posthog/errors.py and posthog/hogql/errors.py. Programs branch on status and code; the
sentence is for people and changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from posthog_events.errors import (
    ApiError,
    EngineError,
    HogQLError,
    HogQLSyntaxError,
    PostHogEventsError,
    UnresolvedName,
)
from posthog_events.posthog.statement import Statement
from posthog_events.result import Query

__all__ = ["query_error"]

HOGQL_CODES: Mapping[str, type[HogQLError]] = {
    "hogql_syntax_error": HogQLSyntaxError,
    "hogql_query_error": HogQLError,
    "table_access_denied": UnresolvedName,
}

_UNRESOLVED = re.compile(
    r"unable to resolve|unresolved placeholder|unknown (?:table|function|field)|placeholder .* is not available", re.I
)

_NOT_CLICKHOUSE = frozenset({"invalid", "invalid_input", "parse_error", "required", "error"})
"""Codes of 400s that are about the request and not about ClickHouse."""


def query_error(error: ApiError, query: Query, statement: Statement) -> PostHogEventsError:
    """Return the exception that says what is wrong with the query, or `error` itself when the query is not at fault."""
    if error.status != 400:
        return error
    if error.code in HOGQL_CODES:
        kind = HOGQL_CODES[error.code]
        if kind is HogQLError and _UNRESOLVED.search(error.detail):
            kind = UnresolvedName
        start, end = _position(error.extra, query, statement)
        name = str(query.path or query.name)
        return kind(error.detail, text=query.hogql, start=start, end=end, name=name, first_line=query.first_line)
    if not error.code or error.code not in _NOT_CLICKHOUSE:
        # a queued query that failed has a sentence and no code
        return EngineError(f"{query.name}: {_without_sql(error.detail)}", code_name=error.code.upper() or None)
    return error


def _position(extra: Mapping[str, Any], query: Query, statement: Statement) -> tuple[int | None, int | None]:
    """Return the place in the query's own text that PostHog points at."""
    match extra:
        case {"hogql_metadata": {"errors": [{"start": int(start), "end": int(end)}, *_]}}:
            first, last = statement.original(start), statement.original(end)
            if 0 <= first < len(query.hogql):
                return first, max(first + 1, min(last, len(query.hogql)))
    return None, None


def _without_sql(detail: str) -> str:
    """Leave out the generated SQL, which can be pages long and names the team's id."""
    return re.sub(r"[:.,]?\s*[Ii]n scope SELECT\b.*?(?=\.?\s*Maybe you meant|$)", "", detail, flags=re.DOTALL).strip()[
        :500
    ]
