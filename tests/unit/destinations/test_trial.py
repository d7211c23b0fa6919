"""Trying destinations out, with events that are made to fire them, against the emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from posthog_events.destinations import SecretRef, Secrets, Slack, Webhook, body_of
from posthog_events.destinations.model import Destination
from posthog_events.destinations.sample import SAMPLE_PROPERTY, sample_globals
from posthog_events.destinations.trial import Trial, try_destination
from posthog_events.emulator.hog_state import DeliveryRules
from posthog_events.emulator.world import Limits
from posthog_events.errors import ApiError, ConfigError
from posthog_events.hog.filters import compile_filters
from posthog_events.posthog.client import ApiClient
from posthog_events.posthog.hog_functions import create_function, get_function
from posthog_events.posthog.host import parse_host
from posthog_events.posthog.http import Request
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.emulated_world import NOW, Clock
from tests.helpers.fake_api import FakeApi
from tests.helpers.http_receiver import Receiver, receiver

NONE = Secrets({})
SECRET = 's3cr3t-"quoted"'
OTHER = "another-secret"


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[EmulatedPostHog, ApiClient]]:
    """One server for the module, and a client that never waits."""
    clock = Clock()
    with emulator(limits=Limits(rates={}), clock=clock, sleep=clock.sleep) as served:
        yield served, ApiClient(parse_host(served.url), served.project_id, served.key, sleep=clock.sleep)


@pytest.fixture
def served(running: tuple[EmulatedPostHog, ApiClient]) -> EmulatedPostHog:
    """The server without destinations."""
    running[0].project.state.pop("hog", None)
    running[0].world.state.clear()
    running[0].destinations.rules = DeliveryRules(time_scale=0.001)
    return running[0]


@pytest.fixture
def api(running: tuple[EmulatedPostHog, ApiClient], served: EmulatedPostHog) -> ApiClient:
    """A client of that server."""
    return running[1]


@pytest.fixture
def target() -> Iterator[Receiver]:
    """A receiver that answers 200."""
    with receiver() as kept:
        yield kept


def hook(url: str = "https://a.example.com/h", **options: Any) -> Destination:
    """Return a webhook with a small body."""
    options = {"events": ["signup"], "body": {"event": "{event.event}", "who": "{person.name}"}, **options}
    return Webhook("Crm", url=url, **options)


def keyed(url: str) -> Destination:
    """Return the same with a secret header, which also stands in the body."""
    header = {"X-Key": "${env:KEY}"}
    return hook(url, headers=header, body={"text": "{event.event}", "line": "a\nb", "q": "https://x.io/?page=2"})


def keys(value: str = SECRET) -> Secrets:
    """Return the secret of that header."""
    return Secrets({SecretRef("env", "KEY"): value})


def sample(destination: Destination) -> Any:
    """Return a fitting event."""
    found = sample_globals(destination, now=NOW)
    assert "" == found.misfit
    return found.globals


def tried(api: Any, destination: Destination, secrets: Secrets = NONE, **options: Any) -> Trial:
    """Try a destination out on an event that fits."""
    return try_destination(api, destination, secrets, globals_=sample(destination), **options)


def test_it_says_what_would_be_sent_and_sends_nothing(api: ApiClient, target: Receiver) -> None:
    """Of a declaration that PostHog does not have yet."""
    trial = tried(api, hook(target.url + "/h"))

    [request] = trial.requests
    assert ("POST", target.url + "/h") == (request.method, request.url)
    assert {"event": "signup", "who": "sample@example.com"} == request.body
    assert "application/json" == request.headers["Content-Type"]
    assert ("success", True, True) == (trial.status, trial.delivered, trial.mock)
    assert any("nothing was sent" in note for note in trial.notes)
    assert [] == target.requests


def test_it_can_send_for_real(api: ApiClient, target: Receiver) -> None:
    """Once, to the receiver that the declaration names."""
    trial = tried(api, hook(target.url), mock=False)

    assert ['{"event":"signup","who":"sample@example.com"}'] == [request.body for request in target.requests]
    assert ("success", False, ()) == (trial.status, trial.failed, trial.notes)


def test_the_declaration_is_tried_and_not_what_is_live(api: ApiClient, target: Receiver) -> None:
    """What is stored stays as it is."""
    live = create_function(api, body_of(hook(target.url + "/old"), NONE))
    tried(api, hook(target.url + "/new"), row=live, mock=False)

    assert ["/new"] == [request.path for request in target.requests]
    assert live == get_function(api, live["id"])


def test_a_stored_secret_is_used_when_it_is_ours(api: ApiClient, target: Receiver) -> None:
    """It does not travel again, and the receiver gets it."""
    destination = keyed(target.url)
    live = create_function(api, body_of(destination, keys()))
    sent: list[Request] = []

    class Watched:
        origin, project_id = api.origin, api.project_id

        def send(self, request: Request) -> Any:
            sent.append(request)
            return api.send(request)

    tried(Watched(), destination, keys(), row=live, mock=False)

    assert SECRET not in repr([request.json for request in sent])
    assert json.dumps(SECRET) not in json.dumps([request.json for request in sent])
    assert [SECRET] == [request.headers["x-key"] for request in target.requests]


def test_another_secret_is_tried_before_it_is_stored(api: ApiClient, target: Receiver) -> None:
    """A new secret is the reason for a test, often."""
    destination = keyed(target.url)
    live = create_function(api, body_of(destination, keys()))
    tried(api, destination, keys(OTHER), row=live, mock=False)

    assert [OTHER] == [request.headers["x-key"] for request in target.requests]


def test_a_secret_that_is_not_stored_is_sent_along() -> None:
    """The mark alone does not make it so: somebody may have removed the input."""
    destination = keyed("https://x.io/h")
    body = body_of(destination, keys())
    schema = [*body["inputs_schema"], {"key": "more", "type": "string", "secret": False}]
    api = answering(logs=[])
    live = {"id": "f", "description": body["description"], "inputs": {}, "inputs_schema": schema}
    tried(api, destination, keys(), row=live)

    [(name, _)] = destination.secrets.items()
    assert {"value": SECRET} == api.sent[0].json["configuration"]["inputs"][name]


def test_an_input_that_the_live_one_does_not_know_is_tried(api: ApiClient, target: Receiver) -> None:
    """A function keeps the inputs that it was created with, so the new ones are sent along."""
    live = create_function(api, body_of(hook(target.url), NONE))
    tried(api, keyed(target.url), keys(OTHER), row=live, mock=False)

    assert [OTHER] == [request.headers["x-key"] for request in target.requests]


def answering(*, logs: list[str], errors: list[str] | None = None) -> FakeApi:
    """Return a PostHog that quotes what it likes."""
    lines = [{"timestamp": NOW.isoformat(), "level": "info", "message": message} for message in logs]
    status = "error" if errors else "success"
    template = {"id": "template-webhook", "code": "return", "inputs_schema": []}
    return FakeApi(
        lambda request: (
            template
            if "templates" in request.path
            else {"status": status, "errors": errors or [], "logs": lines, "result": None}
        )
    )


@pytest.mark.parametrize("secret", ['s3cr3t-"k3y"', "plain-k3y", "a k3y/c", "k3y-schlüssel", "back\\k3y"])
def test_no_secret_comes_out(secret: str) -> None:
    """Neither in requests, however it is written there, nor in logs and errors."""
    arguments = {"headers": {"X-Key": secret, "Plain": secret}, "body": {"text": f"is {secret}", secret: [secret]}}
    quoted = quote(secret, safe="")
    messages = [
        "Async function 'fetch' was mocked with arguments:",
        f"fetch('https://x.io/{quoted}', {json.dumps(arguments, indent=2)})",
        json.dumps(arguments),
        json.dumps(arguments, ensure_ascii=False),
        f"plainly {secret}",
    ]
    destination = keyed("https://x.io/h")
    trial = tried(answering(logs=messages, errors=[f"Error: {secret}"]), destination, keys(secret))

    assert "k3y" not in repr(trial)
    [request] = trial.requests
    assert {"text": "is …", "…": ["…"]} == request.body


def test_a_refusal_that_quotes_a_secret_does_not_show_it() -> None:
    """Not in the message, not in what programs read, and not in the error before it."""

    def answer(request: Request) -> object:
        if "templates" in request.path:
            return {"id": "template-webhook", "code": "return", "inputs_schema": []}
        raise ApiError(
            "refused", status=400, extra={"configuration": {"inputs": {"secret_1": [f"Invalid template: {OTHER}"]}}}
        )

    with pytest.raises(ApiError, match="Invalid template") as caught:
        tried(FakeApi(answer), keyed("https://x.io/h"), keys(OTHER))
    assert OTHER not in repr((caught.value, vars(caught.value)))
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)
    assert "inputs__secret_1" == caught.value.attr


def test_what_would_be_sent_is_shown_to_the_letter(api: ApiClient) -> None:
    """Line breaks and the query of an address in the body are the receiver's, and no secret of ours."""
    [request] = tried(api, keyed("https://x.io/h"), keys()).requests

    assert {"text": "signup", "line": "a\nb", "q": "https://x.io/?page=2"} == request.body


