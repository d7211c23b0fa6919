"""What PostHog checks before it stores a hog function, and what it fills in.

The order is that of its serializer, since only the first error is answered. Source: reference 1.3 to 1.7;
PostHog/posthog:products/cdp/backend/api/hog_function.py (2026-09).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from posthog_events.emulator.hog_fields import (
    as_flag,
    as_moment,
    as_name,
    as_objects,
    as_order,
    as_schema,
    as_text,
)
from posthog_events.emulator.hog_inputs import Invalid, bytecode_of, check_inputs
from posthog_events.emulator.hog_state import HogRow
from posthog_events.emulator.hog_templates import HIDDEN
from posthog_events.errors import HogError
from posthog_events.hog.filters import compile_filters
from posthog_events.hog.template import parse_template
from posthog_events.hogql.loader import load_grammar

__all__ = ["TYPES", "Setting", "Validated", "validate"]

TYPES = (
    "destination",
    "site_destination",
    "internal_destination",
    "source_webhook",
    "warehouse_source_webhook",
    "site_app",
    "transformation",
    "transformation_log",
)
SOURCES = ("events", "person-updates", "data-warehouse-table", "data-warehouse-view", "internal-events")
HOG_BYTES = 100 * 1024
TTL_S = (60, 86_400)
_LISTS = ("events", "actions", "properties", "data_warehouse")
INTEGRATION_KEYS = ("integration", "integration_key", "integration_field", "requires_field", "requiredScopes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a check needs to know besides the body.

    Args:
        create: The defaults of a new function apply.
        row: The stored function, for an update or a test of it.
    """

    templates: Mapping[str, Mapping[str, Any]]
    create: bool = False
    row: HogRow | None = None
    actions: Mapping[str, Any] = field(default_factory=dict)
    test_account_filters: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Validated:
    """The columns to write; `inputs` is split into what is readable and `secrets`."""

    columns: dict[str, Any]
    base_updated_at: datetime | None = None


