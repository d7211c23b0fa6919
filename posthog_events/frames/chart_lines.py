"""Lines over time or number, drawn with braille dots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from posthog_events.frames.chart import ChartSpec
from posthog_events.frames.chart_labels import axis_texts, finite_numbers, is_rate, left_out, number_text
from posthog_events.frames.display import SERIES, fitted

if TYPE_CHECKING:
    import polars as pl
    from rich.text import Text

__all__ = ["draw_lines"]

ROWS = 13
_ROUND = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


def draw_lines(frame: pl.DataFrame, spec: ChartSpec, width: int) -> Iterator[Text]:
    """Yield the lines of a chart with its axes; each series is named where it ends, so colours are not needed."""
    from rich.cells import cell_len
    from rich.text import Text

    at = finite_numbers(frame[spec.x].to_physical())
    rows = sorted((x, number) for number, x in enumerate(at) if x is not None)
    if not rows:
        yield Text("only missing values", style="dim")
        return
    across, drawn = [x for x, _ in rows], frame[[number for _, number in rows]]
    ends, values = axis_texts(drawn[spec.x][[0, len(rows) - 1]]), finite_numbers(drawn[spec.y])
    owners = axis_texts(drawn[spec.color]) if spec.color else [""] * drawn.height
    names = list(dict.fromkeys(owners))
    shown = names[: len(SERIES)]

    rate = is_rate(frame[spec.y])
    low, high = _scale([value for value in values if value is not None])
    ticks = {0: high, ROWS // 2: high / 2 + low / 2, ROWS - 1: low}
    labels = {row: number_text(value, rate=rate) for row, value in ticks.items()}
    left = max(map(len, labels.values()))
    right = min(width // 4, 1 + max(map(cell_len, shown))) if spec.color else 0
    columns = max(8, width - left - 2 - right)

    canvas = _Canvas(columns, ROWS)
    last: dict[int, int] = {}
    for series, name in enumerate(shown):
        dots = [
            None if y is None else (_share(x, across[0], across[-1], columns * 2), _share(y, high, low, ROWS * 4))
            for x, y, owner in zip(across, values, owners, strict=True)
            if owner == name
        ]
        canvas.path(dots, series)
        last[series] = next((dot[1] // 4 for dot in reversed(dots) if dot), ROWS - 1)
    named = {row: series for series, row in _apart(last).items()} if spec.color else {}
    for row in range(ROWS):
        line = Text(f"{labels.get(row, ''):>{left}} {'┤' if row in labels else '│'}", style="dim")
        line.append(canvas.row(row))
        if row in named:
            line.append(f" {fitted(shown[named[row]], right - 1)}", style=SERIES[named[row]])
        yield line
    yield Text(" " * (left + 1) + "└" + "─" * columns, style="dim")
    gap = columns - len(ends[0]) - len(ends[1])
    dates = ends[0] if across[0] == across[-1] else ends[0] + " " * max(1, gap) + ends[1]
    yield Text(" " * (left + 2) + dates, style="dim")
    if note := left_out(len(names), len(shown), "series"):
        yield Text(note, style="dim")


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the value axis: zero, and round numbers beyond the values."""
    low, high = 0.0 - _round_up(-min([0.0, *values])), _round_up(max([0.0, *values]))
    return low, high if high > low else 1.0


def _round_up(value: float) -> float:
    """Return the next round number.

    >>> _round_up(481), _round_up(0.41), _round_up(0)
    (500.0, 0.5, 0.0)
    """
    if not value:
        return 0.0
    power = math.floor(math.log10(value))
    candidates = (float(f"{step}e{power}") for step in _ROUND)
    return next((round_ for round_ in candidates if value <= round_ < math.inf), value)


def _share(value: float, start: float, end: float, dots: int) -> int:
    """Return which of `dots` dots from `start` to `end` a value falls on."""
    # halves: the whole span of the largest floats is not a float
    span = end / 2 - start / 2
    return round((value / 2 - start / 2) / span * (dots - 1)) if span else 0


def _apart(rows: Mapping[int, int]) -> dict[int, int]:
    """Move series that end in one row to rows of their own, as near as can be."""
    placed: dict[int, int] = {}
    free = -1
    for left, (series, row) in enumerate(sorted(rows.items(), key=lambda item: item[1])):
        free = min(max(row, free + 1), ROWS - (len(rows) - left))
        placed[series] = free
    return placed


class _Canvas:
    """Dots at twice the columns and four times the rows, as braille. Source: Unicode 17, block U+2800."""

    _BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))

    def __init__(self, columns: int, rows: int) -> None:
        self._dots = [[0] * columns for _ in range(rows)]
        self._owner = [[0] * columns for _ in range(rows)]

    def path(self, points: Sequence[tuple[int, int] | None], series: int) -> None:
        """Draw lines from point to point; None is a gap, and a point alone is a dot."""
        before: tuple[int, int] | None = None
        for point in points:
            if point is not None:
                self._line(before or point, point, series)
            before = point

    def _line(self, start: tuple[int, int], end: tuple[int, int], series: int) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for step in range(steps + 1):
            x = start[0] + round((end[0] - start[0]) * step / steps)
            y = start[1] + round((end[1] - start[1]) * step / steps)
            self._dots[y // 4][x // 2] |= self._BITS[y % 4][x % 2]
            self._owner[y // 4][x // 2] = series

    def row(self, number: int) -> Text:
        """Return one row of characters."""
        from rich.text import Text

        line = Text()
        for dots, owner in zip(self._dots[number], self._owner[number], strict=True):
            line.append(chr(0x2800 + dots) if dots else " ", style=SERIES[owner] if dots else "")
        return line
