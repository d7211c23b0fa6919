"""Exports and pulls over the emulator end with exactly the source's events, each once, or resume until they do.

File downloads cut by the time an event arrived, the query route by the time it happened; a pull brings both together.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from posthog_events.clickhouse.store import EventStore
from posthog_events.clickhouse.store.manifest import write_manifest
from posthog_events.emulator.exports import ExportsState
from posthog_events.emulator.world import Limits
from posthog_events.errors import ExportFailed, NotAuthorised, StoreLocked
from posthog_events.posthog.export import download
from posthog_events.posthog.export.ledger import Journal, Ledger
from posthog_events.posthog.http import Request
from posthog_events.posthog.project import Project
from posthog_events.testing import emulator
from tests.helpers.lost_and_found import (
    DATED,
    MICROSECOND,
    TOLD,
    WAITED_OUT,
    Clock,
    Event,
    History,
    Killed,
    Scene,
    Trouble,
    at_every_request,
    dies_at,
    file_uuids,
    history,
    stage,
    stored_uuids,
    trouble,
)


def with_stragglers(past: History) -> History:
    """Add events that arrived long after they happened: into the range, out of it, and across the slices' borders."""
    monday = datetime(2026, 10, 26, tzinfo=UTC)
    arrivals = [monday - MICROSECOND, monday, past.since, past.until - MICROSECOND, past.until]
    late = [Event(5_000 + n, past.since - timedelta(hours=30), at) for n, at in enumerate(arrivals)]
    late += [Event(6_000 + n, past.since + timedelta(hours=n), past.until + timedelta(days=2)) for n in range(3)]
    return History(past.zone, past.since, past.until, (*past.events, *late))


PAST = with_stragglers(history("Europe/Berlin", "2026-10-24", "2026-10-27", seed=11, scattered=4, burst=9))
"""The clocks change on its second day, a week of exports ends on its third."""

EARLIEST, AFTERWARDS = min(event.at for event in PAST.events), PAST.until + timedelta(days=3)

MONTHS = with_stragglers(history("America/St_Johns", "2026-10-29", "2026-11-04", seed=12, scattered=20, burst=12))
"""A new month, clocks that change in its first night, and a new week."""

VIAS = ("files", "query")


def stored_knobs(scene: Scene) -> ExportsState:
    """Return the emulator's exports, with parts so small that a slice has several."""
    state: ExportsState = scene.served.project.state.setdefault("exports", ExportsState())
    state.bytes_per_mb, state.running_s, state.listing_s, state.duplicate_share = 10, 2.0, 1.0, 0.0
    state.outcomes.clear()
    return state


@pytest.fixture(scope="module")
def served() -> Iterator[Scene]:
    """Serve the short history, a few days after it."""
    with stage(PAST, clock=Clock(AFTERWARDS)) as scene:
        yield scene


@pytest.fixture
def scene(served: Scene) -> Scene:
    """Lend the short history without what an earlier test did to it."""
    served.restore()
    served.served.project.state.pop("exports", None)
    stored_knobs(served)
    return served


def exported(project: Project, past: History, out: Path, via: str, **options: Any) -> list[str]:
    """Export the range of a history and return what the files hold; report and directory have to agree with them."""
    options = {"sleep": project.engine.sleep, **options}
    report = project.export(out, since=past.since, until=past.until, via=via, **options)
    found = file_uuids(report.files)
    assert len(found) == report.rows
    assert sorted(path.name for path in report.files) == sorted(path.name for path in (out / "events").iterdir())
    assert not any((out / "partial").iterdir())
    return found


def expected(past: History, via: str) -> list[str]:
    """Return what an export of the range holds: by arrival, or by event time."""
    return past.arrived() if via == "files" else past.happened()


def pulled(scene: Scene, path: Path, via: str, *, since: datetime | None = None, **hooks: Any) -> list[str]:
    """Bring the store at `path` up to date, and return what it holds."""
    store = EventStore.open_or_create(path, now=scene.clock)
    project = scene.project(**{name: hooks.pop(name) for name in ("before", "after") if name in hooks})
    project.pull(store, since=since, via=via, sleep=scene.clock.sleep, **hooks)
    return stored_uuids(path)


def everything(past: History) -> list[str]:
    """Return every uuid there is."""
    return sorted(event.uuid for event in past.events)


@pytest.mark.parametrize("via", VIAS)
def test_an_export_holds_every_event_once(tmp_path: Path, via: str) -> None:
    """Weeks, months, changed clocks, crowds, and events that arrived late: each is in the files of its range, once."""
    with stage(MONTHS) as scene:
        stored_knobs(scene)
        assert expected(MONTHS, via) == exported(scene.project(), MONTHS, tmp_path / "out", via)


@pytest.mark.parametrize("via", VIAS)
def test_a_pull_holds_every_event_once(scene: Scene, tmp_path: Path, via: str) -> None:
    """A store that is pulled holds every event once, and a second pull adds nothing."""
    for _ in range(2 if via == "files" else 1):
        assert everything(PAST) == pulled(scene, tmp_path / "store", via, since=EARLIEST)


def test_events_that_posthog_holds_twice_are_stored_once(scene: Scene, tmp_path: Path) -> None:
    """Rows that the export has twice are counted in its proof, and once in a store."""
    stored_knobs(scene).duplicate_share = 0.5

    found = exported(scene.project(), PAST, tmp_path / "out", "files")

    assert PAST.arrived() == sorted(set(found))
    assert len(found) > len(set(found))
    assert everything(PAST) == pulled(scene, tmp_path / "store", "files", since=EARLIEST)


FILES_FIRST = ["files", pytest.param("query", marks=pytest.mark.slow)]
"""The query route takes many requests, each of which has its turn to fail."""

SURVIVED = [it for it in WAITED_OUT if it is not DATED]
# the others in the slow sweep below
USUAL = [it for it in SURVIVED if str(it) in ("rate-7", "503", "truncated")]


@pytest.mark.parametrize("it", USUAL, ids=str)
def test_a_fault_at_each_request_of_an_export_is_survived(scene: Scene, tmp_path: Path, it: Trouble) -> None:
    """Every fourth answer fails, those of the storage included, and the export still ends by itself."""
    for phase in PHASES:
        disturb(scene, it, phase)
        assert PAST.arrived() == exported(scene.project(), PAST, tmp_path / f"{phase}", "files")
        assert scene.faults.fired >= 3


@pytest.mark.parametrize("it", [trouble("503"), trouble("reset-after"), trouble("truncated")], ids=str)
def test_a_fault_at_each_request_of_the_query_route_is_survived(scene: Scene, tmp_path: Path, it: Trouble) -> None:
    """The same for an export by queries."""
    disturb(scene, it, 1)
    project = scene.project()
    project.width = 1

    assert PAST.happened() == exported(project, PAST, tmp_path / "out", "query")
    assert scene.faults.fired >= 6


@pytest.mark.parametrize("via", FILES_FIRST)
def test_a_fault_at_each_request_of_a_pull_is_survived(scene: Scene, tmp_path: Path, via: str) -> None:
    """A pull ends by itself, with every event once."""
    for phase in PHASES if via == "files" else PHASES[:1]:
        disturb(scene, trouble("reset-after"), phase)
        assert everything(PAST) == pulled(scene, tmp_path / f"{phase}", via, since=EARLIEST)
        assert scene.faults.fired >= 3


PHASES = (1, 2, 3, 4)
"""Faults at every fourth request, from one of these on: together each request of a run suffers one.

More often would be too often: a download is two requests, which begin again when one of them fails, and to start a run
whose answer was lost is three, two of which look whether it was started.
"""


def disturb(scene: Scene, it: Trouble, phase: int) -> None:
    """Let a fault happen to every fourth request."""
    scene.restore()
    scene.faults.fired = 0
    for nth in range(phase, 400, 4):
        scene.faults.add(it.kind, nth=nth, **dict(it.options))


