"""Values of Hog, and how PostHog's virtual machine, which is written in JavaScript, coerces and compares them.

A Hog value is None, a bool, an int or float (one type to Hog: a double), a str, a list, a tuple, a dict, a
`HogDateTime` or a `HogDate`. Two ways of making text exist side by side: `text` is Hog's toString() and what a template
inserts; `js_string` is JavaScript's own, which some functions use.

Source: PostHog/posthog:common/hogvm/typescript/src/{execute,utils,stl/stl,stl/print,stl/date}.ts (2026).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from posthog_events.errors import HogError

__all__ = [
    "HogDate",
    "HogDateTime",
    "equal",
    "js_string",
    "json_text",
    "literal",
    "number",
    "number_text",
    "order",
    "parse_moment",
    "plain",
    "same",
    "text",
    "truthy",
    "whole",
]

_SAFE = 2**53
"""Integers beyond it are not exact in a double."""


@dataclass(frozen=True, slots=True)
class HogDateTime:
    """A moment: seconds since 1970 (NaN for text that is no date), and the zone it is shown in."""

    seconds: float
    zone: str = "UTC"

    def moment(self) -> datetime:
        """Return the moment in its zone.

        Raises:
            HogError: It is no moment, or the zone does not exist.
        """
        try:
            zone = UTC if self.zone == "UTC" else ZoneInfo(self.zone)
            moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)).astimezone(zone)
        except (ValueError, OverflowError) as error:
            raise HogError("the text is no date or time") from error
        except (ZoneInfoNotFoundError, OSError) as error:
            raise HogError(f"there is no time zone {self.zone!r}") from error
        return moment


@dataclass(frozen=True, slots=True)
class HogDate:
    """A day."""

    year: int
    month: int
    day: int

    @property
    def seconds(self) -> float:
        """Midnight UTC, in seconds since 1970."""
        return datetime(self.year, self.month, self.day, tzinfo=UTC).timestamp()


_DATE_LIKE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?(Z|z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)


def parse_moment(value: str, zone: str = "UTC") -> float | None:
    """Return the seconds since 1970 that a text names, None if it is no date; `zone` counts where it names none."""
    found = _DATE_LIKE.fullmatch(value.strip())
    if not found:
        return None
    date, clock, fraction, offset = found.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{clock or '00:00'}{(offset or '').upper()}")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone))
    except (ValueError, OSError):
        return None
    return moment.timestamp() + (int(fraction[:3].ljust(3, "0")) / 1000 if fraction else 0)


# -- to a boolean, to a number -------------------------------------------------------------------------------------


def truthy(value: Any) -> bool:
    """Return what JavaScript's `!!value` gives: empty lists and objects are true, NaN is false."""
    if isinstance(value, list | tuple | dict):
        return True
    return bool(value) and value == value


# what JavaScript strips
_SPACE = (
    " \t\n\v\f\r\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_RADIX = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+")
_INFINITY = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}


def number(value: Any) -> float | int:
    """Return what JavaScript's `Number(value)` gives: null and empty text are 0, what is no number is NaN."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if value is None:
        return 0
    if not isinstance(value, str):
        if not isinstance(value, list | tuple):
            return math.nan
        value = js_string(value)
    value = value.strip(_SPACE)
    if not value:
        return 0
    if _DECIMAL.fullmatch(value):
        return whole(float(value))
    if _RADIX.fullmatch(value):
        return int(value, 0)
    return _INFINITY.get(value, math.nan)


def whole(value: float) -> float | int:
    """Return a double as an int where it is a whole number, since Hog knows only one type of number."""
    return int(value) if math.isfinite(value) and value == int(value) and abs(value) <= _SAFE else value


# -- to text -------------------------------------------------------------------------------------------------------


def number_text(value: float | int) -> str:
    """Return a number as JavaScript writes it: 5 for 5.0, 1e+21, NaN.

    >>> number_text(5.0), number_text(0.1), number_text(1e21), number_text(1e-7)
    ('5', '0.1', '1e+21', '1e-7')
    """
    if isinstance(value, int) and -_SAFE <= value <= _SAFE:
        return str(value)
    try:
        value = float(value)
    except OverflowError:
        value = math.inf if value > 0 else -math.inf
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    _, digit_tuple, exponent = Decimal(repr(abs(value))).normalize().as_tuple()
    digits = "".join(map(str, digit_tuple))
    point = len(digits) + int(exponent)
    if len(digits) <= point <= 21:
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    mantissa = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
    return f"{sign}{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def js_string(value: Any) -> str:
    """Return what JavaScript's `String(value)` gives; a list is joined by commas, an object says nothing of itself."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return ",".join("" if item is None else js_string(item) for item in value)
    if isinstance(value, dict):
        return "[object Map]"
    if isinstance(value, HogDateTime | HogDate):
        return "[object Object]"
    return literal(value)


