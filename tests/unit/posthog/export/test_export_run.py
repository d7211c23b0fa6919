"""An export by file downloads: complete, proved, and resumed from wherever it ended."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from posthog_events.errors import (
    AuthenticationFailed,
    ConfigError,
    ConnectionFailed,
    ExportFailed,
    NotFound,
    PostHogEventsError,
    QuotaExceeded,
    RateLimited,
)
from posthog_events.posthog.export import ExportReport, export_events, ledger
from posthog_events.posthog.http import Reply, Request
from tests.helpers.fake_exports import START, FakeExports, Killed, events, refuse

SINCE = datetime(2026, 5, 6, tzinfo=UTC)  # a Wednesday
UNTIL = datetime(2026, 5, 20, tzinfo=UTC)
STORED = events(14, first=SINCE, apart=timedelta(days=1))


def export(fake: FakeExports, out: Path, **options: Any) -> ExportReport:
    given = {"since": SINCE, "until": UNTIL, "fetch": fake.fetch, "sleep": fake.sleep, "clock": fake.clock}
    return export_events(fake, out, **(given | options))


def exported(out: Path) -> list[str]:
    """Return the uuids of all files that lie there, whoever names them."""
    return sorted(pl.concat([pl.read_parquet(path) for path in (out / "events").iterdir()])["uuid"])


def uuids(stored: list[dict[str, Any]]) -> list[str]:
    return sorted(row["uuid"] for row in stored)


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes end here, machines do not."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def stepping(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeExports], None]:
    """Make the writes of the ledger steps of a fake: one before, one after."""
    real = ledger.write_ledger

    def watch(fake: FakeExports) -> None:
        def write(out: Path, written: ledger.Ledger) -> None:
            fake.tick()
            real(out, written)
            fake.tick()

        monkeypatch.setattr(ledger, "write_ledger", write)

    return watch


def test_every_event_of_the_range_is_there_once(tmp_path: Path) -> None:
    """Three weekly slices in several parts hold what was ingested from the first instant to before the last."""
    fake = FakeExports([*events(3, first=SINCE - timedelta(days=3), apart=timedelta(days=1)), *STORED[3:]])
    fake.stored += events(2, first=UNTIL, apart=timedelta(days=1))

    report = export(fake, tmp_path / "out")

    assert uuids(STORED[3:]) == exported(tmp_path / "out")
    assert (3, 3, 11) == (len(report.slices), report.fetched, report.rows)
    assert [datetime(2026, 5, day, tzinfo=UTC) for day in (6, 11, 18)] == [each.start for each in report.slices]
    assert not list((tmp_path / "out" / "partial").iterdir())


def test_a_second_export_asks_for_nothing(tmp_path: Path) -> None:
    """What is there is not exported again, and the report is the same."""
    fake = FakeExports(STORED)
    first = export(fake, tmp_path / "out")
    asked = len(fake.requests)

    second = export(fake, tmp_path / "out")

    assert asked == len(fake.requests)
    assert first.slices == second.slices
    assert 0 == second.fetched


def test_an_overlapping_range_adds_what_is_missing(tmp_path: Path) -> None:
    """Extending a directory at both ends starts runs for the new days only, and repeats no event."""
    stored = events(30, first=SINCE - timedelta(days=8), apart=timedelta(days=1))
    fake = FakeExports(stored)
    export(fake, tmp_path / "out")

    report = export(fake, tmp_path / "out", since=stored[0]["_inserted_at"], until=UNTIL + timedelta(days=8))

    assert uuids(stored) == exported(tmp_path / "out")
    assert 30 == report.rows


def test_few_runs_at_a_time_with_patient_polls(tmp_path: Path) -> None:
    """PostHog never works on more than `width` runs, and polls grow further apart."""
    seen: list[int] = []
    fake = FakeExports(STORED, states=[["Starting", *["Running"] * 6, "Completed"]] * 4)

    export(
        fake, tmp_path / "out", since=SINCE - timedelta(days=7), width=2, on_progress=lambda p: seen.append(p.waiting)
    )

    assert 2 == max(seen)
    assert [1, 2, 5, 10, 30, 30] == fake.slept[:6]


def test_chosen_events_only(tmp_path: Path) -> None:
    """Names to include and exclude reach PostHog, and are part of what the directory is."""
    fake = FakeExports(STORED)

    report = export(fake, tmp_path / "out", include=["purchase"])

    assert 7 == report.rows
    assert {"purchase"} == {name for request in fake.requests if request.json for name in request.json["include"]}
    with pytest.raises(ConfigError, match="include"):
        export(fake, tmp_path / "out", include=["view"])


@pytest.mark.parametrize("compression", ["gzip", None])
def test_json_lines_are_counted(tmp_path: Path, compression: str | None) -> None:
    """Packed or plain, the lines of JSON files are the rows that PostHog counted."""
    report = export(FakeExports(STORED), tmp_path / "out", format="jsonlines", compression=compression)

    assert 14 == report.rows
    assert {".jsonl.gz" if compression else ".jsonl"} == {"".join(path.suffixes) for path in report.files}


# -- ended at any point -------------------------------------------------------------------------------------------


def test_killed_anywhere_the_next_export_completes(tmp_path: Path, stepping: Callable[[FakeExports], None]) -> None:
    """Whatever step the process ends at, the next export has every event once, and no slice was run twice."""
    step = 0
    while True:
        step += 1
        fake = FakeExports(STORED, kill_at=step)
        stepping(fake)
        out = tmp_path / str(step)
        try:
            export(fake, out, width=2)
        except Killed:
            fake.kill_at = 0
        else:
            break
        report = export(fake, out, width=2)

        assert uuids(STORED) == exported(out), step
        assert 14 == report.rows, step
        assert 3 == fake.posts == len(fake.runs), step
    assert step > 60


def test_killed_again_and_again_it_still_completes(tmp_path: Path, stepping: Callable[[FakeExports], None]) -> None:
    """An export that is killed every 25 steps gets there: what one call has done the next does not repeat."""
    fake = FakeExports(STORED)
    stepping(fake)
    for _ in range(40):
        fake.kill_at = fake.step + 25
        try:
            report = export(fake, tmp_path / "out")
        except Killed:
            continue
        break

    assert 14 == report.rows
    assert uuids(STORED) == exported(tmp_path / "out")
    assert 3 == len(fake.runs)


@pytest.mark.parametrize("after", [True, False], ids=["carried out", "not carried out"])
def test_lost_answers_start_no_second_run(tmp_path: Path, after: bool) -> None:
    """Whichever answer is lost, each slice has one run: the list is read before one is started again."""
    for number in range(1, 16):
        fake = FakeExports(STORED).lost(number, after=after)
        try:
            export(fake, tmp_path / str(number))
        except ConnectionFailed:
            export(fake, tmp_path / str(number))

        assert uuids(STORED) == exported(tmp_path / str(number)), number
        assert 3 == len(fake.runs), number


@pytest.mark.parametrize("after", [True, False], ids=["carried out", "not carried out"])
def test_a_list_that_tells_nothing_costs_a_run_and_no_event(tmp_path: Path, after: bool) -> None:
    """As PostHog documents it the list has no intervals: a run that may be another's is never taken for ours."""
    for number in range(1, 16):
        fake = FakeExports(STORED, listed=False).lost(number, after=after)
        try:
            export(fake, tmp_path / str(number))
        except ConnectionFailed:
            export(fake, tmp_path / str(number))

        assert uuids(STORED) == exported(tmp_path / str(number)), number
        assert len(fake.runs) <= 4, number


