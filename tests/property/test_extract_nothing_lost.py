"""The law of extraction: it ends with exactly the source's events, or it says that it did not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_events.errors import IncompleteExtraction, MemoryExceeded, QueryTimeout
from posthog_events.posthog.extract import Chunk, Proof
from posthog_events.posthog.extract.rows import extract_from
from posthog_events.posthog.extract.source import Source
from posthog_events.posthog.extract.windows import Cursor, Page, Window, microseconds, moment
from tests.helpers.event_engine import Event, ModelSource, event

# The clocks of Europe go forward on the 29th and back in October; both ranges end in another month than they begin.
RANGES = [
    ("2026-03-28T23:00:00+01:00", "2026-04-02T00:00:00+02:00"),
    ("2026-10-24T00:00:00+02:00", "2026-11-01T00:00:00+01:00"),
    ("2026-01-31T23:59:59.999990+00:00", "2026-02-01T00:00:00.000020+00:00"),
]

Disturbance = Callable[[ModelSource, int, str], None]


@st.composite
def histories(draw: st.DrawFn) -> tuple[Window, list[Event]]:
    """A range of time and events inside it, at its edges and beyond: scattered, tied, and in bursts."""
    since, until = (microseconds(datetime.fromisoformat(text)) for text in draw(st.sampled_from(RANGES)))
    stamps = draw(st.lists(st.integers(since - 10, until + 10), max_size=40))
    stamps += draw(st.lists(st.sampled_from([since - 1, since, since + 1, until - 1, until]), max_size=5))
    for at in draw(st.lists(st.integers(since, until - 1), max_size=3)):
        burst = draw(st.integers(2, 80))
        stamps += [min(at + offset, until - 1) for offset in draw(st.lists(st.integers(0, 3), max_size=9))]
        stamps += [at] * burst
    events = [event(at, number) for number, at in enumerate(stamps, start=1)]
    repeated = draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    return Window(since, until), events + repeated


def extracted(source: Source, window: Window, **options: Any) -> tuple[list[Chunk], Proof, tuple[str, ...]]:
    """Run an extraction with pages of eight rows to its end."""
    extraction = extract_from(
        source,
        since=moment(window.since),
        until=moment(window.until),
        **{"width": 3, "page_rows": 8, "rounds": 3, **options},
    )
    chunks = list(extraction)
    return chunks, extraction.proof, extraction.withdrawn


def uuids_within(source: ModelSource, window: Window) -> list[str]:
    """Return every uuid of the window once, sorted."""
    return sorted({row.uuid for row in source.events if window.since <= row.timestamp < window.until})


def in_order(source: ModelSource, window: Window) -> list[str]:
    """Return every uuid of the window once, in the order of its rows."""
    return list(dict.fromkeys(row.uuid for row in source.events if window.since <= row.timestamp < window.until))


def received(chunks: list[Chunk]) -> list[str]:
    """Return every uuid that was handed out, as often as it was, sorted."""
    return sorted(uuid for chunk in chunks for uuid in chunk.frame["id"])


@settings(max_examples=80, deadline=None)
@given(histories(), st.integers(1, 4), st.integers(2, 9))
def test_a_quiet_source_is_extracted_exactly(history: tuple[Window, list[Event]], width: int, page_rows: int) -> None:
    """Ties across page borders, bursts in one microsecond, doubles and edges: each event comes once, in order."""
    window, events = history
    source = ModelSource(events)

    chunks, proof, withdrawn = extracted(source, window, width=width, page_rows=page_rows)

    assert in_order(source, window) == [uuid for chunk in chunks for uuid in chunk.frame["id"]]
    assert (proof.counted, proof.received) == (len(received(chunks)),) * 2
    assert [moment(window.since), *(chunk.until for chunk in chunks)] == [
        *(chunk.since for chunk in chunks),
        moment(window.until),
    ]
    assert not withdrawn
    assert not any(chunk.late for chunk in chunks)


@settings(max_examples=60, deadline=None)
@given(
    histories(),
    st.dictionaries(st.integers(1, 40), st.sets(st.integers(0, 10**12), min_size=1, max_size=20), max_size=3),
)
def test_late_arrivals_are_delivered(history: tuple[Window, list[Event]], arrivals: dict[int, set[int]]) -> None:
    """Events that arrive between any two requests are in the result, if they were there to be counted at the end."""
    window, events = history
    when_counted: list[list[str]] = []

    def arrive(source: ModelSource, number: int, kind: str) -> None:
        for offset in arrivals.get(number, ()):
            at = window.since + offset % (window.until - window.since)
            source.add([event(at, 10**15 * number + offset)])
        if kind == "tally":
            when_counted.append(uuids_within(source, window))

    source = ModelSource(events, before=arrive)

    chunks, proof, _ = extracted(source, window, rounds=6)
    handed = received(chunks)

    assert len(handed) == len(set(handed))
    assert set(when_counted[0]) <= set(handed) <= set(uuids_within(source, window))
    assert proof.counted == proof.received == len(handed)


@settings(max_examples=60, deadline=None)
@given(histories(), st.dictionaries(st.integers(2, 30), st.integers(0, 10**6), max_size=3))
def test_deleted_events_are_left_out_or_named(history: tuple[Window, list[Event]], deletions: dict[int, int]) -> None:
    """What is handed out and not named as withdrawn was there when it was counted, and nothing else was."""
    window, events = history
    when_counted: list[list[str]] = []

    def delete(source: ModelSource, number: int, kind: str) -> None:
        if number in deletions and source.events:
            source.remove([source.events[deletions[number] % len(source.events)].uuid])
        if kind == "tally":
            when_counted.append(uuids_within(source, window))

    source = ModelSource(events, before=delete)

    chunks, proof, withdrawn = extracted(source, window, rounds=6)
    handed = received(chunks)

    assert len(handed) == len(set(handed))
    assert set(uuids_within(source, window)) <= set(handed) - set(withdrawn) <= set(when_counted[0])
    assert proof.withdrawn == len(withdrawn)


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(3, 5), st.sampled_from([QueryTimeout, MemoryExceeded]))
def test_queries_that_are_too_heavy_are_split(
    history: tuple[Window, list[Event]], bearable: int, error: type[QueryTimeout]
) -> None:
    """A server that gives up on any window with many different moments in it still gives all of its events."""
    window, events = history
    source = HeavySource(events, bearable, error)

    chunks, _, _ = extracted(source, window)

    assert in_order(source, window) == [uuid for chunk in chunks for uuid in chunk.frame["id"]]


class HeavySource(ModelSource):
    """Fails pages with events of too many different seconds, and counts of too many windows."""

    def __init__(self, events: list[Event], bearable: int, error: type[QueryTimeout]) -> None:
        super().__init__(events)
        self.bearable, self.error = bearable, error

    def page(self, page: Page) -> Any:
        seconds = {row.timestamp // 1_000_000 for row in self._inside(page.window)}
        if len(seconds) > self.bearable:
            self.requests += 1
            raise self.error("too heavy", code=504)
        return super().page(page)

    def tally(self, windows: Any) -> Any:
        if len(windows) > self.bearable:
            self.requests += 1
            raise self.error("too heavy", code=504)
        return super().tally(windows)


def test_a_source_that_never_rests_is_reported() -> None:
    """When events of a slice keep arriving, the extraction fails and names the slice and its numbers."""
    at = microseconds(datetime.fromisoformat("2026-01-01T12:00:00+00:00"))
    window = Window(at - 10, at + 10)

    def arrive(source: ModelSource, number: int, kind: str) -> None:
        if kind == "tally":
            source.add([event(at, 1_000 + number)])

    with pytest.raises(IncompleteExtraction, match=r"3 times .*4 counted, 3 received.*arriving"):
        extracted(ModelSource([], before=arrive), window)


def test_a_cursor_of_time_alone_loses_events() -> None:
    """The paging that PostHog's documentation suggests is shown to fail here: the law above can be broken."""
    at = microseconds(datetime.fromisoformat("2026-01-01T12:00:00+00:00"))
    window = Window(at, at + 10)
    tied = ModelSource([event(at + number // 6, number) for number in range(24)])

    naive: list[str] = []
    start = window.since
    while (page := tied.page(Page(Window(start, window.until), 8))).frame.height:
        naive += page.uuids.to_list()
        start = page.timestamps[-1] + 1
    chunks, _, _ = extracted(tied, window)

    assert 24 == len(received(chunks))
    assert len(set(naive)) < 24


class TimeCursorSource(ModelSource):
    """Continues a page after the timestamp of its last row, whatever that row's uuid."""

    def page(self, page: Page) -> Any:
        if page.after is not None:
            page = Page(Window(page.after.timestamp + 1, page.window.until), page.limit)
        return super().page(page)


def test_rows_lost_between_pages_do_not_pass_the_proof() -> None:
    """With a cursor of time alone inside it, extraction fails instead of returning less."""
    at = microseconds(datetime.fromisoformat("2026-01-01T12:00:00+00:00"))

    with pytest.raises(IncompleteExtraction, match="24 counted, 8 received"):
        extracted(TimeCursorSource([event(at, number) for number in range(24)]), Window(at - 10, at + 10))


def test_a_uuid_order_of_pythons_loses_events() -> None:
    """ClickHouse orders UUIDs by their second half, so a client that compares them itself skips some."""
    events = sorted(event(0, number) for number in range(24))
    ours = sorted(row.uuid for row in events)

    after = ModelSource(list(events)).page(Page(Window(0, 1), 24, Cursor(0, ours[11])))

    assert set(ours[12:]) != set(after.uuids)
