"""A frame as a table that fits the terminal, and says what it leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from posthog_events.frames.cells import cell_text, neutralise, row_count
from posthog_events.frames.display import screen, screen_text

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DEFAULT_ROWS", "NULL", "fit_columns", "render_table"]

DEFAULT_ROWS = 20
NULL = "∅"
"""How a missing value is shown; an empty text is shown as two quotes."""

_MIN_WIDTH = 8
_MAX_WIDTH = 60
_GAP = 2
"""Characters between two columns."""


def render_table(frame: pl.DataFrame, *, rows: int | None = DEFAULT_ROWS, width: int = 80, color: bool = False) -> str:
    """Return the first `rows` rows (None: all) as text at most `width` characters wide.

    Cells are shortened before columns are dropped, from the right; both are visible, and the last line says how many
    rows and columns there are.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    shown = frame if rows is None else frame.head(rows)
    values = [column.to_list() for column in shown.iter_columns()]
    names = [neutralise(name) for name in frame.columns]
    texts = [[NULL if value is None else cell_text(value) for value in column] for column in values]
    natural = [min(_MAX_WIDTH, max(map(cell_len, (name, *column)))) for name, column in zip(names, texts, strict=True)]
    widths = fit_columns(natural, width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name, dtype, fitted in zip(names, frame.dtypes, widths, strict=False):
        table.add_column(
            Text(name),
            justify="right" if dtype.is_numeric() else "left",
            width=fitted,
            no_wrap=True,
            overflow="ellipsis",
        )
    kept = [
        [Text(text, style="dim" if value is None else "") for text, value in zip(*column, strict=True)]
        for column in zip(texts[: len(widths)], values, strict=False)
    ]
    for row in zip(*kept, strict=True):
        table.add_row(*row)
    console = screen(width=width, color=color)
    if widths:
        console.print(table)
    console.print(Text(_summary(frame, shown.height, names[len(widths) :]), style="dim"), soft_wrap=True)
    return screen_text(console)


def fit_columns(natural: Sequence[int], available: int) -> tuple[int, ...]:
    """Return the widths of the columns that can be shown; shorter than `natural` when some cannot.

    The widest columns give way first, down to eight characters; then columns go, from the right.
    """
    count = len(natural)
    while count > 1 and sum(min(width, _MIN_WIDTH) + _GAP for width in natural[:count]) > available:
        count -= 1
    widths = list(natural[:count])
    spare = available - _GAP * count
    while widths and sum(widths) > spare and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return tuple(widths)


def _summary(frame: pl.DataFrame, shown: int, hidden: Sequence[str]) -> str:
    if shown < frame.height:
        text = f"{shown} of {row_count(frame.height)}; see more with --rows N, or all with --output FILE"
    else:
        text = row_count(frame.height)
    if hidden:
        text += f"\n+{len(hidden)} column{'' if len(hidden) == 1 else 's'} not shown: {', '.join(hidden)}"
    return text
