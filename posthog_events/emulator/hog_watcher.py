"""The watcher: a bucket of tokens per function, which slow runs empty. Errors cost nothing. Source: reference 5.4."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from posthog_events.emulator.hog_state import HogRow, HogState, Watch

__all__ = ["DEGRADED", "DISABLED", "HEALTHY", "is_stopped", "revive", "spend", "status_of"]

UNKNOWN, HEALTHY, DEGRADED, DISABLED = 0, 1, 2, 3
FORCED_OFF = 12
CAPACITY = 10_000.0
REFILL_PER_S = 10.0
DEGRADED_AT = 8_000.0
LOCKED_S = 60.0
FREE_MS, COST, SPAN_MS = 100.0, 20.0, 4_900.0


def status_of(state: HogState, row: HogRow, now: datetime) -> dict[str, int]:
    """Return `status` as it is read: unknown for a function that is off."""
    if not row.enabled:
        return {"state": UNKNOWN, "tokens": 0}
    watch = _watch(state, row.id, now)
    return {"state": watch.state, "tokens": int(watch.tokens)}


def is_stopped(state: HogState, function_id: str) -> bool:
    """Whether the watcher, or PostHog's staff, keeps a function from running."""
    return function_id in state.watch and state.watch[function_id].state in (DISABLED, FORCED_OFF)


def spend(state: HogState, function_id: str, request_ms: Iterable[float], now: datetime) -> None:
    """Take what a finished run costs from its function's bucket; a state lasts a minute at least."""
    cost = sum(max(0, round(COST * (ms - FREE_MS) / SPAN_MS)) for ms in request_ms)
    with state.lock:
        former = _watch(state, function_id, now)
        tokens, after = former.tokens - cost, former.state
        if former.state in (HEALTHY, DEGRADED) and (now - former.since).total_seconds() >= LOCKED_S:
            after = HEALTHY if tokens > DEGRADED_AT else DEGRADED
            if tokens < 0 and state.rules.auto_disable:
                after = DISABLED
        since = former.since if after == former.state else now
        state.watch[function_id] = Watch(tokens, after, now, since)


def revive(state: HogState, function_id: str, now: datetime) -> None:
    """Set a disabled function to degraded, as any update of an enabled one does."""
    with state.lock:
        if function_id in state.watch and state.watch[function_id].state == DISABLED:
            state.watch[function_id] = replace(_watch(state, function_id, now), state=DEGRADED, since=now)


def _watch(state: HogState, function_id: str, now: datetime) -> Watch:
    """Return the bucket with what has flowed in since it was last looked at."""
    known = state.watch.get(function_id)
    if known is None:
        return Watch(CAPACITY, HEALTHY, now, datetime.min.replace(tzinfo=now.tzinfo))
    tokens = min(CAPACITY, known.tokens + REFILL_PER_S * (now - known.at).total_seconds())
    return replace(known, tokens=tokens, at=now)
