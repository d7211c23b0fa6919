"""What people do, day by day, as events."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from posthog_events.demo.people import Person, pick
from posthog_events.demo.product import FEATURES, LANDING_PAGES, PAGES, WEEKDAYS
from posthog_events.demo.rows import Row, Session, new_session, server_row

__all__ = ["life"]

_BILLING = timedelta(days=30)


def life(chance: Random, person: Person, start: datetime, end: datetime) -> Iterator[Row]:
    """Yield the events of one person from `start` to before `end`, in the order in which they happen."""
    if person.first_seen >= start:
        rows = list(_first_visit(chance, person, start))
        yield from rows
        if not person.signs_up:
            return
        signed_up = rows[-1].at
    else:
        signed_up = person.first_seen
    yield from _days(chance, person, signed_up, start, end)


def _first_visit(chance: Random, person: Person, start: datetime) -> Iterator[Row]:
    session = new_session(chance, person, person.first_seen)
    landing = _referral(person)
    yield session.row("$pageview", pick(chance, LANDING_PAGES), landing)
    pages = 1 + min(6, int(chance.expovariate(0.9))) + person.signs_up
    for _ in range(pages - 1):
        yield from _look_around(chance, session, pick(chance, LANDING_PAGES))
    if not person.signs_up:
        return
    yield from _look_around(chance, session, "/signup")
    session.wait(20, 240)
    session.identify()
    yield session.row("$identify", "/signup", {"$anon_distinct_id": person.anonymous_id, "$set": session.person_now()})
    yield session.row("user_signed_up", "/signup", landing | {"method": pick(chance, (("email", 0.6), ("sso", 0.4)))})


def _referral(person: Person) -> dict[str, Any]:
    source = person.source
    domain = source.referrer if source.referrer == "$direct" else source.referrer.split("/")[2]
    referral = {"$referrer": source.referrer, "$referring_domain": domain}
    if source.utm:
        referral |= dict(zip(("utm_source", "utm_medium", "utm_campaign"), source.utm, strict=True))
    return referral


def _look_around(chance: Random, session: Session, page: str) -> Iterator[Row]:
    session.wait(4, 90)
    if chance.random() < 0.25:
        yield session.row("$autocapture", session.page, {"$event_type": "click", "tag": "a"})
        session.wait(0.2, 2)
    yield session.row("$pageview", page)


def _days(chance: Random, person: Person, signed_up: datetime, start: datetime, end: datetime) -> Iterator[Row]:
    """Yield what happens after the signup: returns that become rarer, a first project, paying, cancelling."""
    has_project = person.first_seen < start
    pays_after = chance.lognormvariate(2.0, 0.8) if person.plan else math.inf
    next_bill: datetime | None = None
    if person.plan and person.current_plan != "free":
        next_bill = start + timedelta(days=chance.random() * _BILLING.days)
    day = max(signed_up, start).replace(hour=0, minute=0, second=0, microsecond=0)
    # most of those who start do so within the hour
    moment = signed_up + timedelta(seconds=chance.uniform(60, 2400)) if signed_up >= start else None
    while day < end:
        age = (day - signed_up) / timedelta(days=1)
        comes = person.keenness * math.exp(-max(0.0, age) / person.loyalty_days) * WEEKDAYS[day.weekday()]
        if moment is None and chance.random() < comes:
            moment = day + timedelta(hours=chance.triangular(6, 22, 11))
        if moment is not None and moment < end:
            wants_to_pay = person.current_plan == "free" and age >= pays_after and has_project
            yield from _work(chance, person, moment, start, end, first_project=person.activated and not has_project)
            has_project = has_project or person.activated
            if wants_to_pay and person.plan:
                person.current_plan = person.plan.name
                next_bill = moment + timedelta(minutes=chance.uniform(4, 20))
                yield server_row(chance, person, next_bill, "subscription_started", {"plan": person.plan.name})
        if next_bill and next_bill < day + timedelta(days=1) and next_bill < end:
            yield from _bill(chance, person, next_bill)
            next_bill = next_bill + _BILLING if person.current_plan != "free" else None
        day += timedelta(days=1)
        moment = None


def _work(
    chance: Random, person: Person, moment: datetime, start: datetime, end: datetime, *, first_project: bool
) -> Iterator[Row]:
    session = new_session(chance, person, moment)
    session.identify()
    yield session.row("$pageview", "/app")
    if first_project:
        session.wait(30, 400)
        yield session.row(
            "project_created", "/app/boards", {"template": pick(chance, (("blank", 0.5), ("kanban", 0.5)))}
        )
        if chance.random() < 0.35:
            session.wait(20, 300)
            yield session.row("member_invited", "/app/settings", {"count": chance.randint(1, 4)})
    into = (moment - start) / (end - start)
    paid = person.current_plan != "free"
    weights = [_interest(feature.weights[paid], feature.since, into) for feature in FEATURES]
    for _ in range(1 + int(chance.expovariate(0.42 if paid else 0.6))):
        session.wait(15, 420)
        if chance.random() < 0.45:
            yield from _look_around(chance, session, pick(chance, PAGES))
        feature = chance.choices(FEATURES, weights)[0]
        yield session.row(
            "feature_used", session.page, {"feature": feature.name, "duration_ms": chance.randint(40, 9000)}
        )


def _interest(weight: float, since: float, into: float) -> float:
    """A new feature is taken up over a quarter of the range."""
    return weight if since == 0 else weight * min(1.0, max(0.0, (into - since) / 0.25))


def _bill(chance: Random, person: Person, moment: datetime) -> Iterator[Row]:
    assert person.plan is not None
    seats = 1 + int(chance.expovariate(0.5)) if person.company else 1
    amount = round(person.plan.price * seats, 2)
    moment += timedelta(seconds=chance.uniform(1, 30))
    yield server_row(
        chance,
        person,
        moment,
        "purchase",
        {"amount": amount, "currency": "EUR", "seats": seats, "plan": person.plan.name},
    )
    if chance.random() < 0.09:
        moment += timedelta(seconds=chance.uniform(600, 20_000))
        yield server_row(chance, person, moment, "subscription_cancelled", {"plan": person.plan.name})
        person.current_plan = "free"
        person.plan = None
