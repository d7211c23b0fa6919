"""Secrets of destinations: found by reference, refused in plain text, compared without being read.

A declaration names a secret (`${env:CRM_KEY}`, `${keyring:crm}`) and never holds it. PostHog does not give a stored
secret back, so whether it still is the one we would send is seen from a fingerprint in the description (see `marker`).

Construction of the fingerprint, for a destination `key` and its inputs `i` with reference `r` and value `v`::

    stretched(r, v) = scrypt(v, salt=HMAC-SHA256("posthog-events secret fingerprint 1", r), n=2^14, r=8, p=1, 32 bytes)
    fingerprint     = first 12 hex digits of HMAC-SHA256(key, i NUL r NUL stretched NL, for every i in order)

It can be seen by whoever may read the destination. Scrypt makes guessing slow, the reference and the destination's key
make equal secrets look different in different places, and 48 bits say nothing about a random secret. The slow part is
done once for each reference, however many destinations use it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from posthog_events.destinations.model import Destination, SecretRef
from posthog_events.errors import DeclarationError, Fault, MissingExtra

__all__ = ["KEYRING_SERVICE", "Secrets", "inline_secret", "read_keyring", "secret_header"]

KEYRING_SERVICE: Final = "posthog-events"
"""The service under which entries of the keyring are looked up."""

_DOMAIN = b"posthog-events secret fingerprint 1"
_HEX_DIGITS = 12

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/\w"), "a Slack webhook URL"),
    (re.compile(r"discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d"), "a Discord webhook URL"),
    (re.compile(r"webhook\.office\.com/webhookb2/\w|[?&]sig=[\w%-]{8}"), "a webhook URL of Microsoft"),
    (re.compile(r"hooks\.zapier\.com/hooks/\w|hook\.\w+\.make\.com/\w"), "a webhook URL that grants access"),
    (re.compile(r"\bph[xasr]_\w{10}"), "a PostHog key"),
    (re.compile(r"\bxox[abeoprs]-\w|\bxapp-\w"), "a Slack token"),
    (re.compile(r"\b(?:sk|rk)_(?:live|test)_\w{8}|\bsk-[\w-]{16}"), "an API key"),
    (re.compile(r"\bwhsec_[\w+/=-]{8}"), "a signing secret"),
    (re.compile(r"\bgh[oprsu]_\w{16}|\bgithub_pat_\w{16}|\bglpat-[\w-]{12}"), "an access token"),
    (re.compile(r"\bAKIA[0-9A-Z]{12}"), "an AWS key"),
    (re.compile(r"\bAIza[\w-]{30}"), "a Google key"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\."), "a signed token (JWT)"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"), "a private key"),
    (re.compile(r"://[^\s/@:]+:[^\s/@{]+@"), "a URL with a password"),
    (re.compile(r"\b(?:bearer|basic|token)\s+(?=[\w.~+/=-]*\d)[\w.~+/=-]{12,}", re.IGNORECASE), "a credential"),
)
_SECRET_NAME = re.compile(
    r"authorization|secret|token|passw(?:or)?d|signature|credential|(?:^|[-_])(?:api[-_]?)?key$|apikey|^sig$",
    re.IGNORECASE,
)


class Secrets:
    """The values of the secrets of some declarations, and their fingerprints.

    Args:
        values: What each reference means.
    """

    def __init__(self, values: Mapping[SecretRef, str]) -> None:
        self._values = dict(values)
        self._stretched: dict[SecretRef, bytes] = {}

    @classmethod
    def find(
        cls,
        destinations: Iterable[Destination],
        *,
        environ: Mapping[str, str],
        keyring: Callable[[str], str | None] | None = None,
    ) -> Secrets:
        """Look up every secret that the destinations name.

        Args:
            environ: The environment variables.
            keyring: Finds an entry of the keyring by its name; `read_keyring` unless said otherwise.

        Raises:
            DeclarationError: Lists every secret that is missing or that PostHog could not use.
            MissingExtra: The keyring is asked for, and its package is not installed.
        """
        look_up = keyring or read_keyring
        values: dict[SecretRef, str] = {}
        faults: list[Fault] = []
        for destination in destinations:
            for name, ref in destination.secrets.items():
                if ref not in values:
                    found = environ.get(ref.name) if ref.source == "env" else look_up(ref.name)
                    values[ref] = (found or "").strip()
                if message := _unusable(name, ref, values[ref]):
                    faults.append(Fault(f"{destination.key}: {message}", destination.path, destination.line))
        if faults:
            raise DeclarationError(faults)
        return cls(values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(map(str, sorted(self._values)))})"

    def __getitem__(self, ref: SecretRef) -> str:
        """Return the secret itself."""
        return self._values[ref]

    def values(self) -> tuple[str, ...]:
        """Return every secret, for those who must keep them out of what is shown."""
        return tuple(self._values.values())

    def fingerprint(self, destination: Destination) -> str:
        """Return the fingerprint of the destination's secrets; empty when it has none."""
        if not destination.secrets:
            return ""
        digest = hmac.new(destination.key.encode(), digestmod=hashlib.sha256)
        for name, ref in sorted(destination.secrets.items()):
            digest.update(name.encode() + b"\0" + str(ref).encode() + b"\0" + self._stretch(ref) + b"\n")
        return digest.hexdigest()[:_HEX_DIGITS]

    def _stretch(self, ref: SecretRef) -> bytes:
        if ref not in self._stretched:
            salt = hmac.digest(_DOMAIN, str(ref).encode(), "sha256")
            self._stretched[ref] = hashlib.scrypt(self[ref].encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
        return self._stretched[ref]


def read_keyring(name: str) -> str | None:
    """Return an entry of the system's keyring; None when there is none.

    Raises:
        MissingExtra: The package that reads it is not installed.
    """
    try:
        keyring: Any = importlib.import_module("keyring")
    except ImportError as error:
        raise MissingExtra("reading secrets from the keyring", "connect") from error
    found: str | None = keyring.get_password(KEYRING_SERVICE, name)
    return found


def inline_secret(text: str) -> str | None:
    """Return what secret `text` seems to hold in plain; None when it seems to hold none."""
    for pattern, what in _PATTERNS:
        if pattern.search(text):
            return what
    for name, value in _query(text):
        if _SECRET_NAME.search(name) and value and not value.startswith(("{", "${")):
            return f"a URL with a secret (`{name}`)"
    return None


def secret_header(name: str, value: str) -> bool:
    """Return whether a header carries a secret in plain: its name says so, and its value is no expression."""
    return bool(value and _SECRET_NAME.search(name)) and "{" not in value


def _query(text: str) -> Iterator[tuple[str, str]]:
    for url in re.findall(r"https?://\S+", text):
        try:
            yield from parse_qsl(urlsplit(url).query)
        except ValueError:
            continue


def _unusable(name: str, ref: SecretRef, value: str) -> str | None:
    """Return why the secret of an input cannot be sent; never the secret."""
    if not value:
        what = f"the environment variable {ref.name} is" if ref.source == "env" else f"the keyring entry {ref.name} is"
        hint = "" if ref.source == "env" else f"; store it with: keyring set {KEYRING_SERVICE} {ref.name}"
        return f"the secret {ref} is missing: {what} not set{hint}"
    if "{" in value:
        return f"the secret {ref} holds a {{, which PostHog would read as the begin of an expression"
    if "\\" in value:
        return f"the secret {ref} holds a backslash, which PostHog would read together with what follows it"
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        return f"the secret {ref} has line breaks or control characters in it"
    if name == "signing_secret" and not _is_base64(value.removeprefix("whsec_")):
        return f"the secret {ref} cannot sign: it must be base64, with or without whsec_ before it"
    return None


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False
