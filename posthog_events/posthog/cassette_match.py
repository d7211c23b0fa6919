"""Whether a request is the one that was recorded; pure.

A recorded request is a pattern: a stand-in in it stands for the value that was replaced, whatever that was, the same
one throughout the recording. So a script that still names a person finds its replies, and nobody can read the name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from posthog_events.posthog.standins import ANY, is_number

__all__ = ["IGNORED", "Asked", "Bindings", "difference", "read_request"]

IGNORED: Final = frozenset({"client_query_id", "extract_mark"})
"""Fields of a body that differ in every attempt."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it is compared.

    Args:
        origin: Empty for PostHog itself, whose address does not matter.
        body: The JSON document, else the text; None when there is none.
    """

    method: str
    origin: str
    path: str
    parameters: Mapping[str, list[str]]
    body: Any

    def __str__(self) -> str:
        return f"{self.method} {self.origin}{self.path}"


@dataclass(frozen=True, slots=True)
class Bindings:
    """What the stand-ins of a recording stand for, as far as it is known."""

    values: dict[str, str] = field(default_factory=dict)
    standins: dict[str, str] = field(default_factory=dict)

    def copy(self) -> Bindings:
        """Return the same bindings, to be extended."""
        return Bindings(dict(self.values), dict(self.standins))

    def bind(self, standin: str, value: str) -> bool:
        """Take `value` for what `standin` stands for, and return whether that agrees with all that is known."""
        if ANY.fullmatch(value):
            return value == standin
        return self.values.setdefault(standin, value) == value and self.standins.setdefault(value, standin) == standin


def read_request(method: str, url: str, body: bytes, *, origin: str) -> Asked:
    """Return a request as it is compared.

    Args:
        origin: As in `Asked`.
    """
    parts = urlsplit(url)
    parameters: dict[str, list[str]] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        parameters.setdefault(name, []).append(value)
    document: Any = None
    if body:
        document = _document(text := body.decode("utf-8", "surrogateescape"))
        document = text if document is None else document
    return Asked(method.upper(), origin, parts.path or "/", parameters, document)


def difference(stored: Asked, given: Asked, known: Bindings) -> str | None:
    """Return where a request differs from a recorded one, None when it does not; `known` is extended on the way."""
    if stored.method != given.method:
        return "the method"
    if _differs(stored.path, given.path, known, "") is not None:
        return "the path"
    if stored.origin != given.origin:
        return "the host"
    for name in sorted(stored.parameters.keys() | given.parameters.keys()):
        if _differs(stored.parameters.get(name), given.parameters.get(name), known, "") is not None:
            return f"the parameter {name}"
    at = _differs(stored.body, given.body, known, "")
    return None if at is None else f"the body at {at.removeprefix('.')}" if at else "the body"


def _differs(stored: Any, given: Any, known: Bindings, at: str) -> str | None:
    """Return the path of the first difference; empty for the whole."""
    match stored, given:
        case dict(), dict():
            for name in sorted((stored.keys() | given.keys()) - IGNORED):
                place = f"{at}.{name}"
                if name not in stored or name not in given:
                    return place
                found = _differs(stored[name], given[name], known, place)
                if found is not None:
                    return found
            return None
        case list(), list():
            if len(stored) != len(given):
                return at
            pairs = enumerate(zip(stored, given, strict=True))
            found_at = (_differs(one, other, known, f"{at}[{number}]") for number, (one, other) in pairs)
            return next((place for place in found_at if place is not None), None)
        case str(), str():
            return None if stored == given or _text_agrees(stored, given, known) else at
        case (bool(), _) | (_, bool()):
            return None if stored is given else at
        case int() | float(), int() | float() if is_number(stored):
            return None if stored == given or known.bind(f"#{stored}", f"#{given}") else at
        case _:
            return None if stored == given else at


def _text_agrees(stored: str, given: str, known: Bindings) -> bool:
    document, other = _document(stored), _document(given)
    if document is not None and other is not None:
        return _differs(document, other, known, "") is None
    standins = ANY.findall(stored)
    if not standins:
        return False
    pattern = "(.+?)".join(re.escape(part) for part in ANY.split(stored))
    found = re.fullmatch(pattern, given, re.DOTALL)
    return found is not None and all(
        known.bind(one, value) for one, value in zip(standins, found.groups(), strict=True)
    )


def _document(text: str) -> Any:
    """Return the object or array that a text is in JSON; None when it is none."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
