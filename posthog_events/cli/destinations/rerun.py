"""`posthog-events destinations rerun`: what failed, delivered again."""

from __future__ import annotations

from collections.abc import Sequence

import click

from posthog_events.cli.destinations.options import agree, check_asking, find_row, yes_option
from posthog_events.cli.options import Target, project_options

__all__ = ["rerun"]


@click.command()
@click.argument("name", metavar="KEY|ID")
@click.option("--since", required=True, metavar="WHEN", help="Begin here: a date, a time, or -3h.")
@click.option("--until", default="now", show_default=True, metavar="WHEN", help="End before this.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(["failed", "succeeded", "running"]),
    default=["failed"],
    show_default=True,
    help="Only deliveries that ended so (may be given several times).",
)
@click.option("--error", "contains", metavar="TEXT", help="Only those whose error contains this.")
@click.option("--max", "most", type=click.IntRange(min=1), metavar="N", help="No more than so many.")
@yes_option
@project_options
def rerun(
    name: str,
    since: str,
    until: str,
    statuses: Sequence[str],
    contains: str | None,
    most: int | None,
    yes: bool,
    target: Target,
) -> None:
    """Deliver again what failed in a time.

    PostHog does it in the background and does not say how many there are; `metrics` and `logs` show them. A receiver
    may get a delivery twice, with the same id.

    \b
    Example: posthog-events destinations rerun signup-slack --since -3h --yes
    """
    from posthog_events.cli.moments import between
    from posthog_events.posthog.hog_function_runs import rerun as start

    check_asking(yes=yes)
    with target.connect() as connection:
        found = connection.destinations
        start_at, end = between(since, until, timezone=connection.engine.timezone, options=("--since", "--until"))
        row = find_row(found, name)
        what = f"the {' and '.join(dict.fromkeys(statuses))} deliveries of {row.get('name')} ({row['id']})"
        window = f"{start_at:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
        agree(f"Deliver {what} from {window} again?", yes=yes)
        job = start(
            found.api,
            str(row["id"]),
            since=start_at,
            until=end,
            status=tuple(dict.fromkeys(statuses)),
            error_contains=contains,
            max_count=most,
        )
    click.echo(f"PostHog delivers {what} from {window} again (job {job})")
