"""ClickHouse DSNs: `chdb://memory` and `clickhouse://[user[:password]@]host[:port][/database][?secure=1]`."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from posthog_events.errors import ConfigError

__all__ = ["Embedded", "Server", "parse_dsn"]

_SHAPE = "clickhouse://[user@]host[:port][/database][?secure=1]"
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True, slots=True)
class Embedded:
    """ClickHouse inside this process, without tables of its own on disk."""

    def __str__(self) -> str:
        return "chdb://memory"


@dataclass(frozen=True, slots=True)
class Server:
    """A ClickHouse server or cluster, reached over HTTP. `str()` shows it without the password."""

    host: str
    port: int
    database: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    secure: bool = False

    @property
    def address(self) -> str:
        """host:port, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"clickhouse://{user}{self.address}/{self.database or ''}{'?secure=1' if self.secure else ''}"


def parse_dsn(dsn: str, *, password: str | None = None) -> Embedded | Server:
    """Read a DSN. `password` is used when the DSN has none.

    The port is 8123, or 8443 with `secure=1`: ClickHouse's HTTP ports, not those of its native protocol.

    Raises:
        ConfigError: Not one of the two forms; the message never repeats the DSN, which may hold a password.
    """
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError as exc:
        raise ConfigError(f"the port or host of the ClickHouse DSN is not valid; write {_SHAPE}") from exc
    if parts.scheme == "chdb" and parts.netloc == "memory" and not parts.path.strip("/") and not parts.query:
        return Embedded()
    if parts.scheme != "clickhouse":
        raise ConfigError(f"not a ClickHouse DSN (scheme {parts.scheme!r}); write chdb://memory or {_SHAPE}")
    if not parts.hostname:
        raise ConfigError(f"the ClickHouse DSN names no host; write {_SHAPE}")
    database = unquote(parts.path.strip("/"))
    if "/" in database:
        raise ConfigError(f"the ClickHouse DSN names more than one database; write {_SHAPE}")
    secure = _secure(parts)
    return Server(
        host=parts.hostname,
        port=port or (8443 if secure else 8123),
        database=database or None,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else password,
        secure=secure,
    )


def _secure(parts: SplitResult) -> bool:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(options.keys() - {"secure"}):
        raise ConfigError(f"unknown option {unknown[0]!r} in the ClickHouse DSN; only secure=1 or secure=0 is known")
    value = options.get("secure", "0").lower()
    if value not in _FLAGS:
        raise ConfigError(f"secure={value!r} in the ClickHouse DSN is neither 1 nor 0")
    return _FLAGS[value]
