"""`--record FILE` and `--replay FILE`: what PostHog was asked and what it answered, for bug reports and tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from posthog_events.cli.moments import PINNED
from posthog_events.config import KEY_VARIABLE, VARIABLES

__all__ = ["tape"]


@contextmanager
def tape(context: click.Context, *, record: str | None, replay: str | None) -> Iterator[None]:
    """Record or replay while the command runs.

    The clock stands still meanwhile: a relative date would otherwise ask something else when it is replayed.
    """
    from posthog_events.posthog.cassette import recording, replaying

    if record and replay:
        raise click.UsageError("--record and --replay exclude each other.")
    if replay:
        with replaying(Path(replay)) as recorded:
            context.meta[PINNED] = datetime.fromisoformat(recorded.at)
            # what the recording does not need and the settings may not have
            os.environ.setdefault(VARIABLES["host"], "https://posthog.invalid")
            os.environ.setdefault(VARIABLES["project"], str(recorded.project or 0))
            os.environ.setdefault(KEY_VARIABLE, "phx_replayed")
            yield
        return
    now = datetime.now(UTC).replace(microsecond=0)
    context.meta[PINNED] = now
    secrets = [os.environ[name] for name in (KEY_VARIABLE, VARIABLES["token"]) if os.environ.get(name)]
    with recording(Path(record or ""), label=_label(), secrets=secrets, now=lambda: now):
        yield
    click.echo(f"recorded to {record}", err=True)


def _label() -> str:
    """Name what is recorded: a region, this machine, or a PostHog of one's own."""
    from posthog_events.errors import ConfigError
    from posthog_events.posthog.host import is_loopback, parse_host

    try:
        host = parse_host(os.environ.get(VARIABLES["host"], ""))
    except ConfigError:
        return "PostHog"
    name = host.origin.partition("://")[2].partition(":")[0]
    return host.region or ("this machine" if is_loopback(name) else "self-hosted")
