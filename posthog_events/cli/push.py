"""What `posthog-events local push` does: copy a store to a server, with a bar, and say what is there now."""

from __future__ import annotations

from pathlib import Path

import click

from posthog_events.cli.options import settings_from
from posthog_events.cli.progress import meter

__all__ = ["push_store"]


def push_store(directory: Path, dsn: str) -> None:
    """Copy the store in `directory` to the server at `dsn`, and print what was copied."""
    from posthog_events.clickhouse.client import Client
    from posthog_events.clickhouse.cluster import push
    from posthog_events.clickhouse.dsn import Server, parse_dsn
    from posthog_events.clickhouse.store import EventStore

    if not isinstance(parse_dsn(dsn), Server):
        raise click.UsageError("--dsn must be a server, such as clickhouse://me@warehouse/analytics.")
    password = settings_from().password
    store = EventStore.open(directory)
    catalog = store.catalog()
    with (
        Client.open(dsn, password=password.value if password else None) as target,
        Client.open("chdb://memory") as source,
        meter("events") as bar,
    ):
        # only of the events is it known beforehand how many there are
        events = store.manifest().rows

        def show(table: str, rows: int) -> None:
            bar.show(f"{table}: {rows:,} rows", done=rows if table == "events" else events, total=events)

        report = push(catalog, source=source, target=target, progress=show)
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    width = max(map(len, report.rows))
    for name, rows in report.rows.items():
        click.echo(f"{name:<{width}}  {rows:,} rows")
    click.echo(f"copied {directory} to {target.dsn} as push {report.push_id}; query it with --dsn '{target.dsn}'")
