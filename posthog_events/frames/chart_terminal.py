"""Charts made of characters: bars, funnels and heat maps for a terminal; lines are in `chart_lines`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from posthog_events.frames.cells import neutralise
from posthog_events.frames.chart import ChartSpec, choose_chart
from posthog_events.frames.chart_labels import axis_texts, finite_numbers, funnel_shares, left_out, value_texts
from posthog_events.frames.display import SERIES, fitted, screen, screen_text

if TYPE_CHECKING:
    import polars as pl
    from rich.text import Text

__all__ = ["render_chart"]

MAX_BARS = 30
MAX_ROWS = 40
"""Rows of a heat map."""

_NEGATIVE = "bright_red"
_EIGHTHS = "▏▎▍▌▋▊▉█"
_SHADES = " ░▒▓█"
# xterm's blues from pale to deep, with the text colour that can be read on each.
_HEAT = ((195, 0), (153, 0), (117, 0), (75, 0), (33, 15), (27, 15), (20, 15))
_MAX_CELL = 12


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
    from rich.text import Text

    from posthog_events.frames.chart_lines import draw_lines

    spec = choose_chart(frame, spec)
    match spec.kind:
        case "bar":
            lines = _bars(frame, spec, width)
        case "line":
            lines = draw_lines(frame, spec, width)
        case "funnel":
            lines = _funnel(frame, spec, width)
        case "heatmap":
            lines = _heatmap(frame, spec, width, color=color)
    console = screen(width=width, color=color)
    for line in (Text(neutralise(title or caption(spec)), style="bold"), *lines):
        console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
    return screen_text(console)


def caption(spec: ChartSpec) -> str:
    """Return a title for a chart that has none."""
    if spec.kind == "heatmap":
        return f"{spec.value} by {spec.y} and {spec.x}"
    return f"{spec.y} by {spec.x}" + (f" and {spec.color}" if spec.color else "")


def _bars(frame: pl.DataFrame, spec: ChartSpec, width: int) -> Iterator[Text]:
    from rich.text import Text

    drawn = frame
    if spec.color:
        # the series of one category stand together, in the order in which the categories come first
        first = {label: number for number, label in reversed(list(enumerate(axis_texts(frame[spec.x]))))}
        order = sorted(range(frame.height), key=[first[label] for label in axis_texts(frame[spec.x])].__getitem__)
        drawn = frame[order]
    shown = drawn.head(MAX_BARS)
    labels = axis_texts(shown[spec.x])
    columns, styles = [labels], [SERIES[0]] * shown.height
    if spec.color:
        series = axis_texts(shown[spec.color])
        colors = {name: SERIES[number % len(SERIES)] for number, name in enumerate(dict.fromkeys(series))}
        once = [label if n == 0 or label != labels[n - 1] else "" for n, label in enumerate(labels)]
        columns, styles = [once, series], [colors[name] for name in series]
    yield from _bar_rows(columns, finite_numbers(shown[spec.y]), value_texts(shown[spec.y]), styles, width)
    if note := left_out(frame.height, shown.height, "rows"):
        yield Text(note, style="dim")


def _bar_rows(
    columns: Sequence[Sequence[str]],
    values: Sequence[float | None],
    texts: Sequence[str],
    styles: Sequence[str],
    width: int,
) -> Iterator[Text]:
    """Yield one line per value; bars below zero grow to the left of a common zero."""
    from rich.cells import cell_len
    from rich.text import Text

    limit = max(8, width // 3 // len(columns))
    widths = [min(limit, max(map(cell_len, column))) for column in columns]
    room = max(4, width - sum(widths) - 2 * len(widths) - max(map(len, texts)) - 1)
    lengths = [value or 0.0 for value in values]
    top = max(map(abs, lengths)) or 1.0
    # fractions first: the whole span of the largest floats is not a float
    highest, lowest = max(0.0, *lengths) / top, -min(0.0, *lengths) / top
    left = round(room * lowest / (highest + lowest)) if lowest else 0
    unit = (room - left) / highest if highest else left / (lowest or 1)
    for number, (value, text, style) in enumerate(zip(lengths, texts, styles, strict=True)):
        line = Text()
        for column, size in zip(columns, widths, strict=True):
            line.append(fitted(column[number], size) + "  ")
        if value < 0:
            line.append(_leftward(-value / top * unit, left), style=_NEGATIVE)
        else:
            line.append(" " * left).append(_bar(value / top * unit), style=style)
        yield line.append(f" {text}" if value else text)


def _bar(length: float) -> str:
    """Return a bar `length` characters long, to an eighth; a value above zero is never invisible."""
    eighths = max(round(length * 8), 1 if length > 0 else 0)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")


def _leftward(length: float, room: int) -> str:
    """Return a bar that ends where `room` characters do; to the left there are half blocks only."""
    halves = min(max(round(length * 2), 1), room * 2)
    return ("▐" * (halves % 2) + "█" * (halves // 2)).rjust(room)


def _funnel(frame: pl.DataFrame, spec: ChartSpec, width: int) -> Iterator[Text]:
    from rich.text import Text

    shown = frame.head(MAX_BARS)
    values = finite_numbers(shown[spec.y])
    labels = [f"{number}. {label}" for number, label in enumerate(axis_texts(shown[spec.x]), 1)]
    rows = _bar_rows([labels], values, value_texts(shown[spec.y]), [SERIES[0]] * len(values), width)
    for row, share in zip(rows, funnel_shares(values), strict=True):
        if share:
            yield Text(f"   ↓ {share}", style="dim")
        yield row
    if note := left_out(frame.height, shown.height, "steps"):
        yield Text(note, style="dim")


def _heatmap(frame: pl.DataFrame, spec: ChartSpec, width: int, *, color: bool) -> Iterator[Text]:
    from rich.cells import cell_len
    from rich.text import Text

    downs, acrosses = axis_texts(frame[spec.y]), axis_texts(frame[spec.x])
    places = list(zip(downs, acrosses, strict=True))
    values = dict(zip(places, finite_numbers(frame[spec.value]), strict=True))
    texts = dict(zip(places, value_texts(frame[spec.value], decimals=0), strict=True))
    order = list(dict.fromkeys(axis_texts(frame[spec.x].unique(maintain_order=True).sort(nulls_last=True))))
    rows = list(dict.fromkeys(downs))
    margin = min(width // 3, max(map(cell_len, (*rows, neutralise(spec.y)))))
    shade = 0 if color else 2
    cell = min(_MAX_CELL, max(4, *map(cell_len, order), *(len(text) + shade for text in texts.values()))) + 1
    columns = order[: max(1, (width - margin - 1) // cell)]
    finite = [value for value in values.values() if value is not None]
    low, high = min([0.0, *finite]), max([0.0, *finite])
    head = Text(fitted(neutralise(spec.y), margin) + " ", style="dim")
    yield head.append("".join(f"{fitted(name, cell - 1, right=True)} " for name in columns))
    for down in rows[:MAX_ROWS]:
        line = Text(fitted(down, margin) + " ")
        for across in columns:
            text, value = texts.get((down, across)), values.get((down, across))
            if text is None or value is None:
                line.append(f"{text or '':>{cell - 1}} ", style="dim")
                continue
            # halves: the whole span of the largest floats is not a float
            level = (value / 2 - low / 2) / ((high / 2 - low / 2) or 1)
            back, front = _HEAT[round(level * (len(_HEAT) - 1))]
            block = "" if color else _SHADES[round(level * (len(_SHADES) - 1))]
            shown = block + fitted(text, cell - 1 - len(block), right=True)
            line.append(f"{shown} ", f"color({front}) on color({back})")
        yield line
    for note in (left_out(len(order), len(columns), "columns"), left_out(len(rows), min(len(rows), MAX_ROWS), "rows")):
        if note:
            yield Text(note, style="dim")
