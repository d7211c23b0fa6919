"""`posthog-events destinations simulate`: what declarations would have sent for events that happened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from posthog_events.cli.destinations.options import paths_argument, say_note, sources
from posthog_events.cli.options import Output, Target, chart_option, engine_options, report_option

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from posthog_events.destinations.simulate import Estimate, EventSource, SampleDelivery, Simulation, Simulations
    from posthog_events.destinations.surroundings import Surroundings
    from posthog_events.posthog.http import Api
    from posthog_events.result import Engine

__all__ = ["simulate"]

LAST_WEEK: Final = "-7d"
MAX_CLAUSES: Final = 8
"""Clauses shown; the others turned fewer events away. --format json has all of them."""


@click.command()
@paths_argument
@click.option("--since", metavar="WHEN", help="Begin here: a date, a time, or -7d, which is the default.")
@click.option("--until", metavar="WHEN", help="End before this; now when it is not given.")
@click.option(
    "--events",
    "file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take the events of this file (JSON Lines, JSON, CSV or Parquet), all of them unless a range is given.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="Show so many deliveries as they would be sent, the newest ones.",
)
@report_option("Print a report for people, or one JSON document for programs.")
@engine_options
@chart_option
def simulate(
    paths: Sequence[str],
    since: str | None,
    until: str | None,
    file: Path | None,
    samples: int,
    format_: str,
    target: Target,
    chart: Path | None,
) -> None:
    """Say what destinations would have sent for events that happened.

    PATHs are files and folders of declarations, keys, or names of the shipped library; ./destinations when there are
    none. Nothing is sent, and no secret is needed. The events are those of a local store, of a PostHog project, or of a
    file; they go through the filters, `once_per` and the templates as they would in PostHog.

    \b
    Example: posthog-events destinations simulate signup-slack --store events --since -30d
    """
    from posthog_events.cli.moments import clock
    from posthog_events.destinations.manager import destinations_of
    from posthog_events.destinations.simulate import simulate_all
    from posthog_events.destinations.surroundings import read_surroundings

    declared = destinations_of(sources(paths))
    if chart is not None and len(declared) != 1:
        raise click.UsageError(f"--chart is of one destination, and these are {len(declared)}: name one.")
    with _events(target, file, since, until) as (events, api, start, end):
        around = read_surroundings(api, declared)
        found = simulate_all(
            declared,
            _with_groups(events, around),
            since=start,
            until=end,
            samples=samples,
            project=around.project,
            actions=around.actions,
            test_account_filters=around.test_account_filters,
            now=clock(),
        )
    for gap in around.gaps:
        say_note(gap)
    if format_ == "json":
        click.echo(json.dumps(_as_json(found), ensure_ascii=False, default=str))
    else:
        click.echo("\n\n".join(_report(one) for one in found.each))
        if len(found.each) > 1:
            click.echo(f"\nall together: {found.deliveries}; billed {_month(found.billed)}")
    for one in found.each:
        for trap in one.traps:
            click.echo(f"warning: {one.destination.key}: {trap.where}: {trap.message}", err=True)
    if chart is not None:
        _draw(found.each[0], chart, text=format_ == "text")


@contextmanager
def _events(
    target: Target, file: Path | None, since: str | None, until: str | None
) -> Iterator[tuple[EventSource | Engine, Api | None, datetime | None, datetime | None]]:
    """Lend the events, PostHog when they are there, and the range."""
    from posthog_events.cli.moments import between, moment

    if file is not None:
        context = click.get_current_context()
        if any(
            context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in ("dsn", "engine", "store")
        ):
            raise click.UsageError("--events FILE holds the events: leave out --dsn, --store and --engine.")
        from posthog_events.destinations.simulate import events_of_file

        zone = target.settings.timezone.value if target.settings.timezone else "UTC"
        start = None if since is None else moment(since, timezone=zone, option="--since")
        end = None if until is None else moment(until, timezone=zone, option="--until")
        with events_of_file(file) as events:
            yield events, None, start, end
        return
    at_posthog = target.settings.require_dsn().startswith("posthog://")
    with target.connect(unlimited=not at_posthog) as connection:
        zone = connection.engine.timezone
        begin, stop = between(since or LAST_WEEK, until or "now", timezone=zone, options=("--since", "--until"))
        yield connection.engine, connection.project.api if at_posthog else None, begin, stop


def _with_groups(events: EventSource | Engine, around: Surroundings) -> EventSource | Engine:
    """Return a source that knows PostHog's group types, which only the project itself can tell."""
    from posthog_events.destinations.simulate import EngineEvents, EventSource

    if around.group_types is None or isinstance(events, EventSource):
        return events
    return EngineEvents(events, group_types=around.group_types)


# -- for people ------------------------------------------------------------------------------------------------------


def _report(one: Simulation) -> str:
    return "\n".join([*_figures(one), *_rejected(one.rejected), *_samples(one.samples), *_notes(one)])


