"""The client of one project: `http.Api` over a session, with pacing, retries and typed errors put together."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from posthog_events.posthog.api_errors import error_for
from posthog_events.posthog.failures import failure_of
from posthog_events.posthog.host import Host, check_key
from posthog_events.posthog.http import Reply, Request
from posthog_events.posthog.pace import NoPace, Pace
from posthog_events.posthog.redact import Redactor
from posthog_events.posthog.retry import DEFAULT_POLICY, Attempt, Outcome, Retrier, RetryPolicy
from posthog_events.posthog.session import MAX_BODY_BYTES, Wire, new_session

if TYPE_CHECKING:
    import requests

__all__ = ["ApiClient"]


class ApiClient:
    """Sends requests to one project; threads may share it.

    Args:
        key: A personal API key or OAuth access token. None sends no key, as for capture.
        policy: How long to wait for rate limits and outages.
        pace: Keeps all processes of this machine within the limits; None sends at once.
        clock: Monotonic seconds.
        rng: Spreads the waits.
        on_attempt: Told of each failed attempt before the wait that follows it.
        session: Makes the HTTP session, which `close` closes.
        max_body_bytes: The largest decompressed answer.

    Raises:
        ConfigError: The key is damaged, or of a kind that reads nothing.
    """

    def __init__(
        self,
        host: Host,
        project_id: int,
        key: str | None,
        *,
        policy: RetryPolicy = DEFAULT_POLICY,
        pace: Pace | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
        session: Callable[[], requests.Session] = new_session,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        key = None if key is None else check_key(key)
        self._host, self._project_id, self._pace = host, project_id, pace or NoPace()
        self._redact = Redactor(*([key] if key else []), origin=host.origin)
        self._session = session()
        self._wire = Wire(self._session, host.origin, key, self._redact, max_body_bytes, clock)
        self._retrier = Retrier(policy, sleep=sleep, clock=clock, rng=rng or random.Random(), on_attempt=on_attempt)

    def __repr__(self) -> str:
        return f"ApiClient({self.origin!r}, {self.project_id})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def origin(self) -> str:
        """Scheme and host; the key never goes to another."""
        return self._host.origin

    @property
    def project_id(self) -> int:
        """The project that relative paths belong to."""
        return self._project_id

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def send(self, request: Request) -> Reply:
        """Send `request`, wait out rate limits, repeat what may be repeated, and return the reply.

        A callable `request.json` is called for each attempt, for bodies with an id that must not come twice.

        Raises:
            ApiError, QueryTimeout, MemoryExceeded, ConnectionFailed, BadAnswer: See `http.Api.send`.
        """
        path = request.path if request.path.startswith("/") else f"/api/projects/{self.project_id}/{request.path}"
        outcome, attempts = self._retrier.run(
            request, lambda: self._attempt(request, path), source=f"{request.method} {path}"
        )
        if isinstance(outcome, Reply):
            return outcome
        error = error_for(outcome, request, host=self._host, project_id=self.project_id, attempts=attempts)
        raise error from outcome.cause

    def _attempt(self, request: Request, path: str) -> Outcome:
        body = request.json() if callable(request.json) else request.json
        with self._pace.admit(request.bucket, slot=request.slot):
            answer = self._wire.exchange(
                request.method,
                path,
                params=request.params,
                body=None if body is None else msgspec.json.encode(body, enc_hook=_plain),
                read_timeout_s=request.read_timeout_s,
            )
            return self._judge(request, answer) if isinstance(answer, Reply) else answer

    def _judge(self, request: Request, reply: Reply) -> Outcome:
        """Tell failure from success, and the pace what either says about limits, before the next request goes."""
        failure = None
        if reply.status >= 400:
            failure = failure_of(reply.status, reply.headers, reply.body, redact=self._redact)
        self._pace.learn(
            request.bucket,
            status=reply.status,
            headers=reply.headers,
            wait_s=failure.wait_s if failure else None,
            code=failure.code if failure else "",
        )
        return failure or reply


def _plain(value: Any) -> Any:
    """Return a read-only mapping as msgspec knows it."""
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError
