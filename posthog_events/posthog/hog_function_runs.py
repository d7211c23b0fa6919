"""What hog functions do: try one out, read its log and its counts, deliver again what failed. Source: reference 5."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from posthog_events.errors import ApiError, BadAnswer, Fault, IncompleteExtraction, ParameterError
from posthog_events.posthog.hog_functions import function_path
from posthog_events.posthog.http import Request

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import PolarsDataType

    from posthog_events.posthog.http import Api, Reply

__all__ = [
    "MAX_RERUN",
    "MAX_RERUN_WINDOW",
    "Breakdown",
    "Interval",
    "Invocation",
    "LogLine",
    "invoke",
    "logs",
    "metrics",
    "rerun",
    "totals",
]

Interval: TypeAlias = Literal["hour", "day", "week"]
Breakdown: TypeAlias = Literal["name", "kind"]

MAX_LOG_PAGE = 500
"""Lines of a page; more is refused. Source: PostHog/posthog:posthog/api/log_entries.py (2026-08)."""

MAX_RERUN_WINDOW: Final = timedelta(days=30)
"""How long PostHog keeps invocations. Source: PostHog/posthog:posthog/api/hog_invocation_rerun.py (2026-08)."""

MAX_RERUN: Final = 10_000
"""Invocations of one rerun; a server may be set to another number. Source: as above."""

RERUN_STATUSES = ("running", "succeeded", "failed")
MAX_ERROR_CHARS = 200
MAX_ATTEMPTS = 255

_TICK = timedelta(microseconds=1)
_OFFSETS = timedelta(days=1)
"""More than any time zone differs from UTC."""

_FETCH_FAILED = "HTTP fetch failed on attempt "


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log.

    Args:
        at: UTC.
        level: DEBUG, LOG, INFO, WARN or ERROR.
        instance_id: The invocation that wrote it; empty in the answer of a test.
    """

    at: datetime
    level: str
    message: str
    instance_id: str = ""


@dataclass(frozen=True, slots=True)
class Invocation:
    """How a test went.

    Args:
        status: `skipped`: nothing ran, because the filters do not match or the inputs could not be built.
        errors: Of the runs that failed.
        result: Of transformations only.
    """

    status: Literal["success", "error", "skipped"]
    errors: tuple[str, ...] = ()
    logs: tuple[LogLine, ...] = ()
    result: Any = None

    @property
    def failed(self) -> bool:
        """Whether anything went wrong, by the log too.

        A request that failed and could be repeated is only scheduled, and inputs that cannot be built only skip the
        run: the status is `success` or `skipped`, and the error is nowhere but in the log (reference 5.1).
        """
        return self.status == "error" or bool(self.errors) or any(map(_is_error, self.logs))


def _is_error(line: LogLine) -> bool:
    # older servers warn of a request that failed; one that counts as no failure is told at level INFO
    return line.level == "ERROR" or (line.level == "WARN" and line.message.startswith(_FETCH_FAILED))


class _Line(msgspec.Struct):
    timestamp: datetime
    level: str
    message: str
    instance_id: str = ""

    def line(self) -> LogLine:
        at = self.timestamp.astimezone(UTC) if self.timestamp.tzinfo else self.timestamp.replace(tzinfo=UTC)
        return LogLine(at, self.level.upper(), self.message, self.instance_id)


class _LogPage(msgspec.Struct):
    results: list[_Line]
    next: str | None = None


class _Tried(msgspec.Struct):
    status: Literal["success", "error", "skipped"]
    errors: list[str] = []
    logs: list[_Line] = []
    result: Any = None


class _Series(msgspec.Struct):
    name: str
    values: list[int]


class _Metrics(msgspec.Struct):
    labels: list[str]
    series: list[_Series]


class _Totals(msgspec.Struct):
    totals: dict[str, int]


class _Queued(msgspec.Struct):
    rerun_job_id: str


def invoke(
    api: Api,
    id_: str | None,
    configuration: Mapping[str, Any],
    *,
    globals_: Mapping[str, Any] | None = None,
    clickhouse_event: Mapping[str, Any] | None = None,
    mock: bool = True,
) -> Invocation:
    """Run a configuration once, without storing it, on one event. Exactly one of the events is needed.

    Args:
        id_: A stored function, over which the configuration is laid, and whose secrets `{"secret": true}` means; None
            for a new one, whose configuration must hold `hog` and `inputs_schema`: a template's are not filled in.
        globals_: What templates see: `event`, `person`, `groups` (reference 2.4).
        clickhouse_event: A row of ClickHouse, with `properties` as a JSON text.
        mock: Requests are only logged, and answered with 200 and `{}`; otherwise they are sent.

    Raises:
        ApiError: PostHog refused the configuration or the event; `detail` says what is wrong, `attr` where. When it
            is `ambiguous`, requests may have been sent.
    """
    if (globals_ is None) == (clickhouse_event is None):
        raise ValueError("either globals_ or clickhouse_event is needed")
    event = {"globals": globals_} if clickhouse_event is None else {"clickhouse_event": clickhouse_event}
    path = function_path("new" if id_ is None else id_) + "invocations/"
    body = {"configuration": configuration, **event, "mock_async_functions": mock}
    try:
        reply = api.send(Request("POST", path, json=body, repeatable=mock))
    except ApiError as error:
        raise _explained(error) from error
    tried = reply.decode(_Tried)
    return Invocation(tried.status, tuple(tried.errors), tuple(line.line() for line in tried.logs), tried.result)


