"""The ready handlers: what they send and keep, what is tried again, and that errors hold no secret."""

from __future__ import annotations

import inspect
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import standardwebhooks

from posthog_events.clickhouse.store import EventStore
from posthog_events.clickhouse.store.lock import write_lock
from posthog_events.connection import connect
from posthog_events.errors import ConfigError, StoreLocked
from posthog_events.receiver import handlers
from posthog_events.receiver.context import Context, GiveUp, TryAgain
from posthog_events.receiver.handlers import (
    NotDelivered,
    append_to_parquet,
    append_to_store,
    forward,
    post_result,
    run_query,
    slack_message,
)
from posthog_events.receiver.handlers.batches import Batches
from posthog_events.receiver.payload import parse_payload
from posthog_events.receiver.receiver import Receiver
from posthog_events.receiver.sqlite_inbox import SqliteInbox
from tests.helpers.http_receiver import Receiver as Service
from tests.helpers.http_receiver import receiver as serve

NOW = datetime(2026, 11, 16, 8, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
UUID = "0198f2a4-7c11-7d2e-9a4b-5b1f0c3d2e10"


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    with serve() as served:
        yield served


@pytest.fixture
def service(server: Service) -> Service:
    """A web service that has forgotten what earlier tests did."""
    server.requests.clear()
    server.statuses.clear()
    server.headers.clear()
    server.reply = b"{}"
    return server


def body_of(number: int = 0, **properties: Any) -> bytes:
    uuid = f"{UUID[:-4]}{number:04}" if number else UUID
    event = {
        "uuid": uuid,
        "event": "user_signed_up",
        "distinct_id": "ann",
        "properties": {"plan": "pro", **properties},
        "timestamp": "2026-11-16T07:59:58.123Z",
        "elements_chain": 'a:text="Go"',
        "url": "https://eu.posthog.com/project/1/events/x",
    }
    person = {"id": "0198f000-1111-7222-8333-444455556666", "name": "ann@example.com", "properties": {"email": "a@b.c"}}
    return json.dumps({"event": event, "person": person}).encode()


def context_of(body: bytes, *, key: str = "msg_1:slack", headers: Mapping[str, str] | None = None) -> Context:
    return Context(
        idempotency_key=key,
        delivery_id=key.partition(":")[0],
        attempt=1,
        destination="hooks",
        received_at=NOW,
        headers=headers or {},
        body=body,
    )


def call(handler: Callable[..., Any], body: bytes | None = None, *, shape: bool = True, **given: Any) -> None:
    """Call a handler as a worker does."""
    raw = body_of() if body is None else body
    handler(parse_payload(raw) if shape else None, context_of(raw, **given))


# -- Slack -----------------------------------------------------------------------------------------------------------


def test_slack_message_is_a_template_without_mentions(service: Service) -> None:
    """What people wrote stands in the message and means nothing to Slack; what the template says does."""
    handler = slack_message(f"{service.url}/services/T/B/X", "<!here> {person.name} took {event.properties.plan}")

    call(handler, body_of(plan="<!channel> & <https://evil.example|x>"))

    (request,) = service.requests
    expected = "<!here> ann@example.com took &lt;!channel&gt; &amp; &lt;https://evil.example|x&gt;"
    assert ("POST", "/services/T/B/X", {"text": expected}) == (request.method, request.path, json.loads(request.body))
    assert ("application/json", "msg_1:slack") == (request.headers["content-type"], request.headers["idempotency-key"])


def test_slack_message_can_be_made_by_a_function(service: Service) -> None:
    """Blocks go out as they are."""
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*new*"}}]

    call(slack_message(service.url, lambda event: {"blocks": blocks, "text": event.name}))

    assert {"blocks": blocks, "text": "user_signed_up"} == json.loads(service.requests[0].body)


def test_slack_message_that_cannot_be_made_is_given_up(service: Service) -> None:
    """A template that fails for an event, or says nothing, would do so again; nothing is sent."""
    with pytest.raises(GiveUp, match="cannot be made of this event"):
        call(slack_message(service.url, "{upper(event.properties.missing)}"))
    with pytest.raises(GiveUp, match="the message is empty"):
        call(slack_message(service.url, "{event.properties.missing}"))
    with pytest.raises(GiveUp, match="holds no event"):
        call(slack_message(service.url, "x"), shape=False)
    assert [] == service.requests


def test_template_with_a_fault_is_said_at_once() -> None:
    """Not when the first event comes."""
    with pytest.raises(ConfigError, match="is no template"):
        slack_message("https://hooks.slack.com/services/T/B/X", "{person.name")


# -- forwarding ------------------------------------------------------------------------------------------------------


def test_forwarded_delivery_verifies_with_a_foreign_library(service: Service) -> None:
    """The body is the same byte by byte, signed with the secret of the next receiver."""
    raw = body_of(note="ünï") + b"\n"

    call(forward(f"{service.url}/next", secret=SECRET), raw)

    (request,) = service.requests
    assert raw.decode() == request.body
    standardwebhooks.Webhook(SECRET).verify(request.body, dict(request.headers))
    assert "msg_1:slack" == request.headers["webhook-id"] == request.headers["idempotency-key"]


def test_forwarded_delivery_keeps_its_content_type(service: Service) -> None:
    """Other headers can be added, and replace it."""
    call(forward(service.url, headers={"X-Team": "growth"}), headers={"content-type": "application/vnd.x+json"})
    call(forward(service.url, headers={"content-type": "text/plain"}))

    types = [request.headers["content-type"] for request in service.requests]
    assert ["application/vnd.x+json", "text/plain"] == types
    assert "growth" == service.requests[0].headers["x-team"]
    assert "webhook-signature" not in service.requests[0].headers


@pytest.mark.parametrize("key", ["a.b:handler", "k" * 129, "ünï:handler", "a\r\nX: y:handler"])
def test_key_that_is_no_webhook_id_is_hashed(service: Service, key: str) -> None:
    """It is the same on every attempt, and the receiver can verify it."""
    for _ in range(2):
        call(forward(service.url, secret=SECRET), key=key)

    (sent,) = {(request.headers["webhook-id"], request.headers["idempotency-key"]) for request in service.requests}
    assert sent[0] == sent[1] != key
    for request in service.requests:
        standardwebhooks.Webhook(SECRET).verify(request.body, dict(request.headers))


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422, 301, 307])
def test_refused_for_good_is_given_up(service: Service, status: int) -> None:
    """Another attempt would end in the same way; a redirect is not followed."""
    service.statuses, service.headers = [status], {"Location": "/elsewhere"}
    service.reply = b'{"error": "no such list"}'

    with pytest.raises(GiveUp, match=f"answered {status}.*no such list"):
        call(forward(f"{service.url}/next"))
    assert 1 == len(service.requests)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 599])