ANYWHERE = [it for it in TOLD if it.kind == "revoke"]


@pytest.mark.parametrize("it", [*ANYWHERE, pytest.param(trouble("reset-after"), marks=pytest.mark.slow)], ids=str)
def test_a_fault_at_any_request_of_an_export_is_resumed(scene: Scene, tmp_path: Path, it: Trouble) -> None:
    """After any error the same export goes on, and ends with every event once."""

    def run(nth: int) -> None:
        assert PAST.arrived() == exported(scene.project(), PAST, tmp_path / f"{nth}", "files")

    assert at_every_request(scene, it, run) >= (12 if it.survived else 0)


@pytest.mark.parametrize("it", ANYWHERE[:1], ids=str)
def test_a_fault_during_a_pull_is_resumed(scene: Scene, tmp_path: Path, it: Trouble) -> None:
    """A pull that fails leaves a store that the next pull completes."""

    def run(nth: int) -> None:
        assert everything(PAST) == pulled(scene, tmp_path / f"{nth}", "files", since=EARLIEST)

    at_every_request(scene, it, run, step=6)


@pytest.mark.slow
@pytest.mark.parametrize("it", [*SURVIVED, *TOLD], ids=str)
@pytest.mark.parametrize("via", VIAS)
@pytest.mark.parametrize("what", ["export", "pull"])
def test_every_fault_at_every_request_is_resumed(
    scene: Scene, tmp_path: Path, it: Trouble, via: str, what: str
) -> None:
    """All of the above, for every fault."""

    def run(nth: int) -> None:
        if what == "export":
            assert expected(PAST, via) == exported(scene.project(), PAST, tmp_path / f"{nth}", via)
        else:
            assert everything(PAST) == pulled(scene, tmp_path / f"{nth}", via, since=EARLIEST)

    at_every_request(scene, it, run, step=1 if via == "files" else 4)


def test_a_key_revoked_during_an_export_is_told(scene: Scene, tmp_path: Path) -> None:
    """The error is about the key; with the key back the export goes on and asks for nothing that it has."""
    scene.faults.add("revoke", path="*/download/*", nth=2)
    with pytest.raises(NotAuthorised, match="key"):
        exported(scene.project(), PAST, tmp_path / "out", "files")
    scene.restore()
    scene.served.world.faults.forget()

    assert PAST.arrived() == exported(scene.project(), PAST, tmp_path / "out", "files")
    assert 0 == posts(scene)


def posts(scene: Scene) -> int:
    """Return how many runs were asked for."""
    return sum(seen.method == "POST" for seen in scene.served.requests)


Attempt = Callable[[int], list[str]]
"""Export or pull into the nth place; the process ends at the nth moment of a kind, or never when that is 0."""


def killed_everywhere(attempt: Attempt, resume: Attempt, wanted: list[str], *, step: int = 1) -> int:
    """Kill an attempt at its first moment, another at its second, until none is left; resume each; count them."""
    for kills, nth in enumerate(count(1, step)):
        assert nth < 400
        try:
            assert wanted == attempt(nth)
        except Killed:
            assert wanted == resume(nth)
        else:
            return kills
    raise AssertionError("unreachable")


