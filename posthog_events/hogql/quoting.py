"""Literals and identifiers as HogQL text. Source: posthog/hogql/grammar/HogQLLexer.common.g4."""

from __future__ import annotations

import re

__all__ = ["identifier", "string"]

_BARE = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z", re.ASCII)
_ESCAPES = {
    "\b": "\\b",
    "\f": "\\f",
    "\r": "\\r",
    "\n": "\\n",
    "\t": "\\t",
    "\a": "\\a",
    "\v": "\\v",
    "\\": "\\\\",
    "'": "\\'",
}
# words that the grammar does not take as a bare name everywhere; quoting one that it would take does no harm
_KEYWORDS = frozenset(
    """
    all and anti any array as asc ascending asof between both by case cast catch cohort collate columns cross cube
    current date day days desc descending distinct else end except exclude extract false fill filter final finally
    first fn following for from full fun global group grouping having hour hours if ignore ilike in inf infinity
    inner interpolate intersect interval into is join last lateral leading left let like limit materialized minute
    minutes month months nan natural not null nulls offset on or order outer over partition pivot preceding prewhere
    qualify quarter quarters range recursive replace respect return right rollup row rows sample second seconds
    select semi sets settings step substring team_id then throw ties to top totals trailing trim true try try_cast
    unbounded union unpivot using values week weeks when where while window with within year years
    """.split()  # noqa: SIM905  # a hundred words read better as text
)


def string(text: str) -> str:
    r"""Return a string literal. NUL has no form that survives the parser; it is written as the parser drops it.

    >>> string("it's")
    "'it\\'s'"
    """
    return "'" + "".join(_ESCAPES.get(ch, ch) for ch in text) + "'"


def identifier(name: str, *, keywords: bool = True) -> str:
    """Return an identifier, back-quoted unless it is a plain word that is no keyword.

    Args:
        keywords: Quote keywords too.

    >>> identifier("two words")
    '`two words`'
    """
    if _BARE.match(name) and not (keywords and name.lower() in _KEYWORDS):
        return name
    escaped = "".join("``" if ch == "`" else ch if ch == "'" else _ESCAPES.get(ch, ch) for ch in name)
    return f"`{escaped}`"