def test_refused_for_now_is_tried_again(service: Service, status: int) -> None:
    """By the receiver, when its own wait is over."""
    service.statuses = [status]

    with pytest.raises(NotDelivered, match=f"answered {status}"):
        call(forward(f"{service.url}/next"))


def test_time_that_a_service_asks_for_is_kept(service: Service) -> None:
    """Retry-After decides when the next attempt is."""
    service.statuses, service.headers = [429], {"Retry-After": "17"}

    with pytest.raises(TryAgain) as caught:
        call(forward(f"{service.url}/next"))

    assert 17.0 == caught.value.after_s


def test_no_answer_is_tried_again() -> None:
    """Neither a closed port nor a host that does not exist is given up."""
    for url in ("http://127.0.0.1:9/hook", "http://no-such-host.invalid/hook"):
        with pytest.raises(NotDelivered, match=r"no answer from http://\S+ \(ConnectionError\)"):
            call(forward(url))


def test_errors_hold_no_secret(service: Service) -> None:
    """Neither the address behind the host, nor what the service repeats of it, nor a header's value."""
    path, token = "/services/T000/B000/s3cretpath", "s3cr3ttoken"
    service.statuses, service.reply = [403], f"no such hook {path} ({token}, {SECRET})".encode()
    handler = forward(f"{service.url}{path}?sig=abcdef", secret=SECRET, headers={"X-Key": token})

    with pytest.raises(GiveUp) as caught:
        call(handler)
    with pytest.raises(NotDelivered) as unreachable:
        call(slack_message(f"http://127.0.0.1:9{path}", "x"))

    for error in (caught.value, unreachable.value):
        for text in (str(error), repr(error), repr(error.__cause__), repr(error.__context__)):
            assert not any(part in text for part in ("s3cret", token, SECRET, "abcdef")), text
    assert "no such hook" in str(caught.value)


@pytest.mark.parametrize("url", ["", "hooks.slack.com/x", "ftp://example.com", "https://", "http://a b/", "http://h:x"])
def test_address_that_is_none_is_refused_at_once(url: str) -> None:
    """A variable that is not set is found when the receiver starts; what it holds is not repeated."""
    with pytest.raises(ConfigError, match="needs the address of a web service") as caught:
        forward(url)
    assert len(url) < 9 or url not in str(caught.value)


def test_secret_that_cannot_sign_is_refused_at_once() -> None:
    """As is a header that forward() makes itself."""
    with pytest.raises(ConfigError, match="not base64"):
        forward("https://example.com", secret="whsec_!")
    with pytest.raises(ConfigError, match="made by forward"):
        forward("https://example.com", headers={"Webhook-Signature": "v1,x"})


