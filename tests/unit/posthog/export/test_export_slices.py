"""How a range is cut: exactly, without overlap, at the same instants whoever cuts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_events.posthog.export.slices import DAY, WEEK, Slice, cut, halves, uncovered

instants = st.datetimes(
    datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.sampled_from([UTC, ZoneInfo("Europe/Berlin")])
).map(lambda at: at.astimezone(UTC))
lengths = st.sampled_from([WEEK, DAY])
spans = st.builds(
    lambda start, seconds: Slice(start, start + timedelta(seconds=seconds)),
    instants,
    st.floats(1e-3, 90 * 86_400),
)


@given(spans, lengths)
def test_slices_are_exactly_the_range(whole: Slice, length: timedelta) -> None:
    """Each slice begins where the one before it ends, from the first instant to the last."""
    slices = cut(whole, length)

    assert whole.start == slices[0].start
    assert whole.end == slices[-1].end
    assert [piece.end for piece in slices[:-1]] == [piece.start for piece in slices[1:]]
    assert all(timedelta(0) < piece.end - piece.start <= length for piece in slices)


@given(spans, spans)
def test_overlapping_ranges_are_cut_at_the_same_instants(one: Slice, other: Slice) -> None:
    """An inner border of one range that lies inside the other is a border there too."""
    inner = {piece.start for piece in cut(one)[1:] if other.start < piece.start < other.end}

    assert inner <= {piece.start for piece in cut(other)}


@given(spans, st.lists(spans, max_size=4), lengths)
def test_what_is_missing_completes_what_is_there(whole: Slice, wished: list[Slice], length: timedelta) -> None:
    """Slices there and slices missing cover the range, and no two of them overlap."""
    there: list[Slice] = []
    for span in wished:
        there += uncovered(span, there)
    missing = uncovered(whole, there, length)
    everything = sorted([*missing, *(piece for piece in there if piece.overlaps(whole))])

    assert everything[0].start <= whole.start
    assert everything[-1].end >= whole.end
    assert [piece.end for piece in everything[:-1]] == [piece.start for piece in everything[1:]]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 4, 3, tzinfo=UTC), id="clocks go forward"),
        pytest.param(datetime(2026, 10, 23, tzinfo=UTC), datetime(2026, 10, 30, tzinfo=UTC), id="clocks go back"),
        pytest.param(datetime(2028, 2, 27, tzinfo=UTC), datetime(2028, 3, 2, tzinfo=UTC), id="leap day"),
    ],
)
def test_days_have_24_hours(start: datetime, end: datetime) -> None:
    """Neither a change of clocks nor the end of a month moves a border."""
    days = cut(Slice(start, end), DAY)

    assert [start + timedelta(days=number) for number in range((end - start).days)] == [day.start for day in days]
    assert {timedelta(hours=24)} == {day.end - day.start for day in days}


def test_weeks_begin_on_monday() -> None:
    """A range from Wednesday to Tuesday is cut on the Monday between."""
    whole = Slice(datetime(2026, 5, 6, 12, tzinfo=UTC), datetime(2026, 5, 12, 1, tzinfo=UTC))

    assert (
        Slice(whole.start, datetime(2026, 5, 11, tzinfo=UTC)),
        Slice(datetime(2026, 5, 11, tzinfo=UTC), whole.end),
    ) == cut(whole)


@given(spans)
def test_halves_are_the_whole(whole: Slice) -> None:
    """Two halves meet inside the slice."""
    first, second = halves(whole)

    assert (whole.start, whole.end) == (first.start, second.end)
    assert first.start < first.end == second.start < second.end
