"""Results on their way out: rows to stdout or a file, everything else to stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING

import click

from posthog_events.cli.options import TERMINAL, Output
from posthog_events.frames.display import wants_color
from posthog_events.frames.output import Format, format_of, write_frame

if TYPE_CHECKING:
    import polars as pl

    from posthog_events.queryfiles import QueryFile
    from posthog_events.result import QueryResult

__all__ = ["choose_format", "write_chart", "write_rows", "write_warnings"]

CHART_WIDTH = 100
"""The widest chart in a terminal: longer bars are not easier to compare."""


def choose_format(output: Output, *, terminal: bool) -> Format:
    """Return the format asked for, else that of the file's name, else a table for people and JSON Lines for programs.

    Raises:
        ConfigError: The file's ending says nothing.
    """
    if output.format is not None:
        return output.format
    if output.path is not None:
        return format_of(output.path)
    return "table" if terminal else "jsonl"


def write_rows(frame: pl.DataFrame, output: Output) -> None:
    """Write a frame where and how `output` says."""
    fmt = choose_format(output, terminal=sys.stdout.isatty())
    write_frame(frame, fmt, output.path or sys.stdout.buffer, rows=output.rows)
    if output.path is not None:
        click.echo(f"wrote {frame.height:,} rows to {output.path}", err=True)


def write_chart(frame: pl.DataFrame, target: Path, output: Output, *, file: QueryFile | None) -> None:
    """Draw the chart that the query file suggests, or the columns, into a file or below the table.

    Where stdout carries data, or nothing, the chart goes to stderr: it is for whoever is looking.
    """
    from posthog_events.frames.chart import ChartSpec
    from posthog_events.frames.chart_file import save_chart
    from posthog_events.frames.chart_terminal import render_chart

    hint = file.chart if file else None
    spec = ChartSpec(hint.kind, hint.x, hint.y, hint.color) if hint else None
    title = file.title if file else ""
    if target != TERMINAL:
        save_chart(frame, target, spec, title=title)
        click.echo(f"drew a chart to {target}", err=True)
        return
    if frame.is_empty():
        click.echo("there are no rows to draw", err=True)
        return
    beside = output.path is None and choose_format(output, terminal=sys.stdout.isatty()) == "table"
    stream = sys.stdout if beside else sys.stderr
    width = min(get_terminal_size((CHART_WIDTH, 24)).columns, CHART_WIDTH)
    text = render_chart(frame, spec, title=title, width=width, color=wants_color(stream))
    click.echo(f"\n{text}".encode(), file=stream, nl=False)  # bytes: a chart is UTF-8, as the table is


def write_warnings(result: QueryResult) -> None:
    """Tell on stderr what a reader of the rows should know."""
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    if result.cached_at is not None:
        click.echo(
            f"from PostHog's cache, computed {result.cached_at:%Y-%m-%d %H:%M:%S} UTC; --fresh asks anew", err=True
        )
    if result.truncated:
        click.echo(f"warning: more rows exist than these {result.frame.height:,}", err=True)
