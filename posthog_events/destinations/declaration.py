"""One declaration: from a tree with positions to a `Destination`, or to everything that is wrong in it.

=========== ========================================================================================
key         what
=========== ========================================================================================
key         its identity: small letters, digits, - and _; never changes
kind        webhook, slack, discord, teams, or template
name        what PostHog shows; the key when absent
description what PostHog shows below the name
enabled     whether it fires once applied (true)
when        which events fire it (see `filters`)
once_per    `{key, interval, every}`: at most one delivery per key and interval (see `masking_of`)
=========== ========================================================================================

and the keys of its kind (`kinds.KIND_KEYS`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from posthog_events.destinations.filters import read_when
from posthog_events.destinations.kinds import KIND_KEYS, Built, build
from posthog_events.destinations.marker import split_description
from posthog_events.destinations.model import KINDS, Destination, SecretRef
from posthog_events.destinations.secrets import inline_secret
from posthog_events.destinations.templates import SCHEMAS, check_texts
from posthog_events.destinations.tree import TreeReader, part_at, parts_of
from posthog_events.errors import Fault, ParameterError
from posthog_events.queryfiles.model import Param
from posthog_events.queryfiles.params import coerce, did_you_mean
from posthog_events.queryfiles.yamltree import Item

__all__ = ["COMMON_KEYS", "KEY_PATTERN", "MASKING_KEYS", "read_declaration"]

COMMON_KEYS: Final = ("key", "kind", "name", "description", "enabled", "when", "once_per")
KEY_PATTERN: Final = r"[a-z0-9][a-z0-9_-]{0,99}"
MAX_NAME: Final = 400

MASKING_KEYS: Final = {"person": "{person.id}", "distinct_id": "{event.distinct_id}", "all": "all"}
"""The words of `once_per` and the hash templates that they mean (reference 4)."""

_LEAST_S, _MOST_S = 60, 86_400
_SOME_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_NOT_A_REFERENCE = re.compile(r"\$\{(?:env|keyring)\b(?!:[A-Za-z0-9_.-]+\})|\$\{[A-Z][A-Z0-9_]*\}")


def read_declaration(item: Item, path: Path | None = None) -> tuple[Destination | None, list[Fault]]:
    """Return the destination that `item` declares; None when there is any fault, and every fault."""
    faults: list[Fault] = []
    reader = TreeReader(faults)
    destination = _read(reader, item)
    for leaf in _leaves(item):
        _check_leaf(reader, leaf)
    if destination is not None:
        _check_expressions(reader, item, destination)
    ordered = sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0))
    told = list(dict.fromkeys(Fault(fault.message, path, fault.line, fault.column) for fault in ordered))
    return (None, told) if told or destination is None else (replace(destination, path=path), [])


def _read(reader: TreeReader, item: Item) -> Destination | None:
    kinds = [part.content for key, part in item.pairs if key.name == "kind"]
    known = KIND_KEYS.get(str(kinds[0]) if kinds else "")
    everything = tuple(dict.fromkeys(name for names in KIND_KEYS.values() for name in names))
    parts = reader.keys(item, (*COMMON_KEYS, *(known or everything)), f"a {kinds[0]}" if known else "a destination")
    if not item.is_mapping:
        return None
    key = _key(reader, item, parts)
    name = reader.text(parts["name"], "name", max_chars=MAX_NAME) if "name" in parts else key
    if "kind" not in parts:
        reader.fault(item, f"there is no `kind`: {', '.join(KINDS)}")
    elif known is None:
        kind = str(parts["kind"].plain())
        reader.fault(parts["kind"], f"there is no kind `{kind}`{did_you_mean(kind, KINDS)} ({', '.join(KINDS)})")
    if "when" not in parts:
        reader.fault(item, "there is no `when`: without it every event of the project would fire it")
    filters = read_when(reader, parts["when"]) if "when" in parts else {}
    masking = _masking(reader, parts["once_per"]) if "once_per" in parts else None
    built = build(reader, str(kinds[0]), item, parts, name) if known else Built("", {})
    return Destination(
        key=key,
        kind=str(kinds[0]) if kinds else "",  # type: ignore[arg-type]  # a wrong one is a fault
        name=name,
        description=_description(reader, parts.get("description")),
        enabled=reader.flag(parts["enabled"], "enabled") if "enabled" in parts else True,
        template_id=built.template_id,
        inputs=built.inputs,
        inputs_schema=built.inputs_schema,
        filters=filters,
        masking=masking,
        line=item.line or None,
    )


def _key(reader: TreeReader, item: Item, parts: dict[str, Item]) -> str:
    if "key" not in parts:
        reader.fault(item, "there is no `key`: a short name that never changes, such as signup-slack")
        return ""
    text = reader.text(parts["key"], "key")
    if text and not re.fullmatch(KEY_PATTERN, text):
        reader.fault(parts["key"], "a key is made of small letters, digits, - and _, up to 100 of them")
    return text


def _description(reader: TreeReader, item: Item | None) -> str:
    if item is None:
        return ""
    text = reader.text(item, "description")
    if "managed by posthog-events" in text:
        reader.fault(
            item, "leave the line `managed by posthog-events` out; it is added when the destination is applied"
        )
    return split_description(text)[0]


def _masking(reader: TreeReader, item: Item) -> dict[str, Any]:
    """Return PostHog's masking: `hash` (what may fire once), `ttl` (seconds) and `threshold` (then every n-th)."""
    parts = reader.keys(item, ("key", "interval", "every"), "once_per")
    for needed in ("key", "interval"):
        if item.is_mapping and needed not in parts:
            reader.fault(item, f"once_per needs `{needed}`, as in once_per: {{key: person, interval: 1h}}")
    word = reader.text(parts["key"], "key") if "key" in parts else "all"
    if word not in MASKING_KEYS and "{" not in word:
        reader.fault(
            parts["key"],
            f"once_per knows no key `{word}`{did_you_mean(word, MASKING_KEYS)}"
            f" ({', '.join(MASKING_KEYS)}, or an expression such as '{{event.properties.plan}}')",
        )
    for path, message in check_texts(word, kind="string") if "{" in word else ():
        reader.fault(part_at(parts["key"], path), message)
    every = reader.whole(parts["every"], "every") if "every" in parts else None
    interval = _interval(reader, parts["interval"]) if "interval" in parts else _LEAST_S
    return {"hash": MASKING_KEYS.get(word, word), "ttl": interval, "threshold": every}


