"""Exceptions of failures: one type each, and a sentence that says what to do."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from posthog_events import errors
from posthog_events.posthog.api_errors import duration, error_for
from posthog_events.posthog.failures import Failure, Kind
from posthog_events.posthog.host import parse_host
from posthog_events.posthog.http import Bucket, Request

US = parse_host("us")
QUERY = Request("POST", "query/", bucket=Bucket.QUERY, slot=True)
READ = Request("GET", "event_definitions/")
WRITE = Request("POST", "file_download_batch_exports/", repeatable=False)


def error(
    failure: Failure, request: Request = QUERY, *, host: str = "us", attempts: int = 1
) -> errors.PostHogEventsError:
    """Return the error in project 12."""
    return error_for(failure, request, host=parse_host(host), project_id=12, attempts=attempts)


def denied(detail: str, kind: Kind, status: int = 403) -> Failure:
    """Return a refusal with PostHog's sentence."""
    return Failure(kind, status, "permission_denied", detail)


CASES: tuple[tuple[Failure, type[errors.PostHogEventsError], int, str], ...] = (
    (
        Failure(Kind.RATE, 429, "throttled", "Slow.", wait_s=37.0),
        errors.RateLimited,
        5,
        "asks to wait 37 s.*--max-wait",
    ),
    (Failure(Kind.CONCURRENCY, 429, "throttled", "Max."), errors.RateLimited, 5, "too many.*does not say for how long"),
    (Failure(Kind.BUDGET, 429, "b", "", wait_s=3600.0), errors.BudgetExceeded, 5, "bytes.*60 min.*fewer properties"),
    (Failure(Kind.QUOTA, 402, "q", "Spent."), errors.QuotaExceeded, 1, "does not help.*/organization/billing.*export"),
    (Failure(Kind.NO_KEY, 401), errors.AuthenticationFailed, 4, "no key arrived.*proxy"),
    (Failure(Kind.BAD_KEY, 401), errors.AuthenticationFailed, 4, r"try eu \(https://eu.posthog.com\).*phx_.*phc_"),
    (
        denied("API key missing required scope 'query:read'", Kind.SCOPE),
        errors.MissingScope,
        4,
        "lacks the scope query:read. Add it at https://us.posthog.com/settings/user-api-keys",
    ),
    (
        denied("Missing required scopes", Kind.SCOPE),
        errors.MissingScope,
        4,
        r"lacks a scope \(Missing required scopes\)",
    ),
    (
        denied("No.", Kind.PROJECT),
        errors.NoProjectAccess,
        4,
        "no access to project 12 at https://us.posthog.com.*member",
    ),
    (
        denied("Not enabled.", Kind.FORBIDDEN),
        errors.NotAuthorised,
        4,
        r"query/: PostHog does not allow.*\(Not enabled\)",
    ),
    (
        denied("Project not found.", Kind.NOT_FOUND, 404),
        errors.NotFound,
        1,
        "no project 12.*/project/12345.*eu.posthog",
    ),
    (denied("Not found.", Kind.NOT_FOUND, 404), errors.NotFound, 1, r"query/: PostHog has nothing there \(Not found\)"),
    (Failure(Kind.NOT_FOUND, 404), errors.NotFound, 1, "Is https://us.posthog.com a PostHog"),
    (Failure(Kind.REFUSED, 400, "invalid", "Bad thing."), errors.ApiError, 1, r"^Bad thing\.$"),
    (Failure(Kind.REFUSED, 418), errors.ApiError, 1, "query/: refused with status 418"),
    (Failure(Kind.REFUSED, 407), errors.ApiError, 1, "proxy wants a user name.*NO_PROXY"),
    (Failure(Kind.TIMEOUT, 504, "error", "Max time."), errors.QueryTimeout, 1, r"\(Max time\). Shorten its time range"),
    (Failure(Kind.TIMEOUT, 512, "error", "Estimated."), errors.QueryTimeout, 1, "Shorten its time range"),
    (Failure(Kind.GATEWAY_TIMEOUT, 504), errors.QueryTimeout, 1, "Shorten its time range"),
    (Failure(Kind.MEMORY, 513, "m", "Memory."), errors.MemoryExceeded, 1, "memory.*group by fewer"),
    (Failure(Kind.QUERY_SIZE, 500, "error", "Query size exceeded."), errors.ApiError, 1, "too long.*Shorten its lists"),
    (Failure(Kind.CLUSTER_BUSY, 513), errors.ServerFailed, 1, "under heavy load.*Try again later"),
    (Failure(Kind.BUSY, 503), errors.ServerFailed, 1, "busy, status 503.*Try again later.*status.posthog.com"),
    (Failure(Kind.GATEWAY, 502), errors.ServerFailed, 1, "gateway, status 502"),
    (Failure(Kind.SERVER, 500, "error", "Oops."), errors.ServerFailed, 1, r"status 500 \(Oops\)"),
    (
        Failure(Kind.NOT_SENT, detail="no answer from x: refused"),
        errors.ConnectionFailed,
        1,
        "^no answer from x: refused$",
    ),
    (Failure(Kind.UNREACHABLE, detail="no TLS"), errors.ConnectionFailed, 1, "^no TLS$"),
    (Failure(Kind.CUT_OFF, detail="broke off"), errors.ConnectionFailed, 1, "POST query/: broke off"),
)


