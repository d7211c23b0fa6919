"""Stores for tests of the query library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from posthog_events.clickhouse.store import EventStore

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def make_store(path: Path, files: Iterable[Path], **settings: Any) -> Path:
    """Create a store whose weeks begin on Monday, import the files, and return its path."""
    store = EventStore.create(path, now=lambda: NOW, **{"week_starts_monday": True, **settings})
    store.import_events(list(files))
    return path


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write events as JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def store_of(directory: Path, events: Iterable[tuple[str, str, str]], **settings: Any) -> Path:
    """Make a store of (person, event, time) triples; the uuids count up in the order given."""
    rows = [
        {"uuid": f"00000000-0000-4000-8000-{number:012d}", "event": event, "timestamp": at, "distinct_id": person}
        for number, (person, event, at) in enumerate(events, start=1)
    ]
    return make_store(directory / "store", [write_rows(directory / "events.jsonl", rows)], **settings)
