"""Charts as PNG, SVG or HTML files, drawn by altair and vl-convert without a browser or a network."""

from __future__ import annotations

import html
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posthog_events.errors import ConfigError, MissingExtra
from posthog_events.frames.cells import neutralise
from posthog_events.frames.chart import ChartSpec, choose_chart
from posthog_events.frames.chart_labels import (
    axis_texts,
    finite_numbers,
    funnel_shares,
    is_rate,
    left_out,
    value_texts,
)

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ENDINGS", "chart_json", "save_chart"]

ENDINGS = (".png", ".svg", ".html")
MAX_BARS = 50
MAX_COLUMNS = 200
"""Bars over time, which are thin."""

MAX_SERIES = 10
MAX_ROWS = 60
"""Rows of a heat map."""

MAX_TEXTS = 24
"""Bars over time that carry their number; more have no room for it."""

WIDTH = 720
HEIGHT = 360
SCALE = 2
"""Pixels of a PNG per unit."""

_FEW = 8
"""Whole numbers up to this far apart have a tick each."""

_LETTER = 8
"""Roughly the width of a letter of an axis label."""

_INK, _FAINT, _GRID, _MAIN = "#1f2933", "#7b8794", "#e4e7eb", "#2f6fed"
_PALETTE = [
    "#2f6fed",
    "#f0883e",
    "#12a594",
    "#d6409f",
    "#8e4ec6",
    "#e5484d",
    "#5b8c00",
    "#0091a8",
    "#a18072",
    "#6b7280",
]


def save_chart(frame: pl.DataFrame, path: Path, spec: ChartSpec | None = None, *, title: str = "") -> None:
    """Draw `frame` into a .png, .svg or .html file; the HTML holds all it needs.

    Args:
        spec: What to draw; None: what the columns suggest.
        title: Above the chart.

    Raises:
        ConfigError: The ending is another one, or the frame cannot be drawn so.
        MissingExtra: The `reports` extra is not installed.
    """
    from posthog_events.frames.output import write_file

    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(f"{path}: a chart file ends in {', '.join(ENDINGS)}")
    source = chart_json(frame, spec, title=title)
    try:
        import vl_convert
    except ImportError as exc:
        raise MissingExtra("Drawing chart files", "reports") from exc
    if ending == ".png":
        data = vl_convert.vegalite_to_png(source, scale=SCALE)
    elif ending == ".svg":
        data = vl_convert.vegalite_to_svg(source).encode()
    else:
        library = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # the stub forgets that it is optional
        data = _PAGE.format(title=html.escape(title or "Chart"), library=library, source=source).encode()
    write_file(data, path)


def chart_json(frame: pl.DataFrame, spec: ChartSpec | None = None, *, title: str = "") -> str:
    """Return the chart as Vega-Lite JSON that can stand inside an HTML script."""
    try:
        import altair as alt
    except ImportError as exc:
        raise MissingExtra("Drawing chart files", "reports") from exc
    spec = choose_chart(frame, spec)
    draw = {"bar": _bars, "line": _lines, "funnel": _funnel, "heatmap": _heatmap}[spec.kind]
    chart, note = draw(alt, frame, spec)
    header = alt.TitleParams(neutralise(title) or _name(spec.value), subtitle=note, subtitleColor=_FAINT)
    styled = (
        chart.properties(title=header, padding=24, background="white")
        .configure(font="Inter, Helvetica, Arial, sans-serif")
        .configure_view(stroke=None)
        .configure_title(anchor="start", fontSize=18, color=_INK, offset=18, subtitleFontSize=13)
        .configure_axis(
            labelColor=_INK,
            labelFontSize=12,
            titleColor=_FAINT,
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=12,
            labelPadding=6,
            gridColor=_GRID,
            domain=False,
            ticks=False,
            labelLimit=260,
        )
        .configure_legend(labelColor=_INK, titleColor=_FAINT, titleFontWeight="normal", labelFontSize=12, offset=44)
        .configure_range(category=_PALETTE)
    )
    # A category called </script> must not end the script that holds this.
    return json.dumps(styled.to_dict()).replace("<", "\\u003c")


