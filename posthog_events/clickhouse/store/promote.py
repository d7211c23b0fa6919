"""Columns of promoted keys: which keys get one, and the SQL that fills it.

The text is exactly that of PostHog's property read, `replaceRegexpAll(nullIf(nullIf(JSONExtractRaw(doc, key), ''),
'null'), '^"|"$', '')`. That expression parses the document once for each key, so an import takes a faster way to the
same text (tests/property/test_promoted_text.py):

- a document without a backslash: one typed JSONExtract of all keys, since no text in it needs unescaping;
- any other: its raw values in one array, with the quotes cut off.

An import normalises documents first, as PostHog's ingestion does with JSON.stringify: minus zero becomes 0, and a float
from 2^64 to 1e21 is written with all its digits, so that it reads as an integer afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from posthog_events.clickhouse.quoting import identifier, string
from posthog_events.clickhouse.store.layout import ANY_KEY, MAX_PROMOTED, PREFIXES, listed_rest, promotable

__all__ = ["Promotion", "escaped_columns", "event_columns", "plain_columns", "promote"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """The keys of one document in one file: those with a column, and those without."""

    keys: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()


def promote(known: Sequence[str], occurring: Sequence[str]) -> tuple[tuple[str, ...], Promotion]:
    """Decide which of the keys that occur in a part get columns.

    Args:
        known: Keys promoted so far in the store.
        occurring: Keys of the part, the most frequent first.

    Returns:
        The promoted keys of the store from now on, and the columns of this part's files. When the keys without a column
        are too many to list, all promoted keys get one, so that a missing column always means a missing key.
    """
    fresh = [key for key in occurring if promotable(key) and key not in set(known)]
    promoted = (*known, *fresh[: max(0, MAX_PROMOTED - len(known))])
    present = set(occurring)
    rest = listed_rest(present.difference(promoted))
    keys = promoted if ANY_KEY in rest else present.intersection(promoted)
    return promoted, Promotion(tuple(sorted(keys)), rest)


def plain_columns(document: str, keys: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return a WITH expression and the columns of a document without backslashes."""
    if not keys:
        return "", {}
    shape = "Tuple(" + ", ".join(f"{identifier(key)} Nullable(String)" for key in keys) + ")"
    fields = f"{document}_fields"
    columns = {PREFIXES[document] + key: f"tupleElement({fields}, {index})" for index, key in enumerate(keys, 1)}
    return f"JSONExtract({document}, {string(shape)}) AS {fields}", columns


def escaped_columns(document: str, keys: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return a WITH expression and the columns of any document."""
    if not keys:
        return "", {}
    pairs = f"{document}_pairs"

    def text(key: str) -> str:
        raw = f"{pairs}.2[indexOf({pairs}.1, {string(key)})]"
        return f"if(startsWith({raw}, '\"'), substring({raw}, 2, length({raw}) - 2), nullIf(nullIf({raw}, ''), 'null'))"

    columns = {PREFIXES[document] + key: text(key) for key in keys}
    return f"JSONExtractKeysAndValuesRaw({document}) AS {pairs}", columns


def event_columns(promotions: Mapping[str, Promotion], group_types: Mapping[str, int]) -> dict[str, str]:
    """Return the SQL of the columns that are not promoted, from a staged row and its promoted columns."""
    keys = promotions["properties"].keys
    unpromoted = bool(promotions["properties"].rest)

    def read(key: str) -> str:
        if key in keys:
            return f"ifNull({identifier(PREFIXES['properties'] + key)}, '')"
        return f"JSONExtractString(properties, {string(key)})" if unpromoted else "''"

    def first(*texts: str) -> str:
        options = [text for text in texts if text != "''"]
        return f"coalesce({', '.join(f'nullIf({text}, {chr(39) * 2})' for text in options)}, '')"

    names = {index: name for name, index in group_types.items()}
    has_groups = "$groups" in keys or unpromoted
    columns = {
        name: identifier(name)
        for name in ("uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain", "created_at")
    }
    columns |= {
        "$session_id": first("session", read("$session_id")),
        "$window_id": first("window_id", read("$window_id")),
        "person_id": "person_id",
    }
    for index in range(5):
        in_groups = (
            f"JSONExtractString(properties, '$groups', {string(names[index])})"
            if has_groups and index in names
            else "''"
        )
        columns[f"$group_{index}"] = first(f"group_{index}", read(f"$group_{index}"), in_groups)
    return columns | {"person_properties": "person_properties", "person_created_at": "person_created_at"}
