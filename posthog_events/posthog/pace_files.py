"""The files through which the processes of this machine share a project's limits.

    <name>.json      the state, replaced as a whole while the lock is held
    <name>.lock      held for the millisecond of reading and writing the state
    <name>.slot-0    each held while a query runs; the operating system frees it with the process, however that ends

The name is a hash of origin and project. Locks are those of `flock`, which belong to one opening of the file: threads,
and two objects in one process, exclude each other as processes do.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedWriter, FileIO
from pathlib import Path

import msgspec

from posthog_events.errors import ConfigError
from posthog_events.posthog.pace_state import PaceState, read_state

__all__ = ["STATE_VARIABLE", "PaceFiles", "Slot", "state_directory"]

STATE_VARIABLE = "POSTHOG_EVENTS_STATE_DIR"

MAX_STATE_BYTES = 1_000_000
"""A full state has 8,700 times of 14 characters; more is not ours."""


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where state is kept: `POSTHOG_EVENTS_STATE_DIR`, or the user's state directory."""
    if chosen := environ.get(STATE_VARIABLE):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_state_path("posthog-events")


class Slot:
    """One of the queries at a time, until `free` is called or the process ends."""

    def __init__(self, file: FileIO) -> None:
        self._file = file

    def free(self) -> None:
        """Give the slot back."""
        _unlock(self._file)


class PaceFiles:
    """The files of one project.

    Args:
        directory: Created, for this user only, when it is first needed.
    """

    def __init__(self, directory: Path, *, origin: str, project_id: int) -> None:
        self._directory = directory
        self._name = hashlib.sha256(f"{origin}\n{project_id}".encode()).hexdigest()[:16]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process and thread from the state; `load`, `save` and `take_slot` belong within.

        Raises:
            ConfigError: The directory cannot be written, or its file system has no locks.
        """
        with self._said_plainly():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self._open("lock")
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except BaseException:
                file.close()
                raise
        try:
            yield
        finally:
            _unlock(file)

    def load(self) -> PaceState:
        """Return the state; an empty one when there is none that can be read."""
        with self._said_plainly():
            try:
                with self._path("json").open("rb") as file:
                    raw = file.read(MAX_STATE_BYTES + 1)
            except FileNotFoundError:
                return PaceState()
        return PaceState() if len(raw) > MAX_STATE_BYTES else read_state(raw)

    def save(self, state: PaceState) -> None:
        """Replace the state. It need not survive a power cut, so nothing waits for the disk."""
        with self._said_plainly():
            with BufferedWriter(self._open("new", os.O_TRUNC)) as file:
                file.write(msgspec.json.encode(state))
            self._path("new").replace(self._path("json"))

    def take_slot(self, slots: int) -> Slot | None:
        """Return a free slot, or None when all of them are taken."""
        with self._said_plainly():
            for number in range(slots):
                file = self._open(f"slot-{number}")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    file.close()
                except BaseException:
                    file.close()
                    raise
                else:
                    return Slot(file)
        return None

    def _path(self, suffix: str) -> Path:
        return self._directory / f"{self._name}.{suffix}"

    def _open(self, suffix: str, flags: int = 0) -> FileIO:
        # no symbolic link is followed: the directory may be one that others can write to
        descriptor = os.open(self._path(suffix), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, 0o600)
        return FileIO(descriptor, "r+")

    @contextmanager
    def _said_plainly(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise ConfigError(
                f"the processes on this machine share PostHog's limits through files in {self._directory}, and that "
                f"does not work there ({exc.strerror or exc}). Set {STATE_VARIABLE} to a directory on a local disk "
                "that you can write to"
            ) from exc


def _unlock(file: FileIO) -> None:
    try:
        # closing alone would leave the lock with a child that was forked meanwhile
        fcntl.flock(file, fcntl.LOCK_UN)
    finally:
        file.close()