def _interval(reader: TreeReader, item: Item) -> int:
    try:
        seconds = coerce(Param("interval", "duration"), item.plain(), now=_SOME_MOMENT, tz=UTC)
    except ParameterError as error:
        reader.fault(item, error.faults[0].message)
        return _LEAST_S
    if not isinstance(seconds, int) or not _LEAST_S <= seconds <= _MOST_S:
        reader.fault(item, "`interval` must be between 60s and 1d; PostHog takes no other")
        return _LEAST_S
    return seconds


def _leaves(item: Item) -> Iterator[Item]:
    parts = parts_of(item)
    for part in parts:
        yield from _leaves(part)
    if not parts:
        yield item


def _check_leaf(reader: TreeReader, item: Item) -> None:
    """Refuse what may stand nowhere in a declaration."""
    if isinstance(item.content, float) and not math.isfinite(item.content):
        reader.fault(item, "JSON has no such number")
    if not isinstance(item.content, str):
        return
    if what := inline_secret(item.content):
        reader.fault(item, f"this looks like {what}; keep it out of the file and write ${{env:NAME}}")
    if _NOT_A_REFERENCE.search(item.content):
        reader.fault(item, "a secret is referred to as ${env:NAME} or ${keyring:NAME}")


def _check_expressions(reader: TreeReader, item: Item, destination: Destination) -> None:
    """Check every Hog expression of the inputs, at the place where it was written as far as that is known."""
    wrong = {(fault.line, fault.column) for fault in reader.faults if fault.line}
    schema = destination.inputs_schema or SCHEMAS.get(destination.template_id) or ()
    kinds = {entry["key"]: str(entry["type"]) for entry in schema}
    places = {key.name: part for key, part in item.pairs}
    raw = places.get("inputs", item)
    for name, value in destination.inputs.items():
        if isinstance(value, SecretRef):
            continue
        for path, message in check_texts(value, kind=kinds.get(name, "json")):
            if destination.kind == "template":
                where = part_at(raw, (name, *path))
            elif destination.kind == "slack":
                if (name, *path) in (("text",), ("body", "text")) and "text" not in places and "blocks" in places:
                    continue  # made of the blocks, which are checked themselves
                where = _slack_place(places, (name, *path), item)
            else:
                where = part_at(places.get(name, places.get("message", item)), path)
            # one fault is enough where something else is wrong already
            if (where.line, where.column) not in wrong:
                reader.fault(where, message)


def _slack_place(places: dict[str, Item], path: tuple[str | int, ...], item: Item) -> Item:
    """Return where a text of a Slack message was written: in its key, or in the message that it is made of."""
    name, *rest = path[1:] if path[0] == "body" else path
    key = {"icon_emoji": "icon"}.get(str(name), str(name))
    if key not in places:
        key = "message" if "message" in places else "blocks"
    return part_at(places.get(key, item), rest)
