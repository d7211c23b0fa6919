"""`posthog-events webhooks`: receiving what destinations send, and trying it out."""

from __future__ import annotations

from collections.abc import Mapping

import click

from posthog_events.cli.main import LazyCommand, LazyGroup

__all__ = ["COMMANDS", "webhooks"]

_HERE = "posthog_events.cli.webhooks."

COMMANDS: Mapping[str, LazyCommand] = {
    "forward": LazyCommand(f"{_HERE}send", "forward", "Send a delivery of the inbox to another address, signed anew."),
    "inbox": LazyCommand(f"{_HERE}inbox", "inbox", "Look at what was received, and try again what failed."),
    "listen": LazyCommand(f"{_HERE}listen", "listen", "Print deliveries as they come, while developing."),
    "reconcile": LazyCommand(
        f"{_HERE}reconcile", "reconcile", "Find deliveries that never arrived, and make up for them."
    ),
    "serve": LazyCommand(f"{_HERE}serve", "serve", "Receive webhooks, and run the handlers of a Python file."),
    "trigger": LazyCommand(f"{_HERE}send", "trigger", "Send a sample of an event to a receiver, as PostHog would."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def webhooks() -> None:
    """Receive webhooks of PostHog, find lost ones, and try receivers out."""
