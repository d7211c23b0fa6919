"""What is done with any syntax tree: decode it from the parser's JSON, walk it, change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from posthog_events.hogql import ast

__all__ = ["children", "from_json", "transform", "walk"]

_CLASSES: dict[str, type[ast.Node]] = {
    name: cls
    for name, cls in vars(ast).items()
    if isinstance(cls, type) and issubclass(cls, ast.Node) and cls not in (ast.Node, ast.Expr)
}
_FIELDS: dict[str, tuple[str, ...]] = {
    name: tuple(f.name for f in fields(cls) if f.name != "span") for name, cls in _CLASSES.items()
}


def from_json(data: Mapping[str, Any]) -> ast.Node:
    """Decode one node of the parser's JSON, with everything below it.

    Raises:
        KeyError: A node of a kind that this grammar version does not have; a bug of ours, not of the user.
    """
    kind = data["node"]
    cls = _CLASSES[kind]
    if kind == "Constant":
        values = {"value": _constant(data)}
    else:
        values = {name: _decode(data[name]) for name in _FIELDS[kind] if data.get(name) is not None}
    start, end = data.get("start"), data.get("end")
    span = (start["offset"], end["offset"]) if start and end else None
    return cls(span=span, **values)


def _constant(data: Mapping[str, Any]) -> Any:
    value = data["value"]
    if data.get("value_type") != "number" or not isinstance(value, str):
        return value
    if value.lstrip("-").isdigit():
        return int(value)
    return float(value.replace("Infinity", "inf"))


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if isinstance(value, dict):
        if "node" in value:
            return from_json(value)
        return {key: _decode(item) for key, item in value.items()}
    return value


def children(node: ast.Node) -> Iterator[ast.Node]:
    """Yield the nodes directly below `node`, in the order of its fields."""
    for name in _FIELDS[type(node).__name__]:
        yield from _nodes_in(getattr(node, name))


def _nodes_in(value: Any) -> Iterator[ast.Node]:
    if isinstance(value, ast.Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _nodes_in(item)


def walk(node: ast.Node) -> Iterator[ast.Node]:
    """Yield `node` and every node below it, parents first."""
    yield node
    for child in children(node):
        yield from walk(child)


N = TypeVar("N", bound=ast.Node)


def transform(node: N, change: Callable[[ast.Node], ast.Node]) -> N:
    """Return the tree with `change` applied to every node, children first; untouched parts are shared."""
    changed = {}
    for name in _FIELDS[type(node).__name__]:
        old = getattr(node, name)
        new = _transform_value(old, change)
        if new is not old:
            changed[name] = new
    return change(replace(node, **changed) if changed else node)  # type: ignore[return-value]  # `change` keeps kinds


def _transform_value(value: Any, change: Callable[[ast.Node], ast.Node]) -> Any:
    if isinstance(value, ast.Node):
        return transform(value, change)
    if isinstance(value, tuple):
        new = tuple(_transform_value(item, change) for item in value)
        return new if any(a is not b for a, b in zip(new, value, strict=True)) else value
    if isinstance(value, dict):
        changed = {key: _transform_value(item, change) for key, item in value.items()}
        return changed if any(changed[key] is not value[key] for key in value) else value
    return value
