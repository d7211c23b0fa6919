"""`actions/`: the project's actions, which filters of destinations name by their number.

Tests put them there: `EmulatedPostHog.destinations.actions[42] = {"name": ..., "steps": [...]}`, or the steps alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from posthog_events.emulator.endpoint import Call, api_route, reply
from posthog_events.emulator.hog_state import state_of
from posthog_events.emulator.listing import not_found, numbered_page

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["ROUTES"]


def list_actions(call: Call) -> Response:
    """Answer `GET actions/`."""
    actions = state_of(call.project).actions
    return numbered_page(call.world, call.request, [_shown(id_, action) for id_, action in actions.items()], total=True)


def one_action(call: Call) -> Response:
    """Answer `GET actions/{id}/`."""
    for id_, action in state_of(call.project).actions.items():
        if str(id_) == call.params["id"]:
            return reply(_shown(id_, action))
    raise not_found()


def _shown(id_: Any, action: Any) -> dict[str, Any]:
    given = dict(action) if isinstance(action, Mapping) else {"steps": list(action)}
    return {"name": f"Action {id_}", "steps": [], **given, "id": int(id_)}


ROUTES = (
    api_route("actions/", list_actions, scope="action:read"),
    api_route("actions/{id}/", one_action, scope="action:read"),
)
