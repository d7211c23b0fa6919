"""`posthog-events destinations list`, `show` and `status`: what a project has, and whether it delivers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from posthog_events.cli.destinations.options import find_row, find_rows, say_note
from posthog_events.cli.options import Output, Target, output_options, project_options

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from posthog_events.posthog.http import Api

__all__ = ["list_", "show", "status"]

Row = Mapping[str, Any]

LAST_DAY: Final = "-24h"
DEFAULT_LEAST: Final = 20


@click.command(name="list")
@project_options
@output_options
def list_(target: Target, output: Output) -> None:
    """List every destination of the project, managed or not.

    Managed ones are those that `apply` made or took over; only they have a key.

    \b
    Example: posthog-events destinations list --format csv
    """
    import polars as pl

    from posthog_events.cli.output import choose_format, write_rows

    with target.connect() as connection:
        rows = connection.destinations.rows()
    schema = {
        "key": pl.String,
        "name": pl.String,
        "kind": pl.String,
        "enabled": pl.Boolean,
        "state": pl.String,
        "managed": pl.Boolean,
        "id": pl.String,
    }
    frame = pl.DataFrame([_listed(row) for row in _ordered(rows)], schema=schema, orient="row")
    if choose_format(output, terminal=sys.stdout.isatty()) == "table":
        # a table has to leave room for ids; `off` says the one, and a key the other
        frame = frame.drop("enabled", "managed")
    write_rows(frame, output)


@click.command()
@click.argument("name", metavar="KEY|ID")
@click.option("--raw", is_flag=True, help="Show PostHog's own JSON, with (secret) in the place of secrets.")
@project_options
def show(name: str, raw: bool, target: Target) -> None:
    """Show a destination of the project as a declaration.

    \b
    Example: posthog-events destinations show signup-slack
    """
    from posthog_events.destinations.diff import redacted
    from posthog_events.destinations.pulling import destination_of
    from posthog_events.destinations.writing import yaml_of
    from posthog_events.errors import ConfigError

    with target.connect() as connection:
        row = find_row(connection.destinations, name)
    if raw:
        click.echo(json.dumps(redacted(row), indent=2, ensure_ascii=False))
        return
    pulled = destination_of(row)
    if pulled.destination is None:
        raise ConfigError(f"{name} cannot be declared: {'; '.join(pulled.reasons)}. --raw shows it as PostHog does")
    for note in pulled.notes:
        say_note(note)
    for variable in pulled.variables:
        say_note(f"to be set before it is applied: {variable}")
    click.echo(yaml_of([pulled.destination]), nl=False)


def _share(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Read `5%` or `0.05`."""
    if text is None:
        return None
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise click.BadParameter(f"{text!r} is no share; write 5% or 0.05", context, parameter)
    return share


@click.command()
@click.argument("names", nargs=-1, metavar="[KEY|ID]...")
@click.option("--since", metavar="WHEN", help="Count deliveries and failures too, from here on: a time, or -24h.")
@click.option("--all", "everything", is_flag=True, help="Look at those too that are not managed.")
@click.option(
    "--alarm-rate",
    metavar="SHARE",
    callback=_share,
    help="Show only those of which more than this share fails (5%), and exit with 1 when there is one.",
)
@click.option(
    "--min-triggered",
    metavar="N",
    type=click.IntRange(min=1),
    default=DEFAULT_LEAST,
    show_default=True,
    help="With --alarm-rate: fewer events than this prove nothing.",
)
@project_options
@output_options
def status(
    names: Sequence[str],
    since: str | None,
    everything: bool,
    alarm_rate: float | None,
    min_triggered: int,
    target: Target,
    output: Output,
) -> None:
    """Say whether destinations deliver, and how many deliveries fail.

    Those named, otherwise every managed one. PostHog's own state is about speed: a destination can be healthy there
    while everything it sends is refused. --since and --alarm-rate (which looks at the last 24 hours unless --since says
    otherwise) count failures, with one request for each destination.

    \b
    Example: posthog-events destinations status --since -24h
    """
    from posthog_events.cli.moments import between
    from posthog_events.cli.output import write_rows

    if names and everything:
        raise click.UsageError("--all is for every destination: leave out the names.")
    with target.connect() as connection:
        found = connection.destinations
        rows = find_rows(found, names) if names else _ordered(found.rows() if everything else found.managed())
        if since is None and alarm_rate is None:
            write_rows(_states(rows), output)
            return
        zone = connection.engine.timezone
        start, end = between(since or LAST_DAY, "now", timezone=zone, options=("--since", "now"))
        if alarm_rate is None:
            write_rows(_rates(found.api, rows, start, end), output)
            return
        alarmed = _alarms(found.api, rows, start, end, threshold=alarm_rate, least=min_triggered)
    write_rows(alarmed, output)
    if alarmed.height:
        raise click.ClickException(
            f"{alarmed.height} of {len(rows)} destinations need somebody: {', '.join(alarmed['key'])}. "
            "`posthog-events destinations logs KEY --level ERROR` says why"
        )


