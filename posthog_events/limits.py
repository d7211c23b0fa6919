"""Limits and defaults of PostHog's query API, each with its unit, source and date."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MAX_ROWS", "NO_LIMIT_ROWS", "POSTHOG_ROWS", "UNLIMITED_ROWS", "RowLimits"]

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
