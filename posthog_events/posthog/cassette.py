"""Recordings of what was asked of PostHog and what it answered, for bug reports and for tests without a network.

::

    with recording(Path("report.yaml"), label="eu"):
        my_report()
    with replaying(Path("report.yaml")):
        my_report()  # no network, no key, the same answers

vcrpy records and replays. It swaps classes of urllib3 for the whole process while it sends, so requests go one at a
time here, from whatever threads they come; and every reply is handed on as urllib3's own, so that it can be streamed.
Only replies are recorded, not connections that broke.
"""

from __future__ import annotations

import base64
import io
import logging
import os
import secrets as random_source
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from posthog_events.clock import utc_now
from posthog_events.errors import ConfigError, MissingExtra, PostHogEventsError
from posthog_events.posthog.cassette_file import Recorded, check_target, neutral, read_recording, write_recording
from posthog_events.posthog.cassette_player import FRAMING, Player, exchange_of
from posthog_events.posthog.host import origin_of
from posthog_events.posthog.scrub import Exchange, Scrubber

__all__ = ["Recorded", "is_replaying", "recording", "replaying"]

_OTHER_LIBRARIES = ("httplib", "boto3", "urllib3", "httplib2", "tornado", "aiohttp", "httpx", "httpx2")
"""What vcrpy patches besides requests."""

_replaying = threading.Event()

Send = Callable[..., Any]
"""`HTTPConnectionPool.urlopen`, or what stands in for it."""


def is_replaying() -> bool:
    """Whether answers come from a recording now: nobody has to be waited for then, and nobody's limits are used up."""
    return _replaying.is_set()


