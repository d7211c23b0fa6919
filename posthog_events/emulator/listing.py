"""What the list endpoints share: refusals, page links, and HogQL whose failures are answers, not crashes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import Response

from posthog_events.emulator.endpoint import Refusal, reply
from posthog_events.errors import EngineError, HogQLError, QueryTimeout
from posthog_events.result import Query

if TYPE_CHECKING:
    from starlette.requests import Request

    from posthog_events.emulator.world import Project, World

__all__ = ["ask", "invalid", "is_uuid", "not_found", "numbered_page", "page_link", "rooted", "server_error", "utc_text"]


def invalid(detail: str, *, attr: str | None = None, code: str = "invalid_input") -> Refusal:
    """Return the 400 of a request whose values are wrong."""
    return Refusal(400, "validation_error", code, detail, attr=attr)


def not_found(detail: str = "Not found.") -> Refusal:
    """Return the 404 of an object that is not there."""
    return Refusal(404, "invalid_request", "not_found", detail)


def server_error() -> Refusal:
    """Return what becomes of an exception that PostHog's view does not handle."""
    return Refusal(500, "server_error", "error", "A server error occurred.")


def ask(
    project: Project, hogql: str, values: Mapping[str, Any] | None = None, *, properties: list[Any] | None = None
) -> list[dict[str, Any]]:
    """Run HogQL and return its rows.

    Args:
        properties: Property filters that `{filters}` in the text stands for.

    Raises:
        Refusal: The filters mean nothing, or the query failed.
    """
    query = Query(hogql, values=values or {}, filters={"properties": properties or []}, name="<emulator>")
    try:
        frame = project.engine.run(query, allow_truncated=True).frame
    except HogQLError as exc:
        raise invalid(exc.message, code="hogql_query_error") from exc
    except QueryTimeout as exc:
        detail = "Query has hit the max execution time before completing. See our docs for how to improve it."
        raise Refusal(504, "server_error", "error", detail) from exc
    except EngineError as exc:
        raise invalid(str(exc), code=(exc.code_name or "error").lower()) from exc
    return frame.to_dicts()


def page_link(world: World, request: Request, changes: Mapping[str, object]) -> str:
    """Return the absolute address of this request with some parameters replaced."""
    origin = (world.origin or str(request.base_url)).rstrip("/")
    parameters = {**request.query_params, **{name: str(value) for name, value in changes.items()}}
    return f"{origin}{request.url.path}?{urlencode(parameters)}"


def numbered_page(
    world: World,
    request: Request,
    items: list[Any],
    *,
    total: bool,
    default: int = 100,
    maximum: int | None = None,
    show: Callable[[list[Any]], list[Any]] = list,
) -> Response:
    """Answer with one page of `items` by `limit` and `offset`.

    Args:
        total: Whether the envelope holds `count`; persons have none.
        maximum: A larger `limit` counts as this.
        show: Turns the items of the page into what is answered.
    """
    limit = _natural(request.query_params.get("limit"), default) or default
    limit = limit if maximum is None else min(limit, maximum)
    offset = _natural(request.query_params.get("offset"), 0)
    following = page_link(world, request, {"limit": limit, "offset": offset + limit})
    previous = page_link(world, request, {"limit": limit, "offset": max(offset - limit, 0)})
    body: dict[str, Any] = {"count": len(items)} if total else {}
    body["next"] = following if offset + limit < len(items) else None
    body["previous"] = previous if offset > 0 else None
    body["results"] = show(items[offset : offset + limit])
    return reply(body)


def _natural(text: str | None, default: int) -> int:
    """Return a parameter as a number; what is none counts as missing, as in Django REST framework's pagination."""
    return int(text) if text and text.isascii() and text.isdigit() else default


def rooted(handler: Callable[[Request, World], Response]) -> Callable[[Request], Response]:
    """Return an endpoint outside the projects, which answers refusals itself."""

    def endpoint(request: Request) -> Response:
        try:
            return handler(request, request.app.state.world)
        except Refusal as refusal:
            return reply(refusal.body, status=refusal.status, headers=refusal.headers)

    return endpoint


def is_uuid(text: Any) -> bool:
    """Whether a value is the text of a UUID."""
    try:
        uuid.UUID(text)
    except (ValueError, TypeError, AttributeError):
        return False
    return True


def utc_text(moment: datetime) -> str:
    """Return a moment as PostHog's renderer writes it: UTC, `Z`, a fraction only when there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
