"""Rows as PostHog's query API writes them in JSON, to frames with the dtypes that ClickHouse's types mean.

The types come beside the rows, so nothing is inferred: each row is read as a tuple of exactly the declared columns, and
text where a number is declared, a null where none can be, or a row of another width is an error, not a guess.

Source: PostHog/posthog:posthog/renderers.py and posthog/json_encoders.py (reference 2.8). What JSON loses stays lost:
NaN and infinities arrive as null, and a FixedString may be text or hexadecimal digits.

Rows become columns a thousand at a time, so that only those are ever Python objects, and the frame keeps bytes alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import polars as pl

from posthog_events.errors import BadAnswer
from posthog_events.frames.decode import check_types
from posthog_events.frames.types import ColumnType, parse_type
from posthog_events.frames.wire_values import built_dtype, reader, wire_type

__all__ = ["frame_from_json_rows"]

PIECE_ROWS: Final = 1_000
"""Rows decoded at once. Fewer cost time (polars starts every column anew), more cost memory."""

_INSTANTS = ("%Y-%m-%dT%H:%M:%S.%6fZ", "%Y-%m-%dT%H:%M:%S%.f%#z")
"""How most columns of instants are written; the first, of fixed length, is twice as fast to read."""

_UNREADABLE = (TypeError, ValueError, ArithmeticError, pl.exceptions.PolarsError)


def frame_from_json_rows(
    rows: bytes | memoryview | msgspec.Raw | list[msgspec.Raw],
    types: Sequence[tuple[str, str]],
    *,
    piece_rows: int = PIECE_ROWS,
) -> pl.DataFrame:
    """Decode the `results` of an answer of `/query/`.

    Args:
        rows: A JSON array of arrays, one per row; or the arrays, which saves a walk over them when the envelope is
            decoded with `results: list[msgspec.Raw]`.
        types: (column, ClickHouse type) pairs in column order.
        piece_rows: How many rows are decoded at once; no value changes the frame.

    Returns:
        (n, len(types)) with the dtypes of the table in `frames.types`; no rows keep the schema.

    Raises:
        BadAnswer: The rows are not JSON, or one does not fit the types; names the row, counted from 1, and the column.
        UnknownColumnType: A type has no exact dtype, or cannot be written in JSON.
        EngineError: Two columns have one name.
    """
    schema = check_types(types)
    columns = [_Column.of(name, text, schema[name]) for name, text in types]
    if not isinstance(rows, list):
        try:
            rows = msgspec.json.decode(rows, type=list[msgspec.Raw])
        except msgspec.DecodeError as exc:
            raise BadAnswer(f"the rows in PostHog's answer are not a JSON array ({exc})") from exc
    if not rows:
        return pl.DataFrame(schema=schema)
    decoder = msgspec.json.Decoder(tuple[tuple(column.wire for column in columns)])  # type: ignore[misc]  # built here
    pieces = (_piece(rows[at : at + piece_rows], at, columns, decoder) for at in range(0, len(rows), piece_rows))
    return pl.concat(pieces, rechunk=False)


@dataclass(frozen=True, slots=True)
class _Column:
    """How one column is read.

    Args:
        text: The ClickHouse type as declared, for messages.
        wire: What msgspec takes it for in JSON.
        read: What remains to be done with each value that is not null; None: nothing.
        built: The dtype in which polars gets the values; a cast gives `dtype`.
    """

    name: str
    text: str
    kind: ColumnType
    dtype: pl.DataType
    wire: Any
    read: Callable[[Any], Any] | None
    built: pl.DataType

    @classmethod
    def of(cls, name: str, text: str, dtype: pl.DataType) -> _Column:
        kind = parse_type(text, column=name)
        return cls(name, text, kind, dtype, wire_type(kind, column=name), reader(kind), built_dtype(dtype))

    def series(self, values: Sequence[Any]) -> pl.Series:
        if self.kind.family in ("DateTime", "DateTime64") and (instants := self._instants(values)) is not None:
            return instants
        if self.read is not None:
            values = [None if value is None else self.read(value) for value in values]
        return pl.Series(self.name, values, dtype=self.built).cast(self.dtype)

    def _instants(self, values: Sequence[Any]) -> pl.Series | None:
        """Return instants that are all written with Z or an offset; None when the values must be read one by one."""
        assert isinstance(self.dtype, pl.Datetime)
        texts = pl.Series(self.name, values, dtype=pl.String)
        for form in _INSTANTS:
            found = texts.str.to_datetime(form, time_unit=self.dtype.time_unit, time_zone="UTC", strict=False)
            if found.null_count() == texts.null_count():
                return found.cast(self.dtype)
        return None

    def fail(self, row: int, reason: object) -> BadAnswer:
        return BadAnswer(
            f"column {self.name!r}, row {row:,}: PostHog's answer does not fit the type {self.text} ({reason})"
        )


def _piece(
    raws: list[msgspec.Raw], first: int, columns: list[_Column], decoder: msgspec.json.Decoder[Any]
) -> pl.DataFrame:
    """Return some rows as a frame; `first` rows came before them."""
    decode = decoder.decode
    try:
        rows = [decode(raw) for raw in raws]
    except (msgspec.DecodeError, UnicodeDecodeError):
        for row, raw in enumerate(raws, first + 1):
            try:
                decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError) as exc:
                raise _misfit(exc, row, columns) from exc
        raise
    by_column = zip(columns, zip(*rows, strict=True), strict=True)
    return pl.DataFrame([_checked(column, values, first) for column, values in by_column])


def _checked(column: _Column, values: Sequence[Any], first: int) -> pl.Series:
    try:
        return column.series(values)
    except _UNREADABLE:
        for row, value in enumerate(values, first + 1):
            try:
                column.series([value])
            except _UNREADABLE as exc:
                # what polars and Python say may quote the value, which is a user's data
                raise column.fail(row, "the value is out of range or malformed") from exc
        raise


_PATH = re.compile(r"(?P<reason>.*) - at `\$\[(?P<column>\d+)\].*`", re.DOTALL)


def _misfit(error: Exception, row: int, columns: list[_Column]) -> BadAnswer:
    """Return msgspec's complaint about a row in terms of its columns."""
    if found := _PATH.fullmatch(str(error)):
        return columns[int(found["column"])].fail(row, found["reason"])
    if isinstance(error, msgspec.ValidationError):
        return BadAnswer(f"row {row:,} of PostHog's answer does not have {len(columns)} columns ({error})")
    return BadAnswer(f"row {row:,} of PostHog's answer is not JSON ({error})")
