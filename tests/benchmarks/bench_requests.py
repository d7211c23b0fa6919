"""How many requests it takes to extract events, against the least possible and a client that reads day by day.

    python tests/benchmarks/bench_requests.py
    python tests/benchmarks/bench_requests.py --rows 50_000_000

Thirty days of simulated events, in memory. The least is a full page of 50,000 rows per request. The naive client asks
for one day at a time and continues a full page after the timestamp of its last row, as PostHog's documentation
suggests; what it loses is counted. Prints one line per case, and at the end the peak memory of the process.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from posthog_events.limits import MAX_ROWS
from posthog_events.posthog.extract.rows import extract_from
from posthog_events.posthog.extract.source import Count, Rows
from posthog_events.posthog.extract.windows import Histogram, Page, Window, microseconds

SINCE, DAYS = datetime(2026, 3, 15, tzinfo=UTC), 30
DAY_US = 86_400_000_000
START, LENGTH = microseconds(SINCE), DAYS * DAY_US


def uniform(rows: int) -> pl.Series:
    """The same rate at all times."""
    return pl.Series([random.randrange(LENGTH) for _ in range(rows)])


def daily(rows: int) -> pl.Series:
    """Busy days and quiet nights, and little at weekends."""
    hours = [2 if day % 7 > 4 else (10 if 8 <= hour < 20 else 1) for day in range(DAYS) for hour in range(24)]
    chosen = random.choices(range(DAYS * 24), hours, k=rows)
    return pl.Series([hour * DAY_US // 24 + random.randrange(DAY_US // 24) for hour in chosen])


def bursts(rows: int) -> pl.Series:
    """Half of the rows in ten bursts of two minutes."""
    starts = [random.randrange(LENGTH - 120_000_000) for _ in range(10)]
    busy = [random.choice(starts) + random.randrange(120_000_000) for _ in range(rows // 2)]
    return pl.concat([uniform(rows - rows // 2), pl.Series(busy)])


def instants(rows: int) -> pl.Series:
    """A third of the rows with three timestamps, as an import with whole days leaves them; the rest whole seconds."""
    days = [random.randrange(DAYS) * DAY_US for _ in range(3)]
    tied = [days[number % 3] for number in range(rows // 3)]
    return pl.concat([uniform(rows - rows // 3) // 1_000_000 * 1_000_000, pl.Series(tied)])


SHAPES: Mapping[str, Callable[[int], pl.Series]] = {
    function.__name__: function for function in (uniform, daily, bursts, instants)
}


class Simulated:
    """A `Source` whose events are numbered in their order; the uuid of an event is its number."""

    def __init__(self, offsets: pl.Series) -> None:
        self.timestamps = (offsets.sort() + START).cast(pl.Int64)
        self.requests = 0

    def now(self) -> int:
        self.requests += 1
        return START + 2 * LENGTH

    def histogram(self, histogram: Histogram) -> Mapping[int, int]:
        self.requests += 1
        first, last = self._range(histogram.window)
        offsets = self.timestamps[first:last] - histogram.origin
        if histogram.parents:
            offsets = offsets.filter((offsets // histogram.parent_width).is_in(list(histogram.parents)))
        counts = (offsets // histogram.width).value_counts()
        assert counts.height <= MAX_ROWS
        return dict(counts.iter_rows())

    def page(self, page: Page) -> Rows:
        self.requests += 1
        first, last = self._range(page.window)
        if page.after is not None:
            first = max(first, int(page.after.uuid.replace("-", "")) + 1)
        last = min(last, first + page.limit)
        numbers = pl.int_range(first, last, eager=True).alias("id")
        text = numbers.cast(pl.String).str.zfill(32).str.replace(r"(.{8})(.{4})(.{4})(.{4})", "$1-$2-$3-$4-")
        return Rows(numbers.to_frame(), self.timestamps[first:last], text)

    def tally(self, windows: Sequence[Window]) -> Sequence[Count]:
        self.requests += 1
        counts = [last - first for first, last in map(self._range, windows)]
        return [Count(count, count) for count in counts]

    def _range(self, window: Window) -> tuple[int, int]:
        return self._first(window.since), self._first(window.until)

    def _first(self, at: int) -> int:
        return int(self.timestamps.search_sorted(at, "left"))


def naive(source: Simulated) -> int:
    """Read day by day, after the timestamp of the last row; return how many rows arrive."""
    received = 0
    for day in range(DAYS):
        since, until = START + day * DAY_US, START + (day + 1) * DAY_US
        while True:
            rows = source.page(Page(Window(since, until), MAX_ROWS))
            received += rows.frame.height
            if rows.frame.height < MAX_ROWS:
                break
            since = rows.timestamps[-1] + 1
    return received


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 5_000_000])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    options = parser.parse_args()
    random.seed(1)
    print(f"{'shape':<10}{'rows':>12}{'least':>7}{'ours':>7}{'ratio':>7}{'naive':>7}{'naive lost':>12}{'seconds':>9}")
    for shape in options.shapes:
        for rows in options.rows:
            simulated = Simulated(SHAPES[shape](rows))
            started = time.perf_counter()
            extraction = extract_from(
                simulated,
                since=SINCE,
                until=SINCE + timedelta(days=DAYS),
                width=3,
                page_rows=MAX_ROWS,
                rounds=3,
            )
            received = sum(chunk.frame.height for chunk in extraction)
            seconds = time.perf_counter() - started
            assert received == extraction.proof.received == extraction.proof.counted == rows
            ours, least = simulated.requests, -(-rows // MAX_ROWS)
            simulated.requests = 0
            lost = rows - naive(simulated)
            print(
                f"{shape:<10}{rows:>12,}{least:>7,}{ours:>7,}{ours / least:>7.2f}"
                f"{simulated.requests:>7,}{lost:>12,}{seconds:>9.1f}"
            )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