def validate(body: Any, setting: Setting) -> Validated:
    """Check a create, an update or the configuration of a test.

    Raises:
        Invalid: What is wrong first.
    """
    if not isinstance(body, Mapping):
        raise Invalid({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {type(body).__name__}."]})
    row = setting.row
    data = _filled(dict(body), setting)
    columns: dict[str, Any] = {"type": _type(data["type"], setting)}
    for name, check in (("name", as_name), ("description", as_text), ("enabled", as_flag), ("deleted", as_flag)):
        if name in data:
            columns[name] = check(name, data[name])
    stays = not columns.get("deleted", False) and columns.get("enabled", row.enabled if row else False)
    if "hog" in data:
        columns["hog"] = as_text("hog", data["hog"], blank=False)
    columns["inputs_schema"] = as_schema("inputs_schema", data["inputs_schema"])
    checked = check_inputs(columns["inputs_schema"], data["inputs"], row.secrets if row else {})
    columns["filters"] = _filters(data["filters"], setting, enabled=bool(stays))
    if "masking" in data:
        columns["masking"] = _masking(data["masking"])
    if data.get("mappings") is not None:
        columns["mappings"] = _mappings(data["mappings"], setting, enabled=bool(stays))
    elif "mappings" in data:
        columns["mappings"] = None
    if "icon_url" in data:
        columns["icon_url"] = None if data["icon_url"] is None else as_text("icon_url", data["icon_url"])
    if "execution_order" in data:
        columns["execution_order"] = as_order("execution_order", data["execution_order"])
    columns["template_id"] = data["template_id"]
    base = as_moment("base_updated_at", data["base_updated_at"]) if "base_updated_at" in data else None
    _check_together(columns, setting, stays=bool(stays))
    secret = {str(item["key"]) for item in columns["inputs_schema"] if item.get("secret")}
    columns["inputs"] = {key: item for key, item in checked.items() if key not in secret}
    columns["secrets"] = {key: item for key, item in checked.items() if key in secret}
    return Validated(columns, base)


def _filled(data: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """Return the body with what is not in it: from the stored function, or else from the template."""
    row = setting.row
    data["type"] = data.get("type", row.type if row else "destination") or "destination"
    data["template_id"] = row.template_id if row else data.get("template_id")
    data["inputs_schema"] = data.get("inputs_schema", row.inputs_schema if row else [])
    data["inputs"] = data.get("inputs", row.inputs if row else {})
    data["filters"] = data.get("filters", row.filters if row else {}) or {}
    template = None
    if data["template_id"]:
        template = setting.templates.get(str(data["template_id"]))
        if template is None:
            raise Invalid({"template_id": [f"No template found for id '{data['template_id']}'"]})
    if setting.create:
        data["inputs_schema"] = data["inputs_schema"] or []
        data["inputs"] = data["inputs"] or {}
        data["mappings"] = data.get("mappings") or None
        if template is not None:
            if template["status"] == HIDDEN:
                sentence = f"Template '{template['id']}' is internal and cannot be used to create a function."
                raise Invalid({"template_id": [sentence]})
            data["hog"] = data.get("hog") or template["code"]
            data["inputs_schema"] = data["inputs_schema"] or template["inputs_schema"]
            for name in ("icon_url", "description", "name"):
                data[name] = data.get(name) or template[name]
    for known in (row.inputs_schema if row else None, template["inputs_schema"] if template else None):
        data["inputs_schema"] = _with_integration_keys(data["inputs_schema"], known)
    return data


def _with_integration_keys(schema: Any, known: Any) -> Any:
    """Return a schema with what binds its inputs to an integration, where the caller left that out."""
    if not isinstance(schema, list) or not known:
        return schema
    by_key = {item.get("key"): item for item in known}
    filled = []
    for item in schema:
        source = by_key.get(item.get("key")) if isinstance(item, Mapping) else None
        if source is not None and source.get("type") == item.get("type"):
            item = {**{key: source[key] for key in INTEGRATION_KEYS if key in source}, **item}
        filled.append(item)
    return filled


def _type(value: Any, setting: Setting) -> str:
    if value not in TYPES:
        raise Invalid({"type": [f'"{value}" is not a valid choice.']}, code="invalid_choice")
    if value == "warehouse_source_webhook":
        raise Invalid({"type": ["Cannot create or modify warehouse source webhook functions via this API."]})
    if setting.row is not None and setting.row.type != value:
        raise Invalid({"type": ["Cannot modify the type of an existing function"]})
    return str(value)


def _filters(value: Any, setting: Setting, *, enabled: bool, where: str = "filters") -> dict[str, Any]:
    """Return filters with what is compiled from them, or with why they do not compile."""
    if not isinstance(value, Mapping):
        raise Invalid({where: [f"Invalid data. Expected a dictionary, but got {type(value).__name__}."]})
    found: dict[str, Any] = {"source": value.get("source", "events")}
    if found["source"] not in SOURCES:
        raise Invalid({where: {"source": [f'"{found["source"]}" is not a valid choice.']}}, code="invalid_choice")
    for name in _LISTS:
        if name in value:
            found[name] = as_objects(where, name, value[name])
    if "filter_test_accounts" in value:
        found["filter_test_accounts"] = as_flag("filter_test_accounts", value["filter_test_accounts"])
    dropped = {"events": ("data_warehouse",), "person-updates": ("events", "actions", "data_warehouse")}
    for name in dropped.get(found["source"], ("events", "actions")) if found["source"] != "internal-events" else ():
        found.pop(name, None)
    try:
        compile_filters(found, actions=setting.actions, test_account_filters=setting.test_account_filters)
    except HogError as error:
        if enabled:
            raise Invalid({where: [f"Invalid filter configuration: {error}"]}) from error
        return found | {"bytecode": None, "bytecode_error": str(error)}
    return found | {"bytecode": bytecode_of(found)}


def _masking(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise Invalid({"masking": [f"Invalid data. Expected a dictionary, but got {type(value).__name__}."]})
    for name in ("ttl", "hash"):
        if name not in value:
            raise Invalid({"masking": {name: ["This field is required."]}}, code="required")
    ttl, threshold = value["ttl"], value.get("threshold")
    for name, number in (("ttl", ttl), ("threshold", 1 if threshold is None else threshold)):
        if type(number) is not int:
            raise Invalid({"masking": {name: ["A valid integer is required."]}})
    low, high = TTL_S
    if ttl < low:
        sentence = f"Ensure this value is greater than or equal to {low}."
        raise Invalid({"masking": {"ttl": [sentence]}}, code="min_value")
    if ttl > high:
        raise Invalid({"masking": {"ttl": [f"Ensure this value is less than or equal to {high}."]}}, code="max_value")
    if not isinstance(value["hash"], str) or not value["hash"]:
        raise Invalid({"masking": {"hash": ["This field may not be blank."]}}, code="blank")
    try:
        parse_template(value["hash"], where="masking.hash")
    except HogError as error:
        raise Invalid({"masking": {"hash": [f"Invalid template: {error}"]}}) from error
    return {"ttl": ttl, "threshold": threshold, "hash": value["hash"], "bytecode": bytecode_of(value["hash"])}


def _mappings(value: Any, setting: Setting, *, enabled: bool) -> list[dict[str, Any]]:
    found = []
    for item in as_objects("mappings", "non_field_errors", value):
        schema = as_schema("mappings", item.get("inputs_schema") or [])
        one: dict[str, Any] = {"name": item.get("name"), "inputs_schema": schema}
        one["inputs"] = check_inputs(schema, item.get("inputs") or {}, {})
        one["filters"] = _filters(item.get("filters") or {}, setting, enabled=enabled, where="mappings")
        found.append(one)
    return found


def _check_together(columns: dict[str, Any], setting: Setting, *, stays: bool) -> None:
    """Check what concerns several fields."""
    template = setting.templates.get(columns["template_id"] or "")
    if not setting.create and stays and template is not None and template["status"] == HIDDEN:
        sentence = "This function was created from an internal template and can only be disabled or deleted."
        raise Invalid({"enabled": [sentence]})
    if columns.get("mappings") is not None:
        for name in ("events", "actions"):
            columns["filters"].pop(name, None)
        if columns["type"] not in ("destination", "site_destination"):
            raise Invalid({"mappings": ["Mappings are only allowed for destinations."]})
    hog = columns.get("hog")
    if hog is None:
        if setting.create:
            raise Invalid({"hog": ["Required."]})
        return
    if len(hog.encode()) > HOG_BYTES:
        raise Invalid({"hog": [f"HOG code exceeds maximum size of {HOG_BYTES // 1024}KB. Please simplify your code."]})
    if columns["type"] not in ("site_destination", "site_app") and not _compiles(hog):
        raise Invalid({"hog": ["Hog code has errors."]})


@lru_cache(maxsize=256)
def _compiles(hog: str) -> bool:
    """Whether PostHog's grammar takes it for a program."""
    load_grammar()  # before the import, which would fail without it
    import hogql_parser

    return not json.loads(hogql_parser.parse_program_json(hog)).get("error", False)
