"""Charts of characters: they show the numbers, fit the terminal, and survive every value."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from rich.cells import cell_len

from posthog_events.frames.chart import ChartSpec
from posthog_events.frames.chart_terminal import render_chart
from tests.helpers.chart_frames import ALL, BARS, DAYS, FUNNEL, GROUPS, LINE, RETENTION, SERIES

HOSTILE = "\x1b]0;t\x07\x9b31m\u202ex\n"


def numbers(*values: float | None) -> pl.DataFrame:
    """Return a bar for each value."""
    return pl.DataFrame({"name": [f"r{n}" for n in range(len(values))], "n": pl.Series(values, dtype=pl.Float64)})


def test_bars_are_as_long_as_their_values() -> None:
    """A quarter of the value is a quarter of the bar, to an eighth of a character; zero has none."""
    lines = render_chart(pl.DataFrame({"name": ["a", "b", "c"], "n": [40, 10, 0]}), width=46).splitlines()

    # 46 columns less one of label, two of gap, three of number and its space
    assert lines == ["n by name", f"a  {'█' * 40} 40", f"b  {'█' * 10} 10", "c  0"]


def test_smallest_bar_can_be_seen() -> None:
    """A value above zero is never drawn as nothing."""
    assert "▏ 1" in render_chart(pl.DataFrame({"name": ["a", "b"], "n": [1_000_000, 1]}))


def test_bars_below_zero_grow_to_the_left_of_a_common_zero() -> None:
    """Signs can be told without colours."""
    lines = render_chart(numbers(-5, 10), width=22).splitlines()[1:]

    assert lines == ["r0  █████ -5", "r1       ██████████ 10"]


@pytest.mark.parametrize("color", [False, True])
def test_colours_are_used_only_when_asked_for(color: bool) -> None:
    """NO_COLOR and pipes get no escape sequence at all."""
    for frame in ALL.values():
        assert color == ("\x1b[" in render_chart(frame, color=color))


def test_grouped_bars_stand_together() -> None:
    """The series of a category follow each other even when the rows do not, and its name is written once."""
    lines = render_chart(GROUPS, width=60).splitlines()

    assert lines[0] == "users by feature and plan"
    assert [line[:7] for line in lines[1:]] == ["a  free", "   pro ", "b  free"]
    assert [line.split()[-1] for line in lines[1:]] == ["25", "50", "100"]


def test_funnel_shows_conversion() -> None:
    """Between two steps stand the share of the first and of the previous step."""
    text = render_chart(FUNNEL, width=80)

    assert re.search(r"1\. signup +█+ 200\n", text)
    assert "↓ 50% of all, 50% of the step before\n2. project" in text
    assert "↓ 12.5% of all, 25% of the step before\n3. purchase" in text


def test_line_has_its_scale_and_its_dates() -> None:
    """The scale begins at zero and ends at a round number; the axis names first and last time."""
    lines = render_chart(LINE, width=60).splitlines()

    assert lines[1].lstrip().startswith("10 ┤")
    assert lines[7].lstrip().startswith("5 ┤")
    assert lines[13].lstrip().startswith("0 ┤")
    assert lines[15].split() == ["2024-01-01", "2024-01-04"]
    # the first value is the minimum, the second, after a third of the way, the maximum
    assert lines[13].split("┤")[1][0] > "⠀"
    assert any(character > "⠀" for character in lines[1].split("┤")[1][15:25])


def test_rows_of_a_line_need_not_be_in_order() -> None:
    """The axis is time, whatever the rows' order."""
    assert render_chart(LINE) == render_chart(LINE[[2, 0, 3, 1]])


def test_missing_value_is_a_gap_in_a_line() -> None:
    """A day without a value is not bridged, and a value alone is a dot."""
    frame = pl.DataFrame({"day": DAYS, "n": [8.0, None, math.nan, 8.0]})

    lines = [line for line in render_chart(frame, width=60).splitlines()[1:14] if re.search("[⠁-⣿]", line)]

    (line,) = lines
    assert re.fullmatch(r" *8 ┤[⠁-⣿] +[⠁-⣿]", line)


def test_series_are_named_where_they_end() -> None:
    """Each line has its name at its right, so that it is known without colours."""
    lines = render_chart(SERIES, width=60).splitlines()

    assert lines[1].endswith(" free")
    assert lines[13].endswith(" pro")


def test_series_that_end_together_are_all_named() -> None:
    """Names never cover each other."""
    names = [f"s{n}" for n in range(6)]
    frame = pl.DataFrame({"day": [day for day in DAYS for _ in names], "who": names * 4, "n": [5] * 24})

    text = render_chart(frame, width=60)

    assert [name for name in names if f" {name}\n" not in text] == []


def test_heat_map_shows_each_cell_in_its_place() -> None:
    """Rows are cohorts, columns periods, and a cell that does not exist stays empty."""
    lines = render_chart(RETENTION, width=60).splitlines()[1:]

    assert lines[0].split() == ["cohort", "0", "1"]
    assert lines[1].split() == ["2024-01-01", "█", "100%", "░", "25%"]
    assert lines[2].split() == ["2024-01-02", "█", "100%"]


def test_periods_of_a_heat_map_are_in_order() -> None:
    """Columns are sorted as numbers, not in the order in which they come."""
    frame = pl.DataFrame({"cohort": ["a", "a", "a"], "number": [10, 2, 1], "n": [1, 2, 3]})

    lines = render_chart(frame, ChartSpec("heatmap", "number", "cohort", "n")).splitlines()

    assert lines[1].split() == ["cohort", "1", "2", "10"]
    assert re.findall(r"\d", lines[2]) == ["3", "2", "1"]


