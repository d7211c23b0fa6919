"""The doctor finds each seeded fault, and names its cure first."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from posthog_events.clickhouse.store import EventStore
from posthog_events.doctor.examine import examine
from posthog_events.doctor.finding import Finding, Level
from posthog_events.errors import (
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
from posthog_events.posthog.http import Api, Reply, Request

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HEALTHY = {"POSTHOG_HOST": "eu", "POSTHOG_PROJECT_ID": "7", "POSTHOG_PERSONAL_API_KEY": "phx_healthy"}
EVERY_SCOPE = [
    "query:read",
    "project:read",
    "person:read",
    "event_definition:read",
    "property_definition:read",
    "hog_function:write",
    "integration:read",
    "batch_export:write",
]

Answer = Any  # a document, or the error that the client raises


@dataclass
class Patient:
    """A PostHog that answers by path; a healthy one unless told otherwise."""

    answers: dict[str, Answer] = field(default_factory=dict)
    date: datetime = NOW
    headers: dict[str, str] = field(default_factory=dict)
    origin: str = "https://eu.posthog.com"
    project_id: int = 7

    def send(self, request: Request) -> Reply:
        healthy: Mapping[str, Answer] = {
            "/api/personal_api_keys/@current/": {"scopes": EVERY_SCOPE, "scoped_teams": []},
            "/api/projects/7/": {"id": 7, "name": "Shop", "timezone": "Europe/Berlin"},
            "/api/projects/": {"results": [{"id": 8, "name": "Other"}]},
            "query/": {"results": [[1]]},
        }
        answer = self.answers.get(request.path, healthy[request.path])
        if isinstance(answer, Exception):
            raise answer
        headers = {"date": format_datetime(self.date, usegmt=True), **self.headers}
        return Reply(200, headers, json.dumps(answer).encode(), request.path)


def report(
    tmp_path: Path,
    *,
    environ: Mapping[str, str] = HEALTHY,
    patient: Api | None = None,
    installed: Callable[[str], bool] = lambda name: True,
    **arguments: str,
) -> list[Finding]:
    """Examine a set-up whose files are in `tmp_path`."""
    return examine(
        arguments=arguments,
        environ=environ,
        directory=tmp_path,
        user=tmp_path / "user.toml",
        state=tmp_path / "state",
        open_api=lambda target: patient or Patient(),
        clock=lambda: NOW,
        installed=installed,
    )


def test_healthy_set_up_has_nothing_to_mend(tmp_path: Path) -> None:
    """Everything that works is said, and nothing else."""
    found = report(tmp_path)

    assert {Level.OK} == {finding.level for finding in found}
    assert ["clock", "project", "key", "query"] == [finding.subject for finding in found]


def without(name: str) -> dict[str, str]:
    """Return the healthy environment without one variable."""
    return {key: value for key, value in HEALTHY.items() if key != name}


SETTINGS = {
    "no key": (without("POSTHOG_PERSONAL_API_KEY"), "set POSTHOG_PERSONAL_API_KEY"),
    "no project": (without("POSTHOG_PROJECT_ID"), "set POSTHOG_PROJECT_ID"),
    "no host": (without("POSTHOG_HOST"), "set POSTHOG_HOST"),
    "project is a name": (HEALTHY | {"POSTHOG_PROJECT_ID": "shop"}, "it is in the address of the project's pages"),
    "host with a path": (HEALTHY | {"POSTHOG_HOST": "https://eu.posthog.com/project/7"}, "give only scheme and host"),
    "host is the web site": (HEALTHY | {"POSTHOG_HOST": "posthog.com"}, "write us, eu, or your own PostHog"),
    "key instead of host": (HEALTHY | {"POSTHOG_HOST": "phx_healthy"}, "write us, eu, or your own PostHog"),
    "project token as key": (HEALTHY | {"POSTHOG_PERSONAL_API_KEY": "phc_x"}, "use a personal API key"),
    "secret key as key": (HEALTHY | {"POSTHOG_PERSONAL_API_KEY": "phs_x"}, "use a personal API key"),
    "key in quotes": (HEALTHY | {"POSTHOG_PERSONAL_API_KEY": '"phx_x"'}, "copy it again, without them"),
    "Bearer in the key": (HEALTHY | {"POSTHOG_PERSONAL_API_KEY": "Bearer phx_x"}, "give the key alone"),
    "key under another name": (
        without("POSTHOG_PERSONAL_API_KEY") | {"POSTHOG_API_KEY": "phx_x"},
        "set POSTHOG_PERSONAL_API_KEY",
    ),
    "certificates": (HEALTHY | {"REQUESTS_CA_BUNDLE": "missing.pem"}, "unset REQUESTS_CA_BUNDLE"),
    "time zone": (HEALTHY | {"POSTHOG_EVENTS_TIMEZONE": "Berlin"}, "use an IANA name such as Europe/Berlin"),
    "query folder": (HEALTHY | {"POSTHOG_EVENTS_QUERIES": "nowhere"}, "create nowhere"),
    "personal key as token": (HEALTHY | {"POSTHOG_PROJECT_TOKEN": "phx_healthy"}, "begins with phc_"),
    "plain http": (HEALTHY | {"POSTHOG_HOST": "http://posthog.example.com"}, "Use https://"),
    "proxy before loopback": (
        HEALTHY | {"POSTHOG_HOST": "http://127.0.0.1:8010", "HTTP_PROXY": "http://proxy.example"},
        "set NO_PROXY=127.0.0.1",
    ),
    "capture host": (HEALTHY | {"POSTHOG_HOST": "https://eu.i.posthog.com"}, "set POSTHOG_HOST=eu"),
    "old host": (HEALTHY | {"POSTHOG_HOST": "app.posthog.com"}, "set POSTHOG_HOST=us"),
}


@pytest.mark.parametrize(("environ", "fix"), SETTINGS.values(), ids=SETTINGS)
def test_fault_of_the_settings_is_found_and_its_cure_comes_first(
    tmp_path: Path, environ: dict[str, str], fix: str
) -> None:
    """Nothing is asked while a setting is plainly wrong; no secret is in the report."""
    first = report(tmp_path, environ=environ)[0]

    assert fix in first.fix
    text = "".join(finding.message + finding.fix for finding in report(tmp_path, environ=environ))
    assert not any(secret in text for secret in ("phx_healthy", "phx_x", "phc_x", "phs_x"))


def refused(kind: type[Any], message: str) -> PostHogEventsError:
    """Return an error as the client raises it."""
    error = kind(message) if kind in (ConnectionFailed, BadAnswer) else kind(message, status=400)
    assert isinstance(error, PostHogEventsError)
    return error


KEY, PROJECT, QUERY = "/api/personal_api_keys/@current/", "/api/projects/7/", "query/"
REMOTE = {
    "host unknown": (Patient({KEY: refused(ConnectionFailed, "no answer. Check the host")}), "connection", "Check the"),
    "not PostHog": (Patient({KEY: refused(BadAnswer, "HTML. Is the host right")}), "host", "Is the host right"),
    "wrong region": (Patient({KEY: refused(AuthenticationFailed, "unknown key. try us")}), "key", "try us"),
    "other project": (Patient({KEY: {"scopes": ["*"], "scoped_teams": [9]}}), "key", "set POSTHOG_PROJECT_ID to one"),
    "no such project": (Patient({PROJECT: refused(NotFound, "no project")}), "project", "8 (Other)"),
    "no access": (Patient({PROJECT: refused(NoProjectAccess, "no access")}), "project", "8 (Other)"),
    "no query scope": (Patient({KEY: {"scopes": EVERY_SCOPE[1:]}}), "key", "add query:read to the key"),
    "no definitions scope": (
        Patient({KEY: {"scopes": [scope for scope in EVERY_SCOPE if scope != "event_definition:read"]}}),
        "key",
        "add event_definition:read",
    ),
    "no export scope": (
        Patient({KEY: {"scopes": [*EVERY_SCOPE[:-1], "batch_export:read"]}}),
        "key",
        "add batch_export:write",
    ),
    "clock": (Patient(date=NOW - timedelta(minutes=5)), "clock", "switch on time synchronisation"),
    "rate limit": (Patient({QUERY: refused(RateLimited, "wait. Run again in 60 s")}), "rate limit", "Run again in 60"),
    "budget spent": (Patient({QUERY: refused(BudgetExceeded, "spent. Ask for less")}), "read budget", "Ask for less"),
    "budget low": (
        Patient(headers={"x-posthog-query-budget-remaining-bytes": "90"}),
        "read budget",
        "select fewer columns",
    ),
    "quota": (Patient({QUERY: refused(QuotaExceeded, "no allowance. Change the plan")}), "plan", "Change the plan"),
    "query forbidden": (Patient({QUERY: refused(MissingScope, "no right. Add query:read")}), "key", "Add query:read"),
}


@pytest.mark.parametrize(("patient", "subject", "fix"), REMOTE.values(), ids=REMOTE)
def test_fault_that_posthog_shows_is_found_and_its_cure_comes_first(
    tmp_path: Path, patient: Patient, subject: str, fix: str
) -> None:
    """The first line is the cause, not what follows from it."""
    first = report(tmp_path, patient=patient)[0]

    assert subject == first.subject
    assert fix in first.fix


def test_zone_of_the_settings_is_compared_with_the_projects(tmp_path: Path) -> None:
    """Days that begin at other times than PostHog's are worth a warning."""
    first = report(tmp_path, environ=HEALTHY | {"POSTHOG_EVENTS_TIMEZONE": "Asia/Tokyo"})[0]

    assert ("time zone", "set the time zone to Europe/Berlin, or leave the setting out") == (first.subject, first.fix)


