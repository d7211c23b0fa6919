"""Keeps the parser's answers on disk, because parsing is the slow part of running HogQL (tens of milliseconds).

This is a cache: whatever goes wrong with it costs time, never an answer. That is why failures of the file system are
passed over in silence here, and nowhere else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

__all__ = ["DiskCache", "default_cache_dir"]

MAX_ENTRIES = 4096
"""A full cache loses its older half. At about 10 kB an entry that is 40 MB."""


def default_cache_dir() -> Path:
    """Return the directory of the current user's cache."""
    return Path(platformdirs.user_cache_dir("posthog-events")) / "hogql"


@dataclass(frozen=True, slots=True)
class DiskCache:
    """Trees by text, one file each. Entries of other parser versions are never read.

    Args:
        directory: Made when first written to.
        version: Of the parser.
    """

    directory: Path
    version: str

    def get(self, rule: str, text: str) -> Mapping[str, Any] | None:
        """Return the stored tree; None when there is none, or none that can be trusted."""
        try:
            entry = json.loads(self._path(rule, text).read_text(encoding="utf-8"))
            if entry["header"] == self._header(rule, text) and isinstance(entry["tree"], dict):
                return entry["tree"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            pass
        return None

    def put(self, rule: str, text: str, tree: Mapping[str, Any]) -> None:
        """Store the tree. A reader sees the whole entry or none, also after a crash."""
        path = self._path(rule, text)
        with contextlib.suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._make_room()
            handle, temporary = tempfile.mkstemp(dir=self.directory, suffix=".tmp")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump({"header": self._header(rule, text), "tree": tree}, file, separators=(",", ":"))
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def _header(self, rule: str, text: str) -> dict[str, str]:
        return {"parser": self.version, "rule": rule, "sha256": hashlib.sha256(text.encode()).hexdigest()}

    def _path(self, rule: str, text: str) -> Path:
        key = "\0".join(self._header(rule, text).values())
        return self.directory / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _make_room(self) -> None:
        paths = list(self.directory.iterdir())
        if len(paths) >= MAX_ENTRIES:
            for path in sorted(paths, key=lambda path: path.stat().st_mtime)[: len(paths) // 2]:
                path.unlink(missing_ok=True)
