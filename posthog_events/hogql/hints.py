"""Turns the parser's complaint into a sentence that says what to change.

A hint is given only where it is true whatever the author meant; otherwise the sentence names the unexpected part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from posthog_events.hogql.tokens import Kind, Token

__all__ = ["Diagnosis", "explain_syntax", "explain_unsupported"]


class Diagnosis(NamedTuple):
    """A sentence and the code points it is about; `start` and `end` are None when the place is not known."""

    message: str
    start: int | None
    end: int | None


_ANTLR = re.compile(r"(mismatched|extraneous|missing|no viable alternative)\b")
_EXPECTED = re.compile(r" expecting ('[^']+')\Z")
_CLOSES = {")": "(", "]": "[", "}": "{"}
_BAD_ESCAPE = re.compile(r"\\(?![bfrnt0av\\'\"x])", re.IGNORECASE)

_STATEMENTS = "alter|create|delete|describe|drop|explain|grant|insert|set|show|truncate|update|use|values"
_OPERAND_EXPECTED = r"(?:\b(?:select|where|and|or|not|in|like|between|limit|by|on)|[=<>,(+*/-])"
# (the words just before, the unexpected word, the advice); both patterns match to the end, in lower case
_ADVICE = [
    (re.compile(rf"{before}\Z"), re.compile(rf"(?:{at})\Z", re.DOTALL), advice)
    for before, at, advice in [
        (r"\bis(?: not)?", r"true|false", "IS TRUE is not HogQL; compare with `= true` or `= false`"),
        (r"\* except(?: \()?", r".+", "EXCEPT combines two SELECTs; to leave columns out write `* EXCLUDE (name)`"),
        (r"\*", r"replace", "`* REPLACE` is not HogQL; name the columns"),
        (r"\bglobal(?: not)?", r"not|in", "GLOBAL IN is not HogQL; write IN"),
        (r"\binterval \S+", r"(?:second|minute|hour|day|week|month|quarter|year)s", "INTERVAL takes a singular unit"),
        (r"\bextract \( \w+", r"from", "EXTRACT is not HogQL; use toYear, toMonth, toDayOfMonth, toHour and so on"),
        (r"\b(?:ignore|respect) nulls", r"over", "IGNORE NULLS and RESPECT NULLS do not go with OVER"),
        (r"\b(?:ignore|respect)", r"nulls", "IGNORE NULLS and RESPECT NULLS do not go with OVER"),
        (r"\* \*", r".+", "`**` is not HogQL; write pow(x, y)"),
        (r"\bxor", r"[^,)].*", "XOR is a function; write xor(a, b)"),
        (r"\b(?:div|mod)", r"[^,)].*", "DIV and MOD are functions; write intDiv(a, b), or a % b"),
        (r"\b(?:rlike|regexp)", r"'.*", "RLIKE and REGEXP are not HogQL; write x =~ 'pattern'"),
        (r"\bfetch(?: first| next)?", r"first|next|\d+", "FETCH is not HogQL; write LIMIT"),
        (r"'", r"'.*", "two strings stand side by side; join them with concat(a, b)"),
        (r";", r".+", "only one statement can run; remove what follows the `;`"),
        (r"^", _STATEMENTS, "a query starts with SELECT or WITH"),
        (r"", r"[&!^~]|\|", "HogQL has no such operator; write AND, OR, NOT, or a function such as bitAnd(a, b)"),
        (r"", r"[\u2018\u2019\u201c\u201d]", "this is a typographic quote; a string stands in '...'"),
        (r"", r"[\u2010-\u2015\u2212]", "this is a typographic dash; write -"),
        (r"", r"[?@]", "a value is bound with {name}"),
        (_OPERAND_EXPECTED, r"[:%]", "a value is bound with {name}"),
        (r"", r"catch|finally|fn|fun|let|throw|try|while", "a reserved word; as a name it stands in back-ticks"),
    ]
]


def explain_syntax(message: str, offset: int, tokens: Sequence[Token], text: str) -> Diagnosis:
    """Explain a syntax error that the parser found at `offset`, in its own counting."""
    start = _code_point(text, offset) if _ANTLR.match(message) else offset
    if not _ANTLR.match(message) and not message.startswith("Unexpected character"):
        # the parser's own sentences, e.g. on reserved names, are clear, and need not be about the token at `start`
        return Diagnosis(message, start, None)
    at = next((token for token in tokens if token.start >= start), Token(Kind.OPERATOR, "", len(text), len(text)))
    before = [token for token in tokens if token.end <= at.start]
    if quote := _broken_literal(tokens, at, text):
        return quote
    if comment := next((token for token in [*before, at] if token.kind is Kind.OPEN_COMMENT), None):
        return Diagnosis("the comment /* is never closed", comment.start, comment.end)
    unexpected = f"unexpected {_shown(at)}"
    open_brackets, wrong = _brackets([*before, at])
    if wrong:
        return Diagnosis(f"{unexpected}: {wrong}", at.start, at.end)
    if advice := _advice(before, at):
        return Diagnosis(f"{unexpected}: {advice}", at.start, at.end)
    if open_brackets and not at.text:
        bracket = open_brackets[-1]
        return Diagnosis(f"the `{bracket.text}` is never closed", bracket.start, bracket.end)
    if expected := _EXPECTED.search(message):
        unexpected += f", expected {expected[1]}"
    never_closed, wrong = _brackets(tokens)
    if never_closed and not wrong and never_closed[-1].start < at.start:
        unexpected += f"; a `{never_closed[-1].text}` before it is never closed"
    elif tag := next((token for token in before if token.kind is Kind.TAG), None):
        name = text[tag.start : tag.start + 20].split()[0]
        unexpected += f"; `{name}` was read as the start of a tag. To compare, write a space after the `<`"
    return Diagnosis(unexpected, at.start, at.end)


def _code_point(text: str, offset: int) -> int:
    """Return the place that ANTLR means: it counts the lines before in bytes, and the line itself in code points.

    The parser's other complaints count in code points throughout. Measured with hogql-parser 1.3.88.
    """
    start = before = 0
    for line in text.split("\n"):
        if offset <= before + len(line):
            return start + max(0, offset - before)
        start += len(line) + 1
        before += len(line.encode()) + 1
    return len(text)


def _shown(token: Token) -> str:
    if not token.text:
        return "end of the query"
    if token.kind is Kind.OPERATOR and not token.text.isprintable():
        return f"character U+{ord(token.text):04X}"
    return f"`{token.text[:40]}`" + ("..." if len(token.text) > 40 else "")


def _broken_literal(tokens: Sequence[Token], at: Token, text: str) -> Diagnosis | None:
    """Explain a quote that starts no literal, if there is one: what follows it was not read as meant."""
    quote = next((token for token in tokens if token.kind is Kind.OPEN_QUOTE), None)
    if quote is None:
        return None
    end = text.find(quote.text, quote.end)
    escape = _BAD_ESCAPE.search(text, quote.end)
    if escape and (end < 0 or escape.start() < end) and quote.start <= at.start:
        shown = text[escape.start() : escape.start() + 2]
        return Diagnosis(
            f"`{shown}` is no escape sequence; write a backslash as `\\\\`", escape.start(), escape.start() + 2
        )
    if quote.start <= at.start:
        return Diagnosis(f"the {quote.text} is never closed (a quote inside is written twice)", quote.start, quote.end)
    return Diagnosis(
        f"unexpected {_shown(at)}, and a later {quote.text} is never closed (a quote inside is written twice)",
        at.start,
        at.end,
    )


def _brackets(tokens: Sequence[Token]) -> tuple[list[Token], str]:
    """Return the brackets that are open after `tokens`, and what is wrong with the first that does not fit."""
    open_brackets: list[Token] = []
    for token in tokens:
        if token.kind is not Kind.OPERATOR:
            continue
        if token.text in _CLOSES.values():
            open_brackets.append(token)
        elif token.text in _CLOSES:
            if not open_brackets:
                return [], "no bracket is open here"
            if open_brackets[-1].text != _CLOSES[token.text]:
                return [], f"a `{open_brackets[-1].text}` is open here"
            open_brackets.pop()
    return open_brackets, ""


def _advice(before: Sequence[Token], at: Token) -> str | None:
    if not at.text:
        return None
    words = " ".join(
        "'" if token.kind is Kind.STRING else token.text.lower() for token in before[-4:] if len(token.text) < 40
    )
    word = at.text.lower()
    return next((advice for first, then, advice in _ADVICE if first.search(words) and then.match(word)), None)


# (how the parser's message begins, the word it is about, the advice)
_UNSUPPORTED = [
    ("Unsupported rule: ColumnExprDate", "date", "write toDate('...')"),
    ("Unsupported rule: ColumnExprTimestamp", "timestamp", "write toDateTime('...')"),
    ("Unsupported rule: ColumnExprSubstring", "substring", "write substring(text, start, length)"),
    ("Unsupported: SelectStmt.topClause()", "top", "write LIMIT"),
    ("Unsupported: SelectStmt.settingsClause()", "settings", "remove it"),
    ("Unsupported interval", "interval", "write a whole number and a unit, as in INTERVAL '3 days'"),
]
_BEFORE_STRING = ("date", "timestamp", "interval")


def explain_unsupported(message: str, tokens: Sequence[Token]) -> Diagnosis:
    """Explain a construct that the grammar knows and for which the parser builds no tree."""
    known = next((entry for entry in _UNSUPPORTED if message.startswith(entry[0])), None)
    if known is None:
        return Diagnosis(f"PostHog's grammar knows this, but its parser does not: {message}", None, None)
    _, word, advice = known
    places = [
        token
        for token, following in zip(tokens, [*tokens[1:], None], strict=True)
        if token.word == word and (word not in _BEFORE_STRING or (following and following.kind is Kind.STRING))
    ]
    sentence = f"this {word.upper()} cannot run in PostHog either; {advice}"
    if len(places) == 1:
        return Diagnosis(sentence, places[0].start, places[0].end)
    return Diagnosis(sentence, None, None)  # the parser gives no position