def missing(path: Path) -> None:
    """Leave no store there."""


def damaged(path: Path) -> None:
    """Write half a manifest."""
    EventStore.create(path)
    (path / "store.json").write_text('{"version": 1, "files"')


def newer(path: Path) -> None:
    """Write the manifest of a later version."""
    EventStore.create(path)
    (path / "store.json").write_text('{"version": 99}')


def incomplete(path: Path) -> None:
    """Lose a data file."""
    EventStore.create(path)
    manifest = json.loads((path / "store.json").read_text())
    manifest["files"] = [{"name": "gone.parquet", "rows": 1, "size_bytes": 1, "min_time": 0, "max_time": 0}]
    (path / "store.json").write_text(json.dumps(manifest))


def empty(path: Path) -> None:
    """Create a store without events."""
    EventStore.create(path)


@pytest.mark.parametrize(
    ("seed", "fix"),
    [
        (missing, "posthog-events local import FILE --store"),
        (damaged, "restore it from a backup"),
        (newer, "upgrade"),
        (incomplete, "restore it"),
        (empty, "posthog-events local import FILE --store"),
    ],
)
def test_fault_of_the_store_is_found_and_its_cure_comes_first(
    tmp_path: Path, seed: Callable[[Path], None], fix: str
) -> None:
    """A store that cannot answer says so before any query does."""
    seed(tmp_path / "store")

    first = report(tmp_path, environ={}, dsn=f"chdb://{tmp_path / 'store'}")[0]

    assert "store" == first.subject
    assert fix in first.fix


