"""What one destination does with events, counted."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from posthog_events.destinations.model import Destination
from posthog_events.destinations.simulate.inputs import Inputs
from posthog_events.destinations.simulate.model import Failures, SampleDelivery
from posthog_events.destinations.simulate.requests import rendered
from posthog_events.destinations.simulate.scope import Row, ScopeBuilder
from posthog_events.errors import HogError
from posthog_events.hog.filters import CompiledFilters, Verdict, compile_filters
from posthog_events.hog.masking import Masker

__all__ = ["Clock", "Known", "Tally"]

MAX_MESSAGES = 5
"""Messages kept of each kind of failure."""


class Clock:
    """The time of the event at hand."""

    def __init__(self) -> None:
        self.micros = 0

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.micros / 1_000_000, UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """What the project knows beside the destination; see `simulate`."""

    actions: Mapping[Any, Any] | None
    test_account_filters: Sequence[Any]
    boolean_properties: Collection[tuple[str, str]]
    now: datetime


@dataclass(slots=True)
class Tally:
    """Takes events in order of time, and numbers of events whose verdict is known.

    Args:
        keep: How many deliveries to keep as samples.
    """

    destination: Destination
    compiled: CompiledFilters
    inputs: Inputs
    masker: Masker | None
    scopes: ScopeBuilder
    keep: int
    matched: Counter[int] = field(default_factory=Counter)
    delivered: Counter[int] = field(default_factory=Counter)
    rejected: Counter[Verdict] = field(default_factory=Counter)
    masked: int = 0
    failed: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    _newest: deque[tuple[int, Row, str]] = field(default_factory=deque)

    @classmethod
    def of(cls, destination: Destination, known: Known, scopes: ScopeBuilder, *, clock: Clock, keep: int) -> Tally:
        """Return a tally of nothing.

        Raises:
            HogError: PostHog would not accept the destination, or it cannot be evaluated here.
        """
        try:
            compiled = compile_filters(
                destination.filters,
                actions=known.actions,
                test_account_filters=known.test_account_filters,
                boolean_properties=known.boolean_properties,
                saved_at=known.now,
                clock=clock,
            )
            inputs = Inputs(destination, clock=clock)
            masker = Masker(destination.masking, clock=clock) if destination.masking is not None else None
        except HogError as error:
            raise HogError(f"{destination.key}: {error.message}", where=error.where) from error
        return cls(destination, compiled, inputs, masker, scopes, keep, _newest=deque(maxlen=keep))

    @property
    def needs_rows(self) -> bool:
        """Whether it takes the matching events themselves to tell what is delivered."""
        return self.masker is not None or self.inputs.can_fail

    def add(self, hour: int, verdict: Verdict, count: int) -> None:
        """Count events that were seen by somebody else; none is masked, and no input fails."""
        if verdict.matched:
            self.matched[hour] += count
            self.delivered[hour] += count
        else:
            self.rejected[verdict] += count

    def take(self, row: Row, micros: int, seen: Mapping[str, Any]) -> bool:
        """Judge an event; return whether it is delivered.

        Args:
            seen: What filters see of it.
        """
        verdict = self.compiled.matches(seen)
        if verdict.outcome == "error":
            self._fail("filtering_failed", row, f"{verdict.clause}: {verdict.message}")
            return False
        if not verdict.matched:
            self.rejected[verdict] += 1
            return False
        hour = micros // 3_600_000_000
        self.matched[hour] += 1
        if self.needs_rows and not self._admitted(row, seen):
            return False
        self.delivered[hour] += 1
        self.sample(row, micros, verdict.clause)
        return True

    def newest(self) -> list[tuple[int, Row, str]]:
        """Return the deliveries that are kept, and keep none of them."""
        kept = list(self._newest)
        self._newest.clear()
        return kept

    def restore(self, kept: Iterable[tuple[int, Row, str]]) -> None:
        """Keep deliveries again, beside those that came since; the newest stay."""
        self._newest = deque(sorted([*self._newest, *kept]), maxlen=self.keep)

    def sample(self, row: Row, micros: int, clause: str) -> None:
        """Keep a delivery as a sample; the oldest gives way."""
        self._newest.append((micros, row, clause))

    def _admitted(self, row: Row, seen: Mapping[str, Any]) -> bool:
        """Whether inputs and masking, in PostHog's order, let a matching event through."""
        scope = self._scope(row, seen)
        if self.inputs.can_fail:
            try:
                self.inputs.render(scope)
            except HogError as error:
                self._fail("inputs_failed", row, str(error))
                return False
        if self.masker is not None and not self.masker.allows(scope):
            self.masked += 1
            return False
        return True

    def _scope(self, row: Row, seen: Mapping[str, Any]) -> dict[str, Any]:
        scope = self.scopes.for_templates(row, seen)
        # a function has its address only when it has been created
        url = f"{scope['project']['url']}/functions/{self.destination.key}"
        return {**scope, "source": {"name": self.destination.name, "url": url}}

    def _fail(self, kind: str, row: Row, message: str) -> None:
        count, messages = self.failed.get(kind, (0, []))
        if len(messages) < MAX_MESSAGES:
            messages.append(f"{row[1]} {row[0]} at {row[2]}: {message}")
        self.failed[kind] = count + 1, messages

    def failures(self) -> tuple[Failures, ...]:
        """Return what was lost, and why."""
        return tuple(
            Failures(kind, count, tuple(messages))  # type: ignore[arg-type]  # only these two kinds are counted
            for kind, (count, messages) in sorted(self.failed.items())
        )

    def samples(self, set_clock: Callable[[int], None]) -> tuple[SampleDelivery, ...]:
        """Render the newest deliveries, oldest first."""
        found = []
        for micros, row, clause in sorted(self._newest)[-self.keep :] if self.keep else ():
            set_clock(micros)
            inputs = self.inputs.render(self._scope(row, self.scopes.for_filters(row)))
            request = rendered(self.destination.template_id, inputs, is_slack=self.destination.kind == "slack")
            at = datetime.fromtimestamp(micros / 1_000_000, UTC)
            found.append(SampleDelivery(row[0], row[1], at, clause, inputs, request))
        return tuple(found)
