"""The `posthog-events` command: a group whose sub-commands load when they are called.

`--version` and `--help` are what shells, editors and people call most, so nothing here imports more than click; a
command's module is imported when that command runs, and an error's classes when there is an error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import click

from posthog_events.version import __version__

__all__ = ["COMMANDS", "LazyCommand", "LazyGroup", "cli", "main"]

PROGRAM = "posthog-events"
COMPLETION_VARIABLE = "_POSTHOG_EVENTS_COMPLETE"


class LazyCommand(NamedTuple):
    """Where a command lives, and the line about it in the group's help (a test compares it with the command's own)."""

    module: str
    attribute: str
    help: str


COMMANDS: Mapping[str, LazyCommand] = {
    "config": LazyCommand("posthog_events.cli.config", "config", "Show the settings in use."),
    "definitions": LazyCommand(
        "posthog_events.cli.definitions", "definitions", "List the event names and properties of a PostHog project."
    ),
    "demo": LazyCommand("posthog_events.cli.demo", "demo", "Build an example store and walk through five questions."),
    "destinations": LazyCommand(
        "posthog_events.cli.destinations",
        "destinations",
        "Declare, simulate, apply and watch webhook and Slack destinations.",
    ),
    "doctor": LazyCommand(
        "posthog_events.cli.doctor",
        "doctor",
        "Check settings, key, project, clocks, limits, store and packages; say what to do, most important first.",
    ),
    "emulator": LazyCommand(
        "posthog_events.cli.emulator", "emulator", "Serve a PostHog on this machine, for trying out scripts."
    ),
    "events": LazyCommand(
        "posthog_events.cli.events", "events", "List events of a PostHog project, look at single ones, and send some."
    ),
    "export": LazyCommand(
        "posthog_events.cli.export", "export", "Export every event that PostHog stored in a range, and prove it."
    ),
    "init": LazyCommand("posthog_events.cli.init", "init", "Create a working folder with commented examples."),
    "local": LazyCommand("posthog_events.cli.local", "local", "Keep events in a store on this machine."),
    "persons": LazyCommand(
        "posthog_events.cli.persons", "persons", "List persons of a PostHog project with their properties."
    ),
    "query": LazyCommand("posthog_events.cli.query", "query", "Run, list, show and check query files."),
    "webhooks": LazyCommand(
        "posthog_events.cli.webhooks",
        "webhooks",
        "Receive webhooks of PostHog, find lost ones, and try receivers out.",
    ),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and help, and imports one only to run it."""

    def __init__(self, *args: object, lazy: Mapping[str, LazyCommand], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # click's own signature, passed through
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names for help and completion."""
        return sorted(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command `cmd_name`."""
        if cmd_name not in self.lazy:
            return None
        import importlib

        module, attribute, _ = self.lazy[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them, which click's own would do for their help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.lazy[name].help) for name in self.list_commands(ctx)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the names that look like what was typed."""
        if args[0] not in self.lazy and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.lazy)
            hint = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(sorted(self.lazy))}."
            raise click.UsageError(f"no command {args[0]!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"{PROGRAM} {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
@click.option(
    "--record",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Record what PostHog is asked and answers, without secrets and personal data.",
)
@click.option(
    "--replay", metavar="FILE", type=click.Path(dir_okay=False), help="Take PostHog's answers from a recording."
)
@click.option("--json", is_flag=True, expose_value=False, help="Report an error as one JSON document on stdout.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.pass_context
def cli(context: click.Context, record: str | None, replay: str | None) -> None:
    """Answer questions about PostHog events with HogQL query files, on PostHog or on this machine.

    --json and --debug may stand anywhere on the line.

    \b
    Example: posthog-events query run event_counts --store events
    """
    if record or replay:
        from posthog_events.cli.recording import tape

        context.with_resource(tape(context, record=record, replay=replay))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; the only place where exceptions become messages."""
    args, flags = _split_flags(sys.argv[1:] if argv is None else argv)
    try:
        if instruction := os.environ.get(COMPLETION_VARIABLE):
            from click.shell_completion import shell_complete

            return shell_complete(cli, {}, PROGRAM, COMPLETION_VARIABLE, instruction)
        # not cli.main(): click would turn Ctrl-C and a closed pipe into exit 1 before we see them
        with cli.make_context(PROGRAM, args) as context:
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except BaseException as error:
        from posthog_events.cli.errors import report

        return report(error, as_json="--json" in flags, debug="--debug" in flags)
    return 0


def _split_flags(argv: Sequence[str]) -> tuple[list[str], set[str]]:
    """Take `--json` and `--debug` out of the arguments, up to a `--`, so that they work after a command's name too."""
    end = argv.index("--") if "--" in argv else len(argv)
    flags = {"--json", "--debug"}.intersection(argv[:end])
    return [arg for arg in argv[:end] if arg not in flags] + list(argv[end:]), flags
