"""The files of an export: what PostHog's batch exports write, cut into parts.

The columns of events are those of the S3 destination, which file downloads use. Source: PostHog/posthog:products/
batch_exports/backend/temporal/destinations/{file_download,s3}_batch_export.py (2026).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from posthog_events.clickhouse.engine import compile_text
from posthog_events.limits import UNLIMITED_ROWS
from posthog_events.result import Query

if TYPE_CHECKING:
    from posthog_events.emulator.world import Project
    from posthog_events.result import Value

__all__ = ["FileFormat", "count_rows", "export_frame", "write_parts"]

_EXTENSIONS = {"gzip": ".gz", "brotli": ".br"}
_MODELS: Mapping[str, tuple[str, str]] = {
    "events": (
        "created_at",
        (
            "SELECT toString(uuid) AS uuid, timestamp, created_at AS _inserted_at, created_at, event, properties, "
            "distinct_id, elements_chain, person.properties AS person_properties, toString(person_id) AS person_id "
            "FROM events"
        ),
    ),
    "persons": (
        "p.created_at",
        (
            "SELECT ids.distinct_id AS distinct_id, toString(p.id) AS person_id, "
            "p.properties AS properties, 1 AS person_version, 1 AS person_distinct_id_version, "
            "p.created_at AS created_at, p.created_at AS _inserted_at, 0 AS is_deleted "
            "FROM persons AS p JOIN person_distinct_ids AS ids ON p.id = ids.person_id"
        ),
    ),
    "sessions": (
        "$end_timestamp",
        (
            "SELECT session_id, distinct_id, toString(person_id) AS person_id, $start_timestamp AS start_timestamp, "
            "$end_timestamp AS end_timestamp, $session_duration AS duration, $urls AS urls, "
            "$num_uniq_urls AS num_uniq_urls, $pageview_count AS pageview_count, "
            "$autocapture_count AS autocapture_count, $end_timestamp AS _inserted_at FROM sessions"
        ),
    ),
}
"""Model to its column of arrival, and its query."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How an export is written.

    Args:
        max_bytes: A part is not larger, roughly; None writes one part.
    """

    name: str
    compression: str | None
    max_bytes: int | None


def export_frame(
    project: Project,
    model: str,
    *,
    start: datetime,
    end: datetime,
    include: list[str],
    exclude: list[str],
    duplicate_share: float,
) -> pl.DataFrame:
    """Return the rows that arrived from `start` until before `end`, in no useful order.

    Args:
        duplicate_share: How many of the rows come twice, as rows do that ClickHouse has not merged yet.
    """
    arrived, select = _MODELS[model]
    conditions = [f"{arrived} >= {{start}}", f"{arrived} < {{end}}"]
    values: dict[str, Value] = {"start": start, "end": end}
    if model == "events" and include:
        conditions.append("event IN {include}")
        values["include"] = list(include)
    if model == "events" and exclude:
        conditions.append("event NOT IN {exclude}")
        values["exclude"] = list(exclude)
    frame = _run(project, Query(f"{select} WHERE {' AND '.join(conditions)}", values=values))
    if model == "persons":  # a name that HogQL reserves
        frame = frame.with_columns(pl.lit(project.id).alias("team_id"))
    if duplicate_share:
        twice = frame.sample(fraction=duplicate_share, seed=0)
        frame = pl.concat([frame, twice])
    frame = frame.sample(fraction=1.0, shuffle=True, seed=1)
    moments = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    return frame.with_columns(pl.col(moments).dt.convert_time_zone("UTC"))


def hogql_frame(project: Project, hogql: str) -> pl.DataFrame:
    """Return all rows of a query; exports have no row limit."""
    return _run(project, Query(hogql, name="<export>"))


def count_rows(project: Project, hogql: str) -> int:
    """Return how many rows a query has."""
    return hogql_frame(project, hogql).height


def _run(project: Project, query: Query) -> pl.DataFrame:
    engine = project.engine
    now = engine.clock() if engine.clock else None
    settings = replace(engine.settings, row_limits=UNLIMITED_ROWS, now=now)
    compiled = compile_text(query, catalog=engine.catalog(), settings=settings)
    return engine.client.query(compiled.sql, settings=compiled.settings)[1]


def write_parts(frame: pl.DataFrame, directory: Path, stem: str, form: FileFormat) -> list[Path]:
    """Write a frame as one file or several, and return them in order; an empty frame has no file."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, part in enumerate(_parts(frame, form.max_bytes)):
        suffix = ".parquet" if form.name == "Parquet" else ".jsonl" + _EXTENSIONS.get(form.compression or "", "")
        path = directory / f"{stem}-{number:04d}{suffix}"
        if form.name == "Parquet":
            part.write_parquet(path, compression=form.compression or "uncompressed")  # type: ignore[arg-type]
        else:
            path.write_bytes(_compressed(_json_lines(part), form.compression))
        paths.append(path)
    return paths


def _parts(frame: pl.DataFrame, max_bytes: int | None) -> Iterator[pl.DataFrame]:
    if frame.is_empty():
        return
    rows = frame.height
    if max_bytes is not None:
        rows = max(1, int(max_bytes / max(frame.estimated_size() / frame.height, 1)))
    for start in range(0, frame.height, rows):
        yield frame.slice(start, rows)


def _json_lines(frame: pl.DataFrame) -> bytes:
    """Return rows as JSON; documents become objects, as in PostHog's JSONLines."""
    documents = {"properties", "person_properties"} & set(frame.columns)
    lines = []
    for row in frame.iter_rows(named=True):
        for name in documents:
            row[name] = json.loads(row[name]) if row[name] else None
        lines.append(json.dumps(row, default=_plain, ensure_ascii=False))
    return "".join(line + "\n" for line in lines).encode()


def _plain(value: Any) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def _compressed(raw: bytes, compression: str | None) -> bytes:
    if compression == "gzip":
        return gzip.compress(raw, mtime=0)
    if compression == "brotli":
        import pyarrow  # type: ignore[import-untyped]

        return bytes(pyarrow.compress(raw, codec="brotli", asbytes=True))
    return raw
