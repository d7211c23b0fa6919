"""Which chart a frame makes: a pure choice by its columns, or the one a query file asks for.

`chart_terminal` and `chart_file` draw it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from posthog_events.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ChartKind", "ChartSpec", "axis_texts", "chart_kind", "checked", "guess_chart", "is_rate", "number_text"]

ChartKind = Literal["bar", "line", "funnel", "heatmap"]
KINDS: tuple[ChartKind, ...] = get_args(ChartKind)

_PERIOD_NAMES = frozenset({"number", "period", "day", "week", "month", "interval", "n"})
_RATE_NAMES = ("rate", "retention", "share", "percent")


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """What is drawn from which columns.

    Args:
        kind: bar: a value by category. line: a value over time or number. funnel: people by step, in row order.
            heatmap: `y` down, `x` across, `color` the value.
        x: Category, time or step; across for a heatmap.
        y: The value; down for a heatmap.
        color: Splits bars and lines into series; the value of a heatmap.
    """

    kind: ChartKind
    x: str
    y: str
    color: str | None = None


def chart_kind(frame: pl.DataFrame) -> ChartKind | None:
    """Return the kind of chart that the columns suggest; None when they suggest none."""
    spec = guess_chart(frame)
    return spec.kind if spec else None


def guess_chart(frame: pl.DataFrame) -> ChartSpec | None:
    """Return the chart that the columns suggest.

    A `step` column makes a funnel; times that repeat beside a period number make a heat map; other times make lines;
    a category beside a number makes bars.
    """
    import polars.selectors as cs

    times = frame.select(cs.date(), cs.datetime()).columns
    numbers = frame.select(cs.numeric()).columns
    texts = frame.select(cs.string(), cs.enum(), cs.categorical(), cs.boolean()).columns
    if "step" in frame.columns:
        values = [name for name in numbers if name != "step"]
        label = next(iter(["name"] if "name" in texts else texts), "step")
        if values and not frame[label].is_duplicated().any():
            return ChartSpec("funnel", label, values[0])
    if times and numbers:
        repeats = frame[times[0]].is_duplicated().any()
        periods = [name for name in numbers if name in _PERIOD_NAMES and frame.schema[name].is_integer()]
        values = [name for name in numbers if name not in periods]
        if repeats and periods and values:
            rates = [name for name in values if name in _RATE_NAMES]
            return ChartSpec("heatmap", periods[0], times[0], (rates or values)[0])
        return ChartSpec("line", times[0], (values or numbers)[0], texts[0] if repeats and texts else None)
    if texts and numbers:
        repeats = frame[texts[0]].is_duplicated().any()
        return ChartSpec("bar", texts[0], numbers[0], texts[1] if repeats and len(texts) > 1 else None)
    return None


def checked(frame: pl.DataFrame, spec: ChartSpec | None) -> ChartSpec:
    """Return `spec`, or the guessed one, once it is certain that the frame can be drawn so.

    Raises:
        ConfigError: No chart suits, a column is missing or holds no numbers, or there are no rows.
    """
    spec = spec or guess_chart(frame)
    if spec is None:
        raise ConfigError(
            f"the columns {', '.join(frame.columns)} make no chart; one needs a number beside a time or a category"
        )
    wanted = [name for name in (spec.x, spec.y, spec.color) if name is not None]
    if missing := [name for name in wanted if name not in frame.columns]:
        raise ConfigError(f"the chart needs a column {missing[0]!r}; there are {', '.join(frame.columns)}")
    value = (spec.color or spec.y) if spec.kind == "heatmap" else spec.y
    if not frame.schema[value].is_numeric():
        raise ConfigError(f"the chart needs numbers in column {value!r}, which is {frame.schema[value]}")
    if spec.kind == "line" and not (frame.schema[spec.x].is_numeric() or frame.schema[spec.x].is_temporal()):
        raise ConfigError(f"a line needs times or numbers in column {spec.x!r}, which is {frame.schema[spec.x]}")
    if frame.is_empty():
        raise ConfigError("there are no rows to draw")
    return spec


def axis_texts(column: pl.Series) -> list[str]:
    """Return the values as axis labels; midnights lose their time of day when all are midnights."""
    import polars as pl

    from posthog_events.frames.cells import cell_text

    if isinstance(column.dtype, pl.Datetime):
        whole_days = column.drop_nulls().dt.time().n_unique() <= 1 and not any(column.drop_nulls().dt.hour())
        form = "%Y-%m-%d" if whole_days else "%Y-%m-%d %H:%M"
        return ["∅" if text is None else text for text in column.dt.strftime(form)]
    return ["∅" if value is None else cell_text(value) for value in column.to_list()]


def is_rate(column: pl.Series) -> bool:
    """Whether the values are shares between 0 and 1, which read better as percentages."""
    values = column.drop_nulls()
    return column.dtype.is_float() and not values.is_empty() and bool(values.is_between(0, 1).all())


def number_text(value: float | None, *, rate: bool = False) -> str:
    """Return a number with thousands separators, or as a percentage.

    >>> number_text(1234567), number_text(0.4567, rate=True), number_text(2.5)
    ('1,234,567', '45.7%', '2.5')
    """
    if value is None:
        return "∅"
    if not math.isfinite(value):
        return str(value)
    if rate:
        return f"{value:.1%}".replace(".0%", "%")
    text = f"{value:,.2f}" if value != int(value) else f"{int(value):,}"
    return text.rstrip("0") if "." in text else text
