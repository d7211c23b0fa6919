"""The body of a query file as a Jinja template whose output is `Sql`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from jinja2 import Template, TemplateError, TemplateSyntaxError, meta, nodes

from posthog_events.errors import ParameterError
from posthog_events.queryfiles.binder import Binder
from posthog_events.queryfiles.environment import (
    REFUSED_FILTERS,
    BindingContext,
    QueryEnvironment,
    TemplateFault,
    environment,
)
from posthog_events.queryfiles.sql import SqlText, concat

__all__ = ["Body", "TemplateFault", "analyse", "render_body"]

_STATEMENTS = (
    nodes.Output,
    nodes.For,
    nodes.If,
    nodes.Macro,
    nodes.CallBlock,
    nodes.Assign,
    nodes.AssignBlock,
    nodes.With,
    nodes.Scope,
)

_PLAIN = re.compile(r"(?<!\{)\{\s*([A-Za-z_]\w*)\s*([.}])", re.ASCII)
_GLUE = re.compile(r"[\s,()]*(AND|OR|UNION ALL)?[\s,()]*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Body:
    """A body that has been parsed.

    Args:
        template: None when there are faults.
        names: Names it takes from outside, each with its first offset.
        plain: Names of HogQL's own `{placeholders}`, with first offsets; `{filters.x}` counts as `filters`.
        faults: What is wrong in it.
    """

    template: Template | None
    names: Mapping[str, int]
    plain: Mapping[str, int]
    faults: tuple[TemplateFault, ...]


# -- reading a body ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def analyse(body: str) -> Body:
    """Parse a body (line ends `\\n`) and find everything wrong in it that does not depend on values."""
    env = environment()
    try:
        tree = env.parse(body)
        tokens = list(_offsets(env, body))
        faults = list(_refused_parts(tree, body, env))
        names = {name: _first_use(tree, body, name) for name in meta.find_undeclared_variables(tree)}
        if not faults and not _place(tree, tokens):
            faults.append(TemplateFault("template: write {{ ... }} instead of {% print %}", 0))
        template = None if faults else env.from_string(tree)
    except TemplateSyntaxError as error:
        fault = TemplateFault(f"template: {error.message}", _line_start(body, error.lineno))
        return Body(None, {}, {}, (fault,))
    except (SyntaxError, RecursionError) as error:  # Python's own limits on nesting
        return Body(None, {}, {}, (TemplateFault(f"template: too deeply nested ({error})", 0),))
    plain: dict[str, int] = {}
    for data, start in ((value, offset) for kind, value, offset in tokens if kind == "data"):
        for match in _PLAIN.finditer(data):
            plain.setdefault(match[1], start + match.start())
    return Body(template, names, plain, tuple(sorted(faults, key=lambda fault: fault.offset)))


def _offsets(env: QueryEnvironment, body: str) -> Iterator[tuple[str, str, int]]:
    """Yield the template's tokens with their offsets. Between two tokens only trimmed whitespace is left out."""
    position = 0
    for _, kind, value in env.lex(body):
        start = body.index(value, position)
        yield kind, value, start
        position = start + len(value)


def _place(tree: nodes.Template, tokens: list[tuple[str, str, int]]) -> bool:
    """Give every part of the output its offset in the body; False when parts and tokens do not match up."""
    texts = [offset for kind, _, offset in tokens if kind == "data"]
    expressions = [offset for kind, _, offset in tokens if kind == "variable_begin"]
    children = [child for output in tree.find_all(nodes.Output) for child in output.nodes]
    found_texts = [child for child in children if isinstance(child, nodes.TemplateData)]
    found_expressions = [child for child in children if not isinstance(child, nodes.TemplateData)]
    if (len(texts), len(expressions)) != (len(found_texts), len(found_expressions)):
        return False
    for child, offset in zip(found_texts + found_expressions, texts + expressions, strict=True):
        child.offset = offset  # type: ignore[attr-defined]  # the only way to hand it to the code generator
    return True


