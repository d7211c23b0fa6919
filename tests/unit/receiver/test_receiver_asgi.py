"""The ASGI app, driven by hand: deliveries, bounds, pages, lifespan; and mounted in Starlette."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from posthog_events.errors import InboxFull
from posthog_events.receiver.asgi import ReceiverApp, ServingLimits
from posthog_events.receiver.inbox import Added, Entry
from posthog_events.receiver.receiver import Receiver
from posthog_events.receiver.sqlite_inbox import SqliteInbox
from tests.helpers.receiving import SECRET, ManualClock, body_of, signed

Messages = Callable[[], Any]


class Reply:
    """What the app sent."""

    def __init__(self, messages: Sequence[dict[str, Any]]) -> None:
        start, *rest = messages
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.body = b"".join(message.get("body", b"") for message in rest)

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


async def call(
    app: Any, receive: Messages, method: str = "POST", path: str = "/", **scope: Any
) -> list[dict[str, Any]]:
    """Call the app once, and return the messages it sent."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"type": "http", "method": method, "path": path, "headers": [], **scope}, receive, send)
    return sent


def chunks(*parts: bytes) -> Messages:
    """Return a `receive` that gives a body in pieces, and hangs when it is asked for more."""
    left = [{"type": "http.request", "body": part, "more_body": at < len(parts) - 1} for at, part in enumerate(parts)]

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.sleep(3_600)
        return left.pop(0)

    return receive


