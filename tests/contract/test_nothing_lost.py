"""Extraction and listing over the emulator end with exactly the source's events, or with an error.

What goes wrong is in `tests.helpers.lost_and_found`: the events are chosen to be lost, and every request of a run meets
every fault. The client waits by a clock that nobody has to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthog_events.errors import IncompleteExtraction, NotAuthorised, PostHogEventsError
from posthog_events.posthog.event_walk import EventWalk
from posthog_events.posthog.extract import Extraction
from posthog_events.posthog.http import Request
from posthog_events.posthog.project import Project
from tests.helpers.lost_and_found import (
    HISTORIES,
    MICROSECOND,
    NOW,
    TOLD,
    TROUBLES,
    WAITED_OUT,
    Event,
    History,
    Killed,
    Scene,
    Trouble,
    at_every_request,
    dies_at,
    events_at,
    history,
    stage,
    trouble,
)

LISTED_PAGE = 10

BRIEF = history("Europe/Berlin", "2026-10-24", "2026-11-01", seed=5, scattered=2, burst=9)
"""Fewer events: a burst of more than a page, the change of clocks, the edges."""

TINY = history("Europe/Berlin", "2026-10-24", "2026-10-26", seed=8, scattered=0, burst=5)
"""Few events, for what is done at every request."""


@pytest.fixture(scope="module", params=HISTORIES)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Serve each history."""
    with stage(HISTORIES[request.param]) as scene:
        yield scene


@pytest.fixture(scope="module")
def brief() -> Iterator[Scene]:
    """Serve the short history."""
    with stage(BRIEF) as scene:
        yield scene


@pytest.fixture(scope="module")
def tiny() -> Iterator[Scene]:
    """Serve the shortest history."""
    with stage(TINY) as scene:
        yield scene


@pytest.fixture(autouse=True)
def small_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the events listing for pages of a few events."""
    monkeypatch.setattr("posthog_events.posthog.events.EventWalk", partial(EventWalk, page_rows=LISTED_PAGE))


def received(extraction: Extraction) -> list[str]:
    """Return every uuid that was handed out, as often as it was, sorted; the proof has to agree."""
    uuids = [uuid for chunk in extraction for uuid in chunk.frame["uuid"]]
    proof = extraction.proof
    assert (len(uuids),) * 2 == (proof.received + proof.withdrawn, proof.counted + proof.withdrawn)
    return sorted(uuids)


def extracted(project: Project, past: History) -> list[str]:
    """Extract the range of a history."""
    return received(project.events(since=past.since, until=past.until, select=["uuid", "properties"]))


def listed(project: Project, past: History) -> list[str]:
    """List the range of a history, and count it."""
    listing = project.list_events(since=past.since, until=past.until)
    assert listing.verified
    return sorted(listing.frame["uuid"])


ROUTES: dict[str, Callable[[Project, History], list[str]]] = {"extract": extracted, "list": listed}


@pytest.mark.parametrize("route", ROUTES)
def test_every_event_comes_once(scene: Scene, route: str) -> None:
    """Ties across page borders, bursts in one microsecond, changes of clocks and months, and the edges of the range."""
    assert scene.history.happened() == ROUTES[route](scene.project(), scene.history)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("page_rows", [2, 9, 10, 18])
def test_page_borders_fall_anywhere(brief: Scene, route: str, page_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of a page, and so whichever events stand at its border, each event comes once."""
    monkeypatch.setattr("posthog_events.posthog.events.EventWalk", partial(EventWalk, page_rows=page_rows))
    project = brief.project()
    project.page_rows = page_rows

    assert BRIEF.happened() == ROUTES[route](project, BRIEF)


@pytest.mark.parametrize("route", ROUTES)
def test_windows_of_local_days_share_nothing_and_miss_nothing(scene: Scene, route: str) -> None:
    """The local days of the range, of 23, 24 and 25 hours, hold together what the range holds."""
    past, project = scene.history, scene.project()
    project.page_rows = 30
    midnights = [past.since.astimezone(scene.zone)]
    while midnights[-1] < past.until:
        # the same time of the next day on the wall, which is not always 24 hours later
        midnights.append(midnights[-1] + timedelta(days=1))
    together: list[str] = []

    for since, until in pairwise(midnights):
        day = History(past.zone, since, until, past.events)
        found = ROUTES[route](project, day)
        assert day.happened() == found
        together += found

    assert past.happened() == sorted(together)


