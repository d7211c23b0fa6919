"""Which live destination a declaration is about: by its mark, or by what the user says; never by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from posthog_events.destinations.marker import split_description
from posthog_events.destinations.model import Destination, SecretRef
from posthog_events.errors import DeclarationError, Fault

__all__ = ["Match", "Matching", "key_of", "match"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Match:
    """A declaration and what is live of it.

    Args:
        row: PostHog's; None: there is none yet.
        adopted: It was not ours, and the user wants it to be.
        twins: Destinations that are not ours and send to the same URL.
    """

    destination: Destination
    row: Row | None = None
    adopted: bool = False
    twins: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Matching:
    """All declarations, and the destinations of ours that none of them declares."""

    matches: tuple[Match, ...]
    orphans: tuple[Row, ...]


def key_of(row: Row) -> str | None:
    """Return the key in a destination's mark; None when it is not ours."""
    _, marker = split_description(row.get("description"))
    return marker.key if marker else None


def match(
    destinations: Sequence[Destination], rows: Sequence[Row], *, adopt: Mapping[str, str | None] | None = None
) -> Matching:
    """Find each declaration among the live destinations.

    Args:
        adopt: Keys of declarations that shall take over a destination which is not ours: its id, or None for the one
            that sends to the same URL path.

    Raises:
        DeclarationError: A mark is there twice, or what shall be adopted is not there, is there twice, or is ours.
    """
    ours: dict[str, list[Row]] = defaultdict(list)
    foreign: list[Row] = []
    for row in rows:
        key = key_of(row)
        (foreign if key is None else ours[key]).append(row)
    wanted = dict(adopt or {})
    faults = [
        Fault(f"--adopt {key}: no declaration has this key")
        for key in wanted.keys() - {destination.key for destination in destinations}
    ]
    matches = []
    for destination in destinations:
        live = ours.get(destination.key, [])
        if len(live) > 1:
            faults.append(_fault(destination, _said_twice(live)))
        twins = tuple(row for row in foreign if _same_path(destination, row))
        if destination.key not in wanted:
            matches.append(Match(destination, live[0] if live else None, twins=() if live else twins))
            continue
        found = _adopted(destination, wanted[destination.key], live, foreign, twins)
        if isinstance(found, str):
            faults.append(_fault(destination, found))
        else:
            # what was adopted by the last run is ours by now, and adopting it again means nothing
            matches.append(Match(destination, found, adopted=not live))
    taken = [str(one.row["id"]) for one in matches if one.row is not None]
    faults += [
        _fault(one.destination, f"another declaration adopts {one.row['id']} too")
        for one in matches
        if one.adopted and one.row is not None and taken.count(str(one.row["id"])) > 1
    ]
    if faults:
        raise DeclarationError(faults)
    declared = {destination.key for destination in destinations}
    orphans = tuple(row for key, found in ours.items() if key not in declared for row in found)
    return Matching(tuple(matches), orphans)


def _adopted(
    destination: Destination, wanted: str | None, live: Sequence[Row], foreign: Sequence[Row], twins: Sequence[Row]
) -> Row | str:
    """Return the row to adopt, or why there is none."""
    if live:
        if wanted in (None, live[0]["id"]):
            return live[0]
        return f"is {live[0]['id']} already ({live[0].get('name')}) and cannot adopt {wanted} as well"
    if wanted is not None:
        row = next((row for row in foreign if row["id"] == wanted), None)
        return row or f"--adopt: there is no destination {wanted} in PostHog that is not managed already"
    if len(twins) == 1:
        return twins[0]
    if twins:
        return f"--adopt: several destinations send to this URL; name one: {_named(twins)}"
    return "--adopt: no destination that can be seen sends to this URL; give its id: --adopt KEY=ID"


def _same_path(destination: Destination, row: Row) -> bool:
    """Whether both send to the same path; its host may have moved. A secret URL shows nothing."""
    declared = destination.inputs.get("url")
    live = ((row.get("inputs") or {}).get("url") or {}).get("value")
    if isinstance(declared, SecretRef) or not isinstance(declared, str) or not isinstance(live, str):
        return False
    path = _path(declared)
    return bool(path) and path == _path(live)


def _path(url: str) -> str:
    try:
        return urlsplit(url).path.rstrip("/")
    except ValueError:
        return ""


def _said_twice(rows: Sequence[Row]) -> str:
    return (
        f"several destinations in PostHog carry its mark: {_named(rows)}; delete the last line of the description of "
        "those that are copies"
    )


def _named(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row['id']} ({row.get('name')})" for row in rows)


def _fault(destination: Destination, message: str) -> Fault:
    return Fault(f"{destination.key}: {message}", destination.path, destination.line)