def test_the_token_of_slack_is_not_shown(api: ApiClient) -> None:
    """PostHog puts it into the request, and its log may have it."""
    destination = Slack("Big", channel="C0123ABCD", message="{event.event}", events=["signup"])
    trial = tried(api, destination, slack_workspace=1)
    arguments = {"headers": {"Authorization": "Bearer xoxb-1-abcdefgh"}, "body": {}}
    log = f"fetch('https://slack.com/api/chat.postMessage', {json.dumps(arguments, indent=2)})"
    quoting = tried(answering(logs=[log]), destination, slack_workspace=1)

    assert "signup" in json.dumps(trial.requests[0].body)
    assert "…" == quoting.requests[0].headers["Authorization"]
    assert "xoxb-1" not in repr(trial) + repr(quoting)


def test_a_workspace_must_be_known(api: ApiClient) -> None:
    """`auto` means the project's only one, which is not looked up here."""
    with pytest.raises(ConfigError, match="which Slack workspace"):
        tried(api, Slack("Big", channel="C0123ABCD", message="{event.event}", events=["signup"]))


def test_an_event_that_does_not_match_is_said_to_be_skipped(api: ApiClient) -> None:
    """It is no failure, and nothing would be sent."""
    trial = try_destination(api, hook(), NONE, globals_=sample(hook(events=["visit"])))

    assert ("skipped", False, False, ()) == (trial.status, trial.failed, trial.delivered, trial.requests)
    assert ("the filters do not match the event",) == trial.notes


