"""Recording what a small server answers, and replaying it when the server is gone."""

from __future__ import annotations

import base64
import gzip
import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from posthog_events.errors import ConfigError, MissingExtra, PostHogEventsError
from posthog_events.posthog.cassette import recording, replaying
from posthog_events.posthog.cassette_file import moved
from posthog_events.posthog.client import ApiClient
from posthog_events.posthog.host import Host
from posthog_events.posthog.http import Request

KEY = "phx_recordedKeyThatNobodyMaySee1"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ANN = "ann-distinct-77"
EMAIL = "ann.lee@company.example"

Answer = tuple[int, dict[str, str], bytes]


class Upstream:
    """A server on the loopback interface whose answers a function gives."""

    def __init__(self, answer: Callable[[str, str, bytes], Answer]) -> None:
        self.answer, self.asked = answer, 0
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet for head and body: two wait 40 ms for an acknowledgement

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                upstream.asked += 1
                status, headers, reply = upstream.answer(self.command, self.path, body)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(reply)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(answer: Callable[[str, str, bytes], Answer]) -> Iterator[Upstream]:
    """Serve until the block ends."""
    upstream = Upstream(answer)
    thread = threading.Thread(target=upstream.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield upstream
    finally:
        upstream.server.shutdown()
        upstream.server.server_close()
        thread.join()


def as_json(document: Any, status: int = 200, **headers: str) -> Answer:
    """Return a JSON answer."""
    return status, {"Content-Type": "application/json", **headers}, json.dumps(document).encode()


def echo(method: str, path: str, body: bytes) -> Answer:
    """Answer with what was asked."""
    return as_json({"method": method, "path": path, "body": json.loads(body) if body else None})


def client(url: str) -> ApiClient:
    """Return a client that never waits."""
    return ApiClient(Host(url, url), 7, KEY, sleep=lambda _: None)


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "tape.yaml"


def test_replay_needs_no_server(tape: Path) -> None:
    """What a client received while it was recorded, it receives again when the server is gone."""
    ask = Request("POST", "query/", json={"query": {"kind": "HogQLQuery", "query": "SELECT 1"}})
    with serving(echo) as upstream, recording(tape, label="emulator"), client(upstream.url) as api:
        recorded = api.send(ask).decode()
    with replaying(tape) as label, client(upstream.url) as api:
        replayed = api.send(ask).decode()

    assert "/api/projects/7/query/" == recorded["path"]
    assert recorded == replayed
    assert 1 == upstream.asked
    assert ("emulator", 7, True) == (label.against, label.project, label.scrubbed)


def test_file_says_what_was_recorded(tape: Path) -> None:
    """The first line and the label tell a reader where the answers are from, and when."""
    with recording(tape, label="eu", now=lambda: NOW):
        pass

    text = tape.read_text()
    assert "# A recording by posthog-events, against: eu" == text.splitlines()[0]
    assert "at: '2026-06-01T12:00:00+00:00'" in text


def test_file_holds_neither_key_nor_person(tape: Path) -> None:
    """Key, e-mail address and distinct id are not in the text of the file, wherever they stood."""

    def answer(method: str, path: str, body: bytes) -> Answer:
        properties = json.dumps({"$set": {"email": EMAIL, "name": "Ann Lee"}, "$ip": "81.2.69.142", "plan": "pro"})
        return as_json(
            {
                "results": [[ANN, properties, 3]],
                "columns": ["distinct_id", "properties", "n"],
                "types": [["distinct_id", "String"], ["properties", "String"], ["n", "UInt64"]],
                "hogql": json.loads(body)["query"]["query"],
                "note": f"asked with {KEY} by {ANN}",
            },
            **{"Set-Cookie": "sessionid=verysecretsession1"},
        )

    query = {"kind": "HogQLQuery", "query": f"SELECT 1 WHERE distinct_id = '{ANN}' AND event = {{e}} -- {EMAIL}"}
    ask = Request("POST", "query/", json={"query": {**query, "values": {"e": "signup"}}}, params={"search": "Ann Lee"})
    with serving(answer) as upstream, recording(tape, label="emulator"), client(upstream.url) as api:
        api.send(ask)

    text = tape.read_text()
    for gone in (KEY, EMAIL, ANN, "Ann Lee", "Ann+Lee", "81.2.69.142", "verysecretsession1"):
        assert gone not in text
    for kept in ("HogQLQuery", "signup", "pro", "Bearer phx_scrubbed"):
        assert kept in text


def test_person_who_is_named_later_is_replaced_earlier_too(tape: Path) -> None:
    """Nothing around the first mention says that it is a person; a later reply does, before the file is written."""

    def answer(method: str, path: str, body: bytes) -> Answer:
        return as_json({"distinct_ids": [ANN]} if path.endswith("/last/") else {"found": [ANN]})

    with serving(answer) as upstream, recording(tape, label="emulator"), client(upstream.url) as api:
        api.send(Request("GET", f"first/{ANN}/"))
        api.send(Request("GET", "last/"))

    assert ANN not in tape.read_text()


def test_script_that_names_a_person_finds_the_reply(tape: Path) -> None:
    """A stand-in in the recording matches the value that it stands for, and only that one from then on."""

    def answer(method: str, path: str, body: bytes) -> Answer:
        return as_json({"results": [{"distinct_id": parse_qs(urlsplit(path).query)["distinct_id"][0]}]})

    def ask(person: str) -> Request:
        return Request("GET", "events/", params={"distinct_id": person, "limit": "5"})

    with serving(answer) as upstream, recording(tape, label="emulator"), client(upstream.url) as api:
        for person in (ANN, "bob-distinct-78", ANN):
            api.send(ask(person))
    with replaying(tape), client(upstream.url) as api:
        first, second, third = [
            api.send(ask(person)).decode()["results"][0]["distinct_id"] for person in (ANN, ANN, "bob-distinct-78")
        ]
        with pytest.raises(ConfigError, match="asked more often"):
            api.send(ask("bob-distinct-78"))

    assert first == second != third


def test_values_of_replies_can_be_asked_for(tape: Path) -> None:
    """A request with a stand-in that an earlier reply held is answered with the reply about the same person."""

    def answer(method: str, path: str, body: bytes) -> Answer:
        if path.endswith("/persons/"):
            return as_json({"results": [{"distinct_ids": [ANN, "bob-distinct-78"]}]})
        person = parse_qs(urlsplit(path).query)["distinct_id"][0]
        return as_json({"n": 1 if person == ANN else 2})

    def script(api: ApiClient) -> list[int]:
        people = api.send(Request("GET", "persons/")).decode()["results"][0]["distinct_ids"]
        return [
            api.send(Request("GET", "events/", params={"distinct_id": one})).decode()["n"]
            for one in people[::direction]
        ]

    with serving(answer) as upstream, recording(tape, label="emulator"), client(upstream.url) as api:
        direction = 1
        assert [1, 2] == script(api)
    with replaying(tape), client(upstream.url) as api:
        direction = -1
        assert [2, 1] == script(api)


def test_random_query_id_and_order_of_keys_do_not_matter(tape: Path) -> None:
    """The id of an attempt differs each time, and JSON objects have no order."""
    with serving(echo) as upstream, recording(tape, label="emulator"), client(upstream.url) as api:
        api.send(Request("POST", "query/", json={"a": 1, "b": {"c": 2, "d": 3}, "client_query_id": "one"}))
    with replaying(tape), client(upstream.url) as api:
        reply = api.send(Request("POST", "query/", json={"client_query_id": "two", "b": {"d": 3, "c": 2}, "a": 1}))

    assert {"c": 2, "d": 3} == reply.decode()["body"]["b"]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (Request("GET", "query/"), "POST /api/projects/7/query/, but the method differs"),
        (Request("POST", "events/", json={"a": {"b": [1, 2]}}), "but the path differs"),
        (Request("POST", "query/", json={"a": {"b": [1, 3]}}), r"but the body at a\.b\[1\] differs"),
        (Request("POST", "query/", json={"a": {"b": [1, 2]}}, params={"x": "1"}), "but the parameter x differs"),
        (Request("POST", "query/", json={"a": {"b": [1, True]}}), r"but the body at a\.b\[1\] differs"),
    ],
    ids=["method", "path", "body", "parameter", "true-is-not-one"],
)
def test_request_that_was_not_recorded_is_named(tape: Path, ask: Request, said: str) -> None:
    """The error says what was asked, and where the nearest recorded request differs."""
    with serving(echo) as upstream, recording(tape, label="emulator"), client(upstream.url) as api:
        api.send(Request("POST", "query/", json={"a": {"b": [1, 2]}}))
    with (
        replaying(tape),
        client(upstream.url) as api,
        pytest.raises(ConfigError, match=rf"^{ask.method} /api/projects/7/{ask.path} is not in .*{said}"),
    ):
        api.send(ask)


