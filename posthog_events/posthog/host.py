"""Where a PostHog is, and which credentials read from it; pure.

A key belongs to one region and is an ordinary 401 in the other, so the host is part of the credential (reference 1).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from posthog_events.errors import ConfigError

__all__ = ["REGIONS", "Host", "check_key", "is_loopback", "origin_of", "parse_host"]

REGIONS: Final = ("us", "eu")

_SHAPE = "write us, eu, or your own PostHog as https://posthog.example.com"

# app.posthog.com is the old name of the US region; the others are its hosts for capture and for its scripts.
_CLOUD = re.compile(r"(?:(?P<region>us|eu)(?:-assets)?(?:\.i)?|app)\.posthog\.com")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_DEFAULT_PORTS = {"http": 80, "https": 443}

_REFUSED_KEYS = {
    "phc_": "a project token, which only sends events",
    "phs_": "a project secret key, which cannot run queries",
    "phr_": "an OAuth refresh token, which only renews access",
}


@dataclass(frozen=True, slots=True)
class Host:
    """One PostHog.

    Args:
        origin: Scheme and host of the API; what a key is bound to.
        capture_origin: Where events are sent.
        region: `us` or `eu` in PostHog Cloud; None for a PostHog of one's own.
    """

    origin: str
    capture_origin: str
    region: str | None = None

    @property
    def warning(self) -> str | None:
        """What the user should know about this host."""
        parts = urlsplit(self.origin)
        if parts.scheme == "https" or is_loopback(parts.hostname or ""):
            return None
        return (
            f"{self.origin} is not encrypted: the key and all data can be read on the way. Use https:// if it answers"
        )

    @property
    def other_region(self) -> Host | None:
        """The other region of PostHog Cloud, where a key that is unknown here may be known."""
        return None if self.region is None else _cloud("eu" if self.region == "us" else "us")

    def __str__(self) -> str:
        return self.origin


def parse_host(text: str) -> Host:
    """Read a region, a host name or an origin; hosts of PostHog Cloud become those of its API.

    >>> parse_host("eu.i.posthog.com").origin
    'https://eu.posthog.com'

    Raises:
        ConfigError: It is none of them. The message does not repeat the text, which may hold a password or be a key.
    """
    given = text.strip()
    if given.lower() in REGIONS:
        return _cloud(given.lower())
    if not given:
        raise ConfigError(f"the PostHog host is empty; {_SHAPE}")
    if re.match(r"ph[a-z]_", given):
        raise ConfigError(f"a key was given where PostHog's host is expected; {_SHAPE}")
    parts, port = _split(given)
    name = (parts.hostname or "").rstrip(".")
    if cloud := _CLOUD.fullmatch(name):
        if port not in (None, 80, 443):
            raise ConfigError(f"PostHog Cloud has no port {port}; {_SHAPE}")
        return _cloud(cloud["region"] or "us")
    if name in ("posthog.com", "www.posthog.com"):
        raise ConfigError(f"{name} is PostHog's web site and has no API; {_SHAPE}")
    name = _host_name(name)
    local = is_loopback(name)
    if "." not in name and ":" not in name and not (local or parts.scheme or port):
        raise ConfigError(f"{name!r} is neither a region nor a host name with a domain; {_SHAPE}")
    scheme = parts.scheme or ("http" if local else "https")
    shown = f"[{name}]" if ":" in name else name
    origin = f"{scheme}://{shown}" + (f":{port}" if port not in (None, _DEFAULT_PORTS[scheme]) else "")
    return Host(origin, origin)


def origin_of(url: str) -> str:
    """Return scheme, host and port of an absolute URL, in the form of `Host.origin`; empty when it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return ""
    shown = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.rstrip(".")
    return f"{parts.scheme}://{shown}" + (f":{port}" if port not in (None, _DEFAULT_PORTS[parts.scheme]) else "")


def is_loopback(name: str) -> bool:
    """Return whether a host name or address is this machine."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_key(text: str) -> str:
    """Return a key that can read, without the white space around it.

    A key without PostHog's prefix is accepted: keys of old, self-hosted installations have none.

    Raises:
        ConfigError: It is empty, damaged, or of a kind that reads nothing. The message does not repeat it.
    """
    key = text.strip()
    wanted = "use a personal API key (phx_…), made in PostHog under Settings, Personal API keys"
    if not key:
        raise ConfigError(f"the PostHog key is empty; {wanted}")
    if key.lower().startswith("bearer "):
        raise ConfigError("the PostHog key begins with the word Bearer; give the key alone")
    if re.search(r"[\s\"'`]", key):
        raise ConfigError("the PostHog key has white space or quotes in it; copy it again, without them")
    if not key.isascii() or not key.isprintable() or "..." in key or key.startswith("<"):
        raise ConfigError(f"the PostHog key has characters in it that keys do not have; is it a sample? {wanted}")
    if meaning := _REFUSED_KEYS.get(key[:4]):
        raise ConfigError(f"the PostHog key begins with {key[:4]}: {meaning}; {wanted}")
    if key in ("phx_", "pha_"):
        raise ConfigError(f"the PostHog key ends after {key}; copy all of it")
    return key


def _cloud(region: str) -> Host:
    return Host(f"https://{region}.posthog.com", f"https://{region}.i.posthog.com", region)


def _split(given: str) -> tuple[SplitResult, int | None]:
    """Return the parts of the text and its port; refuse what an origin does not have."""
    try:
        parts = urlsplit(given if "://" in given else f"//{given}")
        port = parts.port
    except ValueError as exc:
        raise ConfigError(f"the PostHog host is not valid; {_SHAPE}") from exc
    if parts.scheme not in ("", *_DEFAULT_PORTS):
        raise ConfigError(f"PostHog is not reached over {parts.scheme}://; {_SHAPE}")
    if "@" in parts.netloc:
        raise ConfigError(f"the PostHog host holds a user name or password; give the key as a setting, and {_SHAPE}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError("the PostHog host has a path; give only scheme and host, such as https://us.posthog.com")
    if port == 0 or not parts.hostname:
        raise ConfigError(f"the PostHog host has no {'name' if port != 0 else 'valid port'}; {_SHAPE}")
    return parts, port


def _host_name(name: str) -> str:
    """Return a valid host name as it is sent: ASCII, or an address."""
    if ":" in name:
        try:
            return str(ipaddress.IPv6Address(name))
        except ValueError as exc:
            raise ConfigError(f"the PostHog host is not a valid address; {_SHAPE}") from exc
    try:
        plain = name.encode("idna").decode("ascii")
    except UnicodeError as exc:
        raise ConfigError(f"the PostHog host is not a valid name; {_SHAPE}") from exc
    if not all(_LABEL.fullmatch(label) for label in plain.split(".")):
        raise ConfigError(f"the PostHog host is not a valid name; {_SHAPE}")
    return plain
