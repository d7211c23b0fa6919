"""`posthog-events persons`: the people of a PostHog project."""

from __future__ import annotations

import click

from posthog_events.cli.options import Output, Target, output_options, project_options

__all__ = ["persons"]


@click.command()
@click.option("--search", metavar="TEXT", help="Part of a name, an email or a distinct id.")
@click.option("--email", metavar="ADDRESS", help="This email address.")
@click.option("--distinct-id", metavar="ID", help="This distinct id.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="Stop after so many.")
@project_options
@output_options
def persons(
    search: str | None, email: str | None, distinct_id: str | None, limit: int, target: Target, output: Output
) -> None:
    """List persons of a PostHog project with their properties.

    PostHog pages this list by offset, so it is for looking; for all persons, query the `persons` table.

    \b
    Example: posthog-events persons --search example.com
    """
    from posthog_events.cli.output import write_rows

    with target.connect() as connection:
        frame = connection.project.persons(search=search, email=email, distinct_id=distinct_id, limit=limit)
    write_rows(frame, output)
    if frame.height == limit:
        click.echo(f"stopped at --limit {limit:,}; there may be more", err=True)