@pytest.mark.parametrize(
    "error",
    [refuse(429, RateLimited, wait_s=3000.0), refuse(401, AuthenticationFailed), ConnectionFailed("no route")],
    ids=["rate limited", "key revoked", "offline"],
)
def test_an_error_at_any_request_can_be_resumed(tmp_path: Path, error: PostHogEventsError) -> None:
    """The error comes out as it is, the directory is in order, and the next export completes it with the same runs."""
    failed = 0
    for number in range(1, 16):
        fake = FakeExports(STORED, faults={number: (error, False)})
        out = tmp_path / str(number)
        try:
            export(fake, out)
        except type(error):
            failed += 1
            held = msgspec.json.decode((out / "export.json").read_bytes(), type=ledger.Ledger)
            named = {file.name for record in held.slices for file in record.files}
            assert named == {path.name for path in (out / "events").iterdir()}
            export(fake, out)

        assert uuids(STORED) == exported(out), number
        assert 3 == len(fake.runs), number
    assert failed > 5


def test_a_run_is_found_again_whoever_was_killed(tmp_path: Path) -> None:
    """A run of the same interval that was started before our request, or that failed, is not taken for ours."""
    fake = FakeExports(STORED)
    old = FakeExports(STORED, now=START - timedelta(days=2))
    export(old, tmp_path / "old")
    fake.runs.update({f"old-{key}": run for key, run in old.runs.items()})
    failed = FakeExports(STORED, states=[["Failed"]])
    with pytest.raises(ExportFailed):
        export(failed, tmp_path / "failed", width=1)
    fake.runs["other-0"] = failed.runs["run-0"]

    export(fake.lost(1, after=False), tmp_path / "out")

    assert 3 == sum(request.method == "POST" for request in fake.requests[1:])


