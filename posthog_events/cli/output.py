"""Results on their way out: rows to stdout or a file, everything else to stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from posthog_events.cli.options import Output
from posthog_events.frames.output import Format, format_of, write_frame

if TYPE_CHECKING:
    import polars as pl

    from posthog_events.result import QueryResult

__all__ = ["choose_format", "write_rows", "write_warnings"]


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


def write_warnings(result: QueryResult) -> None:
    """Tell on stderr what a reader of the rows should know."""
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    if result.truncated:
        click.echo(f"warning: more rows exist than these {result.frame.height:,}", err=True)
