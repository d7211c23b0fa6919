"""`posthog-events destinations lint`: declarations, checked without asking PostHog."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from posthog_events.cli.destinations.options import paths_argument, sources
from posthog_events.cli.options import report_option

if TYPE_CHECKING:
    from posthog_events.destinations import Destination
    from posthog_events.errors import Fault

__all__ = ["lint"]


@dataclass(frozen=True, slots=True)
class _Finding:
    """A fault or a warning, with its place."""

    level: str
    message: str
    code: str
    key: str | None = None
    path: Path | None = None
    line: int | None = None
    column: int | None = None


def _as_text(finding: _Finding) -> str:
    place = ":".join(str(part) for part in (finding.path, finding.line, finding.column) if part is not None)
    return f"{place or finding.key}: {finding.level}: {finding.message} [{finding.code}]"


def _as_json(finding: _Finding) -> str:
    values = {name: getattr(finding, name) for name in finding.__slots__}
    return json.dumps({**values, "path": None if finding.path is None else str(finding.path)}, ensure_ascii=False)


def _as_annotation(finding: _Finding) -> str:
    """Return a workflow command of GitHub Actions, in which %, CR and LF are escaped."""
    message = f"{finding.message} [{finding.code}]".replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    place = f"file={finding.path},line={finding.line or 1}" + (f",col={finding.column}" if finding.column else "")
    return f"::{'notice' if finding.level == 'info' else finding.level} {place}::{message}"


LINES: Mapping[str, Callable[[_Finding], str]] = {"text": _as_text, "json": _as_json, "github": _as_annotation}


@click.command()
@paths_argument
@report_option("Write findings as text, as JSON Lines, or as annotations of GitHub Actions.", list(LINES))
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
def lint(paths: Sequence[str], format_: str, strict: bool) -> None:
    """Check declarations without asking PostHog.

    Errors are what PostHog would refuse or what would lose every delivery; warnings are what it accepts and what is
    probably not meant. The exit code is 1 when there is an error.

    \b
    Example: posthog-events destinations lint destinations
    """
    findings = list(_findings(sources(paths)))
    for finding in findings:
        click.echo(LINES[format_](finding))
    levels = [finding.level for finding in findings]
    errors, warnings = levels.count("error"), levels.count("warning")
    click.echo(f"errors: {errors}, warnings: {warnings}", err=True)
    if errors or (strict and warnings):
        raise click.exceptions.Exit(1)


def _findings(declared: Sequence[Path | Destination]) -> Iterator[_Finding]:
    """Yield what is wrong in all files together, and what is doubtful in those without faults."""
    from posthog_events.destinations.linting import lint_destination

    sound, faults = _read(declared)
    for fault in faults:
        yield _Finding("error", fault.message, "declaration", None, fault.path, fault.line, fault.column)
    for destination in sound:
        for one in lint_destination(destination):
            said = f"{one.where}: {one.message}" if one.where else one.message
            yield _Finding(one.level, said, one.code, one.key, one.path, one.line)


def _read(declared: Sequence[Path | Destination]) -> tuple[list[Destination], Sequence[Fault]]:
    from posthog_events.destinations.manager import destinations_of
    from posthog_events.errors import DeclarationError

    try:
        return list(destinations_of(declared)), ()
    except DeclarationError as error:
        faulty = {fault.path for fault in error.faults}
        sound: list[Destination] = []
        for part in _files(declared):
            if part not in faulty:
                sound += destinations_of([part])
        return sound, error.faults


def _files(declared: Iterable[Path | Destination]) -> Iterator[Path | Destination]:
    """Yield each file by itself, in the order in which declarations are read."""
    from posthog_events.destinations.reading import SUFFIXES

    for one in declared:
        if isinstance(one, Path) and one.is_dir():
            yield from sorted(path for path in one.iterdir() if path.suffix in SUFFIXES and path.is_file())
        else:
            yield one
