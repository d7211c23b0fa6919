"""`posthog-events webhooks trigger` and `forward`: deliveries sent from here."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from posthog_events.cli.options import properties_option
from posthog_events.cli.webhooks.options import (
    declared,
    header_secret,
    inbox_option,
    open_inbox,
    read_secret,
    secret_options,
)

if TYPE_CHECKING:
    from posthog_events.destinations.model import Destination

__all__ = ["forward", "trigger"]

TIMEOUT_S = 10.0
MAX_SAID = 200


@click.command()
@click.argument("target", metavar="URL|KEY")
@click.option(
    "--event", "name", metavar="NAME", help="The event; of a declaration, by default the first it listens to."
)
@properties_option
@click.option("--user", "distinct_id", metavar="ID", help="The distinct_id of who did it.")
@click.option("--to", "address", metavar="URL", help="Send what a declaration would send here, instead of to its URL.")
@secret_options
@click.option("--times", type=click.IntRange(min=1), default=1, show_default=True, help="Send so many different ones.")
def trigger(
    target: str,
    name: str | None,
    properties: dict[str, Any],
    distinct_id: str | None,
    address: str | None,
    secret_env: str | None,
    secret_header: str | None,
    times: int,
) -> None:
    """Send a sample of an event to a receiver, as PostHog would.

    To a URL goes PostHog's default body, signed when --secret-env is given. KEY is a declaration (a key, a file, or a
    name of the shipped library): its body, headers and secrets are used. Sample events have the property
    posthog_events_sample. The exit code is 1 when one is not taken.

    \b
    Example: posthog-events webhooks trigger http://127.0.0.1:8021/signups --event user_signed_up -p plan=pro
    """
    is_url = target.startswith(("http://", "https://"))
    if is_url and name is None:
        raise click.UsageError("--event NAME says which event to send to a URL.")
    if is_url and address is not None:
        raise click.UsageError("--to is for declarations; a URL is where it goes already.")
    secret = read_secret(secret_env)
    header = header_secret(secret_header, secret)
    destination = _default(str(name)) if is_url else declared(target)
    address = target if is_url else address
    said = destination.inputs.get("url")
    # an address that the declaration keeps secret is not shown
    shown = address or (said if isinstance(said, str) else None)
    failed = 0
    for _ in range(times):
        made = _made(destination, name, properties, distinct_id)
        method, url, headers, body, signing = _request(destination, made, with_secrets=not is_url)
        if header is not None:
            headers |= {header.name: header.values[0]}
        elif secret is not None:
            signing = secret
        failed += not _sent(method, address or url, headers, body, signing, event=made["event"], shown=shown)
    if failed:
        raise click.ClickException(f"{failed} of {times} were not taken" if times > 1 else "it was not taken")


def _default(event: str) -> Destination:
    """Return a destination with PostHog's default body; its own address is not used."""
    from posthog_events.destinations import Webhook

    return Webhook("sample", url="https://example.com/", events=[event])


def _made(
    destination: Destination, name: str | None, properties: Mapping[str, Any], distinct_id: str | None
) -> dict[str, Any]:
    """Return the globals of a sample event."""
    from posthog_events.cli.destinations.options import say_note
    from posthog_events.destinations.sample import sample_globals
    from posthog_events.destinations.simulate.scope import LOCAL_PROJECT

    sample = sample_globals(destination, now=datetime.now(UTC), project_url=str(LOCAL_PROJECT["url"]), uuid=uuid4())
    if sample.misfit:
        say_note(sample.misfit)
    event = dict(sample.globals["event"])
    event |= {"event": name or event["event"], "distinct_id": distinct_id or event["distinct_id"]}
    event["properties"] = {**event["properties"], **properties}
    return {**sample.globals, "event": event, "project": dict(LOCAL_PROJECT)}


def _request(
    destination: Destination, seen: Mapping[str, Any], *, with_secrets: bool
) -> tuple[str, str, dict[str, str], bytes, str | None]:
    """Return method, URL, headers, body and signing secret of a delivery."""
    import os

    from posthog_events.destinations.model import SecretRef
    from posthog_events.destinations.secrets import Secrets
    from posthog_events.destinations.simulate.inputs import Inputs
    from posthog_events.destinations.simulate.requests import rendered

    # found before anything is sent, all that are missing at once
    secrets = Secrets.find([destination], environ=os.environ) if with_secrets else Secrets({})
    source = {"name": destination.name, "url": f"{seen['project']['url']}/functions/{destination.key}"}
    inputs = Inputs(destination, clock=lambda: datetime.now(UTC)).render({**seen, "source": source})
    known = {str(ref): secrets[ref] for ref in destination.secrets.values()}
    signing = destination.inputs.get("signing_secret")
    made = rendered(destination.template_id, _filled({**inputs, "signing_secret": None}, known))
    assert made is not None  # of a webhook the code is known
    body = made.body if isinstance(made.body, str) else json.dumps(made.body, ensure_ascii=False, separators=(",", ":"))
    raw = b"" if made.body is None else body.encode("utf-8", "replace")
    return made.method, made.url, dict(made.headers), raw, secrets[signing] if isinstance(signing, SecretRef) else None


def _filled(value: Any, known: Mapping[str, str]) -> Any:
    """Return JSON values with secrets in the place of their references."""
    match value:
        case str():
            for ref, secret in known.items():
                value = value.replace(ref, secret)
            return value
        case Mapping():
            return {key: _filled(part, known) for key, part in value.items()}
        case list() | tuple():
            return [_filled(part, known) for part in value]
        case _:
            return value


def _sent(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    signing: str | None,
    *,
    event: Mapping[str, Any],
    shown: str | None,
) -> bool:
    """Send a delivery, say how it went, and return whether it was taken."""
    from posthog_events.posthog.redact import Redactor
    from posthog_events.posthog.session import anonymous, new_session
    from posthog_events.receiver.handlers.posting import Post
    from posthog_events.receiver.signatures import sign

    place = shown or Post(url).place
    secrets = [value for name, value in headers.items() if name.lower() not in ("content-type", "accept")]
    redact = Redactor(*secrets, *([] if shown else [url]), *([signing] if signing else []))
    signed = {}
    if signing is not None:
        signed = sign(body, id=f"sample_{uuid4()}", timestamp=datetime.now(UTC), secret=signing)
    what, why = f"{event['event']} {event['uuid']} to {place}", ""
    began = time.monotonic()
    with new_session() as session:
        session.auth = anonymous
        try:
            answer = session.request(
                method, url, data=body, headers={**headers, **signed}, timeout=TIMEOUT_S, allow_redirects=False
            )
        except Exception as error:
            # its text may hold the address
            why = type(error).__name__
    if why:
        click.echo(f"{what}: no answer ({why})")
        return False
    said = redact.text(answer.text.strip(), max_chars=MAX_SAID)
    how = "signed" if signed else "not signed"
    click.echo(f"{what}: {answer.status_code} in {(time.monotonic() - began) * 1000:.0f} ms, {how}: {said}")
    return 200 <= answer.status_code < 300


@click.command()
@click.argument("seq", type=click.IntRange(min=1))
@click.argument("url")
@inbox_option("The inbox that the delivery is in.")
@click.option(
    "--secret-env", metavar="NAME", help="Sign with the secret in this environment variable, or keyring:NAME."
)
def forward(seq: int, url: str, inbox: str, secret_env: str | None) -> None:
    """Send a delivery of the inbox to another address, signed anew.

    The body is what was received, byte by byte. SEQ is its number, as `webhooks inbox list` shows it.

    \b
    Example: posthog-events webhooks forward 1 http://127.0.0.1:8021/signups
    """
    from posthog_events.receiver.context import Context, GiveUp, TryAgain
    from posthog_events.receiver.handlers import NotDelivered
    from posthog_events.receiver.handlers import forward as forwarding
    from posthog_events.receiver.handlers.posting import Post

    send = forwarding(url, secret=read_secret(secret_env), timeout_s=TIMEOUT_S)
    with open_inbox(inbox) as opened:
        record = opened.get(seq)
    if record is None:
        raise click.UsageError(f"there is no delivery {seq} in {inbox}; see `webhooks inbox list`.")
    entry = record.entry
    context = Context(
        idempotency_key=entry.delivery_id or entry.event_uuid or f"inbox-{seq}",
        delivery_id=entry.delivery_id,
        attempt=1,
        destination=entry.destination,
        received_at=entry.received_at,
        headers=entry.headers,
        body=entry.body,
    )
    try:
        send(None, context)
    except (GiveUp, TryAgain, NotDelivered) as error:
        raise click.ClickException(f"delivery {seq} was not taken: {error}") from error
    click.echo(f"sent delivery {seq} ({entry.event or 'no event'}, {len(entry.body):,} bytes) to {Post(url).place}")