@pytest.mark.parametrize(
    ("name", "text", "fix"),
    [
        ("posthog-events.toml", "dsn = ", "correct the file"),
        ("posthog-events.toml", 'hots = "eu"', "The keys are"),
        ("posthog-events.toml", 'profile = "work"', "There are none"),
        ("queries/broken.sql", "-- params: 3\nSELECT 1", "posthog-events query lint"),
    ],
    ids=["syntax", "unknown key", "profile", "query file"],
)
def test_fault_of_a_file_is_found_and_its_cure_comes_first(tmp_path: Path, name: str, text: str, fix: str) -> None:
    """Settings and query files are read before they are needed."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)

    assert fix in report(tmp_path)[0].fix


def test_package_that_the_engine_needs_is_a_problem_and_others_are_notes(tmp_path: Path) -> None:
    """The extra to install is named."""
    store = tmp_path / "store"
    EventStore.create(store)

    found = report(tmp_path, environ={}, dsn=f"chdb://{store}", installed=lambda name: name not in ("chdb", "vcr"))

    packages = {finding.fix: finding.level for finding in found if finding.subject == "packages"}
    assert {
        'pip install "posthog-events[local]"': Level.PROBLEM,
        'pip install "posthog-events[record]"': Level.NOTE,
    } == packages
