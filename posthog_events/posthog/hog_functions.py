"""Hog functions, their templates, and the Slack workspaces of a project.

Rows stay what PostHog sent, as plain objects: keys that are unknown here must survive until they are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from posthog_events.errors import BadAnswer, ConfigError, IncompleteExtraction
from posthog_events.posthog.http import Reply, Request
from posthog_events.posthog.pages import walk_pages

if TYPE_CHECKING:
    from posthog_events.posthog.http import Api

__all__ = [
    "DELIVERED",
    "create_function",
    "function_path",
    "get_function",
    "get_template",
    "list_channels",
    "list_functions",
    "list_integrations",
    "list_templates",
    "update_function",
]

DELIVERED = ("destination", "internal_destination")
"""The types that send something out: events, and what happens inside PostHog."""

MAX_PAGE = 1_000
"""Rows of a page; more is cut to this. Source: PostHog/posthog:products/cdp/backend/api/hog_function.py (2026-08)."""

MAX_CHANNELS = 200
"""Channels of a page; more is refused. Source: PostHog/posthog:posthog/api/integration.py (2026-08)."""

Row = dict[str, Any]


class _Page(msgspec.Struct):
    results: list[Row]
    next: str | None = None
    count: int | None = None


class _Channels(msgspec.Struct):
    channels: list[Row]
    has_more: bool = False


def list_functions(api: Api, *, types: Sequence[str] = DELIVERED, full: bool = True) -> list[Row]:
    """List the hog functions that are not deleted, each once.

    Args:
        full: With inputs, masking and mappings; PostHog leaves them out otherwise.

    Raises:
        IncompleteExtraction: Fewer arrived than PostHog counts.
        ApiError, ConnectionFailed, BadAnswer: As `Api.send` and `walk_pages`.
    """
    # one text with commas: a repeated key or a JSON array selects nothing (reference 1.2)
    params = {"type": ",".join(types), "limit": str(MAX_PAGE)} | ({"full": "true"} if full else {})
    return _all(api, "hog_functions/", params)


def get_function(api: Api, id_: str) -> Row:
    """Return one hog function, complete.

    Raises:
        NotFound: There is none, or it is deleted.
    """
    return _one(api.send(Request("GET", function_path(id_))))


def create_function(api: Api, body: Mapping[str, Any]) -> Row:
    """Create a hog function and return it as PostHog stored it.

    Raises:
        ApiError, ConnectionFailed: When `ambiguous`, it may exist all the same: look before creating it again.
    """
    return _one(api.send(Request("POST", "hog_functions/", json=body, repeatable=False)))


def update_function(api: Api, id_: str, body: Mapping[str, Any]) -> Row:
    """Replace the fields in `body`, each as a whole, and return the function as PostHog stored it.

    Args:
        body: With `base_updated_at`, PostHog refuses (409, `stale_update`) when the function changed since.

    Raises:
        ApiError, ConnectionFailed: When `ambiguous`, it may have changed all the same: read it again.
    """
    return _one(api.send(Request("PATCH", function_path(id_), json=body, repeatable=False)))


def list_templates(api: Api) -> list[Row]:
    """List the templates of destinations that this PostHog offers.

    Raises:
        IncompleteExtraction: Fewer arrived than PostHog counts.
    """
    return _all(api, "hog_function_templates/", {})


def get_template(api: Api, id_: str) -> Row:
    """Return one template, whatever its status.

    Raises:
        NotFound: There is none.
    """
    return _one(api.send(Request("GET", f"hog_function_templates/{_segment(id_)}/")))


def list_integrations(api: Api, kind: str = "slack") -> list[Row]:
    """List the integrations of exactly this kind; each has a number as `id`, and `errors` is empty when it works.

    PostHog may show none to a personal API key although there are some (reference 7.1).

    Raises:
        IncompleteExtraction: Fewer arrived than PostHog counts.
    """
    found = _all(api, "integrations/", {"kind": kind}, id_type=int)
    # Slack has sibling kinds, and a server that does not know the parameter answers with all
    return [row for row in found if row.get("kind") == kind]


def list_channels(api: Api, integration: int, *, search: str | None = None, channel_id: str | None = None) -> list[Row]:
    """List the Slack channels that an integration sees: `id`, `name`, `is_private`, `is_member`, and more.

    Args:
        search: Part of a name or id.
        channel_id: Only this channel.

    Raises:
        ApiError: `code` is `slack_integration_inactive` when the connection to Slack is dead.
    """
    wanted = {"search": search, "channel_id": channel_id, "limit": str(MAX_CHANNELS)}
    params = {name: value for name, value in wanted.items() if value is not None}
    path = f"integrations/{integration}/channels/"
    found: dict[str, Row] = {}
    offset = 0
    while True:
        reply = api.send(Request("GET", path, {**params, "offset": str(offset)} if offset else params))
        page = reply.decode(_Channels)
        found |= {row["id"]: row for row in _checked(page.channels, reply.source, str)}
        offset += len(page.channels)
        if not page.has_more:
            return list(found.values())
        if not page.channels:
            raise BadAnswer(f"{reply.source}: PostHog says there are more channels and sends none")


def function_path(id_: str) -> str:
    """Return the path of a hog function; what is in `id_` cannot lead elsewhere.

    Raises:
        ConfigError: It cannot be an id.
    """
    return f"hog_functions/{_segment(id_)}/"


def _segment(id_: str) -> str:
    # dots survive quoting, and ".." would lead to the project itself
    if not id_.strip(". "):
        raise ConfigError(f"{id_!r} is not an id")
    return quote(id_, safe="")


def _all(api: Api, path: str, params: Mapping[str, str], *, id_type: type[str] | type[int] = str) -> list[Row]:
    """Walk the pages of a listing. Paged by offset: what changes meanwhile moves, so each is kept once and counted."""
    found: dict[str | int, Row] = {}
    count = None
    for page in walk_pages(api, Request("GET", path, params), _Page):
        found |= {row["id"]: row for row in _checked(page.results, f"GET {path}", id_type)}
        count = page.count
    if count is not None and len(found) < count:
        raise IncompleteExtraction(
            f"{path}: {len(found):,} arrived where PostHog counts {count:,}; they change while they are read, so try "
            "again"
        )
    return list(found.values())


def _one(reply: Reply) -> Row:
    (row,) = _checked([reply.decode(Row)], reply.source, str)
    return row


def _checked(rows: list[Row], source: str, id_type: type[str] | type[int]) -> list[Row]:
    for row in rows:
        id_ = row.get("id")
        if not isinstance(id_, id_type) or isinstance(id_, bool) or id_ == "":
            raise BadAnswer(f"{source}: PostHog's answer is not what its API documents (an object has no id)")
    return rows
