"""Regular expressions as RE2 reads them, run by Python's `re`.

PostHog matches with RE2, which has neither look-around nor back-references, knows `\\d`, `\\w`, `\\s` and `\\b` for
ASCII only, and takes `$` for the very end of the text. What RE2 refuses is refused here; what Python's `re` cannot
express, too. RE2 takes linear time for any pattern and `re` does not: that is a matter for whoever writes the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from posthog_events.errors import HogError

__all__ = ["compile_like", "compile_regex", "matches"]

_OUTSIDE = re.compile(
    r"""
    (?P<quoted>\\Q.*?(?:\\E|\Z))
  | (?P<refused>\\[1-9Ck] | \(\?(?:[=!>#(]|<[=!]|P[=>]) | [*+?}][+])
  | (?P<flags>\(\?[imsU-]+\))
  | (?P<foreign>\\[pP] | \(\?[imsU]*[U-][imsU-]*:)
  | (?P<ascii>\\[dDwWsSbB])
  | (?P<end>\\z | \$)
  | (?P<name>\(\?<)
  | (?P<open>\[\^?\]?)
  | \\. | .
    """,
    re.VERBOSE | re.DOTALL,
)
_INSIDE = re.compile(r"\[:\^?[a-z]+:\]|\\.|.", re.DOTALL)
_CLASSES = {
    r"\d": "0-9",
    r"\w": "0-9A-Za-z_",
    r"\s": r"\t\n\f\r\x20",
    "[:alpha:]": "A-Za-z",
    "[:digit:]": "0-9",
    "[:alnum:]": "0-9A-Za-z",
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
    "[:space:]": r"\t\n\v\f\r\x20",
    "[:xdigit:]": "0-9A-Fa-f",
    "[:word:]": "0-9A-Za-z_",
    # these mean themselves inside a class, and Python warns of them
    "[": r"\[",
    "&": r"\&",
    "~": r"\~",
    "|": r"\|",
}


@lru_cache(1024)
def compile_regex(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of RE2.

    Raises:
        HogError: RE2 refuses it, or Python cannot express it.
    """
    try:
        return re.compile(_translated(pattern))
    except (re.error, RecursionError, OverflowError) as error:
        raise HogError(f"{pattern!r} is no regular expression that RE2 takes: {error}") from error


def _translated(pattern: str) -> str:
    found: list[str] = []
    multiline = in_class = False
    at = 0
    while at < len(pattern):
        piece = (_INSIDE if in_class else _OUTSIDE).match(pattern, at)
        assert piece is not None  # both patterns end in "any character"
        kind, part = piece.lastgroup, piece.group()
        if in_class:
            in_class = part != "]"
            if part in (r"\D", r"\W", r"\S", r"\p", r"\P"):
                raise _foreign(pattern, part)
            part = _CLASSES.get(part, part)
        elif kind == "refused":
            raise HogError(f"{pattern!r} is no regular expression that RE2 takes: it has no `{part}`")
        elif kind == "foreign" or (kind == "flags" and (at > 0 or "U" in part or "-" in part)):
            raise _foreign(pattern, part)
        elif kind == "open":
            in_class = True
            part = part.replace("]", r"\]")
        elif kind == "quoted":
            part = re.escape(part[2:].removesuffix(r"\E"))
        elif kind == "flags":
            multiline = "m" in part
        elif kind == "ascii":
            part = f"(?a:{part})"
        elif kind == "end":
            part = "$" if multiline and part == "$" else r"\Z"
        elif kind == "name":
            part = "(?P<"
        found.append(part)
        at = piece.end()
    return "".join(found)


def _foreign(pattern: str, part: str) -> HogError:
    return HogError(f"the regular expression {pattern!r} cannot be evaluated here because of its `{part}`")


@lru_cache(1024)
def compile_like(pattern: str, *, ignore_case: bool) -> re.Pattern[str]:
    """Compile a LIKE pattern as Hog does: it may match anywhere, and `%` and `_` do not cross the end of a line."""
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(char) or re.escape(char) for char in pattern), re.I if ignore_case else 0)


def matches(pattern: str) -> Callable[[str], bool]:
    """Return Hog's match() with a fixed pattern: empty text and the empty pattern never match.

    A pattern that RE2 refuses is accepted by PostHog, and fails for every text that is not empty.
    """
    if not pattern:
        return lambda value: False
    try:
        search = compile_regex(pattern).search
    except HogError as error:
        message = error.message

        def fail(value: str) -> bool:
            if value:
                raise HogError(message)
            return False

        return fail
    return lambda value: bool(value) and search(value) is not None
