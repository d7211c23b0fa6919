"""A query file in words: what `query show` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from posthog_events.queryfiles import Param, QueryFile
from posthog_events.queryfiles.model import MISSING

__all__ = ["describe"]


def describe(file: QueryFile, *, width: int = 100) -> str:
    """Return title, question and definition, the parameters, the columns, and the query itself."""
    return "\n".join(_lines(file, width)) + "\n"


def _lines(file: QueryFile, width: int) -> Iterator[str]:
    yield f"{file.name}: {file.title}"
    for text in (file.question, file.doc):
        if text:
            yield ""
            yield from _wrapped(text, width)
    yield ""
    if file.params:
        yield "Parameters"
        yield from _columns([(param.name, param.type, _details(param)) for param in file.params.values()])
    else:
        yield "No parameters"
    if file.returns:
        yield ""
        yield f"Columns ({file.grain})" if file.grain else "Columns"
        yield from _columns(list(file.returns.items()))
    yield ""
    yield f"File {file.path or '-'}, line {file.first_line}"
    yield ""
    yield file.body.strip("\n")


_WRAPPED_AT = 80
"""A line of a header at least as long as this was broken by its author's editor; a shorter one ends what it says."""


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Fill lines anew where the author's editor broke them, and keep the author's own breaks."""
    joined = ""
    for line in text.strip().split("\n"):
        joined = f"{joined} {line}" if joined else line
        if len(line) < _WRAPPED_AT:
            yield from textwrap.wrap(joined, width) or [""]
            joined = ""
    yield from textwrap.wrap(joined, width)


def _columns(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield ("  " + "  ".join(cells)).rstrip()


def _details(param: Param) -> str:
    """Return what a value must be, beyond its type."""
    return "; ".join(_facts(param))


def _facts(param: Param) -> Iterable[str]:
    if param.description:
        yield param.description
    if param.choices:
        yield f"one of {', '.join(param.choices)}"
    if param.min is not None:
        yield f"at least {param.min:g}"
    if param.max is not None:
        yield f"at most {param.max:g}"
    if param.required:
        yield "required"
    elif param.default is MISSING or param.default is None:
        yield "optional"
    else:
        yield f"default {param.default}"
