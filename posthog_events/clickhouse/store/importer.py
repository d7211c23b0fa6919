"""Importing events: parts are staged, checked, deduplicated and written one after another; one commit ends it.

While a part is written, the next one is read and staged in a second thread. Nothing is visible to readers, and nothing
stays behind after an error, until the manifest is replaced at the end.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from posthog_events.clickhouse.catalog import PropertyKind
from posthog_events.clickhouse.store.cells import csv_cells, parquet_cells
from posthog_events.clickhouse.store.detect import Format, Plan, plan_import, read_sample
from posthog_events.clickhouse.store.infer import infer_types, merge_kinds
from posthog_events.clickhouse.store.manifest import ImportRecord, Manifest, PropertyType, sync_file, write_manifest
from posthog_events.clickhouse.store.prefetch import prefetch
from posthog_events.clickhouse.store.readers import Part, Reject, read_parts
from posthog_events.clickhouse.store.report import ColumnMapping, FileReport, ImportReport, Progress, Pulled
from posthog_events.clickhouse.store.rewrite import compact
from posthog_events.clickhouse.store.session import Session, write_session
from posthog_events.clickhouse.store.stage import STAGE_SETTINGS, stage_sql
from posthog_events.clickhouse.store.writer import PartWriter
from posthog_events.errors import ImportFailed

if TYPE_CHECKING:
    from posthog_events.clickhouse.store.store import EventStore

__all__ = ["import_events"]

DEFAULT_REJECTED_SHARE = 0.1
"""Above this share of rejected rows the mapping is more likely wrong than the rows."""


@dataclass(slots=True)
class _Tally:
    """Counts of one file, while it is read."""

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0


@dataclass(slots=True)
class _Run:
    """State of one import."""

    store: EventStore
    session: Session
    writer: PartWriter
    rejects: Path
    kinds: dict[str, dict[str, PropertyKind]] = field(
        default_factory=lambda: {"properties": {}, "person_properties": {}}
    )
    warnings: list[str] = field(default_factory=list)
    first_reject: Reject | None = None


def import_events(
    store: EventStore,
    paths: Sequence[Path],
    mapping: ColumnMapping,
    *,
    types: Mapping[str, PropertyKind],
    max_rejected: int | None,
    progress: Callable[[Progress], None] | None,
    dry_run: bool,
    pulled: Pulled | None,
) -> ImportReport:
    """Import files into a store; see `EventStore.import_events`."""
    started = time.monotonic()
    if not paths and pulled is None:
        raise ImportFailed("no file was named; name at least one")
    plans = [plan_import(read_sample(path), mapping, store.manifest().timezone) for path in _expand(paths)]
    import_id = f"{store.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    with store.writing() as manifest, write_session(store, import_id) as session:
        writer = PartWriter(session, store.data, manifest, import_id)
        run = _Run(store, session, writer, store.path / "rejected" / f"{import_id}.jsonl")
        reports = []
        total = sum(plan.sample.path.stat().st_size for plan in plans)
        done = 0
        for plan in plans:
            reports.append(_import_file(run, plan, types, progress, done, total))
            done += plan.sample.path.stat().st_size
        _check_rejected(run, reports, max_rejected)
        changed, new = _finish(run, manifest, types, reports, pulled)
        if dry_run:
            for file in writer.files:
                (store.data / file.name).unlink()
        else:
            new = compact(session, store.data, new, write_id=import_id, at=store.now().timestamp())
            for name in {file.name for file in new.files} - {file.name for file in manifest.files}:
                sync_file(store.data / name)
            write_manifest(store.path, new)
    return ImportReport(
        id=import_id,
        files=tuple(reports),
        rejects=run.rejects if run.first_reject else None,
        types=changed,
        warnings=tuple(run.warnings),
        elapsed_s=time.monotonic() - started,
        dry_run=dry_run,
    )


def _expand(paths: Sequence[Path]) -> list[Path]:
    """Replace directories by the files in them."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
            if not inside:
                raise ImportFailed(f"{path} holds no files; there is nothing to import")
            files += inside
        elif path.exists():
            files.append(path)
        else:
            raise ImportFailed(f"{path} does not exist; check the name")
    return files


def _import_file(
    run: _Run,
    plan: Plan,
    types: Mapping[str, PropertyKind],
    progress: Callable[[Progress], None] | None,
    done: int,
    total: int,
) -> FileReport:
    path = plan.sample.path
    cells = _cells(run, plan, types)
    tally = _Tally()
    run.writer.begin_file()

    def stage(part: Part) -> tuple[Part, str]:
        table = run.session.table(
            stage_sql(plan, part, cells, now=run.store.now()), settings=dict(STAGE_SETTINGS), name="stage"
        )
        if part.path != path.resolve():
            part.path.unlink()
        return part, table

    with prefetch(stage, read_parts(plan.sample, run.session.directory), stop=run.session.stop) as staged:
        for part, table in staged:
            _import_part(run, plan, part, table, tally)
            if progress is not None:
                progress(Progress(path, done + part.done, total, tally.read))
    return FileReport(path, plan.shape, plan.assumptions, tally.read, tally.stored, tally.duplicates, tally.rejected)


