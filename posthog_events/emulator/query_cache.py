"""Answers that PostHog keeps. Source: reference 2.2; posthog/hogql_queries/query_runner.py."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

__all__ = ["Answer", "QueryCache"]

FRESH = timedelta(days=1)
"""A younger answer is served again. PostHog's window for HogQL is of this class; its minutes are not established."""

KEPT = timedelta(days=7)
"""An older answer is forgotten. Not established either."""

KEPT_BYTES = 256 << 20
"""Of the answers of a project; the oldest go first. No limit of PostHog's: this process has to live with long runs."""

NEXT_REFRESH = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished query.

    Args:
        body: The response without what is about the cache; `results` are encoded already.
        at: When it was computed.
    """

    body: dict[str, Any]
    cache_key: str
    at: datetime

    def document(self, *, is_cached: bool, query_status: Any = None) -> dict[str, Any]:
        """Return the response, as new or as from the cache."""
        return {
            **self.body,
            "query_status": query_status,
            "is_cached": is_cached,
            "cache_key": self.cache_key,
            "last_refresh": instant(self.at),
            "cache_target_age": instant(self.at + FRESH),
            "next_allowed_client_refresh": instant(self.at + NEXT_REFRESH),
        }

    @property
    def size(self) -> int:
        """Bytes of its rows."""
        return memoryview(self.body["results"]).nbytes

    def fresh(self, now: datetime) -> bool:
        """Whether `blocking` and `async` are content with this answer."""
        return now - self.at < FRESH


class QueryCache:
    """The answers of one project, by query and modifiers; thread-safe."""

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id
        self._answers: dict[str, Answer] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def key(self, text: bytes) -> str:
        """Return the key of a request."""
        return f"cache_{self._project_id}_{hashlib.md5(text, usedforsecurity=False).hexdigest()}"

    def get(self, key: str, *, now: datetime) -> Answer | None:
        """Return the answer kept under `key`."""
        with self._lock:
            answer = self._answers.get(key)
            if answer is not None and now - answer.at >= KEPT:
                self._drop(key)
                return None
            return answer

    def put(self, answer: Answer) -> None:
        """Keep an answer."""
        with self._lock:
            self._drop(answer.cache_key)
            self._answers[answer.cache_key] = answer
            self._bytes += answer.size
            while self._bytes > KEPT_BYTES:
                self._drop(next(iter(self._answers)))

    def _drop(self, key: str) -> None:
        dropped = self._answers.pop(key, None)
        self._bytes -= dropped.size if dropped else 0


def instant(moment: datetime) -> str:
    """Write a UTC time as the API does."""
    return moment.isoformat().replace("+00:00", "Z")