def test_a_failure_that_is_only_in_the_log_is_said(api: ApiClient, target: Receiver) -> None:
    """PostHog calls it a success, since it would send again."""
    target.statuses = [503]
    trial = tried(api, hook(target.url), mock=False)

    assert ("success", True, False) == (trial.status, trial.failed, trial.delivered)
    assert any("try again" in note for note in trial.notes)
    assert any("503" in line.message for line in trial.logs)


def test_an_input_that_an_older_server_drops_is_said(served: EmulatedPostHog, api: ApiClient) -> None:
    """It would leave out the signature without a word."""
    served.destinations.rules = DeliveryRules(signing=False)
    destination = hook(signing_secret="${env:KEY}")
    trial = tried(api, destination, keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))

    assert any("drops the input `signing_secret`" in note for note in trial.notes)


def test_code_from_before_signatures_is_said_to_sign_nothing(
    served: EmulatedPostHog, api: ApiClient, target: Receiver
) -> None:
    """A function keeps its code: the secret is accepted, and used only by what is created after August 2026."""
    secret = keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = hook(target.url, signing_secret="${env:KEY}")
    served.destinations.rules = DeliveryRules(signing=False)
    old = create_function(api, body_of(hook(target.url), NONE))
    served.destinations.rules = DeliveryRules(signing=True)
    trials = [tried(api, signed, secret, row=old, mock=False), tried(api, signed, secret, mock=False)]

    assert [True, False] == [any("is not signed" in note for note in trial.notes) for trial in trials]
    assert [False, True] == ["webhook-signature" in request.headers for request in target.requests]
    assert [False, False] == [any("drops" in note for note in trial.notes) for trial in trials]


def fits(destination: Destination) -> Any:
    """Return the sample, which the filters must take, as a second look at them says."""
    found = sample_globals(destination, now=NOW, project_url="https://eu.posthog.com/project/7")
    assert "" == found.misfit
    assert compile_filters(destination.filters, saved_at=NOW).matches(found.globals).matched
    return found.globals


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("amount >= 100", 100),
        ("amount > 100", 101),
        ("amount < 100", 99),
        (["amount > 100", "amount < 101"], 100.5),
        ("amount is_set", "sample"),
        ("amount is_not_set", None),
        ("amount = pro", "pro"),
        ("amount in [pro, team]", "pro"),
        ("amount != sample", 1),
        (["amount != pro", "amount is_set"], "sample"),
        ("amount icontains @Example.com", "@Example.com"),
        (["amount icontains two", "amount icontains one"], "two one"),
        ("amount not_icontains x", "sample"),
        (r"amount regex ^user-\d+@example\.com$", "user-1@example.com"),
        ("amount = true", True),
        ([{"key": "amount", "operator": "between", "value": [5, 7]}], 5),
        ([{"key": "amount", "operator": "is_date_after", "value": "2026-01-01"}], "2100-01-01"),
        ([{"key": "amount", "operator": "is_date_before", "value": "-7d"}], "2000-01-01"),
    ],
    ids=str,
)
def test_conditions_on_a_property_are_met(where: Any, expected: object) -> None:
    """With a value that says what it is for."""
    event = fits(hook(events=[{"event": "signup", "where": where}]))["event"]

    assert ("signup", expected) == (event["event"], event["properties"].get("amount"))