@contextmanager
def recording(
    path: Path,
    *,
    label: str,
    scrub: bool = True,
    secrets: Iterable[str] = (),
    salt: bytes | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Iterator[None]:
    """Record every request that is sent over requests in the `with` block, also when the block fails.

    Args:
        path: The file to write; an older recording there is replaced.
        label: What is recorded: `emulator`, or the region or host of a PostHog.
        scrub: Replace what is about persons. Secrets are replaced in any case.
        secrets: Values that must not be in the file, such as the key; those sent in headers are found.
        salt: For stand-ins that are the same in each recording. Whoever knows it can test guesses of what was replaced;
            the default is random and forgotten.

    Raises:
        MissingExtra: The `record` extra is not installed.
        ConfigError: The file cannot be written, or is something else than a recording.
        PostHogEventsError: A secret would still be in the file, so it was not written.
    """
    vcr = _vcr()
    check_target(path)
    tape = None
    try:
        with _one_at_a_time(_as_real), vcr.use_cassette(os.fspath(path), record_mode="all", persister=_Shelf()) as tape:
            yield
    finally:
        if tape is not None:
            pairs = zip(tape.requests, tape.responses, strict=True)
            exchanges = neutral([exchange_of(request, response) for request, response in pairs])
            scrubber = Scrubber(salt or random_source.token_bytes(16), personal=scrub, secrets=secrets)
            cleaned = _scrubbed(exchanges, scrubber)
            write_recording(path, cleaned, Recorded.of(label, cleaned, scrubbed=scrub, at=now()))


@contextmanager
def replaying(path: Path) -> Iterator[Recorded]:
    """Answer every request over requests in the `with` block from a recording, without a network.

    Requests are compared by method, path, parameters and body. Each recorded reply is given once, in recorded order.
    PostHog's own address does not matter, and where the recording has a stand-in, any value will do, always the same.

    Raises:
        MissingExtra: The `record` extra is not installed.
        ConfigError: The file is missing, damaged, or no recording; within the block: a request is not in it.
    """
    vcr = _vcr()
    from vcr.errors import CannotOverwriteExistingCassetteException

    recorded, exchanges = read_recording(path)
    player = Player(path, exchanges)
    vcr.register_matcher("recorded", player.compare)

    def answer(urlopen: Send, pool: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        host = f"[{pool.host}]" if ":" in pool.host else pool.host
        player.settle_at(origin_of(f"{pool.scheme}://{host}:{pool.port}"), tape.responses)
        try:
            reply = _as_real(urlopen, pool, method, url, *args, **kwargs)
        except CannotOverwriteExistingCassetteException as exc:
            raise ConfigError(player.missing(exc.failed_request)) from None
        player.accept()
        return reply

    shelf = _Shelf(player)
    with (
        _one_at_a_time(answer),
        vcr.use_cassette(os.fspath(path), record_mode="none", match_on=("recorded",), persister=shelf) as tape,
    ):
        _replaying.set()
        try:
            yield recorded
        finally:
            _replaying.clear()


def _vcr() -> Any:
    try:
        import vcr
    except ImportError as exc:
        raise MissingExtra("Recording", "record") from exc
    # at INFO it logs whole replies
    logging.getLogger("vcr").setLevel(logging.WARNING)
    return vcr.VCR(skip_patchers=_OTHER_LIBRARIES)


@contextmanager
def _one_at_a_time(send: Send) -> Iterator[None]:
    """Hand every request of urllib3 to `send(urlopen, pool, method, url, ...)`, under one lock."""
    from urllib3.connectionpool import HTTPConnectionPool

    original = HTTPConnectionPool.urlopen
    lock = threading.RLock()

    def urlopen(pool: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        with lock:
            return send(original, pool, method, url, *args, **kwargs)

    HTTPConnectionPool.urlopen = urlopen  # type: ignore[assignment]
    try:
        yield
    finally:
        HTTPConnectionPool.urlopen = original  # type: ignore[method-assign]


def _as_real(urlopen: Send, pool: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
    """Send, and return vcrpy's reply as one of urllib3's, which can be streamed and decompressed.

    vcrpy's own leaves Content-Encoding over a body that it has decompressed, and cannot be read with `read1`.
    """
    from urllib3 import HTTPHeaderDict
    from urllib3.response import HTTPResponse

    preload = kwargs.pop("preload_content", True)
    answer = urlopen(pool, method, url, *args, preload_content=False, **kwargs)
    body = answer.data
    headers = HTTPHeaderDict((name, value) for name, value in answer.getheaders() if name.lower() not in FRAMING)
    headers["Content-Length"] = str(len(body))
    answer.release_conn()
    return HTTPResponse(
        io.BytesIO(body),
        headers,
        answer.status,
        version=11,
        reason=answer.reason,
        preload_content=preload,
        request_url=url,
    )


class _Shelf:
    """Where vcrpy looks for a recording; `recording` writes the file itself, when vcrpy has put its patches away."""

    def __init__(self, player: Player | None = None) -> None:
        self._player = player

    def load_cassette(self, path: str, serializer: Any) -> tuple[list[Any], list[Any]]:
        from vcr.persisters.filesystem import CassetteNotFoundError

        if self._player is None:
            raise CassetteNotFoundError
        return self._player.interactions()

    def save_cassette(self, path: str, interactions: Any, serializer: Any) -> None:
        """Leave it to `recording`."""


def _scrubbed(exchanges: Sequence[Exchange], scrubber: Scrubber) -> list[Exchange]:
    """Go over everything twice, because names become known the first time.

    Raises:
        PostHogEventsError: A secret is left.
    """
    for exchange in exchanges:
        scrubber.exchange(exchange)
    cleaned = [scrubber.exchange(exchange) for exchange in exchanges]
    forms = {
        form
        for secret in scrubber.secrets
        for form in (secret.encode(), quote(secret, safe="").encode(), base64.b64encode(secret.encode()).rstrip(b"="))
    }
    for number, exchange in enumerate(cleaned, start=1):
        around = f"{exchange.url} {exchange.headers} {exchange.reason} {exchange.reply_headers}".encode()
        if any(form in part for form in forms for part in (around, exchange.body, exchange.reply)):
            raise PostHogEventsError(
                f"the recording was not saved, because a key or token would still be in it, at request {number}. "
                "Please report that, without the recording"
            )
    return cleaned
