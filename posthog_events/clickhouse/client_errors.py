"""ClickHouse's and the network's exceptions, translated to ours at the one place where they come in."""

from __future__ import annotations

import re

from posthog_events.causes import causes, reason_of
from posthog_events.clickhouse.dsn import Embedded, Server
from posthog_events.errors import EngineError, MemoryExceeded, QueryCancelled, QueryError, QueryTimeout

__all__ = ["brief", "translate"]

# ErrorCodes.cpp of ClickHouse, read back from chdb 4.4 (2026-11).
_TIMEOUT = frozenset({159, 160})
_MEMORY = 241
_CANCELLED = 394
_AUTHENTICATION = frozenset({192, 193, 194, 516})

MAX_MESSAGE = 500
"""Characters of ClickHouse's text that are kept; a syntax error can list hundreds of expected tokens."""

_CODE = re.compile(r"\bCode:\s*(\d+)")
_NAME = re.compile(r"\s*\(([A-Z][A-Z0-9_]+)\)\s*$")
_NOISE = (
    re.compile(r"^.*?DB::Exception:\s*", re.DOTALL),
    re.compile(r",?\s*Stack trace.*$", re.DOTALL),
    re.compile(r"\s*\(version [^()]*(?:\([^()]*\)[^()]*)*\)\s*$"),
    _NAME,
    re.compile(r":?\s*[Ww]hile (?:executing|processing)\b.*$", re.DOTALL),
    # Older servers put the advice after the generated SQL, newer ones before it.
    re.compile(r"[:.,]?\s*\b[Ii]n scope\b.*?(?=\.?\s*Maybe you meant|$)", re.DOTALL),
    re.compile(r"\s*Expected one of:.*$", re.DOTALL),
)
# After the position of a syntax error comes the generated SQL.
_POSITION = re.compile(r"(\(line \d+, col \d+\)): .*", re.DOTALL)


def brief(text: str) -> str:
    """Return ClickHouse's own sentence, without code, version, stack trace and generated SQL.

    >>> brief("Code: 47. DB::Exception: Unknown identifier `x`. In scope SELECT x. (UNKNOWN_IDENTIFIER)")
    'Unknown identifier `x`'
    """
    for noise in _NOISE:
        text = noise.sub("", text, count=1)
    text = _POSITION.sub(r"\1", text)
    text = " ".join(text.split()).rstrip(".:, ")
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def translate(exc: BaseException, target: Embedded | Server) -> QueryError:
    """Return our exception for one of the client library or of chdb."""
    text = str(exc)
    found = _CODE.search(text)
    code: int | None = getattr(exc, "code", None) or (int(found[1]) if found else None)
    if "EmbeddedServer already initialized" in text:
        return EngineError(
            "this process already runs chdb on a directory, and chdb serves one place per process. "
            "Close that session, or use another process."
        )
    if code is None:
        return EngineError(_without_code(exc, text, target))
    named = _NAME.search(text)
    name: str | None = getattr(exc, "name", None) or (named[1] if named else None)
    label = f"ClickHouse error {code}" + (f" ({name})" if name else "")
    if code == _CANCELLED:
        return QueryCancelled("the query was stopped before it ended")
    if code in _TIMEOUT:
        return QueryTimeout(
            f"the query ran longer than its time limit: {brief(text)}. Narrow its dates, or raise the limit.",
            code=code,
            code_name=name,
        )
    if code == _MEMORY:
        return MemoryExceeded(
            f"the query needed more memory than allowed: {brief(text)}. Narrow its dates, group by fewer keys, "
            "or raise the limit.",
            code=code,
            code_name=name,
        )
    if code in _AUTHENTICATION and isinstance(target, Server):
        who = f"user {target.user!r}" if target.user else "the default user"
        return EngineError(
            f"ClickHouse at {target.address} refused {who}: wrong user name or password", code=code, code_name=name
        )
    return EngineError(f"{label}: {brief(text) or 'no further text'}", code=code, code_name=name)


def _without_code(exc: BaseException, text: str, target: Embedded | Server) -> str:
    if isinstance(target, Server):
        if reason := _network_reason(exc):
            return f"cannot reach ClickHouse at {target.address}: {reason}"
        return f"ClickHouse at {target.address} gave no usable answer: {brief(text)}"
    return f"chdb failed: {brief(text)}"


# By class name, subclasses first: urllib3 comes with the client library and is not imported for this.
_REASONS = {
    "NameResolutionError": "the host name is not known. Check the DSN.",
    "NewConnectionError": "the connection was refused. Is the server running, and is this its HTTP port?",
    "ConnectTimeoutError": "no answer in time. Check host, port and firewall.",
    "ReadTimeoutError": "the connection was open but no answer came in time.",
    "SSLError": "the TLS handshake failed. Check the certificate, the port, and secure=1.",
    "ProtocolError": "the connection broke off. Is this ClickHouse's HTTP port?",
    "HTTPError": "the connection broke off.",
}


def _network_reason(exc: BaseException) -> str | None:
    # urllib3 keeps the real reason in `reason`
    links = causes(exc, lambda link: (link.__cause__, link.__context__, getattr(link, "reason", None)))
    return reason_of(links, _REASONS)
