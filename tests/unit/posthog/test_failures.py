"""What refusals mean: every row of the table in reference 2.7, with its sentences."""

from __future__ import annotations

import json
from typing import Any

import pytest

from posthog_events.posthog.failures import Failure, Kind, asked_wait_s, failure_of
from posthog_events.posthog.redact import Redactor

REDACT = Redactor("hunter2hunter2", origin="https://us.posthog.com")

# status, code, detail, headers -> kind, seconds
ROWS: tuple[tuple[int, str, str, dict[str, str], Kind, float | None], ...] = (
    (400, "hogql_syntax_error", "no viable alternative at input 'SELEC'", {}, Kind.REFUSED, None),
    (400, "hogql_query_error", "Unable to resolve field: foo.", {}, Kind.REFUSED, None),
    (400, "illegal_type_of_argument", "Illegal type String of argument", {}, Kind.REFUSED, None),
    (400, "parse_error", "JSON parse error - Extra inputs are not permitted", {}, Kind.REFUSED, None),
    (401, "not_authenticated", "Authentication credentials were not provided.", {}, Kind.NO_KEY, None),
    (401, "authentication_failed", "Personal API key found in request is invalid.", {}, Kind.BAD_KEY, None),
    (402, "api_queries_quota_exceeded", "Quota exceeded.", {}, Kind.QUOTA, None),
    (403, "permission_denied", "API key missing required scope 'query:read'", {}, Kind.SCOPE, None),
    (403, "permission_denied", "You don't have access to the project.", {}, Kind.PROJECT, None),
    (403, "permission_denied", "API key does not have access to the requested project: ID 7.", {}, Kind.PROJECT, None),
    (403, "permission_denied", "HogQL batch exports are not enabled for this team.", {}, Kind.FORBIDDEN, None),
    (404, "not_found", "Project not found.", {}, Kind.NOT_FOUND, None),
    (405, "method_not_allowed", 'Method "PUT" not allowed.', {}, Kind.REFUSED, None),
    (409, "conflict", "Not ready.", {"retry-after": "5"}, Kind.REFUSED, 5.0),
    (
        429,
        "throttled",
        "Request was throttled. Expected available in 37 seconds.",
        {"retry-after": "37"},
        Kind.RATE,
        37.0,
    ),
    (429, "throttled", "Request was throttled. Expected available in 1 second.", {}, Kind.RATE, 1.0),
    (429, "throttled", "Request was throttled.", {}, Kind.RATE, None),
    (
        429,
        "throttled",
        "Exceeded maximum concurrency limit: 3 for key: api:query:per-team:123 and task: 1f.",
        {},
        Kind.CONCURRENCY,
        None,
    ),
    (429, "api_queries_budget_exceeded", "Budget exceeded.", {"retry-after": "3600"}, Kind.BUDGET, 3600.0),
    (500, "error", "Query size exceeded.", {}, Kind.QUERY_SIZE, None),
    (500, "error", "ClickHouse error while executing query.", {}, Kind.SERVER, None),
    (502, "", "", {}, Kind.GATEWAY, None),
    (503, "error", "Queries are a little too busy right now. Try again.", {}, Kind.BUSY, None),
    (503, "database_unavailable", "Database unavailable.", {"retry-after": "1"}, Kind.BUSY, 1.0),
    (504, "error", "Query has hit the max execution time before completing.", {}, Kind.TIMEOUT, None),
    (504, "clickhouse_memory_limit_exceeded", "Query ran out of memory.", {}, Kind.MEMORY, None),
    (512, "error", "Estimated query execution time (99 seconds) is too long.", {}, Kind.TIMEOUT, None),
    (512, "clickhouse_memory_limit_exceeded", "Query ran out of memory.", {}, Kind.MEMORY, None),
    (513, "clickhouse_memory_limit_exceeded", "The query ran out of memory.", {}, Kind.MEMORY, None),
    (
        513,
        "clickhouse_memory_limit_exceeded",
        "We're under heavy load right now. Try again.",
        {},
        Kind.CLUSTER_BUSY,
        None,
    ),
    (520, "", "", {}, Kind.GATEWAY, None),
    (529, "", "", {}, Kind.SERVER, None),
)


