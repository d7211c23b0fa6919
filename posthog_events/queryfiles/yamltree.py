"""YAML 1.2 read to a tree that keeps every position, so that all faults of a file can be told at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from posthog_events.errors import Fault

__all__ = ["Item", "Key", "parse_yaml"]


@dataclass(frozen=True, slots=True)
class Key:
    """A mapping's key and where it stands (1-based)."""

    name: str
    line: int
    column: int


Pairs: TypeAlias = "tuple[tuple[Key, Item], ...]"


@dataclass(frozen=True, slots=True)
class Item:
    """A scalar, a tuple of items (a list), or a tuple of key and item pairs (a mapping, when `is_mapping`).

    Dates stay text, as in JSON: what a scalar means is for the reader of the tree to say.
    """

    content: str | int | float | bool | tuple[Item, ...] | Pairs | None
    line: int
    column: int
    is_mapping: bool = False

    @property
    def pairs(self) -> Pairs:
        """The keys and items of a mapping, duplicates left out; nothing for other items."""
        return self.content if self.is_mapping else ()  # type: ignore[return-value]  # `is_mapping` says so

    def plain(self) -> Any:
        """The value without positions."""
        if self.is_mapping:
            return {key.name: item.plain() for key, item in self.pairs}
        if isinstance(self.content, tuple):
            return [item.plain() for item in self.content]  # type: ignore[union-attr]  # not a mapping: items
        return self.content


def parse_yaml(text: str) -> tuple[Item | None, list[Fault]]:
    """Read one YAML document; the tree is None for an empty text and for one that is not YAML.

    Only plain data: no tags, no anchors. Faults carry line and column in `text`, no path.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        return None, [Fault(_advice(str(error.problem)), line=mark.line + 1, column=mark.column + 1)]
    except YAMLError as error:  # the reader's own: a control character
        position = getattr(error, "position", 0)
        start = text.rfind("\n", 0, position) + 1
        message = "not YAML: a control character"
        return None, [Fault(message, line=text.count("\n", 0, position) + 1, column=position - start + 1)]
    if root is None:
        return None, []
    faults: list[Fault] = []
    return _item(root, faults), faults


def _advice(problem: str) -> str:
    if "mapping values are not allowed" in problem:
        return "not YAML: a text that contains `: ` needs quotes"
    if r"'\t'" in problem:
        return "not YAML: a tab; use spaces"
    if "cannot start any token" in problem:
        return f"not YAML: {problem}; put the text in quotes"
    return f"not YAML: {problem}"


def _item(node: Any, faults: list[Fault]) -> Item:
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    if node.anchor is not None:
        # an alias may hold itself, and nothing this short needs one
        faults.append(Fault("anchors (&name) are not used here; write the value out", line=line, column=column))
        return Item(None, line, column)
    tag = str(node.tag).removeprefix("tag:yaml.org,2002:")
    if tag == "map":
        return Item(_pairs(node, faults), line, column, is_mapping=True)
    if tag == "seq":
        return Item(tuple(_item(child, faults) for child in node.value), line, column)
    if tag not in ("str", "int", "float", "bool", "null", "timestamp"):
        faults.append(Fault(f"the YAML tag {tag} is not used here", line=line, column=column))
        return Item(None, line, column)
    return Item(_scalar(tag, node.value), line, column)


def _pairs(node: Any, faults: list[Fault]) -> Pairs:
    pairs: dict[str, tuple[Key, Item]] = {}
    for key_node, value_node in node.value:
        line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
        value = _item(value_node, faults)
        if not isinstance(key_node.value, str):
            faults.append(Fault("a key must be a word", line=line, column=column))
        elif first := pairs.get(key_node.value):
            message = f"`{key_node.value}` is here twice; the first is in line {first[0].line}"
            faults.append(Fault(message, line=line, column=column))
        else:
            pairs[key_node.value] = Key(key_node.value, line, column), value
    return tuple(pairs.values())


def _scalar(tag: str, text: str) -> str | int | float | bool | None:
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() == "true"
    try:
        if tag == "int":
            return int(text, 0 if text.lstrip("+-")[:2].lower() in ("0x", "0o") else 10)
        if tag == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        pass  # a scalar with an explicit tag that does not fit; its text will be refused where it is used
    return text
