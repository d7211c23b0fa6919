"""All checks in one report: causes before what follows from them, problems before the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from posthog_events.config import PostHogTarget, load_settings
from posthog_events.doctor.finding import Finding, Level
from posthog_events.doctor.local import check_extras, check_query_files, check_state, check_store
from posthog_events.doctor.remote import check_remote
from posthog_events.doctor.settings import check_environment, check_settings, check_target, speaks_to_posthog
from posthog_events.errors import ConfigError
from posthog_events.posthog.http import Api

__all__ = ["examine"]


def examine(
    *,
    arguments: Mapping[str, object],
    environ: Mapping[str, str],
    directory: Path,
    user: Path | None,
    state: Path,
    open_api: Callable[[PostHogTarget], Api],
    clock: Callable[[], datetime],
    installed: Callable[[str], bool] | None = None,
) -> list[Finding]:
    """Look at everything and return what was found, the worst first.

    Args:
        arguments: As for `load_settings`.
        state: Where the shared limits are kept.
        open_api: Makes the client; called only when host, project and key look usable.
        installed: Tells whether a module can be imported.
    """
    try:
        settings = load_settings(arguments=arguments, environ=environ, directory=directory, user=user)
    except ConfigError as error:
        message, _, fix = str(error).partition(". ")
        return [Finding(Level.PROBLEM, "settings", message, fix or "correct the file")]
    found = [*check_environment(environ), *check_settings(settings)]
    remote = speaks_to_posthog(settings)
    if remote:
        target = list(check_target(settings, environ))
        found += [*target, *check_state(state)]
        if not any(finding.level is Level.PROBLEM for finding in found):
            found += check_remote(open_api(settings.posthog()), settings, clock=clock)
    else:
        found.append(
            Finding(
                Level.NOTE,
                "PostHog",
                "no project is set up; only local stores and ClickHouse servers can be queried",
                "set POSTHOG_HOST, POSTHOG_PROJECT_ID and POSTHOG_PERSONAL_API_KEY",
            )
        )
    found += check_store(settings)
    if settings.dsn is None:
        fix = "posthog-events local import FILE, or try posthog-events demo"
        found.append(Finding(Level.NOTE, "store", "there is no event store at ./events", fix))
    found += check_query_files([directory / "queries", *settings.queries.value])
    found += check_extras(settings, installed=installed) if installed else check_extras(settings)
    # stable: within a level the order of the checks stands, which is cause before effect
    return sorted(found, key=lambda finding: finding.level)
