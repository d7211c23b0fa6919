"""Forwarding deliveries to another service, signed anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from posthog_events.clock import utc_now
from posthog_events.errors import ConfigError
from posthog_events.receiver.context import Context
from posthog_events.receiver.handlers.posting import IDEMPOTENCY_HEADER, JSON, TIMEOUT_S, Post, key_of
from posthog_events.receiver.payload import ReceivedEvent
from posthog_events.receiver.routing import Handler
from posthog_events.receiver.signatures import SIGNATURE_HEADER, sign

__all__ = ["forward"]


def forward(
    url: str,
    *,
    secret: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
    clock: Callable[[], datetime] = utc_now,
) -> Handler:
    """Return a handler that sends the body of a delivery on, byte by byte.

    A receiver that gets one twice can tell by `webhook-id` (when it is signed) and `Idempotency-Key`, which are the
    same on every attempt.

    Args:
        url: Where to.
        secret: Signs as Standard Webhooks says; base64, with or without `whsec_`. None does not sign.
        headers: Others to send, such as an Authorization.
        timeout_s: Seconds to connect, and for each wait for the answer.

    Raises:
        ConfigError: The address, the secret or a header cannot be used.
    """
    extra = dict(headers or {})
    if reserved := {name for name in extra if name.lower() in (SIGNATURE_HEADER, IDEMPOTENCY_HEADER.lower())}:
        raise ConfigError(f"the header {min(reserved)} is made by forward() itself")
    keeps_type = "content-type" not in {name.lower() for name in extra}
    post = Post(url, tuple(value for value in (secret, *extra.values()) if value), timeout_s)
    if secret is not None:
        # a secret that cannot sign is said now, and not once for each delivery
        sign(b"", id="check", timestamp=clock(), secret=secret)

    def forward_delivery(event: ReceivedEvent | None, context: Context) -> None:
        signed: Mapping[str, str] = {}
        if secret is not None:
            signed = sign(context.body, id=key_of(context), timestamp=clock(), secret=secret)
        kept = {"Content-Type": context.headers.get("content-type", JSON)} if keeps_type else {}
        post.send(context.body, context=context, headers={**kept, **extra, **signed})

    return forward_delivery
