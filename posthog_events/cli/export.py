"""`posthog-events export`: everything that a PostHog project stored in a range, as files, with proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from posthog_events.cli.options import Target, project_options
from posthog_events.cli.progress import meter

if TYPE_CHECKING:
    from posthog_events.posthog.export import ExportProgress, Via

__all__ = ["export", "export_progress", "via_option"]

via_option = click.option(
    "--via",
    type=click.Choice(["auto", "files", "query"]),
    default="auto",
    show_default=True,
    help="File downloads, windowed queries, or queries only where there are no file downloads.",
)


@click.command()
@click.option("--from", "since", required=True, metavar="WHEN", help="Begin here: a date, a time, or -30d.")
@click.option("--to", "until", default="now", show_default=True, metavar="WHEN", help="End before this.")
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Export into this."
)
@click.option("--event", "names", multiple=True, metavar="NAME", help="Only this event (may be given several times).")
@via_option
@click.option(
    "--file-format",
    type=click.Choice(["parquet", "jsonlines"]),
    default="parquet",
    show_default=True,
    help="Parquet can be queried in place; JSON Lines are packed with gzip.",
)
@project_options
def export(since: str, until: str, out: Path, names: Sequence[str], via: Via, file_format: str, target: Target) -> None:
    """Export every event that PostHog stored in a range, and prove it.

    The range is of the time at which PostHog stored an event, which may be later than the event's own: take a few days
    more, and filter on `timestamp`. Run it again to resume, or to add another range; nothing is exported twice. With
    --via query the range is of event time.

    Parquet files can be queried where they are, with --dsn chdb://DIR, or put into a store with `local import`.

    \b
    Example: posthog-events export --from 2026-01-01 --to 2026-02-01 --out january
    """
    from posthog_events.cli.moments import between

    with target.connect() as connection, export_progress() as progress:
        project = connection.project
        zone = connection.engine.timezone
        start, end = between(since, until, timezone=zone, options=("--from", "--to"))
        report = project.export(
            out,
            since=start,
            until=end,
            include=names,
            via=via,
            format=file_format,
            compression="zstd" if file_format == "parquet" else "gzip",
            on_progress=progress,
        )
    for note in report.notes:
        click.echo(f"warning: {note}", err=True)
    for record in report.slices:
        click.echo(f"{record.start:%Y-%m-%d %H:%M} to {record.end:%Y-%m-%d %H:%M} UTC  {record.rows:,} rows")
    click.echo(
        f"{report.rows:,} rows by {report.axis} time in {len(report.files):,} files, "
        f"{report.size_bytes / 1_000_000:,.1f} MB, in {out / 'events'}; "
        f"{report.fetched:,} of {len(report.slices):,} slices are new, fetched in {report.elapsed_s:.1f} s"
    )
    if file_format == "parquet":
        click.echo(f"query them with: posthog-events query run event_counts --dsn chdb://{out}", err=True)


@contextmanager
def export_progress() -> Iterator[Callable[[ExportProgress], None]]:
    """Lend what draws an export: rows, rate and time left."""
    with meter("asking PostHog") as bar:

        def show(progress: ExportProgress) -> None:
            rate = f", {progress.rows / bar.elapsed_s:,.0f} a second" if progress.rows and bar.elapsed_s else ""
            running = f", {progress.waiting} at work" if progress.waiting else ""
            bar.show(f"{progress.rows:,} rows{rate}{running}", done=progress.share, total=1.0)

        yield show
