"""Secrets inside inputs become inputs of their own, which PostHog stores encrypted (reference 2.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from posthog_events.destinations.model import SecretRef, find_references
from posthog_events.destinations.templates import schema_item

__all__ = ["lift_secrets", "lower_secrets"]


def lift_secrets(
    inputs: Mapping[str, Any], schema: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], tuple[Mapping[str, Any], ...] | None]:
    """Return inputs without a reference inside a text, and the schema they need when it is not `schema`.

    An input that is a reference becomes a secret input. A reference inside a longer text, a header or a body becomes
    an input `secret_<name>`, and the text says `{inputs.secret_<name>}`.
    """
    items = {str(item["key"]): dict(item) for item in schema}
    lifted: dict[str, Any] = {}
    names: dict[SecretRef, str] = {}
    for name, value in inputs.items():
        ref = SecretRef.parse(value) if isinstance(value, str) else None
        if ref is not None and items[name]["type"] == "string":
            lifted[name] = ref
            items[name]["secret"] = True
        else:
            lifted[name] = _replace(value, names, taken=items)
    for ref, name in names.items():
        lifted[name] = ref
        items[name] = schema_item(name, "string", ref.name, required=True, secret=True)
    changed = [dict(item) for item in schema] != list(items.values())
    return lifted, tuple(items.values()) if changed else None


def lower_secrets(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs with every reference back at its place: the inverse of `lift_secrets`."""
    spelt = {f"{{inputs.{name}}}": str(value) for name, value in inputs.items() if isinstance(value, SecretRef)}
    whole = _put_back({name: value for name, value in inputs.items() if not isinstance(value, SecretRef)}, spelt)
    own = {name: str(value) for name, value in inputs.items() if isinstance(value, SecretRef)}
    return {**whole, **{name: text for name, text in own.items() if not name.startswith("secret_")}}


def _replace(value: Any, names: dict[SecretRef, str], *, taken: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _replace(part, names, taken=taken) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replace(part, names, taken=taken) for part in value]
    if isinstance(value, str):
        for spelling, ref in find_references(value).items():
            if ref not in names:
                names[ref] = _input_name(ref, {*names.values(), *taken})
            value = value.replace(spelling, f"{{inputs.{names[ref]}}}")
    return value


def _input_name(ref: SecretRef, taken: set[str]) -> str:
    base = "secret_" + ("keyring_" if ref.source == "keyring" else "") + re.sub(r"\W", "_", ref.name.lower())
    return next(name for count in range(1, len(taken) + 2) if (name := base + f"_{count}" * (count > 1)) not in taken)


def _put_back(value: Any, spelt: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _put_back(part, spelt) for key, part in value.items()}
    if isinstance(value, list):
        return [_put_back(part, spelt) for part in value]
    if isinstance(value, str):
        for expression, reference in spelt.items():
            value = value.replace(expression, reference)
    return value
