"""Simulation over frames: who matches, what masking holds back, what is sent; every number is counted by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from posthog_events.destinations import Slack, Webhook
from posthog_events.destinations.model import Destination
from posthog_events.destinations.simulate import FrameEvents, Simulation, simulate, simulate_all
from posthog_events.errors import HogError, ParameterError

START = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)  # the night in which clocks go forward in Europe
URL = "https://example.com/hook"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def frame(*events: tuple[float, str, str, Mapping[str, Any]]) -> pl.DataFrame:
    """Return events: minute, name, user, properties; the user is the person, known by an address."""
    rows = [
        {
            "uuid": f"00000000-0000-4000-8000-{number:012d}",
            "event": name,
            "timestamp": at(minute),
            "distinct_id": user,
            "properties": json.dumps(properties),
            "elements_chain": "",
            "person_id": f"person-{user}",
            "person_properties": json.dumps({"email": f"{user}@example.com"}),
        }
        for number, (minute, name, user, properties) in enumerate(events)
    ]
    return pl.DataFrame(rows)


def run(destination: Destination, *events: tuple[float, str, str, Mapping[str, Any]], **given: Any) -> Simulation:
    given = {"since": START, "until": at(180), **given}
    return simulate(destination, FrameEvents([frame(*events)]), **given)


def webhook(**more: Any) -> Destination:
    return Webhook("Big", url=URL, **{"events": ["purchase"], **more})


def test_matching_events_are_deliveries_by_hour() -> None:
    """Without masking each match is a delivery; hours are UTC, those without events are left out."""
    found = run(
        webhook(),
        (5, "purchase", "ann", {}),
        (59.99, "purchase", "bob", {}),
        (60, "purchase", "ann", {}),
        (61, "$pageview", "ann", {}),
        (179, "$pageview", "ann", {}),
    )

    assert (5, 3, 0, 3) == (found.seen, found.matched, found.masked, found.delivered)
    assert [(at(0), 2, 2), (at(60), 1, 1), (at(120), 0, 0)] == found.hours.rows()
    assert ["hour", "matched", "delivered"] == found.hours.columns
    assert [("the event is purchase", "events", 2)] == found.rejected.rows()


def test_clauses_that_turned_events_away_are_counted_in_words() -> None:
    """Each event counts for the first condition that it failed."""
    destination = webhook(
        events=[{"event": "purchase", "where": ["amount >= 100", "plan = pro"]}, "refund"],
        where="person.email not_icontains @test.com",
    )
    found = run(
        destination,
        (1, "purchase", "ann", {"amount": 100, "plan": "pro"}),
        (2, "purchase", "ann", {"amount": 99.5, "plan": "pro"}),
        (3, "purchase", "ann", {"amount": "150", "plan": "free"}),
        (4, "purchase", "ann", {}),
        (5, "refund", "ann", {}),
        (6, "login", "ann", {}),
        until=at(60),
    )

    assert 2 == found.matched
    assert [
        ("purchase: amount >= 100", "events[0].properties[0]", 2),
        ("the event is purchase or refund", "events", 1),
        ("purchase: plan = pro", "events[0].properties[1]", 1),
    ] == found.rejected.rows()


def test_conditions_common_to_all_and_test_accounts_are_named() -> None:
    """A property of the whole filter, and one of the project's test accounts, are clauses too."""
    destination = webhook(where="plan = pro", exclude_test_accounts=True)
    tests = [{"key": "email", "value": "bob", "operator": "not_icontains", "type": "person"}]
    events = [
        (1, "purchase", "ann", {}),
        (2, "purchase", "bob", {"plan": "pro"}),
        (3, "purchase", "ann", {"plan": "pro"}),
    ]

    found = run(destination, *events, test_account_filters=tests)

    assert 1 == found.matched
    assert [
        ("plan = pro", "properties[0]", 1),
        ("no test account: person.email not_icontains bob", "test_accounts[0]", 1),
    ] == found.rejected.rows()


def test_masking_lets_the_first_event_of_a_window_through() -> None:
    """Windows begin with the first event of a key, last their time, and are not prolonged."""
    destination = webhook(once_per={"key": "person", "interval": "1h"})

    found = run(
        destination,
        (0, "purchase", "ann", {}),  # fires, window until 60
        (59.99, "purchase", "ann", {}),  # masked
        (30, "purchase", "bob", {}),  # fires: another person
        (60, "purchase", "ann", {}),  # fires: the window has ended
        (119, "purchase", "ann", {}),  # masked
    )

    assert (5, 2, 3) == (found.matched, found.masked, found.delivered)
    assert [(at(0), 3, 2), (at(60), 2, 1)] == found.hours.rows()


