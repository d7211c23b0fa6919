"""From files and folders of declarations to destinations, or to everything that is wrong in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from posthog_events.destinations.declaration import read_declaration
from posthog_events.destinations.model import Destination
from posthog_events.errors import DeclarationError, Fault
from posthog_events.queryfiles.yamltree import Item, parse_yaml

__all__ = ["SUFFIXES", "parse_declarations", "read_declarations"]

SUFFIXES: Final = (".yaml", ".yml")
MAX_BYTES: Final = 1_000_000
"""A declaration is written by hand."""

# At the begin of a line these end a document wherever they stand, in quotes and block texts too (YAML 1.2, 9.1.2).
_DIVIDER = re.compile(r"^(---|\.\.\.)(?=\s|$)", re.MULTILINE)


def read_declarations(paths: Iterable[Path | str]) -> tuple[Destination, ...]:
    """Read every declaration in files, and in the `.yaml` and `.yml` files of folders, in order.

    Raises:
        DeclarationError: Lists every fault in all of them, with file, line and column.
    """
    found: list[Destination] = []
    faults: list[Fault] = []
    keys: dict[str, str] = {}
    for path in _files(paths, faults):
        text = _text(path, faults)
        if text is not None:
            found += _parse(text, path, faults, keys)
    if faults:
        raise DeclarationError(faults)
    return tuple(found)


def parse_declarations(text: str, path: Path | None = None) -> tuple[Destination, ...]:
    """Read the text of a file: one document for each destination, `---` between them.

    Raises:
        DeclarationError: Lists every fault in it.
    """
    faults: list[Fault] = []
    found = _parse(text, path, faults, {})
    if faults:
        raise DeclarationError(faults)
    return tuple(found)


def _parse(text: str, path: Path | None, faults: list[Fault], keys: dict[str, str]) -> list[Destination]:
    """Return the sound declarations of a file; `keys` are those seen so far, and where."""
    found: list[Destination] = []
    documents = 0
    for document in _documents(text.replace("\r\n", "\n").replace("\r", "\n")):
        root, wrong = parse_yaml(document)
        faults += [replace(fault, path=path) for fault in wrong]
        documents += root is not None or bool(wrong)
        if root is not None and root.content is not None:
            destination, wrong = read_declaration(root, path)
            faults += wrong
            found += [destination] if destination is not None else []
            faults += _taken(root, path, keys)
    if not documents:
        faults.append(Fault("there is no declaration in this file", path, 1))
    return found


def _documents(text: str) -> Iterator[str]:
    """Yield each document with empty lines before it, so that lines count from the top of the file."""
    start = 0
    for divider in _DIVIDER.finditer(text):
        yield "\n" * text.count("\n", 0, start) + _indented(text, start, divider.start())
        start = divider.start()
    yield "\n" * text.count("\n", 0, start) + _indented(text, start, len(text))


def _indented(text: str, start: int, stop: int) -> str:
    """Return a document with blanks for its divider."""
    return _DIVIDER.sub("   ", text[start:stop], count=1)


def _files(paths: Iterable[Path | str], faults: list[Fault]) -> list[Path]:
    files: dict[Path, Path] = {}
    for given in map(Path, paths):
        if given.is_dir():
            for path in sorted(path for path in given.iterdir() if path.suffix in SUFFIXES and path.is_file()):
                files.setdefault(path.resolve(), path)
        elif given.exists():
            files.setdefault(given.resolve(), given)
        else:
            faults.append(Fault("there is no such file or folder", given))
    return list(files.values())


def _text(path: Path, faults: list[Fault]) -> str | None:
    try:
        data = path.read_bytes()
    except OSError as error:
        faults.append(Fault(f"cannot be read: {error.strerror}", path))
        return None
    if len(data) > MAX_BYTES:
        faults.append(Fault(f"is larger than {MAX_BYTES:,} bytes; this is not a declaration", path))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        faults.append(Fault(f"is not UTF-8 (byte {error.start})", path, data.count(b"\n", 0, error.start) + 1))
        return None


def _taken(root: Item, path: Path | None, keys: dict[str, str]) -> list[Fault]:
    """Find a key that another declaration has, whatever else is wrong with either."""
    (item,) = [part for key, part in root.pairs if key.name == "key"] or (None,)
    if item is None or not isinstance(item.content, str):
        return []
    here = ":".join(str(part) for part in (path, item.line) if part is not None)
    first = keys.setdefault(item.content, here)
    if first == here:
        return []
    message = f"the key `{item.content}` is taken by {first}; each destination has its own"
    return [Fault(message, path, item.line, item.column)]
