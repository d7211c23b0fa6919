"""A PostgreSQL server of its own for a test, where one is installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["Server", "postgres"]


class Server:
    """A server that listens on a socket in its own directory only."""

    def __init__(self, directory: Path, programs: Path, user: str | None) -> None:
        self._directory, self._programs, self._user = directory, programs, user
        self.dsn = f"host={directory} dbname=postgres user=tester"

    def start(self) -> None:
        # no TCP; the log keeps the tests' own output clean
        options = f"-c listen_addresses='' -c unix_socket_directories='{self._directory}'"
        self.run("pg_ctl", "start", "-w", "-D", "data", "-l", "log", "-o", options)

    def stop(self, how: str = "fast") -> None:
        self.run("pg_ctl", "stop", "-w", "-D", "data", "-m", how)

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            cwd=self._directory,
            user=self._user,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def postgres() -> Iterator[Server]:
    """Start a server, or skip the test where there is none."""
    initdb = shutil.which("initdb")
    if initdb is None or importlib.util.find_spec("psycopg") is None:
        pytest.skip("needs PostgreSQL's initdb on the path, and psycopg")
    # PostgreSQL refuses to run as root
    user = "postgres" if os.geteuid() == 0 else None
    # a socket's path may have about 100 characters, which pytest's directories exceed
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if user:
            shutil.chown(directory, user)
        server = Server(directory, Path(initdb).resolve().parent, user)
        server.run("initdb", "-D", "data", "-U", "tester", "--auth=trust", "--encoding=UTF8", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(directory)
