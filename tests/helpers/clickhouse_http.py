"""ClickHouse's HTTP interface over chdb, for tests: the real engine behind the real client, with a network between.

No ClickHouse server can be installed where the tests run. This serves as much of the protocol as clickhouse-connect
uses: the query in the body or in `query=`, settings and database as parameters, default format, basic authentication,
compressed bodies both ways, chunked uploads, INSERT with data, KILL QUERY from a second connection, and errors as a
status with `X-ClickHouse-Exception-Code`. Not there: sessions, external tables, form-encoded parameters, progress.

Source: ClickHouse's HTTPHandler.cpp and https://clickhouse.com/docs/interfaces/http, read 2026-11.

chdb runs in a process of its own, as the client under test may use chdb too.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, quote, urlsplit

START_TIMEOUT_S = 60


class ClickHouseFront:
    """A loopback ClickHouse for the length of a `with` block.

    Args:
        user: The only user.
        password: What the user must give.
    """

    def __init__(self, *, user: str = "default", password: str = "") -> None:
        self.user, self.password = user, password
        self.host = "127.0.0.1"
        self.port = 0

    @property
    def dsn(self) -> str:
        """A DSN that can log in."""
        password = f":{quote(self.password, safe='')}" if self.password else ""
        return f"clickhouse://{self.user}{password}@{self.host}:{self.port}/default"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        login = json.dumps({"user": self.user, "password": self.password})
        self._process.stdin.write(login.encode() + b"\n")
        self._process.stdin.flush()
        watchdog = threading.Timer(START_TIMEOUT_S, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if not line:
            raise RuntimeError("the ClickHouse front did not start")
        self.port = int(line)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait(timeout=10)
        self._process.stdin.close()
        self._process.stdout.close()


# Parameters that steer the HTTP handler; every other one is a setting.
_TRANSPORT = frozenset(
    (
        "query",
        "database",
        "default_format",
        "user",
        "password",
        "session_id",
        "session_timeout",
        "session_check",
        "query_id",
        "quota_key",
        "role",
        "wait_end_of_query",
        "buffer_size",
        "compress",
        "decompress",
        "client_protocol_version",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "enable_http_compression",
        "cancel_http_readonly_queries_on_client_close",
    )
)
_INSERT = re.compile(rb"\s*(INSERT\s+INTO\s+.+?)\s+FORMAT\s+(\w+)[ \t]*\r?\n?", re.IGNORECASE | re.DOTALL)
_NOT_FOUND = {46, 60, 81, 115}
_VERSION_TRAILER = " (version 26.9.1.1 (official build))\n"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _status(code: int) -> int:
    if code == 516:
        return 403
    if code in _NOT_FOUND:
        return 404
    return {159: 408, 62: 400, 47: 404}.get(code, 500)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    login: dict[str, str]

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""

    def _answer(self, body: bytes) -> None:
        url = urlsplit(self.path)
        if url.path == "/ping":
            self._send(200, b"Ok.\n", {})
            return
        params = dict(parse_qsl(url.query, keep_blank_values=True))
        if not self._may_enter(params):
            self._fail(
                "Code: 516. DB::Exception: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)"
            )
            return
        statement = b"\n".join(part for part in (params.get("query", "").encode(), body) if part)
        if not statement:
            self._send(200, b"Ok.\n", {})
            return
        try:
            out = _execute(statement, params)
        except RuntimeError as exc:
            self._fail(str(exc))
            return
        headers = {
            "X-ClickHouse-Query-Id": params.get("query_id", str(uuid.uuid4())),
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Summary": "{}",
        }
        if params.get("enable_http_compression") == "1" and "gzip" in self.headers.get("Accept-Encoding", ""):
            out, headers["Content-Encoding"] = gzip.compress(out), "gzip"
        self._send(200, out, headers)

    def _may_enter(self, params: dict[str, str]) -> bool:
        user, password = self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key", "")
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            user, _, password = base64.b64decode(token).decode().partition(":")
        user = user or params.get("user", "default")
        return {"user": user, "password": password or params.get("password", "")} == self.login

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(chunks)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return _decompress(body, self.headers.get("Content-Encoding", ""))

    def _fail(self, text: str) -> None:
        found = re.search(r"Code: (\d+)", text)
        code = int(found[1]) if found else 1001
        self._send(_status(code), (text + _VERSION_TRAILER).encode(), {"X-ClickHouse-Exception-Code": str(code)})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _decompress(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "lz4":
        import lz4.frame

        return bytes(lz4.frame.decompress(body))
    return body


def _execute(statement: bytes, params: dict[str, str]) -> bytes:
    """Run one statement on a connection of its own, so that no failure can leave output behind."""
    import chdb

    connection = chdb.connect(":memory:")
    try:
        if database := params.get("database"):
            connection.query(f"USE `{database}`")
        for name, value in params.items():
            if name not in _TRANSPORT and not name.startswith("param_"):
                connection.query(f"SET {name} = {_text(value)}")
        if (found := _INSERT.match(statement)) and len(statement) > found.end():
            return _insert(connection, found, statement[found.end() :])
        output = connection.query(statement.decode(), params.get("default_format", "TabSeparated"))
        return bytes(output.bytes() or b"")
    finally:
        connection.close()


def _insert(connection: Any, found: re.Match[bytes], data: bytes) -> bytes:
    handle, name = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        connection.query(f"{found[1].decode()} FROM INFILE {_text(name)} FORMAT {found[2].decode()}")
    finally:
        Path(name).unlink()
    return b""


def _serve() -> None:
    import chdb

    _Handler.login = json.loads(sys.stdin.readline())
    # Held open: the tables live as long as one connection does.
    anchor = chdb.connect(":memory:")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    # The pipe ends when the test process does, however it does.
    sys.stdin.read()
    anchor.close()
    os._exit(0)


if __name__ == "__main__":
    _serve()
