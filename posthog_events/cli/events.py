"""`posthog-events events`: events as rows, complete, from a PostHog project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from posthog_events.cli.options import Output, Target, output_options, project_options, properties_option
from posthog_events.cli.progress import Meter, meter

if TYPE_CHECKING:
    from posthog_events.posthog.extract import Progress

__all__ = ["events"]

VERIFY_S = 60.0
"""How long an event is looked for. PostHog shows it within seconds on an ordinary day."""


@click.group()
def events() -> None:
    """List events of a PostHog project, look at single ones, and send some."""


@events.command(name="list")
@click.option("--since", default="-24h", show_default=True, metavar="WHEN", help="Begin here: a date, a time, or -7d.")
@click.option("--until", default="now", show_default=True, metavar="WHEN", help="End before this.")
@click.option("--event", "names", multiple=True, metavar="NAME", help="Only this event (may be given several times).")
@click.option(
    "--select",
    multiple=True,
    metavar="HOGQL",
    help="A column, such as properties.plan (may be given several times); several usual ones otherwise.",
)
@click.option("--where", metavar="HOGQL", help="Only events that meet this HogQL condition.")
@click.option("--rest", is_flag=True, help="Use the REST listing, for keys and servers without HogQL.")
@project_options
@output_options
def list_(
    since: str,
    until: str,
    names: Sequence[str],
    select: Sequence[str],
    where: str | None,
    rest: bool,
    target: Target,
    output: Output,
) -> None:
    """List every event of a time range, however many, and prove it.

    Pages by time and uuid in parallel, counts again at the end, and fails with exit code 6 when the server's count and
    the rows disagree. For whole months, `export` and `local pull` cost PostHog less.

    \b
    Example: posthog-events events list --since -7d --event purchase --select timestamp --select properties.amount
    """
    from posthog_events.cli.moments import between
    from posthog_events.cli.output import write_rows
    from posthog_events.posthog.project import EVENT_COLUMNS

    if rest and (select or where or len(names) > 1):
        raise click.UsageError("the REST listing has fixed columns and one event: leave out --select and --where.")
    with target.connect() as connection:
        project = connection.project
        zone = connection.engine.timezone
        start, end = between(since, until, timezone=zone, options=("--since", "--until"))
        if rest:
            listing = project.list_events(since=start, until=end, event=names[0] if names else None)
            frame = listing.frame
            proof = f"{frame.height:,} events in {listing.requests:,} requests" + (
                "" if listing.verified else f"; not verified: {listing.note}"
            )
        else:
            with meter("counting") as bar:
                extraction = project.events(
                    since=start,
                    until=end,
                    select=select or EVENT_COLUMNS,
                    names=names,
                    where=where,
                    on_progress=_shown_on(bar),
                )
                frame = extraction.frame()
            proof = str(extraction.proof)
    write_rows(frame, output)
    click.echo(proof, err=True)


@events.command()
@click.argument("uuid")
@project_options
@output_options
def get(uuid: str, target: Target, output: Output) -> None:
    """Show one event with its person.

    \b
    Example: posthog-events events get 018f3c2e-7a51-7b0c-8f3e-2d1c0b9a8f7e --format json
    """
    from posthog_events.cli.output import write_rows

    with target.connect() as connection:
        write_rows(connection.project.event(uuid), output)


@events.command()
@click.argument("key")
@click.option("--event", required=True, metavar="NAME", help="The event whose property it is.")
@click.option("--contains", metavar="TEXT", help="Only values that contain this.")
@project_options
@output_options
def values(key: str, event: str, contains: str | None, target: Target, output: Output) -> None:
    """Show values that a property of an event had lately.

    \b
    Example: posthog-events events values plan --event signup
    """
    from posthog_events.cli.output import write_rows

    with target.connect() as connection:
        write_rows(connection.project.event_values(key, event, contains=contains), output)


@events.command()
@click.argument("name")
@click.option("--user", "distinct_id", required=True, metavar="ID", help="The distinct_id of who did it.")
@properties_option
@click.option("--verify", is_flag=True, help="Wait until the event can be read back.")
@project_options
def capture(name: str, distinct_id: str, properties: dict[str, Any], verify: bool, target: Target) -> None:
    """Send one event, after checking that PostHog would not drop it without a word.

    Needs the project token, POSTHOG_PROJECT_TOKEN.

    \b
    Example: posthog-events events capture purchase --user ann -p amount=20 -p plan=pro
    """
    event = {"event": name, "distinct_id": distinct_id, "properties": properties}
    with target.connect() as connection:
        sent = connection.project.capture([event], verify_s=VERIFY_S if verify else None)
    click.echo(f"sent {name} of {distinct_id}: {sent.uuids[0]}")


def _shown_on(bar: Meter) -> Callable[[Progress], None]:
    def show(progress: Progress) -> None:
        rate = f", {progress.rows / bar.elapsed_s:,.0f} a second" if progress.rows and bar.elapsed_s else ""
        text = f"{progress.rows:,} rows{rate}, {progress.requests:,} requests"
        bar.show(text, done=progress.rows, total=progress.of or None)

    return show
