"""Warns of templates that PostHog accepts and that fail, or do not say what they seem to (reference 2.3 and 9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from posthog_events.errors import HogError
from posthog_events.hog.evaluate import compile_expr, unknown_global
from posthog_events.hog.functions import FAIL_ON_NULL
from posthog_events.hog.template import template_parts
from posthog_events.hogql import ast
from posthog_events.hogql.tree import children, walk

__all__ = ["GLOBALS", "Trap", "lint_template"]

GLOBALS = ("event", "person", "groups", "project", "source", "inputs")
"""What templates see (reference 2.4)."""


@dataclass(frozen=True, slots=True)
class Trap:
    """One warning: `code` for programs, `where` in the filters or the template, `message` for people."""

    code: str
    where: str
    message: str


def lint_template(source: str, *, where: str = "", roots: Sequence[str] = GLOBALS) -> list[Trap]:
    """Return the traps in the text of an input.

    Args:
        source: The text.
        where: What it is called in the traps.
        roots: The globals that there are.
    """
    try:
        parts = list(template_parts(source))
    except HogError as error:
        return [Trap("refused", where, error.message)]
    traps: dict[Trap, None] = {}
    for part in parts:
        if isinstance(part, str):
            continue
        found = list(_expression_traps(part, where, roots, frozenset()))
        if len(parts) > 1 and isinstance(part, ast.Field) and _is_object(part):
            shown = ".".join(map(str, part.chain))
            found.append(
                Trap(
                    "object-in-text", where, f"{{{shown}}} is an object: inside text it is no JSON. Use jsonStringify()"
                )
            )
        try:
            compile_expr(part)
        except HogError as error:
            found.append(Trap("refused", where, error.message))
        traps |= dict.fromkeys(found)
    return list(traps)


def _is_object(node: ast.Field) -> bool:
    return node.chain in {("event",), ("person",), ("project",), ("source",), ("groups",), ("inputs",)} or (
        node.chain[-1] == "properties" and len(node.chain) > 1
    )


def _expression_traps(node: ast.Node, where: str, roots: Sequence[str], local: frozenset[str]) -> Iterator[Trap]:
    match node:
        case ast.Field(chain=chain) if str(chain[0]) not in (*roots, *local):
            yield Trap("unknown-global", where, unknown_global(str(chain[0]), roots).message)
        case ast.ArithmeticOperation(op="-", left=ast.Field() as left, right=ast.Field() as right) if left.chain[
            0
        ] in roots and right.chain[0] not in (*roots, *local):
            parent, last = ".".join(map(str, left.chain[:-1])), f"{left.chain[-1]}-{'.'.join(map(str, right.chain))}"
            better = f"{parent}['{last}']" if parent else last
            yield Trap("hyphenated-key", where, f"the hyphen is read as minus; write {{{better}}}")
            return
        case ast.ArithmeticOperation(op="+") if any(
            isinstance(inner, ast.Constant) and isinstance(inner.value, str) for inner in (node.left, node.right)
        ):
            yield Trap("plus-on-text", where, "`+` makes numbers of both sides, and text gives NaN; use concat() or ||")
        case ast.Call(name=name, args=args) if name in FAIL_ON_NULL and args and isinstance(args[0], ast.Field):
            if len(args[0].chain) > 2 or "properties" in args[0].chain:
                shown = ".".join(map(str, args[0].chain))
                yield Trap(
                    "fails-on-null",
                    where,
                    f"{name}() fails when {shown} is missing, and the delivery is lost; write {name}({shown} ?? '')",
                )
        case ast.Call(name="round", args=(_, _)):
            yield Trap("round-places", where, "round() ignores its second argument and gives a whole number")
        case ast.Or() | ast.And() if any(isinstance(inner, ast.Call) for inner in walk(node)):
            yield Trap(
                "no-short-circuit", where, "AND and OR evaluate both sides, even when the first decides; use if()"
            )
        case ast.Lambda(args=names):
            local = local | frozenset(names)
    for child in children(node):
        yield from _expression_traps(child, where, roots, local)