def _refused_parts(tree: nodes.Template, body: str, env: QueryEnvironment) -> Iterator[TemplateFault]:
    for node in tree.find_all(nodes.Stmt):
        if not isinstance(node, _STATEMENTS):
            word = {"FilterBlock": "filter", "FromImport": "import"}.get(
                type(node).__name__, type(node).__name__.lower()
            )
            message = f"template: {{% {word} %}} is not used in query files; one file is one query"
            yield TemplateFault(message, _line_start(body, node.lineno))
    for call in tree.find_all((nodes.Filter, nodes.Test)):
        known = env.filters if isinstance(call, nodes.Filter) else env.tests
        if call.name not in known:
            yield TemplateFault(_unknown(call, call.name, known), _offset_of(body, call.lineno, call.name))
            # stands for it while the rest of the faults are looked for
            call.name = "string"
    for output in tree.find_all(nodes.Output):
        for child in output.nodes:
            if any(isinstance(part.value, str) and _GLUE.fullmatch(part.value) for part in _constants(child)):
                message = (
                    "template: a text in {{ ... }} is a bound value; to put SQL there, write {% if ... %}, {% endif %}"
                )
                yield TemplateFault(message, _line_start(body, child.lineno))


def _constants(node: nodes.Node) -> Iterator[nodes.Const]:
    """Yield the constants that `node` may come to as a whole."""
    if isinstance(node, nodes.Const):
        yield node
    elif isinstance(node, nodes.CondExpr):
        yield from _constants(node.expr1)
        if node.expr2 is not None:
            yield from _constants(node.expr2)


def _unknown(call: nodes.Expr, name: str, known: Collection[str]) -> str:
    if name in (*REFUSED_FILTERS, "raw"):
        return f"template: there is no filter `{name}`; every value is bound, so nothing needs it"
    what = "filter" if isinstance(call, nodes.Filter) else "test"
    close = get_close_matches(name, known, n=1)
    return f"template: there is no {what} `{name}`" + (f"; did you mean `{close[0]}`?" if close else "")


def _first_use(tree: nodes.Template, body: str, name: str) -> int:
    lines = [node.lineno for node in tree.find_all(nodes.Name) if node.name == name]
    return _offset_of(body, min(lines), name) if lines else 0


def _line_start(body: str, line: int) -> int:
    return sum(len(text) + 1 for text in body.split("\n")[: line - 1])


def _offset_of(body: str, line: int, word: str) -> int:
    """The first place of `word` in the line: Jinja itself knows lines only."""
    start = _line_start(body, line)
    match = re.compile(rf"\b{re.escape(word)}\b").search(body, start)
    return match.start() if match else start


# -- rendering -----------------------------------------------------------------------------------------------------


def render_body(body: str, values: Mapping[str, object], binder: Binder) -> SqlText:
    """Render a body that has no faults.

    Raises:
        TemplateFault: An expression fails, or a value has no place where it stands.
    """
    template = analyse(body).template
    assert template is not None, "a QueryFile exists only without faults"
    context = template.new_context(dict(values))
    assert isinstance(context, BindingContext)
    context.binder = binder
    try:
        text = SqlText(concat(template.root_render_func(context)))
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RuntimeError) as error:
        # whatever a template's expression can raise; a fault of ours would be among the causes
        message = error.faults[0].message if isinstance(error, ParameterError) else str(error)
        raise TemplateFault(f"template: {message}", _line_start(body, _failing_line(template, error))) from error
    misplaced = text.misplaced()
    if misplaced is not None:
        message = "this stands inside quotes, a name or a comment, where nothing is bound; take the quotes away"
        raise TemplateFault(f"template: {message}", misplaced)
    return text


def _failing_line(template: Template, error: BaseException) -> int:
    line, step = 1, error.__traceback__
    while step is not None:
        if (
            step.tb_frame.f_globals.get("__jinja_template__") is template
            or step.tb_frame.f_code.co_filename == "<template>"
        ):
            line = template.get_corresponding_lineno(step.tb_lineno)
        step = step.tb_next
    return line
