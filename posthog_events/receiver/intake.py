"""From a request to an entry of the inbox, and from what became of that to an answer. No IO."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from posthog_events.errors import ConfigError, DeliveryRejected, InboxError, InboxFull
from posthog_events.receiver.inbox import Entry
from posthog_events.receiver.payload import parse_payload
from posthog_events.receiver.routing import Subscription, route
from posthog_events.receiver.shape import Shape
from posthog_events.receiver.verify import Headers, HeaderSecret, Verifier

__all__ = ["ACCEPTED", "DUPLICATE", "Answer", "Intake", "refusal", "unavailable"]

KEPT_HEADERS: Final = frozenset({"user-agent", "content-type", "webhook-timestamp"})
SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "webhook-signature"})

MAX_HEADER_CHARACTERS: Final = 500

RETRY_AFTER_S: Final = 2
"""PostHog comes again after one to three seconds, whatever it is told (reference 6)."""

_DESTINATION = re.compile(r"[A-Za-z0-9._~:@/-]{0,200}")


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP response to a delivery.

    Args:
        code: What became of it: `accepted`, `duplicate`, `inbox_full`, `inbox_error`, or the code of a
            DeliveryRejected; for metrics.
        body: One line of JSON.
    """

    status: int
    code: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    raw_headers: Sequence[tuple[bytes, bytes]] = field(init=False, repr=False, compare=False)
    """The headers and the length of the body, as ASGI has them."""

    def __post_init__(self) -> None:
        raw = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        object.__setattr__(self, "raw_headers", [*raw, (b"content-length", str(len(self.body)).encode())])

    @classmethod
    def of(cls, status: int, code: str, said: Mapping[str, str], **headers: str) -> Answer:
        """Return an answer; underscores in the names of headers stand for hyphens."""
        body = json.dumps(said).encode() + b"\n"
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, code, body, {"content-type": "application/json", **given})


ACCEPTED: Final = Answer.of(200, "accepted", {"status": "accepted"})
DUPLICATE: Final = Answer.of(200, "duplicate", {"status": "duplicate"})
"""As good as the first: a sender that hears anything else would send it again."""


def refusal(rejected: DeliveryRejected, **headers: str) -> Answer:
    """Return the answer to a delivery that is not taken.

    The reason is for our log. A stranger is not told why he is not believed; whoever is believed, or sent what is no
    delivery at all, is told the code.
    """
    said = "unauthorised" if rejected.status == 401 else rejected.code
    return Answer.of(rejected.status, rejected.code, {"error": said}, **headers)


def unavailable(error: InboxError) -> Answer:
    """Return the answer when a delivery could not be stored, so that the sender comes again."""
    full = isinstance(error, InboxFull)
    code, after_s = ("inbox_full", error.retry_after_s) if isinstance(error, InboxFull) else ("", RETRY_AFTER_S)
    return Answer.of(503, code if full else "inbox_error", {"error": "try again later"}, retry_after=str(after_s))


class Intake:
    """Makes entries of deliveries.

    Args:
        subscriptions: Read for each delivery, so that it may grow.
        destination: The name that entries are kept under; None takes the path of the request, without slashes at its
            ends, so that several destinations of PostHog can be told apart.
        keep_headers: Names of headers to keep with an entry, beside content-type, user-agent and webhook-timestamp.

    Raises:
        ConfigError: A header that is to be kept holds a secret, or the destination is no name.
    """

    def __init__(
        self,
        verifier: Verifier,
        subscriptions: Iterable[Subscription],
        *,
        shape: Shape | None,
        max_body_bytes: int,
        destination: str | None,
        keep_headers: Sequence[str],
        header_secret: HeaderSecret | None,
        clock: Callable[[], datetime],
    ) -> None:
        kept = {name.lower() for name in keep_headers}
        secret = SECRET_HEADERS | ({header_secret.name.lower()} if header_secret else set())
        if kept & secret:
            raise ConfigError(f"the header {min(kept & secret)} holds a secret, which must not be kept")
        if destination is not None and not _DESTINATION.fullmatch(destination):
            raise ConfigError(
                f"{destination!r} cannot be the name of a destination: letters, digits and any of ._~:@/-"
            )
        self._verifier, self._subscriptions, self._shape = verifier, subscriptions, shape
        self._max_body_bytes, self._destination, self._clock = max_body_bytes, destination, clock
        self._kept = {it: name for name in KEPT_HEADERS | kept for it in (name, name.encode())}

    def entry(self, body: bytes, headers: Headers, *, path: str) -> Entry:
        """Return what to store.

        Raises:
            DeliveryRejected: It must not be believed, holds no event, or came to a path that is none.
        """
        headers = headers if isinstance(headers, list | Mapping) else list(headers)
        delivery = self._verifier.verify(body, headers)
        destination = path.strip("/") if self._destination is None else self._destination
        if not _DESTINATION.fullmatch(destination):
            raise DeliveryRejected("the path is not the name of a destination", status=404, code="bad_path")
        event = parse_payload(body, shape=self._shape, max_bytes=self._max_body_bytes)
        return Entry(
            delivery_id=delivery.id,
            event_uuid=None if event is None else event.uuid,
            event="" if event is None else event.name,
            distinct_id="" if event is None else event.distinct_id or "",
            body=body,
            received_at=self._clock(),
            destination=destination,
            headers=_kept(headers, self._kept),
            handlers=route(self._subscriptions, event),
        )


def _kept(headers: Headers, names: Mapping[bytes | str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for given, value in headers.items() if isinstance(headers, Mapping) else headers:
        if name := names.get(given.lower()):
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            kept[name] = text[:MAX_HEADER_CHARACTERS]
    return kept
