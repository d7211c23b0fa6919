"""One exchange: what is sent, to whom, and which replies are believed."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

import posthog_events
from posthog_events.errors import BadAnswer
from posthog_events.posthog.failures import Failure, Kind
from posthog_events.posthog.http import Reply
from posthog_events.posthog.redact import Redactor
from posthog_events.posthog.session import MAX_BODY_BYTES, READ_BYTES, Wire, new_session
from tests.helpers.scripted import Scripted

KEY = "phx_hunter2hunter2"
US = "https://us.posthog.com"
S3 = "https://bucket.s3.amazonaws.com/part.parquet?X-Amz-Signature=abc"


@pytest.fixture
def scripted() -> Scripted:
    """A PostHog by script."""
    return Scripted()


def wire(
    session: requests.Session,
    *,
    origin: str = US,
    key: str | None = KEY,
    max_body_bytes: int = MAX_BODY_BYTES,
    clock: Callable[[], float] = lambda: 0.0,
) -> Wire:
    """Return a wire to the US region, or to a loopback server."""
    return Wire(session, origin, key, Redactor(KEY, origin=origin), max_body_bytes, clock)


def ask(wire: Wire, method: str = "GET", path: str = "/api/x/", body: bytes | None = None) -> Reply | Failure:
    """Exchange one request."""
    return wire.exchange(method, path, params={}, body=body, read_timeout_s=5)


def test_the_request_says_who_asks_and_with_which_key(scripted: Scripted) -> None:
    """User-Agent, key, body and query string arrive; the timeouts are the request's own."""
    scripted.reply(json={"ok": True})

    reply = wire(scripted.session()).exchange(
        "POST", "/api/x/", params={"properties": '[{"key":"a b"}]'}, body=b'{"a":1}', read_timeout_s=77
    )

    sent = scripted.requests[0]
    assert isinstance(reply, Reply)
    assert (200, {"ok": True}, "POST /api/x/") == (reply.status, reply.decode(), reply.source)
    assert [f"POST {US}/api/x/?properties=%5B%7B%22key%22%3A%22a+b%22%7D%5D"] == scripted.urls
    assert b'{"a":1}' == sent.body
    assert ("application/json", f"Bearer {KEY}", f"posthog-events/{posthog_events.__version__}") == (
        sent.headers["Content-Type"],
        sent.headers["Authorization"],
        sent.headers["User-Agent"],
    )
    assert (10.0, 77) == scripted.sent_with[0]["timeout"]


