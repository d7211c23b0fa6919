"""`posthog-events destinations enable`, `disable` and `destroy`: managed destinations, switched by their keys."""

from __future__ import annotations

from collections.abc import Sequence

import click

from posthog_events.cli.destinations.options import agree, check_asking, yes_option
from posthog_events.cli.options import Target, project_options

__all__ = ["destroy", "disable", "enable"]

keys_argument = click.argument("keys", nargs=-1, required=True, metavar="KEY...")


@click.command()
@keys_argument
@project_options
def enable(keys: Sequence[str], target: Target) -> None:
    """Switch managed destinations on.

    \b
    Example: posthog-events destinations enable signup-slack
    """
    with target.connect() as connection:
        _tell(keys, connection.destinations.enable(*dict.fromkeys(keys)), "enabled", "was on already")


@click.command()
@keys_argument
@project_options
def disable(keys: Sequence[str], target: Target) -> None:
    """Switch managed destinations off.

    They stay off until `enable`, or until `apply` finds that their declaration says something else.

    \b
    Example: posthog-events destinations disable signup-slack
    """
    with target.connect() as connection:
        _tell(keys, connection.destinations.disable(*dict.fromkeys(keys)), "disabled", "was off already")


@click.command()
@keys_argument
@yes_option
@project_options
def destroy(keys: Sequence[str], yes: bool, target: Target) -> None:
    """Delete managed destinations in PostHog.

    PostHog keeps them hidden, with their history. `apply` makes new ones from their declarations.

    \b
    Example: posthog-events destinations destroy signup-slack --yes
    """
    check_asking(yes=yes)
    wanted = tuple(dict.fromkeys(keys))
    with target.connect() as connection:
        found = connection.destinations
        if not yes:
            named = "; ".join(f"{row.get('name')} ({row['id']})" for row in found.managed(*wanted))
            agree(f"Delete {named} in {found.api.origin}, project {found.api.project_id}?")
        _tell(keys, found.destroy(*wanted), "destroyed", "was gone already")


def _tell(keys: Sequence[str], changed: Sequence[str], done: str, nothing: str) -> None:
    for key in dict.fromkeys(keys):
        click.echo(f"{done} {key}" if key in changed else f"{key} {nothing}")
