"""Following `next` links, and not following them."""

from __future__ import annotations

import pytest

from posthog_events.errors import BadAnswer
from posthog_events.posthog.http import Bucket, Request
from posthog_events.posthog.pages import PageWalk

ORIGIN = "https://eu.posthog.com"
FIRST = Request("GET", "persons/", {"search": "a"}, bucket=Bucket.CLICKHOUSE)


def test_a_link_becomes_a_request_like_the_first() -> None:
    """Path and parameters come from the link, decoded; throttle and method stay."""
    walk = PageWalk(FIRST, origin=ORIGIN)

    walk.feed("https://eu.posthog.com/api/projects/7/persons/?search=a%20%26b&limit=100&empty=")

    expected = {"search": "a &b", "limit": "100", "empty": ""}
    assert Request("GET", "/api/projects/7/persons/", expected, bucket=Bucket.CLICKHOUSE) == walk.request


def test_the_host_is_compared_without_case() -> None:
    """Host names have none."""
    walk = PageWalk(FIRST, origin=ORIGIN)

    walk.feed("HTTPS://EU.PostHog.com/api/x/")

    assert walk.request is not None
    assert "/api/x/" == walk.request.path


def test_no_link_ends_the_walk() -> None:
    """The last page has a null `next`."""
    walk = PageWalk(FIRST, origin=ORIGIN)

    walk.feed(None)

    assert walk.request is None


@pytest.mark.parametrize(
    "link",
    [
        "https://us.posthog.com/api/projects/7/persons/?search=secret",
        "http://eu.posthog.com/api/projects/7/persons/?search=secret",
        "https://eu.posthog.com:8443/api/?search=secret",
        "https://eu.posthog.com@evil.example/api/?search=secret",
        "https://user:secret@eu.posthog.com/api/",
        "https://eu.posthog.com.evil.example/api/?search=secret",
        "//evil.example/api/?search=secret",
        "/api/projects/7/persons/?search=secret",
        "javascript:secret",
        "https://[secret",
        "",
    ],
)
def test_a_link_elsewhere_is_never_followed(link: str) -> None:
    """Scheme, host and port must be the origin's; the message holds no parameter and no password."""
    walk = PageWalk(FIRST, origin=ORIGIN)

    with pytest.raises(BadAnswer) as caught:
        walk.feed(link)

    assert FIRST == walk.request
    assert "secret" not in str(caught.value)


def test_a_loop_is_detected() -> None:
    """A link that was followed before would never end."""
    walk = PageWalk(FIRST, origin=ORIGIN)
    walk.feed("https://eu.posthog.com/api/x/?a=1&b=2")
    walk.feed("https://eu.posthog.com/api/x/?a=2")

    with pytest.raises(BadAnswer, match="already read"):
        walk.feed("https://eu.posthog.com/api/x/?b=2&a=1")


def test_a_parameter_given_twice_is_refused() -> None:
    """Keeping one of the two would ask for something else."""
    with pytest.raises(BadAnswer, match="twice"):
        PageWalk(FIRST, origin=ORIGIN).feed("https://eu.posthog.com/api/x/?a=1&a=2")
