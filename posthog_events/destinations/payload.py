"""What is sent to PostHog for a destination: the whole of it to create one, the changed fields to update it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from posthog_events.destinations.filters import is_internal
from posthog_events.destinations.marker import Marker, join_description
from posthog_events.destinations.model import AUTO, Destination, SecretRef
from posthog_events.destinations.secrets import Secrets
from posthog_events.destinations.templates import SCHEMAS
from posthog_events.errors import ConfigError

__all__ = ["body_of", "declared_body", "patch_of", "schema_to_send"]


def body_of(destination: Destination, secrets: Secrets, *, slack_workspace: int | None = None) -> dict[str, Any]:
    """Return the body that creates the destination. It holds the secrets: it is for sending, never for showing.

    Args:
        slack_workspace: The id of the Slack integration that `workspace: auto` means.

    Raises:
        ConfigError: The workspace is needed and not given.
    """
    return _body(destination, lambda ref: {"value": secrets[ref]}, secrets.fingerprint(destination), slack_workspace)


def declared_body(destination: Destination, fingerprint: str, *, slack_workspace: int | None = None) -> dict[str, Any]:
    """Return the same body as PostHog shows it afterwards: a secret is only said to be there.

    Raises:
        ConfigError: The workspace is needed and not given.
    """
    return _body(destination, lambda ref: {"secret": True}, fingerprint, slack_workspace)


def patch_of(
    destination: Destination,
    secrets: Secrets,
    fields: Iterable[str],
    live: Mapping[str, Any],
    *,
    slack_workspace: int | None = None,
) -> dict[str, Any]:
    """Return the body that brings `fields` of the live function `live` to what is declared.

    PostHog replaces each field as a whole (reference 1.4), so each is sent complete; all others stay as they are.
    """
    body = body_of(destination, secrets, slack_workspace=slack_workspace)
    patch = {name: body[name] for name in fields}
    if "inputs" in patch and (schema := schema_to_send(destination, live)) is not None:
        patch["inputs_schema"] = schema
    return patch


def schema_to_send(destination: Destination, live: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the inputs schema that the live function must get; None when its own will do.

    A function keeps the schema it was created with. An input that is not in it is dropped silently, one that became a
    secret must be marked as such, and a stored secret goes away only with its item: one left out of `inputs` is kept.
    All other items stay as they are, for people may have added some.
    """
    template = (live.get("template") or {}).get("inputs_schema")
    known = destination.inputs_schema or SCHEMAS.get(destination.template_id) or template or ()
    wanted = {str(item["key"]): item for item in known}
    current = {str(item["key"]): item for item in live.get("inputs_schema") or ()}
    stored = live.get("inputs") or {}
    left_over = {
        name
        for name, item in current.items()
        if item.get("secret") and name not in destination.inputs and (stored.get(name) or {}).get("secret")
    }
    replaced = {
        name: wanted[name]
        for name, value in destination.inputs.items()
        if name in wanted and (name not in current or bool(current[name].get("secret")) != isinstance(value, SecretRef))
    }
    if not replaced and not left_over:
        return None
    merged = {**current, **replaced}
    return [_plain(item) for name, item in merged.items() if name not in left_over]


def _body(
    destination: Destination,
    secret: Callable[[SecretRef], dict[str, Any]],
    fingerprint: str,
    slack_workspace: int | None,
) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for name, value in destination.inputs.items():
        if isinstance(value, SecretRef):
            inputs[name] = secret(value)
        elif value is AUTO:
            if slack_workspace is None:
                raise ConfigError(
                    f"{destination.key}: which Slack workspace? Give its number in PostHog as `workspace`, "
                    "or connect one to the project"
                )
            inputs[name] = {"value": slack_workspace}
        else:
            inputs[name] = {"value": _plain(value)}
    body: dict[str, Any] = {
        "type": "internal_destination" if is_internal(destination.filters) else "destination",
        "template_id": destination.template_id,
        "name": destination.name,
        "description": join_description(destination.description, Marker(destination.key, fingerprint)),
        "enabled": destination.enabled,
        "inputs": inputs,
        "filters": _plain(destination.filters),
        "masking": _plain(destination.masking),
    }
    if destination.inputs_schema is not None:
        body["inputs_schema"] = _plain(destination.inputs_schema)
    return body


def _plain(value: Any) -> Any:
    """Return a copy that shares nothing with the declaration, so that whoever sends it may change it."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(part) for part in value]
    return value
