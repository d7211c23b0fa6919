"""Which chart a frame makes, and that it shows the numbers."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from rich.cells import cell_len

from posthog_events.errors import ConfigError
from posthog_events.frames.chart import ChartSpec, chart_kind, checked, guess_chart, number_text
from posthog_events.frames.chart_file import chart_json, save_chart
from posthog_events.frames.chart_terminal import render_chart

DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(4)]
BARS = pl.DataFrame({"referrer": ["google.com", "", None], "signups": [1200, 300, 0]})
GROUPS = pl.DataFrame({"feature": ["a", "a", "b"], "plan": ["free", "pro", "free"], "adoption": [0.25, 0.5, 1.0]})
FUNNEL = pl.DataFrame({"step": [1, 2, 3], "name": ["signup", "project", "purchase"], "people": [200, 100, 25]})
LINE = pl.DataFrame({"day": DAYS, "dau": [0, 10, 5, 10]})
SERIES = pl.DataFrame({"day": DAYS * 2, "plan": ["free"] * 4 + ["pro"] * 4, "dau": [8, 8, 8, 8, 0, 0, 0, 0]})
RETENTION = pl.DataFrame(
    {"cohort": [DAYS[0], DAYS[0], DAYS[1]], "number": [0, 1, 0], "people": [40, 10, 20], "rate": [1.0, 0.25, 1.0]}
)
ALL = {"bars": BARS, "groups": GROUPS, "funnel": FUNNEL, "line": LINE, "series": SERIES, "retention": RETENTION}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (BARS, ChartSpec("bar", "referrer", "signups")),
        (GROUPS, ChartSpec("bar", "feature", "adoption", "plan")),
        (FUNNEL, ChartSpec("funnel", "name", "people")),
        (FUNNEL.drop("name"), ChartSpec("funnel", "step", "people")),
        (LINE, ChartSpec("line", "day", "dau")),
        (SERIES, ChartSpec("line", "day", "dau", "plan")),
        (RETENTION, ChartSpec("heatmap", "number", "cohort", "rate")),
        (RETENTION.drop("rate"), ChartSpec("heatmap", "number", "cohort", "people")),
        (pl.DataFrame({"n": [1]}), None),
        (pl.DataFrame({"a": ["x"], "b": ["y"]}), None),
        (pl.DataFrame(), None),
    ],
)
def test_columns_choose_the_chart(frame: pl.DataFrame, expected: ChartSpec | None) -> None:
    """Steps make a funnel, cohorts a heat map, times lines, categories bars, and the rest nothing."""
    assert expected == guess_chart(frame)
    assert (expected.kind if expected else None) == chart_kind(frame)


@pytest.mark.parametrize(
    ("frame", "spec", "says"),
    [
        (pl.DataFrame({"n": [1]}), None, "make no chart"),
        (BARS, ChartSpec("bar", "missing", "signups"), "a column 'missing'"),
        (BARS, ChartSpec("bar", "signups", "referrer"), "numbers in column 'referrer'"),
        (BARS, ChartSpec("line", "referrer", "signups"), "times or numbers in column 'referrer'"),
        (BARS.head(0), None, "no rows"),
    ],
)
def test_what_cannot_be_drawn_is_explained(frame: pl.DataFrame, spec: ChartSpec | None, says: str) -> None:
    """A missing column, text where numbers belong, and no rows are one sentence each."""
    with pytest.raises(ConfigError, match=says):
        checked(frame, spec)


@pytest.mark.parametrize(
    ("value", "rate", "expected"),
    [
        (1234567, False, "1,234,567"),
        (2.50, False, "2.5"),
        (0.5, True, "50%"),
        (0.4567, True, "45.7%"),
        (None, False, "∅"),
    ],
)
def test_numbers_are_readable(value: float | None, rate: bool, expected: str) -> None:
    """Thousands are separated, shares are percentages."""
    assert expected == number_text(value, rate=rate)


def test_number_that_is_not_finite_is_shown() -> None:
    """A division by zero in a query does not break the chart."""
    assert "inf" in number_text(float("inf"))
    assert "nan" in render_chart(pl.DataFrame({"a": ["x", "y"], "n": [float("nan"), 2.0]}))


def test_bars_are_as_long_as_their_values() -> None:
    """The longest bar is four times as long as one of a quarter, and zero has none."""
    lines = render_chart(BARS, width=60).splitlines()

    assert "signups by referrer" == lines[0]
    blocks = [line.count("█") for line in lines[1:]]
    assert abs(blocks[0] - 4 * blocks[1]) <= 4
    assert 0 == blocks[2]
    assert [" 1,200", " 300", " 0"] == [re.search(r" [\d,]+$", line)[0] for line in lines[1:]]  # type: ignore[index]


def test_grouped_bars_name_a_category_once() -> None:
    """Below each category stand its series, in row order."""
    lines = render_chart(GROUPS, width=60).splitlines()[1:]

    assert ["a  free", "   pro ", "b  free"] == [line[:7] for line in lines]
    assert ["25%", "50%", "100%"] == [line.split()[-1] for line in lines]


def test_funnel_shows_conversion() -> None:
    """Between two steps stand the share of the first and of the previous step."""
    text = render_chart(FUNNEL, width=80)

    assert re.search(r"1\. signup +█+ 200\n", text)
    assert "↓ 50.0% of all, 50.0% of the step before\n2. project" in text
    assert "↓ 12.5% of all, 25.0% of the step before\n3. purchase" in text


def test_line_has_its_scale_and_its_dates() -> None:
    """The scale begins at zero and ends at the maximum; the axis names first and last time."""
    lines = render_chart(LINE, width=60).splitlines()

    assert lines[1].lstrip().startswith("10 ┤")
    assert lines[13].lstrip().startswith("0 ┤")
    assert ["2024-01-01", "2024-01-04"] == lines[15].split()
    # the first value is the minimum and the second the maximum
    assert "⠀" < lines[13].split("┤")[1][0]
    assert any("⠀" < character for character in lines[1].split("┤")[1][15:25])


def test_series_are_named() -> None:
    """A legend names each line."""
    assert "━ free  ━ pro" == render_chart(SERIES, width=60).splitlines()[-1].strip()


def test_heat_map_shows_each_cell_in_its_place() -> None:
    """Rows are cohorts, columns periods, and a cell that does not exist stays empty."""
    lines = render_chart(RETENTION, width=60).splitlines()[1:]

    assert ["cohort", "0", "1"] == lines[0].split()
    assert ["2024-01-01", "█", "100%", "░", "25%"] == lines[1].split()
    assert ["2024-01-02", "█", "100%"] == lines[2].split()


@pytest.mark.parametrize("width", [30, 80, 160])
@pytest.mark.parametrize("name", ALL)
def test_terminal_chart_fits(name: str, width: int) -> None:
    """No line is wider than the terminal."""
    lines = render_chart(ALL[name], width=width, title="A title that is longer than thirty characters").splitlines()

    assert max(map(cell_len, lines)) <= width


def test_more_bars_than_fit_are_counted() -> None:
    """A long result says that only its beginning is drawn."""
    frame = pl.DataFrame({"page": [f"/{n}" for n in range(200)], "views": range(200, 0, -1)})

    assert "the first 30 of 200 rows" == render_chart(frame).splitlines()[-1]


def test_hostile_labels_are_harmless_in_a_terminal() -> None:
    """Escape sequences in labels, columns and titles are written out."""
    frame = pl.DataFrame({"a\x1b[2J": ["x\x1b]0;t\x07", "y"], "n": [1, 2]})

    assert "\x1b" not in render_chart(frame) + render_chart(frame, title="\x1b[2J")


@pytest.mark.parametrize("name", ALL)
def test_svg_holds_title_and_labels(name: str, tmp_path: Path) -> None:
    """Every kind becomes a valid SVG with its title."""
    save_chart(ALL[name], tmp_path / "chart.svg", title="Some title")

    texts = [element.text for element in ET.parse(tmp_path / "chart.svg").iter() if element.tag.endswith("text")]
    assert "Some title" in texts


def test_svg_shows_steps_in_order_with_their_conversion(tmp_path: Path) -> None:
    """A funnel's steps are not sorted by name, and carry their numbers."""
    save_chart(FUNNEL, tmp_path / "chart.svg")

    texts = [element.text for element in ET.parse(tmp_path / "chart.svg").iter() if element.tag.endswith("text")]
    assert ["1. signup", "2. project", "3. purchase"] == [
        text for text in texts if text and text[:2] in ("1.", "2.", "3.")
    ]
    assert "25 · 12.5% of all · 25.0% of the step before" in texts


