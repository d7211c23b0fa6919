"""A destination's inputs, parsed once and rendered for many events; secrets stay references."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from posthog_events.destinations.model import AUTO, Destination, SecretRef
from posthog_events.destinations.templates import SCHEMAS
from posthog_events.errors import HogError
from posthog_events.hog.evaluate import Scope
from posthog_events.hog.lint_template import GLOBALS
from posthog_events.hog.template import parse_template, template_parts
from posthog_events.hogql import ast

__all__ = ["Inputs", "texts"]

_TEMPLATED = ("string", "boolean", "dictionary", "json", "email", "native_email")
_REFERENCE = re.compile(r"\binputs(?:\.(\w+)|\[['\"]([^'\"]+)['\"]\])")

_Render = Callable[[Scope], Any]


class Inputs:
    """The inputs of one destination.

    Args:
        clock: Gives the moment of now().

    Raises:
        HogError: PostHog would refuse to save them.
    """

    def __init__(self, destination: Destination, *, clock: Callable[[], datetime]) -> None:
        schema = destination.inputs_schema or SCHEMAS.get(destination.template_id) or ()
        kinds = {str(item["key"]): str(item["type"]) for item in schema}
        self._renders: list[tuple[str, _Render]] = []
        self.can_fail = False
        for name in _ordered(destination.inputs):
            value = destination.inputs[name]
            if value is AUTO or isinstance(value, SecretRef):
                self._renders.append((name, _constant(str(value) if value is not AUTO else AUTO.value)))
            elif value and kinds.get(name, "json") in _TEMPLATED:
                self._renders.append((name, _compiled(value, f"inputs.{name}", clock)))
                self.can_fail = self.can_fail or any(_can_fail(text) for text in texts(value))
            else:
                self._renders.append((name, _constant(value)))

    def render(self, globals_: Scope) -> dict[str, Any]:
        """Return the values for one event.

        Raises:
            HogError: PostHog's evaluation would fail, and the event is lost (`inputs_failed`).
        """
        found: dict[str, Any] = {}
        seen = {**globals_, "inputs": found}
        for name, render in self._renders:
            found[name] = render(seen)
        return found


def texts(value: Any) -> Iterator[str]:
    """Yield every text in JSON values, keys aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from texts(part)


def _ordered(inputs: Mapping[str, Any]) -> list[str]:
    """Return the names of inputs so that what one refers to comes before it."""
    needs = {
        name: {found[1] or found[2] for text in texts(value) for found in _REFERENCE.finditer(text)} & inputs.keys()
        for name, value in inputs.items()
    }
    ordered: list[str] = []
    while len(ordered) < len(needs):
        ready = [name for name in needs if name not in ordered and needs[name] <= set(ordered)]
        if not ready:
            raise HogError("inputs refer to each other in a circle", where="inputs")
        ordered += ready
    return ordered


def _constant(value: Any) -> _Render:
    return lambda scope: value


def _compiled(value: Any, where: str, clock: Callable[[], datetime]) -> _Render:
    if isinstance(value, str):
        template = parse_template(value, where=where, clock=clock)
        return template.render
    if isinstance(value, Mapping):
        parts = {key: _compiled(part, f"{where}.{key}", clock) for key, part in value.items()}
        return lambda scope: {key: render(scope) for key, render in parts.items()}
    if isinstance(value, list | tuple):
        items = [_compiled(part, f"{where}[{at}]", clock) for at, part in enumerate(value)]
        return lambda scope: [render(scope) for render in items]
    return _constant(value)


def _can_fail(text: str) -> bool:
    return not all(isinstance(part, str) or _never_fails(part) for part in template_parts(text))


def _never_fails(node: ast.Node) -> bool:
    """Whether an expression has a value for every event: names that are there, constants, and `??`."""
    match node:
        case ast.Constant():
            return True
        case ast.Field(chain=chain):
            return chain[0] in GLOBALS and all(isinstance(key, str) and key != "*" for key in chain)
        case ast.Call(name="ifNull", args=args):
            return all(_never_fails(arg) for arg in args)
    return False
