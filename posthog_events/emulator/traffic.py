"""The outermost layer of the server: carries out faults, keeps the record, and tells the time.

An ASGI application around the real one, so that nothing inside knows of faults.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders

from posthog_events.emulator.auth import bearer
from posthog_events.emulator.fault_answers import answer_of, edited
from posthog_events.emulator.faults import ANSWERS, Fault, Seen

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from posthog_events.emulator.world import World

__all__ = ["CONTROL", "Traffic"]

CONTROL = "/_emulator/"
"""Requests below this are about the emulator itself: never faulty, never recorded."""

PIECES = 10


class Traffic:
    """Wraps the application of a world."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app, self._world = app, world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith(CONTROL):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        faults = self._world.faults.take(scope["method"], scope["path"])
        out = _Outgoing(
            send,
            self._world,
            {fault.kind: fault for fault in faults},
            ended=lambda out: self._record(scope, body, out),
        )
        if "revoke" in out.faults:
            self._revoke(scope)
        if "delay" in out.faults:
            await run_in_threadpool(self._world.sleep, out.faults["delay"].seconds)
        answer = next((fault for fault in faults if fault.kind in ANSWERS), None)
        try:
            if answer is None:
                await self._app(scope, _replay(body, receive), out.send)
            elif answer.kind == "reset":
                out.end()
                await _reset(send)
            else:
                await (await run_in_threadpool(answer_of, answer, scope))(scope, receive, out.send)
            await out.finish()
        finally:
            out.end()

    def _revoke(self, scope: Scope) -> None:
        key = bearer(Headers(scope=scope))
        with self._world.lock:
            self._world.keys.pop(key or "", None)

    def _record(self, scope: Scope, body: bytes, out: _Outgoing) -> None:
        self._world.faults.record(
            Seen(
                at=self._world.now(),
                method=scope["method"],
                path=scope["path"],
                query=scope["query_string"].decode("latin-1"),
                status=out.status,
                bytes=out.sent,
                name=_query_name(body),
            )
        )


@dataclass(slots=True)
class _Outgoing:
    """Passes an answer on as it comes, unless a fault needs the whole of it; `ended` is called when it is through."""

    downstream: Send
    world: World
    faults: Mapping[str, Fault]
    ended: Callable[[_Outgoing], None] | None
    status: int = 0
    sent: int = 0
    _start: Message | None = None
    _body: bytearray = field(default_factory=bytearray)

    _NEED_ALL = frozenset(
        {"reset-after", "truncated", "cut-json", "slow", "extra-column", "unknown-type", "foreign-next"}
    )

    async def send(self, message: Message) -> None:
        """Take a message from the application."""
        if message["type"] == "http.response.start":
            self._date(message)
            self.status = message["status"]
        if not self._NEED_ALL.isdisjoint(self.faults):
            if message["type"] == "http.response.start":
                self._start = message
            else:
                self._body += message.get("body", b"")
            return
        self.sent += len(message.get("body", b""))
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.end()
        await self.downstream(message)

    def end(self) -> None:
        """Put the request on record, once: before its last byte goes, so that a client that has it finds the record."""
        ended, self.ended = self.ended, None
        if ended is not None:
            ended(self)

    def _date(self, start: Message) -> None:
        off = self.faults["clock"].seconds if "clock" in self.faults else 0.0
        headers = MutableHeaders(raw=start.setdefault("headers", []))
        headers["date"] = format_datetime(self.world.now() + timedelta(seconds=off), usegmt=True)
        start["headers"] = headers.raw

    async def finish(self) -> None:
        """Send what was held back, with its faults."""
        if self._start is None:
            return
        if "reset-after" in self.faults:
            self.status = 0
            self.end()
            await _reset(self.downstream)
            return
        body = edited(bytes(self._body), self.faults)
        whole = len(body)
        if cut := self.faults.get("truncated") or self.faults.get("cut-json"):
            body = body[: whole // 2 if cut.size is None else cut.size]
        headers = MutableHeaders(raw=self._start["headers"])
        headers["content-length"] = str(whole if "truncated" in self.faults else len(body))
        self.sent = len(body)
        await self.downstream({**self._start, "headers": headers.raw})
        await self._pieces(body)
        self.end()
        if "truncated" in self.faults and len(body) < whole:
            await _close(self.downstream)
        else:
            await self.downstream({"type": "http.response.body", "body": b""})

    async def _pieces(self, body: bytes) -> None:
        slow = self.faults.get("slow")
        size = max(1, -(-len(body) // PIECES)) if slow else max(1, len(body))
        for at in range(0, len(body), size):
            if slow:
                await run_in_threadpool(self.world.sleep, slow.seconds / PIECES)
            await self.downstream({"type": "http.response.body", "body": body[at : at + size], "more_body": True})


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Return a `receive` that hands out the body that was read already."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _query_name(body: bytes) -> str | None:
    """Return the label of a query request, the request's or the query's own."""
    if b'"query"' not in body:
        return None
    with suppress(msgspec.DecodeError):
        found = msgspec.json.decode(body)
        if isinstance(found, dict):
            query = found.get("query")
            name = found.get("name") or (query.get("name") if isinstance(query, dict) else None)
            return name if isinstance(name, str) else None
    return None


def _transport(send: Send) -> asyncio.Transport | None:
    """Return the connection below uvicorn's `send`; a test client has none."""
    transport: asyncio.Transport | None = getattr(getattr(send, "__self__", None), "transport", None)
    return transport


async def _reset(send: Send) -> None:
    """Break the connection off with a TCP reset."""
    transport = _transport(send)
    if transport is None:
        raise ConnectionResetError("the connection was reset by a fault")
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _settle()


async def _close(send: Send) -> None:
    """Close the connection after what was sent so far."""
    transport = _transport(send)
    if transport is None:
        raise ConnectionResetError("the connection was closed by a fault")
    transport.close()
    await _settle()


async def _settle() -> None:
    """Let the server notice that the connection is gone, so that it does not answer on it."""
    for _ in range(3):
        await asyncio.sleep(0)
