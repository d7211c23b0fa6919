"""Signed deliveries, and a clock for receivers of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from posthog_events.receiver.signatures import sign

__all__ = ["AT", "SECRET", "ManualClock", "body_of", "signed"]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = datetime(2026, 8, 20, 10, 15, 30, tzinfo=UTC)


class ManualClock:
    """A clock that stands until it is told to go on; its monotonic seconds go with it."""

    def __init__(self, at: datetime = AT) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        """Return the seconds since the usual beginning."""
        return (self.at - AT).total_seconds()

    def advance(self, seconds: float) -> None:
        """Go on."""
        self.at += timedelta(seconds=seconds)


def body_of(
    number: int = 1,
    event: str = "user_signed_up",
    *,
    distinct_id: str = "user_1",
    properties: Mapping[str, Any] | None = None,
    person: Mapping[str, Any] | None = None,
    groups: Mapping[str, Any] | None = None,
) -> bytes:
    """Return PostHog's body of an event; its uuid is made of the number."""
    document: dict[str, Any] = {
        "event": {
            "uuid": str(UUID(int=number)),
            "event": event,
            "distinct_id": distinct_id,
            "properties": properties or {},
            "timestamp": "2026-08-20T10:15:00.000Z",
        },
        "person": person,
    }
    if groups is not None:
        document["groups"] = groups
    return json.dumps(document).encode()


def signed(body: bytes, *, id: str = "msg_1", at: datetime = AT, secret: str = SECRET) -> dict[str, str]:  # noqa: A002
    """Return the headers of a delivery."""
    return {"content-type": "application/json", **sign(body, id=id, timestamp=at, secret=secret)}
