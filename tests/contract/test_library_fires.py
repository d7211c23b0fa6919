"""The shipped library on an emulated PostHog: every declaration is accepted, fires for its event, and for no near miss.

Its twin `tests/unit/destinations/test_library_declarations.py` evaluates the same examples without a server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from posthog_events.destinations import Destination, Secrets, body_of, declared_body, diff, normalise, read_declarations
from posthog_events.destinations.pulling import pull, write_pulled
from posthog_events.emulator.fake_slack import Channel
from posthog_events.emulator.hog_state import DeliveryRules
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.http_receiver import Receiver, receiver
from tests.helpers.library_events import ADA, EXAMPLES, PROJECT_URL

standardwebhooks = pytest.importorskip("standardwebhooks", reason="standardwebhooks is in the dev extra")

DECLARED: dict[str, Destination] = {
    one.key: one for one in read_declarations([Path(__file__).parents[2] / "destinations"])
}
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = datetime(2026, 8, 20, 10, 15, 30, 123_000, tzinfo=UTC)
TEST_ACCOUNTS = [{"key": "is_test", "value": ["yes"], "operator": "is_not", "type": "person"}]


@pytest.fixture(scope="module")
def target() -> Iterator[Receiver]:
    """What stands in for the services that webhooks go to."""
    with receiver() as kept:
        yield kept


@pytest.fixture(scope="module")
def posthog(target: Receiver) -> Iterator[EmulatedPostHog]:
    """Lend an emulated PostHog whose Slack has the example's channel."""
    rules = DeliveryRules(
        time_scale=0.01,
        stand_ins={"https://billing.example.com": target.url, "https://example.com": target.url},
    )
    with emulator(delivery=rules) as served:
        served.slack.channels.append(Channel("C0123ABCDEF", "notifications"))
        served.project.state.setdefault("settings", {})["test_account_filters"] = TEST_ACCOUNTS
        yield served


def call(posthog: EmulatedPostHog, method: str, path: str, body: Any) -> Any:
    """Send a request that must be accepted."""
    url = f"{posthog.url}/api/projects/{posthog.project_id}/{path}"
    answer = requests.request(method, url, json=body, headers={"Authorization": f"Bearer {posthog.key}"}, timeout=30)
    assert answer.ok, answer.text
    return answer.json()


def happen(posthog: EmulatedPostHog, event: str, properties: Any, person: Any, user: str, *, uuid: str) -> None:
    """Let an event happen: PostHog's own are its own."""
    if event.startswith(("$insight_", "$error_")):
        posthog.internal_event(event, properties)
    else:
        posthog.capture(event, user, {**properties, "$set": person}, timestamp=AT, uuid=uuid)


@pytest.mark.parametrize("key", EXAMPLES)
def test_declaration_fires_for_its_event_alone(posthog: EmulatedPostHog, target: Receiver, key: str) -> None:
    """Created as it is declared, it delivers the expected message once, and nothing for the near misses."""
    example, declared = EXAMPLES[key], DECLARED[key]
    environ = {"SUBSCRIPTIONS_SIGNING_SECRET": SIGNING, "SUBSCRIPTIONS_KEY": "k-1", "WEBHOOK_SECRET": "w-1"}
    secrets = Secrets.find([declared], environ={**environ, "SLACK_WEBHOOK_URL": posthog.slack.webhook_url})
    row = call(posthog, "POST", "hog_functions/", body_of(declared, secrets, slack_workspace=1))
    requests_before, messages_before = len(target.requests), len(posthog.slack.messages)
    number = list(EXAMPLES).index(key)
    uuid = f"0198f2a4-0000-7000-8000-{number:012d}"
    try:
        for at, (event, properties, person) in enumerate(example.misses):
            miss = f"0198f2a4-0000-7000-8000-{number:06d}{at + 1:06d}"
            happen(posthog, event, properties, person, f"miss-{number}-{at}", uuid=miss)
        happen(posthog, example.event, example.properties, ADA, f"user-{number}", uuid=uuid)
        posthog.drain()
    finally:
        call(posthog, "PATCH", f"hog_functions/{row['id']}/", {"enabled": False})

    assert all(one.status == 200 for one in posthog.deliveries)
    if example.body:
        [got] = target.requests[requests_before:]
        said = {"id": uuid, "uuid": uuid, "distinct_id": f"user-{number}"}
        wanted = {**example.body, **{name: value for name, value in said.items() if name in example.body}}
        sent = json.loads(got.body)
        # the server adds what it knows of a person to the event, as PostHog does
        sent["properties"] = {name: sent["properties"].get(name) for name in example.properties}
        assert wanted == sent
        assert [] == posthog.slack.messages[messages_before:]
    else:
        [message] = posthog.slack.messages[messages_before:]
        text = example.text.replace(PROJECT_URL, f"{posthog.url}/project/{posthog.project_id}")
        assert text.replace("/person/u_1", f"/person/user-{number}") == message.blocks[0]["text"]["text"]
        assert requests_before == len(target.requests)


