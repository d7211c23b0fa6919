"""Charts made of characters: bars, lines, funnels and heat maps for a terminal."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from posthog_events.frames.cells import neutralise
from posthog_events.frames.chart import ChartSpec, axis_texts, checked, is_rate, number_text

if TYPE_CHECKING:
    import polars as pl
    from rich.text import Text

__all__ = ["render_chart"]

MAX_BARS = 30
MAX_SERIES = 6
LINE_ROWS = 13
_COLORS = ("bright_blue", "bright_yellow", "bright_magenta", "bright_green", "bright_red", "bright_cyan")
_EIGHTHS = "▏▎▍▌▋▊▉█"
_SHADES = " ░▒▓█"
# xterm's blues from pale to deep, with the text colour that can be read on each.
_HEAT = ((195, 0), (153, 0), (117, 0), (75, 0), (33, 15), (27, 15), (20, 15))
_CELL = 7


def render_chart(
    frame: pl.DataFrame, spec: ChartSpec | None = None, *, title: str = "", width: int = 80, color: bool = False
) -> str:
    """Return the chart as text at most `width` characters wide.

    Args:
        spec: What to draw; None: what the columns suggest.
        color: Whether to use the terminal's colours; without them a heat map is shaded with blocks.

    Raises:
        ConfigError: The frame cannot be drawn so.
    """
    from rich.console import Console
    from rich.text import Text

    spec = checked(frame, spec)
    draw = {"bar": _bars, "line": _lines, "funnel": _funnel, "heatmap": _heatmap}[spec.kind]
    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=color, color_system="256" if color else None, legacy_windows=False
    )
    console.print(Text(neutralise(title) or _caption(spec), style="bold"), no_wrap=True, overflow="ellipsis")
    for line in draw(frame, spec, width):
        console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _caption(spec: ChartSpec) -> str:
    if spec.kind == "heatmap":
        return neutralise(f"{spec.color or spec.y} by {spec.y} and {spec.x}")
    return neutralise(f"{spec.y} by {spec.x}" + (f" and {spec.color}" if spec.color else ""))


def _bars(frame: pl.DataFrame, spec: ChartSpec, width: int) -> Iterable[Text]:
    shown = frame.head(MAX_BARS)
    labels = axis_texts(shown[spec.x])
    series = axis_texts(shown[spec.color]) if spec.color else None
    if series:
        labels = [label if number == 0 or label != labels[number - 1] else "" for number, label in enumerate(labels)]
    styles = dict(zip(dict.fromkeys(series or []), _COLORS * (1 + len(series or []) // len(_COLORS)), strict=False))
    columns = [labels] + ([series] if series else [])
    values = shown[spec.y].to_list()
    texts = [number_text(value, rate=is_rate(frame[spec.y])) for value in values]
    bar_styles = [styles[name] for name in series] if series else [_COLORS[0]] * len(values)
    yield from _bar_rows(columns, values, texts, bar_styles, width)
    yield from _more(frame.height, shown.height, "rows")


def _bar_rows(
    columns: Sequence[Sequence[str]],
    values: Sequence[float | None],
    texts: Sequence[str],
    styles: Sequence[str],
    width: int,
) -> Iterable[Text]:
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    limit = max(8, width // 3 // len(columns))
    widths = [min(limit, max(map(cell_len, column))) for column in columns]
    room = max(4, width - sum(widths) - 2 * len(widths) - max(map(len, texts)) - 1)
    finite = [abs(value) for value in values if value is not None and math.isfinite(value)]
    top = max(finite, default=0) or 1
    for number, (value, text, style) in enumerate(zip(values, texts, styles, strict=True)):
        line = Text()
        for column, size in zip(columns, widths, strict=True):
            label = column[number]
            fitted = label if cell_len(label) <= size else set_cell_size(label, size - 1) + "…"
            line.append(set_cell_size(fitted, size) + "  ")
        length = abs(value) / top * room if value is not None and math.isfinite(value) else 0
        line.append(_bar(length), style="bright_red" if (value or 0) < 0 else style)
        yield line.append(f" {text}")


def _bar(length: float) -> str:
    """Return a bar `length` characters long, to an eighth; a value above zero is never invisible."""
    eighths = max(round(length * 8), 1 if length > 0 else 0)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")


def _funnel(frame: pl.DataFrame, spec: ChartSpec, width: int) -> Iterable[Text]:
    values = frame[spec.y].to_list()
    labels = [f"{number}. {label}" for number, label in enumerate(axis_texts(frame[spec.x]), 1)]
    first, texts = values[0], []
    for number, value in enumerate(values):
        text = number_text(value)
        if number and value is not None and first and values[number - 1]:
            text += f"  {value / first:.1%} of all, {value / values[number - 1]:.1%} of the step before"
        texts.append(text)
    counts = [text.split("  ")[0] for text in texts]
    shares = [text.partition("  ")[2] for text in texts]
    from rich.text import Text

    for line, share in zip(_bar_rows([labels], values, counts, [_COLORS[0]] * len(values), width), shares, strict=True):
        if share:
            yield Text(f"   ↓ {share}", style="dim")
        yield line


def _lines(frame: pl.DataFrame, spec: ChartSpec, width: int) -> Iterable[Text]:
    import polars as pl
    from rich.text import Text

    drawn = frame.drop_nulls([spec.x, spec.y]).sort(spec.x)
    if drawn.is_empty():
        yield Text("only missing values")
        return
    at = pl.col(spec.x).to_physical().cast(pl.Float64).alias("x")
    names = list(dict.fromkeys(axis_texts(drawn[spec.color]))) if spec.color else [""]
    points = drawn.select(at, pl.col(spec.y).cast(pl.Float64).alias("y")).rows()
    heights = [y for _, y in points if math.isfinite(y)]
    owners = axis_texts(drawn[spec.color]) if spec.color else [""] * len(points)
    low, high = min(0.0, 0.0, *heights), max(0.0, 0.0, *heights)
    left, right = points[0][0], points[-1][0]
    rate = is_rate(frame[spec.y])
    ticks = {0: number_text(high, rate=rate), LINE_ROWS - 1: number_text(low, rate=rate)}
    ticks[(LINE_ROWS - 1) // 2] = number_text((high + low) / 2, rate=rate)
    margin = max(map(len, ticks.values()))
    columns = max(8, width - margin - 2)
    canvas = _Canvas(columns, LINE_ROWS)
    for series, name in enumerate(names[:MAX_SERIES]):
        path = [
            (
                round((x - left) / ((right - left) or 1) * (columns * 2 - 1)),
                round((high - y) / ((high - low) or 1) * (LINE_ROWS * 4 - 1)),
            )
            for (x, y), owner in zip(points, owners, strict=True)
            if owner == name and math.isfinite(y)
        ]
        canvas.path(path, series)
    for row in range(LINE_ROWS):
        yield (
            Text(f"{ticks.get(row, ''):>{margin}} ", style="dim")
            .append("┤" if row in ticks else "│")
            .append(canvas.row(row))
        )
    ends = axis_texts(drawn[spec.x])
    gap = columns - len(ends[0]) - len(ends[-1])
    yield Text(" " * (margin + 1) + "└" + "─" * columns, style="dim")
    yield Text(" " * (margin + 2) + ends[0] + " " * max(1, gap) + ends[-1], style="dim")
    if spec.color:
        legend = Text(" " * (margin + 2))
        for series, name in enumerate(names[:MAX_SERIES]):
            legend.append("━ ", style=_COLORS[series]).append(f"{name}  ")
        yield legend
        yield from _more(len(names), min(len(names), MAX_SERIES), "series")


class _Canvas:
    """Dots at twice the columns and four times the rows, as braille. Source: Unicode 17, block U+2800."""

    _BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))

    def __init__(self, columns: int, rows: int) -> None:
        self._dots = [[0] * columns for _ in range(rows)]
        self._owner = [[0] * columns for _ in range(rows)]

    def path(self, points: Sequence[tuple[int, int]], series: int) -> None:
        """Draw lines from point to point; one point is a dot."""
        for start, end in zip(points, points[1:] or points, strict=False):
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
            line.append(chr(0x2800 + dots) if dots else " ", style=_COLORS[owner] if dots else "")
        return line


def _heatmap(frame: pl.DataFrame, spec: ChartSpec, width: int) -> Iterable[Text]:
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    value = spec.color or spec.y
    rate = is_rate(frame[value])
    downs, acrosses = axis_texts(frame[spec.y]), axis_texts(frame[spec.x])
    cells = dict(zip(zip(downs, acrosses, strict=True), frame[value].to_list(), strict=True))
    margin = min(width // 3, max(map(cell_len, (*downs, spec.y))))
    order = dict.fromkeys(axis_texts(frame[spec.x].unique().sort()))
    shown = list(order)[: max(1, (width - margin - 1) // _CELL)]
    finite = [number for number in cells.values() if number is not None and math.isfinite(number)]
    low, high = min(0, *finite, 0), max(finite, default=0) or 1
    yield Text(set_cell_size(neutralise(spec.y), margin) + " ", style="dim").append(
        "".join(f"{name[: _CELL - 1]:>{_CELL - 1}} " for name in shown)
    )
    for down in dict.fromkeys(downs):
        line = Text(set_cell_size(down, margin) + " ")
        for across in shown:
            number = cells.get((down, across))
            if number is None:
                line.append(" " * _CELL)
                continue
            level = (number - low) / (high - low) if math.isfinite(number) else 0
            text = f"{number:.0%}" if rate else number_text(number)
            back, front = _HEAT[round(level * (len(_HEAT) - 1))]
            shade = _SHADES[round(level * (len(_SHADES) - 1))]
            line.append(f"{shade}{text[: _CELL - 2]:>{_CELL - 2}} ", style=f"color({front}) on color({back})")
        yield line
    yield from _more(len(order), len(shown), "columns")


def _more(total: int, shown: int, what: str) -> Iterable[Text]:
    from rich.text import Text

    if shown < total:
        yield Text(f"the first {shown} of {total} {what}", style="dim")
