"""Whether a delivery is what its sender sent: bytes and headers in, a `Delivery` or `DeliveryRejected` out.

Nothing here reads a socket or a clock of its own. What is refused, with which status, and why::

    400  bad_header          a header that counts is not ASCII text
         duplicate_header    a header that counts came twice
         bad_id              `webhook-id` is not an id
         bad_timestamp       `webhook-timestamp` is not seconds since 1970
         malformed_signature `webhook-signature` is not a list of signatures
    401  missing_signature   one of the three headers of Standard Webhooks is missing
         bad_signature       no signature is of a configured secret over this id, time and body
         too_old, too_new    rightly signed, at another time: a replay, or a clock that is wrong
         missing_secret      the header with the shared secret is missing
         bad_secret          its value is none of those accepted
    413  too_large           more bytes than a delivery may have
    415  wrong_content_type  rightly sent, and not JSON in UTF-8
         content_encoding    rightly sent, and compressed

PostHog tries none of these again, which is right: a second attempt would end in the same way.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from posthog_events.clock import utc_now
from posthog_events.errors import ConfigError, DeliveryRejected
from posthog_events.receiver.signatures import (
    ID_HEADER,
    ID_PATTERN,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    SigningKeys,
    content,
)

__all__ = ["JSON_MEDIA_TYPES", "MAX_BODY_BYTES", "TOLERANCE_S", "Delivery", "HeaderSecret", "Headers", "Verifier"]

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[bytes | str, bytes | str]]
"""Headers as web frameworks have them; ASGI's are pairs of bytes. Case does not matter in names."""

TOLERANCE_S: Final = 300.0
"""Seconds between the clocks of sender and receiver; what the libraries of Standard Webhooks allow."""

MAX_BODY_BYTES: Final = 2 << 20
"""Bytes of a body. An event of PostHog has a megabyte at most, and its person comes on top."""

JSON_MEDIA_TYPES: Final = frozenset({"application/json", "text/json", "text/plain"})
"""Content types of JSON. `text/plain` is what HTTP clients call a text when nobody told them, and PostHog sends what
the destination's headers say, or nothing. `application/...+json` goes without saying."""

_TIMESTAMP = re.compile(rb"0|[1-9][0-9]{0,10}")
# the bounds keep the work per request small: 32 signatures of 92 bytes each (v1a) fit, and no sender needs two
_SIGNATURE_HEADER_BYTES = 4096
_SIGNATURES = re.compile(rb"[A-Za-z0-9]+,[!-~]+(?: [A-Za-z0-9]+,[!-~]+){0,31}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")

