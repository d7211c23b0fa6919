"""What a failed attempt was, and the exception it becomes when there is no further one; pure.

Source: reference 2.7 and 4, from posthog/exceptions.py, posthog/errors.py, posthog/rate_limit.py and
PostHog/drf-exceptions-hog. Decisions are on status and `code`; sentences decide only where PostHog leaves nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec

from posthog_events.posthog.redact import Redactor

__all__ = ["ASKED_TO_WAIT", "Failure", "Kind", "asked_wait_s", "failure_of"]


class Kind(StrEnum):
    """Why an attempt failed; the value is for people."""

    RATE = "rate limit"
    CONCURRENCY = "too many queries at once"
    BUDGET = "read budget spent"
    QUOTA = "plan's allowance spent"
    NO_KEY = "no key arrived"
    BAD_KEY = "key not known"
    SCOPE = "scope missing"
    PROJECT = "no access to the project"
    FORBIDDEN = "not allowed"
    NOT_FOUND = "not found"
    REFUSED = "request refused"
    TIMEOUT = "query too slow"
    MEMORY = "query needs too much memory"
    QUERY_SIZE = "query text too long"
    CLUSTER_BUSY = "PostHog under heavy load"
    BUSY = "PostHog busy"
    GATEWAY = "PostHog not reachable behind its gateway"
    GATEWAY_TIMEOUT = "PostHog too slow for its gateway"
    SERVER = "PostHog failed"
    NOT_SENT = "not connected"
    CUT_OFF = "connection broken off"
    UNREACHABLE = "cannot connect"  # TLS, proxy or address: the next attempt would end in the same way


ASKED_TO_WAIT = frozenset({Kind.RATE, Kind.CONCURRENCY, Kind.BUDGET})
"""PostHog works, and this client has to wait for its turn."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt; all text in it is free of secrets.

    Args:
        status: HTTP status; 0 when no reply came.
        code: The API's own.
        detail: The API's sentence, or, when no reply came, ours.
        wait_s: Seconds that PostHog asks to wait; None when it does not say.
        cause: The exception of the HTTP library; None when its text holds a secret.
    """

    kind: Kind
    status: int = 0
    code: str = ""
    detail: str = ""
    attr: str | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    wait_s: float | None = None
    cause: BaseException | None = field(default=None, repr=False, compare=False)


_KNOWN = frozenset({"type", "code", "detail", "attr", "extra", "error", "message", "query_status"})
"""Keys of PostHog's envelope, and of what `_detail` reads besides."""

_MEMORY_CODE = "clickhouse_memory_limit_exceeded"
_HEAVY_LOAD = re.compile(r"heavy load", re.IGNORECASE)
_CONCURRENCY = re.compile(r"concurrency limit|concurrent", re.IGNORECASE)
_QUERY_SIZE = re.compile(r"query size exceeded", re.IGNORECASE)
_SCOPE = re.compile(r"required scope", re.IGNORECASE)
_PROJECT = re.compile(r"access to .{0,40}\b(?:project|team|environment|organi[sz]ation)\b", re.IGNORECASE)
_EXPECTED = re.compile(r"expected available in (\d+(?:\.\d+)?) seconds?", re.IGNORECASE)


def failure_of(status: int, headers: Mapping[str, str], body: bytes, *, redact: Redactor) -> Failure:
    """Return what a reply with a status of 400 or more means.

    Args:
        headers: Names in lower case.
    """
    envelope = _envelope(body)
    code = redact.text(_text(envelope.get("code")))
    detail = redact.text(_detail(envelope))
    # some views answer with their serializer's errors as they are; whoever calls them knows how to read these
    attr, extra = envelope.get("attr"), envelope.get("extra") if _KNOWN & envelope.keys() else envelope
    return Failure(
        kind=_kind(status, code, detail, ours=bool(envelope)),
        status=status,
        code=code,
        detail=detail,
        attr=redact.text(attr) if isinstance(attr, str) else None,
        extra=redact.data(extra) if isinstance(extra, dict) else MappingProxyType({}),
        wait_s=asked_wait_s(headers, detail),
    )


def asked_wait_s(headers: Mapping[str, str], detail: str = "") -> float | None:
    """Return the seconds that a reply asks to wait: `Retry-After` as seconds or as a date, else DRF's sentence.

    A date is taken relative to the reply's own `Date`, so our clock does not matter; without one it says nothing.
    """
    asked = headers.get("retry-after", "").strip()
    if asked:
        try:
            seconds = float(asked)
        except ValueError:
            until, sent = _http_date(asked), _http_date(headers.get("date", ""))
            seconds = (until - sent).total_seconds() if until and sent else math.nan
        if math.isfinite(seconds):
            return max(0.0, seconds)
    found = _EXPECTED.search(detail)
    return float(found[1]) if found else None


def _http_date(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
    except ValueError:
        return None
    # -0000, "UTC without saying so", gives a naive datetime; HTTP knows only GMT
    return parsed if parsed.tzinfo is not None else None


def _kind(status: int, code: str, detail: str, *, ours: bool) -> Kind:
    """Decide by status, then code, then sentence.

    Args:
        ours: The body is a JSON object, so PostHog and not a gateway before it answered.
    """
    if status >= 500 and code == _MEMORY_CODE:
        # 513 today; 512 and 504 in older builds
        return Kind.CLUSTER_BUSY if _HEAVY_LOAD.search(detail) else Kind.MEMORY
    match status:
        case 401:
            return Kind.NO_KEY if code == "not_authenticated" else Kind.BAD_KEY
        case 402:
            return Kind.QUOTA
        case 403 if _SCOPE.search(detail):
            return Kind.SCOPE
        case 403:
            return Kind.PROJECT if _PROJECT.search(detail) else Kind.FORBIDDEN
        case 404:
            return Kind.NOT_FOUND
        case 429 if code == "api_queries_budget_exceeded":
            return Kind.BUDGET
        case 429:
            return Kind.CONCURRENCY if _CONCURRENCY.search(detail) else Kind.RATE
        case 502 | 520 | 521 | 522 | 523 | 524:
            return Kind.GATEWAY
        case 503:
            return Kind.BUSY
        case 504:
            return Kind.TIMEOUT if ours else Kind.GATEWAY_TIMEOUT
        case 512:
            return Kind.TIMEOUT
        case 513:
            return Kind.CLUSTER_BUSY if _HEAVY_LOAD.search(detail) else Kind.MEMORY
        case 500 if _QUERY_SIZE.search(detail):
            return Kind.QUERY_SIZE
        case _:
            return Kind.SERVER if status >= 500 else Kind.REFUSED


def _envelope(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object of an error body; nothing for HTML, empty bodies and lists."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _detail(envelope: Mapping[str, Any]) -> str:
    """Return the sentence: PostHog's `detail`, a failed query's `error_message`, or what proxies and capture send."""
    query_status = envelope.get("query_status")
    nested = query_status.get("error_message") if isinstance(query_status, dict) else None
    found = (envelope.get("detail"), nested, envelope.get("error"), envelope.get("message"))
    return next((_text(value) for value in found if value), "")


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()
