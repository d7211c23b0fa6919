"""The declarations that come with the package, to be copied and changed; and where declarations are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from posthog_events.destinations.model import Destination
from posthog_events.destinations.reading import SUFFIXES, read_declarations
from posthog_events.errors import DeclarationError, Fault
from posthog_events.queryfiles.params import did_you_mean
from posthog_events.queryfiles.search import library_dir

__all__ = ["LibraryFile", "library_folder", "list_library", "load_library", "search_path"]


@dataclass(frozen=True, slots=True)
class LibraryFile:
    """A file of the shipped library.

    Args:
        name: What it is called, such as `signup-slack`.
        title: Its first sentence.
        text: All of it, with the comments that say what to change.
        destinations: What it declares.
    """

    name: str
    title: str
    path: Path
    text: str
    destinations: tuple[Destination, ...]


def library_folder() -> Path:
    """Return the folder of the declarations that came with the package."""
    return library_dir("destinations")


def search_path(configured: Sequence[Path] = (), *, cwd: Path | None = None) -> tuple[Path, ...]:
    """Return the folders in which a user's declarations are: `./destinations`, then the configured ones.

    The shipped library is not among them: its channels and addresses are examples, and nobody means to apply them.
    """
    folders = ((cwd or Path()) / "destinations", *configured)
    nearest: dict[Path, Path] = {}
    for folder in folders:
        if folder.is_dir() and folder.resolve() != library_folder().resolve():
            nearest.setdefault(folder.resolve(), folder)
    return tuple(nearest.values())


def list_library() -> tuple[LibraryFile, ...]:
    """Return every file of the shipped library, by name."""
    files = (path for path in library_folder().iterdir() if path.suffix in SUFFIXES)
    return tuple(_read(path) for path in sorted(files))


def load_library(name: str) -> LibraryFile:
    """Return the file `name` of the shipped library.

    Raises:
        DeclarationError: There is none.
    """
    known = {path.stem: path for path in sorted(library_folder().iterdir()) if path.suffix in SUFFIXES}
    if name not in known:
        hint = did_you_mean(name, known) or f" (there are {', '.join(known)})"
        raise DeclarationError([Fault(f"the library has no declaration `{name}`{hint}")])
    return _read(known[name])


def _read(path: Path) -> LibraryFile:
    text = path.read_text(encoding="utf-8")
    comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
    words = " ".join(line.removeprefix("#").strip() for line in comment)
    return LibraryFile(path.stem, words.partition(". ")[0].rstrip(".") + ".", path, text, read_declarations([path]))