# the others in the slow sweep below
USUAL = [it for it in WAITED_OUT if it.kind in ("rate", "503", "truncated")]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("it", USUAL, ids=str)
def test_a_fault_at_each_request_is_survived(tiny: Scene, route: str, it: Trouble) -> None:
    """A server that fails, delays or cuts every other answer is waited out; so each request of the run suffers once."""
    tiny.restore()
    tiny.faults.fired = 0
    project = tiny.project()
    project.width = 1
    for nth in range(1, 80, 2):
        tiny.faults.add(it.kind, nth=nth, **dict(it.options))

    assert TINY.happened() == ROUTES[route](project, TINY)
    assert tiny.faults.fired >= 4


EVERYWHERE = [trouble("reset-after")]
TOLD_EVERYWHERE = [it for it in TOLD if it.kind == "extra-column"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("it", [*EVERYWHERE, *TOLD_EVERYWHERE], ids=str)
def test_a_fault_at_any_request_loses_nothing(tiny: Scene, route: str, it: Trouble) -> None:
    """One failure, wherever it happens, is survived or told; what follows an error is complete."""
    survived = at_every_request(tiny, it, lambda _: check(tiny, route))

    assert survived >= (6 if it.survived else 0)


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("it", TROUBLES, ids=str)
def test_every_fault_at_every_request_loses_nothing(brief: Scene, route: str, it: Trouble) -> None:
    """As before, for every fault, and more requests."""
    at_every_request(brief, it, lambda _: check(brief, route))


def check(scene: Scene, route: str) -> None:
    """Run once, and compare."""
    assert scene.history.happened() == ROUTES[route](scene.project(), scene.history)


@pytest.mark.parametrize("kind", ["504", "512", "513"])
def test_a_query_that_is_too_heavy_is_asked_for_in_parts(brief: Scene, kind: str) -> None:
    """Pages that PostHog cannot bear are split and not given up: the fault hits the first page, which spans hours."""
    brief.restore()
    brief.faults.add(kind, nth=first_page(brief))

    assert BRIEF.happened() == extracted(brief.project(), BRIEF)
    assert brief.faults.fired
    brief.restore()


def first_page(scene: Scene) -> int:
    """Return the position of the first request for rows, which selects the properties and groups nothing."""
    found: list[int] = []

    def note(number: int, request: Request) -> None:
        body = request.json() if callable(request.json) else request.json
        text = body["query"]["query"] if body else ""
        if "properties" in text and "GROUP BY" not in text:
            found.append(number)

    project = scene.project(before=note)
    project.width = 1
    extracted(project, scene.history)
    return found[0]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    route=st.sampled_from(sorted(ROUTES)),
    seed=st.integers(0, 10_000),
    kinds=st.lists(st.sampled_from(TROUBLES), min_size=1, max_size=4, unique=True),
    probability=st.sampled_from([0.05, 0.2, 0.4]),
    page_rows=st.integers(2, 30),
    width=st.integers(1, 4),
    bounds=st.tuples(st.integers(0, 60), st.integers(0, 60)),
)
def test_faults_at_random_lose_nothing(
    brief: Scene,
    route: str,
    seed: int,
    kinds: list[Trouble],
    probability: float,
    page_rows: int,
    width: int,
    bounds: tuple[int, int],
) -> None:
    """Any mixture of faults over any part of the range ends with its events, or with an error."""
    moments = sorted({event.at for event in BRIEF.events} | {BRIEF.since, BRIEF.until})
    since, until = sorted(moments[number % len(moments)] for number in bounds)
    part = History(BRIEF.zone, since, max(until, since + MICROSECOND), BRIEF.events)
    brief.restore()
    brief.faults.__init__(seed=seed)  # type: ignore[misc]  # a new seed for the same server
    for kind in kinds:
        brief.faults.add(kind.kind, probability=probability / len(kinds), **dict(kind.options))
    project = brief.project()
    project.page_rows, project.width = page_rows, width

    try:
        found = ROUTES[route](project, part)
    except PostHogEventsError:
        brief.restore()
        found = ROUTES[route](project, part)
    finally:
        brief.restore()

    assert part.happened() == found


