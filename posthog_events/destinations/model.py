"""What a declaration says, as values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

__all__ = ["AUTO", "KINDS", "Auto", "Destination", "Kind", "SecretRef", "find_references"]

Kind: TypeAlias = Literal["webhook", "slack", "discord", "teams", "template"]
KINDS: Final = ("webhook", "slack", "discord", "teams", "template")

_REFERENCE = re.compile(r"\$\{(env|keyring):([A-Za-z0-9_.-]+)\}", re.ASCII)


class Auto(Enum):
    """A value that PostHog knows and the file does not say."""

    SLACK_WORKSPACE = "auto"
    """The id of the project's only Slack workspace; found when the plan is made."""


AUTO: Final = Auto.SLACK_WORKSPACE


@dataclass(frozen=True, slots=True, order=True)
class SecretRef:
    """Where a secret is kept: an environment variable, or an entry of the system's keyring. Never the secret itself."""

    source: Literal["env", "keyring"]
    name: str

    def __str__(self) -> str:
        return f"${{{self.source}:{self.name}}}"

    @classmethod
    def parse(cls, text: str) -> SecretRef | None:
        """Return the reference that `text` is; None when it is anything else."""
        found = _REFERENCE.fullmatch(text.strip())
        return cls(found[1], found[2]) if found else None  # type: ignore[arg-type]  # the pattern names the sources


def find_references(text: str) -> dict[str, SecretRef]:
    """Return every reference in `text`, as it is spelt there."""
    return {
        found[0]: SecretRef(found[1], found[2])  # type: ignore[arg-type]  # the pattern names the sources
        for found in _REFERENCE.finditer(text)
    }


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination as it should be; two that say the same are equal, wherever they were written.

    Args:
        key: Its identity: a destination may be renamed, but not its key.
        kind: What it was declared as.
        description: What people wrote; the marker is added when it is sent (see `marker`).
        inputs: Input to JSON value, in the form of the template; a `SecretRef` or `AUTO` stands for a whole value.
        inputs_schema: The inputs that the destination accepts, when they are not those of the template.
        filters: Which events fire it, in PostHog's own form and complete.
        masking: `{hash, ttl, threshold}`; None: every event fires.
        path: The file; None for one made in Python.
        line: The line on which its declaration begins.
    """

    key: str
    kind: Kind
    name: str
    template_id: str
    inputs: Mapping[str, Any]
    filters: Mapping[str, Any]
    description: str = ""
    enabled: bool = True
    inputs_schema: tuple[Mapping[str, Any], ...] | None = None
    masking: Mapping[str, Any] | None = None
    path: Path | None = field(default=None, compare=False)
    line: int | None = field(default=None, compare=False)

    @property
    def secrets(self) -> Mapping[str, SecretRef]:
        """The inputs whose values are secrets."""
        return {name: value for name, value in self.inputs.items() if isinstance(value, SecretRef)}
