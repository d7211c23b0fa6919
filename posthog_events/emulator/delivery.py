"""How a destination's request leaves: checked, signed, sent, and what is worth a second attempt.

Source: reference 6 and its update; the Standard Webhooks specification for the signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import hmac
import ipaddress
import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from posthog_events.emulator.fake_slack import SLACK_PATH

if TYPE_CHECKING:
    from posthog_events.emulator.hog_programs import Fetch
    from posthog_events.emulator.hog_state import DeliveryRules
    from posthog_events.emulator.world import World

__all__ = ["RETRIED", "Refused", "Sent", "Worker", "checked_url", "send", "signature"]

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
BODY_BYTES = 1 << 20
SLICE_S = 0.05
"""A waiting worker looks at its queue this often."""

_log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is not sent, and not tried again: the address or the secret is no good."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one request.

    Args:
        status: None when there was no answer; then `error` says why.
        headers: What was sent.
        ms: How long it took.
        again: Whether it is worth another attempt.
    """

    status: int | None
    headers: Mapping[str, str]
    body: str
    ms: float
    error: str | None = None
    again: bool = False


def send(fetch: Fetch, rules: DeliveryRules, *, world: World, delivery_id: str) -> Sent:
    """Send one request, without following redirects; never raises.

    Args:
        delivery_id: Stays the same through all attempts.
    """
    import requests
    from urllib3.util import SKIP_HEADER

    headers = fetch.headers
    started = time.monotonic()

    def result(status: int | None, body: str, error: str | None, *, again: bool) -> Sent:
        return Sent(status, headers, body, (time.monotonic() - started) * 1000, error, again)

    try:
        url = checked_url(fetch.url, rules, origin=world.origin)
        if fetch.signing_secret is not None:
            headers |= signature(fetch.signing_secret, delivery_id, world.now(), fetch.body or "")
        with requests.Session() as session:
            session.trust_env = False
            session.headers.clear()
            # PostHog adds no header of its own, and neither may the library
            silent = dict.fromkeys(("User-Agent", "Accept-Encoding"), SKIP_HEADER)
            given = {name.lower() for name in headers}
            answer = session.request(
                fetch.method,
                url,
                headers={**{name: value for name, value in silent.items() if name.lower() not in given}, **headers},
                data=None if fetch.body is None else fetch.body.encode(),
                timeout=rules.timeout_s,
                allow_redirects=False,
                stream=True,
            )
            body = bytearray()
            for chunk in answer.iter_content(65_536):
                body += chunk
                if time.monotonic() - started > rules.timeout_s:
                    raise requests.Timeout("the answer took too long")
                if len(body) > BODY_BYTES:
                    break
        text = bytes(body[:BODY_BYTES]).decode(errors="replace")
        return result(answer.status_code, text, None, again=answer.status_code in RETRIED)
    except requests.Timeout:
        error = f"TimeoutError: The operation was aborted after {rules.timeout_s:g} s"
        return result(None, "", error, again=True)
    except (Refused, ValueError) as refused:
        # requests' complaints about addresses and headers are ValueErrors too
        return result(None, "", f"Error: {refused}", again=False)
    except (requests.RequestException, OSError) as failed:
        return result(None, "", f"{type(failed).__name__}: {_reason(failed)}", again=True)


def _reason(error: BaseException) -> str:
    """Return the innermost reason; the message around it repeats the address, which may be a secret."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def checked_url(url: object, rules: DeliveryRules, *, origin: str) -> str:
    """Return the address to call: the one that is given, or what stands in for it.

    Raises:
        Refused: It is no address of the web, or not a public one.
    """
    if not isinstance(url, str):
        raise Refused("Invalid URL")
    slack = origin + SLACK_PATH
    known = {"https://slack.com/": f"{slack}/", "https://hooks.slack.com/": f"{slack}/", **rules.stand_ins}
    for beginning, other in known.items():
        if url.startswith(beginning):
            return other + url.removeprefix(beginning)
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise Refused("Invalid URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused("Invalid URL")
    if rules.refuse_private:
        # a name that means nothing is for the request itself to fail on: that is tried again
        for address in _addresses(parts.hostname, port):
            if not address.is_global or address.is_multicast:
                raise Refused("Hostname is not allowed")
    return url


def _addresses(host: str, port: int) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    addresses = {ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found}
    return {getattr(address, "ipv4_mapped", None) or address for address in addresses}


def signature(secret: str, delivery_id: str, at: datetime, body: str) -> dict[str, str]:
    """Return the headers of Standard Webhooks.

    Raises:
        Refused: The secret is not base64.
    """
    text = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise Refused("The signing secret is not base64") from None
    seconds = str(int(at.timestamp()))
    digest = hmac.new(key, f"{delivery_id}.{seconds}.{body}".encode(), hashlib.sha256).digest()
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


class Worker:
    """Does jobs one after the other, each when its time has come, in a thread that ends when there are none left."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._jobs: list[tuple[datetime, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._ahead = timedelta(0)

    def put(self, job: Callable[[], object], *, after_s: float = 0.0) -> None:
        """Have a job done in the thread."""
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._jobs, (self._now() + timedelta(seconds=after_s), next(self._numbers), job))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="destinations", daemon=True)
                self._thread.start()

    def drain(self, *, timeout_s: float) -> None:
        """Wait until nothing is left to do, retries included.

        Raises:
            TimeoutError: There still is.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._thread is None, timeout_s):
                raise TimeoutError(f"{len(self._jobs)} deliveries are still waiting after {timeout_s:g} s")

    def close(self) -> None:
        """Forget what has not begun, and wait for the rest."""
        with self._changed:
            self._closed = True
            self._jobs.clear()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _now(self) -> datetime:
        return self._world.now() + self._ahead

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._jobs:
                    self._thread = None
                    self._changed.notify_all()
                    return
                wait = (self._jobs[0][0] - self._now()).total_seconds()
                job = heapq.heappop(self._jobs)[2] if wait <= 0 else None
            if job is None:
                self._sleep(min(wait, SLICE_S))
                continue
            try:
                job()
            except Exception:
                _log.exception("a delivery failed inside the emulator")

    def _sleep(self, seconds: float) -> None:
        before = self._world.now()
        self._world.sleep(seconds)
        # the clock of a test may stand still: what was slept has passed all the same
        self._ahead += max(timedelta(0), timedelta(seconds=seconds) - (self._world.now() - before))