@pytest.mark.parametrize(
    ("failure", "kind", "code", "says"), CASES, ids=[f"{c[0].kind.name}-{c[3][:20]}" for c in CASES]
)
def test_each_failure_is_one_exception_with_its_way_out(
    failure: Failure, kind: type[errors.PostHogEventsError], code: int, says: str
) -> None:
    """The type is exact, the exit code is its family's, and the sentence names the next step."""
    found = error(failure)

    assert (kind, code) == (type(found), found.exit_code)
    assert re.search(says, str(found)), str(found)


def test_every_kind_of_failure_has_a_case() -> None:
    """The table above leaves none out."""
    assert set(Kind) == {case[0].kind for case in CASES}


@pytest.mark.parametrize("failure", [case[0] for case in CASES if issubclass(case[1], errors.ApiError)])
def test_api_errors_carry_what_posthog_said(failure: Failure) -> None:
    """Programs branch on status and code, and read the detail as it was."""
    found = error(replace(failure, attr="query", extra={"a": 1}))

    assert isinstance(found, errors.ApiError)
    assert (failure.status, failure.code, failure.detail, "query", {"a": 1}) == (
        found.status,
        found.code,
        found.detail,
        found.attr,
        found.extra,
    )


def test_waits_and_scopes_are_attributes() -> None:
    """A caller that resumes knows when, and `doctor` knows which scope."""
    limited, scoped = error(CASES[0][0]), error(denied("API key missing required scope 'query:read'", Kind.SCOPE))

    assert isinstance(limited, errors.RateLimited)
    assert isinstance(scoped, errors.MissingScope)
    assert (37.0, "query:read") == (limited.wait_s, scoped.scope)


@pytest.mark.parametrize(
    ("kind", "status", "request_", "ambiguous"),
    [
        (Kind.SERVER, 500, WRITE, True),
        (Kind.GATEWAY, 502, WRITE, True),
        (Kind.GATEWAY_TIMEOUT, 504, WRITE, True),
        (Kind.CUT_OFF, 0, WRITE, True),
        (Kind.BUSY, 503, WRITE, False),
        (Kind.NOT_SENT, 0, WRITE, False),
        (Kind.UNREACHABLE, 0, WRITE, False),
        (Kind.SERVER, 500, READ, False),
        (Kind.GATEWAY_TIMEOUT, 504, READ, False),
        (Kind.CUT_OFF, 0, READ, False),
    ],
)
def test_a_write_that_may_have_happened_says_so(kind: Kind, status: int, request_: Request, ambiguous: bool) -> None:
    """Only where the request may have been carried out, and only for one that must not be carried out twice."""
    found = error(Failure(kind, status, detail="x"), request_)

    assert isinstance(found, errors.ServerFailed | errors.ConnectionFailed)
    assert ambiguous == found.ambiguous == ("may have been carried out" in str(found))


def test_a_heavy_query_says_which_status() -> None:
    """504, 512 and 513 stay apart for those who shrink the work."""
    found = [error(Failure(kind, n)) for kind, n in ((Kind.TIMEOUT, 504), (Kind.TIMEOUT, 512), (Kind.MEMORY, 513))]

    assert [504, 512, 513] == [each.code for each in found if isinstance(each, errors.EngineError)]


def test_an_own_posthog_is_not_told_of_regions() -> None:
    """There is no other region to try, and no status page."""
    texts = [
        str(error(Failure(kind, n, detail=detail), host="https://ph.example.com"))
        for kind, n, detail in (
            (Kind.BAD_KEY, 401, ""),
            (Kind.SERVER, 500, ""),
            (Kind.NOT_FOUND, 404, "Project not found."),
        )
    ]

    assert "Check that the key was made on this server" in texts[0]
    assert not any("posthog.com" in text for text in texts)


@pytest.mark.parametrize("kind", [Kind.RATE, Kind.SERVER, Kind.NOT_SENT, Kind.CUT_OFF])
def test_the_number_of_attempts_is_told(kind: Kind) -> None:
    """One attempt is not worth a word; several are."""
    assert "tried" not in str(error(Failure(kind, 500)))
    assert "(tried 3 times)" in str(error(Failure(kind, 500), attempts=3))


def test_a_long_sentence_of_posthogs_is_cut_in_the_message_only() -> None:
    """ClickHouse's errors can hold pages of SQL, which programs may want and people do not."""
    found = error(Failure(Kind.REFUSED, 400, "c", "x" * 9000))

    assert isinstance(found, errors.ApiError)
    assert (500, 9000) == (len(str(found)), len(found.detail))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (37, "37 s"), (90, "90 s"), (90.5, "2 min"), (3600, "60 min"), (3601, "61 min")]
)
def test_waits_are_rounded_up_for_people(seconds: float, text: str) -> None:
    """Nobody comes back too early."""
    assert text == duration(seconds)
