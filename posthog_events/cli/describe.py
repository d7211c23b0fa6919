"""A query file in words: what `query show` prints."""

from __future__ import annotations

import re
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


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Fill each paragraph anew; the lines in a header are as long as its author's editor was wide."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ""
        yield from textwrap.wrap(paragraph, width)


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
