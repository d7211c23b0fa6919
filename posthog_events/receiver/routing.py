"""Which handlers get an event, and how each of them is run. No IO.

What routing decides is stored with the delivery, so a handler that is added later gets the deliveries after it, and one
whose conditions were changed still gets what was routed to it before.

A condition that cannot be evaluated for an event (a pattern over something that is no text, say) is no reason to lose
it: the handler is among the names, and the dispatcher, which meets the same error, makes it a dead letter with that
error. Once the condition is corrected it can be retried.
"""

from __future__ import annotations

import inspect
import math
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from posthog_events.errors import ConfigError, HogError
from posthog_events.receiver.context import Context
from posthog_events.receiver.payload import ReceivedEvent

if TYPE_CHECKING:
    from posthog_events.hog.filters import CompiledFilters

__all__ = ["DEFAULT_RETRIES", "DEFAULT_TIMEOUT_S", "Handler", "Retries", "Subscription", "route", "seconds"]

Handler = Callable[..., Any]
"""A function of the event, or of the event and the `Context`; what it returns is awaited if it can be."""

DEFAULT_TIMEOUT_S: Final = 30.0
DEFAULT_CONCURRENCY: Final = 8

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)", re.ASCII)
_UNIT_S = {"ms": 0.001, "s": 1, "min": 60, "h": 3_600, "d": 86_400}


def seconds(duration: str | float | timedelta) -> float:
    """Return a duration such as `30s`, `1.5min`, 30 or a timedelta in seconds.

    Raises:
        ConfigError: It is none, or not longer than nothing.
    """
    found: float | None = None
    if isinstance(duration, timedelta):
        found = duration.total_seconds()
    elif isinstance(duration, str) and (match := _DURATION.fullmatch(duration.strip())):
        found = float(match[1]) * _UNIT_S[match[2]]
    elif isinstance(duration, int | float) and not isinstance(duration, bool):
        found = float(duration)
    if found is None or not 0 < found < math.inf:
        raise ConfigError(f"{duration!r} is not a duration; write 30s, 500ms, 2min, 1h or a number of seconds above 0")
    return found


@dataclass(frozen=True, slots=True)
class Retries:
    """When a handler that failed is run again: after attempt n,

        uniform(0.5, 1) * min(max_s, first_s * 2 ** (n - 1))    seconds

    With the defaults the attempts are spread over three to six hours: longer than most outages of a service, and short
    enough that somebody is still there who remembers the deployment that broke it.

    Args:
        attempts: Runs in all, the first one included; after the last the delivery is a dead letter.
        first_s: Seconds.
        max_s: Seconds.
    """

    attempts: int = 15
    first_s: float = 5.0
    max_s: float = 3_600.0

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or self.attempts < 1:
            raise ConfigError(f"a handler needs at least one attempt, not {self.attempts!r}")
        if not 0 < self.first_s <= self.max_s < math.inf:
            raise ConfigError(f"the waits between attempts grow from {self.first_s!r} to {self.max_s!r} seconds: no")

    def wait_s(self, attempt: int, rng: random.Random) -> float:
        """Return the seconds between the failure of an attempt (from 1) and the next one."""
        # the exponent is bounded because 2.0 ** 2000 is an error
        return rng.uniform(0.5, 1.0) * min(self.max_s, self.first_s * 2.0 ** min(attempt - 1, 60))