# vl-convert's own page writes the specification unescaped. The policy lets the page load nothing from anywhere.
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:">
<title>{title}</title>
</head>
<body>
<div id="chart"></div>
<script type="module">
{library}
const actions = {{export: true, source: false, compiled: false, editor: false}};
window.vegaEmbed("#chart", {source}, {{mode: "vega-lite", renderer: "svg", actions}});
</script>
</body>
</html>
"""


def _rows(**columns: list[Any]) -> list[dict[str, Any]]:
    """Return one object per row; the fields are called by role, as column names can mean something to Vega-Lite."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _name(column: str) -> str:
    """Return a column's name as a title."""
    return neutralise(column).replace("_", " ").strip() or column


def _told_apart(labels: list[str]) -> list[str]:
    """Number labels that come again: marks of one label would lie on each other."""
    seen: Counter[str] = Counter()
    told = []
    for label in labels:
        seen[label] += 1
        told.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return told


def _value_axis(alt: Any, column: pl.Series) -> Any:
    form = ".0%" if is_rate(column) else ",~r"
    return alt.Axis(title=_name(column.name), format=form, tickCount=5, **_whole_ticks(column, zero=True))


def _whole_ticks(column: pl.Series, *, zero: bool = False) -> dict[str, Any]:
    """Return the ticks of a few whole numbers, between which Vega would put halves."""
    values = column.drop_nulls().to_list() if column.dtype.is_integer() else []
    values += [0] if values and zero else []
    if not values or max(values) - min(values) > _FEW:
        return {}
    return {"values": list(range(min(values), max(values) + 1))}


def _tooltip(alt: Any, **columns: str) -> list[Any]:
    return [alt.Tooltip(f"{role}:N", title=_name(name)) for role, name in columns.items()]


def _bars(alt: Any, frame: pl.DataFrame, spec: ChartSpec) -> tuple[Any, str]:
    standing = frame.schema[spec.x].is_temporal() or frame.schema[spec.x].is_numeric()
    shown = frame.head(MAX_COLUMNS if standing else MAX_BARS)
    series = axis_texts(shown[spec.color]) if spec.color else [""] * shown.height
    labels = axis_texts(shown[spec.x])
    labels = labels if spec.color else _told_apart(labels)
    values = shown[spec.y]
    numbers = finite_numbers(values)
    rows = _rows(x=labels, y=numbers, end=[y or 0 for y in numbers], text=value_texts(values), color=series)
    order, names = list(dict.fromkeys(labels)), list(dict.fromkeys(series))
    roles = {"x": spec.x, "text": spec.y} | ({"color": spec.color} if spec.color else {})
    base = alt.Chart(alt.InlineData(values=rows)).encode(tooltip=_tooltip(alt, **roles))
    draw = _standing_bars if standing else _lying_bars
    encoding = {"color": alt.Color("color:N", title=_name(spec.color), sort=names)} if spec.color else {}
    chart = draw(alt, base, encoding, order, names if spec.color else [], _value_axis(alt, values), _name(spec.x))
    return chart, left_out(frame.height, shown.height, "rows")


_BAR = {"cornerRadiusEnd": 3, "color": _MAIN}


def _lying_bars(
    alt: Any, base: Any, color: dict[str, Any], order: list[str], names: list[str], value_axis: Any, _: str
) -> Any:
    """Draw a bar per category, long labels beside it, its number at its end."""
    place = {"y": alt.Y("x:N", sort=order, axis=alt.Axis(title=None)), "x": alt.X("y:Q", axis=value_axis)}
    offset = {"yOffset": alt.YOffset("color:N", sort=names)} if names else {}
    # what has no bar has its text at zero
    text = base.encode(y=place["y"], x=alt.X("end:Q", axis=value_axis), text="text:N", **offset)
    below, above = "datum.end < 0", "datum.end >= 0"
    return (
        base.mark_bar(**_BAR).encode(**place, **offset, **color)
        + text.mark_text(align="left", dx=6, color=_INK).transform_filter(above)
        + text.mark_text(align="right", dx=-6, color=_INK).transform_filter(below)
    ).properties(width=WIDTH, height=alt.Step(22 if names else 30))


