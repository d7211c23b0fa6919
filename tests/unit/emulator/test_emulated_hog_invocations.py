"""Emulated test runs and reruns of hog functions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from posthog_events.emulator.firing import drain
from posthog_events.emulator.hog_state import DeliveryRules, Outcome
from posthog_events.emulator.world import Key
from tests.helpers.emulated_world import NOW
from tests.helpers.hog_world import SECRET_SCHEMA, WEBHOOK, HogServer, refused
from tests.helpers.http_receiver import Receiver, receiver

EVENT = {
    "uuid": "0198f2a4-0000-7000-8000-000000000001",
    "event": "signup",
    "distinct_id": "ann",
    "timestamp": "2026-06-01T10:00:00.000Z",
    "url": "http://posthog.test/project/7/events/x/y",
    "properties": {"plan": "pro"},
}
GLOBALS = {"event": EVENT, "person": {"id": "p", "name": "Ann", "url": "", "properties": {"email": "a@b.c"}}}


@pytest.fixture
def server(tmp_path: Path) -> HogServer:
    """A project without functions."""
    return HogServer(tmp_path)


@pytest.fixture
def target() -> Iterator[Receiver]:
    """A receiver that answers 200."""
    with receiver() as kept:
        yield kept


def invoke(server: HogServer, id_: str, **body: Any) -> Any:
    return server.post(f"hog_functions/{id_}/invocations/", {"globals": GLOBALS, **body})


def messages(answer: Any) -> list[str]:
    return [entry["message"] for entry in answer.json["logs"]]


def test_a_mocked_run_sends_nothing_and_logs_what_it_would_send(server: HogServer, target: Receiver) -> None:
    """Mocked is the default; the inputs are those of the configuration, rendered."""
    made = server.create()
    inputs = {"url": {"value": target.url}, "body": {"value": {"plan": "{event.properties.plan}"}}}
    answer = invoke(server, made["id"], configuration={"inputs": inputs})

    assert (200, "success", []) == (answer.status, answer.json["status"], answer.json["errors"])
    assert messages(answer)[0] == "Async function 'fetch' was mocked with arguments:"
    assert messages(answer)[1].startswith(f"fetch('{target.url}', {{")
    assert '"plan": "pro"' in messages(answer)[1]
    assert target.requests == []
    assert server.read(made["id"])["inputs"]["url"]["value"] != target.url


def test_a_real_run_sends_its_request(server: HogServer, target: Receiver) -> None:
    """The stored function is not needed: `new` takes all of it from the configuration."""
    template = server.get("hog_function_templates/template-webhook/").json
    configuration = {
        **WEBHOOK,
        "hog": template["code"],
        "inputs_schema": template["inputs_schema"],
        "inputs": {"url": {"value": target.url}, "body": {"value": "{project.name}: {source.name}"}},
    }
    answer = invoke(server, "new", configuration=configuration, mock_async_functions=False)

    assert answer.json["status"] == "success"
    assert [got.body for got in target.requests] == ["Test: Signups"]
    assert messages(answer)[-1].startswith("Function completed in ")


def test_an_event_that_does_not_match_is_skipped(server: HogServer) -> None:
    """Which is no error."""
    made = server.create()
    answer = invoke(server, made["id"], configuration={}, globals={"event": {**EVENT, "event": "other"}})

    assert (200, "skipped") == (answer.status, answer.json["status"])


def test_a_failing_receiver_is_an_error_with_its_status(server: HogServer, target: Receiver) -> None:
    """404 is final."""
    target.statuses, target.reply = [404], b"gone"
    made = server.create(inputs={"url": {"value": target.url}})
    answer = invoke(server, made["id"], configuration={}, mock_async_functions=False)

    assert answer.json["status"] == "error"
    assert answer.json["errors"] == ["HTTP fetch failed on attempt 1 with status code 404."]
    assert "Webhook failed with status 404: gone" in messages(answer)[-1]


def test_a_failure_that_would_be_repeated_reads_as_success(server: HogServer, target: Receiver) -> None:
    """A trap: the second attempt is only scheduled, so the logs have to be read too."""
    target.statuses = [503]
    made = server.create(inputs={"url": {"value": target.url}})
    answer = invoke(server, made["id"], configuration={}, mock_async_functions=False)

    assert ("success", []) == (answer.json["status"], answer.json["errors"])
    assert messages(answer) == ["HTTP fetch failed on attempt 1 with status code 503. Retrying."]
    assert len(target.requests) == 1


def test_errors_come_as_the_serializer_made_them(server: HogServer) -> None:
    """Not in PostHog's envelope, and all wrong inputs at once."""
    made = server.create()
    answer = invoke(server, made["id"], configuration={"inputs": {"debug": {"value": 3}}})

    assert answer.status == 400
    assert answer.json == {
        "configuration": {
            "inputs": {
                "url": ["This field is required."],
                "debug": ["Value must be a boolean or a template string."],
            }
        }
    }


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"configuration": {}, "globals": {}}, ["Missing event"]),
        ({"configuration": {}, "invocation_id": "7"}, ["Invalid invocation ID"]),
    ],
)
def test_the_workers_own_errors_have_another_shape(server: HogServer, body: Any, errors: list[str]) -> None:
    """`status` and `errors`, with a 400."""
    answer = invoke(server, server.create()["id"], **body)

    assert (400, {"status": "error", "errors": errors}) == (answer.status, answer.json)


