"""Opening files that may be compressed."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from posthog_events.errors import ImportFailed

__all__ = ["field_limit", "open_binary"]

MAX_FIELD = 1 << 20
"""Characters of one CSV cell; Python's default of 128 Ki is less than an event may have."""

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@contextmanager
def open_binary(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """Open a file for reading, uncompressed; also yield a function that returns how many of its bytes were consumed.

    Raises:
        ImportFailed: Its compressed data is damaged; raised wherever the reading meets the damage.
    """
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            if magic.startswith(_GZIP):
                with gzip.open(raw, "rb") as stream:
                    yield cast(IO[bytes], stream), raw.tell
            elif magic == _ZSTD:
                with _open_zstd(raw, path) as stream:
                    yield stream, raw.tell
            else:
                yield raw, raw.tell
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise ImportFailed(f"{path} is damaged or cut off: {exc}") from exc


@contextmanager
def field_limit() -> Iterator[None]:
    """Let CSV cells be as large as an event may be."""
    before = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


@contextmanager
def _open_zstd(raw: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14
    except ImportError:
        try:
            from backports import zstd  # type: ignore[import-not-found,no-redef,unused-ignore]
        except ImportError:
            raise ImportFailed(
                f"{path} is compressed with zstandard, which this Python cannot read; unpack it first, or run: "
                "pip install backports.zstd"
            ) from None
    try:
        with zstd.open(raw, "rb") as stream:
            yield cast(IO[bytes], stream)
    except zstd.ZstdError as exc:
        raise ImportFailed(f"{path} is damaged or cut off: {exc}") from exc
