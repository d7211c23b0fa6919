"""`posthog-events webhooks inbox`: what was received, and what became of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from posthog_events.cli.options import Output, output_options, report_option
from posthog_events.cli.webhooks.options import inbox_option, open_inbox, plain

if TYPE_CHECKING:
    from posthog_events.receiver.inbox import Inbox, Record

__all__ = ["inbox"]

STATES = ("waiting", "running", "done", "dead", "dropped")
PAGE = 500
_place = inbox_option("The file that `webhooks serve` keeps deliveries in, or postgresql://user@host/database.")
_handler = click.option("--handler", metavar="NAME", help="Only this handler.")


@click.group()
def inbox() -> None:
    """Look at what was received, and try again what failed."""


@inbox.command(name="list")
@_place
@click.option("--state", type=click.Choice(STATES), help="Only deliveries with a handler in this state.")
@_handler
@click.option("--event", metavar="NAME", help="Only this event.")
@click.option("--user", "distinct_id", metavar="ID", help="Only events of this distinct_id.")
@click.option("--destination", metavar="NAME", help="Only what is kept under this name.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Show so many, newest first.")
@output_options
def list_(
    inbox: str,
    state: str | None,
    handler: str | None,
    event: str | None,
    distinct_id: str | None,
    destination: str | None,
    limit: int,
    output: Output,
) -> None:
    """List deliveries, the newest first, with what became of them.

    \b
    Example: posthog-events webhooks inbox list --state dead
    """
    import polars as pl

    from posthog_events.cli.output import write_rows
    from posthog_events.receiver.inbox import State

    with open_inbox(inbox) as opened:
        records = opened.list(
            state=State(state) if state else None,
            handler=handler,
            event=event,
            distinct_id=distinct_id,
            destination=destination,
            limit=limit,
        )
    schema: dict[str, Any] = {
        "seq": pl.Int64,
        "received_at": pl.Datetime("us", "UTC"),
        "destination": pl.String,
        "event": pl.String,
        "distinct_id": pl.String,
        "event_uuid": pl.String,
        "handlers": pl.String,
        "error": pl.String,
    }
    write_rows(pl.DataFrame([_row(record) for record in records], schema=schema, orient="row"), output)


@inbox.command()
@click.argument("seq", type=click.IntRange(min=1))
@_place
@report_option("Print for people, as JSON, or nothing but the body, byte by byte.", ["text", "json", "body"])
def show(seq: int, inbox: str, format_: str) -> None:
    """Show one delivery: its headers, its body, and each handler's outcome.

    \b
    Example: posthog-events webhooks inbox show 1
    """
    with open_inbox(inbox) as opened:
        record = _record(opened, seq, inbox)
    if format_ == "body":
        sys.stdout.buffer.write(record.entry.body)
    elif format_ == "json":
        click.echo(json.dumps(_as_json(record), ensure_ascii=False))
    else:
        click.echo("\n".join(_as_text(record)))


@inbox.command()
@click.argument("seqs", metavar="[SEQ]...", nargs=-1, type=click.IntRange(min=1))
@_place
@_handler
@click.option("--dead", is_flag=True, help="Every delivery with a handler that gave up.")
@click.option("--done", is_flag=True, help="Run handlers again that were done, too.")
def retry(seqs: Sequence[int], inbox: str, handler: str | None, dead: bool, done: bool) -> None:
    """Make handlers run again, at once and with all their attempts.

    `webhooks serve` runs them. Concerns those that gave up, were dropped, or wait; SEQ is a number of `inbox list`.

    \b
    Example: posthog-events webhooks inbox retry --dead
    """
    with open_inbox(inbox) as opened:
        chosen = _chosen(opened, seqs, inbox, handler, dead=dead)
        count = opened.retry(chosen, now=datetime.now(UTC), handler=handler, done=done)
    click.echo(f"{_handlers(count)} of {_deliveries(len(chosen))} will run again")


@inbox.command()
@click.argument("seqs", metavar="[SEQ]...", nargs=-1, type=click.IntRange(min=1))
@_place
@_handler
@click.option("--dead", is_flag=True, help="Every delivery with a handler that gave up.")
def drop(seqs: Sequence[int], inbox: str, handler: str | None, dead: bool) -> None:
    """Give up handlers that are not done; the delivery stays, and `retry` brings them back.

    \b
    Example: posthog-events webhooks inbox drop 1 --handler greet
    """
    with open_inbox(inbox) as opened:
        chosen = _chosen(opened, seqs, inbox, handler, dead=dead)
        count = opened.drop(chosen, now=datetime.now(UTC), handler=handler)
    click.echo(f"{_handlers(count)} of {_deliveries(len(chosen))} given up")


def _chosen(opened: Inbox, seqs: Sequence[int], place: str, handler: str | None, *, dead: bool) -> list[int]:
    """Return the numbers that are meant."""
    if bool(seqs) == dead:
        raise click.UsageError("name deliveries by their SEQ, or say --dead for all that have a handler that gave up.")
    return list(_dead(opened, handler)) if dead else [_record(opened, seq, place).seq for seq in dict.fromkeys(seqs)]


def _dead(opened: Inbox, handler: str | None) -> Iterator[int]:
    from posthog_events.receiver.inbox import State

    before: int | None = None
    while page := opened.list(state=State.DEAD, handler=handler, before=before, limit=PAGE):
        yield from (record.seq for record in page)
        before = page[-1].seq


def _record(opened: Inbox, seq: int, place: str) -> Record:
    record = opened.get(seq)
    if record is None:
        raise click.UsageError(f"there is no delivery {seq} in {place}; see `webhooks inbox list`.")
    return record


def _handlers(count: int) -> str:
    return "1 handler" if count == 1 else f"{count:,} handlers"


def _deliveries(count: int) -> str:
    return "1 delivery" if count == 1 else f"{count:,} deliveries"


def _row(record: Record) -> tuple[Any, ...]:
    entry = record.entry
    states = ", ".join(f"{one.handler} {one.state}" for one in record.outcomes) or None
    errors = "; ".join(one.error for one in record.outcomes if one.error) or None
    whose = (entry.event, entry.distinct_id, entry.event_uuid)
    return (record.seq, entry.received_at.replace(microsecond=0), entry.destination, *whose, states, errors)


def _as_json(record: Record) -> dict[str, Any]:
    entry = record.entry
    try:
        body = json.loads(entry.body)
    except ValueError:
        body = entry.body.decode("utf-8", "replace")
    return {
        "seq": record.seq,
        "received_at": entry.received_at.isoformat(),
        "destination": entry.destination,
        "delivery_id": entry.delivery_id,
        "event": entry.event,
        "event_uuid": entry.event_uuid,
        "distinct_id": entry.distinct_id,
        "headers": dict(entry.headers),
        "outcomes": [
            {
                "handler": one.handler,
                "state": str(one.state),
                "attempt": one.attempt,
                "error": one.error,
                "due_at": one.due_at and one.due_at.isoformat(),
                "changed_at": one.changed_at.isoformat(),
            }
            for one in record.outcomes
        ],
        "body": body,
    }


def _as_text(record: Record) -> Iterator[str]:
    entry, found = record.entry, _as_json(record)
    yield plain(f"delivery {record.seq}  {entry.event or '(no event)'}  {entry.distinct_id or '-'}")
    yield f"  received     {entry.received_at:%Y-%m-%d %H:%M:%S.%f} UTC"
    yield plain(f"  destination  {entry.destination or '(none)'}")
    yield plain(f"  delivery id  {entry.delivery_id or '(none)'}")
    yield plain(f"  event uuid   {entry.event_uuid or '(none)'}")
    for name, value in sorted(entry.headers.items()):
        yield plain(f"  header       {name}: {value}")
    for one in record.outcomes:
        when = f", next {one.due_at:%Y-%m-%d %H:%M:%S} UTC" if one.due_at else ""
        yield plain(f"  handler      {one.handler}: {one.state}, attempt {one.attempt}{when}")
        if one.error:
            yield plain(f"               {one.error}")
    body = found["body"]
    text = body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
    yield "  body"
    yield from (plain(f"    {line}") for line in text.splitlines())
