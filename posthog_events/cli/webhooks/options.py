"""What the commands on webhooks share: inboxes, secrets, handlers, and the socket to listen on."""

from __future__ import annotations

import os
import re
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from posthog_events.destinations.model import Destination
    from posthog_events.receiver.inbox import Inbox
    from posthog_events.receiver.receiver import Receiver
    from posthog_events.receiver.verify import HeaderSecret

__all__ = [
    "INBOX",
    "declared",
    "header_secret",
    "host_and_port",
    "inbox_option",
    "load_receiver",
    "open_inbox",
    "plain",
    "read_secret",
    "secret_options",
    "shown_address",
]

Command = TypeVar("Command", bound=Callable[..., Any])

INBOX = "inbox.db"
POSTGRES = ("postgresql://", "postgres://")


def inbox_option(help_: str, *, default: str | None = INBOX) -> Callable[[Command], Command]:
    """Add --inbox; the command receives an `inbox`, for `open_inbox`."""
    return click.option("--inbox", metavar="FILE|DSN", default=default, show_default=default is not None, help=help_)


def declared(name: str) -> Destination:
    """Return the one webhook that a key, a file, or a name of the shipped library means.

    Raises:
        UsageError: It means several, or something else.
        DeclarationError: It has faults.
    """
    from posthog_events.cli.destinations.options import sources
    from posthog_events.destinations.manager import destinations_of

    found = destinations_of(sources([name]))
    if len(found) != 1:
        raise click.UsageError(f"{name} holds {len(found)} declarations: name one of them by its key.")
    if found[0].kind != "webhook":
        raise click.UsageError(f"{found[0].key} is of the kind {found[0].kind}: only webhooks come to a receiver.")
    return found[0]


@contextmanager
def open_inbox(place: str) -> Iterator[Inbox]:
    """Open an inbox that is there.

    Raises:
        UsageError: There is none, or its address holds a password.
        InboxError: It cannot be read.
    """
    inbox = inbox_at(place, must_exist=True)
    with closing(inbox):
        yield inbox


def inbox_at(place: str, *, must_exist: bool) -> Inbox:
    """Return the inbox in a file, or of a PostgreSQL server."""
    if place.startswith(POSTGRES):
        from posthog_events.receiver.postgres_inbox import PostgresInbox

        if "@" in place and ":" in place.partition("://")[2].rpartition("@")[0]:
            raise click.UsageError("--inbox holds a password, which others can read there: set PGPASSWORD instead.")
        return PostgresInbox(place)
    from posthog_events.receiver.sqlite_inbox import SqliteInbox

    if must_exist and not Path(place).is_file():
        raise click.UsageError(
            f"there is no inbox at {place}: name the file that `webhooks serve` keeps deliveries in, with --inbox."
        )
    return SqliteInbox(Path(place))


def secret_options(command: Command) -> Command:
    """Add --secret-env and --secret-header; the command receives `secret_env` and `secret_header`."""
    command = click.option(
        "--secret-header",
        metavar="HEADER",
        help="The secret is the value of this header, instead of what deliveries are signed with.",
    )(command)
    return click.option(
        "--secret-env", metavar="NAME", help="Take the secret from this environment variable, or keyring:NAME."
    )(command)


def read_secret(name: str | None) -> str | None:
    """Return the secret that an environment variable holds, or an entry of the keyring (`keyring:NAME`).

    Raises:
        UsageError: There is none.
        MissingExtra: The keyring is asked for, and its package is not installed.
    """
    if name is None:
        return None
    kind, colon, entry = name.partition(":")
    if colon and kind == "keyring":
        from posthog_events.destinations.secrets import KEYRING_SERVICE, read_keyring

        found = read_keyring(entry)
        hint = f"store it with: keyring set {KEYRING_SERVICE} {entry}"
    else:
        found = os.environ.get(name)
        hint = "it takes the name of a variable, not the secret"
    if not (found or "").strip():
        # what does not look like the name of a variable may be the secret
        what = name if re.fullmatch("(keyring:)?[A-Z][A-Z0-9_]*", name) else "what was given"
        raise click.UsageError(f"--secret-env: {what} is not set; {hint}.")
    return (found or "").strip()


def header_secret(name: str | None, secret: str | None) -> HeaderSecret | None:
    """Return the header with the secret; None when deliveries are signed.

    Raises:
        UsageError: There is a header without a secret.
    """
    if name is None:
        return None
    if secret is None:
        raise click.UsageError("--secret-header needs --secret-env NAME, which says where its value is.")
    from posthog_events.receiver.verify import HeaderSecret

    return HeaderSecret(name, [secret])


def load_receiver(path: Path, *, inbox: str | None = None) -> Receiver:
    """Run a Python file and return its receiver.

    Args:
        inbox: Use this one instead of the file's own.

    Raises:
        ClickException: The file fails, or makes no receiver, or several and none called `receiver`.
        ConfigError: The receiver cannot be made.
    """
    from posthog_events.receiver.receiver import Receiver

    found = {name: value for name, value in _run(path).items() if isinstance(value, Receiver)}
    each = list({id(value): value for value in found.values()}.values())
    receiver = found.get("receiver") or (each[0] if len(each) == 1 else None)
    if receiver is None:
        what = "several receivers; call one of them `receiver`" if each else "no receiver"
        raise click.ClickException(
            f"{path} makes {what}. It needs, for example: receiver = Receiver(secrets=os.environ['SIGNING_SECRET'], "
            f"inbox={INBOX!r})"
        )
    if inbox is not None:
        receiver.use_inbox(inbox_at(inbox, must_exist=False) if inbox.startswith(POSTGRES) else inbox)
    return receiver


def _run(path: Path) -> dict[str, Any]:
    """Run a file as a module, so that what is beside it can be imported, and return its names."""
    import importlib.util

    from posthog_events.errors import PostHogEventsError

    origin = str(path.absolute())
    spec = importlib.util.spec_from_file_location(f"_handlers_{path.stem}", origin)
    if spec is None or spec.loader is None:
        raise click.UsageError(f"{path} is no Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent.absolute()))
    try:
        spec.loader.exec_module(module)
    except (PostHogEventsError, click.ClickException):
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == origin]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else 1
        hint = "; is the environment variable set?" if isinstance(error, KeyError) else ""
        raise click.ClickException(f"{path}:{line}: {type(error).__name__}: {error}{hint}") from error
    return vars(module)


def plain(text: str) -> str:
    """Return a text of strangers without what would move a terminal's cursor."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def host_and_port(default: int) -> Callable[[Command], Command]:
    """Add --host and --port."""

    def add(command: Command) -> Command:
        command = click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=default,
            show_default=True,
            help="Listen on this port; 0 takes one that is free.",
        )(command)
        return click.option(
            "--host",
            default="127.0.0.1",
            show_default=True,
            help="Listen on this address; 0.0.0.0 is every one of this machine.",
        )(command)

    return add


def shown_address(listener: socket.socket, host: str) -> str:
    """Return the URL that a socket is reached at from this machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{listener.getsockname()[1]}"
