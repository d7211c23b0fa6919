"""Property types from values: Numeric, Boolean or DateTime if every value of a key is one, else String.

A sample of a part's rows suggests the types; whatever it suggests beyond String is then checked on every row. The check
looks for the opposite in the document's text first, which is fast and errs on one side only (a nested object may hold
the same key), and reads the values one by one only when it found something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from posthog_events.clickhouse.catalog import PropertyKind
from posthog_events.clickhouse.quoting import identifier, string

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DATE_TEXT", "infer_types", "merge_kinds"]

SAMPLE_ROWS = 2_000
MAX_PATTERNS = 100

DATE_TEXT = r'^"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?"$'

_KIND = (
    "multiIf(match(raw, '^-?[0-9]'), 'Numeric', raw IN ('true', 'false'), 'Boolean', "
    f"match(raw, {string(DATE_TEXT)}), 'DateTime', 'String')"
)

# The character after `"key":` in normalised JSON that rules a kind out.
_CONTRADICTS = {PropertyKind.NUMERIC: "[^-0-9n]", PropertyKind.BOOLEAN: "[^tfn]"}

Query = Callable[[str], "pl.DataFrame"]


def infer_types(query: Query, rows: str, document: str, keys: Sequence[str]) -> dict[str, PropertyKind]:
    """Return the kind of each key that has a value in `rows`.

    Args:
        query: Runs SQL.
        rows: A table expression of staged rows.
        document: The JSON column.
        keys: The keys to judge.
    """
    if not keys:
        return {}
    sampled = _exact(query, f"(SELECT {document} FROM {rows} LIMIT {SAMPLE_ROWS})", document, keys)
    certain: dict[str, PropertyKind] = {key: kind for key, kind in sampled.items() if kind is PropertyKind.STRING}
    certain |= _dates(query, rows, document, [key for key, kind in sampled.items() if kind is PropertyKind.DATETIME])
    claimed = {key: kind for key, kind in sampled.items() if kind in _CONTRADICTS}
    doubtful = [key for key in keys if key not in sampled]
    if claimed:
        patterns = [f'"{_literal(key)}":{_CONTRADICTS[kind]}' for key, kind in claimed.items()]
        hits = ", ".join(f"countIf(match({document}, {string(pattern)}))" for pattern in patterns)
        any_hit = f"multiMatchAny({document}, [{', '.join(map(string, patterns))}])"
        found = query(f"SELECT {hits} FROM {rows} WHERE {any_hit}").row(0)
        doubtful += [key for key, count in zip(claimed, found, strict=True) if count]
    if doubtful:
        # Hyperscan compiles each set of patterns once; many rare keys are not worth it.
        filled = [string(f'"{_literal(key)}":[^n]') for key in doubtful]
        condition = f"multiMatchAny({document}, [{', '.join(filled)}])" if len(filled) <= MAX_PATTERNS else "1"
        certain |= _exact(query, f"(SELECT {document} FROM {rows} WHERE {condition})", document, doubtful)
    return {key: kind for key, kind in claimed.items() if key not in doubtful} | certain


def _dates(query: Query, rows: str, document: str, keys: Sequence[str]) -> dict[str, PropertyKind]:
    """Check every value of keys that look like dates; only a text can look like one, so its JSON type is not asked."""
    if not keys:
        return {}
    shape = "Tuple(" + ", ".join(f"{identifier(key)} Nullable(String)" for key in keys) + ")"
    date = string(DATE_TEXT.replace('"', ""))
    wrong = ", ".join(
        f"countIf(NOT match(assumeNotNull(tupleElement(f, {index})), {date}) AND isNotNull(tupleElement(f, {index})))"
        for index in range(1, len(keys) + 1)
    )
    counts = query(f"SELECT {wrong} FROM (SELECT JSONExtract({document}, {string(shape)}) AS f FROM {rows})").row(0)
    return {
        key: PropertyKind.STRING if count else PropertyKind.DATETIME for key, count in zip(keys, counts, strict=True)
    }


def _exact(query: Query, rows: str, document: str, keys: Iterable[str]) -> dict[str, PropertyKind]:
    wanted = ", ".join(string(key) for key in keys)
    pairs = (
        f"arrayJoin(arrayFilter(kv -> kv.1 IN ({wanted}) AND kv.2 != 'null', JSONExtractKeysAndValuesRaw({document})))"
    )
    frame = query(
        f"SELECT key, groupUniqArray({_KIND}) AS kinds "
        f"FROM (SELECT {pairs} AS pair, pair.1 AS key, pair.2 AS raw FROM {rows}) GROUP BY key"
    )
    return {key: PropertyKind(kinds[0]) if len(kinds) == 1 else PropertyKind.STRING for key, kinds in frame.iter_rows()}


def _literal(text: str) -> str:
    """Return a regular expression for exactly this text, in the dialect of RE2 and Hyperscan."""
    return "".join(ch if ch.isalnum() or ch in "_ " or not ch.isascii() else f"\\{ch}" for ch in text)


def merge_kinds(
    old: Mapping[str, Any], new: Mapping[str, PropertyKind]
) -> tuple[dict[str, PropertyKind], tuple[str, ...]]:
    """Return the kinds that change, and the keys whose kinds contradict each other and become String."""
    changed: dict[str, PropertyKind] = {}
    conflicts = []
    for key, kind in new.items():
        before = old.get(key)
        if before is None:
            changed[key] = kind
        elif before.source == "inferred" and before.kind is not kind and before.kind is not PropertyKind.STRING:
            changed[key] = PropertyKind.STRING
            conflicts.append(key)
    return changed, tuple(conflicts)