# -- states of a run ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["FailedRetryable", "Terminated"])
def test_a_run_that_may_work_again_is_replaced(tmp_path: Path, state: str) -> None:
    """A new run is started, and only so often."""
    fake = FakeExports(STORED, states=[["Running", state]])

    assert 14 == export(fake, tmp_path / "out").rows
    assert 4 == len(fake.runs)

    hopeless = FakeExports(STORED, states=[[state]] * 30)
    with pytest.raises(ExportFailed, match="ended 3 times without its rows"):
        export(hopeless, tmp_path / "hopeless", width=1)
    assert 3 == len(hopeless.runs)


def test_a_slice_that_takes_too_long_is_halved(tmp_path: Path) -> None:
    """Instead of the same run again, two of half the time are started."""
    fake = FakeExports(STORED, states=[["TimedOut"]])

    report = export(fake, tmp_path / "out")

    assert uuids(STORED) == exported(tmp_path / "out")
    assert 4 == len(report.slices)
    assert datetime(2026, 5, 8, 12, tzinfo=UTC) == report.slices[1].start


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("FailedBilling", QuotaExceeded, "billing limit"),
        ("Cancelled", ExportFailed, "was cancelled in PostHog"),
        ("Failed", ExportFailed, "the reason"),
    ],
)
def test_a_run_that_ended_for_good_is_an_error(tmp_path: Path, state: str, kind: type[Exception], words: str) -> None:
    """The error says why and what to do, and the next export starts a new run for that slice alone."""
    fake = FakeExports(STORED, states=[[state]])

    with pytest.raises(kind, match=words):
        export(fake, tmp_path / "out")

    assert 14 == export(fake, tmp_path / "out").rows
    assert 4 == len(fake.runs)


def test_files_that_are_listed_later_are_waited_for(tmp_path: Path) -> None:
    """Rows without files, and an answer that the run is in progress, are polled again."""
    fake = FakeExports(STORED, faults={5: (refuse(400, detail="Export is still in progress"), False)})
    real = fake._poll
    answers = iter([{"status": "Completed", "files": [], "records_completed": 5}])

    def lagging(run: Any) -> Any:
        reply = real(run)
        late = next(answers, None)
        return reply if late is None else type(reply)(200, {}, msgspec.json.encode(late), "fake")

    fake._poll = lagging  # type: ignore[method-assign]

    assert 14 == export(fake, tmp_path / "out").rows
    assert 3 == len(fake.runs)


def test_a_run_that_is_gone_is_replaced(tmp_path: Path) -> None:
    """A run that an export left behind, and that PostHog has forgotten since, is started anew."""
    fake = FakeExports(STORED, kill_at=14)
    with pytest.raises(Killed):
        export(fake, tmp_path / "out")
    fake.kill_at = 0
    left = len(fake.runs)
    lost: list[Request] = []
    real = fake.send

    def forgetful(request: Request) -> Reply:
        if request.path.split("/")[1] in [f"run-{number}" for number in range(left)]:
            raise refuse(404, NotFound)
        if request.method == "POST" and left == len(fake.runs) and not lost:
            lost.append(request)
            raise ConnectionFailed("reset", ambiguous=True)
        return real(request)

    fake.send = forgetful  # type: ignore[method-assign]
    assert 14 == export(fake, tmp_path / "out").rows
    assert uuids(STORED) == exported(tmp_path / "out")
    assert 3 + left == len(fake.runs)


def test_an_export_that_was_given_up_is_planned_anew(tmp_path: Path) -> None:
    """Slices that nobody asked for yet are cut again for the range that is wanted now."""
    fake = FakeExports(STORED, kill_at=6)
    with pytest.raises(Killed):
        export(fake, tmp_path / "out", width=1, until=UNTIL - timedelta(days=3))
    fake.kill_at = 0

    report = export(fake, tmp_path / "out")

    assert 3 == len(fake.runs) == len(report.slices)
    assert uuids(STORED) == exported(tmp_path / "out")


def test_files_that_nobody_recorded_are_removed(tmp_path: Path) -> None:
    """A file that was complete when its export died, before that was written down, is not left beside the others."""
    export(FakeExports(STORED), tmp_path / "out")
    (tmp_path / "out" / "events" / "events-20260101T000000-20260102T000000-0.parquet").write_bytes(b"PAR1")
    (tmp_path / "out" / "partial" / "run-9-part-9.part").write_bytes(b"PAR1")

    export(FakeExports(STORED), tmp_path / "out")

    assert uuids(STORED) == exported(tmp_path / "out")
    assert not list((tmp_path / "out" / "partial").iterdir())


# -- downloads ----------------------------------------------------------------------------------------------------


def test_an_expired_address_is_asked_for_again(tmp_path: Path) -> None:
    """A download that is refused asks PostHog for a new address; the run stays."""
    fake = FakeExports(STORED, expire_after=2)

    assert 14 == export(fake, tmp_path / "out").rows
    assert 3 == len(fake.runs)


