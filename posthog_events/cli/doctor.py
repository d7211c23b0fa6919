"""`posthog-events doctor`: what is wrong with the set-up, and the next step."""

from __future__ import annotations

import os
from pathlib import Path

import click

from posthog_events.cli.options import posthog_options

__all__ = ["doctor"]

MARKS = {"PROBLEM": ("✗", "red"), "WARNING": ("!", "yellow"), "NOTE": ("·", "cyan"), "OK": ("✓", "green")}

PATIENCE_S = 5.0
"""A check-up does not wait for a rate limit; it reports it."""


@click.command()
@click.option("--dsn", help="Check this engine instead of the one of your settings.")
@posthog_options
def doctor(dsn: str | None, profile: str | None, max_wait_s: float | None) -> None:
    """Check settings, key, project, clocks, limits, store and packages; say what to do, most important first.

    Exits with 1 when there is a problem. Costs PostHog at most four small requests.

    \b
    Example: posthog-events doctor
    """
    from posthog_events.cli.waiting import watching
    from posthog_events.clock import utc_now
    from posthog_events.config import user_file
    from posthog_events.doctor.examine import examine
    from posthog_events.doctor.finding import Level
    from posthog_events.posthog.pace import state_directory
    from posthog_events.posthog.project import open_client

    patience = PATIENCE_S if max_wait_s is None else max_wait_s
    with watching() as observer:
        findings = examine(
            arguments={"dsn": dsn, "profile": profile},
            environ=os.environ,
            directory=Path(),
            user=user_file(),
            state=state_directory(),
            open_api=lambda target: open_client(
                target, max_wait_s=patience, max_outage_s=PATIENCE_S, observer=observer
            ),
            clock=utc_now,
        )
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        mark, colour = MARKS[finding.level.name]
        click.echo(f"{click.style(mark, fg=colour)} {finding.subject:<{width}}  {finding.message}")
        if finding.fix:
            click.echo(f"  {'':<{width}}  → {finding.fix}")
    if findings[0].level is Level.PROBLEM:
        raise click.exceptions.Exit(1)
