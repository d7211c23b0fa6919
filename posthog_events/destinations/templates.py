"""PostHog's templates that declarations know, and checks of inputs against any template's schema.

Source: reference 2.1, 2.2 and 7.2 (PostHog/posthog: nodejs/src/cdp/templates/_destinations, read August 2026).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from posthog_events.destinations.model import AUTO, SecretRef
from posthog_events.queryfiles.params import did_you_mean

__all__ = [
    "DISCORD",
    "JSON_HEADERS",
    "METHODS",
    "SCHEMAS",
    "SLACK",
    "TEAMS",
    "WEBHOOK",
    "WEBHOOK_BODY",
    "check_inputs",
    "check_texts",
    "honours_signing",
    "schema_item",
    "texts_of",
]

WEBHOOK: Final = "template-webhook"
SLACK: Final = "template-slack"
DISCORD: Final = "template-discord"
TEAMS: Final = "template-microsoft-teams"

METHODS: Final = ("POST", "PUT", "PATCH", "GET", "DELETE")

# PostHog's interface fills these in and its API does not: without a body it would send none (reference 2.1)
WEBHOOK_BODY: Final[Mapping[str, Any]] = {"event": "{event}", "person": "{person}"}
JSON_HEADERS: Final[Mapping[str, str]] = {"Content-Type": "application/json"}

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "email": (str,),
    "choice": (str,),
    "boolean": (bool,),
    "number": (int, float),
    "integration": (int,),
    "dictionary": (Mapping,),
}
_SAID = {str: "a text", bool: "true or false", int: "a number", float: "a number", Mapping: "`key: value` pairs"}
_TEMPLATED = ("string", "dictionary", "json", "email")
_FATAL = ("refused", "unknown-global", "hyphenated-key")
"""Traps of templates (`hog.lint_template`) that cost every delivery; a hyphen makes an unknown global of a key."""


def schema_item(
    key: str, kind: str, label: str, *, required: bool = False, secret: bool = False, **more: Any
) -> dict[str, Any]:
    """Return one item of an inputs schema."""
    return {"key": key, "type": kind, "label": label, "required": required, "secret": secret, **more}


def _choices(*values: str) -> list[dict[str, str]]:
    return [{"label": value, "value": value} for value in values]


SCHEMAS: Final[Mapping[str, tuple[Mapping[str, Any], ...]]] = {
    WEBHOOK: (
        schema_item("url", "string", "Webhook URL", required=True),
        schema_item("method", "choice", "Method", default="POST", choices=_choices(*METHODS)),
        schema_item("body", "json", "JSON Body", default=dict(WEBHOOK_BODY)),
        schema_item("headers", "dictionary", "Headers", default=dict(JSON_HEADERS)),
        schema_item("signing_secret", "string", "Signing secret", secret=True),
        schema_item("debug", "boolean", "Log responses", default=False),
    ),
    SLACK: (
        schema_item("slack_workspace", "integration", "Slack workspace", required=True, integration="slack"),
        schema_item("channel", "integration_field", "Channel", required=True, integration_key="slack_workspace"),
        schema_item("icon_emoji", "string", "Emoji icon", default=":hedgehog:"),
        schema_item("username", "string", "Bot name", default="PostHog"),
        schema_item("blocks", "json", "Blocks"),
        schema_item("text", "string", "Plain text message"),
        schema_item("thread_ts", "string", "Thread timestamp"),
    ),
    DISCORD: (
        schema_item("webhookUrl", "string", "Webhook URL", required=True),
        schema_item("content", "string", "Content", required=True),
        schema_item(
            "allowedMentions",
            "choice",
            "Allowed mentions",
            default="none",
            choices=_choices("none", "roles_users", "everyone"),
        ),
    ),
    TEAMS: (
        schema_item("webhookUrl", "string", "Webhook URL", required=True),
        schema_item("text", "string", "Text", required=True),
    ),
}
"""What each template accepts."""

_Path = tuple[str | int, ...]


def check_inputs(inputs: Mapping[str, Any], schema: Sequence[Mapping[str, Any]]) -> list[tuple[_Path, str]]:
    """Return what is wrong with inputs that a schema shall take, and where.

    PostHog drops an unknown input without a word, and does not check a choice.
    """
    known = {str(item["key"]): item for item in schema}
    wrong: list[tuple[_Path, str]] = [
        ((name,), f"the template has no input `{name}`{did_you_mean(name, known)} (there are {', '.join(known)})")
        for name in inputs
        if name not in known
    ]
    for name, item in known.items():
        value = inputs.get(name)
        if value is None or value == "":
            if item.get("required") and item.get("default") is None:
                wrong.append(((), f"the template needs the input `{name}`"))
        elif isinstance(value, SecretRef):
            if not item.get("secret"):
                wrong.append(((name,), f"`{name}` is no secret in this template: anyone in the project could read it"))
        elif value is not AUTO:
            wrong += [((name,), message) for message in _check_input(name, value, item)]
    return wrong


def _check_input(name: str, value: Any, item: Mapping[str, Any]) -> Iterator[str]:
    kind = str(item.get("type"))
    types = _TYPES.get(kind)
    if types and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
        yield f"`{name}` must be {_SAID[types[0]]}"
    elif kind == "choice" and (choices := [choice.get("value") for choice in item.get("choices") or ()]):
        if value not in choices:
            yield f"`{name}` is one of {', '.join(map(str, choices))}"
    elif item.get("secret"):
        yield f"`{name}` is a secret; give it by reference: ${{env:NAME}}"


def check_texts(value: Any, *, kind: str = "json") -> Iterator[tuple[_Path, str]]:
    """Yield what would lose every delivery in the Hog expressions of an input of the given type, and where.

    PostHog refuses some of it when it saves the input. The rest it accepts, and fails at each event.
    """
    from posthog_events.hog.lint_template import lint_template

    for path, text in texts_of(value, kind=kind):
        for trap in lint_template(text):
            if trap.code in _FATAL:
                yield path, trap.message


def texts_of(value: Any, *, kind: str = "json") -> Iterator[tuple[_Path, str]]:
    """Yield the texts in an input of the given type that PostHog reads as templates, and where they are."""
    if kind in _TEMPLATED:
        yield from _texts(value)


def honours_signing(row: Mapping[str, Any]) -> bool:
    """Return whether a function's code signs its deliveries.

    The code is a copy made when the function was created (reference 1.3): one from before August 2026 takes a
    `signing_secret`, when its schema has one, and never uses it. It signs when it speaks of the secret, or is the code
    of the server's template, which offers it.
    """
    code, template = str(row.get("hog") or ""), row.get("template") or {}
    offered = any(item.get("key") == "signing_secret" for item in template.get("inputs_schema") or ())
    return "signing_secret" in code or (offered and code == str(template.get("code") or "").rstrip())


def _texts(value: Any) -> Iterator[tuple[_Path, str]]:
    if isinstance(value, str):
        yield (), value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from (((str(key), *path), text) for path, text in _texts(part))
    elif isinstance(value, (list, tuple)):
        for at, part in enumerate(value):
            yield from (((at, *path), text) for path, text in _texts(part))
