"""Where a query's text came from, so that an error about a node can point into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from posthog_events.errors import HogQLError
from posthog_events.hogql import ast

__all__ = ["Source"]

E = TypeVar("E", bound=HogQLError)


@dataclass(frozen=True, slots=True)
class Source:
    """A text that the spans of a tree point into.

    Args:
        name: What the text is called: a file, or `<inline>`.
        first_line: The line of that file on which the text begins.
    """

    text: str = ""
    name: str = "<inline>"
    first_line: int = 1

    def error(self, cls: type[E], message: str, node: ast.Node) -> E:
        """Return an error that points at `node`."""
        return self.error_at(cls, message, *(node.span or (None, None)))

    def error_at(self, cls: type[E], message: str, start: int | None, end: int | None) -> E:
        """Return an error that points at `text[start:end]`."""
        return cls(message, text=self.text, start=start, end=end, name=self.name, first_line=self.first_line)
