"""Cutting a range of time into the slices of an export.

Borders lie on multiples of the slice's length since a Monday, 00:00 UTC, so that exports of overlapping ranges cut at
the same instants. All times are UTC: the length of a month or a change of clocks moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["DAY", "WEEK", "Slice", "cut", "halves", "uncovered"]

WEEK = timedelta(weeks=1)
"""The longest interval of one run. Source: file download API of batch exports, reference 7.1."""

DAY = timedelta(days=1)

_ANCHOR = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday


@dataclass(frozen=True, slots=True, order=True)
class Slice:
    """A half-open interval: `start` belongs to it, `end` does not. Both are in UTC."""

    start: datetime
    end: datetime

    def overlaps(self, other: Slice) -> bool:
        """Whether an instant lies in both."""
        return self.start < other.end and other.start < self.end


def cut(whole: Slice, length: timedelta = WEEK) -> tuple[Slice, ...]:
    """Return the slices of an interval, in order; together they are exactly it."""
    return tuple(_cut(whole, length))


def _cut(whole: Slice, length: timedelta) -> Iterator[Slice]:
    start, until = whole.start, whole.end
    while start < until:
        border = _ANCHOR + ((start - _ANCHOR) // length + 1) * length
        end = min(border, until)
        yield Slice(start, end)
        start = end


def uncovered(whole: Slice, covered: Iterable[Slice], length: timedelta = WEEK) -> tuple[Slice, ...]:
    """Return slices of everything in an interval that no slice of `covered` holds already."""
    gaps: list[Slice] = []
    start = whole.start
    for known in sorted(covered):
        if known.overlaps(whole):
            if start < known.start:
                gaps.append(Slice(start, known.start))
            start = max(start, known.end)
    if start < whole.end:
        gaps.append(Slice(start, whole.end))
    return tuple(piece for gap in gaps for piece in _cut(gap, length))


def halves(whole: Slice) -> tuple[Slice, Slice]:
    """Return two slices for one that took PostHog too long, cut at a whole second where there is one."""
    middle = whole.start + (whole.end - whole.start) / 2
    rounded = middle.replace(microsecond=0)
    middle = rounded if rounded > whole.start else middle
    return Slice(whole.start, middle), Slice(middle, whole.end)
