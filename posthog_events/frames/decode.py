"""Arrow bytes as ClickHouse writes them, to frames with the dtypes that ClickHouse's own types mean.

Arrow output alone loses too much: DateTime comes as seconds without a zone, UUID and IPv6 as 16 bytes, Enum and IPv4 as
numbers, 128-bit integers as bytes. So the types come beside the bytes, and each column is decoded by its type, inside
lists, structs and maps too.
"""

from __future__ import annotations

import io
import socket
from collections import Counter
from collections.abc import Callable, Sequence

import polars as pl

from posthog_events.errors import EngineError
from posthog_events.frames.types import ColumnType, instance, parse_type, polars_dtype

__all__ = ["check_types", "frame_from_arrow"]


def check_types(types: Sequence[tuple[str, str]]) -> pl.Schema:
    """Return the schema that (column, ClickHouse type) pairs promise.

    Raises:
        UnknownColumnType: A type has no exact dtype.
        EngineError: Two columns have one name.
    """
    counts = Counter(name for name, _ in types)
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise EngineError(f"more than one column is named {repeated[0]!r}; give each its own name with AS")
    return pl.Schema({name: polars_dtype(parse_type(text, column=name), column=name) for name, text in types})


def frame_from_arrow(raw: bytes, types: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Decode an Arrow stream.

    Args:
        raw: The output of `FORMAT ArrowStream`; no bytes mean no rows.
        types: (column, ClickHouse type) pairs in column order.

    Returns:
        (n, len(types)) with the dtypes of the table in `frames.types`; an empty result keeps its schema.

    Raises:
        UnknownColumnType, EngineError: As `check_types`; EngineError also when bytes and types do not belong together.
    """
    schema = check_types(types)
    if not raw:
        return pl.DataFrame(schema=schema)
    try:
        frame = pl.read_ipc_stream(io.BytesIO(raw))
    except (pl.exceptions.PolarsError, OSError) as exc:
        if "utf8" in str(exc) or "utf-8" in str(exc):
            raise EngineError(
                "a text column holds bytes that are not UTF-8; wrap it in toValidUTF8() or hex() in the query"
            ) from exc
        raise EngineError(f"ClickHouse's Arrow output cannot be read: {exc}") from exc
    if frame.columns != schema.names():
        raise EngineError(f"ClickHouse returned the columns {frame.columns} where {schema.names()} were described")
    kinds = [parse_type(text) for _, text in types]
    return frame.select(
        _decode(pl.col(name), arrived, kind, schema[name]).alias(name)
        for (name, arrived), kind in zip(frame.schema.items(), kinds, strict=True)
    )


def _decode(expr: pl.Expr, arrived: pl.DataType, kind: ColumnType, dtype: pl.DataType) -> pl.Expr:
    """Return `expr` with the values and dtype of `kind`; `arrived` is what Arrow made of it."""
    if arrived == dtype:
        return expr
    if isinstance(dtype, pl.List) and isinstance(arrived, pl.List):
        # Nested(...) is an Array of Tuples, written as one type.
        item = kind.inner[0] if kind.family == "Array" else ColumnType("Tuple", kind.inner, kind.names)
        return expr.list.eval(_decode(pl.element(), instance(arrived.inner), item, instance(dtype.inner)))
    if isinstance(dtype, pl.Struct) and isinstance(arrived, pl.Struct):
        return _decode_struct(expr, arrived, kind, dtype)
    if isinstance(dtype, pl.Map) and isinstance(arrived, pl.Map):
        pairs = ColumnType("Tuple", kind.inner, ("key", "value"))
        before = pl.Struct({"key": arrived.key, "value": arrived.value})
        after = pl.Struct({"key": dtype.key, "value": dtype.value})
        entries = expr.cast(pl.List(before)).list.eval(_decode_struct(pl.element(), before, pairs, after))
        return entries.cast(dtype)
    if kind.family in _LEAVES and (arrived == pl.Binary or arrived.is_integer()):
        expr = _LEAVES[kind.family](expr, kind)
    return expr.cast(dtype)


def _decode_struct(expr: pl.Expr, arrived: pl.Struct, kind: ColumnType, dtype: pl.Struct) -> pl.Expr:
    fields = [
        _decode(expr.struct.field(was.name), instance(was.dtype), inner, instance(field.dtype)).alias(field.name)
        for was, inner, field in zip(arrived.fields, kind.inner, dtype.fields, strict=True)
    ]
    return pl.when(expr.is_not_null()).then(pl.struct(fields))


def _uuid(expr: pl.Expr, _: ColumnType) -> pl.Expr:
    digits = expr.bin.encode("hex")
    return pl.concat_str([digits.str.slice(*part) for part in _UUID_PARTS], separator="-")


def _ipv4(expr: pl.Expr, _: ColumnType) -> pl.Expr:
    return pl.concat_str([expr // 256**power % 256 for power in (3, 2, 1, 0)], separator=".")


def _ipv6(expr: pl.Expr, _: ColumnType) -> pl.Expr:
    def text(addresses: pl.Series) -> pl.Series:
        values = [None if raw is None else socket.inet_ntop(socket.AF_INET6, raw) for raw in addresses]
        return pl.Series(addresses.name, values, dtype=pl.String)

    return expr.map_batches(text, return_dtype=pl.String)


def _enum(expr: pl.Expr, kind: ColumnType) -> pl.Expr:
    return expr.replace_strict(kind.numbers, kind.names, return_dtype=pl.Enum(kind.names))


def _int128(expr: pl.Expr, kind: ColumnType) -> pl.Expr:
    return expr.bin.reinterpret(dtype=polars_dtype(kind), endianness="little")


def _times(factor: int) -> Callable[[pl.Expr, ColumnType], pl.Expr]:
    return lambda expr, _: expr.cast(pl.Int64) * factor


_UUID_PARTS = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))

_LEAVES: dict[str, Callable[[pl.Expr, ColumnType], pl.Expr]] = {
    "UUID": _uuid,
    "IPv4": _ipv4,
    "IPv6": _ipv6,
    "Enum8": _enum,
    "Enum16": _enum,
    "Int128": _int128,
    "UInt128": _int128,
    "DateTime": _times(1_000_000),
    # Arrow has durations up to seconds only; the longer ones come as a count.
    "IntervalMinute": _times(60_000_000),
    "IntervalHour": _times(3_600_000_000),
    "IntervalDay": _times(86_400_000_000),
    "IntervalWeek": _times(7 * 86_400_000_000),
}
"""Families whose values Arrow carries as bytes or plain integers, and what those mean."""
