"""Syntax that PostHog's parser accepts and then forgets, so that a query does less than it says.

Results agree with PostHog, which parses with the same library; but the author should know. Found on the token stream,
because the tree no longer shows it. Each case is checked against the parser in the tests. Source: reference 1.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from posthog_events.hogql.tokens import Kind, Token, tokenize

__all__ = ["Dropped", "dropped_syntax"]

# words that can stand before the parenthesis of a branch of a set query
_SET_WORDS = {"union", "all", "distinct", "intersect", "except"}


@dataclass(frozen=True, slots=True)
class Dropped:
    """A part of the text without effect; `start` and `end` are code points, half-open."""

    message: str
    start: int
    end: int


def dropped_syntax(text: str) -> tuple[Dropped, ...]:
    """Return what the parser drops from `text`, in order."""
    return tuple(_find(tokenize(text)))


def _find(tokens: Sequence[Token]) -> Iterator[Dropped]:
    closers = _closers(tokens)
    openers = {close: open_ for open_, close in closers.items()}
    words = [token.word for token in tokens] + ["", ""]
    for index, token in enumerate(tokens):
        pair = (words[index], words[index + 1])
        if pair in (("nulls", "first"), ("nulls", "last")):
            yield _dropped(f"NULLS {pair[1].upper()}", "NULLs stay last", token, tokens[index + 1])
        elif pair in (("with", "totals"), ("with", "rollup"), ("with", "cube")):
            hint = "write GROUP BY ROLLUP(...)" if pair[1] != "totals" else "compute totals in a query of their own"
            yield _dropped(f"WITH {pair[1].upper()}", hint, token, tokens[index + 1])
        elif token.word == "collate" and index + 1 < len(tokens) and tokens[index + 1].kind is Kind.STRING:
            yield _dropped("COLLATE", "text is ordered by its bytes", token, tokens[index + 1])
        elif token.word == "filter" and index + 1 in closers and words[closers[index + 1] + 1] == "over":
            end = tokens[closers[index + 1]]
            yield _dropped("FILTER on a window function", "use a conditional aggregate such as sumIf", token, end)
        elif pair == ("order", "by") and index - 1 in openers and _is_set_branch(tokens, openers[index - 1]):
            hint = "order inside a query around the union"
            yield _dropped("ORDER BY after a parenthesised query", hint, token, tokens[index + 1])


def _closers(tokens: Sequence[Token]) -> dict[int, int]:
    """Return the index of the closing parenthesis for that of each opening one."""
    pairs: dict[int, int] = {}
    stack: list[int] = []
    for index, token in enumerate(tokens):
        if token.kind is Kind.OPERATOR and token.text == "(":
            stack.append(index)
        elif token.kind is Kind.OPERATOR and token.text == ")" and stack:
            pairs[stack.pop()] = index
    return pairs


def _is_set_branch(tokens: Sequence[Token], opener: int) -> bool:
    inside = tokens[opener + 1]
    before = tokens[opener - 1] if opener else None
    starts_query = inside.word in ("select", "with") or inside.text == "("
    return starts_query and (before is None or before.word in _SET_WORDS or before.text == "(")


def _dropped(what: str, hint: str, first: Token, last: Token) -> Dropped:
    return Dropped(f"{what} has no effect: PostHog's parser drops it; {hint}", first.start, last.end)
