"""An `Api` whose answers a test computes from the request, and a `GET /events/` with PostHog's paging rules."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from posthog_events.posthog.http import Reply, Request

__all__ = ["FakeApi", "ListingServer", "event_row"]


@dataclass
class FakeApi:
    """Answers every request with what `answer` returns for it, and keeps the requests."""

    answer: Callable[[Request], Any]
    origin: str = "https://eu.posthog.com"
    project_id: int = 7
    sent: list[Request] = field(default_factory=list)

    def send(self, request: Request) -> Reply:
        """See `Api.send`."""
        self.sent.append(request)
        body = json.dumps(self.answer(request), ensure_ascii=False).encode()
        return Reply(200, {}, body, f"{request.method} {request.path}")


def event_row(id_: str, at: datetime, **fields: Any) -> dict[str, Any]:
    """Return an event as the listing writes it."""
    row = {"id": id_, "event": "e", "distinct_id": "d", "properties": {}, "person": None, "elements_chain": ""}
    return row | {"timestamp": at.isoformat()} | fields


@dataclass
class ListingServer:
    """The ascending listing: strict bounds, `orderBy` as JSON, a page limit, offsets, and ties in random order.

    Args:
        before_page: Called before each answer; a late event can be added there.
    """

    events: list[tuple[str, datetime]]
    max_rows: int = 1_000
    draw: random.Random = field(default_factory=lambda: random.Random(1))
    before_page: Callable[[ListingServer], None] = lambda _: None

    def __call__(self, request: Request) -> Mapping[str, Any]:
        """Answer `GET events/`."""
        self.before_page(self)
        params = request.params
        after, before = (datetime.fromisoformat(params[name]) for name in ("after", "before"))
        assert json.loads(params["orderBy"]) == ["timestamp"]
        offset, limit = int(params.get("offset", "0")), min(int(params["limit"]), self.max_rows)
        assert offset <= 50_000
        found = [event for event in self.events if after < event[1] < before]
        self.draw.shuffle(found)
        found.sort(key=lambda event: event[1])
        page = found[offset : offset + limit]
        more = len(found) > offset + limit
        return {
            "next": f"https://eu.posthog.com/api/projects/7/events/?after={page[-1][1]}" if more else None,
            "results": [event_row(*event) for event in page],
        }