DEFAULT_RETRIES: Final = Retries()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A handler and what it wants.

    Args:
        name: Under which its outcomes are kept; a new name is a new handler, to which nothing was routed yet.
        events: Names of events, in which `*` stands for any characters.
        where: Conditions on properties in the short form of the declarations, such as `amount >= 100`; all must hold.
        ordered: The events of one person come one after the other, in the order of their arrival. One that fails holds
            back the later ones of its person until it worked or is a dead letter.
        timeout_s: How long one attempt may take.
        concurrency: How many attempts may run at a time. Each handler has its own, so that one that hangs does not
            hold up the others.

    Raises:
        ConfigError: One of them cannot be used.
    """

    name: str
    events: tuple[str, ...]
    handler: Handler = field(repr=False)
    where: tuple[str, ...] = ()
    ordered: bool = False
    timeout_s: float = DEFAULT_TIMEOUT_S
    retries: Retries = DEFAULT_RETRIES
    concurrency: int = DEFAULT_CONCURRENCY

    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _filters: CompiledFilters | None = field(init=False, repr=False, compare=False)
    _context_by: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"{self.name!r} cannot be the name of a handler: up to 100 letters, digits and any of _.:-; give name="
            )
        if not self.events or not all(isinstance(event, str) and event for event in self.events):
            raise ConfigError(f"the handler {self.name} needs the names of its events; `*` is every event")
        if isinstance(self.concurrency, bool) or not isinstance(self.concurrency, int) or self.concurrency < 1:
            raise ConfigError(f"the handler {self.name} needs a concurrency of at least 1, not {self.concurrency!r}")
        object.__setattr__(self, "timeout_s", seconds(self.timeout_s))
        object.__setattr__(self, "_pattern", _pattern(self.events))
        object.__setattr__(self, "_filters", _filters(self.where, f"the handler {self.name}"))
        object.__setattr__(self, "_context_by", _context_by(self.handler, self.name))

    def wants(self, event: ReceivedEvent | None) -> bool:
        """Return whether the handler gets an event; also when a condition cannot be evaluated.

        Args:
            event: None for a body that holds none: only a handler of every event (`*`) gets it.
        """
        if not self._pattern.fullmatch("" if event is None else event.name):
            return False
        if self._filters is None or event is None:
            return True
        return self._filters.matches(event_globals(event)).outcome != "rejected"

    def unevaluable(self, event: ReceivedEvent | None) -> str:
        """Return why the conditions cannot be evaluated for an event; empty when they can."""
        if self._filters is None or event is None:
            return ""
        verdict = self._filters.matches(event_globals(event))
        return f"{verdict.clause}: {verdict.message}" if verdict.outcome == "error" else ""

    def call(self, event: ReceivedEvent | None, context: Context) -> Any:
        """Call the handler and return what it returns, which may be awaitable."""
        if self._context_by == "keyword":
            return self.handler(event, context=context)
        return self.handler(event, context) if self._context_by == "position" else self.handler(event)


def route(subscriptions: Iterable[Subscription], event: ReceivedEvent | None) -> tuple[str, ...]:
    """Return the names of the handlers that get an event, in the order of the subscriptions."""
    return tuple(subscription.name for subscription in subscriptions if subscription.wants(event))


def event_globals(event: ReceivedEvent) -> dict[str, Any]:
    """Return what PostHog's filters see of an event, as far as the body tells."""
    inner = event.extra.get("event")
    inner = inner if isinstance(inner, dict) else event.extra
    person = event.person
    return {
        "event": {
            "event": event.name,
            "uuid": event.uuid,
            "distinct_id": event.distinct_id,
            "properties": event.properties,
            "timestamp": None if event.timestamp is None else event.timestamp.isoformat(),
            "elements_chain": inner.get("elements_chain"),
        },
        "person": None
        if person is None
        else {"id": person.id, "name": person.name, "url": person.url, "properties": person.properties},
        "groups": {name: group for name, group in event.groups.items() if isinstance(group, dict)},
    }


def _pattern(events: Sequence[str]) -> re.Pattern[str]:
    # only `*` is special: question marks and brackets are allowed in the names of events
    return re.compile("|".join(".*".join(map(re.escape, event.split("*"))) for event in events), re.DOTALL)


def _filters(where: Sequence[str], owner: str) -> CompiledFilters | None:
    if not where:
        return None
    from posthog_events.destinations.conditions import parse_condition
    from posthog_events.hog.filters import compile_filters

    items = []
    for condition in where:
        if not isinstance(condition, str):
            raise ConfigError(f"{owner}: a condition is a text such as `amount >= 100`, not {condition!r}")
        try:
            items.append(parse_condition(condition))
        except ValueError as error:
            raise ConfigError(f"{owner}: in the condition `{condition}`, {error}") from error
    try:
        return compile_filters({"properties": items})
    except HogError as error:
        raise ConfigError(f"{owner}: {error.message}") from error


def _context_by(handler: Handler, name: str) -> str:
    """Return how a handler takes the context: by `position`, by `keyword`, or not at all (empty)."""
    if not callable(handler):
        raise ConfigError(f"the handler {name} is a {type(handler).__name__}, not a function")
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise ConfigError(f"the handler {name} has a `yield` in it, so calling it would do nothing")
    try:
        parameters = inspect.signature(handler).parameters.values()
    except ValueError:  # some that are written in C have none
        return ""
    by_position = [it for it in parameters if it.kind in (it.POSITIONAL_ONLY, it.POSITIONAL_OR_KEYWORD)]
    required = [it for it in by_position if it.default is it.empty]
    named = any(it.name == "context" and it.kind in (it.POSITIONAL_OR_KEYWORD, it.KEYWORD_ONLY) for it in parameters)
    others = [it.name for it in parameters if it.kind is it.KEYWORD_ONLY and it.default is it.empty]
    takes_event = bool(by_position) or any(it.kind is it.VAR_POSITIONAL for it in parameters)
    if not takes_event or len(required) > 2 or set(others) - {"context"}:
        raise ConfigError(f"the handler {name} cannot be called with an event, or with an event and a context")
    if len(required) == 2:
        return "position"
    # a second parameter with a default is the handler's own, unless it is called so
    return "keyword" if named and by_position[0].name != "context" else ""