def test_same_request_gets_its_replies_in_recorded_order(tape: Path) -> None:
    """A refusal with Retry-After, and the answer after it, come again one after the other."""
    answers = [as_json({"detail": "wait"}, 429, **{"Retry-After": "3"}), as_json({"n": 1})]
    waits: list[float] = []

    with serving(lambda *_: answers.pop(0)) as upstream, recording(tape, label="emulator"), client(upstream.url) as api:
        api.send(Request("GET", "events/"))
    with replaying(tape), ApiClient(Host("https://x.test", ""), 7, KEY, sleep=waits.append) as api:
        reply = api.send(Request("GET", "events/"))

    assert {"n": 1} == reply.decode()
    assert [3.0] == waits


def test_links_lead_to_where_posthog_is_at_replay(tape: Path) -> None:
    """PostHog's own address in a reply becomes the replaying client's, over TLS too; the recorded one is not kept."""

    def answer(method: str, path: str, body: bytes) -> Answer:
        return as_json({"next": f"{upstream.url}/api/projects/7/events/?before=1", "results": []})

    with serving(answer) as upstream, recording(tape, label="emulator"), client(upstream.url) as api:
        api.send(Request("GET", "events/"))
    with replaying(tape), client("https://eu.posthog.com") as api:
        reply = api.send(Request("GET", "events/"))

    assert "https://eu.posthog.com/api/projects/7/events/?before=1" == reply.decode()["next"]
    assert upstream.url not in tape.read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://h:80/a http://h:80", "https://new/a https://new"),
        ("http://h:8000/a, http://h:80.example/", "http://h:8000/a, http://h:80.example/"),
        ("?next=http%3A%2F%2Fh%3A80%2Fa", "?next=https%3A%2F%2Fnew%2Fa"),
    ],
    ids=["plain", "longer ones stay", "in a parameter"],
)
def test_only_the_whole_origin_is_moved(text: str, expected: str) -> None:
    """An address that merely begins in the same way is another one."""
    assert expected == moved(text, "http://h:80", "https://new")


