"""`posthog-events webhooks serve`: a receiver with the handlers of a file."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posthog_events.cli.webhooks.options import (
    host_and_port,
    inbox_option,
    load_receiver,
    shown_address,
)
from posthog_events.listening import listening_socket

if TYPE_CHECKING:
    from posthog_events.receiver.asgi import ReceiverApp

__all__ = ["PORT", "application", "serve"]

PORT = 8020
_FILE, _INBOX, _VERBOSE = (f"_POSTHOG_EVENTS_WEBHOOKS_{name}" for name in ("FILE", "INBOX", "VERBOSE"))
"""How a worker process is told what to serve."""

BACKLOG = 2_048
KEEP_ALIVE_S = 75


@click.command()
@click.argument("file", metavar="HANDLERS.py", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@host_and_port(PORT)
@inbox_option("Keep deliveries here, instead of where the file says.", default=None)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Use so many processes, which share the inbox.",
)
@click.option("--verbose", is_flag=True, help="Say also what was refused, and why.")
def serve(file: Path, host: str, port: int, inbox: str | None, workers: int, verbose: bool) -> None:
    """Receive webhooks, and run the handlers of a Python file.

    The file makes a `receiver = Receiver(...)` and adds handlers to it. Any path takes deliveries; /health, /ready and
    /metrics are for monitoring. The address is printed on stdout. It serves until Ctrl-C or SIGTERM, then lets the
    handlers end that run.

    \b
    Example: posthog-events webhooks serve handlers.py --port 8020
    """
    uvicorn = _uvicorn()
    receiver = load_receiver(file, inbox=inbox)
    _log_to_stderr(verbose=verbose)
    listener = listening_socket(host, port, option="--port")
    # worker processes get it
    listener.set_inheritable(True)
    # now, so that an inbox that cannot be used is an error of this command
    receiver.start() if workers == 1 else receiver.check()
    names = ", ".join(one.name for one in receiver.subscriptions) or "none, deliveries are only kept"
    settings: dict[str, Any] = {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "backlog": BACKLOG,
        "timeout_keep_alive": KEEP_ALIVE_S,
    }
    click.echo(shown_address(listener, host))
    sys.stdout.flush()
    click.echo(f"serving {file}; handlers: {names}; stop with Ctrl-C", err=True)
    # uvicorn hands the signal on when it has ended: as with Ctrl-C, that is no failure
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        if workers == 1:
            with listener:
                uvicorn.Server(uvicorn.Config(receiver.asgi, **settings)).run(sockets=[listener])
        else:
            receiver.close()
            given = {_FILE: str(file.absolute()), _INBOX: inbox or "", _VERBOSE: "1" if verbose else ""}
            os.environ.update({name: value for name, value in given.items() if value})
            # each worker makes a receiver of its own, and uvicorn opens the socket that they share
            port = listener.getsockname()[1]
            listener.close()
            uvicorn.run(f"{__name__}:application", factory=True, workers=workers, host=host, port=port, **settings)
    click.echo("stopped", err=True)


def application() -> ReceiverApp:
    """Return the app of a worker process."""
    _log_to_stderr(verbose=bool(os.environ.get(_VERBOSE)))
    return load_receiver(Path(os.environ[_FILE]), inbox=os.environ.get(_INBOX)).asgi


def _uvicorn() -> Any:
    try:
        import uvicorn
    except ImportError as error:
        from posthog_events.errors import MissingExtra

        raise MissingExtra("Serving webhooks", "server") from error
    return uvicorn


def _log_to_stderr(*, verbose: bool) -> None:
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("posthog_events")
    log.addHandler(shown)
    log.setLevel(logging.INFO if verbose else logging.WARNING)
    # what a library below has to say is rarely about deliveries
    logging.getLogger("uvicorn.error").addHandler(shown)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
