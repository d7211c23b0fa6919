"""Events of a file, for a simulation."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from posthog_events.destinations.simulate.sources import COLUMNS, EngineEvents, EventSource, FrameEvents, frame_types
from posthog_events.errors import ImportFailed

if TYPE_CHECKING:
    import polars as pl

__all__ = ["events_of_file"]

_EVER, _NEVER = datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@contextmanager
def events_of_file(path: Path | str, *, scratch: Path | None = None) -> Iterator[EventSource]:
    """Yield the events of a file: JSON Lines or JSON as PostHog writes it, else what `local import` takes.

    An event in JSON has `event`, `distinct_id`, `timestamp`, `properties`, and may have `uuid`, `elements_chain` and
    its person: `person` with `id` and `properties`, or `person_id` and `person_properties`.

    Args:
        scratch: A directory for a store of events, which CSV and Parquet files become; a temporary one when absent.

    Raises:
        ImportFailed: It cannot be read, or holds something that is no event.
    """
    from posthog_events.clickhouse.store.detect import Format, read_sample

    path = Path(path)
    sample = read_sample(path)
    if sample.format in (Format.JSON_LINES, Format.JSON_DOCUMENT) and {"event", "properties"} <= set(sample.columns):
        yield FrameEvents([_json_frame(path, lines=sample.format is Format.JSON_LINES and not sample.envelope)])
        return
    from posthog_events.clickhouse.client import Client
    from posthog_events.clickhouse.compiler import CompileSettings
    from posthog_events.clickhouse.engine import ClickHouseEngine
    from posthog_events.clickhouse.store import EventStore
    from posthog_events.limits import UNLIMITED_ROWS

    with tempfile.TemporaryDirectory(prefix="posthog-simulate-", dir=scratch) as directory:
        store = EventStore.create(Path(directory) / "store")
        store.import_events([path])
        client = Client.open("chdb://memory")
        engine = ClickHouseEngine(client, store.catalog, "chdb://memory", CompileSettings(row_limits=UNLIMITED_ROWS))
        try:
            yield FrameEvents(EngineEvents(engine).where("true", {}, _EVER, _NEVER))
        finally:
            engine.close()


def _json_frame(path: Path, *, lines: bool) -> pl.DataFrame:
    import polars as pl

    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for number, raw in _json_lines(path) if lines else _json_rows(path):
        try:
            event = _event(json.loads(raw), raw)
        except (ValueError, KeyError, TypeError) as error:
            reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            raise ImportFailed(f"{path}:{number}: not an event: {reason}") from error
        for name, value in zip(COLUMNS, event, strict=True):
            columns[name].append(value)
    return pl.DataFrame(columns, schema=frame_types())


def _json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    from posthog_events.clickhouse.store.files import open_binary

    with open_binary(path) as (stream, _):
        for number, line in enumerate(stream, 1):
            if text := line.removeprefix(b"\xef\xbb\xbf").strip():
                yield number, text


def _json_rows(path: Path) -> Iterator[tuple[int, bytes]]:
    from posthog_events.clickhouse.store.readers import document_rows

    return document_rows(path)


def _event(given: Any, raw: bytes) -> tuple[Any, ...]:
    if not isinstance(given, dict):
        raise ValueError("it is no JSON object")
    moment = datetime.fromisoformat(str(given["timestamp"]))
    named = given.get("person")
    person = named if isinstance(named, dict) else {}
    known = _document(given.get("person_properties") or person.get("properties"))
    properties = given.get("properties")
    return (
        str(given.get("uuid") or given.get("id") or uuid5(NAMESPACE_OID, raw.hex())),
        str(given["event"]),
        moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC),
        str(given["distinct_id"]),
        _document(properties),
        given.get("elements_chain") if isinstance(given.get("elements_chain"), str) else None,
        given.get("person_id") or person.get("id") or person.get("uuid"),
        known,
    )


def _document(value: Any) -> str:
    if value is None:
        return "{}"
    text = value if isinstance(value, str) else json.dumps(value)
    if not isinstance(json.loads(text), dict):
        raise ValueError("properties are no JSON object")
    return text
