"""The error boundary: what a user, a script and a bug hunter see when a command fails.

Imported only when something was raised, so that a command that works never pays for it.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path

import click

from posthog_events.errors import HogQLError, PostHogEventsError

__all__ = ["EXIT_BROKEN_PIPE", "EXIT_FAILED", "EXIT_INTERRUPTED", "error_document", "exit_code", "report", "sentence"]

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
EXIT_BROKEN_PIPE = 141
"""128 + SIGPIPE: the reader (`head`, a pager) went away, which is no fault to talk about."""

BUG = (
    "This is a bug in posthog-events. Please report it in the project's issue tracker, with the traceback above, "
    "the command line and the output of: posthog-events --version"
)

# Reasons that the operating system gives for a path the user named, in words that say what to do.
OS_REASONS: Mapping[int, str] = {
    errno.ENOENT: "{path} does not exist",
    errno.EISDIR: "{path} is a directory, but a file is needed",
    errno.ENOTDIR: "{path} cannot be reached, because a part of it is a file and not a directory",
    errno.EACCES: "{path} may not be used by this user; check its permissions",
    errno.EPERM: "{path} may not be changed by this user; check its permissions",
    errno.EROFS: "{path} is on a read-only file system",
    errno.EEXIST: "{path} exists already and is not replaced",
    errno.ENOSPC: "no space is left on the disk of {path}; free some, or choose another place",
    errno.EDQUOT: "the disk quota of {path} is used up; free some space, or choose another place",
}


def report(error: BaseException, *, as_json: bool, debug: bool) -> int:
    """Tell the user about `error` and return the exit code.

    People read one sentence on stderr. With `as_json`, stdout carries one document as well, so that a script that
    parses stdout never meets prose there. A bug always shows its traceback.
    """
    code = exit_code(error)
    if isinstance(error, BrokenPipeError):
        _silence(sys.stdout)
        return code
    message = sentence(error)
    if debug or message is None:
        traceback.print_exception(error, file=sys.stderr)
    if as_json:
        click.echo(json.dumps({"ok": False, "error": error_document(error)}, ensure_ascii=False))
    elif isinstance(error, click.UsageError):
        error.show()
    elif message is not None:
        for line in _lines(error, message):
            click.echo(line, err=True)
    if message is None:
        click.echo(BUG, err=True)
    return code


def exit_code(error: BaseException) -> int:
    """Return the exit code of DESIGN 9 for `error`."""
    if isinstance(error, PostHogEventsError | click.ClickException):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return EXIT_BROKEN_PIPE
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return EXIT_FAILED


def sentence(error: BaseException) -> str | None:
    """Return what to tell a person, or None when `error` is a bug of ours."""
    match error:
        case PostHogEventsError():
            return str(error)
        case click.ClickException():
            return error.format_message()
        case click.Abort():
            return "stopped: an answer was needed, and there was none"
        case KeyboardInterrupt():
            return "stopped"
        case SystemExit():
            return str(error.code)
        case OSError() if error.filename is not None or error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _os_sentence(error)
        case _:
            return None


def error_document(error: BaseException) -> dict[str, object]:
    """Return the `error` member of the JSON document: type, message, exit code, and the error's own data."""
    data: dict[str, object] = {
        "type": type(error).__name__,
        "message": error.message if isinstance(error, HogQLError) else sentence(error) or str(error),
        "exit_code": exit_code(error),
    }
    if isinstance(error, HogQLError):
        data |= {"name": error.name, "line": error.line, "column": error.column, "excerpt": error.excerpt}
    elif isinstance(error, PostHogEventsError):
        data |= {name: _plain(value) for name, value in vars(error).items() if not name.startswith("_")}
    return data


def _lines(error: BaseException, message: str) -> list[str]:
    """Start each fault with `error:`; the lines after the first of any other error are its excerpt."""
    if faults := getattr(error, "faults", ()):
        return [f"error: {fault}" for fault in faults]
    return [f"error: {message}"]


def _os_sentence(error: OSError) -> str:
    path = "the output" if error.filename is None else os.fsdecode(error.filename)
    reason = OS_REASONS.get(error.errno or 0, "{path} cannot be used: " + (error.strerror or type(error).__name__))
    return reason.format(path=path)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _silence(stream: object) -> None:
    """Point a closed pipe at nothing, so that Python's last flush does not complain about it."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return  # a stream without a file descriptor (a test's) has no pipe behind it
