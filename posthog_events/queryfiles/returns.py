"""The promise of a query file's `returns`, held against what came back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from posthog_events.errors import UnexpectedColumns
from posthog_events.frames.types import ColumnType, parse_type
from posthog_events.result import Query

__all__ = ["check_returns"]


def check_returns(query: Query, types: Sequence[tuple[str, str]]) -> None:
    """Compare the columns of a result with the query's `returns`.

    A declared `DateTime` is a moment in any zone and of any precision, and Nullable is not compared, because a dtype
    does not show it; everything else must be the same type.

    Raises:
        UnexpectedColumns: Names, order or types differ; every difference is named.
    """
    declared = list(query.returns.items())
    if not declared:
        return
    if [name for name, _ in declared] != [name for name, _ in types]:
        raise UnexpectedColumns(
            f"{query.name} returned the columns {', '.join(name for name, _ in types)}, but its `returns` says "
            f"{', '.join(name for name, _ in declared)}"
        )
    differences = [
        f"{name} is {found}, not {wanted}"
        for (name, wanted), (_, found) in zip(declared, types, strict=True)
        if _comparable(parse_type(wanted)) != _comparable(parse_type(found))
    ]
    if differences:
        raise UnexpectedColumns(f"{query.name} does not keep its `returns`: {'; '.join(differences)}")


def _comparable(kind: ColumnType) -> ColumnType:
    """Reduce a type to what a frame's dtype shows: no nullability, and any moment is a moment."""
    family = {"DateTime64": "DateTime", "Date32": "Date"}.get(kind.family, kind.family)
    numbers = () if family == "DateTime" else kind.numbers
    inner = tuple(_comparable(part) for part in kind.inner)
    return replace(kind, family=family, numbers=numbers, inner=inner, zone=None, nullable=False)
