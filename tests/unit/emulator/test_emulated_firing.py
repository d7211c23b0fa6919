"""Destinations of the emulator fire: from a captured event to the request that arrives, and to what is counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import pytest
import requests

from posthog_events.emulator.firing import fire
from posthog_events.emulator.hog_state import DeliveryRules
from posthog_events.emulator.world import Limits
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.emulated_world import Clock
from tests.helpers.http_receiver import Receiver, receiver

FAST = DeliveryRules(time_scale=0.001)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNUP = {"events": [{"id": "signup", "type": "events"}]}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[EmulatedPostHog, Clock]]:
    """One server for the module; its clock moves when something sleeps."""
    clock = Clock()
    limits = Limits(rates={})
    with emulator(limits=limits, clock=clock, sleep=clock.sleep) as served:
        yield served, clock


@pytest.fixture
def served(running: tuple[EmulatedPostHog, Clock]) -> Iterator[EmulatedPostHog]:
    """The server without destinations."""
    served, _ = running
    for name in ("hog", "settings"):
        served.project.state.pop(name, None)
    served.world.state.clear()
    served.destinations.rules = FAST
    yield served
    served.drain()


@pytest.fixture
def target() -> Iterator[Receiver]:
    """A receiver that answers 200."""
    with receiver() as kept:
        yield kept


def call(served: EmulatedPostHog, method: str, path: str, body: Any = None, **params: Any) -> Any:
    """Send a request to the API, which must be accepted."""
    answer = requests.request(
        method,
        f"{served.url}/api/projects/{served.project_id}/{path}",
        headers={"Authorization": f"Bearer {served.key}"},
        json=body,
        params=params,
        timeout=30,
    )
    assert answer.ok, answer.text
    return answer.json()


def create(served: EmulatedPostHog, url: str, **changes: Any) -> Any:
    """Create an enabled webhook that posts the event's name and person."""
    inputs = {
        "url": {"value": url},
        "headers": {"value": {"Content-Type": "application/json"}},
        "body": {"value": {"event": "{event.event}", "who": "{person.name}"}},
        **changes.pop("inputs", {}),
    }
    body = {"template_id": "template-webhook", "enabled": True, "inputs": inputs, "filters": SIGNUP, **changes}
    return call(served, "POST", "hog_functions/", body)


def happen(served: EmulatedPostHog, event: str, user: str, properties: Mapping[str, Any] | None = None) -> None:
    """Let an event be visible, without the detour through capture and store."""
    now, properties = served.world.now().isoformat(), properties or {}
    row = {"uuid": str(uuid4()), "event": event, "distinct_id": user, "timestamp": now, "created_at": now}
    person = {"person_id": str(uuid5(NAMESPACE_OID, user)), "person_properties": properties.get("$set", {})}
    fire(served.world, served.project, [{**row, **person, "properties": properties}])


def totals(served: EmulatedPostHog, made: Mapping[str, Any]) -> dict[str, int]:
    """Return what was counted, by name."""
    found: dict[str, int] = call(
        served, "GET", f"hog_functions/{made['id']}/metrics/totals/", breakdown_by="name", after="-30d"
    )["totals"]
    return found


def messages(served: EmulatedPostHog, made: Mapping[str, Any]) -> list[str]:
    """Return a function's log, the oldest first."""
    return [entry.message for entry in served.destinations.logs if entry.function_id == made["id"]]


def test_a_captured_event_that_matches_is_delivered(served: EmulatedPostHog, target: Receiver) -> None:
    """With the person as known at that moment, and without anybody reading events first."""
    made = create(served, target.url + "/hook")
    served.capture("signup", "ann", {"$set": {"email": "ann@example.com"}})
    served.capture("visit", "ann")
    served.drain()

    [got] = target.requests
    assert (got.path, json.loads(got.body)) == ("/hook", {"event": "signup", "who": "ann@example.com"})
    assert totals(served, made) == {"fetch": 1, "filtered": 1, "succeeded": 1, "triggered": 1}
    [delivery] = served.deliveries
    assert (delivery.status, delivery.attempt, delivery.function_id) == (200, 1, made["id"])


