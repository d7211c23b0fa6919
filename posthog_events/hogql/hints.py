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

# (the words just before, the unexpected text, what to write instead); both patterns see lower case, the first ends at
# the unexpected token and the second begins there
_HINTS = [
    (r"is( not)?", r"(true|false)\b", "`IS TRUE` and `IS FALSE` are not HogQL; compare with `= true` or `= false`"),
    (r"\* except( \()?", r"", "EXCEPT combines two SELECTs; to leave columns out write `* EXCLUDE (name)`"),
    (r"\*", r"replace\b", "`* REPLACE` is not HogQL; name the columns"),
    (r"global", r"(not )?in\b", "GLOBAL IN is not HogQL; write IN"),
    (r"interval [\d.]+", r"(second|minute|hour|day|week|month|quarter|year)s\b", "the unit of INTERVAL is singular"),
    (r"extract \( \w+", r"from\b", "EXTRACT is not HogQL; use toYear, toMonth, toDayOfMonth, toHour, ..."),
    (r"ignore nulls|respect nulls", r"over\b", "IGNORE NULLS and RESPECT NULLS are not HogQL"),
    (r"ignore|respect", r"nulls\b", "IGNORE NULLS and RESPECT NULLS are not HogQL"),
    (r"\* \*", r"", "`**` is not HogQL; use pow(x, y)"),
    (r"xor", r"[^,)]", "XOR is a function in HogQL; write xor(a, b)"),
    (r"div|mod", r"[^,)]", "DIV and MOD are functions in HogQL; write intDiv(a, b), or a % b"),
    (r"rlike|regexp", r"'", "RLIKE and REGEXP are not HogQL; write x =~ 'pattern'"),
    (r"fetch", r"(first|next)\b", "FETCH is not HogQL; write LIMIT"),
    (r"'.*'", r"'", "two strings stand side by side; join them with concat(a, b) or ||"),
    (r";", r"", "only one statement can run; remove everything after the `;`"),
    (r"^", r"(insert|update|delete|create|drop|alter|show|describe|explain|set|use|values)\b", "only SELECT is HogQL"),
    (r"", r"[&^~!|]", "this operator is not HogQL; write AND, OR, NOT, or a function such as bitAnd(a, b)"),
    (r"", r"[\u2018\u2019\u201c\u201d]", "this is a typographic quote; strings stand in '...'"),
    (r"", r"[\u2010-\u2015\u2212]", "this is a typographic dash; write -"),
    (r"", r"\?|[:@]\w|%\(\w|%s\b", "parameters are written {name}"),
    (
        r"",
        r"(catch|finally|fn|fun|let|throw|try|while)\b",
        "this is a reserved word; as a name it stands in back-ticks",
    ),
]

# (what the parser's message holds, the tokens it is about, what to write instead)
_UNSUPPORTED = [
    ("ColumnExprDate", r"date '", "DATE '...' is not supported; write toDate('2026-01-31')"),
    (
        "ColumnExprTimestamp",
        r"timestamp '",
        "TIMESTAMP '...' is not supported; write toDateTime('2026-01-31 08:00:00')",
    ),
    (
        "ColumnExprSubstring",
        r"substring \(",
        "SUBSTRING(... FROM ...) is not supported; write substring(x, start, length)",
    ),
    ("topClause", r"top \d", "TOP is not supported; write LIMIT at the end"),
    ("settingsClause", r"settings \S+ =", "SETTINGS are not supported; remove them"),
    ("interval", r"interval '", "INTERVAL '...' takes a whole number and a unit: '3 days'"),
]

_OPEN = {"(": ")", "[": "]", "{": "}"}


def explain(message: str, text: str, offset: int) -> Diagnosis:
    """Return a sentence for people from the parser's message.

    Args:
        message: ANTLR's; its list of expected tokens can run to 1.5 kB and says little.
        offset: Where the parser says it stopped, in its own counting.
    """
    tokens = tokenize(text)
    if message.startswith("Unsupported"):
        return _unsupported(message, text, tokens)
    for token in tokens:
        if token.kind is Kind.OPEN_QUOTE:
            return Diagnosis(f"the quote {token.text} is not closed, or holds a wrong escape", token.start, token.end)
        if token.kind is Kind.OPEN_COMMENT:
            return Diagnosis("the comment /* is not closed", token.start, token.end)
    antlr = message.startswith(_ANTLR)
    start = _code_point(text, offset) if antlr else min(offset, len(text))
    found = next((index for index, token in enumerate(tokens) if token.end > start), len(tokens))
    if found == len(tokens):
        unclosed = _unclosed(tokens)
        if unclosed is not None:
            return Diagnosis(f"this {unclosed.text} is not closed", unclosed.start, unclosed.end)
        end = len(text.rstrip())
        return Diagnosis("the query ends too early" if antlr else _shortened(message), end - 1, end)
    token = tokens[found]
    before = " ".join(item.text.lower() for item in tokens[max(0, found - 3) : found])
    here = text[token.start :].lower()
    for words, unexpected, hint in _HINTS:
        if (not words or re.search(rf"(?:^|\s)(?:{words})$", before)) and re.match(unexpected, here):
            return Diagnosis(hint, token.start, token.end)
    return Diagnosis(f"{token.text!r} does not fit here" if antlr else _shortened(message), token.start, token.end)


def _code_point(text: str, offset: int) -> int:
    """Return the position that ANTLR means: it counts the lines before in bytes, and the line itself in code points.

    The parser's own complaints count in code points throughout. Measured with hogql-parser 1.3.88.
    """
    start = before = 0
    for line in text.split("\n"):
        if offset <= before + len(line):
            return start + max(0, offset - before)
        start += len(line) + 1
        before += len(line.encode()) + 1
    return len(text)


def _unsupported(message: str, text: str, tokens: Sequence[Token]) -> Diagnosis:
    """Of syntax that the grammar knows but the parser refuses, no position is given."""
    for part, pattern, hint in _UNSUPPORTED:
        if part in message:
            for index, token in enumerate(tokens):
                if re.match(pattern, " ".join(item.text.lower() for item in tokens[index : index + 3])):
                    return Diagnosis(hint, token.start, token.end)
    return Diagnosis(f"PostHog's grammar knows this, its parser does not: {_shortened(message)}", 0, len(text))


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
