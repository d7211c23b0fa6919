"""Handing something to another web service, once for each attempt; the receiver sees to the attempts.

::

    2xx            done
    408, 429, 5xx  again; when the service says in Retry-After, then
    no answer      again
    anything else  given up: another attempt would be refused in the same way. Redirects are not followed

Addresses of webhooks are secrets themselves, so that errors name the host and nothing behind it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

from posthog_events.errors import ConfigError
from posthog_events.posthog.redact import Redactor
from posthog_events.receiver.context import Context, GiveUp, TryAgain
from posthog_events.receiver.signatures import ID_PATTERN

if TYPE_CHECKING:
    import requests

__all__ = ["IDEMPOTENCY_HEADER", "JSON", "NotDelivered", "Post", "key_of"]

IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
JSON: Final = "application/json"

TIMEOUT_S: Final = 10.0
"""To connect, and again for each wait for bytes; the timeout of the handler bounds the whole."""

MAX_SAID: Final = 200
"""Characters of a refusal that are repeated; services say there what is wrong."""

_AGAIN = frozenset({408, 429})


class NotDelivered(Exception):
    """A service did not answer, or asked to come again. The text holds no secret."""


def key_of(context: Context) -> str:
    """Return the idempotency key, or what stands for one that cannot be in a header: it is made of senders' ids."""
    key = context.idempotency_key.encode("utf-8", "replace")
    if ID_PATTERN.fullmatch(key):
        return context.idempotency_key
    return f"posthog-events_{hashlib.sha256(key).hexdigest()[:40]}"


@dataclass(frozen=True)
class Post:
    """An address that something is posted to.

    Args:
        url: With its secrets.
        secrets: What else must not be shown.
        timeout_s: Seconds.

    Raises:
        ConfigError: It is no address of a web service.
    """

    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except (ValueError, TypeError, AttributeError):
            good = False
        if not good or any(char.isspace() for char in self.url):
            raise ConfigError(
                "a handler needs the address of a web service, such as https://example.com/hook; "
                "is the variable that holds it set?"
            )

    @property
    def place(self) -> str:
        """The address without what may be secret in it."""
        parts = urlsplit(self.url)
        port = "" if parts.port is None else f":{parts.port}"
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}{port}"

    def send(self, body: bytes, *, context: Context, headers: Mapping[str, str] | None = None) -> None:
        """Post a body, as JSON unless the headers say otherwise, with the idempotency key of the context.

        Raises:
            GiveUp: The service will not take it.
            TryAgain, NotDelivered: It may later.
        """
        given = {name.lower() for name in headers or {}}
        ours = {"Content-Type": JSON, IDEMPOTENCY_HEADER: key_of(context)}
        sent = {name: value for name, value in ours.items() if name.lower() not in given}
        status, asked, said = self._exchange(body, {**sent, **(headers or {})})
        if 200 <= status < 300:
            return
        what = f"{self.place} answered {status}" + (f": {said}" if said else "")
        if status not in _AGAIN and status < 500:
            raise GiveUp(what)
        wait_s = _asked_wait_s(asked)
        if wait_s is not None:
            raise TryAgain(what, after_s=wait_s)
        raise NotDelivered(what)

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], str]:
        """Return status, headers and the beginning of the answer."""
        try:
            with closing(
                self._session.post(
                    self.url,
                    data=body,
                    headers=dict(headers),
                    timeout=self.timeout_s,
                    allow_redirects=False,
                    stream=True,
                )
            ) as answer:
                first = next(answer.iter_content(4 * MAX_SAID), b"") if answer.status_code >= 300 else b""
                return answer.status_code, answer.headers, self._shown(first)
        except Exception as error:
            # its text, and that of what led to it, may hold the address
            why = type(error).__name__
        raise NotDelivered(f"no answer from {self.place} ({why})")

    def _shown(self, said: bytes) -> str:
        text = said.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else self._redactor.text(text, max_chars=MAX_SAID)

    @cached_property
    def _redactor(self) -> Redactor:
        parts = urlsplit(self.url)
        # a service may repeat the path, whole or without its first slash
        paths = [one for one in (parts.path, unquote(parts.path)) if len(one) > 1]
        inside = [*paths, *(one.strip("/") for one in paths), parts.query, parts.username, parts.password]
        return Redactor(*self.secrets, self.url, *(one for one in inside if one and len(quote(one)) > 3))

    @cached_property
    def _session(self) -> requests.Session:
        from posthog_events.posthog.session import anonymous, new_session

        session = new_session()
        session.auth = anonymous
        return session


def _asked_wait_s(headers: Mapping[str, str]) -> float | None:
    from posthog_events.posthog.failures import asked_wait_s

    return asked_wait_s({name.lower(): value for name, value in headers.items()})
