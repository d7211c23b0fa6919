"""Masking: of the events with one key, only the first within a time triggers the destination (reference 4).

Nothing is hidden by it, whatever the API's help says; it limits how often a destination is triggered.

Source: PostHog/posthog:nodejs/src/cdp/services/monitoring/hog-masker.service.ts, 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from posthog_events.clock import utc_now
from posthog_events.errors import HogError
from posthog_events.hog.evaluate import Scope
from posthog_events.hog.template import parse_template
from posthog_events.hog.values import js_string, truthy

__all__ = ["LONGEST_S", "SHORTEST_S", "Masker"]

SHORTEST_S, LONGEST_S = 60, 86_400
"""What the API takes for a ttl, in seconds."""


class Masker:
    """Counts the events of each key, for one destination.

    Args:
        masking: `hash` (a template), `ttl` in seconds, and `threshold` or None.
        clock: Gives the current moment; for stored events, the moment of the event at hand.

    Raises:
        HogError: The hash is no template, or ttl or threshold is no number.
    """

    def __init__(self, masking: Mapping[str, Any], *, clock: Callable[[], datetime] = utc_now) -> None:
        if not isinstance(masking.get("hash"), str):
            raise HogError("masking needs a hash, such as {person.id}", where="masking.hash")
        self._template = parse_template(masking["hash"], where="masking.hash", clock=clock)
        ttl, threshold = masking.get("ttl"), masking.get("threshold")
        for name, value in (("ttl", ttl), ("threshold", threshold)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise HogError(f"{name} is a number, not {type(value).__name__}", where=f"masking.{name}")
        self._ttl = timedelta(seconds=max(1, min(LONGEST_S, LONGEST_S if ttl is None else ttl)))
        self._threshold = threshold
        self._clock = clock
        self._windows: dict[str, tuple[datetime, int]] = {}  # key -> end of its window, events in it

    def key(self, globals_: Scope) -> str | None:
        """Return the key of an event; None when it is not masked: the hash is empty, or fails.

        Objects have no text of their own in JavaScript: `{person}` gives one key for everybody.
        """
        try:
            value = self._template.render(globals_)
        except HogError:
            return None
        return js_string(value) if truthy(value) else None

    def restart(self, key: str) -> None:
        """Begin the window of a key now, with the event at hand as the first in it."""
        self._windows[key] = self._clock() + self._ttl, 1

    def allows(self, globals_: Scope) -> bool:
        """Return whether an event that matched triggers the destination, and count it."""
        key = self.key(globals_)
        if key is None:
            return True
        now = self._clock()
        end, count = self._windows.get(key, (now, 0))
        if now >= end:
            end, count = now + self._ttl, 0
        self._windows[key] = end, count + 1
        if self._threshold:
            return bool(count // self._threshold > (count - 1) // self._threshold)
        return count == 0
