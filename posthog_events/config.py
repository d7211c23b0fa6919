"""Settings, and where each of them came from.

An argument wins over the environment, the environment over `posthog-events.toml` in the working directory, and that
over the user's own file. Only the outermost caller (the command line) reads them; the library takes arguments.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from posthog_events.errors import ConfigError

__all__ = ["DEFAULT_STORE", "PROJECT_FILE", "Setting", "Settings", "load_settings", "store_dsn", "user_file"]

PROJECT_FILE = "posthog-events.toml"
DEFAULT_STORE = "events"
"""The store directory that is used when nothing else is said."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """A value and where it was found, for messages: `--dsn`, `POSTHOG_EVENTS_DSN`, a file, or `default`."""

    value: T
    source: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command needs to know before it starts.

    Args:
        dsn: The engine and its events. None: nothing was said, and there is no `./events` either.
        timezone: IANA name of the project's zone. None: what the store says.
        queries: Directories with query files that come before the shipped ones.
        password: For a server whose DSN has none; only the environment can hold it.
    """

    dsn: Setting[str] | None
    timezone: Setting[str] | None
    queries: Setting[tuple[Path, ...]]
    password: Setting[str] | None = field(default=None, repr=False)

    def require_dsn(self) -> str:
        """Return the DSN, or say how to get one.

        Raises:
            ConfigError: No DSN was given, and there is no local store.
        """
        if self.dsn is None:
            raise ConfigError(
                f"there are no events to query: no --dsn, no --store, and no store at ./{DEFAULT_STORE}. Import some "
                f"with: posthog-events local import FILE --store {DEFAULT_STORE} (or try: posthog-events demo)"
            )
        return self.dsn.value


def load_settings(
    *,
    arguments: Mapping[str, Any],
    environ: Mapping[str, str],
    directory: Path,
    user: Path | None = None,
) -> Settings:
    """Find each setting in the first place that has it.

    Args:
        arguments: `dsn`, `timezone` and `queries` of the call; None and empty values are not set.
        environ: `POSTHOG_EVENTS_DSN`, `POSTHOG_EVENTS_TIMEZONE`, `POSTHOG_EVENTS_QUERIES` (separated as PATH is),
            `POSTHOG_EVENTS_PASSWORD`.
        directory: The working directory, where `posthog-events.toml` and `./events` may be.
        user: The user's own file; it need not exist.

    Raises:
        ConfigError: A file is not TOML, or has a key or a value that means nothing.
    """
    places: list[tuple[str, Mapping[str, Any]]] = [("argument", arguments), *_environment(environ)]
    for path in (directory / PROJECT_FILE, user):
        if path is not None and path.is_file():
            places.append((str(path), _read_file(path)))

    def first(key: str) -> Setting[Any] | None:
        return next((Setting(place[key], source) for source, place in places if place.get(key)), None)

    dsn = first("dsn")
    if dsn is None and (directory / DEFAULT_STORE).is_dir():
        dsn = Setting(store_dsn(DEFAULT_STORE), "default")
    queries = first("queries")
    if queries is not None:
        queries = Setting(tuple(Path(path) for path in queries.value), queries.source)
    return Settings(dsn, first("timezone"), queries or Setting((), "default"), first("password"))


def store_dsn(path: str | Path) -> str:
    """Return the DSN of the local store at `path`."""
    text = str(path)
    return f"chdb://{text}" if text.startswith(("/", "./", "../")) else f"chdb://./{text}"


def user_file() -> Path:
    """Return where the user's own settings are."""
    import platformdirs

    return platformdirs.user_config_path("posthog-events") / "config.toml"


def _environment(environ: Mapping[str, str]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return one place for each variable, so that a message can name the variable."""
    readers: Mapping[str, Callable[[str], Any]] = {
        "dsn": str,
        "timezone": str,
        "password": str,
        "queries": lambda text: [part for part in text.split(os.pathsep) if part],
    }
    names = {key: f"POSTHOG_EVENTS_{key.upper()}" for key in readers}
    return [(names[key], {key: read(environ[names[key]])}) for key, read in readers.items() if names[key] in environ]


def _read_file(path: Path) -> Mapping[str, Any]:
    """Read a settings file; its relative `queries` are relative to the file."""
    import tomllib

    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    for key, value in values.items():
        match key, value:
            case (("dsn" | "timezone"), str()):
                continue
            case "queries", [*paths] if all(isinstance(item, str) for item in paths):
                continue
            case "dsn" | "timezone", _:
                raise ConfigError(f"{path}: {key} must be text, but is {value!r}")
            case "queries", _:
                raise ConfigError(f"{path}: queries must be a list of directories, but is {value!r}")
            case _:
                raise ConfigError(f"{path}: unknown key {key!r}. The keys are: dsn, timezone, queries")
    return {**values, "queries": [path.parent / item for item in values.get("queries", ())]}
