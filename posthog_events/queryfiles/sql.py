"""Rendered HogQL as a value that text can never become.

**The argument that a parameter cannot change a query.** The output of a template is an `Sql`, and an `Sql` is made in
three places only: from the literal text of the file, from a placeholder for a bound value, and by the structural
filters, which check and quote (`structure`, `conditions`). `Sql` is not a `str` and does not turn into one, so nothing
that Jinja can do to text (concatenate, format, join, replace, mark as safe) yields an `Sql`; and `concat`, through
which all output of macros, blocks and loops goes, accepts nothing else. A value therefore reaches the output as a
placeholder, or raises. When a new Jinja compiles templates in another way, `concat` sees plain text and raises: the
mechanism fails closed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from posthog_events.hogql.tokens import tokenize

__all__ = ["Piece", "Sql", "SqlText", "concat"]


class Piece(NamedTuple):
    """A run of output and where in the body it comes from.

    Args:
        offset: The code point of the body where it begins (`literal`), or the `{{` that produced all of it.
    """

    text: str
    offset: int
    literal: bool


@dataclass(frozen=True, slots=True)
class Sql:
    """A part of a rendered query."""

    _pieces: tuple[Piece, ...]

    def __str__(self) -> str:
        raise TypeError(
            "a rendered part of the query cannot be used as text (joined, formatted, filtered); emit it with {{ ... }}"
        )


class SqlText:
    """The finished text of a query, and the way back from a position in it to the body it came from."""

    def __init__(self, sql: Sql) -> None:
        self._pieces = tuple(piece for piece in sql._pieces if piece.text)
        self._starts = list(accumulate((len(piece.text) for piece in self._pieces), initial=0))
        self.text = "".join(piece.text for piece in self._pieces)

    def origin(self, offset: int) -> int:
        """Return the code point of the body behind `offset`: exact in literal text, else the `{{` of the expression."""
        if not self._pieces:
            return 0
        at = max(0, min(bisect_right(self._starts, offset) - 1, len(self._pieces) - 1))
        piece = self._pieces[at]
        return piece.offset + (offset - self._starts[at] if piece.literal else 0)

    def misplaced(self) -> int | None:
        """Return the code point of the body of an expression that stands inside a string, a name or a comment."""
        tokens = tokenize(self.text)
        starts, ends = {token.start for token in tokens}, {token.end for token in tokens}
        for start, piece in zip(self._starts, self._pieces, strict=False):
            first = start + len(piece.text) - len(piece.text.lstrip())
            last = start + len(piece.text.rstrip())
            if not piece.literal and (first not in starts or last not in ends):
                return piece.offset
        return None


def concat(parts: Iterable[object]) -> Sql:
    """Join parts of a query.

    Raises:
        TypeError: One of them is not an `Sql`; for example the text that a `{% filter %}` block gives.
    """
    pieces: list[Piece] = []
    for part in parts:
        if type(part) is not Sql:
            raise TypeError(f"a template may not put text into the query by itself; got {type(part).__name__}")
        pieces += part._pieces
    return Sql(tuple(pieces))
