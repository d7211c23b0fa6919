"""`posthog-events webhooks reconcile`: what never arrived."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from posthog_events.cli.destinations.options import find_row, say_note
from posthog_events.cli.options import Target, engine_options, report_option
from posthog_events.cli.webhooks.options import INBOX, declared, inbox_option, load_receiver, open_inbox, plain

if TYPE_CHECKING:
    from datetime import datetime

    from posthog_events.connection import Connection
    from posthog_events.destinations.model import Destination
    from posthog_events.receiver.receiver import Receiver
    from posthog_events.receiver.reconcile import Gap, Missing, Replay

__all__ = ["reconcile"]

SHOWN: Final = 20
EXIT_PENDING: Final = 3


@click.command()
@click.argument("declaration", metavar="FILE|KEY")
@inbox_option("The receiver's inbox; with --replay that of the handlers' file, otherwise inbox.db.", default=None)
@click.option("--as", "received_as", metavar="NAME", help="Its name in the inbox; the path of its URL otherwise.")
@click.option("--since", default="-24h", show_default=True, metavar="WHEN", help="Begin here: a date, a time, or -24h.")
@click.option("--until", default="now", show_default=True, metavar="WHEN", help="End before this.")
@click.option(
    "--grace",
    "grace_s",
    type=click.FloatRange(min=0),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="Leave out events of the last so many seconds, whose deliveries may be under way.",
)
@click.option(
    "--replay",
    "handlers",
    metavar="HANDLERS.py",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put what is missing into the inbox, for the handlers of this file; `webhooks serve` runs them.",
)
@click.option("--rerun", is_flag=True, help="Let PostHog deliver again what failed since the first missing event.")
@click.option("--exit-code", is_flag=True, help="Leave with 3 when something is missing and was not replayed.")
@report_option("Print a report for people, or one JSON document with every missing event.")
@engine_options
def reconcile(
    declaration: str,
    inbox: str | None,
    received_as: str | None,
    since: str,
    until: str,
    grace_s: float,
    handlers: Path | None,
    rerun: bool,
    exit_code: bool,
    format_: str,
    target: Target,
) -> None:
    """Find deliveries that never arrived, and make up for them.

    Which events should have fired the declared destination is worked out from its filters, templates and `once_per`,
    over PostHog or a local copy of the events, and compared with the inbox. Each missing delivery is made up for once,
    also when this is done twice, or PostHog delivers it after all.

    \b
    Example: posthog-events webhooks reconcile subscription-webhook --since -24h --store events
    """
    from posthog_events.cli.moments import between, clock
    from posthog_events.destinations.surroundings import read_surroundings
    from posthog_events.receiver import reconcile as work
    from posthog_events.receiver.shape import DEFAULT

    if handlers is not None and rerun:
        raise click.UsageError("--replay and --rerun make up for the same deliveries: say one of them.")
    destination = declared(declaration)
    if received_as is None:
        work.received_name(destination)
    at_posthog = target.settings.require_dsn().startswith("posthog://")
    if rerun and not at_posthog:
        raise click.UsageError("--rerun asks PostHog: say --engine posthog, or --replay HANDLERS.py.")
    with ExitStack() as stack:
        receiver = None if handlers is None else load_receiver(handlers, inbox=inbox)
        if receiver is not None:
            stack.callback(receiver.close)
        opened = receiver.inbox if receiver is not None else stack.enter_context(open_inbox(inbox or INBOX))
        connection = stack.enter_context(target.connect(unlimited=not at_posthog))
        zone = connection.engine.timezone
        begin, end = between(since, until, timezone=zone, options=("--since", "--until"))
        if at_posthog:
            begin = _enabled_since(connection, destination, begin)
        around = read_surroundings(connection.project.api if at_posthog else None, [destination])
        for gap_in_knowledge in around.gaps:
            say_note(gap_in_knowledge)
        shape = DEFAULT if receiver is None else receiver.shape
        gap = work.reconcile(
            destination,
            connection.engine,
            opened,
            since=begin,
            until=end,
            received_as=received_as,
            grace_s=grace_s,
            around=around,
            shape=shape,
            clock=clock,
        )
        replayed = job = None
        if receiver is not None and gap.missing:
            replayed = work.replay(gap, connection.engine, receiver, around=around, shape=shape, clock=clock)
        if rerun and gap.missing:
            row = find_row(connection.destinations, destination.key)
            job = work.rerun(gap, connection.project.api, str(row["id"]), now=clock())
    if format_ == "json":
        click.echo(json.dumps(_as_json(gap, replayed, job), ensure_ascii=False))
    else:
        click.echo("\n".join([*_report(gap), *_made_up(gap, replayed, receiver, job)]))
    left = len(gap.missing) if replayed is None else len(replayed.refused) + len(replayed.gone)
    if exit_code and left:
        raise click.exceptions.Exit(EXIT_PENDING)


def _enabled_since(connection: Connection, destination: Destination, since: datetime) -> datetime:
    """Return where to begin: events before a destination was made did not fire it."""
    from datetime import datetime

    from posthog_events.destinations.matching import key_of
    from posthog_events.errors import MissingScope

    try:
        rows = [row for row in connection.destinations.rows() if key_of(row) == destination.key]
    except MissingScope:
        say_note("the key lacks the scope hog_function:read, so it is not known since when the destination is there")
        return since
    if not rows:
        say_note(f"no destination of the project has the key {destination.key}; events are judged as if it had one")
        return since
    if not any(row.get("enabled") for row in rows):
        say_note(f"{destination.key} is switched off, so that nothing is delivered now")
    made = min(datetime.fromisoformat(str(row["created_at"]).replace("Z", "+00:00")) for row in rows)
    if made <= since:
        return since
    say_note(f"{destination.key} was made at {made:%Y-%m-%d %H:%M:%S} UTC; events before that did not fire it")
    return made


# -- for people ------------------------------------------------------------------------------------------------------


def _report(gap: Gap) -> Iterator[str]:
    yield f"{gap.destination.key}  {gap.destination.name}"
    kept = f"kept as {gap.received_as}" if gap.received_as else "kept under no name"
    yield f"  {gap.since:%Y-%m-%d %H:%M:%S} to {gap.until:%Y-%m-%d %H:%M:%S} UTC, {kept}"
    yield f"  expected   {gap.expected:>9,}"
    yield f"  arrived    {gap.arrived:>9,}"
    yield f"  missing    {len(gap.missing):>9,}"
    yield from (f"    {plain(line)}" for line in _first([_event(one) for one in gap.missing]))
    if gap.unexpected:
        yield f"  unexpected {len(gap.unexpected):>9,}  arrived, though no event of this engine explains it"
        yield from (f"    {plain(line)}" for line in _first(gap.unexpected))
    if gap.lost_count:
        yield f"  lost       {gap.lost_count:>9,}  matched, but templates fail: {gap.lost[0]}"


def _made_up(gap: Gap, replayed: Replay | None, receiver: Receiver | None, job: str | None) -> Iterator[str]:
    if job is not None:
        yield f"PostHog delivers again what failed since {gap.missing[0].at:%Y-%m-%d %H:%M} UTC (job {job})"
    if replayed is None or receiver is None:
        if gap.missing and job is None:
            yield "--replay HANDLERS.py puts what is missing into the inbox"
        return
    names = ", ".join(one.name for one in receiver.subscriptions)
    yield f"replayed {len(replayed.added):,}; `webhooks serve` gives them to the handlers ({names or 'none'})"
    if replayed.known:
        yield f"{len(replayed.known):,} arrived meanwhile"
    if replayed.gone:
        yield f"{len(replayed.gone):,} are no longer there, or no longer match"
    for uuid, why in replayed.refused:
        yield f"{uuid} was refused: {why}"


def _event(one: Missing) -> str:
    return f"{one.at:%Y-%m-%d %H:%M:%S}  {one.event}  {one.distinct_id}  {one.uuid}"


def _first(lines: list[str] | tuple[str, ...]) -> Iterator[str]:
    yield from lines[:SHOWN]
    if (left := len(lines) - SHOWN) > 0:
        yield f"and {left:,} more; --format json has all"


# -- for programs ----------------------------------------------------------------------------------------------------


def _as_json(gap: Gap, replayed: Replay | None, job: str | None) -> Mapping[str, Any]:
    return {
        "key": gap.destination.key,
        "received_as": gap.received_as,
        "since": gap.since.isoformat(),
        "until": gap.until.isoformat(),
        "expected": gap.expected,
        "arrived": gap.arrived,
        "missing": [
            {"uuid": one.uuid, "event": one.event, "distinct_id": one.distinct_id, "at": one.at.isoformat()}
            for one in gap.missing
        ],
        "unexpected": list(gap.unexpected),
        "lost": {"count": gap.lost_count, "messages": list(gap.lost)},
        "replayed": replayed
        and {
            "added": [one.uuid for one in replayed.added],
            "known": [one.uuid for one in replayed.known],
            "gone": [one.uuid for one in replayed.gone],
            "refused": [{"uuid": uuid, "reason": why} for uuid, why in replayed.refused],
        },
        "rerun_job": job,
    }