def test_signed_webhook_convinces_a_foreign_verifier(posthog: EmulatedPostHog, target: Receiver) -> None:
    """Signature and secret header of the subscription webhook are what a receiver expects."""
    declared = DECLARED["subscription-webhook"]
    secrets = Secrets.find([declared], environ={"SUBSCRIPTIONS_SIGNING_SECRET": SIGNING, "SUBSCRIPTIONS_KEY": "k-1"})
    row = call(posthog, "POST", "hog_functions/", body_of(declared, secrets))
    before = len(target.requests)
    try:
        posthog.capture("subscription_started", "signed", {"plan": "team", "$set": ADA})
        posthog.drain()
    finally:
        call(posthog, "PATCH", f"hog_functions/{row['id']}/", {"enabled": False})

    [got] = target.requests[before:]
    checked = standardwebhooks.Webhook(SIGNING).verify(got.body, dict(got.headers))
    assert "subscription_started" == checked["event"]
    assert "Bearer k-1" == got.headers["authorization"]


def test_digest_comes_once_however_often_it_happens(posthog: EmulatedPostHog) -> None:
    """Three failed payments of two people are one message."""
    declared = DECLARED["filter-digest"]
    row = call(posthog, "POST", "hog_functions/", body_of(declared, Secrets({}), slack_workspace=1))
    before = len(posthog.slack.messages)
    try:
        for amount, user in ((12, "ann"), (13, "ben"), (14, "ann")):
            posthog.capture("payment_failed", user, {"amount": amount})
        posthog.drain()
    finally:
        call(posthog, "PATCH", f"hog_functions/{row['id']}/", {"enabled": False})

    [message] = posthog.slack.messages[before:]
    assert message.text is not None
    assert message.text.startswith("Payments fail today. The first: 12 by ")


def test_library_is_pulled_as_it_was_declared(posthog: EmulatedPostHog, tmp_path: Path) -> None:
    """What a server answers for each declaration becomes a file that says the same, secrets by reference."""
    environ = {"SUBSCRIPTIONS_SIGNING_SECRET": SIGNING, "SUBSCRIPTIONS_KEY": "k-12345", "WEBHOOK_SECRET": "w-12345"}
    environ["SLACK_WEBHOOK_URL"] = posthog.slack.webhook_url
    secrets = Secrets.find(DECLARED.values(), environ=environ)
    bodies = [body_of(one, secrets, slack_workspace=1) for one in DECLARED.values()]
    rows = [call(posthog, "POST", "hog_functions/", body) for body in bodies]
    for row in rows:
        call(posthog, "PATCH", f"hog_functions/{row['id']}/", {"enabled": False})

    pulled = pull(rows)
    report = write_pulled(pulled, tmp_path)

    assert [((), ())] * len(rows) == [(one.reasons, one.notes) for one in pulled]
    assert {f"{key}.yaml" for key in DECLARED} == {path.name for path in report.written}
    for row, one in zip(rows, read_declarations(report.written), strict=True):
        found = diff(normalise(declared_body(one, "")), normalise(row)).changes
        assert [] == [change.path for change in found if change.path != "secrets"]
        assert DECLARED[one.key].kind == one.kind
    text = "".join(path.read_text() for path in report.written)
    assert not [secret for secret in secrets.values() if secret in text]
    assert {"SUBSCRIPTIONS_KEY", "WEBHOOK_SECRET"} < {variable.ref.name for variable in report.variables}
