"""Files of events as the source of a simulation."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from posthog_events.destinations import Webhook
from posthog_events.destinations.simulate import Simulation, events_of_file, simulate
from posthog_events.errors import ImportFailed

EVENTS = [
    {"event": "purchase", "distinct_id": "ann", "timestamp": "2026-01-01T10:00:00Z", "properties": {"amount": 5}},
    {
        "event": "purchase",
        "distinct_id": "bob",
        "timestamp": "2026-01-01T10:30:00+02:00",
        "properties": {"amount": 7},
        "uuid": "00000000-0000-4000-8000-000000000001",
        "person": {"id": "p1", "properties": {"email": "bob@example.com"}},
    },
    {"event": "login", "distinct_id": "ann", "timestamp": "2026-01-01T09:00:00", "properties": {}},
]


def of_file(path: Path) -> Simulation:
    destination = Webhook(
        "x", url="https://example.com", events=["purchase"], body={"who": "{person.name ?? 'nobody'}"}
    )
    with events_of_file(path) as events:
        return simulate(destination, events)


@pytest.mark.parametrize("shape", ["lines", "list", "page"])
def test_events_in_json_are_read_with_their_persons(tmp_path: Path, shape: str) -> None:
    """JSON Lines, a list, and a page of PostHog's API; the range is that of the events."""
    path = tmp_path / "events.json"
    document = {
        "lines": "\n".join(map(json.dumps, EVENTS)),
        "list": json.dumps(EVENTS),
        "page": json.dumps({"results": EVENTS}),
    }
    path.write_text(document[shape], encoding="utf-8")

    found = of_file(path)

    assert (3, 2, 2) == (found.seen, found.matched, found.delivered)
    assert datetime(2026, 1, 1, 8, 30, tzinfo=UTC) == found.since
    assert ["bob@example.com", "nobody"] == [sample.inputs["body"]["who"] for sample in found.samples]
    assert "00000000-0000-4000-8000-000000000001" == found.samples[0].uuid


def test_csv_is_read_as_an_import_would(tmp_path: Path) -> None:
    """Columns become properties."""
    path = tmp_path / "events.csv"
    path.write_text("event,timestamp,user,amount\npurchase,2026-01-01 10:00:00,ann,5\nlogin,2026-01-01 11:00:00,bob,\n")

    found = of_file(path)

    assert (2, 1) == (found.seen, found.matched)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"event": "x", "distinct_id": "a", "properties": {}}', "there is no 'timestamp'"),
        ('{"event": "x", "distinct_id": "a", "timestamp": "yesterday", "properties": {}}', "yesterday"),
        ('{"event": "x", "distinct_id": "a", "timestamp": "2026-01-01", "properties": [1]}', "no JSON object"),
        ("[1]", "no JSON object"),
        ("{", "Expecting"),
    ],
)
def test_lines_that_are_no_events_are_named(tmp_path: Path, line: str, message: str) -> None:
    """The file, the line and the reason."""
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps(EVENTS[0]) + "\n" + line + "\n", encoding="utf-8")

    with pytest.raises(ImportFailed, match=rf"events\.jsonl:2: not an event: .*{message}"):
        of_file(path)
