"""The date functions of Hog.

Text that is no date gives a moment that is not one either; only showing it fails.

Source: PostHog/posthog:common/hogvm/typescript/src/stl/date.ts (2026).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from posthog_events.errors import HogError
from posthog_events.hog.functions import Function
from posthog_events.hog.values import HogDate, HogDateTime, js_string, parse_moment, whole

__all__ = ["date_functions"]

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_SHOWN: dict[str, Callable[[datetime], str]] = {
    "a": lambda at: _DAYS[at.weekday()][:3],
    "b": lambda at: _MONTHS[at.month - 1][:3],
    "c": lambda at: f"{at.month:02}",
    "C": lambda at: f"{at.year % 100:02}",
    "d": lambda at: f"{at.day:02}",
    "D": lambda at: f"{at.month:02}/{at.day:02}/{at.year % 100:02}",
    "e": lambda at: str(at.day),
    "f": lambda at: f"{at.microsecond // 1000:03}",
    "F": lambda at: f"{at.year:04}-{at.month:02}-{at.day:02}",
    "g": lambda at: f"{at.year % 100:02}",
    "G": lambda at: f"{at.year:04}",
    "h": lambda at: f"{(at.hour - 1) % 12 + 1:02}",
    "H": lambda at: f"{at.hour:02}",
    "i": lambda at: f"{at.minute:02}",
    "I": lambda at: f"{(at.hour - 1) % 12 + 1:02}",
    "j": lambda at: f"{at.timetuple().tm_yday:03}",
    "k": lambda at: f"{at.hour:02}",
    "l": lambda at: f"{(at.hour - 1) % 12 + 1:02}",
    "m": lambda at: f"{at.month:02}",
    "M": lambda at: _MONTHS[at.month - 1],
    "n": lambda at: "\n",
    "p": lambda at: "AM" if at.hour < 12 else "PM",
    "Q": lambda at: str((at.month + 2) // 3),
    "r": lambda at: f"{(at.hour - 1) % 12 + 1:02}:{at.minute:02} {'AM' if at.hour < 12 else 'PM'}",
    "R": lambda at: f"{at.hour:02}:{at.minute:02}",
    "s": lambda at: f"{at.second:02}",
    "S": lambda at: f"{at.second:02}",
    "t": lambda at: "\t",
    "T": lambda at: f"{at.hour:02}:{at.minute:02}:{at.second:02}",
    "u": lambda at: str(at.isoweekday()),
    "V": lambda at: f"{at.isocalendar().week:02}",
    "w": lambda at: str(at.isoweekday()),
    "W": lambda at: _DAYS[at.weekday()],
    "y": lambda at: f"{at.year % 100:02}",
    "Y": lambda at: f"{at.year:04}",
    "z": lambda at: at.strftime("%z"),
    "%": lambda at: "%",
}
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}


def _zone(zone: Any) -> str:
    return js_string(zone) if zone else "UTC"


def _to_datetime(value: Any, zone: Any = None) -> HogDateTime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return HogDateTime(value, _zone(zone))
    if not isinstance(value, str):
        raise HogError(f"toDateTime() needs text or a number, not {'null' if value is None else type(value).__name__}")
    seconds = parse_moment(value, _zone(zone))
    return HogDateTime(math.nan if seconds is None else seconds, _zone(zone))


def _to_date(value: Any) -> HogDate:
    moment = _to_datetime(value).moment()
    return HogDate(moment.year, moment.month, moment.day)


def _format(value: Any, pattern: Any, zone: Any = None) -> str:
    if not isinstance(value, HogDateTime):
        raise HogError(
            "formatDateTime() needs a date and time: formatDateTime(toDateTime(event.timestamp), '%Y-%m-%d')"
        )
    if not isinstance(pattern, str) or not pattern:
        raise HogError("formatDateTime() needs a pattern such as '%Y-%m-%d'")
    moment = (HogDateTime(value.seconds, js_string(zone)) if zone else value).moment()
    parts = []
    characters = iter(pattern)
    for char in characters:
        # a letter that stands for nothing is left out
        shown = _SHOWN.get(next(characters, "")) if char == "%" else None
        parts.append(shown(moment) if shown else "" if char == "%" else char)
    return "".join(parts)


def _seconds(value: Any, zone: Any = None) -> float | int:
    if isinstance(value, HogDateTime | HogDate):
        return whole(value.seconds)
    return whole(_to_datetime(value, zone).seconds)


def _in_zone(value: Any, zone: Any) -> HogDateTime:
    if not isinstance(value, HogDateTime):
        raise HogError("toTimeZone() needs a date and time")
    return HogDateTime(value.seconds, js_string(zone))


def _difference(unit: Any, start: Any, end: Any) -> float | int:
    if unit not in (*_SECONDS, "month", "year"):
        raise HogError(f"dateDiff() does not know the unit {js_string(unit)!r}")
    if unit in _SECONDS:
        seconds = _seconds(end) - _seconds(start)
        return math.floor(seconds / _SECONDS[unit]) if math.isfinite(seconds) else math.nan
    first, last = (HogDateTime(_seconds(value)).moment() for value in (start, end))
    years = last.year - first.year
    return years if unit == "year" else years * 12 + last.month - first.month


def date_functions(clock: Callable[[], datetime]) -> dict[str, Function]:
    """Return the date functions; `clock` gives the moment of now() and today()."""

    def today() -> HogDate:
        now = clock().astimezone(UTC)
        return HogDate(now.year, now.month, now.day)

    return {
        "dateDiff": Function(3, 3, _difference),
        "formatDateTime": Function(2, 3, _format),
        "fromUnixTimestamp": Function(1, 1, lambda seconds: _to_datetime(seconds)),
        "fromUnixTimestampMilli": Function(1, 1, lambda millis: HogDateTime(_to_datetime(millis).seconds / 1000)),
        "now": Function(0, 1, lambda zone=None: HogDateTime(clock().timestamp(), _zone(zone))),
        "toDate": Function(1, 1, _to_date),
        "toDateTime": Function(1, 2, _to_datetime),
        "toTimeZone": Function(2, 2, _in_zone),
        "toUnixTimestamp": Function(1, 2, _seconds),
        "toUnixTimestampMilli": Function(1, 2, lambda value, zone=None: whole(_seconds(value, zone) * 1000)),
        "today": Function(0, 0, today),
    }
