"""Write a frame in one of the output formats.

=======  ==========================================================================================================
table    for a terminal: fits its width, shows the first rows, says how many there are
csv      header, RFC 4180 quoting; NULL is an empty field, an empty text is `""`; nested values are JSON
json     an array of objects
jsonl    one object a line
parquet  every dtype as it is
md, html every row, escaped
=======  ==========================================================================================================

In csv, json and jsonl a datetime is ISO 8601 with its offset, a duration too (`PT3S`), a Decimal text, and bytes are
hexadecimal digits. JSON has no NaN and no infinity: they become null there (csv keeps them).
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, get_args

from posthog_events.errors import ConfigError
from posthog_events.frames.display import wants_color

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import PolarsDataType

__all__ = ["ENDINGS", "FORMATS", "Format", "format_of", "frame_bytes", "write_file", "write_frame"]

Format = Literal["table", "csv", "json", "jsonl", "parquet", "md", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)
ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".md": "md",
    ".html": "html",
    ".txt": "table",
}


def format_of(path: Path) -> Format:
    """Return the format that a file's name asks for.

    Raises:
        ConfigError: The ending is not one of `ENDINGS`.
    """
    if (chosen := ENDINGS.get(path.suffix.lower())) is None:
        raise ConfigError(f"{path}: no format is known for this ending; use {', '.join(ENDINGS)} or give --format")
    return chosen


def write_frame(frame: pl.DataFrame, fmt: Format, target: Path | BinaryIO, *, rows: int | None = None) -> None:
    """Write `frame` to a file, whole or not at all, or to a binary stream such as `sys.stdout.buffer`.

    Args:
        rows: How many rows a table shows; None: 20 on a stream, all in a file. Other formats hold every row.

    Raises:
        ConfigError: Parquet was asked for on a terminal.
    """
    if isinstance(target, Path):
        write_file(frame_bytes(frame, fmt, rows=frame.height if rows is None else rows, width=_FILE_WIDTH), target)
        return
    terminal = target.isatty()
    if terminal and fmt == "parquet":
        raise ConfigError("parquet is not text and a terminal cannot show it; write it with --output FILE or a pipe")
    width = shutil.get_terminal_size().columns if terminal else _FILE_WIDTH
    color = wants_color(target)
    target.write(frame_bytes(frame, fmt, rows=rows, width=width, color=color))
    target.flush()


_FILE_WIDTH = 200
"""Columns of a table that goes to no terminal."""


def frame_bytes(
    frame: pl.DataFrame, fmt: Format, *, rows: int | None = None, width: int = 80, color: bool = False
) -> bytes:
    """Return `frame` in a format; `rows`, `width` and `color` are for tables."""
    from posthog_events.frames.markup import html_document, markdown_table
    from posthog_events.frames.table import DEFAULT_ROWS, render_table

    out = io.BytesIO()
    match fmt:
        case "table":
            shown = DEFAULT_ROWS if rows is None else rows
            return render_table(frame, rows=shown, width=width, color=color).encode()
        case "csv":
            _flat(frame).write_csv(out)
        case "json":
            _ready_for_json(frame).write_json(out)
            out.write(b"\n")
        case "jsonl":
            _ready_for_json(frame).write_ndjson(out)
        case "parquet":
            frame.write_parquet(out)
        case "md":
            return markdown_table(frame).encode()
        case "html":
            return html_document(frame).encode()
    return out.getvalue()


def write_file(data: bytes, path: Path) -> None:
    """Replace `path` in one step, so that a reader or a crash never sees half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        # mkstemp gives 0600; a result is an ordinary file.
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def _ready_for_json(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame without dtypes that polars cannot write as JSON, or writes otherwise than CSV."""
    import polars as pl

    return frame.select(
        (pl.col(name).dt.to_string("iso") if dtype == pl.Duration else _hex(pl.col(name), dtype)).alias(name)
        for name, dtype in frame.schema.items()
    )


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with columns that one CSV field can hold."""
    import polars as pl

    ready = _ready_for_json(frame)
    flat = []
    for name, dtype in ready.schema.items():
        column = pl.col(name)
        if dtype.is_nested():
            # Encoded as the only field of an object, whose wrapping is then cut off.
            wrapped = pl.struct(column.alias("v")).struct.json_encode()
            column = pl.when(column.is_not_null()).then(wrapped.str.slice(5, wrapped.str.len_chars() - 6))
        elif isinstance(dtype, pl.Datetime):
            column = column.dt.strftime("%Y-%m-%dT%H:%M:%S%.f" + ("%:z" if dtype.time_zone else ""))
        flat.append(column.alias(name))
    return ready.select(flat)


def _hex(expr: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return `expr` with bytes, at any depth, as hexadecimal text."""
    import polars as pl

    from posthog_events.frames.types import instance

    if dtype == _hex_dtype(dtype):
        return expr
    if isinstance(dtype, pl.Binary):
        return expr.bin.encode("hex")
    if isinstance(dtype, pl.List):
        return expr.list.eval(_hex(pl.element(), instance(dtype.inner)))
    if isinstance(dtype, pl.Struct):
        fields = [
            _hex(expr.struct.field(field.name), instance(field.dtype)).alias(field.name) for field in dtype.fields
        ]
        return pl.when(expr.is_not_null()).then(pl.struct(fields))
    if isinstance(dtype, pl.Map):
        pairs = pl.Struct({"key": dtype.key, "value": dtype.value})
        return expr.cast(pl.List(pairs)).list.eval(_hex(pl.element(), pairs)).cast(_hex_dtype(dtype))
    return expr


def _hex_dtype(dtype: PolarsDataType) -> pl.DataType:
    """Return the dtype that `_hex` makes of a dtype."""
    import polars as pl

    from posthog_events.frames.types import instance

    match dtype:
        case pl.List():
            return pl.List(_hex_dtype(dtype.inner))
        case pl.Struct():
            return pl.Struct({field.name: _hex_dtype(field.dtype) for field in dtype.fields})
        case pl.Map():
            return pl.Map(_hex_dtype(dtype.key), _hex_dtype(dtype.value))
    return pl.String() if dtype == pl.Binary else instance(dtype)
