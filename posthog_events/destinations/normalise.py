"""A destination in the one form in which what is declared and what is live can be compared.

The form is that of a row of PostHog's API, less what the server adds (reference 1.4) and what means nothing: defaults
are written out, alternatives and conditions are in one order, names that only PostHog's pages show are left out.
Fields that are not compared are not managed: icon, folder, mappings, code, order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from posthog_events.destinations.marker import join_description, split_description
from posthog_events.destinations.templates import SCHEMAS

__all__ = ["MANAGED", "normalise", "normalise_filters", "normalise_inputs", "normalise_masking"]

MANAGED: Final = ("type", "template_id", "name", "description", "enabled", "inputs", "filters", "masking")
"""The fields that declarations say something about."""

_DERIVED = frozenset({"bytecode", "bytecode_error", "bytecode_contract", "transpiled", "order"})
_SAME = {"min": "gte", "max": "lte"}
_UNORDERED = ("exact", "is_not", "icontains", "not_icontains", "regex", "not_regex")
_UNARY = ("is_set", "is_not_set")


def normalise(row: Mapping[str, Any], *, schema: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Return the managed fields of a row, of a body that was sent, or of a row that is normal already.

    Args:
        schema: What says which inputs are secret, when the row has no `inputs_schema`; else the template's.
    """
    template = row.get("template_id") or (row.get("template") or {}).get("id") or ""
    items = row.get("inputs_schema") or schema or SCHEMAS.get(template) or ()
    text, marker = split_description(row.get("description"))
    return {
        "type": row.get("type") or "destination",
        "template_id": template,
        "name": row.get("name") or "",
        "description": join_description(text, marker) if marker else text,
        "enabled": bool(row.get("enabled")),
        "inputs": normalise_inputs(row.get("inputs") or {}, items),
        "filters": normalise_filters(row.get("filters") or {}),
        "masking": normalise_masking(row.get("masking")),
    }


def normalise_inputs(inputs: Mapping[str, Any], schema: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return inputs by name: `{"secret": true}`, or the value (and how it is templated, when that is not Hog)."""
    secret = {str(item["key"]) for item in schema if item.get("secret")}
    filled = {str(item["key"]): item["default"] for item in schema if item.get("required") and "default" in item}
    result: dict[str, dict[str, Any]] = {}
    for name, item in sorted(inputs.items()):
        given = item or {}
        if given.get("secret") or (name in secret and given.get("value") not in (None, "")):
            result[name] = {"secret": True}
        elif given.get("value") is not None and (name not in filled or given["value"] != filled[name]):
            # what the server fills in by itself is the same as nothing
            templating = given.get("templating") or "hog"
            result[name] = {"value": given["value"]} | ({} if templating == "hog" else {"templating": templating})
    return result


def normalise_filters(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return filters with every part there, and alternatives and conditions sorted."""
    known = ("source", "events", "actions", "properties", "filter_test_accounts")
    return {
        **{
            key: value
            for key, value in sorted(filters.items())
            if key not in known and key not in _DERIVED and value not in (None, [], {})
        },
        "source": filters.get("source") or "events",
        "events": _sorted(_entry(entry, "events") for entry in filters.get("events") or ()),
        "actions": _sorted(_entry(entry, "actions") for entry in filters.get("actions") or ()),
        "properties": _properties(filters.get("properties")),
        "filter_test_accounts": bool(filters.get("filter_test_accounts")),
    }


def normalise_masking(masking: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return masking without what the server adds; None when there is none."""
    if not masking or not masking.get("hash"):
        return None
    return {"hash": masking["hash"], "ttl": masking.get("ttl"), "threshold": masking.get("threshold")}


def _entry(entry: Mapping[str, Any], kind: str) -> dict[str, Any]:
    identity = entry.get("id")
    # an entry without `id` never matches, one with null always does: the difference must stay
    named = {"id": int(str(identity)) if kind == "actions" and str(identity).isdecimal() else identity}
    return {
        **(named if "id" in entry else {}),
        # without a type PostHog forgets the name of the event (reference 3.2), so that is a difference too
        **({"type": entry["type"]} if "type" in entry else {}),
        "properties": _properties(entry.get("properties")),
    }


def _properties(items: Any) -> list[dict[str, Any]]:
    return _sorted(_property(item) for item in items or ())


def _property(item: Mapping[str, Any]) -> dict[str, Any]:
    kind = item.get("type") or "event"
    result: dict[str, Any] = {"key": item.get("key"), "type": kind}
    if kind == "group":
        result["group_type_index"] = item.get("group_type_index")
    if kind == "hogql":
        return result
    operator = item.get("operator") or "exact"
    operator, value = _SAME.get(operator, operator), item.get("value")
    if isinstance(value, list) and operator in _UNORDERED:
        # one of one is that one; PostHog's own pages save a list always
        value = value[0] if len(value) == 1 else _sorted(value)
    result["operator"] = operator
    return result if operator in _UNARY else {**result, "value": value}


def _sorted(items: Any) -> list[Any]:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True, default=str))
