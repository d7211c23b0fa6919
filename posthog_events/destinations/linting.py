"""What PostHog would accept in a destination, and what would not do what it seems to: warnings, never faults.

What would lose every delivery is a fault of the declaration and is told when it is read; see `templates.check_texts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from posthog_events.destinations import templates
from posthog_events.destinations.model import Destination, SecretRef
from posthog_events.destinations.templates import SCHEMAS, texts_of

if TYPE_CHECKING:
    from posthog_events.hog.lint_template import Trap
    from posthog_events.hogql import ast

__all__ = ["Warning_", "lint_destination"]

_INPUT = re.compile(r"\binputs(?:\.(\w+)|\[['\"]([^'\"]+)['\"]\])")
_WHOLE_OBJECT = re.compile(r"\{\s*(?:event|person|groups|project|source|inputs|[\w.]+\.properties)\s*\}")
_BODY_METHODS = ("POST", "PUT", "PATCH")
_FROM_OUTSIDE = ("event", "person", "groups")
_NOT_FROM_OUTSIDE = ("event", "uuid", "timestamp", "captured_at", "url", "id", "type", "index")
"""Fields of events, persons and groups that PostHog made itself, or that the filters know."""

_BY_COLLEAGUES = {"$insight_alert_firing"}
"""Events whose texts were written by people of the project."""

_HARMLESS = frozenset(
    {"base64Encode", "empty", "encodeURLComponent", "floor", "formatDateTime", "length", "md5Hex", "notEmpty"}
    | {"replaceAll", "round", "sha256Hex", "toFloat", "toInt"}
)
"""Functions whose results hold no markup, or that are there to take it out."""


@dataclass(frozen=True, slots=True)
class Warning_:  # noqa: N801  # Python has a Warning of its own
    """One thing that PostHog accepts and that is probably not meant.

    Args:
        code: What it is, for programs; stays the same.
        level: `warning` for what will surprise, `info` for what is worth knowing.
        message: One sentence, with what to do.
        where: The part, such as `inputs.headers` or `filters.events[0]`.
        key: The destination's.
        path: Its file; None for one made in Python.
        line: The line on which its declaration begins.
    """

    code: str
    level: Literal["warning", "info"]
    message: str
    where: str
    key: str
    path: Path | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line) if part is not None)
        return f"{place or self.key}: {self.level}: {self.where}: {self.message} [{self.code}]"


def lint_destination(
    destination: Destination,
    *,
    actions: Mapping[Any, Any] | None = None,
    test_account_filters: Sequence[Any] = (),
) -> tuple[Warning_, ...]:
    """Return what is doubtful in a destination: in its filters, its templates, and as a whole.

    Args:
        actions: The actions that its filters name, by id, as for `hog.filters.compile_filters`; None: not known.
        test_account_filters: The project's property items.
    """
    from posthog_events.hog.lint import lint_filters

    found: dict[tuple[str, str], Warning_] = {}

    def warn(code: str, where: str, message: str, level: Literal["warning", "info"] = "warning") -> None:
        # a message stands in the blocks and in the text for notifications: once is enough
        made = Warning_(code, level, message, where, destination.key, destination.path, destination.line)
        found.setdefault((code, message), made)

    for trap in lint_filters(destination.filters, actions=actions, test_account_filters=test_account_filters):
        idle = trap.code == "every-event" and not destination.enabled
        warn(trap.code, f"filters.{trap.where}".rstrip("."), trap.message, "info" if idle else "warning")
    for trap in _template_traps(destination):
        warn(trap.code, trap.where, trap.message)
    if destination.template_id == templates.WEBHOOK and destination.kind != "slack":
        for code, where, message in _webhook_traps(destination.inputs):
            warn(code, where, message, "info" if code == "unsigned" else "warning")
    if (raw := _raw_in_slack(destination)) is not None:
        warn("raw-user-data", *raw, "info")
    return tuple(found.values())


def _template_traps(destination: Destination) -> Iterator[Trap]:
    from posthog_events.hog.lint_template import Trap, lint_template

    schema = destination.inputs_schema or SCHEMAS.get(destination.template_id) or ()
    kinds = {str(item["key"]): str(item["type"]) for item in schema}
    for name, value in destination.inputs.items():
        for path, text in texts_of(value, kind=kinds.get(name, "json")):
            where = ".".join(map(str, ("inputs", name, *path)))
            yield from lint_template(text, where=where)
            for used in _INPUT.finditer(text) if "{" in text else ():
                if (other := used[1] or used[2]) not in destination.inputs:
                    yield Trap("unknown-input", where, f"there is no input `{other}`, so this stays empty; take it out")
    if destination.masking:
        template = str(destination.masking["hash"])
        yield from lint_template(template, where="masking.hash")
        if _WHOLE_OBJECT.fullmatch(template):
            said = "an object has no text of its own, so all events have one key; name a field, such as {person.id}"
            yield Trap("masking-object", "masking.hash", said)
        elif re.fullmatch(r"\{\s*event\.uuid\s*\}", template):
            said = "no two events have the same uuid, so nothing is held back; name what repeats, such as {person.id}"
            yield Trap("masking-unique", "masking.hash", said)


def _webhook_traps(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the traps of the webhook template (reference 2.1, 9.11 and 9.12)."""
    sends_body = inputs.get("method", "POST") in _BODY_METHODS
    headers = inputs.get("headers")
    if sends_body and inputs.get("body") in (None, ""):
        said = "without a body PostHog sends none, whatever its page shows; write it out"
        yield "no-body", "inputs.body", said
    elif sends_body and isinstance(headers, Mapping) and "content-type" not in {name.lower() for name in headers}:
        said = "headers that are given replace the default ones; add Content-Type: application/json"
        yield "no-content-type", "inputs.headers", said
    # a URL that is a secret tells the receiver enough, and such services check no signature
    if "signing_secret" not in inputs and not isinstance(inputs.get("url"), SecretRef):
        if any(_secrets_in(text, inputs) for _, text in texts_of(headers or {})):
            said = (
                "a secret header is the same on every delivery and says nothing about the body; "
                "set signing_secret as well, if the receiver can check signatures"
            )
        else:
            said = "nothing tells the receiver that a delivery is PostHog's; set signing_secret, or a secret header"
        yield "unsigned", "inputs", said


