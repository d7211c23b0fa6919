"""What the processes of this machine know together about one project's limits, and what follows from it. No IO.

PostHog counts a request when it arrives (Django REST framework's throttle): it is allowed while fewer than the limit
were counted within the window before it. We do not see that moment, only that it lies between our sending and the end
of the answer. Each side of the comparison therefore takes the bound that is safe for it:

- a request sent before counts as *late* as it can have been counted: while it is under way, now; afterwards, when its
  answer was complete;
- the request to be sent is judged as *early* as it can arrive: now.

If fewer than the limit are in the window by this reckoning, then fewer are by PostHog's, whatever the network does. The
price is one answer's duration per window: less than a second in sixty, because three queries at a time that take longer
than 0.75 s do not reach 240 a minute anyway.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import msgspec

from posthog_events.limits import BUDGET_LOCKOUT_S, Rate
from posthog_events.posthog.http import Bucket

__all__ = ["Cause", "PaceState", "Wait", "read_state"]

MINUTE_S, HOUR_S = 60.0, 3_600.0

MARGIN_S = 1.0
"""PostHog's web servers each use their own clock, and ours may be set while we count: windows are this much longer."""

FLIGHT_S = 150.0
"""A request without an end is forgotten this long after its window: its process was killed. Longer than any answer
takes: the read timeout is 120 s (`http.Request`), and connecting comes before."""

SKEW_S = 5.0
"""A time further in the future than this was written under another clock, and says nothing."""

LONGEST_PAUSE_S = 86_400.0
"""PostHog's windows are an hour at most, and so are its pauses; a day is already a mistake."""

LESSON_SHARE = 0.9
LESSON_MINIMUM = 10
"""See `PaceState.learn_refusal`."""


class Cause(StrEnum):
    """Why a request is not sent yet."""

    RATE = "rate"
    PAUSE = "pause"
    BUDGET = "budget"
    SLOTS = "slots"


@dataclass(frozen=True, slots=True)
class Wait:
    """A request that is held back.

    Args:
        seconds: Until it can be sent, as far as is known. For a slot, how long the query that has it may take.
        reason: For people, without a verb: "at PostHog's limit of ...".
    """

    bucket: Bucket
    seconds: float
    cause: Cause
    reason: str


class Span(msgspec.Struct, frozen=True, array_like=True):
    """From when to when something holds. The start tells a clock that was set back from a long span."""

    since: float
    until: float

    def holds(self, now: float) -> bool:
        """Whether it holds; what starts in the future or never ends was not written by this clock."""
        return self.since <= now + SKEW_S and now < self.until <= self.since + LONGEST_PAUSE_S


class Ceiling(msgspec.Struct, frozen=True, array_like=True):
    """Fewer requests than the published limit, learned from a refusal."""

    limit: Annotated[int, msgspec.Meta(ge=1)]
    span: Span


class BucketState(msgspec.Struct):
    """The requests of one throttle.

    Args:
        done: When answers were complete, sorted.
        flying: When the requests were sent that have no answer yet. Two of the same moment may be taken for each other.
        pause: PostHog asked for it.
        minute, hour: Learned limits.
    """

    done: list[float] = msgspec.field(default_factory=list)
    flying: list[float] = msgspec.field(default_factory=list)
    pause: Span | None = None
    minute: Ceiling | None = None
    hour: Ceiling | None = None

    def forget(self, now: float) -> None:
        """Drop what no window reaches, and what was written under another clock."""
        del self.done[bisect_right(self.done, now + SKEW_S) :]
        del self.done[: self._left(HOUR_S, now)]
        oldest = now - HOUR_S - MARGIN_S - FLIGHT_S
        self.flying = [at for at in self.flying if oldest < at <= now + SKEW_S]
        self.pause = self.pause if self.pause and self.pause.holds(now) else None
        self.minute = self.minute if self.minute and self.minute.span.holds(now) else None
        self.hour = self.hour if self.hour and self.hour.span.holds(now) else None

    def count(self, window_s: float, now: float) -> int:
        """Return how many requests the window has."""
        flying = sum(at + window_s + MARGIN_S + FLIGHT_S > now for at in self.flying)
        return len(self.done) - self._left(window_s, now) + flying

    def wait_s(self, window_s: float, limit: int, now: float) -> float:
        """Return when the window has room for one more, in seconds; for one under way, a whole window is assumed."""
        over = self.count(window_s, now) - limit
        if over < 0:
            return 0.0
        leaves = self._left(window_s, now) + over
        at = self.done[leaves] if leaves < len(self.done) else now
        return at + window_s + MARGIN_S - now

    def _left(self, window_s: float, now: float) -> int:
        """Return how many of `done` have left the window."""
        return bisect_right(self.done, now, key=lambda at: at + window_s + MARGIN_S)


