"""One thing that was looked at: what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Finding", "Level"]


class Level(IntEnum):
    """How bad it is; the worst comes first."""

    PROBLEM = 0  # something will not work
    WARNING = 1  # it works, and not as one might think
    NOTE = 2  # worth knowing
    OK = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report.

    Args:
        subject: What was looked at: `key`, `project`, `store`, ...
        message: What was found; holds no secret.
        fix: The next step; empty when there is nothing to do.
    """

    level: Level
    subject: str
    message: str
    fix: str = ""
