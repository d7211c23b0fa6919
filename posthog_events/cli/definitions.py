"""`posthog-events definitions`: which events and properties a PostHog project has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import click

from posthog_events.cli.options import Output, Target, output_options, project_options

__all__ = ["definitions"]


@click.group()
def definitions() -> None:
    """List the event names and properties of a PostHog project."""


@definitions.command()
@click.option("--search", metavar="TEXT", help="Only names that contain this.")
@project_options
@output_options
def events(search: str | None, target: Target, output: Output) -> None:
    """List event names.

    \b
    Example: posthog-events definitions events --search sign
    """
    from posthog_events.cli.output import write_rows

    with target.connect() as connection:
        frame = connection.project.event_definitions(search=search)
    write_rows(frame.drop("id"), output)


@definitions.command()
@click.option(
    "--type",
    "kind",
    type=click.Choice(["event", "person", "session"]),
    default="event",
    show_default=True,
    help="Whose properties.",
)
@click.option("--event", "names", multiple=True, metavar="NAME", help="Only those seen on this event (repeatable).")
@click.option("--search", metavar="TEXT", help="Only names that contain this.")
@project_options
@output_options
def properties(
    kind: Literal["event", "person", "session"],
    names: Sequence[str],
    search: str | None,
    target: Target,
    output: Output,
) -> None:
    """List properties and their types.

    \b
    Example: posthog-events definitions properties --event signup
    """
    from posthog_events.cli.output import write_rows

    with target.connect() as connection:
        frame = connection.project.property_definitions(type=kind, event_names=list(names) or None, search=search)
    write_rows(frame.drop("id", "is_seen_on_filtered_events"), output)
