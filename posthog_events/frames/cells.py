"""One value as text for people: in tables, charts, Markdown and HTML."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

__all__ = ["cell_text", "neutralise", "row_count"]

# Control characters can move the cursor, change the title or colours of a terminal, or (the directional ones) show text
# in another order than it has. Event data comes from strangers. Line and paragraph separators would break a row.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

DECIMALS = 6
"""Digits after the point that people are shown; files hold every digit."""


def neutralise(text: str) -> str:
    r"""Return text in which every control character is written out.

    >>> neutralise("red \x1b[31m")
    'red \\x1b[31m'
    """
    return _UNSAFE.sub(lambda found: _SHORT.get(found[0]) or ascii(found[0])[1:-1], text)


def cell_text(value: Any) -> str:
    """Return a value of `Series.to_list()`, not None, as one line of safe text."""
    match value:
        case str():
            return neutralise(value) if value else '""'
        case bool():
            return "true" if value else "false"
        case float():
            return _float_text(value)
        case datetime():
            return value.isoformat(sep=" ").replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case list() | dict():
            return neutralise(json.dumps(_plain(value), ensure_ascii=False))
    return neutralise(str(value))


def _float_text(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    if value and abs(value) < 10**-DECIMALS:
        return f"{value:.{DECIMALS}g}"
    return repr(round(value, DECIMALS)).removesuffix(".0")


def _plain(value: Any) -> Any:
    """Return nested values as JSON can hold them."""
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case None | str() | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case timedelta():
            return str(value)
    return cell_text(value)


def row_count(rows: int) -> str:
    """Return `1 row`, `12 rows`."""
    return f"{rows} row{'' if rows == 1 else 's'}"
