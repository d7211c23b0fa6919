"""Bringing a local store up to date: export what is new, import it, and note how far it is in the same commit.

What is exported lies in the store's folder `pull` until it is committed, so a pull that is killed goes on where it was.
After the commit, or when its export is found to be committed already, the folder is removed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from posthog_events.clickhouse.catalog import PropertyKind
from posthog_events.clickhouse.store import EventStore, ImportReport, Progress
from posthog_events.clickhouse.store.manifest import Manifest, PullState
from posthog_events.clickhouse.store.report import Pulled
from posthog_events.clock import utc_now
from posthog_events.errors import ConfigError, StoreLocked
from posthog_events.posthog.export.definitions import Definitions, property_types
from posthog_events.posthog.export.download import Fetch, download
from posthog_events.posthog.export.ledger import SliceRecord, read_id
from posthog_events.posthog.export.progress import ExportProgress, ExportReport
from posthog_events.posthog.export.run import Via, export_events
from posthog_events.posthog.export.windowed import Rows
from posthog_events.posthog.http import Api

__all__ = ["LOOKBACK", "PullReport", "pull"]

LOOKBACK = timedelta(days=3)
"""How long an event may take to become visible, and in the query route, to reach PostHog. Phones send what they kept
while they were offline; most of it within this."""


MARGIN = timedelta(minutes=1)
"""How far before our clock a pull ends, so that it never lies in the future by PostHog's."""


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull did.

    Args:
        since: From where it fetched; before `position` of the pull before by the lookback.
        position: Where the next pull starts, less its lookback.
        export: The proof of what was fetched.
        imported: What became of it; `duplicates` are mostly the events of the lookback.
    """

    since: datetime
    position: datetime
    export: ExportReport
    imported: ImportReport


def pull(
    store: EventStore,
    api: Api,
    *,
    since: datetime | None = None,
    lookback: timedelta = LOOKBACK,
    via: Via = "auto",
    rows: Rows | None = None,
    definitions: Definitions | None = None,
    other_projects: bool = False,
    fetch: Fetch = download,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], datetime] = utc_now,
    on_export: Callable[[ExportProgress], None] = lambda progress: None,
    on_import: Callable[[Progress], None] | None = None,
) -> PullReport:
    """Add to a store what PostHog has stored since the pull before, each event once.

    Args:
        since: Needed for the first pull of a project; later it can reach further back, and leaves no gap.
        lookback: How far before the end of the pull before to begin, for events that became visible late.
        via, rows, fetch: As in `export_events`.
        definitions: Fetches property definitions; their types are committed with the events.
        other_projects: Whether the store may hold the events of several projects.

    Raises:
        ConfigError: The first pull without `since`, or a store of another project.
        StoreLocked: Another pull into this store is running.
        ExportFailed, ApiError, ConnectionFailed: As `export_events`; the next pull resumes.
        ImportFailed: As `EventStore.import_events`; the store is as it was before.
    """
    from filelock import FileLock, Timeout

    key = f"{api.origin}#{api.project_id}"
    lock = FileLock(store.path / "pull.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreLocked(f"another pull into {store.path} is running; wait until it has finished") from None
    try:
        manifest = store.manifest()
        until = clock() - MARGIN
        begin = _begin(manifest, key, since, lookback, store.path, other_projects=other_projects)
        begin = min(begin, until - MARGIN)  # a pull right after another is no mistake
        # Its own for each project and route, because a directory cannot hold the slices of two.
        folder = store.path / "pull" / f"{urlsplit(api.origin).hostname}-{api.project_id}-{via}"
        state = manifest.pulls.get(key)
        if state is not None and read_id(folder) == state.export_id:
            shutil.rmtree(folder)
        exported = export_events(
            api,
            folder,
            since=begin,
            until=until,
            via=via,
            rows=rows,
            fetch=fetch,
            sleep=sleep,
            clock=clock,
            on_progress=on_export,
        )
        position = _position(exported.slices, lookback)
        imported = store.import_events(
            exported.files,
            # PostHog took them for events; what the store refuses of them is kept beside it and reported.
            max_rejected=exported.rows,
            progress=on_import,
            pulled=Pulled(
                key=key,
                state=PullState(position.isoformat(), exported.id),
                label=f"{api.origin} project {api.project_id}, {begin:%Y-%m-%d %H:%M} to {position:%Y-%m-%d %H:%M} UTC",
                event_types=_kinds(property_types(definitions, "event")),
                person_types=_kinds(property_types(definitions, "person")),
            ),
        )
        shutil.rmtree(folder)
        return PullReport(begin, position, exported, imported)
    finally:
        lock.release()


def _begin(
    manifest: Manifest,
    key: str,
    since: datetime | None,
    lookback: timedelta,
    path: Path,
    *,
    other_projects: bool,
) -> datetime:
    """Return from where to fetch.

    Raises:
        ConfigError: That is not known, has no time zone, or the store is of another project.
    """
    if since is not None and since.tzinfo is None:
        raise ConfigError("the time to pull from needs a time zone")
    others = sorted(set(manifest.pulls) - {key})
    if others and not other_projects:
        raise ConfigError(
            f"the store {path} holds the events of {others[0]}, and these would be of {key}; pull into a store of its "
            "own, or say that it may hold several projects"
        )
    state = manifest.pulls.get(key)
    if state is None:
        if since is None:
            raise ConfigError(f"nothing of {key} is in {path} yet; say from when on to pull, with --from 2026-01-01")
        return since
    known = datetime.fromisoformat(state.position) - lookback
    return known if since is None else min(since, known)


def _position(slices: Sequence[SliceRecord], lookback: timedelta) -> datetime:
    """Return up to where nothing can be missing that becomes visible within the lookback after it.

    A slice that was asked for soon after its end, by a pull that was killed, may lack late events: the next pull has to
    look back from then, and not from when the export was completed.
    """
    asked = [(record.asked_at or record.end, record.end) for record in slices]
    return min([slices[-1].end, *(at for at, end in asked if end > at - lookback)])


def _kinds(types: dict[str, str]) -> dict[str, PropertyKind]:
    return {name: PropertyKind(kind) for name, kind in types.items()}
