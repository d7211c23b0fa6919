"""PostHog's request limits as Django REST framework counts them: an independent model to measure pacing against.

The rules of `rest_framework.throttling.SimpleRateThrottle`: a history of arrivals, newest first; those at least a
window old are dropped; a request is refused when as many as the limit are left, and is otherwise put in front. A view
asks all of its throttles, also after one has refused, so that a request refused by one is counted by the others.
`Retry-After` is the longest wait, rounded up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from posthog_events.limits import Rate

__all__ = ["DrfThrottle", "DrfView", "most_allowed"]


@dataclass(slots=True)
class DrfThrottle:
    """One throttle of `limit` requests in `window_s` seconds."""

    limit: int
    window_s: float
    history: list[float] = field(default_factory=list)

    def arrive(self, now: float) -> float | None:
        """Count a request; return how long to wait when it is refused."""
        while self.history and self.history[-1] <= now - self.window_s:
            self.history.pop()
        if len(self.history) >= self.limit:
            return self.window_s - (now - self.history[-1])
        self.history.insert(0, now)
        return None


class DrfView:
    """What a view with a throttle per minute and one per hour answers."""

    def __init__(self, rate: Rate) -> None:
        self.throttles = (DrfThrottle(rate.per_minute, 60.0), DrfThrottle(rate.per_hour, 3600.0))

    def arrive(self, now: float) -> int | None:
        """Return the `Retry-After` of a refusal; None when the request is let through."""
        waits = [throttle.arrive(now) for throttle in self.throttles]
        return max((math.ceil(wait) for wait in waits if wait is not None), default=None)


def most_allowed(rate: Rate, seconds: float) -> int:
    """Return how many requests a client that knows the server's history could get through, from an empty history on.

    Such a client sends each request at the first moment at which no throttle refuses it.
    """
    sent: list[float] = []
    while True:
        at = sent[-1] if sent else 0.0
        for limit, window_s in ((rate.per_minute, 60.0), (rate.per_hour, 3600.0)):
            if len(sent) >= limit:
                at = max(at, sent[-limit] + window_s)
        if at >= seconds:
            return len(sent)
        sent.append(at)
