"""What tables and charts of a terminal share: colours, and a console that writes to a text."""

from __future__ import annotations

import io
import os
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["SERIES", "fitted", "screen", "screen_text", "wants_color"]

SERIES = ("bright_blue", "bright_yellow", "bright_magenta", "bright_green", "bright_red", "bright_cyan")
"""The colours of a chart's series, in order."""


def wants_color(stream: IO[Any]) -> bool:
    """Whether whoever reads the stream wants colours. Source: no-color.org (any text in NO_COLOR means none)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def screen(*, width: int, color: bool) -> Console:
    """Return a console that prints into a text; `screen_text` reads it."""
    from rich.console import Console

    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="256" if color else None,
        legacy_windows=False,
        force_jupyter=False,  # in a notebook rich would display what it prints, and the text would be empty
    )


def screen_text(console: Console) -> str:
    """Return everything printed so far, without spaces at line ends."""
    return "\n".join(line.rstrip() for line in cast(io.StringIO, console.file).getvalue().splitlines()) + "\n"


def fitted(text: str, size: int, *, right: bool = False) -> str:
    """Return text exactly `size` cells wide: filled up, or cut with an ellipsis."""
    from rich.cells import cell_len, set_cell_size

    if (spare := size - cell_len(text)) >= 0:
        return " " * spare + text if right else text + " " * spare
    return set_cell_size(text, size - 1) + "…"
