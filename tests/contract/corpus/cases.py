"""What one corpus case is, and the three ways to write one: `rows`, `refused`, `value`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from posthog_events.errors import PostHogEventsError
from posthog_events.limits import POSTHOG_ROWS, RowLimits

__all__ = ["Case", "Given", "Refusal", "Rows", "refused", "rows", "value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The project settings and arguments a query runs with.

    Args:
        now: The clock, ISO 8601 with offset.
        typed: Whether property definitions are known; without them every property read is text.
        limits: PostHog's row limits unless the case is about others.
    """

    timezone: str = "UTC"
    week_starts_monday: bool = False
    person_mode: str = "person_id_override_properties_on_events"
    now: str = "2025-11-20T12:00:00+00:00"
    typed: bool = True
    limits: RowLimits = POSTHOG_ROWS
    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    variables: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    filters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """An accepted query's result.

    Args:
        rows: Dates and times as ISO text, Decimals as text, tuples and arrays as lists; None leaves the rows unchecked
            and `height` says how many there are.
        columns: Output names; None where the case is not about them.
        types: ClickHouse types; None where the reference does not state them.
        warning: A fragment of the one warning; None: no warning at all.
    """

    rows: tuple[tuple[Any, ...], ...] | None
    columns: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    ordered: bool = True
    height: int | None = None
    truncated: bool = False
    warning: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refused query: the class (or a base of it), fragments of the message, and the text it points at."""

    error: type[PostHogEventsError]
    fragments: tuple[str, ...]
    at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One query and what must come of it; `id` begins with the section of `reference/hogql.md`."""

    id: str
    hogql: str
    given: Given
    expect: Rows | Refusal


def rows(
    id: str,  # noqa: A002  # the word the cases read best with
    hogql: str,
    *expected: tuple[Any, ...],
    columns: Sequence[str] | None = None,
    types: Sequence[str] | None = None,
    ordered: bool = True,
    height: int | None = None,
    truncated: bool = False,
    warning: str | None = None,
    **given: Any,
) -> Case:
    """Return a case that is accepted; with `height` the rows themselves are not compared."""
    expect = Rows(
        rows=None if height is not None else expected,
        columns=None if columns is None else tuple(columns),
        types=None if types is None else tuple(types),
        ordered=ordered,
        height=height,
        truncated=truncated,
        warning=warning,
    )
    return Case(id=id, hogql=hogql, given=Given(**given), expect=expect)


def value(id: str, expression: str, expected: Any, type: str | None = None, **given: Any) -> Case:  # noqa: A002
    """Return a case about one expression of constants, optionally with its ClickHouse type."""
    return rows(id, f"SELECT {expression} AS v", (expected,), types=None if type is None else (type,), **given)


def refused(
    id: str,  # noqa: A002
    hogql: str,
    error: type[PostHogEventsError],
    *fragments: str,
    at: str | None = None,
    **given: Any,
) -> Case:
    """Return a case that must raise `error`; `at` occurs once in the query and is where the error must point."""
    return Case(id=id, hogql=hogql, given=Given(**given), expect=Refusal(error=error, fragments=fragments, at=at))
