"""Who is asking, and for which project.

Source: reference 1 and 2.7; posthog/auth.py, posthog/permissions.py and posthog/api/routing.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from posthog_events.emulator.endpoint import Refusal

if TYPE_CHECKING:
    from posthog_events.emulator.world import Key, Project, World

__all__ = ["authenticate", "bearer", "check_scope", "is_personal", "resolve_project"]

PERSONAL_PREFIX = "phx_"

CURRENT = "@current"


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the token of an `Authorization: Bearer` header; None when there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def authenticate(world: World, headers: Mapping[str, str], read_body: Callable[[], Any]) -> Key:
    """Return the key that came with a request, in its header or as `personal_api_key` in its body; the header wins.

    Args:
        read_body: Returns the JSON body; called only when the header has no key.

    Raises:
        Refusal: 401; there is no key, or none that this world knows. A `phc_` token is no key here.
    """
    value, where = bearer(headers), "Authorization header"
    if value is None:
        body = read_body()
        given = body.get("personal_api_key") if isinstance(body, Mapping) else None
        value, where = given if isinstance(given, str) else None, "body"
    challenge = {
        "WWW-Authenticate": f'Bearer resource_metadata="{world.origin}/.well-known/oauth-protected-resource"',
    }
    if value is None:
        detail = "Authentication credentials were not provided."
        raise Refusal(401, "authentication_error", "not_authenticated", detail, headers=challenge)
    key = world.keys.get(value)
    if key is None:
        detail = f"Personal API key found in request {where} is invalid."
        raise Refusal(401, "authentication_error", "authentication_failed", detail, headers=challenge)
    return key


def is_personal(key: Key) -> bool:
    """Whether the rules for personal keys apply: throttles, budget, no OFFSET. OAuth tokens (`pha_`) are exempt."""
    return key.value.startswith(PERSONAL_PREFIX)


def check_scope(key: Key, scope: str) -> None:
    """Refuse a key without `scope`."""
    if not key.may(scope):
        raise _forbidden(f"API key missing required scope '{scope}'")


def resolve_project(world: World, key: Key, text: str) -> Project:
    """Return the project that a path names.

    `@current` is the project that the key's owner has selected in the browser, which changes when a person clicks; here
    it is the first project of the world.

    Raises:
        Refusal: 404, there is no such project; 403, the key is for other projects.
    """
    if text == CURRENT:
        project = next(iter(world.projects.values()), None)
    else:
        project = world.projects.get(int(text)) if text.isascii() and text.isdigit() else None
    if project is None:
        raise Refusal(404, "invalid_request", "not_found", "Project not found.")
    if key.projects is not None and project.id not in key.projects:
        raise _forbidden(f"API key does not have access to the requested project: ID {project.id}.")
    return project


def _forbidden(detail: str) -> Refusal:
    return Refusal(403, "authentication_error", "permission_denied", detail)
