"""How a property is read from JSON text. Source: reference chapter 2.3, from posthog/hogql/printer/base.py and
posthog/hogql/transforms/property_types.py."""

from __future__ import annotations

from dataclasses import replace

from posthog_events.clickhouse.catalog import PropertyKind
from posthog_events.clickhouse.compiler.value import JsonText, Sql
from posthog_events.clickhouse.json_text import canonical_text
from posthog_events.clickhouse.quoting import string
from posthog_events.clickhouse.sqltype import BOOLEAN, DATETIME64, FLOAT, STRING

__all__ = ["read_property"]


def read_property(source: JsonText, key: str | int, *, timezone: str) -> Sql:
    """Return the value of `key` below `source`, typed by its definition when it is a top-level key."""
    path = (*source.path, key)
    nested = replace(source, path=path)
    top_level = len(path) == 1 and isinstance(key, str)
    column = source.promoted.get(str(key)) if top_level else None
    text = column or canonical_text(source.text, path)
    untyped = Sql(text, STRING.with_nullable(True), json=nested)
    kind = source.property_types.get(str(key)) if top_level else None
    return _typed(untyped, kind, timezone) if kind else untyped


def _typed(value: Sql, kind: PropertyKind, timezone: str) -> Sql:
    if kind is PropertyKind.NUMERIC:
        return replace(value, text=f"accurateCastOrNull({value.text}, 'Float64')", type=FLOAT.with_nullable(True))
    if kind is PropertyKind.BOOLEAN:
        flag = f"transform(toString({value.text}), ['true', 'false'], [1, 0], NULL)"
        return replace(value, text=f"accurateCastOrNull({flag}, 'Bool')", type=BOOLEAN.with_nullable(True))
    if kind is PropertyKind.DATETIME:
        text = f"parseDateTime64BestEffortOrNull({value.text}, 6, {string(timezone)})"
        return replace(value, text=text, type=DATETIME64.with_nullable(True))
    return value
