"""The receiver as an ASGI app, by itself or mounted in another one.

::

    POST anything   a delivery: 200 once it is stored (also when it was before), 4xx when it is refused for good,
                    503 with Retry-After when the sender shall come again
    GET /health     200 while the process can answer
    GET /ready      200 when the inbox can be written and there is room for more, or else 503
    GET /metrics    Prometheus

Memory is bounded: by the size of a body, which is refused while it arrives, by the number of requests and the bytes
that all of them hold, and by the time that a sender has for its body. What is beyond the bounds is refused before it is
read, and its connection closed, because the rest of it would otherwise be taken for the next request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from posthog_events.errors import DeliveryRejected, InboxError, MissingExtra, PostHogEventsError
from posthog_events.receiver.inbox import Counts
from posthog_events.receiver.intake import RETRY_AFTER_S, Answer
from posthog_events.receiver.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from posthog_events.receiver.receiver import Receiver

__all__ = ["DEFAULT_LIMITS", "ReceiverApp", "ServingLimits"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

PAGES: Final = ("health", "ready", "metrics")
CHECK_EVERY_S: Final = 1.0
COUNT_EVERY_S: Final = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingLimits:
    """What the app takes upon itself.

    Args:
        requests: Deliveries that are read or stored at a time.
        bytes: What their bodies may hold together.
        timeout_s: For a sender to send its body, and the inbox to store it. PostHog gives up after 3 s. Whoever comes
            again, after what was stored too late, is recognised.
        pages: Those of `health`, `ready` and `metrics` that are served. They tell strangers little: the names of
            handlers, and how much there is to do.
    """

    requests: int = 1_000
    bytes: int = 64 << 20
    timeout_s: float = 10.0
    pages: Collection[str] = PAGES


DEFAULT_LIMITS: Final = ServingLimits()


class _Gone(Exception):
    """The sender hung up."""


class ReceiverApp:
    """The app of a `Receiver`, which it starts: with the server's lifespan, or else with the first request."""

    def __init__(
        self,
        receiver: Receiver,
        *,
        limits: ServingLimits,
        max_body_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receiver, self._limits, self._max_body_bytes = receiver, limits, max_body_bytes
        self._monotonic = monotonic
        self._in_flight = self._held_bytes = 0
        self._full_until = 0.0
        self._checked: tuple[float, bool] = (float("-inf"), False)
        self._counted: tuple[float, Counts | None] = (float("-inf"), None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI says."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            raise ValueError(f"an ASGI scope of the type {scope['type']!r} is not known")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = _path(scope), scope["method"]
        page = path.strip("/")
        if page in PAGES and page in self._limits.pages:
            answer = await self._page(page) if method in ("GET", "HEAD") else _not_allowed("GET, HEAD")
            await _send(send, answer, with_body=method != "HEAD")
        elif method != "POST":
            await _send(send, _not_allowed("POST"), with_body=method != "HEAD")
        else:
            try:
                answer = await self._delivery(scope, receive, path)
            except _Gone:
                self._receiver.metrics.answered(0, "hung_up")
                return
            await _send(send, answer)

    # -- deliveries ------------------------------------------------------------------------------------------------

    async def _delivery(self, scope: Scope, receive: Receive, path: str) -> Answer:
        began = self._monotonic()
        if self._in_flight >= self._limits.requests:
            return self._busy("too_many_requests")
        body = bytearray()
        arrived = False
        self._in_flight += 1
        try:
            self._check_length(scope)
            async with asyncio.timeout(self._limits.timeout_s):
                while not arrived:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    chunk, arrived = message.get("body", b""), not message.get("more_body", False)
                    if len(body) + len(chunk) > self._max_body_bytes:
                        raise _too_large(self._max_body_bytes)
                    if self._held_bytes + len(chunk) > self._limits.bytes:
                        return self._busy("too_many_bytes")
                    body += chunk
                    self._held_bytes += len(chunk)
                answer = await self._stored(bytes(body), scope, path)
        except DeliveryRejected as rejected:
            return self._receiver.refuse(rejected, connection="close")
        except TimeoutError:
            if arrived:
                _log.error("a delivery was not stored within %g s", self._limits.timeout_s)
                return self._later("inbox_slow")
            slow = DeliveryRejected("the body did not arrive in time", status=408, code="slow_sender")
            return self._receiver.refuse(slow, connection="close")
        finally:
            self._in_flight -= 1
            self._held_bytes -= len(body)
        if answer.status == 200:
            self._receiver.metrics.acknowledged(self._monotonic() - began)
        return answer

    async def _stored(self, body: bytes, scope: Scope, path: str) -> Answer:
        if self._receiver.wants_start:
            try:
                await asyncio.to_thread(self._receiver.start)
            except InboxError as error:
                _log.error("the receiver cannot start: %s", error)
                return self._later("inbox_error")
        answer = await self._receiver.receive_async(body, scope["headers"], path=path)
        if answer.code == "inbox_full":
            self._full_until = self._monotonic() + int(answer.headers["retry-after"])
        return answer

    def _check_length(self, scope: Scope) -> None:
        for name, value in scope["headers"]:
            if name.lower() == b"content-length":
                if not value.isdigit():
                    raise DeliveryRejected("the content length is no number", status=400, code="bad_header")
                # the number of digits first: a long number costs time to convert
                if len(value) > 15 or int(value) > self._max_body_bytes:
                    raise _too_large(self._max_body_bytes)

    def _busy(self, code: str) -> Answer:
        self._full_until = self._monotonic() + RETRY_AFTER_S
        return self._later(code, connection="close")

    def _later(self, code: str, **headers: str) -> Answer:
        self._receiver.metrics.answered(503, code)
        return Answer.of(503, code, {"error": "try again later"}, retry_after=str(RETRY_AFTER_S), **headers)

    # -- pages -----------------------------------------------------------------------------------------------------

    async def _page(self, page: str) -> Answer:
        if page == "health":
            return Answer.of(200, "", {"status": "alive"})
        if page == "ready":
            why = await self._why_not_ready()
            return Answer.of(503, "", {"status": why}) if why else Answer.of(200, "", {"status": "ready"})
        at, counts = self._counted
        if self._monotonic() - at >= COUNT_EVERY_S:
            counts = await asyncio.to_thread(self._receiver.counts)
            self._counted = self._monotonic(), counts
        try:
            text = self._receiver.metrics_text(counts, in_flight=self._in_flight)
        except MissingExtra as error:
            return Answer(501, "", f"{error}\n".encode(), {"content-type": "text/plain; charset=utf-8"})
        return Answer(200, "", text, {"content-type": CONTENT_TYPE})

    async def _why_not_ready(self) -> str:
        if self._in_flight >= self._limits.requests or self._monotonic() < self._full_until:
            return "full"
        at, good = self._checked
        if self._monotonic() - at >= CHECK_EVERY_S:
            try:
                await asyncio.to_thread(self._start_and_check)
                good = True
            except InboxError as error:
                _log.error("not ready: %s", error)
                good = False
            self._checked = self._monotonic(), good
        return "" if good else "the inbox cannot be written"

    def _start_and_check(self) -> None:
        # who asks whether it is ready wants it to be
        if self._receiver.wants_start:
            self._receiver.start()
        self._receiver.check()

    # -- lifespan --------------------------------------------------------------------------------------------------

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await asyncio.to_thread(self._receiver.start)
        except PostHogEventsError as error:
            # the server stops, and what it prints is this
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._receiver.close)
        await send({"type": "lifespan.shutdown.complete"})


def _path(scope: Scope) -> str:
    """Return the path below the mount.

    Source: the ASGI specification says that `path` is whole, `root_path` included; some servers and frameworks take it
    off.
    """
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        return str(path[len(root) :])
    return str(path)


def _too_large(max_bytes: int) -> DeliveryRejected:
    return DeliveryRejected(f"the body has more than {max_bytes:,} bytes", status=413, code="too_large")


def _not_allowed(allow: str) -> Answer:
    return Answer.of(405, "wrong_method", {"error": "wrong_method"}, allow=allow)


async def _send(send: Send, answer: Answer, *, with_body: bool = True) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})
