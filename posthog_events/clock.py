"""The real clock, for whoever is given no other."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["utc_now"]


def utc_now() -> datetime:
    """Return the time as an aware datetime."""
    return datetime.now(UTC)