def test_a_configuration_is_needed(server: HogServer) -> None:
    """This one is in the envelope; and there never is a draft."""
    made = server.create()

    assert refused(invoke(server, made["id"])) == (400, "invalid_input", "configuration")
    assert refused(invoke(server, made["id"], use_draft=True)) == (400, "invalid_input", "use_draft")


def test_a_raw_row_takes_the_place_of_globals(server: HogServer) -> None:
    """Its properties are JSON in a text."""
    made = server.create(inputs={"url": {"value": "http://r.test/{event.properties.plan}/{person.name}"}})
    row = {
        "uuid": EVENT["uuid"],
        "event": "signup",
        "distinct_id": "ann",
        "properties": '{"plan": "pro"}',
        "person_id": "p",
        "person_properties": '{"email": "a@b.c"}',
    }
    answer = invoke(server, made["id"], configuration={}, clickhouse_event=row)

    assert messages(answer)[1].startswith("fetch('http://r.test/pro/a@b.c'")


def test_an_unknown_global_fails_the_inputs(server: HogServer) -> None:
    """It compiles, so it is found only now."""
    made = server.create(inputs={"url": {"value": "{distinct_id}"}})
    answer = invoke(server, made["id"], configuration={})

    assert "distinct_id" in messages(answer)[0]


def test_secrets_are_used_but_not_shown(server: HogServer, target: Receiver) -> None:
    """The stored one stands in for the mark; credentials in headers are masked in the log too."""
    inputs = {"url": {"value": target.url}, "headers": {"value": {"Authorization": "Bearer {inputs.token}"}}}
    made = server.create(inputs_schema=SECRET_SCHEMA, inputs={**inputs, "token": {"value": "s3cr3t"}})
    mocked = invoke(server, made["id"], configuration={"inputs": {**inputs, "token": {"secret": True}}})
    real = invoke(server, made["id"], configuration={}, mock_async_functions=False)

    assert target.requests[0].headers["authorization"] == "Bearer s3cr3t"
    assert b"s3cr3t" not in mocked.body + real.body


def test_code_that_is_no_templates_cannot_run(server: HogServer) -> None:
    """The emulator says so, instead of pretending."""
    made = server.create(hog="return 1")
    answer = invoke(server, made["id"], configuration={})

    assert answer.json["status"] == "error"
    assert "code of its own" in answer.json["errors"][0]


def window(**more: Any) -> dict[str, Any]:
    start, end = (NOW - timedelta(hours=1)).isoformat(), (NOW + timedelta(hours=1)).isoformat()
    return {"filter": {"window_start": start, "window_end": end, **more}}