def text(value: Any) -> str:
    """Return Hog's toString(): null is `null`, lists and objects are Hog literals (`{'a': 1}`), not JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, HogDate):
        return f"{value.year}-{value.month:02}-{value.day:02}"
    if isinstance(value, HogDateTime):
        return value.moment().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return literal(value)


_ESCAPES = str.maketrans(
    {
        "\b": r"\b",
        "\f": r"\f",
        "\r": r"\r",
        "\n": r"\n",
        "\t": r"\t",
        "\0": r"\0",
        "\v": r"\v",
        "\\": r"\\",
        "'": r"\'",
    }
)


def literal(value: Any) -> str:
    """Return a value as Hog prints it inside a list or an object."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, str):
        return f"'{value.translate(_ESCAPES)}'"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple):
        inside = ", ".join(map(literal, value))
        return f"({inside})" if len(value) > 1 else f"tuple({inside})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, HogDateTime):
        seconds = number_text(value.seconds)
        return f"DateTime({seconds}{'' if '.' in seconds else '.0'}, {literal(value.zone)})"
    if isinstance(value, HogDate):
        return f"Date({value.year}, {value.month}, {value.day})"
    raise HogError(f"a {type(value).__name__} has no text")


def plain(value: Any) -> Any:
    """Return a value as plain JSON values: what the destination's code, and so the request's body, gets to see."""
    if isinstance(value, float):
        return whole(value)
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else js_string(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, HogDateTime):
        return {"__hogDateTime__": True, "dt": plain(value.seconds), "zone": value.zone}
    if isinstance(value, HogDate):
        return {"__hogDate__": True, "year": value.year, "month": value.month, "day": value.day}
    if callable(value):
        raise HogError("a function cannot be part of a message; call it")
    return value


def json_text(value: Any, indent: int | None = None) -> str:
    """Return what JavaScript's `JSON.stringify` gives."""
    separators = (",", ": ") if indent else (",", ":")
    return json.dumps(_finite(plain(value)), ensure_ascii=False, separators=separators, indent=indent or None)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


# -- comparison ----------------------------------------------------------------------------------------------------


def _unified(left: Any, right: Any) -> tuple[Any, Any]:
    """Bring two values to one type, where Hog does that before it compares."""
    if isinstance(left, HogDateTime | HogDate) or isinstance(right, HogDateTime | HogDate):
        seconds = _seconds(left), _seconds(right)
        return (left, right) if None in seconds else seconds
    if isinstance(left, str):
        if isinstance(right, bool):
            return left == "true", right
        if isinstance(right, int | float):
            return number(left), right
    elif isinstance(right, str):
        if isinstance(left, bool):
            return left, right == "true"
        if isinstance(left, int | float):
            return left, number(right)
    elif isinstance(left, bool) != isinstance(right, bool) and None not in (left, right):
        return (int(item) if isinstance(item, bool) else item for item in (left, right))  # type: ignore[return-value]
    return left, right


def _seconds(value: Any) -> float | None:
    if isinstance(value, HogDateTime | HogDate):
        return value.seconds
    return parse_moment(value) if isinstance(value, str) else None


def same(left: Any, right: Any) -> bool:
    """Return JavaScript's `left === right`: no coercion, and two lists or objects are never the same."""
    if isinstance(left, str) or isinstance(right, str):
        return isinstance(left, str) and isinstance(right, str) and left == right
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    return left is None and right is None


def equal(left: Any, right: Any) -> bool:
    """Return Hog's `left = right`."""
    return same(*_unified(left, right))


def order(left: Any, right: Any) -> int | None:
    """Return -1, 0 or 1 as `left` stands to `right`; None where JavaScript finds every comparison false."""
    left, right = (js_string(item) if isinstance(item, list | tuple | dict) else item for item in _unified(left, right))
    if isinstance(left, str) and isinstance(right, str):
        if not (left.isascii() and right.isascii()):
            # JavaScript orders text by UTF-16 units
            left, right = (item.encode("utf-16-be", "surrogatepass") for item in (left, right))
    else:
        left, right = number(left), number(right)
    if left == right:
        return 0
    return -1 if left < right else 1 if left > right else None
