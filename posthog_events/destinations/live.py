"""What a project has now, as far as some declarations need to know it, and what of them it could not take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from posthog_events.destinations.addresses import address_faults
from posthog_events.destinations.model import AUTO, Destination
from posthog_events.destinations.secrets import Secrets
from posthog_events.destinations.templates import SCHEMAS, WEBHOOK, check_inputs, honours_signing
from posthog_events.errors import Fault, NotFound
from posthog_events.posthog.hog_functions import DELIVERED, get_template, list_functions, list_integrations
from posthog_events.posthog.host import is_loopback
from posthog_events.posthog.http import Api

__all__ = ["Live", "live_faults", "read_live"]

NO_SIGNING = (
    "this PostHog does not sign deliveries (its webhook template is older than August 2026) and would drop "
    "`signing_secret` without a word; leave it out, and send a secret header instead: headers: {X-Secret: ${env:NAME}}"
)


@dataclass(frozen=True, slots=True)
class Live:
    """A project at one moment.

    Args:
        origin: Scheme and host of its PostHog.
        rows: Every destination, complete, as PostHog's API shows them.
        templates: The templates that were asked for, by id; None where PostHog knows no such template.
        workspaces: The Slack workspaces by number, when a declaration leaves the choice to us.
    """

    origin: str
    project_id: int
    rows: tuple[Mapping[str, Any], ...] = ()
    templates: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    workspaces: Mapping[int, str] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, as the emulator is, and can reach addresses that PostHog cannot."""
        return is_loopback(urlsplit(self.origin).hostname or "")

    @property
    def slack_workspace(self) -> int | None:
        """The only Slack workspace; None when there is none, or a choice."""
        return next(iter(self.workspaces)) if len(self.workspaces) == 1 else None


def read_live(api: Api, destinations: Sequence[Destination]) -> Live:
    """Ask a project for its destinations and for what `destinations` need; nothing is written.

    One request for each 1,000 destinations, one for Slack workspaces and one for each template that must be looked at.

    Raises:
        ApiError, ConnectionFailed, BadAnswer: As `Api.send`.
    """
    wanted = {one.template_id for one in destinations if one.template_id not in SCHEMAS}
    wanted |= {WEBHOOK for one in destinations if _signs(one)}
    return Live(
        origin=api.origin,
        project_id=api.project_id,
        rows=tuple(list_functions(api)),
        templates={name: _template(api, name) for name in sorted(wanted)},
        workspaces={
            int(item["id"]): str(item.get("display_name") or item["id"])
            for item in (list_integrations(api) if any(map(_needs_workspace, destinations)) else ())
        },
    )


def live_faults(destinations: Sequence[Destination], live: Live, secrets: Secrets) -> list[Fault]:
    """Return why the project cannot take some of the declarations, each with its place."""
    faults = [
        Fault(f"{destination.key}: {message}", destination.path, destination.line)
        for destination in destinations
        for message in _faults(destination, live)
    ]
    return faults + address_faults(destinations, secrets, local=live.is_local)


def _faults(destination: Destination, live: Live) -> Iterator[str]:
    name = destination.template_id
    template = live.templates.get(name, {})
    if template is None:
        yield f"PostHog has no template `{name}`"
    elif template and name not in SCHEMAS:
        if template.get("status") == "hidden":
            yield f"PostHog's template `{name}` is for its own use and cannot be used by a destination"
        if (kind := template.get("type") or DELIVERED[0]) not in DELIVERED:
            yield f"PostHog's template `{name}` makes a {kind}, which is no destination"
        for _, message in check_inputs(destination.inputs, template.get("inputs_schema") or ()):
            yield message
    if (
        _signs(destination)
        and template
        and not honours_signing({"hog": str(template.get("code")).rstrip(), "template": template})
    ):
        yield NO_SIGNING
    if _needs_workspace(destination) and live.slack_workspace is None:
        if live.workspaces:
            choice = ", ".join(f"{number} ({title!r})" for number, title in live.workspaces.items())
            yield f"the project has several Slack workspaces; give one as `workspace`: {choice}"
        else:
            yield (
                "PostHog shows no Slack workspace: connect one in the project's settings, give its number as "
                "`workspace`, or use an incoming webhook (`webhook_url: ${env:NAME}`), which needs none"
            )


def _signs(destination: Destination) -> bool:
    return destination.template_id == WEBHOOK and "signing_secret" in destination.inputs


def _needs_workspace(destination: Destination) -> bool:
    return AUTO in destination.inputs.values()


def _template(api: Api, name: str) -> Mapping[str, Any] | None:
    try:
        return get_template(api, name)
    except NotFound:
        return None