def headers_of(body: bytes, number: int = 1, **more: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of a signed delivery as ASGI has them."""
    given = {**signed(body, id=f"msg_{number}"), **more}
    return [(name.encode(), value.encode()) for name, value in given.items()]


def post(app: Any, number: int = 1, *, path: str = "/hook", **scope: Any) -> Reply:
    """Deliver an event."""
    body = body_of(number)
    return Reply(asyncio.run(call(app, chunks(body), path=path, headers=headers_of(body, number), **scope)))


def get(app: Any, path: str, method: str = "GET", **scope: Any) -> Reply:
    """Ask for a page."""
    return Reply(asyncio.run(call(app, chunks(b""), method, path, **scope)))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Receiver]]:
    """Yield what makes receivers, which are closed at the end."""
    made: list[Receiver] = []

    def one(**options: Any) -> Receiver:
        given = {"secrets": SECRET, "inbox": tmp_path / "inbox.db", "clock": ManualClock(), "run_handlers": False}
        made.append(Receiver(**{**given, **options}))
        return made[-1]

    yield one
    for receiver in made:
        receiver.close()


@pytest.fixture
def receiver(make: Callable[..., Receiver]) -> Receiver:
    """Return a receiver."""
    return make()


# -- deliveries --------------------------------------------------------------------------------------------------------


def test_a_delivery_is_acknowledged_once_it_is_stored(receiver: Receiver) -> None:
    """200, and it is in the inbox."""
    reply = post(receiver.asgi)

    assert (200, {"status": "accepted"}) == (reply.status, reply.json)
    assert str(len(reply.body)) == reply.headers["content-length"]
    assert ["msg_1"] == [record.entry.delivery_id for record in receiver.inbox.list()]


def test_a_duplicate_is_acknowledged_too(receiver: Receiver) -> None:
    """A sender that hears anything else would send it again."""
    post(receiver.asgi)

    assert (200, {"status": "duplicate"}) == ((reply := post(receiver.asgi)).status, reply.json)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_body_may_come_in_pieces(size: int, receiver: Receiver) -> None:
    """However they are cut; empty ones among them."""
    body = body_of(1)
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    reply = Reply(asyncio.run(call(receiver.asgi, chunks(b"", *parts, b""), headers=headers_of(body))))

    assert 200 == reply.status
    assert [body] == [record.entry.body for record in receiver.inbox.list()]


@pytest.mark.parametrize(
    ("scope", "destination"),
    [
        ({"path": "/"}, ""),
        ({"path": "/signups"}, "signups"),
        ({"path": "/hooks/signups", "root_path": "/hooks"}, "signups"),
        ({"path": "/hooks/", "root_path": "/hooks"}, ""),
        ({"path": "/hooks", "root_path": "/hooks/"}, ""),
        ({"path": "/signups", "root_path": "/hooks"}, "signups"),
        ({"path": "/hooksignups", "root_path": "/hooks"}, "hooksignups"),
    ],
)
def test_the_path_below_the_mount_is_the_destination(
    scope: dict[str, str], destination: str, receiver: Receiver
) -> None:
    """Whether the framework took the mount off the path or not."""
    assert 200 == post(receiver.asgi, **scope).status
    assert destination == receiver.inbox.list()[0].entry.destination


def test_a_wrong_signature_is_refused_in_one_line(receiver: Receiver) -> None:
    """The reply says no more than that it is not believed."""
    reply = Reply(asyncio.run(call(receiver.asgi, chunks(body_of(1)), headers=headers_of(body_of(2)))))

    assert (401, b'{"error": "unauthorised"}\n') == (reply.status, reply.body)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_other_methods_are_not_allowed(method: str, receiver: Receiver) -> None:
    """With what is allowed, and without a body for HEAD."""
    reply = get(receiver.asgi, "/hook", method)

    assert (405, "POST") == (reply.status, reply.headers["allow"])
    assert (method == "HEAD") == (reply.body == b"")


def test_handlers_start_with_the_first_delivery(make: Callable[..., Receiver]) -> None:
    """A mounted app hears of no lifespan."""
    receiver = make(run_handlers=True)
    handled = threading.Event()
    receiver.add_handler(lambda event: handled.set(), "*", name="one")

    assert 200 == post(receiver.asgi).status
    assert handled.wait(10)


# -- bounds ------------------------------------------------------------------------------------------------------------


def endless(chunk: bytes) -> tuple[Messages, list[int]]:
    """Return a `receive` that never comes to an end, and how often it was asked."""
    asked = [0]

    async def receive() -> dict[str, Any]:
        asked[0] += 1
        return {"type": "http.request", "body": chunk, "more_body": True}

    return receive, asked


def test_an_endless_body_is_refused_while_it_arrives(make: Callable[..., Receiver]) -> None:
    """Nothing beyond the bound is read, and the connection is closed."""
    receive, asked = endless(b"x" * 100)
    reply = Reply(asyncio.run(call(make(max_body_bytes=1_000).asgi, receive)))

    assert (413, "close") == (reply.status, reply.headers["connection"])
    assert [11] == asked


@pytest.mark.parametrize("length", ["1001", "9" * 5_000])
def test_a_body_that_says_it_is_too_large_is_not_read(length: str, make: Callable[..., Receiver]) -> None:
    """The length in the header is enough."""
    receive, asked = endless(b"x")
    headers = [(b"content-length", length.encode())]
    reply = Reply(asyncio.run(call(make(max_body_bytes=1_000).asgi, receive, headers=headers)))

    assert (413, [0]) == (reply.status, asked)


@pytest.mark.parametrize("length", ["", "-1", "1e3", "0x10", "१"])
def test_a_length_that_is_no_number_is_refused(length: str, receiver: Receiver) -> None:
    """The server should have seen it; the app does not rely on that."""
    reply = Reply(asyncio.run(call(receiver.asgi, chunks(b""), headers=[(b"content-length", length.encode())])))

    assert (400, {"error": "bad_header"}) == (reply.status, reply.json)


def test_a_slow_sender_is_not_waited_for(make: Callable[..., Receiver]) -> None:
    """408 after the time is over, and its place is free again."""
    receiver = make(limits=ServingLimits(timeout_s=0.2, requests=1))
    receiver.start()

    async def drip() -> AsyncIterator[dict[str, Any]]:
        while True:
            yield {"type": "http.request", "body": b"x", "more_body": True}
            await asyncio.sleep(0.01)

    async def send() -> Reply:
        return Reply(await call(receiver.asgi, drip().__anext__))

    reply = asyncio.run(send())
    assert (408, "close", {"error": "slow_sender"}) == (reply.status, reply.headers["connection"], reply.json)
    assert 200 == post(receiver.asgi).status


def test_a_sender_that_hangs_up_leaves_nothing_behind(make: Callable[..., Receiver]) -> None:
    """There is nobody to answer, and its place is free again."""
    receiver = make(limits=ServingLimits(requests=1, bytes=1_000))
    messages = [{"type": "http.request", "body": b"x" * 900, "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    assert [] == asyncio.run(call(receiver.asgi, receive))
    assert 200 == post(receiver.asgi).status


class SlowInbox(SqliteInbox):
    """An inbox that stores nothing before it is told to."""

    gate: asyncio.Event

    async def add_async(self, entries: Sequence[Entry]) -> tuple[Added, ...]:
        await self.gate.wait()
        return await super().add_async(entries)


def test_more_requests_than_there_is_room_for_are_sent_away(make: Callable[..., Receiver], tmp_path: Path) -> None:
    """They are not read; those inside are unharmed; /ready says so, and /health does not care."""
    inbox = SlowInbox(tmp_path / "slow.db")
    receiver = make(inbox=inbox, limits=ServingLimits(requests=3))

    async def scenario() -> None:
        inbox.gate = asyncio.Event()
        bodies = [body_of(number) for number in range(3)]
        inside = [
            asyncio.create_task(call(receiver.asgi, chunks(body), headers=headers_of(body, at)))
            for at, body in enumerate(bodies)
        ]
        await asyncio.sleep(0.01)
        receive, asked = endless(b"x")
        reply = Reply(await call(receiver.asgi, receive))
        assert (503, "2", "close", [0]) == (
            reply.status,
            reply.headers["retry-after"],
            reply.headers["connection"],
            asked,
        )
        assert 503 == Reply(await call(receiver.asgi, chunks(b""), "GET", "/ready")).status
        assert 200 == Reply(await call(receiver.asgi, chunks(b""), "GET", "/health")).status
        inbox.gate.set()
        assert [200] * 3 == [Reply(await task).status for task in inside]
        body = body_of(9)
        assert 200 == Reply(await call(receiver.asgi, chunks(body), headers=headers_of(body, 9))).status

    asyncio.run(scenario())
    inbox.close()


def test_the_bodies_of_all_requests_together_are_bounded(make: Callable[..., Receiver]) -> None:
    """Many that are each small enough do not fill the memory; what they held is free when they are gone."""
    receiver = make(limits=ServingLimits(bytes=10_000))

    async def scenario() -> None:
        async def stuck() -> dict[str, Any]:
            if first:
                return first.pop()
            await asyncio.sleep(3_600)
            raise AssertionError

        first = [{"type": "http.request", "body": b"x" * 9_000, "more_body": True}]
        holding = asyncio.create_task(call(receiver.asgi, stuck))
        await asyncio.sleep(0.01)
        reply = Reply(await call(receiver.asgi, chunks(b"x" * 1_500)))
        assert (503, "close") == (reply.status, reply.headers["connection"])
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        body = body_of(1)
        assert 200 == Reply(await call(receiver.asgi, chunks(body), headers=headers_of(body))).status

    asyncio.run(scenario())


def test_an_inbox_that_does_not_answer_is_not_waited_for(make: Callable[..., Receiver], tmp_path: Path) -> None:
    """503, so that the sender comes again; when the first was stored after all, it is recognised."""
    inbox = SlowInbox(tmp_path / "slow.db")
    receiver = make(inbox=inbox, limits=ServingLimits(timeout_s=0.05))

    async def scenario() -> None:
        inbox.gate = asyncio.Event()
        body = body_of(1)
        reply = Reply(await call(receiver.asgi, chunks(body), headers=headers_of(body)))
        assert (503, "2") == (reply.status, reply.headers["retry-after"])

    asyncio.run(scenario())
    inbox.close()


def test_a_full_inbox_is_said_and_remembered(
    make: Callable[..., Receiver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with the inbox's own Retry-After, and not ready until then."""
    inbox = SqliteInbox(tmp_path / "full.db")
    receiver = make(inbox=inbox)
    now = [100.0]
    app = ReceiverApp(receiver, limits=ServingLimits(), max_body_bytes=10_000, monotonic=lambda: now[0])

    async def full(entries: object) -> Any:
        raise InboxFull("10,000 wait", retry_after_s=3)

    assert 200 == get(app, "/ready").status
    with monkeypatch.context() as patched:
        patched.setattr(inbox, "add_async", full)
        reply = post(app)
    assert (503, "3") == (reply.status, reply.headers["retry-after"])
    assert (503, {"status": "full"}) == ((ready := get(app, "/ready")).status, ready.json)
    now[0] += 3
    assert 200 == get(app, "/ready").status
    inbox.close()


def test_a_locked_inbox_is_an_answer_too(make: Callable[..., Receiver], tmp_path: Path) -> None:
    """While another process writes for too long, senders shall come again; afterwards all is well."""
    inbox = SqliteInbox(tmp_path / "locked.db", lock_timeout_s=0.02)
    receiver = make(inbox=inbox)
    other = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    locked, ready = post(receiver.asgi), get(receiver.asgi, "/ready")
    other.execute("ROLLBACK")
    other.close()

    assert (503, "2", {"error": "try again later"}) == (locked.status, locked.headers["retry-after"], locked.json)
    assert (503, {"status": "the inbox cannot be written"}) == (ready.status, ready.json)
    assert 200 == post(receiver.asgi).status
    inbox.close()


def test_an_inbox_that_cannot_be_opened_is_an_answer_too(make: Callable[..., Receiver], tmp_path: Path) -> None:
    """The first request starts the receiver; that it cannot is not the sender's fault."""
    (tmp_path / "directory").mkdir()
    reply = post(make(inbox=tmp_path / "directory").asgi)

    assert (503, "2") == (reply.status, reply.headers["retry-after"])


# -- pages -------------------------------------------------------------------------------------------------------------


def test_health_says_that_the_process_answers(receiver: Receiver) -> None:
    """It does not ask the inbox."""
    assert (200, {"status": "alive"}) == ((reply := get(receiver.asgi, "/health")).status, reply.json)


def test_ready_asks_the_inbox_at_most_once_a_second(make: Callable[..., Receiver], tmp_path: Path) -> None:
    """However often it is asked itself."""
    asked = []

    class Asked(SqliteInbox):
        def retry(self, *args: Any, **options: Any) -> int:
            asked.append(args)
            return super().retry(*args, **options)

    inbox = Asked(tmp_path / "asked.db")
    now = [0.0]
    app = ReceiverApp(make(inbox=inbox), limits=ServingLimits(), max_body_bytes=10, monotonic=lambda: now[0])
    statuses = [get(app, "/ready").status for _ in range(3)]
    now[0] += 1
    statuses.append(get(app, "/ready").status)
    inbox.close()

    assert [200] * 4 == statuses
    assert 2 == len(asked)


def test_metrics_are_prometheus_text(receiver: Receiver) -> None:
    """With the deliveries, how long acknowledging took, and the inbox."""
    post(receiver.asgi)
    reply = get(receiver.asgi, "/metrics")

    assert "text/plain; version=0.0.4; charset=utf-8" == reply.headers["content-type"]
    lines = reply.body.decode().splitlines()
    assert 'posthog_events_receiver_deliveries_total{code="accepted",status="200"} 1.0' in lines
    assert "posthog_events_receiver_ack_seconds_count 1.0" in lines
    assert 'posthog_events_receiver_ack_seconds_bucket{le="+Inf"} 1.0' in lines
    assert "posthog_events_receiver_inbox_entries 1.0" in lines


def test_pages_can_be_hidden(make: Callable[..., Receiver]) -> None:
    """A page that is not served is a path like any other."""
    app = make(limits=ServingLimits(pages=("health",))).asgi

    assert [200, 405] == [get(app, path).status for path in ("/health", "/metrics")]


def test_pages_are_for_reading(receiver: Receiver) -> None:
    """A delivery to one of them is a mistake that is said."""
    assert (405, "GET, HEAD") == ((reply := post(receiver.asgi, path="/health")).status, reply.headers["allow"])


# -- the server's side -------------------------------------------------------------------------------------------------


def lifespan(receiver: Receiver) -> list[dict[str, Any]]:
    """Drive a lifespan to its end, and return what the app sent."""
    sent: list[dict[str, Any]] = []
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append({**message, "open": not receiver.wants_start and receiver.counts() is not None})

    asyncio.run(receiver.asgi({"type": "lifespan"}, receive, send))
    return sent


def test_the_lifespan_starts_and_closes(receiver: Receiver) -> None:
    """The inbox is open in between."""
    assert [
        {"type": "lifespan.startup.complete", "open": True},
        {"type": "lifespan.shutdown.complete", "open": False},
    ] == lifespan(receiver)


def test_a_start_that_fails_stops_the_server_with_the_reason(make: Callable[..., Receiver], tmp_path: Path) -> None:
    """It is one sentence and no traceback."""
    (tmp_path / "file").write_text("this is no inbox, and it is longer than a header has to be: " + "x" * 100)
    [failed] = lifespan(make(inbox=tmp_path / "file"))

    assert "lifespan.startup.failed" == failed["type"]
    assert "is not an inbox; choose another path" in failed["message"]


def test_websockets_are_closed(receiver: Receiver) -> None:
    """There are none here."""
    assert [{"type": "websocket.close", "code": 1000}] == asyncio.run(
        call(receiver.asgi, chunks(b""), type="websocket")
    )


def test_an_unknown_scope_is_an_error(receiver: Receiver) -> None:
    """As ASGI asks for."""
    with pytest.raises(ValueError, match="'smoke'"):
        asyncio.run(call(receiver.asgi, chunks(b""), type="smoke"))


def test_it_mounts_in_starlette(make: Callable[..., Receiver]) -> None:
    """With the application's lifespan, pages and deliveries are below the mount."""
    receiver = make(run_handlers=True)
    handled = threading.Event()
    receiver.add_handler(lambda event: handled.set(), "*", name="one")
    app = Starlette(routes=[Mount("/webhooks", receiver.asgi)], lifespan=receiver.lifespan)
    body = body_of(1)

    async def ask(method: str, path: str) -> Reply:
        return Reply(await call(app, chunks(body), method, path, headers=headers_of(body), root_path=""))

    async def scenario() -> None:
        async with app.router.lifespan_context(app):
            assert {"status": "ready"} == (await ask("GET", "/webhooks/ready")).json
            assert 200 == (await ask("POST", "/webhooks/signups")).status
            assert 405 == (await ask("GET", "/webhooks/signups")).status
            assert 404 == (await ask("POST", "/elsewhere")).status
            assert await asyncio.to_thread(handled.wait, 10)
            assert "signups" == receiver.inbox.list()[0].entry.destination

    asyncio.run(scenario())
    assert not receiver.wants_start
    assert receiver.counts() is None
