"""Settings, and where each of them came from.

An argument wins over the environment, the environment over `posthog-events.toml` in the working directory, and that
over the user's own file. A file may hold profiles; the chosen profile counts where it was chosen. Keys come from the
environment only: a file can name the variable, never hold the key. Only the outermost caller (the command line) reads
all this; the library takes arguments.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from posthog_events.config_file import read_settings_file
from posthog_events.errors import ConfigError

__all__ = [
    "DEFAULT_STORE",
    "KEY_VARIABLE",
    "PROJECT_FILE",
    "PostHogTarget",
    "Setting",
    "Settings",
    "load_settings",
    "store_dsn",
    "user_file",
]

PROJECT_FILE = "posthog-events.toml"
DEFAULT_STORE = "events"
"""The store directory that is used when nothing else is said."""

KEY_VARIABLE = "POSTHOG_PERSONAL_API_KEY"

VARIABLES: Mapping[str, str] = {
    "dsn": "POSTHOG_EVENTS_DSN",
    "timezone": "POSTHOG_EVENTS_TIMEZONE",
    "password": "POSTHOG_EVENTS_PASSWORD",
    "queries": "POSTHOG_EVENTS_QUERIES",
    "profile": "POSTHOG_EVENTS_PROFILE",
    "host": "POSTHOG_HOST",
    "project": "POSTHOG_PROJECT_ID",
    "key": KEY_VARIABLE,
    "token": "POSTHOG_PROJECT_TOKEN",
}
"""Setting to environment variable."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """A value and where it was found, for messages: `argument`, `POSTHOG_EVENTS_DSN`, a file, or `default`."""

    value: T
    source: str


@dataclass(frozen=True, slots=True)
class PostHogTarget:
    """One project of one PostHog, and the key to it.

    Args:
        limits: `queries_at_a_time`, `queries_per_minute`, `queries_per_hour`, where they are not PostHog's usual ones.
    """

    host: str
    project_id: int
    key: str = field(repr=False)
    limits: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command needs to know before it starts.

    Args:
        dsn: The engine and its events. None: nothing was said, and there is no `./events` either.
        timezone: IANA name of the project's zone. None: what the store or the project says.
        queries: Directories with query files that come before the shipped ones.
        password: For a ClickHouse server whose DSN has none; only the environment can hold it.
        profile: The chosen profile.
        host: PostHog's host: `us`, `eu`, or a self-hosted one.
        project: The project's number, as text.
        key: The personal API key.
        token: The project token, for capture.
        limits: See `PostHogTarget`.
    """

    dsn: Setting[str] | None = None
    timezone: Setting[str] | None = None
    queries: Setting[tuple[Path, ...]] = Setting((), "default")
    password: Setting[str] | None = field(default=None, repr=False)
    profile: Setting[str] | None = None
    host: Setting[str] | None = None
    project: Setting[str] | None = None
    key: Setting[str] | None = field(default=None, repr=False)
    token: Setting[str] | None = field(default=None, repr=False)
    limits: Setting[Mapping[str, int]] = Setting(MappingProxyType({}), "default")

    def require_dsn(self) -> str:
        """Return the DSN, or say how to get one.

        Raises:
            ConfigError: No DSN was given, and there is no local store.
        """
        if self.dsn is None and any((self.host, self.project, self.key)):
            return "posthog://"  # something of it is set, and what is missing will be named
        if self.dsn is None:
            raise ConfigError(
                f"there are no events to query: no --dsn, no --store, and no store at ./{DEFAULT_STORE}. Import some "
                f"with: posthog-events local import FILE --store {DEFAULT_STORE} (or try: posthog-events demo). To ask "
                f"PostHog, set {VARIABLES['host']}, {VARIABLES['project']} and {KEY_VARIABLE}"
            )
        return self.dsn.value

    def posthog(self) -> PostHogTarget:
        """Return the PostHog project to speak to: the DSN's host and number where it has them, else the settings'.

        Raises:
            ConfigError: Something is missing (all of it is named), or the key is for another host.
        """
        dsn = self.dsn.value if self.dsn is not None and self.dsn.value.startswith("posthog://") else "posthog://"
        named = urlsplit(dsn)
        host, number = _host_of(named.netloc, named.query), named.path.strip("/")
        at = self.dsn.source if self.dsn is not None else "default"
        found_host = Setting(host, at) if host else self.host
        found_project = Setting(number, at) if number else self.project
        missing = [
            what
            for what, value in (
                (f"the host (us, eu or your own): set {VARIABLES['host']}", found_host),
                (
                    f"the project's number (it is in the address of its pages): set {VARIABLES['project']}",
                    found_project,
                ),
                (f"a personal API key (phx_...): set {KEY_VARIABLE}", self.key),
            )
            if value is None
        ]
        if missing or found_host is None or found_project is None or self.key is None:
            raise ConfigError("to ask PostHog, these are missing: " + "; ".join(missing))
        if not found_project.value.isdigit():
            raise ConfigError(
                f"the project is a number, but {found_project.source} says something else; "
                "it is in the address of the project's pages"
            )
        self._check_binding(found_host, self.key)
        return PostHogTarget(found_host.value, int(found_project.value), self.key.value, self.limits.value)

    def _check_binding(self, host: Setting[str], key: Setting[str]) -> None:
        """Refuse to hand the environment's key to a host that only a file or a DSN names.

        A folder from somewhere else may hold a `posthog-events.toml` that names its author's server.
        """
        if key.source != KEY_VARIABLE or host.source in (VARIABLES["host"], "argument"):
            return
        if self.host is not None and self.host.source == VARIABLES["host"] and self.host.value == host.value:
            return
        name = (urlsplit(host.value).hostname or host.value.partition(":")[0]).lower()
        if name in ("us", "eu", "localhost", "127.0.0.1", "::1") or name.endswith(".posthog.com"):
            return
        raise ConfigError(
            f"the host {host.value!r} comes from {host.source}, but the key from {KEY_VARIABLE}. If the key is "
            f"for that host, say so with {VARIABLES['host']}={host.value}, or with a profile that has its own key_env"
        )