def test_the_default_body_is_that_of_posthog(served: EmulatedPostHog, target: Receiver) -> None:
    """`{event}` and `{person}` alone in a text stay objects."""
    create(served, target.url, inputs={"body": {"value": {"event": "{event}", "person": "{person}"}}})
    uuid = "0198f2a4-7c11-7d2e-9a4b-5b1f0c3d2e10"
    served.capture("signup", "bea", {"plan": "free", "$set": {"name": "Bea"}}, uuid=uuid)
    served.drain()

    body = json.loads(target.requests[0].body)
    assert body["event"].keys() == {
        "uuid",
        "event",
        "distinct_id",
        "properties",
        "elements_chain",
        "timestamp",
        "captured_at",
        "url",
    }
    assert (body["event"]["uuid"], body["event"]["properties"]["plan"]) == (uuid, "free")
    assert body["event"]["timestamp"].endswith("Z")
    assert body["event"]["url"].startswith(f"{served.url}/project/{served.project_id}/events/{uuid}/2026-")
    assert body["person"]["name"] == "Bea"
    assert body["person"]["url"] == f"{served.url}/project/{served.project_id}/person/bea"


def test_what_is_off_or_deleted_does_not_fire(served: EmulatedPostHog, target: Receiver) -> None:
    """Nor does a function of another type."""
    create(served, target.url, enabled=False)
    gone = create(served, target.url)
    call(served, "PATCH", f"hog_functions/{gone['id']}/", {"deleted": True})
    create(served, target.url, type="internal_destination")
    served.capture("signup", "cat")
    served.drain()

    assert target.requests == []


def test_an_event_from_before_a_destination_does_not_fire_it(served: EmulatedPostHog, target: Receiver) -> None:
    """Although it becomes visible only when somebody looks."""
    served.capture("signup", "early")
    create(served, target.url)
    served.events()
    served.drain()

    assert target.requests == []


def test_a_failing_receiver_is_tried_three_times(
    running: tuple[EmulatedPostHog, Clock], served: EmulatedPostHog, target: Receiver
) -> None:
    """One to two seconds, then two to three later; after that the event is lost, and the log says why."""
    served.destinations.rules = DeliveryRules()
    target.statuses = [500, 503, 429]
    made = create(served, target.url)
    happen(served, "signup", "dan")
    served.drain()

    first, second, third = served.deliveries
    assert [delivery.status for delivery in served.deliveries] == [500, 503, 429]
    assert timedelta(seconds=1) <= second.at - first.at <= timedelta(seconds=2.1)
    assert timedelta(seconds=2) <= third.at - second.at <= timedelta(seconds=3.1)
    assert totals(served, made) == {"failed": 1, "fetch": 1, "triggered": 1}
    assert messages(served, made)[:3] == [
        "HTTP fetch failed on attempt 1 with status code 500. Retrying.",
        "HTTP fetch failed on attempt 2 with status code 503. Retrying.",
        "HTTP fetch failed on attempt 3 with status code 429.",
    ]
    [outcome] = served.destinations.outcomes
    assert (outcome.status, outcome.error_kind) == ("failed", "http_4xx")


def test_a_second_attempt_may_succeed(served: EmulatedPostHog, target: Receiver) -> None:
    """Then nothing has failed."""
    target.statuses = [502]
    made = create(served, target.url)
    happen(served, "signup", "eve")
    served.drain()

    assert [delivery.attempt for delivery in served.deliveries] == [1, 2]
    assert totals(served, made) == {"fetch": 1, "succeeded": 1, "triggered": 1}


@pytest.mark.parametrize("status", [302, 400, 404, 410, 501])
def test_other_failures_are_final(served: EmulatedPostHog, target: Receiver, status: int) -> None:
    """One attempt."""
    target.statuses = [status]
    made = create(served, target.url)
    happen(served, "signup", "flo")
    served.drain()

    assert len(target.requests) == 1
    assert totals(served, made)["failed"] == 1


