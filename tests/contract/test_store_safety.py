"""A store survives whatever ends a write: an error, a full disk, an interrupt, kill -9."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from posthog_events.clickhouse.store import EventStore, session
from posthog_events.clickhouse.store.lock import write_lock
from posthog_events.errors import ConfigError, StoreError, StoreLocked, StoreNotFound

ROOT = Path(__file__).parents[2]

# Arguments: store, file, point ("" for none), seconds until SIGINT (0 for none), file size limit (0 for none).
PROGRAM = """
import os, resource, signal, sys, threading
from pathlib import Path
from posthog_events.clickhouse.store import EventStore, importer, manifest, writer
from posthog_events.errors import PostHogEventsError

directory, path, point, limit = sys.argv[1:]

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after(owner, name):
    real = getattr(owner, name)
    def wrapped(*args, **kwargs):
        real(*args, **kwargs)
        die()
    setattr(owner, name, wrapped)

match point:
    case "staged": writer.PartWriter.write = die
    case "written": die_after(writer.PartWriter, "write")
    case "before-manifest": importer.write_manifest = die
    case "before-replace": manifest.os.replace = die
    case "after-manifest": die_after(importer, "write_manifest")
if int(limit):
    import chdb  # its own files are no part of the test
    EventStore.open(directory).info()
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
print("ready", flush=True)
try:
    print(EventStore.open(directory).import_events([path]).stored)
except PostHogEventsError as exc:
    print(f"{type(exc).__name__}: {exc}")
except KeyboardInterrupt:
    print("interrupted")
"""


def write_events(path: Path, name: str, count: int, *, filler: int = 0) -> Path:
    """Write events of one name, spread over two months."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    with path.open("w") as file:
        for number in range(count):
            row = {
                "event": name,
                "distinct_id": f"u{number % 7}",
                "timestamp": (start + timedelta(days=60) * (number / count)).isoformat(),
                "properties": {"n": number, "filler": f"{number:08d}" * filler},
            }
            file.write(json.dumps(row) + "\n")
    return path


@pytest.fixture
def store(tmp_path: Path) -> EventStore:
    """A store with ten events."""
    created = EventStore.create(tmp_path / "store")
    created.import_events([write_events(tmp_path / "first.jsonl", "first", 10)])
    return created


def start(store: EventStore, path: Path, point: str = "", limit: int = 0) -> subprocess.Popen[str]:
    """Import in another process."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(store.path), str(path), point, str(limit)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "ready\n" == process.stdout.readline()
    return process


def leftovers(store: EventStore) -> set[str]:
    """Files that the manifest does not know."""
    manifest = store.manifest()
    known = {file.name for file in manifest.files} | {old.name for old in manifest.retired}
    inside = {path.name for path in (store.path / "tmp").iterdir()} if (store.path / "tmp").exists() else set()
    return ({path.name for path in store.data.iterdir()} - known) | inside


@pytest.mark.parametrize(
    ("point", "rows"),
    [("staged", 10), ("written", 10), ("before-manifest", 10), ("before-replace", 10), ("after-manifest", 60)],
)
def test_a_killed_import_leaves_the_old_or_the_new_store_whole(
    store: EventStore, tmp_path: Path, point: str, rows: int
) -> None:
    """Whatever point kill -9 comes at, readers see one state, and the next import clears up and completes."""
    second = write_events(tmp_path / "second.jsonl", "second", 50)
    process = start(store, second, point)
    assert -signal.SIGKILL == process.wait(60)
    process.communicate()
    assert rows == store.info().events == sum(count for _, count in store.info().top_events)
    report = store.import_events([second])
    assert (60 - rows, 60) == (report.stored, store.manifest().rows)
    assert set() == leftovers(store)


@pytest.mark.slow
def test_an_import_killed_at_any_moment_leaves_the_store_whole(store: EventStore, tmp_path: Path) -> None:
    """Twenty random moments; the store always holds one state or the other."""
    second = write_events(tmp_path / "second.jsonl", "second", 20_000)
    moments = random.Random(7)
    for _ in range(20):
        process = start(store, second)
        time.sleep(moments.uniform(0, 2.5))
        process.kill()
        process.communicate()
        info = store.info()
        assert info.events in (10, 20_010)
        assert info.events == sum(count for _, count in info.top_events)
    store.import_events([second])
    assert 20_010 == store.manifest().rows
    assert set() == leftovers(store)


def test_an_interrupt_ends_an_import_within_two_seconds(store: EventStore, tmp_path: Path) -> None:
    """Ctrl-C in the middle of an import: it ends soon, and the store and its folder are as before."""
    second = write_events(tmp_path / "second.jsonl", "second", 120_000, filler=40)
    process = start(store, second)
    time.sleep(1.2)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - begun < 2
    assert ("interrupted\n", "") == (out, err)
    assert 10 == store.manifest().rows
    assert set() == leftovers(store)


def test_a_full_disk_is_one_sentence_and_changes_nothing(store: EventStore, tmp_path: Path) -> None:
    """A limit on file sizes fails writes as a full disk does, in Python and in ClickHouse."""
    second = write_events(tmp_path / "second.jsonl", "second", 3_000, filler=20)
    for limit in (60_000, 700_000):  # the part's text does not fit; the text fits, the Parquet file does not
        process = start(store, second, limit=limit)
        out, _ = process.communicate(timeout=60)
        assert out.startswith("StoreError: no space is left to write to "), out
        assert 1 == out.count("\n")
        assert 10 == store.info().events
        assert set() == leftovers(store)


def test_a_failing_manifest_write_changes_nothing(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step can fail as well."""
    from posthog_events.clickhouse.store import manifest

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    second = write_events(tmp_path / "second.jsonl", "second", 5)
    monkeypatch.setattr(manifest.os, "fsync", full)
    with pytest.raises(StoreError, match="no space is left"):
        store.import_events([second])
    monkeypatch.undo()
    assert 10 == store.manifest().rows
    assert set() == leftovers(store)
    assert not (store.path / "store.json.new").exists()


