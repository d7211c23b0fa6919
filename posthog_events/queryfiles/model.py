"""What a query file says, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from posthog_events.hogql import ast

__all__ = ["MISSING", "SCALAR_TYPES", "Chart", "Condition", "Param", "QueryFile", "Step"]

SCALAR_TYPES: Final = ("event", "property", "when", "duration", "int", "float", "bool", "text", "choice")
"""Types that `list[...]` can hold; `steps` and `where` stand alone."""


class _Missing:
    """The default of a parameter that has none; None is a default like any other."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Param:
    """A declared parameter.

    Args:
        type: One of `SCALAR_TYPES`, `list[...]` of one, `steps` or `where`.
        default: As written in the header, unconverted (a relative `when` has no value until the query runs).
        required: Whether a call must give it: there is no default, and the header does not say `required: false`.
        choices: The texts that `choice` and `list[choice]` accept.
        min: Smallest number, shortest duration in seconds, or fewest elements of a list.
        max: Largest number, longest duration in seconds, or most elements of a list.
    """

    name: str
    type: str
    default: Any = MISSING
    required: bool = True
    choices: tuple[str, ...] = ()
    description: str = ""
    min: float | None = None
    max: float | None = None

    @property
    def element(self) -> Param | None:
        """For `list[...]`: what each element must be."""
        if not self.type.startswith("list["):
            return None
        return Param(self.name, self.type[5:-1], choices=self.choices)


@dataclass(frozen=True, slots=True)
class Condition:
    """A boolean HogQL expression that has passed `conditions.parse_condition`; the only way to make one."""

    expr: ast.Expr


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a funnel: an event, perhaps restricted; `name` is for people."""

    event: str
    where: Condition | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """How the result is best drawn: result columns for the axes."""

    kind: Literal["bar", "line", "funnel", "heatmap"]
    x: str
    y: str
    color: str | None = None


@dataclass(frozen=True, slots=True)
class QueryFile:
    """A query file that has been read and found free of faults.

    Args:
        name: The file name without `.sql`.
        question: The question it answers, in an analyst's words.
        doc: The definition: what counts, what does not.
        grain: What one row is.
        returns: Column to ClickHouse type (`String`, `Nullable(Float64)`; `DateTime` is a moment in any zone and of any
            precision), in order. Empty: not promised.
        allow: Lint rules that the file breaks on purpose.
        body: HogQL with Jinja, line ends `\\n`.
        first_line: The line of the file on which `body` begins.
    """

    name: str
    path: Path | None
    title: str
    body: str
    question: str = ""
    doc: str = ""
    grain: str = ""
    params: Mapping[str, Param] = field(default_factory=lambda: MappingProxyType({}))
    returns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tags: tuple[str, ...] = ()
    chart: Chart | None = None
    allow: tuple[str, ...] = ()
    first_line: int = 1
