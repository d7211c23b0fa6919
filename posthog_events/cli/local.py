"""`posthog-events local`: put events into a store on this machine, look at it, take events out again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from posthog_events.cli.options import local_store_option
from posthog_events.cli.progress import Meter, meter
from posthog_events.cli.pull import pull

if TYPE_CHECKING:
    from posthog_events.clickhouse.catalog import PropertyKind
    from posthog_events.clickhouse.store import ImportReport, Progress

__all__ = ["local"]

store_option = local_store_option("The event store.")


@click.group()
def local() -> None:
    """Keep events in a store on this machine."""


local.add_command(pull)


@local.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
@store_option
@click.option("--event", metavar="NAME", help="Column of the event's name, or one name for all events.")
@click.option("--time", metavar="COLUMN", help="Column of the event's time.")
@click.option("--user", metavar="COLUMN", help="Column of the person's distinct id.")
@click.option("--uuid", metavar="COLUMN", help="Column that identifies an event.")
@click.option("--timezone", metavar="ZONE", help="Zone of times without an offset [default: the store's].")
@click.option("--type", "types", multiple=True, metavar="KEY=TYPE", help="Type of a property; may be repeated.")
@click.option("--max-rejected", type=click.IntRange(min=0), help="Rows that may be unusable [default: one in ten].")
@click.option("--table", metavar="NAME", help="Store one file as a table: persons, groups, cohort_people or your own.")
@click.option("--dry-run", is_flag=True, help="Read and check everything, store nothing.")
def import_(
    paths: tuple[Path, ...],
    directory: Path,
    event: str | None,
    time: str | None,
    user: str | None,
    uuid: str | None,
    timezone: str | None,
    types: tuple[str, ...],
    max_rejected: int | None,
    table: str | None,
    dry_run: bool,
) -> None:
    """Import CSV, JSON Lines, JSON or Parquet files, or PostHog exports.

    What is not said about the columns is guessed, and shown. Importing a file twice adds nothing.

    \b
    Example: posthog-events local import purchases.csv --event purchase --time date --user customer_id
    """
    from posthog_events.clickhouse.store import ColumnMapping, EventStore

    store = EventStore.open_or_create(directory)
    if table is not None:
        if len(paths) != 1:
            raise click.UsageError("--table takes one file")
        rows = store.import_table(table, paths[0])
        click.echo(f"stored {rows:,} rows as the table {table} in {directory}")
        return
    mapping = ColumnMapping(event=event, time=time, user=user, uuid=uuid, timezone=timezone)
    with meter("reading") as bar:
        report = store.import_events(
            paths,
            mapping,
            types=_types(types),
            max_rejected=max_rejected,
            progress=_shown_on(bar),
            dry_run=dry_run,
        )
    _show_import(report, directory)


@local.command()
@store_option
def info(directory: Path) -> None:
    """Say what a store holds.

    \b
    Example: posthog-events local info --store events
    """
    from posthog_events.clickhouse.store import EventStore

    described = EventStore.open(directory).info()
    click.echo(f"store       {directory}")
    click.echo(f"events      {described.events:,} in {described.files:,} files, {_size(described.size_bytes)}")
    if described.first is not None and described.last is not None:
        click.echo(f"from        {described.first:%Y-%m-%d %H:%M:%S} to {described.last:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(f"people      {described.people:,}")
    click.echo(f"timezone    {described.timezone}")
    for name, rows in described.tables.items():
        click.echo(f"table       {name}, {rows:,} rows")
    for name, count in described.top_events:
        click.echo(f"event       {name}, {count:,}")
    for record in described.imports:
        click.echo(f"import      {record.id}, {record.stored:,} events, from {', '.join(record.files)}")


@local.command()
@store_option
@click.option("--set", "changes", multiple=True, metavar="KEY=TYPE", help="Set a type; person.KEY=TYPE for persons.")
def schema(directory: Path, changes: tuple[str, ...]) -> None:
    """Show the property types, or set some: String, Numeric, Boolean, DateTime, Duration.

    \b
    Example: posthog-events local schema --set amount=Numeric --set person.zip=String
    """
    from posthog_events.clickhouse.store import EventStore

    store = EventStore.open(directory)
    if changes:
        person: dict[str, PropertyKind] = {}
        event: dict[str, PropertyKind] = {}
        for key, kind in _types(changes).items():
            (person if key.startswith("person.") else event)[key.removeprefix("person.")] = kind
        store.set_types(event, person_types=person)
    manifest = store.manifest()
    for prefix, known in (("properties.", manifest.event_types), ("person.properties.", manifest.person_types)):
        for key, entry in sorted(known.items()):
            note = "" if entry.source == "inferred" else f"  ({entry.source})"
            click.echo(f"{prefix}{key}  {entry.kind}{note}")


@local.command()
@store_option
@click.option("--before", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Events before this time.")
@click.option("--event", metavar="NAME", help="Events of this name.")
@click.option("--import", "import_id", metavar="ID", help="Events that came with this import.")
@click.option("--all", "everything", is_flag=True, help="All events.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(
    directory: Path,
    before: datetime | None,
    event: str | None,
    import_id: str | None,
    everything: bool,
    yes: bool,
) -> None:
    """Remove the events that meet every condition given.

    \b
    Example: posthog-events local remove --event '$autocapture' --before 2024-01-01
    """
    from zoneinfo import ZoneInfo

    from posthog_events.clickhouse.store import EventStore

    store = EventStore.open(directory)
    limit = before and before.replace(tzinfo=ZoneInfo(store.manifest().timezone))

    def run(*, dry_run: bool) -> int:
        return store.remove(before=limit, event=event, import_id=import_id, everything=everything, dry_run=dry_run)

    if not yes:
        count = run(dry_run=True)
        if not count:
            click.echo("no event meets the conditions; nothing was removed")
            return
        click.confirm(f"Remove {count:,} of {store.manifest().rows:,} events from {directory}?", abort=True, err=True)
    click.echo(f"removed {run(dry_run=False):,} events from {directory}")


@local.command()
@store_option
@click.option("--dsn", required=True, help="The server: clickhouse://user@host/database, or with ?secure=1 for TLS.")
def push(directory: Path, dsn: str) -> None:
    """Copy a store to a ClickHouse server, where everybody can query it.

    Queries see the copy once it is complete. The copy before it is kept for queries that still run; older ones are
    dropped. Keep the password out of the command line: it is taken from POSTHOG_EVENTS_PASSWORD.

    \b
    Example: posthog-events local push --store events --dsn clickhouse://me@warehouse/analytics
    """
    from posthog_events.cli.push import push_store

    push_store(directory, dsn)


def _types(pairs: tuple[str, ...]) -> dict[str, PropertyKind]:
    from posthog_events.clickhouse.catalog import PropertyKind

    names = {kind.value.casefold(): kind for kind in PropertyKind}
    types = {}
    for pair in pairs:
        key, _, name = pair.rpartition("=")
        if not key or name.casefold() not in names:
            raise click.BadParameter(f"{pair!r} is not KEY=TYPE; types are {', '.join(PropertyKind)}")
        types[key] = names[name.casefold()]
    return types


def _shown_on(bar: Meter) -> Callable[[Progress], None]:
    def show(progress: Progress) -> None:
        text = f"{progress.path.name}: {progress.rows:,} rows"
        bar.show(text, done=progress.done_bytes, total=progress.total_bytes)

    return show


def _show_import(report: ImportReport, directory: Path) -> None:
    for file in report.files:
        click.echo(f"{file.path}: {file.shape}")
        for note in file.assumptions:
            click.echo(f"  {note}")
        click.echo(
            f"  {file.read:,} rows read, {file.stored:,} stored, {file.duplicates:,} duplicates, "
            f"{file.rejected:,} rejected"
        )
    if report.types:
        click.echo("property types (change one with: posthog-events local schema --set KEY=TYPE)")
        for key, kind in sorted(report.types.items()):
            click.echo(f"  {key}  {kind}")
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    if report.rejects is not None:
        where = "not kept, as this was a dry run" if report.dry_run else str(report.rejects)
        click.echo(f"rejected rows, with line and reason: {where}", err=True)
    if report.dry_run:
        click.echo(f"dry run: {report.stored:,} events would be added to {directory}")
    else:
        rate = report.read / report.elapsed_s if report.elapsed_s else 0
        click.echo(
            f"added {report.stored:,} events to {directory} in {report.elapsed_s:.1f} s ({rate:,.0f} rows/s); "
            f"import {report.id}"
        )


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1_000_000:,.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1000:,.1f} kB"