def test_time_axis_is_in_the_zone_of_the_data() -> None:
    """Midnight in Berlin is drawn as midnight, wherever the chart is looked at, and the zone is named."""
    midnight = datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    frame = pl.DataFrame({"at": [midnight], "n": [1]}, schema_overrides={"at": pl.Datetime("us", "Europe/Berlin")})

    spec = json.loads(chart_json(frame))

    assert "utc" == spec["encoding"]["x"]["scale"]["type"]
    assert "at (Europe/Berlin)" == spec["encoding"]["x"]["axis"]["title"]
    assert "2024-07-01T00:00:00.000Z" in json.dumps(spec)


def test_png_is_a_png_at_twice_the_size(tmp_path: Path) -> None:
    """The picture is sharp on today's screens."""
    save_chart(LINE, tmp_path / "chart.PNG")
    data = (tmp_path / "chart.PNG").read_bytes()

    assert b"\x89PNG\r\n\x1a\n" == data[:8]
    assert int.from_bytes(data[16:20], "big") > 2 * 720


def test_html_needs_no_network_and_runs_no_foreign_script(tmp_path: Path) -> None:
    """The page loads nothing, and labels cannot end its script."""
    attack = "</script><script>alert(1)</script>"
    save_chart(pl.DataFrame({attack: [attack], "n": [1]}), tmp_path / "chart.html", title=attack)
    page = (tmp_path / "chart.html").read_text(encoding="utf-8")

    assert 1 == page.count("</script>")
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page.split("window.vegaEmbed(")[0].split("import")[0])
    assert "window.vegaEmbed=" in page


def test_chart_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """The endings that work are listed."""
    with pytest.raises(ConfigError, match=r"\.png, \.svg, \.html"):
        save_chart(BARS, tmp_path / "chart.gif")