def test_deliveries_are_signed_when_there_is_a_secret(served: EmulatedPostHog, target: Receiver) -> None:
    """All attempts with one id; the secret is in no answer and no log."""
    target.statuses = [500]
    made = create(served, target.url, inputs={"signing_secret": {"value": SECRET}, "debug": {"value": True}})
    happen(served, "signup", "gus")
    served.drain()

    first, second = (got.headers for got in target.requests)
    assert first["webhook-id"] == second["webhook-id"] == served.deliveries[0].invocation_id
    assert first["webhook-signature"].startswith("v1,")
    assert SECRET not in "".join(messages(served, made)) + json.dumps(made)


def test_one_event_is_billed_once(served: EmulatedPostHog, target: Receiver) -> None:
    """However many destinations it fires."""
    for _ in range(2):
        create(served, target.url)
    happen(served, "signup", "hal")
    happen(served, "signup", "ida")
    served.drain()

    counted = Counter(metric.name for metric in served.destinations.metrics)
    assert (counted["triggered"], counted["billable_invocation"]) == (4, 2)


def test_masking_limits_how_often_a_person_fires(served: EmulatedPostHog, target: Receiver) -> None:
    """The first one per key; the rest are counted, and not billed."""
    made = create(served, target.url, masking={"hash": "{event.distinct_id}", "ttl": 3600})
    for user in ("kim", "kim", "lea", "kim"):
        happen(served, "signup", user)
    served.drain()

    assert sorted(json.loads(got.body)["who"] for got in target.requests) == ["kim", "lea"]
    assert (totals(served, made)["masked"], totals(served, made)["triggered"]) == (2, 2)
    assert Counter(metric.name for metric in served.destinations.metrics)["billable_invocation"] == 2


def test_inputs_that_cannot_be_made_lose_the_event(served: EmulatedPostHog, target: Receiver) -> None:
    """An unknown global compiles, and fails for every event."""
    made = create(served, target.url, inputs={"body": {"value": {"who": "{distinct_id}"}}})
    happen(served, "signup", "mia")
    served.drain()

    assert target.requests == []
    assert totals(served, made) == {"inputs_failed": 1}
    assert "Error building inputs for event" in messages(served, made)[0]
    assert served.destinations.outcomes[0].error_kind == "inputs_failed"


def test_filters_that_fail_at_run_time_are_counted_apart(served: EmulatedPostHog, target: Receiver) -> None:
    """Such as a pattern that is no RE2: no delivery, an error in the log."""
    where = [{"key": "plan", "type": "event", "operator": "regex", "value": "("}]
    made = create(served, target.url, filters={**SIGNUP, "properties": where})
    happen(served, "signup", "ned", {"plan": "pro"})
    served.drain()

    assert (target.requests, totals(served, made)) == ([], {"filtering_failed": 1})
    assert messages(served, made)[0].startswith("Error filtering event ")


def test_test_accounts_are_excluded_by_the_projects_setting(served: EmulatedPostHog, target: Receiver) -> None:
    """Which lies with the project, not with the function."""
    rule = {"key": "email", "type": "person", "operator": "not_icontains", "value": "@test"}
    served.project.state["settings"] = {"test_account_filters": [rule]}
    create(served, target.url, filters={**SIGNUP, "filter_test_accounts": True})
    happen(served, "signup", "o1", {"$set": {"email": "o@test.com"}})
    happen(served, "signup", "o2", {"$set": {"email": "o@example.com"}})
    served.drain()

    assert [json.loads(got.body)["who"] for got in target.requests] == ["o@example.com"]


def test_mappings_fire_once_for_each_that_matches(served: EmulatedPostHog, target: Receiver) -> None:
    """With inputs of their own over those of the function."""
    schema = [{"key": "body", "type": "json"}]
    mappings = [
        {"inputs_schema": schema, "inputs": {"body": {"value": name}}, "filters": {"events": [event]}}
        for name, event in (
            ("first", {"id": "signup", "type": "events"}),
            ("any", {"id": None, "type": "events"}),
            ("never", {"id": "visit", "type": "events"}),
        )
    ]
    create(served, target.url, filters={}, mappings=mappings)
    happen(served, "signup", "pam")
    served.drain()

    assert sorted(got.body for got in target.requests) == ["any", "first"]


def test_quota_and_watcher_stop_deliveries(served: EmulatedPostHog, target: Receiver) -> None:
    """Counted as failures."""
    made = create(served, target.url)
    served.destinations.quota_limited = True
    happen(served, "signup", "qia")
    served.drain()

    assert (target.requests, totals(served, made)) == ([], {"quota_limited": 1})