def test_threshold_lets_every_nth_event_through() -> None:
    """With a threshold of 3, events 1, 4 and 7 of a key fire within the window."""
    destination = webhook(once_per={"key": "all", "interval": "1d", "every": 3})

    found = run(destination, *((minute, "purchase", "ann", {}) for minute in range(8)), samples=8)

    assert (8, 5, 3) == (found.matched, found.masked, found.delivered)
    assert [at(0), at(3), at(6)] == [sample.at for sample in found.samples]


def test_frames_are_put_in_order_of_time() -> None:
    """Masking depends on the order, so events are sorted."""
    destination = webhook(once_per={"key": "all", "interval": "1h"})

    found = run(destination, (59, "purchase", "ann", {}), (1, "purchase", "ann", {}))

    assert [at(1)] == [sample.at for sample in found.samples]


def test_request_is_rendered_as_it_would_be_sent() -> None:
    """Expressions are evaluated, types are kept, references stand for secrets."""
    destination = webhook(
        headers={"X-Secret": "${env:HOOK_SECRET}", "X-Event": "{event.uuid}"},
        body={
            "who": "{person.name}",
            "amount": "{event.properties.amount}",
            "url": "{event.url}",
            "text": "a {event.event}",
        },
        signing_secret="${env:SIGNING}",
    )

    found = run(destination, (1.5, "purchase", "ann", {"amount": 12.5}))
    (sample,) = found.samples

    assert sample.request is not None
    assert ("POST", URL) == (sample.request.method, sample.request.url)
    uuid = "00000000-0000-4000-8000-000000000000"
    assert {
        "who": "ann@example.com",
        "amount": 12.5,
        "url": f"https://us.posthog.com/project/0/events/{uuid}/2026-03-29T00%3A01%3A30.000Z",
        "text": "a purchase",
    } == sample.request.body
    assert uuid == sample.request.headers["X-Event"]
    assert "${env:HOOK_SECRET}" == sample.request.headers["X-Secret"]
    assert "v1,(made with ${env:SIGNING})" == sample.request.headers["webhook-signature"]
    assert ("events[0]", at(1.5)) == (sample.clause, sample.at)


def test_now_in_a_template_is_the_time_of_the_event() -> None:
    """A stored event renders as it would have when it arrived."""
    destination = webhook(body={"at": "{toString(now())}"})

    found = run(destination, (1.5, "purchase", "ann", {}))

    assert found.samples[0].request is not None
    assert {"at": "2026-03-29T00:01:30.000Z"} == found.samples[0].request.body


def test_slack_message_has_a_preview() -> None:
    """The payload of chat.postMessage, and beside it what a person reads."""
    destination = Slack(
        "Sale",
        channel="C0123ABCDEF",
        events=["purchase"],
        blocks=[
            {"type": "header", "text": {"type": "plain_text", "text": "Sale"}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "*{person.name}* <https://example.com|bought>"}},
            {"type": "divider"},
        ],
        text="sale",
    )

    found = run(destination, (1, "purchase", "ann", {}))
    request = found.samples[0].request

    assert request is not None
    assert "https://slack.com/api/chat.postMessage" == request.url
    assert "C0123ABCDEF" == request.body["channel"]
    assert "*ann@example.com* <https://example.com|bought>" == request.body["blocks"][1]["text"]["text"]
    assert "SALE\n*ann@example.com* bought (https://example.com)\n--------------------" == request.preview
    assert () == request.warnings


def test_message_that_becomes_too_long_is_warned_of() -> None:
    """Only the event shows how long an expression gets: the newest template cuts, Slack refuses."""
    destination = Slack("Sale", channel="C0123ABCDEF", events=["purchase"], message="{event.properties.note}")

    found = run(destination, (1, "purchase", "ann", {"note": "x" * 3001}))
    request = found.samples[0].request

    assert request is not None
    assert "x" * 2999 + "…" == request.body["blocks"][0]["text"]["text"]
    assert any("3,000" in warning or "3000" in warning for warning in request.warnings)


def test_inputs_that_fail_lose_the_event_and_do_not_open_a_window() -> None:
    """PostHog builds inputs before it masks, and counts `inputs_failed`."""
    destination = webhook(body={"x": "{upper(event.properties.plan)}"}, once_per={"key": "all", "interval": "1h"})

    found = run(destination, (1, "purchase", "ann", {}), (2, "purchase", "ann", {"plan": "pro"}))

    assert (2, 1, 0) == (found.matched, found.delivered, found.masked)
    (failure,) = found.failures
    assert ("inputs_failed", 1) == (failure.kind, failure.count)
    assert "00000000-0000-4000-8000-000000000000" in failure.messages[0]
    assert ["fails-on-null"] == [trap.code for trap in found.traps]


