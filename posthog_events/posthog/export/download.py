"""Downloading a presigned address into a partial file, without our key, going on where an earlier try stopped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import msgspec

from posthog_events.errors import ConnectionFailed
from posthog_events.posthog.session import anonymous

if TYPE_CHECKING:
    from requests import Response, Session

__all__ = ["Fetch", "download", "version_path"]

CHUNK = 1 << 20
TIMEOUT_S = (10.0, 60.0)
"""To connect, and between two bytes."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)\Z")


class Fetch(Protocol):
    """Downloads an address into a file, or goes on with what the file holds already."""

    def __call__(self, url: str, partial: Path) -> None:
        """Return when `partial` is complete.

        Raises:
            ConnectionFailed: It is not; what came is kept, and the next call goes on. The address may have expired.
        """
        ...


class _Version(msgspec.Struct):
    """Which content a partial file is the beginning of."""

    etag: str
    size: int


def version_path(partial: Path) -> Path:
    """Return where it is noted which content a partial file belongs to."""
    return partial.with_name(f"{partial.name}.etag")


def download(url: str, partial: Path) -> None:
    """Fetch a presigned address with a session of its own, which knows no key; see `Fetch`."""
    import requests
    import urllib3

    host = urlsplit(url).hostname
    try:
        with requests.Session() as session:
            session.auth = anonymous
            _continue(session, url, partial, host)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
        # Without its cause, which quotes the address.
        raise ConnectionFailed(f"the download from {host} broke off ({type(exc).__name__})") from None


def _continue(session: Session, url: str, partial: Path, host: str | None) -> None:
    version = _noted(partial)
    offset = partial.stat().st_size if version else 0
    if version and offset == version.size:
        return
    with _get(session, url, offset) as response:
        if response.status_code == 206 and version and _continues(response, version, offset):
            _write(response, partial, "ab", host, version.size)
            return
        if response.status_code == 200:
            _restart(response, partial, host)
            return
        status = response.status_code
    if not offset or status not in (206, 412, 416):
        raise ConnectionFailed(f"the download from {host} was refused with status {status}")
    # The content is not the one that the file is the beginning of.
    partial.unlink()
    _continue(session, url, partial, host)


def _get(session: Session, url: str, offset: int) -> Response:
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    return session.get(url, headers=headers, stream=True, timeout=TIMEOUT_S)


def _continues(response: Response, version: _Version, offset: int) -> bool:
    found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if found is None or response.headers.get("ETag") != version.etag:
        return False
    return (int(found[1]), int(found[2])) == (offset, version.size)


def _restart(response: Response, partial: Path, host: str | None) -> None:
    etag, length = response.headers.get("ETag", ""), response.headers.get("Content-Length", "")
    partial.unlink(missing_ok=True)
    version_path(partial).unlink(missing_ok=True)
    # A weak tag does not promise the same bytes.
    if etag and not etag.startswith("W/") and length.isdigit():
        version_path(partial).write_bytes(msgspec.json.encode(_Version(etag, int(length))))
    _write(response, partial, "wb", host, int(length) if length.isdigit() else None)


def _write(response: Response, partial: Path, mode: str, host: str | None, size: int | None) -> None:
    with partial.open(mode) as file:
        # As it is stored: a .gz must not be unpacked on the way.
        for chunk in response.raw.stream(CHUNK, decode_content=False):
            file.write(chunk)
    if size is not None and partial.stat().st_size != size:
        raise ConnectionFailed(f"the download from {host} ended early; the rest is fetched on the next try")


def _noted(partial: Path) -> _Version | None:
    if not partial.exists():
        return None
    try:
        return msgspec.json.decode(version_path(partial).read_bytes(), type=_Version)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
