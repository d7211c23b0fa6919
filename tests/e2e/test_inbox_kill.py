"""Processes that share an inbox are killed at random moments, and nothing that they acknowledged is lost."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from posthog_events.clock import utc_now
from posthog_events.receiver.inbox import Inbox, Record
from posthog_events.receiver.sqlite_inbox import SqliteInbox

ROOT = Path(__file__).parents[2]
PROCESSES = 2


def start(inbox: Path, log: Path, name: str, again: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.helpers.inbox_load", inbox, log, name, *again], cwd=ROOT)


def lines(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def said(logs: list[Path], *words: str) -> list[str]:
    return [word[1] for log in logs for word in lines(log) if word[0] in words]


def everything(inbox: Inbox) -> Iterator[Record]:
    page = inbox.list(limit=2_000)
    while page:
        yield from page
        page = inbox.list(limit=2_000, before=page[-1].seq)


@pytest.mark.parametrize(
    "kills", [6, pytest.param(200, marks=pytest.mark.slow)], ids=["six kills", "two hundred kills"]
)
def test_killing_loses_nothing_that_was_acknowledged(tmp_path: Path, kills: int) -> None:
    """Every acknowledged delivery is there once, was handled at least once, and no other was taken for it."""
    path, chance = tmp_path / "inbox.db", random.Random(5)
    logs: list[Path] = []
    unanswered: dict[int, list[str]] = {number: [] for number in range(PROCESSES)}
    for turn in range(kills // PROCESSES):
        running = []
        for number in range(PROCESSES):
            log = tmp_path / f"{turn}-{number}.log"
            running.append((number, log, start(path, log, f"{turn}-{number}", unanswered[number])))
            logs.append(log)
        for number, log, process in running:
            while not lines(log):
                assert process.poll() is None
                time.sleep(0.01)
            time.sleep(chance.random() * 0.3)
            process.kill()
            assert -9 == process.wait()
            answered = set(said([log], "stored", "known"))
            fresh = dict.fromkeys(said([log], "sent"))
            unanswered[number] = [one for one in [*unanswered[number], *fresh] if one not in answered]
            unanswered[number] = list(dict.fromkeys(unanswered[number]))

    acknowledged, handled = set(said(logs, "stored", "known")), Counter(said(logs, "handled"))
    with closing(SqliteInbox(path)) as inbox:
        present = Counter(record.entry.delivery_id for record in everything(inbox))
        later = utc_now() + timedelta(hours=1)
        while tasks := inbox.claim(now=later, lease_s=1e6, limit=1_000):
            handled.update(str(task.entry.delivery_id) for task in tasks)
    stored = Counter(said(logs, "stored"))
    print(f"{kills} kills: {len(acknowledged)} acknowledged, {len(present)} there, {sum(handled.values())} handlings")

    assert len(acknowledged) > 20 * kills
    assert set() == acknowledged - set(present)
    assert {1} == set(present.values())
    assert {1} == set(stored.values())
    assert set() == acknowledged - set(handled)
    # what is there and was never acknowledged was sent, and its process was killed before it could hear of it
    assert set(present) - acknowledged <= set(said(logs, "sent"))