def test_filters_that_fail_are_no_rejections() -> None:
    """An expression that names what does not exist fails for every event: `filtering_failed`."""
    filters = {
        "events": [{"id": "purchase", "type": "events"}],
        "properties": [{"type": "hogql", "key": "nothing = 1"}],
    }
    plain = webhook()
    destination = Destination(
        key="k", kind="webhook", name="n", template_id=plain.template_id, inputs=plain.inputs, filters=filters
    )

    found = run(destination, (1, "purchase", "ann", {}), (2, "other", "ann", {}))

    assert (0, 0) == (found.matched, found.delivered)
    assert [("filtering_failed", 1)] == [(failure.kind, failure.count) for failure in found.failures]
    assert [("events", 1)] == found.rejected.select("path", "count").rows()


def test_filters_that_posthog_cannot_compile_are_refused() -> None:
    """The message names the destination."""
    plain = webhook()
    filters = {"actions": [{"id": 7, "type": "actions"}]}
    destination = Destination(
        key="my-key", kind="webhook", name="n", template_id=plain.template_id, inputs=plain.inputs, filters=filters
    )

    with pytest.raises(HogError, match=r"my-key: .*no action 7"):
        run(destination, (1, "purchase", "ann", {}))


def test_actions_and_groups_are_looked_up() -> None:
    """An action's steps decide; a group's key is known from the event."""
    plain = webhook(body={"company": "{groups.company.id}"})
    filters = {"actions": [{"id": 7, "type": "actions"}]}
    destination = Destination(
        key="k", kind="webhook", name="n", template_id=plain.template_id, inputs=plain.inputs, filters=filters
    )
    events = frame((1, "purchase", "ann", {"$groups": {"company": "acme"}}), (2, "other", "ann", {}))

    found = simulate(
        destination,
        FrameEvents([events], group_types={"company": 0}),
        actions={7: [{"event": "purchase"}]},
    )

    assert 1 == found.matched
    assert found.samples[0].request is not None
    assert {"company": "acme"} == found.samples[0].request.body


def test_expectations_say_what_they_come_from() -> None:
    """A month has 30.44 days; a short range is said to be one, and less than an hour says nothing."""
    week = run(webhook(), (1, "purchase", "ann", {}), until=START + timedelta(days=7))
    hours = run(webhook(), (1, "purchase", "ann", {}), until=at(180))
    minutes = run(webhook(), (1, "purchase", "ann", {}), until=at(40))

    assert pytest.approx(30.44 / 7) == week.deliveries.per_month
    assert "about 4 a month, from 1 in 7 days" == str(week.deliveries)
    assert pytest.approx(30.44 * 8) == hours.deliveries.per_month
    assert "less than a day" in str(hours.deliveries)
    assert minutes.deliveries.per_month is None
    assert "too short" in str(minutes.deliveries)
    assert any("seen only from" in note for note in week.notes)


def test_an_event_is_billed_once_however_many_destinations_deliver_it() -> None:
    """Three deliveries of two events: two are billed; PostHog's own events cost nothing."""
    both = webhook()
    large = webhook(events=[{"event": "purchase", "where": "amount > 5"}])
    internal = Webhook("Alert", url=URL, events=["$insight_alert_firing"])
    events = frame(
        (1, "purchase", "ann", {"amount": 9}), (2, "purchase", "ann", {}), (3, "$insight_alert_firing", "ann", {})
    )

    found = simulate_all([both, large, internal], FrameEvents([events]), since=START, until=at(60))

    assert [2, 1, 1] == [one.delivered for one in found.each]
    assert (4, 2) == (found.deliveries.count, found.billed.count)
    assert [2, 1, 0] == [one.billed.count for one in found.each]
    assert any("not billed" in note for note in found.each[2].notes)
    # what none of them wants is counted all the same
    assert [("events", 1)] == found.each[0].rejected.select("path", "count").rows()


def test_events_outside_the_range_do_not_count() -> None:
    """The first moment belongs to the range, the last does not."""
    found = run(webhook(), (0, "purchase", "a", {}), (59, "purchase", "a", {}), (60, "purchase", "a", {}), until=at(60))

    assert 2 == found.seen


def test_no_events_at_all_is_said() -> None:
    """Nothing is known, and nothing fails."""
    found = simulate(webhook(), FrameEvents([]))

    assert (0, 0, ()) == (found.seen, found.delivered, found.samples)
    assert found.deliveries.per_month is None
    assert any("no events" in note for note in found.notes)


def test_frames_without_the_columns_are_refused() -> None:
    """The missing column is named."""
    with pytest.raises(ParameterError, match="no column 'distinct_id'"):
        simulate(webhook(), FrameEvents([frame((1, "a", "b", {})).drop("distinct_id")]))
