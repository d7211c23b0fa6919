"""HogQL text to a syntax tree, through PostHog's own parser.

Parsing is the slow part of running a query (tens of milliseconds, seconds for deeply nested calls), so trees are kept
in memory and on disk by text and parser version.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from posthog_events.errors import HogQLSyntaxError, UnsupportedHogQL
from posthog_events.hogql import ast
from posthog_events.hogql.cache import DiskCache, default_cache_dir
from posthog_events.hogql.guard import check_size
from posthog_events.hogql.hints import explain
from posthog_events.hogql.loader import Grammar, load_grammar
from posthog_events.hogql.tokens import tokenize

__all__ = ["CACHE_VARIABLE", "Parser", "parse_expr", "parse_select"]

Rule = Literal["select", "expr"]

CACHE_VARIABLE = "POSTHOG_EVENTS_CACHE_DIR"
"""Names another directory for the cache; set to nothing, there is no cache on disk."""

_IN_MEMORY = 512


@dataclass(slots=True)
class Parser:
    """Parses, and remembers what it parsed.

    Args:
        disk: None keeps trees in memory only.
    """

    grammar: Grammar
    disk: DiskCache | None = None
    _memory: OrderedDict[tuple[Rule, str], ast.Node] = field(default_factory=OrderedDict)

    def parse(self, rule: Rule, text: str, *, name: str = "<inline>", first_line: int = 1) -> ast.Node:
        """Return the tree of `text`.

        Args:
            name: What the text is called in messages, and `first_line` the line of that file on which it begins.

        Raises:
            HogQLSyntaxError: It is not HogQL, too large, or not text that can be encoded.
            UnsupportedHogQL: The grammar knows it, PostHog does not support it.
        """
        found = self._memory.get((rule, text))
        if found is not None:
            return found
        try:
            tree = ast.from_json(self._read(rule, text))
        except (HogQLSyntaxError, UnsupportedHogQL) as error:
            error.name, error.first_line = name, first_line
            raise
        self._memory[rule, text] = tree
        while len(self._memory) > _IN_MEMORY:
            self._memory.popitem(last=False)
        return tree

    def _read(self, rule: Rule, text: str) -> Mapping[str, Any]:
        _check_text(text)
        stored = self.disk.get(rule, text) if self.disk else None
        if stored is not None:
            return stored
        tokens = tokenize(text)
        check_size(text, tokens)
        parse: Callable[[str], str] = (
            self.grammar.parse_select_json if rule == "select" else self.grammar.parse_expr_json
        )
        answer: dict[str, Any] = json.loads(parse(text))
        if answer.get("error"):
            raise self._error(answer, text)
        if self.disk:
            self.disk.put(rule, text, answer)
        return answer

    def _error(self, answer: Mapping[str, Any], text: str) -> HogQLSyntaxError | UnsupportedHogQL:
        """Of the positions in an error object only the start's offset means something (reference 1.4)."""
        message, start, end = explain(str(answer["message"]), text, int(answer["start"]["offset"]))
        error = UnsupportedHogQL if answer["type"] == "NotImplementedError" else HogQLSyntaxError
        return error(message, text=text, start=start, end=end)


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise HogQLSyntaxError(f"a query must be text, but this is {type(text).__name__}")
    if not text.strip():
        raise HogQLSyntaxError("the query is empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise HogQLSyntaxError(
            "the query is not valid Unicode here (a lone surrogate)", text=text, start=error.start, end=error.end
        ) from error


@cache
def _default() -> Parser:
    grammar = load_grammar()
    directory = os.environ.get(CACHE_VARIABLE)
    if directory == "":
        return Parser(grammar)
    return Parser(grammar, DiskCache(Path(directory) if directory else default_cache_dir(), grammar.version))


def parse_select(text: str, *, name: str = "<inline>", first_line: int = 1) -> ast.SelectQuery | ast.SelectSetQuery:
    """Return the tree of a SELECT or a set query.

    Raises:
        HogQLSyntaxError, UnsupportedHogQL: As `Parser.parse`.
        MissingExtra: hogql-parser is not installed.
    """
    tree = _default().parse("select", text, name=name, first_line=first_line)
    if not isinstance(tree, ast.SelectQuery | ast.SelectSetQuery):
        raise HogQLSyntaxError("this is not a SELECT", text=text, start=0, name=name, first_line=first_line)
    return tree


def parse_expr(text: str, *, name: str = "<inline>", first_line: int = 1) -> ast.Expr:
    """Return the tree of one expression.

    Raises:
        HogQLSyntaxError, UnsupportedHogQL: As `Parser.parse`.
        MissingExtra: hogql-parser is not installed.
    """
    tree = _default().parse("expr", text, name=name, first_line=first_line)
    assert isinstance(tree, ast.Expr)
    return tree