MOMENTS = (
    "after a request",
    "in a download",
    "at a write",
    *(pytest.param(it, marks=pytest.mark.slow) for it in ("before a request", "at a sleep", "at progress", "written")),
)


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_export_killed_at_any_moment_resumes(
    scene: Scene, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever a process ends, the next one completes the directory, and asks for no slice that was asked for."""

    def attempt(nth: int) -> list[str]:
        scene.served.world.faults.forget()
        die, hooks, options = dies_at(nth), dict[str, Any](), dict[str, Any]()

        def sleep(seconds: float) -> None:
            die()
            scene.clock.sleep(seconds)

        with monkeypatch.context() as patch:
            if moment in ("before a request", "after a request"):
                hooks = {moment.split()[0]: die}
            elif moment == "in a download":
                options = {"fetch": cut_off_at(nth)}
            elif moment == "at a sleep":
                options = {"sleep": sleep}
            elif moment == "at progress":
                options = {"on_progress": die}
            else:
                patch.setattr(Journal, "save", dying_save(die, after=moment == "written"))
            return exported(scene.project(**hooks), PAST, tmp_path / f"{nth}", "files", **options)

    def resume(nth: int) -> list[str]:
        found = exported(scene.project(), PAST, tmp_path / f"{nth}", "files")
        # a run whose answer never came may be asked for again; every other is taken up
        assert posts(scene) <= 2 + (moment in ("after a request", "at a write"))
        return found

    assert killed_everywhere(attempt, resume, PAST.arrived()) >= 2


def cut_off_at(nth: int) -> Callable[[str, Path], None]:
    """Return a download during which the process ends, after some bytes: the `nth` of twelve moments in two files."""
    calls = count()

    def fetch(url: str, partial: Path) -> None:
        download(url, partial)
        if next(calls) == nth // 6 and nth < 12:
            size = partial.stat().st_size
            with partial.open("r+b") as file:
                file.truncate(size * (nth % 6) // 5)
            raise Killed

    return fetch


def dying_save(die: Callable[[], None], *, after: bool) -> Callable[[Journal, Ledger], None]:
    """Return `Journal.save` with the end of the process before or after the file is replaced."""
    save = Journal.save

    def dying(journal: Journal, ledger: Ledger) -> None:
        if not after:
            die()
        save(journal, ledger)
        if after:
            die()

    return dying


@pytest.mark.parametrize(
    "moment",
    [
        "after a request",
        "committed",
        *(pytest.param(it, marks=pytest.mark.slow) for it in ("before a request", "at a commit")),
    ],
)
def test_a_pull_killed_at_any_moment_resumes(
    scene: Scene, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever a pull ends, the store is whole, and the next pull completes it."""

    def attempt(nth: int) -> list[str]:
        with monkeypatch.context() as patch:
            if moment.endswith("request"):
                return pulled(scene, tmp_path / f"{nth}", "files", since=EARLIEST, **{moment.split()[0]: dies_at(nth)})

            def dying(*arguments: Any) -> None:
                if moment == "committed":
                    write_manifest(*arguments)
                if nth == 1:
                    raise Killed
                write_manifest(*arguments)

            patch.setattr("posthog_events.clickhouse.store.importer.write_manifest", dying)
            return pulled(scene, tmp_path / f"{nth}", "files", since=EARLIEST)

    def resume(nth: int) -> list[str]:
        store = tmp_path / f"{nth}"
        if (store / "manifest.json").exists():
            assert set(stored_uuids(store)) <= set(everything(PAST))
        return pulled(scene, store, "files", since=EARLIEST)

    step = 7 if moment.endswith("request") else 1
    assert killed_everywhere(attempt, resume, everything(PAST), step=step) >= (2 if step > 1 else 1)


def test_two_exports_into_one_directory_do_not_meet(scene: Scene, tmp_path: Path) -> None:
    """The second is told to wait, while the first goes on and completes."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(url: str, partial: Path) -> None:
        begun.set()
        assert go_on.wait(30)
        download(url, partial)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(exported, scene.project(), PAST, tmp_path / "out", "files", fetch=slow)
        try:
            assert begun.wait(30)
            with pytest.raises(ExportFailed, match="another export"):
                exported(scene.project(), PAST, tmp_path / "out", "files")
        finally:
            go_on.set()

        assert PAST.arrived() == first.result()
    assert PAST.arrived() == exported(scene.project(), PAST, tmp_path / "out", "files")


@pytest.mark.parametrize("vias", [("files", "files"), ("files", "query"), ("query", "query")])
def test_two_exports_side_by_side_are_both_complete(scene: Scene, tmp_path: Path, vias: tuple[str, str]) -> None:
    """Two exports into two directories take nothing from each other."""
    start = threading.Barrier(2)

    def run(number: int) -> list[str]:
        start.wait(30)
        return exported(scene.project(), PAST, tmp_path / f"{number}", vias[number])

    with ThreadPoolExecutor(2) as pool:
        assert [expected(PAST, via) for via in vias] == list(pool.map(run, range(2)))


def test_two_pulls_into_one_store_do_not_meet(scene: Scene, tmp_path: Path) -> None:
    """The second is told to wait; the store holds each event once."""
    refused: list[StoreLocked] = []

    def meanwhile(number: int, _: Request) -> None:
        if number == 5:
            with pytest.raises(StoreLocked) as told:
                pulled(scene, tmp_path / "store", "files", since=EARLIEST)
            refused.append(told.value)

    assert everything(PAST) == pulled(scene, tmp_path / "store", "files", since=EARLIEST, before=meanwhile)
    assert refused


@pytest.mark.parametrize("via", FILES_FIRST)
def test_pulls_catch_up_with_events_that_come_late(tmp_path: Path, via: str) -> None:
    """Events captured between and during pulls, days after they happened, and visible only later: all arrive, once."""
    chance = random.Random(13)
    sent = list(PAST.events)

    def capture(scene: Scene, most: timedelta) -> None:
        age = most * chance.random()
        sent.append(Event(20_000 + len(sent), scene.clock() - age, scene.clock()))
        scene.store(sent[-1])

    with stage(PAST, clock=Clock(AFTERWARDS), limits=Limits(rates={}, ingestion_lag_s=90.0)) as scene:
        # by queries, a pull looks back three days; by files, an event may be as old as it likes
        most = timedelta(days=2.5) if via == "query" else timedelta(days=60)

        def meanwhile(number: int, _: Request) -> None:
            if number in (2, 9, 23):
                capture(scene, most)

        for _ in range(2):
            capture(scene, most)
            pulled(scene, tmp_path / "store", via, since=EARLIEST, before=meanwhile)
            scene.clock.sleep(chance.choice([40.0, 3_600.0, 11 * 3_600.0]))
        scene.clock.sleep(600.0)

        assert sorted(event.uuid for event in sent) == pulled(scene, tmp_path / "store", via)
        assert len(sent) >= len(PAST.events) + 4


@pytest.mark.slow
@pytest.mark.parametrize("what", ["export", "pull"])
@pytest.mark.parametrize("via", VIAS)
def test_processes_killed_at_random_resume(tmp_path: Path, what: str, via: str) -> None:
    """The command is killed by the system again and again, at random moments, until one process gets to its end."""
    chance, past, place = random.Random(f"{what} {via}"), MONTHS, tmp_path / "out"
    begin = min(event.at for event in past.events)
    since, until = begin.isoformat(), past.until.isoformat()
    command = ["export", "--from", since, "--to", until, "--out", str(place), "--via", via]
    if what == "pull":
        command = ["local", "pull", "--from", since, "--store", str(place), "--via", via]
    kills = 0

    with emulator(events=[event.row for event in past.events], timezone=past.zone, limits=Limits(rates={})) as served:
        served.project.state["exports"] = ExportsState(bytes_per_mb=4, running_s=0.3)
        served.faults.add("delay", seconds=0.02)
        environment = {**os.environ, **served.environment, "POSTHOG_EVENTS_STATE_DIR": str(tmp_path / "state")}
        while True:
            process = subprocess.Popen(
                [sys.executable, "-m", "posthog_events", *command],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            try:
                # each process gets a little more time, so that one of them will be the last
                _, said = process.communicate(timeout=chance.uniform(0.8, 1.5 + kills))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
                continue
            assert 0 == process.returncode, said.decode()
            break

    assert kills
    if what == "pull":
        assert everything(past) == stored_uuids(place)
    else:
        within = History(past.zone, begin, past.until, past.events)
        assert expected(within, via) == file_uuids(list((place / "events").iterdir()))
