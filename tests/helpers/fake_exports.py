"""PostHog's file download exports in memory: what `Api.send` and a download would meet, faults and kills included.

It follows the reference, not the client: runs are created whether or not their answer arrives, a listing is newest
first, an interval is by ingestion time, and an event may be exported twice.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from posthog_events.errors import ApiError, ConnectionFailed, NotFound
from posthog_events.posthog.http import Reply, Request

HOST = "https://bucket.example"
START = datetime(2026, 6, 1, tzinfo=UTC)


class Killed(BaseException):
    """Stands for the end of the process."""


def event(number: int, inserted_at: datetime) -> dict[str, Any]:
    """Return an event as a batch export writes it."""
    return {
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "event": "purchase" if number % 2 else "view",
        "properties": json.dumps({"amount": number}),
        "timestamp": inserted_at - timedelta(hours=1),
        "distinct_id": f"user-{number % 3}",
        "created_at": inserted_at,
        "_inserted_at": inserted_at,
    }


def events(count: int, *, first: datetime, apart: timedelta) -> list[dict[str, Any]]:
    """Return events at equal distances of ingestion time."""
    return [event(number, first + number * apart) for number in range(count)]


@dataclass
class FakeRun:
    """A run: `states` are what polls answer, the last one for ever."""

    body: dict[str, Any]
    created_at: datetime
    parts: dict[str, bytes]
    records: int
    states: list[str]
    reads: int = 0


@dataclass
class FakeExports:
    """An `Api` over a list of events.

    Args:
        states: What the polls of the n-th run answer; runs beyond it are running once, then completed.
        faults: Request number (1-based) to the error it meets; `after` says whether it was carried out before.
        listed: Whether the list of runs says more than id and status.
        kill_at: The step at which the process ends; steps are requests, their answers, chunks and writes of the ledger.
    """

    stored: list[dict[str, Any]]
    states: list[list[str]] = field(default_factory=list)
    faults: dict[int, tuple[Exception, bool]] = field(default_factory=dict)
    refusal: Exception | None = None
    part_rows: int = 4
    listed: bool = True
    kill_at: int = 0
    chunk: int = 700
    expire_after: int = 0
    short: int = 0
    now: datetime = START
    origin: str = "https://eu.posthog.com"
    project_id: int = 7
    runs: dict[str, FakeRun] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    step: int = 0
    downloads: int = 0

    def clock(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def tick(self) -> None:
        """One more step; a process that has ended takes none."""
        self.step += 1
        if self.kill_at and self.step >= self.kill_at:
            raise Killed

    def send(self, request: Request) -> Reply:
        self.tick()
        self.requests.append(request)
        fault, after = self.faults.get(len(self.requests), (None, False))
        if fault is not None and not after:
            raise fault
        reply = self._answer(request)
        if fault is not None:
            raise fault
        self.tick()
        return reply

    def _answer(self, request: Request) -> Reply:
        base, _, rest = request.path.partition("/")
        assert "file_download_batch_exports" == base
        if request.method == "POST":
            return self._create(request.json)
        if not rest:
            listed = sorted(self.runs.items(), key=lambda item: item[1].created_at, reverse=True)
            results = [
                {"id": key, "status": run.states[0]} | (_details(run) if self.listed else {}) for key, run in listed
            ]
            return _reply({"count": len(results), "next": None, "previous": None, "results": results})
        run_id, *more = rest.strip("/").split("/")
        if run_id not in self.runs:
            raise NotFound("no such run", status=404)
        run = self.runs[run_id]
        if more:
            assert "download" == more[0]
            location = f"{HOST}/{run_id}/{more[1]}?X-Amz-Signature=secret-{len(self.requests)}"
            return Reply(302, {"location": location}, b"", "GET download")
        return self._poll(run)

    def _create(self, body: dict[str, Any]) -> Reply:
        if self.refusal is not None:
            raise self.refusal
        start, end = (datetime.fromisoformat(body[f"data_interval_{edge}"]) for edge in ("start", "end"))
        assert start < end <= min(self.now, start + timedelta(weeks=1))
        chosen = [
            row
            for row in self.stored
            if start <= row["_inserted_at"] < end
            and (not body["include"] or row["event"] in body["include"])
            and row["event"] not in body["exclude"]
        ]
        number = len(self.runs)
        pieces = [chosen[at : at + self.part_rows] for at in range(0, len(chosen), self.part_rows)]
        parts = {f"part-{number}-{at}": _file(piece, body["file"]) for at, piece in enumerate(pieces)}
        states = list(self.states[number]) if number < len(self.states) else ["Running", "Completed"]
        self.runs[f"run-{number}"] = FakeRun(body, self.now, parts, len(chosen), states)
        return _reply({"id": f"run-{number}"}, 202)

    def _poll(self, run: FakeRun) -> Reply:
        state = run.states[0] if len(run.states) == 1 else run.states.pop(0)
        answer: dict[str, Any] = {"status": state}
        if state == "Completed":
            answer |= {"files": list(run.parts), "records_completed": run.records}
        elif state not in ("Starting", "Running"):
            answer["error"] = "the reason"
        return _reply(answer)

    def fetch(self, url: str, partial: Path) -> None:
        """Download in chunks, going on where the file ends."""
        path, _, signature = url.removeprefix(HOST).partition("?")
        assert signature.startswith("X-Amz-Signature=secret-")
        self.downloads += 1
        if self.downloads == self.expire_after:
            raise ConnectionFailed("the download from bucket.example was refused with status 403")
        _, run_id, part = path.split("/")
        content = self.runs[run_id].parts[part]
        if self.short:
            self.short -= 1
            content = _file([], {"format": "Parquet", "compression": "zstd"})
        while (have := partial.stat().st_size if partial.exists() else 0) < len(content):
            self.tick()
            with partial.open("ab") as file:
                file.write(content[have : have + self.chunk])

    @property
    def posts(self) -> int:
        """Runs that were asked for."""
        return sum(request.method == "POST" for request in self.requests)

    def lost(self, number: int, *, after: bool) -> FakeExports:
        """Let the answer to a request be lost, before or after it was carried out."""
        self.faults[number] = (ConnectionFailed("reset", ambiguous=True), after)
        return self


def _details(run: FakeRun) -> dict[str, Any]:
    interval = {edge: run.body[edge] for edge in ("data_interval_start", "data_interval_end")}
    return {"created_at": run.created_at.isoformat(), **interval}


def _file(rows: list[dict[str, Any]], file: dict[str, Any]) -> bytes:
    if file["format"] == "JSONLines":
        text = "".join(json.dumps(row, default=str) + "\n" for row in rows).encode()
        return gzip.compress(text) if file["compression"] == "gzip" else text
    buffer = io.BytesIO()
    schema = pl.DataFrame([event(0, START)]).schema
    pl.DataFrame(rows, schema=schema).write_parquet(buffer, compression=file["compression"])
    return buffer.getvalue()


def _reply(body: object, status: int = 200) -> Reply:
    return Reply(status, {"content-type": "application/json"}, json.dumps(body).encode(), "fake")


def refuse(status: int, kind: Callable[..., ApiError] = ApiError, **details: Any) -> ApiError:
    """Return an error as `Api.send` raises it."""
    return kind("PostHog says no", status=status, **details)
