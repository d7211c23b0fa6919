"""`posthog-events destinations test`: declarations, run by PostHog on one event."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from posthog_events.cli.destinations.options import paths_argument, say_note, sources
from posthog_events.cli.options import Target, project_options, report_option

if TYPE_CHECKING:
    from posthog_events.destinations.surroundings import Surroundings
    from posthog_events.destinations.trial import Trial
    from posthog_events.posthog.http import Api

__all__ = ["test"]


@click.command()
@paths_argument
@click.option(
    "--event",
    metavar="FILE|UUID",
    help="The event: a JSON file, or the uuid of one of the project; one that is made up to match otherwise.",
)
@click.option("--send", is_flag=True, help="Really send it.")
@report_option("Print for people, or as JSON Lines.")
@project_options
def test(paths: Sequence[str], event: str | None, send: bool, format_: str, target: Target) -> None:
    """Run declarations on one event: what they would send, or sending it.

    PATHs are files and folders of declarations, keys, or names of the shipped library; ./destinations when there are
    none. PostHog runs them as they are declared, without storing them. The exit code is 1 when one does not go through.

    \b
    Example: posthog-events destinations test signup-slack
    """
    from posthog_events.destinations.manager import destinations_of
    from posthog_events.destinations.surroundings import read_surroundings

    declared = destinations_of(sources(paths))
    with target.connect() as connection:
        around = read_surroundings(connection.project.api, declared)
        given = None if event is None else _given(connection.project.api, event, around)
        for gap in around.gaps:
            say_note(gap)
        trials = []
        for trial in connection.destinations.test(declared, event=given, send=send, around=around):
            trials.append(trial)
            click.echo(_as_json(trial) if format_ == "json" else "\n".join(_as_text(trial)))
    if failed := [trial.key for trial in trials if not trial.delivered]:
        raise click.ClickException(f"{len(failed)} of {len(trials)} did not go through: {', '.join(failed)}")


def _given(api: Api, event: str, around: Surroundings) -> Mapping[str, Any]:
    from posthog_events.destinations.occurred import globals_of_file, globals_of_uuid

    if Path(event).is_file():
        return globals_of_file(Path(event), around)
    try:
        UUID(event)
    except ValueError:
        raise click.UsageError(f"--event: {event} is neither a file nor the uuid of an event.") from None
    return globals_of_uuid(api, event, around)


def _as_json(trial: Trial) -> str:
    values = {**asdict(trial), "delivered": trial.delivered}
    return json.dumps(values, ensure_ascii=False, default=str)


def _as_text(trial: Trial) -> Iterator[str]:
    event = trial.event
    yield f"{trial.key} {_outcome(trial)} (event {event.get('event')} of {event.get('distinct_id')})"
    for request in trial.requests:
        yield f"  {request.method} {request.url}"
        for name, value in request.headers.items():
            yield f"  {name}: {value}"
        body = request.body if isinstance(request.body, str) else json.dumps(request.body, ensure_ascii=False)
        yield from (f"  {line}" for line in body.splitlines())
    for error in trial.errors:
        yield f"  ! {error}"
    if not trial.delivered and not trial.errors:
        yield from (f"  {line.level} {line.message}" for line in trial.logs if line.level in ("WARN", "ERROR"))
    for note in trial.notes:
        yield f"  note: {note}"


def _outcome(trial: Trial) -> str:
    if trial.delivered:
        return "would be sent" if trial.mock else "was sent"
    return "was skipped" if trial.status == "skipped" else "failed"
