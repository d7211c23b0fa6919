"""What differs between a declared and a live destination, field by field, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from posthog_events.destinations.marker import split_description
from posthog_events.destinations.normalise import MANAGED
from posthog_events.destinations.secrets import inline_secret, secret_header

__all__ = ["Change", "Diff", "diff", "redacted"]

_ABSENT: Final = "__absent__"
_HIDDEN: Final = "(secret)"
_MAX_SHOWN: Final = 200
"""Characters of a value on one line."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, safe to show.

    Args:
        path: The field, such as `inputs.url` or `filters.events[0].properties`.
        before: What is live.
        after: What is declared.
        added: There is nothing live.
        removed: There is nothing declared.
    """

    path: str
    before: Any = None
    after: Any = None
    added: bool = False
    removed: bool = False

    def __str__(self) -> str:
        if self.added:
            return f"+ {self.path}: {_shown(self.after)}"
        if self.removed:
            return f"- {self.path}: {_shown(self.before)}"
        return f"~ {self.path}: {_shown(self.before)} -> {_shown(self.after)}"


@dataclass(frozen=True, slots=True)
class Diff:
    """All differences, in the order of the fields.

    Args:
        fields: The fields of PostHog's API that must be sent to remove the differences.
    """

    changes: tuple[Change, ...] = ()
    fields: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.changes))


def diff(declared: Mapping[str, Any], live: Mapping[str, Any]) -> Diff:
    """Compare two destinations in normal form (see `normalise`)."""
    changes: list[Change] = []
    fields: list[str] = []
    for field in MANAGED:
        found = list(_description(declared, live)) if field == "description" else []
        if field != "description":
            found = list(_compare(field, live.get(field), declared.get(field)))
        changes += found
        fields += [field] if found else []
        if any(change.path == "secrets" for change in found):
            # the new fingerprint may be stored only together with the secrets it is of
            fields.append("inputs")
    return Diff(tuple(changes), tuple(name for name in MANAGED if name in fields))


def redacted(value: Any, name: str = "") -> Any:
    """Return a value of a live destination with whatever looks like a secret replaced by what it looks like."""
    if isinstance(value, Mapping):
        if value.get("secret") is True:
            return _HIDDEN
        # in a condition, and in the schema of an input, `key` is a name and no key to anything
        names = {"key", "integration_key"} if {"key", "type"} <= value.keys() else set()
        return {key: redacted(part, "" if key in names else str(key)) for key, part in value.items()}
    if isinstance(value, list):
        return [redacted(part, name) for part in value]
    if isinstance(value, str):
        if what := inline_secret(value):
            return f"({what})"
        if name and value and secret_header(name, value):
            return _HIDDEN
    return value


def _description(declared: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[Change]:
    (wanted, mark), (text, live_mark) = (
        split_description(declared["description"]),
        split_description(live["description"]),
    )
    yield from _compare("description", text, wanted)
    if (mark and mark.key) != (live_mark and live_mark.key):
        yield Change("mark", live_mark and live_mark.key, mark and mark.key, added=live_mark is None)
    if mark and mark.secrets != (live_mark.secrets if live_mark else ""):
        # of a destination that was not ours it is not known which secrets it has
        yield Change("secrets", "(as stored)", "(changed here)")


def _compare(path: str, before: Any, after: Any) -> Iterator[Change]:
    if before == after and _same_types(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping) and not (_is_input(before) or _is_input(after)):
        for key in dict.fromkeys((*after, *before)):
            yield from _compare(f"{path}.{key}", before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for at, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from _compare(f"{path}[{at}]", left, right)
    elif _is_value(before) and _is_value(after) and before.get("templating") == after.get("templating"):
        yield from _compare(path, before["value"], after["value"])
    else:
        hidden = any(isinstance(side, Mapping) and side.get("secret") is True for side in (before, after))
        yield Change(
            path,
            None if before is _ABSENT else _side(before, path, hidden=hidden),
            None if after is _ABSENT else _side(after, path, hidden=hidden),
            added=before is _ABSENT,
            removed=after is _ABSENT,
        )


def _is_input(side: Mapping[str, Any]) -> bool:
    """Whether this is the item of an input; a condition on a property has a value too, and more that counts."""
    return bool(side) and side.keys() <= {"value", "templating", "secret"}


def _is_value(side: Any) -> bool:
    return isinstance(side, Mapping) and "value" in side and side.keys() <= {"value", "templating"}


def _side(value: Any, path: str, *, hidden: bool) -> Any:
    """Return one side of a change; a plain value that becomes a secret, or was one, is hidden as well."""
    if hidden:
        return _HIDDEN if isinstance(value, Mapping) and value.get("secret") is True else "(hidden)"
    if _is_value(value):
        value = value if "templating" in value else value["value"]
    # `filters.properties[0].key` is the name of a property
    return redacted(value, "" if path.startswith("filters.") else path.rpartition(".")[2])


def _same_types(before: Any, after: Any) -> bool:
    """Whether equal values are equal in JSON too: in Python 1 is True and 1.0."""
    if isinstance(before, Mapping):
        return all(_same_types(value, after[key]) for key, value in before.items())
    if isinstance(before, list):
        return all(_same_types(left, right) for left, right in zip(before, after, strict=True))
    return isinstance(before, bool) == isinstance(after, bool)


def _shown(value: Any) -> str:
    text = value if value in (_HIDDEN, "(hidden)") else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
