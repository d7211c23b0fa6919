"""Who uses the product: one `Person` per visitor, with everything about them that chance decides once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TypeVar
from uuid import UUID

from posthog_events.demo.product import (
    ACCOUNT_AGE_DAYS,
    BROWSERS,
    COUNTRIES,
    LAUNCH,
    OLD_USERS,
    PLANS,
    ROLES,
    SOURCES,
    VISITORS_PER_DAY,
    WEEKDAYS,
    Plan,
    Source,
)

__all__ = ["Person", "old_users", "pick", "random_uuid", "visitors"]

T = TypeVar("T")

_COMPANY_SHARE = 0.55
_PAYING_SHARE = 0.22
_ACTIVATED_SHARE = 0.62
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet", "juniper", "keel", "lumen")


@dataclass(slots=True)
class Person:
    """One person, and what they are like.

    Args:
        number: Counts up; makes names.
        first_seen: The first visit, or the signup of an old user.
        company: The group key of their company; empty for none.
        signs_up: Whether the first visit ends in a signup. Old users have signed up already.
        activated: Whether they make the product their own (create a project).
        keenness: Chance to come back on an average day, at first.
        loyalty_days: After this many days the chance has fallen to 37 %.
        plan: The plan they pay for when the time comes; None for those who never pay.
    """

    number: int
    id: UUID
    anonymous_id: str
    first_seen: datetime
    source: Source
    browser: str
    country: str
    role: str
    company: str
    signs_up: bool
    activated: bool
    keenness: float
    loyalty_days: float
    plan: Plan | None
    current_plan: str = "free"

    @property
    def user_id(self) -> str:
        """The distinct id after the signup."""
        return f"user_{self.number:05d}"

    @property
    def email(self) -> str:
        return f"{self.role}.{self.number}@{self.company or 'mail'}.example"


def pick(chance: Random, weighted: Sequence[tuple[T, float]]) -> T:
    """Return one of the values, by weight."""
    return chance.choices([value for value, _ in weighted], [weight for _, weight in weighted])[0]


def random_uuid(chance: Random) -> UUID:
    return UUID(int=chance.getrandbits(128), version=4)


def old_users(chance: Random, start: datetime) -> Iterator[Person]:
    """Yield the people who were there before `start`."""
    for number in range(OLD_USERS):
        age = timedelta(days=ACCOUNT_AGE_DAYS * chance.random() ** 1.5 + 1)
        person = _person(chance, number, start - age, signs_up=True)
        # those who are still there are the loyal ones
        person.activated = True
        person.loyalty_days *= 2.5
        if person.plan and chance.random() < 0.7:
            person.current_plan = person.plan.name
        yield person


def visitors(chance: Random, start: datetime, days: int) -> Iterator[Person]:
    """Yield the people whose first visit falls into the range, in the order of their days."""
    number = OLD_USERS
    first, last = VISITORS_PER_DAY
    launch_day = int(days * LAUNCH[0])
    for day in range(days):
        midnight = start + timedelta(days=day)
        expected = (first + (last - first) * day / max(1, days - 1)) * WEEKDAYS[midnight.weekday()]
        if day == launch_day:
            expected *= LAUNCH[1]
        for _ in range(round(expected * chance.uniform(0.85, 1.15))):
            person = _person(chance, number, midnight + _time_of_day(chance), signs_up=False)
            if day == launch_day and chance.random() < 0.6:
                person.source = SOURCES[-1]
            person.signs_up = chance.random() < person.source.signup
            yield person
            number += 1


def _time_of_day(chance: Random) -> timedelta:
    """Most people come during the working day; UTC stands for everybody's clock."""
    hour = chance.triangular(5, 23.5, 13.5)
    return timedelta(microseconds=int(hour * 3_600_000_000))


def _person(chance: Random, number: int, first_seen: datetime, *, signs_up: bool) -> Person:
    source = chance.choices(SOURCES, [source.weight for source in SOURCES])[0]
    company = ""
    if chance.random() < _COMPANY_SHARE:
        # few companies send many people
        rank = int(chance.paretovariate(0.6))
        company = f"{_WORDS[rank % len(_WORDS)]}-{_WORDS[rank // len(_WORDS) % len(_WORDS)]}-{rank % 180}"
    return Person(
        number=number,
        id=random_uuid(chance),
        anonymous_id=str(random_uuid(chance)),
        first_seen=first_seen,
        source=source,
        browser=pick(chance, BROWSERS),
        country=pick(chance, COUNTRIES),
        role=pick(chance, ROLES),
        company=company,
        signs_up=signs_up,
        activated=chance.random() < _ACTIVATED_SHARE,
        keenness=chance.betavariate(2.2, 3.2),
        loyalty_days=chance.lognormvariate(3.1, 0.7),
        plan=chance.choices(PLANS, [plan.weight for plan in PLANS])[0] if chance.random() < _PAYING_SHARE else None,
    )
