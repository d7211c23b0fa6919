"""Files as a series of bounded parts that ClickHouse can read, with the line each part begins on."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec

from posthog_events.clickhouse.store.detect import Format, Sample
from posthog_events.clickhouse.store.files import field_limit, open_binary
from posthog_events.errors import ImportFailed

__all__ = ["CHUNK_BYTES", "LINE", "Part", "Reject", "document_rows", "read_parts"]

CHUNK_BYTES = 96 << 20
"""Text of one part. Large enough for full row groups of ordinary events, small enough for two in memory."""

CHUNK_ROWS = 98_304
MAX_DOCUMENT = 1 << 30
LINE = "__line"
"""The column of a tabular part that holds the line of each row."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is no event."""

    path: Path
    line: int
    reason: str
    content: str


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file, written where ClickHouse can read it.

    Args:
        path: JSON texts one a line, or Parquet with a column `__line`.
        first_line: For JSON: the line of the first row.
        done: Bytes of the original file consumed so far.
        rejects: Rows that are not even rows, with their lines.
    """

    path: Path
    first_line: int
    done: int
    rejects: tuple[Reject, ...] = field(default=())


def read_parts(sample: Sample, directory: Path, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Part]:
    """Yield the parts of a file. The caller removes each when it has read it."""
    if sample.format is Format.JSON_LINES:
        return _json_lines(sample.path, directory, chunk_bytes)
    if sample.format is Format.JSON_DOCUMENT:
        return _documents(sample.path, directory, chunk_bytes)
    if sample.format is Format.CSV:
        return _csv(sample, directory, chunk_bytes)
    return _parquet(sample, directory, chunk_bytes)


def _names(directory: Path, suffix: str) -> Iterator[Path]:
    number = 0
    while True:
        yield directory / f"part-{number}.{suffix}"
        number += 1


def _json_lines(path: Path, directory: Path, chunk_bytes: int) -> Iterator[Part]:
    line = 1
    with open_binary(path) as (stream, position):
        for target in _names(directory, "jsonl"):
            block = stream.read(chunk_bytes)
            if not block:
                return
            if not block.endswith(b"\n"):
                block += stream.readline()
            if line == 1:
                block = block.removeprefix(b"\xef\xbb\xbf")
            target.write_bytes(block)
            yield Part(target, line, position())
            line += block.count(b"\n")


def document_rows(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (position in the list, compact JSON) of the events in a JSON document.

    Raises:
        ImportFailed: It is not JSON, or too large to be read whole.
    """
    with open_binary(path) as (stream, _):
        data = stream.read(MAX_DOCUMENT + 1)
    if len(data) > MAX_DOCUMENT:
        raise ImportFailed(f"{path} is one JSON document of more than 1 GiB; convert it to JSON Lines (jq -c '.[]')")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        document = msgspec.json.decode(data, type=list[msgspec.Raw] | dict[str, msgspec.Raw])
        if isinstance(document, dict):
            listed = next((document[key] for key in ("results", "batch") if key in document), None)
            items = [msgspec.Raw(data)] if listed is None else msgspec.json.decode(listed, type=list[msgspec.Raw])
        else:
            items = document
    except msgspec.DecodeError as exc:
        raise ImportFailed(f"{path} is not valid JSON: {_located(data, exc)}") from exc
    for number, item in enumerate(items, 1):
        yield number, msgspec.json.format(bytes(item), indent=-1)


def _located(data: bytes, exc: Exception) -> str:
    """Return the parser's own words with the line they are about."""
    try:
        json.loads(data)
    except ValueError as error:
        return str(error)
    return str(exc)


def _documents(path: Path, directory: Path, chunk_bytes: int) -> Iterator[Part]:
    names = _names(directory, "jsonl")
    size = path.stat().st_size
    block: list[bytes] = []
    length, first = 0, 1
    for number, row in document_rows(path):
        block.append(row)
        length += len(row)
        if length >= chunk_bytes:
            yield Part(_write_lines(next(names), block), first, size)
            block, length, first = [], 0, number + 1
    if block:
        yield Part(_write_lines(next(names), block), first, size)


def _write_lines(target: Path, rows: list[bytes]) -> Path:
    target.write_bytes(b"\n".join(rows) + b"\n")
    return target


def _csv(sample: Sample, directory: Path, chunk_bytes: int) -> Iterator[Part]:
    width = len(sample.columns)
    names = _names(directory, "parquet")
    with open_binary(sample.path) as (stream, position), _text(stream) as text, field_limit():
        # A field that cannot end makes the reader swallow lines: strict mode and the limit turn it into one reject.
        reader = csv.reader(text, delimiter=sample.delimiter, strict=True)
        next(reader)
        rows: list[list[str]] = []
        lines: list[int] = []
        rejects: list[Reject] = []
        size = 0
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error as exc:
                rejects.append(Reject(sample.path, line, f"malformed CSV: {exc}", ""))
                continue
            if not row:
                continue  # a blank line is no row
            if fault := _row_fault(row, width):
                rejects.append(Reject(sample.path, line, fault, _printable(sample.delimiter.join(row))))
                continue
            rows.append(row)
            lines.append(line)
            size += sum(map(len, row)) + width
            if size >= chunk_bytes or len(rows) >= CHUNK_ROWS:
                yield _tabular(sample, next(names), rows, lines, position(), rejects)
                rows, lines, rejects, size = [], [], [], 0
        if rows or rejects:
            yield _tabular(sample, next(names), rows, lines, position(), rejects)


def _row_fault(row: list[str], width: int) -> str:
    if len(row) != width:
        return f"{len(row)} {'field' if len(row) == 1 else 'fields'} where the header has {width}"
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        return "not UTF-8 text"
    return ""


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@contextmanager
def _text(stream: IO[bytes]) -> Iterator[io.TextIOWrapper]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield text
    finally:
        with suppress(ValueError):  # closed already, with the file below it
            text.detach()


def _tabular(
    sample: Sample, target: Path, rows: list[list[str]], lines: list[int], done: int, rejects: list[Reject]
) -> Part:
    import polars as pl

    cells: list[list[str]] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in sample.columns]
    columns = [pl.Series(name, column, dtype=pl.String) for name, column in zip(sample.columns, cells, strict=True)]
    pl.DataFrame([*columns, pl.Series(LINE, lines, dtype=pl.UInt64)]).write_parquet(target, compression="lz4")
    return Part(target, 0, done, tuple(rejects))


def _parquet(sample: Sample, directory: Path, chunk_bytes: int) -> Iterator[Part]:
    """Yield a small file as it is, a large one in slices."""
    import polars as pl

    try:
        rows = pl.scan_parquet(sample.path).select(pl.len()).collect().item()
        size = sample.path.stat().st_size
        # Event data takes about a sixth of its size in Parquet.
        step = min(CHUNK_ROWS, max(1, chunk_bytes * rows // max(1, size * 6)))
        if rows <= step:
            yield Part(sample.path.resolve(), 1, size)
            return
        for start, target in zip(range(0, rows, step), _names(directory, "parquet"), strict=False):
            pl.scan_parquet(sample.path).slice(start, step).sink_parquet(target, compression="lz4")
            yield Part(target, start + 1, size * min(rows, start + step) // rows)
    except pl.exceptions.PolarsError as exc:
        raise ImportFailed(f"{sample.path} is not a readable Parquet file: {str(exc).splitlines()[0]}") from exc
