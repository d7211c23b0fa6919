"""HogQL text to syntax tree, with PostHog's own parser.

Parsing is the slow part of running a query (tens of milliseconds, seconds for a funnel of many steps), so trees are
kept, in memory and on disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

from posthog_events.errors import HogQLError, HogQLSyntaxError, UnsupportedHogQL
from posthog_events.hogql import ast
from posthog_events.hogql.cache import DiskCache, default_cache_dir
from posthog_events.hogql.guard import check_size
from posthog_events.hogql.hints import Diagnosis, explain_syntax, explain_unsupported
from posthog_events.hogql.loader import Grammar, load_grammar
from posthog_events.hogql.tokens import Token
from posthog_events.hogql.tree import from_json

__all__ = ["CACHE_VARIABLE", "Parser", "parse_expr", "parse_select"]

CACHE_VARIABLE = "POSTHOG_EVENTS_CACHE_DIR"
"""Names another directory for the cache; set to nothing, there is no cache on disk."""

MAX_TREE_DEPTH = 128
"""Nodes below each other. Every level costs the code that walks the tree a few of Python's 1,000 stack frames."""

MEMORY_ENTRIES = 512

_TOO_DEEP = f"the query nests more than {MAX_TREE_DEPTH} operators or calls. Split it, or move parts to a CTE"
_SURROGATE = re.compile("[\ud800-\udfff]")


class Parser:
    """Parses, and remembers what it parsed. Safe to share between threads.

    Args:
        cache_dir: Where trees are kept between processes; None keeps them in memory only. A directory that cannot be
            written is the same as None.
        load: Gives PostHog's parser; called at the first text.
    """

    def __init__(self, *, cache_dir: Path | None = None, load: Callable[[], Grammar] = load_grammar) -> None:
        self._cache_dir, self._load = cache_dir, load
        self._parsed = lru_cache(MEMORY_ENTRIES)(self._parse)

    def parse_select(
        self, text: str, *, name: str = "<inline>", first_line: int = 1
    ) -> ast.SelectQuery | ast.SelectSetQuery:
        """Parse a query.

        Args:
            text: A SELECT, or several combined with UNION and the like.
            name: What the text is called in messages.
            first_line: The line of `name` on which `text` begins.

        Raises:
            HogQLSyntaxError: The text is no query, or too large (see `guard`).
            UnsupportedHogQL: The grammar knows the construct, but neither PostHog nor we can run it.
            MissingExtra: hogql-parser is not installed.
        """
        node = self._named("select", text, name=name, first_line=first_line)
        if isinstance(node, ast.SelectQuery | ast.SelectSetQuery):
            return node
        # the grammar also takes a bare {placeholder} and a bare <Tag /> for a query
        raise HogQLSyntaxError(
            "this is not a SELECT", text=text, start=0, end=len(text), name=name, first_line=first_line
        )

    def parse_expr(self, text: str, *, name: str = "<inline>", first_line: int = 1) -> ast.Expr:
        """Parse one expression. Arguments and errors are those of `parse_select`."""
        return cast(ast.Expr, self._named("expr", text, name=name, first_line=first_line))

    def _named(self, rule: str, text: str, *, name: str, first_line: int) -> ast.Node:
        try:
            _check_text(text)
            return self._parsed(rule, text)
        except HogQLError as error:
            # remade, because one text can stand in several files
            raise type(error)(
                error.message, text=error.text, start=error.start, end=error.end, name=name, first_line=first_line
            ) from error.__cause__

    def _parse(self, rule: str, text: str) -> ast.Node:
        grammar = self._load()
        disk = DiskCache(self._cache_dir, grammar.version) if self._cache_dir else None
        if disk and (stored := disk.get(rule, text)):
            # an entry that holds something else than a tree is parsed and written anew
            with contextlib.suppress(LookupError, TypeError, ValueError):
                return from_json(stored)
        tokens = check_size(text)
        tree = _decoded(grammar.parse_select_json(text) if rule == "select" else grammar.parse_expr_json(text))
        if tree.get("error"):
            raise _error(tree, text, tokens)
        node = from_json(tree)
        if disk:
            disk.put(rule, text, tree)
        return node


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise HogQLSyntaxError(f"a query is text, not {type(text).__name__}")
    if not text.strip():
        raise HogQLSyntaxError("the query is empty")
    if surrogate := _SURROGATE.search(text):
        raise HogQLSyntaxError(
            f"half of a surrogate pair (U+{ord(surrogate.group()):04X}) cannot be part of a query",
            start=surrogate.start(),
            end=surrogate.end(),
            text=_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text),  # so that the message can be printed
        )


def _decoded(answer: str) -> dict[str, Any]:
    """Decode the parser's JSON; refuse a tree that is too deep to walk."""
    try:
        tree: dict[str, Any] = json.loads(answer)
    except RecursionError as error:
        raise HogQLSyntaxError(_TOO_DEEP) from error
    level: list[Any] = [tree]
    for _ in range(MAX_TREE_DEPTH):
        level = [child for node in level for child in _nodes_below(node)]
        if not level:
            return tree
    raise HogQLSyntaxError(_TOO_DEEP)


def _nodes_below(value: Any) -> Iterator[dict[str, Any]]:
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict) and "node" in item:
            yield item
        elif isinstance(item, dict | list):
            yield from _nodes_below(item)


def _error(answer: Mapping[str, Any], text: str, tokens: Sequence[Token]) -> HogQLError:
    message = answer["message"]
    kind: type[HogQLError] = HogQLSyntaxError
    match answer["type"]:
        case "NotImplementedError":
            found, kind = explain_unsupported(message, tokens), UnsupportedHogQL
        case "SyntaxError":
            # the parser's `end` counts bytes and is always the end of the text
            found = explain_syntax(message, answer["start"]["offset"], tokens, text)
        case _:  # "ParsingError: Maximum recursion depth exceeded during JOIN parsing", without a position
            found = Diagnosis(message, None, None)
    return kind(found.message, text=text, start=found.start, end=found.end)


@cache
def _default() -> Parser:
    """Return the parser of the module-level functions; which directory it uses depends on the environment."""
    directory = os.environ.get(CACHE_VARIABLE)
    if directory == "":
        return Parser()
    return Parser(cache_dir=Path(directory) if directory else default_cache_dir())


def parse_select(text: str, *, name: str = "<inline>", first_line: int = 1) -> ast.SelectQuery | ast.SelectSetQuery:
    """Parse a query; see `Parser.parse_select`."""
    return _default().parse_select(text, name=name, first_line=first_line)


def parse_expr(text: str, *, name: str = "<inline>", first_line: int = 1) -> ast.Expr:
    """Parse one expression; see `Parser.parse_expr`."""
    return _default().parse_expr(text, name=name, first_line=first_line)
