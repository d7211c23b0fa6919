"""A destination, and the events that go through it: which of them are delivered, and with what body."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from posthog_events.destinations.model import Destination
from posthog_events.destinations.simulate import EngineEvents, pushed_down
from posthog_events.destinations.simulate.inputs import Inputs
from posthog_events.destinations.simulate.requests import rendered
from posthog_events.destinations.simulate.scope import Row, ScopeBuilder
from posthog_events.destinations.simulate.tally import Clock, Known, Tally
from posthog_events.destinations.surroundings import Surroundings
from posthog_events.hog.evaluate import Scope
from posthog_events.hog.masking import LONGEST_S, Masker
from posthog_events.result import Engine

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Course"]

_TICK = timedelta(microseconds=1)


class _Anchored(Masker):
    """Masking that believes the inbox: an event that arrived was not held back, whatever was worked out before."""

    def __init__(self, masking: Mapping[str, Any], *, clock: Callable[[], datetime], arrived: Collection[str]) -> None:
        super().__init__(masking, clock=clock)
        self._arrived = arrived

    def allows(self, globals_: Scope) -> bool:
        """Return whether an event triggers the destination, and count it."""
        if super().allows(globals_):
            return True
        event: Any = globals_["event"]
        key = self.key(globals_)
        if event["uuid"] not in self._arrived or key is None:
            return False
        # its window began with it
        self.restart(key)
        return True


@dataclass(frozen=True, slots=True)
class Course:
    """A destination, and the events that go through it; for one walk.

    Args:
        condition: HogQL that every matching event fulfils, with `values`.
        warm_up: Before the range: events of that time may hold back those at its beginning.
    """

    destination: Destination
    events: EngineEvents
    tally: Tally
    inputs: Inputs
    clock: Clock
    condition: str
    values: Mapping[str, Any]
    warm_up: timedelta = field(default=timedelta(0))

    @classmethod
    def of(
        cls,
        destination: Destination,
        source: Engine | EngineEvents,
        around: Surroundings,
        *,
        now: datetime,
        arrived: Collection[str],
    ) -> Course:
        """Return the course of a destination.

        Args:
            now: When the filters would be saved, for relative dates.
            arrived: The events of which a delivery arrived; they were not masked.

        Raises:
            HogError: PostHog would not accept the destination, or it cannot be evaluated here.
        """
        events = source if isinstance(source, EngineEvents) else EngineEvents(source, group_types=around.group_types)
        clock = Clock()
        known = Known(around.actions, around.test_account_filters, events.boolean_properties, now)
        # a group costs a question to the engine
        said = json.dumps(
            [destination.filters, destination.inputs, destination.masking, known.actions, known.test_account_filters],
            default=str,
        )
        scopes = ScopeBuilder(around.project, events.group if "group" in said else None, around.display_names)
        tally = Tally.of(destination, known, scopes, clock=clock, keep=0)
        warm_up = timedelta(0)
        if destination.masking is not None:
            tally.masker = _Anchored(destination.masking, clock=clock, arrived=arrived)
            warm_up = timedelta(seconds=float(destination.masking.get("ttl") or LONGEST_S))
        found = pushed_down(
            destination.filters,
            test_account_filters=known.test_account_filters,
            boolean_properties=known.boolean_properties,
            saved_at=now,
        )
        inputs = Inputs(destination, clock=clock)
        return cls(destination, events, tally, inputs, clock, found.possible, found.values, warm_up)

    def delivered(self, since: datetime, until: datetime) -> Iterator[tuple[Row, datetime]]:
        """Yield the events that should have been delivered, in order of time."""
        for row, at in self._rows(self.events.where(self.condition, self.values, since - self.warm_up, until)):
            delivered = self.tally.take(row, self.clock.micros, self.tally.scopes.for_filters(row))
            if at < since:
                self.tally.failed.clear()
            elif delivered:
                yield row, at

    def matching(self, uuids: Sequence[str], since: datetime, until: datetime) -> Iterator[tuple[Row, datetime]]:
        """Yield those of some events that are there and match, masked or not."""
        condition = f"toString(uuid) IN {{wanted_uuids}} AND {self.condition}"
        values = {**self.values, "wanted_uuids": list(uuids)}
        for row, at in self._rows(self.events.where(condition, values, since, until)):
            if self.tally.compiled.matches(self.tally.scopes.for_filters(row)).matched:
                yield row, at

    def body(self, row: Row, at: datetime) -> bytes:
        """Return the body that PostHog would send for an event."""
        self.clock.micros = _micros(at)
        scope = self.tally.scopes.for_templates(row, self.tally.scopes.for_filters(row))
        source = {"name": self.destination.name, "url": f"{scope['project']['url']}/functions/{self.destination.key}"}
        request = rendered(self.destination.template_id, self.inputs.render({**scope, "source": source}))
        if request is None or request.body is None:
            return b""
        if isinstance(request.body, str):
            return request.body.encode("utf-8", "replace")
        return _json(request.body)

    def _rows(self, frames: Iterable[pl.DataFrame]) -> Iterator[tuple[Row, datetime]]:
        import polars as pl

        for frame in frames:
            time = pl.col("timestamp").dt.convert_time_zone("UTC")
            columns = [
                time.dt.to_string("%Y-%m-%dT%H:%M:%S%.3fZ") if name == "timestamp" else pl.col(name).cast(pl.String)
                for name in frame.columns
            ]
            moments = frame.select(time)["timestamp"]
            for row, at in zip(frame.select(columns).iter_rows(), moments, strict=True):
                self.clock.micros = _micros(at)
                yield row, at


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // _TICK


def _json(value: Any) -> bytes:
    """Return JSON as JavaScript writes it, in which half of a surrogate pair is escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