def test_compressed_replies_are_kept_decompressed(tape: Path) -> None:
    """A reply in gzip is readable in the file, and arrives whole in both runs, streamed with `read1`."""
    rows = json.dumps({"rows": ["x" * 50] * 2_000}).encode()

    def answer(method: str, path: str, body: bytes) -> Answer:
        packed = gzip.compress(rows)
        return (
            200,
            {"Content-Type": "application/json", "Content-Encoding": "gzip", "Content-Length": str(len(packed))},
            packed,
        )

    with serving(answer) as upstream, recording(tape, label="emulator"), client(upstream.url) as api:
        recorded = api.send(Request("GET", "events/")).body
    with replaying(tape), client(upstream.url) as api:
        replayed = api.send(Request("GET", "events/")).body

    assert (rows, rows) == (recorded, replayed)
    assert "x" * 50 in tape.read_text()


def test_raw_bytes_can_be_streamed_from_another_host(tape: Path) -> None:
    """A file from storage is read in chunks, binary as it is; its host has to be the recorded one."""
    content = bytes(range(256)) * 600

    with (
        serving(lambda *_: as_json({})) as upstream,
        serving(lambda *_: (200, {"Content-Type": "application/octet-stream"}, content)) as storage,
    ):
        signed = f"{storage.url}/part?X-Amz-Signature=0123456789abcdef0123&X-Amz-Expires=60"

        def fetch() -> bytes:
            with requests.Session() as session, session.get(signed, stream=True, timeout=5) as response:
                return b"".join(response.raw.stream(1_000, decode_content=False))

        with recording(tape, label="emulator"), client(upstream.url) as api:
            api.send(Request("GET", "runs/"))
            recorded = fetch()
    with replaying(tape):
        replayed = fetch()
    with replaying(tape), pytest.raises(ConfigError, match=r"GET /part is not in .*the host differs"):
        requests.get("http://127.0.0.1:1/part", timeout=5)

    assert (content, content) == (recorded, replayed)
    assert "0123456789abcdef0123" not in tape.read_text()


def test_threads_are_recorded_and_replayed_without_mixing(tape: Path) -> None:
    """Many requests from several threads are all recorded, and each gets its own reply."""

    def run(api: ApiClient) -> list[int]:
        def ask(number: int) -> int:
            document = api.send(Request("POST", "query/", json={"number": number})).decode()
            return int(document["body"]["number"])

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(ask, range(60)))

    with serving(echo) as upstream, recording(tape, label="emulator"), client(upstream.url) as api:
        recorded = run(api)
    with replaying(tape), client(upstream.url) as api:
        replayed = run(api)

    assert list(range(60)) == recorded == replayed
    assert 60 == upstream.asked == tape.read_text().count("method: POST")


