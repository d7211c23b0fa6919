"""The YAML header of a query file: the leading `--` comments.

======== ===========================================================================================
key      what
======== ===========================================================================================
title    what the query is called, in a few words (the only key that must be there)
question the question it answers
doc      its definition: what counts, what does not, how ties are broken
params   parameter name to `{type, default, required, choices, description, min, max}`, or to a type
returns  result column to ClickHouse type, in order
grain    what one row is
tags     words to find it by
chart    `{kind: bar|line|funnel|heatmap, x: column, y: column, color: column}`
allow    lint rules that it breaks on purpose
======== ===========================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from posthog_events.errors import Fault, ParameterError
from posthog_events.queryfiles.binder import UNUSABLE_NAMES
from posthog_events.queryfiles.model import MISSING, SCALAR_TYPES, Chart, Param
from posthog_events.queryfiles.params import coerce, did_you_mean
from posthog_events.queryfiles.yamltree import Item, Key, parse_yaml

__all__ = ["Header", "parse_header"]

_TEXTS = ("title", "question", "doc", "grain")
_KEYS = (*_TEXTS, "params", "returns", "tags", "chart", "allow")
_PARAM_KEYS = ("type", "default", "required", "choices", "description", "min", "max")
_CHART_KEYS = ("kind", "x", "y", "color")
_CHART_KINDS = ("bar", "line", "funnel", "heatmap")
_TYPES = (*SCALAR_TYPES, *(f"list[{name}]" for name in SCALAR_TYPES), "steps", "where")
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_TEMPLATE_WORDS = frozenset(
    {"alias", "and", "block", "call", "caller", "dict", "do", "elif", "else", "false", "filter", "for", "from", "if"}
    | {"import", "in", "include", "is", "kwargs", "loop", "macro", "namespace", "none", "not", "or", "print", "range"}
    | {"raw", "recursive", "self", "set", "true", "varargs", "with"}
)
_SIMPLE_TYPES = frozenset(
    {"String", "UUID", "Bool", "Date", "Date32", "DateTime", "DateTime64", "Float32", "Float64", "IPv4", "IPv6"}
    | {f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128)}
)
_LIST_TYPE = re.compile(r"(:\s*)list\[(\w+)\](?=\s*(?:[,}]|$))", re.ASCII | re.MULTILINE)
_SOME_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says, with the position of each parameter."""

    texts: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Param] = field(default_factory=dict)
    places: Mapping[str, Key] = field(default_factory=dict)
    returns: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    chart: Chart | None = None


def parse_header(lines: list[str]) -> tuple[Header, list[Fault]]:
    """Read the header of a file whose first `lines` are comments.

    The dashes become blanks, so every position in the YAML is the position in the file.
    """
    if not lines:
        return Header(), [Fault("no header; begin the file with `-- title: ...`", line=1, column=1)]
    # YAML reads a bracket inside {...} as a list; another character in its place keeps the columns
    text = _LIST_TYPE.sub(r"\1list<\2>", "\n".join("  " + line[2:] for line in lines))
    root, faults = parse_yaml(text)
    if root is None or not root.is_mapping:
        if not faults:
            faults = [Fault("the header is `-- key: value` lines, beginning with `-- title: ...`", line=1, column=1)]
        return Header(), faults
    reader = _Reader(faults)
    return reader.header(root), faults


