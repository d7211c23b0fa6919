"""Downloads over a real socket: without our key, resumed only as the same content, with no address in any message."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from posthog_events.errors import ConnectionFailed
from posthog_events.posthog.export.download import download, version_path

CONTENT = bytes(range(256)) * 40_000  # 10 MB: several chunks


class Storage:
    """What the server does next; `seen` are the requests."""

    def __init__(self) -> None:
        self.content, self.etag, self.stop_after = CONTENT, '"one"', 0
        self.ranges, self.length, self.status = True, True, 0
        self.seen: list[dict[str, str]] = []


class Handler(BaseHTTPRequestHandler):
    storage: Storage

    def do_GET(self) -> None:
        storage = self.storage
        self.seen = {name.lower(): value for name, value in self.headers.items()}
        storage.seen.append(self.seen)
        if storage.status:
            self.send_response(storage.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content, asked = storage.content, self.seen.get("range") if storage.ranges else None
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if asked and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if storage.etag:
            self.send_header("ETag", storage.etag)
        if storage.length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        self.wfile.write(body[: storage.stop_after] if storage.stop_after else body)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def storage(server: ThreadingHTTPServer) -> Storage:
    Handler.storage = Storage()
    return Handler.storage


@pytest.fixture
def url(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/part?X-Amz-Signature=secret"


def cut(storage: Storage, url: str, partial: Path, *, after: int = 3_000_000) -> None:
    """Let a download break off."""
    storage.stop_after = after
    with pytest.raises(ConnectionFailed) as caught:
        download(url, partial)
    storage.stop_after = 0
    assert "Signature" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_whole_download_carries_no_credentials(
    storage: Storage, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even those that .netrc has for the host."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))

    download(url, tmp_path / "part")

    assert CONTENT == (tmp_path / "part").read_bytes()
    assert "authorization" not in storage.seen[0]


def test_it_goes_on_where_it_stopped(storage: Storage, url: str, tmp_path: Path) -> None:
    """The second request asks for the rest, and the third call has nothing to do."""
    cut(storage, url, tmp_path / "part")
    have = (tmp_path / "part").stat().st_size

    download(url, tmp_path / "part")
    download(url, tmp_path / "part")

    assert CONTENT == (tmp_path / "part").read_bytes()
    assert 0 < have < len(CONTENT)
    assert [None, f"bytes={have}-"] == [seen.get("range") for seen in storage.seen]


@pytest.mark.parametrize("change", ["etag", "length", "shorter", "no ranges", "no etag"])
def test_it_begins_again_when_the_content_may_be_another(
    storage: Storage, url: str, tmp_path: Path, change: str
) -> None:
    """Another tag, another length, or a server that does not continue: nothing of the first try is kept."""
    if change == "no etag":
        storage.etag = ""
    cut(storage, url, tmp_path / "part")
    match change:
        case "etag":
            storage.content, storage.etag = CONTENT[::-1], '"two"'
        case "length":
            storage.content = CONTENT[::-1] + b"more"
        case "shorter":
            storage.content = b"short"
        case "no ranges":
            storage.content, storage.ranges = CONTENT[::-1], False
        case "no etag":
            storage.content = CONTENT[::-1]

    download(url, tmp_path / "part")

    assert storage.content == (tmp_path / "part").read_bytes()


def test_a_mark_without_its_file_is_no_beginning(storage: Storage, url: str, tmp_path: Path) -> None:
    """A process that died between writing the two leaves nothing that matters."""
    version_path(tmp_path / "part").write_text('{"etag": "one", "size": 9}')

    download(url, tmp_path / "part")

    assert CONTENT == (tmp_path / "part").read_bytes()


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503, 302])
def test_a_refusal_is_typed_and_keeps_what_is_there(storage: Storage, url: str, tmp_path: Path, status: int) -> None:
    """An expired address or a failing storage is a failed connection; the next call goes on."""
    cut(storage, url, tmp_path / "part")
    have = (tmp_path / "part").stat().st_size
    storage.status = status

    with pytest.raises(ConnectionFailed, match=f"127.0.0.1 was refused with status {status}"):
        download(url, tmp_path / "part")
    assert have == (tmp_path / "part").stat().st_size


def test_nobody_answers(tmp_path: Path, url: str, storage: Storage) -> None:
    """A host that cannot be reached is a failed connection, whose text holds no address."""
    with pytest.raises(ConnectionFailed, match="broke off") as caught:
        download("http://127.0.0.1:1/part?X-Amz-Signature=secret", tmp_path / "part")
    assert "Signature" not in str(caught.value)
