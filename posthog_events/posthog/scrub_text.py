"""Secrets and personal data within text of any kind, found by what they look like, or because they are known; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from posthog_events.posthog.personal import is_personal, is_personal_name, is_secret
from posthog_events.posthog.standins import ANY, EMAIL, IPV4, IPV6, KEY, StandIns

__all__ = ["Texts"]

MIN_KNOWN = 3
"""Characters; a shorter distinct id is replaced only where it is named as one."""

MIN_KNOWN_WORD = 5
"""Characters that a distinct id has at least to be replaced within a sentence."""

MIN_SECRET = 16
"""Characters of a secret that is looked for everywhere; a shorter one may be an ordinary word."""

_BEARER = re.compile(r"\b((?:bearer|basic)\s+)(?=[^\s\"',;]*\d)([^\s\"',;]{8,})", re.IGNORECASE)
# `token=...` in an address, `"token": "..."` in JSON that is cut off; not `token: ...` in a sentence
_NAMED = re.compile(r"\b([A-Za-z$][\w-]{1,40})(=|%3D|[\"']\s*:\s*[\"'])([^\s&\"'<>\\,;}\]]+)", re.IGNORECASE)
_WORD = re.compile(r"[^\s'\"`=,;:&?<>(){}\[\]\\/]+")


class Texts:
    """Replaces what is found in texts, and remembers what names a person and what is a secret.

    Args:
        personal: False replaces secrets only.
        secrets: Values that are secrets wherever they occur.
    """

    def __init__(self, standins: StandIns, *, personal: bool, secrets: Iterable[str]) -> None:
        self.standins, self.personal = standins, personal
        self.secrets = {secret for secret in secrets if secret}
        self._known: set[str] = set()

    def secret(self, value: str) -> str:
        """Return the stand-in of a secret, and look for the secret everywhere from now on."""
        if len(value) >= MIN_SECRET and not ANY.fullmatch(value):
            self.secrets.add(value)
        return self.standins.secret(value)

    def identity(self, value: str) -> str:
        """Return the stand-in of what names a person, and look for that everywhere from now on."""
        new = self.standins.text(value)
        if new != value and len(value) >= MIN_KNOWN and not is_personal_name(value):
            self._known.add(value)
        return new

    def whole(self, value: str) -> str | None:
        """Return the stand-in of a value that is known to name a person; None for any other."""
        return self.standins.text(value) if value in self._known else None

    def text(self, text: str) -> str:
        """Return any text with what looks like a secret, or is known to name a person, replaced."""
        for secret in self.secrets:
            if secret in text:
                text = text.replace(secret, self.standins.secret(secret))
        text = _BEARER.sub(lambda found: found[1] + self.secret(found[2]), _NAMED.sub(self._named, text))
        text = self.patterns(text)
        return _WORD.sub(self._word, text) if self._known else text

    def patterns(self, text: str) -> str:
        """Return text with PostHog's keys, e-mail addresses and IP addresses replaced."""
        text = KEY.sub(lambda found: self.secret(found[0]), text)
        if self.personal:
            if "@" in text or "%40" in text:  # the search is slow where there is none
                text = EMAIL.sub(lambda found: self.identity(found[0]), text)
            text = IPV6.sub(lambda found: self.standins.address(found[0]), text)
            text = IPV4.sub(lambda found: self.standins.address(found[0]), text)
        return text

    def _named(self, found: re.Match[str]) -> str:
        name, sign, value = found.groups()
        if is_secret(name):
            return f"{name}{sign}{self.secret(value)}"
        if self.personal and is_personal(name):
            return f"{name}{sign}{self.identity(value)}"
        return found[0]

    def _word(self, found: re.Match[str]) -> str:
        word = found[0].rstrip(".!")
        new = self.whole(word) if len(word) >= MIN_KNOWN_WORD else None
        return found[0] if new is None else new + found[0][len(word) :]
