"""PostHog as it answers: reachable, the right project, the rights of the key, clocks, zones and limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from posthog_events.config import Settings
from posthog_events.doctor.finding import Finding, Level
from posthog_events.errors import (
    ApiError,
    AuthenticationFailed,
    BadAnswer,
    BudgetExceeded,
    ConnectionFailed,
    MissingScope,
    NoProjectAccess,
    NotFound,
    PostHogEventsError,
    QuotaExceeded,
    RateLimited,
)
from posthog_events.posthog.http import Api, Bucket, Reply, Request
from posthog_events.posthog.rights import CURRENT_KEY, Rights, read_rights

__all__ = ["check_remote"]

SCOPES: Mapping[str, tuple[Level, str]] = {
    "query:read": (Level.PROBLEM, "queries and events"),
    "project:read": (Level.NOTE, "reading the project's time zone, which a query finds out instead"),
    "person:read": (Level.WARNING, "the persons command"),
    "event_definition:read": (Level.WARNING, "the definitions command and property types for local pull"),
    "property_definition:read": (Level.WARNING, "the definitions command and property types for local pull"),
    "hog_function:write": (Level.WARNING, "applying and testing destinations"),
    "integration:read": (Level.NOTE, "finding the Slack workspace of a destination, which can be given by its number"),
    "batch_export:write": (Level.WARNING, "file exports; without it, export takes the slower way over queries"),
}
"""What each scope is for, and how much its absence matters."""

SKEW_S = 60.0
"""A clock that is off by more shifts relative dates visibly, and makes signed requests fail."""

LOW_BUDGET_BYTES = 1_000_000_000


def check_remote(api: Api, settings: Settings, *, clock: Callable[[], datetime]) -> Iterator[Finding]:
    """Ask PostHog a few cheap questions; the first one that cannot be answered ends it."""
    rights = Rights()
    try:
        current = api.send(Request("GET", CURRENT_KEY))
        rights = read_rights(current)
    except (AuthenticationFailed, ConnectionFailed, BadAnswer, RateLimited) as error:
        yield _of(error)
        return
    except ApiError:
        pass  # OAuth tokens and old servers have no such page; the next questions tell as much
    else:
        yield from _clock(current, clock())
        if rights.projects and api.project_id not in rights.projects:
            projects = ", ".join(str(number) for number in sorted(rights.projects))
            yield Finding(
                Level.PROBLEM,
                "key",
                f"the key is limited to other projects ({projects}) than {api.project_id}",
                "set POSTHOG_PROJECT_ID to one of them, or allow the project in the key's settings",
            )
            return
    stop = False
    for finding in _project(api, settings):
        stop = stop or finding.level is Level.PROBLEM
        yield finding
    if stop:
        return
    if rights.scopes is not None:
        yield from _scopes(rights)
    yield from _query(api, asked=rights.allow("query:read"))


def _clock(reply: Reply, now: datetime) -> Iterator[Finding]:
    try:
        theirs = parsedate_to_datetime(reply.headers.get("date", ""))
        skew = (now - theirs).total_seconds()
    except (ValueError, TypeError):
        return
    if abs(skew) <= SKEW_S:
        yield Finding(Level.OK, "clock", f"agrees with PostHog's within {SKEW_S:.0f} s")
        return
    direction = "ahead of" if skew > 0 else "behind"
    yield Finding(
        Level.WARNING,
        "clock",
        f"this machine's clock is {abs(skew):,.0f} s {direction} PostHog's, so relative dates mean other times here",
        "switch on time synchronisation",
    )


def _project(api: Api, settings: Settings) -> Iterator[Finding]:
    try:
        project = api.send(Request("GET", f"/api/projects/{api.project_id}/")).decode()
    except MissingScope:
        return
    except (NotFound, NoProjectAccess) as error:
        finding = _of(error)
        others = _other_projects(api)
        fix = f"set POSTHOG_PROJECT_ID to one that the key can see: {others}" if others else finding.fix
        yield Finding(finding.level, finding.subject, finding.message, fix)
        return
    except PostHogEventsError as error:
        yield _of(error)
        return
    name = project.get("name", "") if isinstance(project, dict) else ""
    yield Finding(Level.OK, "project", f"{api.project_id} {name!r} at {api.origin}")
    zone = project.get("timezone") if isinstance(project, dict) else None
    ours = settings.timezone
    if isinstance(zone, str) and ours is not None and ours.value != zone:
        yield Finding(
            Level.WARNING,
            "time zone",
            f"the project's time zone is {zone}, but {ours.source} says {ours.value}: days begin at different times "
            "in relative dates than in PostHog's answers",
            f"set the time zone to {zone}, or leave the setting out",
        )


def _other_projects(api: Api) -> str:
    try:
        listed = api.send(Request("GET", "/api/projects/")).decode()
        found = listed["results"] if isinstance(listed, dict) else listed
        return ", ".join(f"{project['id']} ({project['name']})" for project in found[:10])
    except (PostHogEventsError, KeyError, TypeError):
        return ""


def _scopes(rights: Rights) -> Iterator[Finding]:
    missing = [scope for scope in SCOPES if not rights.allow(scope)]
    for scope in missing:
        level, purpose = SCOPES[scope]
        yield Finding(level, "key", f"the key lacks the scope {scope}, needed for {purpose}", f"add {scope} to the key")
    if not missing:
        yield Finding(Level.OK, "key", "has every scope that is used")


def _query(api: Api, *, asked: bool) -> Iterator[Finding]:
    """Run the smallest query; its headers show the read budget."""
    if not asked:
        return
    body = {"query": {"kind": "HogQLQuery", "query": "SELECT 1 AS ok LIMIT 1"}, "name": "posthog-events: doctor"}
    try:
        reply = api.send(Request("POST", "query/", json=body, bucket=Bucket.QUERY, slot=True))
    except PostHogEventsError as error:
        yield _of(error)
        return
    yield Finding(Level.OK, "query", "PostHog runs queries for this key")
    remaining = reply.headers.get("x-posthog-query-budget-remaining-bytes", "")
    if remaining.lstrip("-").isdigit() and int(remaining) < LOW_BUDGET_BYTES:
        yield Finding(
            Level.WARNING,
            "read budget",
            f"{max(0, int(remaining)) / 1e9:.1f} GB of the project's read budget for queries are left",
            "select fewer columns and shorter time ranges, or query a local copy (posthog-events local pull)",
        )


def _of(error: PostHogEventsError) -> Finding:
    """Return the finding of an error; its sentence holds what and what next, in this order."""
    subjects: tuple[tuple[type[PostHogEventsError], Level, str], ...] = (
        (AuthenticationFailed, Level.PROBLEM, "key"),
        (MissingScope, Level.PROBLEM, "key"),
        (NoProjectAccess, Level.PROBLEM, "project"),
        (NotFound, Level.PROBLEM, "project"),
        (BudgetExceeded, Level.WARNING, "read budget"),
        (RateLimited, Level.WARNING, "rate limit"),
        (QuotaExceeded, Level.PROBLEM, "plan"),
        (ConnectionFailed, Level.PROBLEM, "connection"),
        (BadAnswer, Level.PROBLEM, "host"),
    )
    level, subject = next(((level, name) for kind, level, name in subjects if isinstance(error, kind)), (0, "PostHog"))
    message, _, fix = str(error).partition(". ")
    return Finding(
        Level(level), subject, message, fix or "see the sentence before; posthog-events config show tells more"
    )
