"""The mark by which a destination is known to be ours: the last line of its description.

::

    managed by posthog-events, key=signup-slack, secrets=3f9c0a1b2c4d

The key is the declaration's; `secrets` is the fingerprint of its secrets, absent when it has none. Names, URLs and
secrets may change, the mark stays; whoever deletes the line takes the destination over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Marker", "join_description", "marked_keys", "split_description"]

_LINE = re.compile(
    r"^managed by posthog-events, key=(?P<key>[a-z0-9][a-z0-9_-]*)(?:, secrets=(?P<secrets>[0-9a-f]+))?[ \t\r]*$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Marker:
    """Whose destination it is, and the fingerprint of the secrets that were sent last."""

    key: str
    secrets: str = ""

    def __str__(self) -> str:
        return f"managed by posthog-events, key={self.key}" + (f", secrets={self.secrets}" if self.secrets else "")


def join_description(text: str, marker: Marker) -> str:
    """Return a description with the mark at its end."""
    return f"{text.rstrip()}\n\n{marker}" if text.strip() else str(marker)


def marked_keys(description: str | None) -> tuple[str, ...]:
    """Return the key of every mark in a description; more than one are those that people copied there."""
    return tuple(found["key"] for found in _LINE.finditer(description or ""))


def split_description(description: str | None) -> tuple[str, Marker | None]:
    """Return what people wrote, and the mark; no mark when there is none, or more than one."""
    text = description or ""
    found = list(_LINE.finditer(text))
    if len(found) != 1:
        return text.strip(), None
    (only,) = found
    rest = text[: only.start()].rstrip() + text[only.end() :].rstrip()
    return rest.strip(), Marker(only["key"], only["secrets"] or "")
