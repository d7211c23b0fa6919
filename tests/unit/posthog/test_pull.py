"""A pull brings a store up to date; what it fetched and how far it is are committed together."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from posthog_events.clickhouse.catalog import PropertyKind
from posthog_events.clickhouse.store import EventStore, importer
from posthog_events.clickhouse.store.manifest import Manifest, PullState, read_manifest, write_manifest
from posthog_events.errors import AuthenticationFailed, ConfigError, ImportFailed, StoreLocked
from posthog_events.posthog.export import ledger
from posthog_events.posthog.pull import PullReport, pull
from tests.helpers.fake_exports import START, FakeExports, Killed, events, refuse

SINCE = datetime(2026, 5, 20, tzinfo=UTC)
STORED = events(12, first=SINCE, apart=timedelta(days=1))
KEY = "https://eu.posthog.com#7"


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes end here, machines do not."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def make(path: Path, fake: FakeExports) -> EventStore:
    return EventStore.create(path, now=fake.clock)


def pulled(store: EventStore, fake: FakeExports, **options: Any) -> PullReport:
    given = {"since": SINCE, "fetch": fake.fetch, "sleep": fake.sleep, "clock": fake.clock}
    return pull(store, fake, **(given | options))


def uuids(store: EventStore) -> list[str]:
    """Return the uuids in the store's files, repeated ones included."""
    frames = [pl.read_parquet(store.data / file.name, columns=["uuid"]) for file in store.manifest().files]
    return sorted(bytes(value)[:16].hex() for frame in frames for value in frame["uuid"])


def numbers(stored: list[dict[str, Any]]) -> list[str]:
    return sorted(row["uuid"].replace("-", "") for row in stored)


def test_a_second_pull_fetches_what_is_new(tmp_path: Path) -> None:
    """It begins at the position less the lookback; events that it finds again are not stored again."""
    fake = FakeExports(STORED)
    store = make(tmp_path / "store", fake)
    first = pulled(store, fake)
    fake.now += timedelta(days=4)
    fake.stored = [
        *STORED,
        *(row | {"uuid": f"9{row['uuid'][1:]}"} for row in events(3, first=START, apart=timedelta(days=1))),
    ]

    second = pulled(store, fake, since=None, lookback=timedelta(days=2))

    assert (12, 0) == (first.imported.stored, first.imported.duplicates)
    assert (3, 2) == (second.imported.stored, second.imported.duplicates)
    assert first.position - timedelta(days=2) == second.since
    assert numbers(fake.stored) == uuids(store)
    assert second.position.isoformat() == store.manifest().pulls[KEY].position


def test_an_event_that_became_visible_late_is_found(tmp_path: Path) -> None:
    """The lookback covers an event that PostHog stored before the last pull and showed after it."""
    fake = FakeExports(STORED[:-1])
    store = make(tmp_path / "store", fake)
    pulled(store, fake)
    fake.stored = STORED
    fake.now += timedelta(hours=1)

    assert 1 == pulled(store, fake, since=None).imported.stored
    assert numbers(STORED) == uuids(store)


