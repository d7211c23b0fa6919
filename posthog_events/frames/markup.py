"""Frames as Markdown and HTML, every cell escaped."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from posthog_events.frames.cells import cell_text, neutralise, row_count

if TYPE_CHECKING:
    import polars as pl

__all__ = ["html_document", "html_table", "markdown_table"]

# What CommonMark and GitHub's tables give a meaning to inside a cell; < > & are escaped as in HTML.
_MARKDOWN = re.compile(r"([\\`*_\[\]|~$])")

_STYLE = """\
.ph-events{border-collapse:collapse;font:13px/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums}
.ph-events th,.ph-events td{padding:4px 12px;text-align:left;border-bottom:1px solid rgba(128,128,128,.25)}
.ph-events th{border-bottom:2px solid rgba(128,128,128,.5)}
.ph-events th small{display:block;font-weight:normal;opacity:.6}
.ph-events .n{text-align:right}.ph-events .null{opacity:.4}
.ph-events caption{caption-side:bottom;text-align:left;padding:6px 12px;opacity:.6}"""


def markdown_table(frame: pl.DataFrame) -> str:
    """Return every row as a GitHub Markdown table; a missing value is an empty cell."""
    rules = ["---:" if dtype.is_numeric() else "---" for dtype in frame.dtypes]
    lines = [_markdown_line([_markdown(neutralise(name)) for name in frame.columns]), _markdown_line(rules)]
    lines += [
        _markdown_line(["" if value is None else _markdown(cell_text(value)) for value in row])
        for row in frame.iter_rows()
    ]
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    return html.escape(_MARKDOWN.sub(r"\\\1", text), quote=False)


def _markdown_line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def html_table(frame: pl.DataFrame, *, rows: int | None = None) -> str:
    """Return the first `rows` rows (None: all) as a `<table>` with its style, for a notebook or a page."""
    shown = frame if rows is None else frame.head(rows)
    sides = [' class="n"' if dtype.is_numeric() else "" for dtype in frame.dtypes]
    head = "".join(
        f"<th{side}>{html.escape(neutralise(name))}<small>{html.escape(str(dtype))}</small></th>"
        for name, dtype, side in zip(frame.columns, frame.dtypes, sides, strict=True)
    )
    body = "\n".join(
        "<tr>" + "".join(_html_cell(value, side) for value, side in zip(row, sides, strict=True)) + "</tr>"
        for row in shown.iter_rows()
    )
    count = row_count(frame.height)
    caption = count if shown.height == frame.height else f"{shown.height} of {count}"
    return (
        f"<style>\n{_STYLE}\n</style>\n"
        f'<table class="ph-events">\n<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table>\n"
    )


def _html_cell(value: object, side: str) -> str:
    if value is None:
        return '<td class="null">∅</td>'
    return f"<td{side}>{html.escape(cell_text(value))}</td>"


def html_document(frame: pl.DataFrame, *, title: str = "Query result") -> str:
    """Return a page that holds every row."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{html.escape(title)}</title></head>\n'
        f"<body>\n{html_table(frame)}</body>\n</html>\n"
    )
