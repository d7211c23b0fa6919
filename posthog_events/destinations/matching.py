"""Which live destination a declaration is about: by its mark, or by what the user says; never by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from posthog_events.destinations.marker import marked_keys, split_description
from posthog_events.destinations.model import Destination
from posthog_events.errors import DeclarationError, Fault

__all__ = ["Match", "Matching", "key_of", "match", "named", "said_twice"]

Row = Mapping[str, Any]

ONE = "delete the lines `managed by posthog-events, ...` of its description that belong to others"


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
    on_path: dict[str, list[Row]] = defaultdict(list)
    marked: dict[str, list[Row]] = defaultdict(list)
    for row in foreign:
        on_path[_path(_live_url(row))].append(row)
        for key in marked_keys(row.get("description")):
            marked[key].append(row)
    wanted = dict(adopt or {})
    declared = {destination.key for destination in destinations}
    faults = [Fault(f"--adopt {key}: no declaration has this key") for key in sorted(wanted.keys() - declared)]
    matches = []
    for destination in destinations:
        live = ours.get(destination.key, [])
        if len(live) > 1:
            faults.append(_fault(destination, said_twice(live)))
        if unclear := marked.get(destination.key):
            faults.append(_fault(destination, f"{named(unclear[:1])} carries several marks, its own among them; {ONE}"))
        url = _declared_url(destination)
        near = on_path[_path(url)] if _path(url) else []
        twins = tuple(row for row in near if _address(_live_url(row)) == _address(url))
        if destination.key not in wanted:
            matches.append(Match(destination, live[0] if live else None, twins=() if live else twins))
            continue
        found = _adopted(destination, wanted[destination.key], live, foreign, twins or near)
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
    orphans = tuple(row for key, found in ours.items() if key not in declared for row in found)
    return Matching(tuple(matches), orphans)


def said_twice(rows: Sequence[Row]) -> str:
    """Return the sentence about destinations that carry the same mark."""
    return (
        f"several destinations in PostHog carry its mark: {named(rows)}; delete the last line of the description of "
        "those that are copies"
    )


def named(rows: Sequence[Row]) -> str:
    """Return ids and names; a name is what people wrote, and may hold anything."""
    return ", ".join(f"{row['id']} ({row.get('name') or ''!r})" for row in rows)


def _adopted(
    destination: Destination, wanted: str | None, live: Sequence[Row], foreign: Sequence[Row], near: Sequence[Row]
) -> Row | str:
    """Return the row to adopt, or why there is none.

    Args:
        near: Those that send to the same URL; without any, those with the same path, as its host may have moved.
    """
    if live:
        if wanted in (None, live[0]["id"]):
            return live[0]
        return f"is {named(live[:1])} already and cannot adopt {wanted} as well"
    if wanted is not None:
        found = [row for row in foreign if row["id"] == wanted]
        if not found:
            return f"--adopt: there is no destination {wanted} in PostHog that is not managed already"
    elif not near:
        return "--adopt: no destination that can be seen sends to this URL; give its id: --adopt KEY=ID"
    elif len(near) > 1:
        return f"--adopt: several destinations send to this URL; name one: {named(near)}"
    else:
        found = list(near)
    if marked_keys(found[0].get("description")):
        return f"--adopt: {named(found)} carries several marks; {ONE}"
    return found[0]


def _declared_url(destination: Destination) -> str:
    """Return where it sends to; a secret URL shows nothing."""
    url = destination.inputs.get("url")
    return url if isinstance(url, str) else ""


def _live_url(row: Row) -> str:
    url = ((row.get("inputs") or {}).get("url") or {}).get("value")
    return url if isinstance(url, str) else ""


def _address(url: str) -> tuple[str, str]:
    return urlsplit(url).netloc.lower(), _path(url)


def _path(url: str) -> str:
    try:
        return urlsplit(url).path.rstrip("/")
    except ValueError:
        return ""


def _fault(destination: Destination, message: str) -> Fault:
    return Fault(f"{destination.key}: {message}", destination.path, destination.line)
