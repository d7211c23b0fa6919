"""Where a delivery may go: PostHog's servers reach public addresses only, and secrets travel encrypted."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from posthog_events.destinations.model import Destination, SecretRef
from posthog_events.destinations.secrets import Secrets
from posthog_events.errors import Fault
from posthog_events.posthog.host import is_loopback

__all__ = ["address_faults", "is_private", "url_fault"]

_URL_INPUTS = ("url", "webhookUrl")
_START = re.compile(r"(?P<scheme>https?)://(?P<netloc>[^/?#\s{}]+)(?=[/?#]|$)", re.IGNORECASE)
_PRIVATE_NAMES = (".local", ".internal", ".lan", ".home.arpa", ".localdomain", ".test", ".invalid")

# Wrong ones are accepted by PostHog and fail at every delivery (reference 2.2).
_DISCORD = re.compile(r"https://(?:ptb\.|canary\.)?discord(?:app)?\.com/api/webhooks/\d+/\S+")
_TEAMS = re.compile(
    r"https://\S*(?:logic\.azure\.com(?::443)?/workflows|webhook\.office\.com/webhookb2|powerautomate\.com"
    r"|flow\.microsoft\.com|environment\.api\.powerplatform\.com)\S*"
)
_SLACK = re.compile(r"https://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/\S+")


def url_fault(url: str) -> str | None:
    """Return what is wrong with a URL wherever it is used; None when nothing is. The URL is not repeated."""
    start = _START.match(url)
    if not start:
        if not re.match(r"https?://", url, re.IGNORECASE):
            return "a URL begins with https://"
        return "a URL has a host that is written out; only what follows it may hold expressions"
    host = _host(url)
    if host is None:
        return "this is not a URL"
    if start["scheme"].lower() == "http" and not is_private(host):
        return "http:// can be read and changed on the way; use https://"
    return None


def address_faults(destinations: Iterable[Destination], secrets: Secrets, *, local: bool) -> list[Fault]:
    """Return the URLs, secret ones included, that cannot work; no message repeats a secret one.

    Args:
        local: The project is on this machine (the emulator), so that loopback and private addresses can be reached.
    """
    faults = []
    for destination in destinations:
        for name in _URL_INPUTS:
            value = destination.inputs.get(name)
            url = secrets[value] if isinstance(value, SecretRef) else value
            if not isinstance(url, str):
                continue
            what = f"the secret {value}" if isinstance(value, SecretRef) else f"the URL {url}"
            message = url_fault(url) or _wrong_service(destination, url, local=local)
            if not message and not local and is_private(_host(url) or ""):
                message = "this address is on your machine or network, and PostHog's servers cannot reach it"
            if message:
                faults.append(Fault(f"{destination.key}: {what}: {message}", destination.path, destination.line))
    return faults


def is_private(host: str) -> bool:
    """Return whether a host name or address cannot be reached from outside."""
    name = host.lower().rstrip(".")
    if is_loopback(name) or name.endswith(_PRIVATE_NAMES):
        return True
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:
        # a number that browsers and servers read as an address (2130706433, 0x7f.1), or a name of one's own network
        return "." not in name or bool(re.fullmatch(r"(?:0x[0-9a-f]+|\d+)(?:\.(?:0x[0-9a-f]+|\d+)){0,3}", name))


def _wrong_service(destination: Destination, url: str, *, local: bool) -> str | None:
    pattern, shape = {
        "discord": (_DISCORD, "https://discord.com/api/webhooks/..."),
        "teams": (_TEAMS, "the URL that Teams gives for a workflow or an incoming webhook"),
        "slack": (_SLACK, "https://hooks.slack.com/services/..."),
    }.get(destination.kind, (None, ""))
    # a fake of the service on this machine takes its place
    if pattern is None or pattern.fullmatch(url) or (local and is_private(_host(url) or "")):
        return None
    return f"this is not a {destination.kind} webhook; it looks like {shape}"


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname or None