def test_a_second_writer_is_told_who_writes(store: EventStore, tmp_path: Path) -> None:
    """One writer at a time; reading goes on."""
    with write_lock(store.path, now=datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)):
        expected = rf"written by process {os.getpid()} since 2024-01-02 03:04:05 UTC"
        with pytest.raises(StoreLocked, match=expected):
            store.import_events([write_events(tmp_path / "second.jsonl", "second", 5)])
        assert 10 == store.info().events
    assert 5 == store.import_events([tmp_path / "second.jsonl"]).stored


def test_a_reader_keeps_its_files_for_an_hour(tmp_path: Path) -> None:
    """Files that left the store stay for running readers, and go with the first write after the grace period."""
    clock = [datetime(2024, 6, 1, tzinfo=UTC)]
    store = EventStore.create(tmp_path / "store", now=lambda: clock[0])
    store.import_events([write_events(tmp_path / "first.jsonl", "first", 10)])
    reader = store.catalog().tables["events"].source
    store.remove(everything=True)
    clock[0] += timedelta(minutes=59)
    store.configure(timezone="Europe/Berlin")
    from posthog_events.clickhouse.client import Client

    with Client.open("chdb://memory") as client:
        assert 10 == client.query(f"SELECT count() FROM {reader}")[1].item()
    clock[0] += timedelta(minutes=2)
    store.configure(timezone="UTC")
    assert [] == list(store.data.iterdir())
    assert () == store.manifest().retired


def test_engine_errors_do_not_leave_tables_behind(store: EventStore, tmp_path: Path) -> None:
    """The in-memory tables of an import go with it, whether it succeeds or fails."""
    from posthog_events.clickhouse.client import Client

    with Client.open("chdb://memory") as client:
        write_events(tmp_path / "second.jsonl", "second", 5)
        store.import_events([tmp_path / "second.jsonl"])
        with pytest.raises(RuntimeError, match="stop here"):
            _fail_in_a_session(store)
        assert 0 == client.query("SELECT count() FROM system.tables WHERE name LIKE 'write%'")[1].item()


def _fail_in_a_session(store: EventStore) -> None:
    with session.write_session(store, "w-1") as write:
        write.table("SELECT 1 AS x", name="stage")
        raise RuntimeError("stop here")


def test_damaged_and_absent_stores_are_told(tmp_path: Path) -> None:
    """Each says what to do next; a directory with other files is not taken over."""
    with pytest.raises(StoreNotFound, match="no event store at"):
        EventStore.open(tmp_path / "none")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(StoreError, match="is not an event store"):
        EventStore.create(tmp_path / "other")
    with pytest.raises(StoreError, match="may not contain any of"):
        EventStore.create(tmp_path / "a*b")
    with pytest.raises(ConfigError, match="'Berlin' is not a time zone"):
        EventStore.create(tmp_path / "zone", timezone="Berlin")
    store = EventStore.create(tmp_path / "store")
    manifest = store.path / "store.json"
    manifest.write_text('{"version": 99, "new": true}')
    with pytest.raises(StoreError, match="newer version"):
        EventStore.open(store.path)
    manifest.write_text("{")
    with pytest.raises(StoreError, match="is damaged"):
        EventStore.open(store.path)
