"""Exceptions of the network: each has a cause, and none is left out."""

from __future__ import annotations

import http.client
import inspect
import socket
import ssl

import pytest
import requests
import requests.exceptions
import urllib3.exceptions
from urllib3.connection import HTTPSConnection

from posthog_events.posthog.connection_errors import connection_failure
from posthog_events.posthog.failures import Failure, Kind
from posthog_events.posthog.redact import Redactor

ORIGIN = "https://us.posthog.com"
SECRET = "hunter2hunter2"
POOL = urllib3.HTTPSConnectionPool("us.posthog.com")
CONNECTION = HTTPSConnection("us.posthog.com")


def failure(exc: Exception) -> Failure:
    """Return what `exc` means for the US region."""
    return connection_failure(exc, origin=ORIGIN, redact=Redactor(SECRET, origin=ORIGIN))


def retried(reason: Exception) -> urllib3.exceptions.MaxRetryError:
    """Return what urllib3 makes of a failure to connect."""
    return urllib3.exceptions.MaxRetryError(POOL, "/api/", reason)


def from_(exc: Exception, cause: Exception) -> Exception:
    """Return `exc` as raised from `cause`."""
    exc.__cause__ = cause
    return exc


NO_NAME = urllib3.exceptions.NameResolutionError("us.posthog.com", CONNECTION, socket.gaierror(-2, "unknown"))
REFUSED = from_(
    urllib3.exceptions.NewConnectionError(CONNECTION, "failed"), ConnectionRefusedError(111, "Connection refused")
)
UNTRUSTED = ssl.SSLCertVerificationError(1, "certificate verify failed")
WRONG_PORT = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
WRONG_PORT.reason = "WRONG_VERSION_NUMBER"
RESET = urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))
CUT = urllib3.exceptions.ProtocolError("Connection broken", urllib3.exceptions.IncompleteRead(10, 90))

# as requests 2.34 and urllib3 2.8 raise them
CASES: tuple[tuple[Exception, Kind, str], ...] = (
    (requests.ConnectionError(retried(NO_NAME)), Kind.NOT_SENT, "host name is not known"),
    (requests.ConnectionError(retried(REFUSED)), Kind.NOT_SENT, "refused"),
    (
        requests.ConnectionError(retried(urllib3.exceptions.NewConnectionError(CONNECTION, "unreachable"))),
        Kind.NOT_SENT,
        "no connection could be made",
    ),
    (
        requests.ConnectTimeout(retried(urllib3.exceptions.ConnectTimeoutError("timed out"))),
        Kind.NOT_SENT,
        "no connection was made in time",
    ),
    (
        requests.exceptions.ProxyError(retried(urllib3.exceptions.ProxyError("no", OSError("Tunnel failed: 407")))),
        Kind.NOT_SENT,
        "proxy in HTTPS_PROXY.*NO_PROXY",
    ),
    (requests.exceptions.InvalidProxyURL("bad"), Kind.UNREACHABLE, "not a valid URL"),
    (
        requests.exceptions.SSLError(retried(urllib3.exceptions.SSLError(UNTRUSTED))),
        Kind.UNREACHABLE,
        "certificate is not trusted.*REQUESTS_CA_BUNDLE",
    ),
    (
        requests.exceptions.SSLError(retried(urllib3.exceptions.SSLError(WRONG_PORT))),
        Kind.UNREACHABLE,
        "does not speak TLS",
    ),
    (requests.exceptions.SSLError(retried(urllib3.exceptions.SSLError("eof"))), Kind.CUT_OFF, "encrypted.*broke off"),
    (OSError("Could not find a suitable TLS CA certificate bundle"), Kind.UNREACHABLE, "REQUESTS_CA_BUNDLE"),
    (
        requests.ReadTimeout(urllib3.exceptions.ReadTimeoutError(POOL, "/api/", "Read timed out.")),
        Kind.CUT_OFF,
        "did not come in time",
    ),
    (urllib3.exceptions.ReadTimeoutError(POOL, "/api/", "Read timed out."), Kind.CUT_OFF, "did not come in time"),
    (TimeoutError("no whole answer within 900 s"), Kind.CUT_OFF, "did not come in time"),
    (requests.ConnectionError(RESET), Kind.CUT_OFF, "broke off"),
    (CUT, Kind.CUT_OFF, "broke off before the answer was complete"),
    (urllib3.exceptions.DecodeError("not gzip"), Kind.CUT_OFF, "cannot be decompressed"),
    (http.client.BadStatusLine("x"), Kind.CUT_OFF, "broke off"),
    (requests.exceptions.InvalidURL("Failed to parse"), Kind.UNREACHABLE, "could not be built"),
)


@pytest.mark.parametrize(("exc", "kind", "says"), CASES, ids=[f"{type(c[0]).__name__}-{c[2][:16]}" for c in CASES])
def test_each_cause_has_its_advice(exc: Exception, kind: Kind, says: str) -> None:
    """What was not sent is told from what broke off, and from what will not work the next time either."""
    found = failure(exc)

    assert kind is found.kind
    assert found.detail.startswith(f"no answer from {ORIGIN}: ")
    assert pytest.raises(AssertionError, match=says).matches(AssertionError(found.detail)), found.detail
    assert exc is found.cause


N, C, U = Kind.NOT_SENT, Kind.CUT_OFF, Kind.UNREACHABLE

REQUESTS = {
    "ChunkedEncodingError": C,
    "ConnectTimeout": N,
    "ConnectionError": C,
    "ContentDecodingError": C,
    "HTTPError": C,
    "InvalidHeader": U,
    "InvalidJSONError": U,
    "InvalidProxyURL": U,
    "InvalidSchema": U,
    "InvalidURL": U,
    "JSONDecodeError": U,
    "MissingSchema": U,
    "ProxyError": N,
    "ReadTimeout": C,
    "RequestException": C,
    "RetryError": C,
    "SSLError": C,
    "StreamConsumedError": C,
    "Timeout": C,
    "TooManyRedirects": U,
    "URLRequired": U,
    "UnrewindableBodyError": U,
}
# only those that urllib3 raises while a body is read; requests wraps the others
URLLIB3 = {"DecodeError": C, "IncompleteRead": C, "InvalidChunkLength": C, "ProtocolError": C, "SSLError": C}


def test_every_exception_of_requests_has_its_kind() -> None:
    """A class that a later version adds fails here, until someone says whether the request was sent."""
    found = {
        name: failure(kind("x", "y", 0) if name == "JSONDecodeError" else kind("x")).kind
        for name, kind in inspect.getmembers(requests.exceptions, inspect.isclass)
        if issubclass(kind, requests.RequestException)
    }

    assert REQUESTS == found


def test_exceptions_of_urllib3_while_a_body_is_read_have_their_kind() -> None:
    """They arrive as they are, because the body is read without requests."""
    raised = [
        urllib3.exceptions.DecodeError("x"),
        urllib3.exceptions.IncompleteRead(1, 2),
        urllib3.exceptions.InvalidChunkLength(urllib3.HTTPResponse(), b"zz"),
        urllib3.exceptions.ProtocolError("x"),
        urllib3.exceptions.SSLError("x"),
    ]

    assert URLLIB3 == {type(exc).__name__: failure(exc).kind for exc in raised}


def test_the_exceptions_own_text_is_not_repeated() -> None:
    """It may hold a URL with a secret; then the exception is not kept as the cause either."""
    found = failure(requests.exceptions.InvalidHeader(f"Invalid header: 'Bearer {SECRET}'"))

    assert SECRET not in f"{found!r}{found.detail}"
    assert found.cause is None
