"""`posthog-events query`: run, list, show and check query files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING

import click

from posthog_events.cli.lint import lint
from posthog_events.cli.options import (
    Output,
    Target,
    chart_option,
    engine_options,
    inline_values,
    named_values,
    output_options,
    queries_option,
    search_folders,
    settings_from,
)

if TYPE_CHECKING:
    from posthog_events.queryfiles import QueryFile

__all__ = ["query"]


@click.group()
def query() -> None:
    """Run, list, show and check query files."""


@query.command()
@click.argument("name", required=False)
@click.option("-e", "--execute", "hogql", metavar="HOGQL", help="Run this HogQL instead of a file.")
@click.option(
    "-p",
    "--param",
    "params",
    metavar="NAME=VALUE",
    multiple=True,
    callback=named_values,
    help="Set a parameter (may be given several times); a name given twice is a list.",
)
@engine_options
@output_options
@chart_option
@click.option("--no-limit", is_flag=True, help="Return every row: lift PostHog's 100 without LIMIT, and 50,000 with.")
@click.option("--allow-truncated", is_flag=True, help="Accept a result that was cut, instead of failing with exit 6.")
@click.option("--sql", "show_sql", is_flag=True, help="Print the ClickHouse SQL instead of running it.")
def run(
    name: str | None,
    hogql: str | None,
    params: Mapping[str, str | list[str]],
    target: Target,
    output: Output,
    chart: Path | None,
    no_limit: bool,
    allow_truncated: bool,
    show_sql: bool,
) -> None:
    """Run a query file, by name or path, and print its rows.

    NAME is a query in your folders or the shipped library (see `query list`), a path that ends in .sql, or - for stdin.

    \b
    Example: posthog-events query run event_counts --store events -p since=2026-01-01
    """
    from posthog_events.cli.output import write_chart, write_rows, write_warnings
    from posthog_events.queryfiles import QueryFile
    from posthog_events.result import Query

    if (name is None) == (hogql is None):
        raise click.UsageError("give either the NAME of a query file or --execute HOGQL.")
    read = hogql if name is None else _read(name, target)
    source = read if isinstance(read, QueryFile) else Query(read or "", values=inline_values(params))
    with target.connect(unlimited=no_limit) as connection:
        if show_sql:
            click.echo(connection.sql(source, params))
            return
        result = connection.run(source, params, allow_truncated=allow_truncated)
    write_warnings(result)
    write_rows(result.frame, output)
    if chart is not None:
        write_chart(result.frame, chart, output, file=source if isinstance(source, QueryFile) else None)


@query.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Show files too that one of the same name stands before.")
@queries_option
@output_options
def list_(everything: bool, queries: Sequence[Path], output: Output) -> None:
    """List the query files that can be run by name.

    \b
    Example: posthog-events query list --format csv
    """
    import polars as pl

    from posthog_events.cli.output import write_rows

    rows = list(_listed(search_folders(settings_from(queries=queries)), everything=everything))
    schema = {"name": pl.String, "title": pl.String, "source": pl.String}
    write_rows(pl.DataFrame(rows, schema=schema, orient="row"), output)


@query.command()
@click.argument("name")
@queries_option
def show(name: str, queries: Sequence[Path]) -> None:
    """Show what a query file answers, takes and returns, and its text.

    \b
    Example: posthog-events query show funnel
    """
    from posthog_events.cli.describe import describe
    from posthog_events.queryfiles import load

    file = load(name, search_folders(settings_from(queries=queries)))
    click.echo(describe(file, width=min(100, get_terminal_size().columns)), nl=False)


query.add_command(lint)


def _read(name: str, target: Target) -> QueryFile | str:
    """Return the query file that `name` means, or the HogQL that comes from stdin."""
    from posthog_events.queryfiles import load, parse_query_file

    if name != "-":
        return load(name, search_folders(target.settings))
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"stdin is not UTF-8 (byte {error.start}).") from error
    # a query file begins with its header; HogQL seldom begins with a comment
    return parse_query_file(text, "stdin") if text.lstrip().startswith("--") else text


def _listed(folders: Sequence[Path], *, everything: bool) -> Iterator[tuple[str, str, str]]:
    """Yield name, title and source of each query file."""
    from posthog_events.errors import QueryFileError
    from posthog_events.queryfiles import library_dir, list_all, read_query_file

    shipped = library_dir("queries")
    for listed in list_all(folders):
        if listed.hidden_by is not None and not everything:
            continue
        try:
            title = read_query_file(listed.path).title
        except QueryFileError as error:
            title = f"faults: {len(error.faults)}; see query lint"
        yield listed.name, title, "shipped" if listed.path.parent == shipped else str(listed.path)
