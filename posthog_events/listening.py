"""A socket that a server listens on, or one sentence that says why there is none."""

from __future__ import annotations

import socket

from posthog_events.errors import ConfigError

__all__ = ["listening_socket"]


def listening_socket(host: str, port: int, *, option: str = "port") -> socket.socket:
    """Return a socket that is bound; port 0 takes one that is free.

    Args:
        option: What the caller can choose another one by.

    Raises:
        ConfigError: The port is taken, or the address is none of this machine.
    """
    # the protocol is named because asyncio sets TCP_NODELAY only then; without it every answer takes 40 ms
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}. Choose another {option}, or 0 for any that is "
            "free"
        ) from error
    return listener
