"""`posthog-events destinations logs` and `metrics`: what a destination did."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from posthog_events.cli.destinations.options import find_row
from posthog_events.cli.options import Output, Target, chart_option, output_options, project_options
from posthog_events.frames.display import wants_color

if TYPE_CHECKING:
    from posthog_events.posthog.hog_function_runs import Interval, LogLine

__all__ = ["logs", "metrics"]

LEVELS: Final = ("DEBUG", "LOG", "INFO", "WARN", "ERROR")
COLOURS: Final = {"WARN": "yellow", "ERROR": "red", "DEBUG": "bright_black"}


@click.command()
@click.argument("name", metavar="KEY|ID")
@click.option("--since", default="-24h", show_default=True, metavar="WHEN", help="Begin here: a date, a time, or -3h.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is logged from now on, until Ctrl-C.")
@click.option(
    "--level",
    "levels",
    multiple=True,
    type=click.Choice(LEVELS, case_sensitive=False),
    help="Only lines of this level (may be given several times).",
)
@click.option("--search", metavar="TEXT", help="Only lines that contain this.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "jsonl"]),
    help="Print lines for people, or JSON Lines: for people on a terminal unless told otherwise.",
)
@project_options
def logs(
    name: str,
    since: str,
    follow: bool,
    levels: Sequence[str],
    search: str | None,
    format_: str | None,
    target: Target,
) -> None:
    """Show what a destination logged, or follow it.

    The oldest lines come first. --follow asks PostHog every five seconds.

    \b
    Example: posthog-events destinations logs signup-slack --since -3h --level ERROR
    """
    from posthog_events.cli.moments import moment
    from posthog_events.clock import utc_now
    from posthog_events.destinations import watching
    from posthog_events.posthog import hog_function_runs

    with target.connect() as connection:
        api = connection.destinations.api
        start = moment(since, timezone=connection.engine.timezone, option="--since")
        id_ = str(find_row(connection.destinations, name)["id"])
        lines: Iterator[LogLine]
        if follow:
            endless = watching.follow(api, id_, since=start, sleep=time.sleep, clock=utc_now, levels=levels)
            lines = (line for line in endless if search is None or search.casefold() in line.message.casefold())
        else:
            lines = reversed(list(hog_function_runs.logs(api, id_, since=start, levels=levels, search=search)))
        as_json = (format_ or ("text" if sys.stdout.isatty() else "jsonl")) == "jsonl"
        try:
            for line in lines:
                click.echo(_as_json(line) if as_json else _as_text(line, color=wants_color(sys.stdout)))
        except KeyboardInterrupt:
            if not follow:
                raise
            click.echo("stopped", err=True)  # which is how following ends


def _as_json(line: LogLine) -> str:
    values = {
        "time": line.at.isoformat(),
        "level": line.level,
        "message": line.message,
        "instance_id": line.instance_id,
    }
    return json.dumps(values, ensure_ascii=False)


def _as_text(line: LogLine, *, color: bool) -> str:
    text = f"{line.at:%Y-%m-%d %H:%M:%S} {line.level:<5} {line.message}"
    return click.style(text, fg=COLOURS[line.level]) if color and line.level in COLOURS else text


@click.command()
@click.argument("name", metavar="KEY|ID")
@click.option("--since", default="-7d", show_default=True, metavar="WHEN", help="Begin here: a date, a time, or -24h.")
@click.option("--until", default="now", show_default=True, metavar="WHEN", help="End before this.")
@click.option(
    "--interval",
    type=click.Choice(["hour", "day", "week"]),
    default="day",
    show_default=True,
    help="Count for each of these; they begin in UTC.",
)
@project_options
@output_options
@chart_option
def metrics(
    name: str, since: str, until: str, interval: Interval, target: Target, output: Output, chart: Path | None
) -> None:
    """Count what a destination delivered, and what failed.

    One row for each interval and metric that was counted at all: triggered, succeeded, failed, filtered, masked, ...

    \b
    Example: posthog-events destinations metrics signup-slack --since -24h --interval hour
    """
    from posthog_events.cli.moments import between
    from posthog_events.cli.output import write_chart, write_rows
    from posthog_events.posthog import hog_function_runs

    with target.connect() as connection:
        api = connection.destinations.api
        start, end = between(since, until, timezone=connection.engine.timezone, options=("--since", "--until"))
        id_ = str(find_row(connection.destinations, name)["id"])
        frame = hog_function_runs.metrics(api, id_, since=start, until=end, interval=interval)
    write_rows(frame, output)
    if chart is not None:
        write_chart(frame, chart, output, file=None)
