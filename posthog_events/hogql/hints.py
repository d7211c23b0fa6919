"""Turns the parser's complaint into a sentence that says what to change.

A hint is given only where it is true whatever the author meant; otherwise the sentence names the unexpected part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from posthog_events.hogql.tokens import Kind, Token, tokenize

__all__ = ["Diagnosis", "explain"]


class Diagnosis(NamedTuple):
    """A sentence and the code points it is about."""

    message: str
    start: int
    end: int


_ANTLR = ("mismatched input", "extraneous input", "no viable alternative", "missing ")

# (the words just before, the unexpected word, what to write instead); both patterns match whole lower-case words
_HINTS = [
    (r"is( not)?", r"true|false", "`IS TRUE` is not HogQL; compare with `= true`"),
    (r"\* except \(", r".*", "EXCEPT combines two SELECTs; to leave columns out write `* EXCLUDE (name)`"),
    (r"\*", r"replace", "`* REPLACE` is not HogQL; name the columns"),
    (r"global|global not", r"in", "GLOBAL IN is not HogQL; write IN"),
    (r"interval [\d.]+", r"(second|minute|hour|day|week|month|quarter|year)s", "the unit of INTERVAL is singular"),
    (r"extract \( \w+", r"from", "EXTRACT is not HogQL; use toYear, toMonth, toDayOfMonth, toHour, ..."),
    (r".* (ignore|respect) nulls", r"over", "IGNORE NULLS and RESPECT NULLS are not HogQL"),
    (r".*\*", r"\*", "`**` is not HogQL; use pow(x, y)"),
    (r".*\w xor|", r"xor", "XOR is a function in HogQL; write xor(a, b)"),
    (r".*'", r"'.*", "two strings stand side by side; join them with concat(a, b) or ||"),
    (r".*;", r".+", "only one statement can run; remove everything after the `;`"),
    (r"", r"insert|update|delete|create|drop|alter|show|describe|explain|set|use|values", "only SELECT is HogQL"),
    (r".*", r"[&^~!]|\|", "this operator is not HogQL; write AND, OR, NOT, or a function such as bitAnd(a, b)"),
    (r".*", r"[\u2018\u2019\u201c\u201d]", "this is a typographic quote; strings stand in '...'"),
    (r".*", r"[\u2010-\u2015\u2212]", "this is a typographic dash; write -"),
    (r".*", r"\?|:", "parameters are written {name}"),
]  # fmt: skip

_OPEN = {"(": ")", "[": "]", "{": "}"}


def explain(message: str, text: str, start: int) -> Diagnosis:
    """Return a sentence for people from the parser's message.

    Args:
        message: ANTLR's; its list of expected tokens can run to 1.5 kB and says little.
        start: The code point that the parser stopped at.
    """
    tokens = tokenize(text)
    for token in tokens:
        if token.kind is Kind.OPEN_QUOTE:
            return Diagnosis(f"the quote {token.text} is not closed, or holds a wrong escape", token.start, token.end)
        if token.kind is Kind.OPEN_COMMENT:
            return Diagnosis("the comment /* is not closed", token.start, token.end)
    found = next((index for index, token in enumerate(tokens) if token.end > start), len(tokens))
    if found == len(tokens):
        unclosed = _unclosed(tokens)
        if unclosed is not None:
            return Diagnosis(f"this {unclosed.text} is not closed", unclosed.start, unclosed.end)
        if message.startswith(_ANTLR):
            return Diagnosis("the query ends too early", max(0, len(text.rstrip()) - 1), len(text.rstrip()))
        return Diagnosis(_shortened(message), start, start + 1)
    token = tokens[found]
    before = " ".join(item.text.lower() for item in tokens[max(0, found - 3) : found])
    for pattern, unexpected, hint in _HINTS:
        if re.fullmatch(rf"(?:.*\s)?(?:{pattern})", before, re.DOTALL) and re.fullmatch(unexpected, token.text.lower()):
            return Diagnosis(hint, token.start, token.end)
    if message.startswith(_ANTLR):
        return Diagnosis(f"{token.text!r} does not fit here", token.start, token.end)
    return Diagnosis(_shortened(message), token.start, token.end)


def _unclosed(tokens: Sequence[Token]) -> Token | None:
    stack: list[Token] = []
    for token in tokens:
        if token.kind is Kind.OPERATOR and token.text in _OPEN:
            stack.append(token)
        elif token.kind is Kind.OPERATOR and stack and token.text == _OPEN[stack[-1].text]:
            stack.pop()
    return stack[-1] if stack else None


def _shortened(message: str) -> str:
    """Cut the list of expected tokens off."""
    return message.partition(" expecting {")[0]
