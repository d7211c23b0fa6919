"""Parameter values: from Python or the command line to checked values, with every fault told at once.

========== ======================================================================== ==========================
type       accepts                                                                  becomes
========== ======================================================================== ==========================
event      text, not empty                                                          str
property   `plan`, `$browser`, `person.plan`, `properties['weird key']`             str
text       text                                                                     str
choice     one of `choices`                                                         str
int        a whole number, or its text                                              int
float      a finite number, or its text                                             float
bool       true or false; in text also yes, no, 1, 0                                bool
when       ISO date or datetime, `-30d`, `-1mStart`, `all`; Python date, datetime   aware datetime; None for `all`
duration   `14d`, `1h30min` (s, min, h, d, w); Python timedelta                     whole seconds, int
list[...]  a list; in text `a,b` or a YAML or JSON list                             list
steps      a list of event names or `{event, where, name}`; text as for a list      list of Step
where      one boolean HogQL expression                                             Condition
========== ======================================================================== ==========================
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from difflib import get_close_matches
from operator import index
from typing import Any, SupportsFloat

from posthog_events.errors import Fault, ParameterError
from posthog_events.hogql.when import resolve_when
from posthog_events.queryfiles.conditions import parse_condition
from posthog_events.queryfiles.model import MISSING, Param, Step
from posthog_events.queryfiles.structure import property_chain
from posthog_events.queryfiles.yamltree import parse_yaml

__all__ = ["coerce", "coerce_all", "did_you_mean"]

_UNIT_S = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(?:\d{1,9}(?:s|min|h|d|w))+", re.ASCII)
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")
_STEP_KEYS = ("event", "where", "name")


@dataclass(frozen=True, slots=True)
class _Moment:
    """What relative moments refer to."""

    now: datetime
    tz: tzinfo


def coerce_all(
    params: Mapping[str, Param], given: Mapping[str, object], *, now: datetime, tz: tzinfo
) -> dict[str, object]:
    """Check `given` against the declared `params` and return a value for each of these.

    Args:
        now: The current moment, aware; relative moments count from it.
        tz: The zone in which naive datetimes and dates are read.

    Raises:
        ParameterError: Lists every missing, unknown and wrong parameter.
    """
    faults = [
        Fault(f"there is no parameter `{name}`{did_you_mean(name, params)}{_known(params)}")
        for name in given
        if name not in params
    ]
    values: dict[str, object] = {}
    for name, param in params.items():
        raw = given.get(name, param.default)
        if raw is MISSING:
            if param.required:
                hint = f": {param.description}" if param.description else ""
                faults.append(Fault(f"`{name}` is missing; its type is {param.type}{hint}"))
            values[name] = None
            continue
        try:
            values[name] = coerce(param, raw, now=now, tz=tz)
        except ParameterError as error:
            faults += error.faults
    if faults:
        raise ParameterError(faults)
    return values


def coerce(param: Param, raw: object, *, now: datetime, tz: tzinfo) -> object:
    """Return `raw` as the type of `param`.

    Raises:
        ParameterError: It does not fit; every fault in it is listed, each beginning with the parameter's name.
    """
    if raw is None and not param.required:
        return None
    try:
        value = _convert(param, raw, _Moment(now, tz))
        _check_bounds(param, value)
    except ParameterError as error:
        raise ParameterError([Fault(f"`{param.name}`: {fault.message}") for fault in error.faults]) from error
    return value


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` when one of `known` is close to `name`."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _known(params: Mapping[str, Param]) -> str:
    return f" (there are {', '.join(params)})" if params else " (the query has none)"


def _wrong(message: str) -> ParameterError:
    return ParameterError([Fault(message)])


def _shown(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}..."


# -- one function per type ----------------------------------------------------------------------------------------


def _convert(param: Param, raw: object, moment: _Moment) -> object:
    if param.type == "steps":
        return _collect(_elements(raw, opening="[{"), _step)
    if element := param.element:
        return _collect(_elements(raw, opening="["), lambda item: _convert(element, item, moment))
    if param.type == "where":
        return parse_condition(_text(raw))
    if param.type == "choice":
        return _choice(param, raw)
    if param.type == "when":
        return _when(raw, moment)
    return _SIMPLE[param.type](raw)


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise _wrong(f"{_shown(raw)} is not text")
    text = str.__str__(raw)  # a subclass may carry other behaviour (markupsafe.Markup does)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise _wrong(f"{_shown(raw)} is not valid Unicode (character {error.start + 1})") from error
    return text


def _name(raw: object) -> str:
    text = _text(raw)
    if not text.strip():
        raise _wrong("an empty text names nothing")
    return text


def _property(raw: object) -> str:
    text = _text(raw)
    property_chain(text)
    return text


def _int(raw: object) -> int:
    if isinstance(raw, str) and re.fullmatch(r"\s*[+-]?\d{1,20}\s*", raw, re.ASCII):
        number = int(raw)
    elif isinstance(raw, (str, bool)) or not hasattr(raw, "__index__"):
        raise _wrong(f"{_shown(raw)} is not a whole number")
    else:
        number = index(raw)
    if not -(2**63) <= number < 2**64:
        raise _wrong(f"{number} does not fit into 64 bits")
    return number


def _float(raw: object) -> float:
    try:
        if isinstance(raw, bool) or not isinstance(raw, (str, SupportsFloat)):
            raise ValueError
        number = float(raw)
    except (ValueError, OverflowError) as error:
        raise _wrong(f"{_shown(raw)} is not a number") from error
    if not math.isfinite(number):
        raise _wrong(f"{_shown(raw)} is not a finite number")
    return number


def _bool(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = raw.strip().lower() if isinstance(raw, str) else ""
    if word in _TRUE + _FALSE:
        return word in _TRUE
    raise _wrong(f"{_shown(raw)} is neither true nor false")


def _choice(param: Param, raw: object) -> str:
    text = _text(raw)
    if text not in param.choices:
        raise _wrong(f"{_shown(raw)} is not one of {', '.join(param.choices)}{did_you_mean(text, param.choices)}")
    return text


def _when(raw: object, moment: _Moment) -> datetime | None:
    if isinstance(raw, datetime):
        return raw if raw.tzinfo else raw.replace(tzinfo=moment.tz)
    if isinstance(raw, date):
        return datetime(raw.year, raw.month, raw.day, tzinfo=moment.tz)
    return resolve_when(_text(raw), now=moment.now, tz=moment.tz)


def _duration(raw: object) -> int:
    if isinstance(raw, timedelta):
        seconds = raw.total_seconds()
        if seconds != int(seconds):
            raise _wrong(f"{_shown(raw)} is not a whole number of seconds")
    elif isinstance(raw, str) and _DURATION.fullmatch(text := re.sub(r"\s+", "", raw)):
        seconds = sum(int(number) * _UNIT_S[unit] for number, unit in re.findall(r"(\d+)(s|min|h|d|w)", text))
    elif isinstance(raw, str) and re.search(r"\d\s*[mM](?!in)", raw):
        raise _wrong(f"{_shown(raw)}: `m` could be minutes or months; write 30min, or days (30d)")
    else:
        raise _wrong(f"{_shown(raw)} is not a duration; write 14d, 36h or 1h30min (units: s, min, h, d, w)")
    if seconds <= 0:
        raise _wrong("a duration is longer than nothing")
    return int(seconds)


def _step(raw: object) -> Step:
    if isinstance(raw, Step):
        return raw
    if not isinstance(raw, Mapping):
        event = _name(raw)
        return Step(event, name=event)
    faults = [
        Fault(f"`{key}` is not part of a step{did_you_mean(str(key), _STEP_KEYS)}")
        for key in raw
        if key not in _STEP_KEYS
    ]
    parts: dict[str, Any] = {}
    if "event" not in raw:
        faults.append(Fault("a step needs an `event`"))
    for key, convert in (("event", _name), ("where", lambda text: parse_condition(_text(text))), ("name", _name)):
        try:
            if raw.get(key) is not None:
                parts[key] = convert(raw[key])
        except ParameterError as error:
            faults += [Fault(f"{key}: {fault.message}") for fault in error.faults]
    if faults:
        raise ParameterError(faults)
    return Step(parts["event"], parts.get("where"), parts.get("name", parts["event"]))


_SIMPLE: dict[str, Callable[[object], object]] = {
    "event": _name,
    "property": _property,
    "text": _text,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "duration": _duration,
}


# -- lists ---------------------------------------------------------------------------------------------------------


def _elements(raw: object, *, opening: str) -> list[object]:
    """Return the elements of a list given as such, as YAML or JSON, or as comma separated text."""
    if isinstance(raw, str):
        text = raw.strip()
        if text[:1] and text[0] in opening:
            tree, faults = parse_yaml(text)
            if faults or tree is None:
                raise ParameterError([Fault(f"{fault.message} (column {fault.column})") for fault in faults])
            return [tree.plain()] if tree.is_mapping else list(tree.plain())
        return [part.strip() for part in text.split(",")] if text else []
    if isinstance(raw, Iterable) and not isinstance(raw, (bytes, Mapping)):
        return list(raw)
    raise _wrong(f"{_shown(raw)} is not a list")


def _collect(raws: list[object], convert: Callable[[object], object]) -> list[object]:
    values, faults = [], []
    for number, raw in enumerate(raws, start=1):
        try:
            values.append(convert(raw))
        except ParameterError as error:
            faults += [Fault(f"element {number}: {fault.message}") for fault in error.faults]
    if faults:
        raise ParameterError(faults)
    return values


def _check_bounds(param: Param, value: object) -> None:
    if isinstance(value, list):
        size, unit = len(value), " elements" if param.type != "steps" else " steps"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        size, unit = value, " seconds" if param.type == "duration" else ""  # type: ignore[assignment]
    else:
        return
    if param.min is not None and size < param.min:
        raise _wrong(f"{size}{unit} is too little; the least is {param.min:g}")
    if param.max is not None and size > param.max:
        raise _wrong(f"{size}{unit} is too much; the most is {param.max:g}")
