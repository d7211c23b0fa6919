"""Limits and defaults of PostHog's API, each with its unit, source and date.

PostHog changes them, and some projects have others: what answers say comes first, then what the user set, then these.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BUDGET_LOCKOUT_S",
    "BUDGET_REFILL_BYTES_PER_HOUR",
    "CLICKHOUSE_RATE",
    "CRUD_RATE",
    "LEGACY_QUERY_RATE",
    "MAX_ROWS",
    "NO_LIMIT_ROWS",
    "POSTHOG_ROWS",
    "QUERY_EXECUTION_S",
    "QUERY_QUEUE_S",
    "QUERY_RATE",
    "QUERY_SLOTS",
    "UNLIMITED_ROWS",
    "VALUES_RATE",
    "Rate",
    "RowLimits",
]

NO_LIMIT_ROWS = 100
"""Rows returned for a query without LIMIT. Source: PostHog/posthog:posthog/hogql/constants.py (2026-08)."""

MAX_ROWS = 50_000
"""A larger LIMIT is clamped to this, without a word. Source: as above."""


@dataclass(frozen=True, slots=True)
class RowLimits:
    """How many rows a top-level SELECT may return.

    Args:
        default: Rows for a SELECT without LIMIT; None returns all.
        maximum: Cap on an explicit LIMIT; None leaves it alone.
    """

    default: int | None
    maximum: int | None


POSTHOG_ROWS = RowLimits(default=NO_LIMIT_ROWS, maximum=MAX_ROWS)
UNLIMITED_ROWS = RowLimits(default=None, maximum=None)


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests PostHog takes, counted over sliding windows of a minute and of an hour."""

    per_minute: int
    per_hour: int


QUERY_RATE = Rate(per_minute=240, per_hour=2_400)
"""/query/, polls and cancels included. Source: PostHog/posthog:posthog/rate_limit.py, APIQueriesBurst and
APIQueriesSustained (2026-08)."""

LEGACY_QUERY_RATE = Rate(per_minute=120, per_hour=120)
"""HogQL queries of a project that was not moved to the rate above. It has no limit per minute, which is to say that of
the hour. Source: as above, HogQLQueryThrottle (2026-08)."""

CLICKHOUSE_RATE = Rate(per_minute=240, per_hour=1_200)
"""/events/ and /persons/. Source: as above, ClickHouseBurst and ClickHouseSustained (2026-08)."""

VALUES_RATE = Rate(per_minute=60, per_hour=300)
"""/events/values/. Source: as above, EventValuesBurst and EventValuesSustained (2026-08)."""

CRUD_RATE = Rate(per_minute=480, per_hour=4_800)
"""Every other private endpoint. Source: as above, Burst and Sustained (2026-08)."""

QUERY_SLOTS = 3
"""Queries of one project that run at a time; an organisation can buy more.
Source: PostHog/posthog:posthog/clickhouse/client/limit.py (2026-08)."""

QUERY_QUEUE_S = 30.0
"""Seconds that one more query waits for a slot, within its request, before it is refused. Source: as above."""

QUERY_EXECUTION_S = 10.0
"""Seconds that a query of a personal API key may run; 60 on projects with the legacy rate.
Source: PostHog's documentation of the query API, and `max_execution_time` in its code (2026-08)."""

BUDGET_REFILL_BYTES_PER_HOUR = 20_000_000_000
"""Bytes that queries may read in the long run, on a free plan; ten times that on a paid one. The bucket holds 24 hours
of it. Source: the defaults of `API_QUERIES_BUDGET_*` in PostHog/posthog:posthog/settings/web.py (2026-10)."""

BUDGET_LOCKOUT_S = 3_600.0
"""Seconds after which a spent budget is positive again at the latest: PostHog lets the debt grow to one hour of refill.
Source: PostHog/posthog:posthog/api_queries_budget.py (2026-10)."""
