"""`posthog-events query lint`: query files, checked without running them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from posthog_events.cli.options import Target, engine_options, report_option

if TYPE_CHECKING:
    from posthog_events.clickhouse.catalog import Catalog
    from posthog_events.config import Settings
    from posthog_events.queryfiles import Finding
    from posthog_events.result import Query

__all__ = ["lint"]


def _as_text(finding: Finding) -> str:
    return str(finding)


def _as_json(finding: Finding) -> str:
    return json.dumps({**asdict(finding), "path": str(finding.path)}, ensure_ascii=False)


def _as_annotation(finding: Finding) -> str:
    """Return a workflow command of GitHub Actions, in which %, CR and LF are escaped."""
    message = f"{finding.message} [{finding.rule}]".replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    place = f"file={finding.path},line={finding.line},col={finding.column}"
    return f"::{finding.severity} {place}::{message}"


LINES: Mapping[str, Callable[[Finding], str]] = {"text": _as_text, "json": _as_json, "github": _as_annotation}


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@engine_options
@report_option("Write findings as text, as JSON Lines, or as annotations of GitHub Actions.", list(LINES))
def lint(paths: Sequence[Path], target: Target, format_: str) -> None:
    """Check query files with PostHog's grammar, without running them.

    PATHS are files and folders; ./queries when there are none. Tables and properties are those of the local store, when
    there is one. The exit code is 1 when there is an error; warnings leave it at 0.

    \b
    Example: posthog-events query lint queries
    """
    files = list(_sql_files(paths or (Path("queries"),)))
    findings = list(_findings(files, target.settings))
    for finding in findings:
        click.echo(LINES[format_](finding))
    errors = sum(finding.severity == "error" for finding in findings)
    click.echo(f"files: {len(files)}, errors: {errors}, warnings: {len(findings) - errors}", err=True)
    if errors:
        raise click.exceptions.Exit(1)


def _sql_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files of `paths`; a folder stands for the .sql files in it and below."""
    for path in paths:
        if not path.is_dir():
            yield path  # one that does not exist is a finding like any other fault
        elif files := sorted(path.rglob("*.sql")):
            yield from files
        else:
            raise click.UsageError(f"there are no .sql files in {path}.")


def _findings(files: Sequence[Path], settings: Settings) -> Iterator[Finding]:
    from posthog_events.queryfiles import lint as lint_file

    catalog = _catalog(settings)
    check, types = _compiler(catalog), _property_types(catalog)
    for path in files:
        yield from lint_file(path, known_function=_unknown_function, schema=types, check=check)


def _compiler(catalog: Catalog) -> Callable[[Query], None]:
    """Return what raises for a query that does not compile."""
    from posthog_events.clickhouse.compiler import CompileSettings
    from posthog_events.clickhouse.engine import compile_text

    def check(query: Query) -> None:
        compile_text(query, catalog=catalog, settings=CompileSettings())

    return check


def _catalog(settings: Settings) -> Catalog:
    """Return the tables of the local store, or else those that every store has."""
    from posthog_events.clickhouse.store import EventStore
    from posthog_events.clickhouse.store.manifest import Manifest
    from posthog_events.clickhouse.store.tables import build_catalog

    scheme, _, path = settings.dsn.value.partition("://") if settings.dsn else ("", "", "")
    if scheme == "chdb":
        return EventStore.open(path).catalog()
    return build_catalog(Path(), Manifest())


def _unknown_function(name: str) -> str | None:
    """Say what is wrong with the name of a function; one that is known but refused is left to the compiler."""
    from posthog_events.clickhouse.functions import lookup, suggest

    if lookup(name) is not None:
        return None
    close = suggest(name)
    return f"there is no function {name!r}" + (f"; did you mean {close}?" if close else "")


def _property_types(catalog: Catalog) -> dict[str, str]:
    """Return the type of each property that has one, by the path that a query reads it with."""
    columns = catalog.tables["events"].columns
    prefixes = {"properties": "properties", "person_properties": "person.properties"}
    return {
        f"{prefix}.{key}": kind.value
        for column, prefix in prefixes.items()
        for key, kind in columns[column].property_types.items()
    }