def test_private_addresses_are_refused_on_request(served: EmulatedPostHog, target: Receiver) -> None:
    """As PostHog does at send time, without a second attempt."""
    served.destinations.rules = DeliveryRules(refuse_private=True)
    made = create(served, target.url)
    happen(served, "signup", "ray")
    served.drain()

    assert (target.requests, len(served.deliveries)) == ([], 1)
    assert "Hostname is not allowed" in messages(served, made)[0]


def test_duplicates_can_be_asked_for(served: EmulatedPostHog, target: Receiver) -> None:
    """A receiver has to live with them: the same event twice, with one id."""
    served.destinations.rules = DeliveryRules(duplicate=True)
    create(served, target.url, inputs={"signing_secret": {"value": SECRET}})
    happen(served, "signup", "sue")
    served.drain()

    assert len({got.headers["webhook-id"] for got in target.requests}) == 1
    assert len(target.requests) == 2


def test_a_code_that_says_so_is_no_failure(served: EmulatedPostHog, target: Receiver) -> None:
    """Fetch does not fail then; the webhook's own code still does."""
    schema = [
        {"key": "url", "type": "string"},
        {"key": "passing", "type": "non_failure_status_codes"},
    ]
    target.statuses = [404]
    inputs = {"url": {"value": target.url}, "passing": {"value": ["4xx"]}}
    made = create(served, target.url, inputs_schema=schema, inputs=inputs)
    happen(served, "signup", "tom")
    served.drain()

    levels = [entry.level for entry in served.destinations.logs]
    assert levels == ["INFO", "ERROR"]
    assert messages(served, made)[1].endswith("Webhook failed with status 404: {}")


def slack(served: EmulatedPostHog, **changes: Any) -> Any:
    """Create an enabled Slack destination."""
    inputs = {
        "slack_workspace": {"value": 1},
        "channel": {"value": "C0000GENERAL"},
        "text": {"value": "{person.name} signed up"},
        "blocks": {"value": [{"type": "section", "text": {"type": "mrkdwn", "text": "*{person.name}*"}}]},
        **changes,
    }
    body = {"template_id": "template-slack", "enabled": True, "inputs": inputs, "filters": SIGNUP}
    return call(served, "POST", "hog_functions/", body)


def test_slack_gets_a_message(served: EmulatedPostHog) -> None:
    """Through the workspace's integration, at the fake Slack instead of the real one."""
    slack(served)
    happen(served, "signup", "uma")
    served.drain()

    [message] = served.slack.messages
    assert (message.channel, message.text) == ("C0000GENERAL", "uma signed up")
    assert message.blocks == [{"type": "section", "text": {"type": "mrkdwn", "text": "*uma*"}}]
    assert served.deliveries[0].url == "https://slack.com/api/chat.postMessage"


@pytest.mark.parametrize(
    ("channel", "error"),
    [("C0000NOTINVT", "not_in_channel"), ("C9", "channel_not_found"), ("C0000GENERAL|#general", "channel_not_found")],
)
def test_an_error_of_slack_is_final(served: EmulatedPostHog, channel: str, error: str) -> None:
    """It comes with status 200, so nobody tries again."""
    made = slack(served, channel={"value": channel})
    happen(served, "signup", "vic")
    served.drain()

    assert (len(served.deliveries), totals(served, made)["failed"]) == (1, 1)
    assert error in messages(served, made)[0]
    assert "xoxb" not in messages(served, made)[0]


def test_slacks_rate_limit_is_worth_another_attempt(served: EmulatedPostHog) -> None:
    """It is a 429."""
    slack(served)
    served.slack.fail("ratelimited", retry_after=1)
    happen(served, "signup", "wim")
    served.drain()

    assert [delivery.status for delivery in served.deliveries] == [429, 200]
    assert len(served.slack.messages) == 1


