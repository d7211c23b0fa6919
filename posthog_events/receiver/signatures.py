"""Signatures of Standard Webhooks: the keys as users hold them, signing, and checking.

Signed is `id.timestamp.body`. A shared secret (`whsec_`) gives `v1` signatures, HMAC-SHA256; a public key (`whpk_`)
checks `v1a` signatures, ed25519.

Source: standard-webhooks/standard-webhooks:spec/standard-webhooks.md, version 1.0.0.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from posthog_events.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = ["ID_HEADER", "ID_PATTERN", "SIGNATURE_HEADER", "TIMESTAMP_HEADER", "SigningKeys", "content", "sign"]

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"

ID_PATTERN: Final = re.compile(rb"[A-Za-z0-9_:~+/=@-]{1,128}")
"""An id. The specification forbids the full stop, which is what ends the id in the signed text; without spaces and
commas, an id is not two that a proxy has joined."""

_SHARED, _PUBLIC, _PRIVATE = "whsec_", "whpk_", "whsk_"
_ED25519_KEY_BYTES, _ED25519_SIGNATURE_BYTES = 32, 64


class SigningKeys:
    """The keys of those who may sign; false when there are none.

    Args:
        secrets: Shared secrets in base64, with or without `whsec_` before it, and public keys with `whpk_` before it.

    Raises:
        ConfigError: One of them is empty, or not base64, or the private half of a key.
        MissingExtra: There is a public key, and no `cryptography`.
    """

    __slots__ = ("_public", "_shared")

    def __init__(self, secrets: Iterable[str]) -> None:
        given = [secret.strip() if isinstance(secret, str) else "" for secret in secrets]
        self._shared = tuple(_shared_key(secret) for secret in given if not secret.startswith(_PUBLIC))
        self._public = tuple(_public_key(secret) for secret in given if secret.startswith(_PUBLIC))

    def __bool__(self) -> bool:
        return bool(self._shared or self._public)

    def __repr__(self) -> str:
        return f"SigningKeys(<{len(self._shared)} shared, {len(self._public)} public>)"

    def verify(self, signed: bytes, signatures: Sequence[bytes]) -> bool:
        """Return whether one of the signatures was made with one of the keys.

        Shared keys: every signature is compared with every key, in constant time, whatever was found before. It is the
        text that is compared and not what it decodes to, since one signature has several spellings in base64.

        Args:
            signed: See `content`.
            signatures: Such as `v1,K5oZ...`; those of unknown versions prove nothing.
        """
        expected = [_v1(key, signed) for key in self._shared]
        good = False
        for given in signatures:
            for one in expected:
                good |= hmac.compare_digest(one, given)
            if self._public and given.startswith(b"v1a,"):
                good |= self._ed25519(signed, given.removeprefix(b"v1a,"))
        return good

    def _ed25519(self, signed: bytes, text: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        try:
            signature = base64.b64decode(text, validate=True)
        except binascii.Error:
            return False
        if len(signature) != _ED25519_SIGNATURE_BYTES or base64.b64encode(signature) != text:
            return False
        for key in self._public:
            try:
                key.verify(signature, signed)
            except InvalidSignature:
                continue
            return True
        return False


def sign(body: bytes, *, id: str, timestamp: datetime, secret: str) -> dict[str, str]:  # noqa: A002  # the header's name
    """Return the three headers that a delivery is signed with, as PostHog does it.

    Args:
        id: The same for all attempts.
        timestamp: When this attempt is made; aware. Its fraction of a second is dropped.
        secret: Shared, with or without `whsec_`.

    Raises:
        ConfigError: The secret cannot sign, the id is none, or the timestamp is naive or before 1970.
    """
    name = id.encode("ascii", "replace")
    if not ID_PATTERN.fullmatch(name):
        raise ConfigError("the id of a delivery has 1 to 128 letters, digits and any of _:~+/=@-, and no full stop")
    if timestamp.tzinfo is None or timestamp.timestamp() < 0:
        raise ConfigError("the timestamp of a delivery needs a time zone and a year after 1969")
    seconds = str(int(timestamp.timestamp()))
    signature = _v1(_shared_key(secret.strip()), content(name, seconds.encode(), body))
    return {ID_HEADER: id, TIMESTAMP_HEADER: seconds, SIGNATURE_HEADER: signature.decode()}


def content(id: bytes, timestamp: bytes, body: bytes) -> bytes:  # noqa: A002  # the header's name
    """Return what is signed."""
    return b"%b.%b.%b" % (id, timestamp, body)


def _v1(key: bytes, signed: bytes) -> bytes:
    return b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))


def _shared_key(secret: str) -> bytes:
    if secret.startswith((_PRIVATE, _PUBLIC)):
        raise ConfigError(f"a {secret[:5]} key is not a shared secret: receivers check with {_PUBLIC} or {_SHARED}")
    key = _decoded(secret.removeprefix(_SHARED))
    if not key:
        raise ConfigError(
            "a signing secret is empty or not base64: give it as it was given to the destination, with or without "
            f"{_SHARED} before it"
        )
    return key


def _public_key(secret: str) -> Ed25519PublicKey:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as exc:
        raise MissingExtra(f"A public key ({_PUBLIC})", "connect") from exc

    key = _decoded(secret.removeprefix(_PUBLIC))
    if len(key) != _ED25519_KEY_BYTES:
        raise ConfigError(f"a public key is {_PUBLIC} and the base64 of {_ED25519_KEY_BYTES} bytes")
    return Ed25519PublicKey.from_public_bytes(key)


def _decoded(text: str) -> bytes:
    """Return what base64 stands for, its padding being optional; nothing when it is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:  # binascii.Error is one; a text that is not ASCII is another
        return b""