@pytest.fixture
def failed(server: HogServer, target: Receiver) -> Any:
    """A function two of whose three deliveries failed."""
    made = server.create(enabled=True, inputs={"url": {"value": target.url}, "body": {"value": "{event.uuid}"}})
    for number, (status, kind) in enumerate([("failed", "http_5xx"), ("failed", "network"), ("succeeded", None)]):
        globals_ = {"event": {**EVENT, "uuid": str(number)}, "person": None, "project": {"url": ""}}
        error = None if kind is None else f"it was {kind}"
        server.state.outcomes.append(Outcome(f"i{number}", made["id"], NOW, status, globals_, kind, error))
    return made


def test_rerun_delivers_what_failed_once_more(server: HogServer, target: Receiver, failed: Any) -> None:
    """The answer comes before the deliveries, so its counts are 0."""
    answer = server.post(f"hog_functions/{failed['id']}/rerun/", window())
    drain(server.world, server.project)

    assert (200, 0, 0) == (answer.status, answer.json["queued_count"], answer.json["skipped_count"])
    assert sorted(got.body for got in target.requests) == ["0", "1"]
    again = [one for one in server.state.outcomes if one.runs == 2]
    assert {(one.invocation_id, one.status) for one in again} == {("i0", "succeeded"), ("i1", "succeeded")}


@pytest.mark.parametrize(
    ("choice", "bodies"),
    [
        ({"error_kind": ["network"]}, ["1"]),
        ({"status": ["succeeded"]}, ["2"]),
        ({"error_message_contains": "5xx"}, ["0"]),
        ({"invocation_ids": ["i1", "i2"]}, ["1"]),
        ({"max_count": 1}, ["0"]),
        ({"window_end": (NOW - timedelta(minutes=1)).isoformat()}, []),
    ],
)
def test_rerun_chooses(
    server: HogServer, target: Receiver, failed: Any, choice: dict[str, Any], bodies: list[str]
) -> None:
    """By window, status, reason and number."""
    server.post(f"hog_functions/{failed['id']}/rerun/", window(**choice))
    drain(server.world, server.project)

    assert [got.body for got in target.requests] == bodies


def test_rerun_wants_a_short_window_and_a_function_that_is_on(server: HogServer, failed: Any) -> None:
    """And one of a type that is delivered."""
    path = f"hog_functions/{failed['id']}/rerun/"
    far = (NOW - timedelta(days=31)).isoformat()

    assert refused(server.post(path, {})) == (400, "required", "filter")
    assert refused(server.post(path, {"filter": {}})) == (400, "required", "filter__window_start")
    assert refused(server.post(path, window(window_start=far))) == (400, "invalid_input", "filter")
    assert refused(server.post(path, window(status=["lost"]))) == (400, "invalid_choice", "filter__status")
    server.patch(failed["id"], enabled=False)
    assert server.post(path, window()).status == 400
    source = server.create(type="source_webhook", template_id=None, hog="return 1")
    assert "aren't supported" in server.post(f"hog_functions/{source['id']}/rerun/", window()).json["detail"]


def test_rerun_needs_to_read_persons_and_groups(tmp_path: Path) -> None:
    """Since it could send old data anywhere."""
    server = HogServer(tmp_path, key=Key("phx_test", frozenset({"hog_function:write", "person:read"})))
    made = server.create(enabled=True)
    answer = server.post(f"hog_functions/{made['id']}/rerun/", window())

    assert (403, "API key missing required scope 'group:read'") == (answer.status, answer.json["detail"])


def test_a_webhook_from_before_takes_a_redirect_for_a_success(server: HogServer, target: Receiver) -> None:
    """The code is a snapshot: an old function keeps the old rule on a new server."""
    server.state.rules = DeliveryRules(strict_status=False)
    old = server.create(inputs={"url": {"value": target.url}})
    server.state.rules = DeliveryRules()
    new = server.create(inputs={"url": {"value": target.url}})
    target.statuses = [302, 302]

    results = [invoke(server, made["id"], configuration={}, mock_async_functions=False) for made in (old, new)]

    assert [answer.json["status"] for answer in results] == ["success", "error"]
