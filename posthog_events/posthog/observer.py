"""What a caller may watch while requests wait and queries run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from posthog_events.posthog.answer import QueryProgress
    from posthog_events.posthog.pace import Wait
    from posthog_events.posthog.retry import Attempt

__all__ = ["Observer"]


@dataclass(frozen=True, slots=True)
class Observer:
    """Functions that are called as things happen, from whatever thread they happen in.

    Args:
        attempt: A request failed and will be sent again after a wait.
        wait: A request waits, so that the processes on this machine together stay inside PostHog's limits.
        progress: How far a queued query is.
    """

    attempt: Callable[[Attempt], None] | None = None
    wait: Callable[[Wait], None] | None = None
    progress: Callable[[QueryProgress], None] | None = None
