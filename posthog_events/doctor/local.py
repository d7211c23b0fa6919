"""This machine: packages, the store, query files, and where state is kept."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from posthog_events.config import Settings
from posthog_events.doctor.finding import Finding, Level
from posthog_events.errors import PostHogEventsError, QueryFileError, StoreNotFound

__all__ = ["check_extras", "check_query_files", "check_state", "check_store"]

EXTRAS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "local": (("hogql_parser", "chdb", "clickhouse_connect"), "local stores and ClickHouse servers"),
    "reports": (("altair", "vl_convert"), "charts as files"),
    "server": (("starlette", "uvicorn"), "the emulator"),
    "record": (("vcr",), "--record and --replay"),
}


def check_extras(
    settings: Settings, *, installed: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None
) -> Iterator[Finding]:
    """Find the packages of extras that are missing; the engine's own matter most."""
    dsn = settings.dsn.value if settings.dsn else ""
    for extra, (modules, purpose) in EXTRAS.items():
        missing = [name for name in modules if not installed(name)]
        if not missing:
            continue
        needed = extra == "local" and dsn.startswith(("chdb://", "clickhouse://"))
        yield Finding(
            Level.PROBLEM if needed else Level.NOTE,
            "packages",
            f"{', '.join(missing)} not installed, needed for {purpose}",
            f'pip install "posthog-events[{extra}]"',
        )


def check_store(settings: Settings) -> Iterator[Finding]:
    """Open the store that queries would read."""
    dsn = settings.dsn.value if settings.dsn else ""
    if not dsn.startswith("chdb://"):
        return
    from posthog_events.clickhouse.store import EventStore

    path = Path(dsn.removeprefix("chdb://"))
    try:
        store = EventStore.open(path)
        manifest = store.manifest()
        store.catalog()
    except StoreNotFound:
        yield Finding(
            Level.PROBLEM,
            "store",
            f"there is no event store at {path}",
            f"posthog-events local import FILE --store {path}, or posthog-events local pull --store {path}",
        )
        return
    except PostHogEventsError as error:
        message, _, fix = str(error).partition("; ")
        yield Finding(Level.PROBLEM, "store", message, fix or "restore it from a backup, or import again elsewhere")
        return
    except OSError as error:
        yield Finding(
            Level.PROBLEM, "store", f"{path} cannot be read: {error.strerror}", f"check the permissions of {path}"
        )
        return
    if not os.access(path, os.W_OK):
        yield Finding(Level.WARNING, "store", f"{path} cannot be written, so imports and pulls will fail", "chmod u+w")
    if not manifest.rows:
        yield Finding(
            Level.WARNING, "store", f"{path} holds no events", f"posthog-events local import FILE --store {path}"
        )
        return
    last = datetime.fromtimestamp(max(file.max_time for file in manifest.files) / 1e6, UTC)
    yield Finding(Level.OK, "store", f"{path}: {manifest.rows:,} events up to {last:%Y-%m-%d %H:%M} UTC")
    zone = settings.timezone
    if zone is not None and zone.value != manifest.timezone:
        yield Finding(
            Level.WARNING,
            "time zone",
            f"the store's time zone is {manifest.timezone}, but {zone.source} says {zone.value}",
            f"leave the setting out, or keep it to begin days in {zone.value}",
        )


def check_query_files(folders: Sequence[Path]) -> Iterator[Finding]:
    """Read every query file of the user's own folders."""
    from posthog_events.queryfiles import read_query_file

    count = 0
    for path in sorted(file for folder in folders if folder.is_dir() for file in folder.glob("*.sql")):
        count += 1
        try:
            read_query_file(path)
        except QueryFileError as error:
            first = str(error.faults[0])
            more = f" (and {len(error.faults) - 1} more)" if len(error.faults) > 1 else ""
            yield Finding(Level.PROBLEM, "query files", f"{first}{more}", f"posthog-events query lint {path}")
    if count:
        yield Finding(Level.OK, "query files", f"{count} of your own")


def check_state(directory: Path) -> Iterator[Finding]:
    """See whether the limits that processes share can be kept."""
    existing = next((path for path in (directory, *directory.parents) if path.exists()), directory)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            Level.PROBLEM,
            "state",
            f"{directory} cannot be written; the processes on this machine share PostHog's limits through it",
            "set POSTHOG_EVENTS_STATE_DIR to a directory that can be written",
        )
