"""Numbers and labels of a chart, the same in a terminal and in a file."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import time
from itertools import pairwise
from typing import TYPE_CHECKING

from posthog_events.frames.cells import cell_text

if TYPE_CHECKING:
    import polars as pl

__all__ = ["axis_texts", "finite_numbers", "funnel_shares", "is_rate", "left_out", "number_text", "value_texts"]

MISSING = "∅"

_RATE = re.compile(
    r"(^|_)(rate|share|ratio|percent|retention|adoption|conversion|stickiness|from_(start|previous))(_|$)"
)
_LONGEST = 15
"""Digits beyond which a number is written with an exponent: a float holds no more."""


def finite_numbers(column: pl.Series) -> list[float | None]:
    """Return the values as floats; what is missing or not finite has no place in a chart and is None."""
    import polars as pl

    values = column.cast(pl.Float64)
    return [value if value is not None and math.isfinite(value) else None for value in values.to_list()]


def is_rate(column: pl.Series) -> bool:
    """Whether the values are shares of 1 by name and by value; those read better as percentages."""
    if not column.dtype.is_float() or not _RATE.search(column.name):
        return False
    values = [value for value in finite_numbers(column) if value is not None]
    return bool(values) and min(values) >= 0 and max(values) <= 1


def value_texts(column: pl.Series, *, decimals: int = 1) -> list[str]:
    """Return every value as it is written beside its mark; `decimals` are those of a percentage."""
    import polars as pl

    rate = is_rate(column)
    values = column.to_list() if column.dtype.is_integer() else column.cast(pl.Float64).to_list()
    return [number_text(value, rate=rate, decimals=decimals) for value in values]


def number_text(value: float | None, *, rate: bool = False, decimals: int = 1) -> str:
    """Return a number with thousands separators, or as a percentage.

    >>> number_text(1234567), number_text(0.4567, rate=True), number_text(2.5), number_text(1e300)
    ('1,234,567', '45.7%', '2.5', '1e+300')
    """
    if value is None:
        return MISSING
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if rate:
        return f"{_trimmed(f'{value * 100:.{decimals}f}')}%"
    if abs(value) >= 10**_LONGEST:
        return f"{value:.4g}"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.3g}" if abs(value) < 1 else _trimmed(f"{value:,.2f}")


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def axis_texts(column: pl.Series) -> list[str]:
    """Return the values as axis labels; times are as short as tells all of them exactly."""
    import polars as pl

    if isinstance(column.dtype, pl.Datetime):
        clock = column.drop_nulls().dt.time()
        if (clock == time()).all():
            form = "%Y-%m-%d"
        elif ((column.drop_nulls().dt.second() == 0) & (clock.dt.nanosecond() == 0)).all():
            form = "%Y-%m-%d %H:%M"
        else:
            form = "%Y-%m-%d %H:%M:%S%.f"
        return [MISSING if text is None else text for text in column.dt.strftime(form)]
    return [MISSING if value is None else cell_text(value) for value in column.to_list()]


def funnel_shares(values: Sequence[float | None]) -> list[str]:
    """Return, for each step, its share of the first step and of the step before; empty where there is none."""
    shares = [""]
    first = values[0]
    for before, value in pairwise(values):
        parts = []
        if value is not None and first:
            parts.append(f"{number_text(value / first, rate=True)} of all")
        if value is not None and before:
            parts.append(f"{number_text(value / before, rate=True)} of the step before")
        shares.append(", ".join(parts))
    return shares


def left_out(total: int, shown: int, what: str) -> str:
    """Return the sentence about what is not drawn; empty when everything is."""
    return f"+{total - shown:,} more {what}, of {total:,}" if shown < total else ""
