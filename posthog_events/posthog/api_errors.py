"""The exception that a failed request becomes, with a sentence that says what to do next; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from posthog_events.errors import (
    ApiError,
    AuthenticationFailed,
    BudgetExceeded,
    ConnectionFailed,
    MemoryExceeded,
    MissingScope,
    NoProjectAccess,
    NotAuthorised,
    NotFound,
    PostHogEventsError,
    QueryTimeout,
    QuotaExceeded,
    RateLimited,
    ServerFailed,
)
from posthog_events.posthog.failures import Failure, Kind
from posthog_events.posthog.host import Host
from posthog_events.posthog.http import Bucket, Request
from posthog_events.posthog.redact import shorten

__all__ = ["RUNS_QUERY", "duration", "error_for"]

RUNS_QUERY = frozenset({Bucket.QUERY, Bucket.CLICKHOUSE, Bucket.VALUES})
"""Requests that are slow because of what they ask: a gateway's timeout means that the query is too heavy."""

_SHRINK = "Shorten its time range, name the events it needs, or read fewer properties"
_RESUME = "What was done so far is kept where a command can resume; a longer wait is allowed with --max-wait"
_NO_PROJECT = re.compile(r"\b(?:project|team|environment)\b.{0,20}\bnot (?:found|exist)", re.IGNORECASE)
_SCOPE_NAME = re.compile(r"required scopes? '([^']+)'", re.IGNORECASE)


def error_for(
    failure: Failure, request: Request, *, host: Host, project_id: int, attempts: int = 1
) -> PostHogEventsError:
    """Return the exception for a request that is not sent again.

    Args:
        attempts: How often it was sent.
    """
    return _MAKERS[failure.kind](_Case(failure, request, host, project_id, attempts))


def duration(seconds: float) -> str:
    """Return a time for people, rounded up.

    >>> duration(37), duration(150), duration(3600)
    ('37 s', '3 min', '60 min')
    """
    return f"{-int(-seconds // 1)} s" if seconds <= 90 else f"{-int(-seconds // 60)} min"


@dataclass(frozen=True, slots=True)
class _Case:
    """All that a sentence can speak of."""

    failure: Failure
    request: Request
    host: Host
    project_id: int
    attempts: int

    @property
    def where(self) -> str:
        return f"{self.request.method} {self.request.path}"

    @property
    def said(self) -> str:
        """PostHog's own sentence, to be put behind ours."""
        detail = shorten(self.failure.detail).rstrip(".")
        return f" ({detail})" if detail else ""

    @property
    def tries(self) -> str:
        return f" (tried {self.attempts} times)" if self.attempts > 1 else ""

    @property
    def wait(self) -> str:
        if self.failure.wait_s is None:
            return "PostHog does not say for how long"
        return f"PostHog asks to wait {duration(self.failure.wait_s)}"

    @property
    def facts(self) -> Mapping[str, Any]:
        """What every `ApiError` carries."""
        failure = self.failure
        return {
            "status": failure.status,
            "code": failure.code,
            "detail": failure.detail,
            "attr": failure.attr,
            "extra": failure.extra,
        }


def _not_connected(case: _Case) -> PostHogEventsError:
    return ConnectionFailed(f"{case.failure.detail}{case.tries}")


def _cut_off(case: _Case) -> PostHogEventsError:
    ambiguous = not case.request.repeatable
    doubt = ". It may have been carried out all the same" if ambiguous else ""
    return ConnectionFailed(f"{case.where}: {case.failure.detail}{case.tries}{doubt}", ambiguous=ambiguous)


def _rate(case: _Case) -> PostHogEventsError:
    reason = "its rate limit is reached" if case.failure.kind is Kind.RATE else "too many of the project's queries run"
    message = f"{case.where}: PostHog did not run this, because {reason}; {case.wait}{case.tries}. {_RESUME}"
    return RateLimited(message, wait_s=case.failure.wait_s, **case.facts)


def _budget(case: _Case) -> PostHogEventsError:
    message = (
        f"{case.where}: the project has spent the bytes that PostHog lets API queries read; {case.wait}. {_RESUME}. "
        "Shorter time ranges, named events and fewer properties read less"
    )
    return BudgetExceeded(message, wait_s=case.failure.wait_s, **case.facts)


def _quota(case: _Case) -> PostHogEventsError:
    message = (
        f"{case.where}: the plan's allowance of API reads is spent{case.said}, and waiting does not help. Raise the "
        f"limit at {case.host}/organization/billing, or use `posthog-events export`, which does not query"
    )
    return QuotaExceeded(message, **case.facts)


def _no_key(case: _Case) -> PostHogEventsError:
    message = (
        f"no key arrived at {case.host}{case.said}. A proxy or another server in between may have removed the "
        "Authorization header"
    )
    return AuthenticationFailed(message, **case.facts)