# -- stores ----------------------------------------------------------------------------------------------------------


def in_threads(handler: Callable[..., Any], bodies: Sequence[bytes]) -> list[BaseException]:
    """Call a handler for all bodies at once, and return what it raised."""
    raised: list[BaseException] = []

    def run(number: int, body: bytes) -> None:
        try:
            handler(parse_payload(body), context_of(body, key=f"msg_{number}:store"))
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(bodies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_store_gets_events_that_can_be_queried(tmp_path: Path) -> None:
    """With their person; an event that comes twice is in it once."""
    handler = append_to_store(tmp_path / "events", linger_s=0)
    for number in (1, 2, 1):
        call(handler, body_of(number, amount=12.5), key=f"msg_{number}:store")

    text = (
        "SELECT uuid, event, timestamp, distinct_id, properties.plan, toFloat(properties.amount), "
        "person.properties.email, elements_chain FROM events ORDER BY uuid"
    )
    with connect(f"chdb://{tmp_path / 'events'}") as connection:
        rows = connection.hogql(text).rows()

    moment = datetime(2026, 11, 16, 7, 59, 58, 123_000, UTC)
    expected = ["user_signed_up", moment, "ann", "pro", 12.5, "a@b.c", 'a:text="Go"']
    assert [(f"{UUID[:-4]}{number:04}", *expected) for number in (1, 2)] == rows


def test_events_that_come_together_are_one_import(tmp_path: Path) -> None:
    """An import costs as much as a thousand events, so that they are joined."""
    handler = append_to_store(tmp_path / "events", linger_s=0.3)

    raised = in_threads(handler, [body_of(number) for number in range(1, 21)])

    manifest = EventStore.open(tmp_path / "events").manifest()
    assert ([], 20) == (raised, manifest.rows)
    assert len(manifest.imports) <= 3


def test_store_that_is_written_is_waited_for(tmp_path: Path) -> None:
    """Ten seconds; then the attempt fails, and the receiver comes again."""
    EventStore.create(tmp_path / "events")
    slept: list[float] = []
    handler = append_to_store(tmp_path / "events", linger_s=0, sleep=slept.append)

    with write_lock(tmp_path / "events", now=NOW), pytest.raises(StoreLocked):
        call(handler)

    assert (10.0, 0) == (sum(slept) + 0.25, EventStore.open(tmp_path / "events").manifest().rows)


def test_event_without_a_user_is_given_up(tmp_path: Path) -> None:
    """Nothing would ever say whose it was; others of the batch are kept."""
    with pytest.raises(GiveUp, match="no distinct_id"):
        call(append_to_store(tmp_path / "events"), b'{"event": "signup"}')
    with pytest.raises(GiveUp, match="no event"):
        call(append_to_parquet(tmp_path / "files"), shape=False)


def test_parquet_files_are_read_as_a_whole(tmp_path: Path) -> None:
    """One file for a batch, under the day of writing; `local import` knows its columns."""
    handler = append_to_parquet(tmp_path / "files", linger_s=0.3, clock=lambda: NOW)

    raised = in_threads(handler, [body_of(number) for number in range(1, 6)])

    files = [path for path in (tmp_path / "files" / "2026-11-16").iterdir() if not path.name.startswith(".")]
    assert ([], True) == (raised, 1 <= len(files) <= 2)
    frame = pl.read_parquet(files)
    assert 5 == frame["uuid"].n_unique()
    assert pl.Datetime("us", "UTC") == frame.schema["timestamp"]
    report = EventStore.create(tmp_path / "store").import_events(files)
    assert (5, 0) == (report.stored, report.rejected)


def test_parquet_file_is_there_entirely_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it cannot be finished, nothing is left behind, and the attempt fails."""

    def broken(self: object, file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", broken)

    with pytest.raises(OSError, match="No space"):
        call(append_to_parquet(tmp_path / "files", linger_s=0))
    assert [] == [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


def test_item_that_is_to_blame_fails_alone() -> None:
    """The others of its batch are written."""
    written: list[int] = []

    def write(values: Sequence[int]) -> None:
        if 3 in values:
            raise ValueError("three")
        written.extend(values)

    batches: Batches[int] = Batches(write, linger_s=0.2)
    raised: list[BaseException] = []

    def add(value: int) -> None:
        try:
            batches.add(value)
        except ValueError as error:
            raised.append(error)

    threads = [threading.Thread(target=add, args=(value,)) for value in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (["three"], [0, 1, 2, 4, 5]) == ([str(error) for error in raised], sorted(written))


# -- queries ---------------------------------------------------------------------------------------------------------


QUERY = """-- title: Events of a person
-- params:
--   user: {type: text}
--   least: {type: int, default: 1}
SELECT event, count() AS events FROM events WHERE distinct_id = {{ user }} GROUP BY event
HAVING events >= {{ least }} ORDER BY event LIMIT 10
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three events, beside a query file."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [
        {"event": name, "distinct_id": user, "timestamp": "2026-11-01T00:00:00Z", "properties": {"n": n}}
        for n, (name, user) in enumerate([("signup", "ann"), ("visit", "ann"), ("signup", "bob")])
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    EventStore.create(folder / "events").import_events([folder / "events.jsonl"])
    (folder / "of_person.sql").write_text(QUERY)
    return folder


def test_query_is_run_for_the_event_and_its_rows_are_posted(shop: Path, service: Service) -> None:
    """Texts among the parameters are templates; the answer is signed like a delivery."""
    handler = run_query(
        shop / "of_person.sql",
        params={"user": "{event.distinct_id}", "least": 1},
        then=post_result(f"{service.url}/answers", secret=SECRET),
        dsn=f"chdb://{shop / 'events'}",
    )

    call(handler)

    (request,) = service.requests
    rows = [{"event": "signup", "events": 1}, {"event": "visit", "events": 1}]
    assert {"rows": rows} == json.loads(request.body)
    standardwebhooks.Webhook(SECRET).verify(request.body, dict(request.headers))


def test_query_hands_its_frame_to_a_function(shop: Path) -> None:
    """Its parameters may come from a function as well; one connection serves all events."""
    frames: list[pl.DataFrame] = []
    opened: list[str] = []

    def open_once() -> Any:
        opened.append("now")
        return connect(f"chdb://{shop / 'events'}")

    handler = run_query(
        shop / "of_person.sql",
        params=lambda event: {"user": event.distinct_id, "least": 1},
        then=frames.append,
        connect=open_once,
    )
    call(handler)
    call(handler)

    assert (2, ["now"]) == (len(frames), opened)
    assert [("signup", 1), ("visit", 1)] == frames[1].rows()


def test_query_that_cannot_run_is_given_up(shop: Path) -> None:
    """A parameter that is missing stays missing."""
    handler = run_query(shop / "of_person.sql", then=print, dsn=f"chdb://{shop / 'events'}")

    with pytest.raises(GiveUp, match="user"):
        call(handler)


# -- all together ----------------------------------------------------------------------------------------------------


def test_handlers_can_be_added_to_a_receiver(tmp_path: Path, service: Service) -> None:
    """Their signatures are those of handlers, and they have names."""
    with closing(SqliteInbox(tmp_path / "inbox.db")) as inbox:
        receiver = Receiver(allow_unsigned=True, inbox=inbox)
        receiver.add_handler(slack_message(service.url, "{event.event}"), "*")
        receiver.add_handler(forward(service.url), "*", name="example")
        receiver.add_handler(append_to_parquet(tmp_path / "files", linger_s=0), "*")
        receiver.receive(body_of(), {"content-type": "application/json"}, path="hooks")
        receiver.run_pending()

        (record,) = inbox.list()

    assert [("append_to_parquet", "done"), ("example", "done"), ("slack", "done")] == [
        (outcome.handler, str(outcome.state)) for outcome in record.outcomes
    ]
    assert 2 == len(service.requests)


def example_of_docstring() -> str:
    """Return the code of the CRM example in the package's docstring."""
    text = inspect.getdoc(handlers) or ""
    begin = text.index("    import os")
    end = text.index("\n`PUT` to the address")
    return inspect.cleandoc(text[begin:end])


def test_documented_crm_example_runs(tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends one upsert for each event of a person with an address, and gives up what is refused."""
    monkeypatch.setenv("CRM_URL", service.url)
    monkeypatch.setenv("CRM_API_KEY", "crm-key")
    assert "CRM_URL" in os.environ
    with closing(SqliteInbox(tmp_path / "inbox.db")) as inbox:
        receiver = Receiver(allow_unsigned=True, inbox=inbox)
        exec(compile(example_of_docstring(), "example", "exec"), {"receiver": receiver})
        service.statuses = [201, 409]
        for number in (1, 2):
            receiver.receive(body_of(number), {"content-type": "application/json"})
        receiver.receive(b'{"event": "user_signed_up", "distinct_id": "no address"}', {})
        receiver.run_pending()
        states = [[str(outcome.state) for outcome in record.outcomes] for record in inbox.list()]

    assert [[], ["dead"], ["done"]] == states
    first = service.requests[0]
    assert ("PUT", "/contacts/a%40b.c", "Bearer crm-key") == (first.method, first.path, first.headers["authorization"])
    assert {"email": "a@b.c", "plan": "pro", "last_event": "user_signed_up"} == json.loads(first.body)
    assert f"{UUID[:-4]}0001::upsert_contact" == first.headers["idempotency-key"]