def test_long_blocks_are_clipped_by_the_template(served: EmulatedPostHog) -> None:
    """To what Slack takes."""
    text = {"type": "mrkdwn", "text": "x" * 4_000}
    slack(served, blocks={"value": [{"type": "section", "text": text}] * 60})
    happen(served, "signup", "xia")
    served.drain()

    [message] = served.slack.messages
    assert message.blocks is not None
    assert (len(message.blocks), len(message.blocks[0]["text"]["text"])) == (50, 3_000)


def test_an_incoming_webhook_of_slack_is_a_webhook(served: EmulatedPostHog) -> None:
    """Its address is the secret, and it is answered by the fake Slack too."""
    schema = [
        {"key": "url", "type": "string", "required": True, "secret": True},
        {"key": "body", "type": "json"},
    ]
    inputs = {"url": {"value": "https://hooks.slack.com/services/T0/B0/XX"}, "body": {"value": {"text": "hi"}}}
    create(served, "", inputs_schema=schema, inputs=inputs)
    happen(served, "signup", "yan")
    served.drain()

    assert [(one.text, one.via) for one in served.slack.messages] == [("hi", "webhook")]


@pytest.mark.parametrize(
    ("template", "inputs", "address", "body"),
    [
        (
            "template-discord",
            {"content": {"value": "{event.event}"}},
            "https://discord.com/api/webhooks/1/x",
            {"content": "signup", "allowed_mentions": {"parse": []}},
        ),
        (
            "template-microsoft-teams",
            {"text": {"value": "{event.event}"}},
            "https://a.webhook.office.com/webhookb2/x",
            {"type": "message"},
        ),
    ],
)
def test_discord_and_teams_check_the_address_when_they_run(
    served: EmulatedPostHog, target: Receiver, template: str, inputs: dict[str, Any], address: str, body: dict[str, Any]
) -> None:
    """A wrong one is accepted when it is saved."""
    served.destinations.rules = DeliveryRules(stand_ins={"https://discord.com/": f"{target.url}/", address: target.url})
    made = [
        create(served, url, template_id=template, inputs={**inputs, "webhookUrl": {"value": url}})
        for url in (address, "https://example.com/hook")
    ]
    happen(served, "signup", "zoe")
    served.drain()

    assert [totals(served, one).get("failed", 0) for one in made] == [0, 1]
    [got] = target.requests
    assert body.items() <= json.loads(got.body).items()


def test_internal_events_fire_internal_destinations(served: EmulatedPostHog, target: Receiver) -> None:
    """Such as the alert of an insight; they are not billed."""
    filters = {
        "events": [{"id": "$insight_alert_firing", "type": "events"}],
        "properties": [{"key": "alert_id", "value": "a1", "operator": "exact", "type": "event"}],
    }
    body = {"value": "{event.properties.alert_name}"}
    create(served, target.url, type="internal_destination", filters=filters, inputs={"body": body})
    served.internal_event("$insight_alert_firing", {"alert_id": "a1", "alert_name": "Signups low"})
    served.internal_event("$insight_alert_firing", {"alert_id": "a2", "alert_name": "Other"})
    served.drain()

    assert [got.body for got in target.requests] == ["Signups low"]
    assert "billing" not in {metric.kind for metric in served.destinations.metrics}


def test_a_destination_fires_when_the_lag_is_over(
    running: tuple[EmulatedPostHog, Clock], served: EmulatedPostHog, target: Receiver
) -> None:
    """Not before the event is visible."""
    _, clock = running
    create(served, target.url)
    served.world.limits = Limits(rates={}, ingestion_lag_s=5.0)
    before = clock.at
    try:
        served.capture("signup", "abe")
        served.drain()
    finally:
        served.world.limits = Limits(rates={})

    assert len(target.requests) == 1
    assert served.deliveries[0].at - before >= timedelta(seconds=5)


def test_a_real_key_needs_the_scope_of_hog_functions(served: EmulatedPostHog) -> None:
    """The routes are mounted with key and scope; a hard delete is not allowed to anybody."""
    made = create(served, "http://receiver.test")
    path = f"{served.url}/api/projects/{served.project_id}/hog_functions/{made['id']}/"

    assert requests.get(path, timeout=30).status_code == 401
    deleted = requests.delete(path, headers={"Authorization": f"Bearer {served.key}"}, timeout=30)
    assert deleted.status_code == 405
