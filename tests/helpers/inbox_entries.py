"""Entries for inboxes, and the times they arrive at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from posthog_events.receiver.inbox import Entry

__all__ = ["START", "at", "entry"]

START = datetime(2026, 9, 1, 12, tzinfo=UTC)
_numbers = count(1)


def at(seconds: float) -> datetime:
    """Return a time after START."""
    return START + timedelta(seconds=seconds)


def entry(
    delivery_id: str | None = "",
    event_uuid: str | None = "",
    *,
    destination: str = "",
    event: str = "user_signed_up",
    distinct_id: str = "ada",
    body: bytes = b'{"event": {}}',
    received_at: datetime = START,
    handlers: tuple[str, ...] = ("crm",),
) -> Entry:
    """Return an entry; its ids are new ones unless they are given, and missing when None is given."""
    number = next(_numbers)
    return Entry(
        delivery_id=f"delivery-{number}" if delivery_id == "" else delivery_id,
        event_uuid=f"event-{number}" if event_uuid == "" else event_uuid,
        destination=destination,
        event=event,
        distinct_id=distinct_id,
        body=body,
        headers={"content-type": "application/json"},
        received_at=received_at,
        handlers=handlers,
    )
