"""Which chart a frame makes: a pure choice by its columns, or the one a query file asks for.

`chart_terminal` and `chart_file` draw it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from posthog_events.errors import ConfigError
from posthog_events.frames.chart_labels import is_rate

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ChartKind", "ChartSpec", "choose_chart", "guess_chart"]

ChartKind = Literal["bar", "line", "funnel", "heatmap"]

_PERIOD_NAMES = frozenset({"number", "period", "day", "week", "month", "interval", "n"})


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

    @property
    def value(self) -> str:
        """The column whose numbers are drawn."""
        return self.color if self.kind == "heatmap" and self.color else self.y


def guess_chart(frame: pl.DataFrame) -> ChartSpec | None:
    """Return the chart that the columns suggest; None when they suggest none.

    A `step` column makes a funnel; times that repeat beside a period number, or two crossed categories beside a rate,
    make a heat map; other times make lines; a category beside a number makes bars.
    """
    import polars.selectors as cs

    times = frame.select(cs.date(), cs.datetime()).columns
    numbers = frame.select(cs.numeric()).columns
    texts = frame.select(cs.string(), cs.enum(), cs.categorical(), cs.boolean()).columns
    if "step" in frame.columns:
        values = [name for name in numbers if name != "step"]
        label = next(iter(["name"] if "name" in texts else texts), "step")
        if values:
            return ChartSpec("funnel", label, values[0])
    if times and numbers:
        repeats = _repeats(frame, times[0])
        periods = [name for name in numbers if name in _PERIOD_NAMES and frame.schema[name].is_integer()]
        values = [name for name in numbers if name not in periods]
        if repeats and periods and values:
            rates = [name for name in values if is_rate(frame[name])]
            return ChartSpec("heatmap", periods[0], times[0], (rates or values)[0])
        return ChartSpec("line", times[0], (values or numbers)[0], texts[0] if repeats and texts else None)
    if texts and numbers:
        repeats = _repeats(frame, texts[0])
        rates = [name for name in numbers if is_rate(frame[name])]
        if repeats and rates and len(texts) > 1 and _repeats(frame, texts[1]):
            return ChartSpec("heatmap", texts[1], texts[0], rates[0])
        return ChartSpec("bar", texts[0], numbers[0], texts[1] if repeats and len(texts) > 1 else None)
    return None


def choose_chart(frame: pl.DataFrame, hint: ChartSpec | None) -> ChartSpec:
    """Return `hint`, or the chart that the columns suggest, once it is certain that the frame can be drawn so.

    Raises:
        ConfigError: No chart suits, a column is missing or holds no numbers, there are no rows, or several rows would
            be drawn in one place.
    """
    spec = hint or guess_chart(frame)
    if spec is None:
        raise ConfigError(
            f"the columns {', '.join(frame.columns)} make no chart; one needs a number beside a time or a category"
        )
    wanted = [name for name in (spec.x, spec.y, spec.color) if name is not None]
    if missing := [name for name in wanted if name not in frame.columns]:
        raise ConfigError(f"the chart needs a column {missing[0]!r}; there are {', '.join(frame.columns)}")
    if not frame.schema[spec.value].is_numeric():
        raise ConfigError(f"the chart needs numbers in column {spec.value!r}, which is {frame.schema[spec.value]}")
    if spec.kind == "line" and not (frame.schema[spec.x].is_numeric() or frame.schema[spec.x].is_temporal()):
        raise ConfigError(f"a line needs times or numbers in column {spec.x!r}, which is {frame.schema[spec.x]}")
    if frame.is_empty():
        raise ConfigError("there are no rows to draw")
    place = (spec.x, spec.y) if spec.kind == "heatmap" else (spec.x, spec.color)
    if spec.kind != "funnel" and spec.color is not None and _repeats(frame, *place):
        raise ConfigError(
            f"several rows have the same {place[0]} and {place[1]}, and a chart has one place for them; "
            "draw a query that returns one row for each"
        )
    return spec


def _repeats(frame: pl.DataFrame, *columns: str | None) -> bool:
    return bool(frame.select({name for name in columns if name is not None}).is_duplicated().any())
