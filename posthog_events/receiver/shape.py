"""Where the parts of an event are in the body of a delivery.

What a destination sends is written by its owner; `DEFAULT` finds the parts in PostHog's own body and in the common
others. For the rest there is `Shape`, with paths such as `data.user.id`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeAlias

from posthog_events.errors import ConfigError

__all__ = ["DEFAULT", "Path", "Shape", "at", "parse_path", "without"]

Path: TypeAlias = tuple[str, ...]
"""Keys, from the outermost in."""

_PATH = re.compile(r"(?:[^.\\]|\\[.\\])+(?:\.(?:[^.\\]|\\[.\\])+)*")
_KEY = re.compile(r"(?:[^.\\]|\\[.\\])+")
_ESCAPED = re.compile(r"\\(.)")
_GONE: Final = object()


def parse_path(path: str) -> Path:
    """Return the keys of a path.

    Raises:
        ConfigError: It is none.
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ConfigError(f"{path!r} is not a path of keys with full stops between them, such as event.distinct_id")
    return tuple(_ESCAPED.sub(r"\1", key) for key in _KEY.findall(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    r"""Paths of each part, in the order in which they are tried; the first that is there and not null counts.

    A path is keys with full stops between them; `\.` is a full stop in a key. One path may be given as it is, and
    `()` is for a part that does not exist.

    Args:
        root: The object that all other paths begin in. None finds it: the body, or else the only one of its objects
            that has an event's name.

    Raises:
        ConfigError: A path is empty, or has an empty key, or there is none for the name.
    """

    root: str | None = None
    name: tuple[str, ...] | str = ("event.event", "event")
    uuid: tuple[str, ...] | str = ("event.uuid", "uuid")
    distinct_id: tuple[str, ...] | str = ("event.distinct_id", "event.distinctId", "distinct_id", "distinctId")
    properties: tuple[str, ...] | str = ("event.properties", "properties")
    timestamp: tuple[str, ...] | str = ("event.timestamp", "timestamp")
    url: tuple[str, ...] | str = ("event.url", "url")
    person: tuple[str, ...] | str = ("person", "event.person")
    groups: tuple[str, ...] | str = ("groups", "event.groups")
    project: tuple[str, ...] | str = "project"
    source: tuple[str, ...] | str = "source"

    paths: Mapping[str, tuple[Path, ...]] = field(init=False, repr=False, compare=False)
    """The paths of each part as keys."""

    def __post_init__(self) -> None:
        given = {part.name: getattr(self, part.name) for part in fields(self) if part.init}
        paths = {
            part: tuple(parse_path(path) for path in ((said,) if isinstance(said, str) else said or ()))
            for part, said in given.items()
        }
        if not paths["name"]:
            raise ConfigError("a shape needs a path to the name of the event")
        object.__setattr__(self, "paths", paths)


DEFAULT: Final = Shape()
"""PostHog's body (`{"event": {"event": "signup", ...}, "person": {...}}`), an event object by itself, flat bodies in
which `event` is the name, and each of these under one more key."""


def at(document: Any, path: Path) -> Any:
    """Return the value at a path; None when there is none, or nothing but null."""
    for key in path:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
    return document


def without(document: Mapping[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """Return a document without the values at some paths, and without objects that this leaves empty."""
    left = _left(document, tuple(paths))
    return {} if left is _GONE else left


def _left(value: Any, paths: tuple[Path, ...]) -> Any:
    if not paths or not isinstance(value, dict) or () in paths:
        return _GONE if () in paths else value
    below: dict[str, list[Path]] = {}
    for path in paths:
        below.setdefault(path[0], []).append(path[1:])
    kept = {key: _left(item, tuple(below.get(key, ()))) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item is not _GONE} or _GONE
