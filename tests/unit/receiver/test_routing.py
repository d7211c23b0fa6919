"""Routing: which handlers get an event, how they are called, and what cannot be a subscription."""

from __future__ import annotations

import functools
import random
from datetime import timedelta
from typing import Any

import pytest

from posthog_events.errors import ConfigError
from posthog_events.receiver.context import Context
from posthog_events.receiver.payload import ReceivedEvent, parse_payload
from posthog_events.receiver.routing import Handler, Retries, Subscription, route, seconds
from tests.helpers.receiving import AT, body_of


def ignore(event: object) -> None:
    """Do nothing."""


def subscription(*events: str, name: str = "one", handler: Handler = ignore, **options: Any) -> Subscription:
    """Return a subscription."""
    return Subscription(name=name, events=events, handler=handler, **options)


def event_of(*args: Any, **options: Any) -> ReceivedEvent:
    """Return a received event."""
    return parse_payload(body_of(*args, **options))


CONTEXT = Context(
    idempotency_key="msg_1:one",
    delivery_id="msg_1",
    attempt=1,
    destination="",
    received_at=AT,
    headers={},
    body=b"",
)


@pytest.mark.parametrize(
    ("patterns", "event", "expected"),
    [
        (("user_signed_up",), "user_signed_up", True),
        (("user_signed_up",), "user_signed_up2", False),
        (("user_signed_up",), "xuser_signed_up", False),
        (("User_signed_up",), "user_signed_up", False),
        (("user_*",), "user_signed_up", True),
        (("user_*",), "user_", True),
        (("user_*",), "a user_x", False),
        (("*_up",), "user_signed_up", True),
        (("u*s*p",), "user_signed_up", True),
        (("*",), "$pageview", True),
        (("*",), "two\nlines", True),
        (("a", "b*"), "bc", True),
        (("a", "b*"), "c", False),
        (("what?",), "what?", True),
        (("what?",), "whatx", False),
        (("[ab]",), "a", False),
        (("[ab]",), "[ab]", True),
        (("$pageview",), "$pageview", True),
        (("a.b",), "axb", False),
        (("a|b",), "a", False),
    ],
)
def test_only_the_star_is_a_wildcard(patterns: tuple[str, ...], event: str, expected: bool) -> None:
    """A pattern is the whole name of an event, in which a star stands for any characters."""
    assert expected == subscription(*patterns).wants(event_of(event=event))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (("amount >= 100",), True),
        (("amount >= 101",), False),
        (("amount >= 100", "plan = pro"), True),
        (("amount >= 100", "plan = free"), False),
        (("person.email not_icontains @example.com",), True),
        (("person.email icontains ADA",), True),
        (("$group_0.industry = finance",), True),
        (("$group_0.industry = retail",), False),
        (("event.distinct_id != user_1",), False),
        (("missing is_not_set",), True),
        (("missing = 1",), False),
    ],
)
def test_conditions_are_those_of_the_declarations(where: tuple[str, ...], expected: bool) -> None:
    """Every condition must hold, on properties of the event, its person, its groups, and its own fields."""
    event = event_of(
        properties={"amount": 100, "plan": "pro"},
        person={"id": "p", "properties": {"email": "ada@lovelace.org"}},
        groups={"company": {"index": 0, "id": "acme", "properties": {"industry": "finance"}}},
    )

    assert expected == subscription("*", where=where).wants(event)


def test_every_handler_that_wants_an_event_is_named_in_order() -> None:
    """Several handlers get one event; those of other events, or with conditions that do not hold, do not."""
    subscriptions = [
        subscription("*", name="all"),
        subscription("purchase", name="other"),
        subscription("user_signed_up", name="pro", where=("plan = pro",)),
        subscription("user_signed_up", name="free", where=("plan = free",)),
        subscription("nothing", "user_*", name="users"),
    ]

    assert ("all", "pro", "users") == route(subscriptions, event_of(properties={"plan": "pro"}))


def test_a_body_without_an_event_goes_to_handlers_of_every_event() -> None:
    """Where no event is read from the body, a handler that names events cannot know it is meant."""
    subscriptions = [subscription("*", name="all"), subscription("user_*", name="users")]

    assert ("all",) == route(subscriptions, None)


def test_an_event_whose_condition_cannot_be_evaluated_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a condition keeps the handler among the names, and the dispatcher can learn why."""
    from posthog_events.hog.filters import CompiledFilters, Verdict

    made = subscription("*", where=("plan = pro",))
    monkeypatch.setattr(
        CompiledFilters, "matches", lambda self, globals_: Verdict("error", "properties[0]", "no pattern")
    )

    assert ("one",) == route([made], event_of(properties={"plan": "free"}))
    assert "properties[0]: no pattern" == made.unevaluable(event_of())


def test_conditions_that_do_not_hold_are_no_error() -> None:
    """Only an error is reported as one."""
    assert "" == subscription("*", where=("plan = pro",)).unevaluable(event_of(properties={"plan": "free"}))


def with_context(event: object, context: object) -> object:
    return context


def with_other_name(event: object, given: object) -> object:
    return given


def with_keyword(event: object, *, context: object) -> object:
    return context


def with_both(event: object, dry_run: bool = False, context: object = None) -> object:
    return (dry_run, context)


def with_default(event: object, dry_run: bool = False) -> object:
    return dry_run


class Service:
    def handle(self, event: object, context: object) -> object:
        return context

    def __call__(self, event: object) -> object:
        return "called"


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (with_context, CONTEXT),
        (with_other_name, CONTEXT),
        (with_keyword, CONTEXT),
        (with_both, (False, CONTEXT)),
        (with_default, False),
        (Service().handle, CONTEXT),
        (Service(), "called"),
        (functools.partial(with_both, dry_run=True), (True, CONTEXT)),
        (lambda event: "event only", "event only"),
        (lambda context: context, None),
        (lambda *all_: len(all_), 1),
    ],
    ids=range(11),
)
def test_a_handler_gets_the_context_when_it_asks_for_it(handler: Handler, expected: object) -> None:
    """A second parameter without a default is the context, and so is one of that name; others are the handler's."""
    assert expected == subscription("*", handler=handler).call(None, CONTEXT)


def generator(event: object) -> Any:
    yield event


async def async_generator(event: object) -> Any:
    yield event


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "<lambda>"}, "cannot be the name of a handler"),
        ({"name": ""}, "cannot be the name of a handler"),
        ({"name": "a" * 101}, "cannot be the name of a handler"),
        ({"events": ()}, "needs the names of its events"),
        ({"events": ("",)}, "needs the names of its events"),
        ({"where": ("amount",)}, "in the condition `amount`"),
        ({"where": (5,)}, "a condition is a text"),
        ({"where": ("plan likes pro",)}, "there is no operator"),
        ({"concurrency": 0}, "a concurrency of at least 1"),
        ({"timeout_s": 0}, "is not a duration"),
        ({"handler": "greet"}, "not a function"),
        ({"handler": lambda: None}, "cannot be called with an event"),
        ({"handler": lambda one, two, three: None}, "cannot be called with an event"),
        ({"handler": lambda event, *, database: None}, "cannot be called with an event"),
        ({"handler": generator}, "`yield`"),
        ({"handler": async_generator}, "`yield`"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_written(options: dict[str, Any], message: str) -> None:
    """A mistake in a subscription is found before the first delivery."""
    good: dict[str, Any] = {"name": "one", "events": ("*",), "handler": ignore}

    with pytest.raises(ConfigError, match=message):
        Subscription(**{**good, **options})


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("30s", 30.0),
        ("500ms", 0.5),
        ("1.5min", 90.0),
        ("2 h", 7_200.0),
        ("1d", 86_400.0),
        (3, 3.0),
        (0.25, 0.25),
        (timedelta(minutes=1), 60.0),
    ],
)
def test_durations(duration: Any, expected: float) -> None:
    """Durations have units, or are seconds."""
    assert expected == seconds(duration)


@pytest.mark.parametrize("duration", ["", "30", "5m", "-1s", 0, -1, True, None, float("inf"), "0s"])
def test_what_is_no_duration(duration: Any) -> None:
    """A number without a unit in a text, minutes that could be months, and nothing are refused."""
    with pytest.raises(ConfigError, match="is not a duration"):
        seconds(duration)


def test_waits_grow_up_to_a_bound() -> None:
    """The wait after attempt n is between half and all of first_s * 2 ** (n - 1), and never more than max_s."""

    class Least(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return a

    class Most(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    retries = Retries(attempts=20, first_s=5, max_s=60)

    assert [5, 10, 20, 40, 60, 60] == [retries.wait_s(attempt, Most()) for attempt in (1, 2, 3, 4, 5, 10_000)]
    assert [2.5, 5, 10, 20, 30] == [retries.wait_s(attempt, Least()) for attempt in (1, 2, 3, 4, 5)]


@pytest.mark.parametrize("options", [{"attempts": 0}, {"attempts": True}, {"first_s": 0}, {"first_s": 10, "max_s": 5}])
def test_retries_that_cannot_be(options: dict[str, Any]) -> None:
    """There is at least one attempt, and waits do not shrink."""
    with pytest.raises(ConfigError):
        Retries(**options)
