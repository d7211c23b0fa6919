"""Literals and identifiers as ClickHouse SQL text. Source: posthog/hogql/escape_sql.py; round-trips tested in chdb."""

from __future__ import annotations

import re

__all__ = ["identifier", "string"]

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ESCAPES = {
    "\b": "\\b",
    "\f": "\\f",
    "\r": "\\r",
    "\n": "\\n",
    "\t": "\\t",
    "\0": "\\0",
    "\a": "\\a",
    "\v": "\\v",
    "\\": "\\\\",
}


def _escape(text: str, quote: str) -> str:
    return "".join(_ESCAPES.get(ch, f"\\{ch}" if ch == quote else ch) for ch in text)


def string(text: str) -> str:
    r"""Return a ClickHouse string literal.

    >>> string("it's")
    "'it\\'s'"
    """
    return f"'{_escape(text, chr(39))}'"


def identifier(name: str) -> str:
    """Return a ClickHouse identifier, back-quoted unless it is a plain word.

    >>> identifier("$browser")
    '`$browser`'
    """
    return name if _BARE.match(name) else f"`{_escape(name, '`')}`"