@pytest.mark.parametrize(
    ("status", "code", "detail", "headers", "kind", "wait_s"), ROWS, ids=[f"{row[0]}-{row[2][:30]}" for row in ROWS]
)
def test_each_refusal_is_told_from_the_others(
    status: int, code: str, detail: str, headers: dict[str, str], kind: Kind, wait_s: float | None
) -> None:
    """Status, code and, where nothing else differs, the sentence decide."""
    body = json.dumps({"type": "any", "code": code, "detail": detail, "attr": None}).encode()

    failure = failure_of(status, headers, body, redact=REDACT)

    assert Failure(kind, status, code, detail, wait_s=wait_s) == failure


@pytest.mark.parametrize("body", [b"", b"<html>504 Gateway Time-out</html>", b"[]", b"null", b'"x"', b"{", b"\xff\xfe"])
def test_a_504_of_a_gateway_is_told_from_posthogs_own(body: bytes) -> None:
    """Without PostHog's envelope nothing is known about the query."""
    failure = failure_of(504, {}, body, redact=REDACT)

    assert Failure(Kind.GATEWAY_TIMEOUT, 504) == failure


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"detail": "a", "error": "b"}, "a"),
        ({"error": "b"}, "b"),
        ({"message": "c"}, "c"),
        ({"query_status": {"error": True, "error_message": "d"}}, "d"),
        ({"detail": {"field": ["e"]}}, '{"field":["e"]}'),
        ({"detail": None, "code": 7}, ""),
        ({"detail": "sent by phx_Abc123Def hunter2hunter2"}, "sent by phx_… …"),
    ],
)
def test_the_sentence_is_found_where_it_is(body: dict[str, Any], detail: str) -> None:
    """A failed query's status, the capture service and proxies use other names than the API; secrets are masked."""
    assert detail == failure_of(400, {}, json.dumps(body).encode(), redact=REDACT).detail


def test_the_field_and_the_extra_data_are_kept() -> None:
    """Positions of a HogQL error reach the caller, secrets in them do not."""
    extra = {"hogql_metadata": {"errors": [{"start": 7, "end": 10, "message": "hunter2hunter2"}]}}
    body = json.dumps({"code": "x", "detail": "y", "attr": "query", "extra": extra}).encode()

    failure = failure_of(400, {}, body, redact=REDACT)

    assert ("query", 7, "…") == (
        failure.attr,
        failure.extra["hogql_metadata"]["errors"][0]["start"],
        failure.extra["hogql_metadata"]["errors"][0]["message"],
    )


NOON = "Sat, 21 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "detail", "seconds"),
    [
        ({"retry-after": "37"}, "", 37.0),
        ({"retry-after": " 1.5 "}, "", 1.5),
        ({"retry-after": "-5"}, "", 0.0),
        ({"retry-after": "37"}, "Expected available in 99 seconds.", 37.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:01:30 GMT", "date": NOON}, "", 90.0),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT", "date": NOON}, "", 0.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:01:30 GMT"}, "", None),
        ({"retry-after": "Sat, 21 Nov 2026 12:01:30 -0000", "date": NOON}, "", None),
        ({"retry-after": "Sat, 21 Nov 2026 12:01:30 GMT", "date": "now"}, "Expected available in 4 seconds.", 4.0),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "soon"}, "Expected available in 12 seconds.", 12.0),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "inf"}, "", None),
        ({"retry-after": ""}, "", None),
        ({}, "Request was throttled. Expected available in 3600 seconds.", 3600.0),
        ({}, "Request was throttled.", None),
    ],
)
def test_the_wait_is_read_in_every_form(headers: dict[str, str], detail: str, seconds: float | None) -> None:
    """Seconds, a date against the reply's own date, and the sentence; what says nothing is None and never an error."""
    assert seconds == asked_wait_s(headers, detail)
