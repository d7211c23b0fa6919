"""Exceptions of requests, urllib3 and the system, translated at the one place where they come in; pure."""

from __future__ import annotations

from collections.abc import Mapping

from posthog_events.causes import causes, reason_of
from posthog_events.posthog.failures import Failure, Kind
from posthog_events.posthog.redact import Redactor

__all__ = ["connection_failure"]

_CHECK = "Check the network and the host"
_BUILT = "the request could not be built from the host and the proxy settings"
_BROKE_OFF = "the connection broke off before the answer was complete"

# By class name, as requests is not imported for this; the first that an exception or a reason within it inherits from
# counts. What was never sent can be sent again in any case, what broke off may have been carried out.
_REASONS: Mapping[str, tuple[Kind, str]] = {
    "SSLCertVerificationError": (
        Kind.UNREACHABLE,
        "its TLS certificate is not trusted here. Check the host, or name your company's in REQUESTS_CA_BUNDLE",
    ),
    "InvalidProxyURL": (Kind.UNREACHABLE, "the proxy in HTTPS_PROXY or HTTP_PROXY is not a valid URL"),
    "ProxySchemeUnknown": (Kind.UNREACHABLE, "the proxy in HTTPS_PROXY or HTTP_PROXY is not a valid URL"),
    "ProxySchemeUnsupported": (
        Kind.UNREACHABLE,
        "the proxy in HTTPS_PROXY or HTTP_PROXY has a scheme that is not known",
    ),
    "ProxyError": (
        Kind.NOT_SENT,
        "the proxy in HTTPS_PROXY or HTTP_PROXY did not connect. Check it, or leave it out with NO_PROXY",
    ),
    "NameResolutionError": (Kind.NOT_SENT, f"the host name is not known. {_CHECK}"),
    "gaierror": (Kind.NOT_SENT, f"the host name is not known. {_CHECK}"),
    "ConnectionRefusedError": (Kind.NOT_SENT, "the connection was refused. Is PostHog running there, at that port?"),
    # in urllib3 also a ConnectTimeoutError, so it comes first
    "NewConnectionError": (Kind.NOT_SENT, f"no connection could be made. {_CHECK}"),
    "ConnectTimeout": (Kind.NOT_SENT, f"no connection was made in time. {_CHECK}, and the firewall"),
    "ConnectTimeoutError": (Kind.NOT_SENT, f"no connection was made in time. {_CHECK}, and the firewall"),
    "Timeout": (Kind.CUT_OFF, "the connection was made, but the answer did not come in time"),
    "TimeoutError": (Kind.CUT_OFF, "the connection was made, but the answer did not come in time"),
    "DecodeError": (Kind.CUT_OFF, "the answer arrived damaged: it cannot be decompressed"),
    "ContentDecodingError": (Kind.CUT_OFF, "the answer arrived damaged: it cannot be decompressed"),
    "SSLError": (Kind.CUT_OFF, "the encrypted connection broke off"),
    "LocationValueError": (Kind.UNREACHABLE, _BUILT),
    "URLRequired": (Kind.UNREACHABLE, _BUILT),
    "InvalidURL": (Kind.UNREACHABLE, _BUILT),
    "MissingSchema": (Kind.UNREACHABLE, _BUILT),
    "InvalidSchema": (Kind.UNREACHABLE, _BUILT),
    "InvalidHeader": (Kind.UNREACHABLE, _BUILT),
    "InvalidJSONError": (Kind.UNREACHABLE, _BUILT),
    "UnrewindableBodyError": (Kind.UNREACHABLE, _BUILT),
    "TooManyRedirects": (Kind.UNREACHABLE, "it redirects in a circle. Check the host"),
    "StreamConsumedError": (Kind.CUT_OFF, _BROKE_OFF),
    "RetryError": (Kind.CUT_OFF, _BROKE_OFF),
    "ConnectionError": (Kind.CUT_OFF, _BROKE_OFF),
    "ChunkedEncodingError": (Kind.CUT_OFF, _BROKE_OFF),
    "HTTPError": (Kind.CUT_OFF, _BROKE_OFF),  # all that is left of urllib3's
    "HTTPException": (Kind.CUT_OFF, _BROKE_OFF),  # all of http.client's
    "RequestException": (Kind.CUT_OFF, _BROKE_OFF),  # all that is left of requests'
}

_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"})


def connection_failure(exc: Exception, *, origin: str, redact: Redactor) -> Failure:
    """Return what an exception that came instead of a reply means; its text is never repeated."""
    kind, reason = _reason(exc)
    text = str(exc)
    cause = exc if redact.text(text) == text else None
    return Failure(kind, detail=f"no answer from {origin}: {reason}", cause=cause)


def _reason(exc: Exception) -> tuple[Kind, str]:
    links = list(causes(exc, _held))
    if any(getattr(link, "reason", None) in _NOT_TLS for link in links):
        return Kind.UNREACHABLE, "it does not speak TLS at that port. Is its address http://…, or the port another?"
    if type(exc) is OSError:
        # requests checks the certificates' file before it connects
        return Kind.UNREACHABLE, "the file of certificates in REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE cannot be read"
    return reason_of(links, _REASONS) or (Kind.CUT_OFF, _BROKE_OFF)


def _held(link: BaseException) -> tuple[object, ...]:
    """Return what may be behind an exception: requests and urllib3 keep the real one in `args` or `reason`."""
    return (link.__cause__, getattr(link, "reason", None), *link.args)
