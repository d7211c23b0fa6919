"""The request that a template's code makes of resolved inputs, as far as the code is known here.

Source: reference 2.1, 2.2, 6 and 7; PostHog/posthog:nodejs/src/cdp/templates/_destinations (2026-08).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from posthog_events.destinations import templates
from posthog_events.destinations.simulate.model import RenderedRequest
from posthog_events.destinations.simulate.preview import preview
from posthog_events.destinations.slack_limits import check_blocks
from posthog_events.hog.message_bodies import SLACK_URL, discord_body, slack_body, teams_body

__all__ = ["rendered"]

_SLACK_WEBHOOK = ("hooks.slack.com", "hooks.slack-gov.com")


def rendered(template_id: str, inputs: Mapping[str, Any], *, is_slack: bool = False) -> RenderedRequest | None:
    """Return the request; None for a template whose code is not known here.

    Args:
        is_slack: The destination was declared as Slack, and a webhook's body is a message.
    """
    if template_id == templates.WEBHOOK:
        return _webhook(inputs, is_slack)
    if template_id == templates.SLACK:
        return _slack(inputs)
    if template_id == templates.DISCORD:
        return _posted(inputs.get("webhookUrl"), discord_body(inputs), str(inputs.get("content")))
    if template_id == templates.TEAMS:
        return _posted(inputs.get("webhookUrl"), teams_body(inputs), str(inputs.get("text")))
    return None


def _posted(url: Any, body: Any, shown: str) -> RenderedRequest:
    return RenderedRequest("POST", str(url), dict(templates.JSON_HEADERS), body, shown)


def _webhook(inputs: Mapping[str, Any], is_slack: bool) -> RenderedRequest:
    method = str(inputs.get("method") or "POST").upper()
    given = inputs.get("headers") or templates.JSON_HEADERS
    # what is no text is not sent
    headers = {str(name): value for name, value in given.items() if isinstance(value, str)}
    if secret := inputs.get("signing_secret"):
        headers |= {
            "webhook-id": "(one for each delivery)",
            "webhook-timestamp": "(seconds since 1970 of each attempt)",
            "webhook-signature": f"v1,(made with {secret})",
        }
    body = None if method in ("GET", "HEAD") else inputs.get("body") or None
    url = str(inputs.get("url"))
    if isinstance(body, Mapping) and (is_slack or any(host in url for host in _SLACK_WEBHOOK)):
        return RenderedRequest(method, url, headers, body, preview(body), _refusals(body.get("blocks")))
    return RenderedRequest(method, url, headers, body)


def _slack(inputs: Mapping[str, Any]) -> RenderedRequest:
    body = slack_body(inputs)
    headers = {"Authorization": "Bearer (the token of the Slack workspace)", "Content-Type": "application/json"}
    return RenderedRequest("POST", SLACK_URL, headers, body, preview(body), _refusals(inputs.get("blocks")))


def _refusals(blocks: Any) -> tuple[str, ...]:
    """Return what Slack would refuse of the blocks before the template cuts them, as older ones do not."""
    if not isinstance(blocks, list):
        return ()
    return tuple(f"blocks{''.join(f'[{key!r}]' for key in path)}: {message}" for path, message in check_blocks(blocks))