def test_a_download_that_never_works_ends(tmp_path: Path) -> None:
    """After a few tries in a row without a byte the export fails, and the next one resumes."""
    fake = FakeExports(STORED)

    def broken(url: str, partial: Path) -> None:
        raise ConnectionFailed("the download from bucket.example broke off (ReadTimeout)")

    with pytest.raises(ExportFailed, match="could not be downloaded") as caught:
        export(fake, tmp_path / "out", fetch=broken)
    assert "Signature" not in str(caught.value)
    assert 14 == export(fake, tmp_path / "out").rows


def test_wrong_counts_are_downloaded_again_and_then_refused(tmp_path: Path) -> None:
    """Files with fewer rows than PostHog counted are fetched once more; if they stay short the slice is not done."""
    assert 14 == export(FakeExports(STORED, short=2), tmp_path / "once").rows

    fake = FakeExports(STORED, short=100)
    with pytest.raises(ExportFailed, match=r"exported 5 rows .* its files hold 0"):
        export(fake, tmp_path / "always")
    assert not any(
        file["done"] for file in msgspec.json.decode((tmp_path / "always/export.json").read_bytes())["slices"]
    )


def test_a_lost_file_is_fetched_again(tmp_path: Path) -> None:
    """A slice whose file was removed or cut is exported anew; the others are left alone."""
    fake = FakeExports(STORED)
    first = export(fake, tmp_path / "out")
    first.files[0].unlink()
    first.files[-1].write_bytes(b"PAR1")

    report = export(fake, tmp_path / "out")

    assert uuids(STORED) == exported(tmp_path / "out")
    assert (2, 14) == (report.fetched, report.rows)


def test_definitions_are_kept_with_the_export(tmp_path: Path) -> None:
    """Property types lie beside the files, for whoever reads them in place."""
    frame = pl.DataFrame({"name": ["amount", "none"], "property_type": ["Numeric", None]})

    export(FakeExports(STORED), tmp_path / "out", definitions=lambda of: frame if of == "event" else frame.clear())

    held = msgspec.json.decode((tmp_path / "out" / "export.json").read_bytes(), type=ledger.Ledger)
    assert ({"amount": "Numeric"}, {}) == (held.event_types, held.person_types)


def test_no_address_is_written_down(tmp_path: Path) -> None:
    """Presigned addresses grant access: none is in any file of the directory."""
    export(FakeExports(STORED), tmp_path / "out")

    texts = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not any(b"Signature" in text for text in texts)


# -- refused at once ----------------------------------------------------------------------------------------------


def test_two_exports_into_one_directory(tmp_path: Path) -> None:
    """The second is refused while the first works, and harms nothing."""
    fake = FakeExports(STORED)
    refused: list[str] = []

    def meanwhile(progress: object) -> None:
        if not refused:
            with pytest.raises(ExportFailed, match="another export is working") as caught:
                export(fake, tmp_path / "out", since=SINCE - timedelta(days=60))
            refused.append(str(caught.value))

    assert 14 == export(fake, tmp_path / "out", on_progress=meanwhile).rows
    assert refused
    assert uuids(STORED) == exported(tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"until": START + timedelta(seconds=1)}, "lies in the future"),
        ({"until": SINCE}, "holds nothing"),
        ({"since": datetime(2026, 5, 1)}, "needs a time zone"),
        ({"format": "jsonlines"}, "zstd"),
        ({"via": "query"}, "a way to run queries"),
    ],
)
def test_what_cannot_be_exported_asks_for_nothing(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    """A range or a format that makes no sense is refused before the first request, and no directory is made."""
    fake = FakeExports(STORED)

    with pytest.raises(ConfigError, match=words):
        export(fake, tmp_path / "out", **options)
    assert not fake.requests
    assert not (tmp_path / "out").exists()


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """Foreign files, and the export of another project, are neither mixed with ours nor removed."""
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "mine.parquet").write_text("mine")
    with pytest.raises(ConfigError, match="no export"):
        export(FakeExports(STORED), tmp_path)
    assert "mine" == (tmp_path / "events" / "mine.parquet").read_text()

    export(FakeExports(STORED), tmp_path / "out")
    with pytest.raises(ConfigError, match="another project_id"):
        export(FakeExports(STORED, project_id=8), tmp_path / "out")


@pytest.mark.parametrize(("text", "words"), [("{", "damaged"), ('{"version": 9}', "newer version")])
def test_a_ledger_that_cannot_be_read_is_not_overwritten(tmp_path: Path, text: str, words: str) -> None:
    """A damaged or newer ledger is an error with a way out."""
    (tmp_path / "export.json").write_text(text)

    with pytest.raises(ExportFailed, match=words):
        export(FakeExports(STORED), tmp_path)
    assert text == (tmp_path / "export.json").read_text()
