"""What a key may do, as PostHog tells its owner."""

from __future__ import annotations

from dataclasses import dataclass

from posthog_events.errors import ApiError, RateLimited
from posthog_events.posthog.http import Api, Reply, Request

__all__ = ["CURRENT_KEY", "Rights", "key_rights", "read_rights"]

CURRENT_KEY = "/api/personal_api_keys/@current/"


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of a key.

    Args:
        scopes: None: PostHog does not list them.
        projects: The projects that it is limited to; none: it is not limited.
    """

    scopes: frozenset[str] | None = None
    projects: frozenset[int] = frozenset()

    def allow(self, scope: str) -> bool:
        """Return whether the key has a scope, as far as is known; the right to write includes that to read."""
        return self.scopes is None or bool(self.scopes & {"*", scope, scope.replace(":read", ":write")})


def read_rights(reply: Reply) -> Rights:
    """Read PostHog's answer about the current key.

    Raises:
        BadAnswer: It is not JSON.
    """
    body = reply.decode()
    scopes = body.get("scopes") if isinstance(body, dict) else None
    teams = body.get("scoped_teams") if isinstance(body, dict) else None
    return Rights(
        frozenset(str(scope) for scope in scopes) if isinstance(scopes, list) else None,
        frozenset(team for team in teams if isinstance(team, int)) if isinstance(teams, list) else frozenset(),
    )


def key_rights(api: Api) -> Rights:
    """Ask PostHog for the rights of the key; where it does not tell, nothing is known.

    An OAuth token is refused here and works elsewhere, and old servers have no such page. A key that is not known at
    all is told so by the next request.

    Raises:
        RateLimited, ConnectionFailed, BadAnswer: As `Api.send`.
    """
    try:
        return read_rights(api.send(Request("GET", CURRENT_KEY)))
    except RateLimited:
        raise
    except ApiError:
        return Rights()