def _ordered(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the managed ones by key, and then the others by name."""
    from posthog_events.destinations.matching import key_of

    return sorted(rows, key=lambda row: (key_of(row) is None, key_of(row) or "", str(row.get("name")), row["id"]))


def _name(row: Row) -> str:
    return str(row.get("name") or "")


def _called(row: Row) -> str:
    """Return how the commands call a destination: by its key, or its id."""
    from posthog_events.destinations.matching import key_of

    return key_of(row) or str(row["id"])


def _listed(row: Row) -> tuple[str | None, str, str, bool, str, bool, str]:
    from posthog_events.destinations.matching import key_of
    from posthog_events.destinations.pulled_rows import template_of
    from posthog_events.destinations.watching import status_text

    key = key_of(row)
    kind = template_of(row).removeprefix("template-") or "own code"
    enabled = bool(row.get("enabled"))
    return key, _name(row), kind, enabled, status_text(row).word, key is not None, str(row["id"])


def _states(rows: Iterable[Row]) -> pl.DataFrame:
    import polars as pl

    from posthog_events.destinations.watching import status_text

    described = [(row, status_text(row)) for row in rows]
    table = [(_called(row), _name(row), one.word, one.meaning, one.hint) for row, one in described]
    columns = ("key", "name", "state", "meaning", "hint")
    return pl.DataFrame(table, schema=dict.fromkeys(columns, pl.String), orient="row")


def _rates(api: Api, rows: Iterable[Row], since: datetime, until: datetime) -> pl.DataFrame:
    import polars as pl

    from posthog_events.destinations.watching import failure_rate, status_text

    table = []
    for row in rows:
        rate = failure_rate(api, str(row["id"]), since=since, until=until)
        lost = sum(rate.lost.values())
        table.append((_called(row), _name(row), status_text(row).word, rate.triggered, rate.failed, rate.value, lost))
    schema = {
        "key": pl.String,
        "name": pl.String,
        "state": pl.String,
        "triggered": pl.Int64,
        "failed": pl.Int64,
        "failure_rate": pl.Float64,
        "lost": pl.Int64,
    }
    return pl.DataFrame(table, schema=schema, orient="row")


def _alarms(
    api: Api, rows: Sequence[Row], since: datetime, until: datetime, *, threshold: float, least: int
) -> pl.DataFrame:
    import polars as pl

    from posthog_events.destinations.watching import alarms

    called = {str(row["id"]): _called(row) for row in rows}
    found = alarms(api, rows, since=since, until=until, threshold=threshold, min_triggered=least)
    table = [
        (called[one.id], one.name, one.rate.triggered, one.rate.failed, one.rate.value, "; ".join(one.reasons))
        for one in found
    ]
    schema = {
        "key": pl.String,
        "name": pl.String,
        "triggered": pl.Int64,
        "failed": pl.Int64,
        "failure_rate": pl.Float64,
        "reasons": pl.String,
    }
    return pl.DataFrame(table, schema=schema, orient="row")
