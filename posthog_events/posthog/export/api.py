"""The file download API of batch exports: one function for each call. Source: reference 7.1."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec

from posthog_events.errors import BadAnswer
from posthog_events.posthog.export.ledger import Order, SliceRecord
from posthog_events.posthog.http import Api, Request

__all__ = ["FAILED", "Run", "create_run", "download_url", "find_run", "read_run"]

PATH = "file_download_batch_exports/"

MAX_SIZE_MB = 256
"""Size of one part: small enough to download again, large enough to be few. Source: the API's own example."""

CLOCKS_APART = timedelta(hours=1)
"""How much earlier than by our clock PostHog may have created a run."""

LIST_LIMIT, LIST_PAGES = 100, 10

FAILED = frozenset({"Failed", "FailedRetryable", "FailedBilling", "Terminated", "TimedOut", "Cancelled"})
"""States that a run does not leave, other than `Completed`."""


class Run(msgspec.Struct, frozen=True):
    """The state of a run; `files` are the ids of its parts."""

    status: str
    files: tuple[str, ...] | None = None
    records_completed: int | None = None
    error: str | None = None


class _Created(msgspec.Struct):
    id: str


class _Listed(msgspec.Struct):
    id: str
    status: str = ""
    data_interval_start: datetime | None = None
    data_interval_end: datetime | None = None
    created_at: datetime | None = None
    model: str = "events"
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None


class _Page(msgspec.Struct):
    results: list[_Listed]
    next: str | None = None


def create_run(api: Api, record: SliceRecord, order: Order) -> str:
    """Start the run of a slice and return its id.

    Raises:
        ApiError, ConnectionFailed: As `Api.send`; when `ambiguous`, the run may have been started.
    """
    body: dict[str, Any] = {
        "model": "events",
        "file": {
            "format": "Parquet" if order.format == "parquet" else "JSONLines",
            "compression": order.compression,
            "max_size_mb": MAX_SIZE_MB,
        },
        "data_interval_start": _text(record.start),
        "data_interval_end": _text(record.end),
        "include": list(order.include),
        "exclude": list(order.exclude),
    }
    return api.send(Request("POST", PATH, json=body, repeatable=False)).decode(_Created).id


def read_run(api: Api, run_id: str) -> Run:
    """Return the state of a run."""
    return api.send(Request("GET", f"{PATH}{run_id}/")).decode(Run)


def find_run(api: Api, record: SliceRecord, order: Order) -> str | None:
    """Return the run that was started for a slice since it was first asked for, if PostHog's list tells.

    Its documented items are `id` and `status` alone (OpenAPI of 2026): then no run can be told to be ours, since a
    colleague may have started it for another range, and there is none to return.
    """
    since = (record.asked_at or record.end) - CLOCKS_APART
    for listed in _listed(api):
        if (
            (listed.data_interval_start, listed.data_interval_end) == (record.start, record.end)
            and (listed.created_at is None or _aware(listed.created_at) >= since)
            and listed.status not in FAILED
            and listed.id not in record.abandoned
            and listed.model == "events"
            and sorted(order.include if listed.include is None else listed.include) == sorted(order.include)
            and sorted(order.exclude if listed.exclude is None else listed.exclude) == sorted(order.exclude)
        ):
            return listed.id
    return None


def _listed(api: Api) -> Iterator[_Listed]:
    for page in range(LIST_PAGES):
        params = {"limit": str(LIST_LIMIT), "offset": str(page * LIST_LIMIT)}
        answer = api.send(Request("GET", PATH, params=params)).decode(_Page)
        yield from answer.results
        if not answer.next or not answer.results:
            return


def download_url(api: Api, run_id: str, part: str) -> str:
    """Return the presigned address of a part: a secret that grants access, good for a while.

    Raises:
        BadAnswer: PostHog names none, or one that is less protected than PostHog itself.
    """
    reply = api.send(Request("GET", f"{PATH}{run_id}/download/{part}/"))
    location = reply.headers.get("location", "")
    if reply.status not in (301, 302, 303, 307, 308) or not location:
        raise BadAnswer(f"{reply.source}: PostHog names no address to download from (status {reply.status})")
    url = urljoin(api.origin, location)
    if urlsplit(url).scheme not in ("https", urlsplit(api.origin).scheme):
        raise BadAnswer(f"{reply.source}: PostHog names an address without encryption; nothing was downloaded")
    return url


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
