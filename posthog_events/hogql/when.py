"""Moments as PostHog writes them: ISO dates and times, and relative forms such as `-7d` or `-1mStart`.

A relative form is an amount, a unit and perhaps `Start` or `End`, always counted back from now: `7d` is `-7d`. Case
matters: `m` is a month, `M` a minute.

=====  ==================  ================================================  =====================================
unit   steps back          `Start`                                           `End`
=====  ==================  ================================================  =====================================
s M    seconds, minutes    no effect                                         no effect
h      hours               first microsecond of the hour                     last microsecond of the hour
d      days                first microsecond of the day                      last microsecond of the day
w q    weeks, 13 weeks     no effect                                         no effect
m      months              first day of the month, same time of day          last day of the month, same time of day
y      years               first of January, same time of day                last day of the *same month*
=====  ==================  ================================================  =====================================

The right half of the table is not what one would choose, but it is what PostHog computes, and the same file must give
the same rows there and here. For the same reason all steps are made on the wall clock of the project's zone: `-24h` on
the day after a clock change is the same hour of the day before, 23 or 25 hours ago.

Source: PostHog/posthog:posthog/utils.py (relative_date_parse), posthog/hogql/filters.py (`all`).
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta, tzinfo

from posthog_events.errors import Fault, ParameterError

__all__ = ["resolve_when"]

_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII)
_UNPADDED_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII)
_RELATIVE = re.compile(r"-?(?P<number>\d{1,9})?(?P<unit>[hdwmqyMs])(?P<position>Start|End)?", re.ASCII)

_STEPS = {
    "s": timedelta(seconds=1),
    "M": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "q": timedelta(weeks=13),
}
_MONTHS = {"m": 1, "y": 12}


def resolve_when(text: str, *, now: datetime, tz: tzinfo) -> datetime | None:
    """Return the moment that `text` names, in `tz`; None for `all`, which means "no bound".

    An ISO text without an offset is read in `tz`. A time that a clock change skips is read with the offset before the
    change; of a time that occurs twice, the first is meant.

    >>> from zoneinfo import ZoneInfo
    >>> now = datetime(2026, 3, 31, 12, tzinfo=UTC)
    >>> str(resolve_when("-1m", now=now, tz=ZoneInfo("Europe/Berlin")))
    '2026-02-28 14:00:00+01:00'

    Args:
        text: An ISO date or datetime, a relative form (see above), or `all`.
        now: The current moment, aware.
        tz: The project's zone.

    Raises:
        ParameterError: `text` has none of these forms, or names a moment that does not exist.
    """
    text = text.strip()
    if text == "all":
        return None
    try:
        if _ISO.fullmatch(text):
            return _in_zone(datetime.fromisoformat(text), tz)
        if unpadded := _UNPADDED_DATE.fullmatch(text):
            year, month, day = map(int, unpadded.groups())
            return _in_zone(datetime(year, month, day), tz)
        relative = _RELATIVE.fullmatch(text)
        if relative and (relative["number"] or relative["position"]):
            local = now.astimezone(tz).replace(tzinfo=None)
            return _in_zone(
                _stepped_back(local, int(relative["number"] or 0), relative["unit"], relative["position"]), tz
            )
    except ValueError as error:
        raise ParameterError([Fault(f"{text!r} does not exist: {error}")]) from error
    except OverflowError as error:
        raise ParameterError([Fault(f"{text!r} is outside the years 1 to 9999")]) from error
    raise ParameterError(
        [
            Fault(
                f"{text!r} is not a moment. Use an ISO date (2026-01-31), an ISO datetime (2026-01-31T08:00:00Z), "
                "a relative form (-7d, -24h, -3m, -1mStart; units: s, M minute, h, d, w, m month, q, y), or `all`"
            )
        ]
    )


def _stepped_back(local: datetime, number: int, unit: str, position: str | None) -> datetime:
    if unit in _MONTHS:
        year, month0 = divmod(local.year * 12 + local.month - 1 - number * _MONTHS[unit], 12)
        if not 1 <= year <= 9999:
            raise OverflowError
        month = 1 if (unit, position) == ("y", "Start") else month0 + 1
        day = {"Start": 1, "End": 31, None: local.day}[position]
        return local.replace(year=year, month=month, day=min(day, calendar.monthrange(year, month)[1]))
    moment = local - number * _STEPS[unit]
    if unit not in "hd" or position is None:
        return moment
    start = moment.replace(hour=0 if unit == "d" else moment.hour, minute=0, second=0, microsecond=0)
    return start if position == "Start" else start + _STEPS[unit] - timedelta(microseconds=1)


def _in_zone(moment: datetime, tz: tzinfo) -> datetime:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=tz, fold=0)
    # through UTC, so that a skipped wall-clock time becomes one that exists
    return moment.astimezone(UTC).astimezone(tz)
