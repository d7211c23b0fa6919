"""The seam of this folder: a request to one project goes in, a complete and successful reply comes out.

Everything above speaks to `Api`; sessions, retries and rate limits are behind it, and a test's fake is one method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, overload

import msgspec

from posthog_events.errors import BadAnswer

__all__ = ["Api", "Bucket", "Reply", "Request"]

T = TypeVar("T")


class Bucket(StrEnum):
    """Which of PostHog's throttles a request counts against. Source: posthog/rate_limit.py; numbers in `limits.py`."""

    QUERY = "query"  # /query/, polls and cancels included
    CLICKHOUSE = "clickhouse"  # events, persons
    VALUES = "values"  # /events/values/
    CRUD = "crud"  # every other private endpoint
    CAPTURE = "capture"  # no request limit


@dataclass(frozen=True, slots=True)
class Request:
    """One request to PostHog, before it has a host or a key.

    Args:
        method: `GET`, `POST`, `PATCH` or `DELETE`.
        path: Below `/api/projects/<id>/` (`query/`), or from the root when it begins with a slash (`/api/users/@me/`).
        params: Query string; a value appears as given, so JSON is encoded by the caller.
        json: The body; None sends none. It may hold secrets, and is not shown.
        bucket: The throttle it counts against.
        slot: Whether it occupies one of the project's concurrent query slots while it runs.
        repeatable: Whether it may be sent again after a failure that leaves open whether it was carried out.
        read_timeout_s: Seconds without a byte before the request has failed. PostHog queues a query up to 30 s and runs
            it up to 60 s within the request.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    json: Any = field(default=None, repr=False)
    bucket: Bucket = Bucket.CRUD
    slot: bool = False
    repeatable: bool = True
    read_timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply with a status below 400. Redirects are not followed; `location` is in the headers.

    Args:
        headers: Names in lower case.
        body: Whole and decompressed.
        source: Method and path, for messages; holds no secret.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    source: str

    @overload
    def decode(self) -> Any: ...
    @overload
    def decode(self, type_: type[T]) -> T: ...
    @overload
    def decode(self, type_: Any) -> Any: ...
    def decode(self, type_: Any = Any) -> Any:
        """Return the body read as JSON of the given type.

        Raises:
            BadAnswer: It is not that.
        """
        try:
            return msgspec.json.decode(self.body, type=type_)
        except msgspec.DecodeError as exc:
            raise BadAnswer(f"{self.source}: PostHog's answer is not what its API documents ({exc})") from exc


class Api(Protocol):
    """Sends requests to one project of one PostHog."""

    @property
    def origin(self) -> str:
        """Scheme and host, such as `https://eu.posthog.com`; the key never goes to another."""
        ...

    @property
    def project_id(self) -> int:
        """The project that relative paths belong to."""
        ...

    def send(self, request: Request) -> Reply:
        """Send `request`, wait out rate limits, repeat what may be repeated, and return the reply.

        Raises:
            ApiError: PostHog refused; one of its subclasses where the reason is known.
            QueryTimeout, MemoryExceeded: The query was too heavy; sending it again unchanged is useless.
            ConnectionFailed: No answer came.
            BadAnswer: The answer is not JSON, was cut off, or is larger than allowed.
        """
        ...
