"""`posthog-events webhooks listen`: deliveries, printed as they come."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from posthog_events.cli.webhooks.options import (
    header_secret,
    host_and_port,
    plain,
    read_secret,
    secret_options,
    shown_address,
)
from posthog_events.listening import listening_socket

if TYPE_CHECKING:
    from posthog_events.receiver.verify import Headers, Verifier

__all__ = ["PORT", "listen"]

PORT = 8021
SHORT = 8
"""Characters of a uuid that tell deliveries apart for people."""


@click.command()
@host_and_port(PORT)
@secret_options
@click.option("--unsigned", is_flag=True, help="Take deliveries from anyone.")
@click.option("--full", is_flag=True, help="Print each body below its line.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Leave after so many deliveries.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "jsonl"]),
    help="Print lines for people, or JSON Lines with the bodies; the first on a terminal, the second in a pipe.",
)
def listen(
    host: str,
    port: int,
    secret_env: str | None,
    secret_header: str | None,
    unsigned: bool,
    full: bool,
    count: int | None,
    format_: str | None,
) -> None:
    """Print deliveries as they come, while developing.

    Nothing is kept. A delivery that does not verify is printed with the reason, and refused as a receiver would.

    \b
    Example: posthog-events webhooks listen --unsigned
    """
    try:
        import uvicorn
    except ImportError as error:
        from posthog_events.errors import MissingExtra

        raise MissingExtra("Listening for webhooks", "server") from error
    from posthog_events.receiver.verify import Verifier

    if unsigned == (secret_env is not None):
        raise click.UsageError("say --secret-env NAME to verify deliveries, or --unsigned to take all of them.")
    secret = read_secret(secret_env)
    header = header_secret(secret_header, secret)
    signing = (secret,) if secret is not None and header is None else ()
    verifier = Verifier(signing, header_secret=header, allow_unsigned=unsigned)
    for_people = format_ == "text" or (format_ is None and sys.stdout.isatty())

    def show(seen: Mapping[str, Any]) -> None:
        click.echo(_line(seen, full=full) if for_people else json.dumps(seen, ensure_ascii=False))
        sys.stdout.flush()

    app = _Listener(verifier, show)
    with listening_socket(host, port, option="--port") as listener:
        config = uvicorn.Config(
            app, log_config=None, log_level="critical", access_log=False, server_header=False, lifespan="off"
        )
        server = uvicorn.Server(config)
        app.after = lambda number: setattr(server, "should_exit", number == count or server.should_exit)
        click.echo(f"listening at {shown_address(listener, host)}; stop with Ctrl-C", err=True)
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            click.echo("stopped", err=True)


class _Listener:
    """An ASGI app that shows what it is sent."""

    def __init__(self, verifier: Verifier, show: Callable[[Mapping[str, Any]], None]) -> None:
        self._verifier, self._show = verifier, show
        self.after: Callable[[int], object] = lambda number: None
        self._number = 0

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve one request."""
        from posthog_events.receiver.verify import MAX_BODY_BYTES

        body, more = b"", True
        # one byte more than is taken, so that the verifier says it
        while more and len(body) <= MAX_BODY_BYTES:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        seen = _looked_at(self._verifier, body, scope["headers"], scope["path"], scope["method"])
        answer = json.dumps({"status": "accepted"} if seen["status"] == 200 else {"error": seen["code"]}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": seen["status"], "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        self._show(seen)
        self._number += 1
        self.after(self._number)


def _looked_at(verifier: Verifier, body: bytes, headers: Headers, path: str, method: str) -> dict[str, Any]:
    """Return what there is to say about a delivery."""
    from posthog_events.errors import DeliveryRejected
    from posthog_events.receiver.payload import parse_payload

    seen: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "path": path}
    seen |= {"status": 200, "code": "accepted", "verified": None, "reason": None, "delivery_id": None}
    seen |= {"event": None, "uuid": None, "distinct_id": None}
    try:
        if method != "POST":
            raise DeliveryRejected(f"a {method} is no delivery", status=405, code="wrong_method")
        delivery = verifier.verify(body, headers)
        seen |= {"verified": delivery.verified, "delivery_id": delivery.id}
    except DeliveryRejected as error:
        seen |= {"status": error.status, "code": error.code, "reason": error.reason}
    try:
        event = parse_payload(body)
        seen |= {"event": event.name, "uuid": event.uuid, "distinct_id": event.distinct_id, "body": event.raw}
    except DeliveryRejected as error:
        # shown all the same: that is what listening is for
        seen |= {"reason": seen["reason"] or error.reason, "body": body.decode("utf-8", "replace")}
    return seen


def _line(seen: Mapping[str, Any], *, full: bool) -> str:
    verified = {"signature": "signed", "header": "secret in header", "none": "not verified", None: "REFUSED"}
    what = [
        seen["at"][11:19],
        str(seen["status"]),
        verified[seen["verified"]],
        seen["path"],
        seen["event"] or "(no event)",
        seen["distinct_id"] or "-",
        (seen["uuid"] or "-")[:SHORT],
    ]
    line = "  ".join(plain(part) for part in what)
    if seen["reason"]:
        line += f"\n  {plain(seen['reason'])}"
    if full:
        body = seen["body"]
        text = body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
        line += "\n" + "\n".join(f"  {plain(part)}" for part in text.splitlines())
    return line
