"""The long run of `tests/benchmarks/long_run.py`, short: so that the documented command works when it is needed."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from posthog_events.emulator import query_cache
from posthog_events.emulator.simulated import Checksum
from tests.benchmarks import long_run


@pytest.fixture(scope="module")
def figures() -> long_run.Figures:
    """Run it once."""
    return long_run.run(200_500)


def test_every_simulated_event_is_received(figures: long_run.Figures) -> None:
    """Count and checksum are those that ClickHouse computes from the numbers of the events alone."""
    assert figures.expected == figures.received
    assert 200_500 == figures.received.rows == figures.proof.received == figures.proof.counted


def test_the_requests_are_few(figures: long_run.Figures) -> None:
    """Besides the five pages there are the server's time, the first count and the last."""
    assert 5 == figures.least
    assert (8, 8) == (figures.requests, figures.proof.requests)


def test_one_event_more_or_less_or_other_shows() -> None:
    """The checksum tells a set of uuids from every other."""
    uuids = [f"00000000-0000-4000-8000-{number:012d}" for number in range(100)]
    whole = Checksum.of(uuids)

    assert whole == Checksum.of(uuids[::-1])
    assert whole == Checksum.of(uuids[:40]) + Checksum.of(uuids[40:])
    assert whole not in (Checksum.of(uuids[1:]), Checksum.of([*uuids[1:], uuids[1]]))


def test_the_server_of_a_long_run_keeps_the_latest_answers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest answers make room; one that is computed again counts once."""
    monkeypatch.setattr(query_cache, "KEPT_BYTES", 100)
    cache, now = query_cache.QueryCache(1), datetime(2026, 6, 1, tzinfo=UTC)

    for key in ("old", "again", "again", "new"):
        cache.put(query_cache.Answer({"results": msgspec.Raw(b"[" + b" " * 38 + b"]")}, key, now))

    assert [False, True, True] == [cache.get(key, now=now) is not None for key in ("old", "again", "new")]
