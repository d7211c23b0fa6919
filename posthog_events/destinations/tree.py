"""Reading a tree of positions: each wrong part becomes a fault, and reading goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from posthog_events.errors import Fault
from posthog_events.queryfiles.params import did_you_mean
from posthog_events.queryfiles.yamltree import Item, Key

__all__ = ["TreeReader", "item_of", "part_at", "parts_of", "shown"]

NOWHERE = 0
"""The line of what was written in Python and not in a file."""


class TreeReader:
    """Turns parts of a tree into values and collects what is wrong.

    A wrong part gives an empty value of its type, so that the rest can be read and judged.
    """

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults

    def fault(self, where: Item | Key, message: str) -> None:
        """Note that the part at `where` is wrong."""
        self.faults.append(Fault(message, line=where.line or None, column=where.column or None))

    def keys(self, item: Item, known: Iterable[str], what: str) -> dict[str, Item]:
        """Return the items of a mapping by key, unknown keys left out; a null counts as not written."""
        names = tuple(known)
        for key, _ in self.mapping(item, what):
            if key.name not in names:
                hint = did_you_mean(key.name, names) or f" (there are {', '.join(names)})"
                self.fault(key, f"{what} has no key `{key.name}`{hint}")
        return {key.name: value for key, value in item.pairs if key.name in names and value.content is not None}

    def mapping(self, item: Item, what: str) -> tuple[tuple[Key, Item], ...]:
        """Return the pairs of a mapping."""
        if not item.is_mapping:
            self.fault(item, f"{what} must hold `key: value` pairs, not {shown(item)}")
        return item.pairs

    def items(self, item: Item, what: str) -> tuple[Item, ...]:
        """Return the items of a list."""
        if item.is_mapping or not isinstance(item.content, tuple):
            self.fault(item, f"{what} must be a list, not {shown(item)}")
            return ()
        return item.content  # type: ignore[return-value]  # not a mapping: items

    def text(self, item: Item, what: str, *, max_chars: int | None = None) -> str:
        """Return a text that is not blank."""
        if not isinstance(item.content, str) or not item.content.strip():
            self.fault(item, f"{what} must be a text, not {shown(item)}")
            return ""
        if max_chars is not None and len(item.content) > max_chars:
            self.fault(item, f"{what} has {len(item.content)} characters; PostHog takes {max_chars}")
        return item.content.strip()

    def flag(self, item: Item, what: str) -> bool:
        """Return true or false."""
        if not isinstance(item.content, bool):
            self.fault(item, f"{what} must be true or false, not {shown(item)}")
        return item.content is True

    def whole(self, item: Item, what: str) -> int:
        """Return a whole number above 0."""
        if isinstance(item.content, bool) or not isinstance(item.content, int) or item.content < 1:
            self.fault(item, f"{what} must be a whole number above 0, not {shown(item)}")
            return 1
        return item.content


def item_of(value: Any) -> Item:
    """Return the tree of a value made in Python; its parts have no positions.

    Raises:
        TypeError: It holds something that JSON does not have.
    """
    if isinstance(value, Mapping):
        pairs = tuple((Key(str(key), NOWHERE, NOWHERE), item_of(part)) for key, part in value.items())
        return Item(pairs, NOWHERE, NOWHERE, is_mapping=True)
    if isinstance(value, (list, tuple)):
        return Item(tuple(item_of(part) for part in value), NOWHERE, NOWHERE)
    if value is not None and not isinstance(value, (str, int, float, bool)):
        raise TypeError(f"a {type(value).__name__} cannot be part of a destination; give text, numbers, lists, dicts")
    return Item(value, NOWHERE, NOWHERE)


def parts_of(item: Item) -> tuple[Item, ...]:
    """Return the items of a list, or the values of a mapping; nothing for a scalar."""
    if item.is_mapping:
        return tuple(part for _, part in item.pairs)
    return item.content if isinstance(item.content, tuple) else ()  # type: ignore[return-value]  # not pairs: items


def part_at(item: Item, path: Iterable[str | int]) -> Item:
    """Return the part of `item` that `path` leads to, or the last part on the way that exists."""
    for step in path:
        if isinstance(step, str):
            found = next((part for key, part in item.pairs if key.name == step), None)
        else:
            found = dict(enumerate(parts_of(item))).get(step)
        if found is None:
            return item
        item = found
    return item


def shown(item: Item) -> str:
    """Return what an item is, for messages; never a text itself, which may be a secret in the wrong place."""
    if item.is_mapping:
        return "a mapping"
    match item.content:
        case None:
            return "nothing"
        case bool():
            return str(item.content).lower()
        case int() | float():
            return f"the number {item.content}"
        case str():
            return "a text" if item.content.strip() else "an empty text"
        case _:
            return "a list"
