"""Templates of a destination's inputs: text with Hog expressions in single braces.

`\\{` is a brace, `\\n` a line break, `\\t` a tab and `\\\\` a backslash, as in PostHog. A template that is one
expression and nothing else keeps the expression's type. In mixed text null is left out, and lists and objects are
written as Hog literals (`{'plan': 'pro'}`), not as JSON; jsonStringify() gives JSON.

Source: PostHog/posthog:posthog/hogql/parser.py (parse_string_template), nodejs/src/cdp/services/hog-inputs.service.ts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from posthog_events.clock import utc_now
from posthog_events.errors import HogError, HogQLError
from posthog_events.hog.evaluate import Closure, Scope, compile_expr
from posthog_events.hog.values import plain, text
from posthog_events.hogql import ast
from posthog_events.hogql.parser import parse_expr
from posthog_events.hogql.tokens import Kind, tokenize

__all__ = ["Template", "parse_template", "render_inputs", "template_parts"]

_ESCAPE = re.compile(r"\\([abfnrtv0\\{])")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "", "\\": "\\", "{": "{"}
_FIRST_LOOK = 256
"""Characters in which the end of an expression is looked for first; most are shorter."""


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template; `source` is its text, `where` names it in messages."""

    source: str
    where: str
    _parts: tuple[str | Closure, ...]

    @property
    def constant(self) -> bool:
        """Whether it holds no expression."""
        return all(isinstance(part, str) for part in self._parts)

    def render(self, globals_: Scope) -> Any:
        """Return the value for one event, as plain JSON values.

        Raises:
            HogError: PostHog's evaluation would fail: an unknown global, a function that refuses its argument.
        """
        try:
            values = [part if isinstance(part, str) else part(globals_) for part in self._parts]
            if len(values) == 1:
                return plain(values[0])
            return "".join("" if value is None else _inserted(value) for value in values)
        except HogError as error:
            raise HogError(error.message, where=self.where) from error
        except RecursionError as error:
            raise HogError("the value is nested too deeply", where=self.where) from error


def _inserted(value: Any) -> str:
    if callable(value):
        raise HogError("a function cannot be part of a message; call it")
    return text(value)


def parse_template(source: str, *, where: str = "", clock: Callable[[], datetime] = utc_now) -> Template:
    """Parse a template.

    Args:
        source: The text of an input.
        where: What the text is called in messages, such as `inputs.body.text`.
        clock: Gives the moment of now().

    Raises:
        HogError: PostHog would refuse to save it, or it uses a function that cannot be evaluated here.
        MissingExtra: hogql-parser is not installed.
    """
    try:
        parts = tuple(
            part if isinstance(part, str) else compile_expr(part, clock=clock) for part in template_parts(source)
        )
    except HogError as error:
        raise HogError(error.message, where=where) from error
    return Template(source, where, parts or ("",))


def render_inputs(
    inputs: Any, globals_: Scope, *, where: str = "inputs", clock: Callable[[], datetime] = utc_now
) -> Any:
    """Return JSON values with every text in them rendered as a template; keys are left as they are.

    Raises:
        HogError: As `parse_template` and `Template.render`.
    """
    if isinstance(inputs, str):
        return parse_template(inputs, where=where, clock=clock).render(globals_)
    if isinstance(inputs, Mapping):
        return {
            key: render_inputs(value, globals_, where=f"{where}.{key}", clock=clock) for key, value in inputs.items()
        }
    if isinstance(inputs, list | tuple):
        return [
            render_inputs(value, globals_, where=f"{where}[{index}]", clock=clock) for index, value in enumerate(inputs)
        ]
    return inputs


def template_parts(source: str) -> Iterator[str | ast.Expr]:
    """Yield the texts and expressions of a template in order.

    Raises:
        HogError: An expression that is not closed, or that PostHog's grammar does not take.
    """
    at = start = 0
    while (at := source.find("{", at)) >= 0:
        if at and source[at - 1] == "\\":
            at += 1
            continue
        if at > start:
            yield _unescaped(source[start:at])
        end = _end_of_expression(source, at)
        yield _expression(source[at + 1 : end])
        at = start = end + 1
    if start < len(source):
        yield _unescaped(source[start:])


def _unescaped(part: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPED[found[1]], part) if "\\" in part else part


def _end_of_expression(source: str, start: int) -> int:
    """Return the place of the brace that closes the one at `start`; braces in strings and comments do not count."""
    window = _FIRST_LOOK
    while True:
        whole_rest = start + window >= len(source)
        depth = 0
        for token in tokenize(source[start : start + window]):
            if token.kind in (Kind.OPEN_QUOTE, Kind.OPEN_COMMENT) and not whole_rest:
                break  # its end may lie behind the window
            if token.kind is Kind.OPERATOR and token.text in "{}":
                depth += 1 if token.text == "{" else -1
                if depth == 0:
                    return start + token.start
        if whole_rest:
            shown = source[start : start + 30]
            raise HogError(f"the brace of `{shown}` is never closed. A brace that is meant as text is written \\{{")
        window *= 4


def _expression(source: str) -> ast.Expr:
    if not source.strip():
        raise HogError("the braces are empty. Braces that are meant as text are written \\{}")
    try:
        return parse_expr(source)
    except HogQLError as error:
        raise HogError(f"`{source.strip()[:80]}` is no Hog expression: {error.message}") from error
