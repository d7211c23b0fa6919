"""`posthog-events local pull`: bring a local store up to date with a PostHog project."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from posthog_events.cli.export import export_progress, via_option
from posthog_events.cli.options import Target, local_store_option, project_options

if TYPE_CHECKING:
    from posthog_events.posthog.export import Via

__all__ = ["pull"]


@click.command()
@local_store_option("The event store; it is made when there is none.")
@click.option("--from", "since", metavar="WHEN", help="Begin here: a date, a time, or -30d; needed the first time.")
@click.option(
    "--lookback",
    "lookback_days",
    type=click.FloatRange(min=0),
    default=3.0,
    show_default=True,
    metavar="DAYS",
    help="Begin so long before the end of the last pull, for events that came late.",
)
@via_option
@click.option("--other-projects", is_flag=True, help="Let the store hold the events of several projects.")
@project_options
def pull(
    directory: Path, since: str | None, lookback_days: float, via: Via, other_projects: bool, target: Target
) -> None:
    """Add to a local store what PostHog has stored since the last pull, each event once.

    The types of property definitions come along. If it is interrupted, run it again: it goes on where it was.

    \b
    Example: posthog-events local pull --store events --from 2026-01-01
    """
    from posthog_events.cli.moments import moment
    from posthog_events.clickhouse.store import EventStore
    from posthog_events.errors import StoreNotFound

    with target.connect() as connection:
        zone = connection.engine.timezone
        begin = None if since is None else moment(since, timezone=zone, option="--from")
        try:
            store = EventStore.open(directory)
        except StoreNotFound:
            if begin is None:
                raise click.UsageError(
                    f"there is no store at {directory} yet: say from when on, with --from."
                ) from None
            store = EventStore.create(directory, timezone=zone)
        with export_progress() as progress:
            report = connection.project.pull(
                store,
                since=begin,
                lookback=timedelta(days=lookback_days),
                via=via,
                other_projects=other_projects,
                on_export=progress,
            )
    imported = report.imported
    for warning in (*report.export.notes, *imported.warnings):
        click.echo(f"warning: {warning}", err=True)
    if imported.rejects is not None:
        click.echo(f"{imported.rejected:,} rows are no events for a store; see {imported.rejects}", err=True)
    click.echo(
        f"added {imported.stored:,} events to {directory}, which had {imported.duplicates:,} of the rows already; "
        f"it is up to date until {report.position:%Y-%m-%d %H:%M} UTC"
    )
