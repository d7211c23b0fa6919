"""PostHog's untyped read of a property from JSON text, as ClickHouse SQL. Source: posthog/hogql/printer/base.py."""

from __future__ import annotations

from collections.abc import Sequence

from posthog_events.clickhouse.quoting import string

__all__ = ["canonical_text", "json_path"]


def json_path(path: Sequence[str | int]) -> str:
    """Return keys and 1-based indexes as arguments of ClickHouse's JSON functions."""
    return ", ".join(string(key) if isinstance(key, str) else str(key) for key in path)


def canonical_text(document: str, path: Sequence[str | int]) -> str:
    """Return the read of `path`, Nullable(String).

    It is the JSON text with `''` and `null` as NULL and outer quotes trimmed; escapes inside stay as they are.
    """
    raw = f"JSONExtractRaw({document}, {json_path(path)})"
    return f"replaceRegexpAll(nullIf(nullIf({raw}, ''), 'null'), '^\"|\"$', '')"