def test_a_pull_that_finds_nothing_moves_the_position(tmp_path: Path) -> None:
    """Without a single event the store says how far it is, and lists no import."""
    fake = FakeExports([])
    store = make(tmp_path / "store", fake)
    first = pulled(store, fake)
    fake.now += timedelta(hours=1)

    second = pulled(store, fake, since=None)

    assert timedelta(hours=1) == second.position - first.position - timedelta(
        seconds=sum(fake.slept[: len(fake.slept) // 2])
    )
    assert () == store.manifest().imports
    assert 0 == store.manifest().rows


def test_definitions_become_types(tmp_path: Path) -> None:
    """Definitions overrule what values suggest, are committed with the events, and leave the user's choice alone."""
    fake = FakeExports(STORED)
    store = make(tmp_path / "store", fake)
    store.set_types({"chosen": PropertyKind.STRING})
    frames = {
        "event": pl.DataFrame(
            {
                "name": ["amount", "chosen", "none", "odd"],
                "property_type": ["String", "Numeric", None, "Hologram"],
                "id": [1, 2, 3, 4],
            }
        ),
        "person": pl.DataFrame({"name": ["age"], "property_type": ["Numeric"]}),
    }

    pulled(store, fake, definitions=frames.__getitem__)

    manifest = store.manifest()
    assert {"amount": ("String", "definition"), "chosen": ("String", "override")} == {
        name: (str(kind.kind), kind.source) for name, kind in manifest.event_types.items()
    }
    assert {"age": ("Numeric", "definition")} == {
        name: (str(kind.kind), kind.source) for name, kind in manifest.person_types.items()
    }


def test_killed_anywhere_the_next_pull_completes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it ends, the position is there with the events or not at all, and the next pull runs no slice again."""
    commit, entry = importer.write_manifest, ledger.write_ledger
    committed = set()

    def begin(name: str, *, kill_at: int) -> tuple[FakeExports, EventStore]:
        fake = FakeExports(STORED, kill_at=kill_at, chunk=10_000, part_rows=50)
        for module, function, write in ((importer, "write_manifest", commit), (ledger, "write_ledger", entry)):

            def stepped(*args: Any, write: Callable[..., None] = write) -> None:
                fake.tick()
                write(*args)
                fake.tick()

            monkeypatch.setattr(module, function, stepped)
        store = make(tmp_path / name, fake)
        with suppress(Killed):
            pulled(store, fake)
        fake.kill_at, fake.now = 0, START
        return fake, store

    whole, _ = begin("whole", kill_at=0)
    # an export is killed at each of its steps in a test of its own; the commit is the last two steps
    for step in (5, whole.step // 2, *range(whole.step - 3, whole.step + 1)):
        fake, store = begin(str(step), kill_at=step)
        before = store.manifest()
        assert (before.rows > 0) == (KEY in before.pulls), step
        committed.add(before.rows > 0)

        pulled(store, fake, since=None if before.pulls else SINCE)

        assert numbers(STORED) == uuids(store), step
        # after the commit the lookback is one run; before it there are the two weeks of the range
        assert (3 if before.pulls else 2) == len(fake.runs), step
    assert {True, False} == committed


def test_a_pull_that_was_killed_long_ago_looks_back_from_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed pull fetched is used, but an event that came after it, into the same days, is not missed."""
    fake = FakeExports(STORED[:-1], part_rows=50)
    store = make(tmp_path / "store", fake)

    def killed(*args: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(importer, "write_manifest", killed)
        with pytest.raises(Killed):
            pulled(store, fake)
    stopped, runs = fake.now, len(fake.runs)
    fake.stored = STORED
    fake.now += timedelta(days=6)

    first = pulled(store, fake)
    second = pulled(store, fake, since=None)

    assert 11 == first.imported.stored
    assert runs + 2 == len(fake.runs) - len(second.export.slices)
    assert first.position <= stopped
    assert second.since < stopped - timedelta(days=2)
    assert numbers(STORED) == uuids(store)


def test_a_revoked_key_changes_nothing(tmp_path: Path) -> None:
    """The store stays as it was, and the next pull goes on with the slices that are there."""
    fake = FakeExports(STORED, faults={6: (refuse(401, AuthenticationFailed), False)})
    store = make(tmp_path / "store", fake)

    with pytest.raises(AuthenticationFailed):
        pulled(store, fake)
    assert Manifest() == store.manifest()

    assert 12 == pulled(store, fake).imported.stored


def test_rows_that_the_store_refuses_do_not_stop_a_pull(tmp_path: Path) -> None:
    """An event of the far future is kept aside and counted; the others are stored."""
    odd = STORED[0] | {"uuid": "f" * 8 + STORED[0]["uuid"][8:], "timestamp": datetime(2040, 1, 1, tzinfo=UTC)}
    fake = FakeExports([STORED[0], odd])

    report = pulled(make(tmp_path / "store", fake), fake)

    assert (1, 1) == (report.imported.stored, report.imported.rejected)


def test_two_projects_are_not_mixed(tmp_path: Path) -> None:
    """A store of one project refuses another, unless told; then each has a position of its own."""
    fake = FakeExports(STORED[:6])
    store = make(tmp_path / "store", fake)
    pulled(store, fake)
    other = FakeExports(STORED[6:], project_id=8)

    with pytest.raises(ConfigError, match=r"holds the events of .*#7"):
        pulled(store, other)
    assert not other.requests

    pulled(store, other, other_projects=True)
    assert numbers(STORED) == uuids(store)
    assert {KEY, "https://eu.posthog.com#8"} == set(store.manifest().pulls)


@pytest.mark.parametrize(
    ("since", "words"), [(None, "say from when on"), (datetime(2026, 5, 1), "needs a time zone")], ids=["none", "naive"]
)
def test_the_first_pull_needs_a_beginning(tmp_path: Path, since: datetime | None, words: str) -> None:
    """Nothing is fetched before it is known from when on."""
    fake = FakeExports(STORED)

    with pytest.raises(ConfigError, match=words):
        pulled(make(tmp_path / "store", fake), fake, since=since)
    assert not fake.requests


def test_a_later_beginning_leaves_no_gap(tmp_path: Path) -> None:
    """`since` can only reach further back than the position."""
    fake = FakeExports(STORED)
    store = make(tmp_path / "store", fake)
    first = pulled(store, fake, since=STORED[6]["_inserted_at"])
    fake.now += timedelta(days=1)

    assert first.position - timedelta(days=3) == pulled(store, fake, since=fake.now).since
    assert 6 == store.manifest().rows
    assert SINCE == pulled(store, fake, since=SINCE).since
    assert numbers(STORED) == uuids(store)


def test_two_pulls_at_once(tmp_path: Path) -> None:
    """The second says that the first is running."""
    fake = FakeExports(STORED)
    store = make(tmp_path / "store", fake)
    seen: list[str] = []

    def meanwhile(progress: object) -> None:
        with pytest.raises(StoreLocked, match="another pull"):
            pulled(store, fake)
        seen.append("refused")

    assert 12 == pulled(store, fake, on_export=meanwhile).imported.stored
    assert seen


def test_a_manifest_without_pulls_is_read(tmp_path: Path) -> None:
    """Stores of before have no positions; what is written now is read back."""
    (tmp_path / "store.json").write_text('{"version": 1, "timezone": "Europe/Berlin"}')
    assert {} == read_manifest(tmp_path).pulls

    state = {KEY: PullState("2026-05-01T00:00:00+00:00", "ab")}
    write_manifest(tmp_path, Manifest(pulls=state))
    assert state == read_manifest(tmp_path).pulls


def test_an_import_without_files_is_still_refused(tmp_path: Path) -> None:
    """Only a pull has something to say without events."""
    with pytest.raises(ImportFailed, match="no file was named"):
        make(tmp_path / "store", FakeExports([])).import_events([])