@pytest.mark.parametrize("width", [30, 80, 160])
@pytest.mark.parametrize("name", ALL)
def test_terminal_chart_fits(name: str, width: int) -> None:
    """No line is wider than the terminal, with labels that are wide themselves."""
    wide = ALL[name].with_columns(pl.selectors.string().fill_null("") + "日本語テキスト 👩 and more text")

    lines = render_chart(wide, width=width, title="A title that is longer than thirty characters").splitlines()

    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize(
    ("frame", "note"),
    [
        (numbers(*range(200)), "+170 more rows, of 200"),
        (pl.DataFrame({"day": DAYS[:1] * 9, "who": list("abcdefghi"), "n": range(9)}), "+3 more series, of 9"),
        (
            pl.DataFrame({"cohort": [DAYS[0]] * 20, "number": range(20), "rate": [0.5] * 20}),
            "+9 more columns, of 20",
        ),
        (
            pl.DataFrame({"cohort": [f"c{n}" for n in range(90)] * 2, "week": [0] * 90 + [1] * 90, "n": range(180)}),
            "+50 more rows, of 90",
        ),
    ],
    ids=["bars", "series", "columns", "cohorts"],
)
def test_what_does_not_fit_is_counted(frame: pl.DataFrame, note: str) -> None:
    """A long result says how much of it is not drawn."""
    hint = ChartSpec("heatmap", "week", "cohort", "n") if "week" in frame.columns else None

    assert note in render_chart(frame, hint, width=80).splitlines()


def test_hostile_labels_are_harmless_in_a_terminal() -> None:
    """Escape sequences, directions and line breaks in labels, columns and titles are written out."""
    frames = [
        pl.DataFrame({HOSTILE: [HOSTILE, "y"], "n": [1, 2]}),
        pl.DataFrame({"day": DAYS[:1] * 2, HOSTILE: [HOSTILE, "y"], "n": [1, 2]}),
        pl.DataFrame({"step": [1], "name": [HOSTILE], "people": [1]}),
    ]
    heat = pl.DataFrame({HOSTILE: [HOSTILE], "b": [HOSTILE], "n": [1]})

    text = "".join(render_chart(frame, title=title) for frame in frames for title in ("", HOSTILE))
    text += render_chart(heat, ChartSpec("heatmap", "b", HOSTILE, "n"))

    assert not set(text) & set("\x1b\x07\x9b\u202e")
    assert "\\x1b]0;t\\x07" in text


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((math.nan, math.inf, None, 2.5), ["nan", "inf", "∅", "2.5"]),
        ((0, 0), ["0", "0"]),
        ((None, None), ["∅", "∅"]),
        ((1.7e308, -1.7e308), ["1.7e+308", "-1.7e+308"]),
        ((5e-324, 1e-9), ["4.94e-324", "1e-09"]),
        ((7,), ["7"]),
    ],
    ids=["not finite", "zero", "missing", "huge", "tiny", "one"],
)
def test_every_number_can_be_a_bar(values: tuple[float | None, ...], shown: list[str]) -> None:
    """What cannot be drawn to scale is written, and no value stops the chart."""
    assert shown == [line.split()[-1] for line in render_chart(numbers(*values)).splitlines()[1:]]


@pytest.mark.parametrize(
    "values",
    [[math.nan, math.inf], [0, 0], [None, None], [1.7e308, -1.7e308], [5e-324, 1e-320], [-5, -3], [7]],
    ids=["not finite", "zero", "missing", "huge", "tiny", "negative", "one"],
)
def test_every_number_can_be_on_a_line_and_in_a_heat_map(values: list[float | None]) -> None:
    """No value stops the other charts either."""
    frame = pl.DataFrame({"day": DAYS[: len(values)], "n": pl.Series(values, dtype=pl.Float64)})

    assert render_chart(frame).splitlines()[15].split()[0] == "2024-01-01"
    assert len(render_chart(frame, ChartSpec("heatmap", "day", "day", "n")).splitlines()) == 2 + len(values)
    assert len(render_chart(frame, ChartSpec("funnel", "day", "n")).splitlines()) >= 1 + len(values)


def test_line_over_numbers_that_are_not_finite() -> None:
    """A place that is not a number is left out; without any place there is a sentence."""
    frame = pl.DataFrame({"x": [1.0, math.inf, math.nan, None], "n": [1, 2, 3, 4]})

    assert render_chart(frame, ChartSpec("line", "x", "n")).splitlines()[15].split() == ["1"]
    assert "only missing values" in render_chart(frame[1:], ChartSpec("line", "x", "n"))


def test_times_within_a_day_have_their_clock_on_the_axis() -> None:
    """Hours of one day are told apart at the ends of the axis."""
    start = datetime(2024, 1, 1, 9, tzinfo=UTC)
    frame = pl.DataFrame({"at": [start, start + timedelta(hours=2)], "n": [1, 2]})

    assert render_chart(frame, width=60).splitlines()[15].split() == ["2024-01-01", "09:00", "2024-01-01", "11:00"]


def test_notebook_does_not_swallow_a_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside Jupyter rich would display what it prints; the text is returned all the same."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)

    assert "google.com" in render_chart(BARS)
