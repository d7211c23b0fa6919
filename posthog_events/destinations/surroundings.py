"""What a project adds to the filters and templates of its destinations: its name, test accounts, actions and groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from posthog_events.destinations.simulate.scope import DISPLAY_NAMES, LOCAL_PROJECT
from posthog_events.errors import MissingScope, NotFound
from posthog_events.posthog.http import Request

if TYPE_CHECKING:
    from posthog_events.destinations.model import Destination
    from posthog_events.posthog.http import Api

__all__ = ["Surroundings", "read_surroundings"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of a project; of a store of events nothing is.

    Args:
        project: `{id, name, url}`, as templates see it.
        test_account_filters: The property items by which the project knows test accounts.
        actions: The actions that filters name, by id.
        group_types: Group type to its index.
        display_names: Person properties that a person is called by, the first that is set.
        gaps: What is not known and would be needed, as sentences.
    """

    project: Mapping[str, Any] = field(default_factory=lambda: LOCAL_PROJECT)
    test_account_filters: Sequence[Any] = ()
    actions: Mapping[Any, Any] | None = None
    group_types: Mapping[str, int] | None = None
    display_names: tuple[str, ...] = DISPLAY_NAMES
    gaps: tuple[str, ...] = ()


class _GroupType(msgspec.Struct):
    group_type: str
    group_type_index: int


class _Project(msgspec.Struct):
    name: str = ""
    test_account_filters: list[Any] | None = None
    group_types: list[_GroupType] = []
    person_display_name_properties: list[str] | None = None


def read_surroundings(api: Api | None, destinations: Iterable[Destination]) -> Surroundings:
    """Ask a project for what is around some destinations: one request, and one for each action that filters name.

    Args:
        api: None: there is no project, only events.

    Raises:
        ApiError, ConnectionFailed, BadAnswer: As `Api.send`; a scope that the key lacks is a gap instead.
    """
    filters = [destination.filters for destination in destinations]
    tests = any(one.get("filter_test_accounts") for one in filters)
    ids = dict.fromkeys(str(entry.get("id")) for one in filters for entry in one.get("actions") or ())
    if api is None:
        gaps = (
            *(["nobody is excluded as a test account: only a PostHog project knows who is one"] if tests else ()),
            *(["only a PostHog project knows its actions"] if ids else ()),
        )
        return Surroundings(gaps=gaps)
    gaps_found: list[str] = []
    url = f"{api.origin}/project/{api.project_id}"
    found = _Project()
    try:
        found = api.send(Request("GET", f"/api/projects/{api.project_id}/")).decode(_Project)
    except MissingScope:
        gaps_found.append(
            "the key lacks the scope project:read, so the project's name"
            + (" is not known, and nobody is excluded as a test account" if tests else " is not known")
        )
    actions: dict[str, Any] = {}
    for id_ in ids:
        try:
            actions[id_] = api.send(Request("GET", f"actions/{id_}/")).decode()
        except MissingScope:
            gaps_found.append("the key lacks the scope action:read, so actions are not known")
            break
        except NotFound:
            gaps_found.append(f"there is no action {id_} in the project")
    return Surroundings(
        project={"id": api.project_id, "name": found.name, "url": url},
        test_account_filters=tuple(found.test_account_filters or ()),
        actions=actions if ids else None,
        group_types={one.group_type: one.group_type_index for one in found.group_types},
        display_names=tuple(found.person_display_name_properties or DISPLAY_NAMES),
        gaps=tuple(gaps_found),
    )
