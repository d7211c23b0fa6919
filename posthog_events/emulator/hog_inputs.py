"""Inputs of hog functions: checked when they are saved, kept apart when secret, resolved when an event fires.

Source: reference 1.4, 2.3 and 5.2; PostHog/posthog:posthog/cdp/validation.py (2026-09) for rules and sentences.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from posthog_events.emulator.endpoint import Refusal
from posthog_events.errors import HogError
from posthog_events.hog.template import parse_template, render_inputs

__all__ = ["MASK", "Invalid", "bytecode_of", "check_inputs", "hide_secrets", "redacted", "resolve", "sensitive_values"]

MASK = "********"
"""What PostHog's pages show in the place of a secret."""

REDACTED = "***REDACTED***"

TEMPLATED = frozenset({"string", "boolean", "dictionary", "json", "email", "native_email"})

_INPUT = re.compile(r"\binputs(?:\.(\w+)|\[['\"]([^'\"]+)['\"]\])")
_STATUS_WILDCARD = re.compile(r"[45]xx", re.IGNORECASE)
_MIN_SENSITIVE_CHARS = 4
_CREDENTIAL_HEADER = re.compile(r"auth|key|secret|token|cookie|password", re.IGNORECASE)


class Invalid(Exception):
    """A body that a serializer refuses.

    Args:
        errors: Field to its errors: a list of sentences, or the same again for what is inside the field.
        code: Of the first error.
    """

    def __init__(self, errors: Mapping[str, Any], *, code: str = "invalid_input") -> None:
        super().__init__(str(errors))
        self.errors, self.code = errors, code

    def refusal(self) -> Refusal:
        """Return the answer: the first error only, and where it is with double underscores."""
        path: list[str] = []
        inner: Any = self.errors
        while isinstance(inner, Mapping):
            key, inner = next(iter(inner.items()))
            path.append(str(key))
        return Refusal(400, "validation_error", self.code, inner[0], attr="__".join(path))


def bytecode_of(value: Any) -> list[Any]:
    """Return what stands for compiled code: the same for the same text, and of no use to anybody."""
    return ["_H", 1, 32, hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]]