_ID, _TIME, _SIGNATURE = ID_HEADER.encode(), TIMESTAMP_HEADER.encode(), SIGNATURE_HEADER.encode()
_TYPE, _ENCODING = b"content-type", b"content-encoding"
_SIGNED = frozenset({_ID, _TIME, _SIGNATURE})
_KNOWN = frozenset({_ID, _TIME, _SIGNATURE, _TYPE, _ENCODING})


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that was verified. Every attempt of one delivery gives an equal value.

    Args:
        id: The same for all attempts, and none other's; None when the sender gives none. Deliveries without an id are
            told apart by the uuid of their event.
        sent_at: When this attempt was made, in UTC; None where it is not signed.
        body: Exactly the bytes that were signed.
        verified: By a signature, by a shared secret in a header, or not at all.
    """

    id: str | None
    sent_at: datetime | None = field(compare=False)
    body: bytes = field(repr=False)
    verified: Literal["signature", "header", "none"]


@dataclass(frozen=True, slots=True)
class HeaderSecret:
    """A header that only the sender knows the value of; for PostHog servers that do not sign.

    Args:
        name: Such as `X-Webhook-Secret`, or `Authorization`.
        values: Those accepted, for example the new and the old one, or the only one; whole, `Bearer ` included.

    Raises:
        ConfigError: The name is none for a header of one's own, a value is empty or not ASCII, or there is none.
    """

    name: str
    values: Sequence[str] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", (self.values,) if isinstance(self.values, str) else tuple(self.values))
        if not _HEADER_NAME.fullmatch(self.name) or self.name.lower().encode() in _KNOWN:
            raise ConfigError(f"{self.name!r} cannot be the header of a shared secret")
        if not self.values or not all(isinstance(it, str) and _HEADER_VALUE.fullmatch(it) for it in self.values):
            raise ConfigError(f"the shared secret in the header {self.name} is empty, or not what a header can hold")


class Verifier:
    """Verifies deliveries, and refuses to exist when it could not.

    With `secrets` a delivery must be signed. With `header_secret` it must have that header. With both, a delivery that
    has a `webhook-signature` is judged by it alone, and the header is for those that have none.

    Args:
        secrets: Shared secrets and public keys, see `SigningKeys`; several while one replaces another.
        tolerance_s: Seconds that the time of an attempt may lie in the past, and in the future.
        allow_unsigned: Take deliveries from anyone, which is for trying things out on one's own machine.
        max_body_bytes: Longer bodies are refused before anything is computed over them.
        media_types: Content types accepted where one is given; None accepts all.
        clock: Returns an aware datetime.

    Raises:
        ConfigError: Neither secret nor `allow_unsigned`, or both, or one that cannot be used.
        MissingExtra: A public key, and no `cryptography`.
    """

    def __init__(
        self,
        secrets: str | Iterable[str] = (),
        *,
        header_secret: HeaderSecret | None = None,
        tolerance_s: float = TOLERANCE_S,
        allow_unsigned: bool = False,
        max_body_bytes: int = MAX_BODY_BYTES,
        media_types: Collection[str] | None = JSON_MEDIA_TYPES,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._keys = SigningKeys((secrets,) if isinstance(secrets, str) else secrets)
        if not isinstance(allow_unsigned, bool):
            raise ConfigError("allow_unsigned is True or False")
        has_secret = bool(self._keys) or header_secret is not None
        if allow_unsigned and has_secret:
            raise ConfigError("deliveries are either verified or not: give a secret or allow_unsigned=True, not both")
        if not allow_unsigned and not has_secret:
            raise ConfigError(
                "a receiver needs a secret: the signing_secret of the destination, or the value of a header that it "
                "sends; to take deliveries from anyone, say allow_unsigned=True"
            )
        if isinstance(tolerance_s, bool) or not (0 < tolerance_s < math.inf):
            raise ConfigError(f"the tolerance is a number of seconds above 0, not {tolerance_s}")
        self._header = None if header_secret is None else header_secret.name.lower().encode()
        self._digests = [] if header_secret is None else [_digest(value.encode()) for value in header_secret.values]
        self._tolerance_s, self._max_body_bytes, self._clock = tolerance_s, max_body_bytes, clock
        self._media_types = None if media_types is None else frozenset(media_types)
        self._plain_types = frozenset(it.encode() for it in self._media_types or ())
        self._wanted = _KNOWN if self._header is None else _KNOWN | {self._header}

    def verify(self, body: bytes, headers: Headers) -> Delivery:
        """Return the delivery.

        Raises:
            DeliveryRejected: It must not be believed; `status` is the answer to it, see the top of this module.
            TypeError: The body is not bytes: a text was decoded, and what was signed is gone.
        """
        if not isinstance(body, bytes):
            raise TypeError(f"verify() needs the body as the bytes that arrived, not {type(body).__name__}")
        if len(body) > self._max_body_bytes:
            raise _rejected(413, "too_large", f"the body has more than {self._max_body_bytes:,} bytes")
        found = _chosen(headers, self._wanted)
        if self._keys and (self._header is None or _SIGNATURE in found):
            delivery = self._signed(body, found)
        else:
            if self._header is not None:
                self._check_secret(found.get(self._header))
            delivery = Delivery(_id(found), None, body, "none" if self._header is None else "header")
        # after the verification: strangers learn nothing about what would be accepted
        self._check_content(found)
        return delivery

    def _signed(self, body: bytes, found: Mapping[bytes, bytes]) -> Delivery:
        if not found.keys() >= _SIGNED:
            missing = [name.decode() for name in (_ID, _TIME, _SIGNATURE) if name not in found]
            raise _rejected(401, "missing_signature", f"the delivery is not signed: no header {', '.join(missing)}")
        id_, seconds, signatures = _id(found), found[_TIME], found[_SIGNATURE]
        if not _TIMESTAMP.fullmatch(seconds):
            raise _rejected(400, "bad_timestamp", f"{TIMESTAMP_HEADER} is not a number of seconds since 1970")
        if len(signatures) > _SIGNATURE_HEADER_BYTES or not _SIGNATURES.fullmatch(signatures):
            raise _rejected(400, "malformed_signature", f"{SIGNATURE_HEADER} is not a list of signatures")
        if not self._keys.verify(content(found[_ID], seconds, body), signatures.split(b" ")):
            raise _rejected(401, "bad_signature", "no signature of the delivery is that of a configured secret")
        # after the signature: that the time is wrong is then known, and not only what somebody says
        age_s = self._clock().timestamp() - int(seconds)
        if abs(age_s) > self._tolerance_s:
            code, side = ("too_old", "behind") if age_s > 0 else ("too_new", "ahead of")
            raise _rejected(
                401,
                code,
                f"the delivery is rightly signed, with a time {abs(age_s):,.0f} s {side} this machine's clock; "
                f"{self._tolerance_s:g} s are tolerated",
            )
        return Delivery(id_, datetime.fromtimestamp(int(seconds), UTC), body, "signature")

    def _check_secret(self, value: bytes | None) -> None:
        if value is None:
            raise _rejected(401, "missing_secret", "the header with the shared secret is missing")
        given, good = _digest(value), False
        for accepted in self._digests:
            good |= hmac.compare_digest(accepted, given)
        if not good:
            raise _rejected(401, "bad_secret", "the header with the shared secret has another value")

    def _check_content(self, found: Mapping[bytes, bytes]) -> None:
        if _ENCODING in found and found[_ENCODING].strip().lower() != b"identity":
            raise _rejected(415, "content_encoding", "the body is compressed; send it as it is")
        # as most senders write it, with nothing to be taken apart
        if self._media_types is None or _TYPE not in found or found[_TYPE] in self._plain_types:
            return
        media_type, *parameters = (part.strip() for part in found[_TYPE].decode().lower().split(";"))
        known = media_type in self._media_types or (
            "application/json" in self._media_types
            and media_type.startswith("application/")
            and media_type[-5:] == "+json"
        )
        charsets = [
            value.strip("\"' ") for name, _, value in (it.partition("=") for it in parameters) if name == "charset"
        ]
        if not known or any(charset not in ("utf-8", "utf8", "us-ascii") for charset in charsets):
            raise _rejected(415, "wrong_content_type", "the body is not JSON in UTF-8, by its content type")


def _rejected(status: int, code: str, reason: str) -> DeliveryRejected:
    return DeliveryRejected(reason, status=status, code=code)


def _chosen(headers: Headers, wanted: Collection[bytes]) -> dict[bytes, bytes]:
    """Return the headers that count, their names in lower case; others may be what they like."""
    found: dict[bytes, bytes] = {}
    for pair in headers.items() if isinstance(headers, Mapping) else headers:
        # not `tuple | list`, which would be made anew each time
        name, value = pair if isinstance(pair, (tuple, list)) and len(pair) == 2 else (None, None)
        if isinstance(name, str):
            # what is not ASCII becomes a question mark, which no name has
            name = name.encode("ascii", "replace")
        if not isinstance(name, bytes):
            raise _rejected(400, "bad_header", "a header is not a pair of texts or bytes")
        name = name.lower()
        if name not in wanted:
            continue
        if name in found:
            raise _rejected(400, "duplicate_header", f"the header {name.decode()} came more than once")
        found[name] = _ascii(name, value)
    return found


def _ascii(name: bytes, value: object) -> bytes:
    if isinstance(value, bytes) and value.isascii():
        return value
    if isinstance(value, str) and value.isascii():
        return value.encode()
    raise _rejected(400, "bad_header", f"the header {name.decode()} is not ASCII text")


def _id(found: Mapping[bytes, bytes]) -> str | None:
    """Return the id, where there is one; in the header mode, a destination can send one among its own headers."""
    if _ID not in found:
        return None
    if not ID_PATTERN.fullmatch(found[_ID]):
        raise _rejected(400, "bad_id", f"{ID_HEADER} is not an id: 1 to 128 letters, digits and any of _:~+/=@-")
    return found[_ID].decode()


def _digest(secret: bytes) -> bytes:
    """Return what is compared in place of the secret, so that its length takes no part in it."""
    return hashlib.sha256(secret).digest()
