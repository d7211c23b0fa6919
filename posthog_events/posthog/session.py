"""One request out and one whole reply in, or the reason why there is none.

The key goes to the origin it belongs to and nowhere else: redirects are not followed, but for one within the origin,
and no `.netrc` replaces it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPException, IncompleteRead
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from posthog_events.errors import BadAnswer
from posthog_events.posthog.connection_errors import connection_failure
from posthog_events.posthog.failures import Failure
from posthog_events.posthog.host import origin_of
from posthog_events.posthog.http import Reply
from posthog_events.posthog.redact import Redactor
from posthog_events.version import __version__

if TYPE_CHECKING:
    import requests

__all__ = ["MAX_BODY_BYTES", "TOTAL_TIMEOUT_S", "Wire", "anonymous", "new_session"]

CONNECT_TIMEOUT_S = 10.0

TOTAL_TIMEOUT_S = 900.0
"""From sending to the last byte; ends a reply that trickles in without ever pausing as long as the read timeout."""

MAX_BODY_BYTES = 512 * 2**20
"""Decompressed. 50,000 rows with whole properties are some 200 MB; beyond this it is a bomb, or cannot be held."""

POOLED_CONNECTIONS = 8
"""As many threads as use one client at a time; the connections of more would be closed after one use."""

READ_BYTES = 2**18

_FRAMING = frozenset({"content-length", "transfer-encoding"})
_WEB_PAGE = re.compile(rb"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_LOGIN = re.compile(r"/(?:login|signin|sso)\b", re.IGNORECASE)


def new_session() -> requests.Session:
    """Return a session for several threads: pooled connections, proxies from the environment, and no cookies.

    A cookie would be state that threads share, and would be a second identity besides the key.
    """
    from http.cookiejar import DefaultCookiePolicy

    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=POOLED_CONNECTIONS))
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["User-Agent"] = f"posthog-events/{__version__}"
    return session


def anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request as it is: as a session's `auth`, it keeps requests from adding a password of `.netrc`."""
    return request


@dataclass(frozen=True, slots=True)
class Wire:
    """A session, bound to one origin and the key that belongs to it.

    Args:
        key: None sends none.
        clock: Monotonic seconds.
    """

    session: requests.Session
    origin: str
    key: str | None = field(repr=False)
    redact: Redactor
    max_body_bytes: int = MAX_BODY_BYTES
    clock: Callable[[], float] = time.monotonic

    def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str],
        body: bytes | None = None,
        read_timeout_s: float,
    ) -> Reply | Failure:
        """Send once and return the reply, whatever its status, or why none came.

        A redirect to another host is returned as it is; a 307 or 308 within the origin is followed once.

        Args:
            path: From the root, with its leading slash.
            body: JSON text.
            read_timeout_s: Seconds without a byte.

        Raises:
            BadAnswer: A web page instead of data, a body above the limit, or a host that has moved.
        """
        from urllib3.exceptions import HTTPError

        source = f"{method} {path}"
        url = f"{self.origin}{path}"
        try:
            reply = self._send(method, url, params, body, read_timeout_s, source)
            target = urljoin(url, reply.headers.get("location", ""))
            if reply.status in (307, 308) and origin_of(target) == self.origin:
                reply = self._send(method, target, {}, body, read_timeout_s, source)
        # requests' exceptions are OSErrors; the body is read through urllib3 and http.client
        except (OSError, HTTPError, HTTPException) as exc:
            return connection_failure(exc, origin=self.origin, redact=self.redact)
        _refuse_strangers(reply, self.origin)
        return reply

    def _send(
        self,
        method: str,
        url: str,
        params: Mapping[str, str],
        body: bytes | None,
        read_timeout_s: float,
        source: str,
    ) -> Reply:
        deadline = self.clock() + TOTAL_TIMEOUT_S
        response = self.session.request(
            method,
            url,
            params=dict(params),
            data=body,
            headers={} if body is None else {"Content-Type": "application/json"},
            auth=self._sign,
            timeout=(CONNECT_TIMEOUT_S, read_timeout_s),
            allow_redirects=False,
            stream=True,
        )
        with closing(response):
            whole = self._read(response, deadline, source)
        headers = {name.lower(): value for name, value in response.headers.items()}
        if not whole and response.status_code not in (204, 304) and headers.keys().isdisjoint(_FRAMING):
            # a connection that ends among the headers looks like an empty body
            raise IncompleteRead(whole)
        return Reply(response.status_code, headers, whole, source)

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the key; a session with an auth callable, even an idle one, does not look into `.netrc`."""
        if self.key is not None:
            request.headers["Authorization"] = f"Bearer {self.key}"
        return request

    def _read(self, response: requests.Response, deadline: float, source: str) -> bytes:
        """Return the decompressed body.

        `read1` returns what has arrived, so that the deadline is looked at between any two packets; `iter_content`
        waits for whole chunks.
        """
        pieces: list[bytes] = []
        size = 0
        while piece := response.raw.read1(READ_BYTES, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > self.max_body_bytes:
                raise BadAnswer(
                    f"{source}: the answer is larger than {self.max_body_bytes // 2**20:,} MiB. Ask for fewer rows or "
                    "fewer columns"
                )
            if self.clock() > deadline:
                raise TimeoutError(f"no whole answer within {TOTAL_TIMEOUT_S:.0f} s")
        return b"".join(pieces)


def _refuse_strangers(reply: Reply, origin: str) -> None:
    """Refuse what a PostHog at this origin would not have sent.

    Gateways answer with web pages too, but with a 429 or 5xx, which say enough.

    Raises:
        BadAnswer: Naming the host that answered for it, where that is known.
    """
    if 300 <= reply.status < 400:
        location = urljoin(f"{origin}/", reply.headers.get("location", ""))
        target = origin_of(location)
        moved = target != origin and (reply.status in (301, 308) or _name(target) == _name(origin))
        if moved and target:
            raise BadAnswer(f"{reply.source}: {origin} sends every request on to {target}; set the host to {target}")
        if target == origin and _LOGIN.search(urlsplit(location).path):
            raise BadAnswer(
                f"{reply.source}: {origin} sent a login page instead of data. Does a company's login stand before "
                "PostHog there?"
            )
    elif reply.status < 500 and reply.status != 429 and _is_web_page(reply):
        raise BadAnswer(
            f"{reply.source}: {origin} answered with a web page instead of data (status {reply.status}). Is that the "
            "address of a PostHog? If it is, a proxy, firewall or login stands before it"
        )


def _name(origin: str) -> str | None:
    return urlsplit(origin).hostname


def _is_web_page(reply: Reply) -> bool:
    kind = reply.headers.get("content-type", "").lower()
    return "html" in kind or ("json" not in kind and _WEB_PAGE.match(reply.body) is not None)