def _standing_bars(
    alt: Any, base: Any, color: dict[str, Any], order: list[str], names: list[str], value_axis: Any, title: str
) -> Any:
    """Draw a bar per time or number, in the order of the rows."""
    crowded = sum(map(len, order)) * _LETTER > WIDTH
    axis = alt.Axis(title=title, labelOverlap=True, labelAngle=-45 if crowded else 0)
    place = {
        "x": alt.X("x:O", sort=order, axis=axis, scale=alt.Scale(paddingInner=0.2)),
        "y": alt.Y("y:Q", axis=value_axis),
    }
    if names:
        place["xOffset"] = alt.XOffset("color:N", sort=names)
    chart = base.mark_bar(**_BAR).encode(**place, **color)
    if not names and len(order) <= MAX_TEXTS:
        chart += base.mark_text(baseline="bottom", dy=-5, color=_INK).encode(
            x=place["x"], y=alt.Y("end:Q", axis=value_axis), text="text:N"
        )
    return chart.properties(width=WIDTH, height=HEIGHT)


def _funnel(alt: Any, frame: pl.DataFrame, spec: ChartSpec) -> tuple[Any, str]:
    shown = frame.head(MAX_BARS)
    values = finite_numbers(shown[spec.y])
    labels = [f"{number}. {label}" for number, label in enumerate(axis_texts(shown[spec.x]), 1)]
    rows = _rows(
        x=labels,
        y=values,
        full=[max([value for value in values if value is not None], default=0)] * len(values),
        text=value_texts(shown[spec.y]),
        share=funnel_shares(values),
    )
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("x:N", sort=labels, axis=alt.Axis(title=None, grid=False)),
        tooltip=_tooltip(alt, x=spec.x, text=spec.y, share="share"),
    )
    # every bar carries its number, so there is no axis to read
    across = {"axis": None, "scale": alt.Scale(nice=False)}
    shadow = base.mark_bar(color=_MAIN, opacity=0.12, cornerRadius=3, size=30).encode(x=alt.X("full:Q", **across))
    bars = base.mark_bar(color=_MAIN, cornerRadius=3, size=30).encode(x=alt.X("y:Q", **across))
    # below its bar, where there is room whatever the bar's length
    text = base.mark_text(align="left", baseline="top", dy=20).encode(x=alt.datum(0))
    number = text.mark_text(align="left", baseline="top", dx=2, dy=19, fontWeight="bold", fontSize=13, color=_INK)
    share = text.mark_text(align="left", baseline="top", dx=76, dy=20, fontSize=12, color=_FAINT)
    chart = shadow + bars + number.encode(text="text:N") + share.encode(text="share:N")
    note = left_out(frame.height, shown.height, "steps")
    return chart.properties(width=WIDTH, height=alt.Step(72)), f"{_name(spec.y)} {note}".strip()