def _explained(error: ApiError) -> ApiError:
    """Return the error with what this endpoint says in shapes of its own: errors by field, or a list of sentences."""
    found = list(_sentences(error.extra))
    if error.detail or not found:
        return error
    attrs = ["__".join(path) for path, _ in found]
    detail = "; ".join(
        f"{attr}: {sentence}" if attr else sentence for attr, (_, sentence) in zip(attrs, found, strict=True)
    )
    kind = type(error) if error.status in (400, 404) or error.status >= 500 else ApiError
    return kind(
        detail,
        status=error.status,
        code=error.code or "invalid_input",
        detail=detail,
        attr=attrs[0] or None,
        extra=error.extra,
        ambiguous=error.ambiguous,
    )


def _sentences(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every sentence of an error body and the field that it is about; `configuration` is not worth a name."""
    match value:
        case {"status": "error", "errors": list(errors)}:
            yield from (((), str(sentence)) for sentence in errors)
        case Mapping():
            for key, inner in value.items():
                yield from _sentences(inner, path if not path and key == "configuration" else (*path, str(key)))
        case list():
            for inner in value:
                yield from _sentences(inner, path)
        case str():
            yield path, value


def logs(
    api: Api,
    id_: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    levels: Collection[str] = (),
    search: str | None = None,
    instance_id: str | None = None,
) -> Iterator[LogLine]:
    """Read a function's log, the newest lines first, complete, page by page as they are taken.

    Args:
        since: No older lines than this.
        until: Only lines before this.
        levels: Only these; all when empty.
        search: Only messages with this in them.
        instance_id: Only the lines of one invocation.

    Raises:
        IncompleteExtraction: More lines have the same timestamp than PostHog returns at once.
    """
    wanted = {
        # PostHog's bound is exclusive
        "after": None if since is None else _text(since - _TICK),
        "level": ",".join(level.upper() for level in levels) or None,
        "search": search,
        "instance_id": instance_id,
        "limit": str(MAX_LOG_PAGE),
    }
    params = {name: value for name, value in wanted.items() if value is not None}
    before = until
    while True:
        bound = {} if before is None else {"before": _text(before)}
        page = api.send(Request("GET", f"{function_path(id_)}logs/", params | bound)).decode(_LogPage)
        lines = [item.line() for item in page.results]
        if len(lines) < MAX_LOG_PAGE and page.next is None:
            yield from lines
            return
        # More lines may have the timestamp at which the page ends, in any order. They are left to the next page, which
        # begins with all of them, so none is lost or doubled, not even of lines that are equal.
        oldest = min(line.at for line in lines)
        whole = [line for line in lines if line.at > oldest]
        if not whole:
            raise IncompleteExtraction(
                f"{function_path(id_)}logs/: more than {len(lines)} lines have the timestamp {_text(oldest)}, and "
                "PostHog has no way to read beyond them; ask for one level, one invocation, or a text in the message"
            )
        yield from whole
        before = oldest + _TICK


def metrics(
    api: Api,
    id_: str,
    *,
    since: datetime,
    until: datetime,
    interval: Interval = "day",
    breakdown: Breakdown = "name",
    names: Collection[str] = (),
) -> pl.DataFrame:
    """Return what was counted: `time` (begin of the interval, UTC), `name`, `value`, ordered by time and name.

    Intervals are those of UTC and always whole, so those of `since` and `until` reach beyond them. A name that was
    never counted is not in the frame; one that was, is there for every interval.

    Args:
        breakdown: Whether `name` is the metric's name (`succeeded`) or its kind (`success`).
        names: Only the metrics of these names.
    """
    import polars as pl

    first = _floor(since.astimezone(UTC), interval)
    # PostHog counts by UTC, but ends the list of intervals where the project's time zone is now, which cuts off hours
    # or adds some. So more is asked for, and cut here.
    window = _window(first - _OFFSETS, until + _LENGTHS[interval] + _OFFSETS, breakdown, names)
    reply = api.send(Request("GET", f"{function_path(id_)}metrics/", {**window, "interval": interval}))
    rows = [row for row in _rows(reply) if first <= row[0] < until]
    schema: dict[str, PolarsDataType] = {"time": pl.Datetime("us", "UTC"), "name": pl.String, "value": pl.Int64}
    counted = {name for _, name, value in rows if value}
    return pl.DataFrame(sorted(row for row in rows if row[1] in counted), schema=schema, orient="row")


def _rows(reply: Reply) -> list[tuple[datetime, str, int]]:
    answer = reply.decode(_Metrics)
    try:
        times = [datetime.fromisoformat(label).replace(tzinfo=UTC) for label in answer.labels]
        return [
            (at, series.name, value) for series in answer.series for at, value in zip(times, series.values, strict=True)
        ]
    except ValueError as error:
        raise BadAnswer(f"{reply.source}: PostHog's answer is not what its API documents ({error})") from error


_LENGTHS: Mapping[str, timedelta] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}


def _floor(moment: datetime, interval: Interval) -> datetime:
    if interval == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return day if interval == "day" else day - timedelta(days=day.weekday())


def totals(
    api: Api,
    id_: str,
    *,
    since: datetime,
    until: datetime,
    breakdown: Breakdown = "name",
    names: Collection[str] = (),
) -> dict[str, int]:
    """Return how often everything was counted between two moments, by name or kind; PostHog reads whole seconds."""
    params = _window(since, until, breakdown, names)
    return api.send(Request("GET", f"{function_path(id_)}metrics/totals/", params)).decode(_Totals).totals


def _window(since: datetime, until: datetime, breakdown: Breakdown, names: Collection[str]) -> dict[str, str]:
    window = {"after": _text(since), "before": _text(until), "breakdown_by": breakdown}
    return window | ({"name": ",".join(names)} if names else {})


def rerun(
    api: Api,
    id_: str,
    *,
    since: datetime,
    until: datetime,
    status: Sequence[str] = ("failed",),
    error_kinds: Sequence[str] = (),
    error_contains: str | None = None,
    max_attempts: int | None = None,
    max_count: int | None = None,
    invocation_ids: Sequence[str] = (),
) -> str:
    """Deliver again what was scheduled from `since` until before `until`, and return the id of PostHog's job.

    PostHog only notes it down: how many invocations it finds is not told, and a receiver may get deliveries twice.

    Args:
        status: Invocations whose last status is one of these: failed, succeeded, running.
        error_kinds: Only errors of these kinds, such as `http_5xx` or `timeout`.
        error_contains: Only errors with this in their message.
        max_attempts: Not what was tried this often already.
        max_count: No more than this many.
        invocation_ids: Only these, within the window.

    Raises:
        ParameterError: PostHog would refuse it; nothing was sent.
        MissingScope: It needs `hog_function:write`, `person:read` and `group:read`.
        ApiError: The function is off, or not a destination.
    """
    faults = []
    if since.tzinfo is None or until.tzinfo is None:
        faults.append("the window needs times with a time zone")
    elif until <= since:
        faults.append("the window ends before it begins")
    elif until - since > MAX_RERUN_WINDOW:
        faults.append(f"the window is longer than {MAX_RERUN_WINDOW.days} days, which is how long PostHog keeps them")
    if unknown := [one for one in status if one not in RERUN_STATUSES]:
        faults.append(f"there is no status {unknown[0]!r}; there are {', '.join(RERUN_STATUSES)}")
    if max_count is not None and not 1 <= max_count <= MAX_RERUN:
        faults.append(f"the number of invocations must be from 1 to {MAX_RERUN:,}")
    if max_attempts is not None and not 1 <= max_attempts <= MAX_ATTEMPTS:
        faults.append(f"the number of attempts must be from 1 to {MAX_ATTEMPTS}")
    if len(invocation_ids) > MAX_RERUN:
        faults.append(f"at most {MAX_RERUN:,} invocations can be named")
    if len(error_contains or "") > MAX_ERROR_CHARS:
        faults.append(f"the text in the error may have at most {MAX_ERROR_CHARS} characters")
    if faults:
        raise ParameterError([Fault(message) for message in faults])
    chosen = {
        "window_start": _text(since),
        "window_end": _text(until),
        "status": list(status),
        "error_kind": list(error_kinds),
        "error_message_contains": error_contains,
        "max_attempts": max_attempts,
        "max_count": max_count,
        "invocation_ids": list(invocation_ids),
    }
    body = {"filter": {name: value for name, value in chosen.items() if value}}
    return (
        api.send(Request("POST", f"{function_path(id_)}rerun/", json=body, repeatable=False))
        .decode(_Queued)
        .rerun_job_id
    )


def _text(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a time needs a time zone")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