class PaceState(msgspec.Struct):
    """Everything that is shared.

    Args:
        budget: Holds while the project's bytes-read budget is known to be spent.
    """

    buckets: dict[Bucket, BucketState] = msgspec.field(default_factory=dict)
    budget: Span | None = None

    def wait(self, bucket: Bucket, rate: Rate | None, *, query: bool, now: float) -> Wait | None:
        """Return what holds a request back longest; None sends it.

        Args:
            rate: None for a throttle that is not limited.
            query: It runs a query, so that it reads bytes; a poll or a cancel does not.
        """
        state = self._bucket(bucket, now)
        waits: list[Wait] = []
        if state.pause:
            waits.append(Wait(bucket, state.pause.until - now, Cause.PAUSE, "in a pause that PostHog asked for"))
        if query and self.budget and self.budget.holds(now):
            reason = "over its budget of bytes that queries may read, which refills with time"
            waits.append(Wait(bucket, self.budget.until - now, Cause.BUDGET, reason))
        windows = rate and (
            (MINUTE_S, "a minute", rate.per_minute, state.minute),
            (HOUR_S, "an hour", rate.per_hour, state.hour),
        )
        for window_s, name, limit, ceiling in windows or ():
            reason = f"at PostHog's limit of {limit:,} requests {name}"
            if ceiling and ceiling.limit < limit:
                limit = ceiling.limit
                reason = f"at {limit:,} requests {name}, because PostHog refused more a while ago"
            if seconds := state.wait_s(window_s, limit, now):
                waits.append(Wait(bucket, seconds, Cause.RATE, reason))
        return max(waits, key=lambda wait: wait.seconds, default=None)

    def begin(self, bucket: Bucket, now: float) -> float:
        """Count a request as under way; `finish` takes what is returned."""
        self._bucket(bucket, now).flying.append(now)
        return now

    def finish(self, bucket: Bucket, sent: float, now: float) -> None:
        """Count a request as answered, or as failed: PostHog may have counted it all the same."""
        state = self._bucket(bucket, now)
        if sent in state.flying:
            state.flying.remove(sent)
        insort(state.done, now)

    def learn_refusal(self, bucket: Bucket, rate: Rate | None, *, wait_s: float, now: float) -> None:
        """Keep to a pause that PostHog asked for, and to a lower limit for a while.

        A refusal although our count was below the limit means that the limit is lower than published (a legacy project)
        or that somebody else uses it too. Our count at that moment is then the best estimate of what is left to us, and
        nine tenths of it are kept to for two windows: one that still contains the requests that taught it, and one to
        profit from it. After that the published limit is tried again, so a mistake is forgotten, and a limit that stays
        low costs a refusal every two windows. Fewer than ten requests of ours say nothing about our share, so the
        lowest learned limit is nine. Many refusals at once teach the same number, not an ever smaller one.

        Args:
            rate: None for a throttle that is not limited, as far as we know.
        """
        state = self._bucket(bucket, now)
        until = now + min(wait_s + MARGIN_S, LONGEST_PAUSE_S)
        if state.pause is None or state.pause.until < until:
            state.pause = Span(now, until)
        if rate is None:
            return
        minute, hour = state.count(MINUTE_S, now), state.count(HOUR_S, now)
        # a minute's window never asks for more than a minute; otherwise the fuller one is the likelier
        if wait_s > MINUTE_S or hour / rate.per_hour > minute / rate.per_minute:
            state.hour = _lower(state.hour, hour, HOUR_S, now)
        else:
            state.minute = _lower(state.minute, minute, MINUTE_S, now)

    def learn_budget(self, remaining: int, *, refill_per_hour: int, now: float) -> None:
        """Take over what PostHog says is left of the bytes-read budget.

        Nothing is done about a budget that is low: what the next query reads is not known, and the one that overdraws
        it is still answered.
        """
        if remaining > 0:
            self.budget = None
        else:
            self.hold_budget(min(-remaining, refill_per_hour) / refill_per_hour * HOUR_S, now)

    def hold_budget(self, seconds: float, now: float) -> None:
        """Start no query for this long; PostHog's longest lock-out is the most."""
        self.budget = Span(now, now + min(seconds, BUDGET_LOCKOUT_S) + MARGIN_S)

    def _bucket(self, bucket: Bucket, now: float) -> BucketState:
        state = self.buckets.setdefault(bucket, BucketState())
        state.forget(now)
        return state


def read_state(raw: bytes) -> PaceState:
    """Return the state in a file; a torn or foreign one is an empty state, because all of it is advisory."""
    try:
        state = msgspec.json.decode(raw, type=PaceState)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return PaceState()
    for bucket in state.buckets.values():
        bucket.done.sort()
    return state


def _lower(ceiling: Ceiling | None, count: int, window_s: float, now: float) -> Ceiling | None:
    if count < LESSON_MINIMUM:
        return ceiling
    limit = int(count * LESSON_SHARE)
    if ceiling is not None:
        limit = min(limit, ceiling.limit)
    return Ceiling(limit, Span(now, now + 2 * window_s))
