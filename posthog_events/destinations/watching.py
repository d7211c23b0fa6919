"""Watching destinations: their log as it grows, how much of it fails, and what PostHog's status of them means.

PostHog never switches a destination off because it fails, and calls it healthy as long as it is fast (reference 5.4).
So failures are counted here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from posthog_events.posthog.hog_function_runs import LogLine, logs, totals

if TYPE_CHECKING:
    from posthog_events.posthog.http import Api

__all__ = ["Alarm", "FailureRate", "Status", "alarms", "failure_rate", "follow", "status_text"]

OVERLAP_S: Final = 15.0
"""Seconds that are read again each time: log lines of several workers reach PostHog's log in any order."""

LOST: Final = ("inputs_failed", "filtering_failed", "quota_limited", "rate_limited", "disabled_permanently", "dropped")
"""Metrics of events that were never sent, and count neither as triggered nor as failed."""

Row = Mapping[str, Any]


def follow(
    api: Api,
    id_: str,
    *,
    since: datetime,
    sleep: Callable[[float], None],
    clock: Callable[[], datetime],
    interval_s: float = 5.0,
    overlap_s: float = OVERLAP_S,
    levels: Collection[str] = (),
) -> Iterator[LogLine]:
    """Yield a function's log lines from `since` on, and then each new one, for ever.

    Each line comes once. Those that are found together come in order; one that PostHog shows late comes late, and one
    that is later than `overlap_s` not at all.

    Args:
        clock: The time, so that a line from the future does not hide what comes before it.
        interval_s: Seconds from one look to the next.
    """
    seen: Counter[LogLine] = Counter()
    edge, latest = since, since
    while True:
        begun = clock()
        found = list(logs(api, id_, since=edge, levels=levels))
        # equal lines are several lines, and the log is asked for from a moment on: what is there more often is new
        there: Counter[LogLine] = Counter()
        fresh = []
        for line in found:
            there[line] += 1
            if there[line] > seen[line]:
                fresh.append(line)
        fresh.reverse()  # the newest come first, also of those with the same time
        fresh.sort(key=lambda line: line.at)
        yield from fresh
        latest = max(latest, *(line.at for line in found)) if found else latest
        edge = max(edge, min(latest, begun) - timedelta(seconds=overlap_s))
        seen |= there
        for line in [line for line in seen if line.at < edge]:
            del seen[line]
        sleep(max(0.0, interval_s - (clock() - begun).total_seconds()))


@dataclass(frozen=True, slots=True)
class FailureRate:
    """What became of the events that fired a destination in a time.

    Args:
        triggered: Events that matched and were to be sent.
        failed: Those whose last attempt failed.
        lost: What was never sent, by the name of PostHog's metric; not part of the others.
    """

    since: datetime
    until: datetime
    triggered: int
    failed: int
    lost: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def value(self) -> float | None:
        """Failed per triggered; None when nothing was triggered.

        It can be above 1: what failed in this time may have been triggered before it, or been delivered again.
        """
        return self.failed / self.triggered if self.triggered else None

    @property
    def lost_share(self) -> float | None:
        """The part of all that should have been sent, and was not even tried; None when there was nothing."""
        lost = sum(self.lost.values())
        return lost / (lost + self.triggered) if lost or self.triggered else None


def failure_rate(api: Api, id_: str, *, since: datetime, until: datetime) -> FailureRate:
    """Count what failed between two moments. Events that the filters keep out do not count (metric `filtered`)."""
    counted = totals(api, id_, since=since, until=until, names=("triggered", "failed", *LOST))
    lost = {name: counted[name] for name in LOST if counted.get(name)}
    return FailureRate(since, until, counted.get("triggered", 0), counted.get("failed", 0), lost)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A destination that somebody should look at.

    Args:
        reasons: Why, as sentences.
    """

    id: str
    name: str
    rate: FailureRate
    reasons: tuple[str, ...]


def alarms(
    api: Api,
    rows: Iterable[Row],
    *,
    since: datetime,
    until: datetime,
    threshold: float = 0.1,
    min_triggered: int = 10,
) -> list[Alarm]:
    """Return the destinations that fail too often, lose events, or are stopped; those that are off are passed over.

    One request for each destination.

    Args:
        rows: Destinations as PostHog lists them.
        threshold: The share of failures above which a destination is reported.
        min_triggered: Fewer events prove nothing.
    """
    found = []
    for row in rows:
        if not row.get("enabled"):
            continue
        rate = failure_rate(api, str(row["id"]), since=since, until=until)
        if reasons := tuple(_reasons(row, rate, threshold, min_triggered)):
            found.append(Alarm(str(row["id"]), str(row.get("name") or ""), rate, reasons))
    return found


def _reasons(row: Row, rate: FailureRate, threshold: float, least: int) -> Iterator[str]:
    status = status_text(row)
    if not status.runs:
        yield f"{status.meaning}: {status.hint}"
    if rate.value is not None and rate.triggered >= least and rate.value > threshold:
        yield f"{rate.failed:,} of {rate.triggered:,} deliveries failed ({rate.value:.1%})"
    lost = sum(rate.lost.values())
    if rate.lost_share is not None and lost + rate.triggered >= least and rate.lost_share > threshold:
        named = ", ".join(f"{name} {number:,}" for name, number in rate.lost.items())
        yield f"{lost:,} events were never sent ({named})"


@dataclass(frozen=True, slots=True)
class Status:
    """What a destination's status means.

    Args:
        word: One word for a table.
        meaning: A sentence.
        hint: What to do; empty when there is nothing.
        runs: Whether it delivers.
    """

    word: str
    meaning: str
    hint: str = ""
    runs: bool = True


_SAVE = "make its receiver faster, then save it again, which revives it"
_STAFF = "only PostHog's support can change that"
_ERRORS = "this is about speed only; whether deliveries fail is in its metrics"

_STATES: Mapping[Any, Status] = {
    0: Status("unknown", "PostHog has no state of it yet"),
    1: Status("healthy", "it answers fast", _ERRORS),
    2: Status("degraded", "it is slow, and PostHog runs it with a lower priority", "make its receiver answer faster"),
    3: Status("disabled", "PostHog stopped it because it is slow, and does not start it again", _SAVE, runs=False),
    11: Status("degraded", "PostHog's staff gave it a lower priority", _STAFF),
    12: Status("disabled", "PostHog's staff stopped it", _STAFF, runs=False),
}
_OLDER_STATES: Mapping[Any, Status] = {
    **_STATES,
    3: Status("paused", "PostHog stopped it for a while because it is slow or fails", _SAVE, runs=False),
    4: Status("disabled", "PostHog stopped it for good because it was slow or failed too often", _SAVE, runs=False),
}


def status_text(row: Row) -> Status:
    """Return what the status of a destination means, for old and new servers. Source: reference 5.4 and 9.

    Args:
        row: As PostHog lists it: `enabled`, `status`, and `filters` for whether they compile.
    """
    if not row.get("enabled"):
        # the state of one that is off is always 0
        return Status("off", "it is switched off", "enable it to deliver events", runs=False)
    filters = row.get("filters")
    if isinstance(filters, Mapping) and filters.get("bytecode_error"):
        hint = f"correct the filters ({filters['bytecode_error']})"
        return Status("broken", "PostHog cannot compile its filters, so no event is delivered", hint, runs=False)
    status = row.get("status")
    if not isinstance(status, Mapping):
        return _STATES[0]
    state = status.get("state")
    older = "rating" in status or state == 4
    known = (_OLDER_STATES if older else _STATES).get(state)
    return known or Status("unknown", f"PostHog has a state that is not known here ({state})")
