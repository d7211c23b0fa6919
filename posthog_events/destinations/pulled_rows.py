"""What a row of PostHog's API may be declared as; whether a declaration says all of it is proved in `pulling`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from posthog_events.destinations import templates
from posthog_events.destinations.filters import ALL_EVENTS, is_internal
from posthog_events.destinations.lifting import lift_secrets
from posthog_events.destinations.marker import split_description
from posthog_events.destinations.model import Destination, Kind, SecretRef
from posthog_events.destinations.pulled_inputs import NotDeclarable

__all__ = ["candidates", "common_of", "name_of", "refusals", "template_of"]

TYPES: Final = ("destination", "internal_destination")
_ITEM_KEYS = ("key", "value", "operator", "type", "group_type_index")
_SLACK_INPUTS = {"slack_workspace", "channel", "icon_emoji", "username", "blocks", "text"}


def refusals(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a row cannot be declared, whatever its inputs are."""
    kind, filters = row.get("type") or "destination", row.get("filters") or {}
    if kind not in TYPES:
        yield f"it is of the type {kind}, and only destinations are declared"
        return
    if "inputs" not in row:
        yield "the row has no inputs; ask PostHog for complete rows"
    if not template_of(row):
        yield "it is made of code of its own, not of a template"
    if row.get("mappings"):
        yield "it has mappings, which a declaration cannot say; make a destination of each in PostHog"
    source = filters.get("source") or "events"
    if source != "events":
        yield f"its source is {source}, and only events are declared"
        return
    for group in ("events", "actions", "properties"):
        if not all(isinstance(item, Mapping) for item in filters.get(group) or ()):
            yield f"filters.{group} is not a list of objects"
            return
    for group in ("events", "actions"):
        for at, entry in enumerate(filters.get(group) or ()):
            if "id" not in entry or entry.get("type") != group:
                yield f"filters.{group}[{at}] lacks its id or type, so that it does not match what it seems to"
    if (kind == "internal_destination") != is_internal(filters):
        yield f"it is of the type {kind}, and its events are not known to be of that kind"


def common_of(row: Mapping[str, Any], key: str) -> Destination:
    """Return a destination with everything but what its kind decides."""
    text, _ = split_description(row.get("description"))
    lines = [line for line in text.splitlines() if "managed by posthog-events" not in line]
    return Destination(
        key=key,
        kind="template",
        name=name_of(row).strip() or key,
        template_id=template_of(row),
        inputs={},
        filters=_filters(row.get("filters") or {}),
        description=text if len(lines) == len(text.splitlines()) else "\n".join(lines).strip(),
        enabled=bool(row.get("enabled")),
        masking=_masking(row.get("masking")),
    )


def _filters(filters: Mapping[str, Any]) -> dict[str, Any]:
    events, actions = (
        [
            {
                "id": entry["id"],
                "name": str(entry.get("name") or "").strip() or default.format(entry["id"]),
                "type": group,
                "properties": _properties(entry),
            }
            for entry in filters.get(group) or ()
        ]
        for group, default in (("events", "{}"), ("actions", "Action {}"))
    )
    for entry in events:
        entry["name"] = ALL_EVENTS if entry["id"] is None and entry["name"] == "None" else entry["name"]
    for entry in actions:
        if not str(entry["id"]).isdecimal():
            raise NotDeclarable("an action of its filters has no number")
        entry["id"] = int(entry["id"])
    return {
        "source": "events",
        "events": events,
        "actions": actions,
        "properties": _properties(filters),
        "filter_test_accounts": bool(filters.get("filter_test_accounts")),
    }


def _properties(holder: Mapping[str, Any]) -> list[dict[str, Any]]:
    items = holder.get("properties") or []
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise NotDeclarable("the properties of its filters are not a list of conditions")
    return [{name: item[name] for name in _ITEM_KEYS if item.get(name) is not None} for item in items]


def _masking(masking: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not masking or not masking.get("hash"):
        return None
    ttl = masking.get("ttl")
    if isinstance(ttl, bool) or not isinstance(ttl, int):
        raise NotDeclarable("its masking has no ttl in whole seconds")
    return {"hash": masking["hash"], "ttl": ttl, "threshold": masking.get("threshold")}


def candidates(common: Destination, plain: Mapping[str, Any]) -> Iterator[Destination]:
    """Yield the ways to declare it, the most readable one first."""
    filled: dict[str, Any] = {}
    kinds: Sequence[Kind] = ()
    match common.template_id:
        case templates.WEBHOOK:
            filled = {"method": "POST", "headers": {}, "debug": False, **plain}
            if "url" in filled and isinstance(filled["headers"], Mapping):
                kinds = ("slack", "webhook") if _is_slack_hook(filled) else ("webhook",)
        case templates.SLACK if set(plain) == _SLACK_INPUTS and isinstance(plain["blocks"], list):
            filled, kinds = dict(plain), ("slack",)
        case templates.DISCORD if {"webhookUrl", "content"} <= set(plain):
            filled, kinds = {"allowedMentions": "none", **plain}, ("discord",)
        case templates.TEAMS if {"webhookUrl", "text"} <= set(plain):
            filled, kinds = dict(plain), ("teams",)
    if kinds:
        inputs, schema = lift_secrets(filled, templates.SCHEMAS[common.template_id])
        yield from (replace(common, kind=kind, inputs=inputs, inputs_schema=schema) for kind in kinds)
    whole = {name: (isinstance(value, str) and SecretRef.parse(value)) or value for name, value in plain.items()}
    yield replace(common, inputs=whole)


def _is_slack_hook(inputs: Mapping[str, Any]) -> bool:
    body = inputs.get("body")
    return (
        isinstance(body, Mapping)
        and set(body) == {"text", "blocks"}
        and isinstance(body["blocks"], list)
        and isinstance(body["text"], str)
        and SecretRef.parse(str(inputs["url"])) is not None
        and inputs["headers"] == templates.JSON_HEADERS
        and set(inputs) == {"url", "method", "body", "headers", "debug"}
    )


def template_of(row: Mapping[str, Any]) -> str:
    return str((row.get("template") or {}).get("id") or row.get("template_id") or "")


def name_of(row: Mapping[str, Any]) -> str:
    return str(row.get("name") or "")
