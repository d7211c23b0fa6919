"""What PostHog answers when a query fails.

Source: reference 2.7, from posthog/errors.py, posthog/exceptions.py and posthog/hogql/errors.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from posthog_events.emulator.endpoint import Refusal
from posthog_events.errors import (
    EngineError,
    HogQLError,
    HogQLSyntaxError,
    MemoryExceeded,
    PostHogEventsError,
    QueryCancelled,
    QueryTimeout,
)

__all__ = ["AT_CAPACITY", "CLUSTER_MEMORY", "MEMORY", "TIMEOUT", "TOO_SLOW", "exposed", "refusal_of", "server_error"]

TIMEOUT = (
    "Query has hit the max execution time before completing. See our docs for how to improve your query performance. "
    "You may need to materialize."
)
TOO_SLOW = (
    "Estimated query execution time (37.2 seconds) is too long. Try reducing its scope by changing the time range."
)
MEMORY = "This query ran out of memory. Try reducing its scope by changing the time range."
CLUSTER_MEMORY = "We're under heavy load right now. Try again in a few minutes."
AT_CAPACITY = "Queries are a little too busy right now. We're working to free up resources. Please try again later."
OTHER = "ClickHouse error while executing query."

_EXPOSED = frozenset(
    """
    AMBIGUOUS_COLUMN_NAME AMBIGUOUS_IDENTIFIER ARGUMENT_OUT_OF_BOUND BAD_ARGUMENTS CANNOT_COMPILE_REGEXP
    CANNOT_CONVERT_TYPE CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN CANNOT_PARSE_BOOL CANNOT_PARSE_DATE
    CANNOT_PARSE_DATETIME CANNOT_PARSE_NUMBER CANNOT_PARSE_TEXT CANNOT_PARSE_UUID CANNOT_READ_ARRAY_FROM_TEXT
    CYCLIC_ALIASES DECIMAL_OVERFLOW EMPTY_QUERY FUNCTION_THROW_IF_VALUE_IS_NON_ZERO ILLEGAL_AGGREGATION ILLEGAL_COLUMN
    ILLEGAL_DIVISION ILLEGAL_SYNTAX_FOR_DATA_TYPE ILLEGAL_TYPE_OF_ARGUMENT ILLEGAL_TYPE_OF_COLUMN_FOR_FILTER
    INCOMPATIBLE_COLUMNS INCOMPATIBLE_TYPE_OF_JOIN INCORRECT_QUERY INCORRECT_RESULT_OF_SCALAR_SUBQUERY
    INDEX_OF_POSITIONAL_ARGUMENT_IS_OUT_OF_RANGE INVALID_JOIN_ON_EXPRESSION INVALID_LIMIT_EXPRESSION NOT_AN_AGGREGATE
    NO_COMMON_TYPE NUMBER_OF_ARGUMENTS_DOESNT_MATCH SIZES_OF_ARRAYS_DONT_MATCH TOO_FEW_ARGUMENTS_FOR_FUNCTION
    TOO_LARGE_ARRAY_SIZE TOO_MANY_ARGUMENTS_FOR_FUNCTION TOO_MANY_BYTES TYPE_MISMATCH
    UNION_ALL_RESULT_STRUCTURES_MISMATCH UNKNOWN_AGGREGATE_FUNCTION UNKNOWN_FUNCTION UNKNOWN_TABLE UNKNOWN_TYPE
    UNSUPPORTED_JOIN_KEYS VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE WITH_TIES_WITHOUT_ORDER_BY ZERO_ARRAY_OR_TUPLE_INDEX
    """.split()  # noqa: SIM905  # a table reads better than a list of 50 lines
)
"""ClickHouse errors that are the query's fault, and shown; every other one becomes a plain 500."""

_LABEL = re.compile(r"^ClickHouse error \d+(?: \(\w+\))?: ")
_UNRESOLVED = re.compile(r"^Unresolved placeholder: (\{.*?\})")


def server_error(status: int, detail: str, *, code: str = "error") -> Refusal:
    """Return an answer of the 5xx family."""
    return Refusal(status, "server_error", code, detail)


def exposed(error: PostHogEventsError) -> bool:
    """Whether PostHog tells the user what was wrong; an asynchronous query that failed otherwise has no message."""
    return isinstance(error, HogQLError) or (isinstance(error, EngineError) and error.code_name in _EXPOSED)


def refusal_of(error: PostHogEventsError, *, values: Mapping[str, Any] | None = None) -> Refusal:
    """Return the answer for an exception of our engine.

    Args:
        values: The query's values, which PostHog lists when a placeholder has none.
    """
    if isinstance(error, HogQLError):
        return _hogql(error, values or {})
    if isinstance(error, QueryTimeout):
        return server_error(504, TIMEOUT)
    if isinstance(error, MemoryExceeded):
        return server_error(513, MEMORY, code="clickhouse_memory_limit_exceeded")
    if isinstance(error, EngineError) and error.code_name in _EXPOSED:
        return _invalid(error.code_name.lower(), _LABEL.sub("", str(error)))
    if isinstance(error, EngineError | QueryCancelled):
        return server_error(500, OTHER)
    # the types that have no frame have no JSON either: 256-bit integers, states of aggregates
    return server_error(500, "A server error occurred.")


def _hogql(error: HogQLError, values: Mapping[str, Any]) -> Refusal:
    code = "hogql_syntax_error" if isinstance(error, HogQLSyntaxError) else "hogql_query_error"
    detail = error.message
    if found := _UNRESOLVED.match(detail):
        detail = f"Unresolved placeholder: {found[1]}"
        if values:
            known = ", ".join(values)
            detail = f"Placeholder {found[1]} is not available in this context. You can use the following: {known}"
    if error.start is None:
        return _invalid(code, detail)
    place = {"start": error.start, "end": error.end, "message": detail}
    return _invalid(code, detail, extra={"hogql_metadata": {"errors": [place]}})


def _invalid(code: str | None, detail: str, *, extra: Mapping[str, Any] | None = None) -> Refusal:
    return Refusal(400, "validation_error", code or "invalid", detail, extra=extra)