def _cells(run: _Run, plan: Plan, types: Mapping[str, PropertyKind]) -> dict[str, str]:
    sample = plan.sample
    if sample.format is Format.PARQUET:
        return parquet_cells(sample.path)
    if sample.format is not Format.CSV:
        return {}
    folder = run.session.directory / "cells"
    folder.mkdir(exist_ok=True)
    cells = csv_cells(_each_removed(read_parts(sample, folder)), plan.property_columns)
    texts = {name for name, kind in types.items() if kind not in (PropertyKind.NUMERIC, PropertyKind.BOOLEAN)}
    return {name: "text" if name in texts else kind for name, kind in cells.items()}


def _each_removed(parts: Iterator[Part]) -> Iterator[Path]:
    for part in parts:
        yield part.path
        part.path.unlink()


def _import_part(run: _Run, plan: Plan, part: Part, table: str, tally: _Tally) -> None:
    query = run.session.query
    rows, bad = query(f"SELECT count(), countIf(reason != '') FROM {table}").row(0)
    rejects = list(part.rejects)
    if bad:
        frame = query(f"SELECT line, reason, content FROM {table} WHERE reason != ''")
        rejects += [Reject(plan.sample.path, *row) for row in frame.iter_rows()]
    if rejects:
        _write_rejects(run, sorted(rejects, key=lambda reject: reject.line))
    tally.read += rows + len(part.rejects)
    tally.rejected += len(rejects)
    if rows == bad:
        run.session.drop(table)
        return
    written = run.writer.write(table, rejected=bool(bad))
    tally.stored += written.stored
    tally.duplicates += rows - bad - written.stored
    for document, promotion in written.promotions.items():
        known = run.kinds[document]
        keys = [key for key in promotion.keys if known.get(key) is not PropertyKind.STRING]
        for key, kind in infer_types(query, written.rows, document, keys).items():
            known[key] = kind if known.get(key, kind) is kind else PropertyKind.STRING
    run.session.drop(table, written.rows)


def _write_rejects(run: _Run, rejects: Sequence[Reject]) -> None:
    run.first_reject = run.first_reject or rejects[0]
    with run.rejects.open("ab") as file:
        for reject in rejects:
            row = {"file": str(reject.path), "line": reject.line, "reason": reject.reason, "row": reject.content}
            file.write(msgspec.json.encode(row) + b"\n")


def _check_rejected(run: _Run, reports: Sequence[FileReport], max_rejected: int | None) -> None:
    rejected, read = sum(file.rejected for file in reports), sum(file.read for file in reports)
    if not rejected:
        return
    allowed = int(read * DEFAULT_REJECTED_SHARE) if max_rejected is None else max_rejected
    if rejected > allowed:
        first = run.first_reject
        where = f"{first.path}:{first.line}: {first.reason}" if first else ""
        raise ImportFailed(
            f"{rejected:,} of {read:,} rows are no events (the first: {where}), and nothing was stored. All are in "
            f"{run.rejects}; correct the file or the column names, or accept them with --max-rejected {rejected}"
        )


def _finish(
    run: _Run,
    manifest: Manifest,
    types: Mapping[str, PropertyKind],
    reports: Sequence[FileReport],
    pulled: Pulled | None,
) -> tuple[dict[str, PropertyKind], Manifest]:
    """Return the types that change, and the manifest with everything written."""
    changed: dict[str, PropertyKind] = {}
    merged: dict[str, dict[str, PropertyType]] = {}
    old = {"properties": manifest.event_types, "person_properties": manifest.person_types}
    defined = {
        "properties": pulled.event_types if pulled else {},
        "person_properties": pulled.person_types if pulled else {},
    }
    for document, prefix in (("properties", "properties."), ("person_properties", "person.properties.")):
        known = {**old[document], **_defined(old[document], defined[document])}
        kinds, conflicts = merge_kinds(known, run.kinds[document])
        overrides = types if document == "properties" else {}
        merged[document] = {
            **known,
            **{key: PropertyType(kind) for key, kind in kinds.items()},
            **{key: PropertyType(kind, "override") for key, kind in overrides.items()},
        }
        changed |= {prefix + key: kind for key, kind in {**kinds, **overrides}.items()}
        run.warnings += [
            f"{prefix}{key} holds values of another type than before; it is now read as String. "
            f"Set it with: local schema --set {key}=TYPE"
            for key in conflicts
            if key not in overrides
        ]
    run.warnings += run.writer.warnings
    record = ImportRecord(
        id=run.writer.import_id,
        at=run.store.now().isoformat(timespec="seconds"),
        files=(pulled.label,) if pulled else tuple(str(report.path) for report in reports),
        stored=sum(report.stored for report in reports),
        duplicates=sum(report.duplicates for report in reports),
        rejected=sum(report.rejected for report in reports),
    )
    return changed, replace(
        manifest,
        files=(*manifest.files, *run.writer.files),
        event_types=merged["properties"],
        person_types=merged["person_properties"],
        group_types=run.writer.group_types,
        # A pull that found nothing is no import.
        imports=(*manifest.imports, record) if record.stored or not pulled else manifest.imports,
        pulls={**manifest.pulls, pulled.key: pulled.state} if pulled else manifest.pulls,
    )


def _defined(old: Mapping[str, PropertyType], types: Mapping[str, PropertyKind]) -> dict[str, PropertyType]:
    """Return the types that definitions set: all but those that the user has set."""
    free = (key for key in types if key not in old or old[key].source != "override")
    return {key: PropertyType(types[key], "definition") for key in free}