def _figures(one: Simulation) -> Iterator[str]:
    yield f"{one.destination.key}: {one.destination.name}"
    yield f"  {one.since:%Y-%m-%d %H:%M} to {one.until:%Y-%m-%d %H:%M} UTC"
    yield _figure("events seen", one.seen)
    yield _figure("matched", one.matched)
    if one.destination.masking:
        yield _figure("held back", one.masked, "by once_per")
    for failures in one.failures:
        why = "filters fail" if failures.kind == "filtering_failed" else "templates fail"
        yield _figure("lost", failures.count, f"because {why}: {failures.messages[0]}")
    yield _figure("delivered", one.delivered, str(one.deliveries))
    yield f"  {'billed':<27}{_month(one.billed)}"
    if one.delivered:
        hour, most = one.hours.sort("delivered", "hour", descending=[True, False]).select("hour", "delivered").row(0)
        yield _figure("busiest hour", most, f"at {hour:%Y-%m-%d %H:%M} UTC")


def _figure(name: str, count: int, said: str = "") -> str:
    return f"  {name:<13}{count:>12,}  {said}".rstrip()


def _month(estimate: Estimate) -> str:
    if estimate.per_month is None:
        return "unknown for a month, as the time is too short"
    return f"about {estimate.per_month:,.0f} a month"


def _rejected(frame: pl.DataFrame) -> Iterator[str]:
    if frame.is_empty():
        return
    yield "  turned away, by the first condition that was not met:"
    for clause, _, count in frame.head(MAX_CLAUSES).iter_rows():
        yield _figure("", count, clause)
    if (left := frame.height - MAX_CLAUSES) > 0:
        yield f"  and {left} more conditions (--format json)"


def _samples(samples: Sequence[SampleDelivery]) -> Iterator[str]:
    for sample in samples:
        yield f"  sample: {sample.event} at {sample.at:%Y-%m-%d %H:%M:%S} UTC ({sample.uuid})"
        request = sample.request
        if request is None:
            yield from _indented("inputs " + json.dumps(dict(sample.inputs), indent=2, ensure_ascii=False))
            continue
        yield from _indented(f"{request.method} {request.url}")
        for name, value in request.headers.items():
            yield from _indented(f"{name}: {value}")
        if request.body is not None:
            text = request.body if isinstance(request.body, str) else json.dumps(request.body, ensure_ascii=False)
            yield from _indented(text)
        if request.preview:
            yield from _indented("reads as")
            yield from _indented("\n".join(f"| {line}" for line in request.preview.splitlines()))
        for warning in request.warnings:
            yield from _indented(f"! {warning}")


def _indented(text: str) -> Iterator[str]:
    return (f"    {line}" for line in text.splitlines())


def _notes(one: Simulation) -> Iterator[str]:
    return (f"  note: {note}" for note in one.notes)


def _draw(one: Simulation, chart: Path, *, text: bool) -> None:
    from posthog_events.cli.output import write_chart

    # below a report as below a table; where stdout carries JSON, beside it
    write_chart(one.hours.select("hour", "delivered"), chart, Output("table" if text else "json"), file=None)


# -- for programs ----------------------------------------------------------------------------------------------------


def _as_json(found: Simulations) -> dict[str, object]:
    return {
        "destinations": [_one_as_json(one) for one in found.each],
        "deliveries_per_month": found.deliveries.per_month,
        "billed_per_month": found.billed.per_month,
    }


def _one_as_json(one: Simulation) -> dict[str, object]:
    return {
        "key": one.destination.key,
        "name": one.destination.name,
        "since": one.since.isoformat(),
        "until": one.until.isoformat(),
        "seen": one.seen,
        "matched": one.matched,
        "masked": one.masked,
        "delivered": one.delivered,
        "deliveries_per_month": one.deliveries.per_month,
        "billed_per_month": one.billed.per_month,
        "failures": [
            {"kind": part.kind, "count": part.count, "messages": list(part.messages)} for part in one.failures
        ],
        "rejected": one.rejected.to_dicts(),
        "hours": [{**row, "hour": row["hour"].isoformat()} for row in one.hours.to_dicts()],
        "samples": [_sample_as_json(sample) for sample in one.samples],
        "traps": [{"code": trap.code, "where": trap.where, "message": trap.message} for trap in one.traps],
        "notes": list(one.notes),
    }


def _sample_as_json(sample: SampleDelivery) -> Mapping[str, object]:
    request = sample.request
    return {
        "uuid": sample.uuid,
        "event": sample.event,
        "at": sample.at.isoformat(),
        "clause": sample.clause,
        "request": request
        and {
            "method": request.method,
            "url": request.url,
            "headers": dict(request.headers),
            "body": request.body,
            "preview": request.preview,
            "warnings": list(request.warnings),
        },
    }