def test_recording_is_kept_when_the_script_fails(tape: Path) -> None:
    """The run that fails is the one that a bug report needs, and its own error comes through."""

    def script(api: ApiClient) -> None:
        with recording(tape, label="emulator"):
            api.send(Request("GET", "events/"))
            raise ZeroDivisionError

    with serving(echo) as upstream, client(upstream.url) as api:
        with pytest.raises(ZeroDivisionError):
            script(api)
        api.send(Request("GET", "events/"))  # the session works on, unrecorded

    assert 2 == upstream.asked
    assert 1 == tape.read_text().count("method: GET")


def test_secret_in_a_form_that_is_not_recognised_is_never_written(tape: Path) -> None:
    """A file that would hold the key in another spelling is refused, and what was there stays."""
    tape.write_text("# A recording by posthog-events, an older one\n")
    disguised = base64.b64encode(KEY.encode()).decode()

    with (
        serving(lambda *_: as_json({"echo": disguised})) as upstream,
        pytest.raises(PostHogEventsError, match=r"not saved.*request 1") as caught,
        recording(tape, label="emulator"),
        client(upstream.url) as api,
    ):
        api.send(Request("GET", "events/"))

    assert disguised not in str(caught.value)
    assert "# A recording by posthog-events, an older one\n" == tape.read_text()
    assert [tape] == list(tape.parent.iterdir())


def test_persons_stay_when_asked_to_but_keys_never(tape: Path) -> None:
    """`scrub=False` is for data that is nobody's; a key is replaced all the same."""
    with (
        serving(lambda *_: as_json({"email": EMAIL, "token": "phc_sometoken12"})) as upstream,
        recording(tape, label="emulator", scrub=False),
        client(upstream.url) as api,
    ):
        api.send(Request("GET", "events/", params={"distinct_id": ANN}))

    text = tape.read_text()
    assert EMAIL in text
    assert ANN in text
    assert KEY not in text
    assert "phc_sometoken12" not in text


def test_two_recordings_have_different_stand_ins(tmp_path: Path) -> None:
    """The salt is random and forgotten, so a guess cannot be tested against the file."""
    with serving(lambda *_: as_json({"distinct_id": ANN})) as upstream, client(upstream.url) as api:
        for name in ("a.yaml", "b.yaml"):
            with recording(tmp_path / name, label="emulator", now=lambda: NOW):
                api.send(Request("GET", "events/"))

    assert (tmp_path / "a.yaml").read_text() != (tmp_path / "b.yaml").read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no recording at"),
        ("", "is not a recording by posthog-events"),
        ("interactions: []\nversion: 1\n", "is not a recording by posthog-events"),
        (b"\xff\xfe\x00", "is not a recording by posthog-events"),
        ("# A recording by posthog-events\nversion: 1\ninteractions: [", "is damaged; make it again"),
        ("# A recording by posthog-events\n- 1\n", "is damaged; make it again"),
        ("# A recording by posthog-events\n!!python/object:os.system {}\n", "is damaged; make it again"),
    ],
    ids=["missing", "empty", "vcrpy's own", "binary", "cut off", "a list", "code"],
)
def test_file_that_is_no_recording_is_refused(tape: Path, content: str | bytes | None, said: str) -> None:
    """One sentence says what is wrong with the file."""
    if content is not None:
        tape.write_bytes(content.encode() if isinstance(content, str) else content)

    with pytest.raises(ConfigError, match=said), replaying(tape):
        pass


def test_file_that_is_something_else_is_not_overwritten(tape: Path) -> None:
    """A mistyped name does not cost the user a file; nothing is sent either."""
    tape.write_text("precious: true\n")

    with pytest.raises(ConfigError, match="will not be overwritten"), recording(tape, label="emulator"):
        raise AssertionError("the block ran")

    assert "precious: true\n" == tape.read_text()


def test_folder_that_is_missing_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    """Nobody records for an hour to learn that the file cannot be written."""
    with pytest.raises(ConfigError, match="cannot be written"), recording(tmp_path / "no" / "x.yaml", label="emulator"):
        raise AssertionError("the block ran")


def test_vcrpy_is_an_extra(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without vcrpy, the error names the extra to install."""
    monkeypatch.setitem(sys.modules, "vcr", None)

    with pytest.raises(MissingExtra, match=r"posthog-events\[record\]"), recording(tape, label="emulator"):
        pass
