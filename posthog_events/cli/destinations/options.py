"""What the commands on destinations share: which declarations are meant, which live destination, and yes or no."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from posthog_events.destinations import Destination
    from posthog_events.destinations.manager import Destinations

__all__ = [
    "FOLDER",
    "agree",
    "check_asking",
    "coloured",
    "find_row",
    "find_rows",
    "paths_argument",
    "say_note",
    "sources",
    "yes_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])

FOLDER = Path("destinations")
COLOURS = {"+": "green", "~": "yellow", "-": "red", "!": "magenta"}


def paths_argument(command: Command) -> Command:
    """Add the positional PATHs; the command receives `paths`, for `sources`."""
    return click.argument("paths", nargs=-1, metavar="[PATH]...")(command)


def yes_option(command: Command) -> Command:
    """Add --yes; the command receives `yes`, for `agree`."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def sources(names: Sequence[str]) -> tuple[Path | Destination, ...]:
    """Return what names stand for: a file or a folder, a key of ./destinations, or a name of the shipped library.

    Without names it is ./destinations.

    Raises:
        UsageError: A name stands for nothing, or there is no ./destinations.
        DeclarationError: A key is looked for in files that have faults.
    """
    from posthog_events.destinations.library import list_library, search_path

    if names:
        return tuple(_source(name) for name in names)
    if folders := search_path():
        return folders
    shipped = ", ".join(file.name for file in list_library())
    raise click.UsageError(
        f"there is no folder ./{FOLDER} here: name files or folders, or a declaration of the shipped library "
        f"({shipped}); `posthog-events destinations init NAME` copies one into ./{FOLDER}."
    )


def _source(name: str) -> Path | Destination:
    from posthog_events.destinations import read_declarations
    from posthog_events.destinations.library import library_folder, list_library, search_path
    from posthog_events.destinations.reading import SUFFIXES
    from posthog_events.queryfiles.params import did_you_mean

    path = Path(name)
    if path.exists() or path.name != name or path.suffix in SUFFIXES:
        return path  # what does not exist is a fault like any other in declarations
    folders = search_path()
    if (own := _file(name, folders)) is not None:
        return own
    declared = {one.key: one for one in read_declarations(folders)} if folders else {}
    if name in declared:
        return declared[name]
    # last, so that an example never stands for a declaration of the user's
    if (shipped := _file(name, [library_folder()])) is not None:
        return shipped
    hint = did_you_mean(name, [*declared, *(file.name for file in list_library())])
    raise click.UsageError(
        f"{name} is no file or folder, no key in ./{FOLDER}, and not in the shipped library"
        + (hint or "; `posthog-events destinations init` lists that.")
    )


def _file(name: str, folders: Sequence[Path]) -> Path | None:
    from posthog_events.destinations.reading import SUFFIXES

    files = (folder / f"{name}{suffix}" for folder in folders for suffix in SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def find_row(destinations: Destinations, name: str) -> dict[str, Any]:
    """Return the live destination with a key, or an id; see `find_rows`."""
    (row,) = find_rows(destinations, [name])
    return row


def find_rows(destinations: Destinations, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the live destinations with these keys (of managed ones) or ids (of any), in one look at the project.

    Raises:
        ConfigError: There is none, or several carry the mark of one key.
    """
    from posthog_events.destinations.matching import key_of
    from posthog_events.errors import ConfigError

    rows = destinations.rows()
    keys = sorted({key for row in rows if (key := key_of(row)) is not None})
    found = []
    for name in names:
        named = [row for row in rows if name in (key_of(row), row["id"])]
        if not named:
            known = ", ".join(keys) or "none yet"
            raise ConfigError(
                f"no destination has the key or the id {name}; the keys are: {known}. "
                "`posthog-events destinations list` shows every id"
            )
        if len(named) > 1:
            ids = ", ".join(str(row["id"]) for row in named)
            raise ConfigError(f"several destinations carry the mark of {name}: name one by its id ({ids})")
        found += named
    return found


def check_asking(*, yes: bool, otherwise: str = "") -> None:
    """Make sure, before anything is done, that somebody has agreed or can be asked.

    Args:
        otherwise: What else can be done where nobody can be asked.

    Raises:
        UsageError: Nobody has, and nobody can.
    """
    if not yes and not sys.stdin.isatty():
        raise click.UsageError(f"nobody can be asked here: say --yes{otherwise}.")


def agree(question: str, *, yes: bool = False) -> None:
    """Ask, unless `yes`.

    Raises:
        Abort: The answer is no.
    """
    if not yes:
        click.confirm(question, abort=True, err=True)


def say_note(text: str) -> None:
    """Tell on stderr what a reader of the results should know."""
    click.echo(f"note: {text}", err=True)


def coloured(text: str, *, color: bool) -> str:
    """Return a text whose lines begin with signs of change, in their colours."""
    if not color:
        return text
    return "\n".join(_coloured(line) for line in text.split("\n"))


def _coloured(line: str) -> str:
    sign, space, _ = line.lstrip().partition(" ")
    return click.style(line, fg=COLOURS[sign]) if space and sign in COLOURS else line