@pytest.mark.parametrize(
    ("where", "get", "expected"),
    [
        ("person.plan = pro", lambda found: found["person"]["properties"]["plan"], "pro"),
        ("person.email is_set", lambda found: found["person"]["properties"]["email"], "sample@example.com"),
        ("person.email icontains @x.io", lambda found: found["person"]["properties"]["email"], "@x.io"),
        ("$group_1.size > 5", lambda found: found["groups"]["group_1"]["properties"]["size"], 6),
        ("event.distinct_id = bob", lambda found: found["event"]["distinct_id"], "bob"),
        ("element.text = Buy", lambda found: found["event"]["elements_chain"], 'a:text="Buy"'),
        ("feature.f = a", lambda found: found["event"]["properties"]["f"], "a"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_conditions_elsewhere_are_met(where: str, get: Any, expected: object) -> None:
    """On the person, a group, the event itself, or what was clicked."""
    assert expected == get(fits(hook(where=where)))


def test_common_conditions_and_those_of_the_entry_are_met_together() -> None:
    """All must hold."""
    found = fits(hook(events=[{"event": "signup", "where": "a < 10"}], where=["a > 8", "person.b = c"]))

    assert 9 == found["event"]["properties"]["a"]


def test_an_entry_that_cannot_be_met_leaves_it_to_the_next() -> None:
    """Entries are alternatives."""
    events = [{"event": "one", "where": r"a regex ^[0-9]{3}$"}, {"event": "two"}]

    assert "two" == fits(hook(events=events))["event"]["event"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"where": r"a regex ^[0-9]{3}$"}, r"`a regex \^"),
        ({"where": "element.selector = .button"}, r"`element\.selector = \.button`"),
        ({"events": None, "actions": [42]}, "no action 42"),
        ({"exclude_test_accounts": True}, r"test_accounts\[0\]"),
    ],
    ids=["pattern", "selector", "action", "test account"],
)
def test_a_sample_that_does_not_fit_says_why(options: dict[str, Any], reason: str) -> None:
    """It names the condition, and still is an event."""
    never = [{"key": "email", "type": "person", "operator": "regex", "value": "^[a-z]{3}[0-9]$"}]
    found = sample_globals(hook(**options), now=NOW, test_account_filters=never)

    assert found.globals["event"]["event"]
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.misfit)


def test_the_steps_of_an_action_are_met_when_they_are_known() -> None:
    """The event is that of the step."""
    actions = {42: {"steps": [{"event": "paid", "properties": [{"key": "a", "value": 3, "operator": "gt"}]}]}}
    found = sample_globals(hook(events=None, actions=[42]), now=NOW, actions=actions)

    assert ("", "paid", 4) == (found.misfit, found.globals["event"]["event"], found.globals["event"]["properties"]["a"])


def test_an_unknown_action_beside_an_event_does_not_matter() -> None:
    """The event alone fires the destination."""
    found = sample_globals(hook(actions=[42]), now=NOW)

    assert ("", "signup") == (found.misfit, found.globals["event"]["event"])


def test_test_accounts_are_avoided_when_their_filters_are_known() -> None:
    """Only where the destination excludes them."""
    tests = [{"key": "email", "type": "person", "operator": "not_icontains", "value": "@example.com"}]
    strict = sample_globals(hook(exclude_test_accounts=True), now=NOW, test_account_filters=tests)
    lax = sample_globals(hook(), now=NOW, test_account_filters=tests)

    assert ("", "sample") == (strict.misfit, strict.globals["person"]["properties"]["email"])
    assert "sample@example.com" == lax.globals["person"]["properties"]["email"]


def test_a_sample_can_be_told_from_a_real_event() -> None:
    """By a property; and each is another event, so that no receiver takes it for a duplicate."""
    one, two = (sample_globals(hook(), now=NOW + timedelta(seconds=1)).globals["event"] for _ in range(2))

    assert True is one["properties"][SAMPLE_PROPERTY]
    assert one["uuid"] != two["uuid"]
    assert ["2026-06-01T12:00:01.000Z"] * 2 == [one["timestamp"], two["timestamp"]]


def test_a_sample_has_everything_that_templates_see() -> None:
    """With addresses in the project that was named."""
    found = sample_globals(
        hook(), now=datetime(2026, 1, 2, tzinfo=UTC), project_url="https://p.test/project/1", uuid=UUID(int=5)
    ).globals

    uuid = "00000000-0000-0000-0000-000000000005"
    assert {"event", "person", "groups"} == set(found)
    assert f"https://p.test/project/1/events/{uuid}/2026-01-02T00:00:00.000Z" == found["event"]["url"]
    assert "https://p.test/project/1/person/sample-user" == found["person"]["url"]
