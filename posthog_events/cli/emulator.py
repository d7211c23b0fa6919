"""`posthog-events emulator`: a PostHog on this machine, over a local store."""

from __future__ import annotations

import time
from pathlib import Path

import click

__all__ = ["emulator"]

SIGNAL_CHECK_S = 0.2
"""How often the wait looks for Ctrl-C, which libraries may keep from interrupting it."""


@click.command()
@click.option(
    "--store",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default="events",
    show_default=True,
    help="Serve the event store in this directory; captured events are added to it.",
)
@click.option("--seed", type=click.Choice(["demo"]), help="Build an example store there first, unless it is there.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8010,
    show_default=True,
    help="Listen on this port of 127.0.0.1; 0 takes one that is free.",
)
def emulator(store: Path, seed: str | None, port: int) -> None:
    """Serve a PostHog on this machine, for trying out scripts.

    It answers as PostHog does, limits included, over the events of a local store. What is printed on stdout points
    other commands and scripts to it; it serves until Ctrl-C.

    \b
    Example: posthog-events emulator --store demo-events --seed demo
    """
    from posthog_events.testing import emulator as serve

    if seed is not None:
        from posthog_events.cli.demo import prepare

        prepare(store, fresh=False)
    try:
        with serve(store, port=port) as served:
            for name, value in served.environment.items():
                click.echo(f"export {name}={value}")
            click.echo(f"serving the events of {store} at {served.url}; stop with Ctrl-C", err=True)
            while True:
                time.sleep(SIGNAL_CHECK_S)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
