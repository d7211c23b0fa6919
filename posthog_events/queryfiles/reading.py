"""From the bytes of a `.sql` file to a `QueryFile`, or to everything that is wrong in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from posthog_events.errors import Fault, QueryFileError
from posthog_events.queryfiles.header import Header, parse_header
from posthog_events.queryfiles.model import QueryFile
from posthog_events.queryfiles.params import did_you_mean

__all__ = ["body_fault", "parse_query_file", "read_query_file"]

MAX_BYTES = 1_000_000
"""A query file is written by hand; PostHog's own limit on a query's text is below this."""

_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}", re.DOTALL)
_STRUCTURAL = ("property", "steps", "where")


def read_query_file(path: Path) -> QueryFile:
    """Read and check one query file.

    Raises:
        QueryFileError: It cannot be read, or holds faults; all of them are listed, with file, line and column.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise QueryFileError([Fault(f"cannot be read: {error.strerror}", path)]) from error
    if len(data) > MAX_BYTES:
        raise QueryFileError([Fault(f"is larger than {MAX_BYTES:,} bytes; this is not a query file", path)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise QueryFileError([Fault(f"is not UTF-8 (byte {error.start})", path, line)]) from error
    return parse_query_file(text, path.stem, path)


def parse_query_file(text: str, name: str, path: Path | None = None) -> QueryFile:
    """Check the text of a query file.

    Raises:
        QueryFileError: Lists every fault in it.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    start = next((at for at, line in enumerate(lines) if line.strip()), len(lines))
    stop = next((at for at in range(start, len(lines)) if not lines[at].startswith("--")), len(lines))
    # blank lines before the header stay, so that lines count from the top of the file
    header, faults = parse_header(["  "] * start + lines[start:stop] if stop > start else [])
    body, first_line = "\n".join(lines[stop:]), stop + 1
    faults += _body_faults(body, header, first_line)
    if faults:
        ordered = sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0))
        raise QueryFileError([Fault(fault.message, path, fault.line, fault.column) for fault in ordered])
    return QueryFile(
        name=name,
        path=path,
        title=header.texts["title"],
        body=body,
        question=header.texts.get("question", ""),
        doc=header.texts.get("doc", ""),
        grain=header.texts.get("grain", ""),
        params=MappingProxyType(dict(header.params)),
        returns=MappingProxyType(dict(header.returns)),
        tags=header.tags,
        chart=header.chart,
        allow=header.allow,
        first_line=first_line,
    )


def body_fault(message: str, body: str, offset: int, first_line: int, path: Path | None = None) -> Fault:
    """Return a fault at a code point of a body that begins on `first_line` of `path`."""
    column = offset - (body.rfind("\n", 0, offset) + 1) + 1
    return Fault(message, path, first_line + body.count("\n", 0, offset), column)


def _body_faults(body: str, header: Header, first_line: int) -> Iterator[Fault]:
    from posthog_events.queryfiles.template import analyse

    if not _COMMENTS.sub("", body).strip():
        yield Fault("there is no query below the header", line=first_line, column=1)
        return
    if "\0" in body:
        yield body_fault("a NUL character", body, body.index("\0"), first_line)
    analysed = analyse(body)
    for fault in analysed.faults:
        yield body_fault(fault.message, body, fault.offset, first_line)
    declared = header.places
    for name, offset in _undeclared(analysed.names, declared):
        hint = did_you_mean(name, declared) or "; declare it in `params`"
        yield body_fault(f"`{name}` is not a parameter{hint}", body, offset, first_line)
    for name, param in header.params.items():
        if name in analysed.plain and param.type in _STRUCTURAL:
            message = f"`{name}` is a {param.type}: write {{{{ {name} }}}} with a filter, not {{{name}}}"
            yield body_fault(message, body, analysed.plain[name], first_line)
        unused = name not in analysed.names and name not in analysed.plain
        if unused and analysed.template is not None:
            key = declared[name]
            yield Fault(f"the parameter `{name}` is not used", line=key.line, column=key.column)


def _undeclared(names: Mapping[str, int], declared: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    from posthog_events.queryfiles.environment import environment

    known = declared.keys() | environment().globals.keys()
    return ((name, offset) for name, offset in names.items() if name not in known)
