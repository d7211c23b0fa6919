"""A small lexer of HogQL: enough to count brackets, find keywords and point at an open quote.

It follows the modes of PostHog's lexer (template strings `f'a {b}'` and HogQLX tags switch to other token sets), so
that a bracket or keyword inside a string, a quoted identifier, a comment or a tag's text is never taken for syntax.
Deciding whether a text *is* HogQL is left to the parser: here every character ends up in some token.

Source: PostHog/posthog:posthog/hogql/grammar/HogQLLexer.common.g4, HogQLLexer.cpp.g4 (2026), and hogql-parser 1.3.88.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

__all__ = ["Kind", "Token", "tokenize"]


class Kind(Enum):
    """What a token is. Comments and white space are no tokens."""

    WORD = "word"  # keywords are identifiers in most places, so they are not told apart
    QUOTED = "quoted identifier"
    STRING = "string"
    NUMBER = "number"
    TEXT = "text"  # the literal parts of template strings and tags
    OPEN_QUOTE = "open quote"  # a quote or back-tick that starts no well-formed literal
    OPEN_COMMENT = "open comment"  # `/*` without `*/`; the parser reads a division by an asterisk
    TAG = "start of a tag"  # `<` where a tag may begin: directly before a name, as in `a <b and c`
    OPERATOR = "operator"


class Token(NamedTuple):
    """A piece of the source text; `start` and `end` are code points, half-open."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The keyword or name in lower case; empty for other tokens."""
        return self.text.lower() if self.kind is Kind.WORD else ""


class _Mode(Enum):
    DEFAULT = 0
    TEMPLATE = 1
    TAG_OPEN = 2
    TAG_TEXT = 3
    TAG_CLOSE = 4


_SPACE = r"[ \t\r\n\v\f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+"
_ESCAPE = r"\\[bBfFrRnNtT0aAvV\\]|\\[xX][0-9a-fA-F]{2}"
_STRING = rf"'(?:[^\\']|{_ESCAPE}|\\'|'')*'"
_DEFAULT = re.compile(
    rf"""
    (?P<skip>{_SPACE} | /\*.*?\*/ | (?:--|//)[^\n\r]* | \#(?!\d)[^\n\r]*)
  | (?P<open_comment>/\*)
  | (?P<template>f')
  | (?P<string>{_STRING})
  | (?P<quoted>`(?:[^\\`]|{_ESCAPE}|\\'|``)*` | "(?:[^\\"]|{_ESCAPE}|\\"|"")*")
  | (?P<open_quote>['"`])
  | (?P<number>0[xX][0-9a-fA-F]+ | \d+(?:\.\d*)?(?:[eE][+-]?\d+)? )
  | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
  | (?P<operator></ | -> | :: | := | \|\| | == | >= | <= | != | <> | !~\* | !~ | =~\* | =~ | ~\* | \?\. | \?\? | /> | .)
    """,
    re.VERBOSE | re.DOTALL,
)
_TEMPLATE_TEXT = re.compile(rf"(?:[^\\'{{]|{_ESCAPE}|\\'|\\\{{|'')+")
_TAG_PART = re.compile(
    rf"(?P<skip>[ \t\r\n]+)|(?P<word>[A-Za-z_][A-Za-z0-9_-]*)|(?P<string>{_STRING})|(?P<operator>/>|.)", re.S
)
_TAG_TEXT = re.compile(r"[^<{]+")
# what makes `<` the start of a tag: a name, then `>`, `/`, or white space and another name
_TAG_AHEAD = re.compile(r"<[A-Za-z_][A-Za-z0-9_-]*+(?:[>/]|\s(?:\s|(?://|--|\#)[^\n\r]*+)*+[A-Za-z0-9_>/])", re.ASCII)


def tokenize(text: str) -> list[Token]:
    """Return the tokens of `text` in order; what is left out is white space and comments.

    >>> [token.text for token in tokenize("SELECT 'a -- b' -- c")]
    ['SELECT', "'a -- b'"]
    """
    tokens: list[Token] = []
    modes = [_Mode.DEFAULT]
    at = 0
    while at < len(text):
        kind, end = _next(text, at, modes)
        if kind is not None:
            tokens.append(Token(kind, text[at:end], at, end))
        at = end
    return tokens


def _next(text: str, at: int, modes: list[_Mode]) -> tuple[Kind | None, int]:
    """Return the kind and end of the token at `at`, and change the modes as it asks for."""
    match modes[-1]:
        case _Mode.TEMPLATE:
            if literal := _TEMPLATE_TEXT.match(text, at):
                return Kind.TEXT, literal.end()
            _switch(modes, {"{": [_Mode.TEMPLATE, _Mode.DEFAULT], "'": []}.get(text[at]))
            return Kind.OPERATOR, at + 1
        case _Mode.TAG_TEXT:
            if literal := _TAG_TEXT.match(text, at):
                return Kind.TEXT, literal.end()
            if text.startswith("</", at):
                _switch(modes, [_Mode.TAG_CLOSE])
                return Kind.OPERATOR, at + 2
            _switch(modes, [_Mode.TAG_TEXT, _Mode.DEFAULT if text[at] == "{" else _Mode.TAG_OPEN])
            return Kind.OPERATOR, at + 1
        case _Mode.DEFAULT:
            found = _DEFAULT.match(text, at)
        case _:
            found = _TAG_PART.match(text, at)
    assert found is not None  # both patterns end in "any character"
    name, end = found.lastgroup or "operator", found.end()
    if name == "skip":
        return None, end
    if name == "template":
        _switch(modes, [_Mode.DEFAULT, _Mode.TEMPLATE])
        return Kind.OPERATOR, end
    if name == "operator" and modes[-1] is _Mode.DEFAULT and _TAG_AHEAD.match(text, at):
        modes.append(_Mode.TAG_OPEN)
        return Kind.TAG, end
    if name == "operator":
        _switch(modes, _after_operator(found.group(), modes[-1]))
    return Kind[name.upper()], end


def _after_operator(operator: str, mode: _Mode) -> list[_Mode] | None:
    """Return the modes that replace the current one; None keeps it."""
    if operator == "{":
        return [mode, _Mode.DEFAULT]
    if mode is _Mode.TAG_OPEN:
        return {"/>": [], ">": [_Mode.TAG_TEXT]}.get(operator)
    if mode is _Mode.TAG_CLOSE:
        return [] if operator == ">" else None
    if operator == "}":
        return []
    return [mode, _Mode.TAG_CLOSE] if operator == "</" else None


def _switch(modes: list[_Mode], replacement: list[_Mode] | None) -> None:
    if replacement is not None:
        modes[-1:] = replacement
        if not modes:  # one `}` too many; the parser reports it
            modes.append(_Mode.DEFAULT)
