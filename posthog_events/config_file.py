"""A settings file: TOML with a few keys, and the same keys again in named profiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posthog_events.errors import ConfigError

__all__ = ["read_settings_file"]

TEXTS = ("dsn", "timezone", "host", "key_env", "token")
KEYS = ("dsn", "timezone", "queries", "profile", "host", "project", "key_env", "token", "limits", "profiles")
LIMITS = ("queries_at_a_time", "queries_per_minute", "queries_per_hour")


def read_settings_file(path: Path) -> Mapping[str, Any]:
    """Read a settings file; relative `queries` are relative to the file.

    Raises:
        ConfigError: It is not TOML, or has a key or a value that means nothing.
    """
    import tomllib

    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    read = _read_table(values, path, str(path))
    profiles = values.get("profiles", {})
    if not isinstance(profiles, dict):
        raise ConfigError(f"{path}: profiles must be tables such as [profiles.work], but is {profiles!r}")
    for name, table in profiles.items():
        where = f"{path} [profiles.{name}]"
        if not isinstance(table, dict):
            raise ConfigError(f"{where}: must be a table, but is {table!r}")
        if inner := {"profile", "profiles"} & table.keys():
            raise ConfigError(f"{where}: unknown key {min(inner)!r}; profiles do not nest")
    return {
        **read,
        "profiles": {name: _read_table(table, path, f"{path} [profiles.{name}]") for name, table in profiles.items()},
    }


def _read_table(values: Mapping[str, Any], path: Path, where: str) -> dict[str, Any]:
    for key, value in values.items():
        match key, value:
            case "key" | "personal_api_key" | "password", _:
                raise ConfigError(
                    f"{where}: secrets do not belong in a file. Put it into an environment variable, "
                    "and name that with key_env"
                )
            case "project", int() if not isinstance(value, bool):
                continue
            case "project", _:
                raise ConfigError(f"{where}: project must be the project's number, but is {value!r}")
            case "queries", [*paths] if all(isinstance(item, str) for item in paths):
                continue
            case "queries", _:
                raise ConfigError(f"{where}: queries must be a list of directories, but is {value!r}")
            case "limits", dict():
                _check_limits(value, where)
            case "profiles", _:
                continue
            case _ if key in (*TEXTS, "profile"):
                if not isinstance(value, str):
                    raise ConfigError(f"{where}: {key} must be text, but is {value!r}")
            case _:
                raise ConfigError(f"{where}: unknown key {key!r}. The keys are: {', '.join(KEYS)}")
    read = {**values, "queries": [path.parent / item for item in values.get("queries", ())]}
    if "project" in values:
        read["project"] = str(values["project"])
    return read


def _check_limits(limits: Mapping[str, Any], where: str) -> None:
    for key, value in limits.items():
        if key not in LIMITS:
            raise ConfigError(f"{where}: unknown limit {key!r}. The limits are: {', '.join(LIMITS)}")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{where}: {key} must be a number of at least 1, but is {value!r}")
