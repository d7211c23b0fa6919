"""The documents of PostHog's query API, as far as they are used. Unknown keys are ignored: they vary between versions.

Rows stay JSON here: they are decoded by their types, which come after them. One pass over the body finds everything.

Source: reference 2.3 and 2.6, from posthog/schema.py and posthog/clickhouse/client/execute_async.py.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from posthog_events.errors import BadAnswer
from posthog_events.posthog.http import Reply

__all__ = ["Answer", "QueryProgress", "QueryStatus", "StatusBody", "read_answer"]


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """A finished query.

    Args:
        results: One JSON array per row.
        has_more: Only for a text without LIMIT; None otherwise, which says nothing.
        error: Set with a status of 200 in debug mode.
    """

    results: list[msgspec.Raw] | None = None
    columns: tuple[str, ...] | None = None
    types: tuple[tuple[str, str], ...] | None = None
    clickhouse: str | None = None
    has_more: bool | None = None
    limit: int | None = None
    error: str | None = None
    is_cached: bool | None = msgspec.field(default=None, name="is_cached")
    last_refresh: datetime | None = msgspec.field(default=None, name="last_refresh")
    query_status: QueryStatus | None = msgspec.field(default=None, name="query_status")


class QueryProgress(msgspec.Struct, frozen=True):
    """How far a running query is; bytes, rows and seconds so far."""

    bytes_read: int = 0
    rows_read: int = 0
    estimated_rows_total: int = 0
    time_elapsed: float = 0.0


class QueryStatus(msgspec.Struct, frozen=True):
    """An asynchronous query; `complete` is also true for one that failed."""

    id: str
    complete: bool = False
    error: bool | None = None
    error_message: str | None = None
    results: Answer | None = None
    query_progress: QueryProgress | None = None


class StatusBody(msgspec.Struct, frozen=True):
    """What the status endpoint and a queued POST return."""

    query_status: QueryStatus


def read_answer(reply: Reply) -> Answer:
    """Return the rows of a finished query, whether they came at once or from its status.

    Raises:
        BadAnswer: It holds no rows.
    """
    answer = reply.decode(Answer)
    status = answer.query_status
    if answer.results is None and status is not None and status.complete and not status.error and status.results:
        answer = status.results
    if answer.error:
        raise BadAnswer(
            f"{reply.source}: PostHog answered with an error inside a successful answer: {answer.error}. "
            "Leave out modifiers that ask for debugging"
        )
    if answer.results is None or answer.types is None or answer.columns is None:
        reason = status.error_message if status is not None and status.error else None
        raise BadAnswer(f"{reply.source}: PostHog's answer holds no rows" + (f": {reason}" if reason else ""))
    named = tuple(name for name, _ in answer.types)
    if answer.columns != named:
        raise BadAnswer(f"{reply.source}: PostHog returned the columns {answer.columns} with types of {named}")
    return answer
