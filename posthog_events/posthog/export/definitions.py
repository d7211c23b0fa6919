"""Property definitions, as far as they say how a property is compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from posthog_events.clickhouse.catalog import PropertyKind

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Definitions", "property_types"]

Definitions: TypeAlias = 'Callable[[Literal["event", "person"]], pl.DataFrame]'
"""Returns the property definitions of a project, with the columns `name` and `property_type`."""


def property_types(definitions: Definitions | None, of: Literal["event", "person"]) -> dict[str, str]:
    """Return name to property type; properties without a type, or with one that we do not know, are left out."""
    if definitions is None:
        return {}
    frame = definitions(of).select("name", "property_type")
    return {name: kind for name, kind in frame.iter_rows() if kind in frozenset(PropertyKind)}
