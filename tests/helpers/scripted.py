"""A PostHog that says what a test wrote down, behind a real `requests` session: replies and exceptions in order."""

from __future__ import annotations

import io
import json as jsonlib
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from posthog_events.posthog.session import new_session

__all__ = ["Scripted"]


class Scripted(HTTPAdapter):
    """Answers each request with the next line of the script, and keeps the requests.

    urllib3 checks a reply's `Content-Length` as on a real connection, so a test may cut a body by saying more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.script: deque[HTTPResponse | BaseException] = deque()
        self.requests: list[requests.PreparedRequest] = []
        self.sent_with: list[Mapping[str, Any]] = []
        self._lock = threading.Lock()

    def reply(
        self, status: int = 200, *, json: Any = None, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Self:
        """Add a reply; `json` is one in UTF-8 with the content type that goes with it."""
        named = dict(headers or {})
        if json is not None:
            body = jsonlib.dumps(json).encode()
            named.setdefault("Content-Type", "application/json")
        named.setdefault("Content-Length", str(len(body)))
        self.script.append(HTTPResponse(io.BytesIO(body), named, status, preload_content=False))
        return self

    def fail(self, exc: BaseException) -> Self:
        """Add an exception in place of a reply."""
        self.script.append(exc)
        return self

    def session(self) -> requests.Session:
        """Return the client's own kind of session, with every address played by this script."""
        session = new_session()
        session.mount("https://", self)
        session.mount("http://", self)
        return session

    def send(self, request: requests.PreparedRequest, *_: Any, **kwargs: Any) -> requests.Response:
        """See `HTTPAdapter.send`."""
        with self._lock:
            self.requests.append(request)
            self.sent_with.append(kwargs)
            assert self.script, f"no reply is written for {request.method} {request.url}"
            line = self.script.popleft()
        if isinstance(line, BaseException):
            raise line
        return self.build_response(request, line)

    @property
    def urls(self) -> list[str]:
        """Where requests went."""
        return [f"{request.method} {request.url}" for request in self.requests]
