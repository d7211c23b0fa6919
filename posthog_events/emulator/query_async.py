"""Asynchronous queries: their states, how long those are kept, and how a query is cancelled.

Source: reference 2.6; posthog/clickhouse/client/execute_async.py.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from posthog_events.emulator.endpoint import Refusal
from posthog_events.emulator.query_cache import instant
from posthog_events.emulator.query_errors import exposed, refusal_of
from posthog_events.emulator.query_runs import Run
from posthog_events.errors import PostHogEventsError, QueryCancelled

if TYPE_CHECKING:
    from posthog_events.emulator.query_runs import Runner
    from posthog_events.emulator.world import World

__all__ = ["AsyncQueries", "Status"]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Status:
    """The state of one asynchronous query.

    Args:
        results: The whole response of a finished query, nested as it is.
        error_message: None where PostHog does not say what was wrong; the status code is then 500.
        kept_until: When the status is forgotten.
    """

    run: Run
    project_id: int
    start_time: datetime
    kept_until: datetime
    pickup_time: datetime | None = None
    end_time: datetime | None = None
    complete: bool = False
    error: bool = False
    error_message: str | None = None
    results: Any = None
    task_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def http_status(self) -> int:
        """What `GET /query/:id/` answers with."""
        if self.error:
            return 400 if self.error_message else 500
        return 200 if self.complete else 202

    def document(self, *, progress: dict[str, int] | None = None) -> dict[str, Any]:
        """Return `query_status`."""
        return {
            "id": self.run.client_query_id,
            "team_id": self.project_id,
            "query_async": True,
            "complete": self.complete,
            "error": self.error,
            "error_message": self.error_message,
            "results": self.results,
            "start_time": instant(self.start_time),
            "pickup_time": instant(self.pickup_time) if self.pickup_time else None,
            "end_time": instant(self.end_time) if self.end_time else None,
            "expiration_time": instant(self.kept_until) if self.end_time else None,
            "task_id": self.task_id,
            "labels": None,
            "insight_id": None,
            "dashboard_id": None,
            "query_progress": progress,
        }


class AsyncQueries:
    """The asynchronous queries of one project; thread-safe."""

    def __init__(self, world: World, project_id: int, runner: Runner) -> None:
        self._world, self._project_id, self._runner = world, project_id, runner
        self._statuses: dict[str, Status] = {}
        self._lock = threading.Lock()

    def enqueue(self, query_id: str, work: Callable[[Run], Any], *, force: bool) -> Status:
        """Begin `work` in the background, and return at once.

        An id that is known already gives its status and begins nothing, unless forced: PostHog never compares queries.

        Args:
            work: Returns the response document; called with the run that it belongs to.
        """
        now = self._world.now()
        with self._lock:
            stored = self._live(query_id)
            if stored is not None and not force:
                return stored
            run = Run(query_id, picked_up=lambda: self._picked_up(status))
            status = Status(run, self._project_id, now, self._expiry(now))
            self._statuses[query_id] = status
        threading.Thread(target=self._work, args=(status, work), name=f"query {query_id}", daemon=True).start()
        return status

    def get(self, query_id: str) -> Status:
        """Return a status.

        Raises:
            Refusal: 404; never begun, cancelled, or too long ago.
        """
        with self._lock:
            status = self._live(query_id)
        if status is None:
            detail = f"Query {query_id} not found for team {self._project_id}"
            raise Refusal(404, "invalid_request", "not_found", detail)
        return status

    def cancel(self, query_id: str, *, dequeue_only: bool) -> str:
        """Cancel a query, asynchronous or not, and return PostHog's sentence; it forgets the status."""
        with self._lock:
            status = self._live(query_id)
            if status is not None and status.complete:
                return "Query already complete"
            self._statuses.pop(query_id, None)
            if status is not None and status.pickup_time is None:
                status.run.cancelled.set()
        self._runner.cancel(query_id, kill=not dequeue_only)
        if dequeue_only:
            return "Only tried to dequeue, not cancelling query on clickhouse"
        return "Cancelled query on clickhouse"

    def _live(self, query_id: str) -> Status | None:
        status = self._statuses.get(query_id)
        if status is not None and self._world.now() >= status.kept_until:
            del self._statuses[query_id]
            return None
        return status

    def _expiry(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._world.limits.status_lifetime_s)

    def _picked_up(self, status: Status) -> None:
        with self._lock:
            status.pickup_time = self._world.now()

    def _work(self, status: Status, work: Callable[[Run], Any]) -> None:
        results, message, failed = None, None, True
        try:
            results, failed = work(status.run), False
        except QueryCancelled:
            pass  # its status is gone, or was replaced
        except PostHogEventsError as error:
            message = str(refusal_of(error)) if exposed(error) else None
        except Refusal:
            pass  # for a reason that PostHog keeps to itself: the status says only that it failed
        except Exception:
            _log.exception("query %s failed inside the emulator", status.run.client_query_id)
        with self._lock:
            now = self._world.now()
            status.results, status.error, status.error_message = results, failed, message
            status.complete, status.end_time, status.kept_until = True, now, self._expiry(now)
