"""Syntax that PostHog's parser accepts and then forgets, so that a query does less than it says.

Results agree with PostHog, which parses with the same library; but the author should know. Found on the token stream,
because the tree no longer shows it. Each case is checked against the parser in the tests. Source: reference 1.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from posthog_events.hogql.tokens import Kind, Token, tokenize

__all__ = ["Dropped", "dropped_syntax"]

# words that can stand before the parenthesis of a branch of a set query
_SET_WORDS = {"union", "all", "distinct", "intersect", "except"}
_BEFORE_OPERAND = {
    "select",
    "distinct",
    "where",
    "and",
    "or",
    "not",
    "by",
    "on",
    "having",
    "as",
    "when",
    "then",
    "else",
}
_JOIN_WORDS = {"join", "inner", "left", "right", "full"}


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
        elif token.word == "distinct" and index - 1 in closers and words[closers[index - 1] + 1] == "over":
            yield _dropped("DISTINCT in a window function", "use an aggregate such as uniqExact", token, token)
        elif token.word == "natural" and pair[1] in _JOIN_WORDS and words[index - 1] not in ("as", ""):
            yield _dropped("NATURAL", "every row is joined with every row; write ON or USING", token, token)
        elif token.word == "exclude" and _texts(tokens, index - 2) == [".", "*"]:
            yield _dropped(
                "The table before `.* EXCLUDE`", "columns of every table are meant", tokens[index - 3], token
            )
        elif token.word == "limit" and (later := _later_limit(tokens, index, closers)):
            yield _dropped("LIMIT", f"the LIMIT {later} replaces it", token, tokens[index + 1])
        elif token.kind is Kind.OPEN_COMMENT:
            message = "`/*` has no effect as a comment: it is never closed, and is read as a division by every column"
            yield Dropped(message, token.start, token.end)
        elif pair == ("order", "by") and index - 1 in openers and _is_set_branch(tokens, openers[index - 1]):
            hint = "order inside a query around the union"
            yield _dropped("ORDER BY after a parenthesised query", hint, token, tokens[index + 1])


def _texts(tokens: Sequence[Token], first: int) -> list[str]:
    return [token.text for token in tokens[max(first, 0) : first + 2]]


def _later_limit(tokens: Sequence[Token], index: int, closers: Mapping[int, int]) -> str:
    """Return the count of the LIMIT that follows on the same level, of the same SELECT; empty if there is none."""
    # of a set, the first LIMIT is its last SELECT's and the second its own
    if not _starts_limit(tokens, index) or _in_set(tokens, index, closers):
        return ""
    at = index + 1
    while at < len(tokens) and tokens[at].text != ")" and tokens[at].word not in ("by", *_SET_WORDS):
        if _starts_limit(tokens, at):
            return tokens[at + 1].text
        at = closers.get(at, at) + 1
    return ""


def _starts_limit(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether LIMIT starts a clause here; a column can have that name too."""
    if not 0 < index < len(tokens) - 1 or tokens[index].word != "limit":
        return False
    before, after = tokens[index - 1], tokens[index + 1]
    ended = before.word not in _BEFORE_OPERAND if before.kind is not Kind.OPERATOR else before.text in ")]}*"
    return ended and (after.kind is not Kind.OPERATOR or after.text in "({")


def _in_set(tokens: Sequence[Token], index: int, closers: Mapping[int, int]) -> bool:
    """Tell whether a set operator stands before `index` on the same level."""
    openers = {close: open_ for open_, close in closers.items()}
    at = index - 1
    while at >= 0 and tokens[at].text != "(":
        if tokens[at].word in ("union", "intersect", "except"):
            return True
        at = openers.get(at, at) - 1
    return False


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
