"""The query route: the same directory and the same proof, by event time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from posthog_events.errors import (
    ApiError,
    AuthenticationFailed,
    ConfigError,
    IncompleteExtraction,
    MissingScope,
    NotFound,
)
from posthog_events.posthog.export import ExportReport, export_events, windowed
from posthog_events.posthog.export.ledger import Ledger
from tests.helpers.fake_exports import FakeExports, events, refuse

SINCE = datetime(2026, 5, 6, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=4)
STORED = pl.DataFrame(events(40, first=SINCE, apart=timedelta(hours=3)))


class Queries:
    """Rows by event time, one frame for each hour that has any; `fails_at` is a window that cannot be completed."""

    def __init__(self, *, fails_at: int = 0) -> None:
        self.windows: list[tuple[datetime, datetime]] = []
        self.fails_at = fails_at

    def __call__(self, since: datetime, until: datetime) -> Iterator[pl.DataFrame]:
        self.windows.append((since, until))
        inside = STORED.filter((pl.col("timestamp") >= since) & (pl.col("timestamp") < until))
        yield from inside.iter_slices(3)
        if len(self.windows) == self.fails_at:
            raise IncompleteExtraction("counted 9 rows, received 8")


def export(fake: FakeExports, out: Path, **options: Any) -> ExportReport:
    given = {"since": SINCE, "until": UNTIL, "fetch": fake.fetch, "sleep": fake.sleep, "clock": fake.clock}
    return export_events(fake, out, **(given | options))


def expected() -> list[str]:
    return sorted(STORED.filter((pl.col("timestamp") >= SINCE) & (pl.col("timestamp") < UNTIL))["uuid"])


def exported(report: ExportReport) -> list[str]:
    return sorted(pl.concat([pl.read_parquet(path) for path in report.files])["uuid"])


def test_queries_fill_the_same_kind_of_directory(tmp_path: Path) -> None:
    """A window for each day, each event once, and no run at PostHog."""
    fake, queries = FakeExports([]), Queries()

    report = export(fake, tmp_path / "out", via="query", rows=queries)

    assert expected() == exported(report)
    assert [SINCE + timedelta(days=number) for number in range(4)] == [since for since, _ in queries.windows]
    assert ("event", 0) == (report.axis, len(fake.requests))


@pytest.mark.parametrize(
    "refusal",
    [refuse(403, MissingScope), refuse(404, NotFound), refuse(403, ApiError), refuse(405, ApiError)],
    ids=["scope", "not found", "feature", "method"],
)
def test_where_there_are_no_file_downloads_queries_are_used(tmp_path: Path, refusal: ApiError) -> None:
    """The report says so; whoever insists on files gets PostHog's refusal."""
    report = export(FakeExports([], refusal=refusal), tmp_path / "out", rows=Queries())

    assert expected() == exported(report)
    assert "file downloads are not available" in report.notes[0]
    with pytest.raises(type(refusal), match="PostHog says no"):
        export(FakeExports([], refusal=refusal), tmp_path / "files", rows=Queries(), via="files")
    with pytest.raises(type(refusal), match="PostHog says no"):
        export(FakeExports([], refusal=refusal), tmp_path / "alone")


def test_a_wrong_key_is_not_a_missing_feature(tmp_path: Path) -> None:
    """Queries would be refused too."""
    queries = Queries()

    with pytest.raises(AuthenticationFailed):
        export(FakeExports([], refusal=refuse(401, AuthenticationFailed)), tmp_path / "out", rows=queries)
    assert not queries.windows


def test_an_incomplete_window_is_fetched_again_next_time(tmp_path: Path) -> None:
    """The windows before it are kept, and nothing of it is."""
    fake = FakeExports([])
    with pytest.raises(IncompleteExtraction):
        export(fake, tmp_path / "out", via="query", rows=Queries(fails_at=3))
    held = msgspec.json.decode((tmp_path / "out" / "export.json").read_bytes(), type=Ledger)
    assert [True, True, False, False] == [record.done for record in held.slices]
    assert 2 == len(list((tmp_path / "out" / "events").iterdir()))

    queries = Queries()
    report = export(fake, tmp_path / "out", via="query", rows=queries)

    assert expected() == exported(report)
    assert 2 == len(queries.windows) == report.fetched


def test_large_windows_are_written_in_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are gathered up to a file's size, and only the chosen events are written."""
    monkeypatch.setattr(windowed, "FILE_ROWS", 5)

    report = export(FakeExports([]), tmp_path / "out", via="query", rows=Queries(), exclude=["view"])

    chosen = STORED.filter((pl.col("timestamp") >= SINCE) & (pl.col("timestamp") < UNTIL), event="purchase")
    assert sorted(chosen["uuid"]) == exported(report)
    assert report.rows == chosen.height
    assert {1} == {len(record.files) for record in report.slices}
    whole = export(FakeExports([]), tmp_path / "all", via="query", rows=Queries())
    assert 2 == len(whole.slices[1].files)


def test_slices_of_two_times_are_not_mixed(tmp_path: Path) -> None:
    """Half by ingestion and half by event time would prove nothing; the files that are there stay."""
    fake = FakeExports(STORED.to_dicts())
    files = export(fake, tmp_path / "out").files

    with pytest.raises(ConfigError, match="another directory"):
        export(fake, tmp_path / "out", via="query", rows=Queries())
    fake.refusal = refuse(404, NotFound)
    with pytest.raises(ConfigError, match="not available here"):
        export(fake, tmp_path / "out", since=SINCE - timedelta(days=9), rows=Queries())
    assert all(path.exists() for path in files)
