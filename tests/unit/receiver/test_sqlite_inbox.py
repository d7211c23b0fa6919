"""The inbox in a file: its disk, its locks, and what happens when either is damaged."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from posthog_events.errors import InboxCorrupt, InboxError
from posthog_events.receiver import sqlite_files
from posthog_events.receiver.inbox import Entry
from posthog_events.receiver.sqlite_inbox import SqliteInbox
from tests.helpers.inbox_entries import START, at, entry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an inbox will be."""
    return tmp_path / "state" / "inbox.db"


@contextmanager
def opened(path: Path, **options: object) -> Iterator[SqliteInbox]:
    with closing(SqliteInbox(path, **options)) as inbox:  # type: ignore[arg-type]
        yield inbox


def fill(path: Path, count: int = 200) -> list[Entry]:
    """Make an inbox with entries, closed, so that all is in the database file."""
    entries = [entry(f"d-{n}", f"e-{n}", body=bytes([n % 256]) * 1_500) for n in range(count)]
    with opened(path) as inbox:
        inbox.add(entries)
    return entries


def set_aside(path: Path) -> list[Path]:
    """Return the databases that were set aside; their logs are beside them."""
    return sorted(file for file in path.parent.iterdir() if re.search(r"\.corrupt-\w+\.\w+$", file.name))


def test_the_files_are_for_nobody_else_to_read(path: Path) -> None:
    """The directory is made; bodies hold personal data."""
    with opened(path) as inbox:
        inbox.add([entry()])
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    assert 0o700 == path.parent.stat().st_mode & 0o777
    assert dict.fromkeys(["inbox.db", "inbox.db-wal", "inbox.db-shm", "inbox.db.lock"], 0o600) == modes


def test_commits_wait_for_the_disk(path: Path) -> None:
    """The mode of SQLite in which a commit survives a power cut, with its log beside it."""
    with opened(path) as inbox:
        writer = inbox._store._writer  # type: ignore[attr-defined]

        assert [(2,), ("wal",)] == [
            writer.execute(f"PRAGMA {name}").fetchone() for name in ("synchronous", "journal_mode")
        ]


def test_several_who_open_at_once_share_one(path: Path) -> None:
    """The first makes it, and the others find it complete."""
    with ThreadPoolExecutor(8) as pool:
        inboxes = list(pool.map(lambda _: SqliteInbox(path), range(8)))
    for inbox in inboxes:
        inbox.add([entry()])

    assert [8] * 8 == [inbox.counts().entries for inbox in inboxes]
    for inbox in inboxes:
        inbox.close()