class _Reader:
    """Turns the tree into values and collects what is wrong."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = faults

    def header(self, root: Item) -> Header:
        parts = self._keys(root, _KEYS, "the header")
        if "title" not in parts:
            self._fault(root, "there is no `title`")
        params = parts.get("params")
        header = Header(
            texts={name: self._text(parts[name], name) for name in _TEXTS if name in parts},
            params={key.name: self._param(key, item) for key, item in self._mapping(params, "params")},
            places={key.name: key for key, _ in params.pairs} if params else {},
            returns={key.name: self._type(key, item) for key, item in self._mapping(parts.get("returns"), "returns")},
            tags=self._words(parts.get("tags"), "tags"),
            allow=self._words(parts.get("allow"), "allow"),
        )
        return replace(header, chart=self._chart(parts["chart"], header.returns) if "chart" in parts else None)

    def _param(self, key: Key, item: Item) -> Param:
        if not _NAME.fullmatch(key.name):
            self._fault(key, f"`{key.name}` cannot name a parameter: use small letters, digits and _")
        elif key.name in UNUSABLE_NAMES | _TEMPLATE_WORDS:
            self._fault(key, f"`{key.name}` has a meaning in HogQL or in templates; choose another name")
        if isinstance(item.content, str):
            return Param(key.name, self._param_type(item))
        parts = self._keys(item, _PARAM_KEYS, f"`{key.name}`")
        if "type" not in parts:
            self._fault(item, f"`{key.name}` needs a `type`: {', '.join(_TYPES)}")
            return Param(key.name, "text", required=False)
        kind = self._param_type(parts["type"])
        choices = self._words(parts.get("choices"), "choices")
        if kind.endswith(("choice", "choice]")) != bool(choices):
            self._fault(item, f"`{key.name}`: `choices` and the type choice belong together")
        default = parts["default"].plain() if "default" in parts else MISSING
        optional = "required" in parts and not self._bool(parts["required"], "required")
        param = Param(
            key.name,
            kind,
            default=default,
            # a default of null says the same as `required: false`
            required=default is MISSING and not optional,
            choices=choices,
            description=self._text(parts["description"], "description") if "description" in parts else "",
            min=self._bound(parts.get("min"), kind),
            max=self._bound(parts.get("max"), kind),
        )
        if "default" in parts and default is not None:
            self._check_default(param, parts["default"])
        return param

    def _check_default(self, param: Param, item: Item) -> None:
        try:
            coerce(param, param.default, now=_SOME_MOMENT, tz=UTC)
        except ParameterError as error:
            for fault in error.faults:
                self._fault(item, f"the default of {fault.message}")

    def _param_type(self, item: Item) -> str:
        name = str(item.plain()).replace("<", "[").replace(">", "]")
        if name not in _TYPES:
            known = f" (there are {', '.join(SCALAR_TYPES)}, list[...], steps, where)"
            self._fault(item, f"there is no type `{name}`{did_you_mean(name, _TYPES)}{known}")
            return "text"
        return name

    def _bound(self, item: Item | None, kind: str) -> float | None:
        if item is None:
            return None
        if kind == "duration":
            try:
                seconds = coerce(Param("bound", "duration"), item.plain(), now=_SOME_MOMENT, tz=UTC)
                return float(seconds)  # type: ignore[arg-type]  # a duration is an int
            except ParameterError as error:
                self._fault(item, error.faults[0].message)
                return None
        if isinstance(item.content, bool) or not isinstance(item.content, (int, float)):
            self._fault(item, "a bound is a number")
            return None
        if kind not in ("int", "float", "steps") and not kind.startswith("list["):
            self._fault(item, f"the type {kind} has no bounds")
        return item.content

    def _type(self, key: Key, item: Item) -> str:
        text = self._text(item, key.name)
        if text and not _is_type(text):
            self._fault(
                item, f"{text!r} is not a column type; use ClickHouse's names: String, UInt64, Nullable(Float64)"
            )
        return text

    def _chart(self, item: Item, returns: Mapping[str, str]) -> Chart | None:
        parts = self._keys(item, _CHART_KEYS, "chart")
        texts: dict[str, Any] = {name: self._text(part, name) for name, part in parts.items()}
        for name in ("kind", "x", "y"):
            if name not in texts:
                self._fault(item, f"chart needs `{name}`")
        if texts.get("kind", "bar") not in _CHART_KINDS:
            self._fault(parts["kind"], f"a chart is one of {', '.join(_CHART_KINDS)}")
        for name in ("x", "y", "color"):
            if returns and name in texts and texts[name] not in returns:
                self._fault(parts[name], f"`{texts[name]}` is not among the columns of `returns`")
        return Chart(**texts) if {"kind", "x", "y"} <= texts.keys() else None

    # -- leaves

    def _keys(self, item: Item, known: tuple[str, ...], what: str) -> dict[str, Item]:
        for key, _ in self._mapping(item, what):
            if key.name not in known:
                hint = did_you_mean(key.name, known) or f" (there are {', '.join(known)})"
                self._fault(key, f"{what} has no key `{key.name}`{hint}")
        return {key.name: value for key, value in item.pairs if key.name in known}

    def _mapping(self, item: Item | None, what: str) -> tuple[tuple[Key, Item], ...]:
        if item is not None and not item.is_mapping:
            self._fault(item, f"{what} must hold `key: value` pairs")
        return item.pairs if item is not None else ()

    def _text(self, item: Item, what: str) -> str:
        if not isinstance(item.content, str) or not item.content.strip():
            self._fault(item, f"{what} must be a text")
            return ""
        return item.content.strip()

    def _words(self, item: Item | None, what: str) -> tuple[str, ...]:
        if item is None:
            return ()
        if item.is_mapping or not isinstance(item.content, tuple):
            self._fault(item, f"{what} must be a list: [one, two]")
            return ()
        return tuple(self._text(part, what) for part in item.content if isinstance(part, Item))

    def _bool(self, item: Item, what: str) -> bool:
        if not isinstance(item.content, bool):
            self._fault(item, f"{what} must be true or false")
        return bool(item.content)

    def _fault(self, where: Item | Key, message: str) -> None:
        self._faults.append(Fault(message, line=where.line, column=where.column))


def _is_type(text: str) -> bool:
    """Whether `text` is a type that a result column can have: a name, or a wrapper around such types."""
    text = text.strip()
    if text in _SIMPLE_TYPES or re.fullmatch(r"DateTime64\([0-9]\)|Decimal\(\d{1,2}, ?\d{1,2}\)", text):
        return True
    wrapper = re.fullmatch(r"(Nullable|Array|Tuple|Map)\((.*)\)", text)
    if not wrapper:
        return False
    inner = _split(wrapper[2])
    count = {"Nullable": len(inner) == 1, "Array": len(inner) == 1, "Map": len(inner) == 2}.get(wrapper[1], True)
    return count and all(_is_type(part) for part in inner)


def _split(text: str) -> list[str]:
    """Split at the commas outside parentheses."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts
