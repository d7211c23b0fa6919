"""What a file is: its format, the shape of its rows, and which column holds what. Guesses are kept as sentences."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from posthog_events.clickhouse.store.files import field_limit, open_binary
from posthog_events.clickhouse.store.report import ColumnMapping
from posthog_events.errors import ImportFailed

__all__ = ["MAX_COLUMNS", "Format", "Plan", "Sample", "plan_import", "read_sample"]

MAX_COLUMNS = 2_000
"""Columns of a CSV or Parquet file. PostHog's own exports have 20; 2,000 still import in bounded memory."""

SAMPLE_BYTES = 1 << 20
SAMPLE_ROWS = 500

# Most telling first: the first name that is there is taken. Compared without case, `_`, `-` and spaces.
_GUESSES: Mapping[str, tuple[str, ...]] = {
    "event": ("event", "eventname", "eventtype", "action", "activity", "name", "type"),
    "time": (
        "timestamp", "eventtime", "eventtimestamp", "time", "datetime", "date", "eventdate", "ts", "occurredat",
        "createdat", "created", "day",
    ),
    "user": (
        "distinctid", "userid", "customerid", "user", "customer", "anonymousid", "visitorid", "clientid", "memberid",
        "accountid", "personid", "email", "useremail",
    ),
    "uuid": ("uuid", "eventuuid"),
}  # fmt: skip

# Columns of PostHog's exports that have a place of their own in the store.
SYSTEM_COLUMNS = (
    "uuid", "event", "timestamp", "distinct_id", "properties", "person_properties", "person_id", "person_created_at",
    "created_at", "elements_chain", "$session_id", "$window_id", "$group_0", "$group_1", "$group_2", "$group_3",
    "$group_4",
)  # fmt: skip
_MERGED = ("$set", "$set_once", "set", "set_once")


class Format(StrEnum):
    """How the bytes of a file are read."""

    CSV = "CSV"
    JSON_LINES = "JSON Lines"
    JSON_DOCUMENT = "JSON"
    PARQUET = "Parquet"


@dataclass(frozen=True, slots=True)
class Sample:
    """The beginning of a file.

    Args:
        columns: Column names, or the keys of the first rows.
        rows: The first JSON rows.
        envelope: For JSON: the key that holds the list of events (`results`, `batch`), or empty.
    """

    path: Path
    format: Format
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...] = ()
    envelope: str = ""
    delimiter: str = ","


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows of one file become events.

    Args:
        shape: For people: what the file was taken for.
        roles: `event`, `timestamp`, `distinct_id`, `uuid` and the other system columns, to the file's column.
        event_name: The name of every event, when no column holds it.
        nested: Whether a `properties` column holds the properties; otherwise all other columns become properties.
        timezone: Zone of times without an offset.
    """

    sample: Sample
    shape: str
    roles: Mapping[str, str]
    event_name: str | None
    nested: bool
    timezone: str
    assumptions: tuple[str, ...] = field(default=())

    @property
    def property_columns(self) -> tuple[str, ...]:
        """The columns that become properties."""
        used = set(self.roles.values())
        return () if self.nested else tuple(name for name in self.sample.columns if name not in used)


def read_sample(path: Path) -> Sample:
    """Look at the beginning of a file.

    Raises:
        ImportFailed: It cannot be read, is empty, or has too many columns.
    """
    try:
        with open_binary(path) as (stream, _):
            head = stream.read(SAMPLE_BYTES)
    except OSError as exc:
        raise ImportFailed(f"{path} cannot be read: {exc.strerror or exc}") from exc
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise ImportFailed(f"{path} is empty; there is nothing to import")
    if head.startswith(b"PAR1"):
        sample = _sample_parquet(path)
    else:
        for mark in (b"\xff\xfe", b"\xfe\xff"):
            if head.startswith(mark):
                raise ImportFailed(f"{path} is UTF-16; save it as UTF-8 and import it again")
        text = head.decode("utf-8-sig", "replace")
        sample = _sample_json(path, text) if text.lstrip()[:1] in ("{", "[") else _sample_csv(path, text)
    if len(sample.columns) > MAX_COLUMNS and sample.format in (Format.CSV, Format.PARQUET):
        raise ImportFailed(
            f"{path} has {len(sample.columns):,} columns, and at most {MAX_COLUMNS:,} can be imported; "
            "keep the columns you need, or convert it to JSON Lines"
        )
    return sample


def _sample_parquet(path: Path) -> Sample:
    import polars as pl

    try:
        schema = pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError) as exc:
        raise ImportFailed(f"{path} is not a readable Parquet file: {str(exc).splitlines()[0]}") from exc
    return Sample(path, Format.PARQUET, tuple(schema))


def _sample_csv(path: Path, text: str) -> Sample:
    try:
        with field_limit():
            delimiter = _delimiter(text)
            header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error as exc:
        raise ImportFailed(f"{path}:1: the header cannot be read as CSV: {exc}") from exc
    names = [name.strip() or f"column_{index}" for index, name in enumerate(header, 1)]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ImportFailed(f"{path}:1: the column {repeated[0]!r} appears twice; rename one of them")
    return Sample(path, Format.CSV, tuple(names), delimiter=delimiter)


def _delimiter(text: str) -> str:
    """Return the delimiter that splits the first lines into the same, largest number of fields."""
    lines = text.split("\n")[:20]
    lines = lines[:-1] if len(lines) == 20 else lines

    def score(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        wide = widths[0] if widths else 1
        return (sum(width == wide for width in widths) if wide > 1 else 0, wide)

    return max((",", ";", "\t", "|"), key=score)


def _sample_json(path: Path, text: str) -> Sample:
    lines = text.lstrip().split("\n")
    opening = lines[0].strip()
    # One object a line, unless the first line cannot be a whole object. A single line that is longer than the sample
    # is a page of events.
    if opening.startswith("[") or opening.endswith(("{", "[", ",", ":")) or (len(lines) == 1 and not _parse(opening)):
        return _sample_document(path)
    parsed = [row for row in map(_parse, lines[:SAMPLE_ROWS]) if isinstance(row, dict)]
    envelope = next((key for key in ("results", "batch") if parsed and isinstance(parsed[0].get(key), list)), "")
    rows = [item for row in parsed for item in row.get(envelope, [])] if envelope else parsed
    return _json_sample(path, Format.JSON_LINES, rows, envelope)


def _json_sample(path: Path, kind: Format, rows: Sequence[object], envelope: str = "") -> Sample:
    objects = tuple(row for row in rows[:SAMPLE_ROWS] if isinstance(row, dict))
    if not objects:
        raise ImportFailed(f"{path} holds no events: there is no JSON object in its first {SAMPLE_ROWS} rows")
    return Sample(path, kind, tuple(dict.fromkeys(key for row in objects for key in row)), objects, envelope)


def _sample_document(path: Path) -> Sample:
    from posthog_events.clickhouse.store.readers import document_rows

    rows = [json.loads(raw) for _, raw in itertools.islice(document_rows(path), SAMPLE_ROWS)]
    return _json_sample(path, Format.JSON_DOCUMENT, rows)


def _parse(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def plan_import(sample: Sample, mapping: ColumnMapping, timezone: str) -> Plan:
    """Decide how a file's rows become events.

    Raises:
        ImportFailed: A named column is not there, or one that is needed cannot be told.
    """
    columns = sample.columns
    nested = "properties" in columns and (
        sample.format in (Format.CSV, Format.PARQUET)
        or any(isinstance(row.get("properties"), dict | str) for row in sample.rows)
    )
    notes: list[str] = []
    roles: dict[str, str] = {}
    if nested:
        roles = {name: name for name in SYSTEM_COLUMNS if name in columns}
        # Batch exports call them `set` and `set_once`.
        roles |= {f"${name.removeprefix('$')}": name for name in _MERGED if name in columns}
        if "uuid" not in roles and "id" in columns:
            roles["uuid"] = "id"
        ignored = [name for name in columns if name not in roles.values() and name not in _named(mapping)]
        if ignored:
            notes.append(f"not imported: {', '.join(ignored)} (properties are read from the column properties)")
    event_name = _event(sample, mapping, roles, notes)
    for role, key, wanted in (("timestamp", "time", mapping.time), ("distinct_id", "user", mapping.user)):
        _assign(sample, roles, role, key, wanted, notes)
    if mapping.uuid is not None:
        roles["uuid"] = _require(sample, mapping.uuid, "uuid")
    elif "uuid" not in roles and (found := _guess(columns, "uuid", set(roles.values()))):
        roles["uuid"] = found
    if "uuid" not in roles:
        notes.append("identity: from the content of each row, since no column holds a uuid")
    zone = mapping.timezone or timezone
    notes.append(f"times without an offset are read in {zone}")
    return Plan(sample, _shape(sample, nested), roles, event_name, nested, zone, tuple(notes))


def _named(mapping: ColumnMapping) -> set[str]:
    return {name for name in (mapping.event, mapping.time, mapping.user, mapping.uuid) if name}


def _event(sample: Sample, mapping: ColumnMapping, roles: dict[str, str], notes: list[str]) -> str | None:
    if mapping.event is not None:
        if mapping.event in sample.columns:
            roles["event"] = mapping.event
            return None
        roles.pop("event", None)
        notes.append(f"every event is named {mapping.event!r}, since no column has that name")
        return mapping.event
    if "event" not in roles:
        found = _guess(sample.columns, "event", set(roles.values()))
        if found is None:
            raise ImportFailed(
                f"{sample.path}: no column looks like the event's name; name one, or give all events one name, "
                f"with --event. {_columns(sample)}"
            )
        roles["event"] = found
        notes.append(f"event name: column {found!r}")
    return None


def _assign(
    sample: Sample, roles: dict[str, str], role: str, option: str, wanted: str | None, notes: list[str]
) -> None:
    if wanted is not None:
        roles[role] = _require(sample, wanted, option)
    elif role not in roles:
        found = _guess(sample.columns, option, set(roles.values()))
        if found is None:
            if option == "user" and any(_in_properties(row) for row in sample.rows):
                return
            raise ImportFailed(
                f"{sample.path}: no column looks like the event's {option}; name it with --{option}. {_columns(sample)}"
            )
        roles[role] = found
        notes.append(f"{option}: column {found!r}")


def _in_properties(row: Mapping[str, Any]) -> bool:
    """Whether the distinct id sits in the properties, as capture allows."""
    return isinstance(row.get("properties"), dict) and "distinct_id" in row["properties"]


def _require(sample: Sample, name: str, option: str) -> str:
    if name not in sample.columns:
        raise ImportFailed(f"{sample.path}: there is no column {name!r} for --{option}. {_columns(sample)}")
    return name


def _guess(columns: Sequence[str], option: str, taken: set[str]) -> str | None:
    plain = {_plain(name): name for name in reversed(columns) if name not in taken}
    return next((plain[name] for name in _GUESSES[option] if name in plain), None)


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "").removeprefix("$")


def _columns(sample: Sample) -> str:
    shown = ", ".join(sample.columns[:20])
    more = f" and {len(sample.columns) - 20:,} more" if len(sample.columns) > 20 else ""
    return f"Columns: {shown}{more}."


def _shape(sample: Sample, nested: bool) -> str:
    columns = set(sample.columns)
    if sample.envelope == "batch":
        kind = "capture batches"
    elif nested and "id" in columns and "uuid" not in columns:
        kind = "PostHog /events/ pages"
    elif nested and columns & {"_inserted_at", "elements_chain", "person_properties", "team_id", "set"}:
        kind = "PostHog batch export"
    elif nested:
        kind = "events with properties"
    else:
        kind = "flat rows"
    return f"{sample.format}, {kind}"