@pytest.mark.parametrize("key", [KEY, None])
def test_netrc_never_replaces_the_key(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    """requests would send the login of `.netrc` for this host, also where no key is to be sent."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine us.posthog.com login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    scripted.reply()

    ask(wire(scripted.session(), key=key))

    assert (key and f"Bearer {key}") == scripted.requests[0].headers.get("Authorization")


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("location", ["/api/projects/1/query/?a=1", f"{US}/api/projects/1/query/?a=1"])
def test_a_redirect_within_the_origin_is_followed_once(scripted: Scripted, status: int, location: str) -> None:
    """The old path answers with a 307: method, body and key go to the new one."""
    scripted.reply(status, headers={"Location": location}).reply(json=[1])

    reply = ask(wire(scripted.session()), "POST", "/api/environments/1/query", b"{}")

    assert isinstance(reply, Reply)
    assert 200 == reply.status
    assert [
        "POST https://us.posthog.com/api/environments/1/query",
        f"POST {US}/api/projects/1/query/?a=1",
    ] == scripted.urls
    assert [(b"{}", f"Bearer {KEY}")] * 2 == [(r.body, r.headers["Authorization"]) for r in scripted.requests]


def test_a_second_redirect_is_not_followed(scripted: Scripted) -> None:
    """A circle ends with the reply that makes it one."""
    scripted.reply(307, headers={"Location": "/b/"}).reply(307, headers={"Location": "/a/"})

    reply = ask(wire(scripted.session()))

    assert isinstance(reply, Reply)
    assert (307, 2) == (reply.status, len(scripted.requests))


@pytest.mark.parametrize("status", [302, 303, 307])
@pytest.mark.parametrize(
    "location", [S3, "http://us.posthog.com:81/x", "https://us.posthog.com@evil.example/", "//evil.example/x"]
)
def test_a_redirect_to_another_host_never_gets_the_key(scripted: Scripted, status: int, location: str) -> None:
    """It is returned for callers that want the address, or refused; nothing is sent there."""
    scripted.reply(status, headers={"Location": location})

    try:
        reply = ask(wire(scripted.session()))
    except BadAnswer:
        assert "http://us.posthog.com:81/x" == location
    else:
        assert isinstance(reply, Reply)
        assert (status, location) == (reply.status, reply.headers["location"])
    assert [f"GET {US}/api/x/"] == scripted.urls


@pytest.mark.parametrize(
    ("status", "location", "says"),
    [
        (301, "https://eu.posthog.com/api/x/", "set the host to https://eu.posthog.com"),
        (308, "https://new.example/?token=hunter2", "set the host to https://new.example"),
        (302, "http://us.posthog.com/api/x/", "set the host to http://us.posthog.com"),
        (302, "/login?next=/api/x/", "login page"),
    ],
)
def test_a_host_that_has_moved_is_named(scripted: Scripted, status: int, location: str, says: str) -> None:
    """The user learns which host to set, and no more of the address than that."""
    scripted.reply(status, headers={"Location": location})

    with pytest.raises(BadAnswer, match=says) as caught:
        ask(wire(scripted.session()))

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 401, 403, 404])
@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/html; charset=utf-8", b"<p>Sign in</p>"), ("", b" \n<!DOCTYPE html><html>"), ("text/plain", b"<html>")],
)
def test_a_web_page_is_not_an_answer(scripted: Scripted, status: int, kind: str, body: bytes) -> None:
    """A login page or a captive portal says nothing about the key or the query."""
    scripted.reply(status, body=body, headers={"Content-Type": kind} if kind else {})

    with pytest.raises(BadAnswer, match=rf"web page instead of data \(status {status}\).*proxy, firewall or login"):
        ask(wire(scripted.session()))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_gateways_web_page_is_a_failure_of_its_status(scripted: Scripted, status: int) -> None:
    """Load balancers write HTML; the status says enough to try again."""
    scripted.reply(status, body=b"<html>Bad Gateway</html>", headers={"Content-Type": "text/html"})

    reply = ask(wire(scripted.session()))

    assert isinstance(reply, Reply)
    assert status == reply.status


def test_text_that_begins_like_a_page_may_be_data(scripted: Scripted) -> None:
    """JSON is JSON, whatever a string in it begins with."""
    scripted.reply(body=b"<html>", headers={"Content-Type": "application/json"})

    assert isinstance(ask(wire(scripted.session())), Reply)


def test_a_bomb_is_not_unpacked(scripted: Scripted) -> None:
    """The limit holds for what comes out of the compression, and reading ends there."""
    bomb = gzip.compress(bytes(8 * 2**20))
    scripted.reply(body=bomb, headers={"Content-Encoding": "gzip", "Content-Length": str(len(bomb))})

    with pytest.raises(BadAnswer, match=r"GET /api/x/: the answer is larger than 1 MiB"):
        ask(wire(scripted.session(), max_body_bytes=2**20))


def test_a_compressed_body_up_to_the_limit_is_read(scripted: Scripted) -> None:
    """The limit itself is allowed."""
    body = gzip.compress(b"x" * 2**20)
    scripted.reply(body=body, headers={"Content-Encoding": "gzip"})

    reply = ask(wire(scripted.session(), max_body_bytes=2**20))

    assert isinstance(reply, Reply)
    assert b"x" * 2**20 == reply.body


def test_a_damaged_compression_is_a_failed_connection(scripted: Scripted) -> None:
    """What was damaged on the way can be asked for again."""
    scripted.reply(body=b"no gzip", headers={"Content-Encoding": "gzip"})

    failure = ask(wire(scripted.session()))

    assert isinstance(failure, Failure)
    assert (Kind.CUT_OFF, f"no answer from {US}: the answer arrived damaged: it cannot be decompressed") == (
        failure.kind,
        failure.detail,
    )


def test_a_reply_that_trickles_in_ends_at_the_deadline(scripted: Scripted) -> None:
    """Time is looked at between packets, as the read timeout is only for pauses; 900 s are allowed in all."""
    scripted.reply(body=bytes(4 * READ_BYTES)).reply(body=bytes(4 * READ_BYTES))
    slow, fast = iter(range(0, 9000, 301)), iter(range(0, 9000, 225))

    late = ask(wire(scripted.session(), clock=lambda: float(next(slow))))
    in_time = ask(wire(scripted.session(), clock=lambda: float(next(fast))))

    assert isinstance(late, Failure)
    assert Kind.CUT_OFF is late.kind
    assert "did not come in time" in late.detail
    assert isinstance(in_time, Reply)


def test_an_exception_becomes_a_failure_and_no_reply(scripted: Scripted) -> None:
    """Nothing of requests leaves this place."""
    scripted.fail(requests.ConnectionError("x"))

    assert isinstance(ask(wire(scripted.session())), Failure)


def test_ctrl_c_is_not_a_failed_connection(scripted: Scripted) -> None:
    """It passes through."""
    scripted.fail(KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        ask(wire(scripted.session()))


def test_a_wire_does_not_show_its_key(scripted: Scripted) -> None:
    """Objects end up in logs and in notebooks."""
    assert "hunter2" not in repr(wire(scripted.session()))


# From here on with real sockets: what urllib3 and http.client make of bytes on the wire.


@contextmanager
def server(*answers: bytes) -> Iterator[tuple[str, list[tuple[int, bytes]]]]:
    """Serve raw bytes on loopback, one answer for each request; yield the origin, and connection and text of each.

    A connection is kept while there are answers; after the last it is closed.
    """
    seen: list[tuple[int, bytes]] = []
    left = list(answers)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            number = 0
            while left:
                connection, _ = listener.accept()
                number += 1
                with connection:
                    connection.settimeout(5)
                    while left and (request := connection.recv(65536)):
                        seen.append((number, request))
                        connection.sendall(left.pop(0))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
        thread.join(timeout=5)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"results": [',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2,\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[1",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99\r\n\r\n" + gzip.compress(b"[1]"),
        b"\x15\x03\x01\x00\x02\x02\x16",
    ],
    ids=["nothing", "headers", "length", "chunk-border", "within-chunk", "chunk-size", "gzip", "not-http"],
)
def test_a_reply_that_is_cut_off_is_never_taken_as_whole(answer: bytes) -> None:
    """However the length was announced."""
    with server(answer) as (origin, _), new_session() as session:
        failure = ask(wire(session, origin=origin))

    assert isinstance(failure, Failure)
    assert Kind.CUT_OFF is failure.kind


def test_a_chunked_reply_is_put_together_and_the_connection_used_again() -> None:
    """Reading to the end gives the connection back, so the second request needs no new one."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[3]"

    with server(chunked, plain, plain) as (origin, seen), new_session() as session:
        one = wire(session, origin=origin)
        replies = [ask(one), ask(one), ask(one)]

    assert [b"[1,2]", b"[3]", b"[3]"] == [reply.body for reply in replies if isinstance(reply, Reply)]
    assert [1, 1, 1] == [connection for connection, _ in seen]


def test_cookies_are_not_kept() -> None:
    """A session cookie would be a second identity besides the key."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: sessionid=1; Path=/\r\n\r\n[]"

    with server(answer, answer) as (origin, seen), new_session() as session:
        one = wire(session, origin=origin)
        ask(one)
        ask(one)

    assert [False, False] == [b"sessionid" in request for _, request in seen]


def test_a_port_where_nothing_listens_is_refused() -> None:
    """The request was certainly not sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with new_session() as session:
        failure = ask(wire(session, origin=origin))

    assert isinstance(failure, Failure)
    assert Kind.NOT_SENT is failure.kind
    assert "refused" in failure.detail


def test_https_to_a_port_without_tls_says_so() -> None:
    """A frequent mistake with an own PostHog on port 8000."""
    with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (origin, _), new_session() as session:
        failure = ask(wire(session, origin=origin.replace("http", "https")))

    assert isinstance(failure, Failure)
    assert Kind.UNREACHABLE is failure.kind
    assert "does not speak TLS" in failure.detail


def test_eight_threads_keep_their_connections() -> None:
    """The pool holds as many connections as threads share a client; none is thrown away with a warning."""
    session = new_session()

    assert {8} == {adapter._pool_maxsize for adapter in session.adapters.values()}  # type: ignore[attr-defined]