def overwrite(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a page of noise": lambda path: overwrite(path, 3 * 8_192, random.Random(0).randbytes(8_192)),
    "the schema": lambda path: overwrite(path, 100, bytes(8_092)),
    "the first bytes": lambda path: overwrite(path, 0, bytes(16)),
    "cut in the middle": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut within a page": lambda path: os.truncate(path, path.stat().st_size - 100),
    "cut after the header": lambda path: os.truncate(path, 200),
    "emptied": lambda path: os.truncate(path, 0),
    "the number of pages": lambda path: overwrite(path, 28, b"\0\0\0\x03"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_inbox_is_set_aside_when_it_is_opened(path: Path, damage: str) -> None:
    """It is reported, kept under another name, and the next opening begins a new one."""
    fill(path)
    DAMAGES[damage](path)
    content = path.read_bytes()

    with pytest.raises(InboxCorrupt, match=r"inbox\.db\.corrupt-"):
        SqliteInbox(path)

    assert not path.exists()
    assert [content] == [file.read_bytes() for file in set_aside(path)]
    with opened(path) as inbox:
        assert 0 == inbox.counts().entries


def test_a_log_without_its_database_is_set_aside(path: Path) -> None:
    """SQLite would apply it to the new one."""
    with opened(path) as inbox:
        inbox.add([entry()])
        log = path.with_name("inbox.db-wal")
        content = log.read_bytes()
    path.unlink()
    log.write_bytes(content)

    with pytest.raises(InboxCorrupt, match="its log was there"):
        SqliteInbox(path)

    assert [content] == [file.read_bytes() for file in path.parent.glob("*.corrupt-*-wal")]
    with opened(path) as inbox:
        assert 0 == inbox.counts().entries


FOREIGN = {"text": b"my diary\n" * 50, "short": b"x", "zeros": bytes(5_000)}


@pytest.mark.parametrize("kind", [*FOREIGN, "another database", "another database in use"])
def test_a_file_of_somebody_else_is_left_alone(path: Path, kind: str) -> None:
    """A wrong path costs a message, not a file."""
    path.parent.mkdir()
    if kind in FOREIGN:
        path.write_bytes(FOREIGN[kind])
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE diary (day)")
    if kind == "another database in use":
        path.with_name("inbox.db-wal").write_bytes(b"")
    content = path.read_bytes()

    with pytest.raises(InboxError, match="is not an inbox; choose another path") as caught:
        SqliteInbox(path)

    assert not isinstance(caught.value, InboxCorrupt)
    assert content == path.read_bytes()
    assert [] == set_aside(path)


def test_an_inbox_of_a_newer_version_is_left_alone(path: Path) -> None:
    """An older program does not guess at what a newer one wrote."""
    fill(path, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")

    with pytest.raises(InboxError, match="has version 2, and this is for version 1"):
        SqliteInbox(path)

    assert path.exists()


def test_damage_that_appears_in_use_stops_everything(path: Path) -> None:
    """Nothing is served from it and nothing added to it, from the first time that it is seen."""
    entries = fill(path)
    with opened(path) as inbox:
        size = path.stat().st_size
        overwrite(path, 8_192, random.Random(1).randbytes(size - 8_192))

        with pytest.raises(InboxCorrupt, match="restart to begin a new one"):
            inbox.list()
        for call in (
            lambda: inbox.add(entries[:1]),
            lambda: inbox.claim(now=START, lease_s=1, limit=1),
            inbox.counts,
            lambda: inbox.get(1),
            lambda: list(inbox.event_uuids("", since=START, until=at(1))),
        ):
            with pytest.raises(InboxCorrupt):
                call()
    assert not path.exists()
    assert size in {file.stat().st_size for file in set_aside(path)}


def test_damage_that_the_writer_meets_acknowledges_nothing(path: Path) -> None:
    """Those who share the transaction all hear of it."""
    fill(path, 3_000)
    with opened(path) as inbox:
        overwrite(path, 8_192, random.Random(1).randbytes(path.stat().st_size - 8_192))
        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(inbox.add, [entry()]) for _ in range(8)]

    assert {InboxCorrupt} == {type(answer.exception()) for answer in answers}
    assert not path.exists()


def test_a_changed_body_is_not_served(path: Path) -> None:
    """SQLite does not look into values; the checksum of an entry does."""
    fill(path)
    start = path.read_bytes().index(b"\x07" * 1_500)
    overwrite(path, start + 700, b"\x08")
    with opened(path) as inbox:
        with pytest.raises(InboxCorrupt, match="entry 8 does not match its checksum"):
            inbox.claim(now=START, lease_s=60, limit=1_000)

        assert 1 == len(set_aside(path))


@pytest.mark.parametrize("seed", range(40))
def test_any_flipped_bytes_are_found_or_harmless(path: Path, seed: int) -> None:
    """However the file is changed: an entry comes back as it was, or a typed error does."""
    chance = random.Random(seed)
    entries = {one.delivery_id: one for one in fill(path, 60)}
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 4, 40])):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)

    served: list[Entry] = []
    try:
        with opened(path) as inbox:
            served += [record.entry for record in inbox.list(limit=1_000)]
            list(inbox.event_uuids("", since=START, until=at(1)))
            served += [task.entry for task in inbox.claim(now=START, lease_s=60, limit=1_000, ordered=seed % 2 > 0)]
            inbox.add([entry() for _ in range(50)])
            inbox.counts()
    except InboxError:
        pass

    assert [entries[one.delivery_id] for one in served] == served