def _secrets_in(text: str, inputs: Mapping[str, Any]) -> bool:
    return any(isinstance(inputs.get(found[1] or found[2]), SecretRef) for found in _INPUT.finditer(text))


def _raw_in_slack(destination: Destination) -> tuple[str, str] | None:
    """Return where what users wrote goes into Slack's markup as it is (reference 7.2), and what to do."""
    from posthog_events.errors import HogError
    from posthog_events.hog.template import template_parts

    if {entry.get("id") for entry in destination.filters.get("events") or ()} == _BY_COLLEAGUES:
        return None
    for where, text in _marked_up(destination):
        try:
            parts = list(template_parts(text))
        except HogError:
            continue  # a trap of its own
        for part in parts:
            field = None if isinstance(part, str) else _from_outside(part)
            if field is not None:
                return where, (
                    f"{{{field}}} may hold Slack's markup, such as <!channel> that notifies everybody; where people "
                    f"can choose it, write {{replaceAll(toString({field} ?? ''), '<', '&lt;')}}"
                )
    return None


def _marked_up(destination: Destination) -> Iterator[tuple[str, str]]:
    """Yield the texts that Slack reads as mrkdwn, and where they are."""
    if destination.template_id == templates.SLACK:
        where, message = "inputs", destination.inputs
    elif destination.kind == "slack" and isinstance(destination.inputs.get("body"), Mapping):
        where, message = "inputs.body", destination.inputs["body"]
    else:
        return
    for path, text in texts_of(message.get("blocks")):
        if path[-1] == "text" and _parent(message["blocks"], path).get("type") == "mrkdwn":
            yield ".".join(map(str, (where, "blocks", *path))), text
    if isinstance(message.get("text"), str):
        yield f"{where}.text", message["text"]


def _parent(value: Any, path: Sequence[str | int]) -> Mapping[str, Any]:
    for step in path[:-1]:
        value = value[step]
    return value if isinstance(value, Mapping) else {}


def _from_outside(node: ast.Node) -> str | None:
    """Return the first field in an expression that holds what users wrote, and that nothing makes harmless."""
    from posthog_events.hogql import ast
    from posthog_events.hogql.tree import children

    if isinstance(node, ast.Field):
        chain = [str(part) for part in node.chain]
        outside = chain[0] in _FROM_OUTSIDE and len(chain) > 1
        own = len(chain) == 2 and chain[1] in _NOT_FROM_OUTSIDE
        return ".".join(chain) if outside and not own else None
    if isinstance(node, ast.Call) and node.name in _HARMLESS:
        return None
    found = (_from_outside(child) for child in children(node))
    return next((field for field in found if field is not None), None)
