"""What the columns of a table hold, so that their cells become JSON of the right type.

A CSV column is `number`, `boolean` or `text`. It is a number only if *every* filled cell is one as JSON writes it: no
leading zeros (ids and postcodes stay text), no exponent, no more digits than a float keeps; decimals either without
trailing zeros or all with the same number of them (prices such as `12.00`, but not versions such as `1.9`, `1.10`). It
is boolean if every filled cell is `true` or `false`, in one letter case.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

__all__ = ["csv_cells", "parquet_cells"]

_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
_LOSSLESS_DIGITS = 15
"""Decimal digits that a 64-bit float always keeps."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the cells of one column were so far."""

    filled: bool = False
    numbers: bool = True
    trailing_zero: bool = False
    fewest_decimals: int = 1 << 30
    most_decimals: int = 0
    booleans: frozenset[str] | None = frozenset()

    @property
    def kind(self) -> str:
        if not self.filled:
            return "text"
        if self.booleans is not None:
            return "boolean"
        same = self.fewest_decimals == self.most_decimals
        return "number" if self.numbers and (same or not self.trailing_zero) else "text"


_BOOLEANS = tuple(frozenset(pair) for pair in (("true", "false"), ("True", "False"), ("TRUE", "FALSE")))


def csv_cells(parts: Iterable[Path], columns: Iterable[str]) -> dict[str, str]:
    """Return the kind of each column over all parts of a file."""
    import polars as pl

    seen = {name: _Seen() for name in columns}
    for part in parts:
        frame = pl.scan_parquet(part)
        for name, state in seen.items():
            if state.numbers or state.booleans is not None:
                seen[name] = _look(frame.select(name).collect().to_series(), state)
    return {name: state.kind for name, state in seen.items()}


def _look(cells: pl.Series, state: _Seen) -> _Seen:
    import polars as pl

    cells = cells.filter(cells != "")
    if cells.is_empty():
        return state
    booleans = state.booleans
    if booleans is not None:
        values = frozenset(cells.unique().head(3).to_list()) | booleans
        booleans = values if any(values <= pair for pair in _BOOLEANS) else None
    state = replace(state, filled=True, booleans=booleans)
    if not state.numbers or not cells.str.contains(_NUMBER).all():
        return replace(state, numbers=False)
    digits = cells.str.count_matches("[0-9]")
    decimals = cells.str.extract(r"\.([0-9]+)$", 1).str.len_bytes().fill_null(0)
    facts = pl.DataFrame({"digits": digits, "decimals": decimals}).select(
        pl.col("digits").max(), low=pl.col("decimals").min(), high=pl.col("decimals").max()
    )
    most, low, high = facts.row(0)
    return replace(
        state,
        numbers=most <= _LOSSLESS_DIGITS,
        trailing_zero=state.trailing_zero or bool(cells.str.contains(r"\.[0-9]*0$").any()),
        fewest_decimals=min(state.fewest_decimals, low),
        most_decimals=max(state.most_decimals, high),
    )


def parquet_cells(path: Path) -> dict[str, str]:
    """Return the kind of each column of a Parquet file: `instant`, `local` (no zone), `nested` or `plain`."""
    import polars as pl

    def kind(dtype: pl.DataType) -> str:
        if isinstance(dtype, pl.Datetime):
            return "local" if dtype.time_zone is None else "instant"
        return "nested" if dtype.is_nested() else "plain"

    return {name: kind(dtype) for name, dtype in pl.read_parquet_schema(path).items()}
