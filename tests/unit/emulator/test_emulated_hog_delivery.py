"""Emulated delivery: what a request looks like, what is refused, and when the next attempt comes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from posthog_events.emulator.delivery import Refused, Worker, checked_url, send, signature
from posthog_events.emulator.hog_programs import Fetch
from posthog_events.emulator.hog_state import DeliveryRules
from tests.helpers.hog_world import HogServer
from tests.helpers.http_receiver import Receiver, receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def target() -> Iterator[Receiver]:
    """A receiver that answers 200."""
    with receiver() as kept:
        yield kept


@pytest.fixture
def server(tmp_path: Path) -> HogServer:
    """A world with a clock."""
    return HogServer(tmp_path)


def sent(
    server: HogServer, url: str, *, signing: str | None = None, rules: DeliveryRules | None = None, **given: Any
) -> Any:
    """Send one request."""
    return send(Fetch(url, given, signing), rules or DeliveryRules(), world=server.world, delivery_id="d1")


def test_only_the_given_headers_are_sent(server: HogServer, target: Receiver) -> None:
    """No User-Agent, no Accept: nothing that tells a library from another."""
    sent(server, target.url + "/in", method="PUT", headers={"X-One": "1", "X-Two": 2}, body={"a": "ü"})

    [got] = target.requests
    assert (got.method, got.path, got.body) == ("PUT", "/in", '{"a":"ü"}')
    assert got.headers.keys() == {"host", "content-length", "x-one"}


def test_without_headers_the_body_is_json_and_the_method_post(server: HogServer, target: Receiver) -> None:
    """Headers that are given replace the default, also when they have no Content-Type."""
    sent(server, target.url, body={"a": 1})
    sent(server, target.url, body="as it is", headers={"X-One": "1"})

    first, second = target.requests
    assert (first.method, first.headers["content-type"], first.body) == ("POST", "application/json", '{"a":1}')
    assert ("content-type" in second.headers, second.body) == (False, "as it is")


def test_get_sends_no_body(server: HogServer, target: Receiver) -> None:
    """Nor does a request without one."""
    sent(server, target.url, method="GET", body={"a": 1})

    assert [(got.method, got.body) for got in target.requests] == [("GET", "")]


@pytest.mark.parametrize("status", [200, 302, 400, 404, 408, 410, 429, 500, 501, 502, 503, 504, 505])
def test_six_statuses_are_worth_another_attempt(server: HogServer, target: Receiver, status: int) -> None:
    """Redirects are answers like any other: nobody follows them."""
    target.statuses, target.headers = [status], {"Location": "/elsewhere"}
    result = sent(server, target.url)

    assert (status, status in (408, 429, 500, 502, 503, 504)) == (result.status, result.again)
    assert len(target.requests) == 1


def test_no_answer_is_worth_another_attempt(server: HogServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port, and a name that does not resolve; the message does not repeat the address."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        result = sent(server, f"http://127.0.0.1:{closed.getsockname()[1]}/s3cr3t")
    assert (None, True) == (result.status, result.again)
    assert "s3cr3t" not in str(result.error)

    def unknown(*args: Any, **more: Any) -> Any:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for rules in (DeliveryRules(), DeliveryRules(refuse_private=True)):
        result = sent(server, "http://receiver.test", rules=rules)
        assert (None, True) == (result.status, result.again)


def test_a_slow_answer_is_aborted(server: HogServer, target: Receiver) -> None:
    """After the timeout, although the request arrived."""
    target.hold.clear()
    result = sent(server, target.url, rules=DeliveryRules(timeout_s=0.05))

    assert (None, True) == (result.status, result.again)
    assert result.error is not None
    assert result.error.startswith("TimeoutError")
    assert len(target.requests) == 1


@pytest.mark.parametrize("url", ["ftp://example.com/x", "example.com", "", None, "http://", "http://[::1", 7])
def test_what_is_no_web_address_is_refused_for_good(server: HogServer, url: Any) -> None:
    """Without a second attempt."""
    result = sent(server, url)

    assert (None, False) == (result.status, result.again)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "10.0.0.8", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *("[::1]", "[fc00::1]", "[fe80::1]", "[::ffff:10.0.0.1]", "224.0.0.1"),
    ],
)
def test_private_addresses_are_refused_when_the_rules_say_so(host: str) -> None:
    """As PostHog refuses them; an emulator allows them unless told."""
    with pytest.raises(Refused, match="not allowed"):
        checked_url(f"http://{host}/x", DeliveryRules(refuse_private=True), origin="")

    assert checked_url(f"http://{host}/x", DeliveryRules(), origin="") == f"http://{host}/x"


def test_public_addresses_pass() -> None:
    """Written as numbers, since tests ask no name server."""
    url = "https://93.184.215.14/x"

    assert checked_url(url, DeliveryRules(refuse_private=True), origin="") == url


def test_slack_and_stand_ins_are_called_elsewhere() -> None:
    """The rest of the address stays."""
    rules = DeliveryRules(stand_ins={"https://discord.com/": "http://127.0.0.1:9/d/"}, refuse_private=True)

    assert checked_url("https://discord.com/api/x", rules, origin="http://e") == "http://127.0.0.1:9/d/api/x"
    slack = checked_url("https://slack.com/api/chat.postMessage", rules, origin="http://e")
    assert slack == "http://e/_emulator/slack/api/chat.postMessage"
    hook = checked_url("https://hooks.slack.com/services/T/B/X", rules, origin="http://e")
    assert hook == "http://e/_emulator/slack/services/T/B/X"


def test_a_foreign_library_verifies_the_signature() -> None:
    """The reference implementation of Standard Webhooks accepts what is sent, and nothing else."""
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError

    body = '{"event": {"event": "signup"}}'
    headers = signature(SECRET, "msg_1", datetime.now(UTC), body)

    assert {"event": {"event": "signup"}} == Webhook(SECRET).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + " ", headers)


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_")])
def test_the_signature_is_that_of_the_standard_webhooks_libraries(secret: str) -> None:
    """The example that their own tests use; the prefix of the secret may be missing."""
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}')

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_every_attempt_is_signed_with_the_time_of_its_own(server: HogServer, target: Receiver) -> None:
    """The id is that of the delivery, so that receivers can tell a repetition."""
    sent(server, target.url, signing=SECRET, body={"a": 1})
    server.clock.sleep(2)
    sent(server, target.url, signing=SECRET, body={"a": 1})

    first, second = target.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "d1"
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 2
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_a_secret_that_is_not_base64_is_refused(server: HogServer, target: Receiver) -> None:
    """Nothing is sent unsigned in its place, and the secret is in no message."""
    result = sent(server, target.url, signing="whsec_abcde")

    assert (None, False, []) == (result.status, result.again, target.requests)
    assert result.error is not None
    assert "abcde" not in result.error


def test_the_worker_waits_by_the_clock_of_the_world(server: HogServer) -> None:
    """Jobs are done when their time has come, in that order."""
    worker, done = Worker(server.world), []
    start = server.clock.at
    gate = threading.Event()
    worker.put(lambda: gate.wait(10))
    worker.put(lambda: done.append(("late", (server.clock.at - start).total_seconds())), after_s=2.0)
    worker.put(lambda: done.append(("soon", (server.clock.at - start).total_seconds())), after_s=0.5)
    gate.set()
    worker.drain(timeout_s=10)

    assert [name for name, _ in done] == ["soon", "late"]
    assert [pytest.approx(0.5, abs=0.1), pytest.approx(2.0, abs=0.1)] == [at for _, at in done]


def test_the_worker_goes_on_when_the_clock_stands_still(server: HogServer) -> None:
    """Slept is slept."""
    server.world.sleep = lambda seconds: None
    worker, done = Worker(server.world), []
    worker.put(lambda: done.append(1), after_s=3.0)
    worker.drain(timeout_s=10)

    assert done == [1]


def test_drain_says_when_it_is_not_through(server: HogServer) -> None:
    """And a closed worker forgets what has not begun."""
    worker, done = Worker(server.world), []
    gate = threading.Event()
    worker.put(lambda: gate.wait(10))
    worker.put(lambda: done.append(1))
    with pytest.raises(TimeoutError):
        worker.drain(timeout_s=0.01)
    threading.Timer(0.01, gate.set).start()
    worker.close()
    worker.put(lambda: done.append(2))

    assert done == []
