"""`{name}` and `{variables.name}` become constants of the tree, so that no value can become syntax.

Source: reference 2.10, from posthog/hogql/placeholders.py and posthog/hogql/variables.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID

from posthog_events.errors import HogQLError, UnresolvedName
from posthog_events.hogql import ast
from posthog_events.hogql.printer import print_hogql
from posthog_events.hogql.source import Source
from posthog_events.hogql.tree import transform
from posthog_events.result import Value

__all__ = ["bind", "chain_of", "expand_variables"]

N = TypeVar("N", bound=ast.Node)


def chain_of(node: ast.Node) -> tuple[str | int, ...] | None:
    """Return the names in `{a.b}`; None when `node` is no such placeholder."""
    return node.expr.chain if isinstance(node, ast.Placeholder) and isinstance(node.expr, ast.Field) else None


def bind(tree: N, values: Mapping[str, Value], *, source: Source) -> N:
    """Return `tree` with every `{name}` replaced by its value.

    Raises:
        UnresolvedName: A placeholder has no value.
        HogQLError: A value has no form in HogQL.
    """

    def change(node: ast.Node) -> ast.Node:
        if not isinstance(node, ast.Placeholder):
            return node
        chain = chain_of(node)
        if chain is None or len(chain) != 1 or chain[0] not in values:
            given = f" Values were given for: {', '.join(sorted(values))}" if values else " No values were given"
            raise source.error(UnresolvedName, f"Unresolved placeholder: {print_hogql(node)}.{given}", node)
        return _constant(values[str(chain[0])], str(chain[0]), node, source)

    return transform(tree, change)


def expand_variables(tree: N, variables: Mapping[str, Value], *, source: Source) -> N:
    """Return `tree` with every `{variables.name}` replaced by its value.

    Raises:
        UnresolvedName: A variable has no value.
    """

    def change(node: ast.Node) -> ast.Node:
        chain = chain_of(node)
        if chain is None or chain[0] != "variables" or len(chain) < 2:
            return node
        name = str(chain[1])
        if len(chain) > 2 or name not in variables:
            raise source.error(UnresolvedName, f"Variable {name} is missing from query", node)
        return _constant(variables[name], f"variables.{name}", node, source)

    return transform(tree, change)


def _constant(value: Value, name: str, node: ast.Node, source: Source) -> ast.Expr:
    if isinstance(value, list | tuple):
        return ast.Array(exprs=tuple(_constant(item, name, node, source) for item in value), span=node.span)
    if isinstance(value, datetime) and value.tzinfo is None:
        raise source.error(HogQLError, f"The value of {{{name}}} is a datetime without a time zone; give it one", node)
    if value is not None and not isinstance(value, str | bool | int | float | datetime | date | UUID):
        raise source.error(
            HogQLError, f"The value of {{{name}}} is of type {type(value).__name__}, which HogQL cannot express", node
        )
    return replace(ast.Constant(value=value), span=node.span)
