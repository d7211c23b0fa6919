"""Parquet files of exports, scrubbed column by column; everything else in them stays."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

__all__ = ["scrub_parquet"]


def scrub_parquet(body: bytes, scrub: Callable[[str], Callable[[Any], Any]]) -> bytes | None:
    """Return the file with `scrub(column)(text)` for each text in it; None when it cannot be read.

    Lists and structs, which PostHog's exports of events and persons do not have, are left alone.
    """
    import polars as pl

    try:
        frame = pl.read_parquet(io.BytesIO(body))
    except (pl.exceptions.PolarsError, OSError):
        return None
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    columns = []
    for name in texts:
        replaced = scrub(name)
        columns.append(pl.Series(name, [None if text is None else replaced(text) for text in frame[name]], pl.String))
    new = frame.with_columns(columns)
    if new.equals(frame):
        return body
    out = io.BytesIO()
    new.write_parquet(out)
    return out.getvalue()
