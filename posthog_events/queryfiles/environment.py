"""The Jinja environment of query files: a sandbox whose templates produce `Sql`, not text."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Undefined, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from posthog_events.errors import Fault, ParameterError
from posthog_events.queryfiles.binder import Binder
from posthog_events.queryfiles.conditions import condition_text
from posthog_events.queryfiles.model import Condition, Step
from posthog_events.queryfiles.sql import Piece, Sql, concat
from posthog_events.queryfiles.structure import column_text, identifier, property_text, unit_name

__all__ = ["REFUSED_FILTERS", "BindingContext", "QueryEnvironment", "TemplateFault", "environment"]

REFUSED_FILTERS = ("safe", "escape", "e", "forceescape", "urlize", "xmlattr", "tojson", "striptags", "pprint", "random")
"""HTML has no place here, values are bound and need no escaping, and a query is the same each time."""

_HINT = re.compile(r"[A-Za-z]\w*", re.ASCII)


class TemplateFault(Exception):
    """Something wrong in a body: a message, and the code point of the body it is about."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message, offset)
        self.message, self.offset = message, offset


class BindingContext(Context):
    binder: Binder

    def emit(self, offset: int, hint: str, value: object) -> Sql:
        """Stand behind every `{{ ... }}`."""
        if isinstance(value, Undefined):
            str(value)  # StrictUndefined raises, and says what is not defined
        try:
            return self.binder.emit(offset, hint, value)
        except ParameterError as error:
            raise TemplateFault(error.faults[0].message, offset) from error


class _Generator(CodeGenerator):
    """Compiles every output to an `Sql`: literal text as itself, anything else through `BindingContext.emit`."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        raise nodes.Impossible  # nothing becomes output before it has been through `_output_child_pre`

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        offset: int = node.offset  # type: ignore[attr-defined]  # set by `_place`
        if isinstance(node, nodes.TemplateData):
            self.write(f"environment.literal({offset}, ")
        else:
            self.write(f"context.emit({offset}, {_hint(node)!r}, ")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write(")")


class QueryEnvironment(ImmutableSandboxedEnvironment):
    code_generator_class = _Generator
    context_class = BindingContext
    concat = staticmethod(concat)  # type: ignore[assignment]  # Sql, not str: see sql.py

    def literal(self, offset: int, text: str) -> Sql:
        return Sql((Piece(text, offset, literal=True),))


def _hint(node: nodes.Node) -> str:
    """Name the placeholder after what the author wrote."""
    if isinstance(node, nodes.Filter) and node.node is not None:
        return _hint(node.node)
    name = node.name if isinstance(node, nodes.Name) else node.attr if isinstance(node, nodes.Getattr) else ""
    return name if _HINT.fullmatch(name) else "value"


# -- filters and functions ----------------------------------------------------------------------------------------


def _made(text: str) -> Sql:
    return Sql((Piece(text, -1, literal=False),))


def _name_text(value: object, filter_name: str) -> str:
    if not isinstance(value, str):
        raise ParameterError([Fault(f"| {filter_name} needs a text, not {type(value).__name__}")])
    return str.__str__(value)


def _property(value: object) -> Sql:
    """`{{ breakdown | property }}`: the read of a property."""
    return _made(property_text(_name_text(value, "property")))


def _column(value: object) -> Sql:
    """`{{ name | column }}`: one quoted column name."""
    return _made(column_text(_name_text(value, "column")))


def _start_of(value: object) -> Sql:
    """`{{ unit | start_of }}(timestamp)`: the name of a function, such as toStartOfWeek."""
    return _made(f"toStartOf{unit_name(_name_text(value, 'start_of'))}")


def _interval_of(value: object) -> Sql:
    """`{{ unit | interval_of }}(n)`: the name of a function, such as toIntervalWeek."""
    return _made(f"toInterval{unit_name(_name_text(value, 'interval_of'))}")


@pass_context
def _interval(context: BindingContext, value: object, count: int = 1) -> Sql:
    """`{{ window | interval }}` for a duration, `{{ unit | interval(2) }}` for a unit: an interval to add."""
    if isinstance(value, str):
        unit, amount = unit_name(value), count
    elif isinstance(value, int) and not isinstance(value, bool) and count == 1:
        unit, amount = "Second", value
    else:
        raise ParameterError([Fault("| interval needs a duration, or a unit such as 'week' and a count")])
    return _made(f"toInterval{unit}({context.binder.bound('interval', amount)})")


@pass_context
def _condition(context: BindingContext, value: object) -> Sql:
    """`{{ step | condition }}`, `{{ where | condition }}`: a boolean expression in parentheses."""
    if isinstance(value, Condition):
        return _made(condition_text(value))
    if not isinstance(value, Step):
        raise ParameterError([Fault(f"| condition needs a step or a where, not {type(value).__name__}")])
    where = f" AND {condition_text(value.where)}" if value.where else ""
    return _made(f"(event = {context.binder.bound('event', value.event)}{where})")


def _alias(*parts: object) -> Sql:
    """`{{ alias('step_', loop.index) }}`: an identifier put together."""
    if not all(isinstance(part, (str, int)) and not isinstance(part, bool) for part in parts):
        raise ParameterError([Fault("alias() takes texts and whole numbers")])
    return _made(identifier("".join(str(part) for part in parts)))


@lru_cache(maxsize=1)
def environment() -> QueryEnvironment:
    made = QueryEnvironment(
        undefined=StrictUndefined,
        loader=None,
        # nothing is folded into text while compiling
        optimized=False,
        # a line that holds only `{% ... %}` leaves no blank line behind
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name in REFUSED_FILTERS:
        del made.filters[name]
    made.filters |= {
        "property": _property,
        "column": _column,
        "interval": _interval,
        "interval_of": _interval_of,
        "start_of": _start_of,
        "condition": _condition,
    }
    made.globals = {name: made.globals[name] for name in ("range", "dict", "namespace")}
    made.globals["alias"] = _alias
    return made
