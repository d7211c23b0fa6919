"""Keeping events: in a local store, which query files can be run over, or as Parquet files."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid4, uuid5

from posthog_events.clock import utc_now
from posthog_events.errors import ImportFailed, StoreLocked
from posthog_events.receiver.context import Context, GiveUp
from posthog_events.receiver.handlers.batches import LINGER_S, Batches
from posthog_events.receiver.payload import ReceivedEvent
from posthog_events.receiver.routing import Handler

if TYPE_CHECKING:
    import polars as pl

__all__ = ["COLUMNS", "append_to_parquet", "append_to_store", "row_of"]

COLUMNS: Final = (
    *("uuid", "event", "timestamp", "distinct_id", "properties", "person_id", "person_properties", "elements_chain"),
    "created_at",
)
"""Of the rows, with names under which `local import` knows them; properties are JSON text."""

LOCK_TRIES: Final = 40
LOCK_WAIT_S: Final = 0.25
"""Ten seconds for another process to finish its import, before the attempt fails and comes again later."""

Row = dict[str, str | None]


def append_to_store(
    path: Path | str, *, linger_s: float = LINGER_S, sleep: Callable[[float], None] = time.sleep
) -> Handler:
    """Return a handler that adds events to a local store, which is made if it is not there.

    An event that the store has already is not added again. Events that wait at the same time are written together:
    give the handler a concurrency of some hundred where many events come.

    Args:
        path: The store's directory.
        linger_s: Seconds that the first event of a batch waits for others.
    """
    directory = Path(path)

    def write(rows: Sequence[Row]) -> None:
        with tempfile.TemporaryDirectory(prefix="posthog-events-") as folder:
            file = Path(folder) / "events.jsonl"
            file.write_text("".join(f"{json.dumps(_with_documents(row))}\n" for row in rows), encoding="utf-8")
            _import(file, directory, sleep=sleep)

    batches: Batches[Row] = Batches(write, linger_s=linger_s, sleep=sleep)

    def append(event: ReceivedEvent | None, context: Context) -> None:
        batches.add(row_of(event, context))

    append.__name__ = "append_to_store"
    return append


def append_to_parquet(
    folder: Path | str, *, linger_s: float = LINGER_S, clock: Callable[[], datetime] = utc_now
) -> Handler:
    """Return a handler that writes events to Parquet files, `FOLDER/YYYY-MM-DD/*.parquet` by the day of writing.

    A file is there entirely or not at all, and is on the disk when the handler returns. After a crash an event may be
    in two files: `uuid` tells. Each batch is one file, see `append_to_store`.
    """
    directory = Path(folder)

    def write(rows: Sequence[Row]) -> None:
        import polars as pl

        moment = pl.col("timestamp", "created_at").str.to_datetime("%+", time_unit="us", time_zone="UTC")
        frame = pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row").with_columns(moment)
        now = clock().astimezone(UTC)
        day = directory / f"{now:%Y-%m-%d}"
        day.mkdir(parents=True, exist_ok=True)
        _write_durably(frame, day / f"{now:%H%M%S}-{uuid4().hex[:12]}.parquet")

    batches: Batches[Row] = Batches(write, linger_s=linger_s)

    def append(event: ReceivedEvent | None, context: Context) -> None:
        batches.add(row_of(event, context))

    append.__name__ = "append_to_parquet"
    return append


def row_of(event: ReceivedEvent | None, context: Context) -> Row:
    """Return an event as a row; every attempt gives the same one.

    Raises:
        GiveUp: There is no event, or nothing says whose it is.
    """
    if event is None:
        raise GiveUp("the delivery holds no event to be kept")
    if event.distinct_id is None:
        raise GiveUp("the body says no distinct_id, so that the event cannot be kept; add it to the destination's body")
    inner: Any = event.raw.get("event")
    chain = inner.get("elements_chain") if isinstance(inner, dict) else None
    arrived = context.received_at.astimezone(UTC)
    person = event.person
    return {
        # without one, the delivery's own key tells the event from others
        "uuid": event.uuid or str(uuid5(NAMESPACE_URL, context.idempotency_key.rpartition(":")[0])),
        "event": event.name,
        "timestamp": (event.timestamp or arrived).isoformat(),
        "distinct_id": event.distinct_id,
        "properties": json.dumps(event.properties),
        "person_id": None if person is None else person.id,
        "person_properties": None if person is None else json.dumps(person.properties),
        "elements_chain": chain if isinstance(chain, str) else "",
        "created_at": arrived.isoformat(),
    }


def _import(file: Path, directory: Path, *, sleep: Callable[[float], None]) -> None:
    from posthog_events.clickhouse.store import EventStore

    store = EventStore.open_or_create(directory)
    for left in reversed(range(LOCK_TRIES)):
        try:
            store.import_events([file], max_rejected=0)
            return
        except StoreLocked:
            if not left:
                raise
            sleep(LOCK_WAIT_S)
        except ImportFailed as error:
            raise GiveUp(f"the event cannot be stored: {error}") from error


def _with_documents(row: Row) -> dict[str, Any]:
    """Return a row for an import of JSON Lines: documents as they are, and nothing where there is nothing."""
    documents = {name: json.loads(row[name] or "{}") for name in ("properties", "person_properties") if row[name]}
    return {name: documents.get(name, value) for name, value in row.items() if value is not None}


def _write_durably(frame: pl.DataFrame, path: Path) -> None:
    # dot files are not seen by those who read the folder
    part = path.with_name(f".{path.name}")
    try:
        with part.open("wb") as file:
            frame.write_parquet(file)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
