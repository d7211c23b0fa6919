"""The one place where text from outside is made safe to show: no secret, no control characters, not too long."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from posthog_events.posthog.host import origin_of

__all__ = ["MAX_DETAIL", "MAX_SHOWN", "Redactor", "shorten"]

MAX_SHOWN = 500
"""Characters of a server's text in a message."""

MAX_DETAIL = 20_000
"""Characters of a server's text that are kept for programs: ClickHouse's advice can stand after pages of SQL."""

MASK = "…"

_URL = re.compile(r"https?://[^\s\"'<>\\]+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

# A name and what stands between it and its value, then the value; values end at what ends them in URLs, JSON, headers.
_VALUE = r"[^\s&\"',;}\]]+"
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # PostHog's keys and tokens; the prefix says which kind was seen and is no secret
    (re.compile(r"\b(ph[xcsar]_)[A-Za-z0-9_-]{6,}"), rf"\1{MASK}"),
    (
        re.compile(rf"(authorization[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic|token)\s+)?){_VALUE}", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # with a digit, so that "Bearer authentication" in a sentence stays
    (re.compile(r"\b(bearer\s+)(?=[^\s\"',;]*\d)[^\s\"',;]{8,}", re.IGNORECASE), rf"\1{MASK}"),
    (
        re.compile(
            rf"\b((?:personal_)?api_key|(?:access|refresh)_token|(?:client|signing)_secret|password)"
            rf"([\"']?\s*[:=]\s*[\"']?){_VALUE}",
            re.IGNORECASE,
        ),
        rf"\1\2{MASK}",
    ),
    # the parameters that make a URL grant access: S3 and compatible, Google, Azure, CloudFront
    (
        re.compile(
            rf"\b((?:X-Amz-|X-Goog-)[A-Za-z-]+|Signature|AWSAccessKeyId|Key-Pair-Id|sig)(=|%3D){_VALUE}", re.IGNORECASE
        ),
        rf"\1\2{MASK}",
    ),
)


class Redactor:
    """Masks the secrets of one client, and whatever looks like a secret of anyone.

    Args:
        secrets: Values that must never be shown.
        origin: URLs of other origins lose their query string, which may grant access.
    """

    __slots__ = ("_origin", "_secrets")

    def __init__(self, *secrets: str, origin: str = "") -> None:
        spellings = {spelling for secret in secrets if secret for spelling in (secret, quote(secret, safe=""))}
        # longest first, so that no part of one is left when another is contained in it
        self._secrets = tuple(sorted(spellings, key=len, reverse=True))
        self._origin = origin

    def __repr__(self) -> str:
        return f"Redactor(origin={self._origin!r})"

    def text(self, text: str, *, max_chars: int = MAX_DETAIL) -> str:
        """Return `text` on one line, without secrets, cut to `max_chars`."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        text = _URL.sub(self._url, text)
        for pattern, shown in _SECRETS:
            text = pattern.sub(shown, text)
        return shorten(_CONTROL.sub(" ", text).strip(), max_chars)

    def data(self, value: Any) -> Any:
        """Return a JSON value with every text in it made safe."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(str(key)): self.data(item) for key, item in value.items()}
            case list() | tuple():
                return [self.data(item) for item in value]
            case _:
                return value

    def _url(self, found: re.Match[str]) -> str:
        url = found[0]
        try:
            parts = urlsplit(url)
        except ValueError:
            return MASK
        netloc = parts.netloc.rpartition("@")[2]
        foreign = parts.query and origin_of(url) != self._origin
        return parts._replace(netloc=netloc, query=MASK if foreign else parts.query).geturl()


def shorten(text: str, max_chars: int = MAX_SHOWN) -> str:
    """Return at most `max_chars` characters of `text`, with a sign that something was cut."""
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"
