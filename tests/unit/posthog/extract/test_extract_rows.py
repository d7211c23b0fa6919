"""The course of an extraction: requests, order, progress, splits, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from posthog_events.errors import EngineError, IncompleteExtraction, ParameterError, QueryTimeout
from posthog_events.posthog.extract import Extraction, Progress, SliceProof
from posthog_events.posthog.extract.ordered import in_order
from posthog_events.posthog.extract.rows import extract_from
from posthog_events.posthog.extract.windows import Page, microseconds, moment
from tests.helpers.event_engine import Event, ModelSource, event

SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
START = microseconds(SINCE)
MINUTE = 60_000_000


def minutely(count: int, *, each: int = 1) -> list[Event]:
    """Return some events for each of the first minutes of the day."""
    return [event(START + n // each * MINUTE, n) for n in range(count * each)]


def extraction(source: ModelSource, **options: Any) -> Extraction:
    """Begin to extract the day in pages of ten rows."""
    settings = {"since": SINCE, "until": UNTIL, "width": 1, "page_rows": 10, "rounds": 2, **options}
    return extract_from(source, **settings)


def test_requests_are_the_pages_and_three_more() -> None:
    """Beyond its pages an extraction asks for the time, the count before and the count after."""
    source = ModelSource(minutely(90))

    found = extraction(source)
    rows = found.frame().height

    assert 90 == rows
    # nine rows fit a page of ten, because a full one would not show that it is the last
    assert 10 + 3 == source.requests == found.proof.requests


def test_one_instant_with_many_pages_is_read_by_its_key() -> None:
    """Rows that no window of time can separate take no more requests than their pages, and two finer counts."""
    source = ModelSource([event(START, n) for n in range(95)])

    assert 95 == extraction(source).frame().height
    # the day is counted in buckets of 4 s, those in ones of 128 us (4.2 s / 32,768), those in ones of 1 us
    assert 10 + 3 + 2 == source.requests


def test_progress_counts_rows_and_requests() -> None:
    """What is reported begins with nothing known and ends with everything."""
    seen: list[Progress] = []

    extraction(ModelSource(minutely(18)), on_progress=seen.append).frame()

    assert Progress(rows=0, of=0, requests=1) == seen[0]
    assert Progress(rows=0, of=18, requests=2) == seen[1]
    assert Progress(rows=18, of=18, requests=5) == seen[-1]
    assert sorted(step.rows for step in seen) == [step.rows for step in seen]


def test_chunks_come_in_order_although_pages_do_not() -> None:
    """A slice that takes longer than its successors is still the first, and no more wait behind it than allowed."""
    source = SlowStart(minutely(90))

    chunks = list(extraction(source, width=3))

    assert sorted(chunk.since for chunk in chunks) == [chunk.since for chunk in chunks]
    assert 90 == sum(chunk.frame.height for chunk in chunks)
    assert source.overtaken == 3


class SlowStart(ModelSource):
    """Answers the first page when three others have been answered."""

    overtaken = 0

    def page(self, page: Page) -> Any:
        if page.window.since > START:
            self.overtaken += not self.finished.is_set()
            if self.overtaken == 3:
                self.finished.set()
        elif not self.finished.wait(timeout=10):
            raise AssertionError("nothing else is fetched while the first page takes long")
        return super().page(page)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.finished = threading.Event()


def test_a_slow_consumer_is_not_buried() -> None:
    """Work is begun a few items ahead of the one that was taken, not all at once, and all of it is done in the end."""
    begun: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            begun.append(number)
            yield number

    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, lambda number: number * 2, items(), ahead=3)
        first = [next(results), next(results)]
        begun_so_far = len(begun)
        rest = list(results)

    assert [(0, 0), (1, 2)] == first
    assert 4 == begun_so_far
    assert [(number, number * 2) for number in range(2, 100)] == rest


def test_a_slice_that_was_too_heavy_makes_the_next_ones_smaller() -> None:
    """After a failure the slices that follow are cut to what the server bore, instead of failing one by one."""
    source = Weak(minutely(900), bearable=5 * MINUTE)

    found = extraction(source)

    assert 900 == found.frame().height
    assert source.refused <= 4


class Weak(ModelSource):
    """Gives up on pages over a long window that holds anything."""

    def __init__(self, events: list[Event], bearable: int) -> None:
        super().__init__(events)
        self.bearable, self.refused = bearable, 0

    def page(self, page: Page) -> Any:
        rows = self._inside(page.window)
        if rows and rows[-1].timestamp - page.window.since > self.bearable:
            self.refused += 1
            self.requests += 1
            raise QueryTimeout("too slow", code=504)
        return super().page(page)


def test_a_query_that_is_always_too_heavy_fails_with_advice() -> None:
    """After halving down to about a second the error says what could be lighter."""

    def fail(source: ModelSource, number: int, kind: str) -> None:
        if kind == "page":
            raise QueryTimeout("ran longer than 10 s", code=504)

    source = ModelSource(minutely(3), before=fail)

    with pytest.raises(QueryTimeout, match=r"^ran longer than 10 s\. .*select fewer columns") as caught:
        extraction(source).frame()

    assert 504 == caught.value.code
    assert source.requests < 25


def test_other_errors_pass_unchanged_and_end_the_extraction() -> None:
    """What halving cannot help is not tried again, and there is no proof of what was not finished."""

    def fail(source: ModelSource, number: int, kind: str) -> None:
        if number == 5:
            raise EngineError("no such column")

    running = extraction(ModelSource(minutely(90), before=fail))

    with pytest.raises(EngineError, match=r"^no such column$"):
        running.frame()
    with pytest.raises(RuntimeError, match="last chunk"):
        _ = running.proof


def test_the_proof_names_duplicates_late_and_deleted_events_by_slice() -> None:
    """Every number of the proof can be found again in the history of the source."""
    doubled, deleted, late = event(START + 1, 1), event(START + 2, 2), event(START + 3, 3)

    def change(source: ModelSource, number: int, kind: str) -> None:
        if kind == "tally" and late not in source.events:
            source.remove([deleted.uuid])
            source.add([late, event(START + 4, 4)])

    found = extraction(ModelSource([doubled, doubled, deleted], before=change))
    frames = [(chunk.late, chunk.frame["id"].to_list()) for chunk in found]

    assert [(False, [doubled.uuid, deleted.uuid]), (True, [late.uuid, event(START + 4, 4).uuid])] == frames
    assert (deleted.uuid,) == found.withdrawn
    assert (
        SliceProof(since=SINCE, until=UNTIL, counted=3, received=3, duplicates=1, late=2, withdrawn=1),
    ) == found.proof.slices
    assert str(found.proof) == (
        "3 events received, 3 counted by the server, in 1 slice from 2026-01-01T00:00:00+00:00 to "
        "2026-01-02T00:00:00+00:00, 1 duplicates dropped, 2 late, 1 deleted meanwhile; 6 requests"
    )


def test_an_event_that_comes_and_goes_is_handed_out_once() -> None:
    """A server whose copies disagree for a while does not make an event come twice."""
    flapping, steady = event(START, 1), event(START, 2)
    seen = {"tally": 0}

    def flap(source: ModelSource, number: int, kind: str) -> None:
        seen["tally"] += kind == "tally"
        if kind == "tally":
            source.events = [steady] if seen["tally"] == 1 else sorted([steady, flapping])

    found = extraction(ModelSource([flapping, steady], before=flap))
    handed = [uuid for chunk in found for uuid in chunk.frame["id"]]

    assert sorted([flapping.uuid, steady.uuid]) == sorted(handed)
    assert () == found.withdrawn


def test_no_rounds_still_count() -> None:
    """Without rounds nothing is fetched again, but a difference is found and named."""

    def arrive(source: ModelSource, number: int, kind: str) -> None:
        if kind == "tally":
            source.add([event(START, 99)])

    with pytest.raises(IncompleteExtraction, match=r"^day: .* 1 slice after fetching again 0 times .*1 counted, 0 rec"):
        extraction(ModelSource([], before=arrive), rounds=0, name="day").frame()


def test_the_end_is_the_servers_now_when_that_is_earlier() -> None:
    """Rows beyond the server's time are not asked for, and the proof says where it ends."""
    source = ModelSource(minutely(90), server_now=START + 30 * MINUTE)

    found = extraction(source)

    assert 30 == found.frame().height
    assert (moment(START + 30 * MINUTE), UNTIL) == (found.proof.until, found.proof.asked_until)


def test_a_range_in_the_future_is_refused() -> None:
    """Nothing can be said of a range that has not begun."""
    with pytest.raises(ParameterError, match="future of the server"):
        extraction(ModelSource([], server_now=START)).frame()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"since": SINCE.replace(tzinfo=None)}, "since=2026-01-01T00:00:00 has no time zone"),
        ({"until": UNTIL.replace(tzinfo=None)}, "until=2026-01-02T00:00:00 has no time zone"),
        ({"until": SINCE}, "is not before"),
        ({"width": 0}, "width=0 is out of bounds"),
        ({"page_rows": 50_001}, "page_rows=50,001 is out of bounds: 2 to 50,000"),
        ({"page_rows": 1}, "page_rows=1 is out of bounds"),
        ({"rounds": -1}, "rounds=-1 is out of bounds: 0 or more"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_asked(options: dict[str, Any], message: str) -> None:
    """The mistake is named, and no request is spent on it."""
    source = ModelSource([])

    with pytest.raises(ParameterError, match=message):
        extraction(source, **options)

    assert 0 == source.requests