def test_an_inbox_that_is_moved_away_acknowledges_nothing_more(path: Path) -> None:
    """SQLite would go on writing to a file that nobody finds again."""
    with opened(path) as inbox:
        inbox.add([entry()])
        path.rename(path.with_name("elsewhere"))

        with pytest.raises(InboxError, match="was moved or removed while it was open"):
            inbox.add([entry()])
        with pytest.raises(InboxError, match=r"moved or removed|cannot be opened|unable to open"):
            inbox.counts()


def test_an_inbox_whose_log_is_removed_acknowledges_nothing_more(path: Path) -> None:
    """The log holds what is not in the database yet."""
    with opened(path) as inbox:
        inbox.add([entry()])
        path.with_name("inbox.db-wal").unlink()

        with pytest.raises(InboxError, match="was moved or removed while it was open"):
            inbox.add([entry()])


def test_no_new_inbox_is_made_while_the_old_one_is_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever closes the old one removes the log of its name, which would be the new one's."""
    monkeypatch.setattr(sqlite_files, "OPEN_WAIT_S", 0.0)
    with opened(path) as old:
        old.add([entry()])
        for name in ("inbox.db", "inbox.db-wal", "inbox.db-shm"):
            path.with_name(name).rename(path.with_name(f"old-{name}"))

        with pytest.raises(InboxError, match="another process still has it open"):
            SqliteInbox(path)
        assert not path.exists()

    with opened(path) as new:
        assert 0 == new.counts().entries


def test_a_directory_that_cannot_be_written_is_one_sentence() -> None:
    """For a new inbox and for one that is there; nothing is left behind."""
    script = (
        "import os, sys; from pathlib import Path\n"
        "from posthog_events.errors import InboxError\n"
        "from posthog_events.receiver.sqlite_inbox import SqliteInbox\n"
        # root may write everywhere
        "os.geteuid() or os.seteuid(65534)\n"
        "for name in sys.argv[1:]:\n"
        "    try: SqliteInbox(Path(name))\n"
        "    except InboxError as error: print(error)\n"
    )
    directory = Path(tempfile.mkdtemp())
    try:
        fill(directory / "there.db", 1)
        directory.chmod(0o555)
        new = [str(directory / "new.db"), str(directory / "deep" / "new.db"), str(directory / "there.db")]

        done = subprocess.run([sys.executable, "-c", script, *new], capture_output=True, text=True, check=True)

        assert [f"the inbox {name} cannot be opened: Permission denied" for name in new] == done.stdout.splitlines()
        assert ["there.db", "there.db.lock"] == sorted(file.name for file in directory.iterdir())
    finally:
        directory.chmod(0o700)
        shutil.rmtree(directory)


def test_a_file_in_place_of_the_directory_is_one_sentence(tmp_path: Path) -> None:
    """A path below a file cannot be made."""
    (tmp_path / "file").write_text("")

    with pytest.raises(InboxError, match="cannot be opened"):
        SqliteInbox(tmp_path / "file" / "inbox.db")


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_that_another_process_holds_is_waited_for_and_reported(path: Path) -> None:
    """Nothing is acknowledged meanwhile; reading goes on; afterwards all is well."""
    with opened(path, lock_timeout_s=0.05) as inbox:
        inbox.add([entry()])
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            assert "held\n" == holder.stdout.readline()

            with pytest.raises(InboxError, match="is locked: another process"):
                inbox.add([entry("d", None)])
            assert 1 == inbox.counts().entries
            holder.communicate("")

        assert not inbox.add([entry("d", None)])[0].duplicate


def test_a_lock_that_is_given_up_in_time_is_not_noticed(path: Path) -> None:
    """Another process that writes now and then delays, and does no harm."""
    with opened(path) as inbox, closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.1, lambda: other.execute("ROLLBACK"))
        timer.start()

        assert 1 == len(inbox.add([entry()]))
        timer.join()


