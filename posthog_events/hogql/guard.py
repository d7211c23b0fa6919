"""Refuses texts that would keep the parser busy for longer than about ten seconds.

The parser looks ahead to the closing bracket of every call, again at every level, and it holds the GIL while it does:
no other thread runs and Ctrl-C waits. So the cost is estimated before it is called.

Measured with hogql-parser 1.3.88 on a 2-core x86-64 machine, in milliseconds, each in a fresh process:

================================================  ======  ============================================================
`f(f(... x))`, 5 / 10 / 25 calls deep                     128 / 398 / 2,139
`if(a, b, if(a, b, ...))`, 5 / 10 / 25 deep               205 / 734 / 3,743
`not (not (... x))`, 5 / 10 / 25 deep                     181 / 679 / 3,844
`sum(if(a, sum(if(a, ...), 0)), 0)`, 10 / 20 / 50 deep    591 / 2,024 / 11,317
400 columns `countIf(event = 'a' and x > 3)`              2,980
`f(g(a), g(a), ...)` 20 calls deep, 25 / 100 of them      3,650 / 7,313
`x and x and ...`, 250 / 1,000 / 4,000 terms              230 / 1,622 / 22,915
`a and b or a and b or ...`, 1,000 / 2,000 terms          682 / 7,543
`a.a.a...`, 25 / 250 links                                59 / 5,292
`not not not ... x`, 25 / 100 times                       323 / 5,051
`x -> a and x -> a and ...`, 6 / 12 / 20 times            81 / 1,159 / over 40,000
================================================  ======  ============================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from posthog_events.errors import HogQLSyntaxError
from posthog_events.hogql.tokens import Kind, Token, tokenize

__all__ = ["MAX_COST_MS", "MAX_DEPTH", "MAX_LENGTH", "check_size", "parse_cost_ms"]

MAX_LENGTH = 50_000
"""Code points."""
MAX_DEPTH = 25
"""Brackets inside each other, of any kind."""
MAX_COST_MS = 10_000

_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
# a bracket after one of these is no call; a subquery after FROM, JOIN or AS is found without looking ahead
_NOT_CALLED = frozenset(("and", "or", "in", "where", "on", "by", "when", "then", "else", "over", "having", "like"))
_AFTER_INFIX_NOT = frozenset(("in", "like", "ilike", "between", "null"))
_BEFORE_PREFIX_MINUS = frozenset(("-", "+", "*", "/", "%", "="))
_TABLE_POSITION = frozenset(("from", "join", "as"))


def check_size(text: str) -> list[Token]:
    """Refuse a text that is too long, too deeply nested, or too costly to parse; return its tokens otherwise.

    Raises:
        HogQLSyntaxError: Says which limit, and where it was passed.
    """
    if len(text) > MAX_LENGTH:
        raise HogQLSyntaxError(
            f"the query has {len(text):,} characters; the limit is {MAX_LENGTH:,}. Bind long lists as values"
        )
    tokens = tokenize(text)
    depth = 0
    for token in tokens:
        if token.kind is Kind.OPERATOR and token.text in _OPEN:
            depth += 1
            if depth > MAX_DEPTH:
                raise HogQLSyntaxError(
                    f"brackets are nested more than {MAX_DEPTH} deep. Move the inner part to a CTE (WITH ... AS)",
                    text=text,
                    start=token.start,
                    end=token.end,
                )
        elif token.kind is Kind.OPERATOR and token.text in _CLOSE:
            depth = max(0, depth - 1)
    cost = parse_cost_ms(tokens)
    if cost > MAX_COST_MS:
        raise HogQLSyntaxError(
            f"parsing the query would take up to {min(cost / 1000, 999):,.0f} s; the limit is {MAX_COST_MS // 1000} s. "
            "Split it, nest calls less deeply (WITH ... AS), or bind long lists as values"
        )
    return tokens


def parse_cost_ms(tokens: Sequence[Token]) -> float:
    """Return an upper estimate of the time that parsing takes.

    Every token is looked at once per bracket around it, and an opening bracket starts a new look-ahead. A chain of
    operators, dots or prefixes without a comma is quadratic in its length; x -> a + (y -> b + ...) without the brackets
    is exponential. The constants make the estimate exceed what was
    measured for some 100 shapes of text, each as large as this limit allows.
    """
    cost = 0.0
    level = 1.0  # how often a token is looked at
    chain = _Chain()
    outer: list[tuple[float, _Chain]] = []
    nothing = Token(Kind.OPERATOR, "", 0, 0)
    for previous, token, following in zip([nothing, *tokens], tokens, [*tokens[1:], nothing], strict=False):
        cost += 0.5 * level
        chain.tokens += 1
        chain.dots = chain.dots + 1 if "." in (token.text, previous.text) else 0
        cost += 0.06 * chain.dots
        operator = token.text if token.kind is Kind.OPERATOR else ""
        if operator in _OPEN or token.word == "case":
            outer.append((level, chain))
            weight = _weight(operator, previous)
            cost += weight * level
            level, chain = level + weight / 10, _Chain()
        elif (operator in _CLOSE or token.word == "end") and outer:
            cost += chain.cost_ms
            level, chain = outer.pop()
        elif operator == ",":
            # a, b, c could be the arguments of a lambda, which shows only at their end
            names = chain.names + 1 if previous.kind is Kind.WORD else 0
            cost += chain.cost_ms + 0.0002 * names
            chain = _Chain(names=names)
        elif token.word in ("and", "or"):
            chain.prefixes = 0
        elif _is_prefix(previous, token, following):
            chain.prefixes += 1
            cost += 1.3 * level * chain.prefixes
        elif operator == "->":
            chain.lambdas += 1
            cost += 5 * level * 1.7**chain.lambdas
    return cost + chain.cost_ms


@dataclass(slots=True)
class _Chain:
    """Tokens between commas on one level of brackets."""

    tokens: int = 0
    dots: int = 0  # of the current a.b.c
    prefixes: int = 0  # NOT and - since the last AND or OR
    lambdas: int = 0
    names: int = 0  # before it, each followed by a comma

    @property
    def cost_ms(self) -> float:
        return 0.0008 * self.tokens**2


def _is_prefix(previous: Token, token: Token, following: Token) -> bool:
    if token.word == "not":
        return following.word not in _AFTER_INFIX_NOT
    return token.text == "-" and (previous.word == "not" or previous.text in _BEFORE_PREFIX_MINUS)


def _weight(operator: str, previous: Token) -> float:
    """Return the milliseconds that an opening bracket costs at the top level."""
    if operator in ("[", "{") or previous.word in _TABLE_POSITION:
        return 1
    if operator != "(":  # CASE
        return 3
    called = previous.kind in (Kind.WORD, Kind.QUOTED) and previous.word not in _NOT_CALLED
    return 10 if called or previous.text in (")", "]") else 5
