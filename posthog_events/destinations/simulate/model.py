"""What a simulation says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import polars as pl

    from posthog_events.destinations.model import Destination
    from posthog_events.hog.lint_template import Trap

__all__ = ["DAYS_PER_MONTH", "Estimate", "Failures", "RenderedRequest", "SampleDelivery", "Simulation", "Simulations"]

DAYS_PER_MONTH: Final = 30.44
"""365.25 / 12, to two places."""

_SHORTEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A count of a range of time, carried over to a month of 30.44 days.

    Args:
        count: What was counted.
        since: Where the range begins.
        until: Where it ends.
    """

    count: int
    since: datetime
    until: datetime

    @property
    def per_month(self) -> float | None:
        """The count of a month at this pace; None when the range is shorter than an hour, which says nothing."""
        span = self.until - self.since
        return None if span < _SHORTEST else self.count * (timedelta(days=DAYS_PER_MONTH) / span)

    def __str__(self) -> str:
        span = self.until - self.since
        days = span / timedelta(days=1)
        length = f"{days:.3g} days" if days >= 1 else f"{days * 24:.3g} hours" if days * 24 >= 1 else f"{span}"
        counted = f"{self.count:,} in {length}"
        if self.per_month is None:
            return f"{counted}: too short a time to say anything of a month"
        doubt = ""
        if span < timedelta(days=1):
            doubt = ", which is less than a day: other hours may differ"
        elif span < timedelta(days=7):
            doubt = ", which is less than a week: other days may differ"
        return f"about {self.per_month:,.0f} a month, from {counted}{doubt}"


@dataclass(frozen=True, slots=True)
class RenderedRequest:
    """A request as PostHog would send it; references stand in the place of secrets.

    Args:
        body: JSON values, or a text that is sent as it is; None: no body.
        preview: For Slack: the message as a person would read it.
        warnings: What the receiver would refuse or cut.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: Any
    preview: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SampleDelivery:
    """One delivery; `request` is None where it cannot be told, because the template's code is not known here.

    Args:
        inputs: The resolved inputs.
    """

    uuid: str
    event: str
    at: datetime
    clause: str
    inputs: Mapping[str, Any]
    request: RenderedRequest | None


@dataclass(frozen=True, slots=True)
class Failures:
    """Events that are lost: PostHog counts them under `kind`, and delivers nothing.

    Args:
        messages: The first few, each with the event.
    """

    kind: Literal["filtering_failed", "inputs_failed"]
    count: int
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a destination would have done with the events of a range of time.

    Args:
        since: First moment of the range.
        until: First moment after it.
        seen: Events in the range.
        matched: Those that the filters let through.
        masked: Matching events that `once_per` held back.
        delivered: What is left: deliveries.
        failures: Of filters and of inputs; failed inputs are among `matched`.
        hours: Frame: hour (UTC; those with any event), matched, delivered.
        rejected: Frame: clause (in words), path (in the filters), count; the largest first.
        samples: The newest deliveries, oldest first.
        deliveries: Expected in a month.
        billed: Events that PostHog would bill in a month, were this the only destination: an event that several
            destinations deliver is billed once (see `Simulations`).
        traps: What the filters and templates may not mean (see hog/lint.py).
        notes: What to know about these figures.
    """

    destination: Destination
    since: datetime
    until: datetime
    seen: int
    matched: int
    masked: int
    delivered: int
    failures: tuple[Failures, ...]
    hours: pl.DataFrame = field(repr=False, compare=False)
    rejected: pl.DataFrame = field(repr=False, compare=False)
    samples: tuple[SampleDelivery, ...]
    deliveries: Estimate
    billed: Estimate
    traps: tuple[Trap, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Simulations:
    """Simulations of several destinations over the same events.

    Args:
        each: In the order that was given.
        deliveries: Expected in a month, of all together.
        billed: Events billed in a month: each once, however many destinations deliver it.
    """

    each: tuple[Simulation, ...]
    deliveries: Estimate
    billed: Estimate
