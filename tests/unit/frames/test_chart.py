"""Which chart a frame makes, and how its numbers and labels are written."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from posthog_events.errors import ConfigError
from posthog_events.frames.chart import ChartSpec, choose_chart, guess_chart
from posthog_events.frames.chart_labels import axis_texts, funnel_shares, is_rate, number_text, value_texts
from tests.helpers.chart_frames import BARS, FUNNEL, GROUPS, LINE, RETENTION, SERIES

MIDNIGHT = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (BARS, ChartSpec("bar", "referrer", "signups")),
        (GROUPS, ChartSpec("bar", "feature", "users", "plan")),
        (
            GROUPS.select("feature", "plan", share=pl.col("users") / 100),
            ChartSpec("heatmap", "plan", "feature", "share"),
        ),
        (FUNNEL, ChartSpec("funnel", "name", "people")),
        (FUNNEL.drop("name"), ChartSpec("funnel", "step", "people")),
        (LINE, ChartSpec("line", "day", "dau")),
        (SERIES, ChartSpec("line", "day", "dau", "plan")),
        (RETENTION, ChartSpec("heatmap", "number", "cohort", "rate")),
        (RETENTION.drop("rate"), ChartSpec("heatmap", "number", "cohort", "people")),
        (pl.DataFrame({"n": [1]}), None),
        (pl.DataFrame({"a": ["x"], "b": ["y"]}), None),
        (pl.DataFrame({"a": ["x"], "took": [timedelta(1)]}), None),
        (pl.DataFrame(), None),
    ],
)
def test_columns_suggest_the_chart(frame: pl.DataFrame, expected: ChartSpec | None) -> None:
    """Steps make a funnel, cohorts and crossed rates a heat map, times lines, categories bars, the rest nothing."""
    assert expected == guess_chart(frame)


def test_hint_of_a_query_file_comes_before_the_guess() -> None:
    """A line over days is drawn as bars when the file says so."""
    hint = ChartSpec("bar", "day", "dau")

    assert hint == choose_chart(LINE, hint)
    assert choose_chart(LINE, None).kind == "line"


@pytest.mark.parametrize(
    ("frame", "hint", "says"),
    [
        (pl.DataFrame({"n": [1]}), None, "the columns n make no chart"),
        (BARS, ChartSpec("bar", "missing", "signups"), "a column 'missing'; there are referrer, signups"),
        (BARS, ChartSpec("bar", "signups", "referrer"), "numbers in column 'referrer', which is String"),
        (RETENTION, ChartSpec("heatmap", "number", "people", "cohort"), "numbers in column 'cohort', which is Date"),
        (BARS, ChartSpec("line", "referrer", "signups"), "times or numbers in column 'referrer'"),
        (BARS.head(0), None, "there are no rows to draw"),
        (pl.concat([RETENTION, RETENTION]), None, "several rows have the same number and cohort"),
        (pl.concat([GROUPS, GROUPS]), None, "several rows have the same feature and plan"),
    ],
)
def test_what_cannot_be_drawn_is_explained(frame: pl.DataFrame, hint: ChartSpec | None, says: str) -> None:
    """A missing column, text where numbers belong, no rows, and rows that hide each other are one sentence each."""
    with pytest.raises(ConfigError, match=says):
        choose_chart(frame, hint)


@pytest.mark.parametrize(
    ("value", "rate", "expected"),
    [
        (1234567, False, "1,234,567"),
        (-1234, False, "-1,234"),
        (2.50, False, "2.5"),
        (2.001, False, "2"),
        (1234.567, False, "1,234.57"),
        (0.00123456, False, "0.00123"),
        (1e300, False, "1e+300"),
        (2**64, False, "1.845e+19"),
        (-0.0, False, "0"),
        (0.5, True, "50%"),
        (0.4567, True, "45.7%"),
        (0.0004, True, "0%"),
        (math.inf, True, "inf"),
        (math.nan, False, "nan"),
        (None, False, "∅"),
    ],
)
def test_numbers_are_readable(value: float | None, rate: bool, expected: str) -> None:
    """Thousands are separated, shares are percentages, and nothing is wider than a label can be."""
    assert expected == number_text(value, rate=rate)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("bounce_rate", [0.0, 1.0, None], True),
        ("from_start", [0.2], True),
        ("rate", [0.5, 1.5], False),
        ("rate", [-0.5], False),
        ("rate", [None], False),
        ("average_order", [0.5], False),
        ("separate", [0.5], False),
    ],
)
def test_share_is_told_by_name_and_value(name: str, values: list[float | None], expected: bool) -> None:
    """An average that happens to be below one is not a percentage, and a growth of 1.5 is not either."""
    assert expected is is_rate(pl.Series(name, values, dtype=pl.Float64))


def test_decimals_are_written_as_numbers() -> None:
    """Money arrives as Decimal."""
    assert ["1.5", "-3"] == value_texts(pl.Series("n", [Decimal("1.50"), Decimal("-3")]))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (timedelta(days=1), ["2024-01-01", "2024-01-02", "∅"]),
        (timedelta(hours=1), ["2024-01-01 00:00", "2024-01-01 01:00", "∅"]),
        (timedelta(minutes=30), ["2024-01-01 00:00", "2024-01-01 00:30", "∅"]),
        (timedelta(seconds=1), ["2024-01-01 00:00:00", "2024-01-01 00:00:01", "∅"]),
    ],
)
def test_time_labels_are_short_and_tell_all_times_apart(step: timedelta, expected: list[str]) -> None:
    """Midnights lose their clock, whole minutes their seconds, and nothing else is lost."""
    assert expected == axis_texts(pl.Series([MIDNIGHT, MIDNIGHT + step, None]))


def test_half_past_midnight_keeps_its_clock() -> None:
    """Only midnight itself is written as a day."""
    assert ["2024-01-01 00:30"] == axis_texts(pl.Series([MIDNIGHT + timedelta(minutes=30)]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([200, 100, 25], ["", "50% of all, 50% of the step before", "12.5% of all, 25% of the step before"]),
        ([5, 0, 0], ["", "0% of all, 0% of the step before", "0% of all"]),
        ([0, 0], ["", ""]),
        ([None, 3], ["", ""]),
        ([4, None, 1], ["", "", "25% of all"]),
    ],
)
def test_funnel_shares_need_something_to_divide_by(values: list[float | None], expected: list[str]) -> None:
    """A step after an empty or missing one has no share of it."""
    assert expected == funnel_shares(values)
