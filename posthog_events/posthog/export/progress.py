"""What an export tells while it runs, and when it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from posthog_events.posthog.export.ledger import Axis, SliceRecord

__all__ = ["ExportProgress", "ExportReport"]


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """How far an export is.

    Args:
        share: Of the time to export, what is complete: 0 to 1.
        rows: Rows of the slices that this call has completed; so with `size_bytes`.
        waiting: Runs that PostHog is working on.
    """

    share: float
    rows: int
    size_bytes: int
    waiting: int


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The proof of an export: every slice that holds a part of the range, each once.

    Args:
        out: The directory; the files are in `out/events`.
        id: The directory's own; see `Ledger.id`.
        axis: Which time of an event decides its slice.
        slices: In order, without gaps over the range. `rows` of each equals what PostHog said it exported, and what its
            files hold.
        fetched: How many of them this call fetched; the others were there.
        notes: Sentences for the user.
    """

    out: Path
    id: str
    axis: Axis
    slices: tuple[SliceRecord, ...]
    fetched: int
    elapsed_s: float
    notes: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        """Rows of all slices; an event that PostHog holds twice is in them twice."""
        return sum(record.rows for record in self.slices)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for record in self.slices for file in record.files)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, in order."""
        return tuple(self.out / "events" / file.name for record in self.slices for file in record.files)
