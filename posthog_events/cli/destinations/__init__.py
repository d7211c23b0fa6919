"""`posthog-events destinations`: webhook and Slack notifications, kept as files and applied to a PostHog project."""

from __future__ import annotations

from collections.abc import Mapping

import click

from posthog_events.cli.main import LazyCommand, LazyGroup

__all__ = ["COMMANDS", "destinations"]

_HERE = "posthog_events.cli.destinations."

COMMANDS: Mapping[str, LazyCommand] = {
    "apply": LazyCommand(f"{_HERE}plan", "apply", "Create and change destinations until they are what is declared."),
    "destroy": LazyCommand(f"{_HERE}switch", "destroy", "Delete managed destinations in PostHog."),
    "disable": LazyCommand(f"{_HERE}switch", "disable", "Switch managed destinations off."),
    "enable": LazyCommand(f"{_HERE}switch", "enable", "Switch managed destinations on."),
    "init": LazyCommand(f"{_HERE}files", "init", "Copy declarations of the shipped library, or list them."),
    "lint": LazyCommand(f"{_HERE}lint", "lint", "Check declarations without asking PostHog."),
    "list": LazyCommand(f"{_HERE}list", "list_", "List every destination of the project, managed or not."),
    "logs": LazyCommand(f"{_HERE}watch", "logs", "Show what a destination logged, or follow it."),
    "metrics": LazyCommand(f"{_HERE}watch", "metrics", "Count what a destination delivered, and what failed."),
    "plan": LazyCommand(f"{_HERE}plan", "plan", "Show what `apply` would change; nothing is written."),
    "pull": LazyCommand(f"{_HERE}files", "pull", "Write destinations of the project as declarations."),
    "rerun": LazyCommand(f"{_HERE}rerun", "rerun", "Deliver again what failed in a time."),
    "schema": LazyCommand(f"{_HERE}files", "schema", "Print the JSON Schema of declarations, for editors."),
    "show": LazyCommand(f"{_HERE}list", "show", "Show a destination of the project as a declaration."),
    "simulate": LazyCommand(
        f"{_HERE}simulate", "simulate", "Say what destinations would have sent for events that happened."
    ),
    "status": LazyCommand(f"{_HERE}list", "status", "Say whether destinations deliver, and how many deliveries fail."),
    "test": LazyCommand(f"{_HERE}trial", "test", "Run declarations on one event: what they would send, or sending it."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def destinations() -> None:
    """Declare, simulate, apply and watch webhook and Slack destinations."""
