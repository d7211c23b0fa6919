"""The bytes-read budget of a project. Source: reference 4, from posthog/api_queries_budget.py.

A bucket of bytes that refills all the time. A query is admitted while anything is left, and pays after it ran; the one
that empties the bucket still gets its answer. The balance never falls below minus one hour of refill.
"""

from __future__ import annotations

import math
import threading
from datetime import datetime
from typing import TYPE_CHECKING

from posthog_events.emulator.throttle import throttled

if TYPE_CHECKING:
    from posthog_events.emulator.world import Limits

__all__ = ["Budget"]


class Budget:
    """The bucket of one project; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._balance: float | None = None
        self._at: datetime | None = None

    def admit(self, limits: Limits, now: datetime) -> None:
        """Refuse a query while nothing is left: 429, with the seconds until something is."""
        per_hour = limits.budget_bytes_per_hour
        if per_hour is None:
            return
        balance = self._refilled(limits, per_hour, now)
        if balance <= 0:
            wait = max(1, math.ceil(-balance / (per_hour / 3600)))
            detail = "The hourly read budget for API queries of this project is used up."
            raise throttled(wait, code="api_queries_budget_exceeded", detail=detail)

    def debit(self, limits: Limits, bytes_read: int, now: datetime) -> dict[str, str]:
        """Take what a query read, and return the headers that report it."""
        per_hour = limits.budget_bytes_per_hour
        if per_hour is None:
            return {}
        balance = self._refilled(limits, per_hour, now)
        with self._lock:
            self._balance = balance = max(balance - bytes_read, -per_hour)
        return {
            "X-PostHog-Query-Bytes-Read": str(bytes_read),
            "X-PostHog-Query-Budget-Remaining-Bytes": str(max(0, int(balance))),
        }

    def _refilled(self, limits: Limits, per_hour: int, now: datetime) -> float:
        capacity = per_hour * limits.budget_capacity_hours
        with self._lock:
            balance = capacity if self._balance is None else self._balance
            passed_s = 0.0 if self._at is None else max(0.0, (now - self._at).total_seconds())
            self._balance = min(capacity, balance + passed_s / 3600 * per_hour)
            self._at = now
            return self._balance
