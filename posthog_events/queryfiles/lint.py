"""Check a query file without running it: with PostHog's grammar, offline.

A file with Jinja is not one query but several, so it is rendered with sample values: once with the defaults, and once
more for each other way a parameter can be (every choice, both truth values, optional ones left out, lists empty and
with two elements). Each rendering is parsed and checked; what is found is reported once, at its place in the file.
Places in literal text are exact; inside a rendered expression it is the place of its `{{`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from posthog_events.errors import (
    HogQLError,
    HogQLSyntaxError,
    ParameterError,
    QueryFileError,
    UnresolvedName,
    UnsupportedHogQL,
)
from posthog_events.queryfiles.model import MISSING, Param, QueryFile
from posthog_events.queryfiles.params import did_you_mean
from posthog_events.queryfiles.reading import read_query_file
from posthog_events.queryfiles.render import Rendered, render_traced
from posthog_events.queryfiles.rules import RULES, Problem, Severity, problems
from posthog_events.result import Query

__all__ = ["Finding", "lint"]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""Any moment will do: nothing is run."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that lint has to say; ordered by place."""

    path: Path | None
    line: int
    column: int
    rule: str
    severity: Severity
    message: str

    def __str__(self) -> str:
        return f"{self.path or '<inline>'}:{self.line}:{self.column}: {self.severity}: {self.message} [{self.rule}]"


def lint(
    source: QueryFile | Path,
    *,
    known_function: Callable[[str], str | None] | None = None,
    schema: Mapping[str, str] | None = None,
    check: Callable[[Query], None] | None = None,
) -> tuple[Finding, ...]:
    """Return what is wrong or doubtful in a query file, in the order of the file.

    Args:
        known_function: Returns a sentence when a function's name is not known, else None.
        schema: Property path (`properties.amount`) to the type of its definition; numeric ones may meet numbers.
        check: Compiles a query for an engine and raises HogQLError; finds unknown tables and columns.
    """
    try:
        file = read_query_file(source) if isinstance(source, Path) else source
    except QueryFileError as error:
        path = source if isinstance(source, Path) else source.path
        return tuple(
            Finding(path, fault.line or 1, fault.column or 1, "file", "error", fault.message) for fault in error.faults
        )
    found = set(_allowed_rules(file))
    for values in _variants(file.params):
        found.update(_check_variant(file, values, known_function, schema, check))
    return tuple(sorted(finding for finding in found if finding.rule not in file.allow))


def _allowed_rules(file: QueryFile) -> Iterator[Finding]:
    for rule in file.allow:
        if rule not in RULES:
            message = f"`allow` names an unknown rule `{rule}`{did_you_mean(rule, RULES)}"
            yield Finding(file.path, 1, 1, "file", "error", message)


def _check_variant(
    file: QueryFile,
    values: Mapping[str, object],
    known_function: Callable[[str], str | None] | None,
    schema: Mapping[str, str] | None,
    check: Callable[[Query], None] | None,
) -> Iterator[Finding]:
    from posthog_events.hogql.dropped import dropped_syntax
    from posthog_events.hogql.parser import parse_select

    try:
        rendered = render_traced(file, values, clock=lambda: _NOW, timezone="UTC")
    except (QueryFileError, ParameterError) as error:
        for fault in error.faults:
            place = (fault.line or 1, fault.column or 1)
            yield Finding(file.path, *place, "template", "error", f"{fault.message} (with {_shown(values)})")
        return
    text = rendered.query.hogql
    try:
        tree = parse_select(text, name=file.name)
    except HogQLError as error:
        yield _finding(rendered, _as_problem(error))
        return
    for problem in problems(tree, rendered.query, known_function=known_function, schema=schema):
        yield _finding(rendered, problem)
    for dropped in dropped_syntax(text):
        yield _finding(rendered, Problem("dropped", dropped.message, dropped.start))
    if check is not None:
        try:
            check(rendered.query)
        except HogQLError as error:
            yield _finding(rendered, _as_problem(error))


def _as_problem(error: HogQLError) -> Problem:
    rules = {HogQLSyntaxError: "syntax", UnresolvedName: "unknown-name", UnsupportedHogQL: "unsupported"}
    return Problem(rules.get(type(error), "unknown-name"), error.message, error.start or 0)


def _finding(rendered: Rendered, problem: Problem) -> Finding:
    line, column = rendered.place(problem.start)
    return Finding(rendered.file.path, line, column, problem.rule, RULES[problem.rule], problem.message)


def _shown(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items()) or "no parameters"


# -- sample values -------------------------------------------------------------------------------------------------


def _variants(params: Mapping[str, Param]) -> Iterator[dict[str, object]]:
    """Yield the base values, then the base with one parameter changed, for each other value of each."""
    samples = {name: _samples(param) for name, param in params.items()}
    base = {name: values[0] for name, values in samples.items()}
    yield base
    for name, values in samples.items():
        for value in values[1:]:
            yield {**base, name: value}


def _samples(param: Param) -> list[object]:
    """Return values that a parameter can have; the default, or the most telling one, first."""
    values = _typed_samples(param)
    if param.default is not MISSING and param.default is not None:
        values = [param.default, *(value for value in values if value != param.default)]
    if not param.required and param.default in (MISSING, None):
        values.append(None)
    return values


def _typed_samples(param: Param) -> list[object]:
    if element := param.element:
        sample = _typed_samples(element)[0]
        least = int(param.min or 0)
        sizes = {max(least, size) for size in (1, 2, 0) if param.max is None or max(least, size) <= param.max}
        return [[sample] * size for size in sorted(sizes, key=lambda size: (size == 0, size))]
    if param.type == "steps":
        least, most = int(param.min or 1), int(param.max or 10)
        step = {"event": "event name", "where": "properties.plan = 'pro'"}
        return [[step] * size for size in sorted({min(max(least, 3), most), least})[::-1]]
    if param.type == "choice":
        return list(param.choices)
    if param.type == "duration":
        seconds = min(max(14 * 86_400, param.min or 0), param.max or 10**9)
        return [timedelta(seconds=seconds)]
    if param.type in ("int", "float"):
        number = min(max(1, param.min or 0), param.max if param.max is not None else 10**9)
        return [int(number) if param.type == "int" else number]
    return list(_SAMPLES[param.type])


_SAMPLES: dict[str, tuple[object, ...]] = {
    "event": ("event name",),
    "property": ("plan", "person.plan"),
    "text": ("text",),
    "bool": (True, False),
    "when": ("-7d",),
    "where": ("properties.plan = 'pro'",),
}