@pytest.mark.parametrize("route", ROUTES)
def test_events_that_arrive_meanwhile_are_delivered(route: str) -> None:
    """Events that reach the server between any two requests come too, if they were there to be counted at the end."""
    past = history("America/St_Johns", "2026-10-30", "2026-11-02", seed=6, scattered=10, burst=9)
    newcomers, moments = latecomers(past), {2, 3, 5, 8, 9}
    when_counted: list[str] = []

    with stage(past) as scene:

        def arrive(number: int, request: Request) -> None:
            if number in moments:
                scene.store(next(newcomers))
            if not when_counted and is_count(request, route):
                when_counted.extend(scene.uuids())

        found = ROUTES[route](scene.project(before=arrive), past)
        inside = set(past.happened())
        at_the_end = set(scene.uuids())

    outside = {event.uuid for event in past.events} - inside
    assert set(when_counted) - outside <= set(found) <= at_the_end - outside
    assert len(found) == len(set(found))
    assert len(set(found) - inside) == len(moments)


def latecomers(past: History) -> Iterator[Event]:
    """Yield events all over the range: beside the others, in the crowd, and at the edges."""
    crowd = max(past.events, key=lambda event: sum(other.at == event.at for other in past.events)).at
    number = 10_000
    while True:
        spread = past.since + (past.until - past.since) * ((number * 0.618) % 1.0)
        for at in (past.since, crowd, past.until - MICROSECOND, spread):
            number += 1
            yield Event(number, at, NOW)


def is_count(request: Request, route: str) -> bool:
    """Whether a request is the one that counts what there is when everything was read."""
    body = request.json() if callable(request.json) else request.json
    text = body["query"]["query"] if body else ""
    return ("uniqExact" if route == "extract" else "count(DISTINCT uuid)") in text


def test_a_listing_that_never_rests_is_told() -> None:
    """When events keep arriving before each count, the listing ends with an error, not with what it has."""
    past = history("UTC", "2026-10-30", "2026-11-01", seed=7, scattered=4, burst=3)
    newcomers = latecomers(past)

    with stage(past) as scene:

        def arrive(number: int, request: Request) -> None:
            if is_count(request, "list"):
                scene.store(next(newcomers))

        with pytest.raises(IncompleteExtraction, match="arriving"):
            listed(scene.project(before=arrive), past)

        assert scene.uuids() == sorted(set(listed(scene.project(), past)) | outside(past))


def outside(past: History) -> set[str]:
    """Return the uuids that lie outside the range."""
    return {event.uuid for event in past.events} - set(past.happened())


@pytest.mark.parametrize("when", [pytest.param("before", marks=pytest.mark.slow), "after"])
def test_a_client_killed_at_any_request_starts_again(tiny: Scene, when: str) -> None:
    """Whatever request a process ends at, the next process extracts everything."""
    tiny.restore()
    survived = False
    for nth in range(1, 60):
        hook = dies_at(nth)
        project = tiny.project(before=hook) if when == "before" else tiny.project(after=hook)
        try:
            found = extracted(project, TINY)
            survived = True
        except Killed:
            if nth % 3:
                continue
            found = extracted(tiny.project(), TINY)
        assert TINY.happened() == found
        if survived:
            break
    assert survived


def test_a_key_revoked_on_the_way_is_told(brief: Scene) -> None:
    """The error says that the key is no longer known; once it is, the extraction is complete."""
    brief.restore()
    brief.faults.add("revoke", nth=4)

    with pytest.raises(NotAuthorised, match="key"):
        extracted(brief.project(), BRIEF)
    brief.restore()

    assert BRIEF.happened() == extracted(brief.project(), BRIEF)


def test_a_microsecond_that_fills_more_than_posthogs_page_is_complete() -> None:
    """50,100 events of one microsecond, among others, come through pages of PostHog's own 50,000."""
    at = datetime.fromisoformat("2026-10-25T02:30:00.123456+01:00")
    moments = [at] * 50_100 + [at - MICROSECOND, at + MICROSECOND] * 5
    past = History("Europe/Berlin", at - timedelta(days=1), at + timedelta(days=1), tuple(events_at(moments)))

    with stage(past) as scene:
        project = scene.project()
        project.page_rows = 50_000

        assert past.happened() == received(project.events(since=past.since, until=past.until, select=["uuid"]))


def test_a_microsecond_that_fills_more_than_a_page_of_the_listing_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,300 events of one microsecond come through the listing's own pages of 1,000."""
    monkeypatch.setattr("posthog_events.posthog.events.EventWalk", EventWalk)
    at = datetime.fromisoformat("2026-10-31T23:59:59.999999+01:00")
    moments = [at] * 2_300 + [at - MICROSECOND, at + MICROSECOND] * 700
    past = History("Europe/Berlin", at - timedelta(days=1), at + timedelta(days=1), tuple(events_at(moments)))

    with stage(past) as scene:
        assert past.happened() == listed(scene.project(), past)
