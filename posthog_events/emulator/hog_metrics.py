"""Logs and metrics of hog functions. Source: reference 5.2 and 5.3; PostHog/posthog:posthog/api/app_metrics2.py."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from posthog_events.emulator.endpoint import Call, api_route, reply
from posthog_events.emulator.hog_functions import find
from posthog_events.emulator.hog_state import HogState, LogEntry, Metric, state_of
from posthog_events.emulator.listing import invalid, utc_text

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["EVENT_TRIGGER", "ROUTES", "count", "log"]

EVENT_TRIGGER = "_event_trigger"
"""What billing is counted under: an event is billed once, however many destinations it fires."""

MESSAGE_CHARS = 10_000
INTERVALS = ("hour", "day", "week")
_AGO = re.compile(r"-(\d+)([hdwmy])")
_HOURS = {"h": 1, "d": 24, "w": 168, "m": 30 * 24, "y": 365 * 24}


def log(state: HogState, function_id: str, instance_id: str, at: datetime, level: str, message: str) -> None:
    """Add a line to a function's log."""
    entry = LogEntry(function_id, instance_id, at, level.upper(), message[:MESSAGE_CHARS])
    with state.lock:
        state.logs.append(entry)


def count(
    state: HogState, source_id: str, at: datetime, kind: str, name: str, *, instance_id: str | None = None
) -> None:
    """Count something once."""
    with state.lock:
        state.metrics.append(Metric(source_id, at, kind, name, instance_id))


def logs(call: Call) -> Response:
    """Answer `GET hog_functions/{id}/logs/`: the newest first, and never more than `limit`, which `count` hides."""
    state, row, query = state_of(call.project), find(call), call.query
    limit = _number(query.get("limit", "50"))
    after, before = (_moment(query[name], name, call) if query.get(name) else None for name in ("after", "before"))
    levels = {level.strip().upper() for level in query.get("level", "").split(",") if level.strip()}
    with state.lock:
        found = [
            entry
            for entry in reversed(state.logs)
            if entry.function_id == row.id
            and (after is None or entry.at > after)
            and (before is None or entry.at < before)
            and (not levels or entry.level in levels)
            and query.get("search", "").lower() in entry.message.lower()
            and query.get("instance_id") in (None, "", entry.instance_id)
        ]
    found.sort(key=lambda entry: entry.at, reverse=True)
    items = [
        {
            "log_source_id": entry.function_id,
            "instance_id": entry.instance_id,
            "timestamp": utc_text(entry.at),
            "level": entry.level,
            "message": entry.message,
        }
        for entry in found[:limit]
    ]
    return reply({"count": len(items), "next": None, "previous": None, "results": items})


def metrics(call: Call) -> Response:
    """Answer `GET hog_functions/{id}/metrics/`: a series for everything that was counted at all."""
    zone = ZoneInfo(call.project.engine.catalog().timezone)
    interval = _choice(call.query, "interval", INTERVALS, "day")
    breakdown = _choice(call.query, "breakdown_by", ("name", "kind"), "kind")
    after, before = _window(call)
    labels = list(_labels(after.astimezone(zone), before.astimezone(zone), interval))
    series: dict[str, Counter[str]] = {}
    for metric in _selected(call, after, before):
        label = _label(_floor(metric.at.astimezone(UTC), interval), interval)
        series.setdefault(getattr(metric, breakdown), Counter())[label] += 1
    return reply(
        {
            "labels": labels,
            "series": [
                {"name": name, "values": [counts[label] for label in labels]} for name, counts in sorted(series.items())
            ],
        }
    )


def totals(call: Call) -> Response:
    """Answer `GET hog_functions/{id}/metrics/totals/`."""
    breakdown = _choice(call.query, "breakdown_by", ("name", "kind"), "kind")
    after, before = _window(call)
    counted = Counter(getattr(metric, breakdown) for metric in _selected(call, after, before))
    return reply({"totals": dict(sorted(counted.items()))})


def _selected(call: Call, after: datetime, before: datetime) -> list[Metric]:
    state, row = state_of(call.project), find(call)
    names, kinds = (set(filter(None, call.query.get(name, "").split(","))) for name in ("name", "kind"))
    with state.lock:
        return [
            metric
            for metric in state.metrics
            if metric.source_id == row.id
            and after <= metric.at <= before
            and (not names or metric.name in names)
            and (not kinds or metric.kind in kinds)
            and call.query.get("instance_id") in (None, "", metric.instance_id)
        ]


def _window(call: Call) -> tuple[datetime, datetime]:
    after = _moment(call.query.get("after") or "-7d", "after", call)
    return after, _moment(call.query["before"], "before", call) if call.query.get("before") else call.world.now()


def _moment(text: str, name: str, call: Call) -> datetime:
    if found := _AGO.fullmatch(text):
        return call.world.now() - timedelta(hours=int(found[1]) * _HOURS[found[2]])
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise invalid("Datetime has wrong format.", attr=name) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise invalid("A valid integer is required.", attr="limit")
    if not 1 <= int(text) <= 500:
        bound = "greater than or equal to 1" if int(text) < 1 else "less than or equal to 500"
        raise invalid(
            f"Ensure this value is {bound}.", attr="limit", code="min_value" if int(text) < 1 else "max_value"
        )
    return int(text)


def _choice(query: Mapping[str, str], name: str, known: Iterable[str], default: str) -> str:
    value = query.get(name) or default
    if value not in known:
        raise invalid(f'"{value}" is not a valid choice.', attr=name, code="invalid_choice")
    return value


def _floor(moment: datetime, interval: str) -> datetime:
    moment = moment.replace(minute=0, second=0, microsecond=0)
    if interval == "hour":
        return moment
    moment = moment.replace(hour=0)
    return moment - timedelta(days=moment.weekday()) if interval == "week" else moment


def _label(moment: datetime, interval: str) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M" if interval == "hour" else "%Y-%m-%d")


def _labels(after: datetime, before: datetime, interval: str) -> Iterable[str]:
    moment = _floor(after, interval)
    while moment <= before:
        yield _label(moment, interval)
        moment += timedelta(hours={"hour": 1, "day": 24, "week": 168}[interval])


ROUTES: tuple[Any, ...] = (
    api_route("hog_functions/{id}/logs/", logs, scope="hog_function:read"),
    api_route("hog_functions/{id}/metrics/", metrics, scope="hog_function:read"),
    api_route("hog_functions/{id}/metrics/totals/", totals, scope="hog_function:read"),
)