def check_inputs(schema: Sequence[Mapping[str, Any]], inputs: Any, secrets: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs to store, secret ones included, with what the server derives.

    Args:
        secrets: The stored ones, which an input that is left out or masked keeps.

    Raises:
        Invalid: With every wrong input.
    """
    if not isinstance(inputs, Mapping):
        raise Invalid({"inputs": [f'Expected a dictionary of items but got type "{type(inputs).__name__}".']})
    found: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for item in schema:
        key = str(item["key"])
        try:
            value = _checked(item, inputs.get(key) or {}, secrets.get(key))
        except ValueError as error:
            errors[key] = [str(error)]
            continue
        if "value" in value:
            found[key] = value
    if errors:
        raise Invalid({"inputs": errors})
    return _ordered(found)


def _checked(item: Mapping[str, Any], value: Any, stored: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"Invalid data. Expected a dictionary, but got {type(value).__name__}.")
    if item.get("secret"):
        masked = bool(value.get("secret")) and value.get("value", MASK) == MASK
        if (masked or not value) and stored:
            value = stored
        elif masked:
            raise ValueError("No value is saved for this secret input. Enter the value again.")
    if not value and item.get("required") and item.get("default") is not None:
        value = {"value": item["default"]}
    templating = item.get("templating", True)
    kept = {name: value[name] for name in ("value", "templating") if name in value}
    if isinstance(templating, str):
        kept["templating"] = templating
    if kept.get("templating") not in (None, "hog", "liquid"):
        raise ValueError(f'"{kept["templating"]}" is not a valid choice.')
    given = kept.get("value")
    if item.get("required") and (given is None or given == ""):
        raise ValueError("This field is required.")
    if given is None:
        return {}
    if item.get("secret") and given == MASK:
        raise ValueError("This secret input was not updated correctly. Enter the value again.")
    if given:
        _check_type(item, given, kept.get("templating"))
        if templating and kept.get("templating") != "liquid" and item["type"] in TEMPLATED:
            _check_templates(given, str(item["key"]))
            kept["bytecode"] = bytecode_of(given)
    return kept


def _check_type(item: Mapping[str, Any], value: Any, templating: str | None) -> None:
    match item["type"]:
        case "string":
            _want(isinstance(value, str), "Value must be a string.")
        case "number":
            _want(isinstance(value, int | float), "Value must be a number.")
        case "boolean" if item.get("templating", True):
            _want(isinstance(value, bool | str), "Value must be a boolean or a template string.")
            refused = isinstance(value, str) and templating == "liquid"
            _want(
                not refused,
                "Liquid templating is not supported for boolean fields. Use Hog templating instead.",
            )
        case "boolean":
            _want(isinstance(value, bool), "Value must be a boolean.")
        case "dictionary":
            _want(isinstance(value, Mapping), "Value must be a dictionary.")
        case "integration":
            _want(isinstance(value, int), "Value must be an Integration ID.")
        case "integration_multi":
            _want(isinstance(value, list) and all(type(one) is int for one in value), "Value must be a list of IDs.")
        case "email" | "native_email":
            _want(isinstance(value, Mapping), "Value must be an email object.")
        case "non_failure_status_codes":
            _want(isinstance(value, list), "Value must be a list of status codes.")
            for one in value:
                good = type(one) is int and 400 <= one <= 599
                good = good or (isinstance(one, str) and _STATUS_WILDCARD.fullmatch(one) is not None)
                _want(good, "Entries must be integers between 400 and 599 or wildcards '4xx' or '5xx'.")


def _want(good: bool, otherwise: str) -> None:
    if not good:
        raise ValueError(otherwise)


def _check_templates(value: Any, key: str) -> None:
    for text in _texts(value):
        try:
            parse_template(text, where=f"inputs.{key}")
        except HogError as error:
            if "{{" in text:
                raise ValueError(
                    "Invalid template: this field uses single-curly templating like {person.properties.email}. "
                    f"Liquid-style {{{{ ... }}}} syntax is not supported here. ({error})"
                ) from error
            raise ValueError(f"Invalid template: {error}") from error


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _ordered(found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the inputs with their `order`: what an input refers to comes before it."""
    needs = {key: _references(item["value"]) & found.keys() for key, item in found.items()}
    ordered: dict[str, Any] = {}
    while len(ordered) < len(found):
        ready = [key for key in found if key not in ordered and needs[key] <= ordered.keys()]
        if not ready:
            raise Invalid({"inputs": ["Circular dependency detected in input_deps."]})
        for key in ready:
            ordered[key] = {**found[key], "order": len(ordered)}
    return ordered


def _references(value: Any) -> set[str]:
    return {found[1] or found[2] for text in _texts(value) for found in _INPUT.finditer(text)}


def hide_secrets(
    schema: Iterable[Mapping[str, Any]], inputs: Mapping[str, Any], secrets: Mapping[str, Any]
) -> dict[str, Any]:
    """Return inputs as they are read back: of a secret only that there is one."""
    marks = {str(item["key"]): {"secret": True} for item in schema if item.get("secret")}
    return {**inputs, **{key: mark for key, mark in marks.items() if secrets.get(key) or inputs.get(key)}}


def resolve(
    inputs: Mapping[str, Any],
    globals_: Mapping[str, Any],
    *,
    schema: Iterable[Mapping[str, Any]],
    integrations: Iterable[Mapping[str, Any]],
    clock: Callable[[], datetime],
) -> dict[str, Any]:
    """Return the values of inputs for one event.

    Args:
        integrations: Those of the project; an input of that type becomes the integration's configuration and token.

    Raises:
        HogError: A template names something that is not there.
    """
    kinds = {str(item["key"]): item["type"] for item in schema}
    by_id = {one["id"]: one for one in integrations}
    resolved: dict[str, Any] = {}
    for key, item in sorted(inputs.items(), key=lambda pair: pair[1].get("order", 0)):
        value = item.get("value")
        if kinds.get(key) == "integration":
            found = by_id.get(value)
            value = None if found is None else {**found["config"], "access_token": found["token"]}
        elif "bytecode" in item:
            seen = {**globals_, "inputs": resolved}
            value = render_inputs(value, seen, where=f"inputs.{key}", clock=clock)
        resolved[key] = value
    return resolved


def sensitive_values(schema: Iterable[Mapping[str, Any]], inputs: Mapping[str, Any]) -> frozenset[str]:
    """Return the texts that must not stand in a log: secrets, tokens, and headers that look like credentials."""
    found: set[str] = set()
    for item in schema:
        value = inputs.get(str(item["key"]))
        if item.get("secret"):
            found.update(_texts(value))
        elif item["type"] == "integration" and isinstance(value, Mapping):
            found.update(_texts(value.get("access_token")))
        elif item["type"] == "dictionary" and isinstance(value, Mapping):
            found.update(
                text for name, inner in value.items() if _CREDENTIAL_HEADER.search(str(name)) for text in _texts(inner)
            )
    return frozenset(text for text in found if len(text) >= _MIN_SENSITIVE_CHARS)


def redacted(message: str, sensitive: Iterable[str]) -> str:
    """Return a message without what is sensitive."""
    for text in sorted(sensitive, key=len, reverse=True):
        message = message.replace(text, REDACTED)
    return message