def test_a_full_disk_refuses_what_does_not_fit_and_nothing_else(path: Path) -> None:
    """Of those that share a transaction, the ones for which there is room are taken."""
    with opened(path) as inbox:
        writer = inbox._store._writer  # type: ignore[attr-defined]
        (pages,) = writer.execute("PRAGMA page_count").fetchone()
        writer.execute(f"PRAGMA max_page_count = {pages + 20}")
        large, release, held = entry(body=bytes(1_000_000)), threading.Event(), threading.Event()

        def hold(_: object) -> None:
            held.set()
            release.wait(10)

        with ThreadPoolExecutor(6) as pool:
            pool.submit(inbox._write, hold)
            held.wait(10)
            small = [pool.submit(inbox.add, [entry()]) for _ in range(3)]
            refused = pool.submit(inbox.add, [large, entry()])
            while len(inbox._writer._queue.jobs) < 4:
                time.sleep(0.001)
            release.set()

            with pytest.raises(InboxError, match="the disk is full"):
                refused.result()
            assert [1, 1, 1] == [len(one.result()) for one in small]
        assert 3 == inbox.counts().entries
        with pytest.raises(InboxError, match="the disk is full"):
            inbox.add([large])

        writer.execute("PRAGMA max_page_count = 1000000")
        assert not inbox.add([large])[0].duplicate


FILLER = """
import json, resource, sys
from pathlib import Path
from posthog_events.errors import InboxError
from posthog_events.receiver.sqlite_inbox import SqliteInbox
from tests.helpers.inbox_entries import entry

inbox = SqliteInbox(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
acknowledged, errors = [], set()
for number in range(400):
    try:
        inbox.add([entry(f"d-{number}", body=bytes(3_000))])
        acknowledged.append(f"d-{number}")
    except InboxError as error:
        errors.add(type(error).__name__)
print(json.dumps([acknowledged, sorted(errors)]))
inbox.close()
"""


def test_a_file_that_may_not_grow_loses_nothing_that_was_acknowledged(path: Path) -> None:
    """The operating system refuses a write in the middle of a log; what came before it is all there."""
    done = subprocess.run([sys.executable, "-c", FILLER, path], capture_output=True, text=True, check=True)
    acknowledged, errors = json.loads(done.stdout)

    assert ["InboxError"] == errors
    assert 10 < len(acknowledged) < 400
    with opened(path) as inbox:
        assert set(acknowledged) <= {record.entry.delivery_id for record in inbox.list(limit=1_000)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_copy_in_a_forked_process_says_so(path: Path) -> None:
    """Threads do not survive a fork: it would wait for ever."""
    script = (
        "import os, sys; from pathlib import Path\n"
        "from posthog_events.errors import InboxError\n"
        "from posthog_events.receiver.sqlite_inbox import SqliteInbox\n"
        "from tests.helpers.inbox_entries import entry\n"
        "inbox = SqliteInbox(Path(sys.argv[1]))\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    try: inbox.add([entry()])\n"
        "    except InboxError as error: print(error, flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "inbox.close()\n"
    )

    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True, timeout=30)

    assert "this inbox was opened before the process forked; open it in each process" == done.stdout.strip()


def test_the_first_tasks_of_a_handler_are_found_without_sorting_its_queue(path: Path) -> None:
    """A handler that was away for a day has 100,000 of them, and claims a few at a time."""
    SqliteInbox(path).close()
    with closing(sqlite3.connect(path)) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT seq, handler, attempt + 1, lease + 1 FROM inbox_tasks AS task "
            "WHERE due_at <= ? AND handler IN (?) ORDER BY due_at, seq, handler LIMIT ?",
            (0, "crm", 8),
        ).fetchall()

    assert ["SEARCH task USING INDEX inbox_tasks_lane (handler=? AND due_at<?)"] == [step[3] for step in plan]
