"""Ranges of time cut into buckets and slices."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_events.posthog.extract.windows import (
    Bucket,
    Histogram,
    Window,
    coarse,
    crowded,
    finer,
    microseconds,
    moment,
    pack,
)

DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("1970-01-01T00:00:00+00:00", 0),
        ("1969-12-31T23:59:59.999999+00:00", -1),
        ("2026-10-25T02:30:00.000001+02:00", 1_792_888_200_000_001),
        ("2026-10-25T02:30:00.000001+01:00", 1_792_891_800_000_001),
    ],
)
def test_moments_are_exact_microseconds(text: str, us: int) -> None:
    """Both passes of an hour that occurs twice keep their own microseconds, there and back."""
    at = datetime.fromisoformat(text)

    assert us == microseconds(at)
    assert at.astimezone(UTC) == moment(us)


@pytest.mark.parametrize(
    ("length", "width"),
    [(1, 1), (32_768, 1), (32_769, 2), (65_536, 2), (65_537, 4), (7 * DAY, 33_554_432)],
)
def test_the_first_count_uses_the_finest_buckets_that_fit_an_answer(length: int, width: int) -> None:
    """Widths are powers of two, and there are never more than 32,768 buckets."""
    assert Histogram(Window(5, 5 + length), origin=5, width=width) == coarse(Window(5, 5 + length))


def test_buckets_come_in_order_with_their_time() -> None:
    """Bucket numbers become windows, counted from the origin."""
    histogram = Histogram(Window(100, 150), origin=100, width=16)

    assert [Bucket(Window(100, 116), 3), Bucket(Window(132, 148), 1)] == histogram.buckets({2: 1, 0: 3})


def sized(*rows: int, width: int = 8) -> list[Bucket]:
    """Return neighbouring buckets with these rows."""
    return [Bucket(Window(n * width, (n + 1) * width), count) for n, count in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([], []),
        ([79, 1], []),
        ([80, 1], [80]),  # a page of 80 would be full, and so not known to be all
        ([80, 11, 10, 70], [80, 11, 70]),  # large ones are taken along
        ([60] * 8, []),  # eight pages instead of seven: one more count would cost as much
        ([60] * 9, [60] * 9),  # nine instead of seven
        ([10] * 16, []),
    ],
    ids=str,
)
def test_buckets_are_counted_again_if_that_is_needed_or_saves_requests(rows: list[int], chosen: list[int]) -> None:
    """With pages of 80 rows, a bucket above 10 is a large one."""
    buckets = sized(*rows)

    assert chosen == [bucket.rows for bucket in crowded(buckets, Window(0, 8 * len(rows) or 1), 80)]


def test_a_microsecond_cannot_be_counted_more_finely() -> None:
    """However many rows it holds."""
    assert [] == crowded(sized(99, 5, width=1), Window(0, 2), 80)


def test_finer_counts_lie_within_the_coarser_buckets_and_the_range() -> None:
    """Crowded buckets are taken apart by one request, as finely as an answer allows, and not beyond the range."""
    width = 1 << 20
    buckets = [Bucket(Window(3 + n * width, 3 + (n + 1) * width), 9) for n in (1, 4, 9)]

    asked = list(finer(Window(3, 3 + 9 * width + 50), buckets))

    # 32,768 // 3 buckets each, and the power of two below that is 8,192
    expected = Histogram(Window(3 + width, 3 + 9 * width + 50), 3, width // 8_192, (1, 4, 9), width)
    assert [expected] == asked


def test_finer_counts_end_at_one_microsecond() -> None:
    """A narrow bucket is not divided into less than microseconds."""
    (asked,) = finer(Window(0, 16), [Bucket(Window(0, 4), 9)])

    assert 1 == asked.width


def test_very_many_crowded_buckets_take_several_requests() -> None:
    """The bucket numbers of one request stay few enough for its text."""
    buckets = [Bucket(Window(n * 64, n * 64 + 64), 9) for n in range(2_500)]

    asked = list(finer(Window(0, 2_500 * 64), buckets))

    assert [1_000, 1_000, 500] == [len(histogram.parents) for histogram in asked]
    assert {2} == {histogram.width for histogram in asked}  # 64 us in 32 parts


def packed(rows: list[int], room: int = 100) -> list[int]:
    """Return the rows of the slices that buckets of these sizes are packed into."""
    buckets = [Bucket(Window(n, n + 1), count) for n, count in enumerate(rows)]
    return [part.rows for part in pack(buckets, Window(0, max(len(rows), 1)), lambda: room)]


@pytest.mark.parametrize(
    ("rows", "slices"),
    [
        ([], [0]),
        ([40, 59], [99]),
        ([40, 60], [40, 60]),  # a slice of 100 would fill its page, and need a second to see that it ends
        ([40, 30, 40], [70, 40]),
        ([10, 150], [160]),  # two pages either way for the 150, so the 10 come along
        ([60, 150], [60, 150]),
        ([250], [250]),
        ([60] * 5, [60, 60, 60, 60, 60]),
        ([130] * 4, [390, 130]),
    ],
    ids=str,
)
def test_buckets_are_joined_while_that_saves_requests(rows: list[int], slices: list[int]) -> None:
    """A slice is as large as its pages allow."""
    assert slices == packed(rows)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 500)), max_size=30), st.integers(2, 200))
def test_slices_cover_the_range_and_every_bucket(found: list[tuple[int, int]], room: int) -> None:
    """Slices follow each other without a gap from the start to the end of the range and lose no row."""
    buckets = [Bucket(Window(start, start + 1), rows) for start, rows in sorted(dict(found).items())]

    slices = list(pack(buckets, Window(0, 401), lambda: room))

    assert [0, *(part.window.until for part in slices)] == [*(part.window.since for part in slices), 401]
    assert sum(bucket.rows for bucket in buckets) == sum(part.rows for part in slices)
    separate = sum(bucket.rows // room + 1 for bucket in buckets)
    assert sum(part.rows // room + 1 for part in slices) <= max(separate, 1)


def test_a_smaller_page_takes_effect_at_once() -> None:
    """When pages turn out smaller on the way, the slices that follow are smaller."""
    rooms = iter([100, 100, 100, 50, 50, 50])
    buckets = [Bucket(Window(n, n + 1), 30) for n in range(6)]

    sizes = [part.rows for part in pack(buckets, Window(0, 6), lambda: next(rooms))]

    assert [90, 30, 30, 30] == sizes


def test_a_window_is_halved_down_to_one_second() -> None:
    """Below a second the number of events is not what makes a query slow."""
    assert (Window(0, 1_000_000), Window(1_000_000, 2_000_001)) == Window(0, 2_000_001).halves()
    assert Window(0, 1_999_999).halves() is None
