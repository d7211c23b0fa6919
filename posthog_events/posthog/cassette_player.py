"""Finds the recorded reply of each request, between vcrpy's interactions and the files of recordings."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from posthog_events.posthog.cassette_file import ORIGIN, at_home
from posthog_events.posthog.cassette_match import Asked, Bindings, difference, read_request
from posthog_events.posthog.host import origin_of
from posthog_events.posthog.scrub import Exchange

__all__ = ["FRAMING", "Player", "exchange_of"]

FRAMING: Final = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection", "keep-alive"})
"""Headers that no longer hold when a body is whole and decompressed."""

_NOISE: Final = FRAMING | {"accept", "accept-encoding"}
"""Headers of a request that say nothing about it."""

_PARTS: Final = ("the method", "the path", "the host", "the parameter", "the body")
"""What `difference` names, in the order it looks: the later in it, the more agrees."""


class Player:
    """Compares requests with those of a recording, and learns what its stand-ins stand for.

    Args:
        path: The recording's file, for messages.
    """

    def __init__(self, path: Path, exchanges: Sequence[Exchange]) -> None:
        self._path, self._exchanges = path, exchanges
        self._foreign = {origin_of(exchange.url) for exchange in exchanges} - {ORIGIN}
        self._stored = {(one.method, one.url, one.body): self._read(one.method, one.url, one.body) for one in exchanges}
        self._known = self._extended = Bindings()
        self._home = ""

    def interactions(self) -> tuple[list[Any], list[Any]]:
        """Return the recording as vcrpy holds it."""
        from vcr.request import Request

        requests = [Request(one.method, one.url, one.body, {}) for one in self._exchanges]
        return requests, [_response(one) for one in self._exchanges]

    def settle_at(self, origin: str, responses: Sequence[dict[str, Any]]) -> None:
        """Let the links in vcrpy's responses lead to where PostHog is for this client; the first request tells."""
        if self._home or origin in self._foreign:
            return
        self._home = origin
        for exchange, response in zip(self._exchanges, responses, strict=True):
            response.update(_response(at_home(exchange, origin)))

    def compare(self, given: Any, stored: Any) -> None:
        """Compare two of vcrpy's requests in its way: different ones are an AssertionError."""
        extended = self._known.copy()
        one = self._stored[stored.method, stored.uri, _body(stored)]
        at = difference(one, self._read(given.method, given.uri, _body(given)), extended)
        if at is not None:
            raise AssertionError(at)
        self._extended = extended

    def accept(self) -> None:
        """Keep what the last comparison taught: vcrpy's last one is with the request whose reply it gives."""
        self._known = self._extended

    def missing(self, given: Any) -> str:
        """Return why there is no reply to one of vcrpy's requests."""
        asked = self._read(given.method, given.uri, _body(given))
        near: list[tuple[int, str]] = []
        for one in self._stored.values():
            at = difference(one, asked, self._known.copy())
            if at is None:
                return f"{asked}: it was asked more often than when {self._path} was recorded"
            near.append((next(rank for rank, part in enumerate(_PARTS) if at.startswith(part)), f"{one}, but {at}"))
        if not near:
            return f"{asked} is not in the recording {self._path}, which is empty"
        nearest = max(near, key=lambda item: item[0])[1]
        return f"{asked} is not in the recording {self._path}. The nearest there is {nearest} differs"

    def _read(self, method: str, url: str, body: bytes) -> Asked:
        origin = origin_of(url)
        return read_request(method, url, body, origin=origin if origin in self._foreign else "")


def exchange_of(request: Any, response: dict[str, Any]) -> Exchange:
    """Return one of vcrpy's interactions as it is kept: decompressed."""
    return Exchange(
        request.method,
        request.uri,
        {name: [_text(value)] for name, value in request.headers.items() if name.lower() not in _NOISE},
        _body(request),
        response["status"]["code"],
        response["status"]["message"] or "",
        {name: list(values) for name, values in response["headers"].items() if name.lower() not in FRAMING},
        response["body"]["string"],
    )


def _response(exchange: Exchange) -> dict[str, Any]:
    return {
        "status": {"code": exchange.status, "message": exchange.reason},
        "headers": {name: list(values) for name, values in exchange.reply_headers.items()},
        "body": {"string": exchange.reply},
    }


def _body(request: Any) -> bytes:
    """Return the decompressed body of one of vcrpy's requests."""
    body = request.body
    if body is None:
        return b""
    if hasattr(body, "read"):
        body = body.read()
    raw = (
        body.encode()
        if isinstance(body, str)
        else bytes(body)
        if isinstance(body, bytes | bytearray)
        else b"".join(body)
    )
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error):
        return raw


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
