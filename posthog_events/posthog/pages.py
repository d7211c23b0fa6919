"""Walking PostHog's `next` links, decided here without sending anything.

`next` is an absolute address that the server chose, so it is checked before a key travels to it: another scheme, host
or port ends the walk, and so does a link that was followed before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import parse_qsl, urlsplit

from posthog_events.errors import BadAnswer
from posthog_events.posthog.http import Request

if TYPE_CHECKING:
    from posthog_events.posthog.http import Api

__all__ = ["Page", "PageWalk", "walk_pages"]


class Page(Protocol):
    """What every listing's envelope has; some have `count` too."""

    next: str | None


P = TypeVar("P", bound=Page)


class PageWalk:
    """Which request comes next. Feed it each answer's `next`; `request` is None after the last page.

    Args:
        first: The first request; the others keep all of it but path and parameters.
        origin: Where links may lead, such as `https://eu.posthog.com`.
    """

    def __init__(self, first: Request, *, origin: str) -> None:
        self.request: Request | None = first
        self._first, self._origin = first, origin
        self._seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()

    def feed(self, link: str | None) -> None:
        """Move on to `link`.

        Raises:
            BadAnswer: The link leads to another host, or to a page that was already read.
        """
        if link is None:
            self.request = None
            return
        path, params = _target(link, self._origin)
        target = path, frozenset(params.items())
        if target in self._seen:
            raise BadAnswer(f"{self._first.path}: PostHog's next link leads back to a page already read; try again")
        self._seen.add(target)
        self.request = replace(self._first, path=path, params=params)


def _target(link: str, origin: str) -> tuple[str, Mapping[str, str]]:
    try:
        parts = urlsplit(link)
    except ValueError as exc:
        raise BadAnswer("PostHog's next link is not an address") from exc
    host = f"{parts.scheme}://{parts.netloc}"
    if host.lower() != origin.lower():
        # the query string stays out of the message: it can hold a user's filter values
        raise BadAnswer(
            f"PostHog's next link leads to {parts.scheme}://{parts.hostname} instead of {origin}; it was not followed. "
            "Use the address that PostHog itself uses (behind a proxy, check its forwarded scheme and host)."
        )
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    params = dict(pairs)
    if len(params) != len(pairs):
        raise BadAnswer("PostHog's next link names a parameter twice, which is not understood; it was not followed")
    return parts.path, params


def walk_pages(api: Api, first: Request, page_type: type[P]) -> Iterator[P]:
    """Send `first` and whatever its answers link to, one page at a time.

    Args:
        page_type: A msgspec Struct with `results` and `next`.

    Raises:
        BadAnswer: As `PageWalk.feed`, or a page is not a listing of that type.
    """
    walk = PageWalk(first, origin=api.origin)
    while walk.request is not None:
        page = api.send(walk.request).decode(page_type)
        yield page
        walk.feed(page.next)
