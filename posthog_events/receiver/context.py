"""What a handler is given beside the event, and what it can raise to say what shall happen next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Context", "GiveUp", "TryAgain"]


@dataclass(frozen=True, slots=True)
class Context:
    """One attempt of one handler at one delivery.

    Args:
        idempotency_key: The same on every attempt, and different for every other delivery and every other handler. A
            handler may run twice for one delivery, for example when the process died before its end was written down;
            whoever passes this key on to a service that knows such keys does its work once.
        delivery_id: The sender's id of the delivery; None when it sends none.
        attempt: 1 for the first.
        destination: The name that the delivery was kept under.
        received_at: When it arrived, in UTC.
        headers: The few that were kept, their names in lower case.
        body: What was sent, byte by byte.
    """

    idempotency_key: str
    delivery_id: str | None
    attempt: int
    destination: str
    received_at: datetime
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class GiveUp(Exception):
    """Raised by a handler: another attempt would end in the same way. The delivery goes to the dead letters at once."""


class TryAgain(Exception):
    """Raised by a handler: it did not work now, and when to come again is known.

    It counts as an attempt, so that it ends some day.

    Args:
        after_s: Seconds until the next attempt, at least 1.
    """

    def __init__(self, message: str, *, after_s: float) -> None:
        super().__init__(message)
        self.after_s = max(1.0, after_s)