def load_settings(
    *,
    arguments: Mapping[str, Any],
    environ: Mapping[str, str],
    directory: Path,
    user: Path | None = None,
) -> Settings:
    """Find each setting in the first place that has it.

    Args:
        arguments: `dsn`, `timezone`, `queries` and `profile` of the call; None and empty values are not set.
        environ: The variables in `VARIABLES`; `POSTHOG_EVENTS_QUERIES` is separated as PATH is.
        directory: The working directory, where `posthog-events.toml` and `./events` may be.
        user: The user's own file; it need not exist.

    Raises:
        ConfigError: A file is not TOML, has a key or a value that means nothing, or lacks the chosen profile.
    """
    candidates = (directory / PROJECT_FILE, user)
    files = [(str(path), read_settings_file(path)) for path in candidates if path is not None and path.is_file()]
    groups: list[list[tuple[str, Mapping[str, Any]]]] = [[("argument", arguments)], _environment(environ)]
    groups += [[file] for file in files]
    places = _with_profile(groups, files)

    def first(key: str) -> Setting[Any] | None:
        for source, place in places:
            if place.get(key):
                return Setting(place[key], source)
            variable = place.get("key_env") if key == "key" else None
            if variable and environ.get(variable):
                return Setting(environ[variable], f"{variable} (named in {source})")
        return None

    host, project, key = first("host"), first("project"), first("key")
    dsn = first("dsn")
    if dsn is None and host and project and key:
        dsn = Setting("posthog://", key.source)
    if dsn is None and (directory / DEFAULT_STORE).is_dir():
        dsn = Setting(store_dsn(DEFAULT_STORE), "default")
    queries = first("queries")
    if queries is not None:
        queries = Setting(tuple(Path(path) for path in queries.value), queries.source)
    return Settings(
        dsn=dsn,
        timezone=first("timezone"),
        queries=queries or Setting((), "default"),
        password=first("password"),
        profile=first("profile"),
        host=host,
        project=project,
        key=key,
        token=first("token"),
        limits=first("limits") or Setting(MappingProxyType({}), "default"),
    )


def store_dsn(path: str | Path) -> str:
    """Return the DSN of the local store at `path`."""
    text = str(path)
    return f"chdb://{text}" if text.startswith(("/", "./", "../")) else f"chdb://./{text}"


def user_file() -> Path:
    """Return where the user's own settings are."""
    import platformdirs

    return platformdirs.user_config_path("posthog-events") / "config.toml"


def _host_of(netloc: str, query: str) -> str:
    """Return the host of a DSN; `?insecure=1` says that it does not speak TLS."""
    return f"http://{netloc}" if netloc and query == "insecure=1" else netloc


def _environment(environ: Mapping[str, str]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return one place for each variable, so that a message can name the variable."""
    readers: Mapping[str, Callable[[str], Any]] = {
        "queries": lambda text: [part for part in text.split(os.pathsep) if part]
    }
    return [(name, {key: readers.get(key, str)(environ[name])}) for key, name in VARIABLES.items() if name in environ]


def _with_profile(
    groups: list[list[tuple[str, Mapping[str, Any]]]], files: list[tuple[str, Mapping[str, Any]]]
) -> list[tuple[str, Mapping[str, Any]]]:
    """Flatten the places and put the chosen profile's values after the group of places that chose it."""
    places: list[tuple[str, Mapping[str, Any]]] = []
    chosen = False
    for group in groups:
        name = next((place["profile"] for _, place in group if place.get("profile")), None)
        explicit = group is not groups[0] and group is not groups[1]
        profiles: list[tuple[str, Mapping[str, Any]]] = []
        if name and not chosen:
            chosen = True
            profiles = [
                (f"{source} [profiles.{name}]", file["profiles"][name])
                for source, file in files
                if name in file.get("profiles", {})
            ]
            if not profiles:
                known = sorted({profile for _, file in files for profile in file.get("profiles", {})})
                raise ConfigError(
                    f"there is no profile {name!r} in {PROJECT_FILE} or your own settings file. "
                    + (f"There are: {', '.join(known)}" if known else "There are none")
                )
        # what a file says in its profile is more special than what it says outside of it
        places += [*profiles, *group] if explicit else [*group, *profiles]
    return places
