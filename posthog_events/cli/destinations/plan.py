"""`posthog-events destinations plan` and `apply`: from declarations to a PostHog project, seen before it happens."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from posthog_events.cli.destinations.options import (
    agree,
    check_asking,
    coloured,
    paths_argument,
    say_note,
    sources,
    yes_option,
)
from posthog_events.cli.options import Target, project_options, report_option
from posthog_events.frames.display import wants_color

if TYPE_CHECKING:
    from posthog_events.destinations import Destination
    from posthog_events.destinations.apply import ApplyReport, OnFailure, Outcome
    from posthog_events.destinations.manager import Destinations
    from posthog_events.destinations.plan import Plan, Prune

__all__ = ["apply", "plan"]

EXIT_PENDING: Final = 3

Command = TypeVar("Command", bound=Callable[..., Any])


def _adoptions(
    context: click.Context, parameter: click.Parameter, pairs: Sequence[str]
) -> Mapping[str, str | None] | None:
    adopt: dict[str, str | None] = {}
    for pair in pairs:
        key, equals, id_ = pair.partition("=")
        if not key or (equals and not id_):
            raise click.BadParameter(f"{pair!r} is not KEY or KEY=ID", context, parameter)
        if key in adopt:
            raise click.BadParameter(f"{key} is given twice", context, parameter)
        adopt[key] = id_ or None
    return adopt or None


def change_options(command: Command) -> Command:
    """Add --adopt and --prune."""
    command = click.option(
        "--prune",
        type=click.Choice(["disable", "delete"]),
        help="Disable or delete managed destinations that these declarations do not name.",
    )(command)
    return click.option(
        "--adopt",
        metavar="KEY[=ID]",
        multiple=True,
        callback=_adoptions,
        help="Take over the unmanaged destination that sends to the same URL path, or the one with this id "
        "(may be given several times).",
    )(command)


@click.command()
@paths_argument
@change_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save the plan as JSON, for `apply --plan`; it holds no secret.",
)
@report_option("Print the plan for people, for a pull request, or for programs.", ["text", "markdown", "json"])
@click.option("--exit-code", is_flag=True, help="Exit with 3 when there is something to change.")
@project_options
def plan(
    paths: Sequence[str],
    adopt: Mapping[str, str | None] | None,
    prune: Prune | None,
    output: Path | None,
    format_: str,
    exit_code: bool,
    target: Target,
) -> None:
    """Show what `apply` would change; nothing is written.

    PATHs are files and folders of declarations, keys, or names of the shipped library; ./destinations when there are
    none.

    \b
    Example: posthog-events destinations plan destinations --output plan.json
    """
    from posthog_events.destinations.plan_file import markdown_of, plan_bytes, save_plan

    declared = _declared(paths, prune)
    with target.connect() as connection:
        made = connection.destinations.plan(*declared, adopt=adopt, prune=prune)
    if format_ == "json":
        click.echo(plan_bytes(made), nl=False)
    elif format_ == "markdown":
        click.echo(markdown_of(made), nl=False)
    else:
        click.echo(coloured(str(made), color=wants_color(sys.stdout)))
    if output is not None:
        save_plan(made, output)
        click.echo(f"saved the plan; carry it out with: posthog-events destinations apply --plan {output}", err=True)
    if exit_code and made.changes:
        raise click.exceptions.Exit(EXIT_PENDING)


@click.command()
@paths_argument
@click.option(
    "--plan",
    "saved",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Carry out this saved plan, unless something has changed since.",
)
@change_options
@click.option(
    "--on-failure",
    type=click.Choice(["stop", "continue"]),
    default="stop",
    show_default=True,
    help="What to do after a destination that failed.",
)
@report_option("Print outcomes for people, or as JSON Lines.")
@yes_option
@project_options
def apply(
    paths: Sequence[str],
    saved: Path | None,
    adopt: Mapping[str, str | None] | None,
    prune: Prune | None,
    on_failure: OnFailure,
    format_: str,
    yes: bool,
    target: Target,
) -> None:
    """Create and change destinations until they are what is declared.

    Shows the plan and asks first, unless --yes or a saved --plan is given. Applying again changes nothing.

    \b
    Example: posthog-events destinations apply destinations --yes
    """
    if saved is not None and (paths or adopt or prune):
        raise click.UsageError("a saved plan says everything: give --plan alone, or PATHs, --adopt and --prune.")
    declared = () if saved is not None else _declared(paths, prune)
    if saved is None:
        check_asking(yes=yes, otherwise=", or save a plan (plan --output FILE) and apply that (apply --plan FILE)")
    with target.connect() as connection:
        found = connection.destinations
        if saved is not None:
            report = found.apply_plan(saved, on_failure=on_failure, on_outcome=_told(format_))
        elif yes:
            report = found.apply(
                *declared, adopt=adopt, prune=prune, on_failure=on_failure, on_outcome=_told(format_, notes=True)
            )
        else:
            made = _agreed(found, declared, adopt, prune)
            report = found.apply_plan(made, on_failure=on_failure, on_outcome=_told(format_))
    if format_ == "text":
        click.echo(f"{report.summary}.")
    if not report.ok:
        raise _incomplete(report)


def _declared(paths: Sequence[str], prune: Prune | None) -> tuple[Path | Destination, ...]:
    from posthog_events.destinations.library import library_folder

    declared = sources(paths)
    if prune and (partial := [name for name in paths if not Path(name).exists()]):
        raise click.UsageError(
            f"--prune is for whatever the declarations do not name, and {partial[0]} is only one of them: give files "
            "and folders."
        )
    for one in declared:
        if isinstance(one, Path) and one.parent.resolve() == library_folder().resolve():
            say_note(f"{one.stem} is an example: `posthog-events destinations init {one.stem}` copies it to be changed")
    return declared


def _agreed(
    found: Destinations,
    declared: Sequence[Path | Destination],
    adopt: Mapping[str, str | None] | None,
    prune: Prune | None,
) -> Plan:
    """Make a plan and return it when a person has seen it and agrees; one without changes needs no answer."""
    made = found.plan(*declared, adopt=adopt, prune=prune)
    click.echo(coloured(str(made), color=wants_color(sys.stderr)), err=True)
    if made.changes:
        agree(f"Apply to {made.origin}, project {made.project_id}?")
    return made


def _told(format_: str, *, notes: bool = False) -> Callable[[Outcome], None]:
    """Return what prints each outcome when it is there; `notes` are for those who have not seen the plan."""

    def tell(outcome: Outcome) -> None:
        if format_ == "json":
            click.echo(json.dumps(_as_json(outcome), ensure_ascii=False))
        elif outcome.result != "unchanged":
            click.echo(str(outcome))
        for note in outcome.step.notes if notes else ():
            say_note(f"{outcome.step.key}: {note}")

    return tell


def _incomplete(report: ApplyReport) -> Exception:
    """Return what a report with failures is as an error; scripts wait or stop by the exit code of the first two."""
    from posthog_events.errors import NotAuthorised, RateLimited

    failed = [outcome for outcome in report.outcomes if outcome.result == "failed"]
    for outcome in failed:
        if isinstance(outcome.error, NotAuthorised | RateLimited):
            return outcome.error
    skipped = sum(outcome.result == "skipped" for outcome in report.outcomes)
    left = f" and {skipped} not tried" if skipped else ""
    return click.ClickException(
        f"{len(failed)} of {len(report.outcomes)} destinations failed ({', '.join(one.step.key for one in failed)})"
        f"{left}. What is done stays done: correct what is said above, and apply again"
    )


def _as_json(outcome: Outcome) -> dict[str, object]:
    fields = list(outcome.step.diff.fields) if outcome.result == "updated" else []
    return {
        "key": outcome.step.key,
        "result": outcome.result,
        "id": outcome.id,
        "fields": fields,
        "error": outcome.message or None,
    }
