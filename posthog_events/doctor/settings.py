"""Settings and environment: what can be judged before anything is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from posthog_events.config import KEY_VARIABLE, VARIABLES, Settings
from posthog_events.doctor.finding import Finding, Level
from posthog_events.errors import ConfigError
from posthog_events.posthog.host import check_key, is_loopback, parse_host

__all__ = ["check_environment", "check_settings", "check_target", "speaks_to_posthog"]

MISNAMED: Mapping[str, str] = {
    "POSTHOG_API_KEY": KEY_VARIABLE,
    "POSTHOG_KEY": KEY_VARIABLE,
    "POSTHOG_PERSONAL_KEY": KEY_VARIABLE,
    "POSTHOG_PERSONAL_API_TOKEN": KEY_VARIABLE,
    "POSTHOG_PROJECT": VARIABLES["project"],
    "POSTHOG_PROJECT_API_KEY": VARIABLES["token"],
    "POSTHOG_URL": VARIABLES["host"],
    "POSTHOG_API_HOST": VARIABLES["host"],
}
"""Names that other tools use, and ours."""


def speaks_to_posthog(settings: Settings) -> bool:
    """Whether anything of PostHog is set."""
    dsn = settings.dsn.value if settings.dsn else ""
    return dsn.startswith("posthog://") or any((settings.host, settings.project, settings.key))


def check_environment(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Find variables that have no effect, and files that variables name in vain."""
    for name, ours in MISNAMED.items():
        if environ.get(name) and not environ.get(ours):
            yield Finding(
                Level.WARNING, "environment", f"{name} is set, but is not read here", f"set {ours} to its value"
            )
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        if environ.get(name) and not Path(environ[name]).exists():
            yield Finding(
                Level.PROBLEM,
                "certificates",
                f"{name} names {environ[name]}, which does not exist, so no secure connection can be made",
                f"unset {name}, or correct the path",
            )


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Judge each setting by itself."""
    if settings.timezone is not None:
        name = settings.timezone.value
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            yield Finding(
                Level.PROBLEM,
                "time zone",
                f"{settings.timezone.source} sets the time zone {name!r}, which does not exist",
                "use an IANA name such as Europe/Berlin",
            )
    for folder in settings.queries.value:
        if not folder.is_dir():
            yield Finding(
                Level.PROBLEM,
                "query files",
                f"{settings.queries.source} names the folder {folder}, which does not exist",
                f"create {folder}, or take it out of the setting",
            )
    token = settings.token
    if token is not None and not token.value.startswith("phc_"):
        kind = "a personal API key" if token.value.startswith("phx_") else "no project token"
        yield Finding(
            Level.PROBLEM,
            "project token",
            f"{token.source} holds {kind}, but events are sent with the project token",
            "take the token that begins with phc_ from the project's settings",
        )
    if settings.dsn is not None and settings.key is not None and not settings.dsn.value.startswith("posthog://"):
        yield Finding(
            Level.NOTE,
            "engine",
            f"queries go to {settings.dsn.value} ({settings.dsn.source}), although a PostHog key is set",
            "to ask PostHog instead, add --engine posthog",
        )


def check_target(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Judge host, project and key together; a problem here means that nothing can be asked."""
    try:
        target = settings.posthog()
        host = parse_host(target.host)
        check_key(target.key)
    except ConfigError as error:
        message, _, fix = str(error).partition(": set ")
        if fix:
            yield Finding(Level.PROBLEM, "settings", message, f"set {fix}")
        else:
            message, _, fix = str(error).partition("; ")
            yield Finding(Level.PROBLEM, "settings", message, fix or "correct the setting; config show tells where")
        return
    if host.warning:
        message, _, fix = host.warning.partition(". ")
        yield Finding(Level.WARNING, "host", message, fix)
    if target.host.startswith("app.") or ".i.posthog.com" in target.host or "://app." in target.host:
        yield Finding(
            Level.NOTE,
            "host",
            f"{target.host} is not the address of PostHog's API; {host.origin} is used",
            f"set {VARIABLES['host']}={host.region or host.origin}",
        )
    name = host.origin.partition("://")[2].rpartition(":")[0] or host.origin.partition("://")[2]
    proxy = next((variable for variable in ("HTTP_PROXY", "http_proxy") if environ.get(variable)), None)
    bypassed = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if proxy and is_loopback(name) and name not in bypassed and bypassed != "*":
        yield Finding(
            Level.WARNING,
            "proxy",
            f"{proxy} sends requests for {name} to a proxy, from where this machine cannot be reached",
            f"set NO_PROXY={name}",
        )