def _lines(alt: Any, frame: pl.DataFrame, spec: ChartSpec) -> tuple[Any, str]:
    drawn = frame.drop_nulls(spec.x).sort(spec.x)
    owners = axis_texts(drawn[spec.color]) if spec.color else [""] * drawn.height
    names = list(dict.fromkeys(owners))
    shown = names[:MAX_SERIES]
    at, kind, zone = _horizontal(drawn[spec.x])
    values = drawn[spec.y]
    rows = _rows(
        x=at, label=axis_texts(drawn[spec.x]), y=finite_numbers(values), text=value_texts(values), color=owners
    )
    rows = [row for row in rows if row["color"] in shown]
    title = f"{_name(spec.x)} ({zone})" if zone else _name(spec.x)
    # `utc` shows the data's own wall clock, not that of whoever looks at the chart
    scale = alt.Scale(type="utc") if kind == "T" else alt.Scale(zero=False, nice=False)
    whole = {"format": "d", **_whole_ticks(drawn[spec.x])} if drawn.schema[spec.x].is_integer() else {}
    roles = {"label": spec.x, "text": spec.y} | ({"color": spec.color} if spec.color else {})
    encoding: dict[str, Any] = {
        "x": alt.X(
            f"x:{kind}", scale=scale, axis=alt.Axis(title=title, grid=False, labelOverlap=True, tickCount=8, **whole)
        ),
        "y": alt.Y("y:Q", axis=_value_axis(alt, values)),
        "tooltip": _tooltip(alt, **roles),
    }
    if spec.color:
        encoding["color"] = alt.Color("color:N", title=_name(spec.color), sort=shown)
    few = len(rows) <= 60 * len(shown)
    points = {"point": {"size": 28, "filled": True}} if few else {}
    mark = {"strokeWidth": 2.5, "strokeJoin": "round", **({} if spec.color else {"color": _MAIN}), **points}
    chart = alt.Chart(alt.InlineData(values=rows)).mark_line(**mark).encode(**encoding)
    return chart.properties(width=WIDTH, height=HEIGHT), left_out(len(names), len(shown), "series")


def _horizontal(column: pl.Series) -> tuple[list[Any], str, str | None]:
    """Return the values, their Vega-Lite type, and the time zone whose clock they show."""
    import polars as pl

    if isinstance(column.dtype, pl.Datetime):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_list(), "T", column.dtype.time_zone
    if column.dtype == pl.Date:
        return column.dt.strftime("%Y-%m-%dT00:00:00Z").to_list(), "T", None
    return finite_numbers(column if column.dtype.is_numeric() else column.to_physical()), "Q", None


def _heatmap(alt: Any, frame: pl.DataFrame, spec: ChartSpec) -> tuple[Any, str]:
    value = frame[spec.value]
    downs, acrosses = axis_texts(frame[spec.y]), axis_texts(frame[spec.x])
    across = list(dict.fromkeys(axis_texts(frame[spec.x].unique(maintain_order=True).sort(nulls_last=True))))
    down = list(dict.fromkeys(downs))
    numbers = finite_numbers(value)
    rows = _rows(x=acrosses, y=downs, value=numbers, text=value_texts(value, decimals=0))
    rows = [row for row in rows if row["y"] in down[:MAX_ROWS]]
    low, high = min([0, *filter(None, numbers)]), max([0, *filter(None, numbers)])
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("x:O", sort=across, axis=alt.Axis(title=_name(spec.x), orient="top", labelAngle=0)),
        y=alt.Y("y:O", sort=down, axis=alt.Axis(title=_name(spec.y))),
        tooltip=_tooltip(alt, y=spec.y, x=spec.x, text=spec.value),
    )
    scale = alt.Scale(range=["#eef4ff", "#9dbdfc", _MAIN, "#163a8a"], domainMin=low, domainMax=high or 1)
    cells = base.mark_rect(stroke="white", strokeWidth=2, cornerRadius=3).encode(
        color=alt.Color("value:Q", scale=scale, legend=None)
    )
    readable = alt.condition(alt.datum.value > low + (high - low) * 0.5, alt.value("white"), alt.value(_INK))
    text = base.mark_text(fontSize=12).encode(text="text:N", color=readable)
    widest = max(len(row["text"]) for row in rows)
    widest = max(widest, *map(len, across))
    note = left_out(len(down), len(down[:MAX_ROWS]), "rows")
    chart = (cells + text).properties(width=alt.Step(max(56, min(widest, 18) * _LETTER)), height=alt.Step(34))
    return chart, f"{_name(spec.value)} {note}".strip()
