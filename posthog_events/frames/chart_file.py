"""Charts as PNG, SVG or HTML files, drawn by altair and vl-convert without a browser or a network."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posthog_events.errors import ConfigError, MissingExtra
from posthog_events.frames.chart import ChartSpec, axis_texts, checked, is_rate, number_text

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ENDINGS", "chart_json", "save_chart"]

ENDINGS = (".png", ".svg", ".html")
MAX_BARS = 50
MAX_SERIES = 10
WIDTH = 720
HEIGHT = 360
SCALE = 2
"""Pixels of a PNG per unit."""

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
    spec = checked(frame, spec)
    draw = {"bar": _bars, "line": _lines, "funnel": _funnel, "heatmap": _heatmap}[spec.kind]
    chart, note = draw(alt, frame, spec)
    header = alt.TitleParams(title or spec.y, subtitle=note or "", subtitleColor=_FAINT)
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


def _rows(frame: pl.DataFrame, **columns: list[Any]) -> list[dict[str, Any]]:
    """Return one object per row; the fields are called by role, as column names can mean something to Vega-Lite."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _numbers(column: pl.Series) -> list[float | None]:
    import polars as pl

    values = column.cast(pl.Float64)
    return values.set(values.is_infinite() | values.is_nan(), None).to_list()


def _texts(column: pl.Series) -> list[str]:
    rate = is_rate(column)
    return [number_text(value, rate=rate) for value in _numbers(column)]


def _value_axis(alt: Any, column: pl.Series, **options: Any) -> Any:
    return alt.Axis(title=column.name, format=".0%" if is_rate(column) else ",~r", tickCount=5, **options)


def _bars(alt: Any, frame: pl.DataFrame, spec: ChartSpec) -> tuple[Any, str]:
    shown = frame.head(MAX_BARS)
    note = f"the first {MAX_BARS} of {frame.height} rows" if shown.height < frame.height else ""
    labels, values = axis_texts(shown[spec.x]), shown[spec.y]
    series = axis_texts(shown[spec.color]) if spec.color else [""] * shown.height
    rows = _rows(shown, x=labels, y=_numbers(values), text=_texts(values), color=series)
    order = list(dict.fromkeys(labels))
    crowded = sum(map(len, order)) * _LETTER > WIDTH
    ordinal = alt.Axis(title=spec.x, labelOverlap=True, labelAngle=-45 if crowded else 0)
    tooltip = [alt.Tooltip("x:N", title=spec.x), alt.Tooltip("text:N", title=spec.y)]
    base = alt.Chart(alt.InlineData(values=rows)).encode(tooltip=tooltip)
    mark, color = {"cornerRadius": 2, "color": _MAIN}, {}
    if spec.color:
        tooltip.append(alt.Tooltip("color:N", title=spec.color))
        names = list(dict.fromkeys(series))
        color = {"color": alt.Color("color:N", title=spec.color, sort=names)}
    if shown[spec.x].dtype.is_temporal() or shown[spec.x].dtype.is_numeric():
        place = {
            "x": alt.X("x:O", sort=order, axis=ordinal, scale=alt.Scale(paddingInner=0.2)),
            "y": alt.Y("y:Q", axis=_value_axis(alt, values)),
        }
        if spec.color:
            place["xOffset"] = alt.XOffset("color:N", sort=names)
        return base.mark_bar(**mark).encode(**place, **color).properties(width=WIDTH, height=HEIGHT), note
    place = {
        "y": alt.Y("x:N", sort=order, axis=alt.Axis(title=None)),
        "x": alt.X("y:Q", axis=_value_axis(alt, values)),
    }
    if spec.color:
        place["yOffset"] = alt.YOffset("color:N", sort=names)
    bars = base.mark_bar(**mark).encode(**place, **color)
    text = base.mark_text(align="left", dx=6, color=_INK).encode(**place, text="text:N")
    return (bars + text).properties(width=WIDTH, height=alt.Step(22 if spec.color else 30)), note


def _funnel(alt: Any, frame: pl.DataFrame, spec: ChartSpec) -> tuple[Any, str]:
    values = _numbers(frame[spec.y])
    first = values[0] or 0
    texts = []
    for value, before in zip(values, [None, *values], strict=False):
        text = number_text(value)
        if before and first and value is not None:
            text += f" · {value / first:.1%} of all · {value / before:.1%} of the step before"
        texts.append(text)
    labels = [f"{number}. {label}" for number, label in enumerate(axis_texts(frame[spec.x]), 1)]
    rows = _rows(frame, x=labels, y=values, full=[first] * len(values), text=texts)
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("x:N", sort=labels, axis=alt.Axis(title=None)),
        tooltip=[alt.Tooltip("x:N", title=spec.x), alt.Tooltip("text:N", title=spec.y)],
    )
    across = alt.Axis(title=spec.y, format=",~r", tickCount=5)
    shadow = base.mark_bar(color=_MAIN, opacity=0.12, cornerRadius=3, size=30).encode(x=alt.X("full:Q", axis=across))
    bars = base.mark_bar(color=_MAIN, cornerRadius=3, size=30).encode(x=alt.X("y:Q", axis=across))
    # Below its bar, where there is room whatever the bar's length.
    text = base.mark_text(align="left", baseline="top", dy=19, dx=2, color=_FAINT).encode(x=alt.datum(0), text="text:N")
    return (shadow + bars + text).properties(width=WIDTH, height=alt.Step(72)), ""


