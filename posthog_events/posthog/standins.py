"""Stand-ins: what takes the place of a secret or of something about a person, the same one for the same value; pure.

A stand-in has the shape of what it replaces, and a form that nothing real has (reserved domains, networks, years), so
it is known again and never replaced a second time. Without the salt it cannot be computed from a guessed value.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from datetime import date, timedelta
from typing import Final

__all__ = ["ANY", "EMAIL", "IPV4", "IPV6", "KEY", "StandIns", "is_number"]

DOMAIN: Final = "scrubbed.invalid"
V4_BLOCK: Final = 0xF000_0000
"""240.0.0.0/4, which is reserved."""
V6_BLOCK: Final = 0x2001_0DB8 << 96
"""2001:db8::/32, which is for documentation."""
NUMBERS: Final = range(2_000_000_000, 2**31)
"""They fit every integer type of 32 bits and more."""
FIRST_DAY: Final = date(2100, 1, 1)
DAYS: Final = 2_191
"""Until the end of 2105: ClickHouse's DateTime ends in 2106."""

# bounded, because a megabyte without @ would be searched from each of its characters
EMAIL: Final = re.compile(r"[\w.+~'-]{1,64}(?:@|%40)[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
KEY: Final = re.compile(r"\bph[a-z]_[A-Za-z0-9_-]{6,}")
# neither part of a number or name, nor the version in "Chrome/131.0.0.0"
IPV4: Final = re.compile(r"(?<![\w.-])(?<![A-Za-z0-9.]/)(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
IPV6: Final = re.compile(
    r"(?<![\w:.])(?=[\da-f]{0,4}:[\da-f]{0,4}:)[\da-f:]{3,39}(?:(?<=:)(?:\d{1,3}\.){3}\d{1,3})?(?![\w:]|\.\w)",
    re.IGNORECASE,
)
_UUID = re.compile(r"[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}", re.IGNORECASE)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)([T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?")

ANY: Final = re.compile(
    rf"scrubbed-[\da-f]{{10}}|[\da-f]{{10}}(?:@|%40){re.escape(DOMAIN)}|ph[a-z]_scrubbed[\da-f]{{10}}"
    r"|00000000-0000-8000-8[\da-f]{3}-[\da-f]{12}|2(?:4\d|5[0-5])(?:\.\d{1,3}){3}|2001:db8::[\da-f:]+"
    r"|210[0-5]-\d\d-\d\d"
)
"""Every stand-in that is text."""


class StandIns:
    """Makes stand-ins.

    Args:
        salt: Whoever has it can test whether a value they guess was replaced; so it is not kept.
    """

    __slots__ = ("_salt",)

    def __init__(self, salt: bytes) -> None:
        self._salt = salt

    def text(self, value: str) -> str:
        """Return the stand-in of something about a person, in its shape: address, uuid, date, or any other text."""
        if not value.strip() or ANY.fullmatch(value):
            return value
        if EMAIL.fullmatch(value):
            return self.email(value)
        if _UUID.fullmatch(value):
            digest = self._digest(value)
            return f"00000000-0000-8000-8{digest[:3]}-{digest[3:15]}"
        if found := _DATE.fullmatch(value):
            if ANY.fullmatch(found[1]):
                return value
            day = FIRST_DAY + timedelta(days=int(self._digest(value), 16) % DAYS)
            return day.isoformat() + (found[2] or "")
        address = self.address(value)
        return f"scrubbed-{self._digest(value)[:10]}" if address == value else address

    def number(self, value: int | float) -> int | float:
        """Return a number of the same type."""
        if is_number(value):
            return value
        number = NUMBERS.start + int(self._digest(repr(value)), 16) % (len(NUMBERS) - 1)
        return number if isinstance(value, int) else number + 0.5

    def email(self, value: str) -> str:
        """Return an e-mail address, with `%40` where the given one has it."""
        at = "%40" if "@" not in value else "@"
        plain = value.replace("%40", "@")
        if plain.endswith(f"@{DOMAIN}"):
            return value
        return f"{self._digest(plain)[:10]}{at}{DOMAIN}"

    def address(self, value: str) -> str:
        """Return an IP address; loopback and unspecified ones, and what is no address, are returned as they are."""
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return value
        if address.is_loopback or address.is_unspecified:
            return value
        bits = int(self._digest(value), 16)
        if isinstance(address, ipaddress.IPv4Address):
            kept = int(address) >= V4_BLOCK
            return value if kept else str(ipaddress.IPv4Address(V4_BLOCK | bits % 2**28))
        kept = int(address) >> 96 == V6_BLOCK >> 96
        # the block of two zeros keeps the form that ANY knows
        return value if kept else str(ipaddress.IPv6Address(V6_BLOCK | 2**44 | bits % 2**44))

    def secret(self, value: str) -> str:
        """Return the stand-in of a key, which keeps the prefix that says its kind, or of another secret."""
        if not value or ANY.fullmatch(value):
            return value
        kind = value[:4] if KEY.fullmatch(value) else ""
        return f"{kind}scrubbed{'' if kind else '-'}{self._digest(value)[:10]}"

    def _digest(self, value: str) -> str:
        return hmac.new(self._salt, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]


def is_number(value: float) -> bool:
    """Return whether a number is a stand-in."""
    return NUMBERS.start <= value < NUMBERS.stop
