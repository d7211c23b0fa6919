"""Paces over one directory with one clock that moves only when they sleep."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posthog_events.limits import Rate
from posthog_events.posthog.http import Bucket
from posthog_events.posthog.pace import SharedPace, Wait

__all__ = ["REMAINING", "START", "Desk", "go", "learn"]

START = 1_790_000_000.0
REMAINING = "x-posthog-query-budget-remaining-bytes"


@dataclass
class Desk:
    """Makes paces over one directory with one clock, and keeps what they slept and said."""

    directory: Path
    now: float = START
    slept: list[float] = field(default_factory=list)
    said: list[Wait] = field(default_factory=list)
    while_asleep: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.while_asleep()

    def pace(self, **changes: Any) -> SharedPace:
        arguments: dict[str, Any] = {
            "origin": "https://eu.posthog.com",
            "project_id": 1,
            "rates": {Bucket.QUERY: Rate(2, 3), Bucket.CRUD: Rate(5, 5)},
            "max_wait_s": 10_000.0,
            "clock": lambda: self.now,
            "sleep": self.sleep,
            "chance": random.Random(1),
            "on_wait": self.said.append,
        }
        return SharedPace(self.directory, **arguments | changes)

    def files(self, ending: str) -> list[Path]:
        return [path for path in self.directory.iterdir() if path.name.endswith(ending)]


def go(pace: SharedPace, bucket: Bucket = Bucket.QUERY, *, slot: bool = False) -> None:
    """Send a request that takes no time."""
    with pace.admit(bucket, slot=slot):
        pass


def learn(pace: SharedPace, *, status: int = 429, wait_s: float | None = None, **more: Any) -> None:
    """Take over an answer of the query bucket."""
    pace.learn(Bucket.QUERY, status=status, headers=more.pop("headers", {}), wait_s=wait_s, **more)
