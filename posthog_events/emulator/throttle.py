"""Request rates, counted as Django REST framework counts them.

A throttle keeps the times of the requests it let through. It refuses when as many as it allows lie within the window,
and a refused request is not counted. Both throttles of a class are asked every time, so a request that one refuses may
still count in the other. Source: rest_framework/throttling.py and posthog/rate_limit.py.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from typing import TYPE_CHECKING

from posthog_events.emulator.auth import is_personal
from posthog_events.emulator.endpoint import Refusal

if TYPE_CHECKING:
    from posthog_events.emulator.world import Key, World

__all__ = ["Throttles", "throttled"]

WINDOWS_S = (60.0, 3600.0)
"""The windows that `Limits.rates` gives a number for."""


class Throttles:
    """The request histories of one world; thread-safe."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._histories: dict[tuple[str, str, float], deque[float]] = {}

    def admit(self, key: Key, throttle: str) -> None:
        """Count a request of `key`, or refuse it with 429 and the seconds after which it is worth trying again."""
        rates = self._world.limits.rates.get(throttle)
        if rates is None or not is_personal(key):
            return
        digest = hashlib.sha256(key.value.encode()).hexdigest()
        now = self._world.now().timestamp()
        with self._world.lock:
            waits = [
                self._wait(self._histories.setdefault((throttle, digest, window), deque()), allowed, window, now)
                for allowed, window in zip(rates, WINDOWS_S, strict=True)
            ]
        refused = [wait for wait in waits if wait is not None]
        if refused:
            raise throttled(max(refused))

    @staticmethod
    def _wait(history: deque[float], allowed: int, window: float, now: float) -> float | None:
        """Return None for a request that is let through and now counts, else the seconds that DRF says to wait."""
        while history and history[0] <= now - window:
            history.popleft()
        if len(history) < allowed:
            history.append(now)
            return None
        # DRF spreads what is left of the window over the requests that will be free in it
        left = window - (now - history[0]) if history else window
        return left / max(1, allowed - len(history) + 1)


def throttled(wait_s: float, *, code: str = "throttled", detail: str = "Request was throttled.") -> Refusal:
    """Return DRF's refusal: seconds rounded up, in the sentence and in `Retry-After`."""
    seconds = math.ceil(wait_s)
    sentence = f"{detail} Expected available in {seconds} second{'' if seconds == 1 else 's'}."
    return Refusal(429, "throttled_error", code, sentence, headers={"Retry-After": str(seconds)})
