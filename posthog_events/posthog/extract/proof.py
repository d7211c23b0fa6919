"""The statement that ends an extraction: what the server counted, and what was received."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from posthog_events.errors import IncompleteExtraction

__all__ = ["Proof", "SliceProof", "incomplete"]

_NAMED = 5


@dataclass(frozen=True, slots=True)
class SliceProof:
    """One slice of time. `counted` and `received` are equal in a finished extraction.

    Args:
        since: First moment, UTC.
        until: First moment after it, UTC.
        counted: Different events (by uuid) that the server counted after everything had been received.
        received: Different events received, without those `withdrawn`.
        duplicates: Rows dropped because an event of the slice had come already. PostHog may store an event twice until
            its tables are merged.
        late: Events among `received` that arrived at the server after the slice was fetched first.
        withdrawn: Events that were handed out and are no longer on the server.
    """

    since: datetime
    until: datetime
    counted: int
    received: int
    duplicates: int = 0
    late: int = 0
    withdrawn: int = 0


@dataclass(frozen=True, slots=True)
class Proof:
    """What an extraction received, slice by slice; the slices cover `since` to `until` without a gap.

    Every event that was on the server when its slice was counted has been handed out. A slice whose count agrees is not
    counted again while others are fetched again, so that a server on which late events trickle in can be done with at
    all; what arrives after the count is for the next extraction to find. Numbers are compared, not uuids: one event
    deleted and another added to the same slice between its fetch and its count stay unnoticed. How many bytes the
    server read is not known.

    Args:
        until: The end of what was extracted: `asked_until`, or the server's time at the start if that was earlier.
        requests: Queries sent, those that were too heavy and had to be split included.
    """

    since: datetime
    until: datetime
    asked_until: datetime
    slices: tuple[SliceProof, ...]
    requests: int

    @property
    def counted(self) -> int:
        """Events on the server."""
        return sum(part.counted for part in self.slices)

    @property
    def received(self) -> int:
        """Events received and still on the server."""
        return sum(part.received for part in self.slices)

    @property
    def duplicates(self) -> int:
        """Rows dropped."""
        return sum(part.duplicates for part in self.slices)

    @property
    def late(self) -> int:
        """Events that came in a frame of their own, out of order."""
        return sum(part.late for part in self.slices)

    @property
    def withdrawn(self) -> int:
        """Events handed out and deleted at the server since."""
        return sum(part.withdrawn for part in self.slices)

    def __str__(self) -> str:
        notes = "".join(
            f", {number:,} {what}"
            for number, what in (
                (self.duplicates, "duplicates dropped"),
                (self.late, "late"),
                (self.withdrawn, "deleted meanwhile"),
            )
            if number
        )
        slices = f"{len(self.slices):,} slice{'' if len(self.slices) == 1 else 's'}"
        return (
            f"{self.received:,} events received, {self.counted:,} counted by the server, in {slices} from "
            f"{self.since.isoformat()} to {self.until.isoformat()}{notes}; {self.requests:,} requests"
        )


def incomplete(name: str, rounds: int, differing: Sequence[SliceProof]) -> IncompleteExtraction:
    """Return the error that names the slices whose numbers differ."""
    named = "; ".join(
        f"{part.since.isoformat()} to {part.until.isoformat()}: {part.counted:,} counted, {part.received:,} received"
        for part in differing[:_NAMED]
    )
    more = f"; and {len(differing) - _NAMED:,} more" if len(differing) > _NAMED else ""
    times = f"{rounds} time{'' if rounds == 1 else 's'}"
    return IncompleteExtraction(
        f"{name}: the server's count and the events received still differ in {len(differing):,} "
        f"slice{'' if len(differing) == 1 else 's'} after fetching again {times} ({named}{more}). Events of that time "
        "are still arriving or being deleted: choose an earlier end, allow more rounds, or try again later"
    )