def _lines(alt: Any, frame: pl.DataFrame, spec: ChartSpec) -> tuple[Any, str]:
    drawn = frame.drop_nulls(spec.x).sort(spec.x)
    names = list(dict.fromkeys(axis_texts(drawn[spec.color]))) if spec.color else []
    note = f"the first {MAX_SERIES} of {len(names)} series" if len(names) > MAX_SERIES else ""
    owners = axis_texts(drawn[spec.color]) if spec.color else [""] * drawn.height
    at, kind, zone = _horizontal(drawn[spec.x])
    rows = _rows(
        drawn,
        x=at,
        label=axis_texts(drawn[spec.x]),
        y=_numbers(drawn[spec.y]),
        text=_texts(drawn[spec.y]),
        color=owners,
    )
    rows = [row for row in rows if not names or row["color"] in names[:MAX_SERIES]]
    title = f"{spec.x} ({zone})" if zone else spec.x
    # `utc` shows the data's own wall clock, not that of whoever looks at the chart.
    scale = alt.Scale(type="utc") if kind == "T" else alt.Scale(zero=False, nice=False)
    tooltip = [alt.Tooltip("label:N", title=spec.x), alt.Tooltip("text:N", title=spec.y)]
    encoding: dict[str, Any] = {
        "x": alt.X(f"x:{kind}", scale=scale, axis=alt.Axis(title=title, grid=False, labelOverlap=True, tickCount=8)),
        "y": alt.Y("y:Q", axis=_value_axis(alt, drawn[spec.y])),
    }
    if spec.color:
        tooltip.append(alt.Tooltip("color:N", title=spec.color))
        encoding["color"] = alt.Color("color:N", title=spec.color, sort=names)
    few = len(rows) <= 60 * max(1, min(len(names), MAX_SERIES))
    points = {"point": {"size": 28, "filled": True}} if few else {}
    mark = {"strokeWidth": 2.5, "strokeJoin": "round", **({} if spec.color else {"color": _MAIN}), **points}
    chart = alt.Chart(alt.InlineData(values=rows)).mark_line(**mark).encode(tooltip=tooltip, **encoding)
    return chart.properties(width=WIDTH, height=HEIGHT), note


def _horizontal(column: pl.Series) -> tuple[list[Any], str, str | None]:
    """Return the values, their Vega-Lite type, and the time zone whose clock they show."""
    import polars as pl

    if isinstance(column.dtype, pl.Datetime):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_list(), "T", column.dtype.time_zone
    if column.dtype == pl.Date:
        return column.dt.strftime("%Y-%m-%dT00:00:00Z").to_list(), "T", None
    return _numbers(column), "Q", None


def _heatmap(alt: Any, frame: pl.DataFrame, spec: ChartSpec) -> tuple[Any, str]:
    value = frame[spec.color or spec.y]
    downs, acrosses = axis_texts(frame[spec.y]), axis_texts(frame[spec.x])
    across = axis_texts(frame[spec.x].unique().sort())
    numbers = _numbers(value)
    rate = is_rate(value)
    texts = [f"{number:.0%}" if rate and number is not None else number_text(number) for number in numbers]
    rows = _rows(frame, x=acrosses, y=downs, value=numbers, text=texts)
    top = max((number for number in numbers if number is not None), default=1) or 1
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("x:O", sort=across, axis=alt.Axis(title=spec.x, orient="top", labelAngle=0)),
        y=alt.Y("y:O", sort=list(dict.fromkeys(downs)), axis=alt.Axis(title=spec.y)),
        tooltip=[
            alt.Tooltip("y:N", title=spec.y),
            alt.Tooltip("x:N", title=spec.x),
            alt.Tooltip("text:N", title=value.name),
        ],
    )
    scale = alt.Scale(range=["#eef4ff", "#9dbdfc", _MAIN, "#163a8a"], domainMin=0, domainMax=top)
    cells = base.mark_rect(stroke="white", strokeWidth=2, cornerRadius=3).encode(
        color=alt.Color("value:Q", scale=scale, legend=None)
    )
    readable = alt.condition(alt.datum.value > top * 0.45, alt.value("white"), alt.value(_INK))
    text = base.mark_text(fontSize=12).encode(text="text:N", color=readable)
    return (cells + text).properties(width=alt.Step(56), height=alt.Step(34)), value.name
