"""Destinations made in Python: the same keys, checks and values as in a file.

Texts are those of a file: conditions in the short form, Hog expressions in single braces, `${env:NAME}` for secrets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from posthog_events.destinations.declaration import read_declaration
from posthog_events.destinations.model import Destination, Kind, SecretRef
from posthog_events.destinations.tree import item_of
from posthog_events.errors import DeclarationError, Fault

__all__ = ["Discord", "Slack", "Teams", "Webhook"]

Events = str | Sequence[str | Mapping[str, Any]] | None
"""Event names and `{event, where}`; `"all"` for every event."""

Conditions = str | Sequence[str | Mapping[str, Any]] | None


def Webhook(  # noqa: N802  # it makes a value and reads like one
    name: str,
    *,
    url: str | SecretRef,
    key: str | None = None,
    events: Events = None,
    actions: Sequence[int | Mapping[str, Any]] | None = None,
    where: Conditions = None,
    exclude_test_accounts: bool = False,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    signing_secret: str | SecretRef | None = None,
    debug: bool = False,
    once_per: Mapping[str, Any] | None = None,
    description: str | None = None,
    enabled: bool = True,
) -> Destination:
    """Return a webhook destination.

    Args:
        name: What PostHog shows.
        key: Its identity, which never changes; made from the name when absent.
        body: JSON; PostHog's own (`event` and `person`) when absent.
        once_per: `{"key": "person", "interval": "1h"}`.

    Raises:
        DeclarationError: Lists everything that is wrong.
    """
    own = {"url": url, "method": method, "headers": headers, "body": body}
    own |= {"signing_secret": signing_secret, "debug": debug}
    return _make(
        "webhook",
        name,
        key,
        own,
        _when(events, actions, where, exclude_test_accounts),
        once_per=once_per,
        description=description,
        enabled=enabled,
    )


def Slack(  # noqa: N802  # as above
    name: str,
    *,
    key: str | None = None,
    channel: str | None = None,
    workspace: int | None = None,
    webhook_url: str | SecretRef | None = None,
    message: str | None = None,
    blocks: Sequence[Mapping[str, Any]] | None = None,
    text: str | None = None,
    username: str | None = None,
    icon: str | None = None,
    events: Events = None,
    actions: Sequence[int | Mapping[str, Any]] | None = None,
    where: Conditions = None,
    exclude_test_accounts: bool = False,
    once_per: Mapping[str, Any] | None = None,
    description: str | None = None,
    enabled: bool = True,
) -> Destination:
    """Return a Slack destination: by PostHog's Slack integration (`channel`), or by an incoming webhook.

    Args:
        name: What PostHog shows.
        key: Its identity, which never changes; made from the name when absent.
        channel: The channel's id (C...).
        workspace: The number of the Slack integration in PostHog; the only one there is when absent.
        webhook_url: The reference of an incoming webhook's URL, in place of `channel`.
        message: Slack's mrkdwn with Hog expressions; the event and its person when neither this nor `blocks` is given.

    Raises:
        DeclarationError: Lists everything that is wrong.
    """
    if message is None and blocks is None:
        message = "*{event.event}* by {person.name ?? event.distinct_id}"
    own: dict[str, Any] = {"channel": channel, "workspace": workspace, "webhook_url": webhook_url, "message": message}
    own |= {"blocks": blocks, "text": text, "username": username, "icon": icon}
    return _make(
        "slack",
        name,
        key,
        own,
        _when(events, actions, where, exclude_test_accounts),
        once_per=once_per,
        description=description,
        enabled=enabled,
    )


def Discord(  # noqa: N802  # as above
    name: str,
    *,
    webhook_url: str | SecretRef,
    message: str,
    key: str | None = None,
    allowed_mentions: str = "none",
    events: Events = None,
    actions: Sequence[int | Mapping[str, Any]] | None = None,
    where: Conditions = None,
    exclude_test_accounts: bool = False,
    once_per: Mapping[str, Any] | None = None,
    description: str | None = None,
    enabled: bool = True,
) -> Destination:
    """Return a Discord destination; `webhook_url` is a reference, for whoever has the URL may post.

    Raises:
        DeclarationError: Lists everything that is wrong.
    """
    return _make(
        "discord",
        name,
        key,
        {"webhook_url": webhook_url, "message": message, "allowed_mentions": allowed_mentions},
        _when(events, actions, where, exclude_test_accounts),
        once_per=once_per,
        description=description,
        enabled=enabled,
    )


def Teams(  # noqa: N802  # as above
    name: str,
    *,
    webhook_url: str | SecretRef,
    message: str,
    key: str | None = None,
    events: Events = None,
    actions: Sequence[int | Mapping[str, Any]] | None = None,
    where: Conditions = None,
    exclude_test_accounts: bool = False,
    once_per: Mapping[str, Any] | None = None,
    description: str | None = None,
    enabled: bool = True,
) -> Destination:
    """Return a Microsoft Teams destination; `webhook_url` is a reference, for whoever has the URL may post.

    Raises:
        DeclarationError: Lists everything that is wrong.
    """
    return _make(
        "teams",
        name,
        key,
        {"webhook_url": webhook_url, "message": message},
        _when(events, actions, where, exclude_test_accounts),
        once_per=once_per,
        description=description,
        enabled=enabled,
    )


def _when(events: Events, actions: Any, where: Conditions, exclude_test_accounts: bool) -> dict[str, Any]:
    if isinstance(events, str) and events != "all":
        events = [events]
    given = {"events": events, "actions": actions, "where": where}
    return {
        **{name: value for name, value in given.items() if value is not None},
        "exclude_test_accounts": exclude_test_accounts,
    }


def _make(
    kind: Kind, name: str, key: str | None, own: Mapping[str, Any], when: Mapping[str, Any], **common: Any
) -> Destination:
    slug = key if key is not None else re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:100]
    said = {"key": slug, "kind": kind, "name": name, **common, "when": when, **own}
    tree = item_of({part: _text(value) for part, value in said.items() if value is not None})
    destination, faults = read_declaration(tree)
    if destination is None:
        raise DeclarationError([Fault(f"{kind} {slug or name}: {fault.message}") for fault in faults])
    return destination


def _text(value: Any) -> Any:
    """Return a value with the references in it as they are written in a file."""
    if isinstance(value, SecretRef):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _text(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_text(part) for part in value]
    return value
