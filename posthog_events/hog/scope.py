"""Where filters find their values: their globals are not those of templates, and are made of them here.

Source: PostHog/posthog:nodejs/src/cdp/utils/hog-function-filtering.ts (convertToHogFunctionFilterGlobal), 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from posthog_events.errors import HogError
from posthog_events.hog.elements import chain_elements, chain_href, chain_ids, chain_texts
from posthog_events.hog.evaluate import Scope, unknown_global
from posthog_events.hog.library import member

__all__ = ["ROOTS", "chain_text", "elements_chain", "filter_globals", "getter"]


def _event_properties(scope: Scope) -> dict[str, Any]:
    found = scope["event"].get("properties")
    return found if isinstance(found, dict) else {}


def elements_chain(scope: Scope) -> Any:
    """Return the chain of the event, or of its properties."""
    chain = scope["event"].get("elements_chain")
    return _event_properties(scope).get("$elements_chain") if chain is None else chain


def chain_text(scope: Scope) -> str:
    """Return the chain, empty when there is none."""
    chain = elements_chain(scope)
    return chain if isinstance(chain, str) else ""


def _group(scope: Scope, index: int) -> Mapping[str, Any]:
    groups = scope.get("groups") or {}
    return next((group for group in reversed(groups.values()) if group.get("index") == index), {})


def _person(scope: Scope) -> Any:
    person = scope.get("person")
    return {"id": person.get("id"), "properties": person.get("properties")} if person else None


def _group_root(index: int) -> Callable[[Scope], Any]:
    return lambda scope: {"properties": _group(scope, index).get("properties", {})}


def _group_key(index: int) -> Callable[[Scope], Any]:
    return lambda scope: _group(scope, index).get("id")


def _link(scope: Scope) -> Any:
    person = _person(scope)
    if person is None:
        return None
    return {"distinct_id": scope["event"].get("distinct_id"), "person_id": person["id"], "person": person}


ROOTS: dict[str, Callable[[Scope], Any]] = {
    "event": lambda scope: scope["event"].get("event"),
    "uuid": lambda scope: scope["event"].get("uuid"),
    "timestamp": lambda scope: scope["event"].get("timestamp"),
    "distinct_id": lambda scope: scope["event"].get("distinct_id"),
    "properties": _event_properties,
    "person": _person,
    "pdi": _link,
    "elements_chain": elements_chain,
    "elements_chain_href": lambda scope: chain_href(chain_text(scope)),
    "elements_chain_texts": lambda scope: list(chain_texts(chain_text(scope))),
    "elements_chain_ids": lambda scope: list(chain_ids(chain_text(scope))),
    "elements_chain_elements": lambda scope: list(chain_elements(chain_text(scope))),
    "variables": lambda scope: {},
    **{f"group_{index}": _group_root(index) for index in range(5)},
    **{f"$group_{index}": _group_key(index) for index in range(5)},
}
"""The globals of filters, which are not those of templates."""


def filter_globals(scope: Scope) -> dict[str, Any]:
    """Return the globals that a filter's expressions see, made of those that templates see."""
    return {name: get(scope) for name, get in ROOTS.items()}


def getter(kind: str, key: str, index: Any, nested: bool) -> Callable[[Scope], Any]:
    """Return what reads a property; null when it, or its owner, is missing.

    Args:
        kind: The item's type: event, feature, person, group or event_metadata.
        key: The item's key.
        index: The item's group_type_index.
        nested: Dots in event keys lead into objects.

    Raises:
        HogError: The index is none.
    """
    if kind == "event_metadata":
        return ROOTS[key] if key in ROOTS else _missing_root(key)
    if kind == "person":
        if key == "distinct_id":
            return lambda scope: None  # PostHog looks for it in a table that filters do not have

        def from_person(scope: Scope) -> Any:
            person = scope.get("person")
            found = person.get("properties") if person else None
            return found.get(key) if isinstance(found, dict) else None

        return from_person
    if kind == "group":
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index <= 4:
            raise HogError(f"group_type_index is a number from 0 to 4, not {index!r}")
        return lambda scope: member(_group(scope, index).get("properties"), key)
    if key == "$elements_chain":
        return elements_chain
    if nested and "." in key:
        keys = key.split(".")

        def from_nested(scope: Scope) -> Any:
            value: Any = _event_properties(scope)
            for one in keys:
                value = member(value, one)
            return value

        return from_nested

    def from_event(scope: Scope) -> Any:
        found = scope["event"].get("properties")
        return found.get(key) if isinstance(found, dict) else None

    return from_event


def _missing_root(name: str) -> Callable[[Scope], Any]:
    def fail(scope: Scope) -> Any:
        raise unknown_global(name)

    return fail
