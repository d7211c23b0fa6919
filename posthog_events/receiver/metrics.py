"""What a receiver counts, as Prometheus reads it.

Counting is plain Python, so that a receiver works without `prometheus_client`; only showing needs it. Each process
counts for itself.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from posthog_events.errors import MissingExtra
from posthog_events.receiver.inbox import Counts

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["CONTENT_TYPE", "Gauges", "Metrics"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

PREFIX: Final = "posthog_events_receiver_"

ACK_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""PostHog hangs up after 3 s."""

RUN_S: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)


@dataclass(slots=True)
class _Histogram:
    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulated(self) -> list[tuple[str, float]]:
        found, sum_ = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            sum_ += count
            found.append((bound, float(sum_)))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What is as it is while it is asked for.

    Args:
        counts: None when the inbox cannot be read.
        in_flight: Requests that are being read or stored.
        left: By handler, workers that hang in a call that was given up.
        now: For the age of the oldest task that is due.
    """

    counts: Counts | None
    in_flight: int
    left: Mapping[str, int]
    now: datetime


class Metrics:
    """Counters and histograms, to be used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[tuple[str, str]] = Counter()
        self._acks = _Histogram(ACK_S)
        self._runs: Counter[tuple[str, str]] = Counter()
        self._run_s: defaultdict[str, _Histogram] = defaultdict(lambda: _Histogram(RUN_S))

    def answered(self, status: int, code: str) -> None:
        """Count a delivery and what it was answered."""
        with self._lock:
            self._answers[str(status), code] += 1

    def acknowledged(self, seconds: float) -> None:
        """Count how long a delivery took that was stored, or was found to be stored."""
        with self._lock:
            self._acks.add(seconds)

    def ended(self, handler: str, outcome: str, seconds: float) -> None:
        """Count an attempt of a handler."""
        with self._lock:
            self._runs[handler, outcome] += 1
            self._run_s[handler].add(seconds)

    def text(self, gauges: Gauges) -> bytes:
        """Return everything in Prometheus' text format.

        Raises:
            MissingExtra: There is no `prometheus_client`.
        """
        try:
            from prometheus_client import generate_latest
        except ImportError as exc:
            raise MissingExtra("The /metrics page", "server") from exc

        families = list(self._families(gauges))
        # it only asks what it is given to `collect()`; a registry would be one for the whole process
        return generate_latest(_Collected(families))

    def _families(self, gauges: Gauges) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        def gauge(name: str, about: str, value: float) -> Metric:
            return GaugeMetricFamily(PREFIX + name, about, value=value)

        with self._lock:
            answers, runs = dict(self._answers), dict(self._runs)
            acks, ack_s = self._acks.cumulated(), self._acks.total
            run_s = {name: (it.cumulated(), it.total) for name, it in self._run_s.items()}

        family: Any = CounterMetricFamily(
            PREFIX + "deliveries", "Deliveries by what became of them.", labels=["status", "code"]
        )
        for labels, count in sorted(answers.items()):
            family.add_metric(list(labels), count)
        yield family
        yield HistogramMetricFamily(
            PREFIX + "ack_seconds",
            "Time from the beginning of a request to its acknowledgement.",
            buckets=acks,
            sum_value=ack_s,
        )
        family = CounterMetricFamily(
            PREFIX + "attempts", "Attempts of handlers by how they ended.", labels=["handler", "outcome"]
        )
        for labels, count in sorted(runs.items()):
            family.add_metric(list(labels), count)
        yield family
        family = HistogramMetricFamily(PREFIX + "attempt_seconds", "Duration of attempts.", labels=["handler"])
        for handler, (buckets, total) in sorted(run_s.items()):
            family.add_metric([handler], buckets, sum_value=total)
        yield family
        yield gauge("requests_in_flight", "Requests being read or stored.", gauges.in_flight)
        family = GaugeMetricFamily(
            PREFIX + "workers_hanging", "Workers left behind in a call that does not end.", labels=["handler"]
        )
        for handler, count in sorted(gauges.left.items()):
            family.add_metric([handler], count)
        yield family
        yield gauge("inbox_up", "1 when the inbox can be read.", gauges.counts is not None)
        if gauges.counts is None:
            return
        yield gauge("inbox_entries", "Deliveries in the inbox.", gauges.counts.entries)
        family = GaugeMetricFamily(PREFIX + "inbox_tasks", "Tasks of handlers by state.", labels=["state"])
        for state, count in gauges.counts.tasks.items():
            family.add_metric([state.value], count)
        yield family
        since = gauges.counts.due_since
        lag_s = 0.0 if since is None else max(0.0, (gauges.now - since).total_seconds())
        yield gauge("inbox_lag_seconds", "How long the task waits that is due longest.", lag_s)


@dataclass(frozen=True, slots=True)
class _Collected:
    families: list[Metric]

    def collect(self) -> list[Metric]:
        return self.families