def _bad_key(case: _Case) -> PostHogEventsError:
    other = case.host.other_region
    place = (
        f"A key of the other region is not known here: try {other.region} ({other})"
        if other
        else "Check that the key was made on this server"
    )
    message = (
        f"{case.host} does not know the key{case.said}: it is mistyped, was revoked, or is of another place. {place}. "
        "Reading takes a personal API key (phx_…); a project token (phc_…) only sends events"
    )
    return AuthenticationFailed(message, **case.facts)


def _scope(case: _Case) -> PostHogEventsError:
    found = _SCOPE_NAME.search(case.failure.detail)
    scope = found[1] if found else None
    lacks = f"the scope {scope}" if scope else f"a scope{case.said}"
    message = f"{case.where}: the key lacks {lacks}. Add it at {_keys(case)}, or use a key that has it"
    return MissingScope(message, scope=scope, **case.facts)


def _project(case: _Case) -> PostHogEventsError:
    message = (
        f"the key has no access to project {case.project_id} at {case.host}{case.said}. Check the project's id, the "
        f"projects that the key is limited to ({_keys(case)}), and that the key's owner is a member"
    )
    return NoProjectAccess(message, **case.facts)


def _forbidden(case: _Case) -> PostHogEventsError:
    return NotAuthorised(f"{case.where}: PostHog does not allow this to the key{case.said}", **case.facts)


def _not_found(case: _Case) -> PostHogEventsError:
    failure = case.failure
    if _NO_PROJECT.search(failure.detail):
        message = (
            f"there is no project {case.project_id} at {case.host}{case.said}. The id is the number in PostHog's "
            f"address bar, as in {case.host}/project/12345"
        )
        if case.host.other_region:
            message += f"; projects of the other region are at {case.host.other_region}"
    elif failure.detail:
        message = f"{case.where}: PostHog has nothing there{case.said}"
    else:
        message = f"{case.where}: nothing there, and no word why. Is {case.host} a PostHog, and a current one?"
    return NotFound(message, **case.facts)


def _refused(case: _Case) -> PostHogEventsError:
    failure = case.failure
    if failure.status == 407:
        message = (
            "the proxy wants a user name and password: set them in HTTPS_PROXY, or leave the proxy out with NO_PROXY"
        )
    else:
        message = shorten(failure.detail) or f"{case.where}: refused with status {failure.status} and no word why"
    return ApiError(message, **case.facts)


def _timeout(case: _Case) -> PostHogEventsError:
    message = f"the query takes longer than PostHog allows{case.said}. {_SHRINK}"
    return QueryTimeout(message, code=case.failure.status)


def _memory(case: _Case) -> PostHogEventsError:
    message = f"the query needs more memory than PostHog allows{case.said}. {_SHRINK}, or group by fewer values"
    return MemoryExceeded(message, code=case.failure.status)


def _query_size(case: _Case) -> PostHogEventsError:
    message = f"the query's text is too long for PostHog{case.said}. Shorten its lists, or split it"
    return ApiError(message, **case.facts)


def _gateway_timeout(case: _Case) -> PostHogEventsError:
    return _timeout(case) if case.request.bucket in RUNS_QUERY else _failed(case)


def _failed(case: _Case) -> PostHogEventsError:
    failure = case.failure
    ambiguous = not case.request.repeatable and failure.kind is not Kind.BUSY
    advice = "It may have been carried out all the same" if ambiguous else "Try again later"
    if case.host.region:
        advice += "; outages are announced at https://status.posthog.com"
    message = f"{case.where}: {failure.kind}, status {failure.status}{case.said}{case.tries}. {advice}"
    return ServerFailed(message, ambiguous=ambiguous, **case.facts)


def _keys(case: _Case) -> str:
    return f"{case.host}/settings/user-api-keys"


_MAKERS: Mapping[Kind, Callable[[_Case], PostHogEventsError]] = {
    Kind.RATE: _rate,
    Kind.CONCURRENCY: _rate,
    Kind.BUDGET: _budget,
    Kind.QUOTA: _quota,
    Kind.NO_KEY: _no_key,
    Kind.BAD_KEY: _bad_key,
    Kind.SCOPE: _scope,
    Kind.PROJECT: _project,
    Kind.FORBIDDEN: _forbidden,
    Kind.NOT_FOUND: _not_found,
    Kind.REFUSED: _refused,
    Kind.TIMEOUT: _timeout,
    Kind.MEMORY: _memory,
    Kind.QUERY_SIZE: _query_size,
    Kind.GATEWAY_TIMEOUT: _gateway_timeout,
    Kind.CLUSTER_BUSY: _failed,
    Kind.BUSY: _failed,
    Kind.GATEWAY: _failed,
    Kind.SERVER: _failed,
    Kind.NOT_SENT: _not_connected,
    Kind.UNREACHABLE: _not_connected,
    Kind.CUT_OFF: _cut_off,
}
