"""Where query files are looked for, and in which order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from posthog_events.errors import Fault, QueryFileError
from posthog_events.queryfiles.model import QueryFile
from posthog_events.queryfiles.params import did_you_mean
from posthog_events.queryfiles.reading import read_query_file

__all__ = ["Listed", "find", "library_dir", "list_all", "load", "search_path"]

_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Listed:
    """A query file that was found.

    Args:
        hidden_by: The file of the same name that is used instead; None when this one is used.
    """

    name: str
    path: Path
    hidden_by: Path | None = None


def library_dir(kind: Literal["queries", "destinations"], *, package: Path = _PACKAGE) -> Path:
    """Return the folder of files that came with the package: in the wheel, else beside it in a checkout."""
    packed = package / "_library" / kind
    return packed if packed.is_dir() else package.parent / kind


def search_path(configured: Sequence[Path] = (), *, cwd: Path | None = None) -> tuple[Path, ...]:
    """Return the folders to look in, first match first: `./queries`, the configured ones, the shipped library."""
    folders = ((cwd or Path()) / "queries", *configured, library_dir("queries"))
    nearest: dict[Path, Path] = {}
    for folder in folders:
        # in a checkout, ./queries is the shipped library
        nearest.setdefault(folder.resolve(), folder)
    return tuple(nearest.values())


def find(name: str, search: Sequence[Path]) -> Path:
    """Return the path of the query file that `name` means: a path as it is, or a name in one of `search`.

    Raises:
        QueryFileError: There is none.
    """
    if name.endswith(".sql") or "/" in name or os.sep in name:
        path = Path(name)
        if path.is_file():
            return path
        raise QueryFileError([Fault("there is no such file", path)])
    for folder in search:
        path = folder / f"{name}.sql"
        if path.is_file():
            return path
    names = [listed.name for listed in list_all(search)]
    hint = did_you_mean(name, names) or f" in {', '.join(map(str, search)) or 'any folder'}"
    raise QueryFileError([Fault(f"there is no query {name!r}{hint}. List them with: posthog-events query list")])


def list_all(search: Sequence[Path]) -> tuple[Listed, ...]:
    """Return every query file in `search`, by name, then in the order of `search`; hidden ones are marked."""
    used: dict[str, Path] = {}
    found: list[Listed] = []
    for folder in search:
        for path in sorted(folder.glob("*.sql")):
            found.append(Listed(path.stem, path, hidden_by=used.get(path.stem)))
            used.setdefault(path.stem, path)
    return tuple(sorted(found, key=lambda listed: listed.name))


def load(name: str, search: Sequence[Path]) -> QueryFile:
    """Find and read a query file.

    Raises:
        QueryFileError: There is none, or it holds faults.
    """
    return read_query_file(find(name, search))
