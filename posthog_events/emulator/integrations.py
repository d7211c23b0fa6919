"""`integrations/`: the project's Slack workspace and its channels. Source: reference 7.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from posthog_events.emulator.endpoint import Call, api_route, reply
from posthog_events.emulator.fake_slack import TOKEN, slack_of
from posthog_events.emulator.hog_functions import AUTHOR
from posthog_events.emulator.hog_state import state_of
from posthog_events.emulator.listing import invalid, not_found, numbered_page, utc_text

if TYPE_CHECKING:
    from starlette.responses import Response

    from posthog_events.emulator.hog_state import HogState

__all__ = ["ROUTES", "SLACK_INTEGRATION", "integrations_of"]

SLACK_INTEGRATION = 1
PAGE = 100


def integrations_of(state: HogState) -> list[dict[str, Any]]:
    """Return the integrations of a project: its own list, or else one Slack workspace.

    Each has `id`, `kind`, `config`, `display_name`, `errors` and a `token` that is not shown.
    """
    if state.integrations is not None:
        return state.integrations
    config = {"team": {"id": "T000", "name": "Emulator"}, "scope": "channels:read,chat:write"}
    named = {"id": SLACK_INTEGRATION, "kind": "slack", "display_name": "Emulator", "errors": ""}
    return [named | {"config": config, "token": TOKEN}]


def list_integrations(call: Call) -> Response:
    """Answer `GET integrations/`."""
    kinds = [kind for kind in call.query.get("kind", "").split(",") if kind]
    found = [one for one in integrations_of(state_of(call.project)) if not kinds or one["kind"] in kinds]
    return numbered_page(
        call.world, call.request, found, total=True, show=lambda page: [_shown(call, one) for one in page]
    )


def one_integration(call: Call) -> Response:
    """Answer `GET integrations/{id}/`."""
    return reply(_shown(call, _find(call)))


def channels(call: Call) -> Response:
    """Answer `GET integrations/{id}/channels/`: those that the one who connected Slack can see."""
    integration = _find(call)
    if integration["kind"] != "slack":
        raise invalid("This endpoint is only for Slack integrations.")
    slack = slack_of(call.world)
    if integration["token"] not in slack.tokens or integration["errors"]:
        detail = "The Slack integration is not active. Connect it again."
        raise invalid(detail, code="slack_integration_inactive")
    query = call.query
    found = [one for one in slack.channels if not one.archived and query.get("search", "").lower() in one.name]
    if query.get("channel_id"):
        found = [one for one in found if one.id == query["channel_id"]]
    limit, offset = (int(text) if (text := query.get(name, "")).isdigit() else 0 for name in ("limit", "offset"))
    page = found[offset : offset + (limit or PAGE)]
    return reply(
        {
            "channels": [
                {
                    "id": one.id,
                    "name": one.name,
                    "is_private": one.private,
                    "is_member": one.member,
                    "is_ext_shared": False,
                    "is_private_without_access": False,
                }
                for one in page
            ],
            "lastRefreshedAt": utc_text(call.world.now()),
            "has_more": offset + len(page) < len(found),
        }
    )


def _find(call: Call) -> Mapping[str, Any]:
    for one in integrations_of(state_of(call.project)):
        if str(one["id"]) == call.params["id"]:
            return one
    raise not_found()


def _shown(call: Call, one: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in one.items() if key != "token"}
    return shown | {"created_at": utc_text(call.world.now()), "created_by": AUTHOR}


ROUTES = (
    api_route("integrations/", list_integrations, scope="integration:read"),
    api_route("integrations/{id}/", one_integration, scope="integration:read"),
    api_route("integrations/{id}/channels/", channels, scope="integration:read"),
)
