"""Which of PostHog's row limits apply to a text: those of a SELECT, or of a branch of a union, without a LIMIT.

PostHog says that a result was cut only when the text has no LIMIT at all (`hasMore`). A clamped LIMIT and a cut branch
of a union show nowhere, so they have to be read from the text (reference 2.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from posthog_events.hogql.tokens import Kind, Token, tokenize

__all__ = ["RowLimit", "row_limit"]

SET_OPERATORS = frozenset({"union", "intersect", "except"})
AFTER_LIMIT = frozenset({"by", "limit", "offset", "with", "settings"})
OPENING, CLOSING = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True, slots=True)
class RowLimit:
    """The LIMITs of a text.

    Args:
        rows: The number after the only SELECT's LIMIT; None when there is none, or it is not a plain number.
        stated: Whether there is a LIMIT.
        unlimited_branches: HogQL of each branch of a union that PostHog limits on its own account.
    """

    rows: int | None
    stated: bool
    unlimited_branches: tuple[str, ...] = ()


def row_limit(text: str) -> RowLimit:
    """Read the LIMITs of `text`.

    >>> row_limit("SELECT 1 LIMIT 5")
    RowLimit(rows=5, stated=True, unlimited_branches=())
    """
    tokens = _outer(tokenize(text))
    cuts = [n for n, (token, depth) in enumerate(tokens) if depth == 0 and token.word in SET_OPERATORS]
    # EXCEPT is also what leaves out columns: `* EXCEPT (a)`, where no query follows
    cuts = [n for n in cuts if _begins_query(tokens, n + 1)]
    if not cuts:
        return _limit(_inside(tokens))
    prelude = _prelude(text, tokens)
    bounds = [-1, *cuts, len(tokens)]
    bare: list[str] = []
    for before, after in pairwise(bounds):
        branch = tokens[before + 1 : after]
        if branch and branch[0][0].word in ("all", "distinct"):
            branch = branch[1:]
        if branch and not _limit(_inside(branch)).stated:
            body = text[branch[0][0].start : branch[-1][0].end]
            bare.append(body if before < 0 else prelude + body)
    return RowLimit(None, True, tuple(bare))


def _outer(tokens: list[Token]) -> list[tuple[Token, int]]:
    """Pair each token with the number of brackets around it; a bracket counts as outside of itself."""
    depth, found = 0, []
    for token in tokens:
        if token.kind is Kind.OPERATOR and token.text in CLOSING:
            depth -= 1
        found.append((token, depth))
        if token.kind is Kind.OPERATOR and token.text in OPENING:
            depth += 1
    return found


def _begins_query(tokens: list[tuple[Token, int]], at: int) -> bool:
    words = [token for token, _ in tokens[at:] if token.text != "(" and token.word not in ("all", "distinct")]
    return bool(words) and words[0].word in ("select", "with", "from")


def _inside(branch: list[tuple[Token, int]]) -> list[tuple[Token, int]]:
    """Take off the brackets around a whole branch."""
    while branch and branch[0][0].text == "(" and branch[-1][0].text == ")":
        branch = [(token, depth - 1) for token, depth in branch[1:-1]]
    return branch


def _limit(tokens: list[tuple[Token, int]]) -> RowLimit:
    """Find the LIMIT of one SELECT; `LIMIT n BY` is another thing."""
    outer = [token for token, depth in tokens if depth == 0]
    for at, token in enumerate(outer):
        if token.word != "limit":
            continue
        stop = next((n for n, word in enumerate(outer) if n > at and word.word in AFTER_LIMIT), len(outer))
        if stop < len(outer) and outer[stop].word == "by":
            continue
        match outer[at + 1 : stop]:
            # `LIMIT 5, 10` skips 5 and takes 10
            case [rows] | [_, Token(text=","), rows] if rows.kind is Kind.NUMBER and rows.text.isdigit():
                return RowLimit(int(rows.text), True)
        return RowLimit(None, True)
    return RowLimit(None, False)


def _prelude(text: str, tokens: list[tuple[Token, int]]) -> str:
    """Return a leading WITH clause, which the first branch shares with the others."""
    if not tokens or tokens[0][0].word != "with":
        return ""
    first = next((token for token, depth in tokens if depth == 0 and token.word == "select"), None)
    return text[: first.start] if first else ""
